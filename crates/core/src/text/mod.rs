//! Text evidence: one reader per form, found by what a line says, never by a file's name.
//!
//! One file may hold the output of many commands, so the unit is the *block*: a run of lines that begins with a
//! line which [`Form::opens`], and lasts until the block says that a line is not its own. To add a form, write one
//! file with a [`Block`] and a `FORMS`, and add one line to `FAMILIES`.

mod around;
mod chrony_logs;
mod chronyc;
mod conf;
mod conntrack;
mod field;
mod ip;
mod iptables;
mod log;
mod nft;
mod ntp_ctl;
mod ntpq;
mod router;
mod statsdir;
mod tcpdump;
mod timedatectl;
mod w32tm;
mod zeek;

use crate::model::{At, InputId, Origin, Place, Reject, Row, What};
use crate::time::Time;
pub(crate) use around::{is_prompt, is_rule, is_template};

/// Longest line that is read; longer ones are rejected unread.
pub const LONGEST_LINE: usize = 64 * 1024;

/// Lines that no reader knows, from the first on, after which a text is something else: logs of other programs are long.
const MOST_STRANGE: u32 = 1000;

/// Lines from what `date` printed to the block that it is of: blanks, a prompt, the title of `watch`.
const FROM_DATE: u32 = 3;

/// One form of text: how a block of it begins, and who reads it.
pub struct Form {
    /// What a report calls it.
    pub name: &'static str,
    /// Whether a line begins a block of this form.
    pub opens: fn(&str) -> bool,
    /// A reader for one block. It is given the opening line first.
    pub block: fn() -> Box<dyn Block>,
}

/// The forms of each program or kind, in the order in which they are asked: the first that opens takes the line.
const FAMILIES: &[&[Form]] = &[
    statsdir::FORMS,
    chrony_logs::FORMS,
    log::FORMS,
    ntpq::FORMS,
    chronyc::FORMS,
    timedatectl::FORMS,
    ntp_ctl::FORMS,
    w32tm::FORMS,
    router::FORMS,
    conntrack::FORMS,
    nft::FORMS,
    iptables::FORMS,
    ip::FORMS,
    zeek::FORMS,
    tcpdump::FORMS,
    conf::FORMS,
];

/// Every form that can be read.
pub fn forms() -> impl Iterator<Item = &'static Form> {
    FAMILIES.iter().copied().flatten()
}

/// Reads the lines of one block.
pub trait Block {
    /// Reads one line; rows go to `rows`, which may be called any number of times.
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken;

    /// Whether the lines so far can be of nothing else. A form is told as met only then: what `[[source]]` or `server NAME`
    /// begins, the next lines say.
    fn sure(&self) -> bool {
        true
    }

    /// Gives the rows that waited for more lines, when none follows.
    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let _ = rows;
    }
}

/// One line without its end, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Where it stands; readers add when and whose.
    pub at: At<'a>,
    /// What it says, white space at its end removed.
    pub text: &'a str,
    /// Not long after the text was written: stamps without a year are of the last year that is not later.
    pub written: Time,
}

/// What a [`Block`] did with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The line is the block's: data, header, banner, comment or blank.
    Yes,
    /// The line is the block's, but could not be understood: why.
    Rejected(String),
    /// The line is not the block's: the block has ended, and others are asked.
    No,
}

/// Reads one text input, line by line.
pub struct TextReader {
    input: InputId,
    written: Time,
    line: u32,
    block: Option<Box<dyn Block>>,
    /// The form of that block, until it is sure of it.
    unsure: Option<&'static str>,
    /// The names of the forms met so far.
    pub forms: Vec<&'static str>,
    /// Lines that no reader knew, before the first that one did.
    strange: u32,
    /// The host that the last prompt of a router named.
    host: String,
    /// When the command of the open block ran, where a date before it says so.
    time: Option<Time>,
    /// The last date, and its line.
    date: Option<(Time, u32)>,
}

impl TextReader {
    /// A reader at the first line of `input`, which was last written at `written`.
    #[must_use]
    pub fn new(input: InputId, written: Time) -> Self {
        let forms = Vec::new();
        let host = String::new();
        TextReader {
            input,
            written,
            line: 0,
            block: None,
            unsure: None,
            forms,
            strange: 0,
            host,
            time: None,
            date: None,
        }
    }

