//! How far queueing in one direction alone explains a source's offsets (`Asym` of `statistics.log`, chronyc(1)
//! "Jitter asymmetry"): −0.5 where all of it is on the way to the source, 0.5 where all is on the way back.

/// From here on an estimate speaks for an asymmetry.
const LEAST: f64 = 0.45;
/// All of the queueing is in one direction.
const MOST: f64 = 0.5;
/// So many estimates must speak for the same direction, and so many are remembered.
const RUN: (i32, i32) = (10, 1000);
/// Fewer samples leave nothing to estimate.
const LEAST_SAMPLES: usize = 4;

/// The estimate, and the estimates of one sign before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asymmetry {
    run: i32,
    share: f64,
}

impl Asymmetry {
    /// The share of a delay above the least that is an error of the offset.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Takes all samples anew: time, delay above the least, offset, in seconds.
    pub fn estimate(&mut self, samples: impl Iterator<Item = (f64, f64, f64)> + Clone) {
        let found = slope(samples).filter(|slope| slope * f64::from(self.run) >= 0.0);
        let Some(slope) = found else {
            *self = Asymmetry::default();
            return;
        };
        if slope.abs() >= LEAST && self.run.abs() < RUN.1 {
            self.run += slope.signum() as i32;
        }
        if self.run.abs() >= RUN.0 {
            self.share = slope.clamp(-MOST, MOST);
        }
    }
}

/// How the offset grows with the delay, apart from how it grows with time.
fn slope(samples: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Option<f64> {
    let count = samples.clone().count();
    if count < LEAST_SAMPLES {
        return None;
    }
    let sum = samples.clone().fold((0.0, 0.0, 0.0), |sum, (t, d, o)| (sum.0 + t, sum.1 + d, sum.2 + o));
    let n = count as f64;
    let (mut tt, mut td, mut to, mut dd, mut od) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (t, d, o) in samples {
        let (t, d, o) = (t - sum.0 / n, d - sum.1 / n, o - sum.2 / n);
        (tt, td, to, dd, od) = (tt + t * t, td + t * d, to + t * o, dd + d * d, od + o * d);
    }
    let varies = dd - td * td / tt;
    (varies > 0.0).then(|| (od - td * to / tt) / varies)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(share: f64) -> impl Iterator<Item = (f64, f64, f64)> + Clone {
        (0..12).map(move |n| {
            let delay = f64::from(n * 7 % 5) * 1e-4;
            (f64::from(n) * 64.0, delay, 1e-6 * f64::from(n) + share * delay)
        })
    }

    #[test]
    fn one_sided_queueing_is_seen_after_ten_estimates() {
        let mut asymmetry = Asymmetry::default();
        for _ in 0..9 {
            asymmetry.estimate(samples(-0.5));
        }
        assert_eq!(asymmetry.share(), 0.0);
        asymmetry.estimate(samples(-0.5));
        assert!((asymmetry.share() + 0.5).abs() < 1e-6);
        asymmetry.estimate(samples(-0.2));
        assert!((asymmetry.share() + 0.2).abs() < 1e-6);
        asymmetry.estimate(samples(0.2));
        assert_eq!(asymmetry.share(), 0.0);
    }
}
