//! The layers of a frame, down to UDP port 123 or an ICMP error that quotes it.
//!
//! Written here and not taken from a crate because the product needs what general ones do not give together:
//! frames cut by a snap length, packets quoted in ICMP errors, tunnels of virtual networks (MPLS, GRE, VXLAN,
//! Geneve), and SLL2. It is one loop over a cursor: a layer names the next.

use super::{IcmpError, NTP_PORT};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Tunnels inside tunnels beyond this depth are an attack or an error.
const DEEPEST: usize = 16;

/// A UDP datagram from or to port 123, as far as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source address and port.
    pub source: (IpAddr, u16),
    /// Destination address and port.
    pub destination: (IpAddr, u16),
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// Payload length that the UDP header gives.
    pub length: u16,
    /// What was captured of the payload.
    pub payload: &'a [u8],
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// NTP.
    Ntp(Datagram<'a>),
    /// An ICMP error about an NTP packet: who sent it to whom, what it says, and what it quotes.
    Icmp(IpAddr, IpAddr, IcmpError, Datagram<'a>),
    /// Something else, well formed as far as it was read.
    Other,
    /// It ends, or contradicts itself, before it could be told whether it is NTP.
    Bad(&'static str),
}

/// The next layer, as the one above names it.
#[derive(Clone, Copy)]
enum Layer {
    Ethernet,
    /// By EtherType.
    Type(u16),
    Ipv4,
    Ipv6,
    /// The IP version's own nibble tells.
    Ip,
}

/// Decodes `frame` of a capture whose link type is `link` (the number in the file; tcpdump.org/linktypes.html).
///
/// Returns the frame and the interface index, where the link layer itself gives one (SLL2), else 0.
#[must_use]
pub fn decode(link: u32, frame: &[u8]) -> (Frame<'_>, u32) {
    let cut = (Frame::Bad("frame cut inside its link header"), 0);
    let (layer, at, interface) = match link {
        1 => (Layer::Ethernet, 0, 0),
        // BSD loopback: the family in the capturing host's byte order, or in network order.
        0 | 108 => match frame.first_chunk::<4>() {
            Some(&[2, 0, 0, 0] | &[0, 0, 0, 2]) => (Layer::Ipv4, 4, 0),
            Some(&[24 | 28 | 30, 0, 0, 0] | &[0, 0, 0, 24 | 28 | 30]) => (Layer::Ipv6, 4, 0),
            Some(_) => return (Frame::Other, 0),
            None => return cut,
        },
        9 => match be16(frame, 2) {
            Some(0x0021) => (Layer::Ipv4, 4, 0),
            Some(0x0057) => (Layer::Ipv6, 4, 0),
            _ => return (Frame::Other, 0),
        },
        12 | 14 | 101 => (Layer::Ip, 0, 0),
        113 => match be16(frame, 14) {
            Some(kind) => (Layer::Type(kind), 16, 0),
            None => return cut,
        },
        228 => (Layer::Ipv4, 0, 0),
        229 => (Layer::Ipv6, 0, 0),
        276 => match (be16(frame, 0), frame.get(4..8)) {
            (Some(kind), Some(&[a, b, c, d])) => (Layer::Type(kind), 20, u32::from_be_bytes([a, b, c, d])),
            _ => return cut,
        },
        _ => return (Frame::Bad("link type is not understood"), 0),
    };
    (layers(layer, frame.get(at..).unwrap_or_default(), DEEPEST), interface)
}

/// Whether [`decode`] understands a link type.
#[must_use]
pub fn knows(link: u32) -> bool {
    matches!(link, 0 | 1 | 9 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276)
}

fn layers(mut layer: Layer, mut bytes: &[u8], deepest: usize) -> Frame<'_> {
    for _ in 0..deepest {
        let next = match layer {
            Layer::Ethernet => be16(bytes, 12).map(|kind| (Layer::Type(kind), 14)),
            // 802.1Q, 802.1ad and its forerunner.
            Layer::Type(0x8100 | 0x88a8 | 0x9100) => be16(bytes, 2).map(|kind| (Layer::Type(kind), 4)),
            Layer::Type(0x8847 | 0x8848) => return mpls(bytes, deepest - 1),
            // PPPoE session: six bytes, then PPP's protocol.
            Layer::Type(0x8864) => match be16(bytes, 6) {
                Some(0x0021) => Some((Layer::Ipv4, 8)),
                Some(0x0057) => Some((Layer::Ipv6, 8)),
                Some(_) => return Frame::Other,
                None => None,
            },
            Layer::Type(0x0800) => Some((Layer::Ipv4, 0)),
            Layer::Type(0x86dd) => Some((Layer::Ipv6, 0)),
            // Transparent Ethernet bridging inside GRE and Geneve.
            Layer::Type(0x6558) => Some((Layer::Ethernet, 0)),
            Layer::Type(_) => return Frame::Other,
            Layer::Ip => match bytes.first().map(|b| b >> 4) {
                Some(4) => Some((Layer::Ipv4, 0)),
                Some(6) => Some((Layer::Ipv6, 0)),
                Some(_) => return Frame::Other,
                None => None,
            },
            Layer::Ipv4 => return ipv4(bytes, deepest - 1),
            Layer::Ipv6 => return ipv6(bytes, deepest - 1),
        };
        let Some((to, skip)) = next else { return Frame::Bad("frame cut inside its link header") };
        layer = to;
        bytes = bytes.get(skip..).unwrap_or_default();
    }
    Frame::Bad("too many layers")
}

/// A stack of MPLS labels, then IP or (virtual networks) Ethernet: the first nibble tells, as routers do.
fn mpls(bytes: &[u8], deepest: usize) -> Frame<'_> {
    let bottom = bytes.chunks_exact(4).position(|label| label[2] & 1 == 1);
    let Some(inner) = bottom.and_then(|n| bytes.get(4 * (n + 1)..)) else {
        return Frame::Bad("MPLS label stack has no end");
    };
    match inner.first().map(|b| b >> 4) {
        Some(4 | 6) => layers(Layer::Ip, inner, deepest),
        Some(0) if inner.get(..4) == Some(&[0; 4]) => layers(Layer::Ethernet, &inner[4..], deepest),
        Some(_) => layers(Layer::Ethernet, inner, deepest),
        None => Frame::Bad("frame cut after its MPLS labels"),
    }
}

