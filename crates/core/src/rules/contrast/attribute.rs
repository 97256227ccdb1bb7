//! The attributes that are tried: how each is called, how its values are told, and tshark's field for it.

use super::row::{Attributes, HIGH, NO_GAP, Stamp, gap_from_s, step_end};
use super::search::Values;
use super::table::Table;

/// An attribute of a request.
pub(super) struct Attribute {
    /// How causes know it.
    pub name: &'static str,
    /// How a report calls it.
    pub words: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Its value.
    pub value: fn(&Attributes) -> i64,
    /// tshark's fields.
    field: Field,
}

/// What the values of an attribute are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers.
    Number,
    /// Source ports, in steps.
    Port,
    /// Times by their powers of two.
    Gap,
    /// Names, without an order.
    Named(&'static [&'static str]),
    /// The client: its number in the table.
    Client,
    /// The client's network: its number in the table.
    Prefix,
}

impl Kind {
    /// Whether thresholds and ranges of its values mean something.
    pub(super) fn is_ordered(self) -> bool {
        matches!(self, Kind::Number | Kind::Port | Kind::Gap)
    }

    /// Whether it says who asks, and not what.
    pub(super) fn is_who(self) -> bool {
        matches!(self, Kind::Client | Kind::Prefix)
    }
}

