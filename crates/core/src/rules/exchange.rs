//! Rule `exchange`: what became of the requests to each server.

use super::{Material, Sampled, Summary};
use crate::exchange::{Exchange, Fate};
use crate::model::Origin;
use crate::time::{SECOND, Time};
use std::net::IpAddr;

/// How many requests to a server shared a fate.
#[derive(Clone, Debug, Default)]
pub struct Fates {
    by_fate: Sampled<(IpAddr, Fate), Count>,
    /// Late replies by server and the second in which they came.
    late: Sampled<(IpAddr, i64), u64>,
    /// All exchanges, whatever became of them.
    pub all: u64,
    /// Those with duplicated requests or replies.
    pub duplicated: u64,
    /// Those in interleaved mode.
    pub interleaved: u64,
    /// Those that their transmit timestamp does not tell from others.
    pub weak: u64,
}

/// A count with its first and last instance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// How many.
    pub n: u64,
    /// When and where the first was seen.
    pub first: Option<(Time, Origin)>,
    /// When and where the last was seen.
    pub last: Option<(Time, Origin)>,
}

impl Count {
    /// Counts one.
    pub fn one(&mut self, time: Time, origin: Origin) {
        self.add(Count { n: 1, first: Some((time, origin)), last: Some((time, origin)) });
    }

    /// Adds another count.
    pub fn add(&mut self, other: Count) {
        self.n += other.n;
        self.first = match (self.first, other.first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.last = self.last.max(other.last);
    }
}

impl Summary for Fates {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        self.all += 1;
        self.duplicated += u64::from(exchange.duplicate_requests > 0 || exchange.duplicate_replies > 0);
        self.interleaved += u64::from(exchange.interleaved);
        self.weak += u64::from(exchange.weak);
        let near = exchange.near();
        if exchange.fate == Fate::Late
            && let Some(wait) = exchange.response_s()
            && let Some(n) = self.late.entry((near.destination.0, near.time.0 / SECOND + wait as i64))
        {
            *n += 1;
        }
        if let Some(count) = self.by_fate.entry((near.destination.0, exchange.fate)) {
            count.one(near.time, witness(exchange));
        }
    }

    fn merge(&mut self, later: Self) {
        self.all += later.all;
        self.duplicated += later.duplicated;
        self.interleaved += later.interleaved;
        self.weak += later.weak;
        self.by_fate.merge(later.by_fate, |a, b| a.add(b));
        self.late.merge(later.late, |a, b| *a += b);
    }
}

/// The packet that shows a fate best: the reply or error where one came, else the request where it got furthest.
fn witness(exchange: &Exchange) -> Origin {
    match (exchange.replies.first(), exchange.errors.first()) {
        (Some((reply, _)), _) => reply.origin,
        (None, Some((error, ..))) => error.origin,
        (None, None) => exchange.far().origin,
    }
}

impl Fates {
    /// How many requests met each fate at each server, in order.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, Fate, Count)> {
        self.by_fate.sorted().into_iter().map(|((server, fate), count)| (*server, *fate, *count))
    }

    /// The most late replies of a server that came in one second.
    #[must_use]
    pub fn most_late_at_once(&self, server: IpAddr) -> u64 {
        self.late.sorted().into_iter().filter(|((s, _), _)| *s == server).map(|(_, n)| *n).max().unwrap_or(0)
    }

    /// How many requests met this fate, of all servers.
    #[must_use]
    pub fn total(&self, word: &str) -> u64 {
        self.iter().filter(|(_, fate, _)| fate.word() == word).map(|(.., count)| count.n).sum()
    }
}
