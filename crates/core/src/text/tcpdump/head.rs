//! The first line of a packet: number, time, link header, IP header, the two ends.

use super::super::field::{date_time, integer, nanoseconds, time_of_day};
use crate::time::{DAY, Time};
use std::net::IpAddr;

/// A time as printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stamp {
    /// With its date, or as Unix time.
    At(Time),
    /// Nanoseconds since some midnight.
    OfDay(i64),
    /// Since another packet (`-ttt`, `-ttttt`), or not printed (`-t`).
    Unknown,
    /// Month and day (`-ttt` of OpenBSD) without a year, and nanoseconds since midnight.
    Yearless(i8, i8, i64),
}

/// What times of day mean in one dump.
#[derive(Default)]
pub(super) struct Clock {
    /// Whether times of day were seen, and are since another packet.
    relative: Option<bool>,
}

impl Clock {
    pub(super) fn time(&mut self, stamp: Stamp, written: Time) -> Option<Time> {
        match stamp {
            Stamp::Unknown => None,
            Stamp::At(time) => Some(time),
            // Until 4.9, nothing tells a time since another packet from one of a day, but that the first is zero.
            Stamp::OfDay(ns) if *self.relative.get_or_insert(ns == 0) => None,
            Stamp::OfDay(ns) => {
                let today = Time(written.0.saturating_sub(written.0.rem_euclid(DAY)).saturating_add(ns));
                Some(if today > written { Time(today.0.saturating_sub(DAY)) } else { today })
            }
            Stamp::Yearless(month, day, ns) => {
                let year = 1970 + written.0.div_euclid(DAY) * 400 / 146_097;
                // The last of the years about it that has such a day which is not later.
                let years = (0..9).filter_map(|back| i16::try_from(year + 1 - back).ok());
                years.filter_map(|year| Time::from_date(year, month, day, ns)).find(|time| *time <= written)
            }
        }
    }
}

/// The first line of a packet.
pub(super) struct Head<'a> {
    pub(super) stamp: Stamp,
    /// What follows the time.
    pub(super) body: &'a str,
    /// TTL or hop limit, where the IP header is printed.
    pub(super) ttl: Option<u8>,
    /// Whether the IP header is printed (`-v`).
    pub(super) is_verbose: bool,
}

