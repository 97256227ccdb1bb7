//! Steps of a run: each shows its output as it comes, none stops those after it, and the summary leaves none out.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What became of a step.
pub enum Outcome {
    Ok,
    Failed(String),
    /// It couldn't run here, and why.
    Skipped(String),
    /// `cargo test` ran: its tests count, not the step.
    Tested(Tests),
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// What `cargo test` said, gathered line by line.
#[derive(Debug, Default, PartialEq)]
pub struct Tests {
    tally: Tally,
    /// Which tests couldn't run here, and why in their own words.
    reasons: Vec<String>,
    /// Whose output is being shown.
    speaker: String,
}

impl Tests {
    /// Counts what one line of output says.
    ///
    /// libtest knows no test that finds out at run time that it can't run. Ours print one line `skipped: reason` and return, which
    /// libtest counts as passed: such a line moves one test from there to the skipped.
    fn read(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix("skipped: ") {
            self.reasons.push(format!("{}: {reason}", self.speaker));
            self.tally.skipped += 1;
        } else if let Some(header) = line.strip_prefix("---- ") {
            self.speaker = header.trim_end_matches(" stdout ----").to_owned();
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let words: Vec<&str> = result.split([' ', ';']).filter(|word| !word.is_empty()).collect();
            let before =
                |name| words.windows(2).find(|pair| pair[1] == name).and_then(|pair| pair[0].parse().ok()).unwrap_or(0);
            self.tally += Tally { passed: before("passed"), failed: before("failed"), skipped: before("ignored") };
        }
    }

    /// The tally, now that all lines are read.
    fn tally(&self) -> Tally {
        Tally { passed: self.tally.passed.saturating_sub(self.reasons.len()), ..self.tally }
    }
}

struct Step {
    name: String,
    outcome: Outcome,
    took: Duration,
}

/// The steps so far, in order.
#[derive(Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Runs one step and keeps its outcome; an error is a failed step. Says whether the later ones can build on it.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<Outcome>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = step().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        match &outcome {
            Outcome::Skipped(why) => println!("skipped: {why}"),
            Outcome::Failed(why) => println!("failed: {why}"),
            Outcome::Ok | Outcome::Tested(_) => {}
        }
        let usable = matches!(outcome, Outcome::Ok);
        self.0.push(Step { name: name.to_owned(), outcome, took: start.elapsed() });
        usable
    }

    fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for step in &self.0 {
            sum += match &step.outcome {
                Outcome::Ok => Tally { passed: 1, ..Tally::default() },
                Outcome::Failed(_) => Tally { failed: 1, ..Tally::default() },
                Outcome::Skipped(_) => Tally { skipped: 1, ..Tally::default() },
                Outcome::Tested(tests) => tests.tally(),
            };
        }
        sum
    }

    /// Prints a line per step, and last and alone the sum; the exit status says whether anything failed.
    pub fn finish(self) -> ExitCode {
        println!("\n== summary");
        for Step { name, outcome, took } in &self.0 {
            let (word, note) = match outcome {
                Outcome::Ok => ("ok", String::new()),
                Outcome::Failed(why) => ("failed", why.clone()),
                Outcome::Skipped(why) => ("skipped", why.clone()),
                Outcome::Tested(tests) if tests.tally().failed > 0 => ("failed", tests.tally().to_string()),
                Outcome::Tested(tests) => ("ok", tests.tally().to_string()),
            };
            println!("{}", format!("{name:<16} {word:<8} {:>7.1} s   {note}", took.as_secs_f64()).trim_end());
            if let Outcome::Tested(tests) = outcome {
                for reason in &tests.reasons {
                    println!("{:<16} skipped: {reason}", "");
                }
            }
        }
        let sum = self.tally();
        println!("{sum}");
        if sum.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// The command line, as someone would type it.
pub fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command with its output where ours goes; anything but success is an error.
pub fn run(command: &mut Command) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(Outcome::Ok)
}

/// Runs `cargo test` with these arguments, passes its output through, and counts what it says.
pub fn run_tests(cargo_test: &mut Command) -> Result<Tests> {
    let mut child =
        cargo_test.stdout(Stdio::piped()).spawn().with_context(|| format!("start {}", shown(cargo_test)))?;
    let mut tests = Tests::default();
    if let Some(stdout) = child.stdout.take() {
        // Bytes, not text: a test may print what it was fed.
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("read what the tests print")?;
            let mut out = std::io::stdout().lock();
            out.write_all(&line)?;
            out.write_all(b"\n")?;
            tests.read(&String::from_utf8_lossy(&line));
        }
    }
    let status = child.wait().context("wait for the tests")?;
    if !status.success() && tests.tally().failed == 0 {
        bail!("{} ended with {status} without a failed test: something doesn't build, or crashed", shown(cargo_test));
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What libtest prints for two binaries: one test fails, one is ignored, and one of those that pass says that it skipped.
    fn two_binaries() -> Tests {
        let mut tests = Tests::default();
        for line in [
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "---- replays stdout ----",
            "skipped: tshark is not here",
            "test reads skipped: not at the start ... ok",
            "test result: FAILED. 7 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s",
        ] {
            tests.read(line);
        }
        tests
    }

    #[test]
    fn a_test_that_says_it_skipped_is_not_passed() {
        let tests = two_binaries();
        assert_eq!(tests.tally(), Tally { passed: 11, failed: 1, skipped: 2 });
        assert_eq!(tests.reasons, ["replays: tshark is not here"]);
    }

    #[test]
    fn the_sum_has_tests_and_steps() {
        let outcomes = [
            Outcome::Ok,
            Outcome::Skipped("not installed".to_owned()),
            Outcome::Failed("no such file".to_owned()),
            Outcome::Tested(two_binaries()),
        ];
        let steps = outcomes.map(|outcome| Step { name: String::new(), outcome, took: Duration::ZERO });
        assert_eq!(Steps(steps.into()).tally(), Tally { passed: 12, failed: 2, skipped: 3 });
    }
}
