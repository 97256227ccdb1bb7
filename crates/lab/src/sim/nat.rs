//! Source NAT and connection tracking as Linux does them (`nf_nat_core.c`, `nf_conntrack_proto_udp.c` of Linux 6.1; the
//! rover of kernels before 5.0 as in 4.0.5), for UDP over IPv4.
//!
//! Not modelled: two first packets that race for one tuple (`insert_failed`), and a collector that a full table makes
//! pass more often than every 60 s.

use super::seed;
use crate::world;
use ntpscope_core::time::SECOND;
use rand::RngExt;
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Lifetime of an entry that saw a packet but no stream (`nf_conntrack_udp_timeout`).
const UNREPLIED: i64 = 30 * SECOND;
/// Lifetime of a stream (`nf_conntrack_udp_timeout_stream`).
const STREAM: i64 = 120 * SECOND;
/// The same before Linux 4.20.
const OLD_STREAM: i64 = 180 * SECOND;
/// A flow younger than this is no stream yet.
const STREAM_AFTER: i64 = 2 * SECOND;
/// How often the collector of dead entries passes where the table is small (`GC_SCAN_INTERVAL_MAX`).
const COLLECTOR: i64 = 60 * SECOND;
/// Ports tried from one random start (`max_attempts`); then half as many from another, and so on.
const ATTEMPTS: u32 = 128;
const FEWEST_ATTEMPTS: u32 = 16;

/// Source and destination of one direction.
type Tuple = (SocketAddr, SocketAddr);

/// A router's NAT, and its table of connections.
pub struct Nat {
    address: IpAddr,
    interface: String,
    ports: Option<(u16, u16)>,
    random: bool,
    /// Where the next search starts, on kernels that have a rover.
    rover: Option<u32>,
    entries: BTreeMap<u64, Entry>,
    by_original: HashMap<Tuple, u64>,
    by_reply: HashMap<Tuple, u64>,
    /// Entries of one inside address and port, the newest last.
    by_source: HashMap<SocketAddr, Vec<u64>>,
    next: u64,
    collects: i64,
    found: u64,
    clashed: u64,
    rng: Pcg64,
}

struct Entry {
    original: Tuple,
    /// Source and destination of replies: the server, and the address and port that it sees.
    reply: Tuple,
    born: i64,
    expires: i64,
    replied: bool,
    assured: bool,
}

impl Nat {
    /// A NAT that gives packets `address`, from `start` (true ns) on.
    #[must_use]
    pub fn new(said: &world::Nat, address: IpAddr, start: i64, seed: u64) -> Nat {
        let mut rng = seed::stream(seed, "nat");
        let collects = start + rng.random_range(0..COLLECTOR);
        Nat {
            address,
            interface: said.out.clone(),
            ports: said.ports,
            random: said.random,
            rover: said.rover.map(u32::from),
            entries: BTreeMap::new(),
            by_original: HashMap::new(),
            by_reply: HashMap::new(),
            by_source: HashMap::new(),
            next: 0,
            collects,
            found: 0,
            clashed: 0,
            rng,
        }
    }

    /// The address and port that a packet gets on its way out; `None` where none is left, and it is dropped.
    pub fn outbound(&mut self, source: SocketAddr, destination: SocketAddr, now: i64) -> Option<SocketAddr> {
        self.collect(now);
        let original = (source, destination);
        if let Some(id) = self.alive(Side::Original, original, now) {
            self.found += 1;
            self.touch(id, now, false);
            return self.entries.get(&id).map(|entry| entry.reply.1);
        }
        let Some(outside) = self.choose(source, destination, now) else {
            self.clashed += 1;
            return None;
        };
        let id = self.next;
        self.next += 1;
        let reply = (destination, outside);
        let entry = Entry { original, reply, born: now, expires: now + UNREPLIED, replied: false, assured: false };
        self.entries.insert(id, entry);
        self.by_original.insert(original, id);
        self.by_reply.insert(reply, id);
        self.by_source.entry(source).or_default().push(id);
        Some(outside)
    }

