//! The reference (`chronyc tracking`): how the sources' estimate corrects the clock, and what is told to others.

use crate::sim::chrony::samples::{CLOCK_ERROR, Samples};
use crate::sim::chrony::{Call, Chronyd, PRECISION, reference_id};
use crate::sim::daemon::System;
use ntpscope_core::time::{SECOND, Time};
use std::net::IpAddr;

/// `correctiontimeratio`.
const CORRECTION_RATIO: f64 = 3.0;
/// `maxupdateskew` of Debian's configuration, as a fraction.
const MOST_SKEW: f64 = 100e-6;
/// `makestep` of Debian's configuration: threshold in seconds, and in how many updates.
const STEP: (f64, u32) = (1.0, 3);
/// `logchange`, in seconds.
const LOGGED_S: f64 = 1.0;
/// A new estimate of the frequency counts so many times the old one.
const NEWER: f64 = 3.0;
/// How fast the mean square of the offset follows.
const MEAN: f64 = 0.1;
/// The first updates tell nothing of the offsets to come.
const SETTLES: u32 = 3;
/// A jump of the clock that chronyd notices, in seconds.
const JUMP_S: f64 = 10.0;

/// What the sources say together. Offsets and frequencies are local − source.
pub struct Update {
    /// The selected source.
    pub address: IpAddr,
    /// The own stratum.
    pub stratum: u8,
    /// Leap indicator.
    pub leap: u8,
    /// Sources that were combined.
    pub count: u32,
    /// Seconds of the monotonic clock.
    pub at_s: f64,
    /// At that time.
    pub offset_s: f64,
    /// Its standard deviation.
    pub offset_sd_s: f64,
    /// Seconds per second.
    pub frequency: f64,
    /// Bound of its error.
    pub skew: f64,
    /// To the root and back.
    pub root_delay_s: f64,
    /// To the root.
    pub root_dispersion_s: f64,
}

/// What is known of the clock.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Who is the source; none where not synchronised.
    pub address: Option<IpAddr>,
    /// Own stratum.
    pub stratum: u8,
    /// Leap indicator, 3 where not synchronised.
    pub leap: u8,
    /// When the reference was set, by the clock and by the monotonic one.
    pub set: Time,
    /// See `set`.
    pub set_s: f64,
    /// Bound of the frequency's error.
    pub skew: f64,
    /// How far the last estimate of the frequency is from what is corrected.
    pub residual: f64,
    /// To the root and back.
    pub root_delay_s: f64,
    /// To the root when it was set.
    pub root_dispersion_s: f64,
    /// The last correction.
    pub offset_s: f64,
    /// Mean square of the corrections.
    pub mean_square: f64,
    /// Seconds between the last updates.
    pub interval_s: f64,
    updated_s: f64,
    updates: u32,
    /// Announced to the kernel.
    leaps: bool,
}

/// What a row of `tracking.log` tells beside the reference.
pub struct Row {
    /// The correction of this update.
    pub offset_s: f64,
    /// Sources that were combined.
    pub count: u32,
    /// Standard deviation of the correction.
    pub offset_sd_s: f64,
    /// What was left of earlier corrections.
    pub left_s: f64,
    /// Largest error since the last update.
    pub error_s: f64,
}

impl Reference {
    /// Nothing is known.
    pub fn new() -> Reference {
        Reference {
            address: None,
            stratum: 0,
            leap: 3,
            set: Time(0),
            set_s: 0.0,
            skew: 1.0,
            residual: 0.0,
            root_delay_s: 1.0,
            root_dispersion_s: 1.0,
            offset_s: 0.0,
            mean_square: 0.0,
            interval_s: 0.0,
            updated_s: 0.0,
            updates: 0,
            leaps: false,
        }
    }

    /// Dispersion to the root at a time.
    pub fn dispersion_s(&self, now_s: f64) -> f64 {
        if self.address.is_none() {
            return self.root_dispersion_s;
        }
        self.root_dispersion_s + (now_s - self.set_s).max(0.0) * (self.skew + self.residual.abs() + CLOCK_ERROR)
    }

    /// Largest error at a time.
    pub fn error_s(&self, now_s: f64) -> f64 {
        self.root_delay_s / 2.0 + self.dispersion_s(now_s)
    }
}

impl Chronyd {
    /// The clock as it will be when all corrections are done.
    pub(super) fn corrected(&self, call: &Call<'_>) -> Time {
        let left_s = self.correction.left_s(call.now_s);
        Time(call.clock.0 + (left_s * SECOND as f64).round() as i64)
    }

