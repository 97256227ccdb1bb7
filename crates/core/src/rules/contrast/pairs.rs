//! Two attributes together, where one alone is not enough.

use super::LIMITS;
use super::attribute::ATTRIBUTES;
use super::found::Side;
use super::judge::{Hit, SHARES};
use super::row::Cell;
use super::search::{Values, unevenness};
use super::table::Table;
use crate::stats::ln_fisher;

/// Share of all that is lost that a pair must explain: a rule that asks for two things drops all that has both.
const EXPLAINED: f64 = 0.8;

/// A pair must be so much less probable by chance than any single set: simpler sets are preferred.
const BEATS: f64 = 1e-3;

/// Sets of one attribute that may be half of a pair, at the most: those that are most uneven.
const MOST_HALVES: usize = 8;

struct Half {
    attribute: usize,
    values: Values,
    mask: Vec<bool>,
    unevenness: f64,
}

/// The best pair that separates, and how many were tried. `ln_single` is the chance of the best single set.
pub(super) fn best(table: &Table<'_>, rows: &[usize], ln_single: f64) -> (Option<Hit>, f64) {
    let total = table.sum(rows.iter().copied());
    let mut halves: Vec<Half> = Vec::new();
    // How many sets of each attribute could be half of a pair.
    let mut could: Vec<f64> = Vec::new();
    for (number, attribute) in ATTRIBUTES.iter().enumerate().filter(|(_, a)| !a.kind.is_who()) {
        let by_value = table.by_value(rows, attribute);
        let sets = sets(&by_value, attribute.kind.is_ordered());
        if sets.is_empty() {
            continue;
        }
        could.push(sets.len() as f64);
        let covers = |inside: &Cell| inside.lost as f64 >= total.lost as f64 * EXPLAINED;
        let mut own: Vec<(f64, Values)> =
            sets.into_iter().filter(|(_, c)| covers(c)).map(|(v, c)| (unevenness(c, total), v)).collect();
        own.sort_by(|a, b| b.0.total_cmp(&a.0));
        own.truncate(MOST_HALVES);
        halves.extend(own.into_iter().map(|(unevenness, values)| {
            let mask = table.rows.iter().map(|row| values.holds(row.value(attribute))).collect();
            Half { attribute: number, values, mask, unevenness }
        }));
    }
    let all: f64 = could.iter().sum();
    let tried = (all * all - could.iter().map(|n| n * n).sum::<f64>()) / 2.0;
    let mut found: Option<(f64, usize, usize)> = None;
    for (i, a) in halves.iter().enumerate() {
        for (j, b) in halves.iter().enumerate().skip(i + 1).filter(|(_, b)| b.attribute != a.attribute) {
            let inside = table.sum(rows.iter().copied().filter(|at| a.mask[*at] && b.mask[*at]));
            let outside = total.without(inside);
            let clean = outside.lost_share().value() <= 1.0 - LIMITS.clean && outside.all() > 0;
            let uneven = unevenness(inside, total);
            let explains = inside.lost as f64 >= total.lost as f64 * EXPLAINED;
            let more = uneven > a.unevenness.max(b.unevenness);
            if clean
                && explains
                && more
                && inside.lost_share().value() >= LIMITS.clean
                && found.is_none_or(|(u, ..)| uneven > u)
            {
                found = Some((uneven, i, j));
            }
        }
    }
    let Some((_, i, j)) = found else { return (None, tried) };
    let (a, b) = (&halves[i], &halves[j]);
    let mask: Vec<bool> = a.mask.iter().zip(&b.mask).map(|(a, b)| *a && *b).collect();
    let inside = table.sum(rows.iter().copied().filter(|at| mask[*at]));
    let ln_p = ln_fisher(inside.pair(), total.without(inside).pair());
    let ln_chance = ln_p + (tried * SHARES).ln();
    let good = ln_chance <= LIMITS.chance.ln() && ln_p <= ln_single + BEATS.ln();
    let ports = table.ports(rows, &mask);
    let (first, second) = (&ATTRIBUTES[a.attribute], &ATTRIBUTES[b.attribute]);
    let words = format!("{} and {}", first.set(&a.values, table, ports), second.set(&b.values, table, ports));
    let filter = first.filter(&a.values, table, ports).zip(second.filter(&b.values, table, ports));
    let filter = filter.map(|(a, b)| format!("{a} && {b}"));
    let hit = Hit { name: "pair", set: words, filter, mask, ln_p, ln_chance, is_who: false, side: Side::Other };
    (good.then_some(hit), tried)
}

/// Thresholds, both sides, and single values.
fn sets(by_value: &std::collections::BTreeMap<i64, Cell>, is_ordered: bool) -> Vec<(Values, Cell)> {
    let (Some((first, _)), Some((last, _))) = (by_value.first_key_value(), by_value.last_key_value()) else {
        return Vec::new();
    };
    if first == last {
        return Vec::new();
    }
    let mut total = Cell::default();
    by_value.values().for_each(|cell| total.add(*cell));
    let (mut sets, mut below, mut before) = (Vec::new(), Cell::default(), *first);
    for (value, cell) in by_value {
        if is_ordered && value > first {
            sets.push((Values::Range { from: *first, to: before, first: true, last: false }, below));
            sets.push((Values::Range { from: *value, to: *last, first: false, last: true }, total.without(below)));
        }
        if !is_ordered || (value > first && value < last) {
            sets.push((Values::Range { from: *value, to: *value, first: false, last: false }, *cell));
        }
        below.add(*cell);
        before = *value;
    }
    sets
}
