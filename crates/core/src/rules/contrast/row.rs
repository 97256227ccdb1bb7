//! The attributes of a request, and what became of the requests that share them.

use crate::exchange::{Exchange, Fate, Sighting};
use crate::model::Origin;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Source ports from here up are counted in steps: clients and NATs that choose them anew each time choose them here, and
/// a row for each would leave no room for others.
pub const HIGH: u16 = 1024;

/// Ports of one step above [`HIGH`]. Where Linux begins (32768) and where IANA does (49152) a step begins.
const STEP: u16 = 4096;

/// What a request looks like at one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// The source address nearest to the client.
    pub client: IpAddr,
    /// Source port, or the first of its step.
    pub port: u16,
    /// UDP payload in bytes.
    pub length: u16,
    /// NTP version.
    pub version: u8,
    /// NTP mode.
    pub mode: u8,
    /// Poll field, log₂ seconds.
    pub poll: i8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Number of extension fields.
    pub extensions: u8,
    /// Length of the MAC in bytes.
    pub mac: u8,
    /// Whether there are fields of Network Time Security (RFC 8915).
    pub nts: bool,
    /// What the transmit timestamp is.
    pub stamp: Stamp,
    /// Time since this client's last request to this server, as [`gap`] counts it.
    pub own_gap: u8,
    /// Time since the last request from the same address as seen here: a NAT's is that of all behind it.
    pub any_gap: u8,
    /// Requests of that address without an answer yet, up to 4.
    pub in_flight: u8,
}

/// What a transmit timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stamp {
    /// Zero.
    Zero,
    /// The time, within a day of the capture's.
    Real,
    /// Any number: clients that tell nothing of themselves send one (draft-ietf-ntp-data-minimization; chrony, NTPsec).
    Random,
    /// The same as that of another request shortly before.
    Repeated,
}

impl Stamp {
    /// All, by number.
    pub const WORDS: [&str; 4] = ["zero", "the time", "random", "repeated"];

    fn of(exchange: &Exchange) -> Stamp {
        /// Seconds from 1900, where NTP begins, to 1970.
        const NTP_TO_UNIX_S: i64 = 2_208_988_800;
        const DAY_S: u32 = 86_400;
        let transmit = exchange.transmit();
        let captured = exchange.requests[0].own.0.div_euclid(crate::time::SECOND) + NTP_TO_UNIX_S;
        // Eras wrap: the distance is taken modulo 2³² s.
        let apart = ((transmit >> 32) as u32).wrapping_sub(captured as u32);
        match () {
            () if transmit == 0 => Stamp::Zero,
            () if exchange.weak => Stamp::Repeated,
            () if !(DAY_S..=u32::MAX - DAY_S).contains(&apart) => Stamp::Real,
            () => Stamp::Random,
        }
    }
}

/// The gap before the first request.
pub(super) const NO_GAP: u8 = 40;

/// A time in milliseconds by its nearest power of two: polls of 64 s, give or take, are all 16.
fn gap(ms: Option<u32>) -> u8 {
    let Some(ms) = ms else { return NO_GAP };
    let square = u64::from(ms.max(1)).pow(2);
    (square.ilog2() as u8).div_ceil(2)
}

/// The shortest time in seconds that counts as a gap.
pub(super) fn gap_from_s(gap: i64) -> f64 {
    2f64.powf(gap as f64 - 0.5) / 1000.0
}

/// The last port of the step that begins with this one.
pub(super) fn step_end(port: i64) -> i64 {
    if port < i64::from(HIGH) { port } else { port | i64::from(STEP - 1) }
}

/// A port, or the first of its step.
pub(super) fn step(port: u16) -> u16 {
    if port < HIGH { port } else { (port / STEP * STEP).max(HIGH) }
}

impl Attributes {
    /// Those of a request, as seen at one of its points.
    pub(super) fn of(exchange: &Exchange, near: &Sighting, seen: &Sighting) -> Attributes {
        Attributes {
            client: near.source.0,
            port: step(seen.source.1),
            length: exchange.length,
            version: exchange.header.version(),
            mode: exchange.header.mode(),
            poll: exchange.header.poll(),
            ttl: seen.ttl,
            dscp: seen.dscp,
            extensions: exchange.tail.extensions,
            mac: exchange.tail.mac,
            nts: exchange.tail.nts,
            stamp: Stamp::of(exchange),
            own_gap: gap(near.pace.since_ms),
            any_gap: gap(seen.pace.since_ms),
            in_flight: seen.pace.in_flight,
        }
    }

    /// The network that the client is in: /24 or /64.
    #[must_use]
    pub fn prefix(&self) -> (IpAddr, u8) {
        match self.client {
            IpAddr::V4(v4) => (Ipv4Addr::from(u32::from(v4) & !0xff).into(), 24),
            IpAddr::V6(v6) => (Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(), 64),
        }
    }
}

/// Lost and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Neither answered nor explained by an error.
    pub lost: u64,
    /// Answered with time; or, where only the loss on the next stretch is asked for, come through.
    pub answered: u64,
}

impl Cell {
    pub(super) fn add(&mut self, other: Cell) {
        self.lost += other.lost;
        self.answered += other.answered;
    }

    /// What is left of these without `part`.
    pub(super) fn without(self, part: Cell) -> Cell {
        Cell { lost: self.lost - part.lost, answered: self.answered - part.answered }
    }

    /// All.
    #[must_use]
    pub fn all(self) -> u64 {
        self.lost + self.answered
    }

    /// Lost of all.
    #[must_use]
    pub fn lost_share(self) -> crate::stats::Share {
        crate::stats::Share::of(self.lost, self.all())
    }

    pub(super) fn pair(self) -> (u64, u64) {
        (self.lost, self.answered)
    }
}

/// How many, and the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many.
    pub n: u32,
    /// The lowest origin of all: the same however they were divided.
    pub first: Option<Origin>,
}

impl Seen {
    pub(super) fn add(&mut self, other: Seen) {
        self.n = self.n.saturating_add(other.n);
        self.first = [self.first, other.first].into_iter().flatten().min();
    }
}

/// What became of the requests with the same attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// No answer was seen anywhere.
    pub silent: Seen,
    /// Answered, and the answer was seen elsewhere and not at this point, which was recording.
    pub unreturned: Seen,
    /// Answered.
    pub answered: Seen,
    /// The lowest and the highest source port.
    pub ports: (u16, u16),
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { silent: Seen::default(), unreturned: Seen::default(), answered: Seen::default(), ports: (u16::MAX, 0) }
    }
}

impl Tally {
    /// One request as seen at one of its points; `None` where its fate is neither.
    pub(super) fn of(exchange: &Exchange, seen: &Sighting) -> Option<Tally> {
        let mut tally = Tally { ports: (seen.source.1, seen.source.1), ..Tally::default() };
        let here = || {
            exchange.replies.iter().any(|(s, _)| s.point.after() == seen.point.after())
                || !exchange.covered.contains(seen.point)
        };
        let place = match exchange.fate {
            Fate::Silent => &mut tally.silent,
            Fate::Answered if here() => &mut tally.answered,
            Fate::Answered => &mut tally.unreturned,
            _ => return None,
        };
        *place = Seen { n: 1, first: Some(seen.origin) };
        Some(tally)
    }

    pub(super) fn add(&mut self, other: Tally) {
        self.silent.add(other.silent);
        self.unreturned.add(other.unreturned);
        self.answered.add(other.answered);
        self.ports = (self.ports.0.min(other.ports.0), self.ports.1.max(other.ports.1));
    }
}
