//! Is chronyd believable? The scenes of the recordings of a real one in simulated time (b01, b03 and b08 of the project's cases),
//! and its numbers within a factor of two. The scene's network is like the recordings', not the same.

use crate::sim::harness::{Played, Scene, play};
use crate::world::{Foreign, Oscillator, Span, What};
use std::path::Path;

/// Where the recordings are kept, beside the project, on the machines that have them.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cases");
/// Each number is within this factor of the recording's.
const FACTOR: f64 = 2.0;
const SEEDS: [u64; 3] = [1, 2, 3];

/// Rows of a log, without its banners, as words.
type Rows = Vec<Vec<String>>;

/// What a run shows.
#[derive(Debug)]
struct Shown {
    tracking: usize,
    measurements: usize,
    statistics: usize,
    /// Largest and root-mean-square correction after the first half hour, in seconds.
    largest_s: f64,
    rms_s: f64,
    /// Median skew and span of the frequency, in ppm.
    skew_ppm: f64,
    frequencies_ppm: (f64, f64),
    /// Rows until the frequency stays within 1 ppm of its median.
    settled: usize,
    /// Measurements at the highest poll exponent, as a share.
    at_most: f64,
    /// Measurements before the first one at that exponent.
    climbs: usize,
    /// Samples of a line: the median.
    samples: f64,
    /// Changes of the source.
    changes: usize,
}

fn rows<'a>(lines: impl Iterator<Item = &'a str>) -> Rows {
    lines.filter(|l| l.starts_with('2')).map(|l| l.split_whitespace().map(str::to_owned).collect()).collect()
}

fn column(rows: &Rows, column: usize) -> Vec<f64> {
    rows.iter().filter_map(|row| row.get(column)?.parse().ok()).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
}

impl Shown {
    fn of(tracking: &Rows, measurements: &Rows, statistics: &Rows) -> Shown {
        let (offsets, ppm) = (column(tracking, 6), column(tracking, 4));
        let later = &offsets[20..];
        let middle = median(&ppm);
        let polls = column(measurements, 8);
        let most = polls.iter().copied().fold(0.0, f64::max);
        let held = ppm[20..].iter().copied();
        Shown {
            tracking: tracking.len(),
            measurements: measurements.len(),
            statistics: statistics.len(),
            largest_s: largest(later),
            rms_s: rms(later),
            skew_ppm: median(&column(tracking, 5)),
            frequencies_ppm: (held.clone().fold(f64::MAX, f64::min), held.fold(f64::MIN, f64::max)),
            settled: ppm.iter().rposition(|value| (value - middle).abs() > 1.0).unwrap_or(0),
            at_most: polls.iter().filter(|poll| **poll == most).count() as f64 / polls.len() as f64,
            climbs: polls.iter().position(|poll| *poll == most).unwrap_or(0),
            samples: median(&column(statistics, 9)),
            changes: tracking.windows(2).filter(|pair| pair[0][2] != pair[1][2]).count(),
        }
    }

    fn played(played: &Played) -> Shown {
        let [tracking, measurements, statistics] = ["tracking.log", "measurements.log", "statistics.log"]
            .map(|file| rows(played.lines(file).iter().map(String::as_str)));
        Shown::of(&tracking, &measurements, &statistics)
    }

    /// A recording, where it is kept.
    fn recorded(case: &str) -> Option<Shown> {
        let folder = Path::new(CASES).join(case).join("h5");
        if !folder.is_dir() {
            println!("skipped: {} is not here to compare with", folder.display());
            return None;
        }
        let read = |file: &str| {
            let text = std::fs::read_to_string(folder.join(file)).expect("a log");
            rows(text.lines())
        };
        Some(Shown::of(&read("tracking.log"), &read("measurements.log"), &read("statistics.log")))
    }

    /// Each number against the recording's.
    fn is_like(&self, real: &Shown) {
        let pairs = [
            ("tracking", self.tracking as f64, real.tracking as f64),
            ("measurements", self.measurements as f64, real.measurements as f64),
            ("statistics", self.statistics as f64, real.statistics as f64),
            ("largest", self.largest_s, real.largest_s),
            ("rms", self.rms_s, real.rms_s),
            ("skew", self.skew_ppm, real.skew_ppm),
            ("at the highest poll", self.at_most, real.at_most),
            ("measurements before it", self.climbs as f64, real.climbs as f64),
            ("samples", self.samples, real.samples),
            ("changes of the source", self.changes as f64, real.changes as f64),
        ];
        for (name, a, b) in pairs {
            assert!(a <= b * FACTOR && b <= a * FACTOR, "{name}: {a} {b}\n{self:?}\n{real:?}");
        }
    }
}

fn scene(ppm: f64, polls: (i8, i8), hours: f64, seed: u64) -> Scene {
    let oscillator = Oscillator { ppm, walk: 1e-9, ..Default::default() };
    Scene { is: "chrony 4.3", oscillator, polls, hours, seed, ahead_s: 0.002, ..Scene::default() }
}

