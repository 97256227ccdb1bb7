//! `chronyc serverstats`: what a server has counted since its start.

use super::{first_fields, gauge, labelled};
use crate::model::{Counter, Event, Row, What};
use crate::text::field::integer;
use crate::text::{Block, Form, Line, Taken};

/// `chronyc serverstats`: 5 values until chrony 3.5, 8 in 4.0, 11 from 4.2, 17 from 4.4.
pub(super) const SERVERSTATS: Form = Form {
    name: "chronyc serverstats",
    // `grep` may have let any of them through.
    opens: |line| {
        labelled(line).is_some_and(|(label, _)| STATS.iter().any(|(name, _)| *name == label)) || is_fields(line)
    },
    block: || Box::new(Serverstats),
};

/// What a value of the report is.
#[derive(Clone, Copy)]
enum Stat {
    /// A count of packets that other daemons keep too.
    Count(Counter),
    /// Another number.
    Number(&'static str),
}

/// The labels, in the order of the report and of `-c`.
const STATS: [(&str, Stat); 17] = [
    ("NTP packets received", Stat::Count(Counter::Received)),
    // Dropped for the rate limit, and for nothing else (chronyc(1), serverstats).
    ("NTP packets dropped", Stat::Count(Counter::Limited)),
    ("Command packets received", Stat::Number("command_packets_received")),
    ("Command packets dropped", Stat::Number("command_packets_dropped")),
    ("Client log records dropped", Stat::Number("client_log_records_dropped")),
    ("NTS-KE connections accepted", Stat::Number("nts_ke_connections_accepted")),
    ("NTS-KE connections dropped", Stat::Number("nts_ke_connections_dropped")),
    ("Authenticated NTP packets", Stat::Number("authenticated_packets")),
    ("Interleaved NTP packets", Stat::Number("interleaved_packets")),
    ("NTP timestamps held", Stat::Number("timestamps_held")),
    ("NTP timestamp span", Stat::Number("timestamp_span_s")),
    ("NTP daemon RX timestamps", Stat::Number("daemon_rx_timestamps")),
    ("NTP daemon TX timestamps", Stat::Number("daemon_tx_timestamps")),
    ("NTP kernel RX timestamps", Stat::Number("kernel_rx_timestamps")),
    ("NTP kernel TX timestamps", Stat::Number("kernel_tx_timestamps")),
    ("NTP hardware RX timestamps", Stat::Number("hardware_rx_timestamps")),
    ("NTP hardware TX timestamps", Stat::Number("hardware_tx_timestamps")),
];

/// Five values alone could be those of `activity`, and are read there.
fn is_fields(line: &str) -> bool {
    let Some(([received, dropped, commands, refused], rest)) = first_fields::<4>(line) else { return false };
    let count = |text: &str| integer(text).unwrap_or(i64::MAX);
    // What was dropped was received, and one command was this.
    count(dropped) <= count(received)
        && count(received) < i64::MAX
        && count(refused) <= count(commands)
        && (1..i64::MAX).contains(&count(commands))
        && rest.clone().all(|field| integer(field).is_some())
        && matches!(rest.count() + 4, 8 | 11 | 17)
}

struct Serverstats;

impl Block for Serverstats {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let mut said = |stat, value: &str| {
            let count = value.parse().map_err(|_| format!("`{value}` is not a count"))?;
            match stat {
                Stat::Count(name) => {
                    let what = What::Counter { association: "", name, value: count, over_s: None };
                    rows(Row::Event(Event { at: line.at, what }));
                }
                Stat::Number(name) => gauge(rows, line.at, "", name, count as f64),
            }
            Ok(())
        };
        let result = if is_fields(line.text) {
            STATS.iter().zip(line.text.split(',')).try_for_each(|((_, stat), value)| said(*stat, value))
        } else {
            let Some((label, value)) = labelled(line.text) else { return Taken::No };
            let Some((_, stat)) = STATS.iter().find(|(name, _)| *name == label) else { return Taken::No };
            said(*stat, value)
        };
        result.map_or_else(Taken::Rejected, |()| Taken::Yes)
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{counters, read};

    #[test]
    fn dropped_packets_of_a_server_are_its_rate_limit() {
        let want = ["name=received value=104", "name=limited value=74"];
        let text =
            "NTP packets received       : 104\nNTP packets dropped        : 74\nCommand packets dropped    : 5\n";
        assert_eq!(counters(text), want);
        for csv in ["104,74,9,0,0,0,0,3", "104,74,9,0,0,0,0,0,0,5,7", "104,74,9,0,0,0,0,0,0,0,0,1,2,3,4,5,6"] {
            assert_eq!(counters(csv), want);
        }
        assert_eq!(read("NTP packets received       : many").1, ["line 1: `many` is not a count"]);
    }
}
