//! Real files, most from other people's machines, stay read as they are: `corpus.tsv` beside this file says of each what
//! forms it has, how many rows and rejects, and a hash of them all.
//!
//! The files are no part of this repository; where they are absent the test says so. `UPDATE_EXPECT=1 cargo test -p
//! ntpscope-core --test corpus` writes what was read; look at the differences of `ntpscope rows` before you commit it.

use ntpscope_core::model::InputId;
use ntpscope_core::render::rows::json;
use ntpscope_core::table::Owner;
use ntpscope_core::text::TextReader;
use ntpscope_core::time::Time;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// 2026-11-24T00:00:00Z: when the files were written is not known.
const WRITTEN: Time = Time(1_795_478_400_000_000_000);

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus.tsv");

/// Files below a folder that are text.
#[expect(clippy::disallowed_methods, reason = "tests of the core may open files")]
fn texts(folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            texts(&path, all);
            continue;
        }
        let name = path.strip_prefix(CORPUS).expect("below the corpus").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("a file of the corpus");
        if name.contains('/') && !name.starts_with("pcap") && !bytes.contains(&0) {
            all.insert(name, bytes);
        }
    }
}

/// Forms, rows, rejects, and a hash of the rows and rejects.
fn read(bytes: &[u8]) -> String {
    let mut reader = TextReader::new(InputId(0), WRITTEN);
    let (mut rows, mut rejects, mut hash, mut line_of) = (0, 0, DefaultHasher::new(), String::new());
    let mut count = |row: ntpscope_core::model::Row<'_>, hash: &mut DefaultHasher| {
        rows += 1;
        line_of.clear();
        json(&row, Owner::default(), &mut line_of);
        hash.write(line_of.as_bytes());
    };
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(reject) = reader.line(line, &mut |row| count(row, &mut hash)) {
            rejects += 1;
            hash.write(format!("{}{}", reject.place, reject.reason).as_bytes());
        }
    }
    reader.end(&mut |row| count(row, &mut hash));
    if reader.forms.is_empty() {
        return "-\t0\t0\t-".into();
    }
    format!("{}\t{rows}\t{rejects}\t{:016x}", reader.forms.join(", "), hash.finish())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests of the core may open files")]
fn real_files_stay_read_as_they_are() {
    let mut files = BTreeMap::new();
    texts(Path::new(CORPUS), &mut files);
    if files.is_empty() {
        return println!("skipped: ../shared/corpus is not here");
    }
    let got: BTreeMap<&str, String> = files.iter().map(|(name, bytes)| (name.as_str(), read(bytes))).collect();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let lines: String = got.iter().map(|(name, said)| format!("{name}\t{said}\n")).collect();
        return std::fs::write(EXPECTED, lines).expect("the repository is writable");
    }
    let expected = std::fs::read_to_string(EXPECTED).expect("what the files gave");
    // The corpus grows; a file that is not in it any more is no failure either.
    let mut compared = 0;
    for line in expected.lines() {
        let (name, said) = line.split_once('\t').expect("a name, and what was read");
        if let Some(now) = got.get(name) {
            assert_eq!(now, said, "{name}");
            compared += 1;
        }
    }
    println!("{compared} files compared, {} of the corpus not listed", got.len() - compared);
    assert!(compared > 0, "the corpus has none of the files that are listed");
}
