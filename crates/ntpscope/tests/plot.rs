//! `ntpscope plot`: what it draws of story 1, in characters and in files.

use expect_test::expect_file;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn plot(args: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_ntpscope")).arg("plot").args(args).current_dir(top()).output();
    run.expect("the program was built with its tests")
}

fn printed(args: &[&str]) -> String {
    let output = plot(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

const STORY: &str = "stories/1-oscillating-xen/evidence";

#[test]
fn story_1_is_seen_in_its_offsets() {
    let picture = printed(&[STORY]);
    assert!(picture.lines().all(|line| line.chars().count() <= 80), "{picture}");
    // What is claimed is tested with the story.
    let drawn: String =
        picture.lines().take_while(|line| !line.starts_with("FAULT")).map(|line| format!("{line}\n")).collect();
    let without_claims = drawn.replace(", = a fault is claimed", "").replace('=', " ");
    let drawn: String = without_claims.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    expect_file!["snapshots/story-1.txt"].assert_eq(&drawn);
}

#[test]
fn files_are_what_their_names_say_and_evidence_is_never_written_over() {
    let folder = std::env::temp_dir().join(format!("ntpscope-plot-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let [svg, png, other] = ["a.svg", "a.PNG", "a.pdf"].map(|name| folder.join(name));
    let written = |path: &Path, more: &[&str]| {
        let args = [&[STORY, "-o", path.to_str().expect("UTF-8")], more].concat();
        assert!(printed(&args).is_empty());
        fs::read(path).expect("a file")
    };
    let text = String::from_utf8(written(&svg, &["--dark"])).expect("UTF-8");
    assert!(text.starts_with("<svg ") && text.trim_end().ends_with("</svg>"));
    for part in ["dc1-xen2 offset (ms)", "#56b4e9", "#14161a", "UTC"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(written(&png, &[]).starts_with(b"\x89PNG\r\n"));
    assert_eq!(plot(&[STORY, "-o", other.to_str().expect("UTF-8")]).status.code(), Some(2));
    let evidence = fs::read(&svg).expect("a file");
    let svg = svg.to_str().expect("UTF-8");
    assert_eq!(plot(&[svg, "-o", svg]).status.code(), Some(2));
    assert_eq!(fs::read(svg).expect("a file"), evidence);
    fs::remove_dir_all(folder).expect("the folder made above");
}

#[test]
fn each_kind_draws_and_nothing_to_draw_is_an_error() {
    for kind in ["time", "histogram", "wedge", "allan", "hours"] {
        let picture = printed(&["stories/1-oscillating-xen/evidence/dc1-xen2", "--kind", kind, "--statistics"]);
        assert!(picture.contains('┤') && picture.lines().all(|line| line.chars().count() <= 80), "{kind}:\n{picture}");
    }
    let story = "stories/2-latent-port-108/evidence";
    assert!(printed(&[story, "-q", "loss"]).contains("loss (%)"));
    let nothing = plot(&["stories/1-oscillating-xen/evidence/dc1-xen2", "-q", "reach"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing to draw"));
}
