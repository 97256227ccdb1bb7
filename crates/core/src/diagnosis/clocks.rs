//! Clocks that are wrong: causes compete for each case, as they do for lost requests.

use super::claim::{capitalised, merge};
use super::rank::{Verdicts, rank, spoken_by, weigh};
use super::{CLAIM, Claim, Diagnosis, MENTION, Place};
use crate::causes::{Cause, Kind};
use crate::clock::{Case, Clocks};
use crate::rules::{Findings, Summaries};
use crate::scene::Scene;
use std::collections::BTreeSet;

/// Hosts that a title names; the others are counted there, and listed in the JSON report.
const MOST_NAMED: usize = 6;

/// Claims what is wrong with clocks and their sources.
pub(super) fn diagnose(
    rules: &Summaries,
    scene: &Scene,
    causes: &[Cause],
    findings: &mut Findings,
    out: &mut Diagnosis,
) {
    let tell = |host: &&&str| scene.inputs_of(host).iter().any(|input| rules.series.has(*input));
    out.clocks = scene.hosts().iter().filter(tell).count();
    let mut verdicts = Verdicts::default();
    for case in (Clocks { rules, scene, findings }).cases() {
        for (cause, probability) in rank(causes, &case.weighed) {
            verdicts.take(&case.weighed, true, cause, probability);
            if probability >= if cause.kind == Kind::Fault { MENTION } else { CLAIM } {
                merge(&mut out.diagnoses, claim(cause, probability, &case));
            }
        }
    }
    verdicts.finish(out, causes.iter().filter(|cause| cause.explains_clocks()));
    twins(rules, scene, causes, findings, out);
}

/// Holds each host whose own clock is wrong against one that is like it and fine.
fn twins(rules: &Summaries, scene: &Scene, causes: &[Cause], findings: &mut Findings, out: &mut Diagnosis) {
    let own = |claim: &Claim| {
        let cause = causes.iter().find(|cause| cause.id == claim.cause);
        let is_own = cause.is_some_and(|cause| cause.explains.iter().any(|locus| locus == "clock"));
        claim.kind == Kind::Fault && claim.probability >= CLAIM && is_own
    };
    let faulty: BTreeSet<String> =
        out.diagnoses.iter().filter(|claim| own(claim)).flat_map(|claim| claim.affected.clone()).collect();
    for claim in out.diagnoses.iter_mut().filter(|claim| own(claim)) {
        let Place::Client(host) = &claim.place else { continue };
        claim.explains.extend((Clocks { rules, scene, findings }).twin(host, &faulty));
    }
}

fn claim(cause: &Cause, probability: f64, case: &Case) -> Claim {
    let address = match &case.place {
        Place::Source(_, Some(address)) | Place::Server(_, address) => address.to_string(),
        _ => "ADDRESS".into(),
    };
    let mut hosts: Vec<&str> = case.affected.iter().map(String::as_str).take(MOST_NAMED).collect();
    let more = format!("{} more", case.affected.len() - hosts.len());
    hosts.extend((case.affected.len() > MOST_NAMED).then_some(more.as_str()));
    let fill = |text: &String| {
        let pairs = [("{place}", case.place.words()), ("{address}", address.clone()), ("{hosts}", hosts.join(", "))];
        pairs.iter().fold(text.clone(), |text, (key, value)| text.replace(key, value))
    };
    let mut explains = BTreeSet::from([case.weighed.found]);
    for weight in cause.signs.iter().filter(|weight| weigh(cause, weight, &case.weighed) > 0.0) {
        explains.extend(spoken_by(&case.weighed, &weight.name));
    }
    Claim {
        cause: cause.id.clone(),
        kind: cause.kind,
        server: None,
        probability,
        title: fill(&capitalised(&cause.title)),
        place: case.place.clone(),
        provoked_by: None,
        affected: case.affected.clone(),
        since: case.since,
        from_the_start: case.from_the_start,
        last: case.last,
        explains,
        versions: Vec::new(),
        remedy: cause.remedy.iter().map(fill).collect(),
        confirm: cause.confirm.iter().map(fill).collect(),
        sources: cause.sources.clone(),
    }
}
