//! The block format of Wireshark (IETF draft-ietf-opsawg-pcapng): sections, interfaces, packets.

use super::capture::{Front, LONGEST_RECORD, Record};
use super::link;
use crate::time::{SECOND, Time};

/// The type of the block that starts every section, the same in either byte order.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// More interfaces than this in one section are an attack or an error.
const MOST_INTERFACES: usize = 1 << 12;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// An open file: the state of its current section.
#[derive(Debug, Default)]
pub(super) struct File {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

#[derive(Debug)]
struct Interface {
    link: u32,
    name: Option<String>,
    /// Units of the stamp in one second.
    per_second: u64,
    /// Seconds to add to each stamp.
    offset_s: i64,
}

impl File {
    pub(super) fn interface_name(&self, interface: u32) -> Option<&str> {
        self.interfaces.get(interface as usize)?.name.as_deref()
    }

    pub(super) fn front<'a>(&mut self, bytes: &'a [u8]) -> Front<'a> {
        if bytes.len() < 12 {
            return Front::More;
        }
        if bytes.starts_with(&MAGIC) {
            match bytes[8..12] {
                [0x1a, 0x2b, 0x3c, 0x4d] => self.big_endian = true,
                [0x4d, 0x3c, 0x2b, 0x1a] => self.big_endian = false,
                _ => return Front::Broken("a section without its byte-order mark"),
            }
        }
        let (kind, length) = (self.u32(bytes, 0).unwrap_or(0), self.u32(bytes, 4).unwrap_or(0) as usize);
        if length > LONGEST_RECORD {
            return Front::Broken("a block claims to be longer than any can be");
        }
        if length < 12 || !length.is_multiple_of(4) {
            return Front::Broken("a block's length can't be right");
        }
        let Some(block) = bytes.get(..length) else { return Front::More };
        if self.u32(block, length - 4) != Some(length as u32) {
            return Front::Broken("a block's two lengths differ");
        }
        let body = &block[8..length - 4];
        match kind {
            SECTION => {
                self.interfaces.clear();
                Front::Skip(length)
            }
            INTERFACE => self.interface(length, body),
            ENHANCED_PACKET | OLD_PACKET | SIMPLE_PACKET => match self.packet(kind, body) {
                Ok(record) => Front::Record(length, record),
                Err(reason) => Front::Bad(length, reason),
            },
            _ => Front::Skip(length),
        }
    }

    fn interface<'a>(&mut self, length: usize, body: &[u8]) -> Front<'a> {
        let Some(link) = self.u16(body, 0) else { return Front::Broken("an interface without a link type") };
        if self.interfaces.len() == MOST_INTERFACES {
            return Front::Broken("too many interfaces");
        }
        let mut interface = Interface { link: u32::from(link), name: None, per_second: 1_000_000, offset_s: 0 };
        let mut options = body.get(8..).unwrap_or_default();
        while let (Some(code), Some(size)) = (self.u16(options, 0), self.u16(options, 2)) {
            let size = usize::from(size);
            let Some(value) = options.get(4..4 + size) else { break };
            match (code, value) {
                (0, _) => break,
                (2, name) => interface.name = Some(String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned()),
                // if_tsresol: the top bit chooses a power of 2, else of 10.
                (9, &[n]) => {
                    let power = u32::from(n & 0x7f);
                    let base: u64 = if n & 0x80 == 0 { 10 } else { 2 };
                    let Some(per_second) = base.checked_pow(power) else {
                        return Front::Broken("an interface's time resolution can't be right");
                    };
                    interface.per_second = per_second;
                }
                (14, offset) if offset.len() == 8 => {
                    let half = |at| u64::from(self.u32(offset, at).unwrap_or(0));
                    let (high, low) = if self.big_endian { (half(0), half(4)) } else { (half(4), half(0)) };
                    interface.offset_s = (high << 32 | low) as i64;
                }
                _ => {}
            }
            options = options.get(4 + size.next_multiple_of(4)..).unwrap_or_default();
        }
        self.interfaces.push(interface);
        Front::Skip(length)
    }

    fn packet<'a>(&self, kind: u32, body: &'a [u8]) -> Result<Record<'a>, &'static str> {
        const SHORT: &str = "a packet block is shorter than its own header";
        let short = || SHORT;
        let (interface, stamp, caught, data) = match kind {
            SIMPLE_PACKET => {
                let original = self.u32(body, 0).ok_or_else(short)? as usize;
                (0, None, original.min(body.len().saturating_sub(4)), 4)
            }
            _ => {
                let interface = match kind {
                    OLD_PACKET => self.u16(body, 0).map(u32::from),
                    _ => self.u32(body, 0),
                };
                let (high, low) = (self.u32(body, 4).ok_or_else(short)?, self.u32(body, 8).ok_or_else(short)?);
                let caught = self.u32(body, 12).ok_or_else(short)? as usize;
                (interface.ok_or_else(short)?, Some(u64::from(high) << 32 | u64::from(low)), caught, 20)
            }
        };
        let described =
            self.interfaces.get(interface as usize).ok_or("a packet of an interface that was not described")?;
        let frame = data_of(body, data, caught).ok_or("a packet block is shorter than its packet")?;
        if !link::knows(described.link) {
            return Err("the interface's link type is not understood");
        }
        let time = match stamp {
            Some(stamp) => described.time(stamp).ok_or("a packet's time is beyond all dates")?,
            None => return Err("a packet without a time (simple packet block)"),
        };
        Ok(Record { time, link: described.link, interface, frame })
    }

    fn u16(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let chunk = [*bytes.get(at)?, *bytes.get(at + 1)?];
        Some(if self.big_endian { u16::from_be_bytes(chunk) } else { u16::from_le_bytes(chunk) })
    }

    fn u32(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let chunk = *bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(chunk) } else { u32::from_le_bytes(chunk) })
    }
}

fn data_of(body: &[u8], from: usize, length: usize) -> Option<&[u8]> {
    body.get(from..from.checked_add(length)?)
}

impl Interface {
    fn time(&self, stamp: u64) -> Option<Time> {
        let ns = i128::from(stamp) * i128::from(SECOND) / i128::from(self.per_second);
        i64::try_from(ns + i128::from(self.offset_s) * i128::from(SECOND)).ok().map(Time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of `kind` in big-endian order.
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = (12 + body.len() as u32).to_be_bytes();
        [&kind.to_be_bytes()[..], &length, body, &length].concat()
    }

    #[test]
    fn resolution_and_offset_of_the_interface_make_the_time() {
        let mut file = File::default();
        let section = block(SECTION, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert!(matches!(file.front(&section), Front::Skip(28)));
        // Raw IP; name "wan"; 2^-10 s; 100 s later than the stamps say.
        let options = [
            0, 2, 0, 3, b'w', b'a', b'n', 0, 0, 9, 0, 1, 0x8a, 0, 0, 0, 0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0,
            0,
        ];
        let interface = block(INTERFACE, &[&[0, 101, 0, 0, 0, 0, 0, 0][..], &options].concat());
        assert!(matches!(file.front(&interface), Front::Skip(_)));
        assert_eq!(file.interface_name(0), Some("wan"));
        let packet = block(ENHANCED_PACKET, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 2, 0, 0, 0, 2, 9, 8, 0, 0]);
        match file.front(&packet) {
            Front::Record(_, record) => assert_eq!((record.time, record.frame), (Time(101_500_000_000), &[9, 8][..])),
            other => panic!("{other:?}"),
        }
    }
}
