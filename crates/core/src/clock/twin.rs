//! Rule `twin`: a host whose clock is fine, as like as can be to one whose clock is not, and what differs between the two.
//!
//! What both have can't be the cause; what only one has may be.

use super::Clocks;
use crate::model::{Daemon, Happening, InputId, Origin};
use crate::rules::daemon::Directive;
use crate::rules::series::Sample;
use crate::rules::{Evidence, Finding, FindingId, Measure, Summaries};
use crate::scene::{Scene, is_clock};
use crate::stats::median;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// When a host is a twin.
struct Limits {
    /// Samples of its clock that it takes to say how it is.
    samples: usize,
    /// The clock is fine that stays within this part of how far the other goes.
    calmer: f64,
    /// Share of their sources that both ask.
    shared: f64,
    /// Lines of configuration that are named; the others are counted.
    lines: usize,
}

const LIMITS: Limits = Limits { samples: 20, calmer: 0.25, shared: 0.5, lines: 4 };

/// How far a clock goes: all but this share of its offsets are nearer. A single spike makes no fault.
const ALL_BUT: f64 = 0.01;

/// Variables of the daemon that say what it runs on.
const SYSTEM: [(&str, &str); 2] = [("system", "operating system"), ("processor", "processor")];

/// A host that is fine, and what is other there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Twin {
    /// Its name.
    pub host: String,
    /// How far its clock goes, in seconds.
    pub reach_s: f64,
    /// How far the other's goes.
    pub other_s: f64,
    /// Sources that both have.
    pub shared: usize,
    /// What differs.
    pub differences: Vec<Difference>,
    /// A sample of each clock.
    pub seen: [Origin; 2],
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// What.
    pub what: &'static str,
    /// How it is where the clock is wrong.
    pub here: String,
    /// How it is where the clock is fine.
    pub there: String,
}

/// The most similar of the hosts that are fine.
pub(super) fn twin(host: &str, faulty: &BTreeSet<String>, rules: &Summaries, scene: &Scene) -> Option<Twin> {
    let own = Profile::of(host, rules, scene)?;
    let others = scene.hosts().into_iter().filter(|other| *other != host && !faulty.contains(*other));
    let fine = others.filter_map(|other| Profile::of(other, rules, scene)).filter(|other| {
        let shared = own.sources.intersection(&other.sources).count() as f64;
        other.reach_s <= LIMITS.calmer * own.reach_s && shared >= LIMITS.shared * own.sources.len().max(1) as f64
    });
    let best = fine.max_by(|a, b| own.likeness(a).total_cmp(&own.likeness(b)).then(b.host.cmp(&a.host)))?;
    Some(Twin {
        reach_s: best.reach_s,
        other_s: own.reach_s,
        shared: own.sources.intersection(&best.sources).count(),
        differences: own.differences(&best),
        seen: [own.widest.1, best.widest.1],
        host: best.host,
    })
}

/// What is known of a host that may tell it from another.
struct Profile {
    host: String,
    reach_s: f64,
    widest: (f64, Origin),
    sources: BTreeSet<String>,
    /// Median delay to each source, in seconds.
    delays: BTreeMap<String, f64>,
    address: Option<IpAddr>,
    /// By what it is: the daemon's version, the operating system, the kernel's clock source.
    facts: BTreeMap<&'static str, String>,
    language: Option<Daemon>,
    lines: BTreeSet<String>,
}

impl Profile {
    fn of(host: &str, rules: &Summaries, scene: &Scene) -> Option<Profile> {
        let inputs = scene.inputs_of(host);
        let clock = rules.series.clock(&inputs);
        let mut offsets: Vec<(f64, Origin)> = clock.iter().map(|s| (s.offset_s.abs(), s.origin)).collect();
        offsets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = offsets.len().checked_sub(1).filter(|last| *last + 1 >= LIMITS.samples)?;
        let (widest, reach_s) = (offsets[last], offsets[(last as f64 * (1.0 - ALL_BUT)) as usize].0);
        let sources = rules.series.sources(&inputs);
        let delays =
            sources.iter().filter_map(|(name, samples)| Some(((*name).to_owned(), delay_s(samples)?))).collect();
        let is_server = |name: &str| !name.parse().is_ok_and(is_clock);
        Some(Profile {
            host: host.to_owned(),
            reach_s,
            widest,
            sources: sources.keys().filter(|name| is_server(name)).map(|name| (*name).to_owned()).collect(),
            delays,
            address: scene.claims().find(|(_, claim)| claim.host == host).map(|(address, _)| address),
            facts: facts(&inputs, rules),
            language: rules.daemon.directives(&inputs).next().map(|line| line.daemon),
            lines: rules.daemon.directives(&inputs).filter(|line| steers(&line.keyword)).map(line).collect(),
        })
    }

