//! The rows that everything becomes, and where each came from.
//!
//! A reader turns bytes into [`Row`]s; nothing to its right sees the bytes again. Rows borrow from the input,
//! so a reader allocates nothing per row. Whatever the daemon's convention, offsets and frequencies are
//! **reference − local** here, times are nanoseconds UTC, and units are in the names.

use crate::time::Time;
use std::fmt;
use std::net::IpAddr;

/// An input's number in [`crate::scene::Scene`].
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

/// Where a row was read, when it was true, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At<'a> {
    /// Where it was read.
    pub origin: Origin,
    /// When, on the clock of the host that wrote it; `None` where the text does not say.
    pub time: Option<Time>,
    /// The host that the text itself names (a syslog line, ntpq asking several); empty where only the input tells.
    pub host: &'a str,
}

impl At<'_> {
    /// Only where it was read.
    #[must_use]
    pub fn origin(origin: Origin) -> Self {
        At { origin, time: None, host: "" }
    }
}

/// Everything that a reader can hand on.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// The state of a clock's discipline.
    Clock(Clock<'a>),
    /// One host's view of one source.
    Peer(Peer<'a>),
    /// An NTP packet that a text tells of. Captures give [`crate::wire::Packet`]s, which become these for tables.
    Packet(Packet<'a>),
    /// Something that is configured, counted, or happened.
    Event(Event<'a>),
}

impl<'a> Row<'a> {
    /// Where, when and whose.
    #[must_use]
    pub fn at(&self) -> At<'a> {
        match self {
            Row::Clock(row) => row.at,
            Row::Peer(row) => row.at,
            Row::Packet(row) => row.at,
            Row::Event(row) => row.at,
        }
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self) -> &mut At<'a> {
        match self {
            Row::Clock(row) => &mut row.at,
            Row::Peer(row) => &mut row.at,
            Row::Packet(row) => &mut row.at,
            Row::Event(row) => &mut row.at,
        }
    }
}

/// The state of a clock's discipline: `loopstats`, `tracking.log`, `chronyc tracking`, a drift file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock<'a> {
    /// Where, when and whose.
    pub at: At<'a>,
    /// The source that is followed, as printed; empty where there is none or the form does not say.
    pub source: &'a str,
    /// The host's own stratum.
    pub stratum: Option<u8>,
    /// Leap indicator, 0–3; 3 is not synchronised.
    pub leap: Option<u8>,
    /// Offset in seconds, reference − local (positive: the local clock is slow).
    pub offset_s: Option<f64>,
    /// Correction of the frequency in parts per million, ntpd's sign (positive: the oscillator runs slow).
    pub frequency_ppm: Option<f64>,
    /// Uncertainty of the offset in seconds, as the daemon means it (RMS jitter, standard deviation).
    pub jitter_s: Option<f64>,
    /// Uncertainty of the frequency in parts per million (ntpd: wander; chronyd: skew).
    pub wander_ppm: Option<f64>,
    /// Seconds between updates (ntpd: two to the time constant).
    pub poll_s: Option<f64>,
    /// Round-trip delay to the root of the tree, in seconds.
    pub root_delay_s: Option<f64>,
    /// Dispersion to the root of the tree, in seconds.
    pub root_dispersion_s: Option<f64>,
}

impl<'a> Clock<'a> {
    /// A clock of which nothing is known yet.
    #[must_use]
    pub fn new(at: At<'a>) -> Self {
        Clock {
            at,
            source: "",
            stratum: None,
            leap: None,
            offset_s: None,
            frequency_ppm: None,
            jitter_s: None,
            wander_ppm: None,
            poll_s: None,
            root_delay_s: None,
            root_dispersion_s: None,
        }
    }
}

/// One host's view of one source: billboards, `peerstats`, chronyd's `measurements.log` and `statistics.log`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peer<'a> {
    /// Where, when and whose.
    pub at: At<'a>,
    /// The source as printed: address, name or reference clock.
    pub source: &'a str,
    /// The selection mark, as the daemon prints it (`*`, `+`, `-`, `x`, `?`, …; a space is ntpd's for *rejected*).
    pub tally: Option<char>,
    /// ntpd's status word of the association (RFC 9327 §3.2).
    pub status: Option<u16>,
    /// Whether the sample passed the daemon's tests, where the form says so.
    pub accepted: Option<bool>,
    /// The source's reference id as printed; empty where the form has none.
    pub refid: &'a str,
    /// The source's stratum, 0–16.
    pub stratum: Option<u8>,
    /// Seconds between polls.
    pub poll_s: Option<f64>,
    /// The reach register: bit 0 is the latest poll, 1 is answered.
    pub reach: Option<u8>,
    /// Offset in seconds, reference − local (positive: the local clock is slow); `None` while the source never answered.
    pub offset_s: Option<f64>,
    /// Round-trip delay in seconds.
    pub delay_s: Option<f64>,
    /// Dispersion in seconds.
    pub dispersion_s: Option<f64>,
    /// Jitter in seconds (ntpd: RMS of differences; chronyd: standard deviation).
    pub jitter_s: Option<f64>,
    /// The source's delay to its root, in seconds.
    pub root_delay_s: Option<f64>,
    /// The source's dispersion to its root, in seconds.
    pub root_dispersion_s: Option<f64>,
    /// How much faster the source runs than the local clock, in parts per million (as with offsets: reference − local).
    pub frequency_ppm: Option<f64>,
    /// Uncertainty of that frequency in parts per million.
    pub wander_ppm: Option<f64>,
}

