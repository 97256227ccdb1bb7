//! Findings of the rule `contrast`, and the signs that they are.

use super::{Case, Examiner, last_point};
use crate::exchange::PointId;
use crate::model::{Origin, Place};
use crate::rules::contrast::{Contrast, Contrasts, LIMITS, Lost, Side, probe};
use crate::rules::path::{Direction, Locus};
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::stats::{Share, percent};
use std::net::IpAddr;

/// Lost and answered requests, each, from which on an attribute that all share is known not to decide.
const COMMON: u64 = 4;

/// Sets that are named as as good as the best; the others are counted.
const MOST_NAMED: usize = 3;

/// Signs, and the attributes of which each speaks.
const OF: [(&str, &[&str]); 6] = [
    ("a-length-separates", &["length", "mac", "extensions", "nts"]),
    ("a-mode-separates", &["mode"]),
    ("a-version-separates", &["version"]),
    ("a-dscp-separates", &["dscp"]),
    ("a-ttl-separates", &["ttl"]),
    ("a-client-separates", &["client", "prefix"]),
];

/// The sign that speaks of a set by its name.
pub(crate) fn sign_of(name: &str) -> Option<&'static str> {
    match name {
        name if name.starts_with("port-") => Some("a-port-separates"),
        "poll-below-4" | "poll-field" => Some("poll-below-4"),
        "own-gap" | "any-gap" | "in-flight" => Some("a-rate-separates"),
        name => OF.iter().find(|(_, names)| names.contains(&name)).map(|(sign, _)| *sign),
    }
}

/// What separates lost from answered where a symptom's requests or replies were last seen.
pub(super) fn contrasts(examiner: &Examiner<'_>, server: IpAddr, locus: Locus) -> Contrasts {
    let lost = match locus {
        Locus::Segment(_, to, Direction::ToServer) | Locus::Device(_, to, Direction::ToServer) => Lost::Before(to),
        Locus::Segment(.., Direction::ToClient) | Locus::Device(.., Direction::ToClient) => Lost::Returning,
        _ => Lost::Anywhere,
    };
    last_point(locus).map(|at| examiner.rules.contrast.contrasts(server, at, lost)).unwrap_or_default()
}

impl Examiner<'_> {
    /// Which attribute separates lost from answered, at the point where the lost were last seen.
    pub(super) fn contrast(&mut self, case: &mut Case, at: PointId) {
        let contrasts = &case.contrasts;
        let (lost, answered) = contrasts.clients.values().fold((0, 0), |(l, a), c| (l + c.lost, a + c.answered));
        let Some((_, example)) = case.symptom.total().first.filter(|_| lost > 0 && answered > 0) else { return };
        let server = case.symptom.server;
        let subject = format!("requests to {} at {}", self.scene.full_name(server), self.scene.point_name(at));
        let capture = self.capture_of(at);
        let mut found: Vec<FindingId> = Vec::new();
        for best in contrasts.best() {
            let origins = std::iter::once(example).chain(best.against.iter().copied());
            found.push(self.findings.add(Finding {
                rule: "contrast",
                subject: subject.clone(),
                statement: statement(best, contrasts),
                measures: measures(best, contrasts),
                evidence: Evidence::of(origins).unwrap_or(Evidence::at(example)),
                recipe: Some(recipe(best, server, &capture)),
            }));
        }
        let mut who = None;
        if let Some(best) = contrasts.best().next() {
            who = within(best, contrasts, server).map(|statement| {
                self.findings.add(Finding {
                    rule: "contrast",
                    subject: subject.clone(),
                    statement,
                    measures: vec![
                        ("clients", Measure::Number(best.within.clients as f64)),
                        ("both_ways", Measure::Number(best.within.both as f64)),
                        ("chance", Measure::Number(best.within.chance)),
                    ],
                    evidence: Evidence::at(example),
                    recipe: Some(recipe(best, server, &capture)),
                })
            });
        }
        if found.is_empty() {
            found.push(self.findings.add(Finding {
                rule: "contrast",
                subject,
                statement: format!(
                    "no attribute of the requests separates lost from answered; {} sets were tried",
                    sets_words(contrasts.sets)
                ),
                measures: vec![("tried", Measure::Number(contrasts.sets))],
                evidence: Evidence::at(example),
                recipe: Some(format!("ntpscope exchanges --host {server} {capture}")),
            }));
        }
        let signs = signs(contrasts, lost >= COMMON && answered >= COMMON);
        let confounded = contrasts.best().next().is_some() && contrasts.is_confounded();
        case.bad_port = contrasts.worst_port();
        for (name, holds, quirk) in signs {
            let by = found.get(quirk).or(found.first()).copied();
            by.into_iter().for_each(|id| case.weighed.hold(name, holds, id));
        }
        if confounded {
            who.or(found.first().copied()).into_iter().for_each(|id| case.weighed.hold("confounded", true, id));
        }
    }
}

