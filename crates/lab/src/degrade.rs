//! `ntpscope-lab degrade`: evidence is taken away, piece by piece and in pairs, and ntpscope asked again. What is left may
//! decide nothing any more; then the true cause must stand under undecided. It must never decide wrongly.

use crate::score::judge::{CLAIM, Report};
use crate::sim;
use crate::world::World;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What could tell the program what is true, and is hidden from it.
const HIDDEN: [&str; 3] = ["truth.json", "packets.tsv", "NOTES.md"];
/// Wrong answers that are shown of each case.
const MOST_SHOWN: usize = 3;

/// What `degrade` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Recorded cases (folders with a truth.json) and worlds (files, or folders with a world.toml), which are played first
    #[arg(required = true)]
    pub cases: Vec<PathBuf>,
    /// The program that diagnoses
    #[arg(long, default_value = "target/release/ntpscope")]
    pub binary: PathBuf,
}

/// What is true of a case, as far as it is asked for here.
#[derive(Debug, Default, Deserialize)]
struct Truth {
    #[serde(default)]
    causes: Vec<Cause>,
    #[serde(default)]
    accept: Vec<String>,
    #[serde(default)]
    undecided: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Cause {
    cause: String,
}

/// What came of a case with some evidence missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    /// A true cause is claimed, and nothing else; or nothing is, where nothing is wrong.
    Right,
    /// Nothing is claimed, and a true cause stands under undecided.
    Undecided,
    /// Nothing is said: what is left shows no symptom, or the true cause is not thought of.
    Silent,
    /// A fault is claimed that isn't there.
    Wrong,
}

const ANSWERS: [Answer; 4] = [Answer::Right, Answer::Undecided, Answer::Silent, Answer::Wrong];

/// A case, and the pieces that its evidence is made of.
struct Case {
    name: String,
    root: PathBuf,
    truth: Truth,
    /// Files below the root by piece.
    pieces: BTreeMap<String, BTreeSet<PathBuf>>,
    files: BTreeSet<PathBuf>,
}

/// Takes evidence away, and prints a table. The exit status is 1 where an answer was wrong.
///
/// # Errors
/// A case can't be read or played, or the program can't be started.
pub fn run(args: &Args) -> Result<ExitCode> {
    ensure!(args.binary.is_file(), "{} is not there: build it, or name another with --binary", args.binary.display());
    let scratch = std::env::temp_dir().join(format!("ntpscope-lab-degrade-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
    let result = all(args, &scratch);
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    result
}

fn all(args: &Args, scratch: &Path) -> Result<ExitCode> {
    let mut sums = BTreeMap::<Answer, usize>::new();
    println!("{:<36} {:>9} {:>9} {:>9} {:>9}", "evidence taken away from", "right", "undecided", "silent", "wrong");
    for path in &args.cases {
        let case = Case::read(path, scratch)?;
        let lacking = case.lacking();
        let answers = ask_all(&case, &lacking, args, scratch)?;
        let count = |answer: Answer| answers.iter().filter(|(a, _)| *a == answer).count();
        let cells: Vec<String> = ANSWERS.iter().map(|answer| format!("{:>9}", count(*answer))).collect();
        println!("{:<36} {}", case.name, cells.join(" "));
        for answer in ANSWERS {
            *sums.entry(answer).or_default() += count(answer);
        }
        let wrong = answers.iter().zip(&lacking).filter(|((answer, _), _)| *answer == Answer::Wrong);
        for ((_, said), without) in wrong.take(MOST_SHOWN) {
            println!("    without {}: {said}", without.join(" and "));
        }
    }
    let cells: Vec<String> = sums.values().map(|n| format!("{n:>9}")).collect();
    println!("{:<36} {}", "all", cells.join(" "));
    Ok(ExitCode::from(u8::from(sums.get(&Answer::Wrong).is_some_and(|n| *n > 0))))
}

impl Case {
    fn read(path: &Path, scratch: &Path) -> Result<Case> {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let world = if path.is_dir() { path.join("world.toml") } else { path.to_owned() };
        let root = if path.join("truth.json").is_file() {
            path.to_owned()
        } else {
            let text = fs::read_to_string(&world).with_context(|| format!("can't read {}", world.display()))?;
            let world = World::read(&text).with_context(|| format!("{} is no world", world.display()))?;
            let played = scratch.join("played").join(&name);
            sim::play(&world, &name, 1, &played)?;
            played
        };
        let truth = fs::read_to_string(root.join("truth.json")).with_context(|| format!("truth of {name}"))?;
        let truth = serde_json::from_str(&truth).with_context(|| format!("truth of {name}"))?;
        let mut files = BTreeSet::new();
        walk(&root, Path::new(""), &mut files)?;
        files.retain(|file| !HIDDEN.iter().any(|hidden| file.ends_with(hidden)));
        let mut pieces = BTreeMap::<String, BTreeSet<PathBuf>>::new();
        for file in &files {
            for piece in pieces_of(file) {
                pieces.entry(piece).or_default().insert(file.clone());
            }
        }
        Ok(Case { name, root, truth, pieces, files })
    }

    /// What is taken away, each set of files once: every piece, and every pair of them, but never all.
    fn lacking(&self) -> Vec<Vec<&str>> {
        let names: Vec<&str> = self.pieces.keys().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        let mut lacking = Vec::new();
        for (at, first) in names.iter().enumerate() {
            for second in &names[at..] {
                let mut without = vec![*first, *second];
                without.dedup();
                let gone: BTreeSet<&PathBuf> = without.iter().flat_map(|piece| &self.pieces[*piece]).collect();
                if gone.len() < self.files.len() && seen.insert(gone) {
                    lacking.push(without);
                }
            }
        }
        lacking
    }

    /// Asks the program of what is left.
    fn ask(&self, without: &[&str], binary: &Path, folder: &Path) -> Result<(Answer, String)> {
        for file in self.files.iter().filter(|file| !without.iter().any(|piece| self.pieces[*piece].contains(*file))) {
            let to = folder.join(file);
            fs::create_dir_all(to.parent().unwrap_or(folder))?;
            let from = self.root.join(file);
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ()))?;
        }
        let mut command = Command::new(binary);
        command.args(["diagnose", "--format", "json"]).arg(folder).stdin(Stdio::null());
        let output = command.output().context("start the program")?;
        fs::remove_dir_all(folder)?;
        if output.status.code() == Some(2) {
            return Ok((Answer::Silent, "nothing to read".into()));
        }
        let report: Report = match serde_json::from_slice(&output.stdout) {
            Ok(report) => report,
            Err(error) => {
                bail!(
                    "{} without {}: {error}: {}",
                    self.name,
                    without.join(" and "),
                    String::from_utf8_lossy(&output.stderr)
                )
            }
        };
        Ok(self.truth.answer(&report))
    }
}

