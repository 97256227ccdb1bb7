//! Rule `path`: where on the way each request was last seen.
//!
//! The order of the capture points follows from the packets themselves, never from names or clocks: routers lower
//! the TTL; a request reaches the nearer point first and its reply last, so the nearer point waits longer for it,
//! whatever the clocks say; and a lost request stops at the nearer one.

use super::exchange::Count;
use super::{Material, Sampled, Summary};
use crate::exchange::{Exchange, Fate, LATE_S, PointId, Points, Sighting};
use crate::scene::Scene;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Where requests were seen, by server and client, and how pairs of points stand to each other.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    traces: Sampled<Trace, Count>,
    pairs: Sampled<(IpAddr, PointId, PointId), Pair>,
}

/// Requests that were seen at the same points and met the same fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trace {
    /// Whom the client asked.
    pub server: IpAddr,
    /// Who asked, as seen nearest to the client.
    pub client: IpAddr,
    /// What became of it.
    pub fate: Fate,
    /// Where the request was seen.
    pub requests: Points,
    /// Where a reply or an ICMP error was seen.
    pub replies: Points,
    /// Which points were recording.
    pub covered: Points,
    /// Where the reply came late ([`LATE_S`]) after the request.
    pub slow: Points,
}

/// How two points stand to each other, in requests to one server that both saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pair {
    /// Requests with a lower TTL at the second point, and at the first.
    pub ttl: (u64, u64),
    /// Exchanges whose transits say that the first point is nearer to the client, and the second.
    pub transit: (u64, u64),
}

impl Summary for Traces {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        // Without a transmit timestamp of its own a request can't be found again at another point.
        if exchange.weak && exchange.covered.iter().nth(1).is_some() {
            return;
        }
        let (near, far) = (exchange.near(), exchange.far());
        let answers = exchange.replies.iter().map(|(s, _)| s).chain(exchange.errors.iter().map(|(s, ..)| s));
        let trace = Trace {
            server: near.destination.0,
            client: near.source.0,
            fate: exchange.fate,
            requests: exchange.requests.iter().map(|s| s.point).collect(),
            replies: answers.map(|s| s.point).collect(),
            covered: exchange.covered,
            slow: exchange
                .requests
                .iter()
                .filter(|s| exchange.wait_s(s.point).is_some_and(|w| w > LATE_S))
                .map(|s| s.point)
                .collect(),
        };
        if let Some(count) = self.traces.entry(trace) {
            count.one(near.time, far.origin);
        }
        for (i, a) in exchange.requests.iter().enumerate() {
            for b in &exchange.requests[i + 1..] {
                self.pair(trace.server, exchange, a, b);
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.traces.merge(later.traces, |a, b| a.add(b));
        self.pairs.merge(later.pairs, |a, b| {
            a.ttl = (a.ttl.0 + b.ttl.0, a.ttl.1 + b.ttl.1);
            a.transit = (a.transit.0 + b.transit.0, a.transit.1 + b.transit.1);
        });
    }
}

impl Traces {
    fn pair(&mut self, server: IpAddr, exchange: &Exchange, a: &Sighting, b: &Sighting) {
        let (a, b) = if a.point < b.point { (a, b) } else { (b, a) };
        let Some(pair) = self.pairs.entry((server, a.point, b.point)) else { return };
        pair.ttl.0 += u64::from(b.ttl < a.ttl);
        pair.ttl.1 += u64::from(a.ttl < b.ttl);
        // The nearer point waits longer for the reply. No clock is compared with another.
        if let (Some(wait_a), Some(wait_b)) = (exchange.wait_s(a.point), exchange.wait_s(b.point)) {
            pair.transit.0 += u64::from(wait_a > wait_b);
            pair.transit.1 += u64::from(wait_a < wait_b);
        }
    }

    /// All traces, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Trace, Count)> {
        self.traces.sorted().into_iter().map(|(trace, count)| (*trace, *count))
    }

