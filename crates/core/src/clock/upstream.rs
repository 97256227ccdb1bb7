//! Sources that look independent and are not: several follow one, or hosts follow each other in a ring.

use super::agreement::{Standing, standing};
use super::apart::View;

use super::verdict::{follows, seconds};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::model::Origin;
use crate::rules::upstream::{Reference, Spell, reference};
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::signs::Weighed;
use crate::stats::median;
use crate::time::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// When the sources that share an upstream have moved, the host's clock lags behind them, for so long before and after the
/// one that did not move is seen apart.
const BEFORE: i64 = 3 * 3600 * SECOND;
/// See [`BEFORE`].
const AFTER: i64 = 3 * 3600 * SECOND;

/// It lags by this share of the move at the least, and by this many times what is usual.
const LAGS: f64 = 0.2;
/// See [`LAGS`].
const UNUSUAL: f64 = 5.0;

/// How alike the way of one is to that of all.
const ALIKE: f64 = 0.3;

/// Hosts in a ring, at the most.
const LONGEST_RING: usize = 6;

/// A ring has to hold together for so long, in seconds: symmetric peers that swap roles name each other for a poll.
const RING_S: f64 = 1800.0;

/// In a ring each counts one more than the one before, round and round; in a tree a stratum changes by one or two.
const CLIMBS: u8 = 4;

/// A source is apart for good that is so at the end, by this share of the most.
const STAYS: f64 = 0.5;

/// Sources of one host that follow one upstream, and one source that is apart from them.
struct Shared<'a> {
    upstream: IpAddr,
    view: &'a View,
    standing: Standing,
    members: Vec<(&'a View, Origin)>,
    at: Time,
    /// How far the host's clock was from them when they parted, at the most, and usually.
    lag_s: (f64, f64),
    /// One of them was there before the others.
    ahead: bool,
}

impl Shared<'_> {
    /// Whether the many moved, and not the one: one went first, or the host's clock, which had followed them, was left
    /// behind.
    fn moved(&self) -> bool {
        let (most_s, usual_s) = self.lag_s;
        self.ahead || most_s >= LAGS * self.standing.at_last_s.abs() && most_s >= UNUSUAL * usual_s
    }
}

/// How far a host's clock was from the middle of its sources about a time at the most, and usually at others.
fn lag(view: &View, at: Time) -> Option<(f64, f64)> {
    let is_near = |time: Time| time.0 >= at.0 - BEFORE && time.0 <= at.0 + AFTER;
    let middles = view.points.iter().map(|p| (p.sample.time, (p.sample.offset_s - p.apart_s).abs()));
    let (near, far): (Vec<_>, Vec<_>) = middles.partition(|(time, _)| is_near(*time));
    let most_s = near.into_iter().map(|(_, s)| s).fold(0.0, f64::max);
    Some((most_s, median(far.into_iter().map(|(_, s)| s))?))
}

/// Who names whom as its reference, and while.
struct Edge {
    from: String,
    to: String,
    span: (Time, Time),
    stratum: (u8, u8),
    origin: Origin,
}

