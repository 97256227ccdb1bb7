//! What tcpdump says of an NTP packet: `print-ntp.c`, in the wording of 3.5 to 3.7, of 3.8, and of 3.9 and later.

use super::super::field::{nanoseconds, number, stamp};
use crate::model::Packet;
use crate::wire::NTP_PORT;

/// What was said of one packet so far.
pub(super) struct Said {
    packet: Packet<'static>,
    refid: String,
}

/// Words for modes, old and new. Until 4.9, `Reserved` was both 6 and 7.
const MODES: &[(&str, u8)] = &[
    ("unspecified", 0),
    ("unspec", 0),
    ("symmetric active", 1),
    ("sym_act", 1),
    ("symmetric passive", 2),
    ("sym_pas", 2),
    ("client", 3),
    ("server", 4),
    ("broadcast", 5),
    ("bcast", 5),
    ("control message", 6),
    ("res1", 6),
    ("res2", 7),
];

const RESERVED: &str = "reserved";

/// By the mode's word, in whatever case.
fn mode(word: &str) -> Option<u8> {
    MODES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, mode)| *mode)
}

/// Whether a line has the wording of before 3.8, which the BSDs keep: `: v4 client strat 2 poll 6 prec -18`.
pub(super) fn is_old_wording(text: &str) -> bool {
    text.contains(": v") && text.contains(" strat ") && text.contains(" poll ") && text.contains(" prec ")
}

impl Said {
    /// From what the headers said and what follows the ends. `Ok(None)` where that is not NTP.
    pub(super) fn of(packet: Packet<'static>, what: &str, verbose: bool) -> Result<Option<Said>, String> {
        let port = [packet.source.1, packet.destination.1].contains(&Some(NTP_PORT));
        let mut said = Said { packet, refid: String::new() };
        let mut text = what;
        // `[udp sum ok] `, `[len=12] `; `[|ntp]` is a packet of which nothing was captured.
        while let Some((mark, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            if mark == "|ntp" && port {
                return Ok(Some(said));
            }
            if let Some(length) = mark.strip_prefix("len=") {
                said.packet.length = length.parse().ok();
            }
            text = rest.trim_start();
        }
        if let Some(length) = text.strip_prefix("UDP, length ").filter(|_| port) {
            // `-q` looks no further.
            said.packet.length = leading(length);
            return Ok(Some(said));
        }
        let bare = text.strip_prefix("NTPv").or_else(|| text.strip_prefix('v').filter(|_| port));
        let Some((version, rest)) = bare.and_then(|text| text.split_at_checked(1)) else { return Ok(None) };
        let Some(version) = version.parse().ok().filter(|version| *version < 8) else { return Ok(None) };
        said.packet.version = Some(version);
        match rest.strip_prefix(", ") {
            Some(rest) => said.new_wording(rest, verbose)?,
            None => said.old_wording(rest)?,
        }
        Ok(Some(said))
    }

    /// `Client, length 48`; or `length 48`, where the mode begins the next line.
    fn new_wording(&mut self, text: &str, verbose: bool) -> Result<(), String> {
        const LENGTH: &str = "length ";
        let (word, length) = match text.strip_prefix(LENGTH) {
            Some(length) => (None, Some(length)),
            None => {
                let (word, rest) = text.split_once(", ").unwrap_or((text, ""));
                (Some(word), rest.strip_prefix(LENGTH))
            }
        };
        if let Some(word) = word {
            self.packet.mode = match mode(word) {
                // With `-v`, a mode in this line is of 4.99 or later.
                None if word.eq_ignore_ascii_case(RESERVED) => verbose.then_some(7),
                None => return Err("an NTP packet of no mode that tcpdump knows".into()),
                known => known,
            };
        }
        self.packet.length = Some(length.and_then(leading).ok_or("an NTP packet without its length")?);
        Ok(())
    }

    /// ` +1s client strat 2 poll 6 prec -18 dist 0.1 disp 0.2 ref 192.0.2.1@1.5 orig 1.5 rec +0.1 xmt +0.2`, since 3.8
    /// with commas.
    fn old_wording(&mut self, text: &str) -> Result<(), String> {
        let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let mut word = words.next();
        self.packet.leap = match word {
            Some("+1s") => Some(1),
            Some("-1s") => Some(2),
            // Not printed: none is announced, or (3) the clock is not synchronised.
            _ => None,
        };
        if self.packet.leap.is_some() {
            word = words.next();
        }
        self.packet.mode = Some(word.and_then(mode).ok_or("an NTP packet of no mode that tcpdump knows")?);
        let mut originate = 0;
        while let Some(name) = words.next() {
            match name {
                "(DF)" => continue,
                "strat" | "poll" | "prec" | "dist" | "disp" | "ref" | "orig" | "rec" | "xmt" | "(ttl" | "[ttl" => {}
                _ => continue,
            }
            let value = words.next().unwrap_or_default();
            let bad = || format!("an NTP packet whose {name} can't be right");
            match name {
                "strat" => self.packet.stratum = Some(value.parse().map_err(|_| bad())?),
                "poll" => self.packet.poll = Some(exponent(value).ok_or_else(bad)?),
                "prec" => self.packet.precision = Some(exponent(value).ok_or_else(bad)?),
                "dist" => self.packet.root_delay_s = Some(number(value).ok_or_else(bad)?),
                "disp" => self.packet.root_dispersion_s = Some(number(value).ok_or_else(bad)?),
                "ref" => {
                    let (refid, time) = value.rsplit_once('@').ok_or_else(bad)?;
                    self.refid = plain_refid(refid).to_owned();
                    self.packet.reference = timestamp(time).ok_or_else(bad)?;
                }
                "orig" => {
                    originate = nanoseconds(value).ok_or_else(bad)?;
                    self.packet.originate = timestamp(value).ok_or_else(bad)?;
                }
                "rec" => self.packet.receive = since(originate, value).ok_or_else(bad)?,
                "xmt" => self.packet.transmit = since(originate, value).ok_or_else(bad)?,
                _ => self.packet.ttl = value.trim_end_matches(']').parse().ok().or(self.packet.ttl),
            }
        }
        (self.packet.stratum.is_some() || text.contains("[|ntp]"))
            .then_some(())
            .ok_or_else(|| "an NTP packet without its stratum".into())
    }

    /// A line of fields; those that are not known are passed over.
    pub(super) fn more(&mut self, line: &str) {
        // Before 4.99 the mode begins the line of the leap indicator.
        if self.packet.mode.is_none()
            && let Some((word, _)) = line.split_once(", Leap indicator: ")
        {
            self.packet.mode = mode(word);
        }
        let is_time = !matches!(self.packet.mode, Some(6 | 7));
        for field in line.split(", ") {
            let Some((name, value)) = FIELDS.iter().find_map(|(start, name)| Some((name, field.strip_prefix(start)?)))
            else {
                continue;
            };
            let value = value.trim_start();
            match name {
                // In modes 6 and 7 the bits are others.
                Field::Leap if is_time => {
                    let bits = value.rsplit_once('(').and_then(|(_, bits)| bits.strip_suffix(')')?.parse::<u8>().ok());
                    self.packet.leap = bits.map(|bits| bits >> 6);
                }
                Field::Leap => {}
                Field::Stratum => self.packet.stratum = leading(value),
                Field::Poll => self.packet.poll = exponent(value.split(' ').next().unwrap_or_default()),
                Field::Precision => self.packet.precision = exponent(value),
                Field::RootDelay => self.packet.root_delay_s = number(value),
                Field::RootDispersion => self.packet.root_dispersion_s = number(value),
                Field::RefId => self.refid = plain_refid(value).to_owned(),
                Field::Reference => self.packet.reference = first_stamp(value),
                Field::Originate => self.packet.originate = first_stamp(value),
                Field::Receive => self.packet.receive = first_stamp(value),
                Field::Transmit => self.packet.transmit = first_stamp(value),
            }
        }
    }

    /// The packet, with all that was said.
    pub(super) fn packet(&self) -> Packet<'_> {
        Packet { refid: &self.refid, ..self.packet }
    }
}

