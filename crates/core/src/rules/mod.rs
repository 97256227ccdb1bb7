//! Rules: what is measured. Each folds rows into a summary, merges summaries, and judges one into findings.

pub mod account;
pub mod contrast;
pub mod copies;
pub mod daemon;
pub mod exchange;
pub mod happenings;
pub mod identity;
pub mod loss;
pub mod nat;
pub mod pace;
pub mod path;
pub mod polling;
pub mod raw;
mod sampled;
pub mod senders;
pub mod series;
pub mod upstream;

pub use sampled::{MOST_ROWS, Sampled};

use crate::exchange::{Exchange, Heard};
use crate::model::{Origin, Row};
use crate::stats::Share;
use std::collections::BTreeMap;

/// What a rule can fold: a row as read, an exchange that was joined from packets, or a packet that is in none.
#[derive(Clone, Copy, Debug)]
pub enum Material<'a> {
    /// One request with all that belongs to it.
    Exchange(&'a Exchange),
    /// A broadcast of a capture.
    Heard(&'a Heard),
    /// A row of text evidence.
    Row(&'a Row<'a>),
}

/// The part of a rule that can run anywhere, over any partition of the rows:
/// `fold(a ++ b) == merge(fold(a), fold(b))`, in bounded memory.
pub trait Summary: Default {
    /// Takes one row into account.
    fn fold(&mut self, material: Material<'_>);
    /// Takes all into account that `later` has; its rows stand after this one's.
    fn merge(&mut self, later: Self);
}

/// Drops the last keys of a table until no more than `most` are left.
///
/// The lowest keys of all that came are kept, so folding and merging keep the same.
fn keep_first<K: Ord, V>(table: &mut BTreeMap<K, V>, most: usize) {
    while table.len() > most {
        table.pop_last();
    }
}

/// The summaries of all rules.
#[derive(Clone, Debug, Default)]
pub struct Summaries {
    /// What became of the requests.
    pub exchange: exchange::Fates,
    /// Where they were seen.
    pub path: path::Traces,
    /// Which of their attributes goes with what became of them.
    pub contrast: contrast::Tables,
    /// How they were rewritten.
    pub nat: nat::Mappings,
    /// How many each source left unanswered, by every witness.
    pub loss: loss::Losses,
    /// What clients' own records say of their polls.
    pub account: account::Accounts,
    /// What the daemons say of themselves.
    pub daemon: daemon::Daemons,
    /// When each client asked.
    pub polling: polling::Polls,
    /// What came twice.
    pub copies: copies::Copies,
    /// How fast servers answer.
    pub pace: pace::Paces,
    /// What hosts are called.
    pub identity: identity::Names,
    /// Who broadcasts.
    pub senders: senders::Senders,
    /// How clocks and sources went, sample by sample.
    pub series: series::Series,
    /// What logs say happened.
    pub happenings: happenings::Happenings,
    /// What single exchanges tell of sources.
    pub raw: raw::Raw,
    /// Whom sources follow.
    pub upstream: upstream::Upstreams,
}

impl Summary for Summaries {
    fn fold(&mut self, material: Material<'_>) {
        self.exchange.fold(material);
        self.path.fold(material);
        self.contrast.fold(material);
        self.nat.fold(material);
        self.loss.fold(material);
        self.account.fold(material);
        self.daemon.fold(material);
        self.polling.fold(material);
        self.copies.fold(material);
        self.pace.fold(material);
        self.identity.fold(material);
        self.senders.fold(material);
        self.series.fold(material);
        self.happenings.fold(material);
        self.upstream.fold(material);
        self.raw.fold(material);
    }

    fn merge(&mut self, later: Self) {
        self.exchange.merge(later.exchange);
        self.path.merge(later.path);
        self.contrast.merge(later.contrast);
        self.nat.merge(later.nat);
        self.loss.merge(later.loss);
        self.account.merge(later.account);
        self.daemon.merge(later.daemon);
        self.polling.merge(later.polling);
        self.copies.merge(later.copies);
        self.pace.merge(later.pace);
        self.identity.merge(later.identity);
        self.senders.merge(later.senders);
        self.series.merge(later.series);
        self.happenings.merge(later.happenings);
        self.upstream.merge(later.upstream);
        self.raw.merge(later.raw);
    }
}

/// Where a finding can be seen: never empty, by type.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    first: Origin,
    more: Vec<Origin>,
}

/// Origins that a finding names at the most; they are examples, the recipe gives them all.
const MOST_ORIGINS: usize = 8;

impl Evidence {
    /// One place where it can be seen.
    #[must_use]
    pub fn at(first: Origin) -> Evidence {
        Evidence { first, more: Vec::new() }
    }

    /// Several places; `None` where there is none.
    pub fn of(origins: impl IntoIterator<Item = Origin>) -> Option<Evidence> {
        let mut origins = origins.into_iter();
        let first = origins.next()?;
        let mut more: Vec<Origin> = Vec::new();
        for origin in origins {
            if origin != first && !more.contains(&origin) && more.len() < MOST_ORIGINS - 1 {
                more.push(origin);
            }
        }
        Some(Evidence { first, more })
    }

    /// All places, the first first.
    pub fn iter(&self) -> impl Iterator<Item = Origin> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }
}

/// A measured number, by name.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// A count or a quantity with its unit in the name.
    Number(f64),
    /// A share with its interval.
    Share(Share),
    /// An interval.
    Interval(f64, f64),
    /// A word.
    Word(String),
}

/// Something measured, with where it can be seen. It does not guess why.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule that measured it.
    pub rule: &'static str,
    /// What it is about: a server, a host, a point, a pair of points.
    pub subject: String,
    /// One sentence with the numbers in it.
    pub statement: String,
    /// The numbers, by name.
    pub measures: Vec<(&'static str, Measure)>,
    /// Where it can be seen.
    pub evidence: Evidence,
    /// How someone else gets the same numbers.
    pub recipe: Option<String>,
}

/// A finding's number in the report: `f3` is 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub usize);

impl std::fmt::Display for FindingId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "f{}", self.0)
    }
}

/// The findings of a report, numbered from 1 as they come.
#[derive(Clone, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds one, and says its number.
    pub fn add(&mut self, finding: Finding) -> FindingId {
        self.0.push(finding);
        FindingId(self.0.len())
    }

    /// By number.
    #[must_use]
    pub fn get(&self, id: FindingId) -> Option<&Finding> {
        self.0.get(id.0.checked_sub(1)?)
    }

    /// All, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (FindingId, &Finding)> {
        self.0.iter().enumerate().map(|(i, finding)| (FindingId(i + 1), finding))
    }
}
