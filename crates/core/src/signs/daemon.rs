//! Signs from the server's own side: its version, configuration, counters, and packet filters.

use super::{Case, Examiner, ends};
use crate::exchange::Fate;
use crate::model::{Counter, Daemon, InputId};
use crate::rules::{Evidence, Finding, Measure};
use std::net::IpAddr;

/// What a counter may differ by from what captures say: the daemon's own queries, and the edges of the recording.
const COUNTER_SLACK: f64 = 0.25;

impl Examiner<'_> {
    /// What the server's daemon says of itself.
    pub(super) fn daemon(&mut self, case: &mut Case) {
        let inputs = self.inputs_of(case.symptom.server);
        let name = self.scene.full_name(case.symptom.server);
        if let Some((version, text, origin)) = self.rules.daemon.version(&inputs) {
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!("{name} says that it runs {text}"),
                measures: vec![("version", Measure::Word(version.to_string()))],
                evidence: Evidence::at(origin),
                recipe: Some("ntpq -c 'rv 0 version'".into()),
            });
            case.weighed.version = Some((version, id));
        }
        for directive in self.rules.daemon.directives(&inputs) {
            let words: Vec<&str> = directive.rest.split_whitespace().collect();
            let sign = match directive.keyword.as_str() {
                "restrict" if words.iter().any(|w| matches!(*w, "ignore" | "noserve")) => "ignore-configured",
                "deny" => "ignore-configured",
                "restrict" if words.contains(&"limited") => "limit-configured",
                "ratelimit" | "discard" => "limit-configured",
                _ => continue,
            };
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!("{name} is configured with \"{} {}\"", directive.keyword, directive.rest),
                measures: vec![],
                evidence: Evidence::at(directive.origin),
                recipe: None,
            });
            case.weighed.hold(sign, true, id);
        }
        self.presence(case, &inputs);
        let Some((span, lost, answered)) = self.traffic(case) else { return };
        let (rate, arrived) = if case.symptom.told.is_empty() {
            ("at the captured rate", "arrived")
        } else {
            ("at the rate that clients tell of", "were sent")
        };
        // What captures or clients let expect in the time between the two looks.
        let received = self.rules.daemon.growth(&inputs, Counter::Received);
        let expected = |n: f64, over_s: Option<u64>| match (over_s, received) {
            (Some(over_s), _) => n * over_s as f64 / span.max(1.0),
            (None, Some(received)) => n * received.by as f64 / (lost + answered).max(1.0),
            (None, None) => n,
        };
        let within = |over_s: Option<u64>| over_s.map_or("between two looks".into(), |s| format!("within {s} s"));
        for (counter, sign, words) in [
            (Counter::BadFormat, "bad-format-grew", "bad length or format"),
            (Counter::Limited, "limited-grew", "rate limited"),
            (Counter::Restricted, "restricted-grew", "restricted"),
            (Counter::Declined, "declined-grew", "declined"),
        ] {
            let Some(growth) = self.rules.daemon.growth(&inputs, counter) else { continue };
            // What is answered with a kiss is limited as well.
            let limited = lost + if counter == Counter::Limited { self.kissed(case.symptom.server) } else { 0.0 };
            let expect = expected(limited, growth.over_s);
            let (earlier, later) = growth.looks;
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!(
                    "{name} counted {} packets as \"{words}\" {}; {rate} {expect:.0} requests were lost or refused in that time",
                    growth.by,
                    within(growth.over_s)
                ),
                measures: vec![("grew", Measure::Number(growth.by as f64)), ("expected", Measure::Number(expect))],
                evidence: Evidence::of([later, earlier]).unwrap_or(Evidence::at(later)),
                recipe: Some("ntpq -c sysstats".into()),
            });
            let agrees = growth.by as f64 >= expect * (1.0 - COUNTER_SLACK) - 2.0 && growth.by > 0;
            if agrees || (growth.by as f64) < expect * COUNTER_SLACK {
                case.weighed.hold(sign, agrees, id);
            }
        }
        self.remembered(case, &inputs);
        if let Some(growth) = received.filter(|growth| growth.over_s.is_some()) {
            let queries = self.rules.daemon.queries(&inputs);
            let (all, good) = (expected(lost + answered, growth.over_s), expected(answered, growth.over_s));
            let (earlier, later) = growth.looks;
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!(
                    "{name} received {} packets {}, about {queries} of them queries of ntpq; {rate} {all:.0} requests {arrived} in that time, {good:.0} of them were answered",
                    growth.by,
                    within(growth.over_s)
                ),
                measures: vec![("received", Measure::Number(growth.by as f64)), ("arrived", Measure::Number(all))],
                evidence: Evidence::of([later, earlier]).unwrap_or(Evidence::at(later)),
                recipe: Some("ntpq -c sysstats".into()),
            });
            // Queries that left no trace count too, so a daemon that got the requests can only have counted more.
            let missed = (growth.by.saturating_sub(queries) as f64) < good + (all - good) * 0.5;
            if all - good >= 4.0 && case.weighed.locus == "server" {
                case.weighed.hold("daemon-missed-them", missed, id);
            }
        }
    }

    /// Whether the daemon remembers the requests that were lost: then they reached it. That it does not remember them
    /// proves nothing, for some are thrown away before (ntp bug 2174).
    fn remembered(&mut self, case: &mut Case, inputs: &[InputId]) {
        let lost: Vec<(IpAddr, u64)> = case.symptom.lost.iter().map(|(client, lost)| (*client, lost.n)).collect();
        if case.weighed.locus != "server" || self.rules.nat.seen().any(|(m, _)| m.server == case.symptom.server) {
            return;
        }
        for (client, lost) in lost {
            let Some((count, origin)) = self.rules.daemon.remembers(inputs, &client.to_string()) else { return };
            let came = case.symptom.reached.get(&client).copied().unwrap_or(lost);
            // It must have heard more than those which it answered.
            if lost >= 4 && count as f64 > (came - lost) as f64 + 0.5 * lost as f64 {
                let name = self.scene.full_name(case.symptom.server);
                let id = self.findings.add(Finding {
                    rule: "daemon",
                    subject: self.scene.name(case.symptom.server),
                    statement: format!(
                        "{name} remembers {count} requests of {}; {came} arrived, {lost} of them were lost",
                        self.scene.full_name(client)
                    ),
                    measures: vec![("remembered", Measure::Number(count as f64))],
                    evidence: Evidence::at(origin),
                    recipe: Some("ntpq -n -c mrulist (chronyc clients)".into()),
                });
                case.weighed.hold("daemon-missed-them", false, id);
            }
        }
    }

    /// Requests that a server answered with a refusal.
    fn kissed(&self, server: IpAddr) -> f64 {
        let kisses = self.rules.exchange.iter().filter(|(s, fate, _)| *s == server && matches!(fate, Fate::Kiss(_)));
        kisses.map(|(.., count)| count.n as f64).sum()
    }

    /// Whether a daemon runs there at all, and (chronyd) whether it serves anybody.
    fn presence(&mut self, case: &mut Case, inputs: &[InputId]) {
        let host = self.scene.name(case.symptom.server);
        if let Some(origin) = self.rules.daemon.spoken(inputs) {
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: host.clone(),
                statement: format!("the daemon on {host} answers ntpq or chronyc: it runs"),
                measures: vec![],
                evidence: Evidence::at(origin),
                recipe: None,
            });
            case.weighed.hold("daemon-is-there", true, id);
        }
        let mut lines = self.rules.daemon.directives(inputs).filter(|d| d.daemon == Daemon::Chrony).peekable();
        let Some(origin) = lines.peek().map(|d| d.origin) else { return };
        if !lines.any(|d| d.keyword == "allow") {
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: host.clone(),
                statement: format!("chrony's configuration on {host} has no allow line: chronyd then serves nobody"),
                measures: vec![],
                evidence: Evidence::at(origin),
                recipe: Some("grep -r allow /etc/chrony*".into()),
            });
            case.weighed.hold("ignore-configured", true, id);
        }
    }

    /// Seconds, and requests to the server that were lost and answered in them.
    fn traffic(&self, case: &Case) -> Option<(f64, f64, f64)> {
        if !case.symptom.told.is_empty() {
            return told_traffic(case);
        }
        let (mut lost, mut answered, mut from, mut to) = (0, 0, None, None);
        for (_, fate, count) in self.rules.exchange.iter().filter(|(s, ..)| *s == case.symptom.server) {
            match fate {
                Fate::Silent => lost += count.n,
                Fate::Answered | Fate::Kiss(_) | Fate::Late | Fate::Unsynchronised => answered += count.n,
                _ => continue,
            }
            from = [from, count.first.map(|(t, _)| t)].into_iter().flatten().min();
            to = to.max(count.last.map(|(t, _)| t));
        }
        // Where it is known which of them arrived, only those can have been counted.
        let arrived = if case.weighed.locus == "server" { case.symptom.total().n } else { lost };
        Some((to?.since_s(from?), arrived as f64, answered as f64))
    }

    /// Rules of packet filters that drop by source port.
    pub(super) fn filters(&mut self, case: &mut Case) {
        let mut hosts: Vec<String> = vec![self.scene.name(case.symptom.server)];
        match ends(case.symptom.locus) {
            Some((from, _)) => hosts.extend(self.scene.host_of_point(from).map(str::to_owned)),
            // Where the place is not known, it may be any router.
            None if matches!(case.weighed.locus, "told" | "beyond") => {
                hosts.extend(self.scene.routers().map(str::to_owned));
            }
            None => {}
        }
        for host in hosts {
            let inputs = self.scene.inputs_of(&host);
            let found = self.rules.nat.drops(&inputs).filter(|(rule, _)| is_by_source_port(&rule.text));
            // The same rule is listed at every look; the one that counted most is the latest.
            let Some((rule, origin)) = found.max_by_key(|(rule, _)| rule.packets) else { continue };
            let id = self.findings.add(Finding {
                rule: "nat",
                subject: host.clone(),
                statement: format!("{host}'s packet filter has the rule \"{}\" (hook {})", rule.text, rule.hook),
                measures: rule.packets.map(|n| ("packets", Measure::Number(n as f64))).into_iter().collect(),
                evidence: Evidence::at(*origin),
                recipe: Some("nft list ruleset".into()),
            });
            case.weighed.hold("port-rule", true, id);
            case.filter.get_or_insert(host);
        }
    }
}