    /// Reads the next line (without its `\n`), and says what it did not understand.
    ///
    /// Blank lines, comments, a rule, a file's title, a bare count and a shell prompt with its command are nobody's and
    /// no reject.
    pub fn line(&mut self, bytes: &[u8], rows: &mut dyn FnMut(Row<'_>)) -> Option<Reject> {
        self.line = self.line.saturating_add(1);
        let place = Place::Line(self.line);
        let bytes = bytes.trim_ascii_end();
        // A crash leaves zeros where a file had grown but nothing was written; what follows them is whole.
        let bytes = match bytes.iter().position(|byte| *byte != 0) {
            Some(written) => &bytes[written..],
            None if bytes.is_empty() => bytes,
            None => {
                let reason = "zero bytes, as a crash leaves them where a row was to be".into();
                return Some(Reject { place, reason });
            }
        };
        if bytes.len() > LONGEST_LINE {
            // Whoever cuts the text into lines need not keep all of it, so that its length is not known.
            return Some(Reject { place, reason: format!("a line of more than {LONGEST_LINE} bytes") });
        }
        // Names of people and places in logs come in all encodings; what matters here is ASCII.
        let lossy;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                lossy = String::from_utf8_lossy(bytes);
                &lossy
            }
        };
        // PowerShell begins what it writes with a byte order mark.
        let text = if self.line == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        let plain;
        let text = if memchr::memchr(b'\x1b', text.as_bytes()).is_some() {
            plain = around::without_escapes(text);
            plain.as_str()
        } else {
            text
        };
        let text = text.trim_ascii_end();
        let mut reason = None;
        // Old systems end lines with `\r`, and progress overwrites itself with it. Most lines have none.
        if memchr::memchr(b'\r', text.as_bytes()).is_some() {
            for text in text.split('\r') {
                reason = self.piece(text.trim_end(), place, rows).or(reason);
            }
        } else {
            reason = self.piece(text, place, rows);
        }
        reason.map(|reason| Reject { place, reason })
    }

    fn piece(&mut self, text: &str, place: Place, rows: &mut dyn FnMut(Row<'_>)) -> Option<String> {
        let line = Line { at: At::origin(Origin { input: self.input, place }), text, written: self.written };
        let mut taken = self.go_on(line, rows);
        // A router's prompt names its host, to the next prompt. Only routers' blocks take prompts.
        if (taken == Taken::No || !self.host.is_empty())
            && let Some((host, _)) = router::prompt(text)
        {
            host.clone_into(&mut self.host);
        } else if taken == Taken::No && !self.host.is_empty() && (text.starts_with("$ ") || is_prompt(text)) {
            // A shell's is of another host.
            self.host.clear();
        }
        if taken == Taken::No {
            taken = self.open(line, rows);
        }
        match taken {
            Taken::Yes => None,
            Taken::Rejected(reason) => Some(reason),
            Taken::No if around::is_nobodys(text.trim_start()) => None,
            Taken::No => {
                self.strange = self.strange.saturating_add(u32::from(self.forms.is_empty()));
                Some("no reader knows this line".into())
            }
        }
    }

    /// Gives a line to the block that is open.
    fn go_on(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(block) = &mut self.block else { return Taken::No };
        let taken = if self.host.is_empty() && self.time.is_none() {
            block.line(line, rows)
        } else {
            block.line(line, &mut |row| rows(of_command(row, &self.host, self.time)))
        };
        match taken {
            Taken::No => self.end(rows),
            Taken::Yes | Taken::Rejected(_) => self.tell_form(),
        }
        taken
    }

    /// Opens a block with a line.
    fn open(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let pure = self.strange == 0 || !self.forms.is_empty();
        let rows_alone = pure.then_some(&ntpq::ROWS);
        let Some(form) = forms().chain(rows_alone).find(|form| (form.opens)(line.text)) else {
            if let Some(time) = around::date(line.text) {
                self.date = time.map(|time| (time, self.line));
            }
            return Taken::No;
        };
        let mut block = (form.block)();
        self.time = self.date.filter(|(_, line)| self.line - line <= FROM_DATE).map(|(time, _)| time);
        let taken = block.line(line, &mut |row| rows(of_command(row, &self.host, self.time)));
        self.block = Some(block);
        self.unsure = Some(form.name);
        self.tell_form();
        // A form that opens with a line does not refuse it.
        if taken == Taken::No { Taken::Yes } else { taken }
    }

    /// Gives the rows that waited for more lines, at the end of the text.
    pub fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some(block) = &mut self.block {
            block.end(&mut |row| rows(of_command(row, &self.host, self.time)));
            self.tell_form();
            self.block = None;
            self.unsure = None;
        }
    }

    /// Notes the form of the block, once it is sure.
    fn tell_form(&mut self) {
        let Some(name) = self.unsure.filter(|_| self.block.as_ref().is_some_and(|block| block.sure())) else { return };
        self.unsure = None;
        if !self.forms.contains(&name) {
            self.forms.push(name);
        }
    }

    /// Whether so many lines said nothing that the rest need not be read: this is no evidence of time.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.strange >= MOST_STRANGE
    }
}

