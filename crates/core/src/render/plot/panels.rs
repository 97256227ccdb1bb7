//! Panels of each kind from points, and the scales that keep them legible.

use super::{Axis, Mark, MarkKind, Panel, Point, Shape, Unit, allan, gaps, hours, patience_s, visible};

/// A scale that shows 98 % of all values on at least half of its height, and the rest as far as there is room.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The bottom of the scale.
    pub low: f64,
    /// The top of the scale.
    pub high: f64,
    /// The lowest value of all.
    pub least: f64,
    /// The highest value of all.
    pub most: f64,
    /// The value in the middle of all.
    pub median: f64,
    /// How many lie beyond the scale.
    pub beyond: usize,
}

impl Bounds {
    /// Of these values; `None` of none.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Bounds> {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        let last = values.len() - 1;
        let mut at = |percent: usize| *values.select_nth_unstable_by(last * percent / 100, f64::total_cmp).1;
        let (bottom, median, top) = (at(1), at(50), at(99));
        let room = (top - bottom) / 2.0;
        // Values that are all alike but a few leave no room: then all are shown.
        let (low, high) = if room > 0.0 { (least.max(bottom - room), most.min(top + room)) } else { (least, most) };
        let beyond = values.iter().filter(|value| **value < low || **value > high).count();
        Some(Bounds { low, high, least, most, median, beyond })
    }

    /// The scale, with a little air.
    #[must_use]
    pub fn axis(&self, unit: Unit) -> Axis {
        let air = (self.high - self.low) / 40.0;
        Axis::of(self.low - air, self.high + air, unit)
    }

    /// `-127 to 98.5 ms, median 0.021; 3 beyond ▲▼`, in the unit of the axis.
    fn words(&self, unit: Unit) -> String {
        let (factor, name) = self.axis(unit).shown();
        let [least, most, median] = [self.least, self.most, self.median].map(|value| short(value * factor));
        let beyond = if self.beyond > 0 { format!("; {} beyond ▲▼", self.beyond) } else { String::new() };
        format!("{least} to {most} {name}, median {median}{beyond}")
    }
}

/// A number in three or four digits.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// Columns of pixels of the widest drawing.
const FINEST: usize = 4096;

/// A line through points in the order of time. Gaps in it are marked.
#[must_use]
pub fn line(label: String, points: Vec<Point>, unit: Unit, mut marks: Vec<Mark>) -> Option<Panel> {
    let bounds = Bounds::of(points.iter().map(|(_, y)| *y))?;
    let x = over(&points)?;
    let patience = patience_s(&points);
    marks.extend(gaps(&points, patience).map(|(from, to)| Mark { kind: MarkKind::Gap, from, to }));
    let shape = Shape::Line { points: visible(points, &x, FINEST), patience };
    Some(Panel { label, note: bounds.words(unit), x, y: bounds.axis(unit), shape, marks })
}

/// The time that points in its order take; `None` where that is no time.
fn over(points: &[Point]) -> Option<Axis> {
    let (from, to) = (points.first()?.0, points.last()?.0);
    (from < to).then(|| Axis::of(from, to, Unit::Instant))
}

/// A share of ones among ones and zeros over time, in bars of at least so many.
const IN_A_BAR: usize = 8;

/// How the share of ones went.
#[must_use]
pub fn share(label: String, points: &[Point], marks: Vec<Mark>) -> Option<Panel> {
    let x = over(points)?;
    let n = (points.len() / IN_A_BAR).clamp(1, BARS.1 as usize);
    let mut counts = vec![(0_usize, 0.0); n];
    for (at, value) in points {
        let bar = ((x.place(*at) * n as f64) as usize).min(n - 1);
        counts[bar].0 += 1;
        counts[bar].1 += value;
    }
    let edge = |bar: usize| x.low + (x.high - x.low) * bar as f64 / n as f64;
    let filled = counts.iter().enumerate().filter(|(_, (n, _))| *n > 0);
    let bars: Vec<_> = filled.map(|(bar, (n, ones))| (edge(bar), edge(bar + 1), ones / *n as f64)).collect();
    let most = bars.iter().map(|(.., share)| *share).fold(0.0, f64::max);
    let ones: f64 = points.iter().map(|(_, value)| value).sum();
    let note = format!("{ones:.0} of {}", points.len());
    let y = Axis::of(0.0, if most > 0.0 { most } else { 1.0 }, Unit::Share);
    Some(Panel { label, note, x, y, shape: Shape::Bars(bars), marks })
}

/// Bars of a histogram are at least and at most so many.
const BARS: (f64, f64) = (10.0, 70.0);

