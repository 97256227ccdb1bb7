//! Rule `cycle`: offsets that come back with a fixed period, and swings that alternate.
//!
//! A foreign hand that sets the clock comes on the hour, or each so many minutes; a loop that swings does so at its own pace,
//! which no clock on the wall knows. Offsets are folded by every such period; the right one puts like to like.

use super::residual::Jump;
use super::track::within;
use crate::rules::series::Sample;
use crate::stats::quantile;
use crate::time::{SECOND, Time};
use std::collections::BTreeMap;

/// When offsets are locked to a period.
struct Limits {
    /// Shortest period, in seconds: shorter ones are not seen by polls of a minute.
    shortest_s: i64,
    /// Up to here every minute is tried, in seconds; beyond it every five minutes, up to the longest.
    fine_s: i64,
    /// Longest period, in seconds: a day.
    longest_s: i64,
    /// So many periods must be seen.
    periods: f64,
    /// Parts that a period is divided into.
    parts: usize,
    /// Samples of one source that are enough.
    samples: usize,
    /// And that are looked at at the most.
    most: usize,
    /// Share of the variance that the phase must explain, in the median of the sources.
    share: f64,
    /// What wanders keeps one part in as many as there are periods by chance: the phase must explain so many times that.
    chances: f64,
    /// So well the phases of the first half of the time must agree with those of the second (correlation).
    agreement: f64,
    /// So many times what nine of ten other periods explain: an offset that wanders fits slow periods a little, and many.
    prominence: f64,
    /// A period that is so many poll intervals or fewer says as much of the polls as of the clock.
    polls: f64,
}

const LIMITS: Limits = Limits {
    shortest_s: 300,
    fine_s: 7200,
    longest_s: 86_400,
    periods: 6.0,
    parts: 10,
    samples: 60,
    most: 8000,
    share: 0.2,
    chances: 3.0,
    agreement: 0.6,
    prominence: 6.0,
    polls: 3.2,
};

/// A period that offsets keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Locked {
    /// The period, in seconds.
    pub period_s: f64,
    /// Share of the variance of the offsets (of the sign and logarithm of each, so that growth does not count) that
    /// the phase explains; of blows, how well their phases agree.
    pub share: f64,
    /// How many periods were seen.
    pub periods: f64,
    /// Whether offsets were folded; else blows were timed.
    pub by_phase: bool,
}

/// The period that the offsets of all series keep from `since` on, if there is one.
#[must_use]
pub fn locked(series: &[&[Sample]], since: Time) -> Option<Locked> {
    let usable: Vec<Folded> = series.iter().filter_map(|samples| Folded::of(samples, since)).collect();
    let span_s = usable.iter().map(|folded| folded.span_s).fold(0.0, f64::max);
    let shares = |period: f64| {
        let sparse = |folded: &&Folded| period > LIMITS.polls * folded.poll_s;
        let shares: Vec<f64> = usable.iter().filter(sparse).map(|folded| folded.share(period)).collect();
        (shares.len() * 2 > usable.len()).then(|| quantile(shares.iter().copied(), 0.5)).flatten()
    };
    let seen = periods().take_while(|period| period * LIMITS.periods <= span_s);
    let tried: Vec<(f64, f64)> = seen.filter_map(|p| Some((p, shares(p)?))).collect();
    let (period, share) = tried.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let usual = quantile(tried.iter().map(|(_, share)| *share), 0.9)?;
    let agree: Vec<f64> = usable.iter().map(|folded| folded.agreement(period)).collect();
    let least = LIMITS.share.max(LIMITS.chances * period / span_s);
    let stands_out = share >= least && share >= LIMITS.prominence * usual;
    let holds = stands_out && quantile(agree.iter().copied(), 0.5)? >= LIMITS.agreement;
    holds.then_some(Locked { period_s: period, share, periods: span_s / period, by_phase: true })
}

/// When blows come with a fixed period.
struct Blows {
    /// Offsets beyond the usual that follow each other faster are one blow, in seconds.
    apart_s: f64,
    /// How well the phases of blows must agree: the length of their mean on the circle.
    agreement: f64,
    /// ln of the probability that as many blows at any times agree so well at any period (Rayleigh).
    chance: f64,
}

const BLOWS: Blows = Blows { apart_s: 900.0, agreement: 0.75, chance: -5.0 };

