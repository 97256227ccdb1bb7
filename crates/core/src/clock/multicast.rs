//! Rule `multicast`: servers that broadcast or multicast from several addresses, and so are several sources to a client.

use super::config::ntpd;
use super::hearing::{Hearing, hearings};
use super::turns::{Manner, Relation, relation};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::scene::Scene;
use crate::signs::Weighed;
use crate::time::Time;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Fewest packets of an address that is another's by what its host says of itself.
const FEWEST: u64 = 2;

/// An address that is first heard so many polls after the beginning has appeared; before, it may always have been there.
const APPEARED_POLLS: f64 = 4.0;

/// Seconds between polls where nothing announces them: ntpd's usual shortest (`minpoll` 6).
const POLL_S: f64 = 64.0;

/// One server that is heard under several addresses.
pub(super) struct Speaker {
    /// Its addresses, that first which is heard most.
    pub addresses: Vec<IpAddr>,
    /// To whom it speaks.
    pub group: IpAddr,
    /// How, where that could be seen.
    manner: Option<Manner>,
    /// The host that says that the addresses are its own.
    owner: Option<String>,
    /// Who heard several of them, that first which shows it best.
    heard: Vec<Hearing>,
    relation: Relation,
}

/// All servers that are heard under several addresses.
pub(super) fn speakers(hearings: &[Hearing], scene: &Scene) -> Vec<Speaker> {
    // By the addresses of one family that belong together, and their group.
    let mut pairs: Vec<(IpAddr, Pair<'_>)> = Vec::new();
    for hearing in hearings {
        let senders: Vec<IpAddr> = hearing.senders.keys().copied().collect();
        for (at, a) in senders.iter().enumerate() {
            let others = senders.iter().skip(at + 1).filter(|b| b.is_ipv4() == a.is_ipv4());
            pairs.extend(others.filter_map(|b| Some((hearing.group, Pair::of(hearing, *a, *b, scene)?))));
        }
    }
    let mut speakers: Vec<Speaker> = Vec::new();
    // Those that show most are looked at first.
    // A client's view tells more than the server's own.
    let foreign = |pair: &Pair<'_>| pair.owner.is_none() || pair.hearing.host != pair.owner;
    pairs.sort_by_key(|(_, pair)| std::cmp::Reverse((pair.relation.manner().is_some(), foreign(pair), pair.rare_n)));
    for (group, pair) in pairs {
        let known =
            |s: &&mut Speaker| s.group == group && s.addresses.iter().any(|a| *a == pair.usual || *a == pair.rare);
        match speakers.iter_mut().find(known) {
            Some(speaker) => speaker.take(pair),
            None => speakers.push(Speaker {
                addresses: vec![pair.usual, pair.rare],
                group,
                manner: pair.relation.manner(),
                owner: pair.owner,
                heard: vec![pair.hearing.clone()],
                relation: pair.relation,
            }),
        }
    }
    speakers
}

/// Two addresses that are one server's, at one listener.
struct Pair<'a> {
    hearing: &'a Hearing,
    usual: IpAddr,
    rare: IpAddr,
    rare_n: u64,
    owner: Option<String>,
    relation: Relation,
}

impl<'a> Pair<'a> {
    fn of(hearing: &'a Hearing, a: IpAddr, b: IpAddr, scene: &Scene) -> Option<Pair<'a>> {
        let n = |address: &IpAddr| hearing.senders.get(address).map_or(0, |heard| heard.n);
        let (usual, rare) = if is_main(a, b, hearing) { (a, b) } else { (b, a) };
        let poll = hearing.senders.get(&usual).and_then(|heard| heard.poll);
        let relation = relation(&hearing.windows, usual, rare, poll);
        let owner = scene.owner(usual).filter(|owner| scene.owner(rare) == Some(owner)).map(str::to_owned);
        let says_so = owner.is_some() && n(&rare) >= FEWEST;
        // A server's own capture of all its interfaces shows what it sends to several networks, each from one address.
        let own = hearing.host.is_some() && hearing.host == owner && hearing.words.ends_with("any");
        ((relation.is_one() || says_so) && !own).then(|| Pair {
            hearing,
            usual,
            rare,
            rare_n: n(&rare),
            owner,
            relation,
        })
    }
}

/// Whether the first of two addresses is the usual one: it is heard more often, or else it is in the network of others.
fn is_main(a: IpAddr, b: IpAddr, hearing: &Hearing) -> bool {
    /// Counts that differ by less are equal: recordings begin and end between packets.
    const EQUAL: f64 = 0.9;
    let n = |address: IpAddr| hearing.senders.get(&address).map_or(0, |heard| heard.n) as f64;
    let (of_a, of_b) = (n(a), n(b));
    if of_a < EQUAL * of_b || of_b < EQUAL * of_a {
        return of_a > of_b;
    }
    let near = |address: IpAddr| {
        let others = hearing.senders.keys().filter(|other| **other != a && **other != b);
        others.map(|other| bits_alike(address, *other)).max().unwrap_or(0)
    };
    near(a) >= near(b)
}

/// How many leading bits two addresses share.
fn bits_alike(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    }
}

