//! Sets of requests that some device or daemon is known to treat alike.

use super::row::Attributes;

/// A set of requests that a rule somewhere on the path may single out.
struct Suspect {
    /// The name that causes know it by.
    name: &'static str,
    /// How a report describes the set.
    words: &'static str,
    /// The same as a tshark display filter.
    filter: &'static str,
    /// Whether a source port, or each of its step, is in it.
    holds: fn(u16) -> bool,
}

/// Sets of source ports that software is known to treat alike; each is tried.
const PORTS: &[Suspect] = &[
    Suspect { name: "port-below-123", words: "source port below 123", filter: "udp.srcport < 123", holds: |p| p < 123 },
    Suspect {
        name: "port-not-123",
        words: "source port other than 123",
        filter: "udp.srcport != 123",
        holds: |p| p != 123,
    },
    Suspect { name: "port-is-123", words: "source port 123", filter: "udp.srcport == 123", holds: |p| p == 123 },
    Suspect {
        name: "port-below-1024",
        words: "source port below 1024",
        filter: "udp.srcport < 1024",
        holds: |p| p < 1024,
    },
    Suspect {
        name: "port-reserved",
        words: "source port below 1024 other than 123",
        filter: "udp.srcport < 1024 && udp.srcport != 123",
        holds: |p| p < 1024 && p != 123,
    },
    Suspect {
        name: "port-above-1023",
        words: "source port above 1023",
        filter: "udp.srcport > 1023",
        holds: |p| p > 1023,
    },
];

/// The set of short poll fields, which some builds of ntpd drop (`NTP_MINPOLL` was 4).
const SHORT_POLL: &str = "poll-below-4";

/// A usual set of requests.
pub(super) struct Usual {
    /// The name that causes know it by.
    pub name: &'static str,
    /// How a report describes it.
    pub words: &'static str,
    /// The same as a tshark display filter.
    pub filter: &'static str,
    port: Option<fn(u16) -> bool>,
}

impl Usual {
    /// Whether a request is in it.
    pub(super) fn holds(&self, row: &Attributes) -> bool {
        self.port.map_or(row.poll < 4, |holds| holds(row.port))
    }
}

/// All usual sets.
pub(super) fn usual() -> impl Iterator<Item = Usual> {
    let ports =
        PORTS.iter().map(|set| Usual { name: set.name, words: set.words, filter: set.filter, port: Some(set.holds) });
    // tshark shows the field without its sign.
    let filter = "(ntp.ppoll < 4 || ntp.ppoll > 127)";
    ports.chain([Usual { name: SHORT_POLL, words: "poll field below 4", filter, port: None }])
}

/// The sets of source ports that some device or daemon is known to treat alike: the name that causes know each by, its
/// words, and whether a port is in it.
pub fn usual_ports() -> impl Iterator<Item = (&'static str, &'static str, fn(u16) -> bool)> {
    PORTS.iter().map(|suspect| (suspect.name, suspect.words, suspect.holds))
}
