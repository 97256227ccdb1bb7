//! The order of capture points on the way from a client to a server.

use super::{Pair, Trace, Traces};
use crate::exchange::{Fate, PointId, Points};
use crate::rules::Sampled;
use crate::rules::exchange::Count;
use crate::scene::Scene;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl Traces {
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
    pub(super) unreliable: BTreeSet<(IpAddr, PointId)>,
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

    pub(super) fn are_beside(&self, server: IpAddr, a: PointId, b: PointId) -> bool {
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
