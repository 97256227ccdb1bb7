//! Rule `agreement`: whether a source keeps to what the others of its host say.

use super::apart::{Point, View};
use super::course::{Drift, drift, jumps, noise, shift, slope};
use crate::rules::series::Sample;
use crate::stats::median;

/// Points from which on a course is looked at.
const FEWEST: usize = 12;

/// Points in a row, beyond what distances allow, that are no chance.
const IN_A_ROW: usize = 6;

/// Apart by less than this, in seconds, is no falseticker, however short the distances are: chronyd's dispersions leave out
/// what a server's own clock may be wrong by.
const LEAST_S: f64 = 0.01;

/// Noise, in deviations, that is added to what distances allow.
const NOISE: f64 = 5.0;

/// A jump of a source's offset is told from so many seconds on.
const LEAST_JUMP_S: f64 = 1e-3;

/// A drift is told where it leads so far apart, in seconds, and goes on for so long, in seconds: a server that has just
/// started drifts for some hours.
const LEAST_DRIFT_S: f64 = 5e-3;
/// See [`LEAST_DRIFT_S`].
const SHORTEST_DRIFT_S: f64 = 6.0 * 3600.0;

/// A delay that changes by more than this share of what the offset does may be why.
const ALONE: f64 = 0.5;

/// Slopes of a leap second's smear in seconds per second: 24 h, 20 h and the cosine's steepest part lie between
/// (developers.google.com/time/smear).
const SMEAR: (f64, f64) = (8e-6, 1.9e-5);
/// A smear is a second at the most, and so long at the least, in points.
const SMEAR_POINTS: usize = 6;

/// The whole second of a leap, as far as noise and the median of some samples blur it.
const SECOND_S: (f64, f64) = (0.95, 1.05);

/// What a GPS receiver loses when its week number overflows, and NTP when its era ends, in seconds.
const ROLLOVERS_S: [f64; 2] = [1024.0 * 7.0 * 86_400.0, 4_294_967_296.0];

/// A time during which a source is further from the others than distances allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beyond {
    /// How far, in the median, and allowed, in seconds.
    pub(super) apart_s: f64,
    /// See `apart_s`.
    pub(super) allowed_s: f64,
    /// How many samples in a row.
    pub(super) n: usize,
    /// The first and the last.
    pub(super) ends: (Sample, Sample),
}

/// A jump of a source's offset against the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct OffsetJump {
    /// By how much, in seconds.
    pub(super) by_s: f64,
    /// The last sample before it, and the first after.
    pub(super) between: (Sample, Sample),
    /// Whether the delay stays as it is, where it is known.
    pub(super) alone: Option<bool>,
}

/// How a source stands against the others of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The longest time beyond what distances allow.
    pub(super) beyond: Option<Beyond>,
    /// Its drift, and its first and last sample.
    pub(super) drift: Option<(Drift, (Sample, Sample))>,
    /// Its jumps.
    pub(super) jumps: Vec<OffsetJump>,
    /// Whether it goes as a smeared leap second does.
    pub(super) smears: bool,
    /// How far it is apart at the end, in seconds.
    pub(super) at_last_s: f64,
    /// Samples that the daemon itself calls a falseticker's, of all.
    pub(super) called_false: (usize, usize),
}

impl Standing {
    /// Whether something is wrong with it.
    pub(super) fn is_off(&self) -> bool {
        self.beyond.is_some() || self.drift.is_some() || self.jumps.iter().any(|jump| jump.alone != Some(false))
    }

    /// Whether it jumps while its delay stays, where any of its delays are known.
    pub(super) fn jumps_alone(&self) -> Option<bool> {
        let known = || self.jumps.iter().filter_map(|jump| jump.alone);
        (self.jumps.is_empty() || known().next().is_some()).then(|| known().any(|alone| alone))
    }

    /// Whether it is a whole second off, or became so.
    pub(super) fn is_a_second_off(&self) -> bool {
        let is_second = |s: f64| (SECOND_S.0..=SECOND_S.1).contains(&s.abs());
        self.jumps.iter().any(|jump| is_second(jump.by_s))
            || self.beyond.is_some_and(|beyond| is_second(beyond.apart_s))
    }

