//! `ntpq`: the billboard of peers, the list of associations, and variables. Counters and clients are in [`counts`].
//!
//! The ntpq of the NTP project and that of NTPsec print the same columns with other widths, and people paste them with
//! other blanks, so that rows are read by words from the right: only the source, leftmost, may hold a blank
//! (`192.0.2.1 (nt`, cut by the NTP project's ntpq after 15 characters).

mod counts;

use super::field::{number, with_unit_s};
use super::{Block, Form, Line, Taken, is_rule};
use crate::model::{At, Event, Peer, Row, What};
use counts::{IOSTATS, MRULIST, SYSSTATS};

/// What this module reads.
pub const FORMS: &[Form] = &[PEERS, ASSOCIATIONS, VARIABLES, SYSSTATS, IOSTATS, MRULIST];

/// `ntpq -p` and its kin: `peers`, `apeers` (column `assid`), `opeers` (column `local`), with or without `-n -w -u`.
const PEERS: Form =
    Form { name: "ntpq -p", opens: |line| columns(line).is_some(), block: || Box::new(Peers::default()) };

/// `ntpq -c associations`.
const ASSOCIATIONS: Form =
    Form { name: "ntpq -c associations", opens: opens_associations, block: || Box::new(Associations) };

/// `ntpq -c readvar`, of the system or of an association.
const VARIABLES: Form = Form {
    name: "ntpq -c readvar",
    opens: |line| association(line).is_some(),
    block: || Box::new(Variables::default()),
};

/// The marks of selection, by the three selection bits of a peer's status; `o` is a source with a pulse per second.
const TALLIES: [char; 8] = [' ', 'x', '.', '-', '+', '#', '*', 'o'];

/// A source's name is cut to this many characters; with `-w` a longer one stands on a line of its own.
const NAME_WIDTH: usize = 15;

/// How a billboard's columns differ from one command to another.
#[derive(Clone, Copy, Default)]
struct Columns {
    /// Where the tally stands: right of the names of servers, which are printed where several were asked.
    tally: usize,
    /// Whether `apeers` has put the association's id after the refid.
    assid: bool,
    /// Whether `opeers` has put the local address in place of the refid.
    local: bool,
    /// Whether the last column is the dispersion, as in `opeers` and until ntpd 4.1.
    disp: bool,
}

fn columns(line: &str) -> Option<Columns> {
    let at = line.find("remote")?;
    let (before, names) = line.split_at_checked(at)?;
    if !(before.trim().is_empty() || before.starts_with("server")) {
        return None;
    }
    let mut names = names.split_whitespace().skip_while(|name| *name == "remote").peekable();
    let local = match names.next()? {
        "refid" => false,
        "local" => true,
        _ => return None,
    };
    let assid = names.next_if_eq(&"assid").is_some();
    let fixed = ["st", "t", "when", "poll", "reach", "delay", "offset"];
    let fits = fixed.iter().all(|name| names.next() == Some(name));
    let last = names.next().filter(|name| matches!(*name, "jitter" | "disp"))?;
    let fits = fits && names.next().is_none();
    fits.then_some(Columns { tally: at.saturating_sub(5), assid, local, disp: last == "disp" })
}

#[derive(Default)]
struct Peers {
    columns: Columns,
    /// With `-w`: a tally and a name whose row is the next line.
    wide: Option<(char, String)>,
}

impl Block for Peers {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || is_rule(line.text) {
            return Taken::Yes;
        }
        if let Some(columns) = columns(line.text) {
            self.columns = columns;
            return Taken::Yes;
        }
        let wide = self.wide.take();
        if let Some(name) = line.text.get(self.columns.tally..).and_then(wide_name) {
            self.wide = Some(name);
            return Taken::Yes;
        }
        let named = wide.as_ref().map(|(tally, name)| (*tally, name.as_str()));
        let Some(cells) = Cells::cut(line.text, self.columns, named) else { return Taken::No };
        match cells.peer(line.at) {
            Ok(peer) => {
                rows(Row::Peer(peer));
                Taken::Yes
            }
            Err(reason) => Taken::Rejected(reason),
        }
    }
}

