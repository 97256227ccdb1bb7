//! From findings to causes: what explains the symptoms, how probably, what is ruled out, what stays open.

use crate::causes::{self, Cause, DECISIVE, Kind};
use crate::rules::contrast::HIGH;
use crate::rules::loss::Polls;
use crate::rules::nat::{Mapping, Outcome, PortRange};
use crate::rules::path::{Direction, Hop, Locus, Symptom};
use crate::rules::{Evidence, Finding, FindingId, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::signs::{Case, Examiner, Sign, ends};
use crate::stats::{Share, percent};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// From here up a fault is claimed.
pub const CLAIM: f64 = 0.5;

/// Below this a cause is not worth a word among the diagnoses.
const MENTION: f64 = 0.2;

/// When a symptom is worth explaining.
struct Limits {
    /// Fewest lost requests.
    lost: u64,
    /// Lowest end of the interval of the lost share. Public paths lose a per cent or two and NTP does not mind.
    share: f64,
}

/// Of all requests to a server.
const LIMITS: Limits = Limits { lost: 3, share: 0.02 };

/// Of the requests of one client among many: more is asked for, since the worst of many looks bad by chance.
const ONE_CLIENT: Limits = Limits { lost: 5, share: 0.1 };

/// A client suffers from a fault that is there from so much on.
const SUFFERS: Limits = Limits { lost: 2, share: 0.02 };

impl Limits {
    fn met(&self, lost: u64, came: u64) -> bool {
        lost >= self.lost && Share::of(lost, came).interval().0 >= self.share
    }
}

/// Everything that a report says.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// What is wrong, the most probable first; then risks and notes.
    pub diagnoses: Vec<Claim>,
    /// What was measured.
    pub findings: Findings,
    /// Causes that could not have survived what was measured: which, of which server's requests, and by what.
    pub ruled_out: Vec<(String, Vec<FindingId>)>,
    /// Causes that the evidence can neither claim nor rule out, with what would decide.
    pub undecided: Vec<(String, String)>,
    /// Requests seen, and those answered well, of those whose fate is known.
    pub answered: Share,
}

/// One cause at one place.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its id.
    pub cause: String,
    /// Fault, risk or note.
    pub kind: Kind,
    /// Whose requests are concerned.
    pub server: IpAddr,
    /// How probable it is.
    pub probability: f64,
    /// What is wrong, in one sentence.
    pub title: String,
    /// Where.
    pub place: Place,
    /// The device that brings it about, where another does.
    pub provoked_by: Option<String>,
    /// The hosts that suffer.
    pub affected: BTreeSet<String>,
    /// First instance.
    pub since: Option<Time>,
    /// Last instance.
    pub last: Option<Time>,
    /// The findings that it explains.
    pub explains: BTreeSet<FindingId>,
    /// What mends it.
    pub remedy: Vec<String>,
    /// What confirms it.
    pub confirm: Vec<String>,
    /// Where it is documented.
    pub sources: Vec<String>,
}

/// A place on the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A server: its host (or address), and the address asked.
    Server(String, IpAddr),
    /// A device, by name; the capture points on its sides where known.
    Device(String, Option<(String, String)>),
    /// Between two capture points, in one direction or (`None`) both.
    Segment(String, String, Option<Direction>),
}

impl Place {
    /// What titles call it.
    fn words(&self) -> String {
        match self {
            Place::Server(host, _) | Place::Device(host, _) => host.clone(),
            Place::Segment(from, to, _) => format!("something between {from} and {to}"),
        }
    }
}

