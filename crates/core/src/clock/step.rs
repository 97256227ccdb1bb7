//! Rule `step`: where a clock was set, and whether that lasted.

use super::track::{Track, within};
use crate::model::{Happening, Origin};
use crate::stats::quantile;
use crate::time::{SECOND, Time};

/// What counts as a step.
struct Limits {
    /// Steps in the first hours are the start's, in seconds.
    start_s: f64,
    /// What is said twice within this is one step, in seconds.
    once_s: f64,
    /// Rows before a step may be as old as this, in seconds: ntpd waits 900 s (300 s from 4.2.7 on) for an outlier to last.
    silence_s: f64,
    /// Rows that show exactly 0 are steps where the offset was this far before, in seconds: ntpd steps from 0.128 s on, and
    /// the sample before may be older. An offset of a good clock may be 0 to a nanosecond by chance.
    far_s: f64,
    /// A step was undone where the offset is back between these times after it, in seconds.
    back_s: (f64, f64),
    /// Back is: this share of it, and on its side.
    back: f64,
}

const LIMITS: Limits =
    Limits { start_s: 7200.0, once_s: 120.0, silence_s: 1800.0, far_s: 0.05, back_s: (30.0, 600.0), back: 0.6 };

/// A step of the clock by its daemon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub time: Time,
    /// By how much, in seconds, forwards; NaN where nothing says.
    pub by_s: f64,
    /// Where it can be seen.
    pub origin: Origin,
}

/// All steps after the start of the record, in the order of time: what logs say, and rows that show exactly 0 after a
/// large offset, which ntpd writes when it has stepped.
#[must_use]
pub fn steps(track: &Track<'_>) -> Vec<Step> {
    let Some((first, _)) = track.span() else { return Vec::new() };
    let said =
        track.said.iter().filter(|h| h.kind == Happening::Step && matches!(h.program.as_str(), "ntpd" | "chronyd"));
    let said = said.filter_map(|h| Some(Step { time: h.time?, by_s: h.value.unwrap_or(f64::NAN), origin: h.origin }));
    let is_loop = track.is_loop();
    let zeros = track.rows.windows(2).filter(|pair| is_loop && pair[0].offset_s != 0.0 && pair[1].offset_s == 0.0);
    let zeros =
        zeros.map(|pair| Step { time: pair[1].time, by_s: before(track, pair[1].time), origin: pair[1].origin });
    let zeros = zeros.filter(|step| step.by_s.abs() >= LIMITS.far_s);
    let mut all: Vec<Step> = said.chain(zeros).filter(|s| s.time.since_s(first) > LIMITS.start_s).collect();
    all.sort_by_key(|step| step.time);
    let mut steps: Vec<Step> = Vec::new();
    for step in all {
        match steps.last_mut() {
            Some(last) if step.time.since_s(last.time) < LIMITS.once_s.max(step.by_s.abs()) => {
                if last.by_s.is_nan() {
                    last.by_s = step.by_s;
                }
            }
            _ => steps.push(step),
        }
    }
    for step in steps.iter_mut().filter(|step| step.by_s.is_nan()) {
        step.by_s = before(track, step.time);
    }
    steps
}

/// The offset just before a time: as sources showed it, or else the last row; NaN where nothing says.
fn before(track: &Track<'_>, time: Time) -> f64 {
    let from = Time(time.0 - (LIMITS.silence_s * SECOND as f64) as i64);
    let last = |samples: &Vec<_>| within(samples, from, time).last().map(|s| s.offset_s);
    let told = quantile(track.sources.values().filter_map(last), 0.5);
    told.or_else(|| last(&track.rows)).unwrap_or(f64::NAN)
}

/// How many steps did not last, of how many whose outcome can be seen: minutes later the same offset is back, at all sources.
#[must_use]
pub fn undone(track: &Track<'_>, steps: &[Step]) -> (usize, usize) {
    let after = |time: Time, s: f64| Time(time.0 + (s * SECOND as f64) as i64);
    let (mut undone, mut judged) = (0, 0);
    for (k, step) in steps.iter().enumerate().filter(|(_, step)| step.by_s.is_finite()) {
        let until = after(step.time, LIMITS.back_s.1).min(steps.get(k + 1).map_or(Time::MAX, |next| next.time));
        let from = after(step.time, LIMITS.back_s.0);
        let mut offsets: Vec<f64> = within(&track.rows, from, until).iter().map(|row| row.offset_s).collect();
        for samples in track.sources.values() {
            offsets.extend(within(samples, from, until).iter().map(|s| s.offset_s));
        }
        let Some(offset_s) = quantile(offsets.iter().copied(), 0.5) else { continue };
        judged += 1;
        undone += usize::from(offset_s / step.by_s >= LIMITS.back);
    }
    (undone, judged)
}
