//! Tables of sources, a row each: Cisco's `show ntp associations` and its kin, Comware, OneOS.
//!
//! Widths differ from release to release and addresses outgrow their columns, so rows are read by words.

use super::{Answer, interval_s, is_source, stratum, variable};
use crate::model::{At, Peer, Row};
use crate::text::field::{answered, number};
use crate::text::{Block, Form, Line, Taken, is_rule};

/// `show ntp associations` of Cisco's IOS, IOS-XE, IOS-XR and ASA, of Brocade's FastIron and Dell's OS9.
pub const ASSOCIATIONS: Form = Form {
    name: "show ntp associations",
    opens: |line| super::asked(line, COMMANDS) || is_header(line),
    block: || Answer::to(COMMANDS, Associations::default()),
};

const COMMANDS: &[&str] = &["show ntp associations"];

pub fn words_are(line: &str, names: &[&str]) -> bool {
    line.split_ascii_whitespace().eq(names.iter().copied())
}

fn is_header(line: &str) -> bool {
    let bare = line.trim_start();
    let numbers = ["ref", "clock", "st", "when", "poll", "reach", "delay", "offset", "disp"];
    let Some(rest) = bare.strip_prefix("address").or_else(|| os9_columns(bare)) else { return false };
    words_are(rest, &numbers)
}

/// Dell's OS9 has the VRF in a column of its own.
fn os9_columns(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("remote")?.trim_start();
    Some(rest.strip_prefix("vrf-Id").unwrap_or(rest))
}

/// What a line of a billboard is beside its rows.
fn is_legend(line: &str) -> bool {
    let bare = line.trim_start();
    bare.starts_with("* ") && (bare.contains("configured") || bare.contains("falseticker") || bare.contains("synced"))
}

#[derive(Default)]
struct Associations {
    /// Whether the second column is the number of a VRF, as in OS9.
    vrf: bool,
    /// The mark, address and VRF of a row whose numbers are on the next line.
    open: Option<(char, String, String)>,
}

impl Block for Associations {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || is_rule(line.text) || is_legend(line.text) {
            return Taken::Yes;
        }
        if is_header(line.text) {
            self.vrf = line.text.contains("vrf-Id");
            return Taken::Yes;
        }
        let words: Vec<&str> = line.text.split_ascii_whitespace().take(16).collect();
        let open = self.open.take();
        let (tally, first) = words.first().map_or((' ', ""), |word| mark(word));
        // IOS-XR: ` ~192.0.2.1 vrf RED`, and what is longer than its column elsewhere.
        let alone = match words.as_slice() {
            [_] => Some(""),
            [_, "vrf", vrf] => Some(*vrf),
            _ => None,
        };
        if let Some(vrf) = alone.filter(|_| is_source(first)) {
            self.open = Some((tally, first.to_owned(), vrf.to_owned()));
            return Taken::Yes;
        }
        let (names, numbers) = words.split_at(words.len().saturating_sub(7));
        let Some(cells) = Cells::of(numbers) else { return Taken::No };
        let (tally, source, vrf, refid) = match (&open, names) {
            (Some((tally, source, vrf)), [refid]) => (*tally, source.as_str(), vrf.as_str(), *refid),
            (None, [_, vrf, refid]) if self.vrf => (tally, first, *vrf, *refid),
            (None, [_, "vrf", vrf, refid]) => (tally, first, *vrf, *refid),
            (None, [_, refid]) => (tally, first, "", *refid),
            // `* 192.0.2.1  198.51.100.1`, and an unset mark of its own.
            (None, [alone, source, refid]) if alone.len() <= 2 && mark(alone).1.is_empty() => {
                (tally, source.trim_start_matches('~'), "", *refid)
            }
            _ => return Taken::Rejected("a row needs an address and a reference clock".into()),
        };
        match cells.peer(line.at, tally, source, refid) {
            Ok(peer) => rows(Row::Peer(peer)),
            Err(reason) => return Taken::Rejected(reason),
        }
        variable(rows, line.at, source, "vrf", vrf);
        Taken::Yes
    }
}

/// Takes the marks off an address: the tally, then `~` for *configured*. Without a tally it is a space, as ntpd's.
fn mark(word: &str) -> (char, &str) {
    let tally = word.chars().next().filter(|c| "*#+-.".contains(*c));
    // An `x` is a mark only before `~` or a number, because names begin with it too.
    let second = word.as_bytes().get(1);
    let false_ticker = word.starts_with('x') && second.is_none_or(|b| *b == b'~' || b.is_ascii_digit());
    let tally = tally.or(false_ticker.then_some('x'));
    let rest = tally.and_then(|tally| word.strip_prefix(tally)).unwrap_or(word);
    (tally.unwrap_or(' '), rest.strip_prefix('~').unwrap_or(rest))
}