/// Ranks the causes of all that the rules have found.
#[must_use]
pub fn diagnose(rules: &Summaries, scene: &mut Scene) -> Diagnosis {
    let routes = rules.path.routes(scene);
    scene.learn(rules, &routes);
    let mut findings = Findings::default();
    let causes = causes::all();
    let mut out = Diagnosis::default();
    let mut examiner = Examiner { rules, routes: &routes, scene, findings: &mut findings };
    let symptoms: Vec<_> = rules.path.symptoms(&routes, scene).into_iter().filter(is_significant).collect();
    let servers: BTreeSet<IpAddr> = symptoms.iter().map(|s| s.server).collect();
    let cases: Vec<Case> = symptoms.into_iter().filter_map(|symptom| examiner.examine(symptom)).collect();
    let hops: BTreeMap<IpAddr, Vec<(Hop, FindingId)>> = servers.into_iter().map(|s| (s, examiner.hops(s))).collect();
    let mut rewrites = Rewrites { rules, scene, findings: &mut findings };
    let seen: Vec<Rewrite> = rewrites.tell(&cases);
    let mut verdicts = Verdicts::default();
    // What was lost while nothing further on was recording is put down to what is known to happen further on.
    let (open, placed): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.locus == "beyond");
    for case in placed.into_iter().chain(open) {
        let known = |d: &&mut Claim| d.server == case.symptom.server && d.probability >= CLAIM;
        if case.locus == "beyond"
            && let Some(fault) = out.diagnoses.iter_mut().find(known)
        {
            let cause = causes.iter().find(|c| c.id == fault.cause);
            fault.affected.extend(sufferers(cause, case, rules, scene));
            fault.explains.insert(case.found);
            continue;
        }
        let near_hops = hops.get(&case.symptom.server).map_or(&[][..], Vec::as_slice);
        for (cause, probability) in rank(&causes, case) {
            verdicts.take(case, cause, probability);
            // Where the place is unknown, only what is claimed is worth a word here; the rest is undecided.
            let least = if case.locus == "beyond" { CLAIM } else { MENTION };
            if cause.kind == Kind::Fault && probability >= least {
                merge(&mut out.diagnoses, claim(cause, probability, case, rules, scene, &seen));
            }
        }
        for cause in causes.iter().filter(|c| !c.explains.is_empty() && !c.explains.iter().any(|l| l == case.locus)) {
            verdicts.elsewhere(case, cause, near_hops);
        }
    }
    verdicts.finish(&mut out, &causes);
    risks(&mut out, &causes, rules, scene, &seen, &mut findings);
    losses(rules, scene, &mut findings, &mut out);
    out.diagnoses.sort_by(|a, b| (a.kind as u8).cmp(&(b.kind as u8)).then(b.probability.total_cmp(&a.probability)));
    let known = rules.exchange.iter().filter(|(_, fate, _)| !matches!(fate.word(), "cut" | "symmetric"));
    out.answered = Share::of(rules.exchange.total("answered"), known.map(|(.., count)| count.n).sum());
    out.findings = findings;
    out
}

fn is_significant(symptom: &Symptom) -> bool {
    LIMITS.met(symptom.total().n, symptom.came()) || harmed(symptom, ONE_CLIENT).next().is_some()
}

/// The clients of a symptom that meet some limits by themselves.
fn harmed(symptom: &Symptom, limits: Limits) -> impl Iterator<Item = IpAddr> {
    let came = |client: &IpAddr| symptom.reached.get(client).copied().unwrap_or(0);
    symptom.lost.iter().filter(move |(client, lost)| limits.met(lost.n, came(client))).map(|(client, _)| *client)
}

/// The causes that can explain a case, with their probabilities: they compete with each other and with the unknown.
fn rank<'a>(causes: &'a [Cause], case: &Case) -> Vec<(&'a Cause, f64)> {
    let able: Vec<_> = causes.iter().filter(|c| c.explains.iter().any(|l| l == case.locus)).collect();
    let odds: Vec<f64> = able.iter().map(|cause| log_odds(cause, case)).collect();
    // The unknown cause has odds of one.
    let highest = odds.iter().copied().fold(0.0, f64::max);
    let sum: f64 = odds.iter().map(|o| (o - highest).exp()).sum::<f64>() + (-highest).exp();
    let mut ranked: Vec<_> = able.into_iter().zip(odds.iter().map(|o| (o - highest).exp() / sum)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

fn log_odds(cause: &Cause, case: &Case) -> f64 {
    cause.prior + cause.signs.iter().map(|weight| weigh(cause, weight, case)).sum::<f64>()
}

fn weigh(cause: &Cause, weight: &causes::Weight, case: &Case) -> f64 {
    let holds = match weight.name.as_str() {
        "version" => {
            case.version.as_ref().map(|v| cause.versions.iter().any(|r| v.is_within(&r.product, &r.from, &r.to)))
        }
        name => sign(case, name).map(|s| s.holds),
    };
    match holds {
        Some(true) => weight.holds,
        Some(false) => weight.fails,
        None => 0.0,
    }
}

fn sign<'a>(case: &'a Case, name: &str) -> Option<&'a Sign> {
    case.signs.iter().find(|s| s.name == name)
}

