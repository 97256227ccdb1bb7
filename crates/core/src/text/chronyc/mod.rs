//! `chronyc`: what it prints of its daemon, chrony 1.2x to 4.8 (`client.c` of each).
//!
//! Reports are tables under a header, or lines of a label and a value. With `-c` each is a line of comma-separated
//! values without a header, known by the number and the kind of its values. Wide terminals (`-a`, chrony 4) and
//! pasting change the blanks between columns, never the order of words, so that rows are read by words.

mod clients;
mod ntpdata;
mod others;
mod selectdata;
mod serverstats;
mod sources;
mod sourcestats;
mod tracking;

use super::field::{integer, number, with_unit_s};
use super::{Form, Line, Taken, is_rule};
use crate::model::{At, Event, Row, What};

/// What this module reads.
pub const FORMS: &[Form] = &[
    sources::SOURCES,
    sourcestats::SOURCESTATS,
    ntpdata::NTPDATA,
    tracking::TRACKING,
    selectdata::SELECTDATA,
    selectdata::AUTHDATA,
    serverstats::SERVERSTATS,
    clients::CLIENTS,
    others::ACTIVITY,
    others::SMOOTHING,
    others::RTCDATA,
    others::MANUAL,
    others::WAITSYNC,
    others::ANSWER,
];

fn variable(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: &str, value: &str) {
    rows(Row::Event(Event { at, what: What::Variable { association, name, value } }));
}

fn gauge(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, of: &str, name: &'static str, value: f64) {
    rows(Row::Event(Event { at, what: What::Gauge { of, name, value } }));
}

/// What every table may hold beside its rows: blanks, rules, and the `...` of those who leave rows out.
///
/// `-v` draws a legend above the header: lines of text that hang on lines made of `.-`, `/` and `|`.
fn is_filler(line: &str) -> bool {
    let bare = line.trim_start();
    // The rule of chrony 1's `clients` has gaps between the columns.
    let is_ruled = || bare.starts_with("====") && bare.bytes().all(|b| matches!(b, b'=' | b' '));
    bare.is_empty()
        || bare == "..."
        || is_rule(line)
        || is_ruled()
        || [".-", ". State: ", "/ ", "|"].iter().any(|start| bare.starts_with(start))
}

/// Whether a line is a header that begins with these words, whatever stands between them.
fn is_header(line: &str, names: &[&str]) -> bool {
    let mut words = line.split_ascii_whitespace();
    names.iter().all(|name| words.next() == Some(name))
}

/// `Label           : value`. Labels are words in ASCII, perhaps with `(UTC)`.
fn labelled(line: &str) -> Option<(&str, &str)> {
    let (label, value) = line.split_once(':')?;
    let label = label.trim();
    let is_label = label.starts_with(|c: char| c.is_ascii_uppercase())
        && label.bytes().all(|b| b.is_ascii_alphabetic() || b" ()-".contains(&b));
    is_label.then_some((label, value.trim()))
}

fn first_word(text: &str) -> &str {
    text.split_ascii_whitespace().next().unwrap_or_default()
}

/// What stands in parentheses at the end: the name in `C0000202 (ntp.example)`.
fn in_parentheses(text: &str) -> &str {
    let inner = text.strip_suffix(')').and_then(|text| text.split_once('('));
    inner.map_or("", |(_, name)| name)
}

/// The first `N` comma-separated values, and those that follow.
fn first_fields<const N: usize>(line: &str) -> Option<([&str; N], std::str::Split<'_, char>)> {
    let mut rest = line.split(',');
    let mut fields = [""; N];
    for field in &mut fields {
        *field = rest.next()?;
    }
    Some((fields, rest))
}

/// The values of a line that has exactly `N` of them.
fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    first_fields(line).and_then(|(fields, mut rest)| rest.next().is_none().then_some(fields))
}

/// The number before a unit: `0.000001333 seconds`, `64.0 seconds ago`, `4.113 ppm`.
fn leading_number(text: &str) -> Option<f64> {
    number(first_word(text))
}

/// A time as `print_nanoseconds` prints it, or with `-c` in plain seconds. Above 100 000 s the unit is `m`, `h`, `d`
/// or `y`.
fn seconds(text: &str) -> Option<f64> {
    let units = [("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("y", 365.0 * 86_400.0)];
    let long = || units.iter().find_map(|(unit, scale)| Some(number(text.strip_suffix(unit)?)? * scale));
    with_unit_s(text).or_else(|| number(text)).or_else(long).filter(|seconds| seconds.is_finite())
}

/// An interval as `print_seconds` prints it (`64`, `34m`, `135h`, `7d`, `2y`), in seconds; `-` and 2³² − 1 are never.
fn interval_s(text: &str) -> Option<Option<f64>> {
    const NEVER: i64 = u32::MAX as i64;
    if text == "-" {
        return Some(None);
    }
    let units = [('m', 60), ('h', 3600), ('d', 86_400), ('y', 365 * 86_400)];
    let unit = units.into_iter().find_map(|(unit, scale)| text.strip_suffix(unit).map(|digits| (digits, scale)));
    let (digits, scale) = unit.unwrap_or((text, 1));
    let whole = integer(digits).filter(|whole| *whole <= NEVER)?;
    Some((whole != NEVER).then_some((whole * scale) as f64))
}

/// A polling interval, which chronyc prints as its logarithm; chronyd polls up to 128 times a second.
fn poll_s(text: &str) -> Option<f64> {
    text.parse::<i8>().ok().filter(|log| (-7..=24).contains(log)).map(|log| f64::from(log).exp2())
}

fn stratum(text: &str) -> Option<u8> {
    text.parse().ok().filter(|stratum| *stratum <= 16)
}

/// Leap status in words, or in one character as `selectdata` prints it.
fn leap(text: &str) -> Option<u8> {
    match text {
        "Normal" | "N" => Some(0),
        "Insert second" | "+" => Some(1),
        "Delete second" | "-" => Some(2),
        "Not synchronised" | "?" => Some(3),
        _ => None,
    }
}

/// Whether a word begins a line of a table of sources, or is what chronyc puts in place of an unknown name.
fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && !b"<=\"'{}[]();,".contains(&b))
}

/// Reads a row with what reads it; the reason where that fails makes the line a reject.
fn taken(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>), read: Read) -> Taken {
    read(line, rows).map_or_else(Taken::Rejected, |()| Taken::Yes)
}

/// Reads one line of a table, or says what was expected.
type Read = fn(Line<'_>, &mut dyn FnMut(Row<'_>)) -> Result<(), String>;
