//! The command line, and nothing else.

use clap::{Args, Parser, Subcommand};
use ntpscope_lab::world::Engine;
use ntpscope_lab::{degrade, new, score};
use std::path::PathBuf;

/// Makes evidence with a known truth, and sees what ntpscope says of it.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Play a world and write its evidence and its truth into a new folder
    Run(Run),
    /// Play worlds, let ntpscope diagnose them, and compare with what is true
    ///
    /// The exit status is 1 where a world fails that is not known to be missed, or one that is passes.
    Score(score::Args),
    /// Take evidence away, piece by piece and in pairs, and see that no answer becomes wrong
    Degrade(degrade::Args),
    /// Begin a world for a cause
    New(new::Args),
}

/// What `run` takes.
#[derive(Debug, Args)]
pub struct Run {
    /// The world: a file, or the folder of a story with its world.toml
    pub world: PathBuf,
    /// Who plays it
    #[arg(long, value_enum, default_value_t = Engine::Sim)]
    pub engine: Engine,
    /// All that is random follows from this number
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The folder to write; it must not exist, or be empty
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
}
