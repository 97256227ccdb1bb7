//! Requests, and what becomes of the answers: chronyd's tests, the sample, the next poll.

use crate::sim::chrony::samples::Sample;
use crate::sim::chrony::source::{Answer, Asked, Source, Tests};
use crate::sim::chrony::{Call, Chronyd, PRECISION_S, reference_id};
use crate::sim::daemon::{Act, Datagram, local_towards};
use crate::sim::ip::TTL;
use crate::sim::packet::{Packet, difference_s, ntp};
use ntpscope_core::wire::ntp::Header;
use rand::RngExt;
use std::net::SocketAddr;

/// The port of NTP.
const NTP: u16 = 123;
/// The precision that requests name, so that they say nothing of the client.
const HIDDEN_PRECISION: i8 = 32;
/// Intervals between requests are lengthened by up to this share.
const RANDOMNESS: f64 = 0.02;
/// `maxdelay` and the longest time that a server may take, in seconds.
const MOST_DELAY_S: f64 = 3.0;
/// See `MOST_DELAY_S`.
const MOST_RESPONSE_S: f64 = 4.0;
/// `maxdelaydevratio`.
const DELAY_RATIO: f64 = 10.0;
/// Root distance from which on a server counts as not synchronised (`NTP_MAX_DISPERSION`), in seconds.
const MOST_DISTANCE_S: f64 = 16.0;
/// How the poll's score changes without a good answer: none from the selected source or another, one that fails the tests.
const SCORE_SILENT: (f64, f64) = (0.1, 0.25);
const SCORE_BAD: f64 = 0.1;
/// After RATE it waits so many more intervals.
const RATE_INTERVALS: f64 = 4.0;

impl Chronyd {
    /// Asks a source.
    pub(super) fn request(&mut self, call: &mut Call<'_>, index: usize) {
        let selected = self.selected == Some(index);
        let source = &mut self.sources[index];
        if source.unanswered > 0 {
            source.adjust_poll(if selected { SCORE_SILENT.0 } else { SCORE_SILENT.1 });
            source.reached(false);
            if source.reach == 0 {
                self.select(call, None);
            }
        }
        let nonce = self.random.random();
        let at = self.corrected(call);
        let (own, server) = (self.system_at(call.now_s), self.sources[index].said.server);
        let source = &mut self.sources[index];
        let said = &source.said;
        let hidden = Packet { version: said.version, mode: 3, poll: source.poll, transmit: nonce, ..Packet::default() };
        let packet = if said.mode == 1 {
            let stratum = if own.leap == 3 { 0 } else { own.stratum };
            Packet {
                leap: own.leap,
                mode: 1,
                stratum,
                precision: own.precision,
                root_delay_s: own.root_delay_s,
                root_dispersion_s: own.root_dispersion_s,
                refid: if own.leap == 3 { [0; 4] } else { own.refid },
                reference: if own.leap == 3 { 0 } else { ntp(own.reference) },
                origin: source.heard.1,
                transmit: ntp(at),
                ..hidden
            }
        } else {
            Packet { precision: HIDDEN_PRECISION, ..hidden }
        };
        source.asked = Some(Asked { nonce: packet.transmit, at, monotonic_s: call.now_s });
        let port = if said.mode == 1 { NTP } else { self.config.port.unwrap_or(0) };
        call.act(Act::Send(Datagram {
            source: SocketAddr::new(local_towards(&self.addresses, server), port),
            destination: SocketAddr::new(server, NTP),
            ttl: TTL,
            dscp: 0,
            payload: packet.bytes(said.length.unwrap_or(48)),
        }));
        let after_s = source.sent();
        self.ask_again(call, index, after_s);
    }

    /// Arranges the next request of a source.
    pub(super) fn ask_again(&mut self, call: &mut Call<'_>, index: usize, after_s: f64) {
        let spread = 1.0 + RANDOMNESS * self.random.random::<f64>();
        let source = &mut self.sources[index];
        source.timer += 1;
        let after_s = (after_s * spread).max(0.0);
        call.act(Act::Wake { token: source.timer << 16 | index as u64, after_s });
    }

