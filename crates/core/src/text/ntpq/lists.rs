//! What a daemon permits to whom, and the sockets that it has.

use super::super::{Block, Form, Line, Taken, is_rule};
use super::{gauge, variable, without_port};
use crate::model::Row;

/// `ntpq -c reslist`, and that of ntpdc, which has a line for each instead of two.
pub const RESLIST: Form = Form {
    name: "ntpq -c reslist",
    opens: |line| is_reslist(line) || is_old_reslist(line),
    block: || Box::new(Restrictions::default()),
};

/// `ntpq -c ifstats`, `ntpdc -c ifstats`.
pub const IFSTATS: Form = Form {
    name: "ntpq -c ifstats",
    opens: |line| {
        starts_with_words(line, &["interface", "name"]) || starts_with_words(line, &["#", "address/broadcast"])
    },
    block: || Box::new(Interfaces::default()),
};

fn starts_with_words(line: &str, want: &[&str]) -> bool {
    let mut words = line.split_whitespace();
    want.iter().all(|word| words.next() == Some(word))
        && (want != ["interface", "name"] || words.next() == Some("send"))
}

fn is_reslist(line: &str) -> bool {
    line.trim_start().starts_with("hits ") && line.ends_with("addr/prefix or addr mask")
}

fn is_old_reslist(line: &str) -> bool {
    line.split_whitespace().eq(["address", "mask", "count", "flags"])
}

#[derive(Default)]
struct Restrictions {
    /// Whether ntpdc printed the list.
    old: bool,
    /// The address whose restrictions are on the next line.
    address: Option<String>,
}

impl Block for Restrictions {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_reslist(line.text) || is_old_reslist(line.text) {
            self.old = is_old_reslist(line.text);
            return Taken::Yes;
        }
        if is_rule(line.text) || line.text.trim_start() == "restrictions" {
            return Taken::Yes;
        }
        let mut words = super::super::field::Words::of(line.text);
        if self.old {
            let [Some(address), Some(_), Some(count)] = [words.next(), words.next(), words.next()] else {
                return Taken::No;
            };
            if count.parse::<u64>().is_err() || !address.contains(['.', ':']) && address != "default" {
                return Taken::No;
            }
            variable(rows, line.at, address, "restrict", words.rest());
            return Taken::Yes;
        }
        if let Some(address) = self.address.take() {
            if !line.text.starts_with("       ") {
                return if line.text.is_empty() {
                    // No flag: everything is permitted.
                    variable(rows, line.at, &address, "restrict", "");
                    Taken::Yes
                } else {
                    Taken::No
                };
            }
            variable(rows, line.at, &address, "restrict", line.text.trim_start());
            return Taken::Yes;
        }
        let hits = words.next().is_some_and(|hits| hits.parse::<u64>().is_ok());
        let address = words.rest();
        if !hits || !address.contains(['.', ':']) {
            return Taken::No;
        }
        self.address = Some(address.to_owned());
        Taken::Yes
    }
}

#[derive(Default)]
struct Interfaces {
    /// The interface whose addresses are on the next lines.
    name: String,
}

impl Block for Interfaces {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if (IFSTATS.opens)(line.text) || is_rule(line.text) {
            return Taken::Yes;
        }
        let mut words = line.text.split_whitespace();
        let (Some(first), second) = (words.next(), words.next()) else { return Taken::No };
        let Some(name) = second else {
            if self.name.is_empty() || !line.text.starts_with("    ") || !first.contains(['.', ':']) {
                return Taken::No;
            }
            variable(rows, line.at, &self.name, "address", without_port(first));
            return Taken::Yes;
        };
        if first.parse::<u16>().is_err() {
            return Taken::No;
        }
        // From the right: uptime, peers, failed, sent, received. Left of them ntpq has a ttl, and NTPsec has none.
        let mut numbers = line.text.split_whitespace().rev().map(|word| word.parse::<f64>().ok());
        let (Some(Some(_)), Some(Some(_)), Some(Some(failed)), Some(Some(sent)), Some(Some(received))) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return Taken::Rejected("an interface needs received, sent, failed, peers and uptime".into());
        };
        self.name.clear();
        self.name.push_str(name);
        gauge(rows, line.at, name, "packets_received", received);
        gauge(rows, line.at, name, "packets_sent", sent);
        gauge(rows, line.at, name, "packets_failed", failed);
        Taken::Yes
    }
}
