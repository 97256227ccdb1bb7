//! A score with an engine that copies, and a program that says what it is told.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

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

/// A folder of a test's own, with a world, no known misses, and a program that prints `report.json` of the evidence and ends
/// with status 1, as with a claimed fault; it ends with 3 where it could see the truth.
fn stage(name: &str, misses: &str) -> Args {
    let folder = std::env::temp_dir().join(format!("ntpscope-lab-test-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let at = |file: &str, text: &str| {
        fs::write(folder.join(file), text).expect("written");
        folder.join(file)
    };
    let binary = at("program", "#!/bin/sh\n[ -e \"$4/truth.json\" ] && exit 3\ncat \"$4/report.json\"\nexit 1\n");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("made executable");
    Args {
        worlds: vec![at("denied.toml", WORLD)],
        seeds: 2,
        within: None,
        binary,
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
    fs::remove_dir_all(args.binary.parent().expect("a folder")).expect("removed");
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
    fs::remove_dir_all(args.binary.parent().expect("a folder")).expect("removed");
}

#[test]
fn the_first_seed_is_played_whole_however_late() {
    let args = Args { within: Some(0), seeds: 1000, ..stage("late", "") };
    assert_eq!(score(&args, REPORT), ExitCode::SUCCESS);
}

#[test]
fn a_story_is_called_by_its_folder() {
    assert_eq!(name_of(Path::new("stories/1-oscillating-xen/world.toml")), "1-oscillating-xen");
    assert_eq!(name_of(Path::new("worlds/falseticker.toml")), "falseticker");
}
