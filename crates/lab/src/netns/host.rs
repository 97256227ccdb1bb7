//! A host of a world that is played: its room, and the daemon in it.

use super::fit::Actor;
use super::network;
use super::own::Own;
use super::program::{Kind, Program, asked};
use super::real::{self, Running};
use super::room::{Answer, Room};
use super::wire::Tell;
use crate::sim::fault::{REFUSED, TIMED_OUT};
use crate::sim::make::Make;
use crate::sim::seed;
use crate::sim::wiring::{End, Wiring};
use crate::world::{self, Span, What, World};
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use tappers::Tap;

/// A host.
pub struct Host {
    name: String,
    said: world::Host,
    room: Room,
    /// The real daemon that plays here, if one does.
    program: Option<Program>,
    make: Option<Make>,
    addresses: Vec<IpAddr>,
    seed: u64,
    running: Option<Running>,
    own: Option<Arc<Own>>,
    paused: u32,
    stopped: u32,
    /// Configuration of the lab's own server.
    configuration: Option<(&'static str, String)>,
}

/// Files that a look writes, without their endings, and their texts.
type Looked = Vec<(&'static str, String)>;

impl Host {
    /// Makes a host with its interfaces; its daemon does not run yet.
    ///
    /// # Errors
    /// The kernel refuses, or its daemon is not here.
    pub fn new(
        world: &World,
        wiring: &Wiring,
        number: usize,
        actor: Option<Actor>,
        seed: u64,
    ) -> Result<(Host, BTreeMap<End, Tap>)> {
        let name = wiring.names[number].clone();
        let said = world.hosts[&name].clone();
        let program = match actor {
            Some(Actor::Real(kind)) => Some(Program::find(kind)?),
            _ => None,
        };
        let room = Room::new(&name)?;
        let taps = network::furnish(world, wiring, number, &room)?;
        let host = Host {
            make: said.daemon.as_ref().map(|daemon| Make::of(&daemon.is)).transpose()?,
            addresses: wiring.addresses(number).collect(),
            seed: seed::number(seed, &name),
            running: None,
            own: None,
            paused: 0,
            stopped: 0,
            configuration: None,
            name,
            said,
            room,
            program,
        };
        Ok((host, taps))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its daemon asks anybody.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.said.daemon.as_ref().is_some_and(|daemon| !daemon.asks.is_empty())
    }

    fn serves(&self) -> bool {
        self.said.daemon.as_ref().is_some_and(|daemon| daemon.serves.is_some())
    }

    /// When its daemon is started, where the world says it.
    #[must_use]
    pub fn starts(&self) -> Option<Span> {
        self.said.daemon.as_ref()?.starts
    }

    /// Starts its daemon, unless a fault keeps it down.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(&mut self) -> Result<()> {
        let Some(daemon) = self.said.daemon.clone().filter(|_| self.stopped == 0) else { return Ok(()) };
        if let Some(program) = self.program.clone() {
            self.running = Some(self.room.have(move || real::start(&program, &daemon))?);
        } else if let (Some(make), Some(serves)) = (self.make.clone(), daemon.serves) {
            let (addresses, seed) = (self.addresses.clone(), self.seed);
            let own = self.room.have(move || Own::start(&make, &serves, &addresses, seed))?;
            self.configuration = Some(own.configuration());
            self.own = Some(Arc::new(own));
        }
        Ok(())
    }

    /// Whether its daemon, as a server that has a clock of its own, is synchronised; all others are ready at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        if self.program.is_none() || self.asks() || !self.serves() {
            return true;
        }
        self.room.ask(real::is_synchronised).wait().unwrap_or(false)
    }

    fn stop(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.stop().with_context(|| format!("host {}", self.name))?;
        }
        self.own = None;
        Ok(())
    }

    /// A fault of the host begins or ends.
    ///
    /// # Errors
    /// Its daemon can't be started or stopped.
    pub fn fault(&mut self, what: &What, begins: bool) -> Result<()> {
        let change = |count: &mut u32| *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        match what {
            What::Stopped { .. } => {
                change(&mut self.stopped);
                if self.stopped > 0 { self.stop()? } else { self.start()? }
            }
            What::Restart { .. } if begins => self.stop()?,
            What::Stall { .. } => {
                change(&mut self.paused);
                let paused = self.paused > 0;
                if let Some(running) = &self.running {
                    let signal = if paused { Signal::SIGSTOP } else { Signal::SIGCONT };
                    kill(running.pid(), signal).with_context(|| format!("pause the daemon of {}", self.name))?;
                }
                self.disturb(|own| own.disturb(|disturbed| disturbed.paused = paused));
            }
            What::Unsynchronised { .. } => self.disturb(|own| own.disturb(|at| at.unsynchronised = begins)),
            What::Wrong { by_s, .. } => {
                self.disturb(|own| own.disturb(|at| at.wrong_s += if begins { *by_s } else { -by_s }));
            }
            What::Busy { slow, drops, .. } => {
                self.disturb(|own| own.disturb(|at| at.busy = begins.then_some((*slow, *drops))));
            }
            // The wire's affair, or none of a host that is played here.
            _ => {}
        }
        Ok(())
    }

    fn disturb(&self, change: impl FnOnce(&Own)) {
        if let Some(own) = &self.own {
            change(own);
        }
    }

    /// What somebody sees who looks at it; at the start only at servers.
    pub fn look(&self, number: usize, at_start: bool, wire: &Sender<Tell>) -> Answer<Looked> {
        let (asks, serves) = (self.asks() && !at_start, self.serves());
        let (program, own) = (self.program.clone(), self.own.clone());
        let runs = self.running.is_some() || self.own.is_some();
        let has_daemon = self.said.daemon.is_some();
        let nat = self.said.nat.clone().filter(|_| !at_start);
        let shows_rules = !at_start && (nat.is_some() || !self.said.filters.is_empty());
        let wire = wire.clone();
        self.room.ask(move || {
            let mut looked: Looked = Vec::new();
            let rules =
                if shows_rules { asked(Command::new("nft").args(["list", "ruleset"])).0 } else { String::new() };
            match nat {
                Some(nat) if nat.rover.is_some() => {
                    let (connections, nat) = of_the_wire(number, &wire);
                    looked.extend([("conntrack", connections), ("nft", nat + &rules)]);
                }
                Some(_) => {
                    let (list, _) = asked(Command::new("conntrack").args(["-L", "-p", "udp"]));
                    let (counts, _) = asked(Command::new("conntrack").arg("-S"));
                    looked.extend([("conntrack", list + &counts), ("nft", rules)]);
                }
                None => looked.push(("nft", rules)),
            }
            let status = match (program, own) {
                _ if !has_daemon || at_start && !serves => String::new(),
                _ if !runs => REFUSED.to_owned(),
                (Some(program), _) => real::look(&program, asks, serves),
                (None, Some(own)) => own.look().unwrap_or_else(|| TIMED_OUT.to_owned()),
                (None, None) => String::new(),
            };
            looked.push(("status", status));
            looked
        })
    }

    /// Ends its daemon, and takes what that has written.
    ///
    /// # Errors
    /// It does not end.
    pub fn gather(&mut self) -> Result<BTreeMap<String, Vec<u8>>> {
        self.stop()?;
        match &self.program {
            Some(program) => {
                let kind = program.kind;
                self.room.ask(move || real::written(kind)).wait()
            }
            None => Ok(self.configuration.take().into_iter().map(|(file, text)| (file.into(), text.into())).collect()),
        }
    }

    /// Who has played its daemon, in words.
    #[must_use]
    pub fn played(&self, actor: Option<Actor>) -> Option<String> {
        let daemon = self.said.daemon.as_ref()?;
        match (actor?, &self.program) {
            (Actor::Real(kind), Some(program)) => {
                let version = program.version().unwrap_or_default();
                let word = match kind {
                    Kind::Chrony => "chrony",
                    Kind::Ntpsec => "ntpsec",
                    Kind::Openntpd => "openntpd",
                };
                let is_itself = daemon.is.starts_with(word);
                let verb = if is_itself { "is".into() } else { format!("stands in for {} and is", daemon.is) };
                Some(format!("{} {verb} {version}", self.name))
            }
            _ => Some(format!("{} is the lab's own server, as {}", self.name, daemon.is)),
        }
    }
}

/// Table and rules of the wire's own NAT.
fn of_the_wire(number: usize, wire: &Sender<Tell>) -> (String, String) {
    let (tell, told) = channel();
    // A wire that has ended says nothing.
    let _ = wire.send(Tell::Nat(number, tell));
    told.recv().unwrap_or_default()
}
