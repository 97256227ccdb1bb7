//! Which files there are below what was given, what each is, and whose they are.

use super::archive::{self, Each};
use super::bytes::{HEAD, Kind, kind};
use super::progress::{Counted, shown};
use super::threads;
use ntpscope_core::scene::{host_of, in_tree};
use ntpscope_core::time::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Seek};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files below one path, or in one archive, beyond which a walk ends: nobody means to give a whole disk.
const MOST_FILES: usize = 100_000;

const NOTHING: &str = "neither a capture nor text";
const EMPTY: &str = "is empty";
const ODD: &str = "is neither a file nor a folder: give what comes out of a pipe to standard input, with `-`";

/// Why files are no evidence that are none by their nature.
pub const UNFIT: [&str; 3] = [NOTHING, EMPTY, ODD];

/// What can be opened: a file on disk, or standard input.
pub struct Source {
    path: PathBuf,
    /// Its name in the report: below what was given.
    name: String,
    /// The path that was given, where it was the only one, and where this stands below it.
    root: Option<String>,
    below: String,
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
        // What somebody said of a path goes before what its folders say.
        for (host, path) in hosts {
            collect(path, false, Some(host), &mut known, &mut found);
        }
        for path in paths {
            collect(path, paths.len() > 1, None, &mut known, &mut found);
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
                .extend(files.into_iter().filter(|(_, twin)| !is_twin(twin, &mut heads)).map(|(file, _)| file));
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

    /// Whose it may be where nothing below what was given says so: the host that folders above it name.
    pub fn owner(&self) -> String {
        let whole = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        host_of(&whole.to_string_lossy()).unwrap_or("localhost").to_owned()
    }

    fn file(&self, source: usize, number: usize, path: &str) -> File {
        let name = if path.is_empty() { self.name.clone() } else { format!("{}/{path}", self.name) };
        let relative =
            [self.below.as_str(), path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        // The name of all that was given is no host's, unless it is a system's tree that was given.
        let whole = match &self.root {
            Some(root) if in_tree(&relative) => format!("{root}/{relative}"),
            Some(_) => relative,
            None => name.clone(),
        };
        let host = self.host.clone().or_else(|| host_of(&whole).map(str::to_owned));
        File { source, number, name, host, written: self.written, kind: Kind::Nothing, trouble: None }
    }
}

/// What could show that a file is there already.
struct Twin {
    name: String,
    /// Whose it is, its folder, its length and its beginning; none where twins are not looked for.
    head: Option<(Option<String>, PathBuf, u64, u64)>,
    /// Where all of it can be compared; in an archive it can't, but its beginning may be all of it.
    path: Option<PathBuf>,
}

/// Files of one folder, length and beginning that are compared: twins are two, and thousands that are alike are a trap.
const MOST_ALIKE: usize = 64;

/// The twins that are known, by their heads.
type Heads = BTreeMap<(Option<String>, PathBuf, u64, u64), Vec<(String, Option<PathBuf>)>>;

/// Whether this is a file that is there already: ntpd's filegen links the current file to its bare name, and where links
/// were copied there are two. One's name is then the other's with an ending, and all their bytes are the same.
fn is_twin(twin: &Twin, heads: &mut Heads) -> bool {
    let Some(head) = &twin.head else { return false };
    let known = heads.entry(head.clone()).or_default();
    let ends = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|ending| ending.starts_with('.'));
    let same = |path: &Option<PathBuf>| match (path, &twin.path) {
        (Some(a), Some(b)) => is_same(a, b).unwrap_or(false),
        _ => head.2 <= HEAD as u64,
    };
    let found = known.iter().any(|(name, path)| (ends(name, &twin.name) || ends(&twin.name, name)) && same(path));
    if known.len() < MOST_ALIKE {
        known.push((twin.name.clone(), twin.path.clone()));
    }
    found
}

/// Whether two files of one length have the same bytes.
fn is_same(a: &Path, b: &Path) -> io::Result<bool> {
    let [mut a, mut b] = [BufReader::new(std::fs::File::open(a)?), BufReader::new(std::fs::File::open(b)?)];
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let n = left.len().min(right.len());
        if n == 0 || left[..n] != right[..n] {
            return Ok(left.is_empty() && right.is_empty());
        }
        a.consume(n);
        b.consume(n);
    }
}

