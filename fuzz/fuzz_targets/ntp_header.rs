//! Any bytes as an NTP packet: the header keeps every bit that was captured, and what follows it stays within bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntpscope_core::wire::ntp::{HEADER, Header, Tail};

fuzz_target!(|data: &[u8]| {
    header(data);
    // What the UDP header says: as long as what was captured, or longer where the capture cut it.
    let cut = data.last_chunk::<2>().map_or(0, |end| usize::from(u16::from_le_bytes(*end)));
    for length in [data.len(), (data.len() + cut).min(0xffff)] {
        tail(data, length);
    }
});

fn header(data: &[u8]) {
    let Some(header) = Header::read(data) else {
        assert!(data.is_empty(), "no header in {} bytes", data.len());
        return;
    };
    let caught = data.len().min(HEADER);
    let mut bytes = [0; HEADER];
    bytes[..caught].copy_from_slice(&data[..caught]);
    assert_eq!((header.bytes(), header.caught(), header.is_whole()), (bytes, caught, data.len() >= HEADER));

    // Each field back to its bytes: none overlaps another, none is left out.
    let mut again = Vec::from([header.leap() << 6 | header.version() << 3 | header.mode(), header.stratum()]);
    again.extend([header.poll().to_be_bytes(), header.precision().to_be_bytes()].concat());
    for seconds in [header.root_delay_s(), header.root_dispersion_s()] {
        again.extend(((seconds * 65536.0) as u32).to_be_bytes());
    }
    again.extend(header.refid());
    for stamp in [header.reference(), header.origin(), header.receive(), header.transmit()] {
        again.extend(stamp.to_be_bytes());
    }
    assert_eq!(again, bytes);
    assert!(header.kiss().is_none_or(|code| code == header.refid() && header.stratum() == 0 && code[0] != 0));
}

fn tail(data: &[u8], length: usize) {
    let tail = Tail::read(data, length);
    let room = length.saturating_sub(HEADER);
    let mac = usize::from(tail.mac);
    assert!(usize::from(tail.extensions) * 4 + mac <= room, "{tail:?} in {room} bytes");
    assert!(tail.extensions > 0 || !tail.nts, "{tail:?} without a field");
    // All there: every byte behind the header is a field's or the MAC's, but for three at most, too few for a field.
    assert!(length > data.len() || room < 4 || tail != Tail::default(), "{room} bytes are nothing");
}