    /// What share of all traces is kept: 1 unless there were too many clients to list each.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.traces.share()
    }

    /// The order of the points on the way from each client to each server.
    #[must_use]
    pub fn routes(&self, scene: &Scene) -> Routes {
        let mut seen: BTreeMap<(IpAddr, IpAddr), Points> = BTreeMap::new();
        for (trace, _) in self.iter() {
            seen.entry((trace.server, trace.client)).or_default().0 |= trace.requests.0;
        }
        let mut order = Order { traces: self.iter().collect(), pairs: &self.pairs, known: BTreeMap::new() };
        let mut routes = Routes::default();
        for (way, points) in seen {
            let points: Vec<PointId> = points.iter().collect();
            let mut ranked = Vec::with_capacity(points.len());
            for a in &points {
                let leads = |b: &&PointId| a != *b && order.of(way.0, *a, **b) == Relation::Nearer;
                ranked.push((std::cmp::Reverse(points.iter().filter(leads).count()), *a));
            }
            ranked.sort_unstable();
            routes.ways.insert(way, ranked.into_iter().map(|(_, point)| point).collect());
        }
        let good = |t: &Trace| !matches!(t.fate, Fate::Silent | Fate::Error(..) | Fate::Cut | Fate::Symmetric);
        for (trace, _) in order.traces.iter().filter(|(t, _)| good(t)) {
            let missed = scene.points().map(|(point, _)| point).filter(|point| !trace.requests.contains(*point));
            routes.unreliable.extend(missed.map(|point| (trace.server, point)));
        }
        routes.extend(scene);
        let beside = order.known.into_iter().filter(|(_, relation)| *relation == Relation::Beside);
        routes.beside = beside.map(|(key, _)| key).collect();
        routes
    }
}

/// How one point stands to another on the way of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Nearer,
    Further,
    /// Requests pass one or the other, never both: two interfaces of one server, two paths of equal cost.
    Beside,
}

/// How the points on the way to each server stand to each other, decided once for each pair.
struct Order<'a> {
    traces: Vec<(Trace, Count)>,
    pairs: &'a Sampled<(IpAddr, PointId, PointId), Pair>,
    known: BTreeMap<(IpAddr, PointId, PointId), Relation>,
}

impl Order<'_> {
    fn of(&mut self, server: IpAddr, a: PointId, b: PointId) -> Relation {
        let key = (server, a.min(b), a.max(b));
        let first = match self.known.get(&key) {
            Some(first) => *first,
            None => {
                let first = self.decide(key);
                self.known.insert(key, first);
                first
            }
        };
        match first {
            Relation::Nearer if a > b => Relation::Further,
            Relation::Further if a > b => Relation::Nearer,
            same => same,
        }
    }

    fn decide(&self, key: (IpAddr, PointId, PointId)) -> Relation {
        let (server, a, b) = key;
        let nearer = |first: u64, second: u64| if first > second { Relation::Nearer } else { Relation::Further };
        let pair = self.pairs.get(&key).copied().unwrap_or_default();
        if pair.ttl.0 != pair.ttl.1 {
            return nearer(pair.ttl.0, pair.ttl.1);
        }
        if pair.transit.0 != pair.transit.1 {
            return nearer(pair.transit.0, pair.transit.1);
        }
        // What one saw and the other did not though it was recording, of clients that both know.
        let own = || self.traces.iter().filter(|(t, _)| t.server == server);
        let mut clients: [BTreeSet<IpAddr>; 2] = Default::default();
        for (trace, _) in own() {
            for (set, _) in clients.iter_mut().zip([a, b]).filter(|(_, point)| trace.requests.contains(*point)) {
                set.insert(trace.client);
            }
        }
        let common = |t: &Trace| clients.iter().all(|set| set.contains(&t.client));
        let (mut alone, mut both) = ([0, 0], 0);
        for (trace, count) in own().filter(|(t, _)| common(t)) {
            match [a, b].map(|p| trace.requests.contains(p)) {
                [true, true] => both += count.n,
                [true, false] if trace.covered.contains(b) => alone[0] += count.n,
                [false, true] if trace.covered.contains(a) => alone[1] += count.n,
                _ => {}
            }
        }
        match alone {
            [x, y] if both == 0 && x > 0 && y > 0 => Relation::Beside,
            [x, y] if x != y => nearer(x, y),
            // A point that hears more clients stands where their ways have met.
            _ => nearer(clients[1].len() as u64 + 1, clients[0].len() as u64),
        }
    }
}

/// The points on the way from each client to each server, nearest to the client first.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    ways: BTreeMap<(IpAddr, IpAddr), Vec<PointId>>,
    /// Points beside each other: what one does not see may have passed the other.
    beside: BTreeSet<(IpAddr, PointId, PointId)>,
    /// Points that missed a request which was answered.
    unreliable: BTreeSet<(IpAddr, PointId)>,
}

impl Routes {
    /// The points from `client` to `server`.
    #[must_use]
    pub fn between(&self, server: IpAddr, client: IpAddr) -> &[PointId] {
        self.ways.get(&(server, client)).map_or(&[], Vec::as_slice)
    }

    /// All routes to `server`, by client.
    pub fn to(&self, server: IpAddr) -> impl Iterator<Item = (IpAddr, &[PointId])> {
        let routes = self.ways.iter().filter(move |((s, _), _)| *s == server);
        routes.map(|((_, client), points)| (*client, points.as_slice()))
    }

    /// All servers.
    #[must_use]
    pub fn servers(&self) -> BTreeSet<IpAddr> {
        self.ways.keys().map(|(server, _)| *server).collect()
    }

