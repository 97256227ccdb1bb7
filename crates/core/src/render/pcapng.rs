//! Packets written out as pcapng (IETF draft-ietf-opsawg-pcapng), for those who want to see them in their own tools.
//!
//! Each packet is raw IP (`LINKTYPE_RAW`) around UDP around NTP, with checksums as they should be. What is known is
//! written exactly; what is not is zero, or is left out as if the capture had been cut there.

use crate::model;
use crate::wire::ntp::{HEADER, Tail};
use crate::wire::{Icmp, IcmpError, NTP_PORT, Packet};
use std::net::{IpAddr, Ipv4Addr};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const LINKTYPE_RAW: u16 = 101;

const OPTION_NAME: u16 = 2;
const OPTION_RESOLUTION: u16 = 9;
/// `if_tsresol`: stamps count 10⁻⁹ s.
const NANOSECONDS: u8 = 9;
/// Longest name of an interface, in bytes; readers keep no more.
const LONGEST_NAME: usize = 64;

const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
/// The TTL of an ICMP error, which the reader does not keep.
const ERROR_TTL: u8 = 64;

/// A capture that is being written.
#[derive(Debug)]
pub struct Pcapng {
    /// Names of interfaces, in the order of their numbers.
    interfaces: Vec<String>,
}

/// A packet, whatever it was told by.
struct Content<'a> {
    time_ns: i64,
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    ttl: u8,
    dscp: u8,
    ip_id: u16,
    /// Length of the UDP payload as the packet gives it.
    length: u16,
    /// What of the payload is written.
    payload: &'a [u8],
    icmp: Option<Icmp>,
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
            let name = interface.as_bytes();
            option(OPTION_NAME, &name[..name.len().min(LONGEST_NAME)], &mut body);
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

/// IP and UDP around the payload.
fn datagram(content: &Content<'_>) -> Option<Vec<u8>> {
    let length = content.length.saturating_add(8);
    let mut udp = Vec::with_capacity(8 + content.payload.len());
    udp.extend(content.source.1.to_be_bytes());
    udp.extend(content.destination.1.to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(content.payload);
    let mut sum = pseudo_header(content.source.0, content.destination.0, UDP, length);
    // What is missing counts as zero.
    sum.add(&udp);
    // No checksum at all is written as zero, so zero is written as its other form (RFC 768).
    udp[6..8].copy_from_slice(&match sum.end() {
        0 => [0xff, 0xff],
        sum => sum.to_be_bytes(),
    });
    let ip = Ip { ttl: content.ttl, dscp: content.dscp, id: content.ip_id, protocol: UDP, length };
    ip.around(content.source.0, content.destination.0, &udp)
}

/// An ICMP error that quotes a packet (RFC 792, RFC 4443).
fn quote(icmp: Icmp, quoted: &[u8]) -> Option<Vec<u8>> {
    let v6 = icmp.from.is_ipv6();
    let (kind, code) = number_of(icmp.error, v6);
    let mut bytes = vec![kind, code, 0, 0, 0, 0, 0, 0];
    bytes.extend(quoted);
    let length = u16::try_from(bytes.len()).ok()?;
    let protocol = if v6 { ICMP_V6 } else { ICMP };
    let mut sum = if v6 { pseudo_header(icmp.from, icmp.to, protocol, length) } else { Sum(0) };
    sum.add(&bytes);
    bytes[2..4].copy_from_slice(&sum.end().to_be_bytes());
    Ip { ttl: ERROR_TTL, dscp: 0, id: 0, protocol, length }.around(icmp.from, icmp.to, &bytes)
}

/// Type and code; where several mean the same, the usual one. The inverse of [`IcmpError::of`].
fn number_of(error: IcmpError, v6: bool) -> (u8, u8) {
    match (error, v6) {
        (IcmpError::PortUnreachable, false) => (3, 3),
        (IcmpError::PortUnreachable, true) => (1, 4),
        (IcmpError::HostUnreachable, false) => (3, 1),
        (IcmpError::HostUnreachable, true) => (1, 3),
        (IcmpError::NetworkUnreachable, false) => (3, 0),
        (IcmpError::NetworkUnreachable, true) => (1, 0),
        (IcmpError::Prohibited, false) => (3, 13),
        (IcmpError::Prohibited, true) => (1, 1),
        (IcmpError::TooBig, false) => (3, 4),
        (IcmpError::TooBig, true) => (2, 0),
        (IcmpError::TimeExceeded, false) => (11, 0),
        (IcmpError::TimeExceeded, true) => (3, 0),
        (IcmpError::Other(kind, code), _) => (kind, code),
    }
}

/// What an IP header says.
struct Ip {
    ttl: u8,
    dscp: u8,
    id: u16,
    protocol: u8,
    /// Length of what it carries, also of what is not written.
    length: u16,
}

impl Ip {
    /// The packet; `None` where the addresses are of two families.
    fn around(&self, source: IpAddr, destination: IpAddr, inner: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(40 + inner.len());
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes.extend([0x45, self.dscp << 2]);
                bytes.extend(self.length.saturating_add(20).to_be_bytes());
                bytes.extend(self.id.to_be_bytes());
                bytes.extend([0, 0, self.ttl, self.protocol, 0, 0]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                let mut sum = Sum(0);
                sum.add(&bytes);
                bytes[10..12].copy_from_slice(&sum.end().to_be_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes.extend([0x60 | self.dscp >> 2, self.dscp << 6, 0, 0]);
                bytes.extend(self.length.to_be_bytes());
                bytes.extend([self.protocol, self.ttl]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
            _ => return None,
        }
        bytes.extend(inner);
        Some(bytes)
    }
}

/// The Internet's checksum (RFC 1071).
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let pairs = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        self.0 += pairs.map(u64::from).sum::<u64>();
    }

    fn end(self) -> u16 {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

/// What a checksum covers besides (RFC 768, RFC 8200 §8.1).
fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u16) -> Sum {
    let mut sum = Sum(u64::from(protocol) + u64::from(length));
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => sum.add(&address.octets()),
            IpAddr::V6(address) => sum.add(&address.octets()),
        }
    }
    sum
}

