//! Joins packets into exchanges: by timestamps, never by order.
//!
//! A reply's origin timestamp is its request's transmit timestamp, and no router changes either. So one 64-bit
//! number joins a request with its reply, and both with themselves at every other point, whatever happened to
//! addresses and ports on the way. Where that number is missing (zero, or cut off by a snap length), addresses and
//! ports at one point must do, and the exchange is marked weak.

use super::pace::{Pace, Paces};
use super::{Alignment, Answer, Copied, Exchange, MAX_DISTANCE_S, PointId, Points, Sighting};
use crate::time::{SECOND, Time};
use crate::wire::{Packet, Role, ntp};
use foldhash::fast::FixedState;
use smallvec::smallvec;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;

/// A reply that comes later than this after its request is not joined to it: the memory's horizon. Longer than any
/// client waits (ntpd and chronyd wait for one poll, mostly 64 s), to tell a stalled server from a silent one.
pub const HORIZON: i64 = 120 * SECOND;

/// An exchange whose reply was seen wherever its request was is handed on after this long: duplicates come sooner.
const GRACE: i64 = 4 * SECOND;

/// The same request at two points lies within this on the common scale; the same again at one point is a duplicate
/// within this, and another request beyond.
const SAME: i64 = SECOND;

/// Exchanges in flight at once. A flood beyond closes the oldest early, and is counted.
const MOST_OPEN: usize = 1 << 16;

/// Requests with one key that are told apart; more are an attack or a stuck client.
const MOST_ALIKE: usize = 16;

/// Pairs of symmetric peers that are remembered; beyond, all are taken for peers.
const MOST_PEERS: usize = 1 << 12;

/// Copies of one packet that are kept: a loop makes more, and these show it.
const MOST_COPIES: usize = 16;

const NONE: u32 = u32::MAX;

/// What was counted besides exchanges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// NTP packets seen, ICMP errors that quote one among them.
    pub packets: u64,
    /// Replies whose request was not seen.
    pub unasked: u64,
    /// Broadcast packets (mode 5).
    pub broadcasts: u64,
    /// Control packets (modes 6 and 7).
    pub control: u64,
    /// Exchanges handed on early because too many were open.
    pub hurried: u64,
    /// Packets that can't be joined with those of other points because their capture cut off their timestamps.
    pub cut: u64,
}

/// The state of the joining; memory is bounded by [`HORIZON`] and by a count.
#[derive(Debug)]
pub struct Matcher {
    alignment: Alignment,
    surveyed: bool,
    now: Time,
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<u64, u32, FixedState>,
    /// Slots in the order of their start; those still incomplete after [`GRACE`] move on to `old`.
    young: VecDeque<u32>,
    old: VecDeque<u32>,
    orphans: HashMap<u64, (Packet, PointId), FixedState>,
    orphan_ages: VecDeque<(u64, Time)>,
    /// Who has sent a symmetric packet to whom.
    peers: HashSet<(IpAddr, IpAddr), FixedState>,
    paces: Paces,
    /// What was counted so far.
    pub tally: Tally,
}

#[derive(Debug)]
struct Slot {
    exchange: Exchange,
    key: u64,
    start: Time,
    /// The next slot with the same key.
    next: u32,
}

impl Matcher {
    /// For captures on the scale of `alignment`. `surveyed` says that it knows each capture's span.
    #[must_use]
    pub fn new(alignment: Alignment, surveyed: bool) -> Self {
        Matcher {
            alignment,
            surveyed,
            now: Time::MIN,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            young: VecDeque::new(),
            old: VecDeque::new(),
            orphans: HashMap::default(),
            orphan_ages: VecDeque::new(),
            peers: HashSet::default(),
            paces: Paces::default(),
            tally: Tally::default(),
        }
    }

    /// The scale as it stands: it follows clocks that drift.
    #[must_use]
    pub fn alignment(&self) -> &Alignment {
        &self.alignment
    }

    /// A number that is the same wherever the same NTP payload is seen.
    #[must_use]
    pub fn fingerprint(packet: &Packet) -> u64 {
        FixedState::default().hash_one((packet.ntp.bytes(), packet.length))
    }

