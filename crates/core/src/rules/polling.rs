//! Rule `polling`: when each client asked each server, and where polls are missing that should have been sent.
//!
//! Whoever polls evenly, falls silent for many polls, and was not told to wait longer (its own poll field says how
//! long it means to wait) has stopped asking: no packet is lost, none was sent.

use super::{Material, Sampled, Summary};
use crate::exchange::{Exchange, Fate, PointId, Points};
use crate::model::Origin;
use crate::time::{SECOND, Time};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Polls kept for one client and server. Beyond, only the first of each 2, 4, 8 … seconds is kept: which those are
/// depends on the polls alone, not on their order, so folding and merging keep the same.
const MOST_POLLS: usize = 256;

/// Gaps needed to know how a client polls.
const FEWEST_GAPS: usize = 8;

/// A pause is so many usual intervals: ntpd's randomised polls and a lost burst stay well below.
const PAUSE: i64 = 5;

/// A silence that lasts to the end of the recording is one of so many: a run of `sntp` or `chronyd -q` just ends.
const PAUSE_AT_END: i64 = 10;

/// And it is so many times what the client's own poll field announces: a poll interval may double at once, and be
/// missed once.
const OF_ANNOUNCED: i64 = 4;

/// The longest poll interval that ntpd knows (`NTP_MAXPOLL`); other values of the field mean nothing.
const MOST_POLL: i8 = 17;

/// Longer silences than this many are the way in which this client asks, not pauses.
const MOST_PAUSES: usize = 3;

/// Polls before a pause that must all have failed for it to be a retreat.
const RETREAT: usize = 3;

/// When clients asked.
#[derive(Clone, Debug, Default)]
pub struct Polls(Sampled<(IpAddr, IpAddr), Asked>);

/// When one client asked one server.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    /// log₂ seconds within which only the first poll is kept.
    level: u32,
    /// By time.
    polls: Vec<Poll>,
    /// Highest poll field.
    announced: i8,
    /// Where its requests were seen nearest to it.
    near: Points,
    /// Where its requests were seen.
    seen: Points,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Poll {
    time: Time,
    origin: Origin,
    answered: bool,
}

/// A time in which a client did not ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    /// Who.
    pub client: IpAddr,
    /// Whom it asked most.
    pub server: IpAddr,
    /// The last poll before.
    pub from: (Time, Origin),
    /// The first poll after, or (`None`) the end of the recording.
    pub until: (Time, Option<Origin>),
    /// Its usual interval, in seconds.
    pub interval_s: f64,
    /// Polls that are missing.
    pub missed: u64,
    /// Polls that were sent.
    pub sent: u64,
    /// Others that were seen to ask meanwhile.
    pub others: BTreeSet<IpAddr>,
    /// Where its requests were seen nearest to it.
    pub near: Option<PointId>,
    /// Whether other clients' requests were seen there too: then it is not the client's own interface.
    pub shared: bool,
    /// Whether its last polls before had all gone unanswered: it may have backed off.
    pub retreat: bool,
}

impl Summary for Polls {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        let near = exchange.near();
        let Some(asked) = self.0.entry((near.destination.0, near.source.0)) else { return };
        asked.add(Asked::of(exchange));
    }

    fn merge(&mut self, later: Self) {
        self.0.merge(later.0, Asked::add);
    }
}

impl Asked {
    fn of(exchange: &Exchange) -> Asked {
        let near = exchange.near();
        let poll = exchange.header.poll();
        let answered = !matches!(exchange.fate, Fate::Silent | Fate::Error(..));
        Asked {
            level: 0,
            polls: vec![Poll { time: near.time, origin: near.origin, answered }],
            announced: if (0..=MOST_POLL).contains(&poll) { poll } else { 0 },
            near: std::iter::once(near.point).collect(),
            seen: exchange.requests.iter().map(|s| s.point).collect(),
        }
    }

    fn add(&mut self, other: Asked) {
        self.level = self.level.max(other.level);
        self.announced = self.announced.max(other.announced);
        self.near.0 |= other.near.0;
        self.seen.0 |= other.seen.0;
        let in_order = self.polls.last().is_none_or(|last| other.polls.first().is_none_or(|new| last.time < new.time));
        self.polls.extend(other.polls);
        if !in_order {
            self.polls.sort_by_key(|poll| (poll.time, poll.origin));
        }
        self.thin();
        while self.polls.len() > MOST_POLLS {
            self.level += 1;
            self.thin();
        }
    }

    /// Keeps the first poll of each stretch of 2^level seconds; it is answered where one in the stretch is.
    fn thin(&mut self) {
        let width = SECOND << self.level.min(32);
        self.polls.dedup_by(|next, kept| {
            let same = next.time.0.div_euclid(width) == kept.time.0.div_euclid(width);
            kept.answered |= same && next.answered;
            same
        });
    }

    /// The interval that four of five gaps do not exceed, in nanoseconds.
    fn usual(&self) -> Option<i64> {
        let mut gaps: Vec<i64> = self.polls.windows(2).map(|w| w[1].time.0 - w[0].time.0).collect();
        gaps.sort_unstable();
        (gaps.len() >= FEWEST_GAPS).then(|| gaps[gaps.len() * 4 / 5])
    }