impl Clocks<'_> {
    /// Where a source seems apart from others that all follow one upstream, and it was these that moved: the case is the
    /// upstream's, and neither that source's nor theirs. Gives the hosts that this is true of.
    pub(super) fn shared_upstreams(&mut self, views: &[View], cases: &mut BTreeMap<String, Case>) -> BTreeSet<String> {
        let off = |view: &&View| view.sources > 2 && cases.contains_key(&view.source);
        let seen: Vec<Shared<'_>> =
            views.iter().filter(off).filter_map(|view| self.shared_upstream(view, views)).collect();
        let moved: BTreeSet<IpAddr> = seen
            .iter()
            .filter(|s| s.moved() || cases.contains_key(&self.scene.name(s.upstream)))
            .map(|s| s.upstream)
            .collect();
        let hosts: BTreeSet<String> = self.scene.hosts().into_iter().map(str::to_owned).collect();
        let mut explained = BTreeSet::new();
        for shared in seen.iter().filter(|s| moved.contains(&s.upstream)) {
            let Some(id) = self.tell_shared(shared) else { continue };
            let name = self.scene.name(shared.upstream);
            let wrongly = cases.remove(&shared.view.source);
            let members: BTreeSet<&String> = shared.members.iter().map(|(other, _)| &other.source).collect();
            cases.retain(|source, _| !members.contains(source));
            let since = wrongly.as_ref().and_then(|case| case.since);
            let case = cases.entry(name.clone()).or_insert_with(|| Case {
                weighed: Weighed::new("source", id),
                place: Place::Source(name, Some(shared.upstream)),
                affected: BTreeSet::new(),
                since,
                from_the_start: wrongly.as_ref().is_some_and(|case| case.from_the_start),
                last: None,
            });
            case.weighed.hold("shared-upstream", true, id);
            case.affected.extend(members.into_iter().filter(|member| hosts.contains(*member)).cloned());
            if !follows(shared.view, &shared.standing) {
                case.affected.insert(shared.view.host.clone());
            }
            case.last = case.last.max(wrongly.and_then(|case| case.last));
            explained.insert(shared.view.host.clone());
        }
        explained
    }

    /// The upstream that most of the other sources of a host share, where the source of the view stays apart from them.
    fn shared_upstream<'a>(&self, view: &'a View, views: &'a [View]) -> Option<Shared<'a>> {
        let standing = standing(view);
        let jump = standing.jumps.iter().max_by(|a, b| a.by_s.abs().total_cmp(&b.by_s.abs()));
        let far_s = jump.map_or(0.0, |jump| jump.by_s.abs()).max(standing.beyond.map_or(0.0, |b| b.apart_s.abs()));
        // What is away for a while only follows at its own pace.
        if !standing.is_off() || standing.at_last_s.abs() < STAYS * far_s {
            return None;
        }
        let at = jump.map(|jump| jump.between.1.time).or(standing.beyond.map(|beyond| beyond.ends.0.time))?;
        let inputs = self.scene.inputs_of(&view.host);
        let others: Vec<&View> = views.iter().filter(|v| v.host == view.host && v.source != view.source).collect();
        let mut upstreams: BTreeMap<IpAddr, BTreeMap<&str, (&View, Origin)>> = BTreeMap::new();
        for other in &others {
            for spell in self.rules.upstream.spells(&inputs, &other.printed) {
                if let Reference::Address(upstream) = reference(&spell.refid) {
                    upstreams.entry(upstream).or_default().entry(&other.source).or_insert((other, spell.origin));
                }
            }
        }
        let (upstream, members) = upstreams.into_iter().max_by_key(|(_, members)| members.len())?;
        if members.len() < 2 || members.len() * 2 <= others.len() {
            return None;
        }
        let members: Vec<(&View, Origin)> = members.into_values().collect();
        let lags: Vec<(f64, f64)> = members.iter().filter_map(|(other, _)| lag(other, at)).collect();
        let most_s = median(lags.iter().map(|(most_s, _)| *most_s))?;
        let usual_s = median(lags.iter().map(|(_, usual_s)| *usual_s))?;
        let way_s = -standing.at_last_s;
        let went = |s: f64| (s - way_s).abs() <= ALIKE * way_s.abs();
        let ahead = members.iter().any(|(other, _)| {
            let own = super::agreement::standing(other);
            own.jumps.iter().any(|jump| went(jump.by_s)) || own.beyond.is_some_and(|beyond| went(beyond.apart_s))
        });
        Some(Shared { upstream, view, standing, members, at, lag_s: (most_s, usual_s), ahead })
    }

    fn tell_shared(&mut self, shared: &Shared<'_>) -> Option<FindingId> {
        let Shared { upstream, view, standing, members, at, lag_s, .. } = shared;
        let names: Vec<&str> = members.iter().map(|(other, _)| other.source.as_str()).collect();
        let upstream = self.scene.full_name(*upstream);
        Some(self.findings.add(Finding {
            rule: "agreement",
            subject: upstream.clone(),
            statement: format!(
                "{} of {} sources of {} name {upstream} as their reference ({}), and are {} from {}; the clock of {} was up \
                 to {} away from them about {at}: it was they that moved",
                names.len(),
                view.sources,
                view.host,
                names.join(", "),
                seconds(-standing.at_last_s),
                view.source,
                view.host,
                seconds(lag_s.0).trim_start_matches('+'),
            ),
            measures: vec![
                ("moved_s", Measure::Number(-standing.at_last_s)),
                ("lagged_s", Measure::Number(lag_s.0)),
                ("sources", Measure::Number(names.len() as f64)),
            ],
            evidence: Evidence::of(members.iter().map(|(_, origin)| *origin))?,
            recipe: Some(format!("ntpq -pn, or rawstats' last columns, of {}: the reference ids", view.host)),
        }))
    }

    /// Hosts that follow each other in a ring.
    pub(super) fn loops(&mut self, views: &[View]) -> Vec<Case> {
        let edges = self.edges(views);
        let mut rings: BTreeMap<BTreeSet<&str>, Vec<&Edge>> = BTreeMap::new();
        for edge in &edges {
            close(&edges, &mut vec![edge], edge.span, &mut rings);
        }
        let mut cases = Vec::new();
        for (hosts, ring) in rings {
            let span = ring.iter().fold(ring[0].span, |span, edge| both(span, edge.span));
            let (low, high) = ring
                .iter()
                .filter(|edge| edge.stratum.1 > 0 && edge.stratum.1 <= 16)
                .fold((u8::MAX, 0), |(low, high), edge| (low.min(edge.stratum.0), high.max(edge.stratum.1)));
            let names: Vec<&str> = hosts.iter().copied().collect();
            let Some(evidence) = Evidence::of(ring.iter().map(|edge| edge.origin)) else { continue };
            let way: Vec<&str> = ring.iter().map(|edge| edge.from.as_str()).chain([ring[0].from.as_str()]).collect();
            let climbs = high >= low.saturating_add(CLIMBS);
            let id = self.findings.add(Finding {
                rule: "agreement",
                subject: names.join(", "),
                statement: format!(
                    "each names the next as its reference: {}, all from {} to {}; strata from {low} to {high}",
                    way.join(" → "),
                    span.0,
                    span.1
                ),
                measures: vec![
                    ("hosts", Measure::Number(names.len() as f64)),
                    ("lowest_stratum", Measure::Number(f64::from(low))),
                    ("highest_stratum", Measure::Number(f64::from(high))),
                ],
                evidence,
                recipe: Some("ntpq -pn on each: the reference ids and strata of the sources".into()),
            });
            let mut weighed = Weighed::new("sources", id);
            weighed.hold("ring", true, id);
            weighed.hold("stratum-climbs", climbs, id);
            cases.push(Case {
                weighed,
                place: Place::Client(names[0].to_owned()),
                affected: hosts.iter().map(|host| (*host).to_owned()).collect(),
                since: Some(span.0),
                from_the_start: false,
                last: Some(span.1),
            });
        }
        cases
    }

    /// Who names whom, by the names of hosts, in all evidence.
    fn edges(&self, views: &[View]) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::new();
        for view in views {
            let inputs = self.scene.inputs_of(&view.host);
            let (mut low, mut high) = (u8::MAX, 0);
            let spells: Vec<&Spell> = self.rules.upstream.spells(&inputs, &view.printed).collect();
            for spell in &spells {
                (low, high) = (low.min(spell.stratum.0), high.max(spell.stratum.1));
            }
            for spell in spells {
                let Reference::Address(upstream) = reference(&spell.refid) else { continue };
                let (to, Some(span)) = (self.scene.name(upstream), spell.span) else { continue };
                let same = |edge: &&mut Edge| edge.from == view.source && edge.to == to && meet(edge.span, span);
                match edges.iter_mut().find(same) {
                    Some(edge) => edge.span = (edge.span.0.min(span.0), edge.span.1.max(span.1)),
                    None => edges.push(Edge {
                        from: view.source.clone(),
                        to,
                        span,
                        stratum: (low, high),
                        origin: spell.origin,
                    }),
                }
            }
        }
        edges.retain(|edge| edge.from != edge.to);
        edges
    }
}

