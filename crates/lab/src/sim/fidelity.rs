//! Are the daemons believable? The same scenes as the recordings of real daemons in simulated time
//! (b01, b03, b06, b08 of the project's cases), and about the same numbers.

use crate::sim::harness::{Scene, play};
use crate::world::{Foreign, Oscillator, Span};

const LOOP: &str = "stats/loopstats";
const PEER: &str = "stats/peerstats";
const EVENTS: &str = "stats/protostats";

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

#[test]
fn look() {
    for is in ["ntpd 4.2.6p5", "ntpd 4.2.8p6", "ntpsec 1.2.2"] {
        let played = play(&Scene { is, ..Scene::default() });
        println!(
            "{is}: loops {} max {:.3} ms peers {} steps {} sent {}",
            played.lines(LOOP).len(),
            largest(&played.column(LOOP, 2)) * 1e3,
            played.lines(PEER).len(),
            played.count(EVENTS, "clock_step"),
            played.sent
        );
        for line in played.lines(EVENTS).iter().take(25) {
            println!("{line}");
        }
        for line in played.lines(LOOP).iter().take(25) {
            println!("{line}");
        }
        for line in played.lines("stats/rawstats").iter().take(3) {
            println!("{line}");
        }
        println!("{}", played.status);
    }
    for (name, foreign, ppm, walk) in [
        ("pull", Some(Foreign::HostPull { every: Span(3600.0), host_ppm: 2.0, follows_steps: true }), 2.0, 1e-9),
        (
            "pull, host never reset",
            Some(Foreign::HostPull { every: Span(3600.0), host_ppm: 2.0, follows_steps: false }),
            2.0,
            1e-9,
        ),
        ("lag 300", Some(Foreign::Loop { gain: 1.0, lag: Span(300.0) }), 12.0, 1e-9),
        ("lag 500", Some(Foreign::Loop { gain: 1.0, lag: Span(500.0) }), 12.0, 1e-9),
        ("lag 700", Some(Foreign::Loop { gain: 1.0, lag: Span(700.0) }), 12.0, 1e-9),
        ("gain 2", Some(Foreign::Loop { gain: 2.0, lag: Span(0.0) }), 12.0, 1e-9),
        ("gain 3", Some(Foreign::Loop { gain: 3.0, lag: Span(0.0) }), 12.0, 1e-9),
        ("gain 4", Some(Foreign::Loop { gain: 4.0, lag: Span(0.0) }), 12.0, 1e-9),
        ("ignored", Some(Foreign::Ignored), 20.0, 1e-9),
        ("beyond", None, 620.0, 1e-9),
    ] {
        for is in ["ntpd 4.2.6p5", "ntpd 4.2.8p6", "ntpsec 1.2.2"] {
            let played = play(&Scene {
                is,
                foreign,
                polls: (6, 6),
                oscillator: Oscillator { ppm, walk, ..Default::default() },
                ..Scene::default()
            });
            let freq = played.column(LOOP, 3);
            let steps: Vec<String> = played
                .lines(EVENTS)
                .iter()
                .zip(played.times(EVENTS))
                .filter(|(l, _)| l.contains("clock_step"))
                .map(|(l, t)| format!("{:.2}h {}", t / 3600.0, l.split(' ').nth(5).unwrap()))
                .collect();
            let truth: Vec<f64> = played.truth.iter().map(|t| t.1).collect();
            println!(
                "{name} {is}: loops {} max {:.3} ms peers {} freq {:.1}..{:.1} steps {} {:?}, truth max {:.1} last day {:.2} ms",
                played.lines(LOOP).len(),
                largest(&played.column(LOOP, 2)) * 1e3,
                played.lines(PEER).len(),
                freq.iter().copied().fold(0.0, f64::min),
                freq.iter().copied().fold(0.0, f64::max),
                steps.len(),
                &steps[..steps.len().min(8)],
                largest(&truth) * 1e3,
                largest(&truth[truth.len() - 1440..]) * 1e3
            );
        }
    }
}
