//! Tries all sets, takes the best, sets aside what it explains, and tries the rest.

use super::LIMITS;
use super::attribute::ATTRIBUTES;
use super::found::{Contrast, Contrasts, Side};
use super::pairs;
use super::row::{Cell, HIGH};
use super::search::search;
use super::table::{Row, Rows, Table, number};
use super::usual::usual;
use super::who::Within;
use crate::stats::ln_fisher;

/// Quirks at once that are told apart.
pub(super) const MOST_QUIRKS: usize = 3;

/// The chance that is allowed is shared in three: the usual sets, those that one attribute suggests, and pairs.
pub(super) const SHARES: f64 = 3.0;

/// Share of all lost requests that a set of clients must explain: among many clients some have a loss of their own, which
/// says nothing of the others'.
const WHO_EXPLAINS: f64 = 0.5;

/// Examples that speak against a set, of each kind.
const MOST_AGAINST: usize = 3;

/// A set that was tried on some of a table's rows.
#[derive(Clone)]
pub(super) struct Hit {
    pub name: &'static str,
    pub set: String,
    pub filter: Option<String>,
    /// Whether each row of the table is in it.
    pub mask: Vec<bool>,
    /// Logarithm of the exact test's result.
    pub ln_p: f64,
    /// The same after correction.
    pub ln_chance: f64,
    pub is_who: bool,
    pub side: Side,
}

impl Table<'_> {
    /// The lowest and the highest source port of rows that are in a set.
    pub(super) fn ports(&self, rows: &[usize], mask: &[bool]) -> (u16, u16) {
        let inside = rows.iter().filter(|at| mask[**at]).map(|at| self.rows[*at].ports);
        inside.fold((u16::MAX, 0), |(low, high), (from, to)| (low.min(from), high.max(to)))
    }

    /// Requests in a set and outside it.
    fn divide(&self, rows: &[usize], mask: &[bool]) -> (Cell, Cell) {
        let inside = self.sum(rows.iter().copied().filter(|at| mask[*at]));
        (inside, self.sum(rows.iter().copied()).without(inside))
    }
}

/// All that was tried on these rows, and how many sets that was.
fn singles(table: &Table<'_>, rows: &[usize]) -> (Vec<Hit>, f64) {
    let total = table.sum(rows.iter().copied());
    let test = |inside: Cell| ln_fisher(inside.pair(), total.without(inside).pair());
    let mut hits: Vec<Hit> = usual()
        .map(|usual| {
            let mask: Vec<bool> = table.rows.iter().map(|row| usual.holds(&row.at)).collect();
            let ln_p = test(table.divide(rows, &mask).0);
            let (name, set, filter) = (usual.name, usual.words.into(), Some(usual.filter.into()));
            Hit { name, set, filter, mask, ln_p, ln_chance: ln_p, is_who: false, side: Side::Other }
        })
        .collect();
    let divides = |hit: &Hit| rows.iter().any(|at| hit.mask[*at]) && !rows.iter().all(|at| hit.mask[*at]);
    let usual = hits.iter().filter(|hit| divides(hit)).count() as f64;
    hits.iter_mut().for_each(|hit| hit.ln_chance += (SHARES * usual.max(1.0)).ln());
    let mut tried = usual;
    let own = hits.len();
    let mut attributes = 0.0;
    for attribute in ATTRIBUTES {
        let (found, sets) = search(&table.by_value(rows, attribute), attribute.kind.is_ordered());
        let Some(best) =
            found.into_iter().min_by(|a, b| b.is_pure.cmp(&a.is_pure).then(a.ln_chance.total_cmp(&b.ln_chance)))
        else {
            continue;
        };
        (attributes, tried) = (attributes + 1.0, tried + sets);
        let mask: Vec<bool> = table.rows.iter().map(|row| best.values.holds(row.value(attribute))).collect();
        let ports = table.ports(rows, &mask);
        hits.push(Hit {
            name: attribute.name,
            set: attribute.set(&best.values, table, ports),
            filter: attribute.filter(&best.values, table, ports),
            ln_p: test(table.divide(rows, &mask).0),
            mask,
            ln_chance: best.ln_chance,
            is_who: attribute.kind.is_who(),
            side: best.values.side(),
        });
    }
    hits[own..].iter_mut().for_each(|hit| hit.ln_chance += (SHARES * attributes).ln());
    (hits, tried)
}

/// Whether nearly all in a set is lost, and not by chance; `lost` is what all requests lost.
fn is_sure(hit: &Hit, inside: Cell, lost: u64) -> bool {
    let explains = !hit.is_who || inside.lost as f64 >= WHO_EXPLAINS * lost as f64;
    let pure = inside.all() > 0 && inside.lost_share().value() >= LIMITS.clean;
    pure && explains && hit.ln_chance <= LIMITS.chance.ln()
}

fn is_clean(outside: Cell) -> bool {
    outside.all() > 0 && outside.lost_share().value() <= 1.0 - LIMITS.clean
}

/// The set that tells most: one that separates by itself before one that only is lost itself; of those that divide alike,
/// the one listed first.
fn take(table: &Table<'_>, rows: &[usize], hits: &[Hit], lost: u64) -> Option<Hit> {
    let divided: Vec<_> = hits.iter().map(|hit| table.divide(rows, &hit.mask)).collect();
    let sure = |at: &usize| is_sure(&hits[*at], divided[*at].0, lost);
    let key = |at: usize| (!is_clean(divided[at].1), hits[at].ln_chance);
    let order = |a: &usize, b: &usize| key(*a).partial_cmp(&key(*b)).unwrap_or(std::cmp::Ordering::Equal);
    let best = (0..hits.len()).filter(sure).min_by(order)?;
    let first = (0..hits.len()).filter(sure).find(|at| divided[*at] == divided[best])?;
    Some(hits[first].clone())
}

