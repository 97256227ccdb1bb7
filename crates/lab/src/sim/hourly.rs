//! What ntpd writes of itself while it serves: `sysstats` each hour, `clockstats` at each poll of a reference clock
//! (`record_sys_stats` and `record_clock_stats` of ntp_util.c).

use super::engine::{Engine, Happens};
use super::make::{Family, Make};
use super::server::Counts;
use ntpscope_core::time::{SECOND, Time};
use std::fmt::Write;

/// How often `sysstats` is written, in seconds.
const HOUR_S: f64 = 3600.0;
/// ntpd up to 4.2.6 writes its first row after a second.
const FIRST_S: f64 = 1.0;
/// Seconds between polls of a reference clock at `minpoll 4`.
const REFERENCE_POLL_S: f64 = 16.0;
/// Where the antennas stand, as NMEA says it: latitude and longitude.
const PLACE: &str = "5205.1234,N,00507.5678,E";

/// What was in the counters when the last row was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Books {
    /// Packets that the daemon got for its own associations, since it started.
    pub replies: u64,
    written: (u64, Counts),
    /// When the last row was written, true ns.
    at: i64,
}

impl Engine<'_> {
    /// A daemon has started: its statistics of itself begin.
    pub(super) fn open_books(&mut self, host: usize) {
        let at = &mut self.hosts[host];
        at.books = Books { at: self.now, ..Books::default() };
        let Some(make) = at.make.clone().filter(|make| writes(make) && (at.server.is_some() || at.daemon.is_some()))
        else {
            return;
        };
        let (life, has_clock) =
            (at.life, at.daemon.is_none() && at.server.as_ref().is_some_and(|server| server.said.stratum == Some(1)));
        let first = self.hosts[host].clock.when(if is_old(&make) { FIRST_S } else { HOUR_S }, self.now);
        self.arrange(first, Happens::Hour(host, life));
        if has_clock {
            self.arrange(self.now + SECOND, Happens::Reference(host, life));
        }
    }

    /// The row of `sysstats`.
    pub(super) fn hour(&mut self, host: usize, life: u32) {
        let now = self.now;
        // The clock of a machine that sleeps is not looked at.
        if self.hosts[host].off > 0 {
            return self.arrange(now + SECOND, Happens::Hour(host, life));
        }
        let Some(clock) = self.books_open(host, life) else { return };
        let at = &mut self.hosts[host];
        let counts = at.server.as_ref().map(|server| server.counts).unwrap_or_default();
        let since = (now - at.books.at + SECOND / 2) / SECOND;
        let line = at.make.as_ref().map(|make| row(make, since, at.books, counts));
        at.books.written = (at.books.replies, counts);
        // Up to 4.2.6 the first row comes early, and the others on the hour all the same.
        let next = if since < 60 { HOUR_S - since as f64 } else { HOUR_S };
        at.books.at = now;
        let next = at.clock.when(next, now);
        if let Some(line) = line {
            self.state(host, "stats/sysstats", clock, &line);
        }
        self.arrange(next, Happens::Hour(host, life));
    }

    /// The row of `clockstats`: what the receiver has said last.
    pub(super) fn reference(&mut self, host: usize, life: u32) {
        if self.hosts[host].off > 0 {
            return self.arrange(self.now + SECOND, Happens::Reference(host, life));
        }
        let Some(clock) = self.books_open(host, life) else { return };
        let is_sec = self.hosts[host].make.as_ref().is_some_and(|make| make.family == Family::Ntpsec);
        let name = if is_sec { "NMEA(0)" } else { "127.127.20.0" };
        self.state(host, "stats/clockstats", clock, &format!("{name} {}", sentence(clock)));
        let next = self.hosts[host].clock.when(REFERENCE_POLL_S, self.now);
        self.arrange(next, Happens::Reference(host, life));
    }

    /// What its clock shows, where this life of a daemon still writes.
    fn books_open(&mut self, host: usize, life: u32) -> Option<Time> {
        let at = &mut self.hosts[host];
        (at.life == life && at.stopped == 0).then(|| at.clock.read(self.now))
    }

    fn state(&mut self, host: usize, file: &str, clock: Time, line: &str) {
        let at = &self.hosts[host];
        let wanted = at.said.daemon.as_ref().is_some_and(|daemon| daemon.statistics);
        if wanted && at.paused == 0 && at.off == 0 {
            let (day, ns) = clock.to_mjd();
            let (second, ms) = (ns / SECOND, ns % SECOND / 1_000_000);
            self.evidence.line(&self.wiring.names[host], file, &format!("{day} {second}.{ms:03} {line}"));
        }
    }
}