impl<'a> Peer<'a> {
    /// A source of which nothing is known yet.
    #[must_use]
    pub fn new(at: At<'a>, source: &'a str) -> Self {
        Peer {
            at,
            source,
            tally: None,
            status: None,
            accepted: None,
            refid: "",
            stratum: None,
            poll_s: None,
            reach: None,
            offset_s: None,
            delay_s: None,
            dispersion_s: None,
            jitter_s: None,
            root_delay_s: None,
            root_dispersion_s: None,
            frequency_ppm: None,
            wander_ppm: None,
        }
    }
}

/// An NTP packet: `rawstats`, Zeek's `ntp.log`, text of tcpdump, or a frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet<'a> {
    /// Where, when (it was received, or sent where this host sent it) and whose.
    pub at: At<'a>,
    /// Who sent it: address and port, as far as the form says.
    pub source: (Option<IpAddr>, Option<u16>),
    /// To whom.
    pub destination: (Option<IpAddr>, Option<u16>),
    /// Leap indicator, 0–3.
    pub leap: Option<u8>,
    /// Version, 0–7.
    pub version: Option<u8>,
    /// Mode, 0–7.
    pub mode: Option<u8>,
    /// Stratum as on the wire; 0 in a reply is a kiss-o'-death.
    pub stratum: Option<u8>,
    /// Poll exponent, log₂ seconds.
    pub poll: Option<i8>,
    /// Precision exponent, log₂ seconds.
    pub precision: Option<i8>,
    /// Root delay in seconds.
    pub root_delay_s: Option<f64>,
    /// Root dispersion in seconds.
    pub root_dispersion_s: Option<f64>,
    /// Reference id as printed; empty where the form has none.
    pub refid: &'a str,
    /// When the sender's clock was last set: a 64-bit NTP timestamp, as are the next three.
    pub reference: Option<u64>,
    /// T1: when the request left, on the client's clock.
    pub originate: Option<u64>,
    /// T2: when it reached the server.
    pub receive: Option<u64>,
    /// T3: when the sender sent this packet.
    pub transmit: Option<u64>,
    /// T4: when this packet arrived, on the clock of whoever received it, where the form has it as finely as the others.
    pub arrival: Option<u64>,
    /// Length of the UDP payload in bytes.
    pub length: Option<u16>,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// NTPsec's `rawstats`: requests that stayed unanswered before this reply.
    pub lost: Option<u32>,
    /// NTPsec's `rawstats`: replies that were dropped since the last that was accepted.
    pub dropped: Option<u32>,
    /// NTPsec's `rawstats`: the tests that this packet failed, as bits.
    pub failed: Option<u32>,
}

impl<'a> Packet<'a> {
    /// A packet of which nothing is known yet.
    #[must_use]
    pub fn new(at: At<'a>) -> Self {
        Packet {
            at,
            source: (None, None),
            destination: (None, None),
            leap: None,
            version: None,
            mode: None,
            stratum: None,
            poll: None,
            precision: None,
            root_delay_s: None,
            root_dispersion_s: None,
            refid: "",
            reference: None,
            originate: None,
            receive: None,
            transmit: None,
            arrival: None,
            length: None,
            ttl: None,
            lost: None,
            dropped: None,
            failed: None,
        }
    }
}