    /// How like two hosts are: their sources, their place, their daemon.
    fn likeness(&self, other: &Profile) -> f64 {
        let both = self.sources.intersection(&other.sources).count() as f64;
        let all = self.sources.union(&other.sources).count().max(1) as f64;
        // Hosts of one site are called alike: `dc1-xen1` and `dc1-xen2`.
        let alike = self.host.chars().zip(other.host.chars()).take_while(|(a, b)| a == b).count() as f64;
        let longest = self.host.chars().count().max(other.host.chars().count()).max(1) as f64;
        let near = match (self.address, other.address) {
            (Some(IpAddr::V4(a)), Some(IpAddr::V4(b))) => f64::from((a.to_bits() ^ b.to_bits()).leading_zeros()) / 32.0,
            _ => 0.0,
        };
        let same = self.facts.iter().filter(|(what, fact)| other.facts.get(*what) == Some(fact)).count() as f64;
        4.0 * both / all + alike / longest + near + 0.5 * same
    }

    fn differences(&self, other: &Profile) -> Vec<Difference> {
        let mut found = Vec::new();
        for (what, here) in &self.facts {
            if let Some(there) = other.facts.get(what).filter(|there| *there != here) {
                found.push(Difference { what, here: here.clone(), there: there.clone() });
            }
        }
        let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            let own: Vec<&String> = a.difference(b).collect();
            let named: Vec<&str> = own.iter().take(LIMITS.lines).map(|line| line.as_str()).collect();
            let more = own.len().saturating_sub(LIMITS.lines);
            match (named.is_empty(), more) {
                (true, _) => "nothing more".to_owned(),
                (false, 0) => named.join(", "),
                (false, more) => format!("{} and {more} more", named.join(", ")),
            }
        };
        let sets = [("sources", &self.sources, &other.sources), ("configuration", &self.lines, &other.lines)];
        // Lines of two languages all differ, and tell nothing.
        let sets = sets.iter().take(if self.language == other.language { 2 } else { 1 });
        for &(what, here, there) in sets {
            if here != there && !here.is_empty() && !there.is_empty() {
                found.push(Difference { what, here: only(here, there), there: only(there, here) });
            }
        }
        found.extend(self.network(other));
        found
    }

    /// Whether the way to a source that both ask is several times as long for one.
    fn network(&self, other: &Profile) -> Option<Difference> {
        const LONGER: f64 = 3.0;
        let both = self.delays.iter().filter_map(|(name, here)| Some((name, *here, *other.delays.get(name)?)));
        let ratio = |here: f64, there: f64| (here / there).max(there / here);
        let (name, here, there) = both
            .filter(|(_, here, there)| *here > 0.0 && *there > 0.0 && ratio(*here, *there) >= LONGER)
            .max_by(|a, b| ratio(a.1, a.2).total_cmp(&ratio(b.1, b.2)))?;
        let words = |delay_s: f64| format!("{:.3} ms to {name}", delay_s * 1e3);
        Some(Difference { what: "delay", here: words(here), there: words(there) })
    }
}

/// Lines that say where a daemon writes what, and steer no clock.
const RECORDS: [&str; 10] =
    ["statistics", "statsdir", "filegen", "pidfile", "driftfile", "logfile", "logdir", "log", "logconfig", "dumpdir"];

fn steers(keyword: &str) -> bool {
    !RECORDS.contains(&keyword)
}

fn line(directive: &Directive) -> String {
    format!("{} {}", directive.keyword, directive.rest).trim_end().to_owned()
}

/// What daemon and kernel say of themselves.
fn facts(inputs: &[InputId], rules: &Summaries) -> BTreeMap<&'static str, String> {
    let mut facts = BTreeMap::new();
    let language = rules.daemon.directives(inputs).next().map(|line| format!("{:?}", line.daemon).to_lowercase());
    let version = rules.daemon.version(inputs).map(|(version, ..)| version.to_string());
    facts.extend(version.or(language).map(|daemon| ("daemon", daemon)));
    for (name, what) in SYSTEM {
        facts.extend(rules.daemon.variable(inputs, name).map(|value| (what, value.to_owned())));
    }
    let mut happened = rules.happenings.of(inputs).into_iter();
    let clock_source = happened.rfind(|h| h.kind == Happening::ClockSource && !h.source.is_empty());
    facts.extend(clock_source.map(|h| ("clock source", h.source.clone())));
    facts
}

