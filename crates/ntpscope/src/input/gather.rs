//! Which files there are below what was given, what each is, and whose they are.

use super::archive::{self, Each};
use super::bytes::{Kind, kind};
use super::progress::{Counted, shown};
use super::threads;
use ntpscope_core::scene::host_of;
use ntpscope_core::time::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Seek};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files below one path, or in one archive, beyond which a walk ends: nobody means to give a whole disk.
const MOST_FILES: usize = 100_000;

/// What can be opened: a file on disk, or standard input.
pub struct Source {
    path: PathBuf,
    /// Its name in the report: below what was given.
    name: String,
    /// The host that was said to own it.
    host: Option<String>,
    /// Standard input, spooled: it must be read more than once.
    spooled: Option<std::fs::File>,
    /// When it was last written, as the file system says.
    written: Time,
    /// Its length in bytes.
    size: u64,
    /// Why it can't be read.
    trouble: Option<String>,
}

/// One file of evidence: a source, or what an archive holds.
pub struct File {
    /// Its source, by number, and its own number in that.
    pub source: usize,
    pub number: usize,
    /// Its name in the report: below what was given.
    pub name: String,
    /// The host it belongs to, as far as folders tell.
    pub host: Option<String>,
    /// When it was last written, as the file system or the archive says.
    pub written: Time,
    /// What it is.
    pub kind: Kind,
    /// Why it can't be read.
    pub trouble: Option<String>,
}

/// All that was given.
pub struct Evidence {
    /// What is opened, each with the files that it holds.
    pub sources: Vec<(Source, Range<usize>)>,
    /// What is read, by its number as an input.
    pub files: Vec<File>,
}

impl Evidence {
    /// Everything below `paths`, in order of the names, each file once whatever its links; `hosts` are paths of which
    /// somebody said whose they are.
    ///
    /// Where several folders are given, each is a host's unless a folder inside says otherwise.
    pub fn gather(paths: &[PathBuf], hosts: &[(String, PathBuf)]) -> Evidence {
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for path in paths {
            collect(path, paths.len() > 1, None, &mut known, &mut found);
        }
        for (host, path) in hosts {
            collect(path, false, Some(host), &mut known, &mut found);
        }
        let mut evidence = Evidence { sources: Vec::new(), files: Vec::new() };
        let all = found.iter().map(|source| source.size).sum();
        let (look, mut looks) = (|number: usize| look(&found[number], number), Vec::new());
        shown("looking", all, || threads(found.len(), &look, &mut |files| looks.push(files)));
        let mut heads = BTreeMap::new();
        for (source, files) in found.into_iter().zip(looks) {
            let first = evidence.files.len();
            evidence
                .files
                .extend(files.into_iter().filter(|(_, head)| !is_twin(head, &mut heads)).map(|(file, _)| file));
            evidence.sources.push((source, first..evidence.files.len()));
        }
        evidence
    }

    /// Whether a file is one of those that are read, under whatever name.
    pub fn holds(&self, path: &Path) -> bool {
        let same = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        let this = same(path);
        this.is_some() && self.sources.iter().any(|(source, _)| same(&source.path) == this)
    }

    /// The bytes of the sources of these files.
    pub fn size_of(&self, wanted: impl Fn(&File) -> bool) -> u64 {
        let wanted = |files: &Range<usize>| self.files[files.clone()].iter().any(&wanted);
        self.sources.iter().filter(|(_, files)| wanted(files)).map(|(source, _)| source.size).sum()
    }
}

impl Source {
    /// Shows what is in it.
    pub fn visit(&self, each: &mut Each<'_>) -> io::Result<()> {
        let file = match &self.spooled {
            Some(spooled) => {
                let mut again = spooled.try_clone()?;
                again.rewind()?;
                again
            }
            None => std::fs::File::open(&self.path)?,
        };
        archive::visit(Counted(file), self.size, each)
    }

    fn file(&self, source: usize, number: usize, path: &str) -> File {
        let name = if path.is_empty() { self.name.clone() } else { format!("{}/{path}", self.name) };
        let host = self.host.clone().or_else(|| host_of(&name).map(str::to_owned));
        File { source, number, name, host, written: self.written, kind: Kind::Nothing, trouble: None }
    }
}

