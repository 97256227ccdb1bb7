//! The simulator's heart: what happens next, in virtual time, the same for the same seed.
//!
//! Time is true UTC in nanoseconds. Events of one instant happen in the order in which they were arranged.

use super::daemon::{Act, Datagram};
use super::filter::{Verdict, judge};
use super::host::{Clock, Hire, Host, Waiting};
use super::link::{Link, LinkFault, Passage};
use super::packet::{Body, Packet, Unreachable, is_group};
use super::record::{Capture, Evidence};
use super::seed;
use super::server::Answer;
use super::wiring::{End, Wiring};
use crate::world::World;
use anyhow::{Context, Result};
use ntpscope_core::time::{SECOND, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};

/// When worlds start: 2026-11-22T09:30:00Z, later than the build of any daemon they name.
const START: i64 = 1_795_339_800 * SECOND;
/// Clients start within this time of one another, as a site does that gets its power back.
const STARTS_WITHIN: i64 = SECOND;
/// A router gives up to find a neighbour after this time (three questions, a second apart).
const NEIGHBOUR_TIMEOUT: i64 = 3 * SECOND;

/// A world at work.
pub struct Engine<'w> {
    pub(super) world: &'w World,
    pub(super) hire: Hire,
    pub(super) now: i64,
    /// When the world started, true ns.
    pub(super) start: i64,
    queue: BinaryHeap<Reverse<Queued>>,
    arranged: u64,
    pub(super) wiring: Wiring,
    pub(super) hosts: Vec<Host>,
    links: Vec<Link>,
    pub(super) link_faults: Vec<(Option<LinkFault>, bool)>,
    nats: Vec<bool>,
    captures: BTreeMap<End, Capture>,
    pub(super) evidence: Evidence,
    /// What has happened, counted.
    pub(super) tally: BTreeMap<String, u64>,
}

struct Queued {
    at: i64,
    number: u64,
    what: Happens,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What can happen.
pub(super) enum Happens {
    /// A daemon is started.
    Start(usize),
    /// A timer of a daemon, in one of its lives.
    Timer(usize, u32, u64),
    /// A packet leaves a host; whether it is forwarded.
    Leaves(usize, Packet, bool),
    /// A packet arrives at an end, from another.
    Arrives(End, End, Packet),
    /// A server sends an answer.
    Answers(usize, u32, Box<Answer>),
    /// A server broadcasts.
    Broadcasts(usize),
    /// A foreign hand moves a clock.
    Hand(usize),
    /// A fault begins or ends.
    Fault(usize, bool),
    /// The leap second of a fault.
    Leap(usize),
    /// Somebody looks at all hosts.
    Looks(&'static str),
}

impl<'w> Engine<'w> {
    /// A world before its start.
    ///
    /// # Errors
    /// What it says can't be.
    pub fn new(world: &'w World, seed: u64, hire: Hire, evidence: Evidence) -> Result<Engine<'w>> {
        let wiring = Wiring::new(world, seed)?;
        let start = super::fault::start_of(world).unwrap_or(START);
        let hosts = world.hosts.iter().enumerate().map(|(number, (name, host))| {
            Host::new(number, host, &wiring, start, seed).with_context(|| format!("host {name}"))
        });
        let hosts: Vec<Host> = hosts.collect::<Result<_>>()?;
        let links = world.links.iter();
        let links = links.map(|(name, link)| Link::new(link, seed::stream(seed, &format!("link {name}")))).collect();
        let nats = hosts.iter().map(|host| host.nat.is_some()).collect();
        let link_faults = world.faults.iter().map(|fault| Ok((LinkFault::of(&fault.what, world, &wiring)?, false)));
        let link_faults = link_faults.collect::<Result<_>>()?;
        let mut engine = Engine {
            world,
            hire,
            now: start,
            start,
            queue: BinaryHeap::new(),
            arranged: 0,
            wiring,
            hosts,
            links,
            link_faults,
            nats,
            captures: BTreeMap::new(),
            evidence,
            tally: BTreeMap::new(),
        };
        for point in &world.captures {
            let end = engine.wiring.end(point).context("captures")?;
            let capture = Capture::new(point, &mut engine.evidence);
            engine.captures.insert(end, capture);
        }
        engine.arrange_all()?;
        Ok(engine)
    }

    fn arrange_all(&mut self) -> Result<()> {
        self.arrange_faults()?;
        let duration = self.after(self.world.duration.0);
        self.arrange(self.start, Happens::Looks("0start"));
        for (name, share) in [("early", 0.1), ("mid", 0.5), ("end", 1.0)] {
            let at = self.start + (share * (duration - self.start) as f64) as i64;
            self.arrange(at, Happens::Looks(name));
        }
        for host in 0..self.hosts.len() {
            let soon = self.start + self.hosts[host].within(STARTS_WITHIN);
            let starts = self.hosts[host].said.daemon.as_ref().and_then(|daemon| daemon.starts);
            let at = starts.map_or(soon, |starts| self.after(starts.0));
            self.arrange(at, Happens::Start(host));
            self.arrange_hand(host);
            let server = self.hosts[host].server.as_ref();
            if let Some(every) = server.and_then(super::server::Server::broadcasts_every) {
                let first = self.start + self.hosts[host].within(every);
                self.arrange(first, Happens::Broadcasts(host));
            }
        }
        Ok(())
    }

    /// The true instant so many seconds after the start.
    pub(super) fn after(&self, seconds: f64) -> i64 {
        self.start + (seconds * 1e9) as i64
    }

    pub(super) fn arrange(&mut self, at: i64, what: Happens) {
        self.arranged += 1;
        self.queue.push(Reverse(Queued { at: at.max(self.now), number: self.arranged, what }));
    }

    pub(super) fn count(&mut self, what: String) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Plays the world to its end; what was counted is returned.
    ///
    /// # Errors
    /// The evidence could not be written, or a daemon could not be started again.
    pub fn run(mut self) -> Result<(Evidence, BTreeMap<String, u64>)> {
        let end = self.after(self.world.duration.0);
        while let Some(Reverse(Queued { at, what, .. })) = self.queue.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.happen(what)?;
        }
        self.configurations();
        Ok((self.evidence, self.tally))
    }