    /// Whether it is off by what is lost at a rollover: by days it may be wrong otherwise as well.
    pub(super) fn has_rolled_over(&self) -> bool {
        let Some(beyond) = self.beyond else { return false };
        ROLLOVERS_S.iter().any(|lost_s| {
            let times = (beyond.apart_s / lost_s).round();
            times != 0.0 && (beyond.apart_s - times * lost_s).abs() < 43_200.0
        })
    }
}

/// Whether a view tells how its source stands: there must be others, and enough of it.
pub(super) fn is_telling(view: &View) -> bool {
    view.points.iter().filter(|point| point.among > 2).count() >= FEWEST
}

/// How the source of a view stands against the others.
pub(super) fn standing(view: &View) -> Standing {
    let points = view.judged();
    if points.len() < FEWEST {
        return Standing::default();
    }
    let apart_s: Vec<f64> = points.iter().map(|point| point.apart_s).collect();
    let delays_s: Vec<f64> = points.iter().map(|point| f64::from(point.sample.delay_s)).collect();
    let noise_s = noise(&apart_s);
    let jump = |at: usize, by_s: f64| {
        let delay_s = shift(&delays_s, at);
        let between = (points[at - 1].sample, points[at].sample);
        OffsetJump { by_s, between, alone: delay_s.map(|s| s.abs() < ALONE * by_s.abs()) }
    };
    let called = points.iter().filter(|point| point.sample.status >> 8 & 7 == 1).count();
    Standing {
        beyond: beyond(&points, noise_s),
        drift: drifting(&points),
        jumps: jumps(&apart_s, LEAST_JUMP_S).into_iter().map(|found| jump(found.at, found.by)).collect(),
        smears: smears(&points),
        at_last_s: median(apart_s.iter().rev().take(8).copied()).unwrap_or(0.0),
        called_false: (called, points.len()),
    }
}

/// The longest run beyond what distances allow, while a majority agreed.
fn beyond(points: &[Point], noise_s: f64) -> Option<Beyond> {
    let is_beyond = |point: &Point| {
        point.majority && point.apart_s.abs() > point.allowed_s + (NOISE * noise_s).min(point.allowed_s) + LEAST_S
    };
    let runs = points.chunk_by(|a, b| is_beyond(a) == is_beyond(b));
    let run = runs.filter(|run| run.first().is_some_and(is_beyond)).max_by_key(|run| run.len())?;
    Some(Beyond {
        apart_s: median(run.iter().map(|point| point.apart_s))?,
        allowed_s: median(run.iter().map(|point| point.allowed_s))?,
        n: run.len(),
        ends: (run.first()?.sample, run.last()?.sample),
    })
    .filter(|beyond| beyond.n >= IN_A_ROW)
}

/// Seconds since the first point, and how far apart.
fn course(points: &[Point]) -> Vec<(f64, f64)> {
    let Some(first) = points.first() else { return Vec::new() };
    points.iter().map(|point| (point.sample.time.since_s(first.sample.time), point.apart_s)).collect()
}

fn drifting(points: &[Point]) -> Option<(Drift, (Sample, Sample))> {
    let (first, last) = (points.first()?.sample, points.last()?.sample);
    let lasts_s = last.time.since_s(first.time);
    let found = drift(&course(points), LEAST_DRIFT_S).filter(|_| lasts_s >= SHORTEST_DRIFT_S)?;
    Some((found, (first, last)))
}

/// Whether it leaves the others at a smear's pace, less than a second far, and is with them before or after.
fn smears(points: &[Point]) -> bool {
    let far_s = points.iter().map(|point| point.apart_s.abs()).fold(0.0, f64::max);
    let with = |range: &[Point]| median(range.iter().map(|p| p.apart_s.abs())).is_some_and(|s| s < LEAST_S);
    let near =
        with(&points[..SMEAR_POINTS.min(points.len())]) || with(&points[points.len().saturating_sub(SMEAR_POINTS)..]);
    let all = course(points);
    let steep = |part: &[(f64, f64)]| slope(part).is_some_and(|slope| (SMEAR.0..=SMEAR.1).contains(&slope.abs()));
    let runs = all.windows(SMEAR_POINTS).filter(|part| steep(part)).count();
    near && (0.2..SECOND_S.1).contains(&far_s) && runs >= SMEAR_POINTS
}