/// The names of those whom a case harms, as far as `cause` explains it: where a set of requests speaks for the cause,
/// those whose requests are in the set.
fn sufferers(cause: Option<&Cause>, case: &Case, rules: &Summaries, scene: &Scene) -> BTreeSet<String> {
    let speaks = |name: &str| {
        let counts = |w: &&causes::Weight| w.holds > 0.0 && sign(case, &w.name).is_some_and(|s| s.holds);
        cause.is_some_and(|c| c.signs.iter().filter(counts).any(|w| w.name == name))
    };
    let (ports, lengths) = (speaks("a-port-separates"), speaks("a-length-separates"));
    let set = case.contrasts.separating().find(|contrast| match contrast.name {
        name if name.starts_with("port-") => ports || speaks(name),
        _ => lengths,
    });
    let named = |client: &IpAddr| set.is_none_or(|set| set.clients.contains(client));
    let clients = harmed(&case.symptom, SUFFERS).filter(named).flat_map(|client| behind(client, case, rules));
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

fn claim(
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
        ];
        pairs.iter().fold(text.clone(), |text, (key, value)| text.replace(key, value))
    };
    let mut explains = BTreeSet::from([case.found]);
    for weight in &cause.signs {
        explains.extend(
            sign(case, &weight.name).filter(|s| s.holds && weight.holds > 0.0).iter().flat_map(|s| s.by.iter()),
        );
    }
    let provoked_by = rewriter.filter(|_| cause.provoked_by_nat).map(|rewrite| {
        explains.insert(rewrite.found);
        rewrite.device.clone()
    });
    let total = symptom.total();
    Claim {
        cause: cause.id.clone(),
        kind: cause.kind,
        server: symptom.server,
        probability,
        title: fill(&cause.title),
        place: place.clone(),
        provoked_by,
        affected: sufferers(Some(cause), case, rules, scene),
        since: total.first.map(|(time, _)| time),
        last: total.last.map(|(time, _)| time),
        explains,
        remedy: cause.remedy.iter().map(fill).collect(),
        confirm: cause.confirm.iter().map(fill).collect(),
        sources: cause.sources.clone(),
    }
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
        _ => Place::Server(scene.name(case.symptom.server), case.symptom.server),
    }
}

