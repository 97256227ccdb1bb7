//! Hosts with fewer sources than it takes to outvote one that lies (RFC 8633 §3.2: four).

use super::apart::{View, is_own_clock};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::model::Origin;
use crate::rules::{Evidence, Finding, Measure};
use crate::signs::Weighed;
use std::collections::{BTreeMap, BTreeSet};

/// Samples from which on what is heard of is no example in a document.
const FEWEST: usize = 6;

/// As many as outvote one, and still do when another is gone.
const ENOUGH: usize = 4;

/// Hosts that are named with their number of sources; the others are counted.
const MOST_NAMED: usize = 12;

/// Words of configurations that name one source; some of those that name several are enough.
const ONE: [&str; 2] = ["server", "peer"];
/// See [`ONE`].
const SEVERAL: [&str; 6] = ["pool", "manycastclient", "multicastclient", "broadcastclient", "refclock", "servers"];

impl Clocks<'_> {
    /// One case of all hosts that have one to three sources.
    pub(super) fn few_sources(&mut self, views: &[View]) -> Option<Case> {
        let mut heard: BTreeMap<&str, (BTreeSet<&str>, Vec<Origin>, usize)> = BTreeMap::new();
        for view in views {
            let (sources, origins, samples) = heard.entry(&view.host).or_default();
            sources.insert(&view.source);
            origins.extend(view.samples.first().map(|sample| sample.origin));
            *samples += view.samples.len();
        }
        let (mut few, mut seen) = (BTreeMap::new(), Vec::new());
        for (host, (sources, origins, samples)) in heard {
            let inputs = self.scene.inputs_of(host);
            let (mut configured, mut several) = (BTreeSet::new(), false);
            for directive in self.rules.daemon.directives(&inputs) {
                several |= SEVERAL.contains(&directive.keyword.as_str());
                let first = directive.rest.split_whitespace().next().filter(|word| !is_own_clock(word));
                configured.extend(first.filter(|_| ONE.contains(&directive.keyword.as_str())));
            }
            // A reference clock of its own is no source among others: it is what the host is there for.
            let clock = |source: &&str| source.starts_with("127.127.") || source.contains('(');
            let n = sources.len().max(configured.len());
            if several
                || samples < FEWEST
                || n == 0
                || n >= ENOUGH
                || sources.iter().any(clock)
                || configured.iter().any(clock)
            {
                continue;
            }
            seen.extend(origins);
            few.insert(host.to_owned(), n);
        }
        let first = few.keys().next()?.clone();
        let named: Vec<String> = few.iter().take(MOST_NAMED).map(|(host, n)| format!("{host} {n}")).collect();
        let more = few.len() - named.len();
        let id = self.findings.add(Finding {
            rule: "agreement",
            subject: first.clone(),
            statement: format!(
                "sources that hosts have: {}{}",
                named.join(", "),
                if more > 0 { format!(", and {more} more hosts fewer than four") } else { String::new() }
            ),
            measures: vec![("hosts", Measure::Number(few.len() as f64))],
            evidence: Evidence::of(seen)?,
            recipe: Some("grep -E '^(server|peer|pool)' ntp.conf, or ntpq -pn".into()),
        });
        let mut weighed = Weighed::new("configured", id);
        weighed.hold("fewer-than-four", true, id);
        let affected = few.into_keys().collect();
        Some(Case { weighed, place: Place::Client(first), affected, since: None, from_the_start: true, last: None })
    }
}
