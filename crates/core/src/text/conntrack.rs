//! `conntrack -L`, `conntrack -E` and `/proc/net/nf_conntrack`: the connections that a Linux router tracks, with the
//! translation that each got; `conntrack -S`: what tracking itself lost (conntrack(8), nf_conntrack_standalone.c).

use super::field::nanoseconds;
use super::{Block, Form, Line, Taken};
use crate::model::{At, Counter, Event, Flow, Row, What};
use crate::time::Time;
use std::net::IpAddr;

/// What this module reads.
pub const FORMS: &[Form] = &[LIST];

/// `conntrack -L` and `-E`, with any `-o` but `xml` and `save`, and the lines of `conntrack -S`, one for each processor.
const LIST: Form = Form { name: "conntrack -L", opens, block: || Box::new(List) };

fn opens(line: &str) -> bool {
    line.starts_with("conntrack v") || is_statistics(line) || flow_words(event(line).1).is_some()
}

fn is_statistics(line: &str) -> bool {
    line.starts_with("cpu=") && line.contains("found=")
}

/// When an event was told (`-o timestamp`), and the flow after `[NEW]`, `[UPDATE]` or `[DESTROY]`.
fn event(line: &str) -> (Option<Time>, &str) {
    let mut rest = line.trim_start();
    let mut time = None;
    for _ in 0..2 {
        let Some((word, after)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) else { break };
        match nanoseconds(word.trim()) {
            Some(ns) if word.contains('.') => time = Some(Time(ns)),
            _ if matches!(word, "NEW" | "UPDATE" | "DESTROY") => {}
            _ => break,
        }
        rest = after.trim_start();
    }
    (time, rest)
}

/// The words after the protocol, where the line is a UDP flow: `udp 17 29 src=…`, `ipv4 2 udp 17 29 src=…`.
fn flow_words(line: &str) -> Option<&str> {
    let udp = line.strip_prefix("udp ").or_else(|| {
        let rest = line.strip_prefix("ipv4").or_else(|| line.strip_prefix("ipv6"))?;
        rest.trim_start().split_once(char::is_whitespace)?.1.trim_start().strip_prefix("udp ")
    })?;
    (udp.contains(" src=") && udp.contains(" dport=")).then_some(udp)
}

struct List;

impl Block for List {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_statistics(line.text) {
            return statistics(line, rows);
        }
        if line.text.starts_with("conntrack v") || line.text.is_empty() {
            return Taken::Yes;
        }
        let (time, bare) = event(line.text);
        let Some(words) = flow_words(bare) else {
            // Flows of other protocols are tracked too, and say nothing about NTP.
            let other = line.text.contains(" src=") && line.text.contains(" dst=");
            return if other { Taken::Yes } else { Taken::No };
        };
        match flow(words) {
            Some(flow) => {
                rows(Row::Event(Event { at: At { time, ..line.at }, what: What::Flow(flow) }));
                Taken::Yes
            }
            None => Taken::Rejected("a flow needs src, dst, sport and dport in both directions".into()),
        }
    }
}

/// `cpu=0 found=88 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 …`
fn statistics(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
    let association = line.text.split_ascii_whitespace().next().unwrap_or_default();
    for (key, value) in line.text.split_ascii_whitespace().filter_map(|word| word.split_once('=')) {
        let name = match key {
            "insert_failed" => Counter::TrackInsertFailed,
            "drop" => Counter::TrackDrop,
            _ => continue,
        };
        let Ok(value) = value.parse() else { return Taken::Rejected(format!("expected a count after `{key}=`")) };
        rows(Row::Event(Event { at: line.at, what: What::Counter { association, name, value, over_s: None } }));
    }
    Taken::Yes
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
    use super::super::tests::{counters, read};

    #[test]
    fn a_masqueraded_flow_keeps_both_directions_in_every_layout() {
        let flow = "src=192.0.2.13 dst=198.51.100.2 sport=123 dport=123 packets=1 bytes=76 [UNREPLIED] \
                    src=198.51.100.2 dst=198.51.100.1 sport=123 dport=108 packets=0 bytes=0 mark=0 zone=1 use=1";
        let want = "subject=192.0.2.13 text=192.0.2.13:123 to 198.51.100.2:123 as 198.51.100.1:108 to 198.51.100.2:123, not answered";
        for before in [
            "udp      17 29 ",
            "ipv4     2 udp      17 29 ",
            "    [NEW] udp      17 30 ",
            "[DESTROY] ipv4     2 udp      17 ",
        ] {
            assert_eq!(read(&format!("{before}{flow}\n")).0, [format!("flow {want}")], "{before}");
        }
        let timed = read(&format!("[1795345476.508012]\t [UPDATE] udp      17 30 {flow}\n")).0;
        assert_eq!(timed, [format!("time=2026-11-22T11:04:36.508012Z flow {want}")]);
    }

    #[test]
    fn tracking_counts_what_it_lost() {
        let text = "cpu=0   \tfound=88 invalid=0 insert=0 insert_failed=1 drop=2 early_drop=0 error=0 search_restart=0\n\
                    udp      17 29 src=192.0.2.13 dst=198.51.100.2 sport=123 dport=123\n";
        assert_eq!(counters(text), ["subject=cpu=0 name=insert_failed value=1", "subject=cpu=0 name=drop value=2"]);
        assert_eq!(read(text).1, ["line 2: a flow needs src, dst, sport and dport in both directions"]);
    }
}
