//! Rule `path`: where on the way each request was last seen.
//!
//! The order of the capture points follows from the packets themselves, never from names or clocks: routers lower
//! the TTL; a request reaches the nearer point first and its reply last, so the difference of the two transits is
//! the round trip between the points whatever their clocks say; and a lost request stops at the nearer one.

use super::exchange::Count;
use super::{Material, Sampled, Summary};
use crate::exchange::{Exchange, Fate, PointId, Points, Sighting};
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
            fate: exchange.fate(),
            requests: exchange.requests.iter().map(|s| s.point).collect(),
            replies: answers.map(|s| s.point).collect(),
            covered: exchange.covered,
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
        let back = |at: &Sighting| {
            let replies = exchange.replies.iter().map(|(s, _)| s).chain(exchange.errors.iter().map(|(s, ..)| s));
            replies.filter(|s| s.point == at.point).map(|s| s.time.0).next()
        };
        if let (Some(back_a), Some(back_b)) = (back(a), back(b)) {
            let round = b.time.0.saturating_sub(a.time.0).saturating_sub(back_b.saturating_sub(back_a));
            pair.transit.0 += u64::from(round > 0);
            pair.transit.1 += u64::from(round < 0);
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
    pub fn routes(&self) -> Routes {
        let mut seen: BTreeMap<(IpAddr, IpAddr), Points> = BTreeMap::new();
        for (trace, _) in self.iter() {
            seen.entry((trace.server, trace.client)).or_default().0 |= trace.requests.0;
        }
        let mut order = Order { traces: self, known: BTreeMap::new() };
        let mut routes = BTreeMap::new();
        for (way, points) in seen {
            let points: Vec<PointId> = points.iter().collect();
            let mut ranked = Vec::with_capacity(points.len());
            for a in &points {
                let leads = points.iter().filter(|b| a != *b && order.nearer(way.0, *a, **b)).count();
                ranked.push((std::cmp::Reverse(leads), *a));
            }
            ranked.sort_unstable();
            routes.insert(way, ranked.into_iter().map(|(_, point)| point).collect());
        }
        let mut routes = Routes(routes);
        routes.extend();
        routes
    }
}

/// Which of two points is nearer to the clients of a server, decided once for each pair.
struct Order<'a> {
    traces: &'a Traces,
    known: BTreeMap<(IpAddr, PointId, PointId), bool>,
}

impl Order<'_> {
    fn nearer(&mut self, server: IpAddr, a: PointId, b: PointId) -> bool {
        let key = (server, a.min(b), a.max(b));
        let first = match self.known.get(&key) {
            Some(first) => *first,
            None => {
                let first = self.first_leads(key);
                self.known.insert(key, first);
                first
            }
        };
        first == (a < b)
    }

    fn first_leads(&self, key: (IpAddr, PointId, PointId)) -> bool {
        let (server, a, b) = key;
        let pair = self.traces.pairs.get(&key).copied().unwrap_or_default();
        if pair.ttl.0 != pair.ttl.1 {
            return pair.ttl.0 > pair.ttl.1;
        }
        if pair.transit.0 != pair.transit.1 {
            return pair.transit.0 > pair.transit.1;
        }
        // What one saw and the other did not though it was recording, of clients that both know.
        let mut clients: [BTreeSet<IpAddr>; 2] = Default::default();
        for (trace, _) in self.traces.iter().filter(|(t, _)| t.server == server) {
            for (set, _) in clients.iter_mut().zip([a, b]).filter(|(_, point)| trace.requests.contains(*point)) {
                set.insert(trace.client);
            }
        }
        let mut alone = [0, 0];
        let common = |t: &Trace| clients.iter().all(|set| set.contains(&t.client));
        for (trace, count) in self.traces.iter().filter(|(t, _)| t.server == server && common(t)) {
            for (n, (this, other)) in alone.iter_mut().zip([(a, b), (b, a)]) {
                if trace.requests.contains(this) && !trace.requests.contains(other) && trace.covered.contains(other) {
                    *n += count.n;
                }
            }
        }
        match alone[0].cmp(&alone[1]) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            // A point that hears more clients stands where their ways have met.
            std::cmp::Ordering::Equal => clients[0].len() <= clients[1].len(),
        }
    }
}

/// The points on the way from each client to each server, nearest to the client first.
#[derive(Clone, Debug, Default)]
pub struct Routes(BTreeMap<(IpAddr, IpAddr), Vec<PointId>>);

impl Routes {
    /// The points from `client` to `server`.
    #[must_use]
    pub fn between(&self, server: IpAddr, client: IpAddr) -> &[PointId] {
        self.0.get(&(server, client)).map_or(&[], Vec::as_slice)
    }

