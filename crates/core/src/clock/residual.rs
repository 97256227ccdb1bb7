//! The residual test: what the loop did to the clock is computed from its own rows; what remains, it did not do.
//!
//! Between two rows of `loopstats` the kernel runs at the frequency of the first and amortises its offset with the time
//! constant of its poll exponent (Linux, kernel/time/ntp.c: 2^(`SHIFT_PLL` + constant) s). A clock that answers to that
//! moves as computed. One that answers late, or not at all, fits another lag or gain better.

use crate::rules::series::Sample;
use crate::stats::quantile;
use crate::time::Time;

/// What the test needs.
struct Limits {
    /// Swings from which on it can tell.
    swings: usize,
    /// At most so many rows are looked at: weeks of a fast loop.
    rows: usize,
    /// Rows further apart than this say nothing of what lies between, in seconds.
    gap_s: f64,
    /// An offset that changes by more was stepped, in seconds.
    step_s: f64,
    /// Neighbours on each side whose median rate is the oscillator's.
    neighbours: usize,
    /// A jump is so many times what usually remains.
    usual: f64,
}

const LIMITS: Limits = Limits { swings: 60, rows: 6000, gap_s: 4096.0, step_s: 0.1, neighbours: 15, usual: 5.0 };

/// Lags that are tried, in seconds. ntpd's clock filter itself makes offsets up to eight polls old, on average two or three.
const LAGS_S: [f64; 9] = [0.0, 150.0, 300.0, 450.0, 600.0, 750.0, 900.0, 1050.0, 1200.0];

/// From here on a lag is more than that of the clock filter at 64 s, in seconds.
const LATE_S: f64 = 600.0;

/// Gains that are tried.
const GAINS: [f64; 7] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0];

/// How a clock answers to its loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Response {
    /// Intervals with large offsets that were looked at.
    pub swings: usize,
    /// What remains unexplained of an interval's change if the clock does as told, in seconds.
    pub told_s: f64,
    /// What remains if it does so late, at the best lag of those beyond the clock filter's, in seconds.
    pub late_s: f64,
    /// That lag, in seconds.
    pub lag_s: f64,
    /// What remains if it does nothing, in seconds.
    pub nothing_s: f64,
    /// The gain that fits best, whatever the lag.
    pub gain: f64,
}

/// How the clock whose discipline wrote `rows` answers, where its offsets are beyond `swing_s`.
#[must_use]
pub fn response(rows: &[Sample], swing_s: f64) -> Option<Response> {
    let rows = &rows[..rows.len().min(LIMITS.rows)];
    let zero = rows.first()?.time;
    let at: Vec<f64> = rows.iter().map(|row| row.time.since_s(zero)).collect();
    let is_swing = |k: &usize| {
        let (a, b) = (rows[*k].offset_s, rows[*k + 1].offset_s);
        let dt = at[*k + 1] - at[*k];
        let steps = b == 0.0 || (b - a).abs() >= LIMITS.step_s;
        dt > 0.0 && dt < LIMITS.gap_s && !steps && a.abs().max(b.abs()) > swing_s
    };
    let swings: Vec<usize> = (0..rows.len() - 1).filter(is_swing).collect();
    if swings.len() < LIMITS.swings {
        return None;
    }
    let mut fits: Vec<(f64, f64, f64)> = Vec::new();
    for lag_s in LAGS_S {
        let told = applied(rows, &at, lag_s);
        for gain in GAINS {
            let rate = |k: &usize| {
                let change = rows[*k + 1].offset_s - rows[*k].offset_s + gain * (told[*k + 1] - told[*k]);
                (change / (at[*k + 1] - at[*k]), at[*k + 1] - at[*k])
            };
            fits.push((lag_s, gain, remains(&swings.iter().map(rate).collect::<Vec<_>>())));
        }
    }
    let best =
        |fit: &dyn Fn(&&(f64, f64, f64)) -> bool| fits.iter().filter(fit).min_by(|a, b| a.2.total_cmp(&b.2)).copied();
    let late = best(&|fit| fit.0 >= LATE_S && fit.1 == 1.0)?;
    Some(Response {
        swings: swings.len(),
        told_s: best(&|fit| fit.0 == 0.0 && fit.1 == 1.0)?.2,
        late_s: late.2,
        lag_s: late.0,
        nothing_s: best(&|fit| fit.0 == 0.0 && fit.1 == 0.0)?.2,
        gain: best(&|_| true)?.1,
    })
}

