//! Rule `pace`: how fast each server answers, and how many it leaves unanswered, by the time of day.

use super::{Material, Sampled, Summary};
use crate::exchange::{Fate, PointId, Points};
use crate::time::{SECOND, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Requests are counted by stretches of so many seconds: one or two polls of the most eager clients.
pub const STRETCH_S: i64 = 8;

/// An answer that takes longer than this is slow. A server needs less than a millisecond; a satellite link 0.6 s, but
/// that is not seen at the server.
pub const SLOW_S: f64 = 0.25;

/// Requests to each server by the points that saw them and by their time.
#[derive(Clone, Debug, Default)]
pub struct Paces(Sampled<(IpAddr, Points, i64), Pace>);

/// Requests to one server in one stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Answered at once.
    pub fast: u64,
    /// Answered, but not at once, as seen at the point furthest on.
    pub slow: u64,
    /// Not answered.
    pub lost: u64,
    /// The points furthest on where slow answers were seen.
    pub slow_at: Points,
}

/// How losses and slow answers of one server lie together in time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Together {
    /// Lost near slow answers, and elsewhere.
    pub lost: (u64, u64),
    /// Answered at once near slow answers, and elsewhere.
    pub fast: (u64, u64),
    /// Slow answers.
    pub slow: u64,
    /// Where they were slow already.
    pub slow_at: Points,
}

impl Summary for Paces {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        let near = exchange.near();
        let far = exchange.far().point;
        let mut pace = Pace::default();
        match exchange.fate {
            Fate::Silent => pace.lost = 1,
            Fate::Answered | Fate::Late | Fate::Unsynchronised => {
                let wait = exchange.wait_s(far).or_else(|| exchange.response_s());
                if wait.is_some_and(|wait| wait > SLOW_S) {
                    (pace.slow, pace.slow_at) = (1, std::iter::once(far).collect());
                } else {
                    pace.fast = 1;
                }
            }
            _ => return,
        }
        let seen = exchange.requests.iter().map(|s| s.point).collect();
        if let Some(own) = self.0.entry((near.destination.0, seen, stretch(near.time))) {
            own.add(pace);
        }
    }

    fn merge(&mut self, later: Self) {
        self.0.merge(later.0, Pace::add);
    }
}

fn stretch(time: Time) -> i64 {
    time.0.div_euclid(STRETCH_S * SECOND)
}

impl Pace {
    fn add(&mut self, other: Pace) {
        self.fast += other.fast;
        self.slow += other.slow;
        self.lost += other.lost;
        self.slow_at.0 |= other.slow_at.0;
    }
}

impl Paces {
    /// By stretch; of the lost only those that came to a point, where one is named.
    fn of(&self, server: IpAddr, at: Option<PointId>) -> BTreeMap<i64, Pace> {
        let mut all: BTreeMap<i64, Pace> = BTreeMap::new();
        for ((_, seen, stretch), pace) in self.0.sorted().into_iter().filter(|((s, ..), _)| *s == server) {
            let came = at.is_none_or(|at| seen.contains(at));
            all.entry(*stretch).or_default().add(Pace { lost: if came { pace.lost } else { 0 }, ..*pace });
        }
        all
    }

    /// How many requests to a server have a known fate, from one instant to another.
    #[must_use]
    pub fn asked_within(&self, server: IpAddr, from: Time, until: Time) -> u64 {
        let own = self.of(server, None);
        own.range(stretch(from)..=stretch(until)).map(|(_, pace)| pace.fast + pace.slow + pace.lost).sum()
    }

    /// How losses and slow answers lie together; of the losses only those that came to `at`, where it is given.
    #[must_use]
    pub fn together(&self, server: IpAddr, at: Option<PointId>) -> Together {
        let own = self.of(server, at);
        let mut all = Together::default();
        for (stretch, pace) in &own {
            all.slow += pace.slow;
            all.slow_at.0 |= pace.slow_at.0;
            let near = own.range(stretch - 1..=stretch + 1).any(|(_, neighbour)| neighbour.slow > 0);
            let (lost, fast) =
                if near { (&mut all.lost.0, &mut all.fast.0) } else { (&mut all.lost.1, &mut all.fast.1) };
            *lost += pace.lost;
            *fast += pace.fast;
        }
        all
    }
}
