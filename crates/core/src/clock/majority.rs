//! Hosts whose sources disagree so that no majority is left: nobody can say which of them is right.

use super::apart::{Point, View};

use super::verdict::{recipe, seconds};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::rules::{Evidence, Finding, Measure};
use crate::signs::Weighed;
use crate::stats::median;
use std::collections::{BTreeMap, BTreeSet};

/// Samples in a row without a majority that are no chance.
const IN_A_ROW: usize = 6;

/// And so long, in seconds.
const SHORTEST_S: f64 = 1800.0;

/// Signs of a source that is known to be the wrong one.
const KNOWN: [&str; 3] = ["offset-apart", "drifts-apart", "jumped-alone"];

impl Clocks<'_> {
    /// One case for each set of sources that disagree, with all hosts that ask them.
    pub(super) fn undecided_majorities(
        &mut self,
        views: &[View],
        known: &[Case],
        explained: &BTreeSet<String>,
    ) -> Vec<Case> {
        let is_known = |source: &str| {
            known.iter().any(|case| {
                let wrong = KNOWN.iter().any(|name| case.weighed.sign(name).is_some_and(|sign| sign.holds));
                wrong && matches!(&case.place, Place::Source(name, _) if name == source)
            })
        };
        let mut by_host: BTreeMap<&str, Vec<&View>> = BTreeMap::new();
        views.iter().for_each(|view| by_host.entry(&view.host).or_default().push(view));
        let mut cases: BTreeMap<BTreeSet<&str>, Case> = BTreeMap::new();
        for (host, views) in by_host {
            let sources: BTreeSet<&str> = views.iter().map(|view| view.source.as_str()).collect();
            if explained.contains(host) || sources.iter().any(|source| is_known(source)) {
                continue;
            }
            // Each source sees the same disagreement; the one that was asked most tells it.
            let longest = views.iter().filter_map(|view| Some((*view, without(view)?)));
            let Some((view, run)) = longest.max_by_key(|(_, run)| run.len()) else { continue };
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let apart_s = median(run.iter().map(|point| 2.0 * point.apart_s.abs())).unwrap_or(0.0);
            let names: Vec<&str> = sources.iter().copied().collect();
            let Some(evidence) = Evidence::of([first.sample.origin, last.sample.origin]) else { continue };
            let id = self.findings.add(Finding {
                rule: "agreement",
                subject: host.to_owned(),
                statement: format!(
                    "the {} sources of {host} ({}) are further apart than their distances allow, about {}, so that no \
                     majority agrees, in {} samples in a row of {} from {} to {}",
                    names.len(),
                    names.join(", "),
                    seconds(apart_s).trim_start_matches('+'),
                    run.len(),
                    view.source,
                    first.sample.time,
                    last.sample.time
                ),
                measures: vec![
                    ("apart_s", Measure::Number(apart_s)),
                    ("samples", Measure::Number(run.len() as f64)),
                    ("sources", Measure::Number(names.len() as f64)),
                ],
                evidence,
                recipe: Some(recipe(view)),
            });
            let begin = view.points.first().map(|point| point.sample.time);
            let case = cases.entry(sources).or_insert_with(|| Case {
                weighed: Weighed::new("sources", id),
                place: Place::Source(view.source.clone(), view.address),
                affected: BTreeSet::new(),
                since: None,
                from_the_start: begin == Some(first.sample.time),
                last: None,
            });
            case.weighed.hold("no-majority", true, id);
            case.affected.insert(host.to_owned());
            case.since = Some(case.since.map_or(first.sample.time, |since| since.min(first.sample.time)));
            case.last = case.last.max(Some(last.sample.time));
        }
        cases.into_values().collect()
    }
}

/// The longest run of points at which no majority agreed.
fn without(view: &View) -> Option<&[Point]> {
    let runs = view.points.chunk_by(|a, b| a.majority == b.majority).filter(|run| !run.iter().any(|p| p.majority));
    let run = runs.max_by_key(|run| run.len())?;
    let lasts_s = run.last()?.sample.time.since_s(run.first()?.sample.time);
    (run.len() >= IN_A_ROW && lasts_s >= SHORTEST_S).then_some(run)
}
