//! `chronyc`: sources and their statistics, one source's packets, the clock's state, and the server's counters.
//!
//! Each is also read as `chronyc -c` prints it (comma-separated, no header), where its shape is unmistakable.

use super::field::with_unit_s;
use super::{Block, Form, Line, Taken, is_rule};
use crate::model::{At, Counter, Event, Peer, Row, What};
use std::net::IpAddr;

/// What this module reads.
pub const FORMS: &[Form] = &[SOURCES, SOURCESTATS, NTPDATA, TRACKING, SERVERSTATS];

/// `chronyc sources`, with or without `-v`.
const SOURCES: Form = Form { name: "chronyc sources", opens: opens_sources, block: || Box::new(Sources) };

/// `chronyc sourcestats`, with or without `-v`. Nothing in it is needed, but it is known.
const SOURCESTATS: Form =
    Form { name: "chronyc sourcestats", opens: opens_sourcestats, block: || Box::new(Sourcestats) };

/// `chronyc ntpdata`.
const NTPDATA: Form = Form {
    name: "chronyc ntpdata",
    opens: |line| line.trim_start().starts_with(REMOTE) || NtpdataFields::of(line).is_some(),
    block: || Box::new(Ntpdata::default()),
};

/// `chronyc tracking`.
const TRACKING: Form = Form {
    name: "chronyc tracking",
    opens: |line| line.trim_start().starts_with("Reference ID ") || tracking_fields(line).is_some(),
    block: || Box::new(Tracking),
};

/// `chronyc serverstats`.
const SERVERSTATS: Form = Form {
    name: "chronyc serverstats",
    opens: |line| line.trim_start().starts_with("NTP packets received"),
    block: || Box::new(Serverstats),
};

fn variable(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: &str, value: &str) {
    rows(Row::Event(Event { at, what: What::Variable { association, name, value } }));
}

fn counter(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: Counter, value: u64) {
    rows(Row::Event(Event { at, what: What::Counter { association, name, value, over_s: None } }));
}

/// `-v` draws a legend above the header: lines of text that hang on lines made of `.-`, `/` and `|`.
fn is_legend(line: &str) -> bool {
    let bare = line.trim_start();
    [".-", "/ ", "|"].iter().any(|start| bare.starts_with(start))
}

fn opens_sources(line: &str) -> bool {
    // Until chrony 3 a count stood first, before `sourcestats` too, whose header then ends this block.
    let bare = line.trim_start();
    let starts = ["MS Name/IP ", "210 Number of sources", ".-- Source mode"];
    starts.iter().any(|start| bare.starts_with(start)) || Sample::of_fields(line).is_some()
}

struct Sources;

impl Block for Sources {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        if let Some(sample) = Sample::of_fields(text) {
            return sample.row(line.at, rows);
        }
        if text.is_empty() || is_rule(text) || is_legend(text) || opens_sources(text) {
            return Taken::Yes;
        }
        let mut marks = text.trim_start().chars();
        let (mode, state, blank) = (marks.next(), marks.next(), marks.next());
        let (Some('^' | '=' | '#'), Some(tally @ ('*' | '+' | '-' | 'x' | '~' | '?')), Some(' ')) =
            (mode, state, blank)
        else {
            return Taken::No;
        };
        match Sample::of_row(marks.as_str(), tally) {
            Some(sample) => sample.row(line.at, rows),
            None => Taken::Rejected("a source needs name, Stratum, Poll, Reach, LastRx and Last sample".into()),
        }
    }
}

/// A row of `sources`, cut but not yet understood.
struct Sample<'a> {
    tally: char,
    source: &'a str,
    stratum: &'a str,
    poll: &'a str,
    reach: &'a str,
    /// Whether there ever was a sample; zeros are printed where there was none.
    any: bool,
    /// How far the local clock is ahead, in seconds.
    ahead: Option<f64>,
}

impl<'a> Sample<'a> {
    /// What follows the two marks: `192.0.2.1  2  6  377  34  +484us[ -157us] +/-  30ms`.
    fn of_row(mut rest: &'a str, tally: char) -> Option<Self> {
        let mut word = || {
            let (word, after) = rest.trim_start().split_once(char::is_whitespace)?;
            rest = after;
            Some(word)
        };
        let (source, stratum, poll, reach, last) = (word()?, word()?, word()?, word()?, word()?);
        let (adjusted, _measured) = rest.split_once('[')?;
        Some(Sample { tally, source, stratum, poll, reach, any: last != "-", ahead: with_unit_s(adjusted.trim()) })
    }

