//! Rows as tables: the columns that each kind of row has, by name and in order.
//!
//! This is what `ntpscope rows` prints, whatever the format; a name here is a promise to those who read it.

use crate::model::{Action, Clock, Daemon, Event, Happening, Packet, Peer, Place, Row, What};
use crate::time::Time;
use std::net::IpAddr;

/// The kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// [`Row::Clock`]
    Clock,
    /// [`Row::Peer`]
    Peer,
    /// [`Row::Packet`]
    Packet,
    /// [`Row::Event`]
    Event,
}

/// What stands in one column of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// The form does not say.
    Nothing,
    /// Text as printed by whoever wrote it.
    Text(&'a str),
    /// One character.
    Mark(char),
    /// A number.
    Number(f64),
    /// A whole number.
    Whole(i64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    Time(Time),
    /// An address.
    Address(IpAddr),
    /// An address and the bits of its prefix.
    Prefix(IpAddr, u8),
    /// A reach register, in octal as everybody prints it.
    Reach(u8),
    /// Sixteen bits, in hexadecimal.
    Bits(u16),
    /// A 64-bit NTP timestamp to the bit: hexadecimal seconds and fraction, as `ntpq -c rv` prints it.
    Stamp(u64),
}

/// Whose row it is, where the row itself does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner<'a> {
    /// The name of the input.
    pub input: &'a str,
    /// The host that the input belongs to; empty where nobody knows.
    pub host: &'a str,
}

impl Table {
    /// All kinds.
    pub const ALL: [Table; 4] = [Table::Clock, Table::Peer, Table::Packet, Table::Event];

    /// The kind of a row.
    #[must_use]
    pub fn of(row: &Row<'_>) -> Table {
        match row {
            Row::Clock(_) => Table::Clock,
            Row::Peer(_) => Table::Peer,
            Row::Packet(_) => Table::Packet,
            Row::Event(_) => Table::Event,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Table::Clock => "clock",
            Table::Peer => "peer",
            Table::Packet => "packet",
            Table::Event => "event",
        }
    }

    /// The names of its columns.
    #[must_use]
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Table::Clock => CLOCK,
            Table::Peer => PEER,
            Table::Packet => PACKET,
            Table::Event => EVENT,
        }
    }
}

const CLOCK: &[&str] = &[
    "input",
    "line",
    "host",
    "time",
    "source",
    "stratum",
    "leap",
    "offset_s",
    "frequency_ppm",
    "jitter_s",
    "wander_ppm",
    "poll_s",
    "root_delay_s",
    "root_dispersion_s",
];

const PEER: &[&str] = &[
    "input",
    "line",
    "host",
    "time",
    "source",
    "tally",
    "status",
    "accepted",
    "refid",
    "stratum",
    "poll_s",
    "reach",
    "offset_s",
    "delay_s",
    "dispersion_s",
    "jitter_s",
    "root_delay_s",
    "root_dispersion_s",
    "frequency_ppm",
    "wander_ppm",
];

const PACKET: &[&str] = &[
    "input",
    "line",
    "host",
    "time",
    "source",
    "source_port",
    "destination",
    "destination_port",
    "leap",
    "version",
    "mode",
    "stratum",
    "poll",
    "precision",
    "root_delay_s",
    "root_dispersion_s",
    "refid",
    "reference",
    "originate",
    "receive",
    "transmit",
    "arrival",
    "length",
    "ttl",
    "lost",
    "dropped",
    "failed",
];

const EVENT: &[&str] = &["input", "line", "host", "time", "what", "who", "subject", "name", "value", "over_s", "text"];

/// Shows the cells of a row, in the order of its table's columns.
pub fn cells(row: &Row<'_>, owner: Owner<'_>, cell: &mut dyn FnMut(Cell<'_>)) {
    let at = row.at();
    let (Place::Line(line) | Place::Frame(line)) = at.origin.place;
    cell(text(owner.input));
    cell(Cell::Whole(i64::from(line)));
    cell(text(if at.host.is_empty() { owner.host } else { at.host }));
    cell(at.time.map_or(Cell::Nothing, Cell::Time));
    match row {
        Row::Clock(row) => clock(row).into_iter().for_each(cell),
        Row::Peer(row) => peer(row).into_iter().for_each(cell),
        Row::Packet(row) => packet(row).into_iter().for_each(cell),
        Row::Event(row) => event(row, cell),
    }
}

fn text(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Nothing } else { Cell::Text(text) }
}

