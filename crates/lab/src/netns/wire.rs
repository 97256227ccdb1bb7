//! The lab's wire: it takes the frames that hosts send out of their TAP interfaces, decides as the simulator does what becomes
//! of each, brings them to the other ends in their time, and keeps the captures and a log of what it did.
//!
//! A TAP interface, and not a veth, because its other end is a plain descriptor: no raw sockets that also see what they send, and
//! no checksums left for hardware to fill in, so that captures have good ones.
//!
//! A link of more than two ends is a switch that knows all hardware addresses. Only NTP and ICMP errors about it suffer from a
//! link; what neighbours need to find each other passes at once, unless one of them is off.

use super::frame::{self, Side, Sort};
use crate::sim::link::{Link, LinkFault, Passage};
use crate::sim::nat::Nat;
use crate::sim::record::{Capture, Evidence};
use crate::sim::seed;
use crate::sim::wiring::{End, Wiring};
use crate::world::{What, World};
use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use ntpscope_core::time::{SECOND, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tappers::Tap;

/// How long the wire sleeps at the most: then it looks whether it is told something.
const NAP: i64 = SECOND / 50;
/// The largest frame: an Ethernet header, a tag and a payload.
const LARGEST: usize = 1522;
/// The wire's log.
const LOG: &str = "wire.tsv";

/// Evidence that several threads write.
pub type Shared = Arc<Mutex<Evidence>>;

/// Appends to shared evidence.
pub fn put(evidence: &Shared, file: &str, bytes: &[u8]) {
    evidence.lock().unwrap_or_else(PoisonError::into_inner).append(file, bytes);
}

/// The machine's clock, which the lab reads and nobody in it may set, in nanoseconds.
#[must_use]
pub fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// What the wire is told.
pub enum Tell {
    /// The world starts at this true instant.
    Starts(i64),
    /// Say what the NAT of this host has: its table, its rules.
    Nat(usize, Sender<(String, String)>),
    /// It is over.
    Ends,
}

struct Due {
    at: i64,
    number: u64,
    to: End,
    frame: Vec<u8>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A fault at work from then to then, in nanoseconds since the world's start.
struct Lasting<T> {
    what: T,
    from: i64,
    until: i64,
}

impl<T> Lasting<T> {
    fn lasts(&self, start: Option<i64>, now: i64) -> bool {
        start.is_some_and(|start| (self.from..self.until).contains(&(now - start)))
    }
}

/// The wire of a world.
pub struct Wire {
    wiring: Arc<Wiring>,
    taps: BTreeMap<End, Tap>,
    links: Vec<Link>,
    faults: Vec<Lasting<LinkFault>>,
    /// Hosts that are off.
    off: Vec<Lasting<usize>>,
    /// Which hosts have a NAT; and those NATs that are the lab's own.
    has_nat: Vec<bool>,
    nats: BTreeMap<usize, Nat>,
    /// Which hosts have a daemon that asks.
    asks: Vec<bool>,
    captures: BTreeMap<End, Capture>,
    evidence: Shared,
    due: BinaryHeap<Reverse<Due>>,
    sent: u64,
    /// When the world starts, and how long it lasts: what is outside is not written.
    start: Option<i64>,
    duration: i64,
    tally: BTreeMap<String, u64>,
}

impl Wire {
    /// The wire between these interfaces.
    ///
    /// # Errors
    /// A fault or capture names what is not there.
    pub fn new(
        world: &World,
        wiring: Arc<Wiring>,
        seed: u64,
        taps: BTreeMap<End, Tap>,
        evidence: Shared,
    ) -> Result<Wire> {
        let links = world.links.iter();
        let links = links.map(|(name, link)| Link::new(link, seed::stream(seed, &format!("link {name}")))).collect();
        let (mut faults, mut off) = (Vec::new(), Vec::new());
        let ns = |seconds: f64| (seconds * 1e9) as i64;
        for fault in &world.faults {
            let (from, until) = (ns(fault.from.0), ns(fault.until.unwrap_or(world.duration).0));
            if let Some(what) = LinkFault::of(&fault.what, world, &wiring)? {
                faults.push(Lasting { what, from, until });
            } else if let What::Down { at } = &fault.what {
                off.push(Lasting { what: wiring.host(at)?, from, until });
            }
        }
        let mut nats = BTreeMap::new();
        for (number, (name, host)) in world.hosts.iter().enumerate() {
            let Some(nat) = host.nat.as_ref().filter(|nat| nat.rover.is_some()) else { continue };
            let end = wiring.end(&format!("{name}.{}", nat.out))?;
            let address = wiring.own_address(end, true).context("NAT needs an IPv4 address")?;
            nats.insert(number, Nat::new(nat, address, now(), seed::number(seed, name)));
        }
        let mut captures = BTreeMap::new();
        for point in &world.captures {
            let mut evidence = evidence.lock().unwrap_or_else(PoisonError::into_inner);
            captures.insert(wiring.end(point).context("captures")?, Capture::new(point, &mut evidence));
        }
        put(&evidence, LOG, b"true_time\tlink\tfrom\tto\tpacket\tfate\n");
        let has_nat = world.hosts.values().map(|host| host.nat.is_some()).collect();
        Ok(Wire {
            wiring,
            taps,
            links,
            faults,
            off,
            has_nat,
            nats,
            asks: world.hosts.values().map(|host| host.daemon.iter().any(|daemon| !daemon.asks.is_empty())).collect(),
            captures,
            evidence,
            due: BinaryHeap::new(),
            sent: 0,
            start: None,
            duration: ns(world.duration.0),
            tally: BTreeMap::new(),
        })
    }

    /// Works until it is told that it is over; what was counted is returned.
    ///
    /// # Errors
    /// The kernel does not let it wait for frames.
    pub fn work(mut self, told: &Receiver<Tell>) -> Result<BTreeMap<String, u64>> {
        let mut buffer = [0; LARGEST];
        loop {
            while let Ok(tell) = told.try_recv() {
                match tell {
                    Tell::Starts(at) => self.start = Some(at),
                    Tell::Nat(host, to) => {
                        let nat = self.nats.get(&host);
                        // Who no longer waits does not want to know.
                        let _ =
                            to.send(nat.map_or_else(Default::default, |nat| (nat.connections(now()), nat.ruleset())));
                    }
                    Tell::Ends => return Ok(self.tally),
                }
            }
            self.deliver_due();
            for from in self.wait()? {
                while let Some(length) = self.taps.get(&from).and_then(|tap| tap.recv(&mut buffer).ok()) {
                    self.take(from, buffer[..length].to_vec());
                }
            }
        }
    }

    /// Sleeps until a frame is there or due: the ends that have some.
    fn wait(&self) -> Result<Vec<End>> {
        let next = self.due.peek().map_or(NAP, |Reverse(due)| (due.at - now()).clamp(0, NAP));
        let mut polled: Vec<PollFd> =
            self.taps.values().map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN)).collect();
        match ppoll(&mut polled, Some(TimeSpec::from_duration(Duration::from_nanos(next as u64))), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("wait for frames"),
        }
        let ready = self.taps.keys().zip(&polled).filter(|(_, fd)| fd.any() == Some(true));
        Ok(ready.map(|(end, _)| *end).collect())
    }

    fn is_off(&self, host: usize, now: i64) -> bool {
        self.off.iter().any(|fault| fault.what == host && fault.lasts(self.start, now))
    }

    /// A host has sent a frame.
    fn take(&mut self, from: End, mut bytes: Vec<u8>) {
        let now = now();
        if self.is_off(from.0, now) {
            return;
        }
        let mut sort = frame::sort(&bytes);
        if let (Some(nat), true, Sort::Ntp { source, destination, .. }) =
            (self.nats.get_mut(&from.0), self.wiring.outside(from.0) == Some(from.1), &sort)
        {
            let Some(outside) = nat.outbound(*source, *destination, now) else {
                return self.count(format!("{} had no port left", self.wiring.names[from.0]));
            };
            frame::rewrite(&mut bytes, Side::Source, outside);
            sort = frame::sort(&bytes);
        }
        self.capture(from, &sort, &bytes, now);
        self.tally_request(from, &sort);
        let Some(link) = self.wiring.at(from).link else { return };
        let to_all = bytes.first().is_some_and(|first| first & 1 == 1);
        let is_heard =
            |end: &End| *end != from && (to_all || frame::receiver(&bytes) == Some(self.wiring.at(*end).mac));
        let ends: Vec<End> = self.wiring.on(link).iter().copied().filter(is_heard).collect();
        for to in ends {
            let Some(destination) = sort.destination() else {
                self.bring(now, to, bytes.clone());
                continue;
            };
            let start = self.start;
            let faults = self.faults.iter().filter(|fault| fault.lasts(start, now)).map(|fault| &fault.what);
            let passage = self.links[link].carry(link, destination, (from, to), faults, &self.wiring, &self.has_nat);
            match passage {
                Passage::Lost => {
                    self.log(now, link, (from, to), &sort, "lost");
                    self.count(format!("{} lost towards {}", self.wiring.links[link], self.wiring.names[to.0]));
                }
                Passage::Brings(once, again) => {
                    self.log(now, link, (from, to), &sort, &format!("brought {:.6}", once as f64 / 1e9));
                    self.bring(now + once, to, bytes.clone());
                    if let Some(again) = again {
                        self.log(now, link, (from, to), &sort, &format!("again {:.6}", again as f64 / 1e9));
                        self.count(format!("{} brought twice", self.wiring.links[link]));
                        self.bring(now + again, to, bytes.clone());
                    }
                }
            }
        }
    }

    fn bring(&mut self, at: i64, to: End, frame: Vec<u8>) {
        self.sent += 1;
        self.due.push(Reverse(Due { at, number: self.sent, to, frame }));
    }

    /// Hands over the frames whose time has come.
    fn deliver_due(&mut self) {
        while self.due.peek().is_some_and(|Reverse(due)| due.at <= now()) {
            if let Some(Reverse(due)) = self.due.pop() {
                self.deliver(due.to, due.frame);
            }
        }
    }

    fn deliver(&mut self, to: End, mut bytes: Vec<u8>) {
        let now = now();
        if self.is_off(to.0, now) {
            return;
        }
        let sort = frame::sort(&bytes);
        self.capture(to, &sort, &bytes, now);
        if let Sort::Ntp { source, destination, mode: 2 | 4, .. } = &sort
            && self.wiring.owner(destination.ip()) == Some(to)
            && self.asks[to.0]
        {
            self.count(format!("{} answered by {}", self.wiring.names[to.0], source.ip()));
        }
        if let (Some(nat), true) = (self.nats.get_mut(&to.0), self.wiring.outside(to.0) == Some(to.1)) {
            match &sort {
                Sort::Ntp { source, destination, .. } => {
                    if let Some(inside) = nat.inbound(*source, *destination, now) {
                        frame::rewrite(&mut bytes, Side::Destination, inside);
                    }
                }
                Sort::Error { about_source, about_destination, .. } => {
                    if let Some(inside) = nat.quoted(*about_source, *about_destination, now) {
                        frame::rewrite_error(&mut bytes, inside);
                    }
                }
                Sort::Other => {}
            }
        }
        if let Some(tap) = self.taps.get(&to) {
            // An interface that is down takes nothing, as a cable that is not plugged in.
            let _ = tap.send(&bytes);
        }
    }

    fn tally_request(&mut self, from: End, sort: &Sort) {
        if let Sort::Ntp { source, destination, mode: 1 | 3, .. } = sort
            && self.wiring.owner(source.ip()) == Some(from)
            && self.asks[from.0]
        {
            self.count(format!("{} asked {}", self.wiring.names[from.0], destination.ip()));
        }
    }

    fn is_recorded(&self, now: i64) -> bool {
        self.start.is_some_and(|start| (0..self.duration).contains(&(now - start)))
    }

    fn count(&mut self, what: String) {
        if self.is_recorded(now()) {
            *self.tally.entry(what).or_default() += 1;
        }
    }

    fn capture(&self, end: End, sort: &Sort, bytes: &[u8], now: i64) {
        let is_recorded = self.is_recorded(now) && *sort != Sort::Other;
        if let (Some(capture), true) = (self.captures.get(&end), is_recorded) {
            let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
            capture.write(bytes, Time(now), &mut evidence);
        }
    }

    fn log(&self, now: i64, link: usize, (from, to): (End, End), sort: &Sort, fate: &str) {
        if !self.is_recorded(now) {
            return;
        }
        let wiring = &self.wiring;
        let point = |end: End| format!("{}.{}", wiring.names[end.0], wiring.at(end).name);
        let (second, ns) = (now.div_euclid(SECOND), now.rem_euclid(SECOND));
        let (from, to, packet) = (point(from), point(to), sort.told());
        let line = format!("{second}.{ns:09}\t{}\t{from}\t{to}\t{packet}\t{fate}\n", wiring.links[link]);
        put(&self.evidence, LOG, line.as_bytes());
    }
}
