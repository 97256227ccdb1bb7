//! chronyd 4.x as a client, from chrony.conf(5), chronyc(1), and recordings of chronyd 4.3.
//!
//! A source's samples make a line (`regression`, `samples`), the lines are compared (`select`), and what they say together
//! corrects the clock (`reference`, `correction`).

mod asymmetry;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::packet::{Packet, ntp};
    use std::net::SocketAddr;

    const START: Time = Time(1_795_340_000_000_000_000);

    fn at(seconds: f64) -> Now {
        Now { clock: Time(START.0 + (seconds * 1e9) as i64), monotonic_s: seconds }
    }

    fn chronyd(config: &str) -> Chronyd {
        let config: world::Daemon = toml::from_str(config).expect("a daemon");
        Chronyd::new(&config, &["10.1.0.12".parse().expect("an address")], 1)
    }

    /// The requests among acts.
    fn sent(acts: &[Act]) -> Vec<Datagram> {
        let sent =
            acts.iter().filter_map(|act| if let Act::Send(datagram) = act { Some(datagram.clone()) } else { None });
        sent.collect()
    }

    fn answer(request: &Datagram, seconds: f64, leap: u8) -> Datagram {
        let stamp = ntp(at(seconds).clock);
        let origin = u64::from_be_bytes(request.payload[40..48].try_into().expect("eight bytes"));
        let packet = Packet {
            leap,
            version: 4,
            mode: 4,
            stratum: 1,
            poll: 2,
            precision: -23,
            refid: *b"GPS\0",
            ..Packet::default()
        };
        let packet = Packet { reference: stamp, origin, receive: stamp, transmit: stamp, ..packet };
        let (source, destination): (SocketAddr, SocketAddr) = (request.destination, request.source);
        Datagram { source, destination, payload: packet.bytes(48), ..request.clone() }
    }

    /// As in the captures of `a01_healthy_routed`: 23 00 02 20, zeros, and a transmit timestamp that says nothing.
    #[test]
    fn requests_hide_the_client() {
        let mut chronyd = chronyd("is = 'chrony 4.3'\nasks = [{ server = '10.2.0.2', minpoll = 2, maxpoll = 2 }]");
        let mut acts = Vec::new();
        chronyd.start(at(0.0), &mut acts);
        chronyd.wake(0, at(0.2), &mut acts);
        let first = sent(&acts).remove(0);
        assert_eq!(first.payload[..4], [0x23, 0, 2, 0x20]);
        assert_eq!(first.payload[4..40], [0; 36]);
        assert_eq!((first.source.port(), first.destination.port(), first.dscp), (0, 123, 0));
        let stamp = u64::from_be_bytes(first.payload[40..].try_into().expect("eight bytes"));
        assert!(crate::sim::packet::difference_s(stamp, ntp(at(0.2).clock)).abs() > 1000.0);
    }

    #[test]
    fn worlds_choose_port_version_and_mode() {
        let asks = "asks = [{ server = '10.2.0.2', version = 3, length = 80 }, { server = '10.2.0.3', mode = 1 }]";
        let mut chronyd = chronyd(&format!("is = 'chrony 4.3'\nport = 123\n{asks}"));
        let mut acts = Vec::new();
        chronyd.start(at(0.0), &mut acts);
        chronyd.wake(0, at(0.2), &mut acts);
        chronyd.wake(1, at(0.2), &mut acts);
        let sent = sent(&acts);
        assert_eq!((sent[0].payload[0], sent[0].payload.len(), sent[0].source.port()), (0x1b, 80, 123));
        assert_eq!((sent[1].payload[0], sent[1].source.port()), (0xe1, 123));
        let (file, text) = chronyd.configuration();
        assert_eq!(file, "chrony.conf");
        assert!(
            text.contains("server 10.2.0.2 minpoll 6 maxpoll 10 version 3\npeer 10.2.0.3 ")
                && text.contains("acquisitionport 123\n")
        );
    }

    /// Forged, repeated and unsynchronised answers are no samples.
    #[test]
    fn answers_are_tested() {
        let mut chronyd =
            chronyd("is = 'chrony 4.3'\nmay_set = false\nasks = [{ server = '10.2.0.2', minpoll = 2, maxpoll = 2 }]");
        let mut acts = Vec::new();
        chronyd.start(at(0.0), &mut acts);
        chronyd.wake(0, at(0.2), &mut acts);
        let request = sent(&acts).remove(0);
        let mut forged = answer(&request, 0.2, 0);
        forged.payload[24] ^= 1;
        let good = answer(&request, 0.2005, 0);
        for datagram in [&forged, &good, &good] {
            chronyd.receive(datagram, at(0.201), &mut acts);
        }
        assert_eq!((chronyd.sources[0].counts, chronyd.sources[0].reach), ([1, 3, 1, 1], 1));
        acts.clear();
        chronyd.wake(2 << 16, at(4.2), &mut acts);
        let request = sent(&acts).remove(0);
        chronyd.receive(&answer(&request, 4.2, 3), at(4.201), &mut acts);
        assert_eq!((chronyd.sources[0].counts, chronyd.sources[0].reach), ([2, 4, 2, 1], 2));
        assert!(chronyd.status(at(5.0)).contains("NTP tests       : 111 101 0000\n"));
        assert!(!acts.iter().any(|act| matches!(act, Act::Frequency(_) | Act::Slew { .. } | Act::Step(_))));
        assert_eq!((chronyd.system(at(5.0)).leap, chronyd.system(at(5.0)).stratum), (3, 16));
    }
}
