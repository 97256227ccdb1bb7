//! IP, UDP and ICMP around a payload.

use crate::wire::{Icmp, IcmpError};
use std::net::IpAddr;

pub(super) const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
/// The TTL of an ICMP error, which the reader does not keep.
const ERROR_TTL: u8 = 64;

/// A packet, whatever it was told by.
pub(super) struct Content<'a> {
    pub(super) time_ns: i64,
    pub(super) source: (IpAddr, u16),
    pub(super) destination: (IpAddr, u16),
    pub(super) ttl: u8,
    pub(super) dscp: u8,
    pub(super) ip_id: u16,
    /// Length of the UDP payload as the packet gives it.
    pub(super) length: u16,
    /// What of the payload is written.
    pub(super) payload: &'a [u8],
    pub(super) icmp: Option<Icmp>,
}

/// IP and UDP around the payload.
pub(super) fn datagram(content: &Content<'_>) -> Option<Vec<u8>> {
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
pub(super) fn quote(icmp: Icmp, quoted: &[u8]) -> Option<Vec<u8>> {
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
pub(super) struct Sum(pub(super) u64);

impl Sum {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let pairs = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        self.0 += pairs.map(u64::from).sum::<u64>();
    }

    pub(super) fn end(self) -> u16 {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

/// What a checksum covers besides (RFC 768, RFC 8200 §8.1).
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u16) -> Sum {
    let mut sum = Sum(u64::from(protocol) + u64::from(length));
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => sum.add(&address.octets()),
            IpAddr::V6(address) => sum.add(&address.octets()),
        }
    }
    sum
}
