//! Stamps of log lines: first only their shape, which costs little, and later the instant.

use crate::text::field::{date_time, integer, time_of_day};
use crate::time::{DAY, SECOND, Time};

/// A stamp, not yet read.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// As printed.
    pub text: &'a str,
    /// Reads it, for a text that was written not long before the instant given.
    pub read: for<'b> fn(&'b str, Time) -> Option<Time>,
}

impl Stamp<'_> {
    /// The line says no time: seconds since a boot that nobody knows.
    pub const NONE: Stamp<'static> = Stamp { text: "", read: |_, _| None };
}

/// The beginnings of the months' short names, in the languages in which journalctl prints them; lower case.
const MONTHS: [&str; 12] = [
    "jan ene gen ian янв sty led oca",
    "feb fev fév фев lut úno şub",
    "mar mär mrz mrt мар már bře",
    "apr avr abr апр kwi dub ápr nis",
    "may mai mag mei maj май мая kvě máj",
    "juin jun giu iun июн cze čen jún haz",
    "juil jul lug iul июл lip čec júl tem",
    "aug aoû ago авг sie srp ağu",
    "sep set сен wrz zář sze eyl",
    "oct okt ott out окт paź říj eki",
    "nov ноя lis kas",
    "dec dez déc dic дек gru pro ara",
];

/// `09:25:13`, whatever follows.
pub fn is_clock(bytes: &[u8]) -> bool {
    matches!(bytes, [a, b, b':', c, d, b':', e, f, ..] if [a, b, c, d, e, f].iter().all(|b| b.is_ascii_digit()))
}

/// The month that a word names.
fn month(word: &str) -> Option<i8> {
    let english = match word.as_bytes() {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => 0,
    };
    if english != 0 {
        return Some(english);
    }
    // `11월`, `11月`.
    if let Some(number) = word.strip_suffix(['월', '月']) {
        return integer(number).and_then(|month| i8::try_from(month).ok()).filter(|month| (1..=12).contains(month));
    }
    // Full names are no stamps.
    if word.len() > 12 || word.chars().count() > 5 || word.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let lower = word.to_lowercase();
    let begins = |names: &&str| names.split(' ').any(|name| lower.starts_with(name));
    MONTHS.iter().position(begins).and_then(|at| i8::try_from(at + 1).ok())
}

/// Cuts `Nov 22 09:25:13`, with a weekday, a year before or after the time, or a fraction of a second.
pub fn month_first(line: &str) -> Option<(Stamp<'_>, &str)> {
    let mut at = 0;
    let mut first = word(line, at)?;
    // Whether this could be a stamp at all is settled by the first words, as most lines of other texts are none.
    if first.len() > 11 {
        return None;
    }
    if first.len() == 4 && is_number(first) {
        at = after(line, at, first);
        first = word(line, at)?;
    } else if month(first).is_none() && first.len() <= 5 && first.chars().all(|c| c.is_alphabetic() || c == '.') {
        // A weekday.
        at = after(line, at, first);
        first = word(line, at)?;
    }
    month(first)?;
    at = after(line, at, first);
    let day = word(line, at).filter(|day| day.len() <= 2 && is_number(day))?;
    at = after(line, at, day);
    let mut clock = word(line, at)?;
    if clock.len() == 4 && is_number(clock) {
        at = after(line, at, clock);
        clock = word(line, at)?;
    }
    if !is_clock(clock.as_bytes()) {
        return None;
    }
    at = after(line, at, clock);
    if let Some(year) = word(line, at).filter(|year| year.len() == 4 && is_number(year)) {
        at = after(line, at, year);
    }
    Some((Stamp { text: line[..at].trim_end(), read: by_words }, &line[at..]))
}

/// Cuts `22 Nov 09:25:13`.
pub fn day_first(line: &str) -> Option<(Stamp<'_>, &str)> {
    // Days below ten are filled up with a blank.
    let line = line.strip_prefix(' ').unwrap_or(line);
    let day = word(line, 0).filter(|day| day.len() <= 2 && is_number(day))?;
    let mut at = after(line, 0, day);
    let name = word(line, at).filter(|name| month(name).is_some())?;
    at = after(line, at, name);
    let clock = word(line, at).filter(|clock| is_clock(clock.as_bytes()))?;
    at = after(line, at, clock);
    Some((Stamp { text: line[..at].trim_end(), read: by_words }, &line[at..]))
}

