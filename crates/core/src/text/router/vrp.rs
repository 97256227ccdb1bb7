//! `display ntp-service status` and `display ntp-service sessions` of Huawei's VRP and of Comware (H3C, 3Com, HP):
//! labels with a colon, one or several to a line.
//!
//! The manuals call offsets those "of the local clock relative to the reference", as Cisco's manuals do of numbers
//! that are measurably reference − local. Both systems print the variables of xntpd under IOS's names, so their
//! offsets are taken as IOS's; no pages with time stamps were at hand to prove it.

use super::billboard::comware_mark;
use super::{Answer, gauge, kept, leading, seconds, stamp, stratum, variable};
use crate::model::{Clock, Peer, Row};
use crate::text::field::answered;
use crate::text::{Block, Form, Line, Taken};

/// `display ntp-service status`, `display ntp status`.
pub const STATUS: Form = Form {
    name: "display ntp-service status",
    opens: |line| super::asked(line, ASK_STATUS) || opens_status(line),
    block: || Answer::to(ASK_STATUS, Status::default()),
};

/// `display ntp-service sessions` with or without `verbose`, where it is no table.
pub const SESSIONS: Form = Form {
    name: "display ntp-service sessions",
    opens: |line| super::asked(line, ASK_SESSIONS) || opens_session(line),
    block: || Answer::to(ASK_SESSIONS, Sessions::default()),
};

const ASK_STATUS: &[&str] = &["display ntp-service status", "display ntp status", "display ntp-service ipv6 status"];
const ASK_SESSIONS: &[&str] =
    &["display ntp-service sessions", "display ntp sessions", "display ntp-service ipv6 sessions"];

/// The labels and values of a line. Commas part them, and so do two blanks; a comma within a value (a list of states,
/// a date) makes a piece of its own, which has no label that is known.
fn items(line: &str) -> impl Iterator<Item = (String, &str)> {
    line.split(',').flat_map(|piece| piece.split("  ")).filter_map(|piece| {
        let (label, value) = piece.split_once(':')?;
        let label = label.trim().to_ascii_lowercase();
        (!label.is_empty()).then(|| (label, value.trim()))
    })
}

fn first_item(line: &str) -> Option<(String, &str)> {
    let (label, value) = line.split_once(':')?;
    Some((label.trim().to_ascii_lowercase(), value.trim()))
}

fn opens_status(line: &str) -> bool {
    first_item(line).is_some_and(|(label, value)| {
        label == "clock status" && matches!(value.to_ascii_lowercase().as_str(), "synchronized" | "unsynchronized")
    })
}

fn opens_session(line: &str) -> bool {
    first_item(line).is_some_and(|(label, value)| match label.as_str() {
        "clock source" => !value.is_empty() && !value.contains(' '),
        "source" => comware_mark(value).is_some(),
        _ => false,
    })
}

#[derive(Default)]
struct Status {
    open: Option<(String, Clock<'static>)>,
    nominal: Option<f64>,
}

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if opens_status(line.text) {
            self.end(rows);
            let leap = if line.text.to_ascii_lowercase().contains("unsynchronized") { 3 } else { 0 };
            self.open = Some((String::new(), Clock { leap: Some(leap), ..Clock::new(kept(line.at)) }));
            return Taken::Yes;
        }
        let Some((source, clock)) = &mut self.open else { return Taken::No };
        let mut met = false;
        for (label, value) in items(line.text) {
            let number = leading(value);
            let span = seconds(value);
            let needed = match label.as_str() {
                "clock stratum" => {
                    clock.stratum = stratum(value);
                    clock.stratum
                }
                .map(f64::from),
                "reference clock id" | "system peer" => {
                    if source.is_empty() && !matches!(value, "none" | "0.0.0.0") {
                        value.clone_into(source);
                    }
                    Some(0.0)
                }
                "leap indicator" => {
                    clock.leap = u8::from_str_radix(value, 2).ok().filter(|leap| *leap <= 3);
                    clock.leap.map(f64::from)
                }
                "nominal frequency" => {
                    self.nominal = number.filter(|hertz| *hertz > 0.0);
                    number
                }
                // More than nominal is a fast oscillator, which is slowed: ntpd's sign is the other.
                "actual frequency" => {
                    let ppm = self.nominal.zip(number).map(|(nominal, actual)| (nominal - actual) / nominal * 1e6);
                    clock.frequency_ppm = ppm.filter(|ppm| ppm.is_finite());
                    number
                }
                "clock offset" => {
                    clock.offset_s = span.filter(|offset| *offset != 0.0 || clock.leap != Some(3));
                    span
                }
                "clock jitter" => {
                    clock.jitter_s = span;
                    span
                }
                "root delay" => {
                    clock.root_delay_s = span;
                    span
                }
                "root dispersion" => {
                    clock.root_dispersion_s = span;
                    span
                }
                "peer dispersion" => {
                    if let Some(span) = span {
                        gauge(rows, line.at, "", "peer_dispersion_s", span);
                    }
                    span
                }
                "reference time" => {
                    variable(rows, line.at, "", "reftime", stamp(value).unwrap_or_default());
                    Some(0.0)
                }
                "clock precision" => {
                    variable(rows, line.at, "", "precision", value);
                    Some(0.0)
                }
                "synchronization state" | "synchronized state" => {
                    variable(rows, line.at, "", "synchronization_state", value);
                    Some(0.0)
                }
                "stability" | "local mode" | "vpn instance" | "auto-save interval" => Some(0.0),
                _ => continue,
            };
            met = true;
            if needed.is_none() {
                return Taken::Rejected(format!("{label} `{value}` is not a number that it can have"));
            }
        }
        if met { Taken::Yes } else { Taken::No }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some((source, clock)) = self.open.take() {
            rows(Row::Clock(Clock { source: &source, ..clock }));
        }
        self.nominal = None;
    }
}

