//! Requests and what became of them: the rows that the rules about the path fold.
//!
//! [`survey`] looks over each capture once (its span, and a sample of its requests), [`align`] turns the surveys of
//! several captures into one time scale, and the [`Matcher`] joins the packets of all points into [`Exchange`]s.

pub mod align;
mod matcher;
mod pace;
pub mod survey;

pub use align::Alignment;
pub use matcher::{HORIZON, Matcher, Tally};
pub use pace::Pace;

use crate::model::Origin;
use crate::time::Time;
use crate::wire::{IcmpError, Packet, Role, ntp};
use smallvec::SmallVec;
use std::net::IpAddr;

/// A capture point: one interface of one capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointId(pub u8);

/// Points that can be joined at once. The upper half of a [`Points`] holds each point's *after* twin.
pub const MOST_POINTS: usize = 64;

impl PointId {
    /// The same interface after forwarding: `tcpdump -i any` on a router shows a packet before and after.
    #[must_use]
    pub fn after(self) -> PointId {
        PointId(self.0 | MOST_POINTS as u8)
    }
}

/// A set of capture points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Points(pub u128);

impl Points {
    /// Adds a point.
    pub fn insert(&mut self, point: PointId) {
        self.0 |= 1 << (point.0 & 127);
    }

    /// Whether a point is in the set.
    #[must_use]
    pub fn contains(self, point: PointId) -> bool {
        self.0 >> (point.0 & 127) & 1 == 1
    }

    /// The points, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = PointId> {
        (0..128).map(PointId).filter(move |point| self.contains(*point))
    }
}

impl FromIterator<PointId> for Points {
    fn from_iter<I: IntoIterator<Item = PointId>>(points: I) -> Self {
        let mut set = Points::default();
        points.into_iter().for_each(|point| set.insert(point));
        set
    }
}

/// A packet seen at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Where.
    pub point: PointId,
    /// Capture and frame.
    pub origin: Origin,
    /// When, on the common time scale.
    pub time: Time,
    /// When, on the point's own clock: the difference of two of these at one point owes nothing to any other.
    pub own: Time,
    /// Source address and port at this point.
    pub source: (IpAddr, u16),
    /// Destination address and port at this point.
    pub destination: (IpAddr, u16),
    /// TTL or hop limit at this point.
    pub ttl: u8,
    /// Differentiated services code point at this point.
    pub dscp: u8,
    /// IPv4 identification at this point.
    pub ip_id: u16,
    /// The packet's own transmit timestamp: a server that answers twice gives each answer another.
    pub transmit: u64,
    /// For a request: what its source address has asked of this server before, as seen at this point.
    pub pace: Pace,
}

/// A broadcast or multicast packet (mode 5): nobody asked for it, so it is in no exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Where and when it was seen.
    pub seen: Sighting,
    /// Its header.
    pub header: ntp::Header,
}

impl Heard {
    /// A packet as a point saw it, at `time` on the common scale; `None` where it is no broadcast.
    #[must_use]
    pub fn of(packet: &Packet, point: PointId, time: Time) -> Option<Heard> {
        let broadcast = packet.icmp.is_none() && packet.role() == Role::Broadcast;
        let seen = || Sighting { point, ..matcher::sighting_of(packet, time) };
        broadcast.then(|| Heard { seen: seen(), header: packet.ntp })
    }
}

/// The same packet once more at a point that has seen it already, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Where.
    pub point: PointId,
    /// Whether it is a reply.
    pub reply: bool,
}

/// What a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// Time, from the address that was asked.
    Time,
    /// Time, but the server says that it is not synchronised.
    Unsynchronised,
    /// Kiss-o'-death, with its code.
    Kiss([u8; 4]),
    /// From another address or port than was asked.
    Elsewhere(IpAddr),
    /// To another address or port than had asked.
    Misdirected(IpAddr),
}

/// One request and all that belongs to it, from every point.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Where the request was seen, in the order in which its packets were read. Never empty.
    pub requests: SmallVec<[Sighting; 2]>,
    /// Where replies were seen.
    pub replies: SmallVec<[(Sighting, Answer); 2]>,
    /// ICMP errors that quote the request: where seen, who sent it, what it says.
    pub errors: Vec<(Sighting, IpAddr, IcmpError)>,
    /// The request's header.
    pub header: ntp::Header,
    /// The request's length in bytes (UDP payload).
    pub length: u16,
    /// What follows the request's header.
    pub tail: ntp::Tail,
    /// Points whose capture was running all the while that this exchange could have been seen.
    pub covered: Points,
    /// Sightings of the request beyond the first at the same point.
    pub duplicate_requests: u16,
    /// Sightings of a reply beyond the first at the same point.
    pub duplicate_replies: u16,
    /// Exact copies among these, by point; the first few.
    pub copies: Vec<Copied>,
    /// What became of it.
    pub fate: Fate,
    /// The transmit timestamp does not tell this request from others (it is zero, repeated, or not captured).
    pub weak: bool,
    /// The reply's origin timestamp is the request's receive timestamp: interleaved mode (RFC 9769).
    pub interleaved: bool,
}

