//! The simulator: virtual time, pure, the same bytes for the same seed.

pub mod chrony;
pub mod clock;
mod counters;
pub mod daemon;
pub mod engine;
pub(crate) mod fault;
pub mod filter;
pub mod host;
pub mod hourly;
pub mod ip;
mod kernel;
pub mod link;
pub mod make;
pub mod nat;
pub mod ntpd;
pub mod oscillator;
pub(crate) mod packet;
pub mod record;
pub mod seed;
pub mod server;
mod serverconf;
mod syslog;
mod traffic;
pub mod wiring;

#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod harness;

use crate::world::World;
use anyhow::Result;
use engine::Engine;
use record::Evidence;
use std::path::Path;

/// Plays a world and writes its evidence into a new folder; `name` is what the world is called.
///
/// # Errors
/// The world can't be played, or the folder can't be written.
pub fn play(world: &World, name: &str, seed: u64, out: &Path) -> Result<()> {
    let evidence = Evidence::new(out)?;
    let (mut evidence, measured) = Engine::new(world, seed, evidence)?.run()?;
    let provenance = format!(
        "made by ntpscope-lab {} in virtual time, engine sim, seed {seed}; no real daemon took part",
        env!("CARGO_PKG_VERSION")
    );
    let truth = record::truth(world, name, &provenance, &measured);
    evidence.append("truth.json", format!("{truth:#}\n").as_bytes());
    evidence.append("NOTES.md", format!("{}: {provenance}.\n", world.about).as_bytes());
    evidence.finish()
}