/// What the IP layer says about what it carries.
#[derive(Clone, Copy)]
struct Ip<'a> {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    dscp: u8,
    ip_id: u16,
    protocol: u8,
    payload: &'a [u8],
}

fn ipv4(bytes: &[u8], deepest: usize) -> Frame<'_> {
    match read_ipv4(bytes) {
        Ok(ip) => transport(ip, deepest),
        Err(frame) => frame,
    }
}

fn read_ipv4(bytes: &[u8]) -> Result<Ip<'_>, Frame<'static>> {
    let Some(h) = bytes.first_chunk::<20>() else { return Err(Frame::Bad("frame cut inside its IPv4 header")) };
    let header = usize::from(h[0] & 15) * 4;
    if h[0] >> 4 != 4 || header < 20 {
        return Err(Frame::Bad("IPv4 header contradicts itself"));
    }
    // A fragment that is not the first has no ports: it can't be told what it belongs to.
    if u16::from_be_bytes([h[6], h[7]]) & 0x1fff != 0 {
        return Err(Frame::Other);
    }
    // Ethernet pads short frames; 0 is what segmentation offload leaves there.
    let total = match usize::from(u16::from_be_bytes([h[2], h[3]])) {
        0 => bytes.len(),
        n => n.min(bytes.len()),
    };
    Ok(Ip {
        source: IpAddr::V4(Ipv4Addr::new(h[12], h[13], h[14], h[15])),
        destination: IpAddr::V4(Ipv4Addr::new(h[16], h[17], h[18], h[19])),
        ttl: h[8],
        dscp: h[1] >> 2,
        ip_id: u16::from_be_bytes([h[4], h[5]]),
        protocol: h[9],
        payload: bytes.get(header..total).unwrap_or_default(),
    })
}

fn ipv6(bytes: &[u8], deepest: usize) -> Frame<'_> {
    match read_ipv6(bytes) {
        Ok(ip) => transport(ip, deepest),
        Err(frame) => frame,
    }
}

