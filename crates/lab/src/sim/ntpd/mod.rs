//! ntpd as a client: 4.2.6, 4.2.8 and NTPsec (RFC 5905, and where they depart from it ntpd's ntp_proto.c and ntp_loopfilter.c).

mod configuration;
mod discipline;
mod host;
mod peer;
mod poll;
mod receive;
mod select;
mod statistics;
mod status;
mod version;

use crate::sim::daemon::{Act, Daemon, Datagram, Now, System, local_towards};
use crate::world;
use anyhow::Result;
use discipline::{Discipline, State};
use host::Host;
use ntpscope_core::time::{Time, ntp_decimal};
use peer::{Mode, Peer};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::net::IpAddr;
use version::{Family, Version};

/// Precision of the system clock, log₂ s.
const PRECISION: i8 = -23;
/// `MAXDISPERSE`, in seconds.
const MAX_DISPERSION_S: f64 = 16.0;
/// `MINDISPERSE`, in seconds.
const MIN_DISPERSION_S: f64 = 0.001;
/// Selection threshold (`MAXDISTANCE`), in seconds.
const MAX_DISTANCE_S: f64 = 1.5;
/// Frequency tolerance (`PHI`): dispersion grows by so much a second.
const PHI: f64 = 15e-6;
/// The token of the timer's wakes is the second that they are for.
const NEVER: u64 = u64::MAX;

/// 2 to a power, in seconds.
fn precision_s(log: i8) -> f64 {
    2_f64.powi(i32::from(log))
}

/// System variables.
#[derive(Clone, Debug)]
struct SystemVariables {
    leap: u8,
    leap_vote: u8,
    stratum: u8,
    refid: [u8; 4],
    reference: u64,
    root_delay_s: f64,
    root_dispersion_s: f64,
    /// `current_time` as of which the root dispersion is.
    root_at: i64,
    peer: Option<usize>,
    /// When the system peer's sample that was last used had come.
    epoch: i64,
    offset_s: f64,
    jitter_s: f64,
    selected_at: i64,
    /// Against hopping between servers (`sys_clockhop`), in seconds.
    hop_s: f64,
    /// The last event.
    event: u8,
}

/// ntpd.
#[derive(Debug)]
pub struct Ntpd {
    version: Version,
    config: world::Daemon,
    addresses: Vec<IpAddr>,
    peers: Vec<Peer>,
    system: SystemVariables,
    discipline: Discipline,
    random: Pcg64,
    /// The process id that its log shows.
    process: u32,
    next_association: u16,
    /// The second for which a wake is asked.
    armed: u64,
    /// When the start's work was last done.
    ticked: i64,
    exited: bool,
    /// When in a second its timer comes, in seconds.
    phase_s: f64,
}

impl Ntpd {
    /// As the world says it.
    ///
    /// # Errors
    /// Where the world's name is none of an ntpd.
    pub fn new(config: &world::Daemon, addresses: &[IpAddr], seed: u64) -> Result<Ntpd> {
        let version = Version::read(&config.is)?;
        let mut random = Pcg64::seed_from_u64(seed);
        let phase_s = random.random();
        let poll = config.asks.iter().map(|source| source.minpoll).min().unwrap_or(6);
        let discipline = Discipline::new(poll, if version.family == Family::Old { 0 } else { version.stepout_s() });
        let system = SystemVariables {
            leap: 3,
            leap_vote: 0,
            stratum: 16,
            refid: *b"INIT",
            reference: 0,
            root_delay_s: 0.0,
            root_dispersion_s: 0.0,
            root_at: 0,
            peer: None,
            epoch: 0,
            offset_s: 0.0,
            jitter_s: precision_s(PRECISION),
            selected_at: 0,
            hop_s: 0.0,
            event: 0,
        };
        Ok(Ntpd {
            version,
            config: config.clone(),
            addresses: addresses.to_vec(),
            peers: Vec::new(),
            system,
            discipline,
            process: random.random_range(300..32_000),
            next_association: random.random_range(1000..60_000),
            random,
            armed: NEVER,
            ticked: 0,
            exited: false,
            phase_s,
        })
    }

    /// A new association, asked first at the second `at`.
    fn mobilize(&mut self, host: &mut Host<'_>, address: IpAddr, source: &world::Source, mode: Mode, at: i64) {
        let local = local_towards(&self.addresses, address);
        let mut peer = Peer::new(address, local, self.next_association, source, mode);
        self.next_association = self.next_association.wrapping_add(1).max(1);
        peer.clear(*b"INIT", host.seconds, self.version.family);
        peer.nextdate = at;
        self.peers.push(peer);
        let index = self.peers.len() - 1;
        let text = format!("assoc {}", self.peers[index].association);
        self.peer_event(host, index, 1, "mobilize", &text);
    }

