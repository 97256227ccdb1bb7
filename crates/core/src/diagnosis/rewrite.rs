//! Rewriting devices: what they did.

use crate::rules::nat::{Mapping, Outcome};
use crate::rules::{Evidence, Finding, FindingId, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::signs::Case;

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

    pub(super) fn one(&mut self, mapping: Mapping, outcome: Outcome) -> Option<Rewrite> {
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
