//! Signs of packets that come twice.

use super::{Case, Examiner};
use crate::exchange::PointId;
use crate::rules::FindingId;
use crate::rules::path::{Direction, Locus, Symptom};
use crate::stats::Share;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Fewest copies that are told, and the lowest end of the interval of their share: a switch that learns an address
/// sends one twice now and then.
const FEWEST: u64 = 5;
const SHARE: f64 = 0.03;

impl Examiner<'_> {
    /// Where copies come into being, each place once for both directions.
    pub(crate) fn doublings(&self) -> Vec<Symptom> {
        let mut found: BTreeMap<(IpAddr, PointId, PointId), Symptom> = BTreeMap::new();
        for doubling in self.rules.copies.doublings(self.routes) {
            let locus = Locus::Doubled(doubling.from, doubling.to, Some(doubling.direction));
            let (lost, reached) = (doubling.doubled, doubling.came);
            let symptom = Symptom { lost, reached, ..Symptom::new(doubling.server, locus) };
            let (copies, all) = (symptom.total().n, symptom.came());
            if copies < FEWEST || Share::of(copies, all).interval().0 < SHARE {
                continue;
            }
            let (near, far) = match doubling.direction {
                Direction::ToServer => (doubling.from, doubling.to),
                Direction::ToClient => (doubling.to, doubling.from),
            };
            match found.get_mut(&(doubling.server, near, far)) {
                Some(known) => {
                    known.locus = Locus::Doubled(near, far, None);
                    symptom.lost.into_iter().for_each(|(client, n)| known.lost.entry(client).or_default().add(n));
                    symptom.reached.into_iter().for_each(|(client, n)| *known.reached.entry(client).or_default() += n);
                }
                None => {
                    found.insert((doubling.server, near, far), symptom);
                }
            }
        }
        found.into_values().collect()
    }

    pub(super) fn copied(&mut self, symptom: Symptom, found: FindingId) -> Case {
        let mut case = Case::new(symptom, found);
        case.weighed.hold("copied-between", true, found);
        case
    }
}
