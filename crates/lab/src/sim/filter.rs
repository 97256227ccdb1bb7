//! A host's packet filter.

use super::ip::Packet;
use crate::world;
use std::fmt::Write;

/// NTP's port.
const NTP: u16 = 123;

/// A rule, and what it has dropped.
pub struct Filter {
    said: world::Filter,
    packets: u64,
    bytes: u64,
}

/// What a filter does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Passes,
    /// It is dropped.
    Dropped,
    /// It is dropped, and the sender is told.
    Rejected,
}

/// Asks all rules of a host.
pub fn judge(filters: &mut [Filter], packet: &Packet) -> Verdict {
    match filters.iter_mut().find(|filter| filter.matches(packet)) {
        None => Verdict::Passes,
        Some(filter) => {
            filter.packets += 1;
            filter.bytes += packet.bytes().len() as u64;
            if filter.said.rejects { Verdict::Rejected } else { Verdict::Dropped }
        }
    }
}

impl Filter {
    /// A rule as the world says it.
    #[must_use]
    pub fn new(said: &world::Filter) -> Filter {
        Filter { said: said.clone(), packets: 0, bytes: 0 }
    }

    /// Conditions on ports are asked of requests alone: before them stands `ct state established accept`.
    fn matches(&self, packet: &Packet) -> bool {
        let Some(mode) = packet.mode() else { return false };
        let said = &self.said;
        let port = packet.source.port();
        let within = |(first, last): (u16, u16)| (first..=last).contains(&port);
        let by_port = said.source_ports.is_some() || said.only_source_ports.is_some();
        let is_request = packet.destination.port() == NTP && !matches!(mode, 2 | 4 | 5);
        (!by_port || is_request)
            && said.source_ports.is_none_or(within)
            && said.only_source_ports.is_none_or(|ports| !within(ports))
            && said.longer_than.is_none_or(|length| packet.length() > usize::from(length))
            && said.dscp.is_none_or(|dscp| packet.dscp == dscp)
            && said.ttl_below.is_none_or(|ttl| packet.ttl < ttl)
            && said.to.is_none_or(|to| packet.destination.ip() == to)
    }

    /// The rule in nft's words.
    fn rule(&self) -> String {
        let said = &self.said;
        let mut rule = String::new();
        if said.source_ports.is_some() || said.only_source_ports.is_some() {
            rule.push_str("udp dport 123 ");
        }
        let range = |(first, last): (u16, u16)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let mut add = |words: String| {
            let _ = write!(rule, "{words} ");
        };
        if let Some(ports) = said.source_ports {
            add(format!("udp sport {}", range(ports)));
        }
        if let Some(ports) = said.only_source_ports {
            add(format!("udp sport != {}", range(ports)));
        }
        if let Some(length) = said.longer_than {
            // The field counts UDP's own 8 bytes.
            add(format!("udp length > {}", length + 8));
        }
        if let Some(dscp) = said.dscp {
            add(format!("ip dscp 0x{dscp:02x}"));
        }
        if let Some(ttl) = said.ttl_below {
            add(format!("ip ttl < {ttl}"));
        }
        if let Some(to) = said.to {
            add(format!("ip daddr {to}"));
        }
        let verdict = if said.rejects { "reject with icmp admin-prohibited" } else { "drop" };
        format!("{rule}counter packets {} bytes {} {verdict}", self.packets, self.bytes)
    }
}

/// All rules of a host, as `nft list ruleset` prints them.
#[must_use]
pub fn ruleset(filters: &[Filter], forwards: bool) -> String {
    if filters.is_empty() {
        return String::new();
    }
    let hook = if forwards { "forward" } else { "input" };
    let by_port = filters.iter().any(|f| f.said.source_ports.is_some() || f.said.only_source_ports.is_some());
    let mut text = format!("table ip f {{\n\tchain {hook} {{\n");
    let _ = writeln!(text, "\t\ttype filter hook {hook} priority filter; policy accept;");
    if !forwards {
        // A host asks its own daemon.
        text.push_str("\t\tiifname \"lo\" accept\n");
    }
    // What is asked of both directions stands first.
    let (ports, both): (Vec<_>, Vec<_>) =
        filters.iter().partition(|f| f.said.source_ports.is_some() || f.said.only_source_ports.is_some());
    for filter in both {
        let _ = writeln!(text, "\t\t{}", filter.rule());
    }
    if by_port {
        text.push_str("\t\tct state established,related accept\n");
    }
    for filter in ports {
        let _ = writeln!(text, "\t\t{}", filter.rule());
    }
    text.push_str("\t}\n}\n");
    text
}
