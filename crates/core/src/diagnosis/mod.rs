//! From findings to causes: what explains the symptoms, how probably, what is ruled out, what stays open.

mod apart;
mod claim;
mod clocks;
mod counted;
mod decide;
mod rank;
mod rewrite;
mod risk;

use crate::causes::{self, Cause, Kind};
use crate::rules::path::{Direction, Hop, Locus, Symptom};
use crate::rules::{FindingId, Findings, Summaries};
use crate::scene::Scene;
use crate::signs::{Case, Examiner, told};
use crate::stats::Share;
use crate::time::Time;
use claim::{claim, losses, merge, sufferers};
pub use decide::Advice;
use rank::{Verdicts, rank};
use rewrite::{Rewrite, Rewrites};
use risk::risks;
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

/// Of all requests that came to a server: what it drops, it drops by a rule.
const LIMITS: Limits = Limits { lost: 3, share: 0.02 };

/// Of all that came past a place on the way: clocks do not feel less, for ntpd keeps the best of eight answers.
const ON_THE_WAY: Limits = Limits { lost: 3, share: 0.04 };

/// Of all that came while it lasted, from the first loss to the last; one client must then have lost as many as
/// [`ONE_CLIENT`] asks for.
const WHILE_IT_LASTED: Limits = Limits { lost: 10, share: 0.1 };

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
    /// Causes that the evidence can neither claim nor rule out.
    pub undecided: Vec<Undecided>,
    /// What would decide the open cases best, the most first.
    pub advice: Vec<Advice>,
    /// Places where requests come to grief more than by chance, claimed or not.
    pub symptoms: usize,
    /// Hosts whose own statistics tell of their clock or of its sources.
    pub clocks: usize,
    /// Requests seen, and those answered well, of those whose fate is known.
    pub answered: Share,
    /// Requests whose fate the recording does not show: it ended too soon after them.
    pub unjudged: u64,
}

/// A cause that may be, and may not.
#[derive(Clone, Debug, PartialEq)]
pub struct Undecided {
    /// Its id.
    pub cause: String,
    /// Its probability, where it is most probable.
    pub probability: f64,
    /// What would show it.
    pub needs: String,
}

/// One cause at one place.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its id.
    pub cause: String,
    /// Fault, risk or note.
    pub kind: Kind,
    /// Whose requests are concerned; none where a clock is wrong and not its answers.
    pub server: Option<IpAddr>,
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
    /// Whether that is as old as the recording, so that the fault may be older.
    pub from_the_start: bool,
    /// Last instance.
    pub last: Option<Time>,
    /// The findings that it explains.
    pub explains: BTreeSet<FindingId>,
    /// What the server's version says to the versions that have it.
    pub versions: Vec<String>,
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
    /// A client, by name.
    Client(String),
    /// A source of time, by name, and its address where known: the fault is in it or on the way to it.
    Source(String, Option<IpAddr>),
}

impl Place {
    /// What titles call it.
    fn words(&self) -> String {
        match self {
            Place::Server(host, _) | Place::Device(host, _) | Place::Client(host) | Place::Source(host, _) => {
                host.clone()
            }
            Place::Segment(from, to, _) => format!("something between {from} and {to}"),
        }
    }
}

