//! `fuzz`: the targets in `fuzz/`, each for a bounded number of inputs.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::steps::{Steps, run};
use crate::{answers, cargo};

const TARGETS: &str = "fuzz/fuzz_targets";
/// The targets that read text; besides their own seeds they begin with the samples that the tests have.
const TEXT: [&str; 2] = ["text", "diagnosis"];
const SAMPLES: &str = "crates/core/tests/samples";
/// Inputs per target, unless asked for another number: minutes for all of them.
const RUNS: u32 = 200_000;
/// Bytes per input: several packets or a screen of text, and still fast.
const MAX_LEN: u32 = 4096;

/// What `cargo xtask fuzz` does.
pub fn fuzz(target: Option<&str>, runs: Option<u32>) -> Result<ExitCode> {
    let known = targets()?;
    let chosen: Vec<&str> = match target {
        None => known.iter().map(String::as_str).collect(),
        Some(target) if known.iter().any(|name| name == target) => vec![target],
        Some(target) => bail!("no fuzz target {target}: there are {}", known.join(", ")),
    };

    if !answers(&mut cargo("fuzz --version")) {
        bail!("no cargo-fuzz: cargo install cargo-fuzz");
    }

    let mut steps = Steps::default();
    for target in chosen {
        steps.run(target, || {
            // What the fuzzer finds goes to the first folder; the others it only reads.
            let corpus = format!("fuzz/corpus/{target}");
            fs::create_dir_all(&corpus).with_context(|| format!("create {corpus}"))?;
            // No code here is unsafe, for a sanitizer to watch; without one the stable compiler will do, where it is let.
            let mut fuzzer = cargo(&format!("fuzz run --sanitizer none {target} {corpus}"));
            fuzzer.env("RUSTC_BOOTSTRAP", "1");
            let seeds = format!("fuzz/seeds/{target}");
            if TEXT.contains(&target) {
                fuzzer.args(["fuzz/seeds/text", SAMPLES]);
            } else if fs::exists(&seeds)? {
                fuzzer.arg(seeds);
            }
            let runs = runs.unwrap_or(RUNS);
            fuzzer.args(["--", &format!("-runs={runs}"), &format!("-max_len={MAX_LEN}")]);
            run(&mut fuzzer)
        });
    }
    Ok(steps.finish())
}

/// The targets' names, sorted.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(TARGETS).with_context(|| format!("list {TARGETS}"))? {
        if let Some(name) = entry?.file_name().to_str().and_then(|name| name.strip_suffix(".rs")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
