//! A host: its clock, its daemon as client and as server, its packet filter and NAT.

use super::clock::{Deed, SystemClock};
use super::daemon::{Act, Daemon, Datagram, Now, System, daemon};
use super::filter::Filter;
use super::hourly::Books;
use super::make::{Family, Make};
use super::nat::Nat;
use super::seed;
use super::server::{NTP, Server, UNSYNCHRONISED};
use super::wiring::Wiring;
use crate::world::{self, What};
use anyhow::{Context, Result};
use ntpscope_core::time::{SECOND, Time};
use rand::RngExt;
use rand_pcg::Pcg64;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Ports that Linux gives to sockets that ask for none (`ip_local_port_range`).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;
/// Datagrams that wait for a paused daemon at the most: a socket's buffer of 212 992 bytes, 768 for each.
const MOST_WAITING: usize = 277;
/// How long before the world's start a server's daemon was started.
const SERVING_SINCE: i64 = 20 * SECOND;

/// A host at work.
pub struct Host {
    /// What the world says of it.
    pub said: world::Host,
    /// Its clock.
    pub clock: Clock,
    /// Its daemon, where that asks anybody.
    pub daemon: Option<Box<dyn Daemon>>,
    /// Its daemon as a server.
    pub server: Option<Server>,
    /// Its packet filter.
    pub filters: Vec<Filter>,
    /// Its NAT.
    pub nat: Option<Nat>,
    /// Lives of its daemon so far; timers of an earlier one are void.
    pub life: u32,
    /// Faults at work: the host is off, the daemon paused, the daemon not running.
    pub off: u32,
    /// See `off`.
    pub paused: u32,
    /// See `off`.
    pub stopped: u32,
    /// Faults that make it say that it is not synchronised.
    pub unsynchronised: u32,
    /// How far a fault makes what it serves wrong, in seconds.
    pub wrong_s: f64,
    /// Whether it announces a leap second.
    pub leaps: bool,
    /// When a foreign hand is next due, as far as that is arranged.
    pub hand: Option<i64>,
    /// How often it has come.
    pub hands: u32,
    /// What waits for a paused daemon.
    pub waiting: Vec<Waiting>,
    /// Which daemon it has.
    pub make: Option<Make>,
    /// What its daemon has counted of itself.
    pub books: Books,
    begun_s: f64,
    /// Open ports, and whom the socket asks that has one for a single request.
    open: BTreeMap<u16, Option<SocketAddr>>,
    id: u16,
    process: u32,
    seed: u64,
    rng: Pcg64,
}

/// What waits for a paused daemon.
pub enum Waiting {
    /// A timer.
    Timer(u64),
    /// A datagram, and what the clock showed when it arrived.
    Datagram(Datagram, Time),
}

/// A host's clock.
pub enum Clock {
    /// One that a daemon disciplines.
    System(Box<SystemClock>),
    /// One that a reference clock holds: true but for an error that grows evenly.
    Reference {
        /// Seconds ahead at `at`.
        ahead_s: f64,
        /// Parts per million by which that grows.
        ppm: f64,
        /// True ns.
        at: i64,
    },
}

impl Clock {
    /// What it shows at a true instant.
    pub fn read(&mut self, now: i64) -> Time {
        match self {
            Clock::System(clock) => clock.read(now),
            Clock::Reference { ahead_s, ppm, at } => {
                let ahead = *ahead_s + *ppm * 1e-6 * ((now - *at) as f64 / 1e9);
                Time(now + (ahead * 1e9).round() as i64)
            }
        }
    }

    /// Seconds of the monotonic clock, from an instant of its own.
    pub fn monotonic_s(&mut self, now: i64) -> f64 {
        match self {
            Clock::System(clock) => clock.monotonic_s(now),
            Clock::Reference { at, .. } => (now - *at) as f64 / 1e9,
        }
    }

    /// The true instant at which so many seconds of the monotonic clock will have passed.
    pub fn when(&mut self, after_s: f64, now: i64) -> i64 {
        match self {
            Clock::System(clock) => clock.when(after_s, now),
            Clock::Reference { .. } => now + (after_s * 1e9) as i64,
        }
    }

    /// A machine wakes up from a fault of the world; a reference clock has not slept.
    pub fn wake(&mut self, what: &What, now: i64) {
        let Clock::System(clock) = self else { return };
        match what {
            What::Suspend { behind_s, .. } => clock.wake(Some(*behind_s), now),
            What::Migration { by_ppm, host } => {
                clock.wake(None, now);
                clock.disturb(&What::Rate { host: host.clone(), by_ppm: *by_ppm }, now);
            }
            _ => {}
        }
    }

