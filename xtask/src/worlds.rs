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

/// What `cargo xtask degrade` does: from every world, story and recorded case evidence is taken away, piece by piece and in
/// pairs.
pub fn degrade() -> Result<ExitCode> {
    run(&mut cargo("build --release --package ntpscope --package ntpscope-lab"))?;
    let mut cases = stories()?;
    for (folder, needed) in [("worlds", ""), ("../shared/cases", "truth.json")] {
        let Ok(entries) = fs::read_dir(folder) else {
            println!("skipped: {folder} is not there");
            continue;
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
        let is_case = |path: &PathBuf| match needed {
            "" => path.extension().is_some_and(|extension| extension == "toml"),
            file => path.join(file).is_file(),
        };
        let mut paths: Vec<PathBuf> = paths.into_iter().filter(is_case).collect();
        paths.sort();
        cases.extend(paths);
    }
    let mut degrade = Command::new(target_folder().join("release/ntpscope-lab"));
    degrade.arg("degrade").args(cases).arg("--binary").arg(release_binary());
    let status = degrade.status().with_context(|| format!("start {}", shown(&degrade)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let mut score = Command::new(target_folder().join("release/ntpscope-lab"));
    score.args(["score", "worlds"]).args(stories()?).arg("--binary").arg(release_binary());
    score.arg("--seeds").arg(seeds.to_string());
    Ok(score)
}

/// The stories that the lab plays.
fn stories() -> Result<Vec<PathBuf>> {
    let mut stories = Vec::<PathBuf>::new();
    for entry in fs::read_dir("stories").context("list stories")? {
        let story = entry?.path();
        if story.join("world.toml").is_file() {
            stories.push(story);
        }
    }
    stories.sort();
    Ok(stories)
}