/// Signs, whether each holds, and the quirk whose finding says so.
fn signs(contrasts: &Contrasts, common: bool) -> Vec<(&'static str, bool, usize)> {
    let mut signs = Vec::new();
    for name in ["port-below-123", "port-reserved", "poll-below-4"] {
        // Where a set is neither clearly lost nor clearly answered, it says nothing.
        let Some(Contrast { inside, outside, separates, quirk, .. }) = contrasts.get(name) else { continue };
        let absent = name == "poll-below-4" && common && inside.all() == 0;
        let contradicted = inside.answered > inside.lost.max(2) || outside.lost > outside.answered.max(2) || absent;
        if *separates || contradicted {
            signs.push((name, *separates, *quirk));
        }
    }
    let separating: Vec<&Contrast> = contrasts.separating().collect();
    let ports = || separating.iter().filter(|c| sign_of(c.name) == Some("a-port-separates"));
    // A set that was searched for is not a usual one.
    let mut usual = ports().filter(|c| c.name != "port-number");
    if let (Some(one), None) = (usual.next(), usual.next())
        && one.name == "port-below-123"
    {
        signs.push(("only-below-123", true, one.quirk));
    }
    let groups = OF.iter().map(|(sign, _)| *sign).chain(["a-port-separates", "a-rate-separates"]);
    for sign in groups {
        let of_it = |c: &&&Contrast| sign_of(c.name) == Some(sign) && is_likely(c);
        if let Some(best) = separating.iter().find(of_it) {
            signs.push((sign, true, best.quirk));
            continue;
        }
        let tried: Vec<_> = contrasts.tried.iter().filter(|c| sign_of(c.name) == Some(sign)).collect();
        // A set that is all lost beside much other loss neither separates nor fails to.
        let perhaps = tried.iter().any(|c| c.shares().0.value() >= LIMITS.clean && c.chance <= LIMITS.chance);
        let varies = match sign {
            "a-port-separates" => contrasts.ports.len() > 1,
            _ => !tried.is_empty(),
        };
        if (varies || common) && !perhaps {
            signs.push((sign, false, 0));
        }
    }
    signs
}

/// Whether something would drop this side: limits drop what comes fast, and filters what is marked.
fn is_likely(contrast: &Contrast) -> bool {
    match contrast.name {
        "in-flight" => contrast.side == Side::High,
        "own-gap" | "any-gap" => contrast.side == Side::Low,
        "dscp" => contrast.side != Side::Low,
        _ => true,
    }
}

fn measures(best: &Contrast, contrasts: &Contrasts) -> Vec<(&'static str, Measure)> {
    let (inside, outside) = best.shares();
    let (apart, (low, high)) = best.difference();
    vec![
        ("tried", Measure::Number(contrasts.sets)),
        ("set", Measure::Word(best.set.clone())),
        ("inside", Measure::Share(inside)),
        ("outside", Measure::Share(outside)),
        ("difference", Measure::Number(apart)),
        ("difference_interval", Measure::Interval(low, high)),
        ("chance", Measure::Number(best.chance)),
        ("against", Measure::Number((best.inside.answered + best.outside.lost) as f64)),
    ]
}