fn wide_name(line: &str) -> Option<(char, String)> {
    let tally = line.chars().next().filter(|c| TALLIES.contains(c))?;
    let name = line.strip_prefix(tally)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-.:_%()[]".contains(c);
    (name.len() > NAME_WIDTH && name.chars().all(is_name)).then(|| (tally, name.to_owned()))
}

/// One row of a billboard, cut but not yet understood.
struct Cells<'a> {
    tally: char,
    source: &'a str,
    refid: &'a str,
    stratum: &'a str,
    when: &'a str,
    poll: &'a str,
    reach: &'a str,
    delay: &'a str,
    offset: &'a str,
    jitter: &'a str,
    disp: bool,
}

impl<'a> Cells<'a> {
    /// `None` where the line is no row at all.
    fn cut(line: &'a str, columns: Columns, named: Option<(char, &'a str)>) -> Option<Self> {
        let mut rest = line.get(columns.tally..)?;
        let jitter = last_word(&mut rest)?;
        let offset = last_word(&mut rest)?;
        let delay = last_word(&mut rest)?;
        let reach = last_word(&mut rest)?;
        let poll = last_word(&mut rest)?;
        let when = last_word(&mut rest)?;
        let kind = last_word(&mut rest)?;
        let stratum = last_word(&mut rest)?;
        if columns.assid {
            last_word(&mut rest)?;
        }
        let rest = rest.trim_end();
        let (tally, source, refid) = match named {
            Some((tally, name)) if rest.starts_with("  ") => (tally, name, rest.trim_start()),
            _ => {
                let tally = rest.chars().next().filter(|c| TALLIES.contains(c))?;
                let names = rest.strip_prefix(tally)?.trim_start();
                let (source, refid) = names.rsplit_once(char::is_whitespace).unwrap_or((names, ""));
                (tally, source.trim_end(), refid)
            }
        };
        let refid = if columns.local { "" } else { refid };
        let cells =
            Cells { tally, source, refid, stratum, when, poll, reach, delay, offset, jitter, disp: columns.disp };
        // A row with one bad cell is a reject; a line where most cells are bad is something else.
        let good = u8::from(cells.stratum().is_some())
            + u8::from(kind.chars().count() == 1)
            + u8::from(interval_s(poll).is_some())
            + u8::from(cells.reach().is_some());
        (good >= 3).then_some(cells)
    }

    fn stratum(&self) -> Option<u8> {
        self.stratum.parse().ok().filter(|stratum| *stratum <= 16)
    }

    fn reach(&self) -> Option<u8> {
        u8::from_str_radix(self.reach, 8).ok()
    }

    fn peer(&self, at: At<'a>) -> Result<Peer<'a>, String> {
        let stratum = self.stratum().ok_or_else(|| format!("stratum `{}` is not 0 to 16", self.stratum))?;
        let reach = self.reach().ok_or_else(|| format!("reach `{}` is not octal 0 to 377", self.reach))?;
        interval_s(self.when).ok_or_else(|| format!("when `{}` is not an interval", self.when))?;
        let poll_s = interval_s(self.poll).ok_or_else(|| format!("poll `{}` is not an interval", self.poll))?;
        let delay = milliseconds(self.delay).ok_or_else(|| format!("delay `{}` is not a number", self.delay))?;
        let offset = milliseconds(self.offset).ok_or_else(|| format!("offset `{}` is not a number", self.offset))?;
        let jitter = milliseconds(self.jitter);
        if self.source.is_empty() {
            return Err("a row without a source".into());
        }
        // A source that never answered is printed with zeros, and `.INIT.` until the first answer.
        let answered = self.refid != ".INIT." && !(reach == 0 && delay == 0.0 && offset == 0.0);
        Ok(Peer {
            tally: Some(self.tally),
            refid: self.refid,
            stratum: Some(stratum),
            poll_s: Some(poll_s),
            reach: Some(reach),
            delay_s: answered.then_some(delay),
            // ntpd's offset is reference − local already (RFC 5905 §8).
            offset_s: answered.then_some(offset),
            jitter_s: jitter.filter(|_| answered && !self.disp),
            dispersion_s: jitter.filter(|_| answered && self.disp),
            ..Peer::new(at, self.source)
        })
    }
}