impl<'a> Head<'a> {
    /// `None` where a line does not begin a packet.
    pub(super) fn of(line: &'a str) -> Option<Head<'a>> {
        let bare = without_number(line);
        let (stamp, body) = match stamp(bare) {
            Some((stamp, body)) => (stamp, body),
            // Without a time, only a line that says its protocol is known from what continues another.
            None => (Stamp::Unknown, Some(bare).filter(|text| is_ip(text))?),
        };
        // Before the ends since 3.8, at the end of the line before that and in the BSDs'; a link header has others.
        let header = body.match_indices('(').map(|(at, _)| &body[at + 1..]).find(|header| begins(header));
        let is_verbose = header.is_some();
        let ttl = header.and_then(|header| {
            let at = |key| header.split_once(key).map(|(_, rest)| rest);
            let digits = at("ttl ").or_else(|| at("hlim "))?;
            digits.split([',', ')']).next()?.trim().parse().ok()
        });
        Some(Head { stamp, body, ttl, is_verbose })
    }

    /// Whether the ends stand in the next line.
    pub(super) fn awaits(&self) -> bool {
        self.is_verbose && ends(self.body).is_none()
    }

    /// Whether no other program writes such a line.
    pub(super) fn is_certain(&self) -> bool {
        let of_ip = self.is_verbose || is_ip(self.body) || self.body.contains(": NTPv");
        let of_link = self.body.starts_with("ARP, ") || self.body.contains(", ethertype ");
        let after_interface = || {
            let mut words = self.body.trim_start().splitn(4, ' ').filter(|word| !word.is_empty());
            words.any(|word| matches!(word, "IP" | "IP6"))
        };
        let has_ends = ends(self.body).is_some();
        of_link
            || (of_ip && (has_ends || self.is_verbose))
            || (has_ends && (after_interface() || super::ntp::is_old_wording(self.body)))
    }
}

/// How the parenthesis with an IP header begins.
const HEADERS: [&str; 6] = ["tos ", "class ", "flowlabel ", "hlim ", "ttl ", "len "];

fn begins(header: &str) -> bool {
    HEADERS.iter().any(|start| header.starts_with(start))
}

/// Whether a line says that IP follows, and what.
fn is_ip(text: &str) -> bool {
    let after = text.strip_prefix("IP6 ").or_else(|| text.strip_prefix("IP "));
    after.is_some_and(|rest| rest.strip_prefix('(').is_some_and(begins) || ends(rest).is_some())
}

/// The line without the number that `--number` prints, and the two blanks after it.
fn without_number(line: &str) -> &str {
    let number = line.trim_start_matches(' ').split_once("  ");
    match number {
        Some((digits, rest)) if integer(digits).is_some() => rest,
        _ => line,
    }
}

/// The time at the beginning of a line, and what follows it.
fn stamp(line: &str) -> Option<(Stamp, &str)> {
    // A blank or minus stands before a time since another packet; more blanks only move the text.
    let (relative, text) = match line.strip_prefix(['-', ' ']) {
        Some(text) if !text.starts_with([' ', '\t']) => (true, text),
        _ => (false, line.trim_start_matches([' ', '\t'])),
    };
    let (first, rest) = text.split_once(' ')?;
    if !first.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    if let Some(month) = MONTHS.iter().position(|month| *month == first) {
        let mut words = rest.trim_start().splitn(3, ' ');
        let (day, time, body) = (integer(words.next()?)?, words.next()?, words.next()?);
        let stamp = Stamp::Yearless(month as i8 + 1, day.try_into().ok()?, fine_time_of_day(time)?);
        return Some((stamp, body));
    }
    if let Some(ns) = fine_time_of_day(first) {
        return Some((if relative { Stamp::Unknown } else { Stamp::OfDay(ns) }, rest));
    }
    if first.contains(['-', '/']) {
        let (time, body) = rest.split_once(' ')?;
        fine_time_of_day(time)?;
        // `11/22/2026` until 3.7.
        let american = |date: &str| {
            let mut parts = date.split('/');
            Some(format!("{2}-{0}-{1}", parts.next()?, parts.next()?, parts.next()?))
        };
        let time = date_time(first, time).or_else(|| date_time(&american(first)?, time))?;
        return Some((Stamp::At(time), body));
    }
    let (second, fraction) = first.split_once('.')?;
    let is_unix = second.len() >= 9 && matches!(fraction.len(), 6 | 9);
    let ns = nanoseconds(first).filter(|_| is_unix)?;
    Some((Stamp::At(Time(ns)), rest))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time of day with the fraction that tcpdump always prints.
fn fine_time_of_day(text: &str) -> Option<i64> {
    (text.len() > 9 && text.as_bytes().get(2) == Some(&b':') && text.contains('.')).then(|| time_of_day(text))?
}

/// An end: address and port, as far as they are printed as numbers.
pub(super) type End = (Option<IpAddr>, Option<u16>);

/// The innermost two ends in a line, and what is said of the packet between them.
pub(super) fn ends(text: &str) -> Option<((End, End), &str)> {
    let (before, after) = text.rsplit_once(" > ")?;
    let (to, what) = after.split_once(": ").or_else(|| Some((after.strip_suffix(':')?, "")))?;
    let from = before.rsplit(' ').next()?;
    (!from.is_empty() && !to.is_empty() && !to.contains(' ')).then(|| ((end(from), end(to)), what))
}

/// `192.0.2.1.123`, `2001:db8::1.123`, `ntp.example.org.ntp`; ICMP has no port.
fn end(text: &str) -> End {
    if let Ok(address) = text.parse() {
        return (Some(address), None);
    }
    let Some((host, port)) = text.rsplit_once('.') else { return (None, None) };
    let port = if port == "ntp" { Some(crate::wire::NTP_PORT) } else { port.parse().ok() };
    // A zone names the interface of a link-local address.
    let host = host.split('%').next().unwrap_or(host);
    (host.parse().ok(), port)
}
