//! What happened, in words: `protostats`, `clockstats`, `cryptostats`, `timingstats` and NTPsec's `ntskelog`.

use super::fields::{Fields, is_refclock, is_source};
use super::peers::status;
use super::{Before, Kind};
use crate::model::{Event, Happening, Message, Row, What};
use crate::text::field::decimal;

/// `protostats`: source (0.0.0.0 for the daemon), its status word, event code, name and perhaps more:
/// `192.0.2.1 963a 8a sys_peer`.
pub const PROTOSTATS: Kind = Kind { name: "protostats", read: protostats, free: false };

/// `ntskelog` of NTPsec: how far a client got, seconds, milliseconds of CPU, who, and what was agreed or went wrong.
pub const NTSKELOG: Kind = Kind { name: "ntskelog", read: ntskelog, free: false };

/// `timingstats` of ntpd built with `--enable-debug-timing`: source, count, seconds, what was timed.
pub const TIMINGSTATS: Kind = Kind { name: "timingstats", read: timingstats, free: false };

/// `clockstats`: a reference clock, and what its driver has to say, mostly the time code.
pub const CLOCKSTATS: Kind = Kind { name: "clockstats", read: clockstats, free: true };

/// `cryptostats`: what Autokey did.
pub const CRYPTOSTATS: Kind = Kind { name: "cryptostats", read: cryptostats, free: true };

/// In an event code: the event is of a source, not of the daemon.
const OF_SOURCE: u16 = 0x80;

/// In an event code: the event is of Autokey.
const OF_AUTOKEY: u16 = 0x100;

/// An event of the daemon by its code, and its names in all versions (`libntp/statestr.c`; RFC 9327 §3.1). Those that
/// begin with `event_` are of ntpd before 4.2.5, where the codes meant something else.
const SYSTEM: [(&[&str], Happening); 16] = [
    (&["unspecified", "event_unspec"], Happening::Other),
    (&["freq_not_set"], Happening::Other),
    (&["freq_set"], Happening::Frequency),
    (&["spike_detect"], Happening::Spike),
    (&["freq_mode"], Happening::Other),
    (&["clock_sync", "event_sync_chg", "event_peer/strat_chg"], Happening::Synchronised),
    (&["restart", "event_restart"], Happening::Start),
    (&["panic_stop"], Happening::Panic),
    (&["no_sys_peer", "no_system_peer"], Happening::Unsynchronised),
    (&["leap_armed"], Happening::Leap),
    (&["leap_disarmed"], Happening::Leap),
    (&["leap_event"], Happening::Leap),
    (&["clock_step", "event_clock_reset"], Happening::Step),
    (&["kern"], Happening::Kernel),
    (&["TAI"], Happening::Leap),
    (&["stale_leapsecond_values", "leapsecond_values_stale"], Happening::Leap),
];

/// The same for events of a source (RFC 9327 §3.2).
const SOURCE: [(&[&str], Happening); 16] = [
    (&["unspecified", "event_unspec"], Happening::Other),
    (&["mobilize"], Happening::Mobilised),
    (&["demobilize"], Happening::Demobilised),
    (&["unreachable", "event_unreach"], Happening::Unreachable),
    (&["reachable", "event_reach"], Happening::Reachable),
    (&["restart"], Happening::Other),
    (&["no_reply", "event_ip_err"], Happening::Unreachable),
    // A kiss-o'-death of the source, `RATE` or `DENY`.
    (&["rate_exceeded"], Happening::Kiss),
    (&["access_denied"], Happening::Kiss),
    (&["leap_armed"], Happening::Leap),
    (&["sys_peer"], Happening::Synchronised),
    (&["clock_event", "clock_alarm", "clock", "event_peer_clock"], Happening::Timecode),
    (&["bad_auth", "event_authen"], Happening::BadAuth),
    (&["popcorn"], Happening::Popcorn),
    (&["interleave_mode", "xmode"], Happening::Other),
    (&["interleave_error", "xerr"], Happening::Other),
];

/// What an event is: by its name, whose meaning never changed, or else by its code.
fn happening(code: u16, name: &str, status: u16) -> Happening {
    if code & OF_AUTOKEY != 0 {
        return if name == "success" { Happening::Other } else { Happening::BadAuth };
    }
    let table = if code & OF_SOURCE != 0 { SOURCE } else { SYSTEM };
    let by_name = table.iter().find(|(names, _)| names.contains(&name));
    match by_name {
        // The leap bits of the daemon's status, 3 for not synchronised, say what became of an `event_sync_chg`.
        Some((_, Happening::Synchronised)) if name.starts_with("event_") && status >> 14 == 3 => {
            Happening::Unsynchronised
        }
        Some((_, kind)) => *kind,
        None if name.starts_with("event_") => Happening::Other,
        None => table[usize::from(code & 0xf)].1,
    }
}