    /// A fault of the world.
    pub fn disturb(&mut self, what: &What, now: i64) {
        match (self, what) {
            (Clock::System(clock), _) => clock.disturb(what, now),
            (Clock::Reference { ahead_s, .. }, What::Step { by_s, .. }) => *ahead_s += by_s,
            (Clock::Reference { ahead_s, ppm, at }, What::Rate { by_ppm, .. }) => {
                *ahead_s += *ppm * 1e-6 * ((now - *at) as f64 / 1e9);
                (*ppm, *at) = (*ppm + by_ppm, now);
            }
            _ => {}
        }
    }
}

impl Host {
    /// A host as the world says it, at the world's start.
    ///
    /// # Errors
    /// What it says of its daemon, NAT or filters can't be.
    pub fn new(number: usize, said: &world::Host, wiring: &Wiring, start: i64, seed: u64) -> Result<Host> {
        let seed = seed::number(seed, &wiring.names[number]);
        let mut rng = seed::stream(seed, "host");
        let make = said.daemon.as_ref().map(|daemon| Make::of(&daemon.is)).transpose()?;
        let serves = said.daemon.as_ref().and_then(|daemon| daemon.serves.as_ref());
        let clock = match serves {
            Some(serves) if serves.stratum.is_some() => {
                Clock::Reference { ahead_s: serves.wrong_s, ppm: serves.drift_ppm, at: start }
            }
            _ => Clock::System(Box::new(SystemClock::new(said, start, seed::number(seed, "clock")))),
        };
        let nat = said.nat.as_ref().map(|nat| {
            let (_, out) = wiring.end(&format!("{}.{}", wiring.names[number], nat.out))?;
            let address = wiring.interfaces[number][out].addresses.iter().map(|(address, _)| *address);
            let address = address.into_iter().find(IpAddr::is_ipv4).context("NAT needs an IPv4 address")?;
            Ok::<_, anyhow::Error>(Nat::new(nat, address, start, seed))
        });
        let mut host = Host {
            clock,
            daemon: None,
            server: None,
            filters: said.filters.iter().map(Filter::new).collect(),
            nat: nat.transpose()?,
            life: 0,
            off: 0,
            paused: 0,
            stopped: 0,
            unsynchronised: 0,
            wrong_s: if matches!(serves, Some(serves) if serves.stratum.is_none()) {
                serves.map_or(0.0, |serves| serves.wrong_s)
            } else {
                0.0
            },
            leaps: false,
            hand: None,
            hands: 0,
            waiting: Vec::new(),
            make,
            books: Books::default(),
            begun_s: 0.0,
            open: BTreeMap::new(),
            id: rng.random(),
            process: rng.random_range(900..9000),
            seed,
            rng,
            said: said.clone(),
        };
        host.serve(start - SERVING_SINCE)?;
        Ok(host)
    }

    /// A daemon begins to serve, its counters at zero.
    ///
    /// # Errors
    /// See [`Server::new`].
    pub fn serve(&mut self, now: i64) -> Result<()> {
        let serves = self.said.daemon.as_ref().and_then(|daemon| daemon.serves.as_ref());
        if let (Some(serves), Some(make)) = (serves, &self.make) {
            self.server = Some(Server::new(make.clone(), serves, now, self.seed)?);
        }
        Ok(())
    }

    /// A daemon is started; what it first does comes with the next call.
    ///
    /// # Errors
    /// There is no such daemon.
    pub fn hire(&mut self, addresses: &[IpAddr], now: i64) -> Result<()> {
        self.life += 1;
        self.open.clear();
        self.waiting.clear();
        self.begun_s = self.clock.monotonic_s(now);
        let Some(said) = self.said.daemon.as_ref().filter(|daemon| !daemon.asks.is_empty()) else { return Ok(()) };
        let seed = seed::number(self.seed, &format!("daemon {}", self.life));
        self.daemon = Some(daemon(&said.is, said, addresses, seed)?);
        Ok(())
    }

