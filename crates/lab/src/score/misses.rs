//! What is known to be missed: a file with a line each, `WORLD | MARKS | always or sometimes | WHY`; `WORLD on netns` or
//! `WORLD on sim` where only one engine's play of it is meant.

use super::judge::MARKS;
use crate::world::Engine;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// Seeds after which what is missed sometimes should have been missed.
const SURE: usize = 50;

/// One known miss.
#[derive(Clone, Debug)]
pub struct Miss {
    /// The marks that the world lacks, by their place in [`MARKS`].
    pub marks: Vec<usize>,
    /// The engine that it is so with; none: with both.
    pub engine: Option<Engine>,
    /// Whether every seed lacks them; else some.
    pub always: bool,
    /// Why.
    pub why: String,
}

/// The known misses, by world.
#[derive(Clone, Debug, Default)]
pub struct Misses(BTreeMap<String, Vec<Miss>>);

impl Misses {
    /// Reads the file's text; `#` begins a comment.
    ///
    /// # Errors
    /// A line that is not of this form.
    pub fn read(text: &str) -> Result<Misses> {
        let mut misses = Misses::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                let (world, miss) = one(line).with_context(|| format!("line {}", number + 1))?;
                misses.0.entry(world).or_default().push(miss);
            }
        }
        Ok(misses)
    }

    /// Worlds and their misses.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Vec<Miss>)> {
        self.0.iter()
    }

    /// What is wrong with a world's marks: of `seeds` plays each mark was lacking `lacking` times.
    #[must_use]
    pub fn complaints(&self, world: &str, engine: Engine, lacking: &[usize; MARKS.len()], seeds: usize) -> Vec<String> {
        if seeds == 0 {
            return vec![format!("{world}: not played")];
        }
        let known = self.0.get(world).into_iter().flatten();
        let listed: Vec<&Miss> = known.filter(|miss| miss.engine.is_none_or(|only| only == engine)).collect();
        let mut complaints = Vec::new();
        for (mark, name) in MARKS.iter().enumerate() {
            let miss = listed.iter().find(|miss| miss.marks.contains(&mark));
            match (miss, lacking[mark]) {
                (None, 0) => {}
                (None, times) => complaints.push(format!("{world}: not {name} with {times} of {seeds} seeds")),
                (Some(miss), 0) if miss.always || seeds >= SURE => {
                    complaints.push(format!("{world}: {name} now; strike it from the known misses"));
                }
                (Some(_), _) => {}
            }
        }
        complaints
    }
}

fn one(line: &str) -> Result<(String, Miss)> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [world, marks, when, why] = columns[..] else { bail!("not WORLD | MARKS | always or sometimes | WHY") };
    let place = |word: &str| MARKS.iter().position(|mark| *mark == word);
    let marks = marks.split(' ').map(|word| place(word).with_context(|| format!("`{word}` is none of {MARKS:?}")));
    let always = match when {
        "always" => true,
        "sometimes" => false,
        _ => bail!("`{when}` is neither `always` nor `sometimes`"),
    };
    let (world, engine) = match world.split_once(" on ") {
        None => (world, None),
        Some((world, "sim")) => (world, Some(Engine::Sim)),
        Some((world, "netns")) => (world, Some(Engine::Netns)),
        Some((_, other)) => bail!("`{other}` is no engine"),
    };
    if why.is_empty() {
        bail!("it doesn't say why");
    }
    Ok((world.to_owned(), Miss { marks: marks.collect::<Result<_>>()?, engine, always, why: why.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_is_allowed_and_must_be_struck_when_it_is_none() {
        let text = "# a comment\nfalseticker | right told | always | no rule yet\nlate | clean | sometimes | chance\n\
                    real on netns | clean | always | x\n";
        let misses = Misses::read(text).expect("misses");
        let complaints = |world, lacking, seeds| misses.complaints(world, Engine::Sim, &lacking, seeds).len();
        assert_eq!(complaints("real", [0; 5], 3), 0, "it is the other engine's");
        assert_eq!(misses.complaints("real", Engine::Netns, &[0; 5], 3).len(), 1);
        assert_eq!(complaints("falseticker", [3, 0, 0, 0, 1], 3), 0);
        assert_eq!(complaints("falseticker", [3, 0, 0, 0, 0], 3), 1, "told now");
        assert_eq!(complaints("falseticker", [3, 0, 0, 1, 3], 3), 1, "clean is not listed");
        assert_eq!(complaints("late", [0; 5], 3), 0, "three seeds don't show it");
        assert_eq!(complaints("late", [0; 5], 200), 1);
        assert_eq!(complaints("other", [0, 1, 0, 0, 0], 3), 1);
        assert_eq!(complaints("other", [0; 5], 0), 1, "never played is not passed");
    }

    #[test]
    fn a_line_says_all() {
        for bad in [
            "a | right | always",
            "a | wrong | always | x",
            "a | right | never | x",
            "a | right | always | ",
            "a on b | right | always | x",
        ] {
            assert!(Misses::read(bad).is_err(), "{bad}");
        }
    }
}
