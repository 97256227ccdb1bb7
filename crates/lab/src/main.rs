//! `ntpscope-lab`: worlds with a known truth, played.
#![forbid(unsafe_code)]

mod cli;

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Cli, Run, Verb};
use ntpscope_lab::world::{Engine, World};
use ntpscope_lab::{degrade, netns, new, score, sim};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit status where something could not be done.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(run) => play(&run).map(|()| ExitCode::SUCCESS),
        Verb::Score(args) => {
            let play = |world: &World, name: &str, seed, out: &Path| engine(args.engine, world, name, seed, out);
            score::run(&args, &play)
        }
        Verb::Degrade(args) => degrade::run(&args),
        Verb::New(args) => new::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ntpscope-lab: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn play(run: &Run) -> Result<()> {
    let file = if run.world.is_dir() { run.world.join("world.toml") } else { run.world.clone() };
    let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let world = World::read(&text).with_context(|| format!("{} is no world", file.display()))?;
    engine(run.engine, &world, &name_of(&file), run.seed, &run.out)
}

fn engine(engine: Engine, world: &World, name: &str, seed: u64, out: &Path) -> Result<()> {
    match engine {
        Engine::Sim => sim::play(world, name, seed, out),
        Engine::Netns => netns::play(world, name, seed, out),
    }
}

/// What a world is called: its file, or the folder of a `world.toml`.
fn name_of(file: &Path) -> String {
    let stem =
        if file.ends_with("world.toml") { file.parent().map(Path::to_owned) } else { Some(file.with_extension("")) };
    let name = stem.as_deref().unwrap_or(file).canonicalize().unwrap_or_else(|_| stem.unwrap_or_else(PathBuf::new));
    name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
