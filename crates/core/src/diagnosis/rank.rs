//! How causes compete for a symptom, and what becomes of those that lose.

use super::{CLAIM, Diagnosis, Undecided};
use crate::causes::{self, Cause, DECISIVE};
use crate::rules::FindingId;
use crate::rules::path::Hop;
use crate::signs::{Case, Weighed};
use std::collections::{BTreeMap, BTreeSet};

/// What stays for what nobody has thought of, however much speaks for a cause.
const DOUBT: f64 = 0.01;

/// What is less probable is not told as undecided.
const LEAST: f64 = 0.01;

/// The causes that can explain a case, with their probabilities: they compete with each other and with the unknown.
pub(super) fn rank<'a>(causes: &'a [Cause], case: &Weighed) -> Vec<(&'a Cause, f64)> {
    let able: Vec<_> = causes.iter().filter(|c| c.explains.iter().any(|l| l == case.locus)).collect();
    let odds: Vec<f64> = able.iter().map(|cause| log_odds(cause, case)).collect();
    // The unknown cause has odds of one.
    let highest = odds.iter().copied().fold(0.0, f64::max);
    let sum: f64 = odds.iter().map(|o| (o - highest).exp()).sum::<f64>() + (-highest).exp();
    let mut ranked: Vec<_> =
        able.into_iter().zip(odds.iter().map(|o| (1.0 - DOUBT) * (o - highest).exp() / sum)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

fn log_odds(cause: &Cause, case: &Weighed) -> f64 {
    cause.prior + cause.signs.iter().map(|weight| weigh(cause, weight, case)).sum::<f64>()
}

pub(super) fn weigh(cause: &Cause, weight: &causes::Weight, case: &Weighed) -> f64 {
    let holds = match weight.name.as_str() {
        "version" => case.version.as_ref().map(|(v, _)| cause.versions.iter().any(|range| range.holds(v))),
        name => case.sign(name).map(|s| s.holds),
    };
    match holds {
        Some(true) => weight.holds,
        Some(false) => weight.fails,
        None => 0.0,
    }
}

/// The findings that say whether a sign holds.
pub(super) fn spoken_by(case: &Weighed, name: &str) -> Vec<FindingId> {
    match (name, &case.version) {
        ("version", Some((_, id))) => vec![*id],
        _ => case.sign(name).map_or(vec![case.found], |s| s.by.clone()),
    }
}

/// What becomes of each cause over all cases.
#[derive(Default)]
pub(super) struct Verdicts {
    best: BTreeMap<String, f64>,
    contradicted: BTreeMap<String, (usize, BTreeSet<FindingId>)>,
    cases: usize,
    seen: BTreeSet<FindingId>,
}

impl Verdicts {
    pub(super) fn take(&mut self, case: &Weighed, counts: bool, cause: &Cause, probability: f64) {
        self.count(case, counts);
        let best = self.best.entry(cause.id.clone()).or_default();
        *best = best.max(probability);
        let mut by: BTreeSet<FindingId> = BTreeSet::new();
        for weight in &cause.signs {
            if weigh(cause, weight, case) <= DECISIVE {
                by.extend(spoken_by(case, &weight.name));
            }
        }
        if !by.is_empty() {
            self.contradict(cause, by);
        }
    }

    /// The symptom lies where this cause never does: shown by where the requests were last seen.
    pub(super) fn elsewhere(&mut self, case: &Case, cause: &Cause, hops: &[(Hop, FindingId)]) {
        self.count(&case.weighed, case.symptom.locus.is_loss());
        if matches!(case.weighed.locus, "beyond" | "told") || !case.symptom.locus.is_loss() {
            return;
        }
        let mut by = BTreeSet::from([case.weighed.found]);
        if cause.explains.iter().any(|l| matches!(l.as_str(), "segment" | "device")) {
            by.extend(hops.iter().filter(|(hop, _)| hop.lost == 0).map(|(_, id)| *id));
        }
        self.contradict(cause, by);
    }

    fn contradict(&mut self, cause: &Cause, by: BTreeSet<FindingId>) {
        let entry = self.contradicted.entry(cause.id.clone()).or_default();
        entry.0 += 1;
        entry.1.extend(by);
    }

    /// A case counts where a cause that does not explain it can be ruled out by it.
    fn count(&mut self, case: &Weighed, counts: bool) {
        if counts && self.seen.insert(case.found) {
            self.cases += 1;
        }
    }

    /// Ruled out is what no case leaves possible; undecided what is neither that nor claimed.
    pub(super) fn finish<'a>(self, out: &mut Diagnosis, causes: impl Iterator<Item = &'a Cause>) {
        let claimed = |id: &str| out.diagnoses.iter().any(|d| d.cause == id && d.probability >= CLAIM);
        let (mut ruled_out, mut undecided) = (Vec::new(), Vec::new());
        for cause in causes.filter(|c| !c.explains.is_empty() && !claimed(&c.id)) {
            match self.contradicted.get(&cause.id) {
                Some((times, by)) if self.cases > 0 && *times == self.cases => {
                    ruled_out.push((cause.id.clone(), by.iter().copied().collect()));
                }
                _ => {
                    let probability = self.best.get(&cause.id).copied().unwrap_or_default();
                    if probability >= LEAST {
                        let (cause, needs) = (cause.id.clone(), cause.needs.clone());
                        undecided.push(Undecided { cause, probability, needs });
                    }
                }
            }
        }
        undecided.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        out.ruled_out.extend(ruled_out);
        out.undecided.extend(undecided);
    }
}
