//! Signs: what the findings about one symptom say, in the words that causes know.
//!
//! A sign holds, fails (it could be seen that it does not hold), or is absent because nothing at hand could show it.
//! Every sign that holds or fails names the findings that say so.

use crate::exchange::{Fate, LATE_S, PointId};
use crate::model::{Counter, InputId};
use crate::rules::contrast::{Contrast, Contrasts};
use crate::rules::path::{Direction, Hop, Locus, Routes, Symptom};
use crate::rules::{Evidence, Finding, FindingId, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::stats::Share;
use crate::version::Version;
use crate::wire::IcmpError;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The places of a symptom, as causes name them under `explains`.
pub const LOCI: &[&str] =
    &["server", "segment", "device", "beyond", "kiss", "elsewhere", "misdirected", "unsynchronised", "late", "error"];

/// The signs that causes may name, and what each means.
pub const SIGNS: &[(&str, &str)] = &[
    ("lost-between-hosts", "packets are seen at one point and not at the next, on another host, which was recording"),
    ("lost-in-device", "packets enter a device and do not leave it, both sides recording"),
    ("port-below-123", "requests from ports below 123 are lost, all others answered"),
    ("only-below-123", "no other usual set of source ports would separate them: the boundary is at 123 itself"),
    ("port-reserved", "requests from ports below 1024 other than 123 are lost, all others answered"),
    ("a-port-separates", "some set of source ports separates lost from answered requests"),
    ("a-length-separates", "the length, the MAC or extension fields separate lost from answered requests"),
    ("version", "the server's version is in a range that is known to do this"),
    ("bad-format-grew", "the server counts as many discards for bad length or format as requests were lost"),
    ("limited-grew", "the server counts discards by a rate limit"),
    ("restricted-grew", "the server counts discards by an access list"),
    (
        "daemon-missed-them",
        "the server's daemon has received about as many requests as were answered: the others never reached it",
    ),
    ("daemon-is-there", "the server's daemon was looked at while requests were lost: it runs"),
    ("nobody-answered", "the server answered no request of anyone"),
    ("kiss-rate", "the server sends kiss-o'-death RATE"),
    ("kiss-deny", "the server sends kiss-o'-death DENY or RSTR"),
    ("limit-configured", "the server's configuration limits rates"),
    ("ignore-configured", "the server's configuration ignores some addresses"),
    ("port-rule", "a packet filter's listing has a rule that drops by source port"),
    ("port-unreachable", "the server's host says that nothing listens (ICMP port unreachable)"),
    ("host-unreachable", "a router says that the server's host can't be reached"),
    ("answers-late", "replies come later than clients wait"),
    ("answers-elsewhere", "replies come from an address that was not asked"),
    ("never-synchronised", "every answer says that the server is not synchronised"),
];

/// A sign that could be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign {
    /// Its name in [`SIGNS`].
    pub name: &'static str,
    /// Whether it holds or fails.
    pub holds: bool,
    /// The findings that say so.
    pub by: Vec<FindingId>,
}

/// Everything that is known of one symptom.
#[derive(Clone, Debug)]
pub struct Case {
    /// The symptom.
    pub symptom: Symptom,
    /// Its place, as causes name it.
    pub locus: &'static str,
    /// What separates lost from answered where its requests were last seen.
    pub contrasts: Contrasts,
    /// What could be seen.
    pub signs: Vec<Sign>,
    /// The finding of the symptom itself.
    pub found: FindingId,
    /// The server's version, where known.
    pub version: Option<Version>,
    /// A source port that fails, where ports separate.
    pub bad_port: Option<u16>,
}

/// What a counter may differ by from what captures say: the daemon's own queries, and the edges of the recording.
const COUNTER_SLACK: f64 = 0.25;

/// What all the examining needs.
pub(crate) struct Examiner<'a> {
    pub(crate) rules: &'a Summaries,
    pub(crate) routes: &'a Routes,
    pub(crate) scene: &'a Scene,
    pub(crate) findings: &'a mut Findings,
}

