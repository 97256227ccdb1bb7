//! What is said of a cause that is claimed: its place, whom it harms, what mends it.

use super::rank::{spoken_by, weigh};
use super::rewrite::Rewrite;
use super::{Claim, Diagnosis, Place, SUFFERS, harmed};
use crate::causes::{self, Cause, Kind};
use crate::exchange::Fate;
use crate::rules::contrast::HIGH;
use crate::rules::loss::Polls;
use crate::rules::path::{Locus, Symptom};
use crate::rules::{Evidence, Finding, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::signs::contrast::sign_of;
use crate::signs::{Case, ends};
use crate::stats::polls_until_run;
use crate::wire::IcmpError;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The names of those whom a case harms, as far as `cause` explains it: where a set of requests speaks for the cause,
/// those whose requests are in the set.
pub(super) fn sufferers(cause: Option<&Cause>, case: &Case, rules: &Summaries, scene: &Scene) -> BTreeSet<String> {
    let speaks = |name: &str| {
        let counts = |w: &&causes::Weight| w.holds > 0.0 && case.weighed.sign(&w.name).is_some_and(|s| s.holds);
        cause.is_some_and(|c| c.signs.iter().filter(counts).any(|w| w.name == name))
    };
    let set = case.contrasts.separating().find(|c| speaks(c.name) || sign_of(c.name).is_some_and(speaks));
    let named = |client: &IpAddr| set.is_none_or(|set| set.clients.contains(client));
    // Whoever suffered suffered while it lasted.
    let total = case.symptom.total();
    let lasted = total
        .first
        .zip(total.last)
        .map_or(0, |((from, _), (until, _))| rules.pace.asked_within(case.symptom.server, from, until));
    let mut symptom = case.symptom.clone();
    let part = lasted as f64 / symptom.came().max(1) as f64;
    for (client, came) in symptom.reached.iter_mut().filter(|_| lasted > 0 && part < 1.0) {
        let lost = symptom.lost.get(client).map_or(0, |lost| lost.n);
        *came = ((*came as f64 * part) as u64).max(lost);
    }
    let clients = harmed(&symptom, SUFFERS).filter(named).flat_map(|client| behind(client, case, rules));
    clients.map(|client| scene.name(client)).collect()
}

/// The clients behind an address: where it is a NAT's, those whose mappings lost requests, as its table lists them.
fn behind(client: IpAddr, case: &Case, rules: &Summaries) -> BTreeSet<IpAddr> {
    let ports = &case.contrasts.ports;
    // Without ports to go by, all behind the address are meant.
    let lost = |port: u16| ports.is_empty() || ports.get(&port.min(HIGH)).is_some_and(|cell| cell.lost > 0);
    let flows = rules.nat.flows().iter().map(|(flow, _)| flow).filter(|f| f.destination.0 == case.symptom.server);
    let own = flows.filter(|f| f.reply_destination.0 == client && f.source.0 != client && lost(f.reply_destination.1));
    let inside: BTreeSet<IpAddr> = own.map(|flow| flow.source.0).collect();
    if inside.is_empty() { BTreeSet::from([client]) } else { inside }
}

pub(super) fn claim(
    cause: &Cause,
    probability: f64,
    case: &Case,
    rules: &Summaries,
    scene: &Scene,
    rewrites: &[Rewrite],
) -> Claim {
    let symptom = &case.symptom;
    let place = place(case, scene);
    let rewriter =
        rewrites.iter().find(|r| r.mapping.server == symptom.server && symptom.lost.contains_key(&r.mapping.inside.0));
    let device = match (&place, rewriter) {
        (Place::Device(name, _), _) => name.clone(),
        (_, Some(rewrite)) => rewrite.device.clone(),
        _ => "the NAT".into(),
    };
    let (from, to) = match &place {
        Place::Segment(from, to, _) | Place::Device(_, Some((from, to))) => (from.clone(), to.clone()),
        _ => Default::default(),
    };
    let server = scene.name(symptom.server);
    let client = symptom.lost.keys().next().map_or_else(|| "CLIENT".into(), IpAddr::to_string);
    let port = case.bad_port.unwrap_or(1).to_string();
    let fill = |text: &String| {
        let pairs = [
            ("{server}", server.as_str()),
            ("{address}", &symptom.server.to_string()),
            ("{device}", &device),
            ("{from}", &from),
            ("{to}", &to),
            ("{place}", &place.words()),
            ("{port}", &port),
            ("{client}", &client),
        ];
        pairs.iter().fold(text.clone(), |text, (key, value)| text.replace(key, value))
    };
    let mut explains = BTreeSet::from([case.weighed.found]);
    for weight in cause.signs.iter().filter(|weight| weigh(cause, weight, &case.weighed) > 0.0) {
        explains.extend(spoken_by(&case.weighed, &weight.name));
    }
    let provoked_by = rewriter.filter(|_| cause.provoked_by_nat).map(|rewrite| {
        explains.insert(rewrite.found);
        rewrite.device.clone()
    });
    let total = symptom.total();
    Claim {
        cause: cause.id.clone(),
        kind: cause.kind,
        server: Some(symptom.server),
        probability,
        title: fill(&capitalised(&cause.title)),
        place: place.clone(),
        provoked_by,
        // A packet too many harms nobody by itself.
        affected: match symptom.locus {
            Locus::Doubled(..) => BTreeSet::new(),
            _ => sufferers(Some(cause), case, rules, scene),
        },
        since: total.first.map(|(time, _)| time),
        from_the_start: !answered_before(symptom, rules),
        last: total.last.map(|(time, _)| time),
        explains,
        versions: cause.versions.iter().map(|range| versions(range, case, &server)).collect(),
        // What speaks of the ends of a segment is of no use without one.
        remedy: cause.remedy.iter().filter(|line| !from.is_empty() || !line.contains("{from}")).map(fill).collect(),
        confirm: cause.confirm.iter().filter(|line| !from.is_empty() || !line.contains("{from}")).map(fill).collect(),
        sources: cause.sources.clone(),
    }
}

/// A title as the beginning of a sentence; a name that it begins with stays as it is.
pub(super) fn capitalised(title: &str) -> String {
    let mut chars = title.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Whether any of those who lost requests here had a good answer before: then the fault is not older than it shows.
fn answered_before(symptom: &Symptom, rules: &Summaries) -> bool {
    let since = symptom.total().first.map(|(time, _)| time);
    let own = rules.loss.captured().filter(|((s, c), _)| *s == symptom.server && symptom.lost.contains_key(c));
    own.filter_map(|(_, polls)| polls.answered).any(|(first, _)| Some(first) < since)
}

/// What the server's version says to a range of versions that have the fault.
fn versions(range: &causes::Range, case: &Case, server: &str) -> String {
    let known = match &case.weighed.version {
        Some((version, _)) if range.holds(version) => {
            format!("{server} runs {version}, which is in the affected range")
        }
        Some((version, _)) if version.is_within(&range.product, &range.from, &range.to) => {
            format!("{server} runs {version}, a vendor's release that carries the fix; affected are")
        }
        Some((version, _)) => format!("{server} runs {version}, which is not in the affected range"),
        None => format!("the version of {server} is not known; affected are"),
    };
    let note = if range.note.is_empty() { String::new() } else { format!("; {}", range.note) };
    format!("{known} {} {} to {}{note}", range.product, range.from, range.to)
}

fn place(case: &Case, scene: &Scene) -> Place {
    let names = |(a, b)| (scene.point_name(a), scene.point_name(b));
    match case.symptom.locus {
        Locus::Segment(a, b, direction) => Place::Segment(scene.point_name(a), scene.point_name(b), Some(direction)),
        Locus::Late(Some((a, b))) if !scene.same_host(a, b) => {
            Place::Segment(scene.point_name(a), scene.point_name(b), None)
        }
        Locus::Device(a, b, _) | Locus::Late(Some((a, b))) => {
            let host = scene.host_of_point(a).map_or_else(|| scene.point_name(a), str::to_owned);
            Place::Device(host, ends(case.symptom.locus).map(names).or(Some(names((a, b)))))
        }
        Locus::Doubled(a, b, direction) if !scene.same_host(a, b) => {
            Place::Segment(scene.point_name(a), scene.point_name(b), direction)
        }
        Locus::Doubled(a, b, _) => {
            let host = scene.host_of_point(a).map_or_else(|| scene.point_name(a), str::to_owned);
            Place::Device(host, Some(names((a, b))))
        }
        Locus::Unasked(_) => {
            let client = case.symptom.lost.keys().next().copied();
            Place::Client(client.map_or_else(String::new, |client| scene.name(client)))
        }
        Locus::Answered(Fate::Error(IcmpError::Prohibited, from)) => Place::Device(scene.name(from), None),
        // Where no capture shows the place, a rule that would do it does.
        Locus::Told | Locus::Beyond(..) if case.filter.as_ref().is_some_and(|host| scene.is_router(host)) => {
            Place::Device(case.filter.clone().unwrap_or_default(), None)
        }
        _ => Place::Server(scene.name(case.symptom.server), case.symptom.server),
    }
}

/// One diagnosis per cause and place.
pub(super) fn merge(diagnoses: &mut Vec<Claim>, claim: Claim) {
    match diagnoses.iter_mut().find(|d| d.cause == claim.cause && d.place == claim.place) {
        Some(known) => {
            known.probability = known.probability.max(claim.probability);
            known.affected.extend(claim.affected);
            known.explains.extend(claim.explains);
            known.since = [known.since, claim.since].into_iter().flatten().min();
            known.last = known.last.max(claim.last);
        }
        None => diagnoses.push(claim),
    }
}

/// Clients whose losses are told one by one; the fault's own numbers speak for the rest.
const MOST_LOSSES: usize = 6;

/// What each client that suffers has lost, by every witness.
pub(super) fn losses(rules: &Summaries, scene: &Scene, findings: &mut Findings, out: &mut Diagnosis) {
    let mut captured: Vec<_> = rules.loss.captured().filter(|(_, polls)| polls.lost.n > 0).collect();
    captured.sort_by_key(|(_, polls)| std::cmp::Reverse(polls.lost.n));
    let mut told = BTreeMap::new();
    for fault in out.diagnoses.iter_mut().filter(|d| d.kind == Kind::Fault) {
        let harmed = |client: IpAddr| fault.affected.contains(&scene.name(client));
        let own = captured.iter().filter(|((server, client), _)| Some(*server) == fault.server && harmed(*client));
        let ways: Vec<_> = own.take(MOST_LOSSES).collect();
        for (way, polls) in ways {
            let Some(finding) = loss(*way, polls, rules, scene) else { continue };
            fault.explains.insert(*told.entry(*way).or_insert_with(|| findings.add(finding)));
        }
    }
}

/// An alarm after so many seconds without an answer: what telecom clouds watch their upstream servers with.
const ALARM_S: f64 = 1800.0;

/// When that alarm would go off: in how many seconds on average, if losses come one by one as often as they were measured.
fn alarm_s(polls: &Polls) -> Option<f64> {
    let poll_s = polls.interval_s()?;
    let run = (ALARM_S / poll_s).ceil().max(1.0) as u32;
    let polls = polls_until_run(polls.share().value(), run);
    (poll_s > 0.0).then(|| (polls * poll_s).max(ALARM_S))
}

fn alarm_words(alarm_s: f64) -> String {
    let (day, hour) = (86_400.0, 3600.0);
    let after = match alarm_s {
        s if s < 1.1 * ALARM_S => "at once".to_owned(),
        s if s > 3650.0 * day => "in ten years or never".to_owned(),
        s if s > 2.0 * day => format!("every {:.0} days", s / day),
        s => format!("every {:.1} h", s / hour),
    };
    format!("; an alarm on {ALARM_S:.0} s without an answer would go off {after}, if losses come one by one")
}

fn loss((server, client): (IpAddr, IpAddr), polls: &Polls, rules: &Summaries, scene: &Scene) -> Option<Finding> {
    let (_, origin) = polls.lost.first?;
    let inputs = scene.inputs_of(&scene.name(client));
    let reach = rules.loss.reach(&inputs, &server.to_string()).last();
    let also = reach.map_or(String::new(), |(reach, _)| format!("; its own billboard shows reach {reach:03o}"));
    let alarm_s = alarm_s(polls);
    let alarm = alarm_s.map_or(String::new(), alarm_words);
    Some(Finding {
        rule: "loss",
        subject: format!("{} to {}", scene.name(client), scene.name(server)),
        statement: format!(
            "{} got no good answer to {} requests to {}; the longest silence was {:.0} s{also}{alarm}",
            scene.full_name(client),
            polls.share().words(),
            scene.full_name(server),
            polls.longest_silence_s()
        ),
        measures: [
            Some(("share", Measure::Share(polls.share()))),
            Some(("longest_silence_s", Measure::Number(polls.longest_silence_s()))),
            alarm_s.filter(|s| s.is_finite()).map(|s| ("alarm_1800_s", Measure::Number(s))),
        ]
        .into_iter()
        .flatten()
        .collect(),
        evidence: Evidence::of(std::iter::once(origin).chain(reach.map(|(_, o)| o)))?,
        recipe: Some(format!("ntpscope exchanges --host {client} CAPTURE")),
    })
}
