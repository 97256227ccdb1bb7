//! Signs from a device on the way: its connection tracking, its rules that rewrite, its rules that drop.

use super::daemon::is_by_source_port;
use super::{Case, Examiner, ends, last_point};
use crate::model::Counter;
use crate::rules::{Evidence, Finding, Measure};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A counter that explains losses counts at least so much of them: it may have been looked at before the last.
const MOSTLY: f64 = 0.5;

impl Examiner<'_> {
    /// What the device where packets vanish says of itself.
    pub(super) fn device(&mut self, case: &mut Case) {
        let at = match (ends(case.symptom.locus), last_point(case.symptom.locus)) {
            (Some((from, _)), _) | (None, Some(from)) => from,
            _ => return,
        };
        let Some(host) = self.scene.host_of_point(at).map(str::to_owned) else { return };
        let inputs = self.scene.inputs_of(&host);
        let lost = case.symptom.total().n;
        if let Some((clashes, origin)) = self.rules.daemon.summed(&inputs, Counter::TrackInsertFailed) {
            let id = self.findings.add(Finding {
                rule: "nat",
                subject: host.clone(),
                statement: format!(
                    "{host}'s connection tracking failed to insert {clashes} flows; {lost} packets vanished"
                ),
                measures: vec![("insert_failed", Measure::Number(clashes as f64))],
                evidence: Evidence::at(origin),
                recipe: Some("conntrack -S, twice: insert_failed".into()),
            });
            case.weighed.hold("tracking-clashed", clashes > 0 && clashes as f64 >= MOSTLY * lost as f64, id);
        }
        self.translation(case, &host);
        self.rules_that_drop(case, &host, lost);
    }

    /// Whether the device rewrites, and has ports enough to do so.
    fn translation(&mut self, case: &mut Case, host: &str) {
        let inputs = self.scene.inputs_of(host);
        let listed = self.rules.nat.translations(&inputs).next().cloned();
        let seen = |server: IpAddr| self.rules.nat.seen().filter(move |(m, _)| m.server == server);
        let server = case.symptom.server;
        let here = seen(server).any(|(mapping, _)| {
            let on = |points: crate::exchange::Points| points.iter().any(|p| self.scene.host_of_point(p) == Some(host));
            on(mapping.before) && on(mapping.after)
        });
        let Some((rule, origin)) = listed else {
            if here {
                case.weighed.hold("rewrites", true, case.weighed.found);
            }
            return;
        };
        let mut clients: BTreeSet<IpAddr> = case.symptom.reached.keys().copied().collect();
        clients.extend(self.rules.nat.flows().iter().map(|(flow, _)| flow.source.0));
        let ports = rule.ports.map(|(from, to)| u64::from(to.saturating_sub(from)) + 1);
        let id = self.findings.add(Finding {
            rule: "nat",
            subject: host.to_owned(),
            statement: format!(
                "{host} rewrites sources (\"{}\"){}; {} clients ask {} through it",
                rule.text,
                ports.map_or(String::new(), |n| format!(" to {n} ports at the most")),
                clients.len(),
                self.scene.full_name(server)
            ),
            measures: vec![("clients", Measure::Number(clients.len() as f64))],
            evidence: Evidence::at(origin),
            recipe: Some("nft list ruleset".into()),
        });
        case.weighed.hold("rewrites", true, id);
        if let Some(ports) = ports {
            case.weighed.hold("range-too-small", ports < clients.len() as u64, id);
        }
    }

    /// Rules that drop, with what they have counted.
    fn rules_that_drop(&mut self, case: &mut Case, host: &str, lost: u64) {
        let inputs = self.scene.inputs_of(host);
        let drops: Vec<_> = self.rules.nat.drops(&inputs).cloned().collect();
        // The same rule is listed at every look; the one that counted most is the latest.
        let most = |kind: Kind| {
            drops.iter().filter(|(rule, _)| kind_of(&rule.text) == kind).max_by_key(|(rule, _)| rule.packets)
        };
        for (kind, sign) in [(Kind::Class, "class-rule"), (Kind::Length, "length-rule"), (Kind::Other, "drop-rule")] {
            let Some((rule, origin)) = most(kind) else { continue };
            let id = self.findings.add(Finding {
                rule: "nat",
                subject: host.to_owned(),
                statement: format!("{host}'s packet filter has the rule \"{}\" (hook {})", rule.text, rule.hook),
                measures: rule.packets.map(|n| ("packets", Measure::Number(n as f64))).into_iter().collect(),
                evidence: Evidence::at(*origin),
                recipe: Some("nft list ruleset".into()),
            });
            if let Some(packets) = rule.packets {
                case.weighed.hold(sign, packets as f64 >= MOSTLY * lost as f64, id);
            } else if kind != Kind::Other {
                case.weighed.hold(sign, true, id);
            }
        }
    }
}

/// What a rule that drops looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Class,
    Length,
    Port,
    Other,
}

fn kind_of(rule: &str) -> Kind {
    let by_length = |word: &str| matches!(word, "length" | "--length");
    match () {
        () if is_by_class(rule) => Kind::Class,
        () if rule.split_whitespace().any(by_length) => Kind::Length,
        () if is_by_source_port(rule) => Kind::Port,
        () => Kind::Other,
    }
}

/// Whether a packet filter's rule asks for the traffic class or the hop limit: `ip dscp ef`, `ip ttl < 63`, `ip6
/// hoplimit` (nft), `--dscp 0x2e`, `--tos`, `--ttl-lt`, `--hl-eq` (iptables-save), `DSCP match`, `TTL match` (`iptables -L`).
fn is_by_class(rule: &str) -> bool {
    let words: Vec<&str> = rule.split_whitespace().collect();
    let option = |word: &str| {
        word.strip_prefix("--").is_some_and(|o| ["dscp", "tos", "ttl-", "hl-"].iter().any(|s| o.starts_with(s)))
    };
    words.iter().any(|word| option(word) || matches!(*word, "dscp" | "hoplimit" | "ttl" | "tos"))
        || words.windows(2).any(|w| w[1] == "match" && matches!(w[0], "DSCP" | "TTL" | "TOS" | "HL"))
}

#[cfg(test)]
mod tests {
    use super::{Kind, is_by_class, kind_of};

    #[test]
    fn every_filter_s_words_for_a_class_are_known() {
        for rule in [
            "ip dscp 0x2e counter packets 47 bytes 3290 drop",
            "ip ttl < 63 drop",
            "ip6 hoplimit < 4 drop",
            "-A FORWARD -p udp -m dscp --dscp 0x2e -j DROP",
            "-A FORWARD -m ttl --ttl-lt 60 -j DROP",
            "9 684 DROP udp -- * * 0.0.0.0/0 0.0.0.0/0 DSCP match 0x2e",
            "9 684 DROP udp -- * * 0.0.0.0/0 0.0.0.0/0 TTL match TTL < 63",
        ] {
            assert!(is_by_class(rule), "{rule}");
        }
        for rule in ["udp dport 123 drop", "udp length > 56 drop", "-A INPUT -p udp --sport 123 -j DROP"] {
            assert!(!is_by_class(rule), "{rule}");
        }
        assert_eq!(kind_of("udp length > 56 drop"), Kind::Length);
        assert_eq!(kind_of("-A INPUT -p udp --sport 123 -j DROP"), Kind::Port);
    }
}
