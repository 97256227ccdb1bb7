//! The other engine: plays the same world in real time, with real daemons in network namespaces.
//!
//! Each host is a [`room`]; its interfaces are TAP devices whose other ends the [`wire`] holds. Forwarding, ICMP and NAT are the
//! kernel's (but for the rover of old kernels), the daemons Debian's where [`fit`] finds one; all else is the simulator's own
//! code. Nothing outside the rooms is touched, and nobody in them may set the machine's clock.

mod conf;
pub(crate) mod fit;
mod frame;
mod host;
mod network;
mod own;
mod program;
mod real;
mod room;
mod wire;

#[cfg(test)]
mod nat_tests;

use crate::sim::engine::STARTS_WITHIN;
use crate::sim::fault::{RESTART, host_of};
use crate::sim::record::{self, Evidence};
use crate::sim::seed;
use crate::sim::wiring::Wiring;
use crate::world::{What, World};
use anyhow::{Context, Result, anyhow};
use fit::Actor;
use host::Host;
use ntpscope_core::time::SECOND;
use program::Program;
use rand::RngExt;
use room::Room;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wire::{Shared, Tell, Wire, now, put};

/// How long a server may need to say that it is synchronised, before the world starts.
const PATIENCE: i64 = 60 * SECOND;
/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What happens at a time of its own.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// The daemon of a host is started.
    Start(usize),
    /// A fault of a host begins or ends.
    Fault(usize, bool),
    /// Somebody looks at all hosts.
    Looks(&'static str),
}

/// Whether a world can be played, here and at all.
///
/// # Errors
/// Why not.
pub fn check(world: &World) -> Result<()> {
    let cast = fit::cast(world)?;
    program::need_tools()?;
    for actor in cast {
        if let Some(Actor::Real(kind)) = actor {
            Program::find(kind)?;
        }
    }
    Room::new("check")?.have(|| network::tap("tap0").map(drop))
}

/// Plays a world, and writes its evidence into a new folder; `name` is what the world is called.
///
/// # Errors
/// The world can't be played, here or at all, or the folder can't be written.
pub fn play(world: &World, name: &str, seed: u64, out: &Path) -> Result<()> {
    check(world)?;
    let cast = fit::cast(world)?;
    let wiring = Arc::new(Wiring::new(world, seed)?);
    let evidence: Shared = Arc::new(Mutex::new(Evidence::new(out)?));
    let mut hosts = Vec::new();
    let mut taps = BTreeMap::new();
    for (number, actor) in cast.iter().enumerate() {
        let (host, own) = Host::new(world, &wiring, number, *actor, seed)?;
        hosts.push(host);
        taps.extend(own);
    }
    let wire = Wire::new(world, Arc::clone(&wiring), seed, taps, Arc::clone(&evidence))?;
    let (tell, told) = channel();
    let wire = std::thread::Builder::new().name("wire".into()).spawn(move || wire.work(&told))?;
    let mut play = Play { world, wiring, hosts, tell, evidence, looks: Vec::new() };
    let played = play.all(seed).and_then(|()| play.finish(&cast));
    // Whatever went wrong; a wire that has ended by itself says why.
    let _ = play.tell.send(Tell::Ends);
    let measured = wire.join().map_err(|_| anyhow!("the wire broke"))??;
    let provenance = played?;
    let truth = record::truth(world, name, &provenance, &measured);
    let Play { evidence, .. } = play;
    put(&evidence, "truth.json", format!("{truth:#}\n").as_bytes());
    put(&evidence, "NOTES.md", format!("{}: {provenance}.\n", world.about).as_bytes());
    let evidence = Arc::into_inner(evidence).context("somebody still writes evidence")?;
    evidence.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
}

struct Play<'w> {
    world: &'w World,
    wiring: Arc<Wiring>,
    hosts: Vec<Host>,
    tell: std::sync::mpsc::Sender<Tell>,
    evidence: Shared,
    looks: Vec<JoinHandle<()>>,
}