    fn are_beside(&self, server: IpAddr, a: PointId, b: PointId) -> bool {
        self.beside.contains(&(server, a.min(b), a.max(b)))
    }

    /// Where a client's requests were never seen beyond some point, other clients' routes through it go on; else
    /// they should have been seen at the other interface of the same host, if it was captured and saw nothing.
    fn extend(&mut self, scene: &Scene) {
        let known = self.ways.clone();
        for ((server, _), route) in &mut self.ways {
            let Some(last) = route.last().copied() else { continue };
            let onward = known.iter().filter(|((s, _), _)| s == server).filter_map(|(_, other)| {
                let at = other.iter().position(|p| *p == last)?;
                Some(&other[at + 1..])
            });
            let longest = onward.max_by_key(|rest| rest.len()).unwrap_or_default();
            route.extend(longest.iter().filter(|p| !route.contains(p)).copied().collect::<Vec<_>>());
            if route.last() == Some(&last) {
                let blank = |p: &PointId| *p != last && scene.same_host(*p, last) && !route.contains(p);
                let silent = |p: &PointId| !self.unreliable.contains(&(*server, *p));
                route.extend(scene.points().map(|(p, _)| p).find(|p| blank(p) && silent(p)));
            }
        }
    }
}

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// A request.
    ToServer,
    /// A reply.
    ToClient,
}

/// Where requests come to grief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locus {
    /// They arrive at the server's own capture, and nothing leaves it.
    Server(PointId),
    /// They are seen at one point and not at the next, which was recording; the points are on different hosts.
    Segment(PointId, PointId, Direction),
    /// As above, but both points are on one host.
    Device(PointId, PointId, Direction),
    /// They are seen at this point last; nothing further on was recording.
    Beyond(PointId, Direction),
    /// The answer comes late: it is in time at the first point and late at the second, or (`None`) late already at
    /// the point furthest on.
    Late(Option<(PointId, PointId)>),
    /// An answer comes, but not the one that was asked for.
    Answered(Fate),
}

/// Requests to one server that came to grief at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Symptom {
    /// Whom the clients asked.
    pub server: IpAddr,
    /// Where it happens.
    pub locus: Locus,
    /// Lost requests by client.
    pub lost: BTreeMap<IpAddr, Count>,
    /// Requests that came this far, lost or not.
    pub reached: BTreeMap<IpAddr, u64>,
}

impl Symptom {
    /// All that were lost here, as one count.
    #[must_use]
    pub fn total(&self) -> Count {
        let mut all = Count::default();
        self.lost.values().for_each(|count| all.add(*count));
        all
    }

    /// All that came this far.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.reached.values().sum()
    }
}

impl Traces {
    /// Where requests come to grief, place by place. Whether it is worth a word is for others to judge.
    #[must_use]
    pub fn symptoms(&self, routes: &Routes, scene: &Scene) -> Vec<Symptom> {
        let mut symptoms: BTreeMap<(IpAddr, Locus), Symptom> = BTreeMap::new();
        let traces: Vec<_> = self.iter().map(|(trace, count)| (trace, count, trace.locus(routes, scene))).collect();
        for (trace, count, locus) in &traces {
            let Some(locus) = *locus else { continue };
            let empty = || Symptom { server: trace.server, locus, lost: BTreeMap::new(), reached: BTreeMap::new() };
            let symptom = symptoms.entry((trace.server, locus)).or_insert_with(empty);
            symptom.lost.entry(trace.client).or_default().add(*count);
        }
        for (trace, count, locus) in traces.iter().filter(|(t, ..)| !matches!(t.fate, Fate::Cut | Fate::Symmetric)) {
            for symptom in symptoms.values_mut().filter(|s| s.server == trace.server) {
                if *locus == Some(symptom.locus) || trace.passes(symptom.locus) {
                    *symptom.reached.entry(trace.client).or_default() += count.n;
                }
            }
        }
        symptoms.into_values().collect()
    }
}

/// Two neighbouring points, and how much is lost from one to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hop {
    /// Where the packets were seen.
    pub from: PointId,
    /// Where they were to be seen next.
    pub to: PointId,
    /// Requests or replies.
    pub direction: Direction,
    /// Packets that were seen at `from` while `to` was recording.
    pub came: u64,
    /// Those that no point from `to` on has seen.
    pub lost: u64,
}

