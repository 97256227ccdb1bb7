//! Rule `contrast`: which attribute of a request goes with its being lost.
//!
//! The requests to one server, as seen at one point, are a table: a row for each combination of [`row::Attributes`]. Sets of
//! rows are tried ([`usual`], [`search`], [`pairs`]), each by an exact test whose chance is multiplied by all that was tried.
//! [`judge`] takes the best, sets aside what it explains, and tries the rest; [`who`] asks whether the client explains it too.

mod attribute;
mod found;
mod judge;
mod pairs;
pub mod row;
mod search;
mod table;
#[cfg(test)]
mod tests;
mod usual;
mod who;

pub use found::{Contrast, Contrasts, Side};
pub use row::{Cell, HIGH};
pub use usual::usual_ports;
pub use who::{Within, probe};

use super::{Material, Sampled, Summary};
use crate::exchange::{Fate, PointId, Points};
use row::{Attributes, Seen, Tally};
use std::net::IpAddr;

/// Rows that are kept: more than of other tables, since a client has a row for each of its ports and paces.
const MOST_ROWS: usize = 1 << 15;

/// Requests by server, point, attributes and, of those without an answer, the points that saw them: a contingency table.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    rows: Sampled<(IpAddr, PointId, Attributes, Points), Tally, MOST_ROWS>,
}

impl Summary for Tables {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        if !matches!(exchange.fate, Fate::Silent | Fate::Answered) {
            return;
        }
        let near = exchange.near();
        let silent = exchange.fate == Fate::Silent;
        let seen_at: Points = exchange.requests.iter().filter(|_| silent).map(|seen| seen.point).collect();
        for seen in &exchange.requests {
            let key = (near.destination.0, seen.point, Attributes::of(exchange, near, seen), seen_at);
            if let Some(row) = self.rows.entry(key)
                && let Some(tally) = Tally::of(exchange, seen)
            {
                row.add(tally);
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.rows.merge(later.rows, |a, b| a.add(b));
    }
}

/// When a contrast is worth telling.
pub struct Limits {
    /// Share of requests within the set that must be lost, and outside it answered: a rule drops all it names.
    pub clean: f64,
    /// Highest probability of chance, after correction for the number of sets tried (Bonferroni).
    pub chance: f64,
}

/// A rule in a device or a daemon has no mood: 90 % allows for other loss beside it; 1 % is the field's habit.
pub const LIMITS: Limits = Limits { clean: 0.9, chance: 0.01 };

/// Which requests count as lost at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Those that got no answer, wherever they were lost.
    Anywhere,
    /// Those that got no answer and were not seen at this point, which comes next.
    Before(PointId),
    /// Those whose answer was seen elsewhere and not here.
    Returning,
}

impl Tables {
    /// Tries every set of attributes on the requests to `server` that were seen at `point`.
    #[must_use]
    pub fn contrasts(&self, server: IpAddr, point: PointId, lost: Lost) -> Contrasts {
        let mut own: Vec<_> = self.rows.iter().filter(|((s, p, ..), _)| (*s, *p) == (server, point)).collect();
        own.sort_by_key(|(key, _)| *key);
        let mut rows: Vec<table::Row> = Vec::new();
        for ((.., at, seen_at), tally) in own {
            let (mut bad, mut good) = (Seen::default(), tally.answered);
            match lost {
                Lost::Returning => bad.add(tally.unreturned),
                Lost::Before(next) if seen_at.contains(next) => {
                    good.add(tally.silent);
                    good.add(tally.unreturned);
                }
                Lost::Anywhere | Lost::Before(_) => {
                    bad.add(tally.silent);
                    good.add(tally.unreturned);
                }
            }
            let cell = Cell { lost: bad.n.into(), answered: good.n.into() };
            let row = table::Row::new(*at, cell, (bad.first, good.first), tally.ports);
            match rows.last_mut().filter(|last| last.at == *at) {
                Some(last) => last.add(&row),
                None => rows.push(row),
            }
        }
        rows.retain(|row| row.cell.all() > 0);
        judge::judge(rows)
    }
}
