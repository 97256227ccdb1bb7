//! `w32tm`: the Windows time service.
//!
//! Windows prints labels in its own language, and numbers with the comma of its locale. What can be is read by the
//! order of lines and the shape of values; a label is only asked where it is English.

mod answer;
mod configuration;
mod monitor;
mod peers;
mod status;
mod stripchart;

use super::Form;
use super::field::{integer, number};
use crate::model::{At, Event, Row, What};

/// What this module reads.
pub const FORMS: &[Form] = &[
    status::STATUS,
    peers::PEERS,
    stripchart::STRIPCHART,
    monitor::MONITOR,
    configuration::CONFIGURATION,
    answer::ANSWER,
];

fn variable(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: &str, value: &str) {
    rows(Row::Event(Event { at, what: What::Variable { association, name, value } }));
}

fn gauge(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, of: &str, name: &'static str, value: f64) {
    rows(Row::Event(Event { at, what: What::Gauge { of, name, value } }));
}

/// `Label: value`; in French with a blank before the colon.
fn labelled(line: &str) -> Option<(&str, &str)> {
    let (label, value) = line.split_once(':')?;
    let label = label.trim();
    // Consoles of other languages write in their own code page. What is no UTF-8 was put as U+FFFD, and half a character
    // of two bytes may look like a bracket.
    let is_letter = |c: char| c.is_alphabetic() || c == char::REPLACEMENT_CHARACTER;
    let is_foreign = label.contains(char::REPLACEMENT_CHARACTER);
    let is_label =
        label.chars().count() < 60 && label.starts_with(is_letter) && (is_foreign || !label.contains(['[', '=', '"']));
    is_label.then_some((label, value.trim()))
}

/// A number with a point or with the comma of a locale.
fn decimal(text: &str) -> Option<f64> {
    number(text).or_else(|| number(&text.replace(',', ".")))
}

/// `-0.0038147s`
fn seconds(text: &str) -> Option<f64> {
    decimal(text.strip_suffix('s')?)
}

/// `10 (1024s)`: the number, and what the parentheses say of it.
fn explained(text: &str) -> Option<(&str, &str)> {
    let (value, words) = text.strip_suffix(')')?.split_once('(')?;
    Some((value.trim(), words))
}

/// A polling interval as a power of two; 0 is *unspecified*.
fn poll_s(text: &str) -> Option<Option<f64>> {
    let log = integer(explained(text)?.0).filter(|log| *log <= 32)?;
    Some((log != 0).then(|| (log as f64).exp2()))
}

/// A stratum; 0 is *unspecified*.
fn stratum(text: &str) -> Option<Option<u8>> {
    let stratum = explained(text)?.0.parse().ok().filter(|stratum: &u8| *stratum <= 16)?;
    Some((stratum != 0).then_some(stratum))
}

/// A source without its flags: `ntp.example,0x9`. A list of one ends with a comma.
fn source_of(text: &str) -> &str {
    text.split_once(',').map_or(text, |(source, _)| source).trim()
}