fn read_ipv6(bytes: &[u8]) -> Result<Ip<'_>, Frame<'static>> {
    let Some(h) = bytes.first_chunk::<40>() else { return Err(Frame::Bad("frame cut inside its IPv6 header")) };
    if h[0] >> 4 != 6 {
        return Err(Frame::Bad("IPv6 header contradicts itself"));
    }
    let address = |at: usize| -> IpAddr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&h[at..at + 16]);
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let end = (40 + usize::from(u16::from_be_bytes([h[4], h[5]]))).min(bytes.len());
    let mut payload = bytes.get(40..end).unwrap_or_default();
    let mut protocol = h[6];
    // Extension headers (RFC 8200 §4): each gives the next and its own length.
    loop {
        let length = match protocol {
            0 | 43 | 60 | 135 => payload.get(1).map(|n| (usize::from(*n) + 1) * 8),
            51 => payload.get(1).map(|n| (usize::from(*n) + 2) * 4),
            44 => match be16(payload, 2) {
                Some(offset) if offset & 0xfff8 != 0 => return Err(Frame::Other),
                Some(_) => Some(8),
                None => None,
            },
            _ => break,
        };
        let (Some(length), Some(&next)) = (length, payload.first()) else {
            return Err(Frame::Bad("frame cut inside an IPv6 extension header"));
        };
        protocol = next;
        payload = payload.get(length..).unwrap_or_default();
    }
    Ok(Ip {
        source: address(8),
        destination: address(24),
        ttl: h[7],
        dscp: (h[0] << 2 | h[1] >> 6) & 0x3f,
        ip_id: 0,
        protocol,
        payload,
    })
}

