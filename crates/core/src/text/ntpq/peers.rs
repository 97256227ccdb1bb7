//! The billboard of peers.

use super::super::field::{answered, number};
use super::super::{Block, Form, Line, Taken, is_rule};
use super::layout::{COLUMNS, Column, Layout, interval_s, last_word, tally};
use super::{TALLIES, milliseconds, stratum, variable};
use crate::model::{At, InputId, Origin, Peer, Place, Row};
use std::net::IpAddr;

/// `ntpq -p` and its kin: `peers`, `apeers` (column `assid`), `opeers` (column `local`), NTPsec's `rpeers` (the name comes
/// last), with or without `-n -w -u`, from one host or several; `ntpdc -p`; and `show ntp associations` of systems that
/// run ntpq for it.
///
/// Rows are read by words from the right: only the source, leftmost, may hold a blank (`192.0.2.1 (nt`, cut by the NTP
/// project's ntpq after 15 characters), and a refid with a blank in it stands far from the source.
pub const PEERS: Form = Form {
    name: "ntpq -p",
    opens: |line| Layout::of(line).is_some(),
    block: || Box::new(Peers { layout: Layout::default(), wide: None }),
};

/// Rows of `peers` without a header: people search for the row of one source, or cut the header off. They are asked for
/// only where nothing says that the text is of another kind.
pub const ROWS: Form = Form { name: PEERS.name, opens: is_alone, block: PEERS.block };

/// A source's name is cut to this many characters; with `-w` a longer one stands on a line of its own.
const NAME_WIDTH: usize = 15;

struct Peers {
    layout: Layout,
    /// With `-w`: a name whose row is the next line.
    wide: Option<Wide>,
}

/// A line that has only the names.
struct Wide {
    host: String,
    tally: char,
    source: String,
}

impl Block for Peers {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        // A page may end its example on the last row.
        let text = line.text.split("</").next().unwrap_or_default();
        if is_rule(text) {
            if !self.layout.servers {
                self.layout.tally = text.len() - text.trim_start().len();
            }
            return Taken::Yes;
        }
        if text.trim().is_empty() {
            return Taken::Yes;
        }
        if let Some(layout) = Layout::of(text) {
            self.layout = layout;
            return Taken::Yes;
        }
        if self.layout.columns.is_empty() {
            self.layout = Layout::of(HEADER).unwrap_or_default();
        }
        let wide = self.wide.take();
        if let Some(wide) = Wide::of(text, &self.layout) {
            self.wide = Some(wide);
            return Taken::Yes;
        }
        let Some(cells) = Cells::cut(text, &self.layout, wide.as_ref()) else {
            return if is_broken_row(text) {
                Taken::Rejected("a row without some of its cells".into())
            } else {
                Taken::No
            };
        };
        let at = At { host: cells.host, ..line.at };
        match cells.peer(at) {
            Ok(peer) => {
                rows(Row::Peer(peer));
                if self.layout.local && is_whole(cells.refid) {
                    variable(rows, at, cells.source, "dstadr", cells.refid);
                }
                Taken::Yes
            }
            Err(reason) => Taken::Rejected(reason),
        }
    }
}

/// The header of `peers`, by which rows without one are read.
const HEADER: &str = "     remote           refid      st t when poll reach   delay   offset  jitter";

/// Whether this is a row of `peers` without doubt.
fn is_alone(line: &str) -> bool {
    if line.len() > 200 || line.split_whitespace().count() != 10 {
        return false;
    }
    let Some(layout) = Layout::of(HEADER) else { return false };
    Cells::cut(line, &layout, None).is_some_and(|cells| {
        let is_kind =
            matches!(cells.word(Column::Kind), "u" | "l" | "b" | "B" | "s" | "S" | "a" | "A" | "m" | "M" | "p" | "-");
        let is_fraction = |column| cells.word(column).contains('.');
        is_kind
            && is_fraction(Column::Delay)
            && is_fraction(Column::Offset)
            && is_fraction(Column::Jitter)
            && cells.refid.contains(['.', ':', '('])
            && !cells.refid.contains(' ')
            && !cells.source.contains(['<', '=', '"', '\'', ','])
            && cells.peer(At::origin(Origin { input: InputId(0), place: Place::Line(0) })).is_ok()
    })
}

