//! The statistics files of ntpd and NTPsec: what `statsdir` holds, whatever `filegen` calls the files.
//!
//! Every row begins with the modified Julian day and the second of that day, on the clock *being disciplined*, so that
//! time may run backwards from row to row. What follows tells the files apart, also where somebody has put several into
//! one. Columns are those of `ntpd/ntp_util.c`, from xntp3 to ntpd 4.2.8p18 and NTPsec 1.2.

mod counts;
mod events;
mod fields;
mod loops;
mod peers;
mod raw;
mod sensors;

use super::{Block, Form, Line, Taken};
use crate::model::{At, InputId, Origin, Place, Row};
use crate::time::Time;
use fields::Fields;

/// The form of a file of which all rows are of one kind.
macro_rules! form {
    ($kind:path) => {
        Form {
            name: $kind.name,
            opens: |line| opens(line, &$kind),
            block: || Box::new(Rows { kind: &$kind, before: Before::default() }),
        }
    };
}

/// What this module reads.
pub const FORMS: &[Form] = &[
    form!(loops::LOOPSTATS),
    form!(peers::PEERSTATS),
    form!(raw::RAWSTATS),
    form!(counts::SYSSTATS),
    form!(counts::USESTATS),
    form!(counts::REFSTATS),
    form!(counts::NTSSTATS),
    form!(counts::NTSKESTATS),
    form!(events::PROTOSTATS),
    form!(events::NTSKELOG),
    form!(events::TIMINGSTATS),
    form!(events::CLOCKSTATS),
    form!(events::CRYPTOSTATS),
    sensors::GPSD,
    sensors::TEMPS,
    loops::DRIFT,
];

/// The kinds whose rows begin with a day and a second, in the order of [`FORMS`]: those that end with free text last.
const KINDS: &[&Kind] = &[
    &loops::LOOPSTATS,
    &peers::PEERSTATS,
    &raw::RAWSTATS,
    &counts::SYSSTATS,
    &counts::USESTATS,
    &counts::REFSTATS,
    &counts::NTSSTATS,
    &counts::NTSKESTATS,
    &events::PROTOSTATS,
    &events::NTSKELOG,
    &events::TIMINGSTATS,
    &events::CLOCKSTATS,
    &events::CRYPTOSTATS,
];

/// Reads the fields behind a stamp.
type Read = fn(Fields<'_>, &mut Before, &mut dyn FnMut(Row<'_>)) -> Option<()>;

/// What the rows before this one had.
#[derive(Default)]
struct Before {
    /// The most columns: where versions differ by columns, a row with fewer than those before it was cut.
    widest: usize,
    /// Sources, of the few that a daemon asks, and the one of the last row.
    sources: Vec<String>,
    last: usize,
}

/// Sources of one file that are remembered.
const MOST_SOURCES: usize = 16;

impl Before {
    /// Whether a word is an address or a reference clock; what was one is one again.
    fn is_source(&mut self, word: &str) -> bool {
        let next = if self.last + 1 < self.sources.len() { self.last + 1 } else { 0 };
        let is = |source: &String| source == word;
        if self.sources.get(next).is_some_and(is) {
            self.last = next;
            return true;
        }
        if let Some(known) = self.sources.iter().position(|source| **source == *word) {
            self.last = known;
            return true;
        }
        let good = fields::is_source(word);
        if good && self.sources.len() < MOST_SOURCES {
            self.last = self.sources.len();
            self.sources.push(word.to_owned());
        }
        good
    }
}

/// One kind of file.
struct Kind {
    name: &'static str,
    /// Reads what follows the stamp; `None` where the fields are not this file's.
    read: Read,
    /// Whether nearly anything may follow, so that all kinds before it are asked first.
    free: bool,
}

impl Kind {
    /// Whether this kind has such fields.
    fn has(&self, fields: &Fields<'_>) -> bool {
        (self.read)(fields.clone(), &mut Before::default(), &mut |_| {}).is_some()
    }
}

fn opens(text: &str, kind: &Kind) -> bool {
    // Nearly every other line fails at its first byte; a text that quotes rows may have moved them to the right.
    let text = text.trim_start_matches([' ', '\t']);
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let has = |text: &str| {
        let at = At::origin(Origin { input: InputId(0), place: Place::Line(0) });
        Fields::of(Line { at, text, written: Time(0) }).is_some_and(|fields| kind.has(&fields))
    };
    has(text) || (!kind.free && with_points(text).is_some_and(|text| has(&text)))
}

