//! An association: what is known of one server, its clock filter, and when it is asked next.

use crate::sim::ntpd::version::Family;
use crate::sim::ntpd::{MAX_DISPERSION_S, MAX_DISTANCE_S, MIN_DISPERSION_S, PHI, PRECISION, precision_s};
use crate::world::Source;
use ntpscope_core::time::Time;
use std::net::IpAddr;

/// Stages of the clock filter (`NTP_SHIFT`).
pub const SHIFT: usize = 8;
/// Popcorn gate (`CLOCK_SGATE`).
const SPIKE_GATE: f64 = 3.0;
/// Beyond this age a sample's dispersion counts as delay (`CLOCK_ALLAN`), in seconds.
const ALLAN_S: i64 = 2048;

/// What NTPsec shows for a server's poll exponent (`NTP_MAXPOLL_UNK`).
const UNKNOWN_POLL: i8 = 99;

/// Who asks and who answers in an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Asks a server.
    Client,
    /// Asks a symmetric peer.
    Symmetric,
    /// Asks for once a server that broadcasts, for the delay.
    Volley,
    /// Only listens.
    Listens,
}

/// One sample of the filter.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds, server − client.
    pub offset_s: f64,
    /// Seconds.
    pub delay_s: f64,
    /// Seconds; grows with age.
    pub dispersion_s: f64,
    /// `current_time` of its arrival.
    pub epoch: i64,
}

/// What the filter has to say about a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filtered {
    /// No sample is good.
    Nothing,
    /// The best one is a spike of so many seconds.
    Popcorn(f64),
    /// The best one is no newer than the last that was used.
    Old,
    /// The best one is new.
    Best,
}

/// An association.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The server.
    pub address: IpAddr,
    /// The own address towards it.
    pub local: IpAddr,
    /// Association id.
    pub association: u16,
    /// As configured.
    pub source: Source,
    /// Whether it stands in the configuration.
    pub configured: bool,
    /// Mode.
    pub mode: Mode,
    /// Polls at the least, log₂ s; a kiss-o'-death raises it.
    pub minpoll: i8,
    /// The own poll exponent.
    pub hpoll: i8,
    /// The server's.
    pub ppoll: i8,
    /// Reach register.
    pub reach: u8,
    /// Polls since it was last reachable.
    pub unreach: u32,
    /// Packets left of a burst.
    pub burst: u8,
    /// Polls left in which a reply starts a burst.
    pub retry: u8,
    /// Headway, in seconds, as of `throttled`.
    pub throttle: i64,
    /// When that was.
    pub throttled: i64,
    /// When it was last asked.
    pub outdate: i64,
    /// When it is asked next.
    pub nextdate: i64,
    /// When the filter was last fed.
    pub update: i64,
    /// When the sample that was last used had come.
    pub epoch: i64,
    /// Samples, the newest first.
    pub samples: [Sample; SHIFT],
    /// The best sample's offset, in seconds.
    pub offset_s: f64,
    /// Its delay, in seconds.
    pub delay_s: f64,
    /// Dispersion of the filter, in seconds.
    pub dispersion_s: f64,
    /// Jitter of the filter, in seconds.
    pub jitter_s: f64,
    /// The server's leap indicator, 3 before it has answered.
    pub leap: u8,
    /// Its stratum.
    pub stratum: u8,
    /// Its mode.
    pub server_mode: u8,
    /// Its precision.
    pub precision: i8,
    /// Its root delay, in seconds.
    pub root_delay_s: f64,
    /// Its root dispersion, in seconds.
    pub root_dispersion_s: f64,
    /// Its reference id.
    pub refid: [u8; 4],
    /// Its reference timestamp.
    pub reference: u64,
    /// The transmit timestamp of the open request, as on the wire; 0 when it is answered.
    pub origin: u64,
    /// When that was sent.
    pub sent: Time,
    /// The last transmit timestamp of the server.
    pub transmit: u64,
    /// When its last reply came.
    pub received: Option<Time>,
    /// Requests since the last reply.
    pub open: u32,
    /// Tests that failed.
    pub flash: u16,
    /// Selection, 0 (rejected) to 6 (system peer).
    pub status: u8,
    /// The same, while it is being selected anew.
    pub new_status: u8,
    /// The last event and how often it was noted.
    pub event: (u8, u8),
}