/// Whether this was a row: a tally and a name, and then hardly anything but numbers. It must not end the billboard.
fn is_broken_row(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let named = words.next().is_some_and(|name| number(name).is_none());
    let (numbers, others) = words.fold((0, 0), |(numbers, others), word| {
        if interval_s(word).is_some() || number(word).is_some() { (numbers + 1, others) } else { (numbers, others + 1) }
    });
    line.starts_with(TALLIES) && named && numbers >= 4 && others <= 3
}

/// Whether this is an address of the host, and nothing is cut off it as IPv6 addresses are, whose rest looks whole.
fn is_whole(address: &str) -> bool {
    let cut = address.contains(':') && address.len() >= NAME_WIDTH;
    !cut && address.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified())
}

impl Wide {
    fn of(line: &str, layout: &Layout) -> Option<Wide> {
        let host = if layout.servers { line.get(..layout.tally)?.trim() } else { "" };
        let names = line.get(layout.tally..)?;
        let tally = names.chars().next().filter(|c| TALLIES.contains(c))?;
        let name = names.strip_prefix(tally)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-.:_%()[]".contains(c);
        // An address whose name leads elsewhere has that in parentheses.
        let fits = name.len() > NAME_WIDTH && name.replacen(" (", "(", 1).chars().all(is_name);
        fits.then(|| Wide { host: host.to_owned(), tally, source: source(name).to_owned() })
    }
}

/// The address, where a name in parentheses follows it.
fn source(name: &str) -> &str {
    match name.split_once(" (") {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => address,
        _ => name,
    }
}

/// One row of a billboard, cut but not yet understood.
struct Cells<'a> {
    host: &'a str,
    tally: char,
    source: &'a str,
    /// The local address where the layout says so.
    refid: &'a str,
    /// By the number of the column.
    words: [&'a str; COLUMNS.len()],
    seconds: bool,
    local: bool,
}

impl<'a> Cells<'a> {
    /// `None` where the line is no row at all.
    fn cut(line: &'a str, layout: &Layout, named: Option<&'a Wide>) -> Option<Self> {
        let mut cells = Cells {
            host: "",
            tally: ' ',
            source: "",
            refid: "",
            words: [""; COLUMNS.len()],
            seconds: layout.in_seconds(),
            local: layout.local,
        };
        let mut rest = line;
        if layout.reverse {
            let mut words = line.split_whitespace();
            for column in &layout.columns {
                cells.words[*column as usize] = words.next()?;
            }
            cells.refid = words.next()?;
            let after = line.split_once(cells.refid).map_or("", |(_, after)| after);
            (cells.tally, cells.source) = tally(after.trim_start());
            return cells.is_row().then_some(cells);
        }
        for column in layout.columns.iter().rev() {
            cells.words[*column as usize] = last_word(&mut rest, *column)?;
        }
        rest = rest.trim_end();
        if let Some(wide) = named.filter(|_| line.starts_with("      ")) {
            (cells.host, cells.tally, cells.source, cells.refid) =
                (&wide.host, wide.tally, &wide.source, rest.trim_start());
            return cells.is_row().then_some(cells);
        }
        let indent = rest.len() - rest.trim_start().len();
        let mut from = layout.tally;
        if layout.servers {
            cells.host = rest.get(..from)?.trim();
        } else {
            from = from.min(indent);
        }
        let names;
        (cells.tally, names) = tally(rest.get(from..)?);
        // Beyond a run of blanks everything is the refid; else it is the last word, unless that is a part of the name.
        let gap = names.find("  ").or_else(|| names.find('\t'));
        let cut = gap.or_else(|| names.rfind(' ').filter(|at| !names[*at..].starts_with(" (")));
        let (before, after) = names.split_at_checked(cut.unwrap_or(names.len()))?;
        (cells.source, cells.refid) = (source(before.trim_end()), after.trim_start());
        cells.is_row().then_some(cells)
    }

    /// A row with a bad cell is a reject; a line where most cells are bad is something else.
    fn is_row(&self) -> bool {
        let good = [
            self.stratum().is_some(),
            self.seconds || self.word(Column::Kind).chars().count() == 1,
            interval_s(self.word(Column::Poll)).is_some(),
            self.reach().is_some(),
            milliseconds(self.word(Column::Delay)).is_some(),
            milliseconds(self.word(Column::Offset)).is_some(),
        ];
        good.into_iter().filter(|good| *good).count() >= 4
    }