/// What became of a request, as far as the points at hand can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// Answered with time within [`LATE_S`].
    Answered,
    /// Answered with time, later than [`LATE_S`].
    Late,
    /// Answered, but the server is not synchronised, or it has lost its sources long ago (see
    /// [`MAX_DISTANCE_S`]).
    Unsynchronised,
    /// Answered with a kiss-o'-death.
    Kiss([u8; 4]),
    /// Answered from an address that was not asked.
    Elsewhere(IpAddr),
    /// Answered to an address that had not asked.
    Misdirected(IpAddr),
    /// An ICMP error came instead.
    Error(IcmpError, IpAddr),
    /// Nothing came.
    Silent,
    /// A symmetric packet without an answer of its own: peers that poll each other need not answer each.
    Symmetric,
    /// The capture ended before an answer could have come.
    Cut,
}

/// A reply later than this is late: with a delay of 3 s a source's distance passes ntpd's limit of 1.5 s
/// (`MAXDISTANCE`), and chronyd's `maxdelay` is 3 s.
pub const LATE_S: f64 = 3.0;

/// A server that says that it may be off by more than this serves no time: ntpd takes no source of a greater root
/// distance (`MAXDISTANCE`), and chronyd none over 3 s.
pub const MAX_DISTANCE_S: f64 = 1.5;

impl Exchange {
    /// The sighting nearest to the client: the highest TTL, since every router lowers it; among equals the earliest.
    #[must_use]
    pub fn near(&self) -> &Sighting {
        let mut near = &self.requests[0];
        for s in &self.requests[1..] {
            if (s.ttl, near.time) > (near.ttl, s.time) {
                near = s;
            }
        }
        near
    }

    /// The sighting nearest to the server: the lowest TTL, among equals the latest.
    #[must_use]
    pub fn far(&self) -> &Sighting {
        let mut far = &self.requests[0];
        for s in &self.requests[1..] {
            if (s.ttl, far.time) < (far.ttl, s.time) {
                far = s;
            }
        }
        far
    }

    /// The request's transmit timestamp.
    #[must_use]
    pub fn transmit(&self) -> u64 {
        self.header.transmit()
    }

    /// Seconds from request to reply at one point, by its own clock.
    #[must_use]
    pub fn wait_s(&self, point: PointId) -> Option<f64> {
        let request = self.requests.iter().find(|s| s.point == point)?;
        let reply = self
            .replies
            .iter()
            .map(|(s, _)| s)
            .chain(self.errors.iter().map(|(s, ..)| s))
            .find(|s| s.point == point)?;
        Some(reply.own.since_s(request.own))
    }

    /// Seconds from request to reply at the point where both were seen nearest to the client.
    #[must_use]
    pub fn response_s(&self) -> Option<f64> {
        self.wait_s(self.near().point).or_else(|| self.requests.iter().find_map(|s| self.wait_s(s.point)))
    }

    /// Judges what became of it. The best answer that any point saw counts: a reply lost on its way back was given.
    /// `peers`: the host that was asked polls this one as well.
    fn judge(&self, peers: bool) -> Fate {
        let late = || self.response_s().is_some_and(|s| s > LATE_S);
        // A peer's own poll carries our timestamp too: what comes later than an answer would is that.
        let symmetric = matches!(self.header.mode(), 1 | 2);
        match self.replies.iter().map(|(_, answer)| *answer).min() {
            Some(_) if symmetric && late() => Fate::Symmetric,
            Some(Answer::Time) if late() => Fate::Late,
            Some(Answer::Time) => Fate::Answered,
            Some(Answer::Unsynchronised) => Fate::Unsynchronised,
            Some(Answer::Kiss(code)) => Fate::Kiss(code),
            Some(Answer::Elsewhere(from)) => Fate::Elsewhere(from),
            Some(Answer::Misdirected(to)) => Fate::Misdirected(to),
            None => match self.errors.iter().find(|(_, _, e)| *e != IcmpError::TimeExceeded) {
                Some((_, from, error)) => Fate::Error(*error, *from),
                None if !self.requests.iter().any(|s| self.covered.contains(s.point)) => Fate::Cut,
                None if symmetric && peers => Fate::Symmetric,
                None => Fate::Silent,
            },
        }
    }
}

impl Fate {
    /// One word, for a column.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Fate::Answered => "answered",
            Fate::Late => "late",
            Fate::Unsynchronised => "unsynchronised",
            Fate::Kiss(_) => "kiss",
            Fate::Elsewhere(_) => "elsewhere",
            Fate::Misdirected(_) => "misdirected",
            Fate::Error(..) => "error",
            Fate::Silent => "lost",
            Fate::Symmetric => "symmetric",
            Fate::Cut => "cut",
        }
    }
}