impl Traces {
    /// How much is lost between neighbouring points on the way to `server`, in both directions.
    #[must_use]
    pub fn hops(&self, routes: &Routes, server: IpAddr) -> Vec<Hop> {
        let mut hops: BTreeMap<(PointId, PointId, Direction), (u64, u64)> = BTreeMap::new();
        let own = self.iter().filter(|(t, _)| t.server == server && !matches!(t.fate, Fate::Cut | Fate::Symmetric));
        for (trace, count) in own {
            let route = routes.between(server, trace.client);
            for (i, pair) in route.windows(2).enumerate() {
                let (near, far) = (pair[0], pair[1]);
                if routes.are_beside(server, near, far) {
                    continue;
                }
                let further = |from: usize, set: Points| route[from..].iter().any(|p| set.contains(*p));
                let nearer = |to: usize, set: Points| route[..=to].iter().any(|p| set.contains(*p));
                // What was answered has passed, even where a capture missed it.
                let passed = further(i + 1, trace.requests) || !matches!(trace.fate, Fate::Silent | Fate::Error(..));
                if trace.requests.contains(near) && (trace.covered.contains(far) || passed) {
                    let hop = hops.entry((near, far, Direction::ToServer)).or_default();
                    hop.0 += count.n;
                    hop.1 += if passed { 0 } else { count.n };
                }
                let both = trace.requests.contains(near) && trace.requests.contains(far);
                if both && trace.replies.contains(far) && (trace.covered.contains(near) || nearer(i, trace.replies)) {
                    let hop = hops.entry((far, near, Direction::ToClient)).or_default();
                    hop.0 += count.n;
                    hop.1 += if nearer(i, trace.replies) { 0 } else { count.n };
                }
            }
        }
        hops.into_iter().map(|((from, to, direction), (came, lost))| Hop { from, to, direction, came, lost }).collect()
    }
}

impl Trace {
    /// Where this came to grief; `None` where it did not, or where that can't be told.
    fn locus(&self, routes: &Routes, scene: &Scene) -> Option<Locus> {
        let route = routes.between(self.server, self.client);
        let beside = |a: PointId, b: PointId| routes.are_beside(self.server, a, b);
        match self.fate {
            Fate::Cut | Fate::Symmetric => None,
            Fate::Silent => {
                let last = route.iter().rposition(|p| self.requests.contains(*p))?;
                let at = route[last];
                let mut onward = route[last + 1..].iter().copied();
                let next = route.get(last + 1).copied().filter(|p| {
                    // Two interfaces of one host are recorded together, unless something answered has passed unseen.
                    scene.same_host(at, *p) && !routes.unreliable.contains(&(self.server, *p))
                });
                Some(match onward.find(|p| self.covered.contains(*p) && !beside(at, *p)).or(next) {
                    Some(missing) => between(at, missing, Direction::ToServer, scene),
                    None if last + 1 == route.len() && scene.is_at_server(at, self.server) => Locus::Server(at),
                    None => Locus::Beyond(at, Direction::ToServer),
                })
            }
            // The reply must come back to where the request was seen first.
            Fate::Answered | Fate::Late | Fate::Unsynchronised | Fate::Kiss(_) => {
                let back = route.iter().position(|p| self.replies.contains(*p))?;
                let nearer = route[..back].iter().rev().copied();
                // Replies need not take the requests' way: only a point that both were on can miss one.
                let both = self.requests.contains(route[back]);
                let mut missing = nearer.filter(|p| both && self.requests.contains(*p) && self.covered.contains(*p));
                match missing.next() {
                    Some(missing) => Some(between(route[back], missing, Direction::ToClient, scene)),
                    None if self.fate == Fate::Answered => None,
                    None if self.fate == Fate::Late => {
                        let seen: Vec<PointId> = route.iter().copied().filter(|p| self.replies.contains(*p)).collect();
                        let step = seen.windows(2).find(|w| self.slow.contains(w[0]) && !self.slow.contains(w[1]));
                        Some(Locus::Late(step.map(|w| (w[1], w[0]))))
                    }
                    None => Some(Locus::Answered(self.fate)),
                }
            }
            Fate::Elsewhere(_) | Fate::Misdirected(_) | Fate::Error(..) => Some(Locus::Answered(self.fate)),
        }
    }

    /// Whether this request (or its reply) came past `locus`.
    fn passes(&self, locus: Locus) -> bool {
        match locus {
            Locus::Server(at) | Locus::Beyond(at, Direction::ToServer) => self.requests.contains(at),
            Locus::Segment(from, to, Direction::ToServer) | Locus::Device(from, to, Direction::ToServer) => {
                self.requests.contains(from) && self.requests.contains(to)
            }
            Locus::Segment(from, to, Direction::ToClient) | Locus::Device(from, to, Direction::ToClient) => {
                self.replies.contains(from) && self.replies.contains(to)
            }
            Locus::Beyond(at, Direction::ToClient) => self.replies.contains(at),
            Locus::Answered(_) | Locus::Late(_) => true,
        }
    }
}

fn between(from: PointId, to: PointId, direction: Direction, scene: &Scene) -> Locus {
    if scene.same_host(from, to) { Locus::Device(from, to, direction) } else { Locus::Segment(from, to, direction) }
}
