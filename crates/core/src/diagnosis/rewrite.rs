//! Rewriting devices: what they did, and the risk of what they may do.

use super::{CLAIM, Claim, Diagnosis, Place};
use crate::causes::Cause;
use crate::rules::nat::{Mapping, Outcome, PortRange};
use crate::rules::{Evidence, Finding, FindingId, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::signs::Case;
use crate::stats::percent;
use crate::wire::NTP_PORT;
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

/// Answers to ports below 123 from which on a server is known not to drop them: one may be a stray.
const SERVED: u64 = 3;

/// How sure a risk is where the server's version is affected, and where it is not known.
const AFFECTED: f64 = 0.9;
const UNKNOWN: f64 = 0.3;

/// The risk that a rewrite lands where an affected server drops: of each server to which ports are rewritten in that
/// class, unless its version or its answers say that it does not drop.
pub(super) fn risks(
    out: &mut Diagnosis,
    causes: &[Cause],
    rules: &Summaries,
    scene: &Scene,
    rewrites: &[Rewrite],
    findings: &mut Findings,
) {
    let of = |id: &str| causes.iter().find(|c| c.id == id);
    let (Some(cause), Some(fault)) = (of("nat-port-rewrite"), of("ntpd-low-source-port")) else { return };
    let mut servers: BTreeSet<IpAddr> = rules.nat.seen().map(|(m, _)| m.server).collect();
    servers.extend(rules.nat.flows().iter().map(|(flow, _)| flow.destination.0));
    for server in servers {
        let guilty = |c: &&Claim| c.cause == fault.id && c.probability >= CLAIM && c.server == Some(server);
        let claimed = out.diagnoses.iter().find(guilty).map(|c| c.probability);
        let version = rules.daemon.version(&scene.inputs_of(&scene.name(server))).map(|(version, ..)| version);
        let probability = match (claimed, version) {
            (Some(probability), _) => probability,
            (None, Some(version)) if fault.versions.iter().any(|range| range.holds(&version)) => AFFECTED,
            (None, Some(_)) => continue,
            (None, None) => UNKNOWN,
        };
        let low = rules.nat.seen().filter(|(m, _)| m.server == server && m.outside.1 < NTP_PORT);
        if claimed.is_none() && low.map(|(_, o)| o.all.n - o.lost).sum::<u64>() >= SERVED {
            continue;
        }
        let told = rewrites.iter().find(|r| r.mapping.server == server && is_rewritten(&r.mapping));
        let told = told.map(|r| (r.device.clone(), r.found, r.mapping.inside));
        let Some((device, found, inside)) = told.or_else(|| tell_one(server, rules, scene, findings)) else { continue };
        let Some(draw) = draw(&device, found, inside.1, server, rules, scene, findings) else { continue };
        let fill = |text: &String| text.replace("{device}", &device).replace("{server}", &scene.name(server));
        out.diagnoses.push(Claim {
            cause: cause.id.clone(),
            kind: cause.kind,
            server: Some(server),
            probability,
            title: fill(&super::claim::capitalised(&cause.title)),
            place: Place::Device(device.clone(), None),
            provoked_by: None,
            affected: behind(server, rules, scene),
            since: None,
            from_the_start: false,
            last: None,
            explains: BTreeSet::from([found, draw]),
            versions: Vec::new(),
            remedy: cause.remedy.iter().map(fill).collect(),
            confirm: cause.confirm.iter().map(fill).collect(),
            sources: cause.sources.clone(),
        });
    }
}

/// Whether a mapping has changed a port of the class in which Linux may draw one below 123.
fn is_rewritten(mapping: &Mapping) -> bool {
    mapping.inside.1 != mapping.outside.1 && PortRange::of_linux(mapping.inside.1).chance_below(NTP_PORT) > 0.0
}

/// The clients whose requests to a server are rewritten.
fn behind(server: IpAddr, rules: &Summaries, scene: &Scene) -> BTreeSet<String> {
    let seen = rules.nat.seen().filter(|(m, _)| m.server == server).map(|(m, _)| m.inside.0);
    let listed = rules.nat.flows().iter().filter(|(f, _)| f.destination.0 == server).map(|(f, _)| f.source.0);
    seen.chain(listed).map(|client| scene.name(client)).collect()
}

/// Tells a rewrite that harmed nobody: seen, or only listed by a device that tracks connections.
fn tell_one(
    server: IpAddr,
    rules: &Summaries,
    scene: &Scene,
    findings: &mut Findings,
) -> Option<(String, FindingId, (IpAddr, u16))> {
    let seen = rules.nat.seen().find(|(m, _)| m.server == server && is_rewritten(m));
    if let Some((mapping, outcome)) = seen {
        let told = Rewrites { rules, scene, findings }.one(mapping, outcome)?;
        return Some((told.device, told.found, mapping.inside));
    }
    let (flow, origin) = rules.nat.flows().iter().find(|(flow, _)| {
        flow.destination.0 == server
            && flow.source.1 != flow.reply_destination.1
            && PortRange::of_linux(flow.source.1).chance_below(NTP_PORT) > 0.0
    })?;
    let device = scene.inputs.get(origin.input.0 as usize)?.host.clone()?;
    let found = findings.add(Finding {
        rule: "nat",
        subject: device.clone(),
        statement: format!(
            "{device}'s connection table rewrites {} from port {} to {} port {} towards {}",
            scene.full_name(flow.source.0),
            flow.source.1,
            flow.reply_destination.0,
            flow.reply_destination.1,
            scene.full_name(server)
        ),
        measures: vec![("port_after", Measure::Number(f64::from(flow.reply_destination.1)))],
        evidence: Evidence::at(*origin),
        recipe: Some("conntrack -L -p udp --dport 123".into()),
    });
    Some((device, found, flow.source))
}

/// Tells from which ports the next mapping is drawn; `None` where none of them is below 123.
fn draw(
    device: &str,
    found: FindingId,
    port: u16,
    server: IpAddr,
    rules: &Summaries,
    scene: &Scene,
    findings: &mut Findings,
) -> Option<FindingId> {
    let inputs = scene.inputs_of(device);
    let listed = rules.nat.translations(&inputs).next();
    let ports = listed.and_then(|(rule, _)| rule.ports);
    let range = ports.map_or(PortRange::of_linux(port), |(from, to)| PortRange(from, to));
    let chance = range.chance_below(NTP_PORT);
    if chance == 0.0 {
        return None;
    }
    let inside = behind(server, rules, scene);
    let rule = listed.map_or(String::new(), |(rule, _)| format!(" (its rule: \"{}\")", rule.text));
    let drawn = if listed.is_some_and(|(rule, _)| rule.random) {
        "each new mapping"
    } else {
        "each new mapping that finds its port taken"
    };
    let origins = findings.get(found).map(|f| f.evidence.iter().collect::<Vec<_>>()).unwrap_or_default();
    let evidence = Evidence::of(origins.into_iter().chain(listed.map(|(_, o)| *o)))?;
    Some(findings.add(Finding {
        rule: "nat",
        subject: device.to_owned(),
        statement: format!(
            "{drawn} on {device}{rule} is drawn from ports {}-{}: a chance of {} to fall below 123; {} clients share it",
            range.0,
            range.1,
            percent(chance),
            inside.len()
        ),
        measures: vec![("chance", Measure::Number(chance)), ("clients", Measure::Number(inside.len() as f64))],
        evidence,
        recipe: None,
    }))
}