/// What shows that two files are one: their folder, length and beginning.
type Head = Option<(String, Option<u64>, u64)>;

/// Whether this is a file that is there already: ntpd's filegen links the current file to its bare name, and where links
/// were copied there are two. One's name is then the other's with an ending.
fn is_twin((name, head): &(String, Head), heads: &mut BTreeMap<Head, Vec<String>>) -> bool {
    let names = match head {
        Some(_) => heads.entry(head.clone()).or_default(),
        None => return false,
    };
    let ends = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|ending| ending.starts_with('.'));
    let twin = names.iter().any(|other| ends(name, other) || ends(other, name));
    names.push(name.clone());
    twin
}

/// Lists what is in a source, each with what could show it to be there already.
fn look(source: &Source, number: usize) -> Vec<(File, (String, Head))> {
    let mut files = Vec::new();
    let failed = |why: String| {
        let file = File { trouble: Some(why), ..source.file(number, usize::MAX, "") };
        (file, (String::new(), None))
    };
    if let Some(trouble) = &source.trouble {
        return vec![failed(trouble.clone())];
    }
    let visited = source.visit(&mut |member, stream| {
        let mut file = source.file(number, member.number, member.path);
        file.written = member.written.unwrap_or(file.written);
        let (folder, name) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let (folder, name, mut head) = (folder.to_owned(), name.to_owned(), None);
        match kind(stream) {
            Ok((Kind::Nothing, _)) => file.trouble = Some("neither a capture nor text".into()),
            Ok((Kind::Empty, _)) => file.trouble = Some("is empty".into()),
            Ok((kind, hash)) => {
                file.kind = kind;
                head = (kind == Kind::Text).then_some((folder, member.size, hash));
            }
            Err(error) => file.trouble = Some(format!("can't be read: {error}")),
        }
        files.push((file, (name, head)));
        if files.len() < MOST_FILES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match visited {
        Ok(()) if files.len() >= MOST_FILES => files.push(failed(format!("only {MOST_FILES} members are read"))),
        Ok(()) if files.is_empty() => files.push(failed("is empty".into())),
        Ok(()) => {}
        Err(error) if files.is_empty() => files.push(failed(format!("can't be read: {error}"))),
        Err(error) => files.push(failed(format!("can be read only to member {}: {error}", files.len()))),
    }
    files
}

/// Adds all files below `path`; `named` says to begin their names with its own.
fn collect(path: &Path, named: bool, host: Option<&String>, known: &mut BTreeSet<(u64, u64)>, found: &mut Vec<Source>) {
    if path.as_os_str() == "-" {
        found.push(standard_input(host.cloned()));
        return;
    }
    let prefix = named.then(|| path.file_name()).flatten().map(|name| name.to_string_lossy().into_owned());
    let mut below = Vec::new();
    walk(path, &mut below);
    for (path_below, trouble) in below {
        let relative = path_below.strip_prefix(path).unwrap_or(&path_below).to_string_lossy().into_owned();
        let name = match (&prefix, relative.as_str()) {
            (_, "") => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            (Some(prefix), _) => format!("{prefix}/{relative}"),
            (None, _) => relative,
        };
        // ntpd's filegen hard-links the current file to its bare name: one file, read once.
        let meta = std::fs::metadata(&path_below);
        let twin = meta.as_ref().is_ok_and(|m| m.is_file() && !known.insert((m.dev(), m.ino())));
        if !twin {
            let size = meta.as_ref().map_or(0, std::fs::Metadata::len);
            let written = meta.map_or_else(|_| now(), |m| Time(m.mtime().saturating_mul(SECOND)));
            found.push(Source { path: path_below, name, host: host.cloned(), spooled: None, written, size, trouble });
        }
    }
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

fn standard_input(host: Option<String>) -> Source {
    let (spooled, trouble) = match spool() {
        Ok(file) => (Some(file), None),
        Err(error) => {
            (None, Some(format!("standard input could not be kept in {}: {error}", std::env::temp_dir().display())))
        }
    };
    let size = spooled.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
    Source { path: "-".into(), name: "stdin".into(), host, spooled, written: now(), size, trouble }
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
