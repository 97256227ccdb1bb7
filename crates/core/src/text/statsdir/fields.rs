//! The fields of a row, taken from left to right in one pass.

use crate::model::At;
use crate::text::Line;
use crate::text::field::{Decimal, decimal, number};
use std::net::IpAddr;

use crate::time::{DAY, SECOND, Time, ntp_stamp};

/// The first day that ntpd can print: 1900-01-01, when a clock shows the beginning of its era.
const FIRST_DAY: i64 = 15_020;

/// A row's time, and what follows it.
#[derive(Clone)]
pub struct Fields<'a> {
    /// Where it stands, with the row's stamp.
    pub at: At<'a>,
    text: &'a str,
    /// Where the next field begins; the length of the text where there is none.
    next: usize,
}

impl<'a> Fields<'a> {
    /// A row that begins with a modified Julian day and the second of that day: `61366 33913.579 `.
    ///
    /// Every version prints a day of five digits (those from 1900 to 2132) and three decimals, and so nothing else is
    /// a stamp.
    pub fn of(line: Line<'a>) -> Option<Self> {
        let bytes = line.text.as_bytes();
        let (day, blank) = digits(bytes, 0);
        let (second, point) = digits(bytes, 6);
        let (ms, end) = digits(bytes, point + 1);
        let shape = blank == 5 && bytes.get(5) == Some(&b' ') && bytes.get(point) == Some(&b'.');
        let widths = matches!(point - 6, 1..=5) && end - point == 4;
        (shape && widths && bytes.get(end).is_none_or(is_blank)).then_some(())?;
        let (day, ns) = (day as i64, (second * 1000 + ms) as i64 * (SECOND / 1000));
        // A stamp may be rounded up to the end of the day.
        let time = Time::from_mjd(day, ns).filter(|_| day >= FIRST_DAY && ns <= DAY)?;
        let mut fields = Fields { at: At { time: Some(time), ..line.at }, text: line.text, next: 0 };
        fields.go(end);
        Some(fields)
    }

    /// A row that begins with seconds since 1970, as NTPsec's scripts write: `1474761600 `.
    pub fn of_unix(line: Line<'a>) -> Option<Self> {
        let mut fields = Fields { at: line.at, text: line.text, next: 0 };
        let second = fields.word().filter(|word| matches!(word.len(), 9 | 10))?;
        let second = i64::try_from(whole(second.as_bytes())?).ok()?;
        fields.at.time = Some(Time(second.checked_mul(SECOND)?));
        Some(fields)
    }

    /// A row whose first word says the time in another way; the time is not read.
    pub fn behind_first_word(line: Line<'a>) -> Self {
        let mut fields = Fields { at: line.at, text: line.text, next: 0 };
        let _ = fields.word();
        fields
    }

    /// Passes over the field that ends at `end`, and the blanks behind it.
    fn go(&mut self, end: usize) {
        let bytes = self.text.as_bytes();
        self.next = end;
        while bytes.get(self.next).is_some_and(is_blank) {
            self.next += 1;
        }
    }