    /// Takes the next packet in the order of the common scale; exchanges that are complete go to `done`.
    pub fn packet(&mut self, packet: &Packet, point: PointId, done: &mut impl FnMut(&Exchange)) {
        let time = self.alignment.common(point, packet.time);
        // A stamp far in the past is a clock that was set back: it goes on from there.
        if time > self.now || self.now.0.saturating_sub(time.0) > HORIZON {
            self.now = time;
        }
        self.expire(done);
        self.tally.packets += 1;
        let seen = Sighting { point, ..sighting_of(packet, time) };
        if packet.icmp.is_some() {
            return self.error(packet, seen);
        }
        if self.surveyed && !packet.ntp.is_whole() && matches!(packet.role(), Role::Request | Role::Reply) {
            self.tally.cut += 1;
            return;
        }
        match packet.role() {
            Role::Request => self.request(packet, seen, done),
            Role::Reply => self.reply(packet, seen, true),
            Role::Symmetric => {
                if self.peers.len() < MOST_PEERS {
                    self.peers.insert((packet.source.0, packet.destination.0));
                }
                self.reply(packet, seen, false);
                self.request(packet, seen, done);
            }
            Role::Broadcast => self.tally.broadcasts += 1,
            Role::Control => self.tally.control += 1,
            Role::Reserved => {}
        }
    }

    /// Hands on all that is still open: nothing follows.
    pub fn finish(&mut self, done: &mut impl FnMut(&Exchange)) {
        while let Some(slot) = self.old.pop_front().or_else(|| self.young.pop_front()) {
            self.close(slot, done);
        }
        self.tally.unasked += self.orphans.len() as u64;
        self.orphans.clear();
        self.orphan_ages.clear();
    }