    /// To whom inside a packet from outside goes; `None` where it belongs to no connection.
    pub fn inbound(&mut self, source: SocketAddr, destination: SocketAddr, now: i64) -> Option<SocketAddr> {
        self.collect(now);
        let id = self.alive(Side::Reply, (source, destination), now)?;
        self.found += 1;
        self.touch(id, now, true);
        self.entries.get(&id).map(|entry| entry.original.0)
    }

    /// Who inside sent the packet that an ICMP error from outside quotes.
    pub fn quoted(&mut self, source: SocketAddr, destination: SocketAddr, now: i64) -> Option<SocketAddr> {
        self.collect(now);
        let id = self.alive(Side::Reply, (destination, source), now)?;
        self.entries.get(&id).map(|entry| entry.original.0)
    }

    /// `get_unique_tuple`: the same port, or the one that this source has already, or a search.
    fn choose(&mut self, source: SocketAddr, destination: SocketAddr, now: i64) -> Option<SocketAddr> {
        let reply_to = |port| (destination, SocketAddr::new(self.address, port));
        let kept = reply_to(source.port());
        let in_range = self.ports.is_none_or(|(low, high)| (low..=high).contains(&source.port()));
        if !self.random {
            if source.ip() == self.address && in_range {
                if !self.taken(kept, now) {
                    return Some(kept.1);
                }
            } else if let Some(port) = self.appropriate(source) {
                // Of an entry that is dead and not collected too: `find_appropriate_src` does not look at expiry.
                let again = (destination, SocketAddr::new(self.address, port));
                if !self.taken(again, now) {
                    return Some(again.1);
                }
            }
            if in_range && !self.taken(kept, now) {
                return Some(kept.1);
            }
        }
        self.search(source.port(), destination, now)
    }

    /// The port of the newest mapping that this source has, where the rule allows it.
    fn appropriate(&self, source: SocketAddr) -> Option<u16> {
        let ids = self.by_source.get(&source)?;
        let ports = ids.iter().rev().filter_map(|id| self.entries.get(id)).map(|entry| entry.reply.1.port());
        ports.into_iter().find(|port| self.ports.is_none_or(|(low, high)| (low..=high).contains(port)))
    }

    /// `nf_nat_l4proto_unique_tuple`.
    fn search(&mut self, port: u16, destination: SocketAddr, now: i64) -> Option<SocketAddr> {
        let (low, high) = self.ports.unwrap_or(match port {
            0..512 => (1, 511),
            512..1024 => (600, 1023),
            _ => (1024, 65535),
        });
        let size = u32::from(high.max(low) - low) + 1;
        let at = |offset: u32| SocketAddr::new(self.address, low + (offset % size) as u16);
        if let (Some(rover), false) = (self.rover, self.random) {
            let tuple = |offset| (destination, at(offset));
            let offset = (rover..rover + size).find(|&offset| !self.is_taken(tuple(offset), now))?;
            let found = at(offset);
            self.rover = Some(offset);
            return Some(found);
        }
        let mut attempts = size.min(ATTEMPTS);
        loop {
            let start = u32::from(self.rng.random::<u16>());
            let found = (start..start + attempts).map(at).find(|to| !self.is_taken((destination, *to), now));
            if found.is_some() || attempts >= size || attempts < FEWEST_ATTEMPTS {
                return found;
            }
            attempts /= 2;
        }
    }

    /// Whether another connection has this reply tuple; a dead one is removed by the look (`nf_conntrack_tuple_taken`).
    fn taken(&mut self, reply: Tuple, now: i64) -> bool {
        self.alive(Side::Reply, reply, now).is_some()
    }

    fn is_taken(&self, reply: Tuple, now: i64) -> bool {
        self.by_reply.get(&reply).and_then(|id| self.entries.get(id)).is_some_and(|entry| entry.expires > now)
    }

