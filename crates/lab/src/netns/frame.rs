//! Ethernet frames as the wire sees them, and what a NAT on the wire changes in them.

use crate::sim::ip::checksum;
use ntpscope_core::wire::link::{Frame, decode};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Ethernet, as captures number it.
const ETHERNET: u32 = 1;
/// Where the IP header begins, and its addresses and header checksum from there.
const IP: usize = 14;
const ADDRESSES: [usize; 2] = [12, 16];
const CHECK: usize = 10;
/// What an ICMP error has before the packet that it quotes.
const QUOTES: usize = 8;

/// What a frame is to the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Sort {
    /// NTP: from whom, to whom, its mode, and its transmit timestamp.
    Ntp {
        /// Address and port.
        source: SocketAddr,
        /// Address and port.
        destination: SocketAddr,
        /// Mode; 6 and 7 too.
        mode: u8,
        /// Transmit timestamp, as far as it has one.
        transmit: u64,
    },
    /// An ICMP error about NTP.
    Error {
        /// To whom.
        destination: IpAddr,
        /// Source of the packet that it quotes.
        about_source: SocketAddr,
        /// Destination of the packet that it quotes.
        about_destination: SocketAddr,
    },
    /// Neighbours being found, and whatever else.
    Other,
}

/// Says what a frame is.
#[must_use]
pub fn sort(frame: &[u8]) -> Sort {
    let at = |(address, port)| SocketAddr::new(address, port);
    match decode(ETHERNET, frame).0 {
        Frame::Ntp(datagram) => {
            let transmit = datagram.payload.get(40..48).and_then(|bytes| bytes.try_into().ok());
            Sort::Ntp {
                source: at(datagram.source),
                destination: at(datagram.destination),
                mode: datagram.payload.first().map_or(0, |first| first & 7),
                transmit: transmit.map_or(0, u64::from_be_bytes),
            }
        }
        Frame::Icmp(_, to, _, about) => {
            Sort::Error { destination: to, about_source: at(about.source), about_destination: at(about.destination) }
        }
        Frame::Other | Frame::Bad(_) => Sort::Other,
    }
}

impl Sort {
    /// To whom it goes.
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        match self {
            Sort::Ntp { destination, .. } => Some(destination.ip()),
            Sort::Error { destination, .. } => Some(*destination),
            Sort::Other => None,
        }
    }

    /// A word for the wire's log.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Sort::Ntp { source, destination, mode, transmit } => {
                format!("{source}>{destination} mode {mode} {transmit:016x}")
            }
            Sort::Error { destination, about_source, about_destination } => {
                format!("icmp>{destination} about {about_source}>{about_destination}")
            }
            Sort::Other => "other".into(),
        }
    }
}

/// Hardware address of the receiver.
#[must_use]
pub fn receiver(frame: &[u8]) -> Option<[u8; 6]> {
    frame.first_chunk().copied()
}

/// Which side of a packet is rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender.
    Source,
    /// The receiver.
    Destination,
}

/// Gives a UDP packet over IPv4 another source or destination; one that is none stays as it is.
pub fn rewrite(frame: &mut [u8], side: Side, to: SocketAddr) {
    if let (IpAddr::V4(address), Some(packet)) = (to.ip(), frame.get_mut(IP..)) {
        rewrite_packet(packet, side, address, to.port());
    }
}

/// Gives an ICMP error that quotes a UDP packet another receiver, who is the sender of what it quotes.
pub fn rewrite_error(frame: &mut [u8], to: SocketAddr) {
    let (IpAddr::V4(address), Some(packet)) = (to.ip(), frame.get_mut(IP..)) else { return };
    let Some(header) = header_length(packet) else { return };
    set_address(packet, Side::Destination, address);
    let Some(icmp) = packet.get_mut(header..) else { return };
    if let Some(quoted) = icmp.get_mut(QUOTES..) {
        rewrite_packet(quoted, Side::Source, address, to.port());
    }
    put(icmp, 2, 0);
    let sum = checksum(icmp, 0);
    put(icmp, 2, sum);
}

