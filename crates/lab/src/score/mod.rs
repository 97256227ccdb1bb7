//! `ntpscope-lab score`: plays worlds, lets ntpscope diagnose them, and compares with what is true.

pub mod judge;
pub mod misses;
mod player;
mod tally;

use crate::causes;
use crate::netns::fit;
use crate::world::{Engine, World};
use anyhow::{Context, Result};
use judge::{MARKS, Truth};
use misses::Misses;
use player::Player;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tally::Tally;

/// What `score` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Worlds: files, folders with a world.toml, or folders of worlds
    #[arg(required = true)]
    pub worlds: Vec<PathBuf>,
    /// Who plays them
    #[arg(long, value_enum, default_value_t = Engine::Sim)]
    pub engine: Engine,
    /// Each world is played with this many seeds, from 1 up
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Begin no further seed after so many seconds; the first is always played whole
    #[arg(long, value_name = "SECONDS")]
    pub within: Option<u64>,
    /// The program that diagnoses
    #[arg(long, default_value = "target/release/ntpscope")]
    pub binary: PathBuf,
    /// What is known to be missed
    #[arg(long, value_name = "FILE", default_value = "worlds/known-misses.txt")]
    pub known_misses: PathBuf,
    /// Keep the evidence in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Worlds that namespaces play at once: they take minutes of real time, and next to no work.
const AT_ONCE: usize = 40;

/// An engine: plays a world that is called so with a seed, into a new folder.
pub type Play<'a> = dyn Fn(&World, &str, u64, &Path) -> Result<()> + Sync + 'a;

/// A world, its name and its truth.
pub struct Scored {
    /// What it is called: its file, or the folder of a `world.toml`.
    pub name: String,
    /// The world.
    pub world: World,
    /// What is true of it.
    pub truth: Truth,
}

/// Scores, and prints the result. The exit status is 1 where a world fails that is not known to be missed, or one that is
/// passes.
///
/// # Errors
/// A world or the known misses can't be read, or the program can't be started.
pub fn run(args: &Args, play: &Play) -> Result<ExitCode> {
    let worlds = read(&args.worlds)?;
    let text = std::fs::read_to_string(&args.known_misses);
    let text = text.with_context(|| format!("can't read {}", args.known_misses.display()))?;
    let misses = Misses::read(&text).with_context(|| format!("{}", args.known_misses.display()))?;
    let (worlds, other): (Vec<Scored>, Vec<Scored>) =
        worlds.into_iter().partition(|scored| unfit(args.engine, &scored.world).is_none());
    anyhow::ensure!(!worlds.is_empty(), "none of the worlds can be played by this engine");
    let at_once = match args.engine {
        Engine::Sim => std::thread::available_parallelism().map_or(1, usize::from),
        Engine::Netns => AT_ONCE,
    };
    let player = Player {
        worlds: &worlds,
        seeds: args.seeds,
        at_once,
        within: args.within.map(Duration::from_secs),
        binary: &args.binary,
        keep: args.keep.as_deref(),
        play,
    };
    let played = player.all()?;

    let mut tally = Tally::default();
    let mut complaints = Vec::new();
    let mut sums = [0; MARKS.len()];
    for (scored, plays) in worlds.iter().zip(&played) {
        let mut lacking = [0; MARKS.len()];
        for play in plays {
            tally.add(scored.truth.name(), &play.verdict);
            for (lack, has) in lacking.iter_mut().zip(play.verdict.marks) {
                *lack += usize::from(!has);
            }
            if let Some(trouble) = &play.trouble {
                eprintln!("{} with seed {}: {trouble}", scored.name, play.seed);
            }
        }
        for (sum, lack) in sums.iter_mut().zip(lacking) {
            *sum += usize::from(lack == 0);
        }
        println!("{}", line(scored, plays, &lacking));
        complaints.extend(misses.complaints(&scored.name, args.engine, &lacking, plays.len()));
    }
    for scored in &other {
        println!("not played {}: {}", scored.name, unfit(args.engine, &scored.world).unwrap_or_default());
    }
    let sums: Vec<String> = MARKS.iter().zip(sums).map(|(mark, n)| format!("{n} {mark}")).collect();
    println!("\nof {} worlds with every seed: {}; {}", worlds.len(), sums.join(", "), seeds(args.seeds, &played));
    println!("\nwhat is true, and what it was called, how often\n{}", tally.confusion());
    let unnamed = causes::unnamed();
    println!("probabilities\n{}", tally.calibration(&unnamed));
    println!("no rule names yet ({} of {}): {}", unnamed.len(), causes::CAUSES.len(), unnamed.join(", "));
    if complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nnot as known:");
    complaints.iter().for_each(|complaint| println!("  {complaint}"));
    Ok(ExitCode::FAILURE)
}

