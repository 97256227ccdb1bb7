//! A score with an engine that copies, and a program that says what it is told.

use super::*;
use std::fs;

const WORLD: &str = r#"
about = "the server ignores the client"
duration = "1m"
hosts.c = { addresses = { eth0 = "10.0.0.1/24" }, daemon = { is = "chrony 4.3", asks = [{ server = "10.0.0.2" }] } }
hosts.s = { addresses = { eth0 = "10.0.0.2/24" }, daemon = { is = "chrony 4.3", serves = { denies = ["10.0.0.1/32"] } } }
links.lan = { joins = ["c.eth0", "s.eth0"] }
truth.causes = [{ cause = "server-access-list", where = { kind = "server", host = "s" }, affected = ["c"] }]
"#;

const REPORT: &str = r#"{ "undecided": [], "diagnoses": [ { "cause": "server-access-list", "kind": "fault", "probability": 0.9,
    "where": { "kind": "server", "host": "s" }, "affected": ["c"] } ] }"#;

/// A folder of a test's own, with a world and what is known to be missed of it.
fn stage(name: &str, misses: &str) -> Args {
    let folder = std::env::temp_dir().join(format!("ntpscope-lab-test-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let at = |file: &str, text: &str| {
        fs::write(folder.join(file), text).expect("written");
        folder.join(file)
    };
    Args {
        worlds: vec![at("denied.toml", WORLD)],
        engine: Engine::Sim,
        seeds: 2,
        within: None,
        binary: concat!(env!("CARGO_MANIFEST_DIR"), "/src/score/says.sh").into(),
        known_misses: at("known-misses.txt", misses),
        keep: None,
    }
}

/// Runs a score with an engine that gives every seed the same report.
fn score(args: &Args, report: &str) -> ExitCode {
    let play = |_: &World, _: &str, _: u64, out: &Path| {
        fs::create_dir_all(out)?;
        fs::write(out.join("truth.json"), "{}")?;
        Ok(fs::write(out.join("report.json"), report)?)
    };
    let code = run(args, &play).expect("a score");
    fs::remove_dir_all(args.known_misses.parent().expect("a folder")).expect("removed");
    code
}

#[test]
fn what_is_right_passes_and_what_is_wrong_fails() {
    assert_eq!(score(&stage("right", ""), REPORT), ExitCode::SUCCESS);
    assert_eq!(score(&stage("wrong", ""), &REPORT.replace("\"s\"", "\"t\"")), ExitCode::FAILURE);
    assert_eq!(score(&stage("no-report", ""), "not JSON"), ExitCode::FAILURE);
}

#[test]
fn a_known_miss_passes_until_it_is_none() {
    let misses = "denied | placed | always | no rule knows the server\n";
    assert_eq!(score(&stage("known", misses), &REPORT.replace("\"s\"", "\"t\"")), ExitCode::SUCCESS);
    assert_eq!(score(&stage("struck", misses), REPORT), ExitCode::FAILURE);
}

#[test]
fn an_engine_that_fails_or_breaks_ends_nothing() {
    let args = stage("breaks", "denied | right placed whom clean told | always | the engine breaks\n");
    let play = |_: &World, _: &str, seed: u64, _: &Path| {
        assert!(seed != 2, "this is printed, and goes no further");
        anyhow::bail!("no such daemon")
    };
    assert_eq!(run(&args, &play).expect("a score"), ExitCode::SUCCESS);
    fs::remove_dir_all(args.known_misses.parent().expect("a folder")).expect("removed");
}

#[test]
fn the_first_seed_is_played_whole_however_late() {
    let args = Args { within: Some(0), seeds: 1000, ..stage("late", "") };
    let played = std::sync::atomic::AtomicU64::new(0);
    let play = |_: &World, _: &str, seed: u64, out: &Path| {
        played.fetch_max(seed, std::sync::atomic::Ordering::Relaxed);
        fs::create_dir_all(out)?;
        Ok(fs::write(out.join("report.json"), REPORT)?)
    };
    assert_eq!(run(&args, &play).expect("a score"), ExitCode::SUCCESS);
    fs::remove_dir_all(args.known_misses.parent().expect("a folder")).expect("removed");
    let last = played.into_inner();
    assert_eq!(last, 1);
}

#[test]
fn worlds_have_names_of_their_own() {
    let args = stage("twice", "");
    let twice = [args.worlds.clone(), args.worlds.clone()].concat();
    assert!(read(&twice).is_err_and(|error| error.to_string().contains("two worlds are called denied")));
    fs::remove_dir_all(args.known_misses.parent().expect("a folder")).expect("removed");
}

#[test]
fn a_story_is_called_by_its_folder() {
    assert_eq!(name_of(Path::new("stories/1-oscillating-xen/world.toml")), "1-oscillating-xen");
    assert_eq!(name_of(Path::new("worlds/falseticker.toml")), "falseticker");
}
