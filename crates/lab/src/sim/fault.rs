//! What goes wrong while a world is played, and the looks at its hosts.

use super::engine::{Engine, Happens};
use super::filter;
use super::host::Waiting;
use super::record::SYSLOG;
use super::syslog;
use crate::world::{Daemon, What, World};
use anyhow::Result;
use ntpscope_core::time::SECOND;

/// The leap second that worlds insert: at the end of 2026 (true ns).
const LEAP: i64 = 1_798_761_600 * SECOND;
/// Words with which lines of a configuration begin that ask for statistics.
const STATISTICS: [&str; 5] = ["statsdir ", "statistics ", "filegen ", "logdir ", "log "];
/// A smear begins so long before the leap second, and ends as long after it.
const HALF_SMEAR: i64 = 12 * 3600 * SECOND;
/// By how much a smearing clock runs slow meanwhile: a second in twice that.
const SMEAR_PPM: f64 = 1e6 / 86_400.0;
/// What is said of a daemon that is not running.
pub(crate) const REFUSED: &str = "$ ntpq -n -c sysstats 127.0.0.1\nntpq: read: Connection refused\n";
/// What is said of one that is paused.
pub(crate) const TIMED_OUT: &str =
    "$ ntpq -n -c sysstats 127.0.0.1\n127.0.0.1: timed out, nothing received\n***Request timed out\n";
/// How long a daemon is away that is restarted.
pub(crate) const RESTART: i64 = 2 * SECOND;

/// When a world starts that has a leap second: so that it falls on the end of a month.
pub(super) fn start_of(world: &World) -> Option<i64> {
    let fault = world.faults.iter().find(|fault| matches!(fault.what, What::Leap { .. }))?;
    let until = fault.until.unwrap_or(world.duration);
    Some(LEAP - (until.0 * 1e9) as i64)
}

