//! A weighted straight line through a source's offsets, and how far back it may reach: until the residuals' signs come in too
//! few runs to be noise (chronyd's own way; the runs test is Wald and Wolfowitz's).

/// A line needs so many points.
pub const LEAST_POINTS: usize = 3;
/// The runs are looked for so many times farther back than the line.
const RUNS_RATIO: usize = 2;
/// Fewer residuals always look like noise.
const LEAST_RESIDUALS: usize = 8;

/// A point: seconds since the latest (none is later), the offset, and how much less than the best one it weighs.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Seconds, negative.
    pub at_s: f64,
    /// Seconds.
    pub offset_s: f64,
    /// 1 for the best; a point of weight 4 counts a quarter.
    pub weight: f64,
}

/// A line, at the time of the latest point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The first point of the line, counted from the first of `points`.
    pub start: usize,
    /// Seconds.
    pub offset_s: f64,
    /// Its standard deviation.
    pub offset_sd_s: f64,
    /// Seconds per second.
    pub frequency: f64,
    /// Bound of the frequency's error: 99.9 % of the t distribution.
    pub skew: f64,
    /// Standard deviation of the points.
    pub deviation_s: f64,
    /// Runs of residuals.
    pub runs: usize,
}

/// The longest good line through `points[older..]`, at least `least` points long; the runs may reach back into the older ones.
pub fn line(points: &[Point], older: usize, least: usize) -> Option<Line> {
    let count = points.len() - older;
    if count < LEAST_POINTS {
        return None;
    }
    let mut start = older;
    loop {
        let used = &points[start..];
        let n = used.len();
        let w: f64 = used.iter().map(|point| 1.0 / point.weight).sum();
        let mean = used.iter().map(|point| point.at_s / point.weight).sum::<f64>() / w;
        let v: f64 = used.iter().map(|point| (point.at_s - mean).powi(2) / point.weight).sum();
        let slope = used.iter().map(|point| point.offset_s * (point.at_s - mean) / point.weight).sum::<f64>() / v;
        let offset_s = used.iter().map(|point| point.offset_s / point.weight).sum::<f64>() / w - slope * mean;
        let residual = |point: &Point| point.offset_s - offset_s - slope * point.at_s;
        let back = points.len().saturating_sub(n * RUNS_RATIO);
        let found = runs(points[back..].iter().map(residual));
        if found > critical(points.len() - back) || n <= LEAST_POINTS || n <= least {
            let variance =
                used.iter().map(|point| residual(point).powi(2) / point.weight).sum::<f64>() / (n - 2) as f64;
            return Some(Line {
                start: start - older,
                offset_s,
                offset_sd_s: (variance / w + mean * mean * variance / v).sqrt(),
                frequency: slope,
                skew: (variance / v).sqrt() * quantile(n - 2),
                deviation_s: (variance * n as f64 / w).sqrt(),
                runs: runs(used.iter().map(residual)),
            });
        }
        start += 1;
    }
}

/// Runs of one sign.
fn runs(residuals: impl Iterator<Item = f64>) -> usize {
    let (mut count, mut last) = (0, None);
    for residual in residuals {
        let sign = residual < 0.0;
        count += usize::from(last != Some(sign));
        last = Some(sign);
    }
    count
}

/// As many runs as one set of `n` signs in twenty has at the most.
fn critical(n: usize) -> usize {
    if n < LEAST_RESIDUALS {
        return 0;
    }
    let n = n as f64;
    let (mean, deviation) = (n / 2.0 + 1.0, (n * (n - 2.0) / (4.0 * (n - 1.0))).sqrt());
    (mean - 1.645 * deviation) as usize
}

/// Student's t that 99.95 % of values stay below: exact for few degrees of freedom, else from the normal's (Cornish and Fisher).
fn quantile(freedom: usize) -> f64 {
    const FEW: [f64; 10] = [636.6, 31.60, 12.92, 8.610, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587];
    if let Some(few) = FEW.get(freedom.saturating_sub(1)) {
        return *few;
    }
    let (z, n) = (3.2905_f64, freedom as f64);
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * n)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * n * n)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * n.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_s: f64, offset_s: f64) -> Point {
        Point { at_s, offset_s, weight: 1.0 }
    }

    #[test]
    fn a_line_is_found() {
        let wave = [1e-6, -1e-6, 2e-6, -2e-6, 1e-6, -1e-6, 1e-6, -1e-6];
        let points: Vec<Point> =
            (0..8).map(|n| f64::from(n) * 64.0 - 448.0).zip(wave).map(|(t, y)| point(t, 1e-3 + 1e-5 * t + y)).collect();
        let line = line(&points, 0, 6).expect("a line");
        assert!((line.offset_s - 1e-3).abs() < 2e-6 && (line.frequency - 1e-5).abs() < 1e-8, "{line:?}");
        assert_eq!((line.start, line.runs), (0, 8));
        assert!(line.skew < 1e-7 && line.deviation_s > 1e-6);
    }

    #[test]
    fn a_change_of_the_rate_shortens_it() {
        let bent = |n: i32| point(f64::from(n - 40) * 64.0, if n < 30 { 0.0 } else { f64::from(n - 30) * 1e-3 });
        let points: Vec<Point> = (0..=40).map(bent).collect();
        let line = line(&points, 0, 6).expect("a line");
        assert!(line.start > 20 && (line.frequency - 1e-3 / 64.0).abs() < 3e-6, "{line:?}");
    }

    #[test]
    fn tables_of_statistics_agree() {
        assert_eq!([8, 12, 16, 20].map(critical), [2, 4, 5, 7]);
        assert!((quantile(11) - 4.437).abs() < 0.01 && (quantile(60) - 3.460).abs() < 0.005);
        assert_eq!((quantile(1), critical(7)), (636.6, 0));
    }
}
