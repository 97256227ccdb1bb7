//! The risk of what a rewriting device may do: where its next draw lands, how sure that is, and how long it lasts.

use super::rewrite::{Rewrite, Rewrites};
use super::{CLAIM, Claim, Diagnosis, Place};
use crate::causes::Cause;
use crate::rules::nat::{Mapping, PortRange};
use crate::rules::{Evidence, Finding, FindingId, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::stats::percent;
use crate::wire::NTP_PORT;
use std::collections::BTreeSet;
use std::net::IpAddr;

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
            affected: behind(server, rules).into_iter().map(|client| scene.name(client)).collect(),
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
fn behind(server: IpAddr, rules: &Summaries) -> BTreeSet<IpAddr> {
    let seen = rules.nat.seen().filter(|(m, _)| m.server == server).map(|(m, _)| m.inside.0);
    let listed = rules.nat.flows().iter().filter(|(f, _)| f.destination.0 == server).map(|(f, _)| f.source.0);
    seen.chain(listed).collect()
}

/// How long the one of them that asks most often waits between two requests, in seconds, as captured.
fn poll_s(server: IpAddr, clients: &BTreeSet<IpAddr>, rules: &Summaries) -> Option<f64> {
    let own = rules.loss.captured().filter(|((s, client), _)| *s == server && clients.contains(client));
    own.filter_map(|(_, polls)| polls.interval_s()).min_by(f64::total_cmp)
}

/// In which order a kernel tries ports: from 5.0 on at random, before from where it last stopped, since boot
/// (`nf_nat_l4proto_unique_tuple`; stable kernels 4.9.300, 4.14.265 and 4.19.228 draw at random too).
fn order(system: Option<&str>) -> &'static str {
    let release = system.and_then(|system| system.strip_prefix("Linux/"));
    let mut numbers = release.into_iter().flat_map(|release| release.split(['.', '-'])).map_while(|n| n.parse().ok());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(5..), ..) => "its kernel draws at random",
        (Some(4), Some(9), Some(300..)) | (Some(4), Some(14), Some(265..)) | (Some(4), Some(19), Some(228..)) => {
            "its kernel draws at random"
        }
        (Some(0..5), ..) => {
            "its kernel counts up from 1 since boot (unless a fix of 2022 was taken over): after a reboot the next draws \
             are nearly certain to fall below 123"
        }
        _ => {
            "that is so from Linux 5.0 on: older kernels count up from 1 since boot, so that after a reboot the next draws \
             are nearly certain to fall below 123"
        }
    }
}

/// How long a draw lasts. An entry without a reply lives 30 s; the port is remembered until the kernel's collector passes,
/// which was after less than 128 s wherever it was measured.
fn lasts(poll_s: f64) -> &'static str {
    const ENTRY_S: f64 = 30.0;
    const COLLECTED_S: f64 = 128.0;
    match poll_s {
        s if s <= ENTRY_S => {
            "; its clients ask so often that a draw lasts: who drew a bad port is never served, who drew a good one always"
        }
        s if s < COLLECTED_S => {
            "; at the interval at which its clients ask, a draw may last for hours or for one request"
        }
        _ => "; its clients ask so seldom that each request may draw anew: losses come and go",
    }
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
    let inside = behind(server, rules);
    let clients = inside.len();
    let poll_s = poll_s(server, &inside, rules);
    let kernel = rules.daemon.variable(&inputs, "system");
    let rule = listed.map_or(String::new(), |(rule, _)| format!(" (its rule: \"{}\")", rule.text));
    // With `random` all are rewritten; else the first to ask keeps its port.
    let is_random = listed.is_some_and(|(rule, _)| rule.random);
    let drawn = if is_random { "each new mapping" } else { "each new mapping that finds its port taken" };
    let rewritten = if is_random { clients } else { clients.saturating_sub(1) };
    let any = 1.0 - (1.0 - chance).powi(rewritten as i32);
    let origins = findings.get(found).map(|f| f.evidence.iter().collect::<Vec<_>>()).unwrap_or_default();
    let evidence = Evidence::of(origins.into_iter().chain(listed.map(|(_, o)| *o)))?;
    Some(findings.add(Finding {
        rule: "nat",
        subject: device.to_owned(),
        statement: format!(
            "{drawn} on {device}{rule} is drawn from ports {}-{}: a chance of {} to fall below 123, and of {} that one of \
             {clients} clients does when all are mapped anew; {}{}",
            range.0,
            range.1,
            percent(chance),
            percent(any),
            order(kernel),
            poll_s.map_or("", lasts),
        ),
        measures: [
            Some(("chance", Measure::Number(chance))),
            Some(("chance_any", Measure::Number(any))),
            Some(("clients", Measure::Number(clients as f64))),
            poll_s.map(|poll_s| ("poll_s", Measure::Number(poll_s))),
        ]
        .into_iter()
        .flatten()
        .collect(),
        evidence,
        recipe: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn a_kernel_before_5_0_counts_unless_it_has_the_fix() {
        let counts = |system| order(Some(system)).contains("its kernel counts");
        assert!(counts("Linux/3.10.0-1160.el7.x86_64") && counts("Linux/4.19.100") && counts("Linux/4.4.0"));
        assert!(!counts("Linux/6.1.0-18-amd64") && !counts("Linux/5.0") && !counts("Linux/4.19.300"));
        assert!(order(None).contains("older kernels") && order(Some("FreeBSD/14.0")).contains("older kernels"));
    }
}