/// Takes the last word off `rest`.
fn last_word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_end();
    let (before, word) = text.rsplit_once(char::is_whitespace).unwrap_or(("", text));
    *rest = before;
    (!word.is_empty()).then_some(word)
}

/// Milliseconds, or with NTPsec's `-u` a number with its unit, in seconds.
fn milliseconds(text: &str) -> Option<f64> {
    number(text).map(|ms| ms / 1e3).or_else(|| with_unit_s(text))
}

/// An interval as ntpq's `prettyinterval` prints it (`-`, `64`, `137m`, `5h`, `4d`), in seconds.
fn interval_s(text: &str) -> Option<f64> {
    if text == "-" {
        return Some(0.0);
    }
    let unit = [('m', 60), ('h', 3600), ('d', 86_400)]
        .into_iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| (number, scale)));
    let (number, scale) = unit.unwrap_or((text, 1));
    number.parse::<u32>().ok()?.checked_mul(scale).map(f64::from)
}

fn opens_associations(line: &str) -> bool {
    let names = ["ind", "assid", "status", "conf", "reach", "auth", "condition", "last_event", "cnt"];
    let mut words = line.split_whitespace();
    // ntpd 4.2.4 and before wrote `assID`. Without any association ntpq says so, and prints no header.
    names.iter().all(|name| words.next().is_some_and(|word| word.eq_ignore_ascii_case(name)))
        || line.starts_with("No association ID")
}

struct Associations;

impl Block for Associations {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_rule(line.text) || opens_associations(line.text) {
            return Taken::Yes;
        }
        let mut words = line.text.split_whitespace();
        if !words.next().is_some_and(|ind| ind.bytes().all(|b| b.is_ascii_digit())) {
            return Taken::No;
        }
        let assid = words.next().filter(|assid| assid.parse::<u16>().is_ok());
        let status = words.next().filter(|status| u16::from_str_radix(status, 16).is_ok());
        // conf, reach and auth stand between.
        let (Some(association), Some(_), Some(value)) = (assid, status, words.nth(3)) else {
            return Taken::Rejected("an association needs assid, status and condition".into());
        };
        let what = What::Variable { association, name: "condition", value };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }
}

/// The id and the rest of the line that begins a list of variables; `assID` was the word until ntpd 4.2.4.
fn association(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("associd=").or_else(|| line.strip_prefix("assID="))?;
    let (id, rest) = rest.split_once([' ', ',']).unwrap_or((rest, ""));
    id.parse::<u16>().is_ok().then_some((id, rest))
}

#[derive(Default)]
struct Variables {
    /// Empty for the system, whose id is 0.
    association: String,
    /// Whether a register of the clock filter was met. NTPsec 1.2.2 prints these, and shifts what follows them, with
    /// stray bytes, commas and line ends among them; they are not needed, and must not end the block.
    filter: bool,
}

impl Block for Variables {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let mut text = line.text;
        if let Some((id, rest)) = association(text) {
            self.association.clear();
            self.association.push_str(if id == "0" { "" } else { id });
            self.filter = false;
            text = rest;
        } else if items(text).next().and_then(variable).is_none() && !(self.filter && text.contains(['=', '\t'])) {
            return Taken::No;
        }
        for (name, value) in items(text).filter_map(variable) {
            if name.starts_with("filt") {
                self.filter = true;
                break;
            }
            let what = What::Variable { association: &self.association, name, value };
            rows(Row::Event(Event { at: line.at, what }));
        }
        Taken::Yes
    }
}