    /// Clears all associations; they are asked anew at times that differ with the version.
    fn clear_all(&mut self, seconds: i64, ident: [u8; 4]) {
        let count = self.peers.len().max(1) as i64;
        for peer in &mut self.peers {
            peer.clear(ident, seconds, self.version.family);
            let spread = match self.version.family {
                Family::Old => count,
                Family::New => i64::from(peer.minpoll.max(1)),
                Family::Sec => 1 << peer.minpoll,
            };
            peer.nextdate += self.random.random_range(0..spread);
        }
    }

    /// What it serves, at a second of its own timer.
    fn system_at(&self, seconds: i64) -> System {
        let system = &self.system;
        let aged = PHI * (seconds - system.root_at) as f64;
        let (second, ns) = ntp_decimal(system.reference);
        let unix = second as i64 - ntpscope_core::time::NTP_TO_UNIX;
        let set = if system.reference == 0 { 0 } else { unix * ntpscope_core::time::SECOND + ns as i64 };
        System {
            leap: system.leap,
            stratum: system.stratum,
            precision: PRECISION,
            root_delay_s: system.root_delay_s,
            root_dispersion_s: system.root_dispersion_s + aged,
            refid: system.refid,
            reference: Time(set),
        }
    }

    /// The second of its own timer; a wake comes to a microsecond.
    fn second(&self, now: Now) -> i64 {
        (now.monotonic_s - self.phase_s + 1e-3).floor().max(0.0) as i64
    }

    /// A call begins: the kernel as it is known goes on to now.
    fn begin<'a>(&mut self, now: Now, acts: &'a mut Vec<Act>) -> Host<'a> {
        let dt = now.monotonic_s - self.discipline.kernel_at_s;
        self.discipline.kernel.advance(dt.max(0.0));
        self.discipline.kernel_at_s = now.monotonic_s;
        Host::new(now, self.second(now), acts)
    }

    /// A call ends: asks to be woken for the next poll.
    fn arm(&mut self, host: &mut Host<'_>) {
        let asked = |peer: &Peer| peer.nextdate;
        let mut next = self.peers.iter().map(asked).min();
        if self.ticks() {
            next = Some(next.unwrap_or(i64::MAX).min(self.ticked + 1));
        }
        let Some(next) = next.filter(|_| !self.exited) else { return };
        let at = next.max(host.seconds + 1) as u64;
        if at != self.armed {
            self.armed = at;
            host.act(Act::Wake { token: at, after_s: at as f64 + self.phase_s - host.monotonic_s });
        }
    }
}

impl Daemon for Ntpd {
    fn start(&mut self, now: Now, acts: &mut Vec<Act>) {
        let mut host = self.begin(now, acts);
        self.log_start(&mut host);
        let sources = self.config.asks.clone();
        for (count, source) in sources.iter().enumerate() {
            let mode = if source.mode == 1 { Mode::Symmetric } else { Mode::Client };
            if source.mode != 5 {
                self.mobilize(&mut host, source.server, source, mode, 1 + count as i64);
            }
        }
        let kept = self.discipline.kernel.frequency_ppm();
        if self.version.family != Family::Old {
            self.system_event(&mut host, 13, "kern", "kernel time sync enabled");
        } else {
            self.system_event(&mut host, 6, "restart", "");
        }
        // A frequency that the kernel still has from the last run stands in the drift file too.
        self.set_frequency(&mut host, kept);
        if kept == 0.0 {
            self.system_event(&mut host, 1, "freq_not_set", "");
        } else {
            self.discipline.state = State::Fset;
        }
        if self.version.family != Family::Old {
            self.system_event(&mut host, 6, "restart", "");
        }
        self.arm(&mut host);
    }

    fn wake(&mut self, token: u64, now: Now, acts: &mut Vec<Act>) {
        if token != self.armed || self.exited {
            return;
        }
        self.armed = NEVER;
        let mut host = self.begin(now, acts);
        if self.ticks() {
            self.tick(&mut host);
        }
        self.ticked = host.seconds;
        for index in 0..self.peers.len() {
            if self.peers[index].nextdate <= host.seconds && !self.exited {
                self.transmit(&mut host, index);
            }
        }
        self.arm(&mut host);
    }

    fn receive(&mut self, datagram: &Datagram, now: Now, acts: &mut Vec<Act>) {
        if self.exited {
            return;
        }
        let mut host = self.begin(now, acts);
        self.read(&mut host, datagram);
        self.arm(&mut host);
    }

    fn stop(&mut self, now: Now, acts: &mut Vec<Act>) {
        if !self.exited {
            let mut host = self.begin(now, acts);
            self.record_stop(&mut host);
        }
    }

    fn kernel_frequency(&mut self, ppm: f64) {
        self.discipline.kernel.told(ppm);
    }

    fn system(&self, now: Now) -> System {
        if self.exited {
            return System { leap: 3, stratum: 16, ..self.system_at(self.second(now)) };
        }
        self.system_at(self.second(now))
    }

    fn status(&self, now: Now) -> String {
        if self.exited { "ntpq: read: Connection refused\n".to_owned() } else { self.status_text(now) }
    }

    fn configuration(&self) -> (&'static str, String) {
        ("ntp.conf", configuration::text(&self.config, &self.version))
    }
}
