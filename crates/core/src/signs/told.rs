//! Symptoms that no capture shows: what clients' own records say, and what a NAT's table says of their mappings.

use super::{Case, Examiner};
use crate::clock::is_unasked;
use crate::exchange::Fate;
use crate::model::{Flow, InputId, Origin};
use crate::rules::account::Polled;
use crate::rules::contrast::usual_ports;
use crate::rules::exchange::Count;
use crate::rules::path::{Locus, Symptom};
use crate::rules::{Evidence, Finding, FindingId, Measure, Summaries};
use crate::scene::{Scene, is_clock};
use crate::stats::Share;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Clients that a finding names; the others are counted.
const MOST_NAMED: usize = 6;

/// What clients say of servers with which no capture shows them: one symptom for each server and kind of answer.
pub fn symptoms(rules: &Summaries, scene: &mut Scene) -> Vec<Symptom> {
    let mut symptoms: BTreeMap<(IpAddr, Locus), Symptom> = BTreeMap::new();
    for (server, client, polled) in accounts(rules, scene) {
        let silent = (Locus::Told, polled.lost.part);
        let kisses = polled.kisses.iter().map(|(code, count)| (Locus::Answered(Fate::Kiss(*code)), count.n));
        let refused = polled.unsynchronised.map(|_| (Locus::Answered(Fate::Unsynchronised), polled.lost.part.max(1)));
        let answered: Vec<(Locus, u64)> = kisses.chain(refused).collect();
        let ways = if answered.is_empty() { vec![silent] } else { answered };
        for (locus, n) in ways {
            let symptom = symptoms.entry((server, locus)).or_insert_with(|| Symptom::new(server, locus));
            // Of a server that sends kisses, what stays without an answer is refused as well.
            let lost = n.max(polled.lost.part);
            if lost > 0 {
                symptom.lost.insert(client, Count { n: lost, first: None, last: None });
            }
            symptom.reached.insert(client, polled.lost.whole.max(lost));
            symptom.told.insert(client, polled.clone());
        }
    }
    symptoms.into_values().filter(|symptom| !symptom.lost.is_empty()).collect()
}

/// Polls that clients tell of, and those of them that were answered, where no capture shows them.
pub fn answered(rules: &Summaries, scene: &mut Scene) -> Share {
    let told = accounts(rules, scene);
    let (lost, of) = told.iter().fold((0, 0), |(lost, of), (.., p)| (lost + p.lost.part, of + p.lost.whole));
    Share::of(of - lost, of)
}

/// Server, client, and what the client's records say.
fn accounts(rules: &Summaries, scene: &mut Scene) -> Vec<(IpAddr, IpAddr, Polled)> {
    let captured: BTreeSet<(IpAddr, String)> =
        rules.loss.captured().map(|((server, client), _)| (server, scene.name(client))).collect();
    let mut hosts: BTreeMap<String, Vec<InputId>> = BTreeMap::new();
    for input in rules.account.inputs() {
        let host = scene.host_of_input(input).unwrap_or_else(|| scene.input_name(input).to_owned());
        hosts.entry(host).or_default().push(input);
    }
    let mut told = Vec::new();
    for (host, inputs) in hosts {
        for source in rules.account.sources(&inputs) {
            let server = source.parse().unwrap_or_else(|_| scene.address_of(source));
            let unasked = is_unasked(&host, server, rules, scene);
            if unasked || is_clock(server) || captured.contains(&(server, host.clone())) {
                continue;
            }
            if let Some(polled) = rules.account.polled(&inputs, source) {
                told.push((server, scene.address_of(&host), polled));
            }
        }
    }
    told
}