impl Engine<'_> {
    /// Arranges all faults of the world.
    pub(super) fn arrange_faults(&mut self) -> Result<()> {
        let world = self.world;
        for (number, fault) in world.faults.iter().enumerate() {
            // Hosts are named rightly, or the world can't be played.
            let host = host_of(&fault.what).filter(|name| !world.links.contains_key(*name));
            host.map(|name| self.wiring.host(name)).transpose()?;
            let (from, until) = (self.after(fault.from.0), fault.until.map(|until| self.after(until.0)));
            self.arrange(from, Happens::Fault(number, true));
            if let What::Leap { .. } = fault.what {
                let at = until.unwrap_or_else(|| self.after(world.duration.0));
                self.arrange(at, Happens::Leap(number));
                self.arrange(at - HALF_SMEAR, Happens::Smear(-SMEAR_PPM));
                self.arrange(at + HALF_SMEAR, Happens::Smear(SMEAR_PPM));
            }
            if let Some(until) = until {
                self.arrange(until, Happens::Fault(number, false));
            }
        }
        Ok(())
    }

    /// A fault begins or ends.
    pub(super) fn fault(&mut self, number: usize, begins: bool) -> Result<()> {
        let world = self.world;
        let what = &world.faults[number].what;
        if let (Some(_), works) = &mut self.link_faults[number] {
            *works = begins;
            return Ok(());
        }
        if let What::Leap { missed_by } = what {
            for (host, name) in self.hosts.iter_mut().zip(&self.wiring.names) {
                let is_source = host.said.daemon.as_ref().is_some_and(|daemon| daemon.asks.is_empty());
                host.leaps = begins && is_source && !host.smears() && !missed_by.contains(name);
            }
            return Ok(());
        }
        let Some(host) = host_of(what).map(|name| self.wiring.host(name)).transpose()? else { return Ok(()) };
        let at = &mut self.hosts[host];
        let change = |count: &mut u32| *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        match what {
            What::Down { .. } => change(&mut at.off),
            What::Unsynchronised { .. } => change(&mut at.unsynchronised),
            What::Wrong { by_s, .. } => at.wrong_s += if begins { *by_s } else { -by_s },
            What::Busy { slow, drops, .. } => {
                if let Some(server) = &mut at.server {
                    server.busy = begins.then_some((*slow, *drops));
                }
            }
            What::Suspend { .. } | What::Migration { .. } => self.sleep(host, what, begins),
            What::Step { .. } | What::Rate { .. } if begins => {
                at.clock.disturb(what, self.now);
                self.arrange_hand(host);
            }
            What::Stall { .. } => {
                change(&mut at.paused);
                if at.paused == 0 {
                    self.resume(host);
                }
            }
            What::Stopped { .. } => {
                change(&mut at.stopped);
                self.end_daemon(host);
                if self.hosts[host].stopped == 0 {
                    self.hosts[host].serve(self.now)?;
                    self.start_daemon(host)?;
                }
            }
            What::Restart { .. } if begins => {
                self.end_daemon(host);
                self.hosts[host].serve(self.now + RESTART)?;
                self.arrange(self.now + RESTART, Happens::Start(host));
            }
            _ => {}
        }
        Ok(())
    }

    /// A machine falls asleep, or wakes up.
    fn sleep(&mut self, host: usize, what: &What, begins: bool) {
        let now = self.now;
        let at = &mut self.hosts[host];
        let by_itself = matches!(what, What::Suspend { .. });
        if begins {
            (at.off, at.paused) = (at.off + 1, at.paused + 1);
            if by_itself {
                self.kernel_says(host, "PM: suspend entry (deep)");
            }
            // From here on the clock stands still.
            self.hosts[host].clock.read(now);
            return;
        }
        (at.off, at.paused) = (at.off.saturating_sub(1), at.paused.saturating_sub(1));
        at.clock.wake(what, now);
        if by_itself {
            self.kernel_says(host, "PM: suspend exit");
        }
        self.arrange_hand(host);
        self.resume(host);
    }

    fn kernel_says(&mut self, host: usize, text: &str) {
        let (clock, monotonic_s) = self.hosts[host].kernel_sees(self.now);
        let name = &self.wiring.names[host];
        self.evidence.line(name, SYSLOG, &syslog::kernel(clock, name, monotonic_s, text));
    }

    /// Smearing clocks begin to run slow, or end it.
    pub(super) fn smear(&mut self, by_ppm: f64) {
        for (host, name) in self.hosts.iter_mut().zip(&self.wiring.names) {
            if host.smears() {
                host.clock.disturb(&What::Rate { host: name.clone(), by_ppm }, self.now);
            }
        }
    }

    /// A daemon is told to end.
    fn end_daemon(&mut self, host: usize) {
        let acts = self.hosts[host].call(self.now, None, |daemon, now, acts| daemon.stop(now, acts));
        self.act(host, acts);
        self.hosts[host].daemon = None;
        self.hosts[host].life += 1;
    }

    /// A paused daemon goes on: first with what it has missed.
    fn resume(&mut self, host: usize) {
        for waiting in std::mem::take(&mut self.hosts[host].waiting) {
            match waiting {
                Waiting::Datagram(datagram, received) => self.deliver(host, &datagram, received),
                Waiting::Timer(token) => {
                    let acts = self.hosts[host].call(self.now, None, |daemon, now, acts| daemon.wake(token, now, acts));
                    self.act(host, acts);
                }
            }
        }
    }

    /// The leap second is inserted: UTC falls back by a second, and with it each clock that knows of it.
    pub(super) fn leap(&mut self, number: usize) {
        let world = self.world;
        let What::Leap { missed_by } = &world.faults[number].what else { return };
        for host in 0..self.hosts.len() {
            let at = &mut self.hosts[host];
            at.leaps = false;
            if missed_by.contains(&self.wiring.names[host]) || at.smears() {
                continue;
            }
            let name = self.wiring.names[host].clone();
            at.clock.disturb(&What::Step { host: name, by_s: -1.0 }, self.now);
            self.kernel_says(host, "Clock: inserting leap second 23:59:60 UTC");
        }
    }

    /// Somebody looks at all hosts; at the start only at servers.
    pub(super) fn look(&mut self, when: &'static str) {
        let now = self.now;
        for (host, name) in self.hosts.iter_mut().zip(&self.wiring.names) {
            let mut put =
                |file: &str, text: &str| self.evidence.append(&format!("{name}/{file}-{when}.txt"), text.as_bytes());
            if when != "0start" {
                let forwards = host.said.router || host.nat.is_some();
                let rules = filter::ruleset(&host.filters, forwards);
                if let Some(nat) = &host.nat {
                    put("conntrack", &nat.connections(now));
                    put("nft", &(nat.ruleset() + &rules));
                } else if !rules.is_empty() {
                    put("nft", &rules);
                }
            }
            if host.stopped > 0 {
                if when != "0start" {
                    put("status", REFUSED);
                }
                continue;
            }
            // A paused daemon answers nobody.
            if host.paused > 0 {
                put("status", TIMED_OUT);
                continue;
            }
            let sight = host.sight(now);
            let mut text = String::new();
            if let (Some(daemon), true) = (&host.daemon, when != "0start") {
                text = daemon.status(sight);
                text.push('\n');
            }
            let system = host.daemon.is_none().then(|| host.system(now));
            if let Some(server) = &mut host.server {
                text.push_str(&server.look(now, sight.clock, system.as_ref()));
            }
            if !text.is_empty() {
                put("status", &text);
            }
        }
    }

    /// Writes the daemons' configurations.
    pub(super) fn configurations(&mut self) {
        for (host, name) in self.hosts.iter().zip(&self.wiring.names) {
            let (file, text) = match (&host.daemon, &host.server) {
                (Some(daemon), Some(server)) => {
                    let (file, text) = daemon.configuration();
                    let own = server.lines();
                    let missing = own.lines().filter(|line| !text.lines().any(|known| known == *line));
                    (file, missing.fold(text.clone(), |all, line| all + line + "\n"))
                }
                (Some(daemon), None) => daemon.configuration(),
                (None, Some(server)) => server.configuration(),
                (None, None) => continue,
            };
            let text = host.said.daemon.as_ref().map_or_else(|| text.clone(), |daemon| further(&text, daemon));
            self.evidence.append(&format!("{name}/{file}"), text.as_bytes());
        }
    }
}

/// A configuration without statistics, where the daemon writes none, and with its further lines.
fn further(text: &str, daemon: &Daemon) -> String {
    let is_kept = |line: &&str| daemon.statistics || !STATISTICS.iter().any(|word| line.starts_with(word));
    let lines = text.lines().filter(is_kept).chain(daemon.lines.iter().map(String::as_str));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

/// The host that a fault is one of.
pub(crate) fn host_of(what: &What) -> Option<&str> {
    match what {
        What::Down { at: host }
        | What::Stall { host }
        | What::Stopped { host }
        | What::Restart { host }
        | What::Suspend { host, .. }
        | What::Migration { host, .. }
        | What::Step { host, .. }
        | What::Rate { host, .. }
        | What::Wrong { host, .. }
        | What::Busy { host, .. }
        | What::Unsynchronised { host } => Some(host),
        What::Loss { .. } | What::Delay { .. } | What::Leap { .. } => None,
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
