//! Packets written out as pcapng (IETF draft-ietf-opsawg-pcapng), for those who want to see them in their own tools.
//!
//! Each packet is raw IP (`LINKTYPE_RAW`) around UDP around NTP, with checksums as they should be. What is known is
//! written exactly; what is not is zero, or is left out as if the capture had been cut there.

mod frame;
mod payload;

use crate::model;
use crate::wire::ntp::HEADER;
use crate::wire::{NTP_PORT, Packet};
use frame::{Content, datagram, quote};
use payload::{header_of, write_tail};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const LINKTYPE_RAW: u16 = 101;

const OPTION_NAME: u16 = 2;
const OPTION_RESOLUTION: u16 = 9;
/// `if_tsresol`: stamps count 10⁻⁹ s.
const NANOSECONDS: u8 = 9;
/// Longest name of an interface, in bytes; readers keep no more. A path's end says more than its beginning.
const LONGEST_NAME: usize = 64;

/// A capture that is being written.
#[derive(Debug)]
pub struct Pcapng {
    /// Names of interfaces, in the order of their numbers.
    interfaces: Vec<String>,
}

impl Pcapng {
    /// Begins a capture: writes the header of its only section.
    #[must_use]
    pub fn new(out: &mut Vec<u8>) -> Self {
        // Byte-order mark, version 1.0, a section of unknown length.
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend(u64::MAX.to_le_bytes());
        block(SECTION, &body, out);
        Pcapng { interfaces: Vec::new() }
    }

    /// Writes a row that a text gave; `false`, and nothing, where it lacks its time or an address, or the time is before
    /// 1970, or the addresses are of two families.
    ///
    /// A port that is not known is NTP's, a length is 48. Every other field that is not known is zero, the TTL too. Of a
    /// payload that is longer than the header, only the header is written, as if the capture had been cut there.
    pub fn row(&mut self, interface: &str, row: &model::Packet<'_>, out: &mut Vec<u8>) -> bool {
        let (Some(time), Some(source), Some(destination)) = (row.at.time, row.source.0, row.destination.0) else {
            return false;
        };
        let length = row.length.unwrap_or(HEADER as u16);
        let header = header_of(row);
        self.write(
            interface,
            &Content {
                time_ns: time.0,
                source: (source, row.source.1.unwrap_or(NTP_PORT)),
                destination: (destination, row.destination.1.unwrap_or(NTP_PORT)),
                ttl: row.ttl.unwrap_or(0),
                dscp: 0,
                ip_id: 0,
                length,
                payload: &header[..HEADER.min(usize::from(length))],
                icmp: None,
            },
            out,
        )
    }

    /// Writes a captured packet; `false`, and nothing, where its time is before 1970, or its addresses are of two families.
    ///
    /// Header, lengths, TTL, DSCP and identification are exact. Of what follows the header only [`Tail`] is known: as many
    /// extension fields, of which the first is NTS's where one was, and a MAC of the same length are written, all zero;
    /// the sizes of single fields are not the original ones. What the capture had cut is cut again.
    pub fn packet(&mut self, interface: &str, packet: &Packet, out: &mut Vec<u8>) -> bool {
        let caught = packet.ntp.caught().min(usize::from(packet.length));
        let mut payload = packet.ntp.bytes()[..caught].to_vec();
        if packet.ntp.is_whole() {
            write_tail(packet.tail, usize::from(packet.length).saturating_sub(HEADER), &mut payload);
        }
        self.write(
            interface,
            &Content {
                time_ns: packet.time.0,
                source: packet.source,
                destination: packet.destination,
                ttl: packet.ttl,
                dscp: packet.dscp,
                ip_id: packet.ip_id,
                length: packet.length,
                payload: &payload,
                icmp: packet.icmp,
            },
            out,
        )
    }

    fn write(&mut self, interface: &str, content: &Content<'_>, out: &mut Vec<u8>) -> bool {
        let Ok(stamp) = u64::try_from(content.time_ns) else { return false };
        let missing = usize::from(content.length).saturating_sub(content.payload.len());
        let Some(mut frame) = datagram(content) else { return false };
        if let Some(icmp) = content.icmp {
            let Some(error) = quote(icmp, &frame) else { return false };
            frame = error;
        }
        let number = self.number(interface, out);
        let mut body = Vec::with_capacity(20 + frame.len() + 3);
        body.extend(number.to_le_bytes());
        body.extend(((stamp >> 32) as u32).to_le_bytes());
        body.extend((stamp as u32).to_le_bytes());
        body.extend((frame.len() as u32).to_le_bytes());
        body.extend(((frame.len() + missing) as u32).to_le_bytes());
        body.extend(&frame);
        block(ENHANCED_PACKET, &body, out);
        true
    }