impl Peer {
    /// Forgets everything but who it is; shows `ident` for its reference id.
    pub fn clear(&mut self, ident: [u8; 4], seconds: i64, family: Family) {
        self.ppoll = if family == Family::Sec { UNKNOWN_POLL } else { self.source.maxpoll };
        self.hpoll = self.minpoll;
        (self.reach, self.unreach, self.burst, self.retry) = (0, 0, 0, 0);
        (self.throttle, self.throttled) = (0, seconds);
        (self.outdate, self.nextdate, self.update, self.epoch) = (seconds, seconds, seconds, 0);
        self.samples = [Sample { offset_s: 0.0, delay_s: 0.0, dispersion_s: MAX_DISPERSION_S, epoch: 0 }; SHIFT];
        (self.offset_s, self.delay_s, self.dispersion_s) = (0.0, 0.0, MAX_DISPERSION_S);
        self.jitter_s = precision_s(PRECISION);
        (self.leap, self.stratum, self.server_mode, self.refid) = (3, 16, 0, ident);
        (self.precision, self.reference) = (PRECISION, 0);
        (self.root_delay_s, self.root_dispersion_s) = (0.0, 0.0);
        (self.origin, self.transmit, self.received, self.open) = (0, 0, None, 0);
        self.flash = 0x1200;
        (self.status, self.new_status) = (0, 0);
    }

    /// A fresh one.
    #[must_use]
    pub fn new(address: IpAddr, local: IpAddr, association: u16, source: &Source, mode: Mode) -> Peer {
        let sample = Sample { offset_s: 0.0, delay_s: 0.0, dispersion_s: MAX_DISPERSION_S, epoch: 0 };
        let mut peer = Peer {
            address,
            local,
            association,
            source: source.clone(),
            configured: mode != Mode::Volley,
            mode,
            minpoll: source.minpoll,
            hpoll: source.minpoll,
            ppoll: source.maxpoll,
            reach: 0,
            unreach: 0,
            burst: 0,
            retry: 0,
            throttle: 0,
            throttled: 0,
            outdate: 0,
            nextdate: 0,
            update: 0,
            epoch: 0,
            samples: [sample; SHIFT],
            offset_s: 0.0,
            delay_s: 0.0,
            dispersion_s: MAX_DISPERSION_S,
            jitter_s: 0.0,
            leap: 3,
            stratum: 16,
            server_mode: 0,
            precision: PRECISION,
            root_delay_s: 0.0,
            root_dispersion_s: 0.0,
            refid: *b"INIT",
            reference: 0,
            origin: 0,
            sent: Time(0),
            transmit: 0,
            received: None,
            open: 0,
            flash: 0x1200,
            status: 0,
            new_status: 0,
            event: (0, 0),
        };
        peer.clear(*b"INIT", 0, Family::Old);
        peer
    }