/// A field of the lines that `-v` adds.
#[derive(Clone, Copy)]
enum Field {
    Leap,
    Stratum,
    Poll,
    Precision,
    RootDelay,
    RootDispersion,
    RefId,
    Reference,
    Originate,
    Receive,
    Transmit,
}

const FIELDS: &[(&str, Field)] = &[
    ("Leap indicator: ", Field::Leap),
    ("Stratum ", Field::Stratum),
    ("poll ", Field::Poll),
    ("precision ", Field::Precision),
    ("Root Delay: ", Field::RootDelay),
    ("Root dispersion: ", Field::RootDispersion),
    ("Reference-ID: ", Field::RefId),
    ("Reference Timestamp: ", Field::Reference),
    ("Origin Timestamp: ", Field::Originate),
    ("Originator Timestamp: ", Field::Originate),
    ("Receive Timestamp: ", Field::Receive),
    ("Transmit Timestamp: ", Field::Transmit),
];

/// The number at the beginning, whatever follows it.
fn leading<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// An exponent: `6`, `6s`, `-18`, and `250` where a version printed it without its sign.
fn exponent(text: &str) -> Option<i8> {
    let value: i16 = text.trim_end_matches('s').parse().ok()?;
    i8::try_from(value).ok().or_else(|| u8::try_from(value).ok().map(|bits| bits as i8))
}

/// A reference id without the zeros that fill it, which are printed as `^@`.
fn plain_refid(text: &str) -> &str {
    if text == "(unspec)" { "" } else { text.trim_end_matches("^@").trim_end_matches('\0') }
}

/// A timestamp in seconds since 1900; zero is unset.
fn timestamp(text: &str) -> Option<Option<u64>> {
    nanoseconds(text).map(|ns| (ns != 0).then(|| stamp(ns)))
}

fn first_stamp(text: &str) -> Option<u64> {
    timestamp(text.split(' ').next()?)?
}

/// A timestamp that is printed as the seconds from the origin timestamp, or as itself where that is unset. What is later
/// than the origin has lost its sign in some listings.
fn since(originate: i64, text: &str) -> Option<Option<u64>> {
    let ns = match text.as_bytes().first()? {
        b'+' => originate.checked_add(nanoseconds(&text[1..])?)?,
        b'-' => originate.checked_sub(nanoseconds(&text[1..])?)?,
        _ if originate == 0 => return timestamp(text),
        _ => originate.checked_add(nanoseconds(text)?)?,
    };
    Some((ns != 0).then(|| stamp(ns)))
}