    /// The number of an interface, which is described when it is first met.
    fn number(&mut self, interface: &str, out: &mut Vec<u8>) -> u32 {
        let known = self.interfaces.iter().position(|name| name == interface);
        let number = known.unwrap_or_else(|| {
            let mut body = LINKTYPE_RAW.to_le_bytes().to_vec();
            // Reserved, and no snap length.
            body.extend([0; 6]);
            let begin = interface.ceil_char_boundary(interface.len().saturating_sub(LONGEST_NAME));
            option(OPTION_NAME, &interface.as_bytes()[begin..], &mut body);
            option(OPTION_RESOLUTION, &[NANOSECONDS], &mut body);
            option(0, &[], &mut body);
            block(INTERFACE, &body, out);
            self.interfaces.push(interface.to_owned());
            self.interfaces.len() - 1
        });
        number as u32
    }
}

/// A block: type, length, body to a multiple of four, length again.
fn block(kind: u32, body: &[u8], out: &mut Vec<u8>) {
    let padded = body.len().next_multiple_of(4);
    let length = (padded + 12) as u32;
    out.extend(kind.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(body);
    out.resize(out.len() + padded - body.len(), 0);
    out.extend(length.to_le_bytes());
}

fn option(code: u16, value: &[u8], body: &mut Vec<u8>) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::frame::{Sum, UDP, pseudo_header};
    use super::payload::refid_bytes;
    use super::*;
    use crate::model::{At, InputId, Origin, Place};
    use crate::time::Time;
    use crate::wire::ntp::{Header, Tail};
    use crate::wire::{CaptureReader, Icmp, IcmpError, Item, Step};
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn read(file: &[u8]) -> (Vec<Packet>, CaptureReader) {
        let mut reader = CaptureReader::new(InputId(0));
        let (mut packets, mut at) = (vec![], 0);
        loop {
            let Step { consumed, item } = reader.step(&file[at..], true);
            at += consumed;
            match item {
                Item::Packet(packet) => packets.push(packet),
                Item::End => return (packets, reader),
                other => panic!("{other:?}"),
            }
        }
    }

    fn nowhere() -> Origin {
        Origin { input: InputId(0), place: Place::Frame(1) }
    }

    fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
        prop_oneof![
            any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| (a.into(), b.into())),
            any::<(std::net::Ipv6Addr, std::net::Ipv6Addr)>().prop_map(|(a, b)| (a.into(), b.into())),
        ]
    }

    /// A payload with fields, a MAC, and a cut somewhere.
    fn payload() -> impl Strategy<Value = (Vec<u8>, usize)> {
        let field = (prop::sample::select(vec![0x0104_u16, 0x2005, 0]), 4_u16..40);
        let fields = prop::collection::vec(field, 0..6);
        let mac = prop::sample::select(vec![0_usize, 4, 20, 24, 12, 36, 300, 3]);
        (any::<[u8; 48]>(), fields, mac, 1_usize..400, 0_usize..9).prop_map(|(header, fields, mac, cut, short)| {
            let mut bytes = header.to_vec();
            for (kind, size) in fields {
                bytes.extend(kind.to_be_bytes());
                bytes.extend(size.to_be_bytes());
                bytes.resize(bytes.len() + usize::from(size) - 4, 7);
            }
            bytes.resize(bytes.len() + mac, 0);
            bytes.truncate(if short == 0 { cut } else { bytes.len() });
            let length = bytes.len();
            bytes.truncate(cut.max(1));
            (bytes, length)
        })
    }

    fn packet() -> impl Strategy<Value = Packet> {
        let error = prop_oneof![
            Just((3_u8, 3_u8)),
            Just((3, 1)),
            Just((3, 13)),
            Just((11, 0)),
            Just((12, 0)),
            Just((3, 2)),
            Just((3, 4)),
            Just((3, 0))
        ];
        let error6 = prop_oneof![
            Just((1_u8, 4_u8)),
            Just((1, 3)),
            Just((1, 1)),
            Just((1, 0)),
            Just((2, 0)),
            Just((3, 0)),
            Just((4, 1))
        ];
        let ports = prop_oneof![(Just(NTP_PORT), any::<u16>()), (any::<u16>(), Just(NTP_PORT))];
        (addresses(), ports, payload(), any::<(u8, u8, u16)>(), 0..i64::MAX, prop::option::of((error, error6)))
            .prop_map(|(ends, ports, (bytes, length), (ttl, dscp, id), time, errors)| {
                let v6 = ends.0.is_ipv6();
                Packet {
                    origin: nowhere(),
                    interface: 0,
                    time: Time(time),
                    source: (ends.0, ports.0),
                    destination: (ends.1, ports.1),
                    ttl,
                    dscp: dscp & 0x3f,
                    ip_id: if v6 { 0 } else { id },
                    length: length as u16,
                    ntp: Header::read(&bytes).expect("a byte"),
                    tail: Tail::read(&bytes, length),
                    icmp: errors.map(|(v4, of6)| {
                        let (kind, code) = if v6 { of6 } else { v4 };
                        Icmp { from: ends.1, to: ends.0, error: IcmpError::of(v6, kind, code) }
                    }),
                }
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_packet_that_was_written_reads_the_same(packets in prop::collection::vec(packet(), 1..4)) {
            let mut file = Vec::new();
            let mut pcapng = Pcapng::new(&mut file);
            for (n, packet) in packets.iter().enumerate() {
                let written = pcapng.packet(["eth0", "eth1"][n % 2], packet, &mut file);
                prop_assert!(written);
            }
            let (got, reader) = read(&file);
            prop_assert_eq!(reader.interface_name(0), Some("eth0"));
            prop_assert_eq!(got.len(), packets.len());
            for (n, (got, want)) in got.iter().zip(&packets).enumerate() {
                let want = Packet {
                    origin: Origin { place: Place::Frame(n as u32 + 1), ..want.origin },
                    interface: n as u32 % 2,
                    ..*want
                };
                prop_assert_eq!(format!("{:?}", got), format!("{:?}", want));
            }
        }

        #[test]
        fn checksums_are_right(packet in packet()) {
            let mut file = Vec::new();
            let written = Pcapng::new(&mut file).packet("eth0", &Packet { icmp: None, ..packet }, &mut file);
            prop_assert!(written);
            // The section takes 28 bytes, the interface 40, and 28 stand before the frame.
            let (block, frame) = file[28 + 40..].split_at(28);
            let (header, v6) = if packet.source.0.is_ipv6() { (40, true) } else { (20, false) };
            if !v6 {
                let mut sum = Sum(0);
                sum.add(&frame[..header]);
                prop_assert_eq!(sum.end(), 0);
            }
            let caught = u32::from_le_bytes([block[20], block[21], block[22], block[23]]) as usize;
            let mut sum = pseudo_header(packet.source.0, packet.destination.0, UDP, packet.length + 8);
            sum.add(&frame[header..caught]);
            prop_assert_eq!(sum.end(), 0);
        }
    }

    #[test]
    fn a_row_that_was_written_reads_the_same_and_what_it_lacks_is_zero() {
        let mut row = model::Packet::new(At { time: Some(Time(1_795_340_180_123_456_789)), ..At::origin(nowhere()) });
        let mut file = Vec::new();
        let mut pcapng = Pcapng::new(&mut file);
        assert!(!pcapng.row("eth0", &row, &mut file), "no addresses");
        row.source = (Some(Ipv4Addr::new(192, 0, 2, 1).into()), None);
        row.destination = (Some(Ipv4Addr::new(198, 51, 100, 2).into()), Some(40_000));
        (row.leap, row.version, row.mode, row.stratum) = (Some(3), Some(4), Some(4), Some(2));
        (row.poll, row.precision, row.refid) = (Some(-1), Some(-23), "203.0.113.5");
        (row.root_delay_s, row.root_dispersion_s) = (Some(0.5), Some(1.25));
        (row.reference, row.originate) = (Some(u64::MAX), Some(1));
        (row.length, row.ttl) = (Some(68), Some(57));
        assert!(pcapng.row("eth0", &row, &mut file));
        assert!(!pcapng.row("eth0", &model::Packet { at: At::origin(nowhere()), ..row }, &mut file), "no time");
        let mut refid = String::new();
        let (got, _) = read(&file);
        assert_eq!((got.len(), got[0].tail.mac), (1, 20));
        let want = model::Packet { source: (row.source.0, Some(NTP_PORT)), ..row };
        assert_eq!(got[0].row(&mut refid), Some(want));
        assert_eq!([".GPS.", "GPS", "0x47505300"].map(refid_bytes), [*b"GPS\0"; 3]);
    }

    #[test]
    fn of_a_long_name_the_end_is_kept() {
        let at = At { time: Some(Time(0)), ..At::origin(nowhere()) };
        let ends = (Some(Ipv4Addr::LOCALHOST.into()), None);
        let row = model::Packet { source: ends, destination: ends, ..model::Packet::new(at) };
        let mut file = Vec::new();
        let long = format!("{}é/eth0", "a".repeat(63));
        assert!(Pcapng::new(&mut file).row(&long[..], &row, &mut file));
        let want = format!("{}é/eth0", "a".repeat(57));
        assert_eq!(read(&file).1.interface_name(0), Some(want.as_str()));
    }

    #[test]
    fn a_row_with_nothing_but_ends_and_time_is_a_header_of_zeros() {
        let ends = (Some("2001:db8::1".parse().expect("an address")), None);
        let at = At { time: Some(Time(0)), ..At::origin(nowhere()) };
        let row = model::Packet { source: ends, destination: ends, ..model::Packet::new(at) };
        let mut file = Vec::new();
        assert!(Pcapng::new(&mut file).row("", &row, &mut file));
        let (got, _) = read(&file);
        assert_eq!((got[0].ntp.bytes(), got[0].length, got[0].ttl), ([0; 48], 48, 0));
        assert!(got[0].ntp.is_whole());
    }
}