/// The row, of the host that a prompt named and, if it is of a moment, of the time that a date did, where its text does
/// not name others.
fn of_command<'a>(mut row: Row<'a>, host: &'a str, time: Option<Time>) -> Row<'a> {
    let at = row.at_mut();
    if at.host.is_empty() {
        at.host = host;
    }
    let is_snapshot = match &row {
        Row::Clock(_) | Row::Peer(_) => true,
        Row::Event(event) => matches!(event.what, What::Variable { .. } | What::Counter { .. } | What::Gauge { .. }),
        _ => false,
    };
    if is_snapshot {
        let at = row.at_mut();
        at.time = at.time.or(time);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Owner, Table};
    use proptest::prelude::*;

    /// 2026-11-24T00:00:00Z
    const WRITTEN: Time = Time(1_795_478_400_000_000_000);

    /// Rows in words, rejects with their place, and the forms met.
    pub(super) fn read(text: &str) -> (Vec<String>, Vec<String>, Vec<&'static str>) {
        let mut reader = TextReader::new(InputId(0), WRITTEN);
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        for line in text.as_bytes().split(|b| *b == b'\n') {
            let reject = reader.line(line, &mut |row| rows.push(in_words(row)));
            rejects.extend(reject.map(|r| format!("{}: {}", r.place, r.reason)));
        }
        reader.end(&mut |row| rows.push(in_words(row)));
        (rows, rejects, reader.forms)
    }

    /// A row as `ntpscope rows --format json` prints it, without the marks of JSON and without its line.
    fn in_words(row: Row<'_>) -> String {
        let mut json = String::new();
        crate::render::rows::json(&row, Owner::default(), &mut json);
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).expect("an object");
        assert!(fields.contains_key("line"));
        let columns = ["table"].iter().chain(Table::of(&row).columns()).filter(|name| **name != "line");
        let words = columns.filter_map(|name| {
            let value = fields.get(*name)?;
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(if matches!(*name, "table" | "what") { value } else { format!("{name}={value}") })
        });
        let words: Vec<_> = words.filter(|word| word != "event").collect();
        words.join(" ")
    }

    fn only(text: &str, kind: &str) -> Vec<String> {
        read(text).0.iter().filter_map(|row| row.strip_prefix(kind).map(str::to_owned)).collect()
    }

    pub(super) fn peers(text: &str) -> Vec<String> {
        only(text, "peer ")
    }

    pub(super) fn variables(text: &str) -> Vec<String> {
        only(text, "variable ")
    }

    pub(super) fn counters(text: &str) -> Vec<String> {
        only(text, "counter ")
    }

    #[test]
    fn lines_may_end_with_carriage_returns_and_hold_other_bytes() {
        let mut reader = TextReader::new(InputId(0), WRITTEN);
        let mut rows = 0;
        let reject = reader.line(b"conntrack v1\rserver 192.0.2.1 iburst # M\xfcnchen\r\r", &mut |_| rows += 1);
        reader.end(&mut |_| rows += 1);
        assert_eq!((reject, rows, reader.forms), (None, 1, vec!["conntrack -L", "ntp.conf or chrony.conf"]));
    }

    #[test]
    fn zeros_that_a_crash_left_hide_no_row_and_no_length() {
        let mut reader = TextReader::new(InputId(0), WRITTEN);
        let mut rows = 0;
        let mut line = |bytes: &[u8]| reader.line(bytes, &mut |_| rows += 1).map(|reject| reject.reason);
        let zeros = [0; LONGEST_LINE];
        assert_eq!(line(b"\0\0\r"), line(b"\0"));
        assert_eq!(
            line(&[&zeros, b"Nov 22 09:25:13 c1 chronyd[812]: Selected source 192.0.2.1".as_slice()].concat()),
            None
        );
        assert_eq!(
            line(&[0; LONGEST_LINE + 1]).as_deref(),
            Some("zero bytes, as a crash leaves them where a row was to be")
        );
        assert_eq!(line(&[b'x'; LONGEST_LINE + 1]).as_deref(), Some("a line of more than 65536 bytes"));
        assert_eq!(rows, 1);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = TextReader::new(InputId(0), WRITTEN);
            let _ = reader.line(&bytes, &mut |_| {});
            reader.end(&mut |_| {});
        }
    }
}
