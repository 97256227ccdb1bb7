//! `ntp-ctl -f prometheus status` and `ntp-metrics-exporter`: the state in Prometheus' text format, a metric a line.

use super::{MOST, Served, Source, System};
use crate::model::{At, Event, Origin, Row, What};
use crate::text::field::number;
use crate::text::{Block, Form, Line, Taken};

/// The metrics of ntpd-rs.
pub(super) const METRICS: Form = Form { name: "ntpd-rs metrics", opens, block: || Box::new(Metrics::default()) };

/// How the names of the metrics begin, and the parts of the state that they are of.
const PARTS: [&str; 3] = ["ntp_uptime_seconds", "ntp_system_", "ntp_source_"];

/// A metric, or the comment above it, which says its name too.
fn opens(line: &str) -> bool {
    let comments = ["# HELP ", "# TYPE ", "# UNIT "];
    let comment = comments.iter().find_map(|comment| line.strip_prefix(comment));
    comment
        .map_or_else(|| metric(line).is_some_and(|(name, _, value)| is_ours(name) && number(value).is_some()), is_ours)
}

fn is_ours(name: &str) -> bool {
    // Another exporter has an `ntp_server_reachable`; here all of a server are totals.
    let is_total =
        name.starts_with("ntp_server_") && name.split(['{', ' ']).next().is_some_and(|n| n.ends_with("_total"));
    is_total || PARTS.iter().any(|part| name.starts_with(part))
}

/// Name, labels, and value: `ntp_source_offset_seconds{name="…",address="…",id="1"} 0.0042`.
fn metric(line: &str) -> Option<(&str, &str, &str)> {
    // A label may hold blanks and braces; a time may follow the value.
    let (name, rest) = line.split_at(line.find(['{', ' '])?);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once('}')?,
        None => ("", rest),
    };
    let is_name = name.starts_with("ntp_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_name.then(|| (name, labels, value.split_ascii_whitespace().next().unwrap_or_default()))
}

/// The value of a label. Names and addresses hold none of the characters that are escaped.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels
        .split("\",")
        .find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""))
        .map(|label| label.trim_end_matches('"'))
}

#[derive(Default)]
struct Metrics {
    system: System,
    /// Where the first metric of the system stood.
    origin: Option<Origin>,
    /// Each with what tells it from others of its name.
    sources: Vec<(Origin, String, Source)>,
    served: Served,
}

impl Block for Metrics {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || line.text.starts_with('#') {
            // A prompt or a banner ends the block, or the metrics of another program.
            let ours = line.text.is_empty() || line.text == "# EOF" || opens(line.text);
            return if ours { Taken::Yes } else { Taken::No };
        }
        let Some((name, labels, value)) = metric(line.text).filter(|(name, ..)| is_ours(name)) else {
            return Taken::No;
        };
        let Some(value) = number(value) else { return Taken::Rejected(format!("`{value}` is not a number")) };
        self.hear(name, labels, value, line.at, rows);
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(self);
        said.origin.into_iter().for_each(|origin| said.system.give(At::origin(origin), rows));
        said.sources.iter().for_each(|(origin, _, source)| source.give(At::origin(*origin), rows));
        said.served.give(None, rows);
    }
}

impl Metrics {
    fn hear(&mut self, name: &str, labels: &str, value: f64, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some(name) = name.strip_prefix("ntp_server_") {
            let name = name.strip_suffix("_total").unwrap_or(name);
            let name = name.strip_suffix("_packets").unwrap_or(name);
            // Counts below 2⁵³ are exact.
            self.served.add(name, value.max(0.0) as u64, at.origin);
        } else if let Some(name) = name.strip_prefix("ntp_source_") {
            self.source(name, labels, value, at.origin);
        } else {
            self.system(name, labels, value, at, rows);
        }
    }

