//! Signs: what the findings about one symptom say, in the words that causes know.
//!
//! A sign holds, fails (it could be seen that it does not hold), or is absent because nothing at hand could show it.
//! Every sign that holds or fails names the findings that say so.

mod client;
pub(crate) mod contrast;
mod copies;
mod daemon;
mod nat;
mod path;
mod recipe;
mod server;
pub mod told;

use crate::exchange::{Fate, PointId};
use crate::model::InputId;
use crate::rules::contrast::Contrasts;
use crate::rules::loss::Polls;
use crate::rules::path::{Direction, Locus, Routes, Symptom};
use crate::rules::{Evidence, Finding, FindingId, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::version::Version;
use crate::wire::IcmpError;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The places of a symptom, as causes name them under `explains`.
pub const LOCI: &[&str] = &[
    "server",
    "segment",
    "device",
    "beyond",
    "told",
    "kiss",
    "elsewhere",
    "misdirected",
    "unsynchronised",
    "late",
    "error",
    "unasked",
    "doubled",
];

/// The places of what is wrong with clocks though answers come; a cause explains these or those, not both.
pub const CLOCK_LOCI: &[&str] = &["clock", "source", "sources", "heard", "configured", "noted"];

/// The signs that causes may name, and what each means.
pub const SIGNS: &[(&str, &str)] = &[
    ("lost-between-hosts", "packets are seen at one point and not at the next, on another host, which was recording"),
    ("router-between", "TTLs differ at both ends: a router lies between, which may be to blame"),
    ("all-or-nothing", "those who lose requests there lose all, while those of others pass"),
    ("lost-in-device", "packets enter a device and do not leave it, both sides recording"),
    ("port-below-123", "requests from ports below 123 are lost, all others answered"),
    ("only-below-123", "no other usual set of source ports would separate them: the boundary is at 123 itself"),
    ("port-reserved", "requests from ports below 1024 other than 123 are lost, all others answered"),
    ("a-port-separates", "some set of source ports separates lost from answered requests"),
    ("a-length-separates", "the length, the MAC or extension fields separate lost from answered requests"),
    ("poll-below-4", "requests whose poll field is below 4 are lost, all others answered"),
    ("a-mode-separates", "the mode separates lost from answered requests"),
    ("a-version-separates", "the version of NTP separates lost from answered requests"),
    ("a-dscp-separates", "the traffic class separates lost from answered requests"),
    ("a-ttl-separates", "the hop limit separates lost from answered requests"),
    ("a-rate-separates", "requests that come soon after another of the same address are lost, the others answered"),
    ("a-client-separates", "the client or its network separates lost from answered requests"),
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
    (
        "tracked-below-123",
        "a NAT's table shows mappings below port 123 that never had a reply, and only others that had one",
    ),
    ("tracked-a-port", "some set of source ports separates a NAT's mappings without a reply from those with one"),
    ("port-unreachable", "the server's host says that nothing listens (ICMP port unreachable)"),
    ("prohibited", "a device says that a filter of its own forbids it (ICMP administratively prohibited)"),
    ("confounded", "each client is served always or never: what separates may be the client and not the set"),
    ("host-unreachable", "a router says that the server's host can't be reached"),
    ("all-at-once", "the losses lie together in time, with good answers before and after"),
    ("late-in-bursts", "late replies come many at once: the server had been away"),
    ("answers-late", "replies come later than clients wait"),
    ("answers-elsewhere", "replies come from an address that was not asked"),
    ("never-synchronised", "every answer says that the server is not synchronised"),
    ("started-unsynchronised", "it had no time before its first good answer, and has had since: it was starting"),
    ("synchronised-later", "its last answers are good again"),
    ("poll-below-4", "requests whose poll field is below 4 are lost, all others answered"),
    ("a-mode-separates", "the mode separates lost from answered requests"),
    ("a-version-separates", "the version of NTP separates lost from answered requests"),
    ("a-dscp-separates", "the traffic class separates lost from answered requests"),
    ("a-ttl-separates", "the hop limit separates lost from answered requests"),
    ("class-rule", "a packet filter's listing has a rule that drops by traffic class or hop limit, and it has counted"),
    ("length-rule", "a packet filter's listing has a rule that drops by length, and it has counted"),
    ("drop-rule", "the device's listing has a rule that drops, and it has counted at least half as many as were lost"),
    ("declined-grew", "the server counts as many declined requests as were lost"),
    (
        "daemon-answered-them",
        "the server's daemon accepted the lost requests and sent about as many packets as it received",
    ),
    ("send-failed", "the server's daemon counts packets that it could not send"),
    ("never-answered", "those who lose requests here never got an answer"),
    ("lost-while-slow", "requests are lost when answers are slow, and not when they are fast"),
    ("slow-at-server", "answers are slow already at the server's own capture"),
    (
        "tracking-clashed",
        "the device's connection tracking failed to insert about as many flows as were lost (insert_failed)",
    ),
    ("range-too-small", "the NAT may choose from fewer ports than clients ask through it"),
    ("rewrites", "the device rewrites source addresses or ports"),
    ("answers-misdirected", "replies go to a host that has not asked"),
    (
        "polls-missing",
        "a client that polls evenly sent none for many intervals, though its poll field announced no longer ones",
    ),
    ("others-went-on", "other clients asked meanwhile"),
    ("watched-at-client", "the client's own interface was recorded: requests that it sends would have been seen"),
    ("retreat", "its last polls before had gone unanswered"),
    ("clock-rests", "the clock comes to rest again"),
    ("locked-to-a-period", "offsets repeat with a fixed period, at all sources"),
    ("swings-fast", "the clock swings from side to side faster than a stable loop can, and that does not die away"),
    ("answers-late-to-loop", "the clock does what its loop asks, but minutes too late"),
    ("ignores-loop", "the clock does nothing of what its loop asks"),
    ("answers-as-told", "the clock does what its loop asks, when it asks, and moves by itself besides"),
    ("frequency-at-limit", "the frequency stands at the limit of what the daemon may correct"),
    ("pushed-to-limit", "the frequency took hours to get there: a wrong rate takes minutes"),
    ("swings-regularly", "the clock swings from side to side at a pace of its own"),
    ("one-sided", "offsets stand to one side"),
    ("stands-off", "offsets stand to one side, though the loop would remove that"),
    ("grows-evenly", "from step to step peaks grow by a constant amount"),
    ("grows-by-ratio", "from step to step peaks grow by a constant ratio"),
    ("steps-undone", "steps do not last: the same offset is back within minutes"),
    ("rate-wanders", "the frequency goes to and fro by more than warmth makes it, and the daemon follows it at once"),
    ("rate-runs-wild", "the frequency goes to and fro by more than any oscillator's does"),
    ("rate-jumped", "the frequency went from one level to another, once"),
    ("set-once", "the clock was far off at once, and is right since it was stepped back"),
    ("sources-contradict", "sources contradict each other by as much as the clock moves"),
    ("another-hand", "logs tell of another program that sets this clock"),
    ("slept-or-set", "logs say that the machine slept or its time was changed"),
    ("clock-source-changed", "the kernel found its clock source unstable, or changed it"),
    ("follows-the-day", "the frequency follows the hour of the day, and the clock stays right"),
    ("started-again", "the daemon was started again"),
    ("one-source", "the host measures one source only: its own clock and the source can't be told apart"),
    ("others-too", "other hosts saw the same at the same time"),
    ("one-server-many-addresses", "one server broadcasts or multicasts to one group from several addresses"),
    ("speaks-in-turn", "its addresses take turns: one is silent while the other speaks"),
    ("group-route", "the server has a route to multicast groups, by which it chooses the address that it sends from"),
    ("ignored-by-clients", "clients ignore one of its addresses, and miss what it sends from there"),
    ("ignores-nobody", "an access list ignores an address that nobody has, much like one that is heard all the same"),
    ("ignored-is-heard", "an access list ignores an address whose samples are taken all the same"),
    ("statistics-not-configured", "the daemon's configuration enables no statistics, and there are none"),
    ("copied-between", "packets are seen once at one point and twice, unchanged, from the next on"),
    ("offset-apart", "the source is further from the others than distances allow, while these agree"),
    ("drifts-apart", "the source drifts steadily away from the others"),
    ("jumped-alone", "the source's offset jumps at one instant, and its delay does not"),
    ("seen-by-all", "all hosts that can tell see the source off"),
    ("followed", "clocks of hosts that ask it have followed the source"),
    ("called-false", "the daemon itself calls the source a falseticker most of the time"),
    ("delay-jumped", "the source's delay changes for good at one instant"),
    (
        "half-of-delay",
        "the offset changes with the delay, by up to half as much: the directions changed by different times",
    ),
    ("offset-stays", "the delay changes and the offset does not: both directions changed alike"),
    ("in-episodes", "answers of the source take longer now and then, by varying times"),
    ("one-limb", "offsets go along with delays, on one limb of the wedge: one direction queues"),
    ("one-second", "the source is, or became at once, a whole second off"),
    ("smears", "the source leaves the others at the pace of a smeared leap second, and is with them before or after"),
    ("rolled-over", "the source is off by 1024 weeks or by an era of NTP"),
    ("local-reference", "the source names its own clock as its reference, and others of the same hosts do not"),
    ("shared-upstream", "most of a host's sources follow one upstream, and moved together"),
    ("no-majority", "no majority of a host's sources agrees"),
    ("ring", "hosts name each other as references, in a ring, at one time"),
    ("stratum-climbs", "the strata in the ring have climbed"),
    ("fewer-than-four", "the host has fewer than four sources"),
];

/// Lost requests of a client from which on it is no chance that none of its requests passed.
const FEWEST_OF_ALL: u64 = 5;

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

/// What causes weigh.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// The place of the symptom, as causes name it.
    pub locus: &'static str,
    /// What could be seen.
    pub signs: Vec<Sign>,
    /// The finding of the symptom itself.
    pub found: FindingId,
    /// The daemon's version, where known.
    pub version: Option<(Version, FindingId)>,
}