    fn word(&self, column: Column) -> &'a str {
        self.words[column as usize]
    }

    fn stratum(&self) -> Option<u8> {
        stratum(self.word(Column::Stratum))
    }

    fn reach(&self) -> Option<u8> {
        u8::from_str_radix(self.word(Column::Reach), 8).ok()
    }

    /// A duration in seconds. `None` where there is no such column, or NTPsec's ntpq prints a point: it got no value.
    fn seconds(&self, column: Column) -> Result<Option<f64>, String> {
        let word = self.word(column);
        if matches!(word, "" | "." | "-") {
            return Ok(None);
        }
        let value = if self.seconds { number(word) } else { milliseconds(word) };
        let name = COLUMNS.iter().find(|(_, known)| *known == column).map_or("", |(name, _)| name);
        value.map(Some).ok_or_else(|| format!("{name} `{word}` is not a number"))
    }

    fn peer(&self, at: At<'a>) -> Result<Peer<'a>, String> {
        let stratum =
            self.stratum().ok_or_else(|| format!("stratum `{}` is not 0 to 16", self.word(Column::Stratum)))?;
        let reach =
            self.reach().ok_or_else(|| format!("reach `{}` is not octal 0 to 377", self.word(Column::Reach)))?;
        let when = self.word(Column::When);
        // Clocks that differ make it negative.
        let bare = when.strip_prefix('-').filter(|rest| !rest.is_empty()).unwrap_or(when);
        if !self.seconds && interval_s(bare).is_none() {
            return Err(format!("when `{when}` is not an interval"));
        }
        let poll = self.word(Column::Poll);
        let poll_s = interval_s(poll).ok_or_else(|| format!("poll `{poll}` is not an interval"))?;
        if self.source.is_empty() {
            return Err("a row without a source".into());
        }
        let [delay, offset, jitter, dispersion, root_delay, root_dispersion] = [
            self.seconds(Column::Delay)?,
            self.seconds(Column::Offset)?,
            self.seconds(Column::Jitter)?,
            self.seconds(Column::Dispersion)?,
            self.seconds(Column::RootDelay)?,
            self.seconds(Column::RootDispersion)?,
        ];
        // Until the first answer it is printed with `.INIT.`, too.
        let answered = self.refid != ".INIT." && answered(Some(reach), delay, offset);
        let known = |value: Option<f64>| value.filter(|_| answered);
        Ok(Peer {
            tally: Some(self.tally),
            refid: if self.local { "" } else { self.refid },
            stratum: Some(stratum),
            poll_s: Some(poll_s),
            reach: Some(reach),
            delay_s: known(delay),
            // ntpd's offset is reference − local already (RFC 5905 §8).
            offset_s: known(offset),
            jitter_s: known(jitter),
            dispersion_s: known(dispersion),
            root_delay_s: known(root_delay),
            root_dispersion_s: known(root_dispersion),
            ..Peer::new(at, self.source)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{peers, read};

    use super::HEADER;

    #[test]
    fn rows_of_a_billboard_become_peers_in_seconds() {
        let text = format!(
            "{HEADER}\n====\n*192.0.2.2       198.51.100.7     2 u  5h   17m  377    0.250   -1.500   0.010\n \
             192.0.2.3       .INIT.          16 u    -   64    0    0.000    0.000   0.000\n \
             192.0.2.4 (nt   .GPS.            1 u   34   64    1 50.000us -2ms 0ns\n"
        );
        let want = [
            "source=192.0.2.2 tally=* refid=198.51.100.7 stratum=2 poll_s=1020 reach=377 offset_s=-0.0015 delay_s=0.00025 \
             jitter_s=0.00001",
            "source=192.0.2.3 tally=  refid=.INIT. stratum=16 poll_s=64 reach=0",
            "source=192.0.2.4 tally=  refid=.GPS. stratum=1 poll_s=64 reach=1 offset_s=-0.002 delay_s=0.00005 jitter_s=0",
        ];
        assert_eq!(peers(&text), want);
    }

    #[test]
    fn wide_names_servers_and_ids_are_found() {
        let wide = format!(
            "{HEADER}\n====\n+a-long-name.ntp.example\n                 .PPS.   1 u 1 64 377 1.0 2.0 3.0\n\
             ***Request timed out\n"
        );
        assert_eq!(read(&wide).1.len(), 0);
        assert!(peers(&wide)[0].starts_with("source=a-long-name.ntp.example tally=+ refid=.PPS. stratum=1"));
        let server = "server (local)       remote    refid   assid  st t when poll reach   delay   offset  jitter\n\
                      =====\n192.0.2.1       x192.0.2.9 .ACTS. 4711 1 u 1 64 377 1 2 3\n";
        assert!(peers(server)[0].starts_with("host=192.0.2.1 source=192.0.2.9 tally=x refid=.ACTS. stratum=1"));
    }

    #[test]
    fn the_rule_says_where_the_tally_stands_and_blanks_where_the_refid_begins() {
        let indented = format!(
            "   {HEADER}\n   ====\n   x192.0.2.1       .G S.            1 u 1 64 377 1 2 3\n    xenon.example   \
             2 u 1 64 377 1 2 3\n   -ntp.example .USNO. 1 u 1 64 377   1.0-12345.678-0.5\n"
        );
        let want = [
            "source=192.0.2.1 tally=x refid=.G S.",
            "source=xenon.example tally=  stratum=2",
            "source=ntp.example tally=- refid=.USNO. stratum=1 poll_s=64 reach=377 offset_s=-12.345678 delay_s=0.001",
        ];
        let got = peers(&indented);
        assert!(got.len() == 3 && got.iter().zip(want).all(|(got, want)| got.starts_with(want)), "{got:#?}");
    }

    /// Checked against ntpdc 4.2.8's `dopeers`: `fptoa`, `lfptoa` of seconds.
    #[test]
    fn ntpdc_counts_in_seconds_and_says_the_local_address() {
        let text = "     remote           local      st poll reach  delay   offset    disp\n====\n\
                    =192.0.2.1       192.0.2.7        2   64  377 0.01549 -0.000423 0.03047\n\
                    =ntp.example     2001:db8:ff:1::  2   64    0 0.00000  0.000000 3.99217\n";
        let want = [
            "peer source=192.0.2.1 tally== stratum=2 poll_s=64 reach=377 offset_s=-0.000423 delay_s=0.01549 \
             dispersion_s=0.03047",
            "variable subject=192.0.2.1 name=dstadr text=192.0.2.7",
            "peer source=ntp.example tally== stratum=2 poll_s=64 reach=0",
        ];
        assert_eq!(read(text).0, want);
    }

    #[test]
    fn rows_may_stand_alone() {
        let text = "*192.0.2.2       198.51.100.7     2 u  5h   17m  377    0.250   -1.500   0.010\n\
                    \x20ntp.example     .INIT.          16 u    -   64    0    0.000    0.000   0.000\n";
        assert_eq!(peers(text).len(), 2);
        assert!(peers(text)[0].starts_with("source=192.0.2.2 tally=* refid=198.51.100.7 stratum=2 poll_s=1020"));
        assert_eq!(read("a b 1 u 1 64 377 1 2 3\n*192.0.2.2 .GPS. 1 u 1 64 378 1.0 2.0 3.0\n").0.len(), 0);
    }

    #[test]
    fn rpeers_have_the_name_last() {
        let text = " st t when poll reach   delay   offset   jitter refid           T remote\n====\n\
                    \x20 2 u    5   64  377   1.0000   2.0000   0.5000 198.51.100.7    * ntp.example\n";
        assert!(peers(text)[0].starts_with("source=ntp.example tally=* refid=198.51.100.7 stratum=2"));
    }

    #[test]
    fn a_bad_cell_is_rejected_and_another_line_ends_the_block() {
        let text =
            format!("{HEADER}\n*192.0.2.2 .GPS. 1 u 1 64 377 1.0 late 3.0\n*192.0.2.2 .GPS. 1 u 1 64 378 1.0 2 3.0\n");
        assert_eq!(
            read(&text).1,
            ["line 2: offset `late` is not a number", "line 3: reach `378` is not octal 0 to 377"]
        );
        let cut = format!("{HEADER}\n+192.0.2.2 .GPS. 1 u 1 64 377\n*192.0.2.2 .GPS. 1 u 1 64 377 1.0 2 3.0\n");
        assert_eq!((read(&cut).1, peers(&cut).len()), (vec!["line 2: a row without some of its cells".to_owned()], 1));
        assert_eq!(read(&format!("{HEADER}\n\n$ ntpq -c rv\nassocid=0 status=0014 leap_none,\n")).1.len(), 0);
    }
}
