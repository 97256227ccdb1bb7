//! The documents are true: what they show is what the program prints, and what they name exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(top().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs the program in the repository's top folder.
fn ntpscope(args: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_ntpscope")).args(args).current_dir(top()).output();
    run.expect("the program was built with its tests")
}

/// Whether `text` has the lines of `shown`, in order; `...` stands for any lines.
fn shows(shown: &str, text: &str) -> Result<(), String> {
    let mut rest = text.lines();
    let mut skipping = false;
    for line in shown.lines() {
        if line == "..." {
            skipping = true;
        } else {
            let found = if skipping { rest.any(|l| l == line) } else { rest.next() == Some(line) };
            if !found {
                return Err(format!("not there, or not in its place: {line}"));
            }
            skipping = false;
        }
    }
    if skipping || rest.next().is_none() { Ok(()) } else { Err("the program prints more".into()) }
}

/// Every `$ cargo run --release -- …` in a document prints what stands below it.
fn executed(document: &str) {
    let text = read(document);
    let mut commands = 0;
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        let (command, shown) = block.split_once('\n').expect("a command and its output");
        let args = command.strip_prefix("$ cargo run --release -- ").expect("a command of this program");
        let output = ntpscope(&args.split(' ').collect::<Vec<_>>());
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        if let Err(difference) = shows(shown, &printed) {
            panic!("{document}: {command}\n{difference}\n--- printed:\n{printed}");
        }
        commands += 1;
    }
    assert!(commands > 0, "{document} shows nothing");
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    executed("README.md");
}

#[test]
fn story_1_is_told_as_its_transcript_says() {
    executed("stories/1-oscillating-xen/transcript.md");
}

#[test]
fn story_2_is_told_as_its_transcript_says() {
    executed("stories/2-latent-port-108/transcript.md");
}

#[test]
fn the_readme_fits_one_screen_and_reports_fit_80_columns() {
    assert!(read("README.md").lines().count() <= 60);
    let report = ntpscope(&["diagnose", "stories/2-latent-port-108/evidence"]);
    for line in String::from_utf8(report.stdout).expect("UTF-8").lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn every_path_in_the_architecture_exists() {
    assert!(read("ARCHITECTURE.md").lines().count() <= 150);
    for (document, least) in [("ARCHITECTURE.md", 15), ("CONTRIBUTING.md", 6)] {
        let text = read(document);
        let words = text.split('`').skip(1).step_by(2);
        // What a build makes is there after it.
        let made_up = |word: &str| word.contains([' ', '\n']) || word.contains("NAME") || word.starts_with("target/");
        let paths: Vec<_> = words.filter(|word| word.contains('/') && !made_up(word)).collect();
        assert!(paths.len() > least, "{document}: {paths:?}");
        for path in paths {
            assert!(top().join(path).exists(), "{document} names {path}");
        }
    }
}

#[test]
fn the_json_report_follows_its_schema() {
    let schema: serde_json::Value = serde_json::from_str(&read("docs/diagnosis.schema.json")).expect("JSON");
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", schema).expect("a schema");
    let compiled = compiler.compile("schema.json", &mut schemas).expect("a sound schema");
    let validate = |path: &str| {
        let output = ntpscope(&["diagnose", "--format", "json", path]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        if let Err(error) = schemas.validate(&report, compiled) {
            panic!("{path}: {error:#}");
        }
        report
    };
    let report = validate("stories/2-latent-port-108/evidence");
    assert_eq!(report["diagnoses"][0]["cause"], "ntpd-low-source-port");
    let Ok(cases) = fs::read_dir(top().join("../shared/cases")) else {
        return println!("skipped: ../shared/cases is not here; only the story was validated");
    };
    for case in cases.filter_map(Result::ok) {
        validate(&case.path().to_string_lossy());
    }
}

#[test]
fn the_page_of_formats_names_every_form() {
    let page = read("docs/formats.md");
    for form in ntpscope_core::text::forms() {
        assert!(page.contains(&format!("`{}`", form.name)), "docs/formats.md does not name {}", form.name);
    }
}