    /// The ten fields of `-c`: mode, state, name, stratum, poll, reach, last, adjusted, measured, error.
    fn of_fields(line: &'a str) -> Option<Self> {
        let mut fields = line.split(',');
        let mut field = || fields.next();
        let (mode, state) = (field()?, field()?);
        if !matches!(mode, "^" | "=" | "#") || !matches!(state, "*" | "+" | "-" | "x" | "~" | "?") {
            return None;
        }
        let (source, stratum, poll, reach) = (field().filter(|name| !name.is_empty())?, field()?, field()?, field()?);
        // Never is the largest 32-bit number.
        let any = field()? != "4294967295";
        let ahead = field()?.parse::<f64>().ok().filter(|v| v.is_finite());
        let (_measured, _error) = (field()?, field()?);
        if field().is_some() {
            return None;
        }
        Some(Sample { tally: state.chars().next()?, source, stratum, poll, reach, any, ahead })
    }

    fn row(&self, at: At<'a>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(stratum) = self.stratum.parse().ok().filter(|stratum: &u8| *stratum <= 16) else {
            return Taken::Rejected(format!("stratum `{}` is not 0 to 16", self.stratum));
        };
        // Octal, with `-c` too.
        let Ok(reach) = u8::from_str_radix(self.reach, 8) else {
            return Taken::Rejected(format!("reach `{}` is not octal 0 to 377", self.reach));
        };
        // A power of two; chrony polls up to 128 times a second.
        let Some(poll_s) =
            self.poll.parse::<i8>().ok().filter(|log| (-7..=24).contains(log)).map(|log| f64::from(log).exp2())
        else {
            return Taken::Rejected(format!("poll `{}` is not a power of two", self.poll));
        };
        let Some(ahead) = self.ahead else { return Taken::Rejected("the last sample is not a time".into()) };
        rows(Row::Peer(Peer {
            tally: Some(self.tally),
            stratum: Some(stratum),
            poll_s: Some(poll_s),
            reach: Some(reach),
            // chronyc prints local − reference: positive is a fast local clock. The first value is taken, not the one
            // in brackets: it is the measured one, corrected for what chronyd has slewed since (chronyc(1), sources).
            offset_s: self.any.then_some(0.0 - ahead),
            ..Peer::new(at, self.source)
        }));
        Taken::Yes
    }
}

fn opens_sourcestats(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let header = ["Name/IP", "Address", "NP", "NR"].iter().all(|name| words.next() == Some(name));
    header || line.trim_start().starts_with(".- Number of sample points") || is_sourcestats_fields(line)
}

/// The eight fields of `-c`: name, samples, runs, span, and four numbers of which three have a point.
fn is_sourcestats_fields(line: &str) -> bool {
    let mut fields = line.split(',').skip(1);
    let mut whole = || fields.next().is_some_and(|field| field.parse::<u32>().is_ok());
    let counts = whole() && whole() && whole();
    counts && fields.clone().count() == 4 && fields.all(|field| field.contains('.') && field.parse::<f64>().is_ok())
}

struct Sourcestats;

impl Block for Sourcestats {
    fn line(&mut self, line: Line<'_>, _rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        let mut words = text.split_whitespace().skip(1);
        let counts = (0..2).all(|_| words.next().is_some_and(|word| word.parse::<u32>().is_ok()));
        let row = counts && words.count() == 5;
        let known = row || text.is_empty() || is_rule(text) || is_legend(text) || opens_sourcestats(text);
        if known { Taken::Yes } else { Taken::No }
    }
}