/// Lists what is in a source, each with what could show it to be there already.
fn look(source: &Source, number: usize) -> Vec<(File, Twin)> {
    let mut files = Vec::new();
    let failed = |why: String| {
        let file = File { trouble: Some(why), ..source.file(number, usize::MAX, "") };
        (file, Twin { name: String::new(), head: None, path: None })
    };
    if let Some(trouble) = &source.trouble {
        return vec![failed(trouble.clone())];
    }
    let mut more = false;
    let visited = source.visit(&mut |member, stream| {
        more = files.len() == MOST_FILES;
        if more {
            return ControlFlow::Break(());
        }
        let mut file = source.file(number, member.number, member.path);
        file.written = member.written.unwrap_or(file.written);
        let place = source.path.join(member.path);
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = member.path.is_empty().then(|| source.path.clone());
        let mut twin = Twin { name, head: None, path };
        match kind(stream) {
            Ok((Kind::Nothing, _)) => file.trouble = Some(NOTHING.into()),
            Ok((Kind::Empty, _)) => file.trouble = Some(EMPTY.into()),
            Ok((kind, hash)) => {
                file.kind = kind;
                let folder = place.parent().unwrap_or(&place).to_owned();
                let size = member.size.filter(|_| kind == Kind::Text);
                twin.head = size.map(|size| (file.host.clone(), folder, size, hash));
            }
            Err(error) => file.trouble = Some(format!("can't be read: {error}")),
        }
        files.push((file, twin));
        ControlFlow::Continue(())
    });
    match visited {
        Ok(()) if more => {
            files.push(failed(format!("can be read only to member {MOST_FILES}: more are not read at once")));
        }
        Ok(()) if files.is_empty() => files.push(failed(EMPTY.into())),
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
    let mut below = Vec::new();
    // A link that somebody gave is meant, whatever it leads to.
    let real = path.is_symlink().then(|| path.canonicalize().ok()).flatten();
    let root = real.as_deref().unwrap_or(path);
    walk(root, &mut below);
    // `.` and `..` have names too.
    let whole = path.canonicalize();
    let given = whole.as_deref().unwrap_or(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (path_below, trouble) in below {
        let relative = path_below.strip_prefix(root).unwrap_or(&path_below).to_string_lossy().into_owned();
        let name = match (named, relative.as_str()) {
            (_, "") => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            (true, _) => format!("{given}/{relative}"),
            (false, _) => relative.clone(),
        };
        let (root, host) = ((!named).then(|| given.clone()), host.cloned());
        // ntpd's filegen hard-links the current file to its bare name: one file, read once.
        let meta = std::fs::metadata(&path_below);
        let twin = meta.as_ref().is_ok_and(|m| m.is_file() && !known.insert((m.dev(), m.ino())));
        if !twin {
            let size = meta.as_ref().map_or(0, std::fs::Metadata::len);
            let written = meta.map_or_else(|_| now(), |m| Time(m.mtime().saturating_mul(SECOND)));
            let (path, below) = (path_below, relative);
            found.push(Source { path, name, root, below, host, spooled: None, written, size, trouble });
        }
    }
}

fn walk(path: &Path, files: &mut Vec<(PathBuf, Option<String>)>) {
    if files.len() >= MOST_FILES {
        if files.len() == MOST_FILES {
            files.push((path.into(), Some(format!("can't be read, nor what follows it: only {MOST_FILES} files are"))));
        }
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
        Ok(_) => files.push((path.into(), Some(ODD.into()))),
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
    let root = Some(String::new());
    Source {
        path: "-".into(),
        name: "stdin".into(),
        root,
        below: String::new(),
        host,
        spooled,
        written: now(),
        size,
        trouble,
    }
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
