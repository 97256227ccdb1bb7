//! The classic capture format: a file header, then records (IETF draft-ietf-opsawg-pcap).

use super::capture::{Front, LONGEST_RECORD, Record};
use crate::time::{SECOND, Time};

/// Length of the file header.
pub(super) const HEADER: usize = 24;

/// The four properties that the magic number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    big_endian: bool,
    /// Nanoseconds in a unit of the stamp's fraction.
    fraction_ns: i64,
    /// Length of a record's header: 16, or 24 in the variant of old Linux distributions.
    record_header: usize,
}

impl Kind {
    pub(super) fn of(magic: [u8; 4]) -> Option<Kind> {
        [(true, u32::from_be_bytes(magic)), (false, u32::from_le_bytes(magic))].into_iter().find_map(
            |(big_endian, value)| {
                let (fraction_ns, record_header) = match value {
                    0xa1b2_c3d4 => (1000, 16),
                    0xa1b2_3c4d => (1, 16),
                    0xa1b2_cd34 => (1000, 24),
                    _ => return None,
                };
                Some(Kind { big_endian, fraction_ns, record_header })
            },
        )
    }

    /// The file's link type; `None` while its header is not all there.
    pub(super) fn link(self, file: &[u8]) -> Option<u32> {
        // The upper half can hold the length of the frame check sequence.
        file.get(..HEADER).map(|header| self.u32(header, 20) & 0xffff)
    }

    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let chunk = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big_endian { u32::from_be_bytes(chunk) } else { u32::from_le_bytes(chunk) }
    }
}

/// An open file, past its header.
#[derive(Debug)]
pub(super) struct File {
    pub(super) kind: Kind,
    pub(super) link: u32,
}

impl File {
    #[inline]
    pub(super) fn front<'a>(&self, bytes: &'a [u8]) -> Front<'a> {
        let Some(header) = bytes.get(..self.kind.record_header) else { return Front::More };
        let caught = self.kind.u32(header, 8) as usize;
        if caught > LONGEST_RECORD {
            return Front::Broken("a record claims to be longer than any can be");
        }
        let end = self.kind.record_header + caught;
        let Some(frame) = bytes.get(self.kind.record_header..end) else { return Front::More };
        let second = i64::from(self.kind.u32(header, 0)) * SECOND;
        let time = Time(second + i64::from(self.kind.u32(header, 4)) * self.kind.fraction_ns);
        Front::Record(end, Record { time, link: self.link, interface: 0, frame })
    }
}