fn number(value: Option<f64>) -> Cell<'static> {
    value.map_or(Cell::Nothing, Cell::Number)
}

fn whole(value: Option<impl Into<i64>>) -> Cell<'static> {
    value.map_or(Cell::Nothing, |value| Cell::Whole(value.into()))
}

fn clock<'a>(row: &Clock<'a>) -> [Cell<'a>; 10] {
    [
        text(row.source),
        whole(row.stratum),
        whole(row.leap),
        number(row.offset_s),
        number(row.frequency_ppm),
        number(row.jitter_s),
        number(row.wander_ppm),
        number(row.poll_s),
        number(row.root_delay_s),
        number(row.root_dispersion_s),
    ]
}

fn peer<'a>(row: &Peer<'a>) -> [Cell<'a>; 16] {
    [
        text(row.source),
        row.tally.map_or(Cell::Nothing, Cell::Mark),
        row.status.map_or(Cell::Nothing, Cell::Bits),
        row.accepted.map_or(Cell::Nothing, Cell::Flag),
        text(row.refid),
        whole(row.stratum),
        number(row.poll_s),
        row.reach.map_or(Cell::Nothing, Cell::Reach),
        number(row.offset_s),
        number(row.delay_s),
        number(row.dispersion_s),
        number(row.jitter_s),
        number(row.root_delay_s),
        number(row.root_dispersion_s),
        number(row.frequency_ppm),
        number(row.wander_ppm),
    ]
}

fn packet<'a>(row: &Packet<'a>) -> [Cell<'a>; 23] {
    let address = |end: (Option<IpAddr>, _)| end.0.map_or(Cell::Nothing, Cell::Address);
    let stamp = |stamp: Option<u64>| stamp.map_or(Cell::Nothing, Cell::Stamp);
    [
        address(row.source),
        whole(row.source.1),
        address(row.destination),
        whole(row.destination.1),
        whole(row.leap),
        whole(row.version),
        whole(row.mode),
        whole(row.stratum),
        whole(row.poll),
        whole(row.precision),
        number(row.root_delay_s),
        number(row.root_dispersion_s),
        text(row.refid),
        stamp(row.reference),
        stamp(row.originate),
        stamp(row.receive),
        stamp(row.transmit),
        stamp(row.arrival),
        whole(row.length),
        whole(row.ttl),
        whole(row.lost),
        whole(row.dropped),
        whole(row.failed),
    ]
}