/// Judges the requests of one server at one point.
pub(super) fn judge(mut rows: Vec<Row>) -> Contrasts {
    let (clients, prefixes) = number(&mut rows);
    let table = Table { rows: &rows, clients: &clients, prefixes: &prefixes };
    let mut out = Contrasts::default();
    for row in &rows {
        out.clients.entry(row.at.client).or_default().add(row.cell);
        out.ports.entry(row.ports.0.min(HIGH)).or_default().add(row.cell);
    }
    let all: Rows = (0..rows.len()).collect();
    let total = table.sum(all.iter().copied());
    if total.lost == 0 || total.answered == 0 {
        return out;
    }
    let (mut quirks, mut rest): (Vec<Hit>, Rows) = (Vec::new(), all.clone());
    let mut first: Vec<Hit> = Vec::new();
    while quirks.len() < MOST_QUIRKS {
        let (hits, tried) = singles(&table, &rest);
        out.sets += tried;
        let best = take(&table, &rest, &hits, total.lost);
        if quirks.is_empty() {
            first = hits;
        }
        let Some(best) = best else { break };
        rest.retain(|at| !best.mask[*at]);
        quirks.push(best);
        let left = table.sum(rest.iter().copied());
        if left.lost == 0 || left.answered == 0 {
            break;
        }
    }
    if !is_clean(table.sum(rest.iter().copied())) {
        // Together they leave too much unexplained: perhaps it takes two attributes at once.
        quirks.clear();
        let ln_single = first.iter().map(|hit| hit.ln_p).fold(0.0, f64::min);
        let (pair, tried) = pairs::best(&table, &all, ln_single);
        out.sets += tried;
        if let Some(pair) = pair {
            out.tried.push(contrast(&table, &all, &pair, 0, true));
        }
    }
    for quirk in 0..quirks.len().max(1) {
        let others = || quirks.iter().enumerate().filter(|(other, _)| *other != quirk);
        let own: Rows = all.iter().copied().filter(|at| !others().any(|(_, hit)| hit.mask[*at])).collect();
        let hits = if own.len() == all.len() { std::mem::take(&mut first) } else { singles(&table, &own).0 };
        for hit in hits {
            let (inside, outside) = table.divide(&own, &hit.mask);
            let separates = !quirks.is_empty() && is_sure(&hit, inside, total.lost) && is_clean(outside);
            let one = contrast(&table, &own, &hit, quirk, separates);
            match out.tried.iter_mut().find(|known| known.name == one.name) {
                Some(known) if !known.separates && one.separates => *known = one,
                Some(_) => {}
                None => out.tried.push(one),
            }
        }
    }
    sort(&mut out.tried);
    out
}

/// The best first: those that separate, by quirk; of those that divide alike, the one listed first.
fn sort(tried: &mut Vec<Contrast>) {
    let alike = |a: &Contrast, b: &Contrast| (a.quirk, a.inside, a.outside) == (b.quirk, b.inside, b.outside);
    let best = |c: &Contrast| tried.iter().filter(|other| alike(c, other)).map(|c| c.ln_chance).fold(0.0, f64::min);
    let keys: Vec<_> = tried.iter().map(|c| (!c.separates, c.quirk, best(c))).collect();
    let mut order: Vec<usize> = (0..tried.len()).collect();
    order.sort_by(|a, b| keys[*a].partial_cmp(&keys[*b]).unwrap_or(std::cmp::Ordering::Equal));
    let mut sorted: Vec<Option<Contrast>> = std::mem::take(tried).into_iter().map(Some).collect();
    tried.extend(order.into_iter().filter_map(|at| sorted[at].take()));
}

fn contrast(table: &Table<'_>, rows: &[usize], hit: &Hit, quirk: usize, separates: bool) -> Contrast {
    let (inside, outside) = table.divide(rows, &hit.mask);
    let own = |within: bool| {
        let mask = &hit.mask;
        rows.iter().filter(move |at| mask[**at] == within).map(|at| &table.rows[*at])
    };
    let answered = own(true).filter(|row| row.cell.answered > 0).filter_map(|row| row.first.1);
    let lost = own(false).filter(|row| row.cell.lost > 0).filter_map(|row| row.first.0);
    let mut against: Vec<_> = answered.take(MOST_AGAINST).collect();
    against.extend(lost.take(MOST_AGAINST));
    let worst = own(true).filter(|row| row.cell.lost > 0).max_by_key(|row| row.cell.lost);
    // It costs most, and is asked only of what separates.
    let factor = (hit.ln_chance - hit.ln_p).exp();
    let within = if separates { Within::of(table, rows, &hit.mask, factor) } else { Within::default() };
    Contrast {
        clients: own(true).filter(|row| row.cell.lost > 0).map(|row| row.at.client).collect(),
        worst_port: worst.map(|row| row.ports.0),
        within,
        name: hit.name,
        set: hit.set.clone(),
        filter: hit.filter.clone(),
        inside,
        outside,
        chance: hit.ln_chance.min(0.0).exp(),
        ln_chance: hit.ln_chance,
        separates,
        side: hit.side,
        quirk,
        against,
        is_who: hit.is_who,
    }
}
