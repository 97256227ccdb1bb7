//! `worlds`: the lab plays every world, ntpscope says what is wrong with it, and the lab compares with what is true.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::steps::{Outcome, Steps, run, run_tests, shown};
use crate::{cargo, release_binary, target_folder, test};

/// Seeds where none are given.
pub const SEEDS: u32 = 20;
/// Seeds of a run of all tests.
const FEW: u32 = 5;
/// Seconds after which a run of all tests begins no further seed. The first takes about 3 s, the build of the lab a minute.
const BUDGET_S: u32 = 60;

/// What `cargo xtask worlds` does.
pub fn many(seeds: u32) -> Result<ExitCode> {
    run(&mut cargo("build --release --package ntpscope"))?;
    let mut score = score(seeds)?;
    let status = score.status().with_context(|| format!("start {}", shown(&score)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `cargo xtask worlds --engine netns` does.
pub fn real() -> Result<ExitCode> {
    let mut steps = Steps::default();
    steps.run("packages", test::packages);
    let built = steps.run("release build", || run(&mut cargo("build --release --package ntpscope")));
    steps.run("worlds", || {
        if !built {
            return Ok(Outcome::Skipped("the release build failed".to_owned()));
        }
        let mut score = score(1)?;
        score.args(["--engine", "netns"]);
        if !score.status().with_context(|| format!("start {}", shown(&score)))?.success() {
            return Ok(Outcome::Failed("a world above is not as known".to_owned()));
        }
        Ok(Outcome::Ok)
    });
    steps.run("mappings", || {
        run_tests(&mut cargo("test --package ntpscope-lab --lib nat_tests -- --include-ignored --show-output"))
            .map(Outcome::Tested)
    });
    Ok(steps.finish())
}

/// The step of `cargo xtask test`: a few seeds, within a budget; the release build is there.
pub fn few() -> Result<Outcome> {
    let mut score = score(FEW)?;
    score.arg("--within").arg(BUDGET_S.to_string());
    if !score.status().with_context(|| format!("start {}", shown(&score)))?.success() {
        return Ok(Outcome::Failed("a world above is not as known".to_owned()));
    }
    Ok(Outcome::Ok)
}

/// Builds the lab, and has it score every world.
fn score(seeds: u32) -> Result<Command> {
    run(&mut cargo("build --release --package ntpscope-lab"))?;
    let mut stories = Vec::<PathBuf>::new();
    for entry in fs::read_dir("stories").context("list stories")? {
        let story = entry?.path();
        if story.join("world.toml").is_file() {
            stories.push(story);
        }
    }
    stories.sort();
    let mut score = Command::new(target_folder().join("release/ntpscope-lab"));
    score.args(["score", "worlds"]).args(stories).arg("--binary").arg(release_binary());
    score.arg("--seeds").arg(seeds.to_string());
    Ok(score)
}