/// One diagnosis per cause and place.
fn merge(diagnoses: &mut Vec<Claim>, claim: Claim) {
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

/// What becomes of each cause over all cases.
#[derive(Default)]
struct Verdicts {
    best: BTreeMap<String, f64>,
    contradicted: BTreeMap<String, (usize, BTreeSet<FindingId>)>,
    cases: usize,
    seen: BTreeSet<FindingId>,
}

impl Verdicts {
    fn take(&mut self, case: &Case, cause: &Cause, probability: f64) {
        self.count(case);
        let best = self.best.entry(cause.id.clone()).or_default();
        *best = best.max(probability);
        let mut by: BTreeSet<FindingId> = BTreeSet::new();
        for weight in &cause.signs {
            if weigh(cause, weight, case) <= DECISIVE {
                by.extend(sign(case, &weight.name).map_or(vec![case.found], |s| s.by.clone()));
            }
        }
        if !by.is_empty() {
            self.contradict(cause, by);
        }
    }

    /// The symptom lies where this cause never does: shown by where the requests were last seen.
    fn elsewhere(&mut self, case: &Case, cause: &Cause, hops: &[(Hop, FindingId)]) {
        self.count(case);
        if case.locus == "beyond" {
            return;
        }
        let mut by = BTreeSet::from([case.found]);
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

    fn count(&mut self, case: &Case) {
        if self.seen.insert(case.found) {
            self.cases += 1;
        }
    }

    /// Ruled out is what no case leaves possible; undecided what is neither that nor claimed.
    fn finish(self, out: &mut Diagnosis, causes: &[Cause]) {
        let claimed = |id: &str| out.diagnoses.iter().any(|d| d.cause == id && d.probability >= CLAIM);
        let (mut ruled_out, mut undecided) = (Vec::new(), Vec::new());
        for cause in causes.iter().filter(|c| self.cases > 0 && !c.explains.is_empty() && !claimed(&c.id)) {
            match self.contradicted.get(&cause.id) {
                Some((times, by)) if *times == self.cases => {
                    ruled_out.push((cause.id.clone(), by.iter().copied().collect()));
                }
                _ if self.best.get(&cause.id).is_some_and(|p| *p >= 0.02) && !cause.needs.is_empty() => {
                    undecided.push((cause.id.clone(), cause.needs.clone()));
                }
                _ => {}
            }
        }
        out.ruled_out = ruled_out;
        out.undecided = undecided;
    }
}

/// Requests that a device rewrites, as told in a finding.
struct Rewrite {
    mapping: Mapping,
    device: String,
    found: FindingId,
}

/// Rewrites that are told one by one, those that lost most first.
const MOST_REWRITES: usize = 12;

struct Rewrites<'a> {
    rules: &'a Summaries,
    scene: &'a Scene,
    findings: &'a mut Findings,
}

impl Rewrites<'_> {
    /// Tells each rewrite of a client that suffers, and which device makes it.
    fn tell(&mut self, cases: &[Case]) -> Vec<Rewrite> {
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
fn risks(
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
            title: fill(&cause.title),
            place: Place::Device(rewrite.device.clone(), None),
            provoked_by: None,
            affected: inside,
            since: None,
            last: None,
            explains: BTreeSet::from([rewrite.found, id]),
            remedy: cause.remedy.iter().map(fill).collect(),
            confirm: cause.confirm.iter().map(fill).collect(),
            sources: cause.sources.clone(),
        });
    }
}

/// Clients whose losses are told one by one; the fault's own numbers speak for the rest.
const MOST_LOSSES: usize = 6;

/// What each client that suffers has lost, by every witness.
fn losses(rules: &Summaries, scene: &Scene, findings: &mut Findings, out: &mut Diagnosis) {
    let mut captured: Vec<_> = rules.loss.captured().filter(|(_, polls)| polls.lost.n > 0).collect();
    captured.sort_by_key(|(_, polls)| std::cmp::Reverse(polls.lost.n));
    let mut told = BTreeMap::new();
    for fault in out.diagnoses.iter_mut().filter(|d| d.kind == Kind::Fault) {
        let harmed = |client: IpAddr| fault.affected.contains(&scene.name(client));
        let own = captured.iter().filter(|((server, client), _)| *server == fault.server && harmed(*client));
        let ways: Vec<_> = own.take(MOST_LOSSES).collect();
        for (way, polls) in ways {
            let Some(finding) = loss(*way, polls, rules, scene) else { continue };
            fault.explains.insert(*told.entry(*way).or_insert_with(|| findings.add(finding)));
        }
    }
}

fn loss((server, client): (IpAddr, IpAddr), polls: &Polls, rules: &Summaries, scene: &Scene) -> Option<Finding> {
    let (_, origin) = polls.lost.first?;
    let inputs = scene.inputs_of(&scene.name(client));
    let reach = rules.loss.reach(&inputs, &server.to_string()).last();
    let also = reach.map_or(String::new(), |(reach, _)| format!("; its own billboard shows reach {reach:03o}"));
    Some(Finding {
        rule: "loss",
        subject: format!("{} to {}", scene.name(client), scene.name(server)),
        statement: format!(
            "{} got no good answer to {} requests to {}; the longest silence was {:.0} s{also}",
            scene.full_name(client),
            polls.share().words(),
            scene.full_name(server),
            polls.longest_silence_s()
        ),
        measures: vec![
            ("share", Measure::Share(polls.share())),
            ("longest_silence_s", Measure::Number(polls.longest_silence_s())),
        ],
        evidence: Evidence::of(std::iter::once(origin).chain(reach.map(|(_, o)| o)))?,
        recipe: Some(format!("ntpscope exchanges --host {client} CAPTURE")),
    })
}
