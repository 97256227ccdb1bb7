//! `rawstats`: a row per packet that was taken for processing; since 4.2.8p11 also one per packet that was sent.

use super::fields::{Fields, address};
use super::{Before, Kind};
use crate::model::{Packet, Row};
use crate::time::NTP_TO_UNIX;

/// `rawstats`: sender, receiver, four timestamps; since 4.2.7 the header, and since 4.2.8p11 what follows it; NTPsec
/// appends what was lost, dropped and failed.
pub const RAWSTATS: Kind = Kind { name: "rawstats", read: rawstats, free: false };

/// Bytes of the header, which the length behind a row of 4.2.8p11 does not count.
const HEADER: u64 = 48;

/// Seconds in a day: a stamp that is further from the row's own is not the sender's time.
const DAY_S: u64 = 86_400;

fn rawstats(mut fields: Fields<'_>, before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let mut packet = Packet::new(fields.at);
    packet.source.0 = end(fields.word()?)?;
    packet.destination.0 = end(fields.word()?)?;
    packet.originate = Some(fields.ntp()?);
    packet.receive = Some(fields.ntp()?);
    packet.transmit = Some(fields.ntp()?);
    // ntpd has no time of arrival for what it sends, and prints zero.
    packet.arrival = Some(fields.ntp()?).filter(|stamp| *stamp != 0);
    if !fields.ended() {
        header(&mut fields, &mut packet, before)?;
    }
    rows(Row::Packet(packet));
    Some(())
}

/// Leap, version, mode, stratum, poll, precision, root delay, root dispersion, reference id, and the rest.
fn header<'a>(fields: &mut Fields<'a>, packet: &mut Packet<'a>, before: &mut Before) -> Option<()> {
    let mut small = || fields.integer().filter(|value| (-128..=255).contains(value));
    let (first, version, third) = (small()?, small()?, small()?);
    let (stratum, poll, precision) = (small()?, small()?, small()?);
    let (delay, dispersion) = (fields.fixed(6)?, fields.fixed(6)?);
    let rest = Rest::of(fields.rest())?;
    if rest.columns >= 18 {
        // NTPsec before 1.2.2 had one column more, later ones three, ntpd since 4.2.8p11 perhaps two: a row with one, among
        // those, was cut.
        (rest.columns >= before.widest).then_some(())?;
        before.widest = rest.columns;
    }
    packet.refid = rest.refid;
    (packet.lost, packet.dropped, packet.failed) = (rest.lost, rest.dropped, rest.failed);
    packet.length = rest.tail.and_then(|bytes| u16::try_from(bytes + HEADER).ok());
    packet.version = u8::try_from(version).ok().filter(|version| *version <= 7);
    let (leap, mode) = leap_and_mode(first, third, packet.arrival.is_none());
    (packet.leap, packet.mode) = (leap, mode);
    if matches!(mode, Some(6 | 7)) {
        // What ntpq and ntpdc send has another header (ntp bug 3774): the columns show bytes of something else.
        (packet.originate, packet.receive, packet.transmit, packet.refid) = (None, None, None, "");
        return Some(());
    }
    // As printed: ntpd shows a stratum of 0 in a packet that it received as 16.
    packet.stratum = u8::try_from(stratum).ok();
    // Poll is printed as an unsigned byte.
    packet.poll = i8::try_from(poll).ok().or_else(|| u8::try_from(poll).ok().map(|byte| byte as i8));
    packet.precision = i8::try_from(precision).ok();
    // Both have sixteen bits before the point (RFC 5905 §6).
    let short = |value: f64| (0.0..65_536.0).contains(&value).then_some(value);
    (packet.root_delay_s, packet.root_dispersion_s) = (short(delay), short(dispersion));
    if packet.arrival.is_none() && swapped(packet) {
        (packet.originate, packet.receive, packet.transmit) = (None, None, None);
        (packet.root_delay_s, packet.root_dispersion_s) = (None, None);
    }
    Some(())
}

