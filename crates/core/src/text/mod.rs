//! Text evidence: one reader per form, found by what a line says, never by a file's name.
//!
//! One file may hold the output of many commands, so the unit is the *block*: a run of lines that begins with a
//! line which [`Form::opens`], and lasts until the block says that a line is not its own. To add a form, write one
//! file with a [`Block`] and add one line to [`FORMS`].

mod chronyc;
mod conf;
mod conntrack;
mod field;
mod nft;
mod ntpq;

use crate::model::{At, InputId, Origin, Place, Reject, Row};
use crate::time::Time;

/// Longest line that is read; longer ones are rejected unread.
pub const LONGEST_LINE: usize = 64 * 1024;

/// One form of text: how a block of it begins, and who reads it.
pub struct Form {
    /// What a report calls it.
    pub name: &'static str,
    /// Whether a line begins a block of this form.
    pub opens: fn(&str) -> bool,
    /// A reader for one block. It is given the opening line first.
    pub block: fn() -> Box<dyn Block>,
}

/// Every form that can be read. The first that opens takes the line.
pub const FORMS: &[Form] = &[
    ntpq::PEERS,
    ntpq::ASSOCIATIONS,
    ntpq::VARIABLES,
    ntpq::SYSSTATS,
    ntpq::IOSTATS,
    ntpq::MRULIST,
    chronyc::SOURCES,
    chronyc::SOURCESTATS,
    chronyc::NTPDATA,
    chronyc::TRACKING,
    chronyc::SERVERSTATS,
    conntrack::LIST,
    nft::RULESET,
    conf::NTPD,
    conf::CHRONY,
    conf::EITHER,
];

/// Reads the lines of one block.
pub trait Block {
    /// Reads one line; rows go to `rows`, which may be called any number of times.
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken;
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
    /// The forms met so far, in the order of [`FORMS`].
    pub forms: Vec<&'static str>,
}

impl TextReader {
    /// A reader at the first line of `input`, which was last written at `written`.
    #[must_use]
    pub fn new(input: InputId, written: Time) -> Self {
        TextReader { input, written, line: 0, block: None, forms: Vec::new() }
    }

    /// Reads the next line (without its `\n`), and says what it did not understand.
    ///
    /// Blank lines, comments and a shell prompt with its command are nobody's and no reject.
    pub fn line(&mut self, bytes: &[u8], rows: &mut dyn FnMut(Row<'_>)) -> Option<Reject> {
        self.line = self.line.saturating_add(1);
        let place = Place::Line(self.line);
        let reject = |reason: String| Some(Reject { place, reason });
        if bytes.len() > LONGEST_LINE {
            return reject(format!("a line of {} bytes is longer than {LONGEST_LINE}", bytes.len()));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return reject("not UTF-8 text".into());
        };
        let at = At::origin(Origin { input: self.input, place });
        let line = Line { at, text: text.trim_end(), written: self.written };
        if let Some(block) = &mut self.block {
            match block.line(line, rows) {
                Taken::Yes => return None,
                Taken::Rejected(reason) => return reject(reason),
                Taken::No => self.block = None,
            }
        }
        if let Some(form) = FORMS.iter().find(|form| (form.opens)(line.text)) {
            if !self.forms.contains(&form.name) {
                self.forms.push(form.name);
            }
            let mut block = (form.block)();
            let taken = block.line(line, rows);
            self.block = Some(block);
            return match taken {
                Taken::Rejected(reason) => reject(reason),
                Taken::Yes | Taken::No => None,
            };
        }
        let bare = line.text.trim_start();
        let idle = bare.is_empty() || bare.starts_with(['#', ';', '!', '$', '%']) || is_prompt(bare);
        if idle { None } else { reject("no reader knows this line".into()) }
    }
}

/// A prompt with a command, as people paste them: `[root@host ~]# ntpq -p`, `user@host:~$ chronyc sources`, `ntpq> pe`.
pub(crate) fn is_prompt(line: &str) -> bool {
    line.split_once(['#', '$', '>']).is_some_and(|(before, after)| {
        let asks = before.contains('@') || matches!(before, "ntpq" | "chronyc");
        asks && (after.is_empty() || after.starts_with(' '))
    })
}

/// A line that only rules a table off: `====`, `----`.
pub(crate) fn is_rule(line: &str) -> bool {
    let bare = line.trim_start();
    bare.len() >= 4 && (bare.bytes().all(|b| b == b'=') || bare.bytes().all(|b| b == b'-'))
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

    /// Lines that open blocks and lines that belong in them, whole, cut and with noise.
    fn line() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "     remote           refid      st t when poll reach   delay   offset  jitter",
            "server (local)       remote    refid   assid  st t when poll reach   delay   offset  jitter",
            "*192.0.2.2       .GPS.     2 u  5h   17m  377    0.250   -1.500   0.010",
            "+a-long-name.ntp.example",
            "                 .PPS.   1 u 1 64 377 1.0 2.0 3.0",
            "ind assid status  conf reach auth condition  last_event cnt",
            "  1 17767  b61a   yes   yes  none  sys.peer    sys_peer  1",
            "associd=7 status=c016 leap_alarm, version=\"a, b\", keyid=0,  filtdelay =\t0,",
            "uptime:  2D 00:03:49",
            "time since reset:  99999999999999999999",
            "packets received:   118           18        2.0s/p",
            "lstint avgint rstr r m v  count rport remote address",
            "     8      2   20 L 3 4     18   116 192.0.2.1",
            "MS Name/IP address         Stratum Poll Reach LastRx Last sample",
            "^* 192.0.2.2   2   31   377     4  +2500us[+3675ns] +/-  948ms",
            "^,+,192.0.2.2,2,-6,17,4,0.002500000,0.1,0.9",
            "Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev",
            "Remote address  : 192.0.2.2 (C0000202)",
            "Total TX        : 52",
            "Reference ID    : C0000202 (ntp.example)",
            "NTP packets received       : 104",
            "table ip nat {",
            "\tchain post { type nat hook postrouting priority srcnat; policy accept;",
            "\t\tip saddr { 192.0.2.1 } counter packets 1 bytes 2 snat to [2001:db8::1]:1-2 random",
            "server 192.0.2.1 iburst # \u{b5}",
            "restrict -6 default limited",
            "makestep 1.0 3",
        ]);
        prop_oneof![
            Just(String::new()),
            ".*",
            known.clone().prop_map(str::to_owned),
            (known.clone(), 0_usize..80, ".{0,4}", known, 0_usize..80).prop_map(|(a, from, noise, b, to)| {
                let (a, b) = (a.chars().take(from), b.chars().skip(to));
                a.chain(noise.chars()).chain(b).collect()
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_line_panics_and_every_line_is_rejected_at_most_once(lines in prop::collection::vec(line(), 0..12)) {
            let text = lines.join("\n");
            let (_, rejects, _) = read(&text);
            prop_assert!(rejects.len() <= text.split('\n').count());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = TextReader::new(InputId(0), WRITTEN);
            let _ = reader.line(&bytes, &mut |_| {});
        }
    }
}
