//! Clocks made by hand: a loop over a made-up oscillator, with and without what disturbs it.

use super::cycle;
use super::frequency;
use super::residual;
use super::step::{self, steps};
use super::track::Track;
use crate::model::{InputId, Origin, Place};
use crate::rules::series::Sample;
use crate::time::{SECOND, Time};
use std::collections::{BTreeMap, VecDeque};

/// What is wrong with a made-up clock.
#[derive(Clone, Copy, Default)]
struct Wrong {
    /// Seconds by which what the loop asks takes effect late.
    late_s: usize,
    /// The clock does nothing of it.
    ignored: bool,
    /// Each hour the clock is set so many seconds ahead.
    pulled_s: f64,
    /// After half of the time the rate changes by so much, in ppm.
    jump_ppm: f64,
}

fn sample(t: f64, offset_s: f64, frequency_ppm: f64) -> Sample {
    Sample {
        time: Time((t * SECOND as f64) as i64),
        offset_s,
        origin: Origin { input: InputId(0), place: Place::Line(1) },
        frequency_ppm: frequency_ppm as f32,
        delay_s: f32::NAN,
        jitter_s: 1e-5,
        dispersion_s: f32::NAN,
        status: 0,
        poll: 6,
    }
}

/// Two days of rows, each 128 s, of a kernel's PLL at poll 6, stepped beyond 128 ms.
fn rows(wrong: Wrong) -> Vec<Sample> {
    let (mut offset, mut phase, mut ppm, mut rows) = (0.0_f64, 0.0_f64, 0.0_f64, Vec::new());
    let mut random = 1_u64;
    let mut asked: VecDeque<f64> = vec![0.0; wrong.late_s].into();
    for second in 0..2 * 86_400_usize {
        let rate = 12e-6 + if second > 86_400 { wrong.jump_ppm * 1e-6 } else { 0.0 };
        let part = phase / 256.0;
        phase -= part;
        asked.push_back(part + ppm * 1e-6);
        let done = asked.pop_front().unwrap_or(0.0);
        offset -= rate + if wrong.ignored { 0.0 } else { done };
        if second % 3600 == 1800 && wrong.pulled_s != 0.0 {
            offset = -wrong.pulled_s;
        }
        if second % 128 == 127 {
            // Noise of some microseconds, the same each time (a linear congruential generator).
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = ((random >> 33) % 1000) as f64 * 1e-8 - 5e-6;
            let steps = offset.abs() > 0.128;
            if steps {
                (offset, phase) = (0.0, 0.0);
            } else {
                phase = offset + noise;
                ppm = (ppm + phase * 128.0 / 4096.0 / 256.0 * 1e6).clamp(-500.0, 500.0);
            }
            rows.push(sample(second as f64, if steps { 0.0 } else { offset + noise }, ppm));
        }
    }
    rows
}

fn track(rows: Vec<Sample>) -> Track<'static> {
    Track { rows, sources: BTreeMap::new(), said: Vec::new() }
}

#[test]
fn a_loop_that_works_is_quiet() {
    let track = track(rows(Wrong::default()));
    assert!(track.is_loop() && track.windows().iter().all(|w| !w.disturbed));
    assert!(steps(&track).is_empty() && residual::response(&track.rows, 2e-3).is_none());
    assert!(frequency::jump(&track.rows, Time(8 * 3600 * SECOND), false).is_none());
    assert!(cycle::locked(&[&track.rows], Time(8 * 3600 * SECOND)).is_none());
}

#[test]
fn a_loop_that_is_told_late_swings_at_its_own_pace() {
    let track = track(rows(Wrong { late_s: 700, ..Wrong::default() }));
    let answer = residual::response(&track.rows, 2e-3).expect("it swings");
    assert!(answer.told_s > 2.0 * answer.late_s && (answer.lag_s - 700.0).abs() <= 100.0, "{answer:?}");
    let swings = cycle::peaks(&track.rows, 2e-3);
    assert_eq!(cycle::is_regular(&swings), Some(true));
    assert!(cycle::locked(&[&track.rows], Time(8 * 3600 * SECOND)).is_none());
}

#[test]
fn a_hand_that_comes_each_hour_is_timed_to_the_hour() {
    let track = track(rows(Wrong { pulled_s: 0.02, ..Wrong::default() }));
    let since = Time(8 * 3600 * SECOND);
    let locked = cycle::locked(&[&track.rows], since).expect("locked");
    assert_eq!(locked.period_s, 3600.0);
    let jumps = residual::jumps(&track.rows, 1e-3);
    assert_eq!(cycle::jumped(&jumps).map(|locked| locked.period_s), Some(3600.0));
    assert!(jumps.iter().filter(|jump| jump.by_s < -0.01).count() >= 40, "one-sided");
    let answer = residual::response(&track.rows, 2e-3).expect("it swings");
    assert!(answer.told_s < answer.late_s && answer.told_s < 3.0 * answer.nothing_s, "{answer:?}");
}

#[test]
fn a_clock_that_ignores_its_loop_ramps_to_steps_that_last() {
    let track = track(rows(Wrong { ignored: true, ..Wrong::default() }));
    let answer = residual::response(&track.rows, 2e-3).expect("it ramps");
    assert!(answer.told_s > 5.0 * answer.nothing_s && answer.gain == 0.0, "{answer:?}");
    let steps = steps(&track);
    assert!(steps.len() > 10, "{}", steps.len());
    assert_eq!(step::undone(&track, &steps).0, 0);
    assert!(frequency::at_limit(&track.rows, Time(8 * 3600 * SECOND)).0 > 0.9);
}

#[test]
fn a_rate_that_jumps_once_is_dated() {
    let rows = rows(Wrong { jump_ppm: 30.0, ..Wrong::default() });
    let jump = frequency::jump(&rows, Time(8 * 3600 * SECOND), false).expect("it jumps");
    assert!((jump.ppm.0.abs() - 12.0).abs() < 1.0 && (jump.ppm.1.abs() - 42.0).abs() < 2.0, "{jump:?}");
}

#[test]
fn peaks_that_grow_by_a_ratio_are_told_from_those_that_grow_evenly() {
    let grown = |next: fn(f64) -> f64| {
        let (mut height, mut rows) = (4e-3, Vec::new());
        for k in 0..24 {
            if k % 8 == 0 {
                height = 4e-3;
            }
            rows.push(sample(f64::from(k) * 3600.0, if k % 2 == 0 { height } else { -height }, 0.0));
            height = next(height);
        }
        let steps = [Time(8 * 3600 * SECOND), Time(16 * 3600 * SECOND)];
        cycle::growth(&rows, &steps, 3600.0, 1e-3).expect("three cycles")
    };
    let (even, ratio) = (grown(|h| h + 7e-3), grown(|h| h * 1.5));
    assert!(even.line < 0.1 && (even.by_s.0 - 7e-3).abs() < 1e-9 && even.cycles == 3);
    assert!(ratio.line > 10.0 && (ratio.ratio.0 - 1.5).abs() < 1e-9);
}