impl Examiner<'_> {
    /// The finding of a symptom that clients tell of.
    pub(super) fn told(&mut self, symptom: &Symptom) -> Option<FindingId> {
        let share = Share::of(symptom.total().n, symptom.came());
        let server = self.scene.full_name(symptom.server);
        let lost: Vec<(IpAddr, &Polled)> =
            symptom.told.iter().filter(|(client, _)| symptom.lost.contains_key(client)).map(|(c, p)| (*c, p)).collect();
        let named = lost.iter().take(MOST_NAMED);
        let mut who: Vec<String> = named
            .map(|(client, polled)| {
                let Share { part, whole } = polled.lost;
                format!("{} {part} of {whole}, by {}", self.scene.name(*client), polled.by)
            })
            .collect();
        if lost.len() > MOST_NAMED {
            who.push(format!("and {} more", lost.len() - MOST_NAMED));
        }
        let what = match symptom.locus {
            Locus::Answered(Fate::Kiss(code)) => {
                format!("were refused with kiss-o'-death {} or got no answer", String::from_utf8_lossy(&code))
            }
            Locus::Answered(Fate::Unsynchronised) => "were answered with \"not synchronised\" or not at all".into(),
            _ => "got no answer; no capture shows where they were lost".into(),
        };
        let origins = lost.iter().flat_map(|(_, polled)| {
            let kisses = polled.kisses.values().filter_map(|count| Some(count.first?.1));
            kisses.chain(polled.unsynchronised).chain(polled.origins.iter().copied())
        });
        Some(self.findings.add(Finding {
            rule: "loss",
            subject: self.scene.name(symptom.server),
            statement: format!("{} polls of {server} {what}: {}", share.words(), who.join("; ")),
            measures: vec![
                ("lost", Measure::Number(share.part as f64)),
                ("of", Measure::Number(share.whole as f64)),
                ("share", Measure::Share(share)),
            ],
            evidence: Evidence::of(origins)?,
            recipe: lost.first().map(|(_, polled)| polled.recipe.to_owned()),
        }))
    }

    /// What the table of a NAT says of the mappings of those who lose requests, and of the others'.
    pub(super) fn tracked(&mut self, case: &mut Case) {
        let mut ports: [BTreeMap<u16, Origin>; 2] = Default::default();
        for (flow, origin) in self.rules.nat.flows().iter().filter(|(f, _)| f.destination.0 == case.symptom.server) {
            let loses = case.symptom.lost.keys().any(|client| self.scene.name(*client) == self.owner(flow));
            // Of who loses some requests, a mapping that once had a reply says nothing.
            if loses != flow.replied {
                ports[usize::from(flow.replied)].entry(flow.reply_destination.1).or_insert(*origin);
            }
        }
        let [bad, good] = &ports;
        let (Some((worst, _)), false) = (bad.iter().next(), good.is_empty()) else { return };
        let holds = |set: fn(u16) -> bool| bad.keys().all(|p| set(*p)) && !good.keys().any(|p| set(*p));
        let separating: Vec<_> = usual_ports().filter(|(.., set)| holds(*set)).collect();
        let below = separating.iter().any(|(name, ..)| *name == "port-below-123");
        let list = |of: &BTreeMap<u16, Origin>| of.keys().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let server = self.scene.full_name(case.symptom.server);
        let origins = bad.values().chain(good.values()).copied();
        let Some(evidence) = Evidence::of(origins) else { return };
        let id = self.findings.add(Finding {
            rule: "nat",
            subject: server.clone(),
            statement: format!(
                "the NAT's table shows mappings to {server} without a reply from source port {}, and with one from {}{}",
                list(bad),
                list(good),
                separating.first().map_or(String::new(), |(_, words, _)| format!(": {words} separates them"))
            ),
            measures: vec![
                ("without_reply", Measure::Number(bad.len() as f64)),
                ("with_reply", Measure::Number(good.len() as f64)),
            ],
            evidence,
            recipe: Some("conntrack -L -p udp --dport 123".into()),
        });
        case.bad_port = case.bad_port.or(Some(*worst));
        case.weighed.hold("tracked-below-123", below, id);
        case.weighed.hold("tracked-a-port", !separating.is_empty(), id);
    }

    /// What the source of a flow is called.
    fn owner(&self, flow: &Flow) -> String {
        self.scene.name(flow.source.0)
    }
}
