//! Clocks that are wrong though answers come: what is measured of each host's clock and of its sources.
//!
//! Each part looks at the series of all hosts and makes a case of what is more than noise; causes then compete for it as
//! they do for lost requests.

mod agreement;
mod apart;
mod asymmetry;
mod config;
mod course;
mod cycle;
mod few;
mod followed;
mod frequency;
mod hearing;
mod majority;
mod multicast;
mod notes;
mod own;
mod residual;
mod restrict;
mod sources;
mod statistics;
mod step;
mod telling;
mod track;
mod turns;
mod twin;
mod upstream;
mod verdict;

pub use hearing::is_unasked;

use crate::diagnosis::Place;
use crate::rules::{Findings, Summaries};
use crate::scene::Scene;
use crate::signs::Weighed;
use crate::time::Time;
use std::collections::BTreeSet;

/// Something that is wrong with a clock, a source, or how they are configured.
#[derive(Clone, Debug)]
pub struct Case {
    /// What causes weigh.
    pub weighed: Weighed,
    /// Where it is.
    pub place: Place,
    /// The hosts that suffer.
    pub affected: BTreeSet<String>,
    /// First instance.
    pub since: Option<Time>,
    /// Whether that is as old as the evidence, so that it may be older.
    pub from_the_start: bool,
    /// Last instance.
    pub last: Option<Time>,
}

/// What all looking at clocks needs.
pub struct Clocks<'a> {
    /// The summaries of all rules.
    pub rules: &'a Summaries,
    /// Who is who.
    pub scene: &'a Scene,
    /// What is measured is added here.
    pub findings: &'a mut Findings,
}

impl Clocks<'_> {
    /// All cases of all clocks and sources.
    pub fn cases(&mut self) -> Vec<Case> {
        let mut cases = self.own();
        cases.extend(self.multicast());
        cases.extend(self.statistics());
        cases.extend(self.off_sources());
        cases
    }
}

#[cfg(test)]
mod own_tests;
