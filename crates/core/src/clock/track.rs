//! One host's clock as its own records tell of it: what is noise, and when it was more than that.

use crate::rules::happenings::Happened;
use crate::rules::series::Sample;
use crate::stats::quantile;
use crate::time::{SECOND, Time};
use std::collections::BTreeMap;

/// When offsets are more than noise.
struct Limits {
    /// Least offset that is worth a word, in seconds: daemons on local networks keep a tenth of it, and few users need more.
    offset_s: f64,
    /// So many times the noise of the paths.
    noises: f64,
    /// What is looked at at once, in seconds: a loop that polls each 1024 s has ten updates in it.
    window_s: f64,
    /// The start, in which the frequency is not yet known: a loop whose poll interval grows meanwhile takes some hours.
    start_s: f64,
    /// Of short records the start is no more than this share.
    start_share: f64,
    /// Rows from which on the discipline's own record is enough.
    rows: usize,
    /// Samples of two sources so near in time, in seconds, show the same clock.
    together_s: f64,
}

const LIMITS: Limits = Limits {
    offset_s: 2e-3,
    noises: 10.0,
    window_s: 3.0 * 3600.0,
    start_s: 8.0 * 3600.0,
    start_share: 1.0 / 3.0,
    rows: 20,
    together_s: 150.0,
};

/// What is known of one host's clock.
#[derive(Clone, Debug)]
pub struct Track<'a> {
    /// Rows of its discipline, in the order of time.
    pub rows: Vec<Sample>,
    /// What it measured of each source, in the order of time.
    pub sources: BTreeMap<&'a str, Vec<Sample>>,
    /// What its logs say happened, in the order of time.
    pub said: Vec<&'a Happened>,
}

/// Some hours of a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Its begin.
    pub from: Time,
    /// Whether offsets were more than noise in it.
    pub disturbed: bool,
}

impl Track<'_> {
    /// Whether the discipline is a loop whose time constant its rows tell (ntpd's); chronyd's has none.
    #[must_use]
    pub fn is_loop(&self) -> bool {
        self.rows.iter().filter(|row| row.poll > 0).count() * 2 > self.rows.len()
    }

    /// Whether its daemon repairs what it sees at once, as chronyd does: it has no time constant, and no status words.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        let ntpd = || self.sources.values().flatten().any(|s| s.status != 0);
        if self.rows.len() >= LIMITS.rows { !self.is_loop() } else { !self.sources.is_empty() && !ntpd() }
    }

    /// What tells most of the clock: the discipline's rows, or else the source with most samples.
    #[must_use]
    pub fn main(&self) -> &[Sample] {
        if self.rows.len() >= LIMITS.rows {
            return &self.rows;
        }
        self.sources.values().max_by_key(|samples| samples.len()).map_or(&self.rows, Vec::as_slice)
    }

    /// The first and the last time of what tells most.
    #[must_use]
    pub fn span(&self) -> Option<(Time, Time)> {
        let main = self.main();
        Some((main.first()?.time, main.last()?.time))
    }

    /// When the start is over.
    #[must_use]
    pub fn settled(&self) -> Option<Time> {
        let (first, last) = self.span()?;
        let start_s = LIMITS.start_s.min(last.since_s(first) * LIMITS.start_share);
        Some(Time(first.0 + (start_s * SECOND as f64) as i64))
    }

    /// How far offsets lie apart by the paths alone, in seconds: an offset can't be wrong by more than half of what a
    /// packet took longer than the fastest (RFC 5905 §8), and delays don't depend on the clock.
    #[must_use]
    pub fn noise_s(&self) -> f64 {
        let spread = |samples: &Vec<Sample>| {
            let delays: Vec<f64> = samples.iter().map(|s| f64::from(s.delay_s)).filter(|d| d.is_finite()).collect();
            Some((quantile(delays.iter().copied(), 0.75)? - quantile(delays.iter().copied(), 0.25)?) / 2.0)
        };
        let spreads: Vec<f64> = self.sources.values().filter_map(spread).collect();
        quantile(spreads.iter().copied(), 0.5).unwrap_or(0.0)
    }

    /// From here on an offset is more than noise, in seconds.
    #[must_use]
    pub fn swing_s(&self) -> f64 {
        LIMITS.offset_s.max(LIMITS.noises * self.noise_s())
    }

    /// The hours after the start, each disturbed or not. A loop's offsets must be large for a quarter of them; chronyd
    /// repairs what it sees at once, so that one large offset tells.
    #[must_use]
    pub fn windows(&self) -> Vec<Window> {
        let (Some((_, last)), Some(settled)) = (self.span(), self.settled()) else { return Vec::new() };
        let (swing_s, main, quick) = (self.swing_s(), self.main(), self.is_quick());
        let width = (LIMITS.window_s * SECOND as f64) as i64;
        let mut windows: Vec<Window> = Vec::new();
        let mut from = settled;
        while from.0 + width / 2 <= last.0 {
            // A row that shows exactly 0 says that ntpd stepped, and nothing of the offset.
            let own = within(main, from, Time(from.0 + width)).iter().map(|s| s.offset_s.abs());
            let offsets: Vec<f64> = own.filter(|offset| quick || *offset > 0.0).collect();
            let high = quantile(offsets.iter().copied(), if quick { 1.0 } else { 0.75 });
            // Where ntpd waits for a step it writes no rows: it is as it was.
            let before = windows.last().is_some_and(|w| w.disturbed);
            windows.push(Window { from, disturbed: high.map_or(before, |high| high > swing_s) });
            from.0 += width;
        }
        windows
    }

    /// Whether more than half of the sources agree with each other, but for the noise.
    #[must_use]
    pub fn has_majority(&self) -> bool {
        majority(self, self.swing_s())
    }

    /// By how much sources contradict each other at the same time, in seconds: the upper quartile of pairs, for one false
    /// source of four is in half of them.
    #[must_use]
    pub fn contradiction_s(&self) -> Option<f64> {
        let mut all: Vec<(Time, usize, f64)> = Vec::new();
        for (number, samples) in self.sources.values().enumerate() {
            all.extend(samples.iter().map(|s| (s.time, number, s.offset_s)));
        }
        all.sort_by_key(|(time, ..)| *time);
        let near =
            |pair: &&[(Time, usize, f64)]| pair[0].1 != pair[1].1 && pair[1].0.since_s(pair[0].0) < LIMITS.together_s;
        let apart: Vec<f64> = all.windows(2).filter(near).map(|pair| (pair[1].2 - pair[0].2).abs()).collect();
        quantile(apart.iter().copied(), 0.75)
    }
}

