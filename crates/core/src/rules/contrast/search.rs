//! The sets of one attribute's values: thresholds, single values, ranges and small sets, the best of each family.

use super::LIMITS;
use super::found::Side;
use super::row::Cell;
use crate::stats::ln_fisher;
use std::collections::BTreeMap;

/// A set of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// All from one to another; `first` and `last` say that none are below or above.
    Range { from: i64, to: i64, first: bool, last: bool },
    /// These.
    Among(Vec<i64>),
}

impl Values {
    /// Where they lie among all.
    pub(super) fn side(&self) -> Side {
        match self {
            Values::Range { first: true, .. } => Side::Low,
            Values::Range { last: true, .. } => Side::High,
            _ => Side::Other,
        }
    }

    pub(super) fn holds(&self, value: i64) -> bool {
        match self {
            Values::Range { from, to, .. } => (*from..=*to).contains(&value),
            Values::Among(values) => values.contains(&value),
        }
    }
}

/// A set of values with how probable it is by chance.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub values: Values,
    /// Logarithm of the probability that a set as uneven as this or more comes by chance, times the sets of its family.
    pub ln_chance: f64,
    /// Nearly all that is in it is lost.
    pub is_pure: bool,
}

/// Values up to which ranges between them are tried: their number grows with the square.
const MOST_VALUES: usize = 256;

/// Values that a small set has at the most.
const LARGEST_SET: usize = 4;

/// The best set of values by family, and how many were tried. Each family has the same share of the chance that is
/// allowed, so that many ranges don't drown the few thresholds.
pub(super) fn search(by_value: &BTreeMap<i64, Cell>, is_ordered: bool) -> (Vec<Found>, f64) {
    let cells: Vec<(i64, Cell)> = by_value.iter().map(|(value, cell)| (*value, *cell)).collect();
    let n = cells.len();
    if n < 2 {
        return (Vec::new(), 0.0);
    }
    let mut sums = vec![Cell::default()];
    for (_, cell) in &cells {
        let mut sum = *sums.last().unwrap_or(&Cell::default());
        sum.add(*cell);
        sums.push(sum);
    }
    let total = sums[n];
    // All values from the `a`th up to the one before the `b`th.
    let range = |a: usize, b: usize| {
        let values = Values::Range {
            from: cells[a].0,
            to: cells[b - 1].0,
            first: a == 0 && is_ordered,
            last: b == n && is_ordered,
        };
        (values, sums[b].without(sums[a]))
    };
    let mut families: Vec<(f64, Vec<(Values, Cell)>)> = Vec::new();
    if is_ordered {
        // A threshold has two sides; it is one division of the requests.
        families.push(((n - 1) as f64, (1..n).flat_map(|at| [range(0, at), range(at, n)]).collect()));
    }
    if n > 2 || !is_ordered {
        let single =
            |at: usize| (Values::Range { first: false, last: false, from: cells[at].0, to: cells[at].0 }, cells[at].1);
        families.push((if n == 2 { 1.0 } else { n as f64 }, (0..n).map(single).collect()));
    }
    if is_ordered && (4..=MOST_VALUES).contains(&n) {
        let inner = (1..n - 2).flat_map(|a| (a + 2..n).map(move |b| (a, b)));
        let ranges: Vec<_> = inner.map(|(a, b)| range(a, b)).collect();
        families.push((ranges.len() as f64, ranges));
    }
    // The values that lose most, two and more of them.
    let mut worst = cells.clone();
    worst.sort_by(|(v, a), (w, b)| {
        let key = |c: &Cell| (c.lost_share().value(), c.lost);
        key(b).partial_cmp(&key(a)).unwrap_or(std::cmp::Ordering::Equal).then(v.cmp(w))
    });
    for size in 2..=LARGEST_SET.min(n.saturating_sub(2)) {
        let mut inside = Cell::default();
        worst[..size].iter().for_each(|(_, cell)| inside.add(*cell));
        let mut values: Vec<i64> = worst[..size].iter().map(|(value, _)| *value).collect();
        values.sort_unstable();
        families.push((choose(n, size), vec![(Values::Among(values), inside)]));
    }
    let (of, tried) = (families.len() as f64, families.iter().map(|(sets, _)| sets).sum());
    let best = families.into_iter().filter_map(|(sets, all)| {
        let uneven = |inside: &Cell| (inside.lost_share().value() >= LIMITS.clean, unevenness(*inside, total));
        let order = |a: &Cell, b: &Cell| uneven(a).partial_cmp(&uneven(b)).unwrap_or(std::cmp::Ordering::Equal);
        // Of equals the first.
        let (values, inside) = all.into_iter().rev().max_by(|a, b| order(&a.1, &b.1))?;
        let ln_chance = ln_fisher(inside.pair(), total.without(inside).pair()) + (sets * of).ln();
        Some(Found { values, ln_chance, is_pure: inside.lost_share().value() >= LIMITS.clean })
    });
    (best.collect(), tried)
}

/// In how many ways `k` of `n` can be chosen.
pub(super) fn choose(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// How uneven a division is (the likelihood ratio G), as a quick measure of what the exact test will say; 0 where less is
/// lost inside than outside.
pub(super) fn unevenness(inside: Cell, total: Cell) -> f64 {
    let outside = total.without(inside);
    if inside.all() == 0 || outside.all() == 0 || inside.lost_share().value() <= outside.lost_share().value() {
        return 0.0;
    }
    let share = total.lost as f64 / total.all() as f64;
    let term =
        |n: u64, of: u64, share: f64| if n == 0 { 0.0 } else { n as f64 * (n as f64 / (of as f64 * share)).ln() };
    [inside, outside].iter().map(|c| term(c.lost, c.all(), share) + term(c.answered, c.all(), 1.0 - share)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(of: &[(i64, u64, u64)]) -> BTreeMap<i64, Cell> {
        of.iter().map(|(value, lost, answered)| (*value, Cell { lost: *lost, answered: *answered })).collect()
    }

    fn best(of: &[(i64, u64, u64)]) -> (Values, f64) {
        let (found, tried) = search(&cells(of), true);
        let best = found.into_iter().min_by(|a, b| a.ln_chance.total_cmp(&b.ln_chance)).expect("two values");
        (best.values, tried)
    }

    #[test]
    fn thresholds_ranges_and_sets_are_found() {
        let range = |from, to, first, last| Values::Range { from, to, first, last };
        assert_eq!(best(&[(48, 0, 40), (68, 9, 0), (228, 12, 1)]), (range(68, 228, false, true), 5.0));
        assert_eq!(best(&[(1, 0, 9), (2, 9, 0), (3, 9, 0), (4, 9, 0), (5, 0, 9)]).0, range(2, 4, false, false));
        assert_eq!(best(&[(1, 0, 9), (2, 9, 0), (3, 0, 9), (4, 9, 0), (5, 0, 9)]).0, Values::Among(vec![2, 4]));
        assert_eq!(best(&[(1, 0, 9), (2, 9, 0), (3, 0, 9)]).0, range(2, 2, false, false));
    }
}
