//! Capture files of either format, as a stream: bytes in, packets and rejects out.
//!
//! The reader never asks for bytes itself. It is shown what there is and says how much it used, so the same code
//! reads a mapped file, a decompressing stream and a pipe.

use super::link::{self, Frame};
use super::{Icmp, Packet, ntp, pcap, pcapng};
use crate::model::{InputId, Origin, Place, Reject};
use crate::time::Time;

/// A record longer than this is not one: the file is damaged there (libpcap's own bound is 256 KiB).
pub const LONGEST_RECORD: usize = 1 << 20;

/// A caller whose buffer holds this much can always go on.
pub const BUFFER: usize = 2 * LONGEST_RECORD;

/// Reads one capture file.
#[derive(Debug)]
pub struct CaptureReader {
    input: InputId,
    format: Format,
    /// Records read so far, NTP or not: the number of the last frame.
    pub frames: u32,
    /// Time of the first and last record, NTP or not: the capture's span.
    pub span: Option<(Time, Time)>,
}

#[derive(Debug)]
enum Format {
    Unknown,
    Pcap(pcap::File),
    Pcapng(pcapng::File),
    /// Nothing further can be read.
    Ended,
}

/// What one call has done.
#[derive(Debug)]
pub struct Step {
    /// How many bytes from the front are used up.
    pub consumed: usize,
    /// What was found.
    pub item: Item,
}

/// What [`CaptureReader::step`] found.
#[derive(Debug)]
pub enum Item {
    /// An NTP packet.
    Packet(Packet),
    /// A record, or the rest of the file, that could not be understood.
    Reject(Reject),
    /// More bytes are needed: the caller shows what was not consumed again, with more behind it.
    More,
    /// Nothing is left.
    End,
}

/// One record of a capture file.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) time: Time,
    pub(super) link: u32,
    pub(super) interface: u32,
    pub(super) frame: &'a [u8],
}