fn rewrite_packet(packet: &mut [u8], side: Side, address: Ipv4Addr, port: u16) {
    let Some(header) = header_length(packet) else { return };
    set_address(packet, side, address);
    put(packet, header + if side == Side::Source { 0 } else { 2 }, port);
    let length = packet.get(header + 4..header + 6).map_or(0, |two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    put(packet, header + 6, 0);
    // A quoted packet that is cut keeps no checksum: it could not be told.
    let Some(udp) = packet.get(header..header + length) else { return };
    let mut pseudo = u32::from(packet[9]) + length as u32;
    for pair in packet[ADDRESSES[0]..ADDRESSES[0] + 8].chunks(2) {
        pseudo += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    let sum = match checksum(udp, pseudo) {
        0 => 0xffff,
        sum => sum,
    };
    put(packet, header + 6, sum);
}

/// Length of an IPv4 header.
fn header_length(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let length = usize::from(first & 15) * 4;
    (first >> 4 == 4 && length >= 20 && packet.len() >= length + 8).then_some(length)
}

fn set_address(packet: &mut [u8], side: Side, address: Ipv4Addr) {
    let at = ADDRESSES[usize::from(side == Side::Destination)];
    packet[at..at + 4].copy_from_slice(&address.octets());
    let header = usize::from(packet[0] & 15) * 4;
    put(packet, CHECK, 0);
    let sum = checksum(&packet[..header], 0);
    put(packet, CHECK, sum);
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(two) = bytes.get_mut(at..at + 2) {
        two.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::daemon::Datagram;
    use crate::sim::ip::{Packet, Unreachable};

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address and port")
    }

    fn packet(source: &str, destination: &str) -> Packet {
        let mut payload = vec![0x23; 48];
        payload[40..48].copy_from_slice(&7_u64.to_be_bytes());
        let (source, destination) = (at(source), at(destination));
        Packet::of(Datagram { source, destination, ttl: 63, dscp: 46, payload }, 9)
    }

    #[test]
    fn a_rewritten_frame_is_the_one_that_would_have_been_made() {
        let (us, them) = ([2; 6], [4; 6]);
        let mut frame = packet("10.1.0.13:123", "10.2.0.2:123").frame(us, them);
        rewrite(&mut frame, Side::Source, at("10.2.0.1:108"));
        assert_eq!(frame, packet("10.2.0.1:108", "10.2.0.2:123").frame(us, them));
        let mut frame = packet("10.2.0.2:123", "10.2.0.1:108").frame(us, them);
        rewrite(&mut frame, Side::Destination, at("10.1.0.13:123"));
        assert_eq!(frame, packet("10.2.0.2:123", "10.1.0.13:123").frame(us, them));
    }

    #[test]
    fn an_error_is_translated_with_what_it_quotes() {
        let (us, them) = ([2; 6], [4; 6]);
        let error = |source: &str| {
            let about = packet(source, "10.2.0.2:123");
            about.error(at("10.2.0.2:0").ip(), Unreachable::Port).expect("an error")
        };
        let mut frame = error("10.2.0.1:108").frame(us, them);
        let Sort::Error { destination, about_source, .. } = sort(&frame) else { panic!("{:?}", sort(&frame)) };
        assert_eq!((destination, about_source), (at("10.2.0.1:0").ip(), at("10.2.0.1:108")));
        rewrite_error(&mut frame, at("10.1.0.13:123"));
        assert_eq!(frame, error("10.1.0.13:123").frame(us, them));
    }

    #[test]
    fn frames_are_told_apart() {
        let frame = packet("10.1.0.13:123", "10.2.0.2:123").frame([2; 6], [4; 6]);
        assert_eq!(sort(&frame).told(), "10.1.0.13:123>10.2.0.2:123 mode 3 0000000000000007");
        assert_eq!((sort(&frame).destination(), receiver(&frame)), (Some(at("10.2.0.2:0").ip()), Some([4; 6])));
        assert_eq!(sort(&[0xff; 60]), Sort::Other);
        for cut in 0..frame.len() {
            let mut frame = frame[..cut].to_vec();
            rewrite(&mut frame, Side::Source, at("10.2.0.1:108"));
            rewrite_error(&mut frame, at("10.2.0.1:108"));
        }
    }
}