fn protostats(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.word()?;
    let text = fields.rest();
    let word = fields.word().filter(|word| word.len() == 4)?;
    let (status, code) = (status(word)?, fields.word().filter(|word| matches!(word.len(), 2 | 3))?);
    let code = u16::from_str_radix(code, 16).ok()?;
    // The last event is in the status too: four bits of the same number.
    (status & 0xf == code & 0xf).then_some(())?;
    // Development versions before 4.2.5 said whose event it is.
    let said = fields.rest();
    let said = said.strip_prefix("system event: ").or(said.strip_prefix("peer event: ")).unwrap_or(said);
    let (name, more) = said.split_once(' ').unwrap_or((said, ""));
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then_some(())?;
    let kind = happening(code, name, status);
    let value = match kind {
        // Seconds: `+0.123456 s`, of a popcorn spike without its sign; `-1234 s; set clock manually within 1000 s.`
        Happening::Step | Happening::Spike | Happening::Popcorn | Happening::Panic => quantity(more, "s"),
        // `kernel -11.974 PPM`
        Happening::Frequency => more.split_once(' ').and_then(|(_, more)| quantity(more, "PPM")),
        _ => None,
    };
    // The daemon prints the number and its unit together: without the unit the row was cut.
    (value.is_some() || more.is_empty() || !takes_number(kind)).then_some(())?;
    let source = if source == "0.0.0.0" { "" } else { source };
    message(&fields, Message { program: "ntpd", kind, source, value, text }, rows);
    Some(())
}

/// Whether a number follows the name of such an event, where anything does.
fn takes_number(kind: Happening) -> bool {
    matches!(kind, Happening::Step | Happening::Spike | Happening::Popcorn | Happening::Panic | Happening::Frequency)
}

/// A number and its unit at the beginning of a text.
fn quantity(text: &str, unit: &str) -> Option<f64> {
    let number = decimal(text.as_bytes())?;
    let after = text.get(number.length..)?.strip_prefix(' ')?.strip_prefix(unit)?;
    (after.is_empty() || after.starts_with([';', ' '])).then_some(number.value)
}

fn message(fields: &Fields<'_>, message: Message<'_>, rows: &mut dyn FnMut(Row<'_>)) {
    rows(Row::Event(Event { at: fields.at, what: What::Message(message) }));
}

fn ntskelog(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let text = fields.rest();
    fields.word().filter(|tag| matches!(*tag, "OK" | "KE" | "TLS" | "???"))?;
    let wall = fields.fixed(3)?;
    let (_user_ms, _system_ms) = (fields.fixed(3)?, fields.fixed(3)?);
    let source = fields.word()?;
    // Not the daemon's own trouble, whatever became of it: anybody may try.
    let kind = Happening::Other;
    message(&fields, Message { program: "ntpd", kind, source, value: Some(wall), text }, rows);
    Some(())
}

fn timingstats(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.word().filter(|word| matches!(*word, "-" | "-REFCLOCK-") || is_source(word))?;
    let (_count, seconds) = (fields.whole()?, fields.fixed(9)?);
    let name = match fields.rest() {
        "input processing delay" => "input_processing_s",
        "input handler" => "input_handler_s",
        "buffer processing delay" => "buffer_processing_s",
        "processing" => "processing_s",
        label if label.starts_with(|c: char| c.is_ascii_alphabetic()) => "timing_s",
        _ => return None,
    };
    let of = if source.starts_with('-') { "" } else { source };
    rows(Row::Event(Event { at: fields.at, what: What::Gauge { of, name, value: seconds } }));
    Some(())
}

fn clockstats(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.word().filter(|word| is_refclock(word))?;
    let text = fields.rest();
    let cut = is_cut(text);
    (!cut).then(|| {
        let kind = Happening::Timecode;
        message(&fields, Message { program: "ntpd", kind, source, value: None, text }, rows);
    })
}

/// Whether this is what is left of a row of peerstats (a status, and perhaps numbers with points), or of refstats (three
/// counts, and numbers of nine decimals).
fn is_cut(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let is_number = |word: &str| word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    let Some(first) = words.next() else { return false };
    let of_peerstats = first.len() == 4 && status(first).is_some() && words.clone().all(is_number);
    let has_nine = |word: &str| word.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 9);
    of_peerstats || (is_number(first) && words.clone().all(is_number) && words.nth(2).is_some_and(has_nine))
}

/// How the rows of `ntp_crypto.c` begin.
const AUTOKEY: &[&str] = &[
    "assoc",
    "auto",
    "cert",
    "cook",
    "error",
    "flags",
    "gq",
    "hostname",
    "ident",
    "iff",
    "leap",
    "mv",
    "proto",
    "refresh",
    "setup",
    "sign",
    "signature",
    "tai",
    "update",
];

fn cryptostats(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let mut text = fields.rest();
    let mut source = "";
    let mut first = fields.word()?;
    // The first versions named no source.
    if is_source(first) {
        (source, text) = (first, fields.rest());
        first = fields.word()?;
    }
    let mut words = text.split_ascii_whitespace().skip(1);
    // `ntpkey_host_alpha mod 512`, `3301 17411 01 bad_timestamp`.
    let is_key = matches!(words.next(), Some("mod")) || text.contains(" len ");
    let word = text.split_ascii_whitespace().nth(3);
    let is_error = first.len() == 4
        && u16::from_str_radix(first, 16).is_ok()
        && word.is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.contains('_'));
    (AUTOKEY.contains(&first) || is_key || is_error).then(|| {
        let source = if source == "0.0.0.0" { "" } else { source };
        let kind = if is_error || first == "error" { Happening::BadAuth } else { Happening::Other };
        message(&fields, Message { program: "ntpd", kind, source, value: None, text }, rows);
    })
}
