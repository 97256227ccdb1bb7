//! Every form of text has a sample of our own in `samples/NAME.txt`; the rows that it gives are in `samples/NAME.rows`.
//!
//! `UPDATE_EXPECT=1 cargo test -p ntpscope-core --test samples` writes what was read; read it before you commit it.

use expect_test::expect_file;
use ntpscope_core::model::InputId;
use ntpscope_core::render::rows::json;
use ntpscope_core::table::Owner;
use ntpscope_core::text::{FORMS, TextReader};
use ntpscope_core::time::Time;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// 2026-11-24T00:00:00Z: stamps without a year in samples are of the year before this.
const WRITTEN: Time = Time(1_795_478_400_000_000_000);

#[test]
fn samples_give_the_rows_beside_them_and_every_form_has_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut unseen: BTreeSet<&str> = FORMS.iter().map(|form| form.name).collect();
    let entries = std::fs::read_dir(&folder).expect("the folder of samples");
    let mut samples: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    samples.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    samples.sort();
    for path in samples {
        let mut reader = TextReader::new(InputId(0), WRITTEN);
        let mut said = String::new();
        for line in std::fs::read(&path).expect("a sample").split(|byte| *byte == b'\n') {
            let reject = reader.line(line, &mut |row| json(&row, Owner::default(), &mut said));
            reject.into_iter().for_each(|reject| writeln!(said, "{}: {}", reject.place, reject.reason).expect("text"));
        }
        reader.forms.iter().for_each(|form| drop(unseen.remove(form)));
        writeln!(said, "read as {}", reader.forms.join(", ")).expect("text");
        expect_file![path.with_extension("rows")].assert_eq(&said);
    }
    assert!(unseen.is_empty(), "no sample for {unseen:?}");
}