    /// Puts a sample into the filter (RFC 5905 §10; `clock_filter`). Before the clock has `settled` the newest counts, after it
    /// the one with the least distance.
    pub fn filter(&mut self, sample: Sample, settled: bool) -> Filtered {
        let seconds = sample.epoch;
        let aged = PHI * (seconds - self.update) as f64;
        self.update = seconds;
        self.samples.rotate_right(1);
        for old in &mut self.samples[1..] {
            old.dispersion_s = (old.dispersion_s + aged).min(MAX_DISPERSION_S);
        }
        self.samples[0] = Sample { dispersion_s: sample.dispersion_s.min(MAX_DISPERSION_S), ..sample };
        let distance = |sample: &Sample| match sample {
            s if s.dispersion_s >= MAX_DISPERSION_S => MAX_DISPERSION_S,
            s if seconds - s.epoch > ALLAN_S => s.delay_s + s.dispersion_s,
            s => s.delay_s,
        };
        let mut order = self.samples.map(|sample| (distance(&sample), sample));
        if settled {
            order.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        let mut good = 0;
        for (distance, _) in &order {
            if *distance < MAX_DISPERSION_S && (good < 2 || *distance < MAX_DISTANCE_S) {
                good += 1;
            }
        }
        let best = order[0].1;
        self.dispersion_s = order.iter().rev().fold(0.0, |sum, (_, sample)| 0.5 * (sum + sample.dispersion_s));
        let squares: f64 = order[..good].iter().map(|(_, sample)| (sample.offset_s - best.offset_s).powi(2)).sum();
        if good == 0 {
            self.jitter_s = 0.0;
            return Filtered::Nothing;
        }
        let change = (self.offset_s - best.offset_s).abs();
        (self.offset_s, self.delay_s) = (best.offset_s, best.delay_s);
        let mean = if good > 1 { squares / (good - 1) as f64 } else { squares };
        self.jitter_s = mean.sqrt().max(precision_s(PRECISION));
        let trusted = self.dispersion_s < MAX_DISTANCE_S && best.dispersion_s < MAX_DISTANCE_S;
        let soon = ((best.epoch - self.epoch) as f64) < 2.0 * precision_s(self.hpoll);
        if trusted && change > SPIKE_GATE * self.jitter_s && soon {
            return Filtered::Popcorn(change);
        }
        if best.epoch <= self.epoch {
            return Filtered::Old;
        }
        self.epoch = best.epoch;
        Filtered::Best
    }

    /// Distance to the root, in seconds; 4.2.7 left the filter's dispersion out of it.
    #[must_use]
    pub fn root_distance_s(&self, seconds: i64, family: Family) -> f64 {
        let precision = precision_s(self.precision) + precision_s(PRECISION);
        let dispersion = if family == Family::New { precision } else { self.dispersion_s };
        let aged = PHI * (seconds - self.update) as f64;
        let delay = (self.delay_s + self.root_delay_s) / 2.0;
        (delay + dispersion + self.root_dispersion_s + aged + self.jitter_s).max(MIN_DISPERSION_S)
    }

    /// Why it can't be synchronised to, as bits of `flash`; 0 where it can. `loops` are reference ids that would close a loop.
    #[must_use]
    pub fn unfit(&self, seconds: i64, family: Family, loops: &[[u8; 4]]) -> u16 {
        let mut why = 0;
        if self.leap == 3 || self.stratum == 0 || self.stratum >= 16 {
            why |= 0x200;
        }
        if self.root_distance_s(seconds, family) >= MAX_DISTANCE_S + PHI * precision_s(self.hpoll) {
            why |= 0x400;
        }
        if self.stratum > 1 && loops.contains(&self.refid) {
            why |= 0x800;
        }
        if self.reach == 0 {
            why |= 0x1000;
        }
        why
    }

    /// The status word that `peerstats`, `protostats` and `as` show.
    #[must_use]
    pub fn status_word(&self, family: Family) -> u16 {
        let configured = if self.configured { 0x8000 } else { 0 };
        // NTPsec takes each accepted reply for an authentic one.
        let authentic = if family == Family::Sec && self.received.is_some() { 0x2000 } else { 0 };
        let reach = if self.reach != 0 { 0x1000 } else { 0 };
        let (event, count) = self.event;
        configured | authentic | reach | u16::from(self.status) << 8 | u16::from(count) << 4 | u16::from(event)
    }

    /// Notes an event. NTPsec counts how often it came in a row; ntpd counts on until the same comes twice.
    pub fn note(&mut self, event: u8, family: Family) {
        let (last, count) = self.event;
        let anew = (last == event) != (family == Family::Sec);
        self.event = (event, if anew { 1 } else { (count + 1).min(15) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        let source: Source = toml::from_str("server = '10.0.0.1'").expect("a source");
        Peer::new(source.server, source.server, 1, &source, Mode::Client)
    }

    fn sample(epoch: i64, offset_s: f64, delay_s: f64) -> Sample {
        Sample { offset_s, delay_s, dispersion_s: 1e-6, epoch }
    }

    #[test]
    fn the_filter_takes_the_least_delay_once() {
        let mut peer = peer();
        assert_eq!(peer.filter(sample(64, 0.001, 0.010), true), Filtered::Best);
        assert!((peer.dispersion_s - 7.9375).abs() < 1e-3, "{}", peer.dispersion_s);
        assert_eq!(peer.filter(sample(128, 0.002, 0.011), true), Filtered::Old);
        assert_eq!((peer.offset_s, peer.delay_s), (0.001, 0.010));
        assert_eq!(peer.filter(sample(192, 0.003, 0.009), true), Filtered::Best);
        assert_eq!(peer.offset_s, 0.003);
    }

    #[test]
    fn a_spike_is_what_no_other_sample_in_the_filter_says() {
        let mut peer = peer();
        for n in 1..=8 {
            peer.filter(sample(64 * n, 0.0001 * (n % 2) as f64, 0.010), false);
        }
        // The jitter is taken around the best sample, so a lone outlier is none; one that was used before is.
        assert_eq!(peer.filter(sample(64 * 9, 0.1, 0.009), true), Filtered::Best);
        let got = peer.filter(sample(64 * 10, 0.0, 0.008), false);
        assert_eq!(got, Filtered::Best, "its jitter is large");
        peer.offset_s = 1.0;
        assert!(matches!(peer.filter(sample(64 * 11, 0.0, 0.008), false), Filtered::Popcorn(_)));
    }

    #[test]
    fn events_are_counted_as_each_does() {
        let count = |family, events: &[u8]| {
            let mut peer = peer();
            events.iter().for_each(|event| peer.note(*event, family));
            peer.event
        };
        assert_eq!(count(Family::Old, &[1, 4, 10]), (10, 3));
        assert_eq!(count(Family::Old, &[1, 4, 10, 10]), (10, 1));
        assert_eq!(count(Family::Sec, &[1, 4, 10, 10]), (10, 2));
    }
}
