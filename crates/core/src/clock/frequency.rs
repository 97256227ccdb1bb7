//! Rule `frequency`: what the discipline's frequency says of the oscillator.

use super::track::within;
use crate::rules::series::Sample;
use crate::stats::quantile;
use crate::time::{SECOND, Time};

/// What frequencies tell.
struct Limits {
    /// ntpd corrects no more than 500 ppm (`NTP_MAXFREQ`); rows print it with three decimals.
    most_ppm: f64,
    /// Half way there.
    half_ppm: f64,
    /// Least jump of the rate that is no weather, in ppm: a crystal moves by some tenths of a ppm per degree.
    jump_ppm: f64,
    /// So many times the spread before and after.
    spreads: f64,
    /// What is compared before and after, in seconds.
    beside_s: f64,
    /// How long a loop may take to follow, in seconds, and chronyd.
    follow_s: (f64, f64),
    /// Least record on either side, in seconds.
    least_s: f64,
    /// Least amplitude of a day's cycle that is worth a note, in ppm.
    day_ppm: f64,
    /// Share of the frequency's variance that the hour of the day must explain.
    day_share: f64,
    /// Days that must be seen.
    days: f64,
}

const LIMITS: Limits = Limits {
    most_ppm: 499.5,
    half_ppm: 250.0,
    jump_ppm: 3.0,
    spreads: 4.0,
    beside_s: 8.0 * 3600.0,
    follow_s: (6.0 * 3600.0, 1800.0),
    least_s: 3.0 * 3600.0,
    day_ppm: 0.15,
    day_share: 0.5,
    days: 2.0,
};

/// The share of rows from `since` on whose frequency is at ntpd's limit, and how long it took from half of it to there, in
/// seconds.
#[must_use]
pub fn at_limit(rows: &[Sample], since: Time) -> (f64, f64) {
    let late = within(rows, since, Time::MAX);
    let is_at = |row: &&Sample| f64::from(row.frequency_ppm.abs()) >= LIMITS.most_ppm;
    let share = late.iter().filter(is_at).count() as f64 / late.len().max(1) as f64;
    let Some(reached) = rows.iter().position(|row| is_at(&row)) else { return (share, 0.0) };
    let half = rows[..reached].iter().rfind(|row| f64::from(row.frequency_ppm.abs()) < LIMITS.half_ppm);
    (share, half.map_or(0.0, |row| rows[reached].time.since_s(row.time)))
}

/// A rate that changed once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// About when.
    pub time: Time,
    /// The correction before and after, in ppm.
    pub ppm: (f64, f64),
}

/// The one time after `since` at which the frequency went from one level to another and stayed; `quick` where the daemon
/// follows at once.
#[must_use]
pub fn jump(rows: &[Sample], since: Time, quick: bool) -> Option<Jump> {
    let slow_s = if quick { LIMITS.follow_s.1 } else { LIMITS.follow_s.0 };
    let rows = within(rows, since, Time::MAX);
    let last = rows.last()?.time;
    let shift = |time: Time, s: f64| Time(time.0.saturating_add((s * SECOND as f64) as i64));
    let level = |from: Time, to: Time| {
        let own = within(rows, from, to);
        let span = own.last()?.time.since_s(own.first()?.time);
        let values: Vec<f64> = own.iter().map(|row| f64::from(row.frequency_ppm)).filter(|f| f.is_finite()).collect();
        let at = |share| quantile(values.iter().copied(), share);
        (span >= LIMITS.least_s / 2.0).then_some((at(0.5)?, at(0.9)? - at(0.1)?))
    };
    let sharp = |row: &Sample| {
        let time = row.time;
        if last.since_s(time) < LIMITS.least_s {
            return None;
        }
        let (before, wide) = level(shift(time, -LIMITS.beside_s), time)?;
        let follow_s = slow_s.min(last.since_s(time) / 2.0);
        let (after, broad) = level(shift(time, follow_s), shift(time, follow_s + LIMITS.beside_s))?;
        let change = (after - before).abs();
        let holds = change >= LIMITS.jump_ppm && change >= LIMITS.spreads * (wide + broad);
        holds.then_some((Jump { time, ppm: (before, after) }, change / (wide + broad + 0.1)))
    };
    // Every row would be looked at with hundreds of others; a few hundred places are near enough.
    let every = (rows.len() / 500).max(1);
    rows.iter().step_by(every).filter_map(sharp).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(jump, _)| jump)
}

/// By how much the frequency usually goes to and fro within some hours, in ppm: the median of the ranges.
#[must_use]
pub fn wander(rows: &[Sample], since: Time) -> Option<f64> {
    let rows = within(rows, since, Time::MAX);
    let (first, last) = (rows.first()?.time, rows.last()?.time);
    let width = (LIMITS.least_s * SECOND as f64) as i64;
    let range = |k: i64| {
        let own = within(rows, Time(first.0 + k * width), Time(first.0 + (k + 1) * width)).iter();
        let values: Vec<f64> = own.map(|row| f64::from(row.frequency_ppm)).filter(|f| f.is_finite()).collect();
        (values.len() > 3)
            .then(|| Some(quantile(values.iter().copied(), 1.0)? - quantile(values.iter().copied(), 0.0)?))
            .flatten()
    };
    let ranges: Vec<f64> = (0..(last.0 - first.0) / width).filter_map(range).collect();
    (ranges.len() > 2).then(|| quantile(ranges.iter().copied(), 0.5)).flatten()
}

/// Half of the difference between the warmest and the coldest hour, in ppm, and the share of the frequency's variance that
/// the hour of the day explains, where that is a cycle of the day.
#[must_use]
pub fn day(rows: &[Sample], since: Time) -> Option<(f64, f64)> {
    let rows = within(rows, since, Time::MAX);
    let (first, last) = (rows.first()?.time, rows.last()?.time);
    if last.since_s(first) < LIMITS.days * 86_400.0 {
        return None;
    }
    let known = rows.iter().filter(|row| row.frequency_ppm.is_finite());
    let points: Vec<(f64, f64)> = known.map(|row| (row.time.since_s(first), f64::from(row.frequency_ppm))).collect();
    let mean = points.iter().map(|(_, f)| f).sum::<f64>() / points.len() as f64;
    let turn = |t: f64| (t / 86_400.0 * std::f64::consts::TAU).sin_cos();
    let (mut s, mut c, mut whole) = (0.0, 0.0, 0.0);
    for (t, f) in &points {
        let (sin, cos) = turn(*t);
        s += 2.0 * sin * (f - mean) / points.len() as f64;
        c += 2.0 * cos * (f - mean) / points.len() as f64;
        whole += (f - mean).powi(2);
    }
    let left = |(t, f): &(f64, f64)| {
        let (sin, cos) = turn(*t);
        (f - mean - s * sin - c * cos).powi(2)
    };
    let share = 1.0 - points.iter().map(left).sum::<f64>() / whole.max(1e-12);
    let size = s.hypot(c);
    (size >= LIMITS.day_ppm && share >= LIMITS.day_share).then_some((size, share))
}
