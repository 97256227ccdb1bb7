//! Nokia's SR OS: `show system ntp all` and `show system ntp servers`.

use super::{Answer, interval_s, kept, stratum, variable};
use crate::model::{Clock, Peer, Row};
use crate::text::field::number;
use crate::text::{Block, Form, Line, Taken, is_rule};

/// `show system ntp all`.
pub const ALL: Form = Form {
    name: "show system ntp",
    opens: |line| super::asked(line, COMMANDS) || is_title(line),
    block: || Answer::to(COMMANDS, Pages::default()),
};

const COMMANDS: &[&str] = &["show system ntp"];

fn is_title(line: &str) -> bool {
    matches!(line.trim(), "NTP Status" | "NTP Active Associations" | "NTP Clients")
}

fn is_columns(line: &str) -> bool {
    let words = line.split_ascii_whitespace();
    words.clone().eq(["State", "Reference", "ID", "St", "Type", "A", "Poll", "Reach", "Offset(ms)"])
        || words.clone().eq(["Router", "Remote"])
        || words.clone().eq(["vRouter", "Time", "Last", "Request", "Rx"])
        || words.eq(["Address"])
}

#[derive(Default)]
struct Pages {
    /// Source and clock of the page of status.
    status: Option<(String, Clock<'static>)>,
    /// The first line of an association: its refid and state as printed.
    first: Option<(Peer<'static>, String, String, String)>,
}

impl Block for Pages {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        if text.is_empty() || is_rule(text) || is_columns(text) {
            return Taken::Yes;
        }
        if is_title(text) {
            self.end(rows);
            if text.trim() == "NTP Status" {
                self.status = Some((String::new(), Clock::new(kept(line.at))));
            }
            return Taken::Yes;
        }
        if let Some((source, clock)) = &mut self.status {
            return status(text, source, clock);
        }
        if let Some((peer, refid, state, offset)) = self.first.take() {
            let mut words = text.split_ascii_whitespace();
            let (Some(router), Some(remote), None) = (words.next(), words.next(), words.next()) else {
                return Taken::Rejected("an association needs a line with router and remote".into());
            };
            rows(Row::Peer(Peer { source: remote, refid: &refid, ..peer }));
            variable(rows, line.at, remote, "condition", &state);
            variable(rows, line.at, remote, "router", router);
            // The manual does not say which way, and none was at hand to measure.
            variable(rows, line.at, remote, "offset_ms", &offset);
            return Taken::Yes;
        }
        match association(line) {
            Some(first) => self.first = Some(first),
            None => return Taken::No,
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some((source, clock)) = self.status.take() {
            rows(Row::Clock(Clock { source: &source, ..clock }));
        }
        self.first = None;
    }
}

/// A line of the page of status: two labels, or one.
fn status(line: &str, source: &mut String, clock: &mut Clock<'static>) -> Taken {
    let value = |label: &str| {
        let (_, rest) = line.split_once(label)?;
        rest.trim_start().strip_prefix(':')?.split_ascii_whitespace().next()
    };
    if let Some(text) = value("Stratum") {
        // `-` while there is none.
        clock.stratum = stratum(text);
        if clock.stratum.is_none() && text != "-" {
            return Taken::Rejected(format!("stratum `{text}` is not 0 to 16"));
        }
    }
    if let Some(text) = value("Clock Source").filter(|text| !matches!(*text, "none" | "None")) {
        text.clone_into(source);
    }
    // Two labels to a line, each behind a colon with blanks on both sides, or one at its end.
    if line.contains(": ") { Taken::Yes } else { Taken::No }
}

/// `candidate   192.0.2.1  4  srvr  -  64  YYYYYYYY  -0.541`
fn association(line: Line<'_>) -> Option<(Peer<'static>, String, String, String)> {
    let words: Vec<&str> = line.text.split_ascii_whitespace().take(9).collect();
    let [state, refid, st, kind, _authenticated, poll, reach, offset] = <[&str; 8]>::try_from(words).ok()?;
    let is_reach = reach.len() == 8 && reach.bytes().all(|b| matches!(b, b'Y' | b'.'));
    let fits = is_reach && is_source_kind(kind) && number(offset).is_some() && (st == "-" || stratum(st).is_some());
    fits.then_some(())?;
    let peer = Peer {
        tally: match state {
            "chosen" => Some('*'),
            "candidate" => Some('+'),
            "outlyer" => Some('-'),
            "falsetick" | "falseticker" => Some('x'),
            "reject" => Some(' '),
            _ => None,
        },
        stratum: stratum(st),
        poll_s: interval_s(poll),
        // Which end is the latest poll is not documented, so only all or nothing can be told.
        reach: match reach {
            "YYYYYYYY" => Some(0xff),
            "........" => Some(0),
            _ => None,
        },
        ..Peer::new(kept(line.at), "")
    };
    let refid = if refid != "-" { refid } else { "" };
    let offset = if reach == "........" { "" } else { offset };
    Some((peer, refid.to_owned(), state.to_owned(), offset.to_owned()))
}

fn is_source_kind(kind: &str) -> bool {
    matches!(kind, "srvr" | "peer" | "mclnt" | "mcst" | "bclnt" | "bcst" | "actpr")
}
