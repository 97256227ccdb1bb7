//! Binary evidence: capture files, the layers of a frame, the NTP header.
//!
//! Data runs [`capture`] (records of a file) → [`link`] (layers of a frame, tunnels included) → [`ntp`] (the
//! payload). Each is a view over bytes that judges nothing: an odd packet is shown, never dropped.

pub mod capture;
pub mod link;
pub mod ntp;
mod pcap;
mod pcapng;
mod row;

pub use capture::{CaptureReader, Item, Step};

use crate::model::{Origin, Place};
use crate::time::Time;
use std::net::IpAddr;

/// One NTP packet as seen at one capture point, or the packet that an ICMP error quotes.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Capture and frame.
    pub origin: Origin,
    /// The interface inside the capture (pcapng's number, or the index that SLL2 gives); 0 where there is only one.
    pub interface: u32,
    /// When the capturing host saw it, on that host's clock.
    pub time: Time,
    /// Source address and port, as on the wire at this point.
    pub source: (IpAddr, u16),
    /// Destination address and port, as on the wire at this point.
    pub destination: (IpAddr, u16),
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// UDP payload length in bytes as the UDP header gives it, also where the capture cut it.
    pub length: u16,
    /// The NTP header.
    pub ntp: ntp::Header,
    /// What follows the header.
    pub tail: ntp::Tail,
    /// For a packet that an ICMP error quotes: the error.
    pub icmp: Option<Icmp>,
}

/// An ICMP or ICMPv6 error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Icmp {
    /// Who sent it.
    pub from: IpAddr,
    /// Who it was sent to.
    pub to: IpAddr,
    /// What it says, whichever version of IP says it.
    pub error: IcmpError,
}

/// The ICMP errors that tell something about a lost request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IcmpError {
    /// Nothing listens on the port (3/3; v6 1/4).
    PortUnreachable,
    /// The host can't be reached (3/1; v6 1/3).
    HostUnreachable,
    /// No route (3/0; v6 1/0).
    NetworkUnreachable,
    /// A filter said no (3/9, 3/10, 3/13; v6 1/1).
    Prohibited,
    /// The packet is too big (3/4; v6 2).
    TooBig,
    /// The TTL ran out (11; v6 3).
    TimeExceeded,
    /// Any other: type and code.
    Other(u8, u8),
}

impl IcmpError {
    /// By type and code of ICMP (RFC 792, 1812) or ICMPv6 (RFC 4443).
    #[must_use]
    pub fn of(v6: bool, kind: u8, code: u8) -> IcmpError {
        match (v6, kind, code) {
            (false, 3, 3) | (true, 1, 4) => IcmpError::PortUnreachable,
            (false, 3, 1) | (true, 1, 3) => IcmpError::HostUnreachable,
            (false, 3, 0) | (true, 1, 0) => IcmpError::NetworkUnreachable,
            (false, 3, 9 | 10 | 13) | (true, 1, 1) => IcmpError::Prohibited,
            (false, 3, 4) | (true, 2, _) => IcmpError::TooBig,
            (false, 11, _) | (true, 3, _) => IcmpError::TimeExceeded,
            _ => IcmpError::Other(kind, code),
        }
    }

    /// What a report calls it.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            IcmpError::PortUnreachable => "ICMP port unreachable".into(),
            IcmpError::HostUnreachable => "ICMP host unreachable".into(),
            IcmpError::NetworkUnreachable => "ICMP network unreachable".into(),
            IcmpError::Prohibited => "ICMP administratively prohibited".into(),
            IcmpError::TooBig => "ICMP packet too big".into(),
            IcmpError::TimeExceeded => "ICMP time exceeded".into(),
            IcmpError::Other(kind, code) => format!("ICMP type {kind} code {code}"),
        }
    }
}

/// The UDP port of NTP.
pub const NTP_PORT: u16 = 123;

impl Packet {
    /// The frame's number in its capture.
    #[must_use]
    pub fn frame(&self) -> u32 {
        match self.origin.place {
            Place::Frame(n) | Place::Line(n) => n,
        }
    }

    /// Which part this packet plays.
    ///
    /// NTPv1 clients have no mode field (RFC 1059): version 1, mode 0 towards port 123 is a request.
    #[must_use]
    pub fn role(&self) -> Role {
        match (self.ntp.mode(), self.ntp.version()) {
            (3, _) => Role::Request,
            (4, _) => Role::Reply,
            (1 | 2, _) => Role::Symmetric,
            (5, _) => Role::Broadcast,
            (6 | 7, _) => Role::Control,
            (0, 1) if self.source.1 == NTP_PORT && self.destination.1 != NTP_PORT => Role::Reply,
            (0, 1) => Role::Request,
            _ => Role::Reserved,
        }
    }
}

/// The part that a packet plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A client asks (mode 3, or NTPv1's 0).
    Request,
    /// A server answers (mode 4).
    Reply,
    /// Symmetric peers (modes 1 and 2): each packet may both ask and answer.
    Symmetric,
    /// Broadcast or multicast (mode 5): nobody asked.
    Broadcast,
    /// `ntpq` or `ntpdc` (modes 6 and 7).
    Control,
    /// Mode 0 of another version.
    Reserved,
}
