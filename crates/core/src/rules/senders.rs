//! Rule `senders`: who broadcasts or multicasts (mode 5), from which addresses, and when each was heard.
//!
//! Such packets answer nobody, so they are in no exchange. Counts and spans are kept of all. For the order in which
//! addresses speak ([`Senders::windows`]) whole windows of time are kept, an even sample of them where there are many:
//! within one, nothing is left out between two packets.

use super::{Material, Summary, keep_first};
use crate::exchange::{Heard, PointId};
use crate::model::{Event, InputId, Origin, Packet, Row, What};
use crate::time::{SECOND, Time};
use foldhash::fast::FixedState;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// Length of a window: eight polls at 1024 s, the longest that a broadcast server uses by itself (`maxpoll` 10).
const WINDOW: i64 = 8192 * SECOND;

/// Windows kept of all listeners together; a day of one listener has eleven.
const MOST_WINDOWS: usize = 512;

/// Packets kept of one window: four servers at a poll of 16 s send two thousand.
const MOST_IN_WINDOW: usize = 2048;

/// Senders whose packets are counted; a flood from invented addresses would be without end.
const MOST_SENDERS: usize = 1 << 12;

/// Routes kept of one input: a router has a million, and those that concern groups are few.
const MOST_ROUTES: usize = 64;

/// Where broadcasts are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// A capture point.
    Point(PointId),
    /// A client's own record of packets (`rawstats`, Zeek, text of tcpdump).
    Records(InputId),
}

/// Packets of one sender to one group, as one listener heard them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// Who heard.
    pub listener: Listener,
    /// To whom: a multicast group, or a broadcast address.
    pub group: IpAddr,
    /// From whom.
    pub sender: IpAddr,
}

/// How often and how a sender was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Packets.
    pub n: u64,
    /// The first.
    pub first: (Time, Origin),
    /// The last.
    pub last: (Time, Origin),
    /// Lowest and highest TTL, where the evidence has it.
    pub ttl: Option<(u8, u8)>,
    /// The poll interval that the packets announce, as exponent of 2 s; the highest.
    pub poll: Option<i8>,
}

/// One packet in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speech {
    /// When it was heard, on the listener's clock.
    pub time: Time,
    /// Who spoke.
    pub sender: IpAddr,
    /// When the sender's clock was last set, by its own account; 0 where unknown or a whole second, which clocks of
    /// several servers can share.
    pub reference: u64,
    /// Where it is.
    pub origin: Origin,
}

type Window = BTreeMap<(Time, IpAddr), Speech>;

/// Everything that was broadcast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Senders {
    ways: BTreeMap<Way, Count>,
    windows: BTreeMap<(Listener, IpAddr, i64), Window>,
    /// Windows are kept whose number's hash begins with so many zero bits.
    level: u32,
    /// Routes of hosts; those that may carry multicasts (to groups, and the default) before all others.
    routes: BTreeMap<InputId, BTreeMap<Route, Origin>>,
}

/// A route: address and length of its prefix, and the interface; empty where it has none (`unreachable`).
pub type Route = ((IpAddr, u8), String);

impl Summary for Senders {
    fn fold(&mut self, material: Material<'_>) {
        match material {
            Material::Heard(heard) => self.heard(heard),
            Material::Row(Row::Packet(packet)) if is_broadcast(packet) => self.recorded(packet),
            Material::Row(&Row::Event(Event { at, what: What::Route { to, interface, .. } })) if !is_whole(to) => {
                let routes = self.routes.entry(at.origin.input).or_default();
                note(routes, (to, interface.to_owned()), at.origin);
            }
            _ => {}
        }
    }

    fn merge(&mut self, later: Self) {
        for (way, count) in later.ways {
            self.ways.entry(way).and_modify(|own| own.add(count)).or_insert(count);
        }
        keep_first(&mut self.ways, MOST_SENDERS);
        for (key, window) in later.windows {
            let own = self.windows.entry(key).or_default();
            window.into_iter().for_each(|(at, speech)| keep(own, at, speech));
        }
        for (input, later) in later.routes {
            let routes = self.routes.entry(input).or_default();
            later.into_iter().for_each(|(route, origin)| note(routes, route, origin));
        }
        self.level = self.level.max(later.level);
        let level = self.level;
        self.windows.retain(|(.., number), _| is_kept(*number, level));
        self.shrink();
    }
}

/// Whether a row is a broadcast: it says so, or (`rawstats` before ntpd 4.2.7) it answers no request.
fn is_broadcast(packet: &Packet<'_>) -> bool {
    let answers = |stamp: Option<u64>| stamp.is_some_and(|stamp| stamp != 0);
    let to_many = packet.destination.0.is_some_and(|to| to.is_multicast());
    packet.mode.map_or(to_many && !answers(packet.originate) && !answers(packet.receive), |mode| mode == 5)
}

/// A reference timestamp that only one clock can have.
fn own_reference(stamp: u64) -> u64 {
    if stamp as u32 == 0 { 0 } else { stamp }
}

/// A route to one address: `ip route get` prints it whatever the table says of groups.
fn is_whole((to, bits): (IpAddr, u8)) -> bool {
    bits == if to.is_ipv4() { 32 } else { 128 }
}

fn note(routes: &mut BTreeMap<Route, Origin>, route: Route, origin: Origin) {
    routes.entry(route).and_modify(|known| *known = origin.min(*known)).or_insert(origin);
    // Groups stand at the end of their version's addresses: the default and the groups are kept last.
    while routes.len() > MOST_ROUTES {
        let spare = routes.keys().find(|((to, bits), _)| *bits > 0 && !to.is_multicast()).cloned();
        match spare {
            Some(spare) => drop(routes.remove(&spare)),
            None => drop(routes.pop_last()),
        }
    }
}