#[derive(Default)]
struct Sessions {
    open: Option<Session>,
}

/// A source of which more lines may follow.
struct Session {
    source: String,
    refid: String,
    peer: Peer<'static>,
}

impl Block for Sessions {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() {
            return Taken::Yes;
        }
        let mut met = false;
        if opens_session(line.text) {
            self.end(rows);
            let value = first_item(line.text).map_or("", |(_, value)| value);
            // What stands beside it in Comware's list for IPv6 is read below.
            let value = value.split_ascii_whitespace().next().unwrap_or_default();
            let (tally, source) = comware_mark(value).map_or((None, value), |(tally, rest)| (Some(tally), rest));
            let peer = Peer { tally, ..Peer::new(kept(line.at), "") };
            self.open = Some(Session { source: source.to_owned(), refid: String::new(), peer });
            met = true;
        }
        let Some(session) = &mut self.open else { return Taken::No };
        if let Some((label, states)) = first_item(line.text)
            && label == "clock status"
        {
            session.states(states);
            variable(rows, line.at, &session.source, "condition", states);
            return Taken::Yes;
        }
        for (label, value) in items(line.text) {
            match session.field(&label, value, line, rows) {
                Some(true) => met = true,
                Some(false) => {}
                None => return Taken::Rejected(format!("{label} `{value}` is not a number that it can have")),
            }
        }
        if met { Taken::Yes } else { Taken::No }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(Session { source, refid, peer }) = self.open.take() else { return };
        let answered = answered(peer.reach, peer.delay_s, peer.offset_s);
        let answered = |value: Option<f64>| value.filter(|_| answered);
        rows(Row::Peer(Peer {
            source: &source,
            refid: &refid,
            offset_s: answered(peer.offset_s),
            delay_s: answered(peer.delay_s),
            dispersion_s: answered(peer.dispersion_s),
            ..peer
        }));
    }
}

impl Session {
    /// `configured, master, sane, valid`
    fn states(&mut self, states: &str) {
        let is = |wanted: &[&str]| states.split(',').any(|state| wanted.contains(&state.trim()));
        self.peer.tally = if is(&["master"]) {
            Some('*')
        } else if is(&["selected"]) {
            Some('+')
        } else {
            None
        };
        let bad = is(&["insane", "invalid"]);
        self.peer.accepted = (bad || is(&["sane", "valid"])).then_some(!bad);
    }

    /// Whether the label is known; `None` where its value is not what it must be.
    fn field(&mut self, label: &str, value: &str, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<bool> {
        let source = self.source.as_str();
        let name = match label {
            "clock stratum" => {
                self.peer.stratum = Some(stratum(value)?);
                return Some(true);
            }
            "reference clock id" | "reference" => {
                if value != "none" {
                    value.clone_into(&mut self.refid);
                }
                return Some(true);
            }
            // Decimal; the manuals' examples have 255.
            "reach" | "reachabilities" => {
                self.peer.reach = Some(value.parse().ok()?);
                return Some(true);
            }
            "current poll" | "poll interval" => {
                // Seconds in the short list, a power of two in the long one, where no poll is more than 17.
                let poll = leading(value)?;
                self.peer.poll_s = Some(if poll <= 17.0 { poll.exp2() } else { poll });
                return Some(true);
            }
            "local poll" | "local poll interval" => {
                self.peer.poll_s = Some(leading(value).filter(|log| (0.0..=17.0).contains(log))?.exp2());
                return Some(true);
            }
            "offset" => {
                self.peer.offset_s = Some(seconds(value)?);
                return Some(true);
            }
            "delay" | "roundtrip delay" => {
                self.peer.delay_s = Some(seconds(value)?);
                return Some(true);
            }
            "disper" | "dispersion" => {
                self.peer.dispersion_s = Some(seconds(value)?);
                return Some(true);
            }
            "root delay" | "root roundtrip delay" => {
                self.peer.root_delay_s = Some(seconds(value)?);
                return Some(true);
            }
            "root disper" | "root dispersion" => {
                self.peer.root_dispersion_s = Some(seconds(value)?);
                return Some(true);
            }
            "reftime" | "orgtime" | "rcvtime" | "xmttime" => {
                let name = match label {
                    "reftime" => "reftime",
                    "orgtime" => "org",
                    "rcvtime" => "rec",
                    _ => "xmt",
                };
                variable(rows, line.at, source, name, stamp(value).unwrap_or_default());
                return Some(true);
            }
            "local mode" => "our_mode",
            "peer mode" => "peer_mode",
            "precision" => "precision",
            "version" => "packet_version",
            "sync dist" | "sync distance" => "rootdist",
            "peer interface" | "source interface" => "interface",
            "vpn instance" => "vrf",
            "reference clock status" => "reference_clock_status",
            "peer poll"
            | "peer poll interval"
            | "now"
            | "last receive time"
            | "sync state"
            | "session id"
            | "filter delay"
            | "filter offset"
            | "filter disper"
            | "roundtrip delay samples"
            | "offset samples"
            | "filter order"
            | "total sessions"
            | "total associations" => return Some(true),
            // The line that opened the session.
            _ => return Some(false),
        };
        variable(rows, line.at, source, name, if value == "Not specified" { "" } else { value });
        Some(true)
    }
}
