//! The samples of a source, and what follows from them (`chronyc sourcestats`). Offsets are local − source: positive is fast.

use crate::sim::chrony::asymmetry::Asymmetry;
use crate::sim::chrony::regression::{self, Line, Point};
use std::collections::VecDeque;

/// Most samples of a line.
const MOST: usize = 64;
/// `minsamples`.
const LEAST: usize = 6;
/// What is believed of a frequency of which nothing is known (2000 ppm).
const WORST_FREQUENCY: f64 = 2e-3;
/// Of a standard deviation, in seconds.
const WORST_DEVIATION_S: f64 = 4.0;
/// Least standard deviation, in seconds, and skew.
const LEAST_DEVIATION_S: f64 = 1e-9;
/// See `LEAST_DEVIATION_S`.
const LEAST_SKEW: f64 = 1e-12;
/// `maxclockerror`: how fast a clock may stray between updates.
pub const CLOCK_ERROR: f64 = 1e-6;
/// From so many samples on the delay is tested against the deviation.
const LEAST_FOR_DELAY_TEST: usize = 6;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds of the monotonic clock.
    pub at_s: f64,
    /// Local − source, as the clock is now corrected.
    pub offset_s: f64,
    /// There and back.
    pub delay_s: f64,
    /// Error of the timestamps.
    pub dispersion_s: f64,
    /// To the root and back.
    pub root_delay_s: f64,
    /// To the root.
    pub root_dispersion_s: f64,
}

impl Sample {
    fn distance_s(&self) -> f64 {
        self.root_dispersion_s + self.root_delay_s / 2.0
    }
}

/// The samples of a source.
#[derive(Clone, Debug)]
pub struct Samples {
    kept: VecDeque<Sample>,
    /// How many of `kept` are too old for the line and serve its runs only.
    older: usize,
    /// Seconds of the monotonic clock at which the line is.
    line_at_s: f64,
    line: Option<Line>,
    /// How one-sided the queueing is.
    pub asymmetry: Asymmetry,
    /// Change of the frequency in terms of the skew before.
    pub stress: f64,
    /// Samples of the last line before it was shortened.
    pub before: usize,
}

/// What selection needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// Interval in which the true offset lies.
    pub low_s: f64,
    /// See `low_s`.
    pub high_s: f64,
    /// Root distance of the best sample now.
    pub distance_s: f64,
    /// Standard deviation.
    pub deviation_s: f64,
    /// Seconds since the first sample.
    pub first_ago_s: f64,
}

/// What the reference needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Tracking {
    /// Seconds of the monotonic clock.
    pub at_s: f64,
    /// Local − source.
    pub offset_s: f64,
    /// Its standard deviation.
    pub offset_sd_s: f64,
    /// How fast the offset grows.
    pub frequency: f64,
    /// Bound of its error.
    pub skew: f64,
    /// Of the best sample.
    pub root_delay_s: f64,
    /// See `root_delay_s`.
    pub root_dispersion_s: f64,
}

impl Samples {
    /// None yet.
    pub fn new() -> Samples {
        Samples {
            kept: VecDeque::new(),
            older: 0,
            line_at_s: 0.0,
            line: None,
            asymmetry: Asymmetry::default(),
            stress: 0.0,
            before: 0,
        }
    }

    /// Samples of the line.
    pub fn count(&self) -> usize {
        self.kept.len() - self.older
    }

    /// The line through them, if there is one.
    pub fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// The latest.
    pub fn last(&self) -> Option<&Sample> {
        self.kept.back()
    }

    /// Seconds that the line spans.
    pub fn span_s(&self) -> f64 {
        let first = self.kept.get(self.older);
        first.zip(self.kept.back()).map_or(0.0, |(first, last)| last.at_s - first.at_s)
    }

    /// Bound of the frequency's error.
    pub fn skew(&self) -> f64 {
        self.line.map_or(WORST_FREQUENCY, |line| line.skew)
    }

    /// Standard deviation.
    pub fn deviation_s(&self) -> f64 {
        self.line.map_or(WORST_DEVIATION_S, |line| line.deviation_s)
    }

    /// How fast the offset grows.
    pub fn frequency(&self) -> f64 {
        self.line.map_or(0.0, |line| line.frequency)
    }

    /// The offset that is expected at a time.
    pub fn predict(&self, at_s: f64) -> f64 {
        match (&self.line, self.kept.back()) {
            (Some(line), _) => line.offset_s + (at_s - self.line_at_s) * line.frequency,
            (None, Some(last)) => last.offset_s,
            _ => 0.0,
        }
    }