/// What lies at the front of the bytes of a capture file.
#[derive(Debug)]
pub(super) enum Front<'a> {
    /// A record, and its length in the file.
    Record(usize, Record<'a>),
    /// Something that is no record; its length in the file.
    Skip(usize),
    /// A record that can't be read though its length is known: why.
    Bad(usize, &'static str),
    /// More bytes are needed.
    More,
    /// No record can be found from here on: why.
    Broken(&'static str),
}

impl CaptureReader {
    /// A reader at the start of a capture file.
    #[must_use]
    pub fn new(input: InputId) -> Self {
        CaptureReader { input, format: Format::Unknown, frames: 0, span: None }
    }

    /// Whether a file that starts with `head` (4 bytes suffice) is a capture.
    ///
    /// ```
    /// use ntpscope_core::wire::CaptureReader;
    /// assert!(CaptureReader::recognises(&[0xd4, 0xc3, 0xb2, 0xa1]));
    /// assert!(!CaptureReader::recognises(b"     remote"));
    /// ```
    #[must_use]
    pub fn recognises(head: &[u8]) -> bool {
        head.first_chunk::<4>().is_some_and(|magic| pcap::Kind::of(*magic).is_some() || *magic == pcapng::MAGIC)
    }

    /// What a report calls the format.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self.format {
            Format::Pcapng(_) => "pcapng",
            _ => "pcap",
        }
    }

    /// The name that the capture gives to an interface, where it gives one.
    #[must_use]
    pub fn interface_name(&self, interface: u32) -> Option<&str> {
        match &self.format {
            Format::Pcapng(file) => file.interface_name(interface),
            _ => None,
        }
    }

    /// Reads on from `bytes` until an NTP packet or something that can't be read is found.
    ///
    /// `at_end` says that nothing follows `bytes`. Frames that are not NTP are passed over and counted.
    pub fn step(&mut self, bytes: &[u8], at_end: bool) -> Step {
        let mut consumed = 0;
        loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            if rest.is_empty() && at_end {
                return Step { consumed, item: Item::End };
            }
            let front = match &mut self.format {
                Format::Ended => return Step { consumed: bytes.len(), item: Item::End },
                Format::Pcap(file) => file.front(rest),
                Format::Pcapng(file) => file.front(rest),
                Format::Unknown => match self.open(rest) {
                    Some(front) => front,
                    None => Front::More,
                },
            };
            match front {
                Front::Record(length, record) => {
                    consumed += length;
                    if let Some(item) = self.record(&record) {
                        return Step { consumed, item };
                    }
                }
                Front::Skip(length) => consumed += length,
                Front::Bad(length, reason) => {
                    self.frames = self.frames.saturating_add(1);
                    return Step { consumed: consumed + length, item: self.reject(reason.into()) };
                }
                Front::More if !at_end => return Step { consumed, item: Item::More },
                Front::More => return self.stop(bytes.len(), rest.len(), "the capture ends inside a record"),
                Front::Broken(reason) => return self.stop(bytes.len(), rest.len(), reason),
            }
        }
    }

    /// Ends the reading: everything from here on is one reject.
    fn stop(&mut self, all: usize, left: usize, reason: &str) -> Step {
        self.frames = self.frames.saturating_add(1);
        self.format = Format::Ended;
        Step {
            consumed: all,
            item: self.reject(format!("{reason}; nothing is read from here on (at least {left} bytes)")),
        }
    }

    fn reject(&self, reason: String) -> Item {
        Item::Reject(Reject { place: Place::Frame(self.frames), reason })
    }

    fn open(&mut self, bytes: &[u8]) -> Option<Front<'static>> {
        let magic = *bytes.first_chunk::<4>()?;
        if magic == pcapng::MAGIC {
            self.format = Format::Pcapng(pcapng::File::default());
            return Some(Front::Skip(0));
        }
        let Some(kind) = pcap::Kind::of(magic) else { return Some(Front::Broken("not a capture file")) };
        let link = kind.link(bytes)?;
        if !link::knows(link) {
            return Some(Front::Broken("the capture's link type is not understood"));
        }
        self.format = Format::Pcap(pcap::File { kind, link });
        Some(Front::Skip(pcap::HEADER))
    }

    fn record(&mut self, record: &Record<'_>) -> Option<Item> {
        self.frames = self.frames.saturating_add(1);
        self.span = match self.span {
            None => Some((record.time, record.time)),
            Some((first, last)) => Some((first.min(record.time), last.max(record.time))),
        };
        let (frame, inner_interface) = link::decode(record.link, record.frame);
        let (datagram, icmp) = match frame {
            Frame::Ntp(datagram) => (datagram, None),
            Frame::Icmp(from, to, error, datagram) => (datagram, Some(Icmp { from, to, error })),
            Frame::Other => return None,
            Frame::Bad(reason) => return Some(self.reject(reason.into())),
        };
        let Some(header) = ntp::Header::read(datagram.payload).or_else(|| icmp.and(ntp::Header::read(&[0]))) else {
            return Some(self.reject("UDP port 123 without any payload captured".into()));
        };
        Some(Item::Packet(Packet {
            origin: Origin { input: self.input, place: Place::Frame(self.frames) },
            interface: record.interface.saturating_add(inner_interface),
            time: record.time,
            source: datagram.source,
            destination: datagram.destination,
            ttl: datagram.ttl,
            dscp: datagram.dscp,
            ip_id: datagram.ip_id,
            length: datagram.length,
            ntp: header,
            tail: ntp::Tail::read(datagram.payload, usize::from(datagram.length)),
            icmp,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A little-endian µs pcap of raw IP with two NTP packets and a frame that is not NTP.
    fn capture() -> Vec<u8> {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
        for (second, port) in [(10u32, 123u16), (11, 80), (12, 123)] {
            let mut ip = vec![0x45, 0, 0, 76, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
            ip.extend([4, 0]);
            ip.extend(port.to_be_bytes());
            ip.extend([0, 56, 0, 0]);
            ip.extend([0x23; 48]);
            file.extend(second.to_le_bytes());
            file.extend([5, 0, 0, 0, 76, 0, 0, 0, 76, 0, 0, 0]);
            file.extend(ip);
        }
        file
    }

    /// Reads `file` as a stream that arrives in pieces of `piece` bytes.
    fn read(file: &[u8], piece: usize) -> (Vec<(u32, i64)>, Vec<Reject>) {
        let mut reader = CaptureReader::new(InputId(0));
        let (mut packets, mut rejects, mut start, mut end) = (vec![], vec![], 0, 0);
        loop {
            let Step { consumed, item } = reader.step(&file[start..end], end == file.len());
            start += consumed;
            match item {
                Item::Packet(p) => packets.push((p.frame(), p.time.0)),
                Item::Reject(reject) => rejects.push(reject),
                Item::More => end = (end + piece).min(file.len()),
                Item::End => return (packets, rejects),
            }
        }
    }

    #[test]
    fn frames_are_numbered_as_tshark_numbers_them() {
        let expected = vec![(1, 10_000_005_000), (3, 12_000_005_000)];
        assert_eq!(read(&capture(), usize::MAX), (expected, vec![]));
    }

    #[test]
    fn a_record_that_cannot_be_one_ends_the_reading_and_is_told() {
        let mut file = capture();
        file[24 + 8 + 3] = 0x7f;
        let (packets, rejects) = read(&file, usize::MAX);
        assert_eq!((packets.len(), rejects.len()), (0, 1));
        assert!(rejects[0].reason.contains("longer than"), "{rejects:?}");
    }

    #[test]
    fn interfaces_have_any_number() {
        let block = |kind: u32, body: &[u8]| {
            let length = (body.len() as u32 + 12).to_le_bytes();
            [&kind.to_le_bytes()[..], &length, body, &length].concat()
        };
        let section = [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
        // SLL2, link type 276: a header of 20 bytes that has the number of the interface at 4.
        let interface = block(1, &[0x14, 0x01, 0, 0, 0, 0, 0, 0]);
        let mut frame = vec![8, 0, 0, 0, 255, 255, 255, 255, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        frame.extend(&capture()[40..116]);
        let mut packet = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 96, 0, 0, 0, 96, 0, 0, 0];
        packet.extend(&frame);
        let file =
            [block(u32::from_le_bytes(pcapng::MAGIC), &section), interface.clone(), interface, block(6, &packet)]
                .concat();
        let mut reader = CaptureReader::new(InputId(0));
        let Item::Packet(packet) = reader.step(&file, true).item else { panic!("no packet in {file:?}") };
        assert_eq!((packet.interface, reader.frames), (u32::MAX, 1));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(piece in 1usize..200, cut in 0usize..300) {
            let file = capture();
            let file = &file[..cut.min(file.len())];
            prop_assert_eq!(read(file, piece), read(file, usize::MAX));
        }

        #[test]
        fn any_bytes_are_read_to_an_end(head in 0usize..6, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let heads: [&[u8]; 6] = [&[], &[0xd4, 0xc3, 0xb2, 0xa1], &[0xa1, 0xb2, 0xc3, 0xd4], &[0xa1, 0xb2, 0x3c, 0x4d],
                &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a], &[0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d]];
            let _ = read(&[heads[head], &bytes].concat(), 7);
        }
    }
}
