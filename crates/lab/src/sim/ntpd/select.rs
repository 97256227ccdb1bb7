//! Selection, clustering and combining (RFC 5905 §11.2; `clock_select` of ntp_proto.c).

use crate::sim::ntpd::discipline::Outcome;
use crate::sim::ntpd::host::Host;
use crate::sim::ntpd::version::Family;
use crate::sim::ntpd::{MAX_DISTANCE_S, MIN_DISPERSION_S, Ntpd, PHI, PRECISION, precision_s};
use crate::sim::packet::ntp;
use std::net::IpAddr;

/// Survivors that are always kept (`NTP_MINCLOCK`).
const MIN_SURVIVORS: usize = 3;

/// A candidate.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    index: usize,
    offset_s: f64,
    jitter_s: f64,
    /// Root distance, in seconds.
    distance_s: f64,
    /// What the weighing goes by.
    metric: f64,
    /// RMS difference from the others, in seconds.
    select_jitter_s: f64,
}

impl Ntpd {
    /// Chooses among the servers anew, and disciplines the clock by the choice.
    pub(super) fn select(&mut self, host: &mut Host<'_>) {
        let family = self.version.family;
        let mut list = self.candidates(host.seconds);
        let interval = intersection(&list, family);
        list.retain(|candidate| is_true(candidate, interval, family));
        for candidate in &mut list {
            self.peers[candidate.index].new_status = 4;
            candidate.metric = candidate.distance_s;
            if family == Family::Old {
                let peer = &self.peers[candidate.index];
                let until_next = PHI * (peer.nextdate - host.seconds) as f64;
                candidate.metric = (candidate.distance_s + until_next) / MAX_DISTANCE_S + f64::from(peer.stratum);
            }
        }
        if family == Family::Old {
            list.sort_by(|a, b| a.metric.total_cmp(&b.metric));
        }
        let select_jitter_s = cluster(&mut list, family);
        let (mut inserts, mut deletes) = (0, 0);
        for candidate in &list {
            let peer = &mut self.peers[candidate.index];
            (peer.unreach, peer.new_status) = (0, 4);
            inserts += usize::from(peer.leap == 1);
            deletes += usize::from(peer.leap == 2);
        }
        self.system.leap_vote = match list.len() / 2 {
            half if inserts > half => 1,
            half if deletes > half => 2,
            _ => 0,
        };
        let Some(chosen) = self.choose(&list) else {
            self.nobody(host);
            return;
        };
        let best = match family {
            Family::Old => list.first(),
            Family::New | Family::Sec => list.iter().find(|candidate| candidate.index == chosen),
        };
        self.combine(&list, best.copied(), chosen, select_jitter_s, host.seconds);
        if self.peers[chosen].epoch <= self.system.epoch {
            return;
        }
        self.peers[chosen].new_status = 6;
        if self.system.peer != Some(chosen) {
            self.peer_event(host, chosen, 10, "sys_peer", "");
        }
        for peer in &mut self.peers {
            peer.status = peer.new_status;
        }
        self.update(host, chosen);
    }

    /// Servers that are fit; the others' new status is *rejected*.
    fn candidates(&mut self, seconds: i64) -> Vec<Candidate> {
        let family = self.version.family;
        let mut loops: Vec<[u8; 4]> = self.addresses.iter().map(refid_of).collect();
        if family == Family::Old {
            loops.push(self.system.refid);
        }
        let mut list = Vec::with_capacity(self.peers.len());
        for (index, peer) in self.peers.iter_mut().enumerate() {
            peer.new_status = 0;
            let why = peer.unfit(seconds, family, &loops);
            peer.flash = peer.flash & 0xff | why;
            if why == 0 {
                peer.new_status = 1;
                list.push(Candidate {
                    index,
                    offset_s: peer.offset_s,
                    jitter_s: peer.jitter_s,
                    distance_s: peer.root_distance_s(seconds, family),
                    metric: 0.0,
                    select_jitter_s: 0.0,
                });
            }
        }
        list
    }

