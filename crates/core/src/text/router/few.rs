//! Answers of a few lines: FortiOS' `diagnose sys ntp status`, PAN-OS' `show ntp`.

use super::{Answer, kept, seconds, stamp, stratum, variable};
use crate::model::{Clock, Peer, Row};
use crate::text::{Block, Form, Line, Taken};

/// FortiOS' `diagnose sys ntp status`.
pub const FORTIOS: Form = Form {
    name: "diagnose sys ntp status",
    opens: |line| {
        super::asked(line, ASK_FORTIOS) || line.trim_start().starts_with("synchronized: ") && line.contains("ntpsync: ")
    },
    block: || Answer::to(ASK_FORTIOS, Fortios::default()),
};

const ASK_FORTIOS: &[&str] = &["diagnose sys ntp status", "get system ntp status"];

#[derive(Default)]
struct Fortios {
    /// The address of a server, and its row.
    open: Option<(String, Peer<'static>)>,
}

impl Block for Fortios {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim();
        if bare.is_empty() || bare.starts_with("HA ") {
            return Taken::Yes;
        }
        if let Some((state, _)) = bare.strip_prefix("synchronized: ").and_then(|rest| rest.split_once(',')) {
            self.end(rows);
            rows(Row::Clock(Clock { leap: Some(if state == "yes" { 0 } else { 3 }), ..Clock::new(line.at) }));
            return Taken::Yes;
        }
        if let Some((name, rest)) = ["ipv4 server(", "ipv6 server("]
            .iter()
            .find_map(|begin| bare.strip_prefix(begin))
            .and_then(|rest| rest.split_once(") "))
        {
            self.end(rows);
            return self.server(line, name, rest, rows);
        }
        let Some((source, peer)) = &mut self.open else { return Taken::No };
        let mut met = false;
        for piece in bare.split(", ") {
            let value = |label: &str| piece.trim().strip_prefix(label);
            if let Some(st) = value("stratum=") {
                peer.stratum = stratum(st);
            } else if let Some(delay) = value("root delay is ") {
                peer.root_delay_s = seconds(delay);
            } else if let Some(dispersion) = value("root dispersion is ") {
                peer.root_dispersion_s = seconds(dispersion);
            } else if let Some(dispersion) = value("peer dispersion is ") {
                peer.dispersion_s = seconds(dispersion);
            } else if let Some(offset) = value("clock offset is ") {
                // No manual says which way it counts.
                variable(rows, line.at, source, "clock_offset_s", offset.split(' ').next().unwrap_or_default());
            } else if let Some(time) = value("reference time is ") {
                variable(rows, line.at, source, "reftime", stamp(time).unwrap_or_default());
            } else if let Some(version) = value("server-version=") {
                variable(rows, line.at, source, "packet_version", version);
            } else {
                continue;
            }
            met = true;
        }
        if met || bare == "no data" { Taken::Yes } else { Taken::No }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some((source, peer)) = self.open.take() {
            rows(Row::Peer(Peer { source: &source, ..peer }));
        }
    }
}

impl Fortios {
    /// `192.0.2.1 -- reachable(0xff) S:1 T:6 selected`
    fn server(&mut self, line: Line<'_>, name: &str, rest: &str, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let (address, state) = rest.split_once(" -- ").unwrap_or((name, rest));
        let register = state.split_once("(0x").and_then(|(_, rest)| rest.split_once(')'));
        let reach = register.map(|(hex, _)| u8::from_str_radix(hex, 16));
        if let Some(Err(_)) = reach {
            return Taken::Rejected("reach is not hexadecimal 0 to ff".into());
        }
        let tally = state.ends_with("selected").then_some('*');
        let peer = Peer { tally, reach: reach.and_then(Result::ok), ..Peer::new(kept(line.at), "") };
        variable(rows, line.at, address.trim(), "srchost", if name == address.trim() { "" } else { name });
        self.open = Some((address.trim().to_owned(), peer));
        Taken::Yes
    }
}

/// PAN-OS' `show ntp`.
pub const PANOS: Form =
    Form { name: "show ntp (PAN-OS)", opens: |line| line.trim() == "NTP state:", block: || Box::new(Panos::default()) };

#[derive(Default)]
struct Panos {
    open: Option<(String, Peer<'static>)>,
}

impl Block for Panos {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim();
        if matches!(bare, "" | "NTP state:") {
            return Taken::Yes;
        }
        if let Some(source) = bare.strip_prefix("NTP synched to ") {
            // `LOCAL` is the firewall's own clock: nobody is followed.
            let leap = Some(if source == "LOCAL" { 3 } else { 0 });
            rows(Row::Clock(Clock {
                source: if source == "LOCAL" { "" } else { source },
                leap,
                ..Clock::new(line.at)
            }));
            return Taken::Yes;
        }
        if bare == "NTP not synched" || bare.starts_with("NTP not synched") {
            rows(Row::Clock(Clock { leap: Some(3), ..Clock::new(line.at) }));
            return Taken::Yes;
        }
        let Some((label, value)) = bare.split_once(':') else { return Taken::No };
        let value = value.trim();
        match (label, &mut self.open) {
            ("NTP server" | "NTP server 1" | "NTP server 2", _) => {
                self.end(rows);
                self.open = Some((value.to_owned(), Peer::new(kept(line.at), "")));
            }
            ("status", Some((source, peer))) => {
                peer.tally = match value {
                    "synched" => Some('*'),
                    "available" => Some('+'),
                    "rejected" => Some(' '),
                    _ => None,
                };
                variable(rows, line.at, source, "condition", value);
            }
            ("reachable", Some((source, _))) => variable(rows, line.at, source, "reachable", value),
            ("authentication-type" | "key-id", Some(_)) => {}
            _ => return Taken::No,
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some((source, peer)) = self.open.take() {
            rows(Row::Peer(Peer { source: &source, ..peer }));
        }
    }
}