impl Play<'_> {
    /// Servers first, until they are synchronised; then all that happens, in its time.
    fn all(&mut self, seed: u64) -> Result<()> {
        let mut clients = Vec::new();
        for number in 0..self.hosts.len() {
            if self.hosts[number].asks() { clients.push(number) } else { self.hosts[number].start()? }
        }
        self.await_servers()?;
        // A little later than now, so that nothing of the start is late.
        let start = now() + SECOND / 2;
        self.tell.send(Tell::Starts(start)).context("the wire has ended")?;
        let mut plan = self.plan(&clients, seed);
        while let Some((after, what)) = plan.pop() {
            let wait = start + after - now();
            std::thread::sleep(Duration::from_nanos(u64::try_from(wait).unwrap_or(0)));
            let more = self.happen(what)?;
            plan.extend(more.map(|what| (after + RESTART, what)));
            plan.sort_by_key(|(after, _)| std::cmp::Reverse(*after));
        }
        Ok(())
    }

    fn await_servers(&self) -> Result<()> {
        let begun = now();
        while let Some(host) = self.hosts.iter().find(|host| !host.is_ready()) {
            anyhow::ensure!(now() - begun < PATIENCE, "the server of {} does not get synchronised", host.name());
            std::thread::sleep(ASK_AGAIN);
        }
        Ok(())
    }

    /// All that will happen, the first last, by nanoseconds since the start.
    fn plan(&self, clients: &[usize], seed: u64) -> Vec<(i64, Happens)> {
        let ns = |seconds: f64| (seconds * 1e9) as i64;
        let mut plan = vec![(0, Happens::Looks("0start"))];
        for (number, fault) in self.world.faults.iter().enumerate() {
            plan.push((ns(fault.from.0), Happens::Fault(number, true)));
            plan.extend(fault.until.map(|until| (ns(until.0), Happens::Fault(number, false))));
        }
        for &host in clients {
            let soon = seed::stream(seed, &self.wiring.names[host]).random_range(0..STARTS_WITHIN);
            plan.push((self.hosts[host].starts().map_or(soon, |span| ns(span.0)), Happens::Start(host)));
        }
        for (name, share) in [("early", 0.1), ("mid", 0.5), ("end", 1.0)] {
            plan.push((ns(share * self.world.duration.0), Happens::Looks(name)));
        }
        plan.sort_by_key(|(after, _)| *after);
        plan.reverse();
        plan
    }

    /// Makes something happen; what is returned happens when a daemon has restarted.
    fn happen(&mut self, what: Happens) -> Result<Option<Happens>> {
        match what {
            Happens::Start(host) => self.hosts[host].start()?,
            Happens::Looks(when) => self.look(when)?,
            Happens::Fault(number, begins) => {
                let world = self.world;
                let what = &world.faults[number].what;
                let name = host_of(what).filter(|name| !world.links.contains_key(*name));
                let Some(name) = name else { return Ok(None) };
                let host = self.wiring.host(name)?;
                self.hosts[host].fault(what, begins)?;
                if let What::Restart { .. } = what {
                    return Ok(begins.then_some(Happens::Start(host)));
                }
            }
        }
        Ok(None)
    }

    /// Looks at all hosts, without waiting for what they say.
    fn look(&mut self, when: &'static str) -> Result<()> {
        for (number, host) in self.hosts.iter().enumerate() {
            let said = host.look(number, when == "0start", &self.tell);
            let (evidence, name) = (Arc::clone(&self.evidence), host.name().to_owned());
            let wait = move || {
                for (file, text) in said.wait().unwrap_or_default() {
                    if !text.is_empty() {
                        put(&evidence, &format!("{name}/{file}-{when}.txt"), text.as_bytes());
                    }
                }
            };
            self.looks.push(std::thread::Builder::new().name("look".into()).spawn(wait)?);
        }
        Ok(())
    }

    /// Waits for what was still being said, ends all daemons, and gathers what they have written. Says how all was made.
    fn finish(&mut self, cast: &[Option<Actor>]) -> Result<String> {
        for look in self.looks.drain(..) {
            look.join().map_err(|_| anyhow!("a look broke"))?;
        }
        for host in &mut self.hosts {
            for (file, bytes) in host.gather()? {
                put(&self.evidence, &format!("{}/{file}", host.name()), &bytes);
            }
        }
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut actors: Vec<String> =
            self.hosts.iter().zip(cast).filter_map(|(host, actor)| host.played(*actor)).collect();
        actors.dedup();
        Ok(format!(
            "made by ntpscope-lab {} in real time, engine netns, kernel {}: {}",
            env!("CARGO_PKG_VERSION"),
            kernel.trim(),
            actors.join("; ")
        ))
    }
}
