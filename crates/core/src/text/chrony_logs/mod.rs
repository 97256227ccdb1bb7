//! The logs that chronyd writes to `logdir`, and what it keeps on disk: dump files, drift file and RTC file.
//!
//! Each log is a table whose banner comes back every 32 rows, or never (`logbanner 0`), so that a row is known by its
//! own shape. Columns are those that chrony 1.20 to 4.8 print (chrony.conf(5), `log`); `reference.c`, `ntp_core.c`,
//! `sourcestats.c`, `sources.c`, `refclock.c`, `tempcomp.c` and `rtc_linux.c` print them.
//!
//! Signs differ from log to log: measurements and reference clocks are reference − local as here, statistics,
//! tracking, dumps and the drift file are local − reference and turned.

mod clocks;
mod kept;
mod sources;

pub use kept::is_count;

use super::field::{Words, date_time, number};
use super::{Block, Form, Line, Taken, is_rule};
use crate::model::{At, InputId, Origin, Place, Row};
use crate::time::Time;

/// What this module reads.
pub const FORMS: &[Form] = &[
    Form {
        name: "chronyd measurements.log",
        opens: |line| MEASUREMENTS.opens(line),
        block: || Box::new(Rows(&MEASUREMENTS)),
    },
    Form {
        name: "chronyd statistics.log",
        opens: |line| STATISTICS.opens(line),
        block: || Box::new(Rows(&STATISTICS)),
    },
    Form { name: "chronyd tracking.log", opens: |line| TRACKING.opens(line), block: || Box::new(Rows(&TRACKING)) },
    Form { name: "chronyd selection.log", opens: |line| SELECTION.opens(line), block: || Box::new(Rows(&SELECTION)) },
    Form { name: "chronyd refclocks.log", opens: |line| REFCLOCKS.opens(line), block: || Box::new(Rows(&REFCLOCKS)) },
    Form { name: "chronyd tempcomp.log", opens: |line| TEMPCOMP.opens(line), block: || Box::new(Rows(&TEMPCOMP)) },
    Form { name: "chronyd rtc.log", opens: |line| RTC.opens(line), block: || Box::new(Rows(&RTC)) },
    kept::DUMP,
    kept::DRIFT,
    kept::RTC_FILE,
];

/// One log: what tells its header and its rows from those of the others.
struct Log {
    /// A word that only this log's header has, in every version.
    column: &'static str,
    /// What a row must have.
    expected: &'static str,
    read: Reader,
}

/// Reads what follows the date; `None`, and no row given, where the fields are not this log's.
type Reader = fn(Fields<'_>, &mut dyn FnMut(Row<'_>)) -> Option<()>;

static MEASUREMENTS: Log = Log {
    column: "LP",
    expected: "expected leap, stratum, bits of tests, two polls, a score and five numbers of a measurement",
    read: sources::measurement,
};
static STATISTICS: Log = Log {
    column: "Stress",
    expected: "expected six numbers with exponents and three counts of a source's statistics",
    read: sources::statistics,
};
static TRACKING: Log = Log {
    column: "Skew",
    expected: "expected stratum, frequency, skew, offset, and from chrony 1.27 on leap and more, of tracking",
    read: clocks::tracking,
};
static SELECTION: Log = Log {
    column: "EOpts",
    expected: "expected state, options, octal reach, score and three numbers of a selection",
    read: sources::selection,
};
static REFCLOCKS: Log = Log {
    column: "DP",
    expected: "expected poll, leap, pulse, two offsets and a dispersion of a reference clock",
    read: sources::refclock,
};
static TEMPCOMP: Log =
    Log { column: "Temp.", expected: "expected a temperature and a compensation", read: clocks::temperature };
static RTC: Log = Log {
    column: "Val",
    expected: "expected offset, flag, estimate, slope and three counts of a real-time clock",
    read: clocks::real_time_clock,
};

/// Every log, to tell a broken row from one of another log.
static LOGS: [&Log; 7] = [&MEASUREMENTS, &STATISTICS, &TRACKING, &SELECTION, &REFCLOCKS, &TEMPCOMP, &RTC];

impl Log {
    /// A header or a row. The rule above the header says nothing of its own.
    fn opens(&self, text: &str) -> bool {
        self.is_header(text)
            || Fields::of(nowhere(text)).is_some_and(|fields| (self.read)(fields, &mut |_| {}).is_some())
    }

    fn is_header(&self, text: &str) -> bool {
        text.trim_ascii_start().starts_with("Date (UTC) Time") && Words::of(text).any(|word| word == self.column)
    }
}

