//! What stands in a field: numbers, numbers with units, dates.
//!
//! These run once for each field of millions of rows, so they read digits themselves; each gives exactly what the
//! standard library gives for the same text.

use crate::time::{SECOND, Time};

/// Powers of ten that a 64-bit float holds exactly.
const EXACT: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// A decimal number that stands at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decimal {
    /// The nearest float.
    pub value: f64,
    /// Digits after the point.
    pub decimals: usize,
    /// Bytes of the number.
    pub length: usize,
}

/// The number at the beginning of `bytes`, where it is of at most 18 digits and below 2⁵³ without its point.
///
/// Such digits over a power of ten that a float holds exactly are divided with one rounding, so the quotient is the
/// nearest float (Clinger 1990, the fast path).
#[inline]
pub fn decimal(bytes: &[u8]) -> Option<Decimal> {
    decimal_over(bytes, 0)
}

/// The same over a power of ten, which is taken before rounding.
#[inline]
fn decimal_over(bytes: &[u8], power: usize) -> Option<Decimal> {
    let negative = bytes.first() == Some(&b'-');
    let signed = usize::from(negative || bytes.first() == Some(&b'+'));
    let mut rest = bytes.get(signed..)?;
    if let Some((whole, after)) = nine_decimals(rest) {
        let value = whole as f64 / EXACT.get(9 + power)?;
        let length = bytes.len() - after.len();
        return Some(Decimal { value: if negative { -value } else { value }, decimals: 9, length });
    }
    let mut whole = 0;
    // What would overflow has more than 18 digits, and is not used.
    let mut count = digits(&mut rest, &mut whole);
    let mut decimals = 0;
    if let Some((b'.', fraction)) = rest.split_first() {
        rest = fraction;
        // Daemons print nine decimals, or six, more often than anything else.
        if let Some((eight, after)) = rest.split_first_chunk()
            && let Some(eight) = eight_digits(*eight)
        {
            whole = whole.wrapping_mul(100_000_000).wrapping_add(eight);
            rest = after;
            decimals = 8;
        }
        decimals += digits(&mut rest, &mut whole);
        count += decimals;
    }
    if count == 0 || count > 18 || whole >> 53 != 0 {
        return None;
    }
    // Below 2⁵³ the sign of an i64 says nothing, and its conversion is one instruction.
    let value = whole as i64 as f64 / EXACT.get(decimals + power)?;
    Some(Decimal { value: if negative { -value } else { value }, decimals, length: bytes.len() - rest.len() })
}

/// `0.000054394`: what most fields of most rows are, without its point, and what follows it.
fn nine_decimals(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (&[first, b'.'], rest) = bytes.split_first_chunk()? else { return None };
    let (eight, rest) = rest.split_first_chunk()?;
    let (last, rest) = rest.split_first()?;
    let [first, last] = [first, *last].map(|byte| byte.wrapping_sub(b'0'));
    let more = rest.first().is_some_and(u8::is_ascii_digit);
    let whole = (u64::from(first) * 100_000_000 + eight_digits(*eight)?) * 10 + u64::from(last);
    (first <= 9 && last <= 9 && !more).then_some((whole as i64, rest))
}

/// Takes the digits at the beginning of `rest`, puts them behind those of `whole`, and says how many they are.
fn digits(rest: &mut &[u8], whole: &mut u64) -> usize {
    let before = rest.len();
    while let Some((byte, after)) = rest.split_first() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        *whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit));
        *rest = after;
    }
    before - rest.len()
}

/// The value of eight digits, each step joining neighbours: digits to pairs, pairs to fours, fours to all.
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let digits = u64::from_le_bytes(bytes) ^ (0x30 * EACH);
    // A byte above 9 has its highest bit set, or gets it when 0x76 is added.
    if (digits | digits.wrapping_add(0x76 * EACH)) & (0x80 * EACH) != 0 {
        return None;
    }
    const PAIRS: u64 = 0x00ff_00ff_00ff_00ff;
    let pairs = (digits & PAIRS) * 10 + (digits >> 8 & PAIRS);
    const FOURS: u64 = 0x0000_ffff_0000_ffff;
    let fours = (pairs & FOURS) * 100 + (pairs >> 16 & FOURS);
    Some((fours & 0xffff_ffff) * 10_000 + (fours >> 32))
}

/// A finite decimal number: the nearest float.
pub fn number(text: &str) -> Option<f64> {
    number_over(text, 0)
}

/// A finite decimal number over a power of ten: milliseconds over 10³ are seconds. The power is taken before rounding, so
/// that `0.065` over 10³ is exactly what `0.000065` is.
pub fn number_over(text: &str, power: usize) -> Option<f64> {
    match decimal_over(text.as_bytes(), power) {
        Some(number) if number.length == text.len() => Some(number.value),
        _ => slow_number(text, power),
    }
}

fn slow_number(text: &str, power: usize) -> Option<f64> {
    // `nan`, `inf` and `infinity` are words, not numbers.
    let digits = text.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value = text.parse::<f64>().ok().filter(|value| digits && value.is_finite());
    if power == 0 { value } else { value.map(|value| value / 10_f64.powi(power as i32)) }
}