/// The NTP header that a row tells of.
fn header_of(row: &model::Packet<'_>) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let bits = |value: Option<u8>, mask: u8| value.unwrap_or(0) & mask;
    bytes[0] = bits(row.leap, 3) << 6 | bits(row.version, 7) << 3 | bits(row.mode, 7);
    bytes[1] = row.stratum.unwrap_or(0);
    bytes[2] = row.poll.unwrap_or(0) as u8;
    bytes[3] = row.precision.unwrap_or(0) as u8;
    // Seconds in units of 2⁻¹⁶ (RFC 5905 §6); a float that is too large becomes the largest.
    let short = |seconds: Option<f64>| ((seconds.unwrap_or(0.0) * 65_536.0).round() as u32).to_be_bytes();
    bytes[4..8].copy_from_slice(&short(row.root_delay_s));
    bytes[8..12].copy_from_slice(&short(row.root_dispersion_s));
    bytes[12..16].copy_from_slice(&refid_bytes(row.refid));
    for (at, stamp) in [(16, row.reference), (24, row.originate), (32, row.receive), (40, row.transmit)] {
        bytes[at..at + 8].copy_from_slice(&stamp.unwrap_or(0).to_be_bytes());
    }
    bytes
}

/// `192.0.2.1`, `0xc0000201`, `.GPS.` or `GPS`; anything else is not known.
fn refid_bytes(text: &str) -> [u8; 4] {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return address.octets();
    }
    if let Some(bits) = text.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
        return bits.to_be_bytes();
    }
    let letters = text.strip_prefix('.').and_then(|text| text.strip_suffix('.')).unwrap_or(text);
    let mut bytes = [0; 4];
    if letters.len() <= 4 && letters.bytes().all(|byte| byte.is_ascii_graphic()) {
        bytes[..letters.len()].copy_from_slice(letters.as_bytes());
    }
    bytes
}

/// Lengths that are read as a MAC when they are left (RFC 7822 §3): no field may leave one.
const MACS: [usize; 3] = [4, 20, 24];

/// Writes `length` bytes, or as many as are known, that [`Tail::read`] reads as `tail`.
///
/// Fields are as short as can be, so that they leave no less than the original ones did, and the last takes what is left
/// before the MAC.
fn write_tail(tail: Tail, length: usize, payload: &mut Vec<u8>) {
    // The type of an NTS cookie (RFC 8915 §5.4); 0 is none.
    const NTS_COOKIE: u16 = 0x0204;
    const SHORTEST: usize = 4;
    let mut left = length;
    let mac = usize::from(tail.mac);
    for field in 1..=tail.extensions {
        let whole = field == tail.extensions && (1..usize::from(u8::MAX)).contains(&mac) && left >= mac + SHORTEST;
        let size = if whole {
            left - mac
        } else if MACS.contains(&left.saturating_sub(SHORTEST)) {
            SHORTEST + 1
        } else {
            SHORTEST
        };
        let kind = if tail.nts && field == 1 { NTS_COOKIE } else { 0 };
        payload.extend(kind.to_be_bytes());
        payload.extend((size as u16).to_be_bytes());
        payload.resize(payload.len() + size - SHORTEST, 0);
        left = left.saturating_sub(size);
    }
    // A MAC of zeros can't be a field, which has a length. Without one, what follows was not seen.
    if mac > 0 {
        payload.resize(payload.len() + left, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, InputId, Origin, Place};
    use crate::time::Time;
    use crate::wire::ntp::Header;
    use crate::wire::{CaptureReader, Item, Step};
    use proptest::prelude::*;

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