    /// The living entry of a tuple; a dead one that is met is removed (`nf_ct_gc_expired`).
    fn alive(&mut self, side: Side, tuple: Tuple, now: i64) -> Option<u64> {
        let index = match side {
            Side::Original => &self.by_original,
            Side::Reply => &self.by_reply,
        };
        let id = *index.get(&tuple)?;
        if self.entries.get(&id).is_some_and(|entry| entry.expires > now) {
            return Some(id);
        }
        self.remove(id);
        None
    }

    fn remove(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        // A later entry may have taken the place of a dead one in an index.
        if self.by_original.get(&entry.original) == Some(&id) {
            self.by_original.remove(&entry.original);
        }
        if self.by_reply.get(&entry.reply) == Some(&id) {
            self.by_reply.remove(&entry.reply);
        }
        if let Some(ids) = self.by_source.get_mut(&entry.original.0) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_source.remove(&entry.original.0);
            }
        }
    }

    /// A packet of a known connection. The first reply does not make it a stream: it is marked after its own refresh.
    fn touch(&mut self, id: u64, now: i64, is_reply: bool) {
        let old = self.rover.is_some();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let is_stream = entry.replied && (old || now > entry.born + STREAM_AFTER);
        let stream = if old { OLD_STREAM } else { STREAM };
        entry.expires = now + if is_stream { stream } else { UNREPLIED };
        entry.assured |= is_stream;
        entry.replied |= is_reply;
    }

    /// The collector passes. Kernels with a rover have a timer for each entry instead.
    fn collect(&mut self, now: i64) {
        while self.rover.is_some() || self.collects <= now {
            let pass = if self.rover.is_some() { now } else { self.collects };
            let dead: Vec<u64> = self.entries.iter().filter(|(_, e)| e.expires <= pass).map(|(id, _)| *id).collect();
            for id in dead {
                self.remove(id);
            }
            self.collects = self.collects.max(pass) + COLLECTOR;
            if self.rover.is_some() {
                return;
            }
        }
    }

    /// `conntrack -L -p udp; conntrack -S`.
    #[must_use]
    pub fn connections(&self, now: i64) -> String {
        let alive: Vec<_> = self.entries.values().filter(|entry| entry.expires > now).collect();
        let mut text = format!("conntrack v1.4.7 (conntrack-tools): {} flow entries have been shown.\n", alive.len());
        for entry in alive {
            let left = (entry.expires - now) / SECOND;
            let side = |(from, to): Tuple| {
                format!("src={} dst={} sport={} dport={} ", from.ip(), to.ip(), from.port(), to.port())
            };
            let _ = writeln!(
                text,
                "ipv4     2 udp      17 {left} {}{}{}{}mark=0 use=1",
                side(entry.original),
                if entry.replied { "" } else { "[UNREPLIED] " },
                side(entry.reply),
                if entry.assured { "[ASSURED] " } else { "" },
            );
        }
        let (found, clashed) = (self.found, self.clashed);
        let _ = writeln!(
            text,
            "cpu=0   \tfound={found} invalid=0 insert=0 insert_failed={clashed} drop={clashed} early_drop=0 error=0 \
             search_restart=0 clash_resolve=0 chaintoolong=0 "
        );
        text
    }

    /// Its table, as `nft list ruleset` prints it.
    #[must_use]
    pub fn ruleset(&self) -> String {
        let mut rule = format!("oifname \"{}\" ", self.interface);
        let random = if self.random { " random" } else { "" };
        let _ = match self.ports {
            Some((low, high)) => write!(rule, "meta l4proto udp masquerade to :{low}-{high}{random}"),
            None => write!(rule, "masquerade{random}"),
        };
        format!(
            "table ip nat {{\n\tchain post {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\
             \t\t{rule}\n\t}}\n}}\n"
        )
    }
}

#[derive(Clone, Copy)]
enum Side {
    Original,
    Reply,
}

#[cfg(test)]
#[path = "nat_tests.rs"]
mod tests;
