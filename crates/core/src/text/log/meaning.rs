//! What a message means: its beginning, as a pattern with holes, and what it then says.

use crate::model::Happening;
use crate::text::field::number;

/// A pattern, and what a message that begins so tells of.
///
/// Holes: `{source}` a word or what stands before the next letters of the pattern, `{value}` a number, `{-value}` one
/// of the other sign, `{ms}` one in thousandths, `{local}` an address of the host itself, `{*}` anything; `{<}` and
/// `{>}` stand around what a daemon calls itself and its version.
pub type Meaning = (&'static str, Happening);

/// A program that says something about time.
pub struct Program {
    /// What rows call it; empty where that is what it calls itself.
    pub name: &'static str,
    /// What it calls itself in logs.
    pub tags: &'static [&'static str],
    /// What it says; the first that fits counts.
    pub meanings: &'static [Meaning],
    /// Whether all that it says concerns the clock, and not only what `meanings` knows.
    pub all: bool,
    /// Removes what stands before its messages.
    pub bare: fn(&str) -> &str,
}

/// What stood in the holes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found<'a> {
    /// The source.
    pub source: &'a str,
    /// The number.
    pub value: Option<f64>,
    /// An address of the host itself.
    pub local: &'a str,
    /// The name and version of the daemon.
    pub version: &'a str,
}

impl Program {
    /// What a message tells of, and with what; `None` where it has nothing to do with the clock.
    pub fn read<'a>(&self, message: &'a str) -> Option<(Happening, Found<'a>)> {
        let bare = (self.bare)(message);
        // Most patterns begin with other letters, and this line is one of millions.
        let (first, second) = (*bare.as_bytes().first()?, bare.as_bytes().get(1).copied());
        let likely = self.meanings.iter().filter(|(pattern, _)| match pattern.as_bytes() {
            [b'{', ..] => true,
            [a, b, ..] => *a == first && (*b == b'{' || Some(*b) == second),
            _ => false,
        });
        let known = likely.filter_map(|(pattern, kind)| Some((*kind, fit(pattern, bare)?))).next();
        known.or_else(|| self.all.then(|| (Happening::Other, Found::default())))
    }
}

/// A message that needs nothing removed.
pub fn as_it_is(message: &str) -> &str {
    message
}

/// What stands in the holes of `pattern`, where `text` begins as it does.
pub fn fit<'a>(pattern: &str, text: &'a str) -> Option<Found<'a>> {
    let mut found = Found::default();
    let (mut pattern, mut rest, mut version_from) = (pattern, text, 0);
    loop {
        let Some((literal, holed)) = pattern.split_once('{') else {
            return rest.starts_with(pattern).then_some(found);
        };
        rest = rest.strip_prefix(literal)?;
        let (hole, next) = holed.split_once('}')?;
        // The marks around a version stand for no letters.
        let letters = next.strip_prefix("{<}").or_else(|| next.strip_prefix("{>}")).unwrap_or(next);
        let until = letters.split('{').next().unwrap_or_default();
        match hole {
            "source" => (found.source, rest) = word(rest, until)?,
            "local" => (found.local, rest) = word(rest, until)?,
            "value" => (found.value, rest) = scaled(rest, 1.0)?,
            "-value" => (found.value, rest) = scaled(rest, -1.0)?,
            "ms" => (found.value, rest) = scaled(rest, 1e-3)?,
            "<" => version_from = text.len() - rest.len(),
            ">" => found.version = &text[version_from..text.len() - rest.len()],
            // Anything, up to the next letters of the pattern.
            _ if until.is_empty() => rest = &rest[rest.len()..],
            _ => rest = &rest[rest.find(until)?..],
        }
        pattern = next;
    }
}

/// A word: up to `until`, or up to a blank and without the mark that ends a sentence.
fn word<'a>(text: &'a str, until: &str) -> Option<(&'a str, &'a str)> {
    let end = if until.is_empty() { text.find(' ').unwrap_or(text.len()) } else { text.find(until)? };
    let (word, rest) = text.split_at(end);
    let word = if until.is_empty() { word.trim_end_matches(['.', ',', ';', '\'', '"']) } else { word };
    (!word.is_empty() && !word.contains(' ')).then_some((word, rest))
}

fn scaled(text: &str, scale: f64) -> Option<(Option<f64>, &str)> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e');
    let (digits, rest) = text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()));
    // A sentence may end with the number.
    let value = number(digits.trim_end_matches(['.', 'e', '+', '-']))? * scale;
    Some((Some(value).filter(|value| value.is_finite()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_from_the_text() {
        let got = fit("step time server {source} offset {value} sec", "step time server 192.0.2.1 offset -0.5 sec");
        assert_eq!(got.map(|g| (g.source, g.value)), Some(("192.0.2.1", Some(-0.5))));
        let got = fit("Jumped offset by {ms}ms", "Jumped offset by -12.5ms. This may cause problems");
        assert_eq!(got.and_then(|g| g.value), Some(-0.0125));
        let got = fit("{<}chronyd version {*}{>} starting", "chronyd version 4.3 starting (+NTS)");
        assert_eq!(got.map(|g| g.version), Some("chronyd version 4.3"));
        assert_eq!(fit("Selected source {source}", "Selected source "), None);
        assert_eq!(fit("time reset {value} s", "time reset  s"), None);
    }
}
