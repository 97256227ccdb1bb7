//! Figures of a daemon's statistics, by which a recorded daemon and a simulated one are compared.

use crate::sim::harness::Played;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Hours after which the start is over.
pub const SETTLED_H: f64 = 6.0;
const HOUR_S: f64 = 3600.0;
/// Up to here the growth of a pulled clock is judged: beyond, rows are missing where an offset was an outlier.
const NEAR_THE_THRESHOLD_MS: f64 = 80.0;
/// The first day of the recordings, MJD.
const FIRST_DAY: f64 = 61_409.0;

/// Names of the statistics that are read.
pub const LOOP: &str = "stats/loopstats";
/// See [`LOOP`].
pub const PEER: &str = "stats/peerstats";
/// See [`LOOP`].
pub const RAW: &str = "stats/rawstats";
/// See [`LOOP`].
pub const EVENTS: &str = "stats/protostats";

/// The recording of a case's host, where the project's cases are at hand.
pub fn recorded(case: &str, host: &str) -> Option<Played> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let folder = cases.join(case).join(host).join("stats");
    if !folder.is_dir() {
        return None;
    }
    let mut played = Played::default();
    for file in [LOOP, PEER, RAW, EVENTS] {
        let name = file.trim_start_matches("stats/");
        let mut days: Vec<PathBuf> = fs::read_dir(&folder)
            .expect("a folder of statistics")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&format!("{name}."))))
            .collect();
        days.sort();
        let lines = days.iter().flat_map(|day| text(day).lines().map(str::to_owned).collect::<Vec<_>>());
        played.files.insert(file, lines.collect());
    }
    Some(played)
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).expect("a file of statistics");
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    text
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Root mean square of `loopstats`' offsets after [`SETTLED_H`], in ms.
    pub rms_ms: f64,
    /// The largest of them.
    pub largest_ms: f64,
    /// Mean of its frequencies after that, in ppm.
    pub frequency_ppm: f64,
    /// Their standard deviation.
    pub spread_ppm: f64,
    /// The least and the largest frequency.
    pub frequencies_ppm: (f64, f64),
    /// Rows a day.
    pub loops: f64,
    /// See `loops`.
    pub peers: f64,
    /// See `loops`.
    pub raws: f64,
    /// Rows of `loopstats` by poll exponent.
    pub polls: [usize; 18],
    /// Hours until the poll exponent is first at its largest.
    pub top_h: f64,
    /// Hours until the offset stays below 2 ms.
    pub settled_h: f64,
    /// Steps: hours since the start, and seconds.
    pub steps: Vec<(f64, f64)>,
    /// Seconds of `loopstats`' silence before each step.
    pub silences_s: Vec<f64>,
    /// Rows of `loopstats` that a step leaves: no offset, and the precision for the jitter.
    pub step_rows: usize,
    /// Seconds between changes of the offset's sign, where it is larger than 20 ms: the median.
    pub half_period_h: f64,
}

impl Figures {
    /// Of what a daemon has written.
    pub fn of(played: &Played) -> Figures {
        let (times, offsets) = (played.times(LOOP), played.column(LOOP, 2));
        let frequencies = played.column(LOOP, 3);
        let days = played.times(RAW).last().copied().unwrap_or(1.0) / 86_400.0;
        let late = times.iter().position(|at| *at > SETTLED_H * HOUR_S).unwrap_or(0);
        let count = (offsets.len() - late) as f64;
        let mean = frequencies[late..].iter().sum::<f64>() / count;
        let mut polls = [0; 18];
        let exponents = played.column(LOOP, 6);
        exponents.iter().for_each(|poll| polls[*poll as usize] += 1);
        let top = exponents.iter().copied().fold(0.0, f64::max);
        let steps = steps(played);
        let silences = steps.iter().map(|(hour, by_s)| {
            // The row at the step carries the new time; those before it carry the old.
            let at = hour * HOUR_S;
            let before = times.iter().rev().find(|time| **time < at.min(at + by_s) - 1.0);
            before.map_or(0.0, |before| at - before)
        });
        Figures {
            rms_ms: (offsets[late..].iter().map(|offset| offset * offset).sum::<f64>() / count).sqrt() * 1e3,
            largest_ms: offsets[late..].iter().fold(0.0, |most: f64, offset| most.max(offset.abs())) * 1e3,
            frequency_ppm: mean,
            spread_ppm: (frequencies[late..].iter().map(|ppm| (ppm - mean).powi(2)).sum::<f64>() / count).sqrt(),
            frequencies_ppm: frequencies.iter().fold((0.0, 0.0), |(a, b), ppm| (ppm.min(a), ppm.max(b))),
            loops: offsets.len() as f64 / days,
            peers: played.lines(PEER).len() as f64 / days,
            raws: played.lines(RAW).len() as f64 / days,
            polls,
            top_h: exponents.iter().position(|poll| *poll == top).map_or(0.0, |row| times[row] / HOUR_S),
            settled_h: (0..offsets.len()).rev().find(|row| offsets[*row].abs() > 0.002).map_or(0.0, |row| times[row])
                / HOUR_S,
            silences_s: silences.collect(),
            step_rows: played
                .lines(LOOP)
                .iter()
                .filter(|line| line.contains(" 0.000000000 ") && line.contains(" 0.000000119 "))
                .count(),
            steps,
            half_period_h: half_period_h(&times, &offsets),
        }
    }