/// Jumps that the loop did not do come late and in parts, for the clock filter delays them: more of them must say so.
const JUMPS: Blows = Blows { apart_s: 0.0, agreement: 0.5, chance: -10.0 };

/// The first of each run of offsets beyond `least_s`, for clocks that rest in between.
#[must_use]
pub fn blows(samples: &[Sample], least_s: f64) -> Vec<Sample> {
    let (mut blows, mut last): (Vec<Sample>, Option<Time>) = (Vec::new(), None);
    for s in samples.iter().filter(|s| s.offset_s.abs() > least_s) {
        if last.is_none_or(|last| s.time.since_s(last) > BLOWS.apart_s) {
            blows.push(*s);
        }
        last = Some(s.time);
    }
    blows
}

/// The period with which offsets beyond `least_s` begin, for clocks that rest in between (chronyd repairs each blow at once).
#[must_use]
pub fn struck(samples: &[Sample], since: Time, least_s: f64) -> Option<Locked> {
    let blows = blows(within(samples, since, Time::MAX), least_s);
    let blows: Vec<(Time, f64)> = blows.into_iter().map(|blow| (blow.time, 1.0)).collect();
    timed(&blows, BLOWS.agreement, BLOWS.chance)
}

/// The period that the jumps of a clock keep which its loop can't have done; the farther a jump, the more it weighs.
#[must_use]
pub fn jumped(jumps: &[Jump]) -> Option<Locked> {
    let weighed: Vec<(Time, f64)> = jumps.iter().map(|jump| (jump.time, jump.by_s.abs())).collect();
    timed(&weighed, JUMPS.agreement, JUMPS.chance)
}

/// The period whose phases agree best, if they agree so well and not by chance (Rayleigh's test).
fn timed(blows: &[(Time, f64)], least: f64, most: f64) -> Option<Locked> {
    let (first, last) = (blows.first()?.0, blows.last()?.0);
    let day = Time(first.0.div_euclid(86_400 * SECOND) * 86_400 * SECOND);
    let (weight, squares) = blows.iter().fold((0.0, 0.0), |sum, (_, w)| (sum.0 + w, sum.1 + w * w));
    let (count, span_s) = (weight * weight / squares, last.since_s(first));
    let agreement = |period: f64| {
        let turns = blows.iter().map(|(time, w)| (w, (time.since_s(day) / period * std::f64::consts::TAU).sin_cos()));
        let (sin, cos) = turns.fold((0.0, 0.0), |sum, (w, turn)| (sum.0 + w * turn.0, sum.1 + w * turn.1));
        f64::hypot(sin, cos) / weight
    };
    let slow = periods().filter(|period| *period > 2.0 * BLOWS.apart_s);
    let tried: Vec<f64> = slow.take_while(|period| period * LIMITS.periods <= span_s).collect();
    let best = tried.iter().map(|period| (*period, agreement(*period))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    let chance = (tried.len() as f64).ln() - count * best.1.powi(2);
    let holds = best.1 >= least && chance <= most;
    holds.then_some(Locked { period_s: best.0, share: best.1, periods: span_s / best.0, by_phase: false })
}

/// The periods that are tried, in seconds.
fn periods() -> impl Iterator<Item = f64> {
    let fine = (LIMITS.shortest_s..LIMITS.fine_s).step_by(60);
    fine.chain((LIMITS.fine_s..=LIMITS.longest_s).step_by(300)).map(|period| period as f64)
}

/// One series, ready to be folded.
struct Folded {
    /// Seconds, and the sign and logarithm of the offset.
    points: Vec<(f64, f64)>,
    span_s: f64,
    /// Median interval between samples, in seconds.
    poll_s: f64,
}

impl Folded {
    fn of(samples: &[Sample], since: Time) -> Option<Folded> {
        let samples = within(samples, since, Time::MAX);
        let samples = &samples[..samples.len().min(LIMITS.most)];
        if samples.len() < LIMITS.samples {
            return None;
        }
        let sizes: Vec<f64> = samples.iter().map(|s| s.offset_s.abs()).collect();
        let usual = quantile(sizes.iter().copied(), 0.5)?.max(1e-9);
        // Periods are those of UTC, so that phases are too; whole days before the first sample change nothing.
        let day = samples.first()?.time.0.div_euclid(86_400 * SECOND) * 86_400;
        let second = |s: &Sample| s.time.since_s(Time(day * SECOND));
        let size = |s: &Sample| (s.offset_s.abs() / usual).ln_1p().copysign(s.offset_s);
        let points: Vec<(f64, f64)> = samples.iter().map(|s| (second(s), size(s))).collect();
        let gaps: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        let span_s = points.last()?.0 - points.first()?.0;
        Some(Folded { points, span_s, poll_s: quantile(gaps.iter().copied(), 0.5)? })
    }

    /// The share of the variance that the phase explains, adjusted for the number of parts.
    fn share(&self, period: f64) -> f64 {
        let n = self.points.len() as f64;
        let sum: f64 = self.points.iter().map(|(_, x)| x).sum();
        let squares: f64 = self.points.iter().map(|(_, x)| x * x).sum();
        let whole = squares - sum * sum / n;
        let between =
            parts(&self.points, period).iter().filter(|part| part.0 > 0.0).map(|p| p.1 * p.1 / p.0).sum::<f64>()
                - sum * sum / n;
        if whole <= 0.0 { 0.0 } else { 1.0 - (1.0 - between / whole) * (n - 1.0) / (n - LIMITS.parts as f64) }
    }

    /// How the mean offset at each phase agrees between the first and the second half of the time (correlation).
    fn agreement(&self, period: f64) -> f64 {
        let (first, second) = self.points.split_at(self.points.len() / 2);
        let mean = |points: &[(f64, f64)]| parts(points, period).map(|(n, sum)| if n > 0.0 { sum / n } else { 0.0 });
        correlation(&mean(first), &mean(second))
    }
}

/// Number and sum of what falls into each part of a period.
fn parts(points: &[(f64, f64)], period: f64) -> [(f64, f64); LIMITS.parts] {
    let mut parts = [(0.0, 0.0); LIMITS.parts];
    for (t, x) in points {
        let phase = (t / period).rem_euclid(1.0);
        let part = &mut parts[((phase * LIMITS.parts as f64) as usize).min(LIMITS.parts - 1)];
        part.0 += 1.0;
        part.1 += x;
    }
    parts
}

/// Pearson's coefficient; 0 where one does not vary.
#[must_use]
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len()).max(1) as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    if aa <= 0.0 || bb <= 0.0 { 0.0 } else { ab / (aa * bb).sqrt() }
}

