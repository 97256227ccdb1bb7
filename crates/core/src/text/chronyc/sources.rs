//! `chronyc sources`.

use super::{fields, gauge, interval_s, is_filler, is_header, poll_s, seconds, stratum};
use crate::model::{At, Peer, Row};
use crate::text::{Block, Form, Line, Taken};

/// `chronyc sources`, with or without `-v` and `-a`.
pub(super) const SOURCES: Form =
    Form { name: "chronyc sources", opens: |line| opens(line), block: || Box::new(Sources::default()) };

fn is_sources_header(line: &str) -> bool {
    is_header(line, &["MS", "Name/IP", "address", "Stratum", "Poll"])
}

fn opens(line: &str) -> bool {
    let bare = line.trim_start();
    // A line of the legend or a row may be the first that somebody pasted, or that `grep` let through.
    is_sources_header(line)
        || bare.starts_with(".-- Source mode")
        || (bare.starts_with("||") && bare.contains("Reachability register (octal)"))
        || Sample::of_fields(line).is_some()
        || (bare.starts_with(['^', '=', '#']) && bare.contains("] +/- ") && lone(bare).is_some())
}

/// A row that is whole.
fn lone(bare: &str) -> Option<()> {
    let (_, _, sample) = cut(bare, false)?;
    let sample = sample?;
    let whole = stratum(sample.stratum).is_some() && sample.reach().is_some() && sample.ahead_s.is_some();
    whole.then_some(())
}

#[derive(Default)]
struct Sources {
    /// Until chrony 1.24 there was no column for the reach register.
    unreached: bool,
}

impl Block for Sources {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        if let Some(sample) = Sample::of_fields(text) {
            return sample.taken(line.at, rows);
        }
        if is_sources_header(text) {
            self.unreached = !text.contains("Reach");
            return Taken::Yes;
        }
        if is_filler(text) {
            return Taken::Yes;
        }
        match cut(text.trim_start(), self.unreached) {
            Some((_, _, Some(sample))) => sample.taken(line.at, rows),
            // Without a state it may be anything: a comment, a heading.
            Some((_, tally, None)) if tally != ' ' => {
                Taken::Rejected("a source needs name, Stratum, Poll, Reach, LastRx and Last sample".into())
            }
            _ => Taken::No,
        }
    }
}

/// Mode, state, and the row, if the line has one.
fn cut(bare: &str, unreached: bool) -> Option<(char, char, Option<Sample<'_>>)> {
    let mut marks = bare.chars();
    let (mode, tally, blank) = (marks.next()?, marks.next()?, marks.next()?);
    // A state that chronyc does not know is a blank.
    let is_row =
        matches!(mode, '^' | '=' | '#') && matches!(tally, '*' | '+' | '-' | 'x' | '~' | '?' | ' ') && blank == ' ';
    is_row.then(|| (mode, tally, Sample::of_row(marks.as_str(), tally, unreached)))
}

/// A row, cut but not yet understood.
struct Sample<'a> {
    tally: char,
    source: &'a str,
    stratum: &'a str,
    poll: &'a str,
    reach: &'a str,
    /// Whether there ever was a sample; zeros are printed where there was none. `None` where the interval is none.
    any: Option<bool>,
    /// How far the local clock is ahead, in seconds.
    ahead_s: Option<f64>,
    /// The bound of the error, in seconds.
    error_s: Option<f64>,
}

impl<'a> Sample<'a> {
    /// What follows the two marks: `192.0.2.1  2  6  377  34  +484us[ -157us] +/-  30ms`.
    fn of_row(mut rest: &'a str, tally: char, unreached: bool) -> Option<Self> {
        let mut word = || {
            let (word, after) = rest.trim_start().split_once(char::is_whitespace)?;
            rest = after;
            Some(word)
        };
        let (source, stratum, poll) = (word()?, word()?, word()?);
        let reach = if unreached { "" } else { word()? };
        let last = word()?;
        let (adjusted, rest) = rest.split_once('[')?;
        let (_measured, error) = rest.split_once("+/-")?;
        Some(Sample {
            tally,
            source,
            stratum,
            poll,
            reach,
            any: interval_s(last).map(|last| last.is_some()),
            ahead_s: seconds(adjusted.trim()),
            error_s: seconds(error.trim()),
        })
    }

    /// The ten fields of `-c`: mode, state, name, stratum, poll, reach, last, adjusted, measured, error.
    fn of_fields(line: &'a str) -> Option<Self> {
        if !line.starts_with(['^', '=', '#']) {
            return None;
        }
        let [_, state, source, stratum, poll, reach, last, adjusted, _measured, error] = fields::<10>(line)?;
        let tally = state.chars().next().filter(|tally| "*+-x~? ".contains(*tally) && state.len() == 1)?;
        let any = interval_s(last).map(|last| last.is_some());
        let (ahead_s, error_s) = (seconds(adjusted), seconds(error));
        (!source.is_empty()).then_some(Sample { tally, source, stratum, poll, reach, any, ahead_s, error_s })
    }