    fn happen(&mut self, what: Happens) -> Result<()> {
        match what {
            Happens::Start(host) => self.start_daemon(host)?,
            Happens::Timer(host, life, token) => self.timer(host, life, token),
            Happens::Leaves(host, packet, forwarded) => self.leave(host, packet, forwarded),
            Happens::Arrives(end, from, packet) => self.arrive(end, from, packet),
            Happens::Answers(host, life, answer) => self.answer(host, life, &answer),
            Happens::Broadcasts(host) => self.broadcast(host),
            Happens::Hand(host) => self.hand(host),
            Happens::Fault(number, begins) => self.fault(number, begins)?,
            Happens::Leap(number) => self.leap(number),
            Happens::Looks(name) => self.look(name),
        }
        Ok(())
    }

    /// Starts a daemon, unless a fault keeps it down.
    pub(super) fn start_daemon(&mut self, host: usize) -> Result<()> {
        if self.hosts[host].stopped > 0 {
            return Ok(());
        }
        let addresses: Vec<IpAddr> = self.wiring.addresses(host).collect();
        let (hire, now) = (self.hire, self.now);
        let name = &self.wiring.names[host];
        self.hosts[host].hire(hire, &addresses, now).with_context(|| format!("host {name}"))?;
        let acts = self.hosts[host].call(now, None, |daemon, now, acts| daemon.start(now, acts));
        self.act(host, acts);
        Ok(())
    }

    fn timer(&mut self, host: usize, life: u32, token: u64) {
        let at = &mut self.hosts[host];
        if at.life != life || at.stopped > 0 {
            return;
        }
        if at.paused > 0 {
            at.keep(Waiting::Timer(token));
            return;
        }
        let acts = at.call(self.now, None, |daemon, now, acts| daemon.wake(token, now, acts));
        self.act(host, acts);
    }

