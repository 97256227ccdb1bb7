//! Sources that are the only one of several hosts: what all of these see at one instant is the source's.

use super::apart::View;
use super::course::noise;
use super::verdict::{name, recipe, seconds};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::rules::series::Sample;
use crate::rules::{Evidence, Finding, Measure};
use crate::signs::Weighed;
use crate::stats::median;

/// An excursion is so many seconds at the least, and so many times the noise.
const LEAST_S: f64 = 0.01;
/// See [`LEAST_S`].
const NOISE: f64 = 20.0;

/// Samples at the beginning in which a daemon still looks for its frequency.
const BEGINNING: usize = 6;

/// Seconds between two hosts' first sight of one step: each polls in its own time, 1024 s apart, and ntpd may pass over
/// seven of eight answers.
const TOGETHER_S: f64 = 2600.0;

/// How alike two hosts' excursions are in size; a clock has begun to follow before it looks again.
const ALIKE: f64 = 0.4;

/// A clock has followed when it is nearer to its source than this share of the excursion.
const FOLLOWED: f64 = 0.2;

/// An offset that had been small is large at once.
struct Excursion {
    before: Sample,
    first: Sample,
    by_s: f64,
}

/// The largest excursion of a view.
fn excursion(view: &View) -> Option<Excursion> {
    let offsets_s: Vec<f64> = view.samples.iter().map(|sample| sample.offset_s).collect();
    let least_s = LEAST_S.max(NOISE * noise(&offsets_s));
    let mut largest: Option<Excursion> = None;
    for at in BEGINNING..offsets_s.len() {
        let quiet = offsets_s[at - 3..at].iter().all(|s| s.abs() < least_s / 2.0);
        if !quiet || offsets_s[at].abs() < least_s {
            continue;
        }
        let by_s = offsets_s[at..].iter().take(3).copied().max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
        if largest.as_ref().is_none_or(|known| by_s.abs() > known.by_s.abs()) {
            largest = Some(Excursion { before: view.samples[at - 1], first: view.samples[at], by_s });
        }
    }
    largest
}

impl Clocks<'_> {
    /// The case of a source that several hosts have alone, where all see it jump at one instant.
    pub(super) fn followed(&mut self, views: &[&View]) -> Option<Case> {
        let alone = views.iter().filter(|view| view.sources == 1 && view.samples.len() > 2 * BEGINNING);
        let seen: Vec<(&View, Option<Excursion>)> = alone.map(|view| (*view, excursion(view))).collect();
        let jumped: Vec<(&View, &Excursion)> = seen.iter().filter_map(|(v, e)| Some((*v, e.as_ref()?))).collect();
        let (_, first) = jumped.iter().min_by_key(|(_, excursion)| excursion.first.time)?;
        let together: Vec<&(&View, &Excursion)> = jumped
            .iter()
            .filter(|(_, e)| {
                e.first.time.since_s(first.first.time) <= TOGETHER_S
                    && (e.by_s - first.by_s).abs() <= ALIKE * first.by_s.abs()
            })
            .collect();
        // What one host sees alone may be its own clock's doing.
        if together.len() < 2 || together.len() < seen.len() {
            return None;
        }
        let mut found = Vec::new();
        for (view, excursion) in &together {
            found.push(self.findings.add(Finding {
                rule: "agreement",
                subject: format!("{} at {}", view.source, view.host),
                statement: format!(
                    "{} is the only source of {}, and is {} away at once at {}, as {} hosts that have no other see at one time",
                    name(view),
                    view.host,
                    seconds(excursion.by_s),
                    excursion.first.time,
                    together.len()
                ),
                measures: vec![("jump_s", Measure::Number(excursion.by_s))],
                evidence: Evidence::of([excursion.before.origin, excursion.first.origin])?,
                recipe: Some(recipe(view)),
            }));
        }
        let followers = together.iter().filter(|(view, excursion)| {
            let last_s = median(view.samples.iter().rev().take(8).map(|sample| sample.offset_s.abs()));
            last_s.is_some_and(|s| s < FOLLOWED * excursion.by_s.abs())
        });
        let affected: std::collections::BTreeSet<String> = followers.map(|(view, _)| view.host.clone()).collect();
        let mut weighed = Weighed::new("source", *found.first()?);
        for id in found {
            weighed.hold("jumped-alone", true, id);
            weighed.hold("seen-by-all", true, id);
            weighed.hold("followed", affected.len() * 2 > together.len(), id);
            let second = (0.95..=1.05).contains(&first.by_s.abs());
            weighed.hold("one-second", second, id);
        }
        let (view, _) = together.first()?;
        Some(Case {
            weighed,
            place: Place::Source(view.source.clone(), view.address),
            affected,
            since: together.iter().map(|(_, excursion)| excursion.first.time).min(),
            from_the_start: false,
            last: together.iter().filter_map(|(view, _)| view.samples.last()).map(|sample| sample.time).max(),
        })
    }
}