/// Ranks the causes of all that the rules have found.
#[must_use]
pub fn diagnose(rules: &Summaries, scene: &mut Scene) -> Diagnosis {
    let routes = rules.path.routes(scene);
    scene.learn(rules, &routes);
    let told = told::symptoms(rules, scene);
    let answered_as_told = told::answered(rules, scene);
    let mut findings = Findings::default();
    let causes = causes::all();
    let mut out = Diagnosis::default();
    let mut examiner = Examiner { rules, routes: &routes, scene, findings: &mut findings };
    let captured = rules.path.symptoms(&routes, scene);
    let symptoms: Vec<_> = captured.into_iter().chain(told).filter(|symptom| is_significant(symptom, rules)).collect();
    let servers: BTreeSet<IpAddr> = symptoms.iter().map(|s| s.server).collect();
    let mut cases: Vec<Case> = Vec::new();
    for symptom in symptoms {
        cases.extend(apart::cases(&mut examiner, &causes, symptom));
    }
    for doubling in examiner.doublings() {
        cases.extend(examiner.examine(doubling));
    }
    cases.extend(examiner.pauses());
    let hops: BTreeMap<IpAddr, Vec<(Hop, FindingId)>> = servers.into_iter().map(|s| (s, examiner.hops(s))).collect();
    let mut rewrites = Rewrites { rules, scene, findings: &mut findings };
    let seen: Vec<Rewrite> = rewrites.tell(&cases);
    let mut verdicts = Verdicts::default();
    // What was lost while nothing further on was recording is put down to what is known to happen further on.
    let (open, placed): (Vec<_>, Vec<_>) = cases.iter().partition(|case| is_open(case));
    for case in placed.into_iter().chain(open) {
        let known = |d: &&mut Claim| d.server == Some(case.symptom.server) && d.probability >= CLAIM;
        if is_open(case)
            && let Some(fault) = out.diagnoses.iter_mut().find(known)
        {
            let cause = causes.iter().find(|c| c.id == fault.cause);
            let sufferers = sufferers(cause, case, rules, scene);
            if case.weighed.locus == "told" && !sufferers.is_empty() {
                // Whoever keeps records of its own and was not captured is behind an address that was.
                fault.affected.retain(|name| name.parse::<IpAddr>().is_err());
            }
            fault.affected.extend(sufferers);
            fault.explains.insert(case.weighed.found);
            continue;
        }
        let near_hops = hops.get(&case.symptom.server).map_or(&[][..], Vec::as_slice);
        let ranked = rank(&causes, &case.weighed);
        if ranked.first().is_none_or(|(_, probability)| *probability < CLAIM) {
            out.advice.extend(decide::best(case, &ranked, scene));
        }
        for (cause, probability) in ranked {
            verdicts.take(&case.weighed, case.symptom.locus.is_loss(), cause, probability);
            // Where the place is unknown, only what is claimed is worth a word here; the rest is undecided.
            let least = if is_open(case) { CLAIM } else { MENTION };
            if cause.kind == Kind::Fault && probability >= least {
                merge(&mut out.diagnoses, claim(cause, probability, case, rules, scene, &seen));
            }
        }
        let elsewhere = |c: &&Cause| !c.explains.is_empty() && !c.explains.iter().any(|l| l == case.weighed.locus);
        for cause in causes.iter().filter(elsewhere).filter(|c| c.explains_losses()) {
            verdicts.elsewhere(case, cause, near_hops);
        }
    }
    verdicts.finish(&mut out, causes.iter().filter(|cause| !cause.explains_clocks()));
    clocks::diagnose(rules, scene, &causes, &mut findings, &mut out);
    out.advice.sort_by(|a, b| b.bits.total_cmp(&a.bits));
    let known = cases.iter().map(|case| scene.name(case.symptom.server)).collect();
    counted::refusals(rules, scene, &causes, &known, &mut findings, &mut out);
    risks(&mut out, &causes, rules, scene, &seen, &mut findings);
    losses(rules, scene, &mut findings, &mut out);
    out.diagnoses.sort_by(|a, b| (a.kind as u8).cmp(&(b.kind as u8)).then(b.probability.total_cmp(&a.probability)));
    let known = rules.exchange.iter().filter(|(_, fate, _)| !matches!(fate.word(), "cut" | "symmetric"));
    out.answered = Share::of(rules.exchange.total("answered"), known.map(|(.., count)| count.n).sum());
    if out.answered.whole == 0 {
        out.answered = answered_as_told;
    }
    out.symptoms = cases.len();
    out.unjudged = rules.exchange.total("cut");
    out.findings = findings;
    out
}

/// Whether it is not known where the requests of a case were lost.
fn is_open(case: &Case) -> bool {
    matches!(case.weighed.locus, "beyond" | "told")
}

fn is_significant(symptom: &Symptom, rules: &Summaries) -> bool {
    let total = symptom.total();
    let on_the_way = matches!(symptom.locus, Locus::Segment(..) | Locus::Device(..));
    let limits = if on_the_way { ON_THE_WAY } else { LIMITS };
    if limits.met(total.n, symptom.came()) || harmed(symptom, ONE_CLIENT).next().is_some() {
        return true;
    }
    let (Some((from, _)), Some((until, _))) = (total.first, total.last) else { return false };
    let came = rules.pace.asked_within(symptom.server, from, until);
    WHILE_IT_LASTED.met(total.n, came) && symptom.lost.values().any(|lost| lost.n >= ONE_CLIENT.lost)
}

/// The clients of a symptom that meet some limits by themselves.
fn harmed(symptom: &Symptom, limits: Limits) -> impl Iterator<Item = IpAddr> {
    let came = |client: &IpAddr| symptom.reached.get(client).copied().unwrap_or(0);
    symptom.lost.iter().filter(move |(client, lost)| limits.met(lost.n, came(client))).map(|(client, _)| *client)
}
