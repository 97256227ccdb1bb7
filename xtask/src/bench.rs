//! `bench`: whole processes side by side on the same capture, with tshark as the yardstick.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::steps::{run, shown};
use crate::{cargo, on_path, release_binary, traffic};

const CAPTURE: &str = "benches/data/million.pcap";
const PACKETS: usize = 1_000_000;

/// Runs of each process, unless asked for another number: the median of few is enough for what takes half a minute.
const RUNS: u32 = 5;
const TSHARK_RUNS: u32 = 3;

/// Between two looks at a process: its memory is sampled, and its end noticed, this often.
const SAMPLING: Duration = Duration::from_millis(1);

/// The fields that ntpscope reads of a packet, and tshark's own matching of requests and replies.
const TSHARK_FIELDS: [&str; 17] = [
    "frame.number",
    "frame.time_epoch",
    "ip.src",
    "udp.srcport",
    "ip.dst",
    "udp.dstport",
    "ip.ttl",
    "ip.dsfield.dscp",
    "udp.length",
    "ntp.flags.mode",
    "ntp.flags.vn",
    "ntp.ppoll",
    "ntp.xmt",
    "ntp.org",
    "ntp.response_in",
    "ntp.request_in",
    "ntp.delta_time",
];

/// What `cargo xtask bench` does; `runs` is for each process, tshark included.
pub fn bench(runs: Option<u32>) -> Result<ExitCode> {
    run(&mut cargo("build --release --package ntpscope"))?;
    make_capture(Path::new(CAPTURE))?;

    let mut contests = vec![
        Contest {
            name: "ntpscope exchanges --summary",
            command: ntpscope(&["exchanges", "--summary"]),
            fine: &[0],
            runs: runs.unwrap_or(RUNS),
            measured: Vec::new(),
        },
        Contest {
            name: "ntpscope diagnose",
            command: ntpscope(&["diagnose"]),
            // It ends with 1 when it claims a fault, and the capture has one.
            fine: &[0, 1],
            runs: runs.unwrap_or(RUNS),
            measured: Vec::new(),
        },
    ];
    if on_path("tshark") {
        contests.push(Contest {
            name: "tshark -2 -T fields",
            command: tshark(),
            fine: &[0],
            runs: runs.unwrap_or(TSHARK_RUNS),
            measured: Vec::new(),
        });
    } else {
        println!("skipped: tshark is not installed (apt-get install tshark)");
    }

    // Warm the cache, then go round: what disturbs the machine for a while disturbs them all.
    io::copy(&mut File::open(CAPTURE)?, &mut io::sink()).with_context(|| format!("read {CAPTURE}"))?;
    for round in 0..contests.iter().map(|contest| contest.runs).max().unwrap_or(0) {
        for contest in contests.iter_mut().filter(|contest| round < contest.runs) {
            let measured = contest.run()?;
            println!("{:<30} {:>8.3} s", contest.name, measured.took.as_secs_f64());
            contest.measured.push(measured);
        }
    }
    print_table(&contests);
    Ok(ExitCode::SUCCESS)
}

fn ntpscope(verb: &[&str]) -> Command {
    let mut command = Command::new(release_binary());
    command.args(verb).arg(CAPTURE);
    command
}

fn tshark() -> Command {
    let mut command = Command::new("tshark");
    command.args(["-2", "-r", CAPTURE, "-T", "fields"]);
    command.args(TSHARK_FIELDS.iter().flat_map(|field| ["-e", field]));
    command
}

/// Writes the capture unless it's there. It gets its name when it is whole.
fn make_capture(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    println!("writing {}", path.display());
    let unfinished = path.with_extension("part");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let mut out = BufWriter::new(File::create(&unfinished).with_context(|| format!("write {}", unfinished.display()))?);
    traffic::write(&mut out, PACKETS)?;
    out.flush()?;
    fs::rename(&unfinished, path).with_context(|| format!("write {}", path.display()))
}

/// One of the processes that are compared.
struct Contest {
    name: &'static str,
    command: Command,
    /// The exit statuses of a run that did its work.
    fine: &'static [i32],
    runs: u32,
    measured: Vec<Measured>,
}

impl Contest {
    /// Runs the process to its end with its output thrown away.
    fn run(&mut self) -> Result<Measured> {
        let start = Instant::now();
        let mut child = self
            .command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {}", shown(&self.command)))?;
        let mut memory = Memory::default();
        let status = loop {
            memory = memory.max(Memory::of(&child));
            if let Some(status) = child.try_wait()? {
                break status;
            }
            thread::sleep(SAMPLING);
        };
        let took = start.elapsed();
        if !status.code().is_some_and(|code| self.fine.contains(&code)) {
            bail!("{} ended with {status}: run it to see why", shown(&self.command));
        }
        Ok(Measured { took, memory })
    }
}

/// One run: how long, and the most memory that it held.
struct Measured {
    took: Duration,
    memory: Memory,
}

/// Peaks, KiB. A capture that is mapped counts as resident though the kernel can drop it; anonymous memory is the program's own.
#[derive(Clone, Copy, Default)]
struct Memory {
    resident: u64,
    anonymous: u64,
}

impl Memory {
    fn max(self, other: Self) -> Self {
        Self { resident: self.resident.max(other.resident), anonymous: self.anonymous.max(other.anonymous) }
    }

    /// What a process holds now; nothing if it has just ended.
    fn of(process: &Child) -> Self {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
        let kib = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
        };
        Self { resident: kib("VmHWM:"), anonymous: kib("RssAnon:") }
    }
}

fn print_table(contests: &[Contest]) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!(
        "\n{CAPTURE}: {PACKETS} packets, warm cache, {threads} threads, median of the runs, peak memory of all runs"
    );
    println!("{:<30} {:>4} {:>9} {:>7} {:>10} {:>14}", "", "runs", "seconds", "ratio", "peak MiB", "anonymous MiB");
    let first = contests.first().map_or(0.0, |contest| median(&contest.measured));
    for contest in contests {
        let seconds = median(&contest.measured);
        let peak = contest.measured.iter().fold(Memory::default(), |peak, run| peak.max(run.memory));
        println!(
            "{:<30} {:>4} {seconds:>9.3} {:>7.1} {:>10.1} {:>14.1}",
            contest.name,
            contest.runs,
            seconds / first,
            peak.resident as f64 / 1024.0,
            peak.anonymous as f64 / 1024.0
        );
    }
}

/// The median time, s; with an even number of runs, the slower of the middle two.
fn median(runs: &[Measured]) -> f64 {
    let mut times: Vec<Duration> = runs.iter().map(|run| run.took).collect();
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}
