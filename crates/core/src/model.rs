//! The rows that everything becomes, and where each came from.
//!
//! A reader turns bytes into [`Row`]s; nothing to its right sees the bytes again. Rows borrow from the input,
//! so a reader allocates nothing per row.

use std::fmt;
use std::net::IpAddr;

/// An input's number in [`crate::inputs::Inputs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InputId(pub u32);

/// Where in an input a row stands: a line of text or a frame of a capture, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A line of a text file.
    Line(u32),
    /// A frame of a capture, numbered as tshark numbers it.
    Frame(u32),
}

/// The origin of a row: what a reader of the report opens to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Which input.
    pub input: InputId,
    /// Where in it.
    pub place: Place,
}

/// What could not be understood, where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The line or frame.
    pub place: Place,
    /// A lowercase fragment that says what was expected or found.
    pub reason: String,
}

/// Everything that a reader of text can hand on. Captures give [`crate::wire::Packet`]s.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// One host's view of one source.
    Peer(Peer<'a>),
    /// Something that is configured, counted, or happened.
    Event(Event<'a>),
}

/// One host's view of one source, as a billboard shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peer<'a> {
    /// Where it was read.
    pub origin: Origin,
    /// The source as printed: address, name or reference clock.
    pub source: &'a str,
    /// The selection mark, as the daemon prints it (`*`, `+`, `-`, `x`, `?`, …; space where there is none).
    pub tally: char,
    /// The source's reference id as printed; empty where the billboard has none.
    pub refid: &'a str,
    /// The source's stratum, 0–16.
    pub stratum: u8,
    /// Seconds between polls.
    pub poll_s: u32,
    /// The reach register: bit 0 is the latest poll, 1 is answered.
    pub reach: u8,
    /// Round-trip delay in seconds, where the billboard has it.
    pub delay_s: Option<f64>,
    /// Offset in seconds, reference − local (positive: the local clock is slow); `None` while the source never answered.
    pub offset_s: Option<f64>,
}

/// Something that is configured, counted, or happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// Where it was read.
    pub origin: Origin,
    /// What it says.
    pub what: What<'a>,
}

/// What an [`Event`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What<'a> {
    /// A variable of a daemon, by the name that `ntpq -c rv` uses (`version`, `srcadr`, `dstadr`, `clock` …).
    Variable {
        /// The association that it belongs to (its id or remote address); empty for the system.
        association: &'a str,
        /// The variable's name.
        name: &'a str,
        /// Its value as printed, quotes removed.
        value: &'a str,
    },
    /// A counter of a daemon since its start or last reset.
    Counter {
        /// The remote address that it counts for; empty for the whole daemon.
        association: &'a str,
        /// Which counter.
        name: Counter,
        /// Its value.
        value: u64,
    },
    /// One client that a server remembers (`mrulist`, `chronyc clients`).
    Client {
        /// The client's address as printed.
        address: &'a str,
        /// The source port of its last request.
        port: u16,
        /// Requests counted.
        count: u64,
    },
    /// A line of a daemon's configuration.
    Directive {
        /// Whose language it is.
        daemon: Daemon,
        /// The first word.
        keyword: &'a str,
        /// The rest of the line, comment removed.
        rest: &'a str,
    },
    /// A connection that a router tracks (`conntrack -L`).
    Flow(Flow),
    /// A rule of a packet filter or NAT (`nft list ruleset`).
    Rule(FilterRule<'a>),
}

/// The programs whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Daemon {
    /// ntpd of the NTP project, or NTPsec's: one language.
    Ntpd,
    /// chronyd.
    Chrony,
}

/// Counters that daemons keep, by one name whoever prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Seconds since the counters were reset; orders two snapshots of one daemon.
    AgeS,
    /// NTP packets received.
    Received,
    /// NTP packets sent.
    Sent,
    /// Discarded for length or format: ntp bug 2174 counts here.
    BadFormat,
    /// Discarded by authentication.
    BadAuth,
    /// Discarded by an access list.
    Restricted,
    /// Discarded by a rate limit. chronyd's "NTP packets dropped" counts the same.
    Limited,
    /// Kiss-o'-death replies sent.
    KodSent,
    /// Requests sent to one source (`ntpdata` Total TX).
    SourceSent,
    /// Replies from one source that passed the packet tests (`ntpdata` Total valid RX).
    SourceValid,
}

/// A tracked connection: the original direction, and the reply direction with the addresses after translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who asks, before translation.
    pub source: (IpAddr, u16),
    /// Who is asked, before translation.
    pub destination: (IpAddr, u16),
    /// Who answers, after translation.
    pub reply_source: (IpAddr, u16),
    /// Where the answer goes: the NAT's address and the port that it chose.
    pub reply_destination: (IpAddr, u16),
    /// Whether an answer was ever seen.
    pub replied: bool,
}

/// A rule of a packet filter, as far as it concerns NTP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterRule<'a> {
    /// The chain's hook (`postrouting`, `input`, `forward` …); empty where the listing does not say.
    pub hook: &'a str,
    /// The rule as printed.
    pub text: &'a str,
    /// What it does.
    pub action: Action,
    /// Packets that it has matched, where the rule counts.
    pub packets: Option<u64>,
}

/// What a [`FilterRule`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Rewrites the source address, and the port where it must.
    TranslateSource {
        /// The ports that it may choose from, where the rule says so.
        ports: Option<(u16, u16)>,
        /// Whether a new port is drawn for every connection (`random`, `fully-random`).
        random: bool,
    },
    /// Drops or rejects.
    Drop,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(n) => write!(f, "line {n}"),
            Place::Frame(n) => write!(f, "frame {n}"),
        }
    }
}
