//! Rule `copies`: packets that come twice, and between which points the second came into being.

use super::exchange::Count;
use super::path::{Direction, Routes};
use super::{Material, Sampled, Summary};
use crate::exchange::{PointId, Points};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A point that doubles so much of what is single further on doubles it in the recording, not on the wire.
const ARTEFACT: f64 = 0.2;

/// How often packets were seen once and twice.
#[derive(Clone, Debug, Default)]
pub struct Copies(Sampled<Seen, Count>);

/// Requests or replies that were seen alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Seen {
    server: IpAddr,
    client: IpAddr,
    direction: Direction,
    at: Points,
    twice: Points,
}

/// Packets that were single at one point and doubled at the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubling {
    /// Whom the clients asked.
    pub server: IpAddr,
    /// Where they were single.
    pub from: PointId,
    /// Where they were doubled.
    pub to: PointId,
    /// Which way they went.
    pub direction: Direction,
    /// The doubled ones by client.
    pub doubled: BTreeMap<IpAddr, Count>,
    /// All that were seen at both points, by client.
    pub came: BTreeMap<IpAddr, u64>,
}

impl Summary for Copies {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        if exchange.weak {
            return;
        }
        let near = exchange.near();
        for direction in [Direction::ToServer, Direction::ToClient] {
            let reply = direction == Direction::ToClient;
            let at: Points = if reply {
                exchange.replies.iter().map(|(s, _)| s.point).collect()
            } else {
                exchange.requests.iter().map(|s| s.point).collect()
            };
            if at == Points::default() {
                continue;
            }
            let twice = exchange.copies.iter().filter(|copy| copy.reply == reply).map(|copy| copy.point).collect();
            let seen = Seen { server: near.destination.0, client: near.source.0, direction, at, twice };
            if let Some(count) = self.0.entry(seen) {
                count.one(near.time, near.origin);
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.0.merge(later.0, |a, b| a.add(b));
    }
}

impl Copies {
    /// Where copies come into being on the way to and from each server.
    #[must_use]
    pub fn doublings(&self, routes: &Routes) -> Vec<Doubling> {
        let rows = self.0.sorted();
        if rows.iter().all(|(seen, _)| seen.twice == Points::default()) {
            return Vec::new();
        }
        let steps = |seen: &Seen| -> Vec<(PointId, PointId)> {
            let mut points: Vec<PointId> = routes.between(seen.server, seen.client).to_vec();
            points.retain(|point| seen.at.contains(*point));
            if seen.direction == Direction::ToClient {
                points.reverse();
            }
            points.windows(2).map(|w| (w[0], w[1])).collect()
        };
        // What was doubled at a point and single at the next was never two packets.
        let (mut doubled_at, mut single_after) = (BTreeMap::<PointId, u64>::new(), BTreeMap::<PointId, u64>::new());
        for (seen, count) in &rows {
            for (from, to) in steps(seen).into_iter().filter(|(from, _)| seen.twice.contains(*from)) {
                *doubled_at.entry(from).or_default() += count.n;
                *single_after.entry(from).or_default() += if seen.twice.contains(to) { 0 } else { count.n };
            }
        }
        let artefacts: BTreeSet<PointId> = single_after
            .into_iter()
            .filter(|(point, single)| *single as f64 > ARTEFACT * doubled_at.get(point).map_or(0.0, |n| *n as f64))
            .map(|(point, _)| point)
            .collect();
        let mut found: BTreeMap<(IpAddr, PointId, PointId, Direction), Doubling> = BTreeMap::new();
        for (seen, count) in &rows {
            for (from, to) in steps(seen) {
                if artefacts.contains(&from) || artefacts.contains(&to) || seen.twice.contains(from) {
                    continue;
                }
                let key = (seen.server, from, to, seen.direction);
                let doubling = found.entry(key).or_insert_with(|| Doubling {
                    server: seen.server,
                    from,
                    to,
                    direction: seen.direction,
                    doubled: BTreeMap::new(),
                    came: BTreeMap::new(),
                });
                *doubling.came.entry(seen.client).or_default() += count.n;
                if seen.twice.contains(to) {
                    doubling.doubled.entry(seen.client).or_default().add(**count);
                }
            }
        }
        found.into_values().filter(|doubling| !doubling.doubled.is_empty()).collect()
    }
}