/// One swing to a side: the farthest point between two changes of side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// When it was farthest.
    pub time: Time,
    /// How far, in seconds, with its side.
    pub offset_s: f64,
    /// The poll exponent then.
    pub poll: i8,
}

/// The swings of some samples to alternate sides, each at least `least_s` far.
#[must_use]
pub fn peaks(samples: &[Sample], least_s: f64) -> Vec<Peak> {
    let mut peaks: Vec<Peak> = Vec::new();
    for s in samples.iter().filter(|s| s.offset_s.abs() >= least_s) {
        let peak = Peak { time: s.time, offset_s: s.offset_s, poll: s.poll };
        match peaks.last_mut() {
            Some(last) if last.offset_s.signum() == s.offset_s.signum() => {
                if s.offset_s.abs() > last.offset_s.abs() {
                    *last = peak;
                }
            }
            _ => peaks.push(peak),
        }
    }
    peaks
}

/// Half a swing of a stable loop takes more poll intervals than this: its time constant is 16 of them (RFC 5905 §11.3).
const FAST_POLLS: f64 = 10.0;

/// Swings in a row from which on a loop does not come to rest: a start and its overshoot are two or three.
const RESTLESS: usize = 6;

/// The longest run of swings that follow each other faster than a stable loop's could, if some of it does not die away:
/// of some swings in a row the later are at least half as high as the earlier. Empty where there is none.
#[must_use]
pub fn restless(peaks: &[Peak]) -> &[Peak] {
    let is_fast = |pair: &[Peak]| {
        pair[1].time.since_s(pair[0].time) <= FAST_POLLS * f64::from(pair[0].poll.max(pair[1].poll)).exp2()
            && pair[0].poll > 0
    };
    let (mut best, mut from): (&[Peak], usize) = (&[], 0);
    for to in 0..peaks.len() {
        if to > from && !is_fast(&peaks[to - 1..=to]) {
            from = to;
        }
        if to + 1 - from > best.len() {
            best = &peaks[from..=to];
        }
    }
    let highest = |peaks: &[Peak]| peaks.iter().map(|p| p.offset_s.abs()).fold(0.0, f64::max);
    // A loop that lengthens its polls may come to rest in the end.
    let stays = |peaks: &[Peak]| highest(&peaks[RESTLESS / 2..]) * 2.0 >= highest(&peaks[..RESTLESS / 2]);
    if best.windows(RESTLESS).any(stays) { best } else { &[] }
}