    /// The silences that are too long, each as the index of the poll before.
    fn pauses(&self, end: Time) -> Vec<usize> {
        let Some(usual) = self.usual() else { return Vec::new() };
        let least = |times: i64| usual.saturating_mul(times).max((OF_ANNOUNCED * SECOND) << self.announced.max(0));
        let mut pauses: Vec<usize> = Vec::new();
        for (at, poll) in self.polls.iter().enumerate() {
            let (next, times) = match self.polls.get(at + 1) {
                Some(next) => (next.time, PAUSE),
                None => (end, PAUSE_AT_END),
            };
            if next.0.saturating_sub(poll.time.0) >= least(times) {
                pauses.push(at);
            }
        }
        if pauses.len() > MOST_PAUSES { Vec::new() } else { pauses }
    }

    /// Whether a poll was sent within, the ends left out.
    fn asks_within(&self, from: Time, until: Time) -> bool {
        self.polls.iter().any(|poll| from < poll.time && poll.time < until)
    }
}

impl Polls {
    /// The pauses of all clients: times in which they asked none of their servers.
    #[must_use]
    pub fn pauses(&self) -> Vec<Pause> {
        let all = self.0.sorted();
        let Some(end) = all.iter().filter_map(|(_, asked)| asked.polls.last()).map(|poll| poll.time).max() else {
            return Vec::new();
        };
        let clients: BTreeSet<IpAddr> = all.iter().map(|((_, client), _)| *client).collect();
        let mut pauses = Vec::new();
        for client in clients {
            let own: Vec<_> = all.iter().filter(|((_, c), _)| *c == client).collect();
            let Some(((server, _), asked)) = own.iter().max_by_key(|(_, asked)| asked.polls.len()) else { continue };
            let Some(usual) = asked.usual() else { continue };
            for at in asked.pauses(end) {
                let before = asked.polls[at];
                let after = asked.polls.get(at + 1);
                let until = after.map_or(end, |poll| poll.time);
                // Another source may still have been asked at the very edges.
                let (inside_from, inside_until) = (Time(before.time.0 + usual), Time(until.0 - usual));
                if own.iter().any(|(_, other)| other.asks_within(inside_from, inside_until)) {
                    continue;
                }
                // A capture that ends with the client's last poll shows nothing; one that saw others go on does.
                let watches = |other: &Asked| after.is_some() || other.seen.0 & asked.seen.0 != 0;
                let others = all.iter().filter(|((_, c), other)| {
                    *c != client && watches(other) && other.asks_within(inside_from, inside_until)
                });
                let last = &asked.polls[(at + 1).saturating_sub(RETREAT)..=at];
                pauses.push(Pause {
                    client,
                    server: *server,
                    from: (before.time, before.origin),
                    until: (until, after.map(|poll| poll.origin)),
                    interval_s: usual as f64 / SECOND as f64,
                    missed: ((until.0 - before.time.0) / usual.max(1)).max(1) as u64 - 1,
                    sent: asked.polls.len() as u64,
                    others: others.map(|((_, c), _)| *c).collect(),
                    near: asked.near.iter().next(),
                    shared: all.iter().any(|((_, c), other)| *c != client && other.seen.0 & asked.near.0 != 0),
                    retreat: last.len() == RETREAT && last.iter().all(|poll| !poll.answered),
                });
            }
        }
        pauses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InputId, Place};

    fn asked(seconds: impl IntoIterator<Item = i64>, announced: i8) -> Asked {
        let mut asked = Asked { announced, ..Asked::default() };
        for s in seconds {
            let origin = Origin { input: InputId(0), place: Place::Frame(s as u32) };
            let poll = Poll { time: Time(s * SECOND), origin, answered: true };
            asked.add(Asked { polls: vec![poll], announced, ..Asked::default() });
        }
        asked
    }

    #[test]
    fn a_silence_of_many_polls_is_a_pause_and_a_longer_interval_is_none() {
        let even = || (0..20).map(|n| n * 8);
        let end = Time(400 * SECOND);
        assert_eq!(asked(even().chain((40..50).map(|n| n * 8)), 3).pauses(end), [19]);
        assert_eq!(asked(even().chain((40..50).map(|n| n * 8)), 6).pauses(end), [0usize; 0], "it said 64 s");
        assert_eq!(asked(even(), 3).pauses(Time(200 * SECOND)), [0usize; 0], "the end is too near");
        assert_eq!(asked(even(), 3).pauses(end), [19]);
        // systemd-timesyncd doubles its interval.
        let doubling = (0..12).map(|n| 32 * ((1 << n) - 1));
        assert_eq!(asked(doubling, 0).pauses(Time(131_072 * SECOND)), [0usize; 0]);
    }

    #[test]
    fn polls_are_thinned_alike_in_any_order() {
        let (forth, back) = (asked((0..2000).map(|n| n * 5), 3), asked((0..2000).rev().map(|n| n * 5), 3));
        assert!(forth.polls.len() <= MOST_POLLS && forth.level > 0);
        assert_eq!(forth, back);
    }
}
