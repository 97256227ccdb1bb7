//! ntpd-rs: `ntp-ctl status`, the JSON of its observation socket, and its metrics for Prometheus.
//!
//! All three tell the same state (`ObservableState` in ntpd-rs's `observer.rs`); versions 1.0 to 2.0 are known.

mod json;
mod metrics;
mod plain;

use super::Form;
use crate::model::{At, Clock, Counter, Event, Origin, Peer, Row, What};
use crate::time::Time;

/// What this module reads.
pub const FORMS: &[Form] = &[plain::STATUS, json::OBSERVATION, metrics::METRICS];

/// Uncertainty from which on a source was never measured: ntpd-rs prints its longest duration, 2³¹ s, with an offset
/// of 0 (`observe` in `kalman/source.rs`).
const UNMEASURED_S: f64 = 1e9;

/// Sources and servers that are kept of one state; ntpd-rs has a few, a text may have any number.
const MOST: usize = 1024;

/// A source of time.
#[derive(Default)]
struct Source {
    /// `ntp.example:123`: what the configuration says.
    name: String,
    /// `192.0.2.1:123`: what it was resolved to.
    address: String,
    offset_s: Option<f64>,
    uncertainty_s: Option<f64>,
    delay_s: Option<f64>,
    poll_s: Option<f64>,
    /// Polls since the last that was answered.
    unanswered: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
    cookies: Option<f64>,
}

/// The address alone: a name without port, an IPv6 address without brackets.
fn host(address: &str) -> &str {
    let bare = address.rsplit_once(':').filter(|(host, port)| {
        port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() && (!host.contains(':') || host.ends_with(']'))
    });
    let host = bare.map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl Source {
    fn give(&self, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) {
        let source = host(if self.address.is_empty() { &self.name } else { &self.address });
        let measured = self.uncertainty_s.is_none_or(|uncertainty| uncertainty < UNMEASURED_S);
        let measured = |value: Option<f64>| value.filter(|value| measured && value.abs() < UNMEASURED_S);
        rows(Row::Peer(Peer {
            // ((T2 − T1) + (T3 − T4)) / 2, filtered (`Measurement` in ntpd-rs's `source.rs`): the clock is stepped by
            // as much, so that this is reference − local already.
            offset_s: measured(self.offset_s),
            delay_s: measured(self.delay_s),
            jitter_s: measured(self.uncertainty_s),
            poll_s: self.poll_s,
            root_delay_s: measured(self.root_delay_s),
            root_dispersion_s: measured(self.root_dispersion_s),
            ..Peer::new(at, source)
        }));
        if !self.name.is_empty() && self.name != self.address {
            let what = What::Variable { association: source, name: "name", value: &self.name };
            rows(Row::Event(Event { at, what }));
        }
        let gauges = [("unanswered_polls", self.unanswered), ("nts_cookies", self.cookies)];
        for (name, value) in gauges {
            let gauge = value.map(|value| What::Gauge { of: source, name, value });
            gauge.into_iter().for_each(|what| rows(Row::Event(Event { at, what })));
        }
    }
}

/// What the servers of one daemon have counted, as they name it, and under whose name it is told.
const COUNTS: [(&str, Stat); 11] = [
    ("received", Stat::Count(Counter::Received)),
    ("accepted", Stat::Count(Counter::Processed)),
    ("denied", Stat::Count(Counter::Restricted)),
    ("rate_limited", Stat::Count(Counter::Limited)),
    ("ignored", Stat::Number("ignored_packets")),
    ("response_send_errors", Stat::Number("response_send_errors")),
    ("nts_received", Stat::Number("nts_received_packets")),
    ("nts_accepted", Stat::Number("nts_accepted_packets")),
    ("nts_denied", Stat::Number("nts_denied_packets")),
    ("nts_rate_limited", Stat::Number("nts_rate_limited_packets")),
    ("nts_nak", Stat::Number("nts_nak_packets")),
];

#[derive(Clone, Copy)]
enum Stat {
    Count(Counter),
    Number(&'static str),
}

/// The sums over all servers (listening addresses) of the daemon: counters of the daemon as a whole.
#[derive(Default)]
struct Served {
    /// Where the first count stood.
    origin: Option<Origin>,
    sums: [Option<u64>; COUNTS.len()],
}

impl Served {
    /// Adds a count by its name; whether there is such a count.
    fn add(&mut self, name: &str, value: u64, origin: Origin) -> bool {
        let found = COUNTS.iter().zip(&mut self.sums).find(|((known, _), _)| *known == name);
        let Some((_, sum)) = found else { return false };
        self.origin.get_or_insert(origin);
        *sum = Some(sum.unwrap_or(0).saturating_add(value));
        true
    }

    fn give(&self, time: Option<Time>, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(origin) = self.origin else { return };
        let at = At { time, ..At::origin(origin) };
        for ((_, stat), sum) in COUNTS.iter().zip(self.sums) {
            let Some(value) = sum else { continue };
            let what = match *stat {
                Stat::Count(name) => What::Counter { association: "", name, value, over_s: None },
                Stat::Number(name) => What::Gauge { of: "", name, value: value as f64 },
            };
            rows(Row::Event(Event { at, what }));
        }
    }
}

/// What the daemon says of its own clock.
#[derive(Default)]
struct System {
    stratum: Option<u8>,
    leap: Option<u8>,
    poll_s: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
}

impl System {
    fn give(&self, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) {
        rows(Row::Clock(Clock {
            stratum: self.stratum,
            leap: self.leap,
            poll_s: self.poll_s,
            root_delay_s: self.root_delay_s,
            root_dispersion_s: self.root_dispersion_s,
            ..Clock::new(at)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn ports_and_brackets_are_no_part_of_a_host() {
        let want = [
            ("192.0.2.1:123", "192.0.2.1"),
            ("[2001:db8::1]:123", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("ntp.example:123", "ntp.example"),
            ("/dev/pps0", "/dev/pps0"),
        ];
        for (address, bare) in want {
            assert_eq!(host(address), bare);
        }
    }
}