/// Cuts `2026-11-22T09:25:13`, with a fraction after a point or comma, and a zone (`Z`, `+01:00`, `+0100`).
pub fn iso(line: &str) -> Option<(Stamp<'_>, &str)> {
    let bytes = line.as_bytes();
    let date = is_date(bytes) && bytes.len() > 19 && is_clock(&bytes[11..]);
    if !date || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let end = 19 + bytes[19..].iter().position(|b| *b == b' ')?;
    let tail = matches!(bytes[19], b'.' | b',' | b'Z' | b'z' | b'+' | b'-' | b' ');
    let zone = bytes[19..end].iter().all(|b| b.is_ascii_digit() || b".,Zz+-:".contains(b));
    (tail && zone).then(|| (Stamp { text: &line[..end], read: iso_instant }, &line[end + 1..]))
}

/// Cuts `Sun 2026-11-22 09:25:13 UTC`.
pub fn full(line: &str) -> Option<(Stamp<'_>, &str)> {
    let weekday = word(line, 0).filter(|day| (2..=6).contains(&day.len()) && !day.contains(['-', ':', '[']))?;
    let at = after(line, 0, weekday);
    let date = word(line, at).filter(|date| date.len() == 10 && is_date(date.as_bytes()))?;
    let at_clock = after(line, at, date);
    let clock = word(line, at_clock).filter(|clock| is_clock(clock.as_bytes()))?;
    let at_zone = after(line, at_clock, clock);
    let zone = word(line, at_zone)?;
    let end = after(line, at_zone, zone);
    let letters = zone.len() <= 6 && zone.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'));
    letters.then(|| (Stamp { text: line[at..end].trim_end(), read: full_instant }, &line[end..]))
}