    fn request(&mut self, packet: &Packet, seen: Sighting, done: &mut impl FnMut(&Exchange)) {
        let strong = packet.ntp.is_whole() && packet.ntp.transmit() != 0;
        let key = if strong { packet.ntp.transmit() } else { weak_key(packet.source, packet.destination) };
        let head = self.index.get(&key).copied().unwrap_or(NONE);
        // One client may send the same timestamp to several servers: the same destination is preferred, and another
        // is the same request only where a point has changed it.
        for same_destination in [true, false] {
            let (mut at, mut alike) = (head, 0);
            while at != NONE && alike < MOST_ALIKE {
                let slot = &mut self.slots[at as usize];
                let same = slot.exchange.header == packet.ntp
                    && slot.exchange.length == packet.length
                    && slot.exchange.requests.iter().any(|s| s.destination == seen.destination) == same_destination
                    && (strong || (slot.exchange.requests[0].ip_id == seen.ip_id && seen.ip_id != 0));
                let sightings = slot.exchange.requests.len();
                if same && slot.exchange.see_again(seen) {
                    if slot.exchange.requests.len() > sightings {
                        self.pace(at);
                    }
                    let slot = &self.slots[at as usize];
                    if let [first, .., last] = slot.exchange.requests.as_slice()
                        && last.point == seen.point
                    {
                        self.alignment.follow(seen.point, seen.time.0.saturating_sub(first.time.0));
                    }
                    return;
                }
                at = slot.next;
                alike += 1;
            }
        }
        if self.young.len() + self.old.len() >= MOST_OPEN {
            self.tally.hurried += 1;
            if let Some(slot) = self.old.pop_front().or_else(|| self.young.pop_front()) {
                self.close(slot, done);
            }
        }
        // Closing may have taken the head of this key's chain.
        let next = self.index.get(&key).copied().unwrap_or(NONE);
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { exchange: Exchange::of(packet, seen), key, start: seen.time, next });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[number as usize];
        (slot.key, slot.start, slot.next) = (key, seen.time, next);
        slot.exchange.begin(packet, seen);
        slot.exchange.weak = !strong || head != NONE;
        self.index.insert(key, number);
        self.young.push_back(number);
        self.pace(number);
        // A point whose clock is a little ahead can show the reply first.
        if strong && let Some((reply, point)) = self.orphans.remove(&key) {
            let time = self.alignment.common(point, reply.time);
            self.reply(&reply, Sighting { point, ..sighting_of(&reply, time) }, true);
        }
    }

    /// Notes of the sighting that a slot's exchange had last what its address had asked before.
    fn pace(&mut self, number: u32) {
        let slot = &self.slots[number as usize];
        let (start, Some(seen)) = (slot.start, slot.exchange.requests.last()) else { return };
        let way = (seen.point, seen.source.0, seen.destination.0);
        let is_open = |slot: u32, start: Time| {
            self.slots.get(slot as usize).is_some_and(|s| s.start == start && s.exchange.replies.is_empty())
        };
        let pace = self.paces.ask(way, seen.time, (number, start), is_open);
        if let Some(seen) = self.slots[number as usize].exchange.requests.last_mut() {
            seen.pace = pace;
        }
    }

    fn reply(&mut self, packet: &Packet, seen: Sighting, keep: bool) {
        let strong = packet.ntp.caught() >= 32 && packet.ntp.origin() != 0;
        let key = if strong { packet.ntp.origin() } else { weak_key(packet.destination, packet.source) };
        let (mut at, mut alike) = (self.index.get(&key).copied().unwrap_or(NONE), 0);
        // The best fit: addresses that match, then not yet answered here, then the oldest (the last in the chain).
        let mut best = None;
        while at != NONE && alike < MOST_ALIKE {
            let slot = &self.slots[at as usize];
            let fit = slot.exchange.fit(&seen);
            let open = !slot.exchange.replies.iter().any(|(s, _)| s.point == seen.point);
            let own = slot.exchange.requests.iter().any(|s| s.source == seen.source);
            if !own && (strong || fit == Fit::Here) && best.is_none_or(|(b, _)| (fit, open) >= b) {
                best = Some(((fit, open), at));
            }
            at = slot.next;
            alike += 1;
        }
        match best {
            Some((_, number)) => self.slots[number as usize].exchange.answer(packet, seen),
            None if keep => self.orphan(key, packet, seen),
            None => {}
        }
    }

    fn orphan(&mut self, key: u64, packet: &Packet, seen: Sighting) {
        if self.orphans.len() >= MOST_OPEN {
            self.tally.unasked += 1;
            return;
        }
        if self.orphans.insert(key, (*packet, seen.point)).is_none() {
            self.orphan_ages.push_back((key, seen.time));
        } else {
            // Of two with one origin the later is kept.
            self.tally.unasked += 1;
        }
    }

    fn error(&mut self, packet: &Packet, seen: Sighting) {
        let Some(icmp) = packet.icmp else { return };
        let strong = packet.ntp.is_whole() && packet.ntp.transmit() != 0;
        let asked = |exchange: &Exchange| {
            exchange.requests.iter().any(|s| s.source == packet.source && s.destination == packet.destination)
        };
        let found = if strong {
            self.index.get(&packet.ntp.transmit()).copied()
        } else {
            // Only ports were quoted: the latest request between these ports is meant.
            let recent = self.young.iter().rev().take(4 * MOST_ALIKE);
            recent.copied().find(|slot| asked(&self.slots[*slot as usize].exchange))
        };
        if let Some(number) = found {
            let exchange = &mut self.slots[number as usize].exchange;
            if exchange.errors.len() < MOST_ALIKE {
                exchange.errors.push((seen, icmp.from, icmp.error));
            }
        }
    }

    /// Hands on what is old enough.
    fn expire(&mut self, done: &mut impl FnMut(&Exchange)) {
        while let Some(&slot) = self.young.front()
            && self.age(self.slots[slot as usize].start) > GRACE
        {
            self.young.pop_front();
            if self.slots[slot as usize].exchange.is_complete() {
                self.close(slot, done);
            } else {
                self.old.push_back(slot);
            }
        }
        while let Some(&slot) = self.old.front()
            && self.age(self.slots[slot as usize].start) > HORIZON
        {
            self.old.pop_front();
            self.close(slot, done);
        }
        while let Some(&(key, time)) = self.orphan_ages.front()
            && self.age(time) > HORIZON + GRACE
        {
            self.orphan_ages.pop_front();
            self.tally.unasked += u64::from(self.orphans.remove(&key).is_some());
        }
    }

    /// Distance from now; a start in the future belongs to a time before the clock was set back.
    fn age(&self, start: Time) -> i64 {
        match self.now.0.saturating_sub(start.0) {
            age if age < -HORIZON => i64::MAX,
            age => age,
        }
    }

    fn close(&mut self, number: u32, done: &mut impl FnMut(&Exchange)) {
        let Slot { key, start, next, .. } = self.slots[number as usize];
        let head = self.index.get(&key).copied().unwrap_or(NONE);
        if head == number {
            if next == NONE {
                self.index.remove(&key);
            } else {
                self.index.insert(key, next);
            }
        } else {
            let mut at = head;
            while at != NONE && self.slots[at as usize].next != number {
                at = self.slots[at as usize].next;
            }
            if at != NONE {
                self.slots[at as usize].next = next;
            }
        }
        let receive = self.slots[number as usize].exchange.header.receive();
        if self.slots[number as usize].exchange.replies.is_empty()
            && receive != 0
            && let Some((reply, point)) = self.orphans.remove(&receive)
        {
            let time = self.alignment.common(point, reply.time);
            let exchange = &mut self.slots[number as usize].exchange;
            exchange.interleaved = true;
            exchange.answer(&reply, Sighting { point, ..sighting_of(&reply, time) });
        }
        let exchange = &mut self.slots[number as usize].exchange;
        let until = Time(start.0.saturating_add((super::LATE_S * SECOND as f64) as i64));
        exchange.covered = if self.surveyed {
            self.alignment.recording(start, until)
        } else if self.now >= until {
            exchange.requests.iter().map(|s| s.point).collect()
        } else {
            Points::default()
        };
        let polls_back = |s: &Sighting| self.peers.contains(&(s.destination.0, s.source.0));
        let peers = self.peers.len() >= MOST_PEERS || exchange.requests.iter().any(polls_back);
        exchange.fate = exchange.judge(peers);
        done(exchange);
        self.free.push(number);
    }
}