/// How tshark shows an attribute.
#[derive(Clone, Copy)]
enum Field {
    /// A field for IPv4 and one for IPv6; it is greater than the attribute by so much.
    Number(&'static str, &'static str, i64),
    /// The number of times that a field is there.
    Count(&'static str),
    /// The MAC: tshark shows the key's number, 4 bytes, as a field of its own.
    Mac,
    /// Whether a filter holds.
    Flag(&'static str),
    /// Source address.
    Source,
    /// tshark has none.
    None,
}

const fn same(field: &'static str) -> Field {
    Field::Number(field, field, 0)
}

const YES: &[&str] = &["no", "yes"];

/// Fields of Network Time Security (RFC 8915 §5): unique identifier, cookie, placeholder, authenticator.
const NTS: &str =
    "(ntp.ext.type == 0x0104 || ntp.ext.type == 0x0204 || ntp.ext.type == 0x0304 || ntp.ext.type == 0x0404)";

/// The attributes, those that say what is asked before those that say when and who.
pub(super) const ATTRIBUTES: &[Attribute] = &[
    row("port-number", "source port", Kind::Port, |a| i64::from(a.port), same("udp.srcport")),
    row("length", "length", Kind::Number, |a| i64::from(a.length), Field::Number("udp.length", "udp.length", 8)),
    row("version", "version", Kind::Number, |a| i64::from(a.version), same("ntp.flags.vn")),
    row("mode", "mode", Kind::Number, |a| i64::from(a.mode), same("ntp.flags.mode")),
    row("poll-field", "poll field", Kind::Number, |a| i64::from(a.poll), same("ntp.ppoll")),
    row("ttl", "TTL", Kind::Number, |a| i64::from(a.ttl), Field::Number("ip.ttl", "ipv6.hlim", 0)),
    row("dscp", "DSCP", Kind::Number, |a| i64::from(a.dscp), Field::Number("ip.dsfield.dscp", "ipv6.tclass.dscp", 0)),
    row("extensions", "number of extension fields", Kind::Number, |a| i64::from(a.extensions), Field::Count("ntp.ext")),
    row("mac", "length of the MAC", Kind::Number, |a| i64::from(a.mac), Field::Mac),
    row("nts", "NTS", Kind::Named(YES), |a| i64::from(a.nts), Field::Flag(NTS)),
    row("stamp", "transmit timestamp", Kind::Named(&Stamp::WORDS), |a| a.stamp as i64, Field::None),
    row("own-gap", "time since the client's last request", Kind::Gap, |a| i64::from(a.own_gap), Field::None),
    row("any-gap", "time since the address's last request", Kind::Gap, |a| i64::from(a.any_gap), Field::None),
    row("in-flight", "unanswered requests of the address", Kind::Number, |a| i64::from(a.in_flight), Field::None),
    row("client", "client", Kind::Client, |_| 0, Field::Source),
    row("prefix", "client's network", Kind::Prefix, |_| 0, Field::Source),
];

const fn row(
    name: &'static str,
    words: &'static str,
    kind: Kind,
    value: fn(&Attributes) -> i64,
    field: Field,
) -> Attribute {
    Attribute { name, words, kind, value, field }
}

impl Attribute {
    /// A set of its values in words. `ports` are the lowest and the highest port that the set was seen to have.
    pub(super) fn set(&self, values: &Values, table: &Table<'_>, ports: (u16, u16)) -> String {
        let words = self.words;
        match (self.kind, values) {
            (Kind::Port, Values::Range { first: false, last: false, .. }) if ports.0 != ports.1 => {
                format!("{words} {} to {}", ports.0, ports.1)
            }
            (Kind::Port, Values::Range { first: false, last: false, .. }) => format!("{words} {}", ports.0),
            (Kind::Port, Values::Range { first: true, .. }) => format!("{words} {} or less", ports.1),
            (Kind::Port, Values::Range { .. }) => format!("{words} {} or more", ports.0),
            (Kind::Gap, Values::Range { from, to, first, last }) => match (first, last) {
                (true, _) => format!("{words} less than {}", seconds(gap_from_s(to + 1))),
                (_, true) => format!("{words} {} or more, or the first", seconds(gap_from_s(*from))),
                _ if *from == i64::from(NO_GAP) => format!("no earlier request seen ({words})"),
                _ => format!("{words} {} to {}", seconds(gap_from_s(*from)), seconds(gap_from_s(to + 1))),
            },
            (_, Values::Range { from, to, .. }) if from == to => format!("{words} {}", self.value(*from, table)),
            (_, Values::Range { to, first: true, .. }) => format!("{words} {to} or less"),
            (_, Values::Range { from, last: true, .. }) => format!("{words} {from} or more"),
            (_, Values::Range { from, to, .. }) => format!("{words} {from} to {to}"),
            (_, Values::Among(values)) => {
                let values: Vec<String> = values.iter().map(|v| self.value(*v, table)).collect();
                format!("{words} {}", values.join(" or "))
            }
        }
    }

    fn value(&self, value: i64, table: &Table<'_>) -> String {
        let at = value as usize;
        match self.kind {
            Kind::Named(names) => names.get(at).copied().unwrap_or_default().into(),
            Kind::Client => table.clients.get(at).map_or_else(String::new, ToString::to_string),
            Kind::Prefix => table.prefixes.get(at).map_or_else(String::new, |(a, bits)| format!("{a}/{bits}")),
            Kind::Gap => seconds(2f64.powi(value as i32) / 1000.0),
            Kind::Port if value >= i64::from(HIGH) => format!("{value} to {}", step_end(value)),
            Kind::Port | Kind::Number => value.to_string(),
        }
    }

    /// A set of its values as a tshark display filter, where tshark has a field for it.
    pub(super) fn filter(&self, values: &Values, table: &Table<'_>, ports: (u16, u16)) -> Option<String> {
        match values {
            Values::Range { first: false, last: false, .. } if self.kind == Kind::Port => {
                self.range(ports.0.into(), ports.1.into(), table)
            }
            Values::Range { from, to, .. } if from == to && self.kind != Kind::Port => self.is(*from, table),
            Values::Range { to, first: true, .. } => {
                let to = if self.kind == Kind::Port { i64::from(ports.1) } else { *to };
                self.compare("<=", to, table)
            }
            Values::Range { from, last: true, .. } => {
                let from = if self.kind == Kind::Port { i64::from(ports.0) } else { *from };
                self.compare(">=", from, table)
            }
            Values::Range { from, to, .. } => self.range(*from, *to, table),
            Values::Among(values) => {
                let all: Option<Vec<String>> = values.iter().map(|value| self.is(*value, table)).collect();
                Some(format!("({})", all?.join(" || ")))
            }
        }
    }

    fn range(&self, from: i64, to: i64, table: &Table<'_>) -> Option<String> {
        if from == to {
            return self.is(from, table);
        }
        Some(format!("{} && {}", self.compare(">=", from, table)?, self.compare("<=", to, table)?))
    }

    fn is(&self, value: i64, table: &Table<'_>) -> Option<String> {
        let six = table.is_ipv6();
        match self.field {
            Field::Source => {
                let field = if six { "ipv6.src" } else { "ip.src" };
                Some(format!("{field} == {}", self.value(value, table)))
            }
            Field::Flag(filter) => Some(if value == 0 { format!("!{filter}") } else { filter.into() }),
            _ if self.kind == Kind::Port && value >= i64::from(HIGH) => {
                let (from, to) = (self.compare(">=", value, table)?, self.compare("<=", step_end(value), table)?);
                Some(format!("({from} && {to})"))
            }
            Field::Mac if value == 0 => Some("!ntp.keyid".into()),
            Field::Count(field) if value == 0 => Some(format!("!{field}")),
            _ => self.compare("==", value, table),
        }
    }

    fn compare(&self, operator: &str, value: i64, table: &Table<'_>) -> Option<String> {
        match self.field {
            Field::Number(four, six, more) => {
                // tshark shows a byte without its sign.
                let value = if value < 0 { value + 256 } else { value };
                let field = if table.is_ipv6() { six } else { four };
                Some(format!("{field} {operator} {}", value + more))
            }
            // What is not there is less than anything.
            Field::Count(field) if operator == "<=" => Some(format!("(!{field} || count({field}) <= {value})")),
            Field::Mac if operator == "<=" => Some(format!("(!ntp.mac || len(ntp.mac) <= {})", (value - 4).max(0))),
            Field::Count(field) => Some(format!("count({field}) {operator} {value}")),
            Field::Mac => Some(format!("len(ntp.mac) {operator} {}", (value - 4).max(0))),
            _ => None,
        }
    }
}

/// Seconds in words.
fn seconds(s: f64) -> String {
    match s {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 10.0 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}
