//! How fast each address asks each server, at each point: what only the order of packets can tell.

use super::PointId;
use crate::time::{SECOND, Time};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::net::IpAddr;

/// Ways from an address to a server that are remembered, twice over: when so many new ones have come, those that have not
/// asked since the last time are forgotten.
const MOST_WAYS: usize = 1 << 15;

/// Earlier requests of one way that are remembered for their being in flight.
const RECENT: usize = 4;

/// What an address has asked of a server before a request, as seen at one point. Outside a NAT this counts all behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Milliseconds since its last request to this server; `None` for the first.
    pub since_ms: Option<u32>,
    /// Its requests of the last [`super::LATE_S`] that had no answer yet, up to 4.
    pub in_flight: u8,
}

type Way = (PointId, IpAddr, IpAddr);

/// The last requests of each way.
#[derive(Debug, Default)]
pub(super) struct Paces {
    young: HashMap<Way, Asked, FixedState>,
    old: HashMap<Way, Asked, FixedState>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    last: Time,
    /// Exchanges by slot and start, the latest first.
    recent: [(u32, Time); RECENT],
}

impl Paces {
    /// Takes a request into account, and says what was before it. `is_open` says whether the exchange that began in
    /// a slot at a time has no answer yet.
    pub(super) fn ask(
        &mut self,
        way: Way,
        time: Time,
        exchange: (u32, Time),
        is_open: impl Fn(u32, Time) -> bool,
    ) -> Pace {
        if self.young.len() >= MOST_WAYS {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &self.old;
        let never = Asked { last: Time::MIN, recent: [(0, Time::MIN); RECENT] };
        let asked = self.young.entry(way).or_insert_with(|| old.get(&way).copied().unwrap_or(never));
        let since_ns = time.0.saturating_sub(asked.last.0).max(0);
        let mut pace = Pace::default();
        if asked.last != Time::MIN {
            pace.since_ms = Some(u32::try_from(since_ns / (SECOND / 1000)).unwrap_or(u32::MAX));
            let late = (super::LATE_S * SECOND as f64) as i64;
            if since_ns <= late {
                let near = asked.recent.iter().filter(|(_, start)| time.0.saturating_sub(start.0) <= late);
                pace.in_flight = near.filter(|(slot, start)| is_open(*slot, *start)).count() as u8;
            }
        }
        asked.last = time;
        asked.recent.rotate_right(1);
        asked.recent[0] = exchange;
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_before_is_known_and_bounded() {
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut paces = Paces::default();
        let mut ask = |point: u8, slot: u32, ms: i64, open: bool| {
            let time = Time(ms * SECOND / 1000);
            paces.ask((PointId(point), a, b), time, (slot, time), |_, _| open)
        };
        assert_eq!(ask(0, 1, 5_000, true), Pace { since_ms: None, in_flight: 0 });
        assert_eq!(ask(1, 1, 5_001, true), Pace { since_ms: None, in_flight: 0 });
        assert_eq!(ask(0, 2, 7_000, true), Pace { since_ms: Some(2_000), in_flight: 1 });
        assert_eq!(ask(0, 3, 9_000, true), Pace { since_ms: Some(2_000), in_flight: 1 });
        assert_eq!(ask(0, 4, 73_000, true), Pace { since_ms: Some(64_000), in_flight: 0 });
        for n in 0..3 * MOST_WAYS as u32 {
            paces.ask((PointId(2), IpAddr::from(n.to_be_bytes()), b), Time(0), (n, Time(0)), |_, _| false);
        }
        assert!(paces.young.len() + paces.old.len() <= 2 * MOST_WAYS);
    }
}
