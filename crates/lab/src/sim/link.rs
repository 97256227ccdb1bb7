//! What links do to packets: delay, queueing, loss in runs, duplicates, and the faults of links.

use super::ip::is_group;
use super::seed::exponential;
use super::wiring::{End, Wiring};
use crate::world::{self, What, World};
use anyhow::{Context, Result};
use rand::RngExt;
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a packet needs at the least to the other end, in seconds: veth and a switch do not take less.
const LEAST_DELAY_S: f64 = 2e-6;

/// A link at work.
pub struct Link {
    said: world::Link,
    /// Whether a run of losses is going on, by the end that sends.
    in_run: BTreeMap<End, bool>,
    rng: Pcg64,
}

/// A fault of a link while it lasts.
#[derive(Clone, Debug)]
pub struct LinkFault {
    link: usize,
    /// Packets that go through one of these ends, to this host; where it forwards, also those that only pass it.
    towards: Option<(usize, BTreeSet<End>)>,
    passes: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Loss(f64),
    Delay { more_s: f64, jitter_s: f64 },
    Down,
}

impl LinkFault {
    /// The fault of a link that a world's fault is; none where it is one of a host.
    ///
    /// # Errors
    /// It names a link or host that isn't.
    pub fn of(what: &What, world: &World, wiring: &Wiring) -> Result<Option<LinkFault>> {
        let (name, towards, kind) = match what {
            What::Loss { link, towards, share } => (link, towards, Kind::Loss(*share)),
            What::Delay { link, towards, more_ms, jitter_ms } => {
                (link, towards, Kind::Delay { more_s: more_ms / 1e3, jitter_s: jitter_ms / 1e3 })
            }
            What::Down { at } if world.links.contains_key(at) => (at, &None, Kind::Down),
            _ => return Ok(None),
        };
        let link =
            wiring.links.iter().position(|at| at == name).with_context(|| format!("no link is called {name}"))?;
        let mut passes = false;
        let towards = match towards {
            Some(host) => {
                passes = world.hosts.get(host).is_some_and(|host| host.router || host.nat.is_some());
                let host = wiring.host(host)?;
                Some((host, wiring.towards(link, host)))
            }
            None => None,
        };
        Ok(Some(LinkFault { link, towards, passes, kind }))
    }

    /// Whether it concerns a packet to this address that arrives at `end`.
    fn concerns(&self, link: usize, to: IpAddr, end: End, wiring: &Wiring, nats: &[bool]) -> bool {
        let Some((host, ends)) = &self.towards else { return self.link == link };
        // Where a NAT owns the address, the packet may be for any host behind it.
        let may_be_for = || match wiring.owner(to) {
            Some((owner, _)) => owner == *host || nats[owner],
            None => true,
        };
        self.link == link && ends.contains(&end) && (self.passes || is_group(to) || may_be_for())
    }
}

/// What a link did.
pub enum Passage {
    /// It lost the packet.
    Lost,
    /// It brings it, once or twice, after so many nanoseconds.
    Brings(i64, Option<i64>),
}

impl Link {
    /// A link as the world says it.
    #[must_use]
    pub fn new(said: &world::Link, rng: Pcg64) -> Link {
        Link { said: said.clone(), in_run: BTreeMap::new(), rng }
    }

    /// Takes a packet to `destination` from one end to another.
    pub fn carry<'a>(
        &mut self,
        number: usize,
        destination: IpAddr,
        (from, to): (End, End),
        faults: impl Iterator<Item = &'a LinkFault>,
        wiring: &Wiring,
        nats: &[bool],
    ) -> Passage {
        let (mut base, mut jitter) = (self.said.delay_ms / 1e3, self.said.jitter_ms / 1e3);
        let mut lost = self.loses(from);
        for fault in faults.filter(|fault| fault.concerns(number, destination, to, wiring, nats)) {
            match fault.kind {
                Kind::Loss(share) => lost |= self.rng.random::<f64>() < share,
                Kind::Delay { more_s, jitter_s } => (base, jitter) = (base + more_s, jitter + jitter_s),
                Kind::Down => lost = true,
            }
        }
        if lost {
            return Passage::Lost;
        }
        let mut takes = || ((LEAST_DELAY_S + base + exponential(jitter, &mut self.rng)) * 1e9) as i64;
        let (once, again) = (takes(), takes());
        let twice = self.said.duplicated > 0.0 && self.rng.random::<f64>() < self.said.duplicated;
        Passage::Brings(once, twice.then_some(again))
    }

    /// Gilbert's channel: while a run lasts all is lost. A mean run of 1 or less: each packet for itself.
    fn loses(&mut self, from: End) -> bool {
        let world::Link { loss, loss_run, .. } = self.said;
        if loss <= 0.0 {
            return false;
        }
        let draw = self.rng.random::<f64>();
        if loss_run <= 1.0 || loss >= 1.0 {
            return draw < loss;
        }
        let in_run = self.in_run.entry(from).or_default();
        *in_run = if *in_run { draw >= 1.0 / loss_run } else { draw < loss / (loss_run * (1.0 - loss)) };
        *in_run
    }
}
