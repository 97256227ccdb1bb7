//! Axes: where a number lies between low and high, and the round numbers between them.

use crate::time::Time;

/// What the numbers on an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds; shown as s, ms, µs or ns.
    Seconds,
    /// Parts per million; shown as ppm or ppb.
    Ppm,
    /// A share of all; shown in per cent.
    Share,
    /// A count.
    Count,
    /// A frequency's deviation as a fraction (Allan); shown in powers of ten.
    Fraction,
    /// An instant in seconds since 1970.
    Instant,
    /// Hours of a day.
    Hours,
}

impl Unit {
    /// The factor and name in which numbers up to `most` are best read.
    #[must_use]
    pub fn shown(self, most: f64) -> (f64, &'static str) {
        let scaled: &[(f64, f64, &str)] = match self {
            Unit::Seconds => &[(1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (1e-6, 1e6, "µs"), (0.0, 1e9, "ns")],
            Unit::Ppm => &[(1.0, 1.0, "ppm"), (0.0, 1e3, "ppb")],
            Unit::Share => &[(0.0, 100.0, "%")],
            Unit::Hours => &[(0.0, 1.0, "h")],
            Unit::Count | Unit::Fraction | Unit::Instant => &[(0.0, 1.0, "")],
        };
        let fits = scaled.iter().find(|(from, ..)| most.abs() >= *from);
        fits.map_or((1.0, ""), |(_, factor, name)| (*factor, *name))
    }
}

/// A range of numbers, and how they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The lowest.
    pub low: f64,
    /// The highest, above the lowest.
    pub high: f64,
    /// What they are.
    pub unit: Unit,
    /// Whether each power of ten takes the same room.
    pub is_log: bool,
}

/// Steps between ticks of time, in seconds, up to a day.
const CLOCK_STEPS_S: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
    43_200.0,
];

/// Beyond those, in days; then in months.
const DAY_STEPS: [f64; 4] = [1.0, 2.0, 5.0, 10.0];
const MONTH_STEPS: [i64; 6] = [1, 2, 3, 6, 12, 60];

const DAY_S: f64 = 86_400.0;

/// With so many more asked for, two round numbers are on any axis: five steps of a scale, whose steps are 1, 2 and 5.
const ENOUGH: usize = 5;

impl Axis {
    /// From `low` to `high`; where that is nothing, a little around it.
    #[must_use]
    pub fn of(low: f64, high: f64, unit: Unit) -> Axis {
        let room = if high > low { 0.0 } else { (low.abs() / 8.0).max(1e-9) };
        Axis { low: low - room, high: high + room, unit, is_log: false }
    }

    /// The same from power of ten to power of ten.
    #[must_use]
    pub fn log(low: f64, high: f64, unit: Unit) -> Axis {
        let low = low.max(f64::MIN_POSITIVE);
        let (low, high) = (10_f64.powf(low.log10().floor()), 10_f64.powf(high.max(low).log10().ceil()));
        Axis { low, high: if high > low { high } else { low * 10.0 }, unit, is_log: true }
    }

