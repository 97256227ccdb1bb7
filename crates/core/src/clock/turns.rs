//! Whether two addresses are one server: how the packets of one lie in time among those of the other.

use crate::rules::senders::Speech;
use crate::stats::Share;
use crate::time::{SECOND, Time};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// When two addresses are one server's.
struct Limits {
    /// In turn: fewest packets, and their share of the rarer address's. Two servers that both lose a packet in twenty lie
    /// so three times on end once in eight thousand.
    in_turn: (u64, f64),
    /// Together: likewise. Of two servers with polls of their own up to one packet in ten falls together (their timers
    /// tick at the same moment of the second); ntpd 4.2.8 as a client drops one in four of those that it hears.
    together: (u64, f64),
    /// Packets nearer than this are sent at one moment: ntpd sends one after the other within a millisecond.
    moment: i64,
    /// In turn: the other address is overdue, its gap as many times its usual one …
    gap: f64,
    /// … and the packet lies in it, as far as this part of the usual gap from both ends.
    apart: f64,
}

const LIMITS: Limits = Limits { in_turn: (3, 0.9), together: (8, 0.6), moment: SECOND / 50, gap: 1.6, apart: 0.6 };

/// How two addresses of one server speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// One is silent while the other speaks, by the routing table (ntpd up to 4.2.6p2).
    InTurn,
    /// Both at each poll (ntpd from 4.2.6p3 on).
    Together,
}

/// What two addresses have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relation {
    /// How many packets of the rarer address lie in a gap of the other, of those that could.
    pub in_turn: Share,
    /// How many were sent at one moment with one of the other.
    pub together: Share,
    /// Both have told the same reference time, to 2⁻³² s.
    pub same_reference: bool,
}

impl Relation {
    /// How they speak, where that shows that they are one server.
    #[must_use]
    pub fn manner(&self) -> Option<Manner> {
        let is = |share: Share, (n, of): (u64, f64)| share.part >= n && share.part as f64 >= of * share.whole as f64;
        match self {
            _ if is(self.together, LIMITS.together) => Some(Manner::Together),
            _ if is(self.in_turn, LIMITS.in_turn) => Some(Manner::InTurn),
            _ => None,
        }
    }

    /// Whether they are one server.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.same_reference || self.manner().is_some()
    }
}

/// Looks at `rare` among the packets of `usual`, which announce a poll of 2^`poll` s where that is known.
#[must_use]
pub fn relation(windows: &[Vec<Speech>], usual: IpAddr, rare: IpAddr, poll: Option<i8>) -> Relation {
    let of = |window: &[Speech], who: IpAddr| -> Vec<Time> {
        window.iter().filter(|speech| speech.sender == who).map(|speech| speech.time).collect()
    };
    let announced = poll.filter(|poll| (1..=17).contains(poll)).map(|poll| SECOND << poll);
    let every = announced.or_else(|| {
        let times = windows.iter().map(|window| of(window, usual));
        median(times.flat_map(|times| times.windows(2).map(|pair| pair[1].0 - pair[0].0).collect::<Vec<_>>()).collect())
    });
    let (mut together, mut in_turn, mut could) = (0, 0, 0);
    for window in windows {
        let others = of(window, usual);
        for time in of(window, rare) {
            let at = others.partition_point(|other| *other < time);
            let before = at.checked_sub(1).and_then(|at| others.get(at)).map(|other| time.0 - other.0);
            let after = others.get(at).map(|other| other.0 - time.0);
            // What lies before the first or after the last of the other says nothing of a gap.
            could += u64::from(before.is_some() && after.is_some());
            together += u64::from(before.into_iter().chain(after).min().is_some_and(|near| near <= LIMITS.moment));
            if let (Some(before), Some(after), Some(every)) = (before, after, every) {
                let every = every as f64;
                let apart = before.min(after) as f64 >= LIMITS.apart * every;
                in_turn += u64::from(apart && (before + after) as f64 >= LIMITS.gap * every);
            }
        }
    }
    let all = windows.iter().map(|window| of(window, rare).len() as u64).sum();
    let references = |who: IpAddr| -> BTreeSet<u64> {
        let own = windows.iter().flatten().filter(|speech| speech.sender == who && speech.reference != 0);
        own.map(|speech| speech.reference).collect()
    };
    let same_reference = !references(usual).is_disjoint(&references(rare));
    Relation { in_turn: Share::of(in_turn, could), together: Share::of(together, all), same_reference }
}

fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InputId, Origin, Place};

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 3, 0, 2));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 4, 0, 2));

    fn window(speeches: impl IntoIterator<Item = (f64, IpAddr)>) -> Vec<Vec<Speech>> {
        let origin = Origin { input: InputId(0), place: Place::Line(1) };
        let speech = |(second, sender): (f64, IpAddr)| Speech {
            time: Time((second * SECOND as f64) as i64),
            sender,
            reference: 0,
            origin,
        };
        let mut window: Vec<Speech> = speeches.into_iter().map(speech).collect();
        window.sort_unstable();
        vec![window]
    }

    #[test]
    fn an_address_that_speaks_where_the_other_is_silent_is_the_same_server() {
        // Polls of 16 s with ntpd's spread of a second; each fifteenth to seventeenth come from the other address.
        let turns = |n: u32| (f64::from(n) * 16.0 + f64::from(n % 3), if n % 15 > 11 { B } else { A });
        let found = relation(&window((0..80).map(turns)), A, B, Some(4));
        assert_eq!((found.manner(), found.in_turn.part), (Some(Manner::InTurn), 15));
        // The announced poll need not be known.
        assert_eq!(relation(&window((0..80).map(turns)), A, B, None).manner(), Some(Manner::InTurn));
    }

    #[test]
    fn both_at_each_poll_are_one_server_and_two_with_polls_of_their_own_are_not() {
        let both = (0..20).flat_map(|n| [(f64::from(n) * 16.0, A), (f64::from(n) * 16.0 + 0.001, B)]);
        assert_eq!(relation(&window(both), A, B, Some(4)).manner(), Some(Manner::Together));
        for (every, phase) in [(16.0, 7.9), (16.0, 0.3), (64.0, 5.0), (5.0, 1.0)] {
            let two = (0..20).flat_map(|n| [(f64::from(n) * 16.0, A), (f64::from(n) * every + phase, B)]);
            let found = relation(&window(two), A, B, Some(4));
            assert!(!found.is_one(), "{every} {phase} {found:?}");
        }
        // Of a server that asks seldom, the gaps are long for everybody.
        let two = (0..200).flat_map(|n| [(f64::from(n) * 1024.0, A), (f64::from(n) * 16.0 + 3.0, B)]);
        assert!(!relation(&window(two), A, B, None).is_one());
    }

    #[test]
    fn a_server_that_ends_and_another_that_begins_are_two() {
        let one_after_the_other = (0..80).map(|n| (f64::from(n) * 16.0, if n < 40 { A } else { B }));
        assert!(!relation(&window(one_after_the_other), A, B, Some(4)).is_one());
    }
}