/// b01: three days, polls 6 to 10.
#[test]
fn a_healthy_client() {
    let real = Shown::recorded("b01_healthy");
    for seed in SEEDS {
        let played = play(&scene(12.0, (6, 10), 72.0, seed));
        let shown = Shown::played(&played);
        assert!(shown.settled < 8 && played.count("chronyd.log", "Selected") < 5, "{shown:?}");
        let (low, high) = shown.frequencies_ppm;
        assert!(low > 10.0 && high < 14.0, "{shown:?}");
        let error: Vec<f64> = played.truth.iter().filter(|(at, _)| *at > 1800.0).map(|(_, ahead)| *ahead).collect();
        assert!(rms(&error) < 3e-4 && largest(&error) < 2e-3, "{} {}", rms(&error), largest(&error));
        if let Some(real) = &real {
            shown.is_like(real);
        }
    }
}

/// b08: an oscillator 620 ppm fast is no trouble for chronyd.
#[test]
fn beyond_ntpds_limit() {
    let real = Shown::recorded("b08_frequency_beyond_limit");
    for seed in SEEDS {
        let shown = Shown::played(&play(&scene(620.0, (6, 6), 48.0, seed)));
        let (low, high) = shown.frequencies_ppm;
        assert!(low > 617.0 && high < 623.0, "{shown:?}");
        if let Some(real) = &real {
            shown.is_like(real);
        }
    }
}

/// b03: the hypervisor pulls the clock each hour, by 7.2 ms more each time as no step sets its own. Each pull is repaired in minutes.
#[test]
fn an_hourly_pull_is_repaired() {
    let real = Shown::recorded("b03_host_pull_rebase");
    let foreign = Some(Foreign::HostPull { every: Span(3600.0), host_ppm: 2.0, follows_steps: true });
    for seed in SEEDS {
        let played = play(&Scene { foreign, ..scene(2.0, (6, 6), 96.0, seed) });
        let shown = Shown::played(&played);
        assert_eq!(played.count("chronyd.log", "stepped"), 0);
        let before = |(at, _): &&(f64, f64)| *at > 3600.0 && at % 3600.0 > 3400.0;
        let repaired: Vec<f64> = played.truth.iter().filter(before).map(|(_, ahead)| *ahead).collect();
        assert!(largest(&repaired) < 5e-3 && largest(&played.truth.iter().map(|t| t.1).collect::<Vec<_>>()) > 0.4);
        if let Some(real) = &real {
            shown.is_like(real);
        }
    }
}

/// A clock that is seconds off is stepped in the first updates; later it is slewed.
#[test]
fn only_the_first_updates_step() {
    let by_s = -3.0;
    let step = What::Step { host: String::new(), by_s };
    let played = play(&Scene { ahead_s: 4.0, faults: vec![(5.0, step)], ..scene(12.0, (6, 6), 8.0, 1) });
    let log = played.lines("chronyd.log");
    assert_eq!(played.count("chronyd.log", "stepped by -4.0"), 1, "{log:?}");
    assert!(played.count("chronyd.log", "wrong by") > 1 && played.count("chronyd.log", "stepped") == 1, "{log:?}");
    let at_end = played.truth[played.truth.len() - 1].1;
    assert!(at_end.abs() < 1e-3, "{at_end}");
}

/// A jump that chronyd notices: all samples are void, and the offset is slewed from the first new line on.
#[test]
fn a_jump_starts_anew() {
    let step = What::Step { host: String::new(), by_s: -12.0 };
    let played = play(&Scene { faults: vec![(5.0, step)], ..scene(12.0, (6, 8), 8.0, 1) });
    let log = played.lines("chronyd.log");
    assert_eq!(played.count("chronyd.log", "Backward time jump detected!"), 1, "{log:?}");
    assert_eq!(played.count("chronyd.log", "wrong by 1"), 1, "{log:?}");
    assert_eq!(played.count("tracking.log", " ?  0 "), 2);
    assert_eq!(played.count("chronyd.log", "stepped"), 0);
    assert!(played.truth[played.truth.len() - 1].1.abs() < 1e-3);
}

/// A server that only answers RATE is asked ever more seldom, and never used.
#[test]
fn kisses_are_obeyed() {
    let played = play(&Scene { kiss: Some(*b"RATE"), ..scene(12.0, (6, 10), 24.0, 1) });
    assert!(
        played.count("chronyd.log", "Received KoD RATE from 192.168.123.1") > 5 && played.sent < 200,
        "{}",
        played.sent
    );
    assert!(played.status.contains("NTP tests       : 111 101 0000") && played.status.contains("^? 192.168.123.1"));
    assert_eq!(played.count("tracking.log", "192.168"), 0);
}

/// Where 38 of 100 requests are lost, that share of measurements is missing, and the clock is held all the same.
#[test]
fn losses_are_borne() {
    let played = play(&Scene { loss: 0.38, ..scene(12.0, (6, 6), 48.0, 1) });
    let answered = rows(played.lines("measurements.log").iter().map(String::as_str)).len() as f64 / played.sent as f64;
    assert!((answered - 0.62).abs() < 0.03, "{answered}");
    let error: Vec<f64> = played.truth.iter().filter(|(at, _)| *at > 1800.0).map(|(_, ahead)| *ahead).collect();
    assert!(largest(&error) < 5e-4, "{}", largest(&error));
}

/// Without answers the interval grows to `maxpoll`, and the source is not lost from the status.
#[test]
fn silence_is_polled_seldom() {
    let played = play(&Scene { loss: 1.0, ..scene(12.0, (6, 10), 24.0, 1) });
    assert!((200..420).contains(&played.sent), "{}", played.sent);
    assert!(
        played.status.contains("^? 192.168.123.1                 0  10     0     -     +0ns[   +0ns]"),
        "{}",
        played.status
    );
}