/// What clients tell of a server, in each second: from the seconds between their polls, which all must tell.
fn told_traffic(case: &Case) -> Option<(f64, f64, f64)> {
    let (mut lost, mut answered) = (0.0, 0.0);
    for polled in case.symptom.told.values() {
        let per_s = 1.0 / polled.poll_s.filter(|poll_s| *poll_s > 0.0)?;
        lost += polled.lost.value() * per_s;
        answered += (1.0 - polled.lost.value()) * per_s;
    }
    Some((1.0, lost, answered))
}

/// Whether a packet filter's rule asks for the source port: `udp sport != 123` (nft), `--sport 123` or
/// `--source-ports 123,1024:65535` (iptables-save), `udp spt:!123` or `multiport sports 123` (`iptables -L`).
pub(super) fn is_by_source_port(rule: &str) -> bool {
    rule.split_whitespace().any(|word| {
        let option = word.strip_prefix("--").unwrap_or(word);
        matches!(option, "sport" | "sports" | "source-port" | "source-ports")
            || word.starts_with("spt:")
            || word.starts_with("spts:")
    })
}

#[cfg(test)]
mod tests {
    use super::is_by_source_port;

    #[test]
    fn every_filter_s_words_for_a_source_port_are_known() {
        for rule in [
            "udp dport 123 udp sport != 123 counter packets 47 bytes 3290 drop",
            "-A INPUT -p udp -m udp ! --sport 123 --dport 123 -j DROP",
            "-A INPUT -p udp -m multiport --sports 123,1024:65535 -j DROP",
            "-A INPUT -p udp -m udp --source-port 1024:65535 -j DROP",
            "47  3290 DROP  udp  --  *  *  0.0.0.0/0  0.0.0.0/0  udp spt:!123 dpt:123",
            "DROP  udp  --  anywhere  anywhere  udp spts:1024:65535 dpt:ntp",
            "DROP  udp  --  anywhere  anywhere  multiport sports 123,1024:65535",
        ] {
            assert!(is_by_source_port(rule), "{rule}");
        }
        for rule in ["udp dport 123 drop", "DROP  udp  --  0.0.0.0/0  0.0.0.0/0  udp dpt:123", "policy drop"] {
            assert!(!is_by_source_port(rule), "{rule}");
        }
    }
}