/// Whether more than half of some sources agree: their offsets, at the same times, differ by less than `within_s` in the
/// median. What is wrong with the clock itself is in all of them and cancels.
fn majority(track: &Track<'_>, within_s: f64) -> bool {
    let sources: Vec<&Vec<Sample>> = track.sources.values().filter(|s| s.len() >= LIMITS.rows).collect();
    let agrees = |a: &[Sample], b: &[Sample]| {
        let differences: Vec<f64> = a.iter().filter_map(|s| Some(nearest(b, s.time)? - s.offset_s)).collect();
        quantile(differences.iter().copied(), 0.5).is_none_or(|median| median.abs() < within_s)
    };
    let most = sources.iter().map(|a| sources.iter().filter(|b| agrees(a, b)).count()).max().unwrap_or(0);
    sources.len() < 2 || most * 2 > sources.len()
}

/// The offset of the sample that is nearest in time, where one is near.
fn nearest(samples: &[Sample], time: Time) -> Option<f64> {
    let at = samples.partition_point(|s| s.time < time);
    let near = samples.get(at.saturating_sub(1)..(at + 1).min(samples.len()))?.iter();
    let near = near.map(|s| (s.time.since_s(time).abs(), s.offset_s)).min_by(|a, b| a.0.total_cmp(&b.0))?;
    (near.0 < LIMITS.together_s).then_some(near.1)
}

/// The samples from one time to before another.
#[must_use]
pub fn within(samples: &[Sample], from: Time, to: Time) -> &[Sample] {
    let first = samples.partition_point(|s| s.time < from);
    let last = samples.partition_point(|s| s.time < to);
    samples.get(first..last).unwrap_or_default()
}

/// The median, and an interval that holds it at 95 % (order statistics; the binomial distribution's normal limit).
#[must_use]
pub fn median_within(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted: Vec<f64> = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = 0.98 * (sorted.len() as f64).sqrt();
    let at = |x: f64| sorted.get((x.max(0.0) as usize).min(sorted.len().saturating_sub(1))).copied();
    let middle = sorted.len() as f64 / 2.0;
    Some((at(middle)?, at((middle - half).floor())?, at((middle + half).ceil())?))
}
