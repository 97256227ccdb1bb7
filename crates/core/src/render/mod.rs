//! Views: a diagnosis as text for people and as JSON for programs; tables; pages of explanation.

pub mod exchanges;
pub mod explain;
pub mod json;
pub mod pcapng;
pub mod rows;
pub mod statsdir;
pub mod summary;
pub mod text;

use crate::exchange::{Alignment, Tally};
use crate::scene::Scene;

/// Whether a terminal may obey a character and not show it: moves its cursor, turns the order of letters.
fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Evidence as it may be printed: what could move a terminal's cursor or turn the order of its letters becomes visible.
#[must_use]
pub fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().any(is_odd) {
        text.chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

/// Columns of a page.
const WIDTH: usize = 80;

/// Lines break at spaces alone: stamps, names and commands stay whole.
fn wrapped(text: &str, first: &str, rest: &str) -> Vec<String> {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let text = plain(text);
    textwrap::wrap(&text, options).into_iter().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
}

/// What was looked at, for the end of a report.
#[derive(Clone, Copy, Debug)]
pub struct Coverage<'a> {
    /// Inputs, hosts and points.
    pub scene: &'a Scene,
    /// What the joining counted.
    pub tally: &'a Tally,
    /// The clocks of the points.
    pub alignment: &'a Alignment,
}
