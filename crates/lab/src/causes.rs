//! The names of all causes that a world may have, as the list of causes gives them; a report may know fewer.

/// What kind of world shows a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Requests between clients, a router and a server.
    Path,
    /// Clocks over days.
    Clock,
    /// Servers that multicast.
    Multicast,
}

/// A cause, the world that shows it, and the kind of its place in a report.
pub type Known = (&'static str, Field, &'static str);

/// All causes. The list grows; an id never changes its meaning.
pub const CAUSES: &[Known] = &[
    ("ntpd-low-source-port", Field::Path, "server"),
    ("ntpd-reserved-source-port", Field::Path, "server"),
    ("ntpd-short-poll-field", Field::Path, "server"),
    ("server-ignores-mode", Field::Path, "server"),
    ("server-rate-limit", Field::Path, "server"),
    ("server-access-list", Field::Path, "server"),
    ("server-not-running", Field::Path, "server"),
    ("server-unsynchronised", Field::Path, "server"),
    ("server-no-return-route", Field::Path, "server"),
    ("reply-from-other-address", Field::Path, "server"),
    ("server-overloaded", Field::Path, "server"),
    ("server-stalled", Field::Path, "server"),
    ("loss-on-segment", Field::Path, "segment"),
    ("drop-in-device", Field::Path, "device"),
    ("source-port-filter", Field::Path, "device"),
    ("size-filter", Field::Path, "device"),
    ("dscp-or-ttl-filter", Field::Path, "device"),
    ("nat-mapping-conflict", Field::Path, "device"),
    ("late-replies", Field::Path, "segment"),
    ("duplicated-packets", Field::Path, "segment"),
    ("network-outage", Field::Path, "client"),
    ("client-not-polling", Field::Path, "client"),
    ("nat-port-rewrite", Field::Path, "device"),
    ("second-discipline", Field::Clock, "client"),
    ("unstable-discipline", Field::Clock, "client"),
    ("unstable-oscillator", Field::Clock, "client"),
    ("frequency-jump", Field::Clock, "client"),
    ("temperature-cycle", Field::Clock, "client"),
    ("adjustments-ignored", Field::Clock, "client"),
    ("frequency-out-of-range", Field::Clock, "client"),
    ("clock-stepped", Field::Clock, "client"),
    ("daemon-restarted", Field::Clock, "client"),
    ("path-asymmetry", Field::Clock, "source"),
    ("congestion", Field::Clock, "source"),
    ("route-change", Field::Clock, "source"),
    ("falseticker", Field::Clock, "source"),
    ("server-stepped", Field::Clock, "source"),
    ("sources-disagree", Field::Clock, "source"),
    ("common-upstream", Field::Clock, "source"),
    ("sync-loop", Field::Clock, "client"),
    ("local-clock-served", Field::Clock, "server"),
    ("leap-second", Field::Clock, "source"),
    ("leap-smear-mix", Field::Clock, "source"),
    ("era-or-rollover", Field::Clock, "source"),
    ("multicast-many-addresses", Field::Multicast, "server"),
    ("multicast-route-missing", Field::Multicast, "server"),
    ("too-few-sources", Field::Clock, "client"),
    ("statistics-off", Field::Clock, "client"),
    ("restrict-without-effect", Field::Multicast, "client"),
];

/// A cause by its id.
#[must_use]
pub fn known(id: &str) -> Option<&'static Known> {
    CAUSES.iter().find(|(known, ..)| *known == id)
}

/// Those that no rule of this build names.
#[must_use]
pub fn unnamed() -> Vec<&'static str> {
    let named = ntpscope_core::causes::all();
    let ids = CAUSES.iter().map(|(id, ..)| *id);
    ids.filter(|id| !named.iter().any(|cause| cause.id == *id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_is_listed_once_and_the_rules_name_no_other() {
        let ids: BTreeSet<&str> = CAUSES.iter().map(|(id, ..)| *id).collect();
        assert_eq!(ids.len(), CAUSES.len());
        for cause in ntpscope_core::causes::all() {
            assert!(ids.contains(cause.id.as_str()), "{} is not listed", cause.id);
        }
    }

    #[test]
    fn the_list_is_that_of_the_documents() {
        let Ok(text) = std::fs::read_to_string("../../../shared/CAUSES.md") else {
            println!("skipped: ../shared/CAUSES.md is not here");
            return;
        };
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let listed: BTreeSet<&str> = rows.flat_map(|cell| cell.split(" / ")).map(|id| id.trim_matches('`')).collect();
        assert_eq!(listed, CAUSES.iter().map(|(id, ..)| *id).collect());
    }
}
