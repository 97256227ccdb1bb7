//! Plays many worlds at once, and asks the program about each.

use super::judge::{Report, Verdict};
use super::{Play, Scored};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What could tell the program what is true, and is hidden from it.
const HIDDEN: [&str; 5] = ["truth.json", "packets.tsv", "wire.tsv", "NOTES.md", "world.toml"];
/// The program has this long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Plays worlds.
pub struct Player<'a> {
    /// The worlds.
    pub worlds: &'a [Scored],
    /// Each is played with the seeds from 1 to this.
    pub seeds: u64,
    /// So many at once.
    pub at_once: usize,
    /// No seed but the first is begun after this.
    pub within: Option<Duration>,
    /// The program.
    pub binary: &'a Path,
    /// Where the evidence is kept, if it is.
    pub keep: Option<&'a Path>,
    /// The engine.
    pub play: &'a Play<'a>,
}

/// One play of a world.
pub struct Played {
    /// Its seed.
    pub seed: u64,
    /// How the program did; without a report, badly.
    pub verdict: Verdict,
    /// Why there is no report.
    pub trouble: Option<String>,
    /// How long all of it took.
    pub took: Duration,
}

impl Player<'_> {
    /// Plays all worlds with all seeds, round by round: the plays of each world, in the order of the seeds.
    ///
    /// # Errors
    /// There is no such program, or no folder for the evidence.
    pub fn all(&self) -> Result<Vec<Vec<Played>>> {
        if !self.binary.is_file() {
            bail!("{} is not there: build it, or name another with --binary", self.binary.display());
        }
        let place = Place::new(self.keep)?;
        let begun = Instant::now();
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        let work = || {
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                let Some(world) = task.checked_rem(self.worlds.len()) else { break };
                let seed = (task / self.worlds.len()) as u64 + 1;
                let is_late = seed > 1 && self.within.is_some_and(|within| begun.elapsed() > within);
                if seed > self.seeds || is_late {
                    break;
                }
                let played = self.one(&self.worlds[world], seed, &place);
                if let Ok(mut results) = results.lock() {
                    results.push((world, played));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.at_once {
                scope.spawn(work);
            }
        });
        let mut all: Vec<Vec<Played>> = self.worlds.iter().map(|_| Vec::new()).collect();
        for (world, played) in results.into_inner().unwrap_or_default() {
            all[world].push(played);
        }
        all.iter_mut().for_each(|plays| plays.sort_by_key(|played| played.seed));
        Ok(all)
    }

    fn one(&self, scored: &Scored, seed: u64, place: &Place) -> Played {
        let begun = Instant::now();
        let folder = place.folder.join(format!("{}-{seed}", scored.name));
        // An engine that breaks on one world does not end the score of the others.
        let report = catch_unwind(AssertUnwindSafe(|| self.report(scored, seed, &folder)));
        let report = report.unwrap_or_else(|_| bail!("the engine broke"));
        if place.is_ours && fs::remove_dir_all(&folder).is_err() {
            eprintln!("can't remove {}", folder.display());
        }
        let (verdict, trouble) = match report {
            Ok(report) => (scored.truth.judge(&report), None),
            Err(error) => {
                let mut verdict = scored.truth.judge(&Report::default());
                verdict.marks = Default::default();
                (verdict, Some(format!("{error:#}")))
            }
        };
        Played { seed, verdict, trouble, took: begun.elapsed() }
    }

    /// Plays a world, and asks the program.
    fn report(&self, scored: &Scored, seed: u64, folder: &Path) -> Result<Report> {
        let evidence = folder.join("evidence");
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        (self.play)(&scored.world, &scored.name, seed, &evidence)?;
        for name in HIDDEN {
            let file = evidence.join(name);
            if file.exists() {
                fs::rename(&file, folder.join(name)).with_context(|| format!("hide {}", file.display()))?;
            }
        }
        let (answer, complaint) = (folder.join("report.json"), folder.join("report.err"));
        let create = |file: &PathBuf| File::create(file).with_context(|| format!("make {}", file.display()));
        let mut command = Command::new(self.binary);
        command.args(["diagnose", "--format", "json"]).arg(&evidence).stdin(Stdio::null());
        command.stdout(create(&answer)?).stderr(create(&complaint)?);
        let exit = wait(&mut command)?;
        let read = |file: &PathBuf| fs::read_to_string(file).with_context(|| format!("read {}", file.display()));
        match serde_json::from_str::<Report>(&read(&answer)?) {
            Ok(report) => Ok(Report { exit: exit.code(), ..report }),
            Err(error) => bail!("no report ({error}): {}", read(&complaint)?.trim()),
        }
    }
}

/// Waits for a command, but not for ever.
fn wait(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command.spawn().context("start the program")?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("no answer in {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}

/// The folder of the evidence; one of our own is removed in the end.
struct Place {
    folder: PathBuf,
    is_ours: bool,
}

impl Place {
    fn new(keep: Option<&Path>) -> Result<Place> {
        if let Some(folder) = keep {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
            return Ok(Place { folder: folder.to_owned(), is_ours: false });
        }
        // Another score in this process, or one that was killed, may have a folder already.
        for number in 0.. {
            let folder = std::env::temp_dir().join(format!("ntpscope-lab-{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Place { folder, is_ours: true }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("make {}", folder.display())),
            }
        }
        bail!("no name is left for a folder in {}", std::env::temp_dir().display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_ours && fs::remove_dir(&self.folder).is_err() {
            eprintln!("can't remove {}", self.folder.display());
        }
    }
}