/// Why an engine can't play a world, if so.
fn unfit(engine: Engine, world: &World) -> Option<String> {
    match engine {
        Engine::Sim if world.engines.contains(&Engine::Sim) => None,
        Engine::Sim => Some(world.unfit.clone().unwrap_or_default()),
        Engine::Netns => fit::cast(world).err().map(|why| format!("{why:#}")),
    }
}

/// The worlds of files, folders with a `world.toml`, and folders of worlds.
///
/// # Errors
/// One can't be read, or doesn't hold together.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Scored>> {
    let mut files = Vec::new();
    for path in paths {
        if path.join("world.toml").is_file() {
            files.push(path.join("world.toml"));
        } else if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| format!("can't list {}", path.display()))?;
            let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
            found.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
            found.sort();
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    let one = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
        let world = World::read(&text).with_context(|| format!("{} is no world", file.display()))?;
        let wrong = crate::check::check(&world, &text);
        anyhow::ensure!(wrong.is_empty(), "{}: {}", file.display(), wrong.join("; "));
        Ok(Scored { name: name_of(file), truth: Truth::of(&world), world })
    };
    let worlds: Vec<Scored> = files.iter().map(one).collect::<Result<_>>()?;
    for (at, scored) in worlds.iter().enumerate() {
        anyhow::ensure!(
            worlds[..at].iter().all(|other| other.name != scored.name),
            "two worlds are called {}",
            scored.name
        );
    }
    anyhow::ensure!(!worlds.is_empty(), "there are no worlds");
    Ok(worlds)
}

/// What a world is called.
fn name_of(file: &Path) -> String {
    let named = if file.ends_with("world.toml") { file.parent() } else { None };
    let stem = named.and_then(Path::file_name).or_else(|| file.file_stem());
    stem.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A world's line: how often it had each mark, what is true, what was said.
fn line(scored: &Scored, plays: &[player::Played], lacking: &[usize; MARKS.len()]) -> String {
    let marks = MARKS.iter().zip(lacking).map(|(mark, lack)| match lack {
        0 => (*mark).to_owned(),
        _ => "-".repeat(mark.len()),
    });
    let marks: Vec<String> = marks.collect();
    let whole = plays.iter().filter(|play| play.verdict.marks == [true; MARKS.len()]).count();
    let took = plays.iter().map(|play| play.took.as_secs_f64()).sum::<f64>() / plays.len().max(1) as f64;
    let mut said: Vec<String> = plays
        .iter()
        .map(|play| match (play.verdict.said.as_str(), play.verdict.faults.first()) {
            (name @ ("nothing" | "undecided"), _) | (name, None) => name.to_owned(),
            (name, Some((probability, _))) => format!("{name} {probability:.2}"),
        })
        .collect();
    said.sort();
    said.dedup();
    said.truncate(3);
    format!(
        "{} {whole:>3}/{:<3} {took:>5.1} s  {:<32} want {:<26} got {}",
        marks.join(" "),
        plays.len(),
        scored.name,
        scored.truth.name(),
        said.join(", ")
    )
}

/// Which seeds were played.
fn seeds(wanted: u64, played: &[Vec<player::Played>]) -> String {
    let least = played.iter().map(Vec::len).min().unwrap_or(0);
    let short = if (least as u64) < wanted { " (no time for more)" } else { "" };
    format!("seeds 1 to {least}{short}")
}

#[cfg(test)]
mod tests;
