//! Any bytes as text, line by line: rows and rejects stand on the lines that they name, numbers are numbers and in their
//! range, the same text gives the same rows, and no reader keeps much more than it was given.

#![no_main]

mod memory;

use libfuzzer_sys::fuzz_target;
use memory::Counting;
use ntpscope_core::model::{InputId, Place, Row, What};
use ntpscope_core::render::rows::json;
use ntpscope_core::table::{Cell, Owner, cells};
use ntpscope_core::text::{TextReader, forms};
use ntpscope_core::time::Time;
use std::net::IpAddr;

#[global_allocator]
static MEMORY: Counting = Counting::new();

/// What a reader may keep at once: buffers that are never given back, and some times the text, since rows may wait for the
/// end of their block in more words than they had.
const ROOM: usize = 1 << 16;
const ROOM_PER_BYTE: usize = 64;

/// When a text was last written, by its length: 2026-11-24T00:00:00Z, or what only file systems know.
const WRITTEN: [Time; 4] = [Time(1_795_478_400_000_000_000), Time(0), Time::MIN, Time::MAX];

fuzz_target!(|data: &[u8]| {
    let mut first = String::new();
    let told = read(data, b"", &mut |row, line| {
        check(row, line);
        json(row, Owner::default(), &mut first);
    });
    // White space at the end of a line says nothing.
    let (before, mut left, mut again) = (MEMORY.start(), first.as_str(), String::new());
    let told_again = read(data, b" \r", &mut |row, _| {
        again.clear();
        json(row, Owner::default(), &mut again);
        left = left.strip_prefix(again.as_str()).unwrap_or_else(|| panic!("{again} in place of {left}"));
    });
    let most = MEMORY.peak() - before;
    assert_eq!((told_again, left), (told, ""), "with other ends of lines");
    assert!(most <= ROOM + ROOM_PER_BYTE * data.len(), "{most} bytes are kept of {}", data.len());
});

/// Reads a text whose lines all end with `end` besides; gives what was rejected, and the forms.
fn read(data: &[u8], end: &[u8], rows: &mut dyn FnMut(&Row<'_>, u32)) -> (Vec<(Place, String)>, Vec<&'static str>) {
    let mut reader = TextReader::new(InputId(7), WRITTEN[data.len() % WRITTEN.len()]);
    let (mut rejects, mut last) = (Vec::new(), 0);
    for (number, line) in (1..).zip(data.split(|byte| *byte == b'\n')) {
        let reject = reader.line(&[line, end].concat(), &mut |row| rows(&row, number));
        if let Some(reject) = reject {
            assert_eq!(reject.place, Place::Line(number));
            assert!(!reject.reason.is_empty(), "line {number} is rejected without a reason");
            rejects.push((reject.place, reject.reason));
        }
        last = number;
    }
    reader.end(&mut |row| rows(&row, last));
    // Each form that was met is told once, and is one that there is.
    for (at, form) in reader.forms.iter().enumerate() {
        assert!(forms().any(|known| known.name == *form), "no form {form}");
        assert!(!reader.forms[..at].contains(form), "{form} twice");
    }
    (rejects, reader.forms)
}

fn check(row: &Row<'_>, line: u32) {
    // A reader may wait with a row for a line that completes it; it can't know of one before it came.
    let origin = row.at().origin;
    assert_eq!(origin.input, InputId(7));
    assert!(matches!(origin.place, Place::Line(of) if (1..=line).contains(&of)), "{origin:?} on line {line}");

    cells(row, Owner::default(), &mut |cell| {
        let fits = match cell {
            Cell::Number(value) => value.is_finite(),
            Cell::Prefix(address, bits) => fits(address, bits),
            Cell::Text(text) => !text.is_empty() && !text.contains('\n'),
            _ => true,
        };
        assert!(fits, "{cell:?} in {row:?}");
    });
    let fits = match row {
        Row::Clock(clock) => clock.stratum <= Some(16) && clock.leap <= Some(3),
        Row::Peer(peer) => peer.stratum <= Some(16),
        Row::Packet(packet) => packet.leap <= Some(3) && packet.version <= Some(7) && packet.mode <= Some(7),
        Row::Event(event) => match event.what {
            What::Variable { name, .. } => !name.is_empty(),
            What::Counter { over_s, .. } => over_s.is_none_or(|s| s >= 0.0),
            What::Client { address, .. } => !address.is_empty(),
            What::Directive { keyword, .. } => !keyword.is_empty(),
            What::Address { address, prefix, .. } => self::fits(address, prefix),
            What::Message(message) => !message.program.is_empty(),
            What::Gauge { .. } | What::Flow(_) | What::Rule(_) | What::Route { .. } => true,
        },
    };
    assert!(fits, "{row:?}");
}

fn fits(address: IpAddr, bits: u8) -> bool {
    bits <= if address.is_ipv4() { 32 } else { 128 }
}
