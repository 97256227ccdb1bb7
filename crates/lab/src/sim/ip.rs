//! What is on a wire: IP packets with UDP, or with an ICMP error about one; and their bytes in an Ethernet frame.

use super::daemon::Datagram;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An IP packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Who sends it; port 0 in an ICMP error.
    pub source: SocketAddr,
    /// To whom; port 0 in an ICMP error.
    pub destination: SocketAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Identification of IPv4.
    pub id: u16,
    /// What it carries.
    pub body: Body,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A UDP payload.
    Udp(Vec<u8>),
    /// An ICMP error.
    Error {
        /// Why.
        why: Unreachable,
        /// The packet that could not be delivered, as its sender of the error saw it.
        about: Box<Packet>,
    },
}

/// Why a packet was not delivered: the errors that the lab sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nothing listens there.
    Port,
    /// The host does not answer for its address.
    Host,
    /// A filter forbids it.
    Prohibited,
}

impl Unreachable {
    /// Type and code of ICMP (RFC 792, RFC 1812) or of ICMPv6 (RFC 4443).
    fn number(self, v6: bool) -> [u8; 2] {
        match (self, v6) {
            (Unreachable::Port, false) => [3, 3],
            (Unreachable::Host, false) => [3, 1],
            (Unreachable::Prohibited, false) => [3, 13],
            (Unreachable::Port, true) => [1, 4],
            (Unreachable::Host, true) => [1, 3],
            (Unreachable::Prohibited, true) => [1, 1],
        }
    }
}

/// DSCP of ICMP errors and of what ntpd sends: class selector 6, as Linux and ntpd have it.
pub const CLASS_6: u8 = 48;

/// TTL with which Linux hosts send.
pub const TTL: u8 = 64;

const UDP: u8 = 17;

impl Packet {
    /// A packet around a daemon's datagram.
    #[must_use]
    pub fn of(datagram: Datagram, id: u16) -> Packet {
        let Datagram { source, destination, ttl, dscp, payload } = datagram;
        Packet { source, destination, ttl, dscp, id, body: Body::Udp(payload) }
    }

    /// The datagram in it, if it is one.
    #[must_use]
    pub fn datagram(&self) -> Option<Datagram> {
        let Packet { source, destination, ttl, dscp, .. } = *self;
        match &self.body {
            Body::Udp(payload) => Some(Datagram { source, destination, ttl, dscp, payload: payload.clone() }),
            Body::Error { .. } => None,
        }
    }

    /// An ICMP error about this packet; none about an error or a multicast (RFC 1122 §3.2.2).
    #[must_use]
    pub fn error(&self, from: IpAddr, why: Unreachable) -> Option<Packet> {
        let silent = matches!(self.body, Body::Error { .. }) || is_group(self.destination.ip());
        (!silent).then(|| Packet {
            source: SocketAddr::new(from, 0),
            destination: SocketAddr::new(self.source.ip(), 0),
            ttl: TTL,
            dscp: CLASS_6,
            id: self.id.wrapping_add(21),
            body: Body::Error { why, about: Box::new(self.clone()) },
        })
    }

    /// Mode of the NTP packet in it.
    #[must_use]
    pub fn mode(&self) -> Option<u8> {
        match &self.body {
            Body::Udp(payload) => payload.first().map(|first| first & 7),
            Body::Error { .. } => None,
        }
    }

    /// Length of its UDP payload; 0 for an error.
    #[must_use]
    pub fn length(&self) -> usize {
        match &self.body {
            Body::Udp(payload) => payload.len(),
            Body::Error { .. } => 0,
        }
    }

    /// The packet's bytes from the IP header on.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (source, destination) = (self.source.ip(), self.destination.ip());
        let (protocol, mut inner) = match &self.body {
            Body::Udp(payload) => {
                let length = (8 + payload.len()) as u16;
                let mut udp = Vec::with_capacity(8 + payload.len());
                for field in [self.source.port(), self.destination.port(), length, 0] {
                    udp.extend(field.to_be_bytes());
                }
                udp.extend(payload);
                (UDP, udp)
            }
            Body::Error { why, about } => {
                let v6 = source.is_ipv6();
                let mut error = why.number(v6).to_vec();
                error.extend([0; 6]);
                error.extend(about.bytes());
                (if v6 { 58 } else { 1 }, error)
            }
        };
        // ICMP of IPv4 is summed without the addresses (RFC 792).
        let pseudo = if protocol == 1 { 0 } else { pseudo_header(source, destination, protocol, inner.len()) };
        let sum = match checksum(&inner, pseudo) {
            // No checksum at all is written as zero (RFC 768).
            0 if protocol == UDP => 0xffff,
            sum => sum,
        };
        let at = if protocol == UDP { 6 } else { 2 };
        inner[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        let mut bytes = self.header(protocol, inner.len() as u16);
        bytes.append(&mut inner);
        bytes
    }

    fn header(&self, protocol: u8, length: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes.extend([0x60 | self.dscp >> 2, self.dscp << 6, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend([protocol, self.ttl]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
            (source, destination) => {
                bytes.extend([0x45, self.dscp << 2]);
                bytes.extend((length + 20).to_be_bytes());
                bytes.extend(self.id.to_be_bytes());
                // Linux sets "don't fragment" on datagrams and not on errors.
                let flags = if protocol == UDP { 0x40 } else { 0 };
                bytes.extend([flags, 0, self.ttl, protocol, 0, 0]);
                bytes.extend(octets(source));
                bytes.extend(octets(destination));
                let check = checksum(&bytes, 0);
                bytes[10..12].copy_from_slice(&check.to_be_bytes());
            }
        }
        bytes
    }

    /// The packet in an Ethernet frame.
    #[must_use]
    pub fn frame(&self, from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(96);
        frame.extend(group_mac(self.destination.ip()).unwrap_or(to));
        frame.extend(from);
        frame.extend(if self.source.is_ipv6() { [0x86, 0xdd] } else { [8, 0] });
        frame.extend(self.bytes());
        frame
    }
}

/// Whether packets to this address go to all who listen on the link.
#[must_use]
pub fn is_group(address: IpAddr) -> bool {
    match address {
        // Directed broadcasts end in 255 in the networks of worlds.
        IpAddr::V4(v4) => v4.is_multicast() || v4.octets()[3] == 255,
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// RFC 1112 §6.4, RFC 2464 §7.
fn group_mac(address: IpAddr) -> Option<[u8; 6]> {
    match address {
        IpAddr::V4(v4) if v4.is_multicast() => {
            let [_, b, c, d] = v4.octets();
            Some([1, 0, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V4(v4) if v4.octets()[3] == 255 => Some([0xff; 6]),
        IpAddr::V6(v6) if v6.is_multicast() => {
            let octets = v6.octets();
            Some([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]])
        }
        _ => None,
    }
}

fn octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(v4) => v4.octets(),
        // A packet is of one family; the lab never makes another.
        IpAddr::V6(v6) => v6.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
    }
}

fn sum(bytes: &[u8]) -> u32 {
    let pairs = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    pairs.map(u32::from).sum()
}

/// The ones' complement of a sum of 16-bit words (RFC 1071), on top of what a pseudo header sums to.
#[must_use]
pub fn checksum(bytes: &[u8], pseudo: u32) -> u16 {
    let mut sum = pseudo + sum(bytes);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u32 {
    let address = |address: IpAddr| match address {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    };
    address(source) + address(destination) + u32::from(protocol) + length as u32
}