/// `what`, `who`, `subject`, `name`, `value`, `over_s`, `text`.
fn event(row: &Event<'_>, cell: &mut dyn FnMut(Cell<'_>)) {
    const NO: Cell<'static> = Cell::Nothing;
    // Few events are many, so that these may be put together as text.
    let flow;
    let cells = match row.what {
        What::Variable { association, name, value } => {
            [Cell::Text("variable"), NO, text(association), text(name), NO, NO, text(value)]
        }
        What::Counter { association, name, value, over_s } => {
            let value = i64::try_from(value).map_or(Cell::Number(value as f64), Cell::Whole);
            [Cell::Text("counter"), NO, text(association), Cell::Text(name.word()), value, number(over_s), NO]
        }
        What::Gauge { of, name, value } => {
            [Cell::Text("gauge"), NO, text(of), Cell::Text(name), Cell::Number(value), NO, NO]
        }
        What::Message(m) => {
            let name = Cell::Text(m.kind.word());
            [Cell::Text("message"), text(m.program), text(m.source), name, number(m.value), NO, text(m.text)]
        }
        What::Client { address, port, count } => {
            flow = port.map_or(String::new(), |port| format!("port {port}"));
            let count = i64::try_from(count).map_or(Cell::Number(count as f64), Cell::Whole);
            [Cell::Text("client"), NO, text(address), Cell::Text("requests"), count, NO, text(&flow)]
        }
        What::Directive { daemon, keyword, rest } => {
            [Cell::Text("directive"), Cell::Text(daemon.word()), NO, text(keyword), NO, NO, text(rest)]
        }
        What::Flow(f) => {
            let end = |(address, port): (IpAddr, u16)| std::net::SocketAddr::new(address, port);
            let replied = if f.replied { "" } else { ", not answered" };
            let (from, to, back, asked) = (f.source, f.destination, f.reply_destination, f.reply_source);
            flow = format!("{} to {} as {} to {}{replied}", end(from), end(to), end(back), end(asked));
            [Cell::Text("flow"), NO, Cell::Address(f.source.0), NO, NO, NO, Cell::Text(&flow)]
        }
        What::Rule(rule) => {
            let name = match rule.action {
                Action::Drop => "drop",
                Action::TranslateSource { .. } => "translate_source",
                Action::TranslateDestination => "translate_destination",
            };
            let packets = rule.packets.map_or(NO, |n| Cell::Number(n as f64));
            [Cell::Text("rule"), NO, text(rule.hook), Cell::Text(name), packets, NO, text(rule.text)]
        }
        What::Address { interface, address, prefix } => {
            flow = format!("{address}/{prefix}");
            [Cell::Text("address"), NO, text(interface), NO, NO, NO, Cell::Text(&flow)]
        }
        What::Route { to, via, interface, from } => {
            let via = via.map_or(String::new(), |a| format!("via {a}"));
            flow = from.map_or(via.clone(), |a| format!("{via} from {a}").trim_start().to_owned());
            [Cell::Text("route"), NO, text(interface), Cell::Prefix(to.0, to.1), NO, NO, text(&flow)]
        }
    };
    cells.into_iter().for_each(cell);
}

impl Daemon {
    /// What a table calls it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Daemon::Ntpd => "ntpd",
            Daemon::Chrony => "chronyd",
            Daemon::OpenNtpd => "openntpd",
            Daemon::NtpdRs => "ntpd-rs",
            Daemon::Timesyncd => "systemd-timesyncd",
            Daemon::Router => "router",
        }
    }
}

impl Happening {
    /// What a table calls it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Happening::Start => "start",
            Happening::Stop => "stop",
            Happening::Step => "step",
            Happening::Slew => "slew",
            Happening::Spike => "spike",
            Happening::Popcorn => "popcorn",
            Happening::Panic => "panic",
            Happening::Frequency => "frequency",
            Happening::Synchronised => "synchronised",
            Happening::Unsynchronised => "unsynchronised",
            Happening::Mobilised => "mobilised",
            Happening::Demobilised => "demobilised",
            Happening::Reachable => "reachable",
            Happening::Unreachable => "unreachable",
            Happening::Falseticker => "falseticker",
            Happening::Kiss => "kiss",
            Happening::BadAuth => "bad_auth",
            Happening::Leap => "leap",
            Happening::Kernel => "kernel",
            Happening::ClockSource => "clock_source",
            Happening::Foreign => "foreign",
            Happening::Timecode => "timecode",
            Happening::Network => "network",
            Happening::Configuration => "configuration",
            Happening::Other => "other",
        }
    }
}

impl crate::model::Counter {
    /// What a table calls it.
    #[must_use]
    pub fn word(self) -> &'static str {
        use crate::model::Counter;
        match self {
            Counter::AgeS => "age_s",
            Counter::Received => "received",
            Counter::Sent => "sent",
            Counter::BadFormat => "bad_format",
            Counter::BadAuth => "bad_auth",
            Counter::Restricted => "restricted",
            Counter::Limited => "limited",
            Counter::KodSent => "kod_sent",
            Counter::CurrentVersion => "current_version",
            Counter::OldVersion => "old_version",
            Counter::Processed => "processed",
            Counter::UnknownVersion => "unknown_version",
            Counter::Declined => "declined",
            Counter::Version1 => "version_1",
            Counter::SourceSent => "source_sent",
            Counter::SourceValid => "source_valid",
            Counter::TrackInsertFailed => "insert_failed",
            Counter::TrackDrop => "drop",
        }
    }
}