/// Rows of one kind.
struct Rows {
    kind: &'static Kind,
    before: Before,
}

impl Block for Rows {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = match line.text.as_bytes().first() {
            Some(b' ' | b'\t') => line.text.trim_start_matches([' ', '\t']),
            _ => line.text,
        };
        let Some(fields) = Fields::of(Line { text, ..line }) else {
            return no_row(line.text);
        };
        if self.kind.free && stricter(self.kind, &fields) {
            return Taken::No;
        }
        if (self.kind.read)(fields.clone(), &mut self.before, rows).is_some() {
            return Taken::Yes;
        }
        // A daemon that was started in another locale prints decimal commas.
        if let Some(text) = with_points(text)
            && let Some(fields) = Fields::of(Line { text: &text, ..line })
            && (self.kind.read)(fields, &mut self.before, rows).is_some()
        {
            return Taken::Yes;
        }
        // With all its columns it would be the block's: it was cut, and no other kind has it.
        let narrower = self.kind.has(&fields);
        let other = KINDS.iter().find(|kind| kind.has(&fields)).filter(|_| !narrower);
        if other.is_some_and(|other| !is_beginning(self.kind, other, fields)) {
            return Taken::No;
        }
        Taken::Rejected(why_broken(self.kind, line.text))
    }
}

/// Whether a kind before this one has such fields.
fn stricter(kind: &Kind, fields: &Fields<'_>) -> bool {
    KINDS.iter().take_while(|other| other.name != kind.name).any(|other| other.has(fields))
}

/// Whether fields that look like another kind's are rather the beginning of a row of this one.
fn is_beginning(kind: &Kind, other: &Kind, mut fields: Fields<'_>) -> bool {
    if kind.name == counts::NTSSTATS.name {
        return other.name == counts::SYSSTATS.name;
    }
    // A reference clock, and what could be part of a status or of the counts of refstats.
    let _source = fields.word();
    let rest = fields.rest();
    let numbers = rest.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b' ' | b'.' | b'-'));
    !kind.free && other.free && numbers && (rest.len() <= 4 || kind.name == counts::REFSTATS.name)
}

/// What a line without a stamp is, among rows.
fn no_row(text: &str) -> Taken {
    if text.is_empty() || text.starts_with('#') {
        return Taken::Yes;
    }
    let (day, rest) = text.split_once(' ').unwrap_or((text, ""));
    if day.len() > 5 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
        Taken::No
    } else if rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        Taken::Rejected("a row that was cut within or behind its stamp".into())
    } else if day.len() == 5 {
        Taken::Rejected("the stamp is not a modified Julian day and a second of it with three decimals".into())
    } else {
        Taken::No
    }
}

/// Why a row with a good stamp can't be read.
fn why_broken(kind: &Kind, text: &str) -> String {
    let name = kind.name;
    if text.contains('\0') {
        format!("among {name} rows, one with zero bytes in it, as a crash leaves them")
    } else if text.match_indices(' ').skip(1).any(|(at, _)| is_stamp(text.as_bytes(), at)) {
        format!("among {name} rows, one that was cut, and another on the same line")
    } else {
        format!("among {name} rows, one that was cut, or that no version of ntpd writes")
    }
}

/// Whether the five bytes before a blank are a day, and what follows it is a second and a blank.
fn is_stamp(text: &[u8], blank: usize) -> bool {
    let digits = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    let day = blank.checked_sub(5).and_then(|start| text.get(start..blank));
    let second = text.get(blank + 1..).unwrap_or_default().iter().take(10).position(|byte| *byte == b' ');
    let second = second.and_then(|length| text.get(blank + 1..blank + 1 + length)?.split_last_chunk::<4>());
    day.is_some_and(digits) && second.is_some_and(|(whole, ms)| digits(whole) && ms[0] == b'.' && digits(&ms[1..]))
}

/// The text with points for the commas in its numbers, where there are any.
fn with_points(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_comma = |at: usize| at > 0 && bytes[at] == b',' && is_digit(at - 1) && is_digit(at + 1);
    let any = (0..bytes.len()).any(is_comma);
    any.then(|| text.char_indices().map(|(at, c)| if is_comma(at) { '.' } else { c }).collect())
}

#[cfg(test)]
mod tests;