/// `Label           : value`, as `ntpdata`, `tracking` and `serverstats` print it.
fn labelled(line: &str) -> Option<(&str, &str)> {
    let (label, value) = line.split_once(':')?;
    let label = label.trim();
    let is_label = label.starts_with(|c: char| c.is_ascii_uppercase())
        && label.bytes().all(|b| b.is_ascii_alphabetic() || b" ()-".contains(&b));
    is_label.then_some((label, value.trim()))
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// The first label of `ntpdata`.
const REMOTE: &str = "Remote address";

#[derive(Default)]
struct Ntpdata {
    remote: String,
    /// Whether `Reference ID` was met: the next one begins a `tracking`.
    referred: bool,
}

impl Block for Ntpdata {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(fields) = NtpdataFields::of(line.text) {
            return fields.rows(line.at, rows);
        }
        // A blank line stands between sources, and before whatever the next command prints.
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        if label == REMOTE {
            // `192.0.2.1 (C0000201)`
            first_word(value).clone_into(&mut self.remote);
            self.referred = false;
            variable(rows, line.at, &self.remote, "srcadr", first_word(value));
            return Taken::Yes;
        }
        let name = match label {
            "Local address" => {
                variable(rows, line.at, &self.remote, "dstadr", first_word(value));
                return Taken::Yes;
            }
            "Reference ID" if self.referred => return Taken::No,
            "Reference ID" => {
                self.referred = true;
                return Taken::Yes;
            }
            "NTP packets received" => return Taken::No,
            "Total TX" => Counter::SourceSent,
            "Total valid RX" => Counter::SourceValid,
            _ => return Taken::Yes,
        };
        let Ok(value) = value.parse() else { return Taken::Rejected(format!("`{value}` is not a count")) };
        counter(rows, line.at, &self.remote, name, value);
        Taken::Yes
    }
}

/// The fields of `ntpdata` with `-c` that are used; chrony 4.3 prints 34, later versions more.
struct NtpdataFields<'a> {
    remote: &'a str,
    local: &'a str,
    sent: u64,
    valid: u64,
}

impl<'a> NtpdataFields<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.split(',');
        let remote = fields.next().filter(|field| field.parse::<IpAddr>().is_ok())?;
        let local = fields.nth(2)?;
        let sent = fields.nth(26)?.parse().ok()?;
        let valid = fields.nth(1)?.parse().ok()?;
        let _good = fields.next()?;
        Some(NtpdataFields { remote, local, sent, valid })
    }

    fn rows(&self, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        variable(rows, at, self.remote, "srcadr", self.remote);
        variable(rows, at, self.remote, "dstadr", self.local);
        counter(rows, at, self.remote, Counter::SourceSent, self.sent);
        counter(rows, at, self.remote, Counter::SourceValid, self.valid);
        Taken::Yes
    }
}

struct Tracking;

impl Block for Tracking {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(fields) = tracking_fields(line.text) {
            for (name, value) in fields {
                variable(rows, line.at, "", name, value);
            }
            return Taken::Yes;
        }
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        let name = match label {
            "Reference ID" => "refid",
            "Stratum" => "stratum",
            "Ref time (UTC)" => "reftime",
            "Leap status" => "leap",
            REMOTE | "NTP packets received" => return Taken::No,
            _ => return Taken::Yes,
        };
        variable(rows, line.at, "", name, value);
        Taken::Yes
    }
}

