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

/// Evidence as it may be printed: what could move a terminal's cursor or turn the order of its letters becomes visible.
#[must_use]
pub fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().any(is_odd) {
        text.chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
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