/// The seven numbers of a row: `st`, `when`, `poll`, `reach`, `delay`, `offset`, `disp`.
struct Cells<'a>(&'a [&'a str; 7]);

impl<'a> Cells<'a> {
    /// `None` where the words are no row at all; a row with one bad cell is a reject.
    fn of(numbers: &'a [&'a str]) -> Option<Self> {
        let cells: &[&str; 7] = numbers.try_into().ok()?;
        let [st, when, poll, reach, delay, offset, disp] = cells;
        let good = u8::from(stratum(st).is_some())
            + u8::from(interval_s(when).is_some())
            + u8::from(interval_s(poll).is_some())
            + u8::from(u8::from_str_radix(reach, 8).is_ok())
            + [delay, offset, disp].into_iter().map(|cell| u8::from(number(cell).is_some())).sum::<u8>();
        (good >= 5).then_some(Cells(cells))
    }

    fn peer(&self, at: At<'a>, tally: char, source: &'a str, refid: &'a str) -> Result<Peer<'a>, String> {
        let [st, when, poll, reach, delay, offset, disp] = self.0;
        let of = |name: &str, cell: &str| format!("{name} `{cell}` is not a number");
        interval_s(when).ok_or_else(|| format!("when `{when}` is not an interval"))?;
        let reach = u8::from_str_radix(reach, 8).map_err(|_| format!("reach `{reach}` is not octal 0 to 377"))?;
        let (delay, offset, disp) = (
            number(delay).ok_or_else(|| of("delay", delay))?,
            number(offset).ok_or_else(|| of("offset", offset))?,
            number(disp).ok_or_else(|| of("disp", disp))?,
        );
        // One that has not is printed with a dispersion of 16 s, too.
        let answered = answered(Some(reach), Some(delay), Some(offset));
        Ok(Peer {
            tally: Some(tally),
            refid,
            stratum: Some(stratum(st).ok_or_else(|| format!("stratum `{st}` is not 0 to 16"))?),
            poll_s: Some(interval_s(poll).ok_or_else(|| format!("poll `{poll}` is not an interval"))?),
            reach: Some(reach),
            // Reference − local: the pages of `detail` show it, see there. Milliseconds, as are delay and disp.
            offset_s: answered.then_some(offset / 1e3),
            delay_s: answered.then_some(delay / 1e3),
            dispersion_s: answered.then_some(disp / 1e3),
            ..Peer::new(at, source)
        })
    }
}

/// `display ntp-service sessions` of H3C's, 3Com's and HP's Comware.
pub const COMWARE: Form = Form {
    name: "display ntp-service sessions (table)",
    opens: |line| words_are(line, &COMWARE_COLUMNS),
    block: || Box::new(Comware),
};

const COMWARE_COLUMNS: [&str; 9] = ["source", "reference", "stra", "reach", "poll", "now", "offset", "delay", "disper"];

struct Comware;

impl Block for Comware {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim_start();
        if bare.is_empty()
            || bare.bytes().all(|b| b == b'*')
            || words_are(bare, &COMWARE_COLUMNS)
            || ["note:", "Notes:", "Note:", "configured", "Total "].iter().any(|begin| bare.starts_with(begin))
        {
            return Taken::Yes;
        }
        let Some((tally, rest)) = comware_mark(bare) else { return Taken::No };
        let words: Vec<&str> = rest.split_ascii_whitespace().take(10).collect();
        let Ok([source, refid, st, reach, poll, now, offset, delay, disper]) = <[&str; 9]>::try_from(words) else {
            return Taken::Rejected("a session needs nine columns".into());
        };
        let numbers = (stratum(st), reach.parse::<u8>(), interval_s(poll), interval_s(now));
        let (Some(st), Ok(reach), Some(poll_s), Some(_)) = numbers else {
            return Taken::Rejected("a session needs stra of 0 to 16, reach of 0 to 255, poll and now".into());
        };
        let (Some(offset), Some(delay), Some(disper)) = (number(offset), number(delay), number(disper)) else {
            return Taken::Rejected("offset, delay or disper is not a number".into());
        };
        let answered = reach != 0 || delay != 0.0 || offset != 0.0;
        rows(Row::Peer(Peer {
            tally: Some(tally),
            refid,
            stratum: Some(st),
            poll_s: Some(poll_s),
            // Decimal, unlike everybody else's (the manuals' examples have 95 and 255).
            reach: Some(reach),
            offset_s: answered.then_some(offset / 1e3),
            delay_s: answered.then_some(delay / 1e3),
            dispersion_s: answered.then_some(disper / 1e3),
            ..Peer::new(line.at, source)
        }));
        Taken::Yes
    }
}

/// `[12345]192.0.2.1`: 1 is the source that is followed, 3 has survived selection; 2, 4 and 5 are of less use. The
/// marks are ntpd's for the same states.
pub fn comware_mark(text: &str) -> Option<(char, &str)> {
    let (marks, rest) = text.strip_prefix('[')?.split_once(']')?;
    marks.bytes().all(|b| (b'1'..=b'5').contains(&b)).then_some(())?;
    let tally = if marks.contains('1') {
        '*'
    } else if marks.contains('3') {
        '+'
    } else {
        ' '
    };
    Some((tally, rest))
}

/// `show sntp` of OneAccess' OneOS 5 and 6.
pub const ONEACCESS: Form =
    Form { name: "show sntp (OneOS)", opens: is_oneaccess_header, block: || Box::new(OneAccess) };

fn is_oneaccess_header(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    ["server", "source", "stratum", "version", "last", "receive"].iter().all(|name| words.next() == Some(name))
}

struct OneAccess;

impl Block for OneAccess {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim_start();
        let is_footer = bare.starts_with("broadcast client mode is") || bare.starts_with("SNTP Authentication is");
        if bare.is_empty() || is_footer || is_oneaccess_header(bare) {
            return Taken::Yes;
        }
        // Cells may be blank, and a source holds one (`Loopback 1`): only two or more part cells.
        let mut cells = bare.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let Some(source) = cells.next().filter(|source| is_source(source)) else { return Taken::No };
        let from = cells.next().unwrap_or_default();
        let cells: Vec<&str> = cells.take(16).collect();
        let st = match cells.first() {
            None | Some(&"-") => None,
            Some(cell) => match stratum(cell) {
                None => return Taken::Rejected(format!("stratum `{cell}` is not 0 to 16")),
                some => some,
            },
        };
        rows(Row::Peer(Peer { stratum: st, ..Peer::new(line.at, source) }));
        variable(rows, line.at, source, "source", from);
        if cells.contains(&"synced") {
            variable(rows, line.at, source, "receive", "synced");
        }
        Taken::Yes
    }
}
