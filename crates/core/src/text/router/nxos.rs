//! NX-OS: `show ntp peer-status` and `show ntp peers`.

use super::{Answer, interval_s, is_source, stratum, variable};
use crate::model::{Daemon, Event, Peer, Row, What};
use crate::text::field::number;
use crate::text::{Block, Form, Line, Taken, is_rule};

/// `show ntp peer-status`. It is made of ntpdc's list of peers, so its marks are modes, and its delay is in seconds.
pub const PEER_STATUS: Form = Form {
    name: "show ntp peer-status",
    opens: |line| super::asked(line, STATUS) || is_total(line) || is_header(line),
    block: || Answer::to(STATUS, PeerStatus::default()),
};

const STATUS: &[&str] = &["show ntp peer-status"];

fn is_total(line: &str) -> bool {
    line.trim_start().strip_prefix("Total peers : ").is_some_and(|count| count.trim().parse::<u32>().is_ok())
}

/// The header, whole or either half, because a terminal of 80 columns breaks it.
fn is_header(line: &str) -> bool {
    let names = ["remote", "local", "st", "poll", "reach", "delay", "vrf"];
    let mut words = line.split_ascii_whitespace().peekable();
    let rest = if words.peek() == Some(&"st") { names.get(2..) } else { names.get(..) };
    let mut met = 0;
    let fits = words.all(|word| {
        let fits = rest.and_then(|names| names.get(met)) == Some(&word);
        met += 1;
        fits
    });
    fits && (met == 2 || met >= 4)
}

fn is_legend(line: &str) -> bool {
    let bare = line.trim_start();
    ["* - selected for sync", "- - peer mode(passive)", "x - source false ticker"].iter().any(|l| bare.starts_with(l))
}

#[derive(Default)]
struct PeerStatus {
    /// The mark, remote and local address of a row that a terminal broke.
    open: Option<(char, String, String)>,
}

impl Block for PeerStatus {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        if text.is_empty() || is_rule(text) || is_legend(text) || is_total(text) || is_header(text) {
            return Taken::Yes;
        }
        let words: Vec<&str> = text.split_ascii_whitespace().take(8).collect();
        let open = self.open.take();
        if let (Some((mark, remote, local)), [st, poll, reach, rest @ ..]) = (&open, words.as_slice()) {
            return row(line, rows, (*mark, remote, local), &[st, poll, reach], rest);
        }
        let Some((mark, remote)) = words.first().and_then(|word| {
            let mark = word.chars().next().filter(|c| "*+-=^~x".contains(*c));
            Some(mark.map_or((' ', *word), |mark| (mark, word.strip_prefix(mark).unwrap_or_default())))
                .filter(|(_, remote)| is_source(remote))
        }) else {
            return Taken::No;
        };
        match words.as_slice() {
            [_, local] if is_source(local) => {
                self.open = Some((mark, remote.to_owned(), (*local).to_owned()));
                Taken::Yes
            }
            [_, local, st, poll, reach, rest @ ..] => row(line, rows, (mark, remote, local), &[st, poll, reach], rest),
            _ => Taken::No,
        }
    }
}

fn row(
    line: Line<'_>,
    rows: &mut dyn FnMut(Row<'_>),
    (mark, remote, local): (char, &str, &str),
    [st, poll, reach]: &[&str; 3],
    rest: &[&str],
) -> Taken {
    // A terminal may have taken the blank between the delay and the VRF.
    let (delay, vrf) = match rest {
        [delay] => {
            let vrf = delay.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
            (delay.strip_suffix(vrf).unwrap_or(delay), vrf)
        }
        [delay, vrf] => (*delay, *vrf),
        _ => return Taken::Rejected("a peer needs remote, local, st, poll, reach and delay".into()),
    };
    let Some(st) = stratum(st) else { return Taken::Rejected(format!("stratum `{st}` is not 0 to 16")) };
    let Some(poll_s) = interval_s(poll) else { return Taken::Rejected(format!("poll `{poll}` is not an interval")) };
    let Ok(reach) = u8::from_str_radix(reach, 8) else {
        return Taken::Rejected(format!("reach `{reach}` is not octal 0 to 377"));
    };
    let Some(delay) = number(delay) else { return Taken::Rejected(format!("delay `{delay}` is not a number")) };
    rows(Row::Peer(Peer {
        // The other marks are modes: `+` is no candidate here.
        tally: matches!(mark, '*' | 'x').then_some(mark),
        stratum: Some(st),
        poll_s: Some(poll_s),
        reach: Some(reach),
        delay_s: (reach != 0 || delay != 0.0).then_some(delay),
        ..Peer::new(line.at, remote)
    }));
    let mode = match mark {
        '+' => "active",
        '-' => "passive",
        '=' => "client",
        _ => "",
    };
    variable(rows, line.at, remote, "our_mode", mode);
    variable(rows, line.at, remote, "dstadr", if local == "0.0.0.0" { "" } else { local });
    variable(rows, line.at, remote, "vrf", vrf);
    Taken::Yes
}

/// `show ntp peers`: what is configured.
pub const PEERS: Form = Form {
    name: "show ntp peers",
    opens: |line| super::asked(line, LIST) || is_list(line),
    block: || Answer::to(LIST, Peers),
};

const LIST: &[&str] = &["show ntp peers"];

fn is_list(line: &str) -> bool {
    line.split_ascii_whitespace().eq(["Peer", "IP", "Address", "Serv/Peer"])
}

struct Peers;

impl Block for Peers {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || is_rule(line.text) || is_list(line.text) {
            return Taken::Yes;
        }
        let mut words = line.text.split_ascii_whitespace();
        let Some(address) = words.next().filter(|word| is_source(word)) else { return Taken::No };
        let keyword = match words.next() {
            Some("Server") => "server",
            Some("Peer") => "peer",
            _ => return Taken::Rejected("an address needs Server or Peer".into()),
        };
        // `(configured)`, or `(dynamic)` for one that asked by itself.
        match words.next() {
            Some("(dynamic)") => variable(rows, line.at, address, "condition", "dynamic"),
            _ => {
                let what = What::Directive { daemon: Daemon::Router, keyword, rest: address };
                rows(Row::Event(Event { at: line.at, what }));
            }
        }
        Taken::Yes
    }
}
