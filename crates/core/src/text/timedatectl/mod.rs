//! `timedatectl`: systemd-timesyncd, and what systemd says of the clock (`src/timedate/timedatectl.c`).
//!
//! Reports for people have labels set to the right, those for programs (`show`) are `Key=value`. Durations are
//! systemd's time spans (`34min 8s`, `40.580ms`) in both.

mod status;
mod timesync;

use super::Form;
use super::field::number;
use crate::model::{At, Event, Row, What};

/// What this module reads.
pub const FORMS: &[Form] = &[timesync::STATUS, timesync::SHOW, status::STATUS, status::SHOW];

fn variable(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: &str, value: &str) {
    rows(Row::Event(Event { at, what: What::Variable { association, name, value } }));
}

fn gauge(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, of: &str, name: &'static str, value: f64) {
    rows(Row::Event(Event { at, what: What::Gauge { of, name, value } }));
}

/// The units of a time span (systemd.time(7)): of how many seconds, or how many in a second.
const UNITS: [(&str, f64, f64); 12] = [
    ("us", 1.0, 1e6),
    ("\u{b5}s", 1.0, 1e6),
    ("\u{3bc}s", 1.0, 1e6),
    ("ms", 1.0, 1e3),
    ("s", 1.0, 1.0),
    ("min", 60.0, 1.0),
    ("h", 3600.0, 1.0),
    ("d", 86_400.0, 1.0),
    ("w", 604_800.0, 1.0),
    ("month", 2_629_800.0, 1.0),
    ("y", 31_557_600.0, 1.0),
    ("", 1.0, 1.0),
];

/// A time span in seconds, with or without a sign: `34min 8s`, `-1.087495s`, `1y 1month 2w`, `0`.
fn span_s(text: &str) -> Option<f64> {
    let (negative, bare) = match text.strip_prefix('-') {
        Some(bare) => (true, bare),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut sum = None;
    for word in bare.split_ascii_whitespace() {
        let digits = word.trim_end_matches(char::is_alphabetic);
        let unit = word.strip_prefix(digits)?;
        let (_, scale, divisor) = UNITS.iter().find(|(name, ..)| *name == unit)?;
        // Some locales write a comma for the point.
        let value = number(digits).or_else(|| number(&digits.replace(',', ".")))?;
        sum = Some(sum.unwrap_or(0.0) + value * scale / divisor);
    }
    sum.filter(|sum: &f64| sum.is_finite()).map(|sum| if negative { -sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::span_s;

    #[test]
    fn time_spans_are_sums() {
        let want = [
            ("34min 8s", Some(2048.0)),
            ("-1.087495s", Some(-1.087_495)),
            ("+42us", Some(42e-6)),
            ("1,5ms", Some(1.5e-3)),
            ("1month 2d", Some(2_629_800.0 + 172_800.0)),
            ("0", Some(0.0)),
            ("n/a", None),
            ("", None),
            ("5 fortnights", None),
        ];
        for (text, span) in want {
            assert_eq!(span_s(text), span, "{text}");
        }
    }
}
