//! The overlapping Allan deviation: how much a clock's rate differs from one stretch of τ to the next.

use super::Point;

/// Points on the even grid are bridged over this many of its steps; beyond, they are missing, and so are the terms that
/// touch them.
const BRIDGED: f64 = 3.0;

/// A value of τ counts where it has this many terms.
const LEAST_TERMS: usize = 2;

/// τ in seconds and deviation, for τ of 1, 2, 4 … usual spacings, from offsets in seconds by time (Riley, NIST SP 1065
/// §5.2.5). Offsets are first put on an even grid, whose step is the median spacing, by linear interpolation.
#[must_use]
pub fn allan(points: &[Point]) -> Vec<Point> {
    let Some(step) = usual_step(points) else { return Vec::new() };
    let grid = even(points, step);
    let taus = (0..).map(|octave| 1_usize << octave).take_while(|m| *m <= (grid.len().saturating_sub(1) / 2).max(1));
    let deviation = |m: usize| {
        let triples = grid.iter().zip(grid.get(m..)?).zip(grid.get(2 * m..)?);
        let terms = triples.map(|((a, b), c)| c - 2.0 * b + a).filter(|term| term.is_finite());
        let (n, squares) = terms.fold((0_usize, 0.0), |(n, sum), term| (n + 1, sum + term * term));
        let tau = m as f64 * step;
        (n >= LEAST_TERMS).then(|| (tau, (squares / n as f64 / (2.0 * tau * tau)).sqrt()))
    };
    taus.filter_map(deviation).filter(|(_, deviation)| *deviation > 0.0).collect()
}

/// The median spacing.
fn usual_step(points: &[Point]) -> Option<f64> {
    let pairs = points.windows(2).filter_map(|pair| Some(pair.last()?.0 - pair.first()?.0));
    let mut spacings: Vec<f64> = pairs.collect();
    spacings.sort_by(f64::total_cmp);
    let middle = spacings.len() / 2;
    let upper = *spacings.get(middle)?;
    let step = if spacings.len().is_multiple_of(2) { f64::midpoint(*spacings.get(middle - 1)?, upper) } else { upper };
    (step > 0.0).then_some(step)
}

/// Most points of a grid: a span of years with a spacing of milliseconds is no series of polls.
const MOST: usize = 1 << 23;

/// The offsets on an even grid; not a number where none is near.
fn even(points: &[Point], step: f64) -> Vec<f64> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let n = ((last.0 - first.0) / step) as usize + 1;
    let mut after = 1;
    let at = |n: usize| {
        let x = first.0 + step * n as f64;
        while after + 1 < points.len() && points[after].0 <= x {
            after += 1;
        }
        let ((x0, y0), (x1, y1)) = (points[after - 1], points[after.min(points.len() - 1)]);
        let near = |other: f64| (x - other).abs() <= 1e-6 * step;
        match x1 - x0 {
            gap if gap > BRIDGED * step && !near(x0) && !near(x1) => f64::NAN,
            gap if gap > 0.0 => y0 + (y1 - y0) * ((x - x0) / gap).min(1.0),
            _ => y1,
        }
    };
    (0..n.min(MOST)).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_published_test_suite() {
        // NIST SP 1065 §12.4: 1000 values of frequency by n ← 16807·n mod 2³¹−1 from 1234567890, over 2³¹−1; τ 1, 10, 100.
        let (mut n, mut phase, mut points) = (1_234_567_890_u64, 0.0, vec![(0.0, 0.0)]);
        for second in 1..=1000 {
            phase += n as f64 / 2_147_483_647.0;
            points.push((f64::from(second), phase));
            n = n * 16_807 % 2_147_483_647;
        }
        let deviations = allan(&points);
        assert_eq!(deviations.len(), 9);
        assert!((deviations[0].1 - 2.922_319e-1).abs() < 1e-7, "{deviations:?}");
        // And at τ = 2 s by numpy.
        assert!((deviations[1].1 - 2.010_160e-1).abs() < 1e-7, "{deviations:?}");
    }

    #[test]
    fn a_gap_is_not_bridged_and_a_ramp_has_no_deviation() {
        assert!(allan(&[(0.0, 1.0)]).is_empty());
        let ramp: Vec<Point> = (0..100).map(|n| f64::from(n) * 64.0).map(|x| (x, 1e-6 * x)).collect();
        assert!(allan(&ramp).iter().all(|(_, deviation)| *deviation < 1e-12));
        let jump = |x: f64| if x < 50.0 * 64.0 { (x, 0.0) } else { (x + 64_000.0, 1.0) };
        let apart: Vec<Point> = ramp.iter().map(|(x, _)| jump(*x)).collect();
        assert!(allan(&apart).iter().all(|(tau, deviation)| *tau > 4000.0 || *deviation == 0.0));
    }
}
