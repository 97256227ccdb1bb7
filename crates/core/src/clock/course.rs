//! What a course of values does: how noisy it is, where its level jumps, whether it drifts.
//!
//! All of it stands on medians, for a clock that is stepped or swings leaves outliers in what its sources seem to do.

use crate::stats::{median, quantile};

/// Values on each side of a jump that its size is taken from, and the fewest.
const BESIDE: usize = 8;
/// See [`BESIDE`].
const FEWEST_BESIDE: usize = 5;

/// A jump is this many times the noise of single values: medians of eight have a third of that noise, and a course has
/// hundreds of places where it could seem to jump.
const JUMP: f64 = 8.0;

/// Share of a jump that lies between two neighbours: less is a ramp.
const AT_ONCE: f64 = 0.6;

/// Parts of which a drift's medians are taken.
const PARTS: usize = 24;

/// A drift ends at this many times the noise away from where it began.
const DRIFT: f64 = 10.0;

/// How far medians may lie beside a straight line, as a share of the whole way; noise lies closer, bends and steps don't.
const STRAIGHT: f64 = 0.1;

/// How slow or fast each third of a drift may be against the whole: a step drifts in one third only.
const STEADY: (f64, f64) = (0.4, 2.5);

/// Standard deviation of single values about a level that may move: from the differences of neighbours, by their median
/// or, where many are far greater than that, by their 90 % quantile.
pub(super) fn noise(values: &[f64]) -> f64 {
    let differences = || values.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    // Of normal noise 1.4826 times the median and 0.608 times the quantile are the deviation of a difference.
    let by = |share, factor: f64| quantile(differences(), share).map_or(0.0, |q| q * factor / std::f64::consts::SQRT_2);
    by(0.5, 1.4826_f64).max(by(0.9, 0.608))
}

/// Where a level jumps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Jump {
    /// The first value after it.
    pub(super) at: usize,
    /// By how much.
    pub(super) by: f64,
}

/// The level after `at` less that before.
pub(super) fn shift(values: &[f64], at: usize) -> Option<f64> {
    let (before, after) = (values.get(at.saturating_sub(BESIDE)..at)?, values.get(at..)?);
    Some(median(after.iter().copied().take(BESIDE))? - median(before.iter().copied())?)
}

/// Where the level jumps at once by `least` or more, and by more than noise does, in order.
pub(super) fn jumps(values: &[f64], least: f64) -> Vec<Jump> {
    let least = least.max(JUMP * noise(values));
    let places = FEWEST_BESIDE..values.len().saturating_sub(FEWEST_BESIDE - 1);
    let mut found: Vec<Jump> = places.filter_map(|at| Some(Jump { at, by: shift(values, at)? })).collect();
    found.retain(|jump| jump.by.abs() >= least);
    found.sort_by(|a, b| b.by.abs().total_cmp(&a.by.abs()));
    let mut jumps: Vec<Jump> = Vec::new();
    for jump in found {
        if jumps.iter().any(|known| known.at.abs_diff(jump.at) < BESIDE) {
            continue;
        }
        let near = jump.at.saturating_sub(3)..(jump.at + 3).min(values.len());
        let steps = near.clone().zip(values[near].windows(2));
        let steps = steps.map(|(at, pair)| Jump { at: at + 1, by: (pair[1] - pair[0]) * jump.by.signum() });
        if let Some(step) = steps.max_by(|a, b| a.by.total_cmp(&b.by))
            && step.by >= AT_ONCE * jump.by.abs()
        {
            jumps.push(Jump { at: step.at, by: jump.by });
        }
    }
    jumps.sort_by_key(|jump| jump.at);
    jumps
}

/// A steady drift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drift {
    /// Per second.
    pub(super) rate: f64,
    /// The rates of the slowest and the fastest third.
    pub(super) thirds: (f64, f64),
    /// From the beginning to the end.
    pub(super) by: f64,
}

/// Whether values at seconds drift steadily, by `least` or more (Theil and Sen's slope of medians).
pub(super) fn drift(course: &[(f64, f64)], least: f64) -> Option<Drift> {
    let values: Vec<f64> = course.iter().map(|(_, value)| *value).collect();
    let parts: Vec<(f64, f64)> = (0..PARTS)
        .filter_map(|part| {
            let part = course.get(part * course.len() / PARTS..(part + 1) * course.len() / PARTS)?;
            Some((median(part.iter().map(|p| p.0))?, median(part.iter().map(|p| p.1))?))
        })
        .collect();
    if parts.len() < PARTS {
        return None;
    }
    let rate = slope(&parts)?;
    let by = rate * (course.last()?.0 - course.first()?.0);
    let level = median(parts.iter().map(|(s, value)| value - rate * s))?;
    let beside = median(parts.iter().map(|(s, value)| (value - rate * s - level).abs()))?;
    let thirds: Vec<f64> = parts.chunks(PARTS / 3).filter_map(slope).collect();
    let steady = thirds.iter().all(|third| (STEADY.0..=STEADY.1).contains(&(third / rate)));
    let order = |a: &&f64, b: &&f64| a.abs().total_cmp(&b.abs());
    let (slowest, fastest) = (*thirds.iter().min_by(order)?, *thirds.iter().max_by(order)?);
    let far = by.abs() >= least.max(DRIFT * noise(&values));
    (far && steady && beside <= STRAIGHT * by.abs()).then_some(Drift { rate, thirds: (slowest, fastest), by })
}

/// The median of the slopes of all pairs.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let pairs = points.iter().enumerate().flat_map(|(i, a)| points[i + 1..].iter().map(move |b| (a, b)));
    median(pairs.filter(|(a, b)| b.0 > a.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise between -1 and 1 that is the same each time.
    fn rough(n: usize) -> f64 {
        ((n * n * 7919 + n * 611) % 2003) as f64 / 1001.5 - 1.0
    }

    #[test]
    fn a_jump_is_found_where_it_is_and_a_ramp_is_none() {
        let stepped: Vec<f64> = (0..100).map(|n| rough(n) + if n < 60 { 0.0 } else { 30.0 }).collect();
        let [jump] = jumps(&stepped, 1.0)[..] else { panic!("{:?}", jumps(&stepped, 1.0)) };
        assert!(jump.at == 60 && (jump.by - 30.0).abs() < 2.0, "{jump:?}");
        let ramp: Vec<f64> = (0..100).map(|n| rough(n) + n as f64).collect();
        assert!(jumps(&ramp, 1.0).is_empty());
    }

    #[test]
    fn a_drift_is_steady_and_a_step_is_none() {
        let course = |value: fn(usize) -> f64| (0..200).map(|n| (n as f64, value(n) + rough(n))).collect::<Vec<_>>();
        let drifts = drift(&course(|n| n as f64), 5.0).expect("a drift");
        assert!((drifts.rate - 1.0).abs() < 0.02 && drifts.thirds.0 > 0.9);
        assert_eq!(drift(&course(|n| if n < 100 { 0.0 } else { 100.0 }), 5.0), None);
        assert_eq!(drift(&course(|n| (n as f64 / 10.0).sin() * 30.0), 5.0), None);
    }
}
