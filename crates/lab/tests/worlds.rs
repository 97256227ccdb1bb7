//! Every world of the repository holds together, and is what its name says.

use ntpscope_lab::causes::CAUSES;
use ntpscope_lab::check::check;
use ntpscope_lab::score::misses::Misses;
use ntpscope_lab::world::{Engine, World};
use std::path::{Path, PathBuf};

/// Controls that look suspicious, and are not.
const FEWEST_HEALTHY: usize = 8;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names and texts of the worlds, those of the stories last.
fn worlds() -> Vec<(String, String)> {
    let list = |folder: &str| {
        let entries = std::fs::read_dir(top().join(folder)).expect("a folder");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let files = list("worlds").into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "toml"));
    let stories = list("stories").into_iter().filter(|story| story.join("world.toml").exists());
    let named =
        files.map(|file| (file.clone(), file)).chain(stories.map(|story| (story.clone(), story.join("world.toml"))));
    let read = |(name, file): (PathBuf, PathBuf)| {
        let name = name.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(file).expect("a text"))
    };
    named.map(read).collect()
}

#[test]
fn every_world_holds_together() {
    for (name, text) in worlds() {
        let world = World::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(check(&world, &text), [""; 0], "{name}");
    }
}

#[test]
fn every_cause_has_a_world_and_every_world_is_what_it_is_called() {
    let worlds = worlds();
    for (id, ..) in CAUSES {
        assert!(worlds.iter().any(|(name, _)| name == id), "no world is called {id}");
    }
    for (name, text) in &worlds {
        let truth = World::read(text).expect("a world").truth;
        let causes = truth.causes.iter().map(|cause| cause.cause.as_str());
        let mut told = causes.chain(truth.notes.iter().map(String::as_str));
        if name.starts_with("healthy-") {
            assert!(truth.causes.is_empty() && truth.undecided.is_empty(), "{name} is not healthy");
            assert!(!truth.healthy_hosts.is_empty(), "{name}: who is healthy?");
        } else if name.starts_with("undecided-") {
            assert!(truth.causes.is_empty() && !truth.undecided.is_empty(), "{name} is decided");
        } else if !name.starts_with(|first: char| first.is_ascii_digit()) {
            assert!(told.any(|cause| name.starts_with(cause)), "{name} has another truth");
        }
    }
    let healthy = worlds.iter().filter(|(name, _)| name.starts_with("healthy-")).count();
    assert!(healthy >= FEWEST_HEALTHY, "{healthy} healthy worlds");
}

/// The page of worlds: UPDATE_EXPECT=1 writes it anew.
#[test]
fn the_page_lists_them() {
    let mut page = String::from(
        "# The worlds\n\nWhat each is about, what is true of it, and who can play it. A test writes this page: `UPDATE_EXPECT=1 cargo test -p \
         ntpscope-lab`.\nA cause in brackets is one that no rule names yet.\n\n| world | what happens | what is true | simulator | \
         namespaces |\n| --- | --- | --- | --- | --- |\n",
    );
    let unnamed = ntpscope_lab::causes::unnamed();
    for (name, text) in worlds() {
        let world = World::read(&text).expect("a world");
        let truth = &world.truth;
        let causes = truth.causes.iter().map(|cause| cause.cause.as_str());
        let open = truth.undecided.iter().map(String::as_str);
        let mut told: Vec<String> = causes
            .map(|id| if unnamed.contains(&id) { format!("({id})") } else { id.to_owned() })
            .chain(open.map(|id| format!("undecided: {id}")))
            .chain(truth.notes.iter().map(|id| format!("note: {id}")))
            .collect();
        if told.is_empty() {
            told.push("nothing is wrong".into());
        }
        let plays = |engine| {
            let why = world.unfit.as_deref().unwrap_or_default();
            if world.engines.contains(&engine) { "yes".to_owned() } else { format!("no: {why}") }
        };
        let (sim, netns) = (plays(Engine::Sim), plays(Engine::Netns));
        page += &format!("| {name} | {} | {} | {sim} | {netns} |\n", world.about, told.join(", "));
    }
    expect_test::expect_file!["../../../docs/worlds.md"].assert_eq(&page);
}

#[test]
fn known_misses_are_worlds() {
    let text = std::fs::read_to_string(top().join("worlds/known-misses.txt")).expect("the known misses");
    let (misses, worlds) = (Misses::read(&text).expect("known misses"), worlds());
    for (world, _) in misses.all() {
        assert!(worlds.iter().any(|(name, _)| name == world), "no world is called {world}");
    }
}