    /// Does what a daemon asks for.
    pub(super) fn act(&mut self, host: usize, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send(datagram) => self.send(host, datagram),
                Act::Wake { token, after_s } => {
                    let at = self.hosts[host].clock.when(after_s, self.now);
                    let life = self.hosts[host].life;
                    self.arrange(at, Happens::Timer(host, life, token));
                }
                Act::Write { file, line } => self.evidence.line(&self.wiring.names[host], file, &line),
                Act::Step(_) | Act::Offset { .. } | Act::Frequency(_) | Act::Slew { .. } => {
                    self.hosts[host].adjust(&act, self.now);
                }
            }
        }
        self.arrange_hand(host);
    }

    /// A daemon's request, with the source address and port that the kernel gives it.
    fn send(&mut self, host: usize, mut datagram: Datagram) {
        let to = datagram.destination;
        let Some((out, _)) = self.way_out(host, to.ip(), datagram.source.ip()) else {
            return self.count(format!("{} has no route to {}", self.wiring.names[host], to.ip()));
        };
        let own = &self.wiring.interfaces[host][out].addresses;
        let chosen = datagram.source.ip();
        let fits = own.iter().any(|(address, _)| *address == chosen);
        let first = own.iter().map(|(address, _)| *address).find(|address| address.is_ipv4() == to.is_ipv4());
        let Some(source) = first.filter(|_| !fits).or(Some(chosen)) else { return };
        let at = &mut self.hosts[host];
        datagram.source = SocketAddr::new(source, at.port(datagram.source.port(), to));
        let (id, leaves) = (at.next_id(), self.now + at.takes());
        if matches!(datagram.payload.first().map(|first| first & 7), Some(1 | 3)) {
            self.count(format!("{} asked {}", self.wiring.names[host], to.ip()));
        }
        self.arrange(leaves, Happens::Leaves(host, Packet::of(datagram, id), false));
    }

    /// The interface towards an address, and the next hop; to a group, the interface of the source's address.
    fn way_out(&self, host: usize, to: IpAddr, source: IpAddr) -> Option<(usize, IpAddr)> {
        if !is_group(to) {
            return self.wiring.route(host, to);
        }
        let interfaces = &self.wiring.interfaces[host];
        let own = self.wiring.owner(source).filter(|(owner, at)| *owner == host && interfaces[*at].link.is_some());
        let first = || interfaces.iter().position(|interface| interface.link.is_some());
        own.map(|(_, at)| at).or_else(first).map(|at| (at, to))
    }

    /// A packet goes out: it is routed, rewritten, captured and carried.
    fn leave(&mut self, host: usize, mut packet: Packet, forwarded: bool) {
        if self.hosts[host].off > 0 {
            return;
        }
        let to = packet.destination.ip();
        if self.wiring.owner(to).is_some_and(|(owner, _)| owner == host) {
            return self.local(host, &packet);
        }
        let Some((out, hop)) = self.way_out(host, to, packet.source.ip()) else {
            return self.count(format!("{} has no route to {to}", self.wiring.names[host]));
        };
        let is_outside = self.wiring.outside(host) == Some(out);
        if let (Some(nat), true, Body::Udp(_)) = (&mut self.hosts[host].nat, is_outside, &packet.body) {
            match nat.outbound(packet.source, packet.destination, self.now) {
                Some(source) => packet.source = source,
                None => return self.count(format!("{} had no port left", self.wiring.names[host])),
            }
        }
        let from = (host, out);
        let Some(link) = self.wiring.at(from).link else { return };
        let ends: Vec<End> = self.wiring.on(link).iter().copied().filter(|end| *end != from).collect();
        let neighbour = self.wiring.owner(hop).filter(|end| ends.contains(end));
        if !is_group(to) && neighbour.is_none_or(|(next, _)| self.hosts[next].off > 0) {
            // Nobody says that the next hop is his: the router tells the sender, a host only its own daemon.
            let own = self.wiring.own_address(from, packet.source.is_ipv4());
            if let (true, Some(own)) = (forwarded, own) {
                let error = packet.error(own, Unreachable::Host);
                self.tell(host, error, self.now + NEIGHBOUR_TIMEOUT);
            }
            return;
        }
        let next_mac = neighbour.map_or([0xff; 6], |end| self.wiring.at(end).mac);
        self.capture(from, &packet, self.wiring.at(from).mac, next_mac);
        let heard = if is_group(to) { ends } else { neighbour.into_iter().collect() };
        for end in heard {
            let faults = self.link_faults.iter().filter(|(_, works)| *works).filter_map(|(fault, _)| fault.as_ref());
            match self.links[link].carry(link, &packet, (from, end), faults, &self.wiring, &self.nats) {
                Passage::Lost => {
                    self.count(format!("{} lost towards {}", self.wiring.links[link], self.wiring.names[end.0]))
                }
                Passage::Brings(once, again) => {
                    self.arrange(self.now + once, Happens::Arrives(end, from, packet.clone()));
                    if let Some(again) = again {
                        self.count(format!("{} brought twice", self.wiring.links[link]));
                        self.arrange(self.now + again, Happens::Arrives(end, from, packet.clone()));
                    }
                }
            }
        }
    }