impl Examiner<'_> {
    /// Measures all that concerns one symptom.
    pub(crate) fn examine(&mut self, symptom: Symptom) -> Option<Case> {
        let found = self.symptom(&symptom)?;
        let at = last_point(symptom.locus);
        let contrasts = at.map(|at| self.rules.contrast.contrasts(symptom.server, at)).unwrap_or_default();
        let locus = locus_name(symptom.locus);
        let mut case = Case { locus, symptom, contrasts, signs: Vec::new(), found, version: None, bad_port: None };
        match case.symptom.locus {
            Locus::Segment(..) => case.hold("lost-between-hosts", true, found),
            Locus::Device(..) => case.hold("lost-in-device", true, found),
            Locus::Late(_) => case.hold("answers-late", true, found),
            Locus::Answered(Fate::Elsewhere(_)) => case.hold("answers-elsewhere", true, found),
            Locus::Answered(Fate::Error(IcmpError::PortUnreachable, from)) if from == case.symptom.server => {
                case.hold("port-unreachable", true, found);
            }
            Locus::Answered(Fate::Error(IcmpError::HostUnreachable, _)) => case.hold("host-unreachable", true, found),
            Locus::Answered(Fate::Unsynchronised) => {
                let all = case.symptom.total().n == case.symptom.came();
                case.hold("never-synchronised", all, found);
            }
            _ => {}
        }
        self.answers(&mut case);
        if let Some(at) = at {
            self.contrast(&mut case, at);
        }
        self.daemon(&mut case);
        self.filters(&mut case);
        Some(case)
    }

    /// The finding of the symptom itself: how many, where, with an example.
    fn symptom(&mut self, symptom: &Symptom) -> Option<FindingId> {
        let total = symptom.total();
        let (since, example) = total.first?;
        let share = Share::of(total.n, symptom.came());
        let scene = self.scene;
        let (server, name) = (scene.full_name(symptom.server), |p: PointId| scene.point_name(p));
        let (what, subject) = match symptom.locus {
            Locus::Server(at) => (
                format!("requests to {server} arrived at {} and got no reply from it", name(at)),
                scene.name(symptom.server),
            ),
            Locus::Segment(a, b, d) | Locus::Device(a, b, d) => {
                let packets = if d == Direction::ToServer { "requests to" } else { "replies of" };
                (
                    format!("{packets} {server} were seen at {} and not at {}", name(a), name(b)),
                    format!("{} to {}", name(a), name(b)),
                )
            }
            Locus::Beyond(at, _) => (
                format!("requests to {server} were last seen at {}; nothing further on was recording", name(at)),
                name(at),
            ),
            Locus::Late(Some((a, b))) => {
                let (a, b) = (name(a), name(b));
                (
                    format!("replies of {server} were in time at {a} and came later than {LATE_S} s at {b}"),
                    format!("{a} to {b}"),
                )
            }
            Locus::Late(None) => {
                (format!("replies of {server} came later than {LATE_S} s"), scene.name(symptom.server))
            }
            Locus::Answered(fate) => {
                (format!("requests to {server} {}", answered_words(fate)), scene.name(symptom.server))
            }
        };
        let last = total.last.map(|(_, origin)| origin);
        let filter = format!("ip.addr == {} && ntp", symptom.server);
        Some(self.findings.add(Finding {
            rule: if matches!(symptom.locus, Locus::Answered(_)) { "exchange" } else { "path" },
            subject,
            statement: format!("{} {what}; the first at {since}", share.words()),
            measures: vec![
                ("lost", Measure::Number(total.n as f64)),
                ("of", Measure::Number(symptom.came() as f64)),
                ("share", Measure::Share(share)),
            ],
            evidence: Evidence::of(std::iter::once(example).chain(last))?,
            recipe: Some(format!(
                "tshark -r CAPTURE -Y '{filter}' -T fields -e frame.number -e udp.srcport -e ntp.xmt -e ntp.org"
            )),
        }))
    }

    /// What else the server answered.
    fn answers(&mut self, case: &mut Case) {
        let server = case.symptom.server;
        let (mut answered, mut all) = (0, 0);
        for (_, fate, count) in self.rules.exchange.iter().filter(|(s, ..)| *s == server) {
            match fate {
                Fate::Answered | Fate::Late | Fate::Unsynchronised => answered += count.n,
                Fate::Kiss(code) => {
                    let name = match &code {
                        b"RATE" => "kiss-rate",
                        b"DENY" | b"RSTR" => "kiss-deny",
                        _ => continue,
                    };
                    let Some((since, origin)) = count.first else { continue };
                    let code = String::from_utf8_lossy(&code).into_owned();
                    let id = self.findings.add(Finding {
                        rule: "exchange",
                        subject: self.scene.name(server),
                        statement: format!(
                            "{} sent {} kiss-o'-death {code}, the first at {since}",
                            self.scene.full_name(server),
                            count.n
                        ),
                        measures: vec![("kisses", Measure::Number(count.n as f64)), ("code", Measure::Word(code))],
                        evidence: Evidence::at(origin),
                        recipe: Some(format!("tshark -r CAPTURE -Y 'ip.src == {server} && ntp.stratum == 0'")),
                    });
                    case.hold(name, true, id);
                    answered += count.n;
                }
                Fate::Elsewhere(_) | Fate::Misdirected(_) => answered += count.n,
                _ => {}
            }
            all += if matches!(fate, Fate::Cut | Fate::Symmetric) { 0 } else { count.n };
        }
        // One client from one port that gets no answer says nothing of the others.
        let askers: BTreeSet<IpAddr> =
            self.rules.loss.captured().filter(|((s, _), _)| *s == server).map(|((_, c), _)| c).collect();
        let ports = case.contrasts.ports.len();
        if all >= 5 && (answered > 0 || askers.len() > 1 || ports > 1) {
            case.hold("nobody-answered", answered == 0, case.found);
        }
    }

    /// Which attribute separates lost from answered, at the point where the lost were last seen.
    fn contrast(&mut self, case: &mut Case, at: PointId) {
        let contrasts = &case.contrasts;
        let (lost, answered) = contrasts.clients.values().fold((0, 0), |(l, a), c| (l + c.lost, a + c.answered));
        let Some((_, example)) = case.symptom.total().first.filter(|_| lost > 0 && answered > 0) else { return };
        let best = contrasts.separating().next();
        let tried = contrasts.tried.len();
        let mut measures = vec![("tried", Measure::Number(tried as f64))];
        let statement = match best {
            Some(best) => {
                let (inside, outside) = best.shares();
                measures.push(("set", Measure::Word(best.set.clone())));
                measures.push(("inside", Measure::Share(inside)));
                measures.push(("outside", Measure::Share(outside)));
                measures.push(("chance", Measure::Number(best.chance)));
                format!(
                    "{} separates lost from answered: {} lost with it, {} without{}; {tried} sets were tried, chance {}{}",
                    best.set,
                    inside.words(),
                    outside.words(),
                    also(contrasts),
                    chance_words(best.chance),
                    confounded(contrasts)
                )
            }
            None => format!("no attribute of the requests separates lost from answered; {tried} sets were tried"),
        };
        let server = self.scene.full_name(case.symptom.server);
        let filter =
            best.map(|c| format!("tshark -r {} -Y 'ntp.flags.mode == 3 && {}'", self.capture_of(at), c.filter));
        let id = self.findings.add(Finding {
            rule: "contrast",
            subject: format!("requests to {server} at {}", self.scene.point_name(at)),
            statement,
            measures,
            evidence: Evidence::at(example),
            recipe: filter,
        });
        let separating: Vec<&'static str> = contrasts.separating().map(|c| c.name).collect();
        let (ports, others): (Vec<_>, Vec<_>) = separating.into_iter().partition(|name| name.starts_with("port-"));
        let mut holds = Vec::new();
        for name in ["port-below-123", "port-reserved"] {
            // Where a set is neither clearly lost nor clearly answered, it says nothing.
            let Some(Contrast { inside, outside, separates, .. }) = contrasts.get(name) else { continue };
            let contradicted = inside.answered > inside.lost.max(2) || outside.lost > outside.answered.max(2);
            if *separates || contradicted {
                holds.push((name, *separates));
            }
        }
        if ports == ["port-below-123"] {
            holds.push(("only-below-123", true));
        }
        if contrasts.ports.len() > 1 {
            holds.push(("a-port-separates", !ports.is_empty()));
        }
        if contrasts.tried.iter().any(|c| LENGTHS.contains(&c.name)) {
            holds.push(("a-length-separates", others.iter().any(|name| LENGTHS.contains(name))));
        }
        case.bad_port = contrasts.worst_port();
        holds.into_iter().for_each(|(name, is)| case.hold(name, is, id));
    }

    fn capture_of(&self, at: PointId) -> String {
        self.scene
            .points()
            .find(|(id, _)| id.after() == at.after())
            .map_or_else(|| "CAPTURE".into(), |(_, p)| self.scene.input_name(p.input).into())
    }

    /// What the server's daemon says of itself.
    fn daemon(&mut self, case: &mut Case) {
        let inputs = self.inputs_of(case.symptom.server);
        let name = self.scene.full_name(case.symptom.server);
        if let Some((version, text, origin)) = self.rules.daemon.version(&inputs) {
            self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!("{name} says that it runs {text}"),
                measures: vec![("version", Measure::Word(version.to_string()))],
                evidence: Evidence::at(origin),
                recipe: None,
            });
            case.version = Some(version);
        }
        for directive in self.rules.daemon.directives(&inputs) {
            let words: Vec<&str> = directive.rest.split_whitespace().collect();
            let sign = match directive.keyword.as_str() {
                "restrict" if words.iter().any(|w| matches!(*w, "ignore" | "noserve")) => "ignore-configured",
                "deny" => "ignore-configured",
                "restrict" if words.contains(&"limited") => "limit-configured",
                "ratelimit" | "discard" => "limit-configured",
                _ => continue,
            };
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!("{name} is configured with \"{} {}\"", directive.keyword, directive.rest),
                measures: vec![],
                evidence: Evidence::at(directive.origin),
                recipe: None,
            });
            case.hold(sign, true, id);
        }
        let Some((span, lost, answered)) = self.traffic(case) else { return };
        // What captures let expect in the time between the two looks.
        let expected = |n: u64, over_s: u64| n as f64 * over_s as f64 / span.max(1.0);
        for (counter, sign, words) in [
            (Counter::BadFormat, "bad-format-grew", "bad length or format"),
            (Counter::Limited, "limited-grew", "rate limited"),
            (Counter::Restricted, "restricted-grew", "restricted"),
        ] {
            let Some(growth) = self.rules.daemon.growth(&inputs, counter) else { continue };
            let expect = expected(lost, growth.over_s);
            let (earlier, later) = growth.looks;
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!(
                    "{name} counted {} packets as \"{words}\" within {} s; at the captured rate {expect:.0} requests were lost in that time",
                    growth.by, growth.over_s
                ),
                measures: vec![("grew", Measure::Number(growth.by as f64)), ("expected", Measure::Number(expect))],
                evidence: Evidence::of([later, earlier]).unwrap_or(Evidence::at(later)),
                recipe: Some("ntpq -c sysstats".into()),
            });
            case.hold("daemon-is-there", true, id);
            let agrees = growth.by as f64 >= expect * (1.0 - COUNTER_SLACK) - 2.0 && growth.by > 0;
            if agrees || (growth.by as f64) < expect * COUNTER_SLACK {
                case.hold(sign, agrees, id);
            }
        }
        if let Some(growth) = self.rules.daemon.growth(&inputs, Counter::Received) {
            let (all, good) = (expected(lost + answered, growth.over_s), expected(answered, growth.over_s));
            let (earlier, later) = growth.looks;
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!(
                    "{name} received {} packets within {} s; at the captured rate {all:.0} requests arrived in that time, {good:.0} of them were answered",
                    growth.by, growth.over_s
                ),
                measures: vec![("received", Measure::Number(growth.by as f64)), ("arrived", Measure::Number(all))],
                evidence: Evidence::of([later, earlier]).unwrap_or(Evidence::at(later)),
                recipe: Some("ntpq -c sysstats".into()),
            });
            // ntpq's own queries count too, so a daemon that got the requests can only have counted more.
            let missed = (growth.by as f64) < good + (all - good) * 0.5;
            if all - good >= 4.0 && case.locus == "server" {
                case.hold("daemon-missed-them", missed, id);
            }
        }
    }

    /// Seconds of capture, and requests to the server that were lost and answered in it.
    fn traffic(&self, case: &Case) -> Option<(f64, u64, u64)> {
        let (mut lost, mut answered, mut from, mut to) = (0, 0, None, None);
        for (_, fate, count) in self.rules.exchange.iter().filter(|(s, ..)| *s == case.symptom.server) {
            match fate {
                Fate::Silent => lost += count.n,
                Fate::Answered | Fate::Kiss(_) | Fate::Late | Fate::Unsynchronised => answered += count.n,
                _ => continue,
            }
            from = [from, count.first.map(|(t, _)| t)].into_iter().flatten().min();
            to = to.max(count.last.map(|(t, _)| t));
        }
        Some((to?.since_s(from?), lost, answered))
    }

    /// Rules of packet filters that drop by source port.
    fn filters(&mut self, case: &mut Case) {
        let mut hosts: Vec<String> = vec![self.scene.name(case.symptom.server)];
        if let Some((from, _)) = ends(case.symptom.locus) {
            hosts.extend(self.scene.host_of_point(from).map(str::to_owned));
        }
        for host in hosts {
            let inputs = self.scene.inputs_of(&host);
            let by_port =
                |text: &str| ["sport", "--sport"].iter().any(|w| text.split_whitespace().any(|word| word == *w));
            let found = self.rules.nat.drops(&inputs).filter(|(rule, _)| by_port(&rule.text));
            // The same rule is listed at every look; the one that counted most is the latest.
            let Some((rule, origin)) = found.max_by_key(|(rule, _)| rule.packets) else { continue };
            let id = self.findings.add(Finding {
                rule: "nat",
                subject: host.clone(),
                statement: format!("{host}'s packet filter has the rule \"{}\" (hook {})", rule.text, rule.hook),
                measures: rule.packets.map(|n| ("packets", Measure::Number(n as f64))).into_iter().collect(),
                evidence: Evidence::at(*origin),
                recipe: Some("nft list ruleset".into()),
            });
            case.hold("port-rule", true, id);
        }
    }

    /// How much each hop loses: what rules the path out, or in.
    pub(crate) fn hops(&mut self, server: IpAddr) -> Vec<(Hop, FindingId)> {
        let mut told = Vec::new();
        for hop in self.rules.path.hops(self.routes, server) {
            let of = |(t, count): (crate::rules::path::Trace, crate::rules::exchange::Count)| {
                (t.server == server && t.requests.contains(hop.from)).then_some(count.first?.1)
            };
            let Some(evidence) = Evidence::of(self.rules.path.iter().filter_map(of).take(2)) else { continue };
            let share = Share::of(hop.lost, hop.came);
            let (from, to) = (self.scene.point_name(hop.from), self.scene.point_name(hop.to));
            let packets = if hop.direction == Direction::ToServer { "requests to" } else { "replies of" };
            let id = self.findings.add(Finding {
                rule: "path",
                subject: format!("{from} to {to}"),
                statement: format!(
                    "{} {packets} {} were lost from {from} to {to}",
                    share.words(),
                    self.scene.full_name(server)
                ),
                measures: vec![("lost", Measure::Number(hop.lost as f64)), ("share", Measure::Share(share))],
                evidence,
                recipe: Some(format!("ntpscope exchanges {} {}", self.capture_of(hop.from), self.capture_of(hop.to))),
            });
            told.push((hop, id));
        }
        told
    }

    fn inputs_of(&self, address: IpAddr) -> Vec<InputId> {
        self.scene.inputs_of(&self.scene.name(address))
    }
}