pub(super) fn sighting_of(packet: &Packet, time: Time) -> Sighting {
    Sighting {
        point: PointId(0),
        origin: packet.origin,
        time,
        own: packet.time,
        source: packet.source,
        destination: packet.destination,
        ttl: packet.ttl,
        dscp: packet.dscp,
        ip_id: packet.ip_id,
        transmit: packet.ntp.transmit(),
        pace: Pace::default(),
    }
}

fn weak_key(source: (IpAddr, u16), destination: (IpAddr, u16)) -> u64 {
    FixedState::default().hash_one((source, destination))
}

/// How well a reply's addresses fit a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The request was not seen at this point.
    Unseen,
    /// The request was seen at this point with other addresses.
    Other,
    /// The reply's addresses are the request's at this point, turned round.
    Here,
}

impl Exchange {
    /// Whether a reply was seen at every point that saw the request.
    fn is_complete(&self) -> bool {
        self.requests.iter().all(|s| self.replies.iter().any(|(r, _)| r.point == s.point))
    }

    fn fit(&self, reply: &Sighting) -> Fit {
        let turned = |s: &Sighting| s.source == reply.destination && s.destination == reply.source;
        let mut fit = Fit::Unseen;
        for s in self.requests.iter().filter(|s| s.point == reply.point || s.point == reply.point.after()) {
            fit = fit.max(if turned(s) { Fit::Here } else { Fit::Other });
        }
        fit
    }

    /// Adds a further sighting of this very request; `false` where it is another request that only looks alike.
    fn see_again(&mut self, mut seen: Sighting) -> bool {
        let near = |s: &Sighting| s.time.0.abs_diff(seen.time.0) <= SAME as u64;
        match self.requests.iter().find(|s| s.point == seen.point) {
            None if self.requests.iter().any(near) => self.requests.push(seen),
            None => return false,
            Some(before) if !near(before) || before.destination != seen.destination => return false,
            Some(before) if (before.source, before.ttl) == (seen.source, seen.ttl) => {
                self.copied(Copied { point: seen.point, reply: false });
                self.duplicate_requests = self.duplicate_requests.saturating_add(1);
            }
            Some(_) => {
                seen.point = seen.point.after();
                if self.requests.iter().any(|s| s.point == seen.point) {
                    self.duplicate_requests = self.duplicate_requests.saturating_add(1);
                } else {
                    self.requests.push(seen);
                }
            }
        }
        true
    }

    fn copied(&mut self, copy: Copied) {
        if self.copies.len() < MOST_COPIES {
            self.copies.push(copy);
        }
    }

