//! Any bytes as text, line by line: rows and rejects stand on the lines that they name, and numbers are numbers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntpscope_core::model::{InputId, Place, Row};
use ntpscope_core::text::{FORMS, TextReader};

fuzz_target!(|data: &[u8]| {
    let mut reader = TextReader::new(InputId(7), Time(1_795_478_400_000_000_000));
    for (number, line) in (1..).zip(data.split(|byte| *byte == b'\n')) {
        let reject = reader.line(line, &mut |row| check(row, number));
        if let Some(reject) = reject {
            assert_eq!(reject.place, Place::Line(number));
            assert!(!reject.reason.is_empty(), "line {number} is rejected without a reason");
        }
    }
    // Each form that was met is told once, and is one that there is.
    for (at, form) in reader.forms.iter().enumerate() {
        assert!(FORMS.iter().any(|known| known.name == *form), "no form {form}");
        assert!(!reader.forms[..at].contains(form), "{form} twice");
    }
});

fn check(row: Row<'_>, number: u32) {
    let origin = match row {
        Row::Peer(peer) => {
            assert!(peer.stratum <= 16 && !peer.source.is_empty(), "{peer:?}");
            let finite = |seconds: Option<f64>| seconds.is_none_or(f64::is_finite);
            assert!(finite(peer.delay_s) && finite(peer.offset_s), "{peer:?}");
            peer.origin
        }
        Row::Event(event) => event.origin,
    };
    // A reader may wait with a row for a line that completes it; it can't know of one before it came.
    assert_eq!(origin.input, InputId(7));
    assert!(matches!(origin.place, Place::Line(line) if (1..=number).contains(&line)), "{origin:?} on line {number}");
}
