//! Lines of a router's configuration that are about NTP: `show running-config`, `show ntp config`,
//! `display current-configuration`, `show configuration | display set`.
//!
//! The first word of a [`What::Directive`] is what a daemon's would be: `server`, not `ntp`.

use super::Answer;
use crate::model::{Daemon, Event, Row, What};
use crate::text::{Block, Form, Line, Taken};

/// NTP in a router's configuration.
pub const COMMANDS: Form = Form {
    name: "router configuration",
    opens: |line| super::asked(line, ASK) || stanza(line).is_some() || directive(line).is_some(),
    block: || Answer::to(ASK, Lines::default()),
};

const ASK: &[&str] = &["show ntp config", "show running-config ntp"];

/// What may stand before a directive, the longer first.
const BEFORE: &[&str] = &[
    // Junos, `| display set`.
    "set system ntp ",
    // PAN-OS.
    "set deviceconfig system ntp-servers ",
    // Gaia.
    "set ntp ",
    "no ntp ",
    "undo ntp-service ",
    "ntp-service ",
    "no sntp ",
    "sntp ",
    "ntp ",
];

/// Words that a directive begins with.
const KEYWORDS: &str = "access access-group active allow authenticate authentication authentication-key \
    authentication-keyid boot-server broadcast broadcast-client broadcast-delay broadcastdelay clock-period \
    commit disable distribute drift enable interface ipv6 leap-second-smear local-interface logging master \
    max-associations max-dynamic-sessions maxdistance mindistance multicast multicast-client orphan panic \
    passive peer peer-group primary-ntp-server refclock-master reliable restrict secondary-ntp-server serve server \
    source source-address source-interface threshold trusted-key unicast unicast-peer unicast-server \
    update-calendar update-hardware-clock vrf";

fn is_keyword(word: &str) -> bool {
    KEYWORDS.split_ascii_whitespace().any(|known| known == word)
}

/// The first word and the rest of a directive, whatever stands before it.
fn directive(line: &str) -> Option<(&str, &str)> {
    let bare = line.trim();
    let rest = BEFORE.iter().find_map(|before| bare.strip_prefix(before))?;
    let (keyword, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    is_keyword(keyword).then_some(())?;
    if bare.starts_with("no ") || bare.starts_with("undo ") {
        // What is taken back is no server: `no` is the keyword.
        return bare.split_once(' ');
    }
    Some((keyword, rest.trim_start()))
}

/// IOS-XR's and Junos' stanza: `ntp` or `ntp {` alone, and how it ends.
fn stanza(line: &str) -> Option<char> {
    match line.trim() {
        "ntp" if line == "ntp" => Some('!'),
        "ntp {" => Some('}'),
        _ => None,
    }
}

#[derive(Default)]
struct Lines {
    /// What ends the stanza that is open.
    inside: Option<char>,
}

impl Block for Lines {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim();
        if let Some(end) = stanza(line.text) {
            self.inside = Some(end);
            return Taken::Yes;
        }
        let found = match self.inside {
            Some(end) if bare.strip_prefix(end) == Some("") => {
                self.inside = None;
                return Taken::Yes;
            }
            Some(end) if line.text.starts_with([' ', '\t']) => {
                let bare = if end == '}' { bare.trim_end_matches(';') } else { bare };
                let (keyword, rest) = bare.split_once(' ').unwrap_or((bare, ""));
                is_keyword(keyword).then_some((keyword, rest.trim_start()))
            }
            _ => None,
        };
        let Some((keyword, rest)) = found.or_else(|| directive(bare)) else { return Taken::No };
        let what = What::Directive { daemon: Daemon::Router, keyword, rest: without_secret(keyword, rest) };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }
}

/// A key's number and kind: what follows them is its secret, which no report needs.
fn without_secret<'a>(keyword: &str, rest: &'a str) -> &'a str {
    if !matches!(keyword, "authentication-key" | "authentication-keyid") {
        return rest;
    }
    let mut blanks = rest.match_indices(' ').map(|(at, _)| at);
    blanks.nth(1).and_then(|end| rest.get(..end)).unwrap_or(rest)
}
