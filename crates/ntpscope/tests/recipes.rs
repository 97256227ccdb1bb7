//! The numbers of a report can be counted again: each recipe that ends in a count gives the number that its finding has.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of evidence with captures that are at hand.
fn evidence() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![top.join("stories/2-latent-port-108/evidence")];
    match std::fs::read_dir(top.join("../shared/cases")) {
        Ok(cases) => folders.extend(cases.flatten().map(|case| case.path()).filter(|case| case.join("pcap").is_dir())),
        Err(_) => println!("skipped: ../shared/cases is not here; only the story was counted again"),
    }
    folders
}

fn report(folder: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ntpscope"));
    let output = command.args(["diagnose", "--format", "json"]).arg(folder).output().expect("it was built");
    serde_json::from_slice(&output.stdout).expect("a report")
}

#[test]
fn every_count_can_be_counted_again() {
    if Command::new("tshark").arg("--version").output().is_err()
        || Command::new("bash").arg("--version").output().is_err()
    {
        return println!("skipped: tshark or bash is not installed");
    }
    let mut counted = 0;
    for folder in evidence() {
        let report = report(&folder);
        // The last requests of a recording are not judged, and a recipe does not know which these are.
        let unjudged = report["coverage"]["requests_unjudged"].as_u64().expect("a count");
        for finding in report["findings"].as_array().expect("findings") {
            let (Some(recipe), Some(lost)) = (finding["recompute"].as_str(), finding["measures"]["lost"].as_f64())
            else {
                continue;
            };
            let lost = lost as u64;
            if !recipe.ends_with("| wc -l") {
                continue;
            }
            let output = Command::new("bash").args(["-c", recipe]).current_dir(&folder).output().expect("bash runs");
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            let said: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a count");
            assert!(
                (lost..=lost + unjudged).contains(&said),
                "{}: {} has {lost}, but {recipe} counts {said} {complaint}",
                folder.display(),
                finding["id"]
            );
            counted += 1;
        }
    }
    assert!(counted >= 5, "{counted}");
}
