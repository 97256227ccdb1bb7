//! What the clients that run once print: `ntpdate -q`, `sntp`, and NTPsec's `ntpdig`.
//!
//! All print ((T2-T1)+(T3-T4))/2, what is to be added to the clock: reference − local (`ntpdate.c`, `sntp/main.c`,
//! `ntpclients/ntpdig.py`).

use super::stamp;
use crate::model::{At, Event, Happening, Message, Peer, Row, What};
use crate::text::field::{Words, number};
use crate::text::{Block, Form, Line, Taken};
use crate::time::Time;

/// `server 192.0.2.1, stratum 2, offset -0.001234, delay 0.02563`.
pub const NTPDATE: Form =
    Form { name: "ntpdate -q", opens: |line| server(line).is_some(), block: || Box::new(Servers) };

/// `2026-11-22 09:25:13.123456 (+0100) +0.001200 +/- 0.003000 ntp.example 192.0.2.1 s2 no-leap`.
pub const SNTP: Form = Form { name: "sntp", opens, block: || Box::new(Measured) };

fn opens(line: &str) -> bool {
    is_banner(line) || stepped(line).is_some() || measured(line).is_some()
}

struct Servers;

impl Block for Servers {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        match server(line.text).map(|(address, rest)| (address, numbers(rest))) {
            Some((source, Some([stratum, offset, delay]))) => {
                // Of a server that did not answer all is zero.
                let answered = stratum != 0.0 || delay != 0.0;
                let known = |value| answered.then_some(value);
                let stratum = known(stratum).map(|stratum| stratum as u8);
                let (offset_s, delay_s) = (known(offset), known(delay));
                rows(Row::Peer(Peer { stratum, offset_s, delay_s, ..Peer::new(line.at, source) }));
                Taken::Yes
            }
            Some(_) => Taken::Rejected("expected numbers for stratum, offset and delay".into()),
            None => Taken::No,
        }
    }
}

/// The address, and what follows `, stratum `.
fn server(line: &str) -> Option<(&str, &str)> {
    let (address, rest) = line.strip_prefix("server ")?.split_once(", stratum ")?;
    (!address.contains(' ') && rest.contains(", offset ")).then_some((address, rest))
}

fn numbers(rest: &str) -> Option<[f64; 3]> {
    let (stratum, rest) = rest.split_once(", offset ")?;
    let (offset, delay) = rest.split_once(", delay ")?;
    let stratum = stratum.parse::<u8>().ok()?;
    Some([f64::from(stratum), number(offset)?, number(delay)?])
}

struct Measured;

impl Block for Measured {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_banner(line.text) {
            return Taken::Yes;
        }
        if let Some(value) = stepped(line.text) {
            let (kind, text) = (Happening::Step, line.text);
            let message = Message { program: "ntpdig", kind, source: "", value: Some(value), text };
            rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
            return Taken::Yes;
        }
        let Some((date, time, zone, rest)) = measured(line.text) else { return Taken::No };
        // The parts of an ISO stamp, with the zone in brackets.
        let instant = stamp::iso_instant(&format!("{date} {time}{zone}"), Time(0));
        match instant.and_then(|instant| peer(At { time: Some(instant), ..line.at }, rest)) {
            Some(peer) => {
                rows(Row::Peer(peer));
                Taken::Yes
            }
            None => Taken::Rejected("expected a time, an offset, its error, a server and its stratum".into()),
        }
    }
}

/// `sntp 4.2.8p15@1.3728-o Wed Sep 23 11:46:38 UTC 2020 (1)`, with which sntp begins.
fn is_banner(line: &str) -> bool {
    line.starts_with("sntp 4.") && line.ends_with(')')
}

/// `CLOCK: time stepped by 0.250000`, which ntpdig prints without a stamp: forwards where it is positive.
fn stepped(line: &str) -> Option<f64> {
    number(line.strip_prefix("CLOCK: time stepped by ")?)
}

/// Date, time, zone, and what follows.
fn measured(line: &str) -> Option<(&str, &str, &str, &str)> {
    let mut words = Words::of(line);
    let (date, time) = (words.next()?, words.next()?);
    let zone = words.next()?.strip_prefix('(')?.strip_suffix(')')?;
    let is_time = date.len() == 10 && stamp::is_clock(time.as_bytes());
    (is_time && line.contains(" +/- ")).then_some((date, time, zone, words.rest()))
}

fn peer<'a>(at: At<'a>, rest: &'a str) -> Option<Peer<'a>> {
    let (offset, rest) = rest.split_once(" +/- ")?;
    let mut words = Words::of(rest);
    let error = number(words.next()?)?;
    // A name where one was given, and the address: the last word before the stratum.
    let (mut source, mut stratum) = ("", None);
    for word in words {
        stratum = word.strip_prefix('s').and_then(|digits| digits.parse().ok());
        if stratum.is_some() {
            break;
        }
        source = word;
    }
    (!source.is_empty()).then_some(())?;
    // The error that sntp prints is the synchronisation distance: delay and dispersion together.
    Some(Peer {
        stratum: Some(stratum?),
        offset_s: Some(number(offset.trim())?),
        dispersion_s: Some(error),
        ..Peer::new(at, source)
    })
}