/// Swings from which on their regularity tells.
const ENOUGH: usize = 12;

/// Half periods of a loop that swings by itself differ by less than this part of their median (median deviation).
const REGULAR: f64 = 0.35;

/// Whether swings follow each other regularly; `None` where there are too few.
#[must_use]
pub fn is_regular(peaks: &[Peak]) -> Option<bool> {
    let halves: Vec<f64> = peaks.windows(2).map(|pair| pair[1].time.since_s(pair[0].time)).collect();
    let middle = quantile(halves.iter().copied(), 0.5).filter(|_| halves.len() >= ENOUGH)?;
    let apart: Vec<f64> = halves.iter().map(|half| (half - middle).abs()).collect();
    Some(1.4826 * quantile(apart.iter().copied(), 0.5)? < REGULAR * middle)
}

/// How peaks grow from one step to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Cycles that were looked at.
    pub cycles: usize,
    /// Growth from one peak to the next, in seconds: the median, and where it lies at 95 %.
    pub by_s: (f64, f64, f64),
    /// The ratio of one peak to the one before, likewise.
    pub ratio: (f64, f64, f64),
    /// How far peaks are from a straight line, against how far they are from an exponential: below 1 the line is nearer.
    pub line: f64,
}

/// The growth of peaks between steps: the highest of each `every_s` seconds, as far as it is more than `least_s`.
#[must_use]
pub fn growth(samples: &[Sample], steps: &[Time], every_s: f64, least_s: f64) -> Option<Growth> {
    let (mut by, mut ratios, mut line, mut power, mut cycles) = (Vec::new(), Vec::new(), 0.0, 0.0, 0);
    let ends = steps.iter().copied().chain([Time::MAX]);
    let mut from = Time::MIN;
    for end in ends {
        let heights = heights(within(samples, from, end), every_s);
        from = end;
        let heights: Vec<f64> = heights.into_iter().filter(|h| *h > least_s).collect();
        if heights.len() < 4 {
            continue;
        }
        cycles += 1;
        by.extend(heights.windows(2).map(|pair| pair[1] - pair[0]));
        ratios.extend(heights.windows(2).map(|pair| pair[1] / pair[0]));
        let logs: Vec<f64> = heights.iter().map(|h| h.ln()).collect();
        let (straight, curved) = (fitted(&heights), fitted(&logs));
        line += heights.iter().zip(straight).map(|(h, fit)| (h - fit).powi(2)).sum::<f64>();
        power += heights.iter().zip(curved).map(|(h, fit)| (h - fit.exp()).powi(2)).sum::<f64>();
    }
    let (by_s, ratio) = (super::track::median_within(&by)?, super::track::median_within(&ratios)?);
    Some(Growth { cycles, by_s, ratio, line: (line / power.max(1e-30)).sqrt() })
}

/// The highest offset of each so many seconds, in the order of time.
fn heights(samples: &[Sample], every_s: f64) -> Vec<f64> {
    let Some(first) = samples.first() else { return Vec::new() };
    let mut highest: BTreeMap<i64, f64> = BTreeMap::new();
    for s in samples {
        let height = highest.entry((s.time.since_s(first.time) / every_s) as i64).or_default();
        *height = height.max(s.offset_s.abs());
    }
    highest.into_values().collect()
}

/// A straight line through evenly spaced values, at each of them.
fn fitted(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let (mx, my) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let (mut xy, mut xx) = (0.0, 0.0);
    for (k, y) in values.iter().enumerate() {
        xy += (k as f64 - mx) * (y - my);
        xx += (k as f64 - mx).powi(2);
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    (0..values.len()).map(|k| my + slope * (k as f64 - mx)).collect()
}