/// Whether a daemon has such files at all.
fn writes(make: &Make) -> bool {
    matches!(make.family, Family::Classic | Family::Ntpsec)
}

/// 4.2.4 and older have other columns.
fn is_older(make: &Make) -> bool {
    make.family == Family::Classic
        && ["4.0", "4.1", "4.2.0", "4.2.2", "4.2.4"].iter().any(|v| make.version.starts_with(v))
}

fn is_old(make: &Make) -> bool {
    make.family == Family::Classic && make.speaks_mode_7()
}

/// Deltas since the row before; 4.2.4 has hours and totals, and a column of unknown versions.
fn row(make: &Make, since_s: i64, books: Books, counts: Counts) -> String {
    let (replies, before) = books.written;
    let replies = books.replies - replies;
    let of = |count: fn(&Counts) -> u64| count(&counts) - count(&before);
    let received = of(|counts| counts.received) + replies;
    let processed = replies;
    let current = of(|counts| counts.current) + replies;
    let (older, restricted) = (of(|counts| counts.older), of(|counts| counts.restricted));
    let (bad, declined) = (of(|counts| counts.bad_format), of(|counts| counts.declined));
    let (limited, kisses) = (of(|counts| counts.limited), of(|counts| counts.kisses));
    if is_older(make) {
        let hours = since_s / 3600;
        return format!("{hours} {received} {processed} {current} {older} 0 {restricted} {bad} 0 {limited}");
    }
    let mut row = format!(
        "{since_s} {received} {processed} {current} {older} {restricted} {bad} 0 {declined} {limited} {kisses}"
    );
    if make.family == Family::Ntpsec {
        row.push_str(" 0");
    }
    row
}

/// `$GPRMC` of a receiver, with its checksum.
fn sentence(clock: Time) -> String {
    let date = jiff::Timestamp::from_nanosecond(i128::from(clock.0)).unwrap_or_default();
    let body = format!("GPRMC,{},A,{PLACE},0.0,0.0,{},,,A", date.strftime("%H%M%S"), date.strftime("%d%m%y"));
    let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    let mut sentence = format!("${body}");
    let _ = write!(sentence, "*{sum:02X}");
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_columns_of_their_version() {
        let books = Books { replies: 147, ..Books::default() };
        let counts = Counts { received: 10, current: 8, bad_format: 2, ..Counts::default() };
        let of = |is: &str| row(&Make::of(is).expect("a make"), 3600, books, counts);
        assert_eq!(of("ntpd 4.2.8p6"), "3600 157 147 155 0 0 2 0 0 0 0");
        assert_eq!(of("ntpsec 1.2.2"), "3600 157 147 155 0 0 2 0 0 0 0 0");
        assert_eq!(of("ntpd 4.2.4p8"), "1 157 147 155 0 0 0 2 0 0");
    }

    #[test]
    fn a_receiver_says_the_time_with_a_checksum() {
        let line = sentence(Time(1_795_339_816 * SECOND));
        assert_eq!(line, "$GPRMC,093016,A,5205.1234,N,00507.5678,E,0.0,0.0,221126,,,A*71");
    }
}
