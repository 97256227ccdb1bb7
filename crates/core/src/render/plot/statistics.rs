//! Statistics of a series as ntpviz prints them: percentiles, ranges, mean, σ, skewness, kurtosis.
//!
//! A percentile is the value at index ⌊n·p/100⌋ of the sorted ones, σ divides by n, skewness is m₃/σ³ and kurtosis m₄/σ⁴,
//! 3 for a normal distribution. NTPsec's ntpviz takes m₃ and m₄ about σ and not about the mean (1.2.2, `RunningStats`): its
//! skewness and kurtosis are others. `xtask/crosscheck.py` compares.

use super::{Panel, Shape, Unit};
use crate::render::plain;
use std::fmt::Write as _;

/// What ntpviz says of one series, in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// How many values.
    pub count: usize,
    /// The lowest, the percentiles 1, 5, 50, 95 and 99, and the highest.
    pub percentiles: [f64; 7],
    /// The mean.
    pub mean: f64,
    /// The standard deviation of all values, not of a sample.
    pub deviation: f64,
    /// The third moment over σ³; not a number where σ is nothing.
    pub skewness: f64,
    /// The fourth moment over σ⁴; not a number where σ is nothing.
    pub kurtosis: f64,
}

/// Below this σ ntpviz knows neither skewness nor kurtosis.
const NO_DEVIATION: f64 = 1e-12;

impl Statistics {
    /// Of values, which are sorted on the way; `None` of none.
    #[must_use]
    pub fn of(values: &mut [f64]) -> Option<Statistics> {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        let (low, high) = (*values.first()?, *values.last()?);
        let at = |percent: usize| values.get(n * percent / 100).copied().unwrap_or(high);
        let mean = values.iter().sum::<f64>() / n as f64;
        let moment = |power: i32| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / n as f64;
        let deviation = moment(2).sqrt();
        let shape =
            |power: i32| if deviation > NO_DEVIATION { moment(power) / deviation.powi(power) } else { f64::NAN };
        let percentiles = [low, at(1), at(5), at(50), at(95), at(99), high];
        Some(Statistics { count: n, percentiles, mean, deviation, skewness: shape(3), kurtosis: shape(4) })
    }

    /// From the 5th to the 95th percentile.
    #[must_use]
    pub fn range_90(&self) -> f64 {
        self.percentiles[4] - self.percentiles[2]
    }

    /// From the 1st to the 99th percentile.
    #[must_use]
    pub fn range_98(&self) -> f64 {
        self.percentiles[5] - self.percentiles[1]
    }
}

/// The Allan deviations that a picture shows: averaging time in seconds, and deviation.
#[must_use]
pub fn deviations(panels: &[Panel]) -> String {
    let mut out = String::new();
    for panel in panels {
        let Shape::Line { points, .. } = &panel.shape else { continue };
        let _ = writeln!(out, "{}\n{:>14}{:>14}", plain(&panel.label), "τ, s", "deviation");
        for (tau, deviation) in points {
            let _ = writeln!(out, "{tau:>14.3}{deviation:>14.5e}");
        }
    }
    out
}

/// A table of 80 columns: two lines a series, numbers in the unit that suits its 99 %.
#[must_use]
pub fn table(series: &[(String, Unit, Statistics)]) -> String {
    let mut out = String::new();
    let heads = [
        ["min", "1 %", "5 %", "50 %", "95 %", "99 %", "max"],
        ["range 90", "range 98", "σ", "mean", "skewness", "kurtosis", "values"],
    ];
    for head in heads {
        let _ = writeln!(out, "{}", head.map(|word| format!("{word:>10}")).concat());
    }
    for (label, unit, of) in series {
        let [low, p1, .., p99, high] = of.percentiles;
        // As ntpviz chooses the unit.
        let most = [p99, -p1, high / 5.0, -low / 5.0].into_iter().fold(0.0, f64::max);
        let (factor, name) = unit.shown(most);
        let number = |value: f64| format!("{:>10.3}", value * factor);
        let _ = writeln!(out, "{}, {name}", plain(label));
        let _ = writeln!(out, "{}", of.percentiles.map(number).concat());
        let spread = [of.range_90(), of.range_98(), of.deviation, of.mean].map(number).concat();
        let _ = writeln!(out, "{spread}{:>10.3}{:>10.3}{:>10}", of.skewness, of.kurtosis, of.count);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_ntpviz() {
        // sorted[int(n·p/100)] of 0, 1, 4, … 199²; moments from numpy.
        let mut values: Vec<f64> = (0..200).rev().map(|n| f64::from(n * n)).collect();
        let of = Statistics::of(&mut values).expect("there are values");
        assert_eq!(of.percentiles, [0.0, 4.0, 100.0, 10_000.0, 36_100.0, 39_204.0, 39_601.0]);
        assert_eq!((of.range_90(), of.range_98()), (36_000.0, 39_200.0));
        assert!((of.mean - 13_233.5).abs() < 1e-9 && (of.deviation - 11_869.617_14).abs() < 1e-5, "{of:?}");
        assert!((of.skewness - 0.641_527_846).abs() < 1e-8 && (of.kurtosis - 2.145_727_885).abs() < 1e-6, "{of:?}");
        assert_eq!(Statistics::of(&mut []), None);
        assert!(Statistics::of(&mut [1.0, 1.0]).is_some_and(|of| of.kurtosis.is_nan()));
    }
}