impl Speaker {
    fn take(&mut self, pair: Pair<'_>) {
        for address in [pair.usual, pair.rare] {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        self.manner = self.manner.or(pair.relation.manner());
        self.owner = self.owner.take().or(pair.owner);
        if !self.heard.iter().any(|hearing| hearing.words == pair.hearing.words) {
            self.heard.push(pair.hearing.clone());
        }
    }

    /// The address under which it is heard most.
    pub fn main(&self) -> IpAddr {
        self.addresses[0]
    }

    /// Hosts that have taken several of its addresses for sources.
    fn followers(&self) -> BTreeSet<&str> {
        self.heard.iter().filter(|hearing| hearing.own).filter_map(|hearing| hearing.host.as_deref()).collect()
    }

    fn poll_s(&self) -> f64 {
        let announced = self.heard.iter().filter_map(|hearing| hearing.senders.get(&self.main())?.poll).max();
        announced.map_or(POLL_S, |poll| f64::from(poll).exp2())
    }

    /// Span of what was heard from its other addresses, and the first packet of all.
    fn span(&self) -> (Option<Time>, Option<Time>, Option<Time>) {
        let rare = || self.heard.iter().flat_map(|h| &h.senders).filter(|(a, _)| self.addresses[1..].contains(a));
        let first = self.heard.iter().flat_map(|h| h.senders.values()).map(|heard| heard.first.0).min();
        (rare().map(|(_, h)| h.first.0).min(), rare().map(|(_, h)| h.last.0).max(), first)
    }
}

impl Clocks<'_> {
    /// Cases of servers that are heard under several addresses, and of access lists that were to help and don't.
    pub(super) fn multicast(&mut self) -> Vec<Case> {
        let hearings = hearings(self.rules, self.scene);
        let speakers = speakers(&hearings, self.scene);
        let mut cases: Vec<Case> = speakers.iter().filter_map(|speaker| self.speaker(speaker, &hearings)).collect();
        cases.extend(self.restrictions(&speakers, &hearings));
        cases.extend(self.suspects(&speakers, &hearings));
        self.configured(&hearings);
        cases
    }

    fn speaker(&mut self, speaker: &Speaker, hearings: &[Hearing]) -> Option<Case> {
        let found = self.heard_under(speaker)?;
        let mut weighed = Weighed::new("heard", found);
        weighed.hold("one-server-many-addresses", true, found);
        if let Some(manner) = speaker.manner {
            weighed.hold("speaks-in-turn", manner == Manner::InTurn, found);
        }
        if let Some(host) = speaker.owner.clone().or(self.scene.owner(speaker.main()).map(str::to_owned)) {
            self.server(&host, speaker, &mut weighed);
        }
        for id in self.hidden(speaker, hearings) {
            weighed.hold("ignored-by-clients", true, id);
        }
        let (since, last, first) = speaker.span();
        let from_the_start =
            since.zip(first).is_none_or(|(since, first)| since.since_s(first) < APPEARED_POLLS * speaker.poll_s());
        let name = speaker.owner.clone().unwrap_or_else(|| self.scene.name(speaker.main()));
        // One clock with two votes harms no clock by itself: its clients are named with what they hear.
        let affected = BTreeSet::new();
        Some(Case { weighed, place: Place::Server(name, speaker.main()), affected, since, from_the_start, last })
    }

