//! The simulator's heart: what happens next, in virtual time, the same for the same seed.
//!
//! Time is true UTC in nanoseconds. Events of one instant happen in the order in which they were arranged.

use super::daemon::Act;
use super::host::{Clock, Host, Waiting};
use super::ip::Packet;
use super::link::{Link, LinkFault};
use super::record::{Capture, Evidence, SYSLOG};
use super::seed;
use super::server::Answer;
use super::syslog;
use super::wiring::{End, Wiring};
use crate::world::World;
use anyhow::{Context, Result};
use ntpscope_core::time::SECOND;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;

/// When worlds start: 2026-11-22T09:30:00Z, later than the build of any daemon they name.
const START: i64 = 1_795_339_800 * SECOND;
/// Clients start within this time of one another, as a site does that gets its power back.
pub(crate) const STARTS_WITHIN: i64 = SECOND;

/// A world at work.
pub struct Engine<'w> {
    pub(super) world: &'w World,
    pub(super) now: i64,
    /// When the world started, true ns.
    pub(super) start: i64,
    queue: BinaryHeap<Reverse<Queued>>,
    arranged: u64,
    pub(super) wiring: Wiring,
    pub(super) hosts: Vec<Host>,
    pub(super) links: Vec<Link>,
    pub(super) link_faults: Vec<(Option<LinkFault>, bool)>,
    pub(super) nats: Vec<bool>,
    pub(super) captures: BTreeMap<End, Capture>,
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
    /// Smearing clocks run so many ppm faster.
    Smear(f64),
    /// A daemon writes what it has counted in an hour.
    Hour(usize, u32),
    /// A daemon reads its reference clock.
    Reference(usize, u32),
    /// Somebody looks at all hosts.
    Looks(&'static str),
}

impl<'w> Engine<'w> {
    /// A world before its start.
    ///
    /// # Errors
    /// What it says can't be.
    pub fn new(world: &'w World, seed: u64, evidence: Evidence) -> Result<Engine<'w>> {
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
            Happens::Smear(by_ppm) => self.smear(by_ppm),
            Happens::Hour(host, life) => self.hour(host, life),
            Happens::Reference(host, life) => self.reference(host, life),
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
        let now = self.now;
        let name = &self.wiring.names[host];
        self.hosts[host].hire(&addresses, now).with_context(|| format!("host {name}"))?;
        let acts = self.hosts[host].call(now, None, |daemon, now, acts| daemon.start(now, acts));
        self.act(host, acts);
        self.open_books(host);
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
                Act::Write { file, .. } if is_statistics(file) && !self.writes_statistics(host) => {}
                Act::Write { file, line } => self.evidence.line(&self.wiring.names[host], file, &line),
                Act::Step(_) | Act::Offset { .. } | Act::Frequency(_) | Act::Slew { .. } => {
                    self.hosts[host].adjust(&act, self.now);
                }
            }
        }
        self.arrange_hand(host);
    }

    fn writes_statistics(&self, host: usize) -> bool {
        self.hosts[host].said.daemon.as_ref().is_none_or(|daemon| daemon.statistics)
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
        if at.hand == Some(now) {
            let is_first = at.hands == 0;
            at.hands += 1;
            at.hand = None;
            let deed = at.move_clock(now);
            if let (Some(hand), Some(deed)) = (at.said.foreign, deed) {
                let (clock, _) = at.kernel_sees(now);
                let name = &self.wiring.names[host];
                for (program, text) in syslog::told(&hand, deed, is_first) {
                    let process = at.next_process();
                    self.evidence.line(name, SYSLOG, &syslog::line(clock, name, program, process, &text));
                }
            }
        }
        self.arrange_hand(host);
    }
}

/// Whether a file of a daemon is one of its statistics, not its log.
fn is_statistics(file: &str) -> bool {
    file.starts_with("stats/") || file.ends_with(".log") && !matches!(file, "ntpd.log" | "chronyd.log")
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