    /// Hours between steps, with the first from the start, on average.
    pub fn step_every_h(&self) -> f64 {
        self.steps.last().map_or(0.0, |(hour, _)| hour / self.steps.len() as f64)
    }
}

/// Steps as `protostats` tells them.
fn steps(played: &Played) -> Vec<(f64, f64)> {
    let step = |line: &String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at_s = (words[0].parse::<f64>().ok()? - FIRST_DAY) * 86_400.0 + words[1].parse::<f64>().ok()?;
        (words[5] == "clock_step").then(|| Some((at_s / HOUR_S, words[6].parse().ok()?))).flatten()
    };
    played.lines(EVENTS).iter().filter_map(step).collect()
}

fn half_period_h(times: &[f64], offsets: &[f64]) -> f64 {
    let large: Vec<(f64, f64)> =
        times.iter().copied().zip(offsets.iter().copied()).filter(|(_, offset)| offset.abs() > 0.02).collect();
    let mut turns = Vec::new();
    for pair in large.windows(2) {
        if (pair[0].1 > 0.0) != (pair[1].1 > 0.0) {
            turns.push(pair[1].0);
        }
    }
    let mut between: Vec<f64> = turns.windows(2).map(|pair| (pair[1] - pair[0]) / HOUR_S).collect();
    between.sort_by(f64::total_cmp);
    between.get(between.len() / 2).copied().unwrap_or(0.0)
}

/// By how many ms the most negative offset of each hour grows from hour to hour, until it nears the step threshold, beyond
/// which it is not written; and how much of that a straight line explains (R²).
pub fn growth_ms(played: &Played) -> (f64, f64) {
    let until = steps(played).first().map_or(0.0, |(hour, _)| hour.floor() - 1.0);
    let mut peaks = vec![0.0_f64; until.max(0.0) as usize + 1];
    for (at, offset) in played.times(LOOP).into_iter().zip(played.column(LOOP, 2)) {
        let hour = at / HOUR_S;
        if hour >= 2.0 && hour < until {
            let peak = &mut peaks[hour as usize];
            *peak = peak.min(offset * 1e3);
        }
    }
    let seen = peaks.iter().enumerate().take_while(|(_, peak)| **peak > -NEAR_THE_THRESHOLD_MS);
    let points: Vec<(f64, f64)> =
        seen.filter(|(_, peak)| **peak < 0.0).map(|(hour, peak)| (hour as f64, -peak)).collect();
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let sums = points.iter().fold((0.0, 0.0, 0.0), |(xx, xy, yy), point| {
        let (dx, dy) = (point.0 - x, point.1 - y);
        (xx + dx * dx, xy + dx * dy, yy + dy * dy)
    });
    (sums.1 / sums.0, sums.1 * sums.1 / (sums.0 * sums.2))
}

/// A row without its values: how many decimals each number has, and which words stand where.
pub fn shape(line: &str) -> String {
    let word = |word: &str| match word.split_once('.') {
        Some((whole, decimals)) if is_number(whole) && is_number(decimals) => format!("n.{}", decimals.len()),
        Some(_) if word.parse::<std::net::IpAddr>().is_ok() => "address".to_owned(),
        None if is_number(word) => "n".to_owned(),
        _ => "w".to_owned(),
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches(['-', '+']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