impl Case {
    fn hold(&mut self, name: &'static str, holds: bool, by: FindingId) {
        match self.signs.iter_mut().find(|s| s.name == name) {
            Some(sign) if sign.holds == holds => sign.by.push(by),
            Some(_) => {}
            None => self.signs.push(Sign { name, holds, by: vec![by] }),
        }
    }
}

/// Attributes that a filter by length acts on.
const LENGTHS: &[&str] = &["length", "mac", "extensions"];

/// A probability too small to be told is told as a bound.
fn chance_words(chance: f64) -> String {
    if chance < 1e-9 { "below 1e-9".into() } else { format!("{chance:.0e}") }
}

/// The other sets that separate too.
fn also(contrasts: &Contrasts) -> String {
    let others: Vec<_> = contrasts.separating().skip(1).map(|c| c.set.as_str()).collect();
    if others.is_empty() { String::new() } else { format!("; {} would separate them as well", others.join(", ")) }
}

fn confounded(contrasts: &Contrasts) -> String {
    if contrasts.is_confounded() {
        "; each client was served always or never, so these captures alone can't tell the set from the client".into()
    } else {
        String::new()
    }
}

/// Where a symptom's requests were last seen, where that is known.
#[must_use]
pub fn last_point(locus: Locus) -> Option<PointId> {
    match locus {
        Locus::Server(at) | Locus::Beyond(at, _) => Some(at),
        Locus::Segment(from, _, Direction::ToServer) | Locus::Device(from, _, Direction::ToServer) => Some(from),
        Locus::Segment(_, to, Direction::ToClient) | Locus::Device(_, to, Direction::ToClient) => Some(to),
        Locus::Answered(_) | Locus::Late(_) => None,
    }
}

