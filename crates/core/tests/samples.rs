//! Every form of text has a sample of our own in `samples/NAME.txt`; the rows that it gives are in `samples/NAME.rows`.
//!
//! `UPDATE_EXPECT=1 cargo test -p ntpscope-core --test samples` writes what was read; read it before you commit it.

use expect_test::expect_file;
use ntpscope_core::model::InputId;
use ntpscope_core::render::rows::json;
use ntpscope_core::table::Owner;
use ntpscope_core::text::{TextReader, forms};
use ntpscope_core::time::Time;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// 2026-11-24T00:00:00Z: stamps without a year in samples are of the year before this.
const WRITTEN: Time = Time(1_795_478_400_000_000_000);

#[expect(clippy::disallowed_methods, reason = "tests of the core may open files")]
fn samples() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let entries = std::fs::read_dir(&folder).expect("the folder of samples");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).expect("a sample in UTF-8"))).collect()
}

/// Rows as JSON lines, with what was rejected among them, and the names of the forms.
fn read(text: &str) -> (String, Vec<&'static str>) {
    let mut reader = TextReader::new(InputId(0), WRITTEN);
    let mut said = String::new();
    for line in text.split('\n') {
        let reject = reader.line(line.as_bytes(), &mut |row| json(&row, Owner::default(), &mut said));
        reject.into_iter().for_each(|reject| writeln!(said, "{}: {}", reject.place, reject.reason).expect("text"));
    }
    reader.end(&mut |row| json(&row, Owner::default(), &mut said));
    (said, reader.forms)
}

#[test]
fn samples_give_the_rows_beside_them_and_every_form_has_one() {
    let mut unseen: BTreeSet<&str> = forms().map(|form| form.name).collect();
    for (path, text) in samples() {
        let (mut said, forms) = read(&text);
        for form in &forms {
            unseen.remove(form);
        }
        writeln!(said, "read as {}", forms.join(", ")).expect("text");
        expect_file![path.with_extension("rows")].assert_eq(&said);
    }
    assert!(unseen.is_empty(), "no sample for {unseen:?}");
}

/// Lines of all samples: whole, or the beginning of one, noise, and the end of another.
fn line() -> impl Strategy<Value = String> {
    let lines: Vec<String> = samples().iter().flat_map(|(_, text)| text.lines().map(str::to_owned)).collect();
    let known = prop::sample::select(lines);
    prop_oneof![
        ".*",
        known.clone(),
        (known.clone(), 0_usize..80, ".{0,4}", known, 0_usize..80).prop_map(|(a, from, noise, b, to)| {
            a.chars().take(from).chain(noise.chars()).chain(b.chars().skip(to)).collect()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn broken_samples_panic_nowhere_and_each_line_is_rejected_at_most_once(lines in prop::collection::vec(line(), 0..12)) {
        let text = lines.join("\n");
        let (said, _) = read(&text);
        let rejects = said.lines().filter(|line| line.starts_with("line ")).count();
        prop_assert!(rejects <= text.split('\n').count());
    }
}