    /// Where `value` lies: 0 is low, 1 is high.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        if self.is_log {
            let low = self.low.log10();
            return (value.max(f64::MIN_POSITIVE).log10() - low) / (self.high.log10() - low);
        }
        (value - self.low) / (self.high - self.low)
    }

    /// Whether it lies on the axis.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// From when to when, of an axis of time.
    #[must_use]
    pub fn span(&self) -> Option<String> {
        (self.unit == Unit::Instant).then(|| format!("{} to {}", instant(self.low), instant(self.high)))
    }

    /// The factor and name of the unit in which the axis is shown.
    #[must_use]
    pub fn shown(&self) -> (f64, &'static str) {
        self.unit.shown(self.low.abs().max(self.high.abs()))
    }

    /// About `most` round numbers on the axis, as they are and as they are written; the unit is not repeated. One alone
    /// would not tell the scale: then there are more.
    #[must_use]
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        let about = |most: usize| match self.unit {
            _ if self.is_log => self.log_ticks(most),
            Unit::Instant => self.time_ticks(most),
            _ => self.value_ticks(most),
        };
        (most..most + ENOUGH).map(about).find(|ticks| ticks.len() > 1).unwrap_or_else(|| about(most))
    }

    fn value_ticks(&self, most: usize) -> Vec<(f64, String)> {
        let (factor, _) = self.shown();
        let (low, high) = (self.low * factor, self.high * factor);
        let least = (high - low) / most.max(1) as f64;
        let power = 10_f64.powf(least.log10().floor());
        let steps: &[f64] = if self.unit == Unit::Hours { &[3.0, 6.0, 12.0] } else { &[1.0, 2.0, 5.0, 10.0] };
        let power = if self.unit == Unit::Hours { 1.0 } else { power };
        let round = steps.iter().map(|step| step * power).find(|step| *step >= least * (1.0 - 1e-9));
        let step = round.unwrap_or(power * 10.0);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let tick = |n: i64| {
            let value = n as f64 * step;
            (value / factor, format!("{value:.decimals$}"))
        };
        (first..=last).take(most + 2).map(tick).collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.low.log10().round() as i32, self.high.log10().round() as i32);
        let step = ((last - first) as usize / most.max(1) + 1) as i32;
        let written = |power: i32| match self.unit {
            Unit::Seconds if (0..=5).contains(&power) => format!("{}", 10_i64.pow(power as u32)),
            _ => format!("1e{power}"),
        };
        (first..=last).step_by(step.max(1) as usize).map(|power| (10_f64.powi(power), written(power))).collect()
    }

    fn time_ticks(&self, most: usize) -> Vec<(f64, String)> {
        let least = (self.high - self.low) / most.max(1) as f64;
        let days = DAY_STEPS.iter().map(|days| days * DAY_S);
        if let Some(step) = CLOCK_STEPS_S.into_iter().chain(days).find(|step| *step >= least) {
            let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
            return (first..=last).map(|n| n as f64 * step).map(|at| (at, stamp(at, step))).collect();
        }
        let months = MONTH_STEPS.into_iter().find(|months| *months as f64 * 30.4 * DAY_S >= least).unwrap_or(120);
        let year = |at: f64| instant(at).get(..4).and_then(|year| year.parse::<i64>().ok()).unwrap_or(1970);
        let (first, last) = (year(self.low) * 12, year(self.high) * 12 + 11);
        let begins = |month: i64| {
            let (year, month) = (i16::try_from(month.div_euclid(12)).ok()?, month.rem_euclid(12) as i8 + 1);
            Some(Time::from_date(year, month, 1, 0)?.since_s(Time(0)))
        };
        let on_axis = (first..=last).filter(|month| month.rem_euclid(months) == 0).filter_map(begins);
        on_axis
            .filter(|at| self.holds(*at))
            .map(|at| (at, instant(at).get(..7).unwrap_or_default().to_owned()))
            .collect()
    }
}

/// An instant as far as ticks `step` seconds apart need it; at midnight the day.
fn stamp(at: f64, step: f64) -> String {
    let text = instant(at);
    let part = match step {
        _ if at.rem_euclid(DAY_S) == 0.0 => 5..10,
        _ if step >= 60.0 => 11..16,
        _ => 11..19,
    };
    text.get(part).unwrap_or_default().to_owned()
}

/// RFC 3339, to the second.
fn instant(at: f64) -> String {
    Time((at * 1e9) as i64).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(axis: &Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_in_the_unit_that_is_read() {
        assert_eq!(written(&Axis::of(-0.11, 0.13, Unit::Seconds), 5), ["-100", "-50", "0", "50", "100"]);
        assert_eq!(written(&Axis::of(-2e-7, 3e-7, Unit::Seconds), 3), ["-200", "0", "200"]);
        assert_eq!(written(&Axis::of(11.9, 12.15, Unit::Ppm), 4), ["11.9", "12.0", "12.1"]);
        assert_eq!(written(&Axis::of(0.0, 24.0, Unit::Hours), 8), ["0", "3", "6", "9", "12", "15", "18", "21", "24"]);
        assert_eq!(written(&Axis::log(60.0, 90_000.0, Unit::Seconds), 9), ["10", "100", "1000", "10000", "100000"]);
    }

    #[test]
    fn ticks_of_time_are_those_of_the_calendar() {
        let day = Time::from_date(2027, 1, 4, 0).expect("a day").since_s(Time(0));
        assert_eq!(
            written(&Axis::of(day + 1.0, day + 4.0 * DAY_S, Unit::Instant), 5),
            ["01-05", "01-06", "01-07", "01-08"]
        );
        assert_eq!(
            written(&Axis::of(day, day + DAY_S, Unit::Instant), 5),
            ["01-04", "06:00", "12:00", "18:00", "01-05"]
        );
        let year = written(&Axis::of(day, day + 365.0 * DAY_S, Unit::Instant), 5);
        assert_eq!(year, ["2027-04", "2027-07", "2027-10", "2028-01"]);
    }

    #[test]
    fn one_tick_alone_would_not_tell_the_scale() {
        assert_eq!(written(&Axis::of(-0.13, 0.13, Unit::Seconds), 2), ["-100", "0", "100"]);
    }

    #[test]
    fn an_axis_of_one_number_has_room_around_it() {
        let axis = Axis::of(3.0, 3.0, Unit::Seconds);
        assert!((axis.place(3.0) - 0.5).abs() < 1e-12);
    }
}