fn transport(ip: Ip<'_>, deepest: usize) -> Frame<'_> {
    if deepest == 0 {
        return Frame::Bad("too many layers");
    }
    match ip.protocol {
        17 => udp(ip, deepest),
        1 => icmp(ip, false),
        58 => icmp(ip, true),
        4 => layers(Layer::Ipv4, ip.payload, deepest),
        41 => layers(Layer::Ipv6, ip.payload, deepest),
        47 => gre(ip.payload, deepest),
        _ => Frame::Other,
    }
}

fn udp(ip: Ip<'_>, deepest: usize) -> Frame<'_> {
    let Some((h, payload)) = ip.payload.split_first_chunk::<8>() else {
        return Frame::Bad("frame cut inside its UDP header");
    };
    let (from, to) = (u16::from_be_bytes([h[0], h[1]]), u16::from_be_bytes([h[2], h[3]]));
    if from != NTP_PORT && to != NTP_PORT {
        return match to {
            // VXLAN (RFC 7348; 8472 is Linux's older port).
            4789 | 8472 => layers(Layer::Ethernet, payload.get(8..).unwrap_or_default(), deepest),
            // Geneve (RFC 8926): options counted in words, then an EtherType.
            6081 => match (payload.first(), be16(payload, 2)) {
                (Some(first), Some(kind)) => {
                    let skip = 8 + usize::from(first & 0x3f) * 4;
                    layers(Layer::Type(kind), payload.get(skip..).unwrap_or_default(), deepest)
                }
                _ => Frame::Other,
            },
            // MPLS in UDP (RFC 7510; 51234 is what Contrail's vRouter used before it).
            6635 | 51234 => mpls(payload, deepest),
            _ => Frame::Other,
        };
    }
    let length = u16::from_be_bytes([h[4], h[5]]).saturating_sub(8);
    Frame::Ntp(Datagram {
        source: (ip.source, from),
        destination: (ip.destination, to),
        ttl: ip.ttl,
        dscp: ip.dscp,
        ip_id: ip.ip_id,
        length,
        payload: &payload[..payload.len().min(usize::from(length))],
    })
}

fn gre(bytes: &[u8], deepest: usize) -> Frame<'_> {
    let (Some(flags), Some(kind)) = (be16(bytes, 0), be16(bytes, 2)) else {
        return Frame::Bad("frame cut inside its GRE header");
    };
    // Checksum, key and sequence number are there when their flag is (RFC 2784, 2890); other versions are not read.
    if flags & 7 != 0 {
        return Frame::Other;
    }
    let skip = 4 + [0x8000, 0x2000, 0x1000].iter().filter(|flag| flags & **flag != 0).count() * 4;
    layers(Layer::Type(kind), bytes.get(skip..).unwrap_or_default(), deepest)
}

fn icmp(ip: Ip<'_>, v6: bool) -> Frame<'_> {
    let Some((h, quoted)) = ip.payload.split_first_chunk::<8>() else { return Frame::Other };
    let error = match (v6, h[0]) {
        (false, 3 | 11 | 12) | (true, 1..=4) => IcmpError::of(v6, h[0], h[1]),
        _ => return Frame::Other,
    };
    let inner = if v6 { read_ipv6(quoted) } else { read_ipv4(quoted) };
    match inner {
        // Routers quote at least eight bytes of UDP (RFC 792): the ports are there, the payload may not be.
        Ok(inner) if inner.protocol == 17 => match udp(inner, 1) {
            Frame::Ntp(datagram) => Frame::Icmp(ip.source, ip.destination, error, datagram),
            _ => Frame::Other,
        },
        _ => Frame::Other,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// IPv4 and UDP around `payload`.
    fn packet(payload: &[u8]) -> Vec<u8> {
        let total = (28 + payload.len()) as u16;
        let mut bytes = vec![0x45, 0xb8, 0, 0, 0, 9, 0, 0, 63, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        bytes.extend([0, 108, 0, 123]);
        bytes.extend((total - 20).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        bytes
    }

    fn behind(header: &[u8], inner: &[u8]) -> Vec<u8> {
        [header, inner].concat()
    }

    /// The datagram of [`packet`], wherever it is found.
    fn assert_found(link: u32, frame: &[u8]) {
        match decode(link, frame).0 {
            Frame::Ntp(d) => {
                assert_eq!((d.source.1, d.destination.1, d.ttl, d.dscp, d.ip_id), (108, 123, 63, 46, 9));
                assert_eq!((d.length, d.payload), (48, &[0x23; 48][..]));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_encapsulation_leads_to_the_same_datagram() {
        let ip = packet(&[0x23; 48]);
        let ethernet = behind(&[[0; 12].as_slice(), &[8, 0]].concat(), &ip);
        assert_found(101, &ip);
        assert_found(228, &ip);
        assert_found(0, &behind(&[2, 0, 0, 0], &ip));
        assert_found(108, &behind(&[0, 0, 0, 2], &ip));
        assert_found(1, &ethernet);
        // Padding after a short packet is no payload.
        assert_found(1, &[ethernet.as_slice(), &[0; 6]].concat());
        let qinq = [[0; 12].as_slice(), &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0]].concat();
        assert_found(1, &behind(&qinq, &ip));
        assert_found(113, &behind(&[[0; 14].as_slice(), &[8, 0]].concat(), &ip));
        let sll2 = [[8, 0, 0, 0, 0, 0, 0, 5].as_slice(), &[0; 12]].concat();
        assert_found(276, &behind(&sll2, &ip));
        assert_eq!(decode(276, &behind(&sll2, &ip)).1, 5);
        let mut outer = packet(&[]);
        (outer[9], outer[3]) = (47, 0);
        outer.truncate(20);
        let gre_mpls = [outer.as_slice(), &[0x20, 0, 0x88, 0x47, 0, 0, 0, 1, 0, 1, 1, 64]].concat();
        assert_found(101, &behind(&gre_mpls, &ip));
        let mut vxlan = packet(&behind(&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet));
        vxlan[22..24].copy_from_slice(&4789u16.to_be_bytes());
        assert_found(101, &vxlan);
    }

    #[test]
    fn ipv6_extension_headers_are_stepped_over() {
        let mut frame = vec![0x6b, 0x80, 0, 0, 0, 72, 0, 64];
        frame.extend([0; 31]);
        frame.push(1);
        frame.extend([60, 0, 0, 0, 0, 0, 0, 0]); // hop-by-hop, then destination options
        frame.extend([17, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend([0, 123, 0, 123, 0, 56, 0, 0]);
        frame.extend([0x1b; 48]);
        match decode(229, &frame).0 {
            Frame::Ntp(d) => assert_eq!((d.ttl, d.dscp, d.payload.len()), (64, 46, 48)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_icmp_error_yields_the_packet_that_it_quotes() {
        let mut error = packet(&[]);
        error.truncate(20);
        (error[9], error[3]) = (1, 0);
        error.extend([3, 3, 0, 0, 0, 0, 0, 0]);
        match decode(101, &behind(&error, &packet(&[0x23; 48]))).0 {
            Frame::Icmp(_, _, IcmpError::PortUnreachable, d) => assert_eq!(d.source.1, 108),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(link in 0u32..300, frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(link, &frame);
        }

        #[test]
        fn a_cut_frame_is_bad_or_shorter(cut in 0usize..76) {
            let ip = packet(&[0x23; 48]);
            match decode(101, &ip[..cut]).0 {
                Frame::Bad(_) => prop_assert!(cut < 28),
                Frame::Ntp(d) => prop_assert_eq!((d.payload.len(), d.length), (cut - 28, 48)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