impl Weighed {
    /// A symptom of which nothing is known yet but its finding.
    #[must_use]
    pub fn new(locus: &'static str, found: FindingId) -> Weighed {
        Weighed { locus, signs: Vec::new(), found, version: None }
    }

    /// Takes down that a sign holds or fails; what was said first stands.
    pub fn hold(&mut self, name: &'static str, holds: bool, by: FindingId) {
        match self.signs.iter_mut().find(|s| s.name == name) {
            Some(sign) if sign.holds == holds => sign.by.push(by),
            Some(_) => {}
            None => self.signs.push(Sign { name, holds, by: vec![by] }),
        }
    }

    /// What is known of a sign.
    #[must_use]
    pub fn sign(&self, name: &str) -> Option<&Sign> {
        self.signs.iter().find(|s| s.name == name)
    }
}

/// Everything that is known of one symptom of requests.
#[derive(Clone, Debug)]
pub struct Case {
    /// The symptom.
    pub symptom: Symptom,
    /// What causes weigh.
    pub weighed: Weighed,
    /// What separates lost from answered where its requests were last seen.
    pub contrasts: Contrasts,
    /// A source port that fails, where ports separate.
    pub bad_port: Option<u16>,
    /// The host whose packet filter has a rule that may do this.
    pub filter: Option<String>,
}

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
        let found = if symptom.told.is_empty() { self.symptom(&symptom) } else { self.told(&symptom) }?;
        if !symptom.locus.is_loss() {
            return Some(self.copied(symptom, found));
        }
        let at = last_point(symptom.locus);
        let contrasts = contrast::contrasts(self, symptom.server, symptom.locus);
        let mut case = Case { contrasts, ..Case::new(symptom, found) };
        match case.symptom.locus {
            Locus::Segment(from, to, _) => {
                case.weighed.hold("lost-between-hosts", true, found);
                self.between(&mut case, from, to);
            }
            Locus::Device(..) => case.weighed.hold("lost-in-device", true, found),
            Locus::Late(_) => {
                case.weighed.hold("answers-late", true, found);
                let most = self.rules.exchange.most_late_at_once(case.symptom.server);
                case.weighed.hold("late-in-bursts", most >= 3 && most * 3 >= case.symptom.total().n, found);
            }
            Locus::Answered(Fate::Elsewhere(_)) => case.weighed.hold("answers-elsewhere", true, found),
            Locus::Answered(Fate::Error(IcmpError::PortUnreachable, from)) if from == case.symptom.server => {
                case.weighed.hold("port-unreachable", true, found);
            }
            Locus::Answered(Fate::Error(IcmpError::Prohibited, _)) => case.weighed.hold("prohibited", true, found),
            Locus::Answered(Fate::Error(IcmpError::HostUnreachable, _)) => {
                case.weighed.hold("host-unreachable", true, found);
            }
            Locus::Answered(Fate::Unsynchronised) => {
                let good =
                    self.rules.exchange.iter().any(|(s, fate, _)| s == case.symptom.server && fate == Fate::Answered);
                case.weighed.hold("never-synchronised", !good, found);
                self.synchronisation(&mut case);
            }
            Locus::Answered(Fate::Misdirected(_)) => case.weighed.hold("answers-misdirected", true, found),
            _ => {}
        }
        self.answers(&mut case);
        self.outage(&mut case);
        if let Some(at) = at {
            self.contrast(&mut case, at);
        }
        // What captures show of the ports, the table would only show once more.
        if matches!(case.weighed.locus, "told" | "beyond") && case.contrasts.ports.len() < 2 {
            self.tracked(&mut case);
        }
        self.daemon(&mut case);
        self.filters(&mut case);
        self.service(&mut case);
        self.device(&mut case);
        Some(case)
    }

    /// Whether a router lies between the ends of a segment, and whether it is some clients that lose all.
    fn between(&mut self, case: &mut Case, from: PointId, to: PointId) {
        if let Some(pair) = self.rules.path.pair_of(case.symptom.server, from, to) {
            case.weighed.hold("router-between", pair.ttl != (0, 0), case.weighed.found);
        }
        let symptom = &case.symptom;
        let all_of = |client: &IpAddr, lost: u64| symptom.reached.get(client).is_none_or(|reached| *reached <= lost);
        let others_pass = symptom.reached.keys().any(|client| !symptom.lost.contains_key(client));
        let mut losers = symptom.lost.iter().filter(|(_, lost)| lost.n >= FEWEST_OF_ALL).peekable();
        if losers.peek().is_some() {
            let all = losers.all(|(client, lost)| all_of(client, lost.n));
            case.weighed.hold("all-or-nothing", all && others_pass, case.weighed.found);
        }
    }

    /// What else the server answered.
    fn answers(&mut self, case: &mut Case) {
        let server = case.symptom.server;
        let (mut answered, mut all, mut last) = (0, 0, None);
        for (_, fate, count) in self.rules.exchange.iter().filter(|(s, ..)| *s == server) {
            if matches!(fate, Fate::Answered | Fate::Late | Fate::Unsynchronised | Fate::Kiss(_)) {
                last = last.max(count.last.map(|(time, _)| time));
            }
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
                        recipe: Some("tshark -r CAPTURE -Y 'ntp.flags.mode == 4 && ntp.stratum == 0'".into()),
                    });
                    case.weighed.hold(name, true, id);
                    answered += count.n;
                }
                Fate::Elsewhere(_) | Fate::Misdirected(_) => answered += count.n,
                _ => {}
            }
            all += if matches!(fate, Fate::Cut | Fate::Symmetric) { 0 } else { count.n };
        }
        if let Locus::Answered(Fate::Kiss(code)) = case.symptom.locus
            && !case.symptom.told.is_empty()
        {
            case.weighed.hold(if &code == b"RATE" { "kiss-rate" } else { "kiss-deny" }, true, case.weighed.found);
        }
        for polled in case.symptom.told.values() {
            all += polled.lost.whole;
            answered += polled.lost.whole - polled.lost.part;
        }
        // One client from one port that gets no answer says nothing of the others.
        let captured = self.rules.loss.captured().filter(|((s, _), _)| *s == server).map(|((_, c), _)| c);
        let askers: BTreeSet<IpAddr> = captured.chain(case.symptom.told.keys().copied()).collect();
        let ports = case.contrasts.ports.len();
        if all >= 5 && (answered > 0 || askers.len() > 1 || ports > 1) {
            // A server that has died answers nobody from then on.
            let since = case.symptom.total();
            let died = since.n >= 5 && since.first.is_some_and(|(time, _)| Some(time) > last);
            case.weighed.hold("nobody-answered", answered == 0 || died, case.weighed.found);
        }
    }

    /// Whether the losses lie together in time, between good answers on both sides.
    fn outage(&mut self, case: &mut Case) {
        let lost = |((server, client), polls): &((IpAddr, IpAddr), Polls)| {
            *server == case.symptom.server && case.symptom.lost.contains_key(client) && polls.lost.n >= 3
        };
        let (mut together, mut spread) = (0, 0);
        for (_, polls) in self.rules.loss.captured().filter(lost) {
            let (Some((from, _)), Some((to, _)), Some((first, last))) =
                (polls.lost.first, polls.lost.last, polls.answered)
            else {
                spread += 1;
                continue;
            };
            let within = first < from && to < last && to.0.saturating_sub(from.0) <= polls.longest_gap;
            (together, spread) = (together + u32::from(within), spread + u32::from(!within));
        }
        if together + spread > 0 {
            case.weighed.hold("all-at-once", together > 0 && spread == 0, case.weighed.found);
        }
    }

    pub(super) fn capture_of(&self, at: PointId) -> String {
        self.scene
            .points()
            .find(|(id, _)| id.after() == at.after())
            .map_or_else(|| "CAPTURE".into(), |(_, p)| self.scene.input_name(p.input).into())
    }

    fn inputs_of(&self, address: IpAddr) -> Vec<InputId> {
        self.scene.inputs_of(&self.scene.name(address))
    }
}