/// How many values lie where. Bars are as wide as Freedman and Diaconis (1981) say.
#[must_use]
pub fn histogram(label: String, values: &[f64], unit: Unit) -> Option<Panel> {
    let bounds = Bounds::of(values.iter().copied())?;
    let x = bounds.axis(unit);
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| x.holds(*value)).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied().unwrap_or(bounds.high);
    let width = 2.0 * (at(75) - at(25)) / (sorted.len() as f64).cbrt();
    let bars = ((x.high - x.low) / width).clamp(BARS.0, BARS.1).ceil();
    let mut counts = vec![0_usize; bars as usize];
    for value in &sorted {
        let bar = ((x.place(*value) * bars) as usize).min(counts.len() - 1);
        counts[bar] += 1;
    }
    let most = counts.iter().max().map_or(0, |most| *most);
    let edge = |bar: usize| x.low + (x.high - x.low) * bar as f64 / bars;
    let bars = counts.iter().enumerate().map(|(bar, n)| (edge(bar), edge(bar + 1), *n as f64)).collect();
    let y = Axis::of(0.0, most as f64, Unit::Count);
    Some(Panel { label, note: bounds.words(unit), x, y, shape: Shape::Bars(bars), marks: Vec::new() })
}

/// Offset against delay. Where a path delays one direction, points lie along a line of slope ±½ from the shortest delay on.
#[must_use]
pub fn wedge(label: String, points: Vec<Point>) -> Option<Panel> {
    let delays = Bounds::of(points.iter().map(|(delay, _)| *delay))?;
    let offsets = Bounds::of(points.iter().map(|(_, offset)| *offset))?;
    let (x, y) = (delays.axis(Unit::Seconds), offsets.axis(Unit::Seconds));
    Some(Panel { label, note: offsets.words(Unit::Seconds), x, y, shape: Shape::Dots(points), marks: Vec::new() })
}

/// The Allan deviation of offsets.
#[must_use]
pub fn stability(label: String, offsets: &[Point]) -> Option<Panel> {
    let points = allan(offsets);
    let (first, last) = (*points.first()?, *points.last()?);
    let lowest = points.iter().copied().reduce(|a, b| if b.1 < a.1 { b } else { a })?;
    let highest = points.iter().map(|(_, deviation)| *deviation).fold(0.0, f64::max);
    let note = format!("lowest {:.2e} at {:.0} s", lowest.1, lowest.0);
    let (x, y) = (Axis::log(first.0, last.0, Unit::Seconds), Axis::log(lowest.1, highest, Unit::Fraction));
    Some(Panel { label, note, x, y, shape: Shape::Line { points, patience: f64::INFINITY }, marks: Vec::new() })
}

/// What the value is by the hour of the day: median, and the range that holds 90 %.
#[must_use]
pub fn daily(label: String, points: &[Point], unit: Unit) -> Option<Panel> {
    let ranges = hours(points);
    let (lows, highs) = (ranges.iter().map(|(.., of)| of[0]), ranges.iter().map(|(.., of)| of[2]));
    let bounds = Bounds::of(lows.chain(highs))?;
    let all = Bounds::of(points.iter().map(|(_, y)| *y))?;
    let x = Axis::of(0.0, 24.0, Unit::Hours);
    let y = Bounds { low: bounds.least, high: bounds.most, ..bounds }.axis(unit);
    let note = Bounds { beyond: 0, ..all }.words(unit);
    Some(Panel { label, note, x, y, shape: Shape::Ranges(ranges), marks: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spike_does_not_flatten_the_rest_and_steps_of_the_cycle_are_shown() {
        let wave = (0..1000).map(|n| f64::from(n).sin());
        let bounds = Bounds::of(wave.clone().chain([500.0])).expect("there are values");
        assert!(bounds.high < 3.0 && bounds.beyond == 1 && bounds.most == 500.0, "{bounds:?}");
        let bounds = Bounds::of(wave.chain([1.4])).expect("there are values");
        assert_eq!((bounds.high, bounds.beyond), (1.4, 0));
        assert_eq!(Bounds::of([0.0, 0.0, 7.0].into_iter()).map(|b| (b.low, b.high, b.beyond)), Some((0.0, 7.0, 0)));
        assert_eq!(Bounds::of([f64::NAN].into_iter()), None);
    }

    #[test]
    fn a_histogram_counts_all_that_its_scale_holds() {
        let values: Vec<f64> = (0..1000).map(|n| f64::from(n).sin()).chain([500.0]).collect();
        let panel = histogram("h".into(), &values, Unit::Seconds).expect("there are values");
        let Shape::Bars(bars) = &panel.shape else { panic!("{panel:?}") };
        assert_eq!(bars.iter().map(|(.., n)| *n).sum::<f64>(), 1000.0);
        assert!(panel.note.ends_with("; 1 beyond ▲▼"), "{}", panel.note);
    }
}
