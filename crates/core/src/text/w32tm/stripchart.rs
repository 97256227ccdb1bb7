//! `w32tm /stripchart`: with the chart, with `/dataonly`, and with `/rdtsc`.

use super::{decimal, seconds, variable};
use crate::model::{At, Event, Happening, Message, Peer, Row, What};
use crate::text::field::{integer, time_of_day};
use crate::text::{Block, Form, Line, Taken};
use crate::time::{SECOND, Time};
use std::net::IpAddr;

/// `w32tm /stripchart`.
pub(super) const STRIPCHART: Form =
    Form { name: "w32tm /stripchart", opens, block: || Box::new(Stripchart::default()) };

/// Seconds from 1601, where FILETIME begins, to 1970.
const FILETIME_TO_UNIX: i64 = 11_644_473_600;

/// FILETIME counts these, each of 100 ns.
const TICKS: i64 = 10_000_000;

/// Lines that stand between the first and the samples: how many are collected, and the time of day.
const LONGEST_PREAMBLE: u8 = 3;

fn opens(line: &str) -> bool {
    tracked(line).is_some() || sample_of(line).is_some() || is_header(line)
}

fn is_header(line: &str) -> bool {
    line.starts_with("RdtscStart, RdtscEnd, FileTime, RoundtripDelay, NtpOffset")
}

/// Name and address in `Tracking ntp.example [192.0.2.1:123].`; other languages put words before or after.
fn tracked(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" [")?;
    let (address, after) = after.split_once(":123]")?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    // A zone is no part of what can be parsed.
    let is_address = address.split('%').next().is_some_and(|bare| bare.parse::<IpAddr>().is_ok());
    let words = before.split_ascii_whitespace().count() + after.split_ascii_whitespace().count();
    let name = before.rsplit(' ').next()?;
    (is_address && words <= 6 && after.ends_with('.')).then_some((name, address))
}

/// What a line of the chart says.
enum Sample<'a> {
    /// Delay, where it is printed, and offset.
    Measured { time: Option<Time>, delay_s: Option<f64>, offset_s: f64 },
    /// `error: 0x800705B4`
    Failed(&'a str),
    /// A line of a sample that holds no number where one should be.
    Broken(&'a str),
}

fn sample_of(line: &str) -> Option<Sample<'_>> {
    let (stamp, rest) = line.split_once([',', ' '])?;
    if time_of_day(stamp).is_none() || stamp.len() > 8 {
        return counted_of(line);
    }
    let rest = rest.trim_start();
    // `d:+00.0012s o:-00.0234s  [  *  |  ]`
    if let Some(measures) = rest.strip_prefix("d:") {
        let (delay, rest) = measures.split_once(" o:")?;
        let offset = rest.split(' ').next().unwrap_or_default();
        return Some(match (seconds(delay.trim()), seconds(offset)) {
            (Some(delay_s), Some(offset_s)) => Sample::Measured { time: None, delay_s: Some(delay_s), offset_s },
            _ => Sample::Broken(rest),
        });
    }
    // `, -00.0234567s`
    if rest.starts_with(['+', '-']) {
        return seconds(rest).map(|offset_s| Sample::Measured { time: None, delay_s: None, offset_s });
    }
    // Words of any language, and the code of the error.
    let (words, code) = rest.split_once(": ")?;
    let is_code = code.starts_with("0x") && code.len() == 10;
    (is_code && words.chars().all(char::is_alphabetic)).then_some(Sample::Failed(rest))
}

/// `/rdtsc`: two counters, the time as FILETIME, delay and offset.
fn counted_of(line: &str) -> Option<Sample<'_>> {
    let mut fields = line.split(", ");
    let (start, end, time) = (integer(fields.next()?)?, integer(fields.next()?)?, integer(fields.next()?)?);
    let (delay_s, offset_s) = (decimal(fields.next()?)?, decimal(fields.next()?)?);
    // FILETIME is UTC; of the years from 1970 on.
    let ticks = time - FILETIME_TO_UNIX * TICKS;
    let is_sample = start <= end && ticks > 0 && fields.next().is_none();
    let time = ticks.checked_mul(SECOND / TICKS).map(Time)?;
    is_sample.then_some(Sample::Measured { time: Some(time), delay_s: Some(delay_s), offset_s })
}

