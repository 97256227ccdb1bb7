//! `conntrack -L`: the connections that a Linux router tracks, with the translation that each got.

use super::{Block, Form, Line, Taken};
use crate::model::{Event, Flow, Row, What};
use std::net::IpAddr;

/// What this module reads.
pub const FORMS: &[Form] = &[LIST];

/// `conntrack -L`, with or without `-o extended`, and the per-processor lines of `conntrack -S`.
const LIST: Form = Form { name: "conntrack -L", opens, block: || Box::new(List) };

fn opens(line: &str) -> bool {
    line.starts_with("conntrack v") || is_statistics(line) || flow_words(line).is_some()
}

fn is_statistics(line: &str) -> bool {
    line.starts_with("cpu=") && line.contains("found=")
}

/// The words after the protocol, where the line is a UDP flow.
fn flow_words(line: &str) -> Option<&str> {
    let udp = line.strip_prefix("udp").or_else(|| {
        let rest = line.strip_prefix("ipv4").or_else(|| line.strip_prefix("ipv6"))?;
        rest.trim_start().split_once(char::is_whitespace)?.1.trim_start().strip_prefix("udp")
    })?;
    (udp.contains(" src=") && udp.contains(" dport=")).then_some(udp)
}

struct List;

impl Block for List {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.starts_with("conntrack v") || is_statistics(line.text) {
            return Taken::Yes;
        }
        let Some(words) = flow_words(line.text) else {
            // Flows of other protocols are tracked too, and say nothing about NTP.
            let other = line.text.contains(" src=") && line.text.contains(" dst=");
            return if other { Taken::Yes } else { Taken::No };
        };
        match flow(words) {
            Some(flow) => {
                rows(Row::Event(Event { at: line.at, what: What::Flow(flow) }));
                Taken::Yes
            }
            None => Taken::Rejected("a flow needs src, dst, sport and dport in both directions".into()),
        }
    }
}

fn flow(words: &str) -> Option<Flow> {
    let (mut addresses, mut ports) = (Vec::with_capacity(4), Vec::with_capacity(4));
    for (key, value) in words.split_whitespace().filter_map(|w| w.split_once('=')) {
        match key {
            "src" | "dst" => addresses.push(value.parse::<IpAddr>().ok()?),
            "sport" | "dport" => ports.push(value.parse::<u16>().ok()?),
            _ => {}
        }
    }
    let (&[a, b, c, d], &[p, q, r, s]) = (&addresses[..], &ports[..]) else { return None };
    let replied = !words.contains("[UNREPLIED]");
    Some(Flow { source: (a, p), destination: (b, q), reply_source: (c, r), reply_destination: (d, s), replied })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masqueraded_flow_keeps_both_directions() {
        let line = "udp      17 29 src=192.0.2.13 dst=198.51.100.2 sport=123 dport=123 [UNREPLIED] \
                    src=198.51.100.2 dst=198.51.100.1 sport=123 dport=108 mark=0 use=1";
        let got = flow(flow_words(line).expect("a flow")).expect("both directions");
        assert_eq!((got.source.1, got.reply_destination.1, got.replied), (123, 108, false));
    }
}
