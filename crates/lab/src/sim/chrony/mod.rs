//! chronyd 4.x as a client, from chrony.conf(5), chronyc(1), and recordings of chronyd 4.3.
//!
//! A source's samples make a line (`regression`, `samples`), the lines are compared (`select`), and what they say together
//! corrects the clock (`reference`, `correction`).

mod configuration;
mod correction;
mod logs;
mod receive;
mod reference;
mod regression;
mod samples;
mod select;
mod source;
mod status;

#[cfg(test)]
mod fidelity;

use crate::sim::daemon::{Act, Daemon, Datagram, Now, System};
use crate::world;
use correction::Correction;
use ntpscope_core::time::Time;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use reference::Reference;
use source::Source;
use std::net::IpAddr;

/// Precision of the system clock, log₂ s.
const PRECISION: i8 = -25;
/// The same in seconds.
const PRECISION_S: f64 = 2e-8;
/// Sources are first asked so soon, in seconds, and one after the other.
const FIRST_S: (f64, f64) = (0.2, 0.02);
/// What chronyd believes of a frequency that it finds in its drift file.
const KEPT_SKEW: f64 = 1e-6;

/// chronyd.
#[derive(Debug)]
pub struct Chronyd {
    version: String,
    config: world::Daemon,
    addresses: Vec<IpAddr>,
    sources: Vec<Source>,
    selected: Option<usize>,
    reference: Reference,
    correction: Correction,
    /// The kernel's frequency correction as it is told.
    kernel_ppm: f64,
    /// The last call: the clock, the monotonic clock, and what was left to correct.
    seen: (Time, f64, f64),
    /// Rows of `measurements.log`, `statistics.log`, `tracking.log`.
    rows: [u32; 3],
    random: Pcg64,
}

/// A call of the daemon: the time by both clocks, and where its acts go.
#[derive(Debug)]
pub struct Call<'a> {
    /// The system clock; a step moves it.
    clock: Time,
    /// Seconds since the daemon started.
    now_s: f64,
    acts: &'a mut Vec<Act>,
}

impl Call<'_> {
    fn act(&mut self, act: Act) {
        self.acts.push(act);
    }
}

impl Chronyd {
    /// As the world says it.
    pub fn new(config: &world::Daemon, addresses: &[IpAddr], seed: u64) -> Chronyd {
        Chronyd {
            version: config.is.split(' ').nth(1).unwrap_or("4.3").to_owned(),
            config: config.clone(),
            addresses: addresses.to_vec(),
            sources: config.asks.iter().map(Source::new).collect(),
            selected: None,
            reference: Reference::new(),
            correction: Correction::new(config.may_set),
            kernel_ppm: 0.0,
            seen: (Time(0), 0.0, 0.0),
            rows: [0; 3],
            random: Pcg64::seed_from_u64(seed),
        }
    }

    /// A call begins: was the clock set by somebody else meanwhile?
    fn begin<'a>(&mut self, now: Now, acts: &'a mut Vec<Act>) -> Call<'a> {
        let mut call = Call { clock: now.clock, now_s: now.monotonic_s, acts };
        self.notice_jump(&mut call);
        call
    }

    fn end(&mut self, call: &Call<'_>) {
        self.seen = (call.clock, call.now_s, self.correction.left_s(call.now_s));
    }
}

impl Daemon for Chronyd {
    fn start(&mut self, now: Now, acts: &mut Vec<Act>) {
        // A frequency that the kernel still has from the last run stands in the drift file too.
        if self.kernel_ppm != 0.0 {
            (self.correction.frequency_ppm, self.reference.skew) = (-self.kernel_ppm, KEPT_SKEW);
        }
        let mut call = Call { clock: now.clock, now_s: now.monotonic_s, acts };
        self.log_start(&mut call);
        for (count, source) in self.sources.iter().enumerate().filter(|(_, source)| source.said.mode != 5) {
            let after_s = FIRST_S.0 + FIRST_S.1 * (count as f64 + self.random.random::<f64>());
            call.act(Act::Wake { token: source.timer << 16 | count as u64, after_s });
        }
        self.end(&call);
    }

    fn wake(&mut self, token: u64, now: Now, acts: &mut Vec<Act>) {
        let mut call = self.begin(now, acts);
        let index = (token & 0xffff) as usize;
        if self.sources[index].timer == token >> 16 {
            self.request(&mut call, index);
        }
        self.end(&call);
    }

    fn receive(&mut self, datagram: &Datagram, now: Now, acts: &mut Vec<Act>) {
        let mut call = self.begin(now, acts);
        self.read(&mut call, datagram);
        self.end(&call);
    }

    fn kernel_frequency(&mut self, ppm: f64) {
        self.kernel_ppm = ppm;
    }

    fn system(&self, now: Now) -> System {
        self.system_at(now.monotonic_s)
    }

    fn status(&self, now: Now) -> String {
        self.status_text(now)
    }

    fn configuration(&self) -> (&'static str, String) {
        ("chrony.conf", configuration::text(&self.config))
    }
}

/// The reference id of a source: its address, or a number made of it (RFC 5905 §7.3 takes four octets of its MD5, here others).
fn reference_id(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let folded = (bits ^ bits >> 64) as u64;
            ((folded ^ folded >> 32) as u32).to_be_bytes()
        }
    }
}
