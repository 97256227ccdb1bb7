//! Check Point's Gaia: `show ntp servers`, `show ntp current` and `show ntp active`.

use super::{Answer, is_source, variable};
use crate::model::{Clock, Daemon, Event, Row, What};
use crate::text::{Block, Form, Line, Taken};

/// `show ntp servers`: what is configured.
pub const SERVERS: Form = Form {
    name: "show ntp servers (Gaia)",
    opens: |line| super::asked(line, ASK_SERVERS) || is_header(line),
    block: || Answer::to(ASK_SERVERS, Servers),
};

const ASK_SERVERS: &[&str] = &["show ntp servers"];

fn is_header(line: &str) -> bool {
    line.split_ascii_whitespace().eq(["IP", "Address", "Type", "Version"])
}

struct Servers;

impl Block for Servers {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || is_header(line.text) {
            return Taken::Yes;
        }
        let words: Vec<&str> = line.text.split_ascii_whitespace().take(4).collect();
        let Ok([server, kind, version]) = <[&str; 3]>::try_from(words) else { return Taken::No };
        if !matches!(kind, "Primary" | "Secondary") {
            return Taken::No;
        }
        if !version.parse::<u8>().is_ok_and(|version| (1..=4).contains(&version)) {
            return Taken::Rejected(format!("version `{version}` is not 1 to 4"));
        }
        // In the words of Gaia's `set ntp server`.
        let rest = format!("{} {server} version {version}", kind.to_ascii_lowercase());
        let what = What::Directive { daemon: Daemon::Router, keyword: "server", rest: &rest };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }
}

/// `show ntp current` and `show ntp active`: one line each. The bare address or the `Yes` that they may be says nothing
/// without its command.
pub const CURRENT: Form = Form {
    name: "show ntp current (Gaia)",
    opens: |line| super::asked(line, ASK_CURRENT) || state(line).is_some(),
    block: || Answer::to(ASK_CURRENT, Current),
};

const ASK_CURRENT: &[&str] = &["show ntp current", "show ntp active"];

enum State {
    Unsynchronised,
    Inactive,
}

fn state(line: &str) -> Option<State> {
    match line.trim() {
        "primary and secondary servers are not synchronized" | "No server has yet to be synchronized" => {
            Some(State::Unsynchronised)
        }
        "The NTP service is inactive" => Some(State::Inactive),
        _ => None,
    }
}

struct Current;

impl Block for Current {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim();
        match (state(bare), bare) {
            (Some(State::Unsynchronised), _) => {
                rows(Row::Clock(Clock { leap: Some(3), ..Clock::new(line.at) }));
            }
            (Some(State::Inactive), _) | (None, "No") => variable(rows, line.at, "", "ntp_service", "inactive"),
            (None, "Yes") => variable(rows, line.at, "", "ntp_service", "active"),
            (None, source) if is_source(source) => rows(Row::Clock(Clock { source, ..Clock::new(line.at) })),
            (None, "") => {}
            _ => return Taken::No,
        }
        Taken::Yes
    }
}
