//! `ntpq`, and what is printed alike: `ntpdc`, `ntptime`, `ntpstat`, `ntptrace`, `ntpdate -q`, `sntp` and `ntpdig`.
//!
//! The programs of the NTP project and those of NTPsec print the same words with other widths, and people paste them
//! with other blanks, so that everything is read by words, not by columns.

mod associations;
mod clients;
mod debug;
mod exchange;
mod kernel;
mod labelled;
mod labels;
mod layout;
mod lists;
mod once;
mod peers;
mod trouble;
mod variables;

use super::Form;
use super::field::{number_over, with_unit_s};
use crate::model::{At, Event, Row, What};

/// What this module reads.
pub const FORMS: &[Form] = &[
    peers::PEERS,
    associations::ASSOCIATIONS,
    variables::VARIABLES,
    labelled::SYSSTATS,
    labelled::CONTROLSTATS,
    labelled::IOSTATS,
    labelled::SYSINFO,
    labelled::KERNINFO,
    labelled::LOOPINFO,
    labelled::MONSTATS,
    labelled::PSTATS,
    labelled::NTSINFO,
    clients::MRULIST,
    lists::RESLIST,
    lists::IFSTATS,
    kernel::NTPTIME,
    once::NTPSTAT,
    once::NTPTRACE,
    once::NTPDATE,
    debug::DEBUG,
    exchange::EXCHANGE,
    once::SNTP,
    trouble::TROUBLE,
];

pub use peers::ROWS;

/// The marks of selection, by the three selection bits of a peer's status (`flash3` in ntpq-subs.c); a space is a source
/// that was rejected, `o` one with a pulse per second.
const TALLIES: [char; 8] = [' ', 'x', '.', '-', '+', '#', '*', 'o'];

/// Milliseconds, or with NTPsec's `-u` a number with its unit, in seconds.
fn milliseconds(text: &str) -> Option<f64> {
    number_over(text, 3).or_else(|| with_unit_s(text))
}

/// A 64-bit NTP timestamp as ntpq prints it: `eead3614.482e62ca`, before ntpd 4.2.2 with `0x`. `None` where it was never set.
fn stamp(text: &str) -> Option<u64> {
    let (second, fraction) = text.strip_prefix("0x").unwrap_or(text).split_once('.')?;
    let hex = |digits: &str| if digits.len() == 8 { u32::from_str_radix(digits, 16).ok() } else { None };
    let stamp = u64::from(hex(second)?) << 32 | u64::from(hex(fraction)?);
    (stamp != 0).then_some(stamp)
}

/// The leap indicator as the two bits that it is.
fn leap(text: &str) -> Option<u8> {
    (text.len() == 2).then(|| u8::from_str_radix(text, 2).ok()).flatten()
}

fn stratum(text: &str) -> Option<u8> {
    text.parse().ok().filter(|stratum| *stratum <= 16)
}

fn variable(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: &str, value: &str) {
    rows(Row::Event(Event { at, what: What::Variable { association, name, value } }));
}

fn gauge(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, of: &str, name: &'static str, value: f64) {
    rows(Row::Event(Event { at, what: What::Gauge { of, name, value } }));
}

/// An address without the port after it: `192.0.2.1:123`, `[2001:db8::1]:123`. Names and bare addresses stay.
fn without_port(text: &str) -> &str {
    if let Some((address, _)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return address;
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => address,
        _ => text,
    }
}