/// Something that is configured, counted, or happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// Where, when and whose.
    pub at: At<'a>,
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
    /// A counter of a daemon.
    Counter {
        /// The remote address that it counts for; empty for the whole daemon.
        association: &'a str,
        /// Which counter.
        name: Counter,
        /// Its value.
        value: u64,
        /// The seconds that it was counted in, up to this row's time; `None` since the daemon's start or last reset.
        over_s: Option<f64>,
    },
    /// A quantity that is neither a clock's nor a source's: a temperature, a number of satellites, a daemon's CPU time.
    Gauge {
        /// The sensor, driver or source; empty for the daemon itself.
        of: &'a str,
        /// What is measured, the unit at its end (`temperature_c`, `cpu_user_s`).
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A message of a daemon or the kernel.
    Message(Message<'a>),
    /// One client that a server remembers (`mrulist`, `chronyc clients`).
    Client {
        /// The client's address as printed.
        address: &'a str,
        /// The source port of its last request, where the server says.
        port: Option<u16>,
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
    /// A rule of a packet filter or NAT (`nft list ruleset`, `iptables-save`).
    Rule(FilterRule<'a>),
    /// An address of the host (`ip addr`).
    Address {
        /// The interface that has it.
        interface: &'a str,
        /// The address.
        address: IpAddr,
        /// Bits of its prefix.
        prefix: u8,
    },
    /// A route of the host (`ip route`).
    Route {
        /// Address and bits of the prefix; 0.0.0.0/0 or ::/0 for the default.
        to: (IpAddr, u8),
        /// The next router, where there is one.
        via: Option<IpAddr>,
        /// The interface; empty where the route has none (`unreachable`, `blackhole`).
        interface: &'a str,
        /// The source address that the route prescribes.
        from: Option<IpAddr>,
    },
}

/// What a daemon or the kernel said happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Message<'a> {
    /// Who says so: `ntpd`, `chronyd`, `kernel` …
    pub program: &'a str,
    /// What happened.
    pub kind: Happening,
    /// The source that it is about, as printed; empty for the whole daemon.
    pub source: &'a str,
    /// The number in it, in the unit that the kind has.
    pub value: Option<f64>,
    /// The message as printed.
    pub text: &'a str,
}

/// What can happen, by one name whoever says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// A daemon started.
    Start,
    /// A daemon ended.
    Stop,
    /// The clock was stepped, by seconds (positive: forwards; the local clock was slow).
    Step,
    /// The clock is being slewed, by seconds (sign as for a step).
    Slew,
    /// An offset beyond the step threshold, in seconds, which waits to be believed.
    Spike,
    /// An offset in seconds that was thrown away as an outlier of one source.
    Popcorn,
    /// The offset, in seconds, is beyond what the daemon will correct.
    Panic,
    /// The frequency is known: parts per million, ntpd's sign.
    Frequency,
    /// The clock is synchronised, or follows another source.
    Synchronised,
    /// No source can be followed.
    Unsynchronised,
    /// A source is asked from now on.
    Mobilised,
    /// A source is asked no more.
    Demobilised,
    /// A source answers.
    Reachable,
    /// A source no longer answers.
    Unreachable,
    /// A source was found to be wrong, or disagrees with the others.
    Falseticker,
    /// A source sent a kiss-o'-death.
    Kiss,
    /// A packet failed authentication.
    BadAuth,
    /// A leap second is announced, is over, or its table is stale.
    Leap,
    /// The kernel's discipline or status changed.
    Kernel,
    /// The kernel changed its clock source, or finds one unstable.
    ClockSource,
    /// The host slept, or its time was changed by somebody else.
    Foreign,
    /// A time code or status of a reference clock.
    Timecode,
    /// A name could not be resolved, a socket not be opened, the network not be reached.
    Network,
    /// Something in the configuration was refused.
    Configuration,
    /// Anything else.
    Other,
}

/// The programs whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Daemon {
    /// ntpd of the NTP project, or NTPsec's: one language.
    Ntpd,
    /// chronyd.
    Chrony,
    /// OpenBSD's ntpd, and its portable OpenNTPD.
    OpenNtpd,
    /// ntpd-rs.
    NtpdRs,
    /// systemd-timesyncd.
    Timesyncd,
    /// A router or switch: the words after `ntp`.
    Router,
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
    /// Processed as addressed to this host, in the current version of NTP.
    CurrentVersion,
    /// Processed though of an older version.
    OldVersion,
    /// Processed by the protocol machine.
    Processed,
    /// Discarded as of an unknown version.
    UnknownVersion,
    /// Declined: no reason to answer.
    Declined,
    /// Processed though of version 1 (NTPsec counts them apart).
    Version1,
    /// Requests sent to one source (`ntpdata` Total TX).
    SourceSent,
    /// Replies from one source that passed the packet tests (`ntpdata` Total valid RX).
    SourceValid,
    /// Packets dropped because their connection could not be tracked: two raced for one tuple (`conntrack -S`).
    TrackInsertFailed,
    /// Packets dropped by the tracking of connections: its table was full, or memory short (`conntrack -S`).
    TrackDrop,
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
    /// Rewrites the destination: the request goes to a server that the client did not ask.
    TranslateDestination,
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
