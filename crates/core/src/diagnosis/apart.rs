//! Two faults of one server: those who never get an answer, and those who get one now and then.

use super::CLAIM;
use super::rank::rank;
use crate::causes::Cause;
use crate::exchange::Fate;
use crate::rules::Summaries;
use crate::rules::path::{Locus, Symptom};
use crate::signs::{Case, Examiner};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Lost requests without an answer from which on a client is one that never gets any.
const NEVER: u64 = 5;

/// Lost requests of the others from which on they are worth a look of their own.
const FEWEST: u64 = 3;

/// Counters of a server, of which each cause has its own.
const COUNTERS: [&str; 3] = ["bad-format-grew", "limited-grew", "restricted-grew"];

/// The cases of a symptom: one, or two where no single cause explains all that is lost at a server, and its clients
/// fall into those who never get an answer and those who do now and then.
pub(super) fn cases(examiner: &mut Examiner<'_>, causes: &[Cause], symptom: Symptom) -> Vec<Case> {
    let parts = parts(&symptom, examiner.rules);
    let Some(whole) = examiner.examine(symptom) else { return Vec::new() };
    let Some(parts) = parts else { return vec![whole] };
    let convinced = |case: &Case| rank(causes, &case.weighed).first().is_some_and(|(_, p)| *p >= CLAIM);
    // A counter that could be seen and explains only some of the losses is neither here nor there.
    let counters = || COUNTERS.iter().filter_map(|name| whole.weighed.sign(name));
    let partial = counters().count() > 0 && !counters().any(|s| s.holds) && counters().count() < COUNTERS.len();
    if convinced(&whole) && !partial {
        return vec![whole];
    }
    let split: Vec<Case> = parts.into_iter().filter_map(|part| examiner.examine(part)).collect();
    if split.iter().all(convinced) { split } else { vec![whole] }
}

fn parts(symptom: &Symptom, rules: &Summaries) -> Option<[Symptom; 2]> {
    if !matches!(symptom.locus, Locus::Server(_)) {
        return None;
    }
    let served: BTreeSet<IpAddr> = rules
        .path
        .iter()
        .filter(|(trace, _)| trace.server == symptom.server && matches!(trace.fate, Fate::Answered | Fate::Kiss(_)))
        .map(|(trace, _)| trace.client)
        .collect();
    let part = |of: bool| {
        let mut part = symptom.clone();
        part.lost.retain(|client, lost| (served.contains(client) == of) && (of || lost.n >= NEVER));
        part.reached.retain(|client, _| part.lost.contains_key(client));
        part
    };
    let parts = [part(false), part(true)];
    (parts[0].total().n >= NEVER && parts[1].total().n >= FEWEST).then_some(parts)
}
