//! The workbench around the product: `cargo xtask test | lint | bench | fuzz | degrade | worlds`, what people and CI both run.

mod bench;
mod daemons;
mod fleet;
mod fuzz;
mod steps;
mod test;
mod traffic;
mod worlds;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test                       everything that a change must pass, with a summary at the end
  lint                       the part of it that only reads the code: format, clippy, licences
  bench [capture|points|fleet|lab] [--runs N]
                             time and memory beside tshark, on a generated capture of a million packets; beside cat, wc,
                             DuckDB, Polars and awk, on the generated peerstats of 200 hosts over 30 days; and of the
                             lab, that plays 100 hosts over 7 days; points (by name only): five million packets from six
                             points beside tcpdump
  fuzz [TARGET] [--runs N]   each target in fuzz/, or one of them, for N inputs
  degrade                    what becomes of the answer to every world, story and recorded case when evidence is taken away, piece
                             by piece and in pairs; takes an hour
  worlds [--seeds N]         every world with N seeds (20), and how ntpscope did: what it took for what, whether its probabilities
                             are right, what is not as known
  worlds --engine netns      the worlds that real daemons can play, all at once, in network namespaces, and the kernel's NAT beside
                             the simulator's; takes a quarter of an hour, root and Debian";

fn main() -> Result<ExitCode> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no folder above it")?;
    env::set_current_dir(top).with_context(|| format!("enter {}", top.display()))?;

    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["test"] => Ok(test::test()),
        ["lint"] => Ok(test::lint()),
        ["bench"] => bench::bench(None, None),
        ["bench", "--runs", runs] => bench::bench(None, Some(count(runs)?)),
        ["bench", which @ ("capture" | "points" | "fleet" | "lab")] => bench::bench(Some(which), None),
        ["bench", which @ ("capture" | "points" | "fleet" | "lab"), "--runs", runs] => {
            bench::bench(Some(which), Some(count(runs)?))
        }
        ["fuzz"] => fuzz::fuzz(None, None),
        ["fuzz", "--runs", runs] => fuzz::fuzz(None, Some(count(runs)?)),
        ["fuzz", target] => fuzz::fuzz(Some(target), None),
        ["fuzz", target, "--runs", runs] => fuzz::fuzz(Some(target), Some(count(runs)?)),
        ["degrade"] => worlds::degrade(),
        ["worlds"] => worlds::many(worlds::SEEDS),
        ["worlds", "--engine", "netns"] => worlds::real(),
        ["worlds", "--seeds", seeds] => worlds::many(count(seeds)?),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

/// A count from the command line; none of them makes sense at zero.
fn count(text: &str) -> Result<u32> {
    match text.parse() {
        Ok(0) | Err(_) => bail!("`{text}`: give a number from 1 on"),
        Ok(count) => Ok(count),
    }
}

/// Where cargo puts what it builds, for both workspaces, so that they share it.
fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// The binary that people get.
fn release_binary() -> PathBuf {
    target_folder().join("release/ntpscope")
}

/// Cargo with these arguments, none of which has a space in it.
fn cargo(arguments: &str) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments.split(' ')).env("CARGO_TARGET_DIR", target_folder());
    command
}

/// Whether a command ends well, unseen.
fn answers(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Whether a program of this name is on the search path.
fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