    /// Adds a reply.
    fn answer(&mut self, packet: &Packet, mut seen: Sighting) {
        let here = self.requests.iter().find(|s| {
            (s.point == seen.point || s.point == seen.point.after())
                && s.source == seen.destination
                && s.destination == seen.source
        });
        let asked = here.or_else(|| self.requests.iter().find(|s| s.point == seen.point));
        let answer = match asked {
            Some(asked) if asked.destination != seen.source => Answer::Elsewhere(seen.source.0),
            Some(asked) if asked.source != seen.destination => Answer::Misdirected(seen.destination.0),
            None if !self.requests.iter().any(|s| s.destination.0 == seen.source.0) => Answer::Elsewhere(seen.source.0),
            _ => content(&packet.ntp),
        };
        match self.replies.iter().find(|(s, _)| s.point == seen.point) {
            None => self.replies.push((seen, answer)),
            Some((before, _)) if (before.destination, before.ttl) == (seen.destination, seen.ttl) => {
                if self.replies.iter().any(|(s, _)| (s.point, s.transmit) == (seen.point, seen.transmit)) {
                    self.copied(Copied { point: seen.point, reply: true });
                }
                self.duplicate_replies = self.duplicate_replies.saturating_add(1);
            }
            Some(_) => {
                seen.point = seen.point.after();
                if self.replies.iter().any(|(s, _)| s.point == seen.point) {
                    self.duplicate_replies = self.duplicate_replies.saturating_add(1);
                } else {
                    self.replies.push((seen, answer));
                }
            }
        }
    }

    /// A request that was just seen for the first time.
    fn of(packet: &Packet, seen: Sighting) -> Exchange {
        Exchange {
            requests: smallvec![seen],
            replies: smallvec![],
            errors: Vec::new(),
            header: packet.ntp,
            length: packet.length,
            tail: packet.tail,
            covered: Points::default(),
            duplicate_requests: 0,
            duplicate_replies: 0,
            copies: Vec::new(),
            fate: super::Fate::Cut,
            weak: false,
            interleaved: false,
        }
    }

    /// Makes the same of an exchange that was handed on, in its memory.
    fn begin(&mut self, packet: &Packet, seen: Sighting) {
        self.requests.clear();
        self.requests.push(seen);
        self.replies.clear();
        self.errors.clear();
        (self.header, self.length, self.tail) = (packet.ntp, packet.length, packet.tail);
        self.covered = Points::default();
        (self.duplicate_requests, self.duplicate_replies) = (0, 0);
        self.copies.clear();
        (self.weak, self.interleaved) = (false, false);
    }
}

/// Kiss codes that refuse service. The others (INIT, STEP …) are how ntpd says that it has no time yet.
const REFUSALS: [&[u8; 4]; 3] = [b"RATE", b"DENY", b"RSTR"];

/// A server that was set longer ago than this, and is too far off by its own account, has lost its sources; one that has
/// just started is too far off as well, for a minute.
const ADRIFT_S: u64 = 3600;

/// Whether a server's root distance has grown past what clients take: it has lost its sources and goes on serving.
fn is_adrift(header: &ntp::Header) -> bool {
    let age_s = header.transmit().wrapping_sub(header.reference()) >> 32;
    let distance_s = header.root_delay_s() / 2.0 + header.root_dispersion_s();
    header.is_whole() && distance_s > MAX_DISTANCE_S && age_s > ADRIFT_S
}

fn content(header: &ntp::Header) -> Answer {
    match header.kiss() {
        Some(code) if REFUSALS.contains(&&code) => Answer::Kiss(code),
        _ if header.leap() == 3 || matches!(header.stratum(), 0 | 16..) => Answer::Unsynchronised,
        _ if is_adrift(header) => Answer::Unsynchronised,
        _ => Answer::Time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_has_lost_its_sources_serves_no_time_and_one_that_starts_does() {
        // Root dispersion of 2 s; transmitted so many seconds after the reference timestamp.
        let reply = |age_s: u32| {
            let mut bytes = [0; ntp::HEADER];
            (bytes[0], bytes[1], bytes[9]) = (0x24, 2, 2);
            bytes[16..20].copy_from_slice(&0xeead_0000u32.to_be_bytes());
            bytes[40..44].copy_from_slice(&(0xeead_0000u32 + age_s).to_be_bytes());
            ntp::Header::read(&bytes).expect("a header")
        };
        assert_eq!(content(&reply(100_000)), Answer::Unsynchronised);
        assert_eq!(content(&reply(16)), Answer::Time);
    }
}