/// The word at `at`.
fn word(line: &str, at: usize) -> Option<&str> {
    let rest = line.get(at..)?;
    let end = rest.bytes().position(|b| b == b' ').unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

/// Where the word after `word` begins, which stands at `at`.
fn after(line: &str, at: usize, word: &str) -> usize {
    let blanks = line.as_bytes()[at + word.len()..].iter().take_while(|b| **b == b' ').count();
    at + word.len() + blanks
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}

fn is_date(bytes: &[u8]) -> bool {
    matches!(bytes, [a, b, c, d, b'-', e, f, b'-', g, h, ..]
        if [a, b, c, d, e, f, g, h].iter().all(|b| b.is_ascii_digit()))
}

/// Reads a day, a month by name, a time and perhaps a year, in any order.
///
/// Such stamps are local time of a zone that the line does not say: they are read as UTC, since nothing better is known.
fn by_words(text: &str, written: Time) -> Option<Time> {
    let (mut named, mut day, mut year, mut clock) = (None, None, None, None);
    for word in text.split_ascii_whitespace() {
        match word.len() {
            _ if is_clock(word.as_bytes()) => clock = Some(time_of_day(&word.replace(',', "."))?),
            1 | 2 if is_number(word) => day = i8::try_from(integer(word)?).ok(),
            4 if is_number(word) => year = i16::try_from(integer(word)?).ok(),
            _ => named = month(word).or(named),
        }
    }
    let (month, day, clock) = (named?, day?, clock?);
    match year {
        Some(year) => Time::from_date(year, month, day, clock),
        None => last_year(written, month, day, clock),
    }
}

/// The last year in which the stamp is not later than `written`. A day is let pass, for zones east of Greenwich.
fn last_year(written: Time, month: i8, day: i8, clock: i64) -> Option<Time> {
    // A year of the Gregorian calendar has 365.2425 days; one year more is tried first, for it may be that already.
    let newest = i16::try_from(1971 + written.0.div_euclid(DAY) * 10_000 / 3_652_425).ok()?;
    // The 29th of February comes every four years, or eight.
    let years = (newest - 9..=newest).rev();
    years
        .filter_map(|year| Time::from_date(year, month, day, clock))
        .find(|time| time.0 <= written.0.saturating_add(DAY))
}

/// Reads what [`iso`] cuts.
pub fn iso_instant(text: &str, _: Time) -> Option<Time> {
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let time = date_time(date, &clock.replace(',', "."))?;
    // Without a zone it is local time of one that the line does not say: read as UTC.
    time.0.checked_sub(zone_ns(zone)?).map(Time)
}

/// `Z`, `+01:00`, `+0100`, `+01` or nothing, in nanoseconds east of Greenwich.
fn zone_ns(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.as_bytes().first() {
        None | Some(b'Z' | b'z') => return Some(0),
        Some(b'+') => (1, &zone[1..]),
        Some(b'-') => (-1, &zone[1..]),
        Some(_) => return None,
    };
    let hours = integer(digits.get(..2)?)?;
    let minutes = digits[2..].trim_start_matches(':');
    let minutes = if minutes.is_empty() { 0 } else { integer(minutes)? };
    (hours <= 14 && minutes < 60).then(|| sign * (hours * 3600 + minutes * 60) * SECOND)
}

/// Zones by name, where the name means one zone only; other names are read as UTC.
const ZONES: &[(&str, i64)] = &[
    ("CET", 1),
    ("CEST", 2),
    ("EET", 2),
    ("EEST", 3),
    ("WET", 0),
    ("WEST", 1),
    ("MSK", 3),
    ("JST", 9),
    ("KST", 9),
    ("EST", -5),
    ("EDT", -4),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("AEST", 10),
    ("AEDT", 11),
    ("NZST", 12),
    ("NZDT", 13),
];

/// Reads what [`full`] cuts.
pub fn full_instant(text: &str, _: Time) -> Option<Time> {
    let mut words = text.split_ascii_whitespace();
    let time = date_time(words.next()?, words.next()?)?;
    let zone = words.next()?;
    let hours = ZONES.iter().find(|(name, _)| *name == zone).map_or(0, |(_, hours)| *hours);
    let east = if zone.starts_with(['+', '-']) { zone_ns(zone)? } else { hours * 3600 * SECOND };
    time.0.checked_sub(east).map(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T00:00:00Z
    const WRITTEN: Time = Time(1_795_478_400 * SECOND);

    fn read(cut: fn(&str) -> Option<(Stamp<'_>, &str)>, line: &str) -> String {
        let Some((stamp, rest)) = cut(line) else { return "no stamp".into() };
        let time = (stamp.read)(stamp.text, WRITTEN).map_or("no time".into(), |time| time.exactly().to_string());
        format!("{time}|{}", rest.trim_start())
    }

    #[test]
    fn stamps_without_a_year_are_of_the_last_that_is_not_later() {
        let cases = [
            ("Nov 22 09:25:13 h", "2026-11-22T09:25:13Z|h"),
            // Two hours east of Greenwich: still this year.
            ("Nov 24 02:00:00 h", "2026-11-24T02:00:00Z|h"),
            ("Nov 26 00:00:00 h", "2025-11-26T00:00:00Z|h"),
            ("Dec  1 00:00:00.250 h", "2025-12-01T00:00:00.25Z|h"),
            ("Feb 29 00:00:00 h", "2024-02-29T00:00:00Z|h"),
            ("Nov 31 00:00:00 h", "no time|h"),
            ("Sun Nov 22 09:25:13 2020 daemon.info ntpd[1]: x", "2020-11-22T09:25:13Z|daemon.info ntpd[1]: x"),
            ("2019 Nov 22 09:25:13 h", "2019-11-22T09:25:13Z|h"),
            ("Mär 01 10:00:00 h", "2026-03-01T10:00:00Z|h"),
            ("déc. 01 10:00:00 h", "2025-12-01T10:00:00Z|h"),
            ("11월 22 09:25:13 h", "2026-11-22T09:25:13Z|h"),
            ("ноя 22 09:25:13 h", "2026-11-22T09:25:13Z|h"),
            ("Nov 22 9:25 h", "no stamp"),
        ];
        for (line, want) in cases {
            assert_eq!(read(month_first, line), want, "{line}");
        }
        assert_eq!(read(day_first, " 1 Jan 00:00:31 ntpd[1]: x"), "2026-01-01T00:00:31Z|ntpd[1]: x");
    }

    #[test]
    fn zones_are_taken_off() {
        let cases = [
            ("2026-11-22T09:25:13.5+01:00 h", "2026-11-22T08:25:13.5Z|h"),
            ("2026-11-22T09:25:13-0330 h", "2026-11-22T12:55:13Z|h"),
            ("2026-11-22T09:25:13,000001+01:00 h", "2026-11-22T08:25:13.000001Z|h"),
            ("2026-11-22 09:25:13 h", "2026-11-22T09:25:13Z|h"),
            ("2026-11-22T09:25:13x h", "no stamp"),
            ("2026-11-22T09:25:13+01:999999999999999999 h", "no time|h"),
            ("1677-09-21T00:12:44+14:00 h", "no time|h"),
        ];
        for (line, want) in cases {
            assert_eq!(read(iso, line), want, "{line}");
        }
        assert_eq!(read(full, "Sun 2026-11-22 09:25:13 CET h"), "2026-11-22T08:25:13Z|h");
        assert_eq!(read(full, "So 2026-11-22 09:25:13.25 UTC h"), "2026-11-22T09:25:13.25Z|h");
        assert_eq!(read(full, "Sun 2026-11-22 09:25:13 +0530 h"), "2026-11-22T03:55:13Z|h");
    }
}