    /// A datagram of a source.
    pub(super) fn read(&mut self, call: &mut Call<'_>, datagram: &Datagram) {
        let Some(header) = Header::read(&datagram.payload) else { return };
        let from = datagram.source;
        let asks = |source: &Source| source.said.server == from.ip() && source.said.mode != 5;
        let Some(index) = self.sources.iter().position(asks).filter(|_| from.port() == NTP) else { return };
        let packet = Packet::of(&header);
        let wanted = if self.sources[index].said.mode == 1 { 1..=2 } else { 4..=4 };
        if !wanted.contains(&packet.mode) || packet.version == 0 {
            return;
        }
        let now = self.corrected(call);
        let local = datagram.destination.ip();
        let source = &mut self.sources[index];
        source.counts[1] += 1;
        let stamps = (packet.receive, packet.transmit);
        let asked = source.asked.filter(|asked| asked.nonce == packet.origin);
        let mut tests = Tests {
            first: [stamps != source.heard, asked.is_some(), stamps.0 != 0 && stamps.1 != 0],
            second: [
                true,
                packet.leap != 3 && (1..16).contains(&packet.stratum),
                packet.root_delay_s / 2.0 + packet.root_dispersion_s < MOST_DISTANCE_S,
            ],
            last: [false; 4],
        };
        let Some(asked) = asked.filter(|_| tests.valid()) else { return };
        source.counts[2] += 1;
        (source.heard, source.asked, source.unanswered, source.local) = (stamps, None, 0, Some(local));
        let precision_s = 2_f64.powi(i32::from(packet.precision));
        let mut answer = Answer { packet, offset_s: 0.0, delay_s: 0.0, dispersion_s: 0.0, response_s: 0.0, tests };
        let mut sample = None;
        if tests.synchronised() {
            let elapsed_s = difference_s(ntp(now), ntp(asked.at));
            answer.response_s = difference_s(packet.transmit, packet.receive);
            answer.dispersion_s = precision_s.max(PRECISION_S) + PRECISION_S + source.samples.skew() * elapsed_s.abs();
            answer.delay_s = (elapsed_s - answer.response_s).abs().max(precision_s.max(PRECISION_S));
            answer.offset_s =
                (difference_s(packet.receive, ntp(asked.at)) + difference_s(packet.transmit, ntp(now))) / 2.0;
            let taken = Sample {
                at_s: (call.now_s + asked.monotonic_s) / 2.0,
                offset_s: -answer.offset_s,
                delay_s: answer.delay_s,
                dispersion_s: answer.dispersion_s,
                root_delay_s: packet.root_delay_s + answer.delay_s,
                root_dispersion_s: packet.root_dispersion_s + answer.dispersion_s,
            };
            tests.last = [
                answer.delay_s - answer.dispersion_s <= MOST_DELAY_S && answer.response_s <= MOST_RESPONSE_S,
                true,
                source.samples.allows(&taken, DELAY_RATIO),
                packet.stratum <= 1 || !self.addresses.iter().any(|own| reference_id(*own) == packet.refid),
            ];
            answer.tests = tests;
            sample = Some(taken).filter(|_| tests.good());
        }
        source.answer = Some(answer);
        source.reached(tests.synchronised());
        match sample {
            Some(sample) => {
                source.counts[3] += 1;
                let error_s = (sample.offset_s - source.samples.predict(sample.at_s)).abs();
                source.measured_s = sample.offset_s;
                source.samples.take(sample);
                source.fresh = true;
                self.log_statistics(call, index);
                self.select(call, Some(index));
                let source = &mut self.sources[index];
                let change = source.poll_change(error_s, sample.dispersion_s + sample.delay_s / 2.0);
                source.adjust_poll(change);
            }
            None => {
                source.adjust_poll(SCORE_BAD);
                self.select(call, None);
            }
        }
        if tests.synchronised() {
            self.log_measurement(call, index);
        }
        let source = &mut self.sources[index];
        let (mut after_s, since_request) = source.answered(tests.good());
        if packet.stratum == 0 && packet.leap == 3 && packet.refid == *b"RATE" {
            source.calm();
            after_s = (1.0 + RATE_INTERVALS) * source.interval_s();
            let text = format!("Received KoD RATE from {}", source.said.server);
            self.log(call, &text);
        }
        let passed_s = if since_request { call.now_s - asked.monotonic_s } else { 0.0 };
        self.ask_again(call, index, after_s - passed_s);
    }
}
