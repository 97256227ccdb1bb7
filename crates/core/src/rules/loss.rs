//! Rule `loss`: how many polls each source left unanswered, by every witness there is.

use super::exchange::Count;
use super::{Material, Sampled, Summary, keep_first};
use crate::exchange::Fate;
use crate::model::{At, InputId, Origin, Peer, Row};
use crate::stats::Share;
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Billboard lines kept; hosts have a handful of sources.
const MOST_PEERS: usize = 1 << 14;

/// Losses of each client at each server, and what billboards say of each source.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    captured: Sampled<(IpAddr, IpAddr), Polls>,
    billboards: BTreeMap<(InputId, String), (u8, Origin)>,
}

/// The polls of one client at one server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Polls {
    /// All whose fate is known.
    pub all: Count,
    /// Those without a usable answer.
    pub lost: Count,
    /// First and last good answer.
    pub answered: Option<(Time, Time)>,
    /// Longest time between two good answers, in nanoseconds.
    pub longest_gap: i64,
}

impl Summary for Losses {
    fn fold(&mut self, material: Material<'_>) {
        match material {
            Material::Exchange(exchange) => {
                let (fate, near) = (exchange.fate, exchange.near());
                if matches!(fate, Fate::Cut | Fate::Symmetric) {
                    return;
                }
                let Some(polls) = self.captured.entry((near.destination.0, near.source.0)) else { return };
                let one = Count { n: 1, first: Some((near.time, near.origin)), last: Some((near.time, near.origin)) };
                let answered = (fate == Fate::Answered).then_some((near.time, near.time));
                let lost = if answered.is_some() { Count::default() } else { one };
                polls.add(Polls { all: one, lost, answered, longest_gap: 0 });
            }
            Material::Row(&Row::Peer(Peer { at: At { origin, .. }, source, reach: Some(reach), .. })) => {
                self.billboards.insert((origin.input, source.into()), (reach, origin));
                keep_first(&mut self.billboards, MOST_PEERS);
            }
            Material::Row(_) | Material::Heard(_) => {}
        }
    }

    fn merge(&mut self, later: Self) {
        self.captured.merge(later.captured, |a, b| a.add(b));
        self.billboards.extend(later.billboards);
        keep_first(&mut self.billboards, MOST_PEERS);
    }
}

impl Polls {
    fn add(&mut self, later: Polls) {
        self.all.add(later.all);
        self.lost.add(later.lost);
        self.longest_gap = self.longest_gap.max(later.longest_gap);
        self.answered = match (self.answered, later.answered) {
            (Some((from, to)), Some((next, last))) => {
                self.longest_gap = self.longest_gap.max(next.0.saturating_sub(to.0));
                Some((from.min(next), to.max(last)))
            }
            (own, other) => own.or(other),
        };
    }

    /// Lost of all.
    #[must_use]
    pub fn share(&self) -> Share {
        Share::of(self.lost.n, self.all.n)
    }

    /// Mean time between two requests, in seconds.
    #[must_use]
    pub fn interval_s(&self) -> Option<f64> {
        let (first, last) = (self.all.first?.0, self.all.last?.0);
        let intervals = self.all.n.checked_sub(1).filter(|n| *n > 0)?;
        Some(last.since_s(first) / intervals as f64)
    }

    /// Longest time without a good answer, in seconds: between two, or from the first request, or to the last.
    #[must_use]
    pub fn longest_silence_s(&self) -> f64 {
        let (Some((first, _)), Some((last, _))) = (self.all.first, self.all.last) else { return 0.0 };
        match self.answered {
            None => last.since_s(first),
            Some((from, to)) => from.since_s(first).max(last.since_s(to)).max(self.longest_gap as f64 / 1e9),
        }
    }
}

impl Losses {
    /// The polls of each client at each server: `((server, client), polls)`, in order.
    pub fn captured(&self) -> impl Iterator<Item = ((IpAddr, IpAddr), Polls)> {
        self.captured.sorted().into_iter().map(|(way, polls)| (*way, *polls))
    }

    /// The reach registers that billboards in `inputs` show for `source`, in the order of the inputs.
    pub fn reach<'a>(&'a self, inputs: &'a [InputId], source: &'a str) -> impl Iterator<Item = (u8, Origin)> + 'a {
        let lines = self.billboards.iter().filter(move |((input, name), _)| inputs.contains(input) && name == source);
        lines.map(|(_, seen)| *seen)
    }
}
