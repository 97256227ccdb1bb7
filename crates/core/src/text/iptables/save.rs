//! `iptables-save`, with or without counters (`-c`), and `iptables -S` (iptables-save(8); iptables/iptables.c).

use super::super::{Block, Form, Line, Taken};
use super::{hook, rule};
use crate::model::{Action, Event, FilterRule, Row, What};

/// `iptables-save`, `ip6tables-save`, `iptables -S`.
pub const SAVE: Form = Form { name: "iptables-save", opens, block: || Box::new(Save) };

const TABLES: [&str; 5] = ["*filter", "*nat", "*mangle", "*raw", "*security"];

fn opens(line: &str) -> bool {
    let line = line.trim_start();
    TABLES.contains(&line)
        || policy(line).is_some()
        || counters(line).is_some_and(|(_, rule)| {
            rule.starts_with("-A ") && [" -j ", " -m ", " -g "].iter().any(|word| rule.contains(word))
        })
}

/// `:INPUT DROP [12:3456]`, `:DOCKER - [0:0]`, `-P INPUT DROP` or `-P INPUT DROP -c 12 3456`: chain, policy and packets.
fn policy(line: &str) -> Option<(&str, &str, Option<u64>)> {
    let counted = line.strip_prefix(':');
    let mut words = counted.or_else(|| line.strip_prefix("-P "))?.split_ascii_whitespace();
    let (chain, policy) = (words.next()?, words.next()?);
    let packets = match words.take(4).collect::<Vec<_>>()[..] {
        [] => None,
        [counts] => Some(counts.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?.0.parse().ok()?),
        ["-c", packets, _] => Some(packets.parse().ok()?),
        _ => return None,
    };
    matches!(policy, "ACCEPT" | "DROP" | "QUEUE" | "-").then_some((chain, policy, packets))
}

/// `[47:3290] -A …`: packets and the rule.
fn counters(line: &str) -> Option<(Option<u64>, &str)> {
    let Some(rest) = line.strip_prefix('[') else { return Some((None, line)) };
    let (counts, rule) = rest.split_once("] ")?;
    let (packets, bytes) = counts.split_once(':')?;
    bytes.parse::<u64>().ok()?;
    Some((Some(packets.parse().ok()?), rule))
}

struct Save;

impl Block for Save {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_start();
        if text.is_empty()
            || text.starts_with('#')
            || TABLES.contains(&text)
            || text == "COMMIT"
            || text.starts_with("-N ")
        {
            return Taken::Yes;
        }
        let mut give = |hook: &str, action, packets| {
            rows(Row::Event(Event { at: line.at, what: What::Rule(FilterRule { hook, text, action, packets }) }));
        };
        if let Some((chain, policy, packets)) = policy(text) {
            if policy == "DROP" {
                give(hook(chain), Action::Drop, packets);
            }
            return Taken::Yes;
        }
        if !text.starts_with([':', '[', '-']) || text.starts_with("--") {
            return Taken::No;
        }
        let Some((packets, bare)) = counters(text) else {
            return Taken::Rejected("expected [packets:bytes] before a rule".into());
        };
        let Some(chain) = bare.strip_prefix("-A ").and_then(|rest| rest.split_ascii_whitespace().next()) else {
            return Taken::Rejected("expected a chain's policy or a rule".into());
        };
        // `iptables -S -v` has the counts inside the rule.
        let inside = || words(bare).skip_while(|word| *word != "-c").nth(1)?.parse().ok();
        if let Some(action) = action(bare) {
            give(hook(chain), action, packets.or_else(inside));
        }
        Taken::Yes
    }
}

/// What a rule does, where NTP packets may meet it.
fn action(rule: &str) -> Option<Action> {
    let words: Vec<&str> = words(rule).collect();
    // The value of an option; a `!` before the option (or, in old versions, after it) is kept as a sign.
    let value = |names: &[&str]| {
        let at = words.iter().position(|word| names.contains(word))?;
        let not = at.checked_sub(1).and_then(|before| words.get(before)) == Some(&"!");
        let value = *words.get(at + 1)?;
        Some(if not { "!" } else { value })
    };
    if value(&["-p", "--protocol"]).is_some_and(|protocol| !rule::may_be_udp(protocol)) {
        return None;
    }
    let all = ["--dport", "--sport", "--dports", "--sports", "--ports", "--destination-port", "--source-port"];
    let ports: Vec<&str> = all.iter().filter_map(|name| value(&[name])).collect();
    if !ports.is_empty() && !ports.iter().any(|ports| rule::may_be_ntps(ports)) {
        return None;
    }
    let target = value(&["-j", "--jump"])?;
    let to = || value(&["--to-ports", "--to-source", "--to"]);
    rule::action(target, to, words.iter().any(|word| matches!(*word, "--random" | "--random-fully")))
}

/// Words, where a quoted comment is one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |c: char| {
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        c == ' ' && !quoted
    });
    parts.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;
    use super::*;

    #[test]
    fn rules_that_ntp_may_meet_are_kept() {
        let of = |rule: &str| action(rule);
        let nat = |ports, random| Some(Action::TranslateSource { ports, random });
        assert_eq!(of("-A POSTROUTING -o out0 -j MASQUERADE"), nat(None, false));
        assert_eq!(
            of("-A POSTROUTING -p udp -j MASQUERADE --to-ports 1024-65535 --random-fully"),
            nat(Some((1024, 65535)), true)
        );
        assert_eq!(
            of("-A POSTROUTING -p udp -j SNAT --to-source 192.0.2.1-192.0.2.9:123-511 --random"),
            nat(Some((123, 511)), true)
        );
        assert_eq!(of("-A POSTROUTING -j SNAT --to-source 2001:db8::1"), nat(None, false));
        assert_eq!(of("-A POSTROUTING -p tcp -j MASQUERADE"), None);
        assert_eq!(
            of("-A PREROUTING -p udp -m udp --dport 123 -j REDIRECT --to-ports 123"),
            Some(Action::TranslateDestination)
        );
        for drop in [
            "-p udp -m udp ! --sport 123 --dport 123",
            "-m limit --limit 5/sec",
            "-p udp -m multiport --dports 53,123",
            "-p udp --dport 1024:65535",
        ] {
            assert_eq!(of(&format!("-A INPUT {drop} -j DROP")), Some(Action::Drop), "{drop}");
        }
        for other in ["-p udp -m udp --dport 53", "-p icmp", "-p udp -m multiport --ports 53,67:68"] {
            assert_eq!(of(&format!("-A INPUT {other} -j REJECT --reject-with icmp-port-unreachable")), None, "{other}");
        }
        assert_eq!(of("-A INPUT -m comment --comment \"to -j DROP\" -j ACCEPT"), None);
    }

    #[test]
    fn counters_and_policies_are_read() {
        let (rows, rejects, _) =
            read("*filter\n:INPUT DROP [12:3456]\n[47:3290] -A INPUT -p udp -j DROP\n[x:1] -A INPUT -j DROP\nCOMMIT\n");
        let want = [
            "rule subject=input name=drop value=12 text=:INPUT DROP [12:3456]",
            "rule subject=input name=drop value=47 text=[47:3290] -A INPUT -p udp -j DROP",
        ];
        assert_eq!(rows, want);
        let (listed, ..) = read("-P INPUT DROP -c 12 3456\n-A INPUT -p udp -c 47 3290 -j DROP\n");
        assert!(listed[0].contains("value=12 ") && listed[1].contains("value=47 "), "{listed:?}");
        assert_eq!(rejects, ["line 4: expected [packets:bytes] before a rule"]);
    }
}