    /// Sends an error of the host itself.
    fn tell(&mut self, host: usize, error: Option<Packet>, at: i64) {
        if let Some(mut error) = error {
            error.id = self.hosts[host].next_id();
            self.arrange(at, Happens::Leaves(host, error, false));
        }
    }

    fn capture(&mut self, end: End, packet: &Packet, from: [u8; 6], to: [u8; 6]) {
        if let Some(capture) = self.captures.get(&end) {
            let time = self.hosts[end.0].clock.read(self.now);
            capture.write(packet, from, to, time, &mut self.evidence);
        }
    }

    /// A packet comes in: it is captured, translated back, delivered or forwarded.
    fn arrive(&mut self, end: End, from: End, mut packet: Packet) {
        let (host, _) = end;
        if self.hosts[host].off > 0 {
            return;
        }
        self.capture(end, &packet, self.wiring.at(from).mac, self.wiring.at(end).mac);
        let to = packet.destination.ip();
        if is_group(to) {
            // A group's packets reach daemons that joined it; broadcasts all.
            if !to.is_multicast() || self.hosts[host].asks(to) {
                self.local(host, &packet);
            }
            return;
        }
        if self.wiring.outside(host) == Some(end.1) {
            self.translate_back(host, &mut packet);
        }
        let to = packet.destination.ip();
        let is_own = self.wiring.owner(to).is_some_and(|(owner, _)| owner == host);
        let is_router = self.hosts[host].said.router || self.hosts[host].nat.is_some();
        if !is_own && !is_router {
            return;
        }
        // A router's filter judges what it forwards, a host's what it takes in.
        if is_own != is_router {
            match judge(&mut self.hosts[host].filters, &packet) {
                Verdict::Passes => {}
                verdict => {
                    self.count(format!("{} filtered", self.wiring.names[host]));
                    let own = self.wiring.own_address(end, packet.source.is_ipv4());
                    if let (Verdict::Rejected, Some(own)) = (verdict, own) {
                        let error = packet.error(own, Unreachable::Prohibited);
                        self.tell(host, error, self.now);
                    }
                    return;
                }
            }
        }
        if is_own {
            return self.local(host, &packet);
        }
        packet.ttl = packet.ttl.saturating_sub(1);
        if packet.ttl > 0 {
            let leaves = self.now + self.hosts[host].takes();
            self.arrange(leaves, Happens::Leaves(host, packet, true));
        }
    }

    fn translate_back(&mut self, host: usize, packet: &mut Packet) {
        let Some(nat) = &mut self.hosts[host].nat else { return };
        match &mut packet.body {
            Body::Udp(_) => {
                if let Some(inside) = nat.inbound(packet.source, packet.destination, self.now) {
                    packet.destination = inside;
                }
            }
            Body::Error { about, .. } => {
                if let Some(inside) = nat.quoted(about.source, about.destination, self.now) {
                    packet.destination = SocketAddr::new(inside.ip(), 0);
                    about.source = inside;
                }
            }
        }
    }

