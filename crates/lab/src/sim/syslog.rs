//! What others than the daemon write to a host's `syslog`: those that set its clock, and its kernel.

use super::clock::Deed;
use crate::world::Foreign;
use jiff::tz::TimeZone;
use ntpscope_core::time::Time;

/// What a foreign hand says of what it did, `is_first` when it comes for the first time: programs and texts.
///
/// A hypervisor says nothing to its guest, and a slewing `systemd-timesyncd` only that it has found its server.
#[must_use]
pub fn told(hand: &Foreign, deed: Deed, is_first: bool) -> Vec<(&'static str, String)> {
    match *hand {
        Foreign::Ntpdate { server, .. } => {
            let told = match deed {
                Deed::Stepped(by_s) => format!("step time server {server} offset {by_s:.6} sec"),
                Deed::Slewed(by_s) => format!("adjust time server {server} offset {by_s:.6} sec"),
            };
            vec![("CRON", format!("(root) CMD (/usr/sbin/ntpdate -u -s {server})")), ("ntpdate", told)]
        }
        Foreign::Timesyncd { server, .. } if is_first => {
            vec![("systemd-timesyncd", format!("Contacted time server {server}:123 ({server})."))]
        }
        _ => Vec::new(),
    }
}

/// A line of a program, at a time of the host's clock (UTC): BSD's form, as rsyslog writes it.
#[must_use]
pub fn line(clock: Time, host: &str, program: &str, process: u32, text: &str) -> String {
    format!("{} {host} {program}[{process}]: {text}", stamp(clock))
}

/// A line of the kernel, with its seconds since boot.
#[must_use]
pub fn kernel(clock: Time, host: &str, monotonic_s: f64, text: &str) -> String {
    format!("{} {host} kernel: [{monotonic_s:12.6}] {text}", stamp(clock))
}

fn stamp(clock: Time) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(clock.0)).unwrap_or_default();
    stamp.to_zoned(TimeZone::UTC).strftime("%b %e %H:%M:%S").to_string()
}