impl Truth {
    fn answer(&self, report: &Report) -> (Answer, String) {
        let true_of = |cause: &str| self.causes.iter().any(|one| one.cause == cause);
        let claimed = report.diagnoses.iter().filter(|d| d.kind == "fault" && d.probability >= CLAIM);
        let claimed: Vec<&str> = claimed.map(|d| d.cause.as_str()).collect();
        let accepted = |cause: &&&str| true_of(cause) || self.accept.iter().any(|one| one == **cause);
        let open = |u: &crate::score::judge::Undecided| true_of(&u.cause) || self.undecided.contains(&u.cause);
        let answer = match claimed.iter().filter(accepted).count() {
            n if n < claimed.len() => Answer::Wrong,
            0 if self.causes.is_empty() && self.undecided.is_empty() => Answer::Right,
            0 if report.undecided.iter().any(open) => Answer::Undecided,
            0 => Answer::Silent,
            _ => Answer::Right,
        };
        (answer, claimed.join(", "))
    }
}

/// All answers, in the order of what is lacking, on all cores.
fn ask_all(case: &Case, lacking: &[Vec<&str>], args: &Args, scratch: &Path) -> Result<Vec<(Answer, String)>> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(without) = lacking.get(at) else { break };
                    let answer = case.ask(without, &args.binary, &scratch.join(at.to_string()));
                    if let Ok(mut answers) = answers.lock() {
                        answers.insert(at, answer);
                    }
                }
            });
        }
    });
    answers.into_inner().unwrap_or_default().into_values().collect()
}

/// The pieces that a file belongs to: what an operator may not have.
fn pieces_of(file: &Path) -> Vec<String> {
    let text = file.to_string_lossy();
    let folder = file.iter().next().map(|first| first.to_string_lossy().into_owned()).unwrap_or_default();
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if folder == "pcap" {
        let stem = name.split('.').next().unwrap_or_default();
        let host = stem.rsplit_once('_').map_or(stem, |(host, _)| host);
        return vec![format!("capture {stem}"), format!("all of {host}"), "all captures".into()];
    }
    let kind = match name.as_str() {
        _ if text.contains("/stats/") => "statistics",
        "measurements.log" | "statistics.log" | "tracking.log" => "statistics",
        _ if name.ends_with(".conf") => "configuration",
        _ if name.starts_with("status-") => "looks",
        _ if name.starts_with("conntrack-") || name.starts_with("nft-") => "tables",
        _ => "logs",
    };
    vec![format!("{kind} of {folder}"), format!("all of {folder}"), format!("all {kind}")]
}

fn walk(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(truth: &str, report: &str) -> Answer {
        let truth: Truth = serde_json::from_str(truth).expect("a truth");
        truth.answer(&serde_json::from_str(report).expect("a report")).0
    }

    #[test]
    fn an_answer_is_right_open_silent_or_wrong() {
        let truth = r#"{ "causes": [{ "cause": "late-replies" }], "accept": ["server-stalled"] }"#;
        let claim = |cause: &str, p: f64| {
            format!(
                r#"{{ "diagnoses": [{{ "cause": "{cause}", "kind": "fault", "probability": {p}, "where": {{}}, "affected": [] }}], "undecided": [] }}"#
            )
        };
        assert_eq!(answer(truth, &claim("late-replies", 0.9)), Answer::Right);
        assert_eq!(answer(truth, &claim("server-stalled", 0.6)), Answer::Right);
        assert_eq!(answer(truth, &claim("size-filter", 0.6)), Answer::Wrong);
        assert_eq!(answer(truth, &claim("size-filter", 0.4)), Answer::Silent);
        let open = r#"{ "diagnoses": [], "undecided": [{ "cause": "late-replies" }] }"#;
        assert_eq!(answer(truth, open), Answer::Undecided);
        assert_eq!(answer("{}", open), Answer::Right);
        assert_eq!(answer("{}", &claim("size-filter", 0.6)), Answer::Wrong);
    }

    #[test]
    fn a_file_is_a_piece_of_its_host_and_of_its_kind() {
        assert_eq!(pieces_of(Path::new("pcap/rt_in0.pcap")), ["capture rt_in0", "all of rt", "all captures"]);
        assert_eq!(pieces_of(Path::new("c1/stats/peerstats")), ["statistics of c1", "all of c1", "all statistics"]);
        assert_eq!(pieces_of(Path::new("sv/status-end.txt"))[0], "looks of sv");
    }
}