    fn system(&mut self, name: &str, labels: &str, value: f64, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) {
        let mut gauge = |name| rows(Row::Event(Event { at, what: What::Gauge { of: "", name, value } }));
        match name {
            "ntp_uptime_seconds" => {
                gauge("uptime_s");
                if let Some(value) = label(labels, "version") {
                    let what = What::Variable { association: "", name: "version", value };
                    rows(Row::Event(Event { at, what }));
                }
                return;
            }
            "ntp_system_accumulated_steps_seconds" => return gauge("accumulated_steps_s"),
            "ntp_system_stratum" => self.system.stratum = Some(value as u8).filter(|_| (0.0..=16.0).contains(&value)),
            // 0 to 2 as in a packet; 3 and 4 are ntpd-rs's *unknown* and *unsynchronised*.
            "ntp_system_leap_indicator" => self.system.leap = Some(value.clamp(0.0, 3.0) as u8),
            "ntp_system_poll_interval_seconds" => self.system.poll_s = Some(value),
            "ntp_system_root_delay_seconds" => self.system.root_delay_s = Some(value),
            "ntp_system_root_dispersion_seconds" => self.system.root_dispersion_s = Some(value),
            _ => return,
        }
        self.origin.get_or_insert(at.origin);
    }

    fn source(&mut self, name: &str, labels: &str, value: f64, origin: Origin) {
        let known = self.sources.iter().position(|(_, key, _)| key == labels);
        let index = known.unwrap_or_else(|| {
            let text = |name| label(labels, name).unwrap_or_default().to_owned();
            if self.sources.len() < MOST {
                let source = Source { name: text("name"), address: text("address"), ..Source::default() };
                self.sources.push((origin, labels.to_owned(), source));
            }
            self.sources.len() - 1
        });
        // Past the bound the metrics of later sources are dropped.
        let Some((_, _, source)) = self.sources.get_mut(index).filter(|(_, key, _)| key == labels) else { return };
        let place = match name {
            "offset_seconds" => &mut source.offset_s,
            "uncertainty_seconds" => &mut source.uncertainty_s,
            "delay_seconds" => &mut source.delay_s,
            "poll_interval_seconds" => &mut source.poll_s,
            "unanswered_polls" => &mut source.unanswered,
            "root_delay_seconds" => &mut source.root_delay_s,
            "root_dispersion_seconds" => &mut source.root_dispersion_s,
            "nts_cookies_available" => &mut source.cookies,
            _ => return,
        };
        *place = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{counters, peers, read};

    #[test]
    fn metrics_of_a_source_become_one_peer() {
        let source = r#"{name="ntp.example:123",address="192.0.2.1:123",id="1"}"#;
        let text = format!(
            "# HELP ntp_uptime_seconds Time that the ntp daemon is running.\n# TYPE ntp_uptime_seconds gauge\n\
             ntp_uptime_seconds{{version=\"1.6.2\",build_commit=\"-\"}} 12.5\nntp_system_stratum 3\n\
             ntp_source_poll_interval_seconds{source} 16\nntp_source_offset_seconds{source} -0.0229\n\
             ntp_source_uncertainty_seconds{source} 0.0002\nntp_source_delay_seconds{source} late\n\
             ntp_server_received_packets_total{{listen_address=\"0.0.0.0:123\"}} 5\n\
             ntp_server_received_packets_total{{listen_address=\"[::]:123\"}} 50\n# EOF\n"
        );
        assert_eq!(peers(&text), ["source=192.0.2.1 poll_s=16 offset_s=-0.0229 jitter_s=0.0002"]);
        assert_eq!(counters(&text), ["name=received value=55"]);
        let (rows, rejects, forms) = read(&text);
        assert_eq!(
            rows[..3],
            ["gauge name=uptime_s value=12.5", "variable name=version text=1.6.2", "clock stratum=3"]
        );
        assert_eq!((rejects, forms), (vec!["line 8: `late` is not a number".to_owned()], vec!["ntpd-rs metrics"]));
        assert_eq!(
            read(&text.replace("stratum 3", "stratum 17")).0.iter().filter(|row| row.contains("stratum")).count(),
            0
        );
        assert_eq!(read("node_ntp_offset_seconds 0.1\nntp_system_of_ours is down\n").2.len(), 0);
    }
}
