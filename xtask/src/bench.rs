//! `bench`: whole processes side by side on the same files, with the tools that people use today as the yardstick.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::steps::{run, shown};
use crate::{answers, cargo, fleet, on_path, release_binary, target_folder, traffic};

const CAPTURE: &str = "benches/data/million.pcap";
const PACKETS: usize = 1_000_000;

/// The same clients and servers, seen from six points on the way.
const POINTS: &str = "benches/data/points";
const POINT_PACKETS: usize = 5_000_000 / 6;

/// 200 hosts, 30 days of `peerstats`; and the same, each file gzipped.
const FLEET: &str = "benches/data/fleet";
const FLEET_GZ: &str = "benches/data/fleet-gz";

/// Runs of each process, unless asked for another number: the median of few is enough for what takes half a minute.
const RUNS: u32 = 5;
const SLOW_RUNS: u32 = 3;

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

/// What `cargo xtask bench` does: one contest, or all; `runs` is for each process.
pub fn bench(which: Option<&str>, runs: Option<u32>) -> Result<ExitCode> {
    run(&mut cargo("build --release --package ntpscope"))?;
    if which == Some("lab") {
        return lab(runs);
    }
    if which == Some("points") {
        return points(runs);
    }
    if which != Some("fleet") {
        make(Path::new(CAPTURE), &|unfinished| {
            let mut out = BufWriter::new(File::create(unfinished)?);
            traffic::write(&mut out, PACKETS, 0)?;
            Ok(out.flush()?)
        })?;
        contest(&format!("{CAPTURE}: {PACKETS} packets"), captures(), runs)?;
    }
    if which != Some("capture") {
        make(Path::new(FLEET), &fleet::write)?;
        make(Path::new(FLEET_GZ), &|unfinished| {
            run(Command::new("cp").args(["-r", FLEET]).arg(unfinished))?;
            run(Command::new("gzip").args(["-r", "-6"]).arg(unfinished)).map(|_| ())
        })?;
        let size = bytes_below(Path::new(FLEET))?;
        contest(&format!("{FLEET}: {:.2} GB of peerstats", size as f64 / 1e9), fleets(), runs)?;
        contest(&format!("{FLEET_GZ}: the same, gzipped"), packed_fleets(), runs)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Packets of six points joined and diagnosed, beside tcpdump that only prints them.
fn points(runs: Option<u32>) -> Result<ExitCode> {
    make(Path::new(POINTS), &|unfinished| {
        fs::create_dir_all(unfinished)?;
        for point in 0..6_u8 {
            let mut out = BufWriter::new(File::create(unfinished.join(format!("p{point}.pcap")))?);
            traffic::write(&mut out, POINT_PACKETS, 5 - point)?;
            out.flush()?;
        }
        Ok(())
    })?;
    let mut contests =
        vec![Contest { fine: &[0, 1], ..Contest::new("ntpscope diagnose", ntpscope(&["diagnose", POINTS])) }];
    if on_path("tcpdump") {
        let line = format!("for file in {POINTS}/*; do tcpdump -nr $file > /dev/null 2>&1; done");
        contests.push(Contest { runs: SLOW_RUNS, ..Contest::new("tcpdump -nr", shell(&line)) });
    } else {
        println!("skipped: tcpdump is not installed (apt-get install tcpdump)");
    }
    contest(&format!("{POINTS}: {} packets from 6 points", 6 * POINT_PACKETS), contests, runs)?;
    Ok(ExitCode::SUCCESS)
}

/// The lab's simulator: a hundred clients of four servers, polls of 64 to 1024 s, for a week of virtual time.
fn lab(runs: Option<u32>) -> Result<ExitCode> {
    run(&mut cargo("build --release --package ntpscope-lab"))?;
    let folder = Path::new("benches/data/lab");
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let (world, out) = (folder.join("hundred.toml"), folder.join("evidence"));
    fs::write(&world, hundred()).with_context(|| format!("write {}", world.display()))?;
    let (world, out) = (world.display(), out.display());
    let lab = target_folder().join("release/ntpscope-lab");
    let line = format!("rm -rf {out} && {} run {world} --out {out}", lab.display());
    contest(
        "100 hosts, 7 days, 4 sources at polls of 64 to 1024 s",
        vec![Contest::new("ntpscope-lab run", shell(&line))],
        runs,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The world of that bench.
fn hundred() -> String {
    const CLIENTS: usize = 100;
    const SERVERS: usize = 4;
    let ends = |first: &str, letter: &str, count: usize| {
        (0..count).fold(format!("'{first}'"), |list, n| format!("{list}, '{letter}{n}.eth0'"))
    };
    let mut world = String::from(
        "about = 'a hundred clients of four servers'\nduration = '7d'\n\
         hosts.rt = { addresses = { in0 = '10.1.0.1/16', out0 = '10.2.0.1/24' }, router = true }\n",
    );
    world +=
        &format!("links.lan = {{ joins = [{}], delay_ms = 0.1, jitter_ms = 0.05 }}\n", ends("rt.in0", "c", CLIENTS));
    world +=
        &format!("links.wan = {{ joins = [{}], delay_ms = 2.0, jitter_ms = 0.3 }}\n", ends("rt.out0", "s", SERVERS));
    for n in 0..SERVERS {
        world += &format!(
            "[hosts.s{n}]\naddresses.eth0 = '10.2.0.{}/24'\ngateway = '10.2.0.1'\n\
             daemon = {{ is = 'ntpd 4.2.8p15', serves = {{ stratum = 1, refid = 'GPS' }} }}\n",
            10 + n
        );
    }
    let asks = (0..SERVERS).map(|n| format!("{{ server = '10.2.0.{}', iburst = true }}", 10 + n)).collect::<Vec<_>>();
    for n in 0..CLIENTS {
        let is = ["ntpd 4.2.6p5", "ntpd 4.2.8p15", "ntpsec 1.2.2"][n % 3];
        world += &format!(
            "[hosts.c{n}]\naddresses.eth0 = '10.1.1.{}/16'\ngateway = '10.1.0.1'\n\
             oscillator = {{ ppm = {}.0, white = 1e-9, flicker = 1e-9, walk = 1e-10 }}\n\
             daemon = {{ is = '{is}', asks = [{}] }}\n",
            1 + n,
            n as i64 - 50,
            asks.join(", ")
        );
    }
    world
}

fn captures() -> Vec<Contest> {
    let mut contests = vec![
        Contest::new("ntpscope exchanges --summary", ntpscope(&["exchanges", "--summary", CAPTURE])),
        // It ends with 1 when it claims a fault, and the capture has one.
        Contest { fine: &[0, 1], ..Contest::new("ntpscope diagnose", ntpscope(&["diagnose", CAPTURE])) },
    ];
    if on_path("tshark") {
        contests.push(Contest { runs: SLOW_RUNS, ..Contest::new("tshark -2 -T fields", tshark()) });
    } else {
        println!("skipped: tshark is not installed (apt-get install tshark)");
    }
    contests
}

fn fleets() -> Vec<Contest> {
    let mut contests = vec![
        Contest::new("ntpscope rows --summary", ntpscope(&["rows", "--summary", FLEET])),
        Contest::new("cat", shell(&format!("cat {FLEET}/*/* > /dev/null"))),
        Contest::new("wc -l", shell(&format!("cat {FLEET}/*/* | wc -l"))),
    ];
    for (module, script) in [("duckdb", "benches/duckdb_offsets.py"), ("polars", "benches/polars_offsets.py")] {
        if answers(Command::new("python3").args(["-c", &format!("import {module}")])) {
            let mut python = Command::new("python3");
            python.args([script, FLEET]);
            contests.push(Contest::new(module, python));
        } else {
            println!("skipped: {module} is not installed (pip install {module})");
        }
    }
    contests
}

fn packed_fleets() -> Vec<Contest> {
    let counting = format!("zcat {FLEET_GZ}/*/* | awk '{{print $3}}' | sort | uniq -c | sort -rn");
    vec![
        Contest::new("ntpscope rows --summary", ntpscope(&["rows", "--summary", FLEET_GZ])),
        Contest { runs: SLOW_RUNS, ..Contest::new("zcat | awk | sort | uniq -c", shell(&counting)) },
    ]
}

/// Runs all in turn: what disturbs the machine for a while disturbs them all. The first round warms the cache.
fn contest(about: &str, mut contests: Vec<Contest>, runs: Option<u32>) -> Result<()> {
    for contest in &mut contests {
        contest.runs = runs.unwrap_or(contest.runs);
        contest.run()?;
    }
    for round in 0..contests.iter().map(|contest| contest.runs).max().unwrap_or(0) {
        for contest in contests.iter_mut().filter(|contest| round < contest.runs) {
            let measured = contest.run()?;
            println!("{:<30} {:>8.3} s", contest.name, measured.took.as_secs_f64());
            contest.measured.push(measured);
        }
    }
    print_table(about, &contests);
    Ok(())
}

fn ntpscope(arguments: &[&str]) -> Command {
    let mut command = Command::new(release_binary());
    command.args(arguments);
    command
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

fn tshark() -> Command {
    let mut command = Command::new("tshark");
    command.args(["-2", "-r", CAPTURE, "-T", "fields"]);
    command.args(TSHARK_FIELDS.iter().flat_map(|field| ["-e", field]));
    command
}

/// Makes a file or folder unless it's there. It gets its name when it is whole.
fn make(path: &Path, write: &dyn Fn(&Path) -> Result<()>) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    println!("writing {}", path.display());
    let unfinished = path.with_extension("part");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    // Of a run that was broken off.
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
    }
    write(&unfinished).with_context(|| format!("write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("write {}", path.display()))
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
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
    fn new(name: &'static str, command: Command) -> Contest {
        Contest { name, command, fine: &[0], runs: RUNS, measured: Vec::new() }
    }

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
            memory = memory.max(Memory::of(child.id()));
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

/// Peaks, KiB: of a shell, with those of the processes in its pipeline.
#[derive(Clone, Copy, Default)]
struct Memory {
    resident: u64,
    anonymous: u64,
}

impl Memory {
    fn max(self, other: Self) -> Self {
        Self { resident: self.resident.max(other.resident), anonymous: self.anonymous.max(other.anonymous) }
    }

    /// What a process and its children hold now; nothing if it has just ended.
    fn of(process: u32) -> Self {
        let read = |name| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
        let status = read("status");
        let children = read(&format!("task/{process}/children"));
        let children = children.split_whitespace().filter_map(|child| child.parse().ok()).map(Memory::of);
        let kib = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
        };
        let own = Self { resident: kib("VmHWM:"), anonymous: kib("RssAnon:") };
        children.fold(own, |all, child| Self {
            resident: all.resident + child.resident,
            anonymous: all.anonymous + child.anonymous,
        })
    }
}

fn print_table(about: &str, contests: &[Contest]) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!("\n{about}; warm cache, {threads} threads, median of the runs, peak memory of all runs");
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