    /// Calls the daemon; what it asks for is returned.
    pub fn call(
        &mut self,
        now: i64,
        received: Option<Time>,
        what: impl FnOnce(&mut dyn Daemon, Now, &mut Vec<Act>),
    ) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut seen = self.sight(now);
        seen.clock = received.unwrap_or(seen.clock);
        if let Some(daemon) = &mut self.daemon {
            if let Clock::System(clock) = &mut self.clock {
                daemon.kernel_frequency(clock.frequency_ppm(now));
            }
            what(daemon.as_mut(), seen, &mut acts);
        }
        acts
    }

    /// What a daemon sees of its host now.
    pub fn sight(&mut self, now: i64) -> Now {
        Now { clock: self.clock.read(now), monotonic_s: self.clock.monotonic_s(now) - self.begun_s }
    }

    /// Does to the clock what its daemon asks, where it may.
    pub fn adjust(&mut self, act: &Act, now: i64) {
        let may = self.said.daemon.as_ref().is_some_and(|daemon| daemon.may_set);
        if let (Clock::System(clock), true) = (&mut self.clock, may) {
            clock.act(act, now);
        }
    }

    /// What its kernel's clocks show: the system clock, and seconds since the world's start.
    pub fn kernel_sees(&mut self, now: i64) -> (Time, f64) {
        (self.clock.read(now), self.clock.monotonic_s(now))
    }

    /// The foreign hand at work; what it did, where it would tell.
    pub fn move_clock(&mut self, now: i64) -> Option<Deed> {
        match &mut self.clock {
            Clock::System(clock) => clock.foreign(now),
            Clock::Reference { .. } => None,
        }
    }

    /// Whether it smears leap seconds.
    #[must_use]
    pub fn smears(&self) -> bool {
        let serves = self.said.daemon.as_ref().and_then(|daemon| daemon.serves.as_ref());
        serves.is_some_and(|serves| serves.smears)
    }

    /// The id of a new process.
    pub fn next_process(&mut self) -> u32 {
        self.process += self.rng.random_range(1..9);
        self.process
    }

    /// What it tells those who ask it.
    pub fn system(&mut self, now: i64) -> System {
        let sight = self.sight(now);
        let mut system = match (&self.clock, &self.server, &self.daemon) {
            (Clock::Reference { .. }, Some(server), _) => server.reference(sight.clock, now),
            (_, _, Some(daemon)) => daemon.system(sight),
            _ => UNSYNCHRONISED,
        };
        if self.leaps && system.leap == 0 {
            system.leap = 1;
        }
        let says_so = self.server.as_ref().is_some_and(|server| server.said.unsynchronised);
        if self.unsynchronised > 0 || says_so {
            system = UNSYNCHRONISED;
        }
        system
    }

    /// The clock as it is served.
    pub fn serves(&mut self, now: i64) -> Time {
        let Time(shown) = self.clock.read(now);
        Time(shown + (self.wrong_s * 1e9) as i64)
    }

    /// Whether something listens on a port.
    #[must_use]
    pub fn listens(&self, port: u16) -> bool {
        if self.stopped > 0 {
            return false;
        }
        let keeps_ntp = match &self.make {
            Some(make) if make.family == Family::Chrony || make.family == Family::Openntpd => self.server.is_some(),
            Some(_) => true,
            None => false,
        };
        port == NTP && keeps_ntp || self.open.contains_key(&port)
    }

    /// The port that a request leaves from: the one that the daemon names, or a new one.
    pub fn port(&mut self, asked: u16, to: SocketAddr) -> u16 {
        if asked != 0 {
            self.open.insert(asked, None);
            return asked;
        }
        // The socket of the last request to this server is closed by now.
        self.open.retain(|_, whom| *whom != Some(to));
        loop {
            let port = self.rng.random_range(EPHEMERAL);
            if let std::collections::btree_map::Entry::Vacant(free) = self.open.entry(port) {
                free.insert(Some(to));
                return port;
            }
        }
    }

    /// The next identification of a packet.
    pub fn next_id(&mut self) -> u16 {
        self.id = self.id.wrapping_add(1);
        self.id
    }

    /// Nanoseconds that the kernel takes to send or forward.
    pub fn takes(&mut self) -> i64 {
        self.rng.random_range(6_000..24_000)
    }

    /// A draw for things that happen once: a daemon's start.
    pub fn within(&mut self, ns: i64) -> i64 {
        self.rng.random_range(0..ns)
    }

    /// Keeps something for a paused daemon.
    pub fn keep(&mut self, waiting: Waiting) {
        let datagrams = self.waiting.iter().filter(|kept| matches!(kept, Waiting::Datagram(..))).count();
        if matches!(waiting, Waiting::Timer(_)) || datagrams < MOST_WAITING {
            self.waiting.push(waiting);
        }
    }

    /// Whether its daemon asks this address.
    #[must_use]
    pub fn asks(&self, whom: IpAddr) -> bool {
        self.said.daemon.as_ref().is_some_and(|daemon| daemon.asks.iter().any(|source| source.server == whom))
    }
}