fn nowhere(text: &str) -> Line<'_> {
    let origin = Origin { input: InputId(0), place: Place::Line(0) };
    Line { at: At::origin(origin), text, written: Time(0) }
}

/// A block of one log's rows and banners.
struct Rows(&'static Log);

impl Block for Rows {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(fields) = Fields::of(line) else {
            let text = line.text;
            let known = text.is_empty() || text.starts_with('#') || is_rule(text) || self.0.is_header(text);
            return if known { Taken::Yes } else { Taken::No };
        };
        if (self.0.read)(fields.clone(), rows).is_some() {
            return Taken::Yes;
        }
        if !fields.are_of_a_log() || LOGS.iter().any(|log| (log.read)(fields.clone(), &mut |_| {}).is_some()) {
            return Taken::No;
        }
        Taken::Rejected(self.0.expected.into())
    }
}

/// A row's time, and what follows it.
#[derive(Clone)]
struct Fields<'a> {
    at: At<'a>,
    /// Whether the column of the source is blank: a reference id without a printable byte, such as 7F7F0101.
    no_source: bool,
    words: Words<'a>,
}

impl<'a> Fields<'a> {
    /// `2026-11-22 09:23:48`, in UTC on the clock that is disciplined.
    fn of(line: Line<'a>) -> Option<Self> {
        let text = line.text.trim_ascii_start();
        // Nearly every other line fails here.
        let shape = matches!(text.as_bytes(), [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b' ', _, _, b':', ..]);
        let (date, rest) = text.split_at_checked(10).filter(|_| shape)?;
        let mut words = Words::of(rest);
        let at = At { time: Some(date_time(date, words.next()?)?), ..line.at };
        let after = rest.trim_ascii_start().find(' ').map_or("", |end| &rest.trim_ascii_start()[end..]);
        Some(Fields { at, no_source: after.starts_with("  "), words })
    }

    /// The source: an address or the printable bytes of a reference id, in a column of its own.
    fn source(&mut self) -> Option<&'a str> {
        if self.no_source { Some("") } else { self.words.next() }
    }

    /// A number as `%.3e` prints it.
    fn scientific(&mut self) -> Option<f64> {
        self.words.next().and_then(scientific)
    }

    /// A number as `%.3f` prints it, with so many decimals.
    fn fixed(&mut self, decimals: usize) -> Option<f64> {
        self.words.next().and_then(|word| fixed(word, decimals))
    }

    /// A whole number.
    fn whole<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.words.next()?.parse().ok()
    }

    /// Leap status.
    fn leap(&mut self) -> Option<u8> {
        self.words.next().and_then(leap)
    }

    /// Whether nothing follows.
    fn ended(&self) -> bool {
        self.words.rest().is_empty()
    }

    /// Whether these are numbers and marks, as in a row of a log that was cut, and no words as in a message.
    fn are_of_a_log(&self) -> bool {
        let is_field =
            |word: &str| word.len() == 1 || word.bytes().all(|b| b.is_ascii_hexdigit() || b"-+.".contains(&b));
        self.words.clone().skip(1).all(is_field)
    }
}

/// A number with an exponent of two digits or three. What C prints as `nan` or `inf` is given as not a number.
fn scientific(word: &str) -> Option<f64> {
    let Some((mantissa, exponent)) = word.split_once('e') else {
        return matches!(word.trim_start_matches('-'), "nan" | "inf").then_some(f64::NAN);
    };
    let digits = exponent.strip_prefix(['-', '+'])?;
    let whole = mantissa.contains('.') && matches!(digits.len(), 2 | 3);
    number(word).filter(|_| whole)
}

/// A number with exactly so many decimals: one with fewer was cut.
fn fixed(word: &str, decimals: usize) -> Option<f64> {
    let whole = word.split_once('.').is_some_and(|(_, fraction)| fraction.len() == decimals);
    number(word).filter(|_| whole)
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

/// From chronyd's local − reference to reference − local; zero stays without a sign.
fn turned(value: f64) -> Option<f64> {
    finite(0.0 - value)
}

/// From seconds per second to parts per million.
const PPM: f64 = 1e6;

/// `N` for none, `+` and `-` for a second inserted or deleted, `?` for not synchronised.
fn leap(word: &str) -> Option<u8> {
    match word {
        "N" => Some(0),
        "+" => Some(1),
        "-" => Some(2),
        "?" => Some(3),
        _ => None,
    }
}