#[derive(Default)]
struct Stripchart {
    source: String,
    /// Lines that may still stand before the samples.
    preamble: u8,
}

impl Block for Stripchart {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some((name, address)) = tracked(line.text) {
            address.clone_into(&mut self.source);
            self.preamble = LONGEST_PREAMBLE;
            variable(rows, line.at, address, "name", name);
            return Taken::Yes;
        }
        let Some(sample) = sample_of(line.text) else {
            let is_preamble = self.preamble > 0 && !line.text.is_empty() && line.text.ends_with('.');
            self.preamble = self.preamble.saturating_sub(1);
            return if is_preamble || is_header(line.text) { Taken::Yes } else { Taken::No };
        };
        self.preamble = 0;
        match sample {
            Sample::Measured { time, delay_s, offset_s } => {
                // The time of day is local, and its date is not said.
                let at = At { time, ..line.at };
                // NTP's offset, server less local (Microsoft's description of /rdtsc): reference − local.
                rows(Row::Peer(Peer { offset_s: Some(offset_s), delay_s, ..Peer::new(at, &self.source) }));
                Taken::Yes
            }
            Sample::Failed(text) => {
                let kind = Happening::Network;
                let message = Message { program: "w32tm", kind, source: &self.source, value: None, text };
                rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
                Taken::Yes
            }
            Sample::Broken(text) => Taken::Rejected(format!("`{text}` has no offset in seconds")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    #[test]
    fn an_offset_is_what_the_local_clock_lacks() {
        let text = "Tracking ntp.example [192.0.2.1:123].\nThe current time is 11/22/2026 9:56:11 AM.\n\
                    09:56:11 d:+00.0623991s o:-00.6887759s  [                         * |                           ]\n\
                    09:56:13 error: 0x800705B4\n09:56:16, d:+00.0467987s o:+02.6877832s\n09:56:18, +09.9312044s\n\
                    09:56:20, d:+00.0467987s o:much\n";
        let want = [
            "source=192.0.2.1 offset_s=-0.6887759 delay_s=0.0623991",
            "source=192.0.2.1 offset_s=2.6877832 delay_s=0.0467987",
            "source=192.0.2.1 offset_s=9.9312044",
        ];
        assert_eq!(peers(text), want);
        let (rows, rejects, forms) = read(text);
        assert!(rows.contains(&"message who=w32tm subject=192.0.2.1 name=network text=error: 0x800705B4".to_owned()));
        assert_eq!(
            (rejects, forms),
            (vec!["line 7: `much` has no offset in seconds".to_owned()], vec!["w32tm /stripchart"])
        );
    }

    #[test]
    fn counters_come_with_a_time_in_utc_and_commas_are_points() {
        // 2026-11-22T09:36:20.5Z
        let text = "RdtscStart, RdtscEnd, FileTime, RoundtripDelay, NtpOffset\n\
                    391444616392, 391478090002, 134398137805000000, +00.0100979, +10.3926898\n";
        assert_eq!(
            peers(text),
            ["time=2026-11-22T09:36:20.5Z source= offset_s=10.3926898 delay_s=0.0100979".replace("source= ", "")]
        );
        let german = "ntp.example [192.0.2.1:123] wird verfolgt.\n1 Beispiele werden gesammelt.\n\
                      Es ist 22.11.2026 10:37:19.\n10:37:19, -00,0620337s\n10:37:21, Fehler: 0x800705B4\n";
        assert_eq!(peers(german), ["source=192.0.2.1 offset_s=-0.0620337"]);
        assert_eq!(read(german).1.len(), 0);
    }
}