/// Median of the delays that samples have.
fn delay_s(samples: &[Sample]) -> Option<f64> {
    median(samples.iter().map(|s| f64::from(s.delay_s)).filter(|delay| delay.is_finite()))
}

impl Clocks<'_> {
    /// The finding of what differs between a host whose clock is wrong and its twin; `None` where it has none.
    pub fn twin(&mut self, host: &str, faulty: &BTreeSet<String>) -> Option<FindingId> {
        let twin = twin(host, faulty, self.rules, self.scene)?;
        let Twin { host: other, reach_s, other_s, shared, differences, seen } = twin;
        let told: Vec<String> =
            differences.iter().map(|d| format!("{}: {} here, {} there", d.what, d.here, d.there)).collect();
        let told = match told.as_slice() {
            [] => {
                "nothing that the evidence tells of differs: look at what it does not tell (the host's own time, clock \
                   source, virtualisation)"
                    .to_owned()
            }
            told => format!("what differs: {}", told.join("; ")),
        };
        Some(self.findings.add(Finding {
            rule: "twin",
            subject: host.to_owned(),
            statement: format!(
                "{other} asks {shared} of the same sources and stays within {:.3} ms, where {host} goes to {:.3} ms; {told}",
                reach_s * 1e3,
                other_s * 1e3
            ),
            measures: vec![
                ("twin", Measure::Word(other.clone())),
                ("offset_ms", Measure::Number(other_s * 1e3)),
                ("offset_twin_ms", Measure::Number(reach_s * 1e3)),
                ("differences", Measure::Number(differences.len() as f64)),
            ],
            evidence: Evidence::of(seen)?,
            recipe: Some(format!("diff {host}/ntp.conf {other}/ntp.conf; ntpscope plot {host} {other}")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, Clock, Event, Peer, Place, Row, What};
    use crate::rules::{Material, Summary};
    use crate::scene::Input;
    use crate::time::{SECOND, Time};

    /// Hosts with how far their clocks go, whom they ask, and a line of their configuration.
    fn evidence(hosts: &[(&str, f64, &str, &str)]) -> (Summaries, Scene) {
        let input = |host: &&str| Input { host: Some((*host).to_owned()), ..Input::default() };
        let scene = Scene::of(hosts.iter().map(|(host, ..)| host).map(input).collect());
        let mut rules = Summaries::default();
        for ((_, reach_s, source, line), n) in hosts.iter().zip(0..) {
            let at = |second: u32| {
                let origin = Origin { input: InputId(n), place: Place::Line(second + 1) };
                At { time: Some(Time(i64::from(second) * SECOND)), ..At::origin(origin) }
            };
            for second in 0..40 {
                let offset_s = Some(reach_s * f64::from(second).sin());
                rules.fold(Material::Row(&Row::Clock(Clock { offset_s, ..Clock::new(at(second)) })));
                rules.fold(Material::Row(&Row::Peer(Peer { offset_s, ..Peer::new(at(second), source) })));
            }
            let what = What::Directive { daemon: Daemon::Ntpd, keyword: "tinker", rest: line };
            rules.fold(Material::Row(&Row::Event(Event { at: at(0), what })));
        }
        (rules, scene)
    }

    #[test]
    fn the_twin_is_fine_asks_the_same_and_differs_in_what_is_told() {
        let (rules, scene) = evidence(&[
            ("dc1-xen1", 0.002, "192.0.2.1", "step 0.128"),
            ("dc1-xen2", 0.120, "192.0.2.1", "step 0.5"),
            ("dc2-xen1", 0.001, "192.0.2.1", "step 0.128"),
            ("dc1-web", 0.002, "198.51.100.1", "step 0.5"),
        ]);
        let found = twin("dc1-xen2", &BTreeSet::new(), &rules, &scene).expect("a twin");
        let told: Vec<_> = found.differences.iter().map(|d| (d.what, d.here.as_str(), d.there.as_str())).collect();
        assert_eq!((found.host.as_str(), found.shared), ("dc1-xen1", 1));
        assert_eq!(told, [("configuration", "tinker step 0.5", "tinker step 0.128")]);
        let faulty = BTreeSet::from(["dc1-xen1".to_owned()]);
        assert_eq!(twin("dc1-xen2", &faulty, &rules, &scene).map(|t| t.host), Some("dc2-xen1".into()));
        assert_eq!(twin("dc1-xen1", &BTreeSet::new(), &rules, &scene), None, "a clock that is fine has none");
    }
}