    /// Takes a sample and draws the line anew.
    pub fn take(&mut self, sample: Sample) {
        if self.count() == MOST {
            self.forget(1);
        }
        self.kept.push_back(sample);
        let (old_frequency, old_skew) = (self.frequency(), self.skew());
        self.before = self.count();
        self.line_at_s = sample.at_s;
        let least = self.least_delay_s();
        self.asymmetry.estimate(self.kept.iter().map(|s| (s.at_s - sample.at_s, s.delay_s - least, s.offset_s)));
        self.line = regression::line(&self.points(), self.older, LEAST);
        if let Some(line) = &mut self.line {
            line.skew = line.skew.max(LEAST_SKEW);
            line.deviation_s = line.deviation_s.max(LEAST_DEVIATION_S);
            self.stress = (old_frequency - line.frequency).abs() / old_skew;
            let start = line.start;
            self.forget(start);
        }
    }

    /// The first of the line become older ones; of those, as many are kept as the line has.
    fn forget(&mut self, count: usize) {
        self.older += count;
        while self.older > self.count() {
            self.kept.pop_front();
            self.older -= 1;
        }
    }

    fn points(&self) -> Vec<Point> {
        let distances = || self.kept.iter().skip(self.older).map(|s| s.delay_s / 2.0 + s.dispersion_s);
        let least = distances().fold(f64::INFINITY, f64::min);
        let mean = distances().sum::<f64>() / self.count().max(1) as f64;
        // The scale of what queueing adds.
        let scale = if mean - least > 0.0 { (mean - least).min(least) } else { least };
        let last = self.kept.back().map_or(0.0, |last| last.at_s);
        let (least_delay_s, share) = (self.least_delay_s(), self.asymmetry.share());
        let point = |s: &Sample| {
            let more = (s.delay_s / 2.0 + s.dispersion_s - least).max(0.0) / scale;
            Point {
                at_s: s.at_s - last,
                offset_s: s.offset_s - share * (s.delay_s - least_delay_s),
                weight: (1.0 + more).powi(2),
            }
        };
        self.kept.iter().map(point).collect()
    }

    fn least_delay_s(&self) -> f64 {
        self.kept.iter().map(|s| s.delay_s).fold(f64::INFINITY, f64::min)
    }

    /// The sample of the least root distance, as it has aged until a time.
    fn best(&self, at_s: f64) -> Option<(&Sample, f64)> {
        let aged = |s: &Sample| s.distance_s() + (at_s - s.at_s).max(0.0) * self.skew();
        let all = self.kept.iter().skip(self.older).map(|s| (s, aged(s)));
        all.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// For the selection.
    pub fn selection(&self, now_s: f64) -> Option<Selection> {
        let line = self.line?;
        let (best, distance_s) = self.best(now_s)?;
        let last_ago_s = now_s - self.kept.back()?.at_s;
        let first_ago_s = now_s - self.kept.get(self.older)?.at_s;
        // A source without new samples is trusted less and less.
        let stale = (2.0 * last_ago_s - first_ago_s).max(0.0) * CLOCK_ERROR;
        let distance_s = distance_s + stale;
        let offset_s = best.offset_s + (now_s - best.at_s) * line.frequency;
        let (low_s, high_s) = (offset_s - distance_s, offset_s + distance_s);
        Some(Selection { low_s, high_s, distance_s, deviation_s: line.deviation_s, first_ago_s })
    }

    /// For the reference.
    pub fn tracking(&self) -> Option<Tracking> {
        let line = self.line?;
        let (best, _) = self.best(self.line_at_s)?;
        let age = self.line_at_s - best.at_s;
        Some(Tracking {
            at_s: self.line_at_s,
            offset_s: line.offset_s,
            offset_sd_s: line.offset_sd_s,
            frequency: line.frequency,
            skew: line.skew,
            root_delay_s: best.root_delay_s,
            root_dispersion_s: best.root_dispersion_s + line.skew * age + line.offset_sd_s,
        })
    }

    /// Whether a delay is within what the deviation allows, or its offset is off by more than the delay explains
    /// (`maxdelaydevratio`).
    pub fn allows(&self, sample: &Sample, ratio: f64) -> bool {
        let (Some(last), true) = (self.last(), self.count() >= LEAST_FOR_DELAY_TEST) else { return true };
        let least = self.least_delay_s();
        let bound = ratio * self.deviation_s() + self.skew() * (sample.at_s - last.at_s) + sample.dispersion_s;
        let more = (sample.delay_s - least) / 2.0;
        more <= bound || (sample.offset_s - self.predict(sample.at_s)).abs() - more > bound
    }

    /// The clock has been slowed by a frequency and moved back by an offset at a time: the past is seen from there.
    pub fn adjusted(&mut self, now_s: f64, frequency: f64, offset_s: f64) {
        for sample in &mut self.kept {
            sample.offset_s += frequency * (now_s - sample.at_s) - offset_s;
        }
        if let Some(line) = &mut self.line {
            line.offset_s += frequency * (now_s - self.line_at_s) - offset_s;
            line.frequency -= frequency;
        }
    }
}
