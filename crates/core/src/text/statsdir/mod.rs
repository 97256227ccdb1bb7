//! The statistics files of ntpd and NTPsec: what `statsdir` holds, whatever `filegen` calls the files.
//!
//! Every row begins with the modified Julian day and the second of that day, on the clock *being disciplined*, so that
//! time may run backwards from row to row. What follows tells the files apart, also where somebody has put several into
//! one. Columns are those of `ntpd/ntp_util.c`, from xntp3 to ntpd 4.2.8p18 and NTPsec 1.2.

use super::field::{Words, integer, nanoseconds, number};
use super::{Block, Form, Line, Taken};
use crate::model::{At, Clock, Peer, Row};
use crate::time::{DAY, Time};

/// What this module reads.
pub const FORMS: &[Form] = &[LOOPSTATS, PEERSTATS];

/// `loopstats`: the clock's discipline, at every update.
const LOOPSTATS: Form =
    Form { name: "loopstats", opens: |line| opens(line, loopstats), block: || Box::new(Rows(loopstats)) };

/// `peerstats`: the best sample of a source, when it is new. It is *not* a row per packet.
const PEERSTATS: Form =
    Form { name: "peerstats", opens: |line| opens(line, peerstats), block: || Box::new(Rows(peerstats)) };

/// Every form here, to tell a broken row from one of another file.
const ALL: &[Reader] = &[loopstats, peerstats];

/// Reads what follows the stamp; `None` where the fields are not this file's.
type Reader = fn(Fields<'_>, &mut dyn FnMut(Row<'_>)) -> Option<()>;

/// A row's time, and what follows it.
#[derive(Clone)]
struct Fields<'a> {
    at: At<'a>,
    words: Words<'a>,
}

impl<'a> Fields<'a> {
    fn of(line: Line<'a>) -> Option<Self> {
        let mut words = Words::of(line.text);
        let (day, second) = (words.next()?, words.next()?);
        // Day 30000 is in 1941 and 99999 in 2132.
        let day = integer(day).filter(|_| day.len() == 5)?;
        let second = nanoseconds(second).filter(|ns| *ns <= DAY && second.contains('.'))?;
        let at = At { time: Some(Time::from_mjd(day, second)?), ..line.at };
        Some(Fields { at, words })
    }

    /// The next field, a number.
    fn number(&mut self) -> Option<f64> {
        self.words.next().and_then(number)
    }

    /// Whether nothing follows.
    fn ended(&self) -> bool {
        self.words.rest().is_empty()
    }
}

fn opens(text: &str, read: Reader) -> bool {
    let nowhere = crate::model::Origin { input: crate::model::InputId(0), place: crate::model::Place::Line(0) };
    // Nearly every other line fails at its first byte.
    text.starts_with(|c: char| c.is_ascii_digit())
        && Fields::of(Line { at: At::origin(nowhere), text, written: Time(0) })
            .is_some_and(|fields| read(fields, &mut |_| {}).is_some())
}

/// A block whose rows are all read by one function.
struct Rows(Reader);

impl Block for Rows {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(fields) = Fields::of(line) else {
            return if line.text.is_empty() || line.text.starts_with('#') { Taken::Yes } else { Taken::No };
        };
        if (self.0)(fields.clone(), rows).is_some() {
            return Taken::Yes;
        }
        if ALL.iter().any(|read| read(fields.clone(), &mut |_| {}).is_some()) {
            return Taken::No;
        }
        Taken::Rejected("a row of a statistics file that was cut, or that no version of ntpd writes".into())
    }
}

/// Offset, frequency, jitter, wander, time constant: `0.000006019 13.778 0.000351733 0.013380 6`.
///
/// ntpd before 4.0 had no jitter and no wander.
fn loopstats(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let offset = fields.words.next().filter(|word| word.contains('.')).and_then(number)?;
    let frequency = fields.number()?;
    let mut clock = Clock { offset_s: Some(offset), frequency_ppm: Some(frequency), ..Clock::new(fields.at) };
    let third = fields.words.next()?;
    let constant = if third.contains('.') {
        clock.jitter_s = Some(number(third)?);
        clock.wander_ppm = Some(fields.number()?);
        fields.words.next()
    } else {
        Some(third)
    };
    // ntpd's `sys_poll`, log₂ seconds.
    clock.poll_s = match constant {
        Some(text) => Some(exp2(integer(text)?)?),
        None => None,
    };
    fields.ended().then(|| rows(Row::Clock(clock)))
}

/// Two to the power of a poll exponent; RFC 5905 §7.3 has 4 to 17, and ntpd takes 3.
fn exp2(log: i64) -> Option<f64> {
    (0..=17).contains(&log).then(|| f64::from(1_u32 << log))
}

/// Source, status, offset, delay, dispersion, jitter: `192.0.2.1 9614 0.000054394 0.000306203 7.937500062 0.000000000`.
///
/// Until ntpd 4.1 there was no jitter. Offsets are reference − local already (RFC 5905 §8).
fn peerstats(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.words.next().filter(|word| is_source(word))?;
    let status = status(fields.words.next()?)?;
    let offset = fields.words.next().filter(|word| word.contains('.'))?;
    let mut peer = Peer { status: Some(status), offset_s: Some(number(offset)?), ..Peer::new(fields.at, source) };
    peer.tally = Some(TALLIES[usize::from(status >> 8 & 7)]);
    peer.delay_s = Some(fields.number()?);
    peer.dispersion_s = Some(fields.number()?);
    if let Some(jitter) = fields.words.next() {
        // All four have as many decimals: a last one with fewer was cut.
        (decimals(jitter) == decimals(offset)).then_some(())?;
        peer.jitter_s = Some(number(jitter)?);
    }
    fields.ended().then(|| rows(Row::Peer(peer)))
}

fn decimals(text: &str) -> usize {
    text.bytes().rev().position(|byte| byte == b'.').unwrap_or(0)
}

/// The selection marks of a billboard, by the three selection bits of a peer's status word (RFC 9327 §3.2).
const TALLIES: [char; 8] = [' ', 'x', '.', '-', '+', '#', '*', 'o'];

/// A status word: up to four hexadecimal digits.
fn status(word: &str) -> Option<u16> {
    let digits = (1..=4).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(word, 16).ok())?
}

/// An address, or NTPsec's name of a reference clock.
fn is_source(word: &str) -> bool {
    let bytes = word.as_bytes();
    match bytes.first() {
        // Quick: an IPv4 address has three points and nothing but digits; the standard library says the rest.
        Some(b'0'..=b'9' | b'a'..=b'f' | b':' | b'A'..=b'F') if word.parse::<std::net::IpAddr>().is_ok() => true,
        Some(b'f' | b'F') if word.contains('%') => true,
        _ => is_refclock(word),
    }
}

/// `127.127.20.0`, or `NMEA(0)` as NTPsec writes it.
fn is_refclock(word: &str) -> bool {
    let label = word.strip_suffix(')').and_then(|word| word.split_once('('));
    word.starts_with("127.127.")
        || label.is_some_and(|(name, unit)| {
            let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            !name.is_empty() && name.bytes().all(is_name) && integer(unit).is_some()
        })
}
