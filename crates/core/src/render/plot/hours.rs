//! Values by the hour of the day in UTC: what comes back each day shows.

use super::Point;

const HOURS: usize = 24;

/// For each hour that has values: from, to, and their percentiles 5, 50 and 95.
#[must_use]
pub fn hours(points: &[Point]) -> Vec<(f64, f64, [f64; 3])> {
    let mut by_hour: [Vec<f64>; HOURS] = Default::default();
    for (x, y) in points.iter().filter(|(_, y)| y.is_finite()) {
        if let Some(values) = by_hour.get_mut((x.rem_euclid(86_400.0) / 3600.0) as usize) {
            values.push(*y);
        }
    }
    let range = |(hour, values): (usize, &mut Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| values.get(values.len() * percent / 100).copied();
        Some((hour as f64, hour as f64 + 1.0, [at(5)?, at(50)?, at(95)?]))
    };
    by_hour.iter_mut().enumerate().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_each_day_is_in_its_hour() {
        let points: Vec<Point> = (0..48).map(|n| (f64::from(n) * 3600.0 + 60.0, f64::from(n % 24))).collect();
        let hours = hours(&points);
        assert_eq!(hours.len(), 24);
        assert_eq!(hours[7], (7.0, 8.0, [7.0; 3]));
    }
}