/// What stands between commas, where these are not quoted.
fn items(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// A name and its value. Of a value without quotes only the first word is the daemon's: what follows is ntpq's reading
/// of it (`status=c016 leap_alarm`, `flash=400 peer_dist`, `clock=eead3614.482e62ca  Sun`), which goes on after the
/// next comma without a `=`, and is `None`.
fn variable(item: &str) -> Option<(&str, &str)> {
    let (name, value) = item.split_once('=')?;
    let (name, value) = (name.trim(), value.trim_start());
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split_whitespace().next(),
    };
    is_name.then_some((name, value.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{peers, read, variables};

    const HEADER: &str = "     remote           refid      st t when poll reach   delay   offset  jitter";

    #[test]
    fn rows_of_a_billboard_become_peers_in_seconds() {
        let text = format!(
            "{HEADER}\n====\n*192.0.2.2       198.51.100.7     2 u  5h   17m  377    0.250   -1.500   0.010\n \
             192.0.2.3       .INIT.          16 u    -   64    0    0.000    0.000   0.000\n \
             192.0.2.4 (nt   .GPS.            1 u   34   64    0 50.177us -2ms 0ns\n"
        );
        let got = peers(&text);
        assert_eq!(
            got[0],
            "192.0.2.2 * 198.51.100.7 st 2 poll 1020 reach 255 delay Some(0.00025) offset Some(-0.0015)"
        );
        assert_eq!(got[1], "192.0.2.3   .INIT. st 16 poll 64 reach 0 delay None offset None");
        assert!(got[2].starts_with("192.0.2.4 (nt   .GPS. st 1 poll 64 reach 0 delay Some(5.017"), "{}", got[2]);
        assert!(got[2].ends_with("offset Some(-0.002)"), "{}", got[2]);
    }

    #[test]
    fn wide_names_servers_and_ids_are_found() {
        let wide =
            format!("{HEADER}\n====\n+a-long-name.ntp.example\n                 .PPS.   1 u 1 64 377 1.0 2.0 3.0\n");
        assert!(peers(&wide)[0].starts_with("a-long-name.ntp.example + .PPS. st 1"));
        let server = "server (local)       remote    refid   assid  st t when poll reach   delay   offset  jitter\n\
                      =====\n192.0.2.1       x192.0.2.9 .ACTS. 4711 1 u 1 64 377 1 2 3\n";
        assert!(peers(server)[0].starts_with("192.0.2.9 x .ACTS. st 1"));
    }

    #[test]
    fn a_bad_cell_is_rejected_and_another_line_ends_the_block() {
        let text =
            format!("{HEADER}\n*192.0.2.2 .GPS. 1 u 1 64 377 1.0 late 3.0\n*192.0.2.2 .GPS. 1 u 1 64 378 1.0 2 3.0\n");
        assert_eq!(
            read(&text).1,
            ["line 2: offset `late` is not a number", "line 3: reach `378` is not octal 0 to 377"]
        );
        assert_eq!(read(&format!("{HEADER}\n\n$ ntpq -c rv\nassocid=0 status=0014 leap_none,\n")).1.len(), 0);
    }

    #[test]
    fn variables_lose_quotes_and_ntpqs_own_words() {
        let text = "associd=0 status=c016 leap_alarm, 1 event, restart,\nversion=\"ntpd 4.2, (1)\", leap=11,\n\
                    clock=eead3614.482e62ca  Sun, Nov 22 2026  9:36:20.281, peer=7,\n\nassocid=7 status=8011 conf,\n\
                    keyid=0,  filtdelay =\t0=5,x=1\nbroken\t0.1\nN 0P< 0.11=\"\",\nflash=1200 peer_stratum, peer_unreach\n";
        let want = [
            " status=c016",
            " version=ntpd 4.2, (1)",
            " leap=11",
            " clock=eead3614.482e62ca",
            " peer=7",
            "7 status=8011",
            "7 keyid=0",
            "7 flash=1200",
        ];
        assert_eq!(variables(text), want);
        assert_eq!(read(text).1.len(), 0);
    }

    #[test]
    fn associations_say_their_condition() {
        let text = "\nind assid status  conf reach auth condition  last_event cnt\n====\n  \
                    1 17767  b61a   yes   yes  none  sys.peer    sys_peer  1\n  2 x  8011   yes\n";
        assert_eq!(variables(text), ["17767 condition=sys.peer"]);
        assert_eq!(read(text).1, ["line 5: an association needs assid, status and condition"]);
    }
}