    /// Corrects the clock by what the sources say.
    pub(super) fn update(&mut self, call: &mut Call<'_>, update: &Update) {
        let now_s = call.now_s;
        let offset_s = update.offset_s + (now_s - update.at_s) * update.frequency;
        let left_s = self.correction.left_s(now_s);
        let error_s = self.reference.error_s(now_s) + left_s.abs();
        let old_ppm = self.correction.frequency_ppm;
        let told_ppm = old_ppm + update.frequency * (1e6 - old_ppm);
        let reference = &mut self.reference;
        let mut frequency_ppm = old_ppm;
        if update.skew <= MOST_SKEW {
            let (old, new) = (reference.skew.powi(-2), NEWER * update.skew.powi(-2));
            frequency_ppm = (old_ppm * old + told_ppm * new) / (old + new);
            let (away, near) = ((old_ppm - frequency_ppm) * 1e-6, (told_ppm - frequency_ppm) * 1e-6);
            let spread = ((away * away * old + near * near * new) / (old + new)).sqrt();
            reference.skew = spread + (reference.skew * old + update.skew * new) / (old + new);
        }
        reference.interval_s = if reference.updates == 0 { 0.0 } else { now_s - reference.updated_s };
        (reference.updates, reference.updated_s) = (reference.updates + 1, now_s);
        reference.residual = (told_ppm - frequency_ppm) * 1e-6;
        (reference.address, reference.stratum) = (Some(update.address), update.stratum);
        (reference.root_delay_s, reference.root_dispersion_s) = (update.root_delay_s, update.root_dispersion_s);
        reference.offset_s = offset_s;
        let square = offset_s * offset_s;
        reference.mean_square = match reference.updates {
            ..=SETTLES => square,
            _ => reference.mean_square + MEAN * (square - reference.mean_square),
        };
        let rate = CORRECTION_RATIO * 0.5 * update.offset_sd_s * reference.interval_s;
        let steps = reference.updates <= STEP.1 && (offset_s - left_s).abs() > STEP.0;
        let change = (frequency_ppm - old_ppm) * 1e-6;
        if offset_s.abs() > LOGGED_S {
            self.log(call, &format!("System clock wrong by {:.6} seconds", -offset_s));
        }
        self.correction.adjust(now_s, frequency_ppm, offset_s, rate, call.acts);
        for source in &mut self.sources {
            source.samples.adjusted(now_s, change, offset_s);
            if let Some(asked) = &mut source.asked {
                asked.at.0 -= (offset_s * SECOND as f64).round() as i64;
            }
        }
        if steps {
            let by_s = self.correction.step(now_s, call.acts);
            call.clock.0 += (by_s * SECOND as f64).round() as i64;
            self.log(call, &format!("System clock was stepped by {by_s:.6} seconds"));
        }
        let ago_s = now_s - update.at_s;
        self.reference.set_s = update.at_s;
        self.reference.set = Time(self.corrected(call).0 - (ago_s * SECOND as f64) as i64);
        self.leap(call, update.leap);
        let (count, offset_sd_s) = (update.count, update.offset_sd_s);
        self.log_tracking(call, &Row { offset_s, count, offset_sd_s, left_s, error_s });
    }

    /// What the sources announce is believed at the end of June and December only; the kernel does it.
    fn leap(&mut self, call: &mut Call<'_>, leap: u8) {
        let date = jiff::Timestamp::from_nanosecond(i128::from(call.clock.0)).unwrap_or_default();
        let date = date.to_zoned(jiff::tz::TimeZone::UTC).date();
        let is_day = matches!((date.month(), date.day()), (6, 30) | (12, 31));
        self.reference.leap = if is_day { leap } else { 0 };
        let leaps = self.reference.leap != 0;
        if leaps != self.reference.leaps {
            self.reference.leaps = leaps;
            let what = match self.reference.leap {
                1 => "set to insert",
                2 => "set to delete",
                _ => "set to not insert/delete",
            };
            self.log(call, &format!("System clock status {what} leap second"));
        }
    }

    /// Whether somebody has set the clock by more than chronyd can overlook; then all that it knew is void.
    pub(super) fn notice_jump(&mut self, call: &mut Call<'_>) {
        let shown_s = (call.clock.0 - self.seen.0.0) as f64 / SECOND as f64;
        let (passed_s, done_s) = (call.now_s - self.seen.1, self.seen.2 - self.correction.left_s(call.now_s));
        let jump_s = shown_s - passed_s - done_s;
        if jump_s.abs() < JUMP_S {
            return;
        }
        let way = if jump_s > 0.0 { "Forward" } else { "Backward" };
        self.log(call, &format!("{way} time jump detected!"));
        self.correction.forget(call.now_s, call.acts);
        for source in &mut self.sources {
            source.samples = Samples::new();
            source.asked = None;
            source.fresh = false;
            (source.poll, source.poll_score) = (source.said.minpoll, 0.0);
        }
        for index in 0..self.sources.len() {
            let interval_s = self.sources[index].interval_s();
            if self.sources[index].said.mode != 5 {
                self.ask_again(call, index, interval_s);
            }
        }
        let updates = self.reference.updates;
        self.reference = Reference { updates, skew: self.reference.skew, ..Reference::new() };
        self.select(call, None);
        self.log_unsynchronised(call);
    }

    /// What it tells others, at a time of the monotonic clock.
    pub(super) fn system_at(&self, now_s: f64) -> System {
        let reference = &self.reference;
        System {
            leap: reference.leap,
            stratum: if reference.address.is_some() { reference.stratum } else { 16 },
            precision: PRECISION,
            root_delay_s: reference.root_delay_s,
            root_dispersion_s: reference.dispersion_s(now_s),
            refid: reference.address.map_or([0; 4], reference_id),
            reference: reference.set,
        }
    }
}