    /// The system peer: the best one, or the last one while they are close (against hopping).
    fn choose(&mut self, list: &[Candidate]) -> Option<usize> {
        let best = if self.version.family == Family::Old {
            list.first()?
        } else {
            let metric = |candidate: &Candidate| {
                let stratum = f64::from(self.peers[candidate.index].stratum);
                candidate.select_jitter_s * candidate.metric + stratum * MIN_DISPERSION_S
            };
            list.iter().min_by(|a, b| metric(a).total_cmp(&metric(b)))?
        };
        let Some(last) = self.system.peer.filter(|last| *last != best.index) else {
            self.system.hop_s = 0.0;
            return Some(best.index);
        };
        let apart = (best.offset_s - self.peers[last].offset_s).abs();
        if apart < MIN_DISPERSION_S {
            let hop = self.system.hop_s;
            self.system.hop_s = if hop == 0.0 { MIN_DISPERSION_S } else { hop / 2.0 };
            if apart < self.system.hop_s {
                return Some(last);
            }
        }
        self.system.hop_s = 0.0;
        Some(best.index)
    }

    fn combine(&mut self, list: &[Candidate], best: Option<Candidate>, chosen: usize, cluster_s: f64, seconds: i64) {
        let family = self.version.family;
        let around = match best {
            Some(best) => best.offset_s,
            None => self.peers[chosen].offset_s,
        };
        let (mut weights, mut offsets, mut squares) = (0.0, 0.0, 0.0);
        for candidate in list {
            let weight = 1.0 / candidate.distance_s;
            weights += weight;
            offsets += weight * candidate.offset_s;
            squares += weight * (candidate.offset_s - around).powi(2);
        }
        self.system.offset_s = offsets / weights;
        let variance = squares / weights;
        let own_s = if family == Family::Old { self.peers[chosen].jitter_s } else { 0.0 };
        let select_s = best.map_or(0.0, |best| best.select_jitter_s);
        let select_s = if family == Family::Old { cluster_s } else { select_s };
        self.system.jitter_s = (variance + own_s * own_s + select_s * select_s).sqrt();
        self.system.selected_at = seconds;
    }

    fn nobody(&mut self, host: &mut Host<'_>) {
        if self.system.peer.take().is_some() {
            self.system_event(host, 8, "no_sys_peer", "");
        }
        for peer in &mut self.peers {
            peer.status = peer.new_status;
        }
    }

    /// Takes over what the system peer says, and disciplines the clock (`clock_update`).
    fn update(&mut self, host: &mut Host<'_>, chosen: usize) {
        let peer = &self.peers[chosen];
        self.system.peer = Some(chosen);
        self.system.epoch = peer.epoch;
        self.discipline.poll = self.discipline.poll.max(peer.minpoll).min(peer.source.maxpoll);
        let poll = self.discipline.poll;
        self.poll_update(host, chosen, poll);
        let peer = &self.peers[chosen];
        self.system.stratum = (peer.stratum + 1).min(16);
        self.system.refid = refid_of(&peer.address);
        let aged = PHI * (host.seconds - peer.update) as f64;
        let offset_s = self.system.offset_s;
        let root = peer.root_dispersion_s + peer.dispersion_s + self.system.jitter_s + aged + offset_s.abs();
        self.system.root_dispersion_s =
            if self.version.family == Family::Old { root } else { root.max(MIN_DISPERSION_S) };
        self.system.root_at = host.seconds;
        self.system.root_delay_s = peer.delay_s + peer.root_delay_s;
        self.system.reference = peer.received.map_or(0, ntp);
        match self.local_clock(host, chosen, offset_s) {
            Outcome::Panic => self.exited = true,
            Outcome::Ignored => {}
            Outcome::Slewed => self.system.leap = self.system.leap_vote,
            Outcome::Stepped => self.after_step(host),
        }
    }

    /// After a step nothing that was measured before is worth anything.
    fn after_step(&mut self, host: &Host<'_>) {
        self.clear_all(host.seconds, *b"STEP");
        let system = &mut self.system;
        (system.leap, system.stratum, system.refid) = (3, 16, *b"STEP");
        (system.root_delay_s, system.root_dispersion_s, system.root_at) = (0.0, 0.0, host.seconds);
        (system.reference, system.jitter_s) = (0, precision_s(PRECISION));
    }
}

/// The reference id of a server by its address; that of IPv6 is a hash, which here is any.
pub fn refid_of(address: &IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        // The first bytes of an MD5 sum in ntpd; any four bytes that follow from the address do as well here.
        IpAddr::V6(address) => {
            let hash =
                address.octets().iter().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193));
            hash.to_be_bytes()
        }
    }
}