/// What moved a clock between two rows that its loop can't have done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// The second row's time.
    pub time: Time,
    /// By how much, in seconds; positive where the clock fell behind.
    pub by_s: f64,
}

/// The jumps of a clock whose discipline wrote `rows`: what is many times what usually remains, and beyond `least_s`.
#[must_use]
pub fn jumps(rows: &[Sample], least_s: f64) -> Vec<Jump> {
    let rows = &rows[..rows.len().min(LIMITS.rows)];
    let Some(zero) = rows.first().map(|row| row.time) else { return Vec::new() };
    let at: Vec<f64> = rows.iter().map(|row| row.time.since_s(zero)).collect();
    let told = applied(rows, &at, 0.0);
    let goes_on = |k: &usize| at[*k + 1] > at[*k] && at[*k + 1] - at[*k] < LIMITS.gap_s && rows[*k + 1].offset_s != 0.0;
    let intervals: Vec<usize> = (0..rows.len() - 1).filter(goes_on).collect();
    let rate = |k: &usize| {
        let change = rows[*k + 1].offset_s - rows[*k].offset_s + told[*k + 1] - told[*k];
        (change / (at[*k + 1] - at[*k]), at[*k + 1] - at[*k])
    };
    let left = unexplained(&intervals.iter().map(rate).collect::<Vec<_>>());
    let usual = quantile(left.iter().map(|r| r.abs()), 0.5).unwrap_or(0.0);
    let all = intervals.iter().zip(left).map(|(k, by_s)| Jump { time: rows[*k + 1].time, by_s });
    all.filter(|jump| jump.by_s.abs() > least_s.max(LIMITS.usual * usual)).collect()
}

/// What the loop has corrected up to each row, in seconds, if what it does takes effect `lag_s` late.
fn applied(rows: &[Sample], at: &[f64], lag_s: f64) -> Vec<f64> {
    let moves = |k: usize, dt: f64| {
        let constant_s = f64::from(2 + i32::from(rows[k].poll)).exp2();
        f64::from(rows[k].frequency_ppm) * 1e-6 * dt + rows[k].offset_s * (1.0 - (-dt / constant_s).exp())
    };
    let (mut sum, mut sums) = (0.0, Vec::with_capacity(rows.len()));
    for k in 0..rows.len() {
        sums.push(sum);
        if k + 1 < rows.len() {
            sum += moves(k, (at[k + 1] - at[k]).max(0.0));
        }
    }
    let until = |t: f64| {
        let k = at.partition_point(|a| a + lag_s <= t).saturating_sub(1);
        sums[k] + moves(k, (t - at[k] - lag_s).max(0.0))
    };
    at.iter().map(|t| until(*t)).collect()
}

/// The mean of what the neighbours' median rate leaves unexplained of each interval's change, in seconds.
fn remains(rates: &[(f64, f64)]) -> f64 {
    unexplained(rates).iter().map(|left| left.abs()).sum::<f64>() / rates.len().max(1) as f64
}

/// What the neighbours' median rate leaves unexplained of each interval's change, in seconds.
fn unexplained(rates: &[(f64, f64)]) -> Vec<f64> {
    let side = LIMITS.neighbours;
    let left = |k: usize| {
        let near = &rates[k.saturating_sub(side)..(k + side + 1).min(rates.len())];
        let usual = quantile(near.iter().map(|(rate, _)| *rate), 0.5).unwrap_or(0.0);
        (rates[k].0 - usual) * rates[k].1
    };
    (0..rates.len()).map(left).collect()
}
