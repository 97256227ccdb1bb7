//! MikroTik's RouterOS 6 and 7: `/system/ntp/client/print`, labels whose colons stand below each other.

use super::{Answer, kept, variable};
use crate::model::{Clock, Daemon, Event, Row, What};
use crate::text::{Block, Form, Line, Taken};

/// `/system/ntp/client/print`.
pub const CLIENT: Form = Form {
    name: "/system/ntp/client/print",
    opens: |line| super::asked(line, COMMANDS) || is_first(line),
    block: || Answer::to(COMMANDS, Client::default()),
};

const COMMANDS: &[&str] = &["/system ntp client print", "/system/ntp/client/print", "system ntp client print"];

/// `enabled: yes`, moved right so that its colon stands below the others.
fn is_first(line: &str) -> bool {
    line.starts_with("      ") && matches!(line.trim(), "enabled: yes" | "enabled: no")
}

#[derive(Default)]
struct Client {
    open: Option<(String, Clock<'static>)>,
    /// Whether more servers may follow, a line each.
    servers: bool,
}

impl Block for Client {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim();
        if is_first(line.text) {
            self.end(rows);
            self.open = Some((String::new(), Clock::new(kept(line.at))));
            return Taken::Yes;
        }
        let Some((source, clock)) = &mut self.open else { return Taken::No };
        let Some((label, value)) = bare.split_once(": ").or_else(|| bare.strip_suffix(':').map(|label| (label, "")))
        else {
            if self.servers && super::is_source(bare) {
                servers(line, bare, rows);
                return Taken::Yes;
            }
            return Taken::No;
        };
        self.servers = label == "servers";
        match label {
            "servers" => servers(line, value, rows),
            "mode" | "vrf" | "poll-interval" => {}
            // RouterOS 6.
            "primary-ntp" | "secondary-ntp" if value == "0.0.0.0" => {}
            "primary-ntp" | "secondary-ntp" | "server-dns-names" | "dynamic-servers" => servers(line, value, rows),
            "active-server" => value.clone_into(source),
            "last-update-from"
            | "last-update-before"
            | "last-bad-packet-from"
            | "last-bad-packet-before"
            | "last-bad-packet-reason" => variable(rows, line.at, "", label, value),
            "last-adjustment" => variable(rows, line.at, "", "last_adjustment", value),
            "status" => {
                clock.leap = Some(if value == "synchronized" { 0 } else { 3 });
                variable(rows, line.at, "", "status", value);
            }
            "synced-server" => value.clone_into(source),
            // Of the server, not of the router.
            "synced-stratum" => match super::stratum(value) {
                Some(_) => variable(rows, line.at, source, "stratum", value),
                None => return Taken::Rejected(format!("stratum `{value}` is not 0 to 16")),
            },
            // The manual does not say which way these count, and none was at hand to measure.
            "freq-drift" => variable(rows, line.at, "", "freq_drift", value),
            "system-offset" => variable(rows, line.at, "", "system_offset", value),
            _ => return Taken::No,
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        self.servers = false;
        if let Some((source, clock)) = self.open.take() {
            rows(Row::Clock(Clock { source: &source, ..clock }));
        }
    }
}

fn servers(line: Line<'_>, list: &str, rows: &mut dyn FnMut(Row<'_>)) {
    for rest in list.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        let what = What::Directive { daemon: Daemon::Router, keyword: "server", rest };
        rows(Row::Event(Event { at: line.at, what }));
    }
}