/// The four of the fourteen fields of `-c` that are used: the first is eight hex digits, the last says the leap status.
fn tracking_fields(line: &str) -> Option<[(&'static str, &str); 4]> {
    let mut fields = line.split(',');
    let refid = fields.next().filter(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let stratum = fields.nth(1)?;
    let reftime = fields.next()?;
    let leap = fields.nth(9)?;
    let known = matches!(leap, "Normal" | "Insert second" | "Delete second" | "Not synchronised");
    let whole = known && fields.next().is_none();
    whole.then_some([("refid", refid), ("stratum", stratum), ("reftime", reftime), ("leap", leap)])
}

struct Serverstats;

impl Block for Serverstats {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        let name = match label {
            "NTP packets received" => Counter::Received,
            // Dropped for the rate limit, and for nothing else (chronyc(1), serverstats).
            "NTP packets dropped" => Counter::Limited,
            REMOTE | "Reference ID" => return Taken::No,
            _ => return Taken::Yes,
        };
        let Ok(value) = value.parse() else { return Taken::Rejected(format!("`{value}` is not a count")) };
        counter(rows, line.at, "", name, value);
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{counters, peers, read, variables};

    const HEADER: &str = "MS Name/IP address         Stratum Poll Reach LastRx Last sample\n======\n";

    #[test]
    fn a_fast_local_clock_is_a_negative_offset() {
        let text = format!(
            "{HEADER}^* 192.0.2.2   2   6   377     4  +2500us[+3675ns] +/-  948ms\n\
             #? PPS0        0  -2     0     -     +0ns[   +0ns] +/-    0ns\n^x 2001:db8::1 3 10 17 9 -2s[ -3s] +/- 1s\n"
        );
        let got = peers(&text);
        assert_eq!(got[0], "192.0.2.2 *  st 2 poll 64 reach 255 delay None offset Some(-0.0025)");
        assert_eq!(got[1], "PPS0 ?  st 0 poll 1 reach 0 delay None offset None");
        assert_eq!(got[2], "2001:db8::1 x  st 3 poll 1024 reach 15 delay None offset Some(2.0)");
        let csv = "^,+,192.0.2.2,2,6,17,4,0.002500000,0.1,0.9\n^,?,192.0.2.3,0,0,0,4294967295,0.0,0.0,0.0\n";
        assert_eq!(peers(csv)[0], "192.0.2.2 +  st 2 poll 64 reach 15 delay None offset Some(-0.0025)");
        assert!(peers(csv)[1].ends_with("offset None"));
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
        let text = "   .- Number of sample points in measurement set.\n  /    .- Number\n\
                    Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev\n=====\n\
                    192.0.2.2   45  26   186     +0.000      0.023     +0ns  2435ns\n192.0.2.2,4,3,20,0.1,0.2,0.3,0.4\n";
        assert_eq!(read(text), (vec![], vec![], vec!["chronyc sourcestats"]));
    }

    #[test]
    fn ntpdata_counts_for_its_source_and_tracking_may_follow() {
        let text = "\nRemote address  : 192.0.2.2 (C0000202)\nLocal address   : 198.51.100.3 (C6336403)\n\
                    Reference ID    : 7F7F0100 ()\nTotal TX        : 52\nTotal RX        : 41\nTotal valid RX  : 40\n\n\
                    Remote address  : 192.0.2.9 (C0000209)\nTotal TX        : 3\n\n\
                    Reference ID    : C0000202 (ntp.example)\nStratum         : 3\n\
                    Ref time (UTC)  : Sun Nov 22 09:36:16 2026\nSystem time     : 0.1 seconds slow of NTP time\nLeap status     : Normal\n";
        assert_eq!(counters(text), ["192.0.2.2 SourceSent 52", "192.0.2.2 SourceValid 40", "192.0.2.9 SourceSent 3"]);
        let got = variables(text);
        let want = ["192.0.2.2 srcadr=192.0.2.2", "192.0.2.2 dstadr=198.51.100.3", "192.0.2.9 srcadr=192.0.2.9"];
        assert_eq!(got[..3], want);
        let want = [" refid=C0000202 (ntp.example)", " stratum=3", " reftime=Sun Nov 22 09:36:16 2026", " leap=Normal"];
        assert_eq!(got[3..], want);
        assert_eq!(read(text).1.len(), 0);
    }

    #[test]
    fn comma_separated_ntpdata_and_tracking() {
        let text = "192.0.2.2,C0000202,123,198.51.100.3,C6336403,Normal,4,Server,2,3,8,-24,0.00000006,0.0,0.9,7F7F0100,,\
                    1795339457.8,-0.000003,0.00009,0.00000008,0.00009,0.50,111,111,1111,No,No,Kernel,Kernel,24,23,22,21\n\
                    C0000202,192.0.2.2,3,1795339480.6,-0.1,0.1,0.2,0.004,0.000,0.013,0.5,0.9,1.0,Not synchronised\n";
        assert_eq!(counters(text), ["192.0.2.2 SourceSent 24", "192.0.2.2 SourceValid 22"]);
        let want = [" refid=C0000202", " stratum=3", " reftime=1795339480.6", " leap=Not synchronised"];
        assert_eq!(variables(text)[2..], want);
    }

    #[test]
    fn dropped_packets_of_a_server_are_its_rate_limit() {
        let text =
            "NTP packets received       : 104\nNTP packets dropped        : 74\nCommand packets dropped    : 5\n";
        assert_eq!(counters(text), [" Received 104", " Limited 74"]);
    }
}
