//! Rule `path`: where on the way each request was last seen.
//!
//! The order of the capture points follows from the packets themselves, never from names or clocks: routers lower
//! the TTL; a request reaches the nearer point first and its reply last, so the nearer point waits longer for it,
//! whatever the clocks say; and a lost request stops at the nearer one.

mod route;
mod symptom;

pub use route::Routes;
pub use symptom::{Direction, Hop, Locus, Symptom};

use super::exchange::Count;
use super::{Material, Sampled, Summary};
use crate::exchange::{Exchange, Fate, LATE_S, PointId, Points, Sighting};
use std::net::IpAddr;

/// Where requests were seen, by server and client, and how pairs of points stand to each other.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    traces: Sampled<Trace, Count>,
    pairs: Sampled<(IpAddr, PointId, PointId), Pair>,
}

/// Requests that were seen at the same points and met the same fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trace {
    /// Whom the client asked.
    pub server: IpAddr,
    /// Who asked, as seen nearest to the client.
    pub client: IpAddr,
    /// What became of it.
    pub fate: Fate,
    /// Where the request was seen.
    pub requests: Points,
    /// Where a reply or an ICMP error was seen.
    pub replies: Points,
    /// Which points were recording.
    pub covered: Points,
    /// Where the reply came late ([`LATE_S`]) after the request.
    pub slow: Points,
}

/// How two points stand to each other, in requests to one server that both saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pair {
    /// Requests with a lower TTL at the second point, and at the first.
    pub ttl: (u64, u64),
    /// Exchanges whose transits say that the first point is nearer to the client, and the second.
    pub transit: (u64, u64),
}

impl Summary for Traces {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        // Without a transmit timestamp of its own a request can't be found again at another point.
        if exchange.weak && exchange.covered.iter().nth(1).is_some() {
            return;
        }
        let (near, far) = (exchange.near(), exchange.far());
        let answers = exchange.replies.iter().map(|(s, _)| s).chain(exchange.errors.iter().map(|(s, ..)| s));
        let trace = Trace {
            server: near.destination.0,
            client: near.source.0,
            fate: exchange.fate,
            requests: exchange.requests.iter().map(|s| s.point).collect(),
            replies: answers.map(|s| s.point).collect(),
            covered: exchange.covered,
            slow: exchange
                .requests
                .iter()
                .filter(|s| exchange.wait_s(s.point).is_some_and(|w| w > LATE_S))
                .map(|s| s.point)
                .collect(),
        };
        if let Some(count) = self.traces.entry(trace) {
            count.one(near.time, far.origin);
        }
        for (i, a) in exchange.requests.iter().enumerate() {
            for b in &exchange.requests[i + 1..] {
                self.pair(trace.server, exchange, a, b);
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.traces.merge(later.traces, |a, b| a.add(b));
        self.pairs.merge(later.pairs, |a, b| {
            a.ttl = (a.ttl.0 + b.ttl.0, a.ttl.1 + b.ttl.1);
            a.transit = (a.transit.0 + b.transit.0, a.transit.1 + b.transit.1);
        });
    }
}

impl Traces {
    fn pair(&mut self, server: IpAddr, exchange: &Exchange, a: &Sighting, b: &Sighting) {
        let (a, b) = if a.point < b.point { (a, b) } else { (b, a) };
        let Some(pair) = self.pairs.entry((server, a.point, b.point)) else { return };
        pair.ttl.0 += u64::from(b.ttl < a.ttl);
        pair.ttl.1 += u64::from(a.ttl < b.ttl);
        // The nearer point waits longer for the reply. No clock is compared with another.
        if let (Some(wait_a), Some(wait_b)) = (exchange.wait_s(a.point), exchange.wait_s(b.point)) {
            pair.transit.0 += u64::from(wait_a > wait_b);
            pair.transit.1 += u64::from(wait_a < wait_b);
        }
    }

    /// How two points stand to each other in requests to a server, the one with the lower number first; `None` where none
    /// was seen at both.
    #[must_use]
    pub fn pair_of(&self, server: IpAddr, a: PointId, b: PointId) -> Option<Pair> {
        self.pairs.get(&(server, a.min(b), a.max(b))).copied()
    }

    /// All traces, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Trace, Count)> {
        self.traces.sorted().into_iter().map(|(trace, count)| (*trace, *count))
    }

    /// What share of all traces is kept: 1 unless there were too many clients to list each.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.traces.share()
    }
}