impl Case {
    fn new(symptom: Symptom, found: FindingId) -> Case {
        let weighed = Weighed::new(locus_name(symptom.locus), found);
        Case { symptom, weighed, contrasts: Contrasts::default(), bad_port: None, filter: None }
    }
}

/// Where a symptom's requests were last seen, where that is known.
#[must_use]
pub fn last_point(locus: Locus) -> Option<PointId> {
    match locus {
        Locus::Server(at) | Locus::Beyond(at, _) => Some(at),
        Locus::Segment(from, _, Direction::ToServer) | Locus::Device(from, _, Direction::ToServer) => Some(from),
        Locus::Segment(_, to, Direction::ToClient) | Locus::Device(_, to, Direction::ToClient) => Some(to),
        Locus::Answered(_) | Locus::Late(_) | Locus::Told | Locus::Unasked(_) | Locus::Doubled(..) => None,
    }
}

/// The two points of a symptom that lies between points.
#[must_use]
pub fn ends(locus: Locus) -> Option<(PointId, PointId)> {
    match locus {
        Locus::Segment(from, to, _)
        | Locus::Device(from, to, _)
        | Locus::Late(Some((from, to)))
        | Locus::Doubled(from, to, _) => Some((from, to)),
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
        Locus::Told => "told",
        Locus::Unasked(_) => "unasked",
        Locus::Doubled(..) => "doubled",
        Locus::Answered(fate) => match fate {
            Fate::Kiss(_) => "kiss",
            Fate::Elsewhere(_) => "elsewhere",
            Fate::Misdirected(_) => "misdirected",
            Fate::Unsynchronised => "unsynchronised",
            _ => "error",
        },
    }
}
