//! Rewriting devices: what they did, and the risk of what they may do.

use super::{CLAIM, Claim, Diagnosis, Place};
use crate::causes::Cause;
use crate::rules::nat::{Mapping, Outcome, PortRange};
use crate::rules::{Evidence, Finding, FindingId, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::signs::Case;
use crate::stats::percent;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Requests that a device rewrites, as told in a finding.
pub(super) struct Rewrite {
    pub(super) mapping: Mapping,
    pub(super) device: String,
    pub(super) found: FindingId,
}

/// Rewrites that are told one by one, those that lost most first.
const MOST_REWRITES: usize = 12;

pub(super) struct Rewrites<'a> {
    pub(super) rules: &'a Summaries,
    pub(super) scene: &'a Scene,
    pub(super) findings: &'a mut Findings,
}

impl Rewrites<'_> {
    /// Tells each rewrite of a client that suffers, and which device makes it.
    pub(super) fn tell(&mut self, cases: &[Case]) -> Vec<Rewrite> {
        let concerned = |m: &Mapping| {
            cases.iter().any(|c| c.symptom.server == m.server && c.symptom.lost.contains_key(&m.inside.0))
        };
        let mut seen: Vec<(Mapping, Outcome)> = self.rules.nat.seen().filter(|(m, _)| concerned(m)).collect();
        seen.sort_by_key(|(_, outcome)| std::cmp::Reverse(outcome.lost));
        seen.truncate(MOST_REWRITES);
        seen.into_iter().filter_map(|(mapping, outcome)| self.one(mapping, outcome)).collect()
    }

    fn one(&mut self, mapping: Mapping, outcome: Outcome) -> Option<Rewrite> {
        let scene = self.scene;
        let (before, after) = (mapping.before.iter().last()?, mapping.after.iter().next()?);
        let on_both = mapping
            .before
            .iter()
            .filter_map(|p| scene.host_of_point(p))
            .find(|host| mapping.after.iter().any(|p| scene.host_of_point(p) == Some(host)));
        let listed = self.rules.nat.flows().iter().find(|(flow, _)| {
            flow.source == mapping.inside
                && flow.reply_destination == mapping.outside
                && flow.destination.0 == mapping.server
        });
        let lister = listed.and_then(|(_, origin)| scene.inputs.get(origin.input.0 as usize)?.host.as_deref());
        let device = match on_both.or(lister) {
            Some(host) => host.to_owned(),
            None => format!("the NAT between {} and {}", scene.point_name(before), scene.point_name(after)),
        };
        let port = |p: u16| if p == 1024 { "a port above 1023".into() } else { format!("port {p}") };
        let same = mapping.inside.1 == mapping.outside.1;
        let change = if same {
            format!("{} kept", port(mapping.inside.1))
        } else {
            format!("{} → {}", port(mapping.inside.1), port(mapping.outside.1))
        };
        let agree = if listed.is_some() { "; its connection table says the same" } else { "" };
        let origins = outcome.all.first.map(|(_, o)| o).into_iter().chain(listed.map(|(_, o)| *o));
        let found = self.findings.add(Finding {
            rule: "nat",
            subject: device.clone(),
            statement: format!(
                "{device} rewrites {} to {}: {change}, {} requests to {}, {} of them lost{agree}",
                scene.full_name(mapping.inside.0),
                mapping.outside.0,
                outcome.all.n,
                scene.full_name(mapping.server),
                outcome.lost,
            ),
            measures: vec![
                ("requests", Measure::Number(outcome.all.n as f64)),
                ("lost", Measure::Number(outcome.lost as f64)),
                ("port_before", Measure::Number(f64::from(mapping.inside.1))),
                ("port_after", Measure::Number(f64::from(mapping.outside.1))),
            ],
            evidence: Evidence::of(origins)?,
            recipe: Some("conntrack -L -p udp --dport 123".into()),
        });
        Some(Rewrite { mapping, device, found })
    }
}

/// The risk that a rewrite lands where an affected server drops: told for servers that are known to drop.
pub(super) fn risks(
    out: &mut Diagnosis,
    causes: &[Cause],
    rules: &Summaries,
    scene: &Scene,
    rewrites: &[Rewrite],
    findings: &mut Findings,
) {
    let Some(cause) = causes.iter().find(|c| c.id == "nat-port-rewrite") else { return };
    let guilty = |c: &&Claim| c.cause == "ntpd-low-source-port" && c.probability >= CLAIM;
    let servers: Vec<(IpAddr, f64)> = out
        .diagnoses
        .iter()
        .filter(guilty)
        .filter_map(|c| match &c.place {
            Place::Server(_, address) => Some((*address, c.probability)),
            _ => None,
        })
        .collect();
    for (server, probability) in servers {
        let Some(rewrite) = rewrites.iter().find(|r| r.mapping.server == server) else { continue };
        let inputs = scene.inputs_of(&rewrite.device);
        let listed = rules.nat.translations(&inputs).next();
        let ports = listed.and_then(|(rule, _)| rule.ports);
        let range = ports.map_or(PortRange::of_linux(rewrite.mapping.inside.1), |(from, to)| PortRange(from, to));
        let chance = range.chance_below(crate::wire::NTP_PORT);
        if chance == 0.0 {
            continue;
        }
        let inside: BTreeSet<String> =
            rules.nat.seen().filter(|(m, _)| m.server == server).map(|(m, _)| scene.name(m.inside.0)).collect();
        let rule = listed.map_or(String::new(), |(rule, _)| format!(" (its rule: \"{}\")", rule.text));
        let drawn = if listed.is_some_and(|(rule, _)| rule.random) {
            "each new mapping"
        } else {
            "each new mapping that finds its port taken"
        };
        let origins = findings.get(rewrite.found).map(|f| f.evidence.iter().collect::<Vec<_>>()).unwrap_or_default();
        let Some(evidence) = Evidence::of(origins.into_iter().chain(listed.map(|(_, o)| *o))) else { continue };
        let id = findings.add(Finding {
            rule: "nat",
            subject: rewrite.device.clone(),
            statement: format!(
                "{drawn} on {}{rule} is drawn from ports {}-{}: a chance of {} to fall below 123; {} clients share it",
                rewrite.device,
                range.0,
                range.1,
                percent(chance),
                inside.len()
            ),
            measures: vec![("chance", Measure::Number(chance)), ("clients", Measure::Number(inside.len() as f64))],
            evidence,
            recipe: None,
        });
        let fill = |text: &String| text.replace("{device}", &rewrite.device).replace("{server}", &scene.name(server));
        out.diagnoses.push(Claim {
            cause: cause.id.clone(),
            kind: cause.kind,
            server,
            probability,
            title: fill(&super::claim::capitalised(&cause.title)),
            place: Place::Device(rewrite.device.clone(), None),
            provoked_by: None,
            affected: inside,
            since: None,
            from_the_start: false,
            last: None,
            explains: BTreeSet::from([rewrite.found, id]),
            versions: Vec::new(),
            remedy: cause.remedy.iter().map(fill).collect(),
            confirm: cause.confirm.iter().map(fill).collect(),
            sources: cause.sources.clone(),
        });
    }
}
