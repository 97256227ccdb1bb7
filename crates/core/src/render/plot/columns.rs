//! Columns of pixels: what of a line is visible in each.
//!
//! A column shows its first, lowest, highest and last point, whatever their number (M4: Jugel, Jerzak, Hackenbroich and
//! Markl 2014). So a year is drawn as fast as a day, and no spike is lost.

use super::{Axis, Point};

/// The points that fall into one column of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// The first of them.
    pub first: Point,
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// The last of them.
    pub last: Point,
}

/// Divides points, in the order of `x`, into `n` columns; a column without points is `None`.
#[must_use]
pub fn columns(points: &[Point], axis: &Axis, n: usize) -> Vec<Option<Column>> {
    let mut columns: Vec<Option<Column>> = vec![None; n];
    for &(x, y) in points.iter().filter(|(x, y)| axis.holds(*x) && y.is_finite()) {
        let at = ((axis.place(x) * n as f64) as usize).min(n.saturating_sub(1));
        let Some(column) = columns.get_mut(at) else { continue };
        let known = column.get_or_insert(Column { first: (x, y), low: y, high: y, last: (x, y) });
        known.low = known.low.min(y);
        known.high = known.high.max(y);
        known.last = (x, y);
    }
    columns
}

/// The points that columns show: at most four of each.
#[must_use]
pub fn visible(points: Vec<Point>, axis: &Axis, n: usize) -> Vec<Point> {
    if points.len() <= 4 * n {
        return points;
    }
    let of = |column: &Column| {
        let middle = f64::midpoint(column.first.0, column.last.0);
        [column.first, (middle, column.low), (middle, column.high), column.last]
    };
    columns(&points, axis, n).iter().flatten().flat_map(of).collect()
}

/// Spacings that are looked at to say what is usual.
const LOOKED_AT: usize = 4096;

/// A gap is longer than this many usual spacings (their median): ntpd takes eight unanswered polls to give a source up.
const USUAL: f64 = 12.0;

/// And than this many of the long ones (their 95th percentile), where the poll interval changes.
const LONG: f64 = 3.0;

/// How long no point may follow until that is a gap; infinite of less than three points.
#[must_use]
pub fn patience_s(points: &[Point]) -> f64 {
    let stride = (points.len() / LOOKED_AT).max(1);
    // Pairs that stand beside each other, though not all of them.
    let pairs = (1..points.len()).step_by(stride).filter_map(|at| Some(points.get(at)?.0 - points.get(at - 1)?.0));
    let mut spacings: Vec<f64> = pairs.filter(|spacing| *spacing > 0.0).collect();
    if spacings.len() < 2 {
        return f64::INFINITY;
    }
    spacings.sort_by(f64::total_cmp);
    let at = |share: f64| spacings[((spacings.len() - 1) as f64 * share) as usize];
    (USUAL * at(0.5)).max(LONG * at(0.95))
}

/// From when to when there are no points for longer than `patience`.
pub fn gaps(points: &[Point], patience: f64) -> impl Iterator<Item = (f64, f64)> {
    let pairs = points.windows(2).filter_map(|pair| Some((pair.first()?.0, pair.last()?.0)));
    pairs.filter(move |(from, to)| to - from > patience)
}

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::*;

    #[test]
    fn no_spike_is_lost_in_a_column() {
        let mut points: Vec<Point> = (0..100_000).map(|n| (f64::from(n), 0.0)).collect();
        points[77_777].1 = 5.0;
        let columns = columns(&points, &Axis::of(0.0, 99_999.0, Unit::Instant), 100);
        assert_eq!(columns.iter().flatten().count(), 100);
        assert_eq!(columns[77].map(|c| (c.low, c.high)), Some((0.0, 5.0)));
    }

    #[test]
    fn a_silence_is_a_gap_and_a_slower_poll_is_none() {
        let fast = (0..200).map(|n| f64::from(n) * 64.0);
        let slow = (1..50).map(|n| 199.0 * 64.0 + f64::from(n) * 512.0);
        let mut points: Vec<Point> = fast.chain(slow).map(|x| (x, 0.0)).collect();
        let patience = patience_s(&points);
        assert_eq!(gaps(&points, patience).count(), 0, "{patience}");
        let end = points[points.len() - 1].0;
        points.push((end + 7200.0, 0.0));
        assert_eq!(gaps(&points, patience_s(&points)).collect::<Vec<_>>(), [(end, end + 7200.0)]);
        assert_eq!(patience_s(&points[..2]), f64::INFINITY);
    }
}