/// The interval in which the most agree; 4.2.6 also asks that no more middles than falsetickers lie outside.
fn intersection(list: &[Candidate], family: Family) -> (f64, f64) {
    let mut ends: Vec<(f64, i32)> = Vec::with_capacity(list.len() * 3);
    for candidate in list {
        ends.push((candidate.offset_s - candidate.distance_s, -1));
        if family == Family::Old {
            ends.push((candidate.offset_s, 0));
        }
        ends.push((candidate.offset_s + candidate.distance_s, 1));
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = list.len();
    let (mut low, mut high) = (1e9, -1e9);
    for allowed in (0..count).take_while(|allowed| 2 * allowed < count) {
        let needed = (count - allowed) as i32;
        let mut outside = 0;
        let mut scan = |sign: i32, ends: &mut dyn Iterator<Item = &(f64, i32)>| {
            let (mut chime, mut at) = (0, 0.0);
            for (value, kind) in ends {
                at = *value;
                chime += sign * kind;
                if chime >= needed {
                    break;
                }
                outside += usize::from(*kind == 0);
            }
            at
        };
        low = scan(-1, &mut ends.iter());
        high = scan(1, &mut ends.iter().rev());
        if outside <= allowed && high > low {
            break;
        }
    }
    (low, high)
}

fn is_true(candidate: &Candidate, (low, high): (f64, f64), family: Family) -> bool {
    let (offset, distance) = (candidate.offset_s, candidate.distance_s);
    match family {
        Family::Old => offset > low && offset < high,
        Family::New | Family::Sec => high > low && offset + distance >= low && offset - distance <= high,
    }
}

/// Drops the most unpopular while that helps; gives the jitter among what is left, in seconds.
fn cluster(list: &mut Vec<Candidate>, family: Family) -> f64 {
    loop {
        let count = list.len();
        let offsets: Vec<f64> = list.iter().map(|candidate| candidate.offset_s).collect();
        for candidate in list.iter_mut() {
            let squares: f64 = offsets.iter().map(|offset| (offset - candidate.offset_s).powi(2)).sum();
            candidate.select_jitter_s = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        }
        let unpopular = |candidate: &Candidate| candidate.select_jitter_s * candidate.metric;
        let worst = (0..count).max_by(|a, b| unpopular(&list[*a]).total_cmp(&unpopular(&list[*b])));
        let Some(worst) = worst.filter(|_| count > MIN_SURVIVORS) else { return 0.0 };
        let jitter_s = list[worst].select_jitter_s.max(precision_s(PRECISION));
        let least_s = list.iter().map(|candidate| candidate.jitter_s).fold(f64::INFINITY, f64::min);
        if jitter_s <= least_s {
            return if family == Family::Old { jitter_s } else { 0.0 };
        }
        list.remove(worst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(offsets: &[f64]) -> Vec<Candidate> {
        let one = |(index, offset_s): (usize, &f64)| Candidate {
            index,
            offset_s: *offset_s,
            jitter_s: 2e-4,
            distance_s: 0.01,
            metric: 0.01,
            select_jitter_s: 0.0,
        };
        offsets.iter().enumerate().map(one).collect()
    }

    #[test]
    fn a_falseticker_is_outvoted_and_two_alone_agree_on_nothing() {
        for family in [Family::Old, Family::New, Family::Sec] {
            let truth = |offsets: &[f64]| {
                let list = candidates(offsets);
                let interval = intersection(&list, family);
                list.iter().filter(|c| is_true(c, interval, family)).map(|c| c.index).collect::<Vec<_>>()
            };
            assert_eq!(truth(&[0.001, 0.002, 0.5]), [0, 1], "{family:?}");
            assert_eq!(truth(&[0.001]), [0]);
            assert_eq!(truth(&[0.0, 0.5]), [] as [usize; 0], "{family:?}");
        }
    }

    #[test]
    fn outliers_go_while_more_than_three_are_left() {
        let mut list = candidates(&[0.0, 0.0001, 0.0002, 0.0001, 0.005]);
        cluster(&mut list, Family::New);
        assert_eq!(list.iter().map(|candidate| candidate.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