    /// Octal, with `-c` too; empty until chrony 1.24.
    fn reach(&self) -> Option<Option<u8>> {
        if self.reach.is_empty() { Some(None) } else { u8::from_str_radix(self.reach, 8).ok().map(Some) }
    }

    fn taken(&self, at: At<'a>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        match self.peer(at) {
            Ok(peer) => {
                rows(Row::Peer(peer));
                let bound = self.error_s.filter(|_| self.any == Some(true));
                bound.into_iter().for_each(|bound| gauge(rows, at, self.source, "error_bound_s", bound));
                Taken::Yes
            }
            Err(reason) => Taken::Rejected(reason),
        }
    }

    fn peer(&self, at: At<'a>) -> Result<Peer<'a>, String> {
        let stratum = stratum(self.stratum).ok_or_else(|| format!("stratum `{}` is not 0 to 16", self.stratum))?;
        let reach = self.reach().ok_or_else(|| format!("reach `{}` is not octal 0 to 377", self.reach))?;
        let poll_s = poll_s(self.poll).ok_or_else(|| format!("poll `{}` is not a power of two", self.poll))?;
        let any = self.any.ok_or("LastRx is not an interval")?;
        let ahead_s = self.ahead_s.ok_or("the last sample is not a time")?;
        Ok(Peer {
            tally: Some(self.tally),
            // chronyc prints 0 until the source has answered.
            stratum: (any || stratum != 0).then_some(stratum),
            poll_s: Some(poll_s),
            reach,
            // chronyc prints local − reference: positive is a fast local clock. The first value is taken, not the one
            // in brackets: it is the measured one, corrected for what chronyd has slewed since (chronyc(1), sources).
            offset_s: any.then_some(0.0 - ahead_s),
            ..Peer::new(at, self.source)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    const HEADER: &str = "MS Name/IP address         Stratum Poll Reach LastRx Last sample\n======\n";

    #[test]
    fn a_fast_local_clock_is_a_negative_offset() {
        let text = format!(
            "{HEADER}^* 192.0.2.2   2   6   377     4  +2500us[+3675ns] +/-  948ms\n\
             #? PPS0        0  -2     0     -     +0ns[   +0ns] +/-    0ns\n^x 2001:db8::1 3 10 17 9m -2s[ -3s] +/- 1s\n"
        );
        let want = [
            "source=192.0.2.2 tally=* stratum=2 poll_s=64 reach=377 offset_s=-0.0025",
            "source=PPS0 tally=? poll_s=0.25 reach=0",
            "source=2001:db8::1 tally=x stratum=3 poll_s=1024 reach=17 offset_s=2",
        ];
        assert_eq!(peers(&text), want);
        let csv = "^,+,192.0.2.2,2,6,17,4,0.002500000,0.1,0.9\n^,?,192.0.2.3,0,0,0,4294967295,0.0,0.0,0.0\n";
        assert_eq!(peers(csv)[0], "source=192.0.2.2 tally=+ stratum=2 poll_s=64 reach=17 offset_s=-0.0025");
        assert_eq!(peers(csv)[1], "source=192.0.2.3 tally=? poll_s=1 reach=0");
    }

    #[test]
    fn legends_are_known_and_bad_rows_are_rejected() {
        let text = format!(
            "\n  .-- Source mode\n / .- Source state\n| /   'x' = may be in error\n||      Reach -.\n\
             {HEADER}^* 192.0.2.2 2 6 388 4 +1ns[+1ns] +/- 1ns\n^* 192.0.2.2 2 40 377 4 +1ns[+1ns] +/- 1ns\n^+ 192.0.2.2 2\n"
        );
        let want = [
            "line 8: reach `388` is not octal 0 to 377",
            "line 9: poll `40` is not a power of two",
            "line 10: a source needs name, Stratum, Poll, Reach, LastRx and Last sample",
        ];
        assert_eq!(read(&text).1, want);
    }

    #[test]
    fn chrony_1_24_had_no_reach_register_and_a_row_may_stand_alone() {
        let text = "210 Number of sources = 1\nMS Name/IP address           Stratum Poll LastRx Last sample\n\
                    ^* 192.0.2.2                     2    6     34    +10ms[  +12ms] +/-   30ms\n";
        assert_eq!(peers(text), ["source=192.0.2.2 tally=* stratum=2 poll_s=64 offset_s=-0.01"]);
        let lone = "^* 192.0.2.2   2   6   377     4  +2500us[+3675ns] +/-  948ms";
        assert_eq!(peers(lone).len(), 1);
        assert_eq!(read("# a comment of mine\n^* x [y] +/- z").2.len(), 0);
    }
}