    /// A packet for this host.
    fn local(&mut self, host: usize, packet: &Packet) {
        let Some(datagram) = packet.datagram() else { return };
        if !self.hosts[host].listens(datagram.destination.port()) {
            let error = packet.error(datagram.destination.ip(), Unreachable::Port);
            self.count(format!("{} had nothing listening", self.wiring.names[host]));
            return self.tell(host, error, self.now);
        }
        let received = self.hosts[host].clock.read(self.now);
        if self.hosts[host].paused > 0 {
            self.hosts[host].keep(Waiting::Datagram(datagram, received));
        } else {
            self.deliver(host, &datagram, received);
        }
    }

    /// A datagram for the daemon, that arrived when the clock showed `received`.
    pub(super) fn deliver(&mut self, host: usize, datagram: &Datagram, received: Time) {
        let mode = datagram.payload.first().map_or(0, |first| first & 7);
        let source = datagram.source.ip();
        let at = &mut self.hosts[host];
        if matches!(mode, 2 | 4 | 5) || mode == 1 && at.asks(source) {
            if matches!(mode, 2 | 4) && at.daemon.is_some() {
                *self.tally.entry(format!("{} answered by {source}", self.wiring.names[host])).or_default() += 1;
            }
            let acts = at.call(self.now, Some(received), |daemon, now, acts| daemon.receive(datagram, now, acts));
            return self.act(host, acts);
        }
        let wrong = Time(received.0 + (at.wrong_s * 1e9) as i64);
        let Some(server) = &mut at.server else { return };
        match server.receive(datagram, wrong, self.now) {
            Some(answer) => {
                let (sends, life) = (self.now + server.takes(), at.life);
                self.arrange(sends, Happens::Answers(host, life, Box::new(answer)));
            }
            None => self.count(format!("{} did not answer {source}", self.wiring.names[host])),
        }
    }

    fn answer(&mut self, host: usize, life: u32, answer: &Answer) {
        let at = &mut self.hosts[host];
        if at.life != life || at.stopped > 0 {
            return;
        }
        let (system, clock) = (at.system(self.now), at.serves(self.now));
        let Some(server) = &at.server else { return };
        let datagram = server.reply(answer, &system, clock);
        let (id, leaves) = (at.next_id(), self.now + at.takes());
        self.arrange(leaves, Happens::Leaves(host, Packet::of(datagram, id), false));
    }

    fn broadcast(&mut self, host: usize) {
        let own = self.wiring.addresses(host).next();
        let at = &mut self.hosts[host];
        let (system, clock) = (at.system(self.now), at.serves(self.now));
        let runs = at.stopped == 0 && at.paused == 0;
        let (Some(server), Some(own)) = (&mut at.server, own) else { return };
        let Some((every, to)) = server.broadcasts_every().zip(server.broadcasts_to()) else { return };
        let from = if runs { server.broadcasts_from(own) } else { Vec::new() };
        let datagrams: Vec<Datagram> =
            from.into_iter().map(|from| server.broadcast(from, to, &system, clock)).collect();
        for datagram in datagrams {
            let (id, leaves) = (self.hosts[host].next_id(), self.now + self.hosts[host].takes());
            self.arrange(leaves, Happens::Leaves(host, Packet::of(datagram, id), false));
        }
        // ntpd spreads its polls by a second or so.
        let next = self.now + every - SECOND / 2 + self.hosts[host].within(SECOND);
        self.arrange(next, Happens::Broadcasts(host));
    }

    /// Arranges the next work of a foreign hand, where it has changed.
    pub(super) fn arrange_hand(&mut self, host: usize) {
        let Clock::System(clock) = &self.hosts[host].clock else { return };
        let next = clock.next_foreign();
        if next != self.hosts[host].hand {
            self.hosts[host].hand = next;
            if let Some(at) = next {
                self.arrange(at, Happens::Hand(host));
            }
        }
    }

    fn hand(&mut self, host: usize) {
        let now = self.now;
        let at = &mut self.hosts[host];
        let is_due = at.hand == Some(now);
        if let (Clock::System(clock), true) = (&mut at.clock, is_due) {
            clock.foreign(now);
            at.hand = None;
        }
        self.arrange_hand(host);
    }
}
