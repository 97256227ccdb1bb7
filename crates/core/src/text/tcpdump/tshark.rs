//! `tshark`'s summary, a line a packet: number, time, source, destination, protocol, length of the frame, what it is; and
//! the same as Wireshark exports it, with commas between quoted cells.
//!
//! It says neither ports nor the length of the payload. The time is since the capture began, unless `-t` asks for a date
//! or for Unix time; a date without `Z` is of the time zone of the machine that printed it, and is taken as UTC.

use super::super::field::{Words, date_time, integer, nanoseconds, number};
use super::super::{Block, Line, Taken};
use crate::model::{At, Packet, Row};
use crate::time::Time;

/// The modes as Wireshark's `packet-ntp.c` calls them.
const MODES: [&str; 8] =
    ["reserved", "symmetric active", "symmetric passive", "client", "server", "broadcast", "control", "private"];

/// The first second of 2001: a smaller number of seconds is since the capture began.
const UNIX_FROM: i64 = 978_307_200 * crate::time::SECOND;

/// The parts of a line.
struct Parts<'a> {
    time: Option<Time>,
    source: &'a str,
    destination: &'a str,
    protocol: &'a str,
    info: &'a str,
}

impl<'a> Parts<'a> {
    fn of(line: &'a str) -> Option<Parts<'a>> {
        if let Some(line) = line.strip_prefix('"') {
            return Parts::exported(line);
        }
        let mut words = Words::of(line);
        integer(words.next()?)?;
        let first = words.next()?;
        let time = if first.len() == 10 && first.as_bytes()[4] == b'-' {
            let time = words.next()?;
            Some(date_time(first, time.trim_end_matches('Z'))?)
        } else {
            number(first).filter(|_| first.contains('.'))?;
            nanoseconds(first).filter(|ns| *ns >= UNIX_FROM).map(Time)
        };
        let source = words.next()?;
        let arrow = matches!(words.next()?, "→" | "->");
        let (destination, protocol) = (words.next().filter(|_| arrow)?, words.next()?);
        // Wireshark before 1.8 printed no length.
        let rest = words.rest();
        integer(words.next()?).map_or(Some(rest), |_| Some(words.rest())).map(|info| Parts {
            time,
            source,
            destination,
            protocol,
            info,
        })
    }

    /// `1","0.000000","192.0.2.1","198.51.100.2","NTP","90","NTP Version 4, client"`
    fn exported(line: &'a str) -> Option<Parts<'a>> {
        let mut cells = line.strip_suffix('"')?.splitn(7, "\",\"");
        integer(cells.next()?)?;
        let time = cells.next()?;
        let time = match time.split_once(' ') {
            Some((date, time)) => Some(date_time(date, time.trim_end_matches('Z'))?),
            None => {
                number(time).filter(|_| time.contains('.'))?;
                nanoseconds(time).filter(|ns| *ns >= UNIX_FROM).map(Time)
            }
        };
        let (source, destination, protocol) = (cells.next()?, cells.next()?, cells.next()?);
        integer(cells.next()?)?;
        Some(Parts { time, source, destination, protocol, info: cells.next()? })
    }
}

pub(super) fn opens(line: &str) -> bool {
    BEGIN.iter().any(|begin| line.starts_with(begin)) || line.starts_with(HEADER) || is_packet(line)
}

/// What is written before the first packet, and how the line after the last of a live capture ends.
const BEGIN: [&str; 2] = ["Capturing on '", "Running as user \"root\" and group \"root\". This could be dangerous."];
const END: [&str; 2] = [" packets captured", " packet captured"];

/// The first line of what Wireshark exports.
const HEADER: &str = "\"No.\",\"Time\",\"Source\",\"Destination\",\"Protocol\",\"Length\",\"Info\"";

fn is_packet(line: &str) -> bool {
    line.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '"')
        && Parts::of(line).is_some_and(|parts| parts.protocol.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// The lines of a summary.
pub(super) struct Summary;

impl Block for Summary {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(parts) = Parts::of(line.text) else {
            let banner = BEGIN.iter().any(|begin| line.text.starts_with(begin))
                || END.iter().any(|end| line.text.ends_with(end));
            return if line.text.is_empty() || banner { Taken::Yes } else { Taken::No };
        };
        if parts.protocol != "NTP" {
            return Taken::Yes;
        }
        let info = parts.info.strip_prefix("NTP").unwrap_or(parts.info).trim_start();
        let (version, mode) = match info.strip_prefix("Version ").and_then(|rest| rest.split_once(", ")) {
            Some((version, mode)) => (version.parse().ok().filter(|version| *version < 8), mode),
            None => (None, info),
        };
        // What is asked may follow (`control, Request, READVAR`), or a complaint in brackets.
        let mode = mode.split([',', '[']).next().unwrap_or(mode).trim_end();
        let Some(mode) = MODES.iter().position(|name| *name == mode) else {
            return Taken::Rejected("an NTP packet of no mode that tshark knows".into());
        };
        let mut packet = Packet::new(At { time: parts.time, ..line.at });
        (packet.version, packet.mode) = (version, Some(mode as u8));
        (packet.source.0, packet.destination.0) = (parts.source.parse().ok(), parts.destination.parse().ok());
        rows(Row::Packet(packet));
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn a_summary_tells_ends_version_and_mode() {
        let text = "    1   0.000000    192.0.2.1 → 198.51.100.2 NTP 90 NTP Version 4, client\n    \
                    2   0.000123    192.0.2.1 -> 192.0.2.9   DNS 69 Standard query 0x3837 A testbox\n    \
                    3 1795340180.500000000 2001:db8::2 -> 2001:db8::1 NTP 110 NTP Version 3, symmetric passive\n    \
                    4 2026-11-22 09:36:20.5 192.0.2.1 -> 192.0.2.2 NTP NTP client\n    \
                    5   0.1 192.0.2.1 → 192.0.2.2 NTP 90 NTP Version 4, cli";
        let (rows, rejects, forms) = read(text);
        assert_eq!(
            rows,
            [
                "packet source=192.0.2.1 destination=198.51.100.2 version=4 mode=3",
                "packet time=2026-11-22T09:36:20.5Z source=2001:db8::2 destination=2001:db8::1 version=3 mode=2",
                "packet time=2026-11-22T09:36:20.5Z source=192.0.2.1 destination=192.0.2.2 mode=3",
            ]
        );
        assert_eq!(rejects, ["line 5: an NTP packet of no mode that tshark knows"]);
        assert_eq!(forms, ["tshark"]);
    }
}