/// Leap and mode, which 4.2.8p11 prints in each other's column where it sent the packet itself (ntp bug 3604).
fn leap_and_mode(first: i64, third: i64, sent: bool) -> (Option<u8>, Option<u8>) {
    let leap = |value| u8::try_from(value).ok().filter(|leap| *leap <= 3);
    let mode = |value| u8::try_from(value).ok().filter(|mode| *mode <= 7);
    let as_named = (leap(first), mode(third));
    if !sent || first == third {
        return as_named;
    }
    // Nobody sends mode 0; where both orders could be, nobody can tell.
    match (first <= 3 && third >= 1, first >= 1 && third <= 3) {
        (true, false) => as_named,
        (false, true) => (leap(third), mode(first)),
        _ => (None, None),
    }
}

/// Whether the stamps of a packet that was sent are in the byte order of the wire, as 4.2.8p11 to p13 print them on most
/// machines (ntp bug 3604). Fractions can't be brought back from nine decimals.
fn swapped(packet: &Packet<'_>) -> bool {
    let (Some(time), Some(transmit)) = (packet.at.time, packet.transmit) else { return false };
    let now = (time.0.div_euclid(crate::time::SECOND) + NTP_TO_UNIX) as u32;
    let second = (transmit >> 32) as u32;
    let is_near = |second: u32| u64::from(second.abs_diff(now)) < DAY_S;
    !is_near(second) && is_near(second.swap_bytes())
}

/// Who sends or receives; `-` where ntpd does not know.
fn end(word: &str) -> Option<Option<std::net::IpAddr>> {
    if word == "-" { Some(None) } else { address(word).map(Some) }
}

/// What follows the root dispersion.
struct Rest<'a> {
    refid: &'a str,
    /// Columns of the whole row.
    columns: usize,
    lost: Option<u32>,
    dropped: Option<u32>,
    failed: Option<u32>,
    /// Bytes behind the header.
    tail: Option<u64>,
}

impl<'a> Rest<'a> {
    /// From its end, as a reference id may have blanks in it (ntp bug 3854): `.GP S.`, `192.0.2.1`, `.GPS. 4: 0000`,
    /// `.GPS. 2`, `GPS 0 1 2000`.
    fn of(text: &'a str) -> Option<Self> {
        let mut rest = Rest { refid: text, columns: 17, lost: None, dropped: None, failed: None, tail: None };
        if let Some((before, hex)) = text.rsplit_once(": ") {
            let (refid, length) = before.rsplit_once(' ')?;
            rest.tail = Some(length.parse().ok()?);
            hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
            (rest.refid, rest.columns) = (refid, 19);
        } else if let Some((refid, [lost, dropped, failed])) = last_words(text)
            && let (Ok(lost), Ok(dropped)) = (lost.parse(), dropped.parse())
            && let Ok(failed) = u32::from_str_radix(failed, 16)
        {
            (rest.refid, rest.columns) = (refid, 20);
            (rest.lost, rest.dropped, rest.failed) = (Some(lost), Some(dropped), Some(failed));
        }
        if rest.columns == 17 && !is_refid(text) {
            let (refid, lost) = text.rsplit_once(' ')?;
            (rest.refid, rest.columns, rest.lost) = (refid, 18, Some(lost.parse().ok()?));
        }
        // NTPsec since 1.2.3 prints no points around letters.
        let bare = rest.columns == 20 && matches!(rest.refid.chars().count(), 1..=4);
        (bare || is_refid(rest.refid)).then_some(rest)
    }
}

/// The last three words, and what stands before them.
fn last_words(text: &str) -> Option<(&str, [&str; 3])> {
    let (text, third) = text.rsplit_once(' ')?;
    let (text, second) = text.rsplit_once(' ')?;
    let (text, first) = text.rsplit_once(' ')?;
    Some((text, [first, second, third]))
}

/// An address, or up to four letters between points, which may be any bytes.
fn is_refid(text: &str) -> bool {
    let letters = text.strip_prefix('.').and_then(|text| text.strip_suffix('.'));
    letters.is_some_and(|letters| letters.chars().count() <= 4) || text.parse::<std::net::Ipv4Addr>().is_ok()
}