/// The two points of a symptom that lies between points.
#[must_use]
pub fn ends(locus: Locus) -> Option<(PointId, PointId)> {
    match locus {
        Locus::Segment(from, to, _) | Locus::Device(from, to, _) | Locus::Late(Some((from, to))) => Some((from, to)),
        _ => None,
    }
}

fn locus_name(locus: Locus) -> &'static str {
    match locus {
        Locus::Server(_) => "server",
        Locus::Segment(..) => "segment",
        Locus::Device(..) => "device",
        Locus::Beyond(..) => "beyond",
        Locus::Late(_) => "late",
        Locus::Answered(fate) => match fate {
            Fate::Kiss(_) => "kiss",
            Fate::Elsewhere(_) => "elsewhere",
            Fate::Misdirected(_) => "misdirected",
            Fate::Unsynchronised => "unsynchronised",
            _ => "error",
        },
    }
}

fn answered_words(fate: Fate) -> String {
    match fate {
        Fate::Kiss(code) => format!("were answered with kiss-o'-death {}", String::from_utf8_lossy(&code)),
        Fate::Elsewhere(from) => format!("were answered from {from}, which was not asked"),
        Fate::Misdirected(to) => format!("were answered to {to}, which had not asked"),
        Fate::Unsynchronised => "were answered with \"not synchronised\"".into(),
        Fate::Error(error, from) => format!("were answered with {} by {from}", error.words()),
        other => format!("are {}", other.word()),
    }
}