    /// The next field.
    pub fn word(&mut self) -> Option<&'a str> {
        let (bytes, start) = (self.text.as_bytes(), self.next);
        let mut end = start;
        while bytes.get(end).is_some_and(|byte| !is_blank(byte)) {
            end += 1;
        }
        self.go(end);
        self.text.get(start..end).filter(|word| !word.is_empty())
    }

    /// The next field, a number.
    pub fn number(&mut self) -> Option<Decimal> {
        let bytes = self.text.as_bytes().get(self.next..)?;
        if let Some(number) = decimal(bytes) {
            match bytes.get(number.length..)? {
                [] => self.next += number.length,
                // One blank stands between fields, unless somebody has laid them out.
                [b' ', next, ..] if !is_blank(next) => self.next += number.length + 1,
                [blank, ..] if is_blank(blank) => self.go(self.next + number.length),
                _ => return self.odd_number(),
            }
            return Some(number);
        }
        self.odd_number()
    }

    /// The next field, a number of a shape that no daemon prints.
    fn odd_number(&mut self) -> Option<Decimal> {
        let word = self.word()?;
        let decimals = word.bytes().rev().position(|byte| byte == b'.').unwrap_or(0);
        Some(Decimal { value: number(word)?, decimals, length: word.len() })
    }

    /// The next field, a number that is printed with so many decimals.
    pub fn fixed(&mut self, decimals: usize) -> Option<f64> {
        self.number().filter(|number| number.decimals == decimals).map(|number| number.value)
    }

    /// The next field, decimal seconds of an NTP era, always with nine decimals.
    pub fn ntp(&mut self) -> Option<u64> {
        let bytes = self.text.as_bytes();
        let (second, point) = digits(bytes, self.next);
        let (ns, end) = digits(bytes, point + 1);
        let widths = matches!(point - self.next, 1..=10) && end == point + 10;
        let shape = bytes.get(point) == Some(&b'.') && bytes.get(end).is_none_or(is_blank);
        (shape && widths).then(|| self.go(end))?;
        Some(ntp_stamp(u32::try_from(second).ok()?, u32::try_from(ns).ok()?))
    }

    /// The next field, digits.
    pub fn whole(&mut self) -> Option<u64> {
        whole(self.word()?.as_bytes())
    }

    /// The next field, a whole number that may be negative.
    pub fn integer(&mut self) -> Option<i64> {
        self.word()?.parse().ok()
    }

    /// What was not yet taken.
    pub fn rest(&self) -> &'a str {
        self.text.get(self.next..).unwrap_or_default()
    }

    /// Whether nothing follows.
    pub fn ended(&self) -> bool {
        self.next >= self.text.len()
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The value of the digits from `at` on, and where they end; of so many that they are no field here, nothing useful.
fn digits(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let mut value = 0_u64;
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit <= 9) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// Digits only; at most 20, of which those below 2⁶⁴ are a number.
fn whole(digits: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for byte in digits {
        value = value.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0')))?;
        if !byte.is_ascii_digit() {
            return None;
        }
    }
    (!digits.is_empty()).then_some(value)
}

/// An address, without the scope that follows a link-local one (`fe80::1%2`).
pub fn address(word: &str) -> Option<IpAddr> {
    let word = word.split_once('%').map_or(word, |(address, _)| address);
    if word.contains(':') { word.parse().ok().map(IpAddr::V6) } else { word.parse().ok().map(IpAddr::V4) }
}

/// An address, or NTPsec's name of a reference clock.
pub fn is_source(word: &str) -> bool {
    // An IPv4 address is what nearly every row has.
    is_ipv4(word) || is_ipv6(word) || is_refclock(word)
}

/// What has the shape of an IPv6 address, with or without a zone: two colons or more, and nothing but its digits. Whether
/// it is one need not be known to tell rows apart, and takes as long as all numbers of the row.
fn is_ipv6(word: &str) -> bool {
    let mut colons = 0;
    let digits = word.bytes().take_while(|byte| *byte != b'%').all(|byte| {
        colons += u32::from(byte == b':');
        byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
    });
    digits && (2..=7).contains(&colons)
}

/// What the standard library takes for an IPv4 address, in one pass.
fn is_ipv4(word: &str) -> bool {
    let (mut points, mut digits, mut part) = (0, 0, 0_u32);
    for byte in word.bytes() {
        match byte {
            // No part begins with a zero that is not all of it.
            b'0'..=b'9' if !(digits > 0 && part == 0) => {
                part = part * 10 + u32::from(byte - b'0');
                digits += 1;
                if part > 255 {
                    return false;
                }
            }
            b'.' if digits > 0 => (points, digits, part) = (points + 1, 0, 0),
            _ => return false,
        }
    }
    points == 3 && digits > 0
}

/// `127.127.20.0`, or `NMEA(0)` as NTPsec writes it.
pub fn is_refclock(word: &str) -> bool {
    let label = word.strip_suffix(')').and_then(|word| word.split_once('('));
    (word.starts_with("127.127.") && is_ipv4(word))
        || label.is_some_and(|(name, unit)| {
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            !name.is_empty() && name.bytes().all(is_name) && whole(unit.as_bytes()).is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::is_ipv4;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_are_those_of_the_standard_library(word in "([0-9]{0,4}\\.){2,4}[0-9a]{0,3}") {
            prop_assert_eq!(is_ipv4(&word), word.parse::<std::net::Ipv4Addr>().is_ok(), "{}", word);
        }
    }
}