fn keep(window: &mut Window, at: (Time, IpAddr), speech: Speech) {
    window.entry(at).and_modify(|known| *known = speech.min(*known)).or_insert(speech);
    keep_first(window, MOST_IN_WINDOW);
}

impl Count {
    fn add(&mut self, other: Count) {
        self.n += other.n;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.ttl = match (self.ttl, other.ttl) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (own, other) => own.or(other),
        };
        self.poll = self.poll.max(other.poll);
    }
}

impl Senders {
    fn heard(&mut self, heard: &Heard) {
        let Heard { seen, header } = heard;
        let listener = Listener::Point(seen.point);
        let way = Way { listener, group: seen.destination.0, sender: seen.source.0 };
        let ttl = Some((seen.ttl, seen.ttl));
        let poll = (header.caught() > 2).then(|| header.poll());
        let reference = own_reference(header.reference());
        self.take(way, Speech { time: seen.own, sender: way.sender, reference, origin: seen.origin }, ttl, poll);
    }

    fn recorded(&mut self, packet: &Packet<'_>) {
        let (Some(sender), Some(group), Some(time)) = (packet.source.0, packet.destination.0, packet.at.time) else {
            return;
        };
        let origin = packet.at.origin;
        let way = Way { listener: Listener::Records(origin.input), group, sender };
        let reference = own_reference(packet.reference.unwrap_or(0));
        let ttl = packet.ttl.map(|ttl| (ttl, ttl));
        self.take(way, Speech { time, sender, reference, origin }, ttl, packet.poll);
    }

    fn take(&mut self, way: Way, speech: Speech, ttl: Option<(u8, u8)>, poll: Option<i8>) {
        let seen = (speech.time, speech.origin);
        let count = Count { n: 1, first: seen, last: seen, ttl, poll };
        self.ways.entry(way).and_modify(|own| own.add(count)).or_insert(count);
        keep_first(&mut self.ways, MOST_SENDERS);
        let number = speech.time.0.div_euclid(WINDOW);
        if is_kept(number, self.level) {
            let window = self.windows.entry((way.listener, way.group, number)).or_default();
            keep(window, (speech.time, speech.sender), speech);
            self.shrink();
        }
    }

    /// Which windows stay follows from their numbers alone, so that all listeners keep the same, in any order.
    fn shrink(&mut self) {
        while self.windows.len() > MOST_WINDOWS {
            self.level += 1;
            let level = self.level;
            self.windows.retain(|(.., number), _| is_kept(*number, level));
        }
    }

    /// Who was heard where, and how often.
    pub fn ways(&self) -> impl Iterator<Item = (Way, Count)> {
        self.ways.iter().map(|(way, count)| (*way, *count))
    }

    /// The routes in `inputs`, those that may carry multicasts among them.
    pub fn routes(&self, inputs: &[InputId]) -> impl Iterator<Item = (&Route, Origin)> {
        let listed = inputs.iter().filter_map(|input| self.routes.get(input));
        listed.flatten().map(|(route, origin)| (route, *origin))
    }

    /// What listeners heard of one group, in the order of time: one list for each window.
    pub fn windows(&self, listeners: &[Listener], group: IpAddr) -> Vec<Vec<Speech>> {
        let mut all: BTreeMap<i64, Vec<Speech>> = BTreeMap::new();
        for ((listener, to, number), window) in &self.windows {
            if *to == group && listeners.contains(listener) {
                all.entry(*number).or_default().extend(window.values());
            }
        }
        let mut windows: Vec<Vec<Speech>> = all.into_values().collect();
        for window in &mut windows {
            window.sort_unstable();
            // The same file may be there twice, under two names.
            window.dedup_by_key(|speech| (speech.time, speech.sender));
        }
        windows
    }
}

fn is_kept(number: i64, level: u32) -> bool {
    level == 0 || FixedState::with_seed(1).hash_one(number).leading_zeros() >= level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, Place};
    use proptest::prelude::*;

    /// A broadcast each so many seconds from one of three addresses, for years.
    fn fold(numbers: std::ops::Range<u32>, every: i64) -> Senders {
        let mut senders = Senders::default();
        for n in numbers {
            let origin = Origin { input: InputId(0), place: Place::Line(n) };
            let time = Some(Time(i64::from(n) * every * SECOND));
            let source = (Some(IpAddr::from([10, 3, 0, (n % 3) as u8])), None);
            let destination = (Some(IpAddr::from([224, 0, 1, 1])), None);
            let at = At { time, ..At::origin(origin) };
            let packet = Packet { source, destination, mode: Some(5), ..Packet::new(at) };
            senders.fold(Material::Row(&Row::Packet(packet)));
        }
        senders
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]
        #[test]
        fn merging_parts_gives_the_whole_in_bounded_memory(n in 1_u32..9000, cut in 0.0f64..1.0, every in 1_i64..40_000) {
            let cut = (f64::from(n) * cut) as u32;
            let (whole, mut merged) = (fold(0..n, every), fold(0..cut, every));
            merged.merge(fold(cut..n, every));
            prop_assert_eq!(&merged, &whole);
            prop_assert!(whole.windows.len() <= MOST_WINDOWS);
            prop_assert_eq!(whole.ways.values().map(|count| count.n).sum::<u64>(), u64::from(n));
        }
    }
}
