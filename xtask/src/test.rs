//! `test` and `lint`: everything that a change must pass, on a bare Debian with Rust and the package registries.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::steps::{Outcome, Steps, run, run_tests};
use crate::{answers, cargo, daemons, on_path, release_binary, worlds};

/// Programs that the tests use, and the Debian package of each.
const PACKAGES: [(&str, &str); 6] = [
    ("tshark", "tshark"),
    ("python3", "python3"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("setpriv", "util-linux"),
];

/// The labelled cases that tests are scored on, where they are: beside the repository.
const SCORE: &str = "../shared/score";
const CASES: &str = "../shared/cases";

/// How to install what a bare toolchain lacks.
const RUSTFMT: &str = "rustup component add rustfmt";
const CLIPPY: &str = "rustup component add clippy";
const DENY: &str = "cargo install cargo-deny";

/// What `cargo xtask test` does.
pub fn test() -> ExitCode {
    let mut steps = Steps::default();
    steps.run("packages", packages);
    read_the_code(&mut steps);
    // The dev profile: its overflow checks and debug assertions see what release passes over.
    steps.run("tests", || {
        // Captured output shown afterwards, so that the lines of parallel tests don't mix and `skipped:` starts its line.
        let tests = "test --workspace --no-fail-fast -- --quiet --show-output";
        run_tests(&mut cargo(tests)).map(Outcome::Tested)
    });
    // Parquet is in no default build.
    steps.run("tests of parquet", || {
        let tests = "test --package ntpscope --features parquet --bin ntpscope parquet -- --show-output";
        run_tests(&mut cargo(tests)).map(Outcome::Tested)
    });
    let built = steps.run("release build", || run(&mut cargo("build --release --package ntpscope")));
    steps.run("cases", || if built { cases() } else { skipped("the release build failed") });
    steps.run("worlds", || if built { worlds::few() } else { skipped("the release build failed") });
    steps.finish()
}

/// What `cargo xtask lint` does.
pub fn lint() -> ExitCode {
    let mut steps = Steps::default();
    read_the_code(&mut steps);
    steps.finish()
}

/// The steps that only read the code. The fuzz targets are a workspace of their own, here checked without libFuzzer.
fn read_the_code(steps: &mut Steps) {
    for (name, install, subcommand) in [
        ("format", RUSTFMT, "fmt --all --check"),
        ("format of fuzz", RUSTFMT, "fmt --check --manifest-path fuzz/Cargo.toml"),
        ("clippy", CLIPPY, "clippy --workspace --all-targets -- -D warnings"),
        ("clippy of fuzz", CLIPPY, "clippy --manifest-path fuzz/Cargo.toml --no-default-features -- -D warnings"),
        // Advisories need a clone of their database; they are for a scheduled run, not for each change.
        ("licences", DENY, "deny check licenses bans sources"),
    ] {
        steps.run(name, || tool(install, subcommand));
    }
}

/// Installs the packages that are missing, where that's possible, and unpacks the daemons that the lab plays with.
pub fn packages() -> Result<Outcome> {
    let missing = PACKAGES.into_iter().filter(|(program, _)| !on_path(program));
    let missing: Vec<&str> = missing.map(|(_, package)| package).collect();
    let installed = if missing.is_empty() { Outcome::Ok } else { install(&missing)? };
    if !matches!(installed, Outcome::Ok) {
        return Ok(installed);
    }
    match daemons::unpack() {
        Ok(()) => Ok(Outcome::Ok),
        Err(error) => skipped(&format!("no daemons for the lab: {error:#}")),
    }
}

fn install(missing: &[&str]) -> Result<Outcome> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let by_hand = format!("apt-get install {}", missing.join(" "));
    if !root || !on_path("apt-get") {
        return skipped(&format!("not root on Debian; by hand: {by_hand}"));
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]).args(missing);
    for command in [Command::new("apt-get").arg("update"), &mut install] {
        if let Err(error) = run(command.env("DEBIAN_FRONTEND", "noninteractive")) {
            return skipped(&format!("{error:#}; by hand: {by_hand}"));
        }
    }
    Ok(Outcome::Ok)
}

/// Scores the release binary on the labelled cases.
fn cases() -> Result<Outcome> {
    if !Path::new(SCORE).exists() || !Path::new(CASES).exists() {
        return skipped("../shared is not here");
    }
    if !on_path("python3") {
        return skipped("python3 is not installed, and ../shared/score is written in it");
    }
    let entries = fs::read_dir(CASES).with_context(|| format!("list {CASES}"))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let mut cases: Vec<PathBuf> = paths.into_iter().filter(|path| path.join("truth.json").is_file()).collect();
    cases.sort();
    let mut score = Command::new(SCORE);
    score.arg("--binary").arg(release_binary()).args(cases);
    if !score.status().with_context(|| format!("start {SCORE}"))?.success() {
        return Ok(Outcome::Failed("a case above has a gap, and should have none".to_owned()));
    }
    Ok(Outcome::Ok)
}

/// A cargo subcommand that may not be installed: then the step is skipped, and says how to install it.
fn tool(install: &str, subcommand: &str) -> Result<Outcome> {
    let name = subcommand.split(' ').next().unwrap_or(subcommand);
    if !answers(&mut cargo(&format!("{name} --version"))) {
        return skipped(&format!("cargo-{name} is not installed ({install})"));
    }
    run(&mut cargo(subcommand))
}

fn skipped(why: &str) -> Result<Outcome> {
    Ok(Outcome::Skipped(why.to_owned()))
}