/// The time that two spans have in common.
fn both(a: (Time, Time), b: (Time, Time)) -> (Time, Time) {
    (a.0.max(b.0), a.1.min(b.1))
}

fn meet(a: (Time, Time), b: (Time, Time)) -> bool {
    let (from, to) = both(a, b);
    from <= to
}

/// Follows references from where `way` has come to, and keeps those that come back to where it began.
fn close<'a>(
    edges: &'a [Edge],
    way: &mut Vec<&'a Edge>,
    span: (Time, Time),
    rings: &mut BTreeMap<BTreeSet<&'a str>, Vec<&'a Edge>>,
) {
    let (Some(first), Some(last)) = (way.first().copied(), way.last().copied()) else { return };
    if span.1.since_s(span.0) < RING_S {
        return;
    }
    if last.to == first.from {
        let hosts: BTreeSet<&str> = way.iter().map(|edge| edge.from.as_str()).collect();
        rings.entry(hosts).or_insert_with(|| way.clone());
        return;
    }
    if way.len() == LONGEST_RING || way.iter().any(|edge| edge.from == last.to) {
        return;
    }
    for next in edges.iter().filter(|edge| edge.from == last.to) {
        way.push(next);
        close(edges, way, both(span, next.span), rings);
        way.pop();
    }
}
