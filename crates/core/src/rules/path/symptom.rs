//! Where requests come to grief, and how much each hop loses.

use super::{Routes, Trace, Traces};
use crate::exchange::{Fate, PointId, Points};
use crate::rules::account::Polled;
use crate::rules::exchange::Count;
use crate::scene::Scene;
use std::collections::BTreeMap;
use std::net::IpAddr;

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
    /// The client's own records say so; no capture shows where.
    Told,
    /// No request comes that should: the client does not ask. Its requests were seen nearest to it at this point.
    Unasked(Option<PointId>),
    /// Packets are single at the first point and double at the second, in one direction or (`None`) both.
    Doubled(PointId, PointId, Option<Direction>),
}

impl Locus {
    /// Whether this is about requests that got no good answer.
    #[must_use]
    pub fn is_loss(self) -> bool {
        !matches!(self, Locus::Unasked(_) | Locus::Doubled(..))
    }
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
    /// What the clients' own records say, where no capture shows their requests.
    pub told: BTreeMap<IpAddr, Polled>,
}

impl Symptom {
    /// Of nobody yet.
    #[must_use]
    pub fn new(server: IpAddr, locus: Locus) -> Symptom {
        Symptom { server, locus, lost: BTreeMap::new(), reached: BTreeMap::new(), told: BTreeMap::new() }
    }

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
            let empty = || Symptom::new(trace.server, locus);
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
            Locus::Answered(_) | Locus::Late(_) | Locus::Told | Locus::Unasked(_) | Locus::Doubled(..) => true,
        }
    }
}

fn between(from: PointId, to: PointId, direction: Direction, scene: &Scene) -> Locus {
    if scene.same_host(from, to) { Locus::Device(from, to, direction) } else { Locus::Segment(from, to, direction) }
}
