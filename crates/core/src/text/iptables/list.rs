//! `iptables -L`, with or without `-v`, `-n`, `-x` and `--line-numbers` (iptables(8); iptables/iptables.c print_firewall).

use super::super::{Block, Form, Line, Taken};
use super::{hook, rule};
use crate::model::{Action, Event, FilterRule, Row, What};

/// `iptables -L`, `ip6tables -L`.
pub const LIST: Form =
    Form { name: "iptables -L", opens: |line| chain(line).is_some(), block: || Box::new(List::default()) };

/// `Chain INPUT (policy DROP 12 packets, 3456 bytes)`, `Chain DOCKER (1 references)`: chain, policy and packets.
fn chain(line: &str) -> Option<(&str, &str, Option<u64>)> {
    let (name, rest) = line.strip_prefix("Chain ")?.split_once(" (")?;
    let inside = rest.split_once(')')?.0;
    let mut words = inside.split_ascii_whitespace();
    match (words.next()?, words.next()?) {
        ("policy", policy) => Some((name, policy, words.next().and_then(count))),
        (_, "references" | "references,") => Some((name, "-", None)),
        _ => None,
    }
}

/// `47`, or in thousands as without `-x`: `1234K`, `12M`, `3G`.
fn count(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let scale = match &text[digits.len()..] {
        "" => 1,
        "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

#[derive(Default)]
struct List {
    hook: &'static str,
    /// Columns before the target: `num`, `pkts` and `bytes`.
    numbered: bool,
    counted: bool,
}

impl Block for List {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_start();
        let mut give = |hook: &str, action, packets| {
            rows(Row::Event(Event { at: line.at, what: What::Rule(FilterRule { hook, text, action, packets }) }));
        };
        if let Some((name, policy, packets)) = chain(text) {
            self.hook = hook(name);
            if policy == "DROP" {
                give(self.hook, Action::Drop, packets);
            }
            return Taken::Yes;
        }
        if text.is_empty() || text.starts_with('#') {
            return Taken::Yes;
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.contains(&"target") && words.contains(&"prot") {
            (self.numbered, self.counted) = (words[0] == "num", words.contains(&"pkts"));
            return Taken::Yes;
        }
        let before = usize::from(self.numbered) + 2 * usize::from(self.counted);
        // A rule without a target has nothing in its column.
        let at = |index: usize| words.get(index).copied().unwrap_or_default();
        let Some(protocol) = [before + 1, before].into_iter().find(|index| is_protocol(at(*index))) else {
            return Taken::No;
        };
        let counts = self.counted.then(|| count(at(before - 2)).zip(count(at(before - 1))));
        if counts == Some(None) {
            return Taken::Rejected("expected counts of packets and bytes before a rule".into());
        }
        if words.len() < protocol + 3 {
            return Taken::Rejected("expected target, protocol, source and destination".into());
        }
        let action = (protocol > before).then(|| action(at(before), &words[protocol..])).flatten();
        if let Some(action) = action {
            give(self.hook, action, counts.flatten().map(|(packets, _)| packets));
        }
        Taken::Yes
    }
}

/// A protocol by name or number.
fn is_protocol(word: &str) -> bool {
    let word = word.trim_start_matches('!');
    let names = [
        "all",
        "tcp",
        "udp",
        "udplite",
        "icmp",
        "icmpv6",
        "ipv6-icmp",
        "esp",
        "ah",
        "sctp",
        "gre",
        "igmp",
        "vrrp",
        "ospf",
        "dccp",
        "ipv6",
        "ipencap",
        "pim",
    ];
    names.contains(&word) || word.parse::<u8>().is_ok()
}

/// What a rule does, where NTP packets may meet it: from the protocol on.
fn action(target: &str, words: &[&str]) -> Option<Action> {
    let (protocol, rest) = words.split_first()?;
    if !rule::may_be_udp(protocol) {
        return None;
    }
    let after = |word: &str, prefix: &str| word.strip_prefix(prefix).map(str::to_owned);
    let single = rest.iter().filter_map(|word| ["spt:", "dpt:", "spts:", "dpts:"].iter().find_map(|p| after(word, p)));
    let lists =
        rest.windows(2).filter(|pair| matches!(pair[0], "dports" | "sports" | "ports")).map(|pair| pair[1].to_owned());
    let ports: Vec<String> = single.chain(lists).collect();
    if !ports.is_empty() && !ports.iter().any(|ports| rule::may_be_ntps(ports)) {
        return None;
    }
    // `masq ports: 1024-65535`, `to:192.0.2.1:1024-65535`
    let masq = || rest.iter().skip_while(|word| **word != "ports:").nth(1).copied();
    let to = || masq().or_else(|| rest.iter().find_map(|word| word.strip_prefix("to:")));
    rule::action(target, to, rest.iter().any(|word| matches!(*word, "random" | "random-fully")))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn columns_follow_the_header() {
        let text = "Chain INPUT (policy DROP 12K packets, 3456K bytes)\n pkts bytes target     prot opt in     out     source               destination\n\
                    \x20  47  3290 DROP       udp  --  *      *       0.0.0.0/0            0.0.0.0/0            udp spt:!123 dpt:123\n\
                    \x20   1    76            udp  --  *      *       0.0.0.0/0            0.0.0.0/0\n\
                    \x20   1    76 DROP       17       *      *       ::/0                 ::/0                 udp dpt:53\n\
                    \x20   x    76 DROP       udp  --  *      *       0.0.0.0/0            0.0.0.0/0\n\n\
                    Chain POSTROUTING (policy ACCEPT)\nnum  target     prot opt source               destination\n\
                    1    MASQUERADE  all  --  192.0.2.0/24         0.0.0.0/0            masq ports: 1024-65535 random\nend\n";
        let (rows, rejects, _) = read(text);
        let want = [
            "rule subject=input name=drop value=12000 text=Chain INPUT (policy DROP 12K packets, 3456K bytes)",
            "rule subject=input name=drop value=47 text=47  3290 DROP       udp  --  *      *       0.0.0.0/0            0.0.0.0/0            udp spt:!123 dpt:123",
            "rule subject=postrouting name=translate_source text=1    MASQUERADE  all  --  192.0.2.0/24         0.0.0.0/0            masq ports: 1024-65535 random",
        ];
        assert_eq!(rows, want);
        assert_eq!(
            rejects,
            ["line 6: expected counts of packets and bytes before a rule", "line 11: no reader knows this line"]
        );
    }
}