    /// What was heard: the finding of the case.
    fn heard_under(&mut self, speaker: &Speaker) -> Option<FindingId> {
        let best = speaker.heard.first()?;
        let n = |address: &IpAddr| best.senders.get(address).map_or(0, |heard| heard.n);
        let counts: Vec<String> = speaker.addresses.iter().map(|a| format!("{} packets from {a}", n(a))).collect();
        let mut evidence = Vec::new();
        for address in speaker.addresses.iter().rev() {
            let heard = speaker.heard.iter().filter_map(|hearing| hearing.senders.get(address));
            evidence.extend(heard.map(|heard| heard.first.1));
        }
        let why = match (speaker.manner, &speaker.owner) {
            (Some(Manner::InTurn), _) => {
                let share = speaker.relation.in_turn;
                format!("{} of {} from the other lie where {} is overdue", share.part, share.whole, speaker.main())
            }
            (Some(Manner::Together), _) => {
                let share = speaker.relation.together;
                format!("{} of {} were sent at one moment with one from {}", share.part, share.whole, speaker.main())
            }
            (None, _) if speaker.relation.same_reference => "both told the same reference time".into(),
            (None, Some(owner)) => format!("{owner} says that all are its own"),
            (None, None) => return None,
        };
        let others: Vec<String> = best
            .senders
            .iter()
            .filter(|(address, _)| !speaker.addresses.contains(address))
            .map(|(address, heard)| format!("{} from {address}", heard.n))
            .collect();
        let others = if others.is_empty() { String::new() } else { format!(", besides {}", others.join(", ")) };
        let followers: Vec<&str> = speaker.followers().into_iter().collect();
        let followers = match followers.as_slice() {
            [] => String::new(),
            some => format!("; several sources to {}", some.join(", ")),
        };
        let subject = self.scene.name(speaker.main());
        let mut measures = vec![
            ("addresses", Measure::Number(speaker.addresses.len() as f64)),
            ("packets_usual", Measure::Number(n(&speaker.main()) as f64)),
            ("packets_other", Measure::Number(speaker.addresses[1..].iter().map(n).sum::<u64>() as f64)),
            ("address_other", Measure::Word(speaker.addresses[1].to_string())),
            ("together", Measure::Share(speaker.relation.together)),
        ];
        if speaker.relation.in_turn.whole > 0 {
            measures.push(("in_turn", Measure::Share(speaker.relation.in_turn)));
        }
        Some(self.findings.add(Finding {
            rule: "multicast",
            statement: format!(
                "{subject} speaks to {} from {} addresses: {} in {}{others}; {why}{followers}",
                speaker.group,
                speaker.addresses.len(),
                counts.join(" and "),
                best.words,
            ),
            subject,
            measures,
            evidence: Evidence::of(evidence)?,
            recipe: Some(best.recipe.clone()),
        }))
    }

    /// What the server's own files say: its version, and whether a route pins the address that it sends from.
    fn server(&mut self, host: &str, speaker: &Speaker, weighed: &mut Weighed) {
        let inputs = self.scene.inputs_of(host);
        if let Some((version, text, origin)) = self.rules.daemon.version(&inputs) {
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: host.to_owned(),
                statement: format!("{host} runs {text}"),
                measures: vec![("version", Measure::Word(version.to_string()))],
                evidence: Evidence::at(origin),
                recipe: Some("ntpq -c 'rv 0 version'".into()),
            });
            weighed.version = Some((version, id));
        }
        let family = |to: IpAddr| to.is_ipv4() == speaker.group.is_ipv4();
        let routes: Vec<_> = self.rules.senders.routes(&inputs).filter(|(((to, _), _), _)| family(*to)).collect();
        let to_group = routes.iter().find(|(((to, _), interface), _)| to.is_multicast() && !interface.is_empty());
        let Some((_, origin)) = to_group.or(routes.first()) else { return };
        let statement = match to_group {
            Some((((to, bits), interface), _)) => format!("{host} has a route to groups: {to}/{bits} by {interface}"),
            None => format!("the routes of {host} name none for {}: the default decides", speaker.group),
        };
        let id = self.findings.add(Finding {
            rule: "multicast",
            subject: host.to_owned(),
            statement,
            measures: vec![("routes", Measure::Number(routes.len() as f64))],
            evidence: Evidence::at(*origin),
            recipe: Some(format!("on {host}: ip route get {}", speaker.group)),
        });
        weighed.hold("group-route", to_group.is_some(), id);
    }

    /// Clients that ignore one of a server's addresses: the line hides it, and what comes from there is missing.
    fn hidden(&mut self, speaker: &Speaker, hearings: &[Hearing]) -> Vec<FindingId> {
        let mut told = Vec::new();
        for hearing in hearings.iter().filter(|hearing| hearing.own && hearing.group == speaker.group) {
            let Some(host) = hearing.host.clone() else { continue };
            let said = ntpd(self.rules, &self.scene.inputs_of(&host));
            let lacks = |address: &&IpAddr| !hearing.senders.contains_key(*address);
            let ignored = |address: &IpAddr| Some((*address, said.decides(*address).filter(|line| line.ignores)?));
            let Some((address, line)) = speaker.addresses.iter().filter(lacks).find_map(ignored) else { continue };
            let n = |sender: &IpAddr| hearing.senders.get(sender).map_or(0, |heard| heard.n);
            let own: u64 = speaker.addresses.iter().map(n).sum();
            let others: Vec<u64> =
                hearing.senders.iter().filter(|(a, _)| !speaker.addresses.contains(a)).map(|(_, h)| h.n).collect();
            let Some(most) = others.iter().max() else { continue };
            let id = self.findings.add(Finding {
                rule: "sources",
                subject: host.clone(),
                statement: format!(
                    "{host} ignores {address}, and so has {own} samples of {}, against up to {most} of the others: \
                     the line hides the address, and what is sent from it is missing",
                    self.scene.name(speaker.main())
                ),
                measures: vec![
                    ("samples", Measure::Number(own as f64)),
                    ("samples_other", Measure::Number(*most as f64)),
                ],
                evidence: Evidence::at(line.origin),
                recipe: Some(hearing.recipe.clone()),
            });
            told.push(id);
        }
        told
    }
}