/// Decimal seconds without a sign, in nanoseconds; digits beyond the ninth are cut off.
pub fn nanoseconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = integer(whole)?;
    let mut ns = 0;
    let mut digits = fraction.bytes();
    for _ in 0..9 {
        let digit = match digits.next() {
            Some(byte @ b'0'..=b'9') => i64::from(byte - b'0'),
            Some(_) => return None,
            None => 0,
        };
        ns = ns * 10 + digit;
    }
    digits.all(|byte| byte.is_ascii_digit()).then_some(())?;
    whole.checked_mul(SECOND)?.checked_add(ns)
}

/// A 64-bit NTP timestamp from nanoseconds since 1900, in whatever era.
///
/// A nanosecond is a little over four units of the fraction, so a stamp printed with nine digits is one of four or five;
/// this is the least that reads the same again, cut off or rounded. With six digits it is one of some 4295.
pub fn stamp(ns: i64) -> u64 {
    let (second, ns) = (ns.div_euclid(SECOND), ns.rem_euclid(SECOND) as u64);
    (second as u64) << 32 | (ns << 32).div_ceil(SECOND as u64)
}

/// Digits only, no sign.
pub fn integer(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.bytes().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
}

/// `2026-11-22` and `09:23:48.123456789`, in UTC.
pub fn date_time(date: &str, time: &str) -> Option<Time> {
    let mut parts = date.splitn(3, '-').map(integer);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    Time::from_date(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?, time_of_day(time)?)
}

/// `09:23:48` with or without a fraction, in nanoseconds since midnight; a leap second is second 60.
pub fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute) = (integer(parts.next()?)?, integer(parts.next()?)?);
    let second = nanoseconds(parts.next()?)?;
    (hour < 24 && minute < 60 && second < 61 * SECOND).then(|| (hour * 60 + minute) * 60 * SECOND + second)
}

/// A number with the unit that chronyc, timedatectl and NTPsec's `ntpq -u` append (`ns`, `us`, `ms`, `s`), in seconds.
pub fn with_unit_s(text: &str) -> Option<f64> {
    let value = text.trim_end_matches(char::is_alphabetic);
    // Dividing by what a float holds exactly gives the nearest float.
    let (scale, divisor) = match &text[value.len()..] {
        "ns" => (1.0, 1e9),
        // NTPsec writes a micro sign, or a Greek mu, where the terminal shows it.
        "us" | "\u{b5}s" | "\u{3bc}s" => (1.0, 1e6),
        "ms" => (1.0, 1e3),
        "s" => (1.0, 1.0),
        "ks" => (1e3, 1.0),
        _ => return None,
    };
    number(value).map(|v| v * scale / divisor).filter(|v| v.is_finite())
}

/// The words of a line, between blanks and tabs.
#[derive(Clone)]
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// At the first word.
    pub fn of(line: &'a str) -> Words<'a> {
        Words(line)
    }

    /// What was not yet taken.
    pub fn rest(&self) -> &'a str {
        self.0.trim_ascii_start()
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.0.as_bytes();
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = bytes.iter().position(|byte| !blank(byte))?;
        let length = bytes[start..].iter().position(blank).unwrap_or(bytes.len() - start);
        // Both cuts are beside a blank or at an end, so they divide no character.
        let (word, rest) = self.0[start..].split_at(length);
        self.0 = rest;
        Some(word)
    }
}

/// Whether a source has ever answered, as far as its row tells: one that has not is printed with zeros.
pub fn answered(reach: Option<u8>, delay: Option<f64>, offset: Option<f64>) -> bool {
    reach != Some(0) || [delay, offset].into_iter().flatten().any(|value| value != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_the_nearest_floats(text in "[+-]?[0-9]{0,21}(\\.[0-9]{0,21})?(e-?[0-9]{1,2})?") {
            let want = text.parse::<f64>().ok().filter(|v| v.is_finite());
            prop_assert_eq!(number(&text).map(f64::to_bits), want.map(f64::to_bits));
        }

        #[test]
        fn stamps_are_printed_as_they_were_read(ns in 0_i64..(1 << 32) * SECOND) {
            let stamp = stamp(ns);
            let cut = ((stamp & 0xffff_ffff) * SECOND as u64) >> 32;
            prop_assert_eq!(((stamp >> 32) as i64) * SECOND + cut as i64, ns);
        }

        #[test]
        fn nanoseconds_are_printed_as_they_were_read(ns in 0_i64..i64::MAX) {
            let text = format!("{}.{:09}", ns / SECOND, ns % SECOND);
            prop_assert_eq!(nanoseconds(&text), Some(ns));
        }
    }

    #[test]
    fn words_and_signs_are_no_numbers() {
        for text in ["", "-", "+", ".", "nan", "inf", "-infinity", "1,5", "0x10", "1.2.3", "١"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(nanoseconds("33913.579"), Some(33_913_579_000_000));
        assert_eq!([nanoseconds("-1"), nanoseconds("1.x"), nanoseconds("")], [None; 3]);
        assert_eq!(date_time("2016-12-31", "23:59:60").map(|t| t.0), Some(1_483_228_800 * SECOND));
        assert_eq!(date_time("2026-02-29", "00:00:00"), None);
        assert_eq!(time_of_day("999999999999999999:00:00"), None);
        assert_eq!(with_unit_s("1e308ks"), None);
    }
}