fn statement(best: &Contrast, contrasts: &Contrasts) -> String {
    let (inside, outside) = best.shares();
    let (apart, (low, high)) = best.difference();
    let rest = if best.quirk > 0 { "of the rest, " } else { "" };
    format!(
        "{rest}{} separates lost from answered: {} lost with it, {} without (more by {} [{}, {}]){}{}; {} sets tried, chance {}",
        best.set,
        inside.words(),
        outside.words(),
        percent(apart),
        percent(low),
        percent(high),
        also(best, contrasts),
        against(best),
        sets_words(contrasts.sets),
        chance_words(best.chance)
    )
}

/// A number of sets: of many the size is enough.
fn sets_words(sets: f64) -> String {
    if sets < 1e6 { format!("{sets:.0}") } else { format!("{sets:.0e}") }
}

/// A probability too small to be told is told as a bound.
fn chance_words(chance: f64) -> String {
    if chance < 1e-9 { "below 1e-9".into() } else { format!("{chance:.0e}") }
}

/// The other sets that separate as well.
fn also(best: &Contrast, contrasts: &Contrasts) -> String {
    let others: Vec<_> =
        contrasts.separating().filter(|c| c.name != best.name && best.is_as_good(c)).map(|c| c.set.as_str()).collect();
    let more = others.len().saturating_sub(MOST_NAMED);
    match (others.is_empty(), more) {
        (true, _) => String::new(),
        (_, 0) => format!("; {} would separate them as well", others.join(", ")),
        _ => format!("; {} and {more} more would separate them as well", others[..MOST_NAMED].join(", ")),
    }
}

/// What speaks against a set.
fn against(best: &Contrast) -> String {
    let (answered, lost) = (best.inside.answered, best.outside.lost);
    if answered + lost == 0 {
        return String::new();
    }
    let frames: Vec<String> = best.against.iter().map(|origin| place(*origin)).collect();
    format!("; against it: {answered} answered with it, {lost} lost without ({})", frames.join(", "))
}

fn place(origin: Origin) -> String {
    match origin.place {
        Place::Frame(n) => format!("frame {n}"),
        Place::Line(n) => format!("line {n}"),
    }
}

/// Whether it is the set or the client.
fn within(best: &Contrast, contrasts: &Contrasts, server: IpAddr) -> Option<String> {
    let within = &best.within;
    if best.is_who || within.clients < 2 && within.both == 0 {
        return None;
    }
    let words = |cell: Share| format!("{} of {}", cell.part, cell.whole);
    if within.both > 0 && within.chance <= LIMITS.chance {
        return Some(format!(
            "it is the request and not the client: of {} that asked both ways, {} requests were lost with {}, and {} \
             without (exact test within each client, chance {})",
            clients(within.both),
            words(within.inside.lost_share()),
            best.set,
            words(within.outside.lost_share()),
            chance_words(within.chance)
        ));
    }
    if !contrasts.is_confounded() {
        return None;
    }
    let mut good = contrasts.ports.iter().filter(|(_, cell)| cell.answered > cell.lost).map(|(port, _)| match port {
        &crate::rules::contrast::HIGH => 1123,
        port => *port,
    });
    let probe = probe(best.name, server, best.worst_port, good.next_back());
    let tell = probe.map_or_else(String::new, |probe| format!(": {probe}"));
    Some(format!(
        "each of {} asked one way only, so these captures alone can't tell {} from the client; one host that asks \
         both ways can{tell}",
        clients(within.clients),
        best.set
    ))
}

fn clients(n: usize) -> String {
    if n == 1 { "one client".into() } else { format!("{n} clients") }
}

/// How someone else finds the requests of the set.
fn recipe(best: &Contrast, server: IpAddr, capture: &str) -> String {
    let ip = if server.is_ipv6() { "ipv6" } else { "ip" };
    match (&best.filter, best.name) {
        (Some(filter), _) => format!("tshark -r {capture} -Y 'ntp && {ip}.dst == {server} && {filter}'"),
        (None, "own-gap" | "any-gap") => format!(
            "tshark -r {capture} -Y 'ntp && {ip}.dst == {server}' -T fields -e frame.time_epoch -e {ip}.src | \
             awk '{{print $1 - t[$2], $0; t[$2] = $1}}'"
        ),
        _ => format!("ntpscope exchanges --host {server} {capture}"),
    }
}
