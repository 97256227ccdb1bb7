//! Which files there are below what was given, and whose they are.

use ntpscope_core::scene::host_of;
use ntpscope_core::time::{SECOND, Time};
use std::collections::BTreeSet;
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files below one path beyond which a walk ends: nobody means to give a whole disk.
const MOST_FILES: usize = 100_000;

/// One file of evidence.
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in the report: below what was given.
    pub name: String,
    /// The host it belongs to, as far as folders tell.
    pub host: Option<String>,
    /// Standard input, spooled: it must be read more than once.
    pub spooled: Option<std::fs::File>,
    /// When it was last written, as the file system or the archive says.
    pub written: Time,
    /// Why it can't be read.
    pub trouble: Option<String>,
}

/// All files below `paths`, in order of their names, each once whatever its links; `host` overrides folders.
///
/// Where several folders are given, each is a host's unless a folder inside says otherwise.
pub fn gather(paths: &[PathBuf], host: Option<&str>) -> Vec<File> {
    let mut files = Vec::new();
    let mut known = BTreeSet::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push(standard_input());
            continue;
        }
        let prefix = (paths.len() > 1).then(|| path.file_name()).flatten().map(|n| n.to_string_lossy().into_owned());
        let mut below = Vec::new();
        walk(path, &mut below);
        for (path_below, trouble) in below {
            let relative = path_below.strip_prefix(path).unwrap_or(&path_below).to_string_lossy().into_owned();
            let name = match (&prefix, relative.as_str()) {
                (_, "") => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
                (Some(prefix), _) => format!("{prefix}/{relative}"),
                (None, _) => relative,
            };
            let host = host.map(str::to_owned).or_else(|| host_of(&name).map(str::to_owned));
            // ntpd's filegen hard-links the current file to its bare name: one file, read once.
            let meta = std::fs::metadata(&path_below);
            let twin = meta.as_ref().is_ok_and(|m| m.is_file() && !known.insert((m.dev(), m.ino())));
            if !twin {
                let written = meta.map_or_else(|_| now(), |m| Time(m.mtime() * SECOND));
                files.push(File { path: path_below, name, host, spooled: None, written, trouble });
            }
        }
    }
    files
}

fn walk(path: &Path, files: &mut Vec<(PathBuf, Option<String>)>) {
    if files.len() >= MOST_FILES {
        return;
    }
    let trouble = |error: io::Error| Some(format!("can't be read: {error}"));
    match std::fs::symlink_metadata(path) {
        Err(error) => files.push((path.into(), trouble(error))),
        Ok(meta) if meta.is_dir() => match std::fs::read_dir(path) {
            Err(error) => files.push((path.into(), trouble(error))),
            Ok(entries) => {
                let mut below: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
                below.sort();
                below.iter().for_each(|path| walk(path, files));
            }
        },
        // A link to a folder could lead back here.
        Ok(meta) if meta.is_symlink() && path.is_dir() => {}
        Ok(meta) if meta.is_file() || path.is_file() => files.push((path.into(), None)),
        Ok(_) => files.push((path.into(), Some("is neither a file nor a folder".into()))),
    }
}

fn standard_input() -> File {
    let (spooled, trouble) = match spool() {
        Ok(file) => (Some(file), None),
        Err(error) => {
            (None, Some(format!("standard input could not be kept in {}: {error}", std::env::temp_dir().display())))
        }
    };
    File { path: "-".into(), name: "stdin".into(), host: None, spooled, written: now(), trouble }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Copies standard input into a file without a name.
fn spool() -> io::Result<std::fs::File> {
    let path = std::env::temp_dir().join(format!("ntpscope-{}", std::process::id()));
    let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.rewind()?;
    Ok(file)
}