    /// All routes to `server`, by client.
    pub fn to(&self, server: IpAddr) -> impl Iterator<Item = (IpAddr, &[PointId])> {
        let routes = self.0.iter().filter(move |((s, _), _)| *s == server);
        routes.map(|((_, client), points)| (*client, points.as_slice()))
    }

    /// All servers.
    #[must_use]
    pub fn servers(&self) -> BTreeSet<IpAddr> {
        self.0.keys().map(|(server, _)| *server).collect()
    }

    /// Where a client's requests were never seen beyond some point, other clients' routes through it go on.
    fn extend(&mut self) {
        let known = self.0.clone();
        for ((server, _), route) in &mut self.0 {
            let Some(last) = route.last().copied() else { continue };
            let onward = known.iter().filter(|((s, _), _)| s == server).filter_map(|(_, other)| {
                let at = other.iter().position(|p| *p == last)?;
                Some(&other[at + 1..])
            });
            let longest = onward.max_by_key(|rest| rest.len()).unwrap_or_default();
            route.extend(longest.iter().filter(|p| !route.contains(p)).copied().collect::<Vec<_>>());
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
        for (trace, count) in self.iter() {
            let route = routes.between(trace.server, trace.client);
            let Some(locus) = trace.locus(route, scene) else { continue };
            let empty = || Symptom { server: trace.server, locus, lost: BTreeMap::new(), reached: BTreeMap::new() };
            let symptom = symptoms.entry((trace.server, locus)).or_insert_with(empty);
            symptom.lost.entry(trace.client).or_default().add(count);
        }
        for (trace, count) in self.iter().filter(|(t, _)| !matches!(t.fate, Fate::Cut | Fate::Symmetric)) {
            for symptom in symptoms.values_mut().filter(|s| s.server == trace.server) {
                if trace.reaches(symptom.locus) {
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
                let further = |from: usize, set: Points| route[from..].iter().any(|p| set.contains(*p));
                let nearer = |to: usize, set: Points| route[..=to].iter().any(|p| set.contains(*p));
                if trace.requests.contains(near) && (trace.covered.contains(far) || further(i + 1, trace.requests)) {
                    let hop = hops.entry((near, far, Direction::ToServer)).or_default();
                    hop.0 += count.n;
                    hop.1 += if further(i + 1, trace.requests) { 0 } else { count.n };
                }
                if trace.replies.contains(far) && (trace.covered.contains(near) || nearer(i, trace.replies)) {
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
    fn locus(&self, route: &[PointId], scene: &Scene) -> Option<Locus> {
        let next = |from: usize, known: Points| -> Option<PointId> {
            route.get(from + 1..)?.iter().copied().find(|p| known.contains(*p))
        };
        match self.fate {
            Fate::Cut | Fate::Symmetric => None,
            Fate::Silent => {
                let last = route.iter().rposition(|p| self.requests.contains(*p))?;
                let at = route[last];
                Some(match next(last, self.covered) {
                    Some(missing) => between(at, missing, Direction::ToServer, scene),
                    None if last + 1 == route.len() && scene.is_at_server(at, self.server) => Locus::Server(at),
                    None => Locus::Beyond(at, Direction::ToServer),
                })
            }
            // The reply must come back to where the request was seen first.
            Fate::Answered | Fate::Late | Fate::Unsynchronised | Fate::Kiss(_) => {
                let back = route.iter().position(|p| self.replies.contains(*p))?;
                let nearer = route[..back].iter().rev().copied();
                let mut missing = nearer.filter(|p| self.requests.contains(*p) && self.covered.contains(*p));
                match missing.next() {
                    Some(missing) => Some(between(route[back], missing, Direction::ToClient, scene)),
                    None if self.fate == Fate::Answered => None,
                    None => Some(Locus::Answered(self.fate)),
                }
            }
            Fate::Elsewhere(_) | Fate::Misdirected(_) | Fate::Error(..) => Some(Locus::Answered(self.fate)),
        }
    }

    /// Whether this request (or its reply) came as far as `locus`.
    fn reaches(&self, locus: Locus) -> bool {
        match locus {
            Locus::Server(at) | Locus::Beyond(at, Direction::ToServer) => self.requests.contains(at),
            Locus::Segment(from, to, Direction::ToServer) | Locus::Device(from, to, Direction::ToServer) => {
                self.requests.contains(from) && (self.requests.contains(to) || self.covered.contains(to))
            }
            Locus::Segment(from, to, Direction::ToClient) | Locus::Device(from, to, Direction::ToClient) => {
                self.replies.contains(from) && self.requests.contains(to)
            }
            Locus::Beyond(at, Direction::ToClient) => self.replies.contains(at),
            Locus::Answered(_) => true,
        }
    }
}

fn between(from: PointId, to: PointId, direction: Direction, scene: &Scene) -> Locus {
    if scene.same_host(from, to) { Locus::Device(from, to, direction) } else { Locus::Segment(from, to, direction) }
}
