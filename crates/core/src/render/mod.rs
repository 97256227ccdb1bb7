//! Views: a diagnosis as text for people and as JSON for programs; tables; pages of explanation.

pub mod exchanges;
pub mod explain;
pub mod json;
pub mod pcapng;
pub mod plot;
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

/// A command, broken between its words with the shell's `\\`, so that it can be pasted; quoted words stay whole.
fn wrapped_command(command: &str, first: &str, rest: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in plain(command).chars() {
        quoted ^= c == '\'';
        match words.last_mut() {
            Some(word) if c != ' ' || quoted => word.push(c),
            _ => words.push(String::new()),
        }
    }
    let mut lines = vec![first.to_owned()];
    let mut is_new = true;
    for (at, word) in words.iter().enumerate() {
        let more = if at + 1 < words.len() { " \\".len() } else { 0 };
        let Some(line) = lines.last_mut() else { break };
        let length = line.chars().count() + usize::from(!is_new) + word.chars().count() + more;
        if !is_new && length > WIDTH {
            line.push_str(" \\");
            lines.push(rest.to_owned() + word);
        } else {
            line.push_str(if is_new { "" } else { " " });
            line.push_str(word);
        }
        is_new = false;
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_command_is_still_that_command() {
        let command = "comm -23 <(tshark -r pcap/sv_eth0.pcap -Y 'ip.dst == 10.2.0.2 && ntp.flags.mode == 3' -T fields -e ntp.xmt | sort -u) | wc -l";
        let lines = wrapped_command(command, "  f1  ", "      ");
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        let joined: Vec<&str> = lines.iter().map(|line| line[6..].trim_end_matches(" \\")).collect();
        assert_eq!(joined.join(" "), command);
        assert!(lines[..lines.len() - 1].iter().all(|line| line.ends_with(" \\")));
    }
}
