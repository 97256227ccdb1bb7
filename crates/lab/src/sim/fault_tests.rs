use crate::sim::play;
use crate::world::World;
use std::path::PathBuf;

/// The files of a host after a world with two servers and one client was played.
fn played(name: &str, faults: &str, serves: &str) -> impl Fn(&str) -> Vec<String> {
    let text = format!(
        r#"
        about = ""
        duration = "2d"
        faults = [{faults}]
        hosts.h = {{ addresses = {{ eth0 = "10.0.0.1/24" }}, oscillator = {{ ppm = 3.0 }}, daemon = {{ is = "ntpd 4.2.8p15", asks = [{{ server = "10.0.0.2" }}, {{ server = "10.0.0.3" }}] }} }}
        hosts.s = {{ addresses = {{ eth0 = "10.0.0.2/24" }}, daemon = {{ is = "chrony 4.3", serves = {{ stratum = 1 }} }} }}
        hosts.t = {{ addresses = {{ eth0 = "10.0.0.3/24" }}, daemon = {{ is = "chrony 4.3", serves = {{ stratum = 1 {serves} }} }} }}
        links.lan = {{ joins = ["h.eth0", "s.eth0", "t.eth0"] }}
        "#
    );
    let folder = std::env::temp_dir().join(format!("ntpscope-lab-{}-fault-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    play(&World::read(&text).expect("a world"), name, 1, &folder).expect("it is played");
    let host: PathBuf = folder.join("h");
    // Statistics are divided by day.
    let days = ["", ".20261122", ".20261123", ".20261124", ".20261230", ".20261231", ".20270101"];
    let read = |file: &str| std::fs::read_to_string(host.join(file)).unwrap_or_default();
    let lines = |file: &str| {
        let parts = if file == "syslog" { &days[..1] } else { &days[1..] };
        let text: String = parts.iter().map(|day| read(&format!("{file}{day}"))).collect();
        (file.to_owned(), text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let files: std::collections::BTreeMap<_, _> =
        ["syslog", "stats/protostats", "stats/peerstats", "stats/rawstats"].into_iter().map(lines).collect();
    let _ = std::fs::remove_dir_all(&folder);
    move |file| files[file].clone()
}

/// Steps of its daemon, in seconds.
fn steps(protostats: &[String]) -> Vec<f64> {
    let step = |line: &String| line.split_once("clock_step ")?.1.trim_end_matches(" s").parse().ok();
    protostats.iter().filter_map(step).collect()
}

#[test]
fn who_sleeps_asks_nobody_and_wakes_up_as_its_real_time_clock_says() {
    let slept = played(
        "suspend",
        r#"{ from = "20h", until = "28h", what = { kind = "suspend", host = "h", behind_s = 0.6 } }"#,
        "",
    );
    let [entry, exit] = &slept("syslog")[..] else { panic!("{:?}", slept("syslog")) };
    assert!(entry.contains("PM: suspend entry") && exit.contains("PM: suspend exit"));
    let steps = steps(&slept("stats/protostats"));
    assert!(steps.len() == 1 && (steps[0] - 0.6).abs() < 0.01, "{steps:?}");
    // It starts at 09:30: nothing between 05:30 and 13:30 of the second day.
    let seconds = slept("stats/peerstats").into_iter().filter(|line| line.starts_with("61367 "));
    let seconds: Vec<f64> =
        seconds.map(|line| line.split(' ').nth(1).expect("a time").parse().expect("a number")).collect();
    assert!(seconds.iter().all(|s| !(19_800.0..48_590.0).contains(s)) && seconds.iter().any(|s| *s > 49_000.0));
}

#[test]
fn who_is_moved_is_behind_by_all_of_the_pause() {
    let moved = played(
        "migration",
        r#"{ from = "20h", until = "72012s", what = { kind = "migration", host = "h", by_ppm = 9.0 } }"#,
        "",
    );
    assert_eq!(moved("syslog"), [""; 0], "a guest is not told");
    let steps = steps(&moved("stats/protostats"));
    // Less what the new rate gains until the daemon steps: 9 ppm over an hour or three.
    assert!(steps.len() == 1 && (11.88..11.99).contains(&steps[0]), "{steps:?}");
}

#[test]
fn a_smear_is_a_second_long_from_noon_to_noon() {
    let smeared = played("smear", r#"{ until = "24h", what = { kind = "leap" } }"#, ", smears = true");
    assert!(smeared("syslog")[0].contains("inserting leap second"));
    // What t says more than s, at hours since the world's start.
    let raw = smeared("stats/rawstats");
    let ahead = |server: &str, hour: f64| -> f64 {
        let of = |line: &&String| line.split(' ').nth(2) == Some(server);
        let row = raw.iter().filter(of).map(|line| line.split(' ').collect::<Vec<_>>()).find(|row| {
            let (day, second): (f64, f64) = (row[0].parse().expect("a day"), row[1].parse().expect("a second"));
            (day - 61_405.0) * 24.0 + second / 3600.0 >= hour
        });
        let row = row.expect("a row");
        row[5].parse::<f64>().expect("a time") - row[4].parse::<f64>().expect("a time")
    };
    // The leap second is inserted after 24 h, when days begin.
    for (hour, expected) in [(6.0, 0.0), (18.0, -0.25), (23.5, -0.48), (30.0, 0.25), (40.0, 0.0)] {
        let apart = ahead("10.0.0.3", hour) - ahead("10.0.0.2", hour);
        assert!((apart - expected).abs() < 0.02, "after {hour} h: {apart}");
    }
}
