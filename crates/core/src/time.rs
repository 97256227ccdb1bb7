//! Instants: nanoseconds on one scale, and the NTP era arithmetic that leads to them.

use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z, on the clock of whoever took the stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// One second, in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;

/// One day, in nanoseconds.
pub const DAY: i64 = 86_400 * SECOND;

/// The modified Julian day of 1970-01-01.
const MJD_1970: i64 = 40_587;

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970); RFC 5905 §6.
pub const NTP_TO_UNIX: i64 = 2_208_988_800;

impl Time {
    /// The earliest instant that can be held.
    pub const MIN: Time = Time(i64::MIN);
    /// The latest instant that can be held.
    pub const MAX: Time = Time(i64::MAX);

    /// From a 64-bit NTP timestamp, in the era that is nearest to `pivot` (RFC 5905 §6: eras last 2³² s).
    ///
    /// ```
    /// use ntpscope_core::time::Time;
    /// let near = Time(1_795_340_180_000_000_000);
    /// assert_eq!(Time::from_ntp(0xeead3614_00000000, near).to_string(), "2026-11-22T09:36:20Z");
    /// ```
    #[must_use]
    pub fn from_ntp(stamp: u64, pivot: Time) -> Time {
        let fraction = ((stamp & 0xffff_ffff) * SECOND as u64) >> 32;
        let second = (stamp >> 32) as i64 - NTP_TO_UNIX;
        let behind = pivot.0.div_euclid(SECOND) - second;
        let eras = (behind + (1 << 31)).div_euclid(1 << 32);
        Time((second + (eras << 32)).saturating_mul(SECOND).saturating_add(fraction as i64))
    }

    /// From a modified Julian day, the first column of ntpd's statistics, and nanoseconds since its midnight.
    ///
    /// ```
    /// use ntpscope_core::time::Time;
    /// assert_eq!(Time::from_mjd(61_366, 33_913_579_000_000).map(|t| t.to_string()).unwrap(), "2026-11-22T09:25:13Z");
    /// ```
    #[must_use]
    pub fn from_mjd(day: i64, ns: i64) -> Option<Time> {
        day.checked_sub(MJD_1970)?.checked_mul(DAY)?.checked_add(ns).map(Time)
    }

    /// The modified Julian day, and nanoseconds since its midnight.
    #[must_use]
    pub fn to_mjd(self) -> (i64, i64) {
        (MJD_1970 + self.0.div_euclid(DAY), self.0.rem_euclid(DAY))
    }

    /// From a date of the Gregorian calendar and nanoseconds since its midnight; `None` where there is no such day.
    #[must_use]
    pub fn from_date(year: i16, month: i8, day: i8, ns: i64) -> Option<Time> {
        let date = jiff::civil::Date::new(year, month, day).ok()?;
        // Days from 0000-03-01 (years of 365 days from March on, and the leap days before), less those to 1970.
        let (year, month) = (i64::from(date.year()), i64::from(date.month()));
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days = 365 * year + leap_days + (153 * month + 2) / 5 + i64::from(date.day()) - 1 - 719_468;
        days.checked_mul(DAY)?.checked_add(ns).map(Time)
    }

    /// RFC 3339 in UTC to the nanosecond, without zeros at the end.
    #[must_use]
    pub fn exactly(self) -> impl fmt::Display {
        // Every 64-bit number of nanoseconds is within the years that jiff knows.
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default()
    }

    /// Seconds from `earlier` to this instant; negative where it lies before.
    #[must_use]
    pub fn since_s(self, earlier: Time) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / SECOND as f64
    }
}

/// The 64-bit NTP timestamp that is nearest to a second of its era and nanoseconds.
///
/// A nanosecond is more than four units of such a stamp, so that [`ntp_decimal`] gives back what went in; two stamps
/// that ntpd printed alike become one.
///
/// ```
/// use ntpscope_core::time::ntp_stamp;
/// assert_eq!(ntp_stamp(4_004_328_314, 601_695_935), 0xeead337a9a08beab);
/// ```
#[must_use]
pub fn ntp_stamp(second: u32, ns: u32) -> u64 {
    // Where `ns` is below a second the rounded fraction is below 2³².
    let fraction = ((u64::from(ns) << 32) + SECOND as u64 / 2) / SECOND as u64;
    (u64::from(second) << 32) + fraction
}

/// The second of its era and the nanoseconds of a 64-bit NTP timestamp, rounded to the nearest as ntpd prints it.
#[must_use]
pub fn ntp_decimal(stamp: u64) -> (u64, u64) {
    let ns = ((stamp & 0xffff_ffff) * SECOND as u64 + (1 << 31)) >> 32;
    ((stamp >> 32) + ns / SECOND as u64, ns % SECOND as u64)
}

/// RFC 3339 in UTC, cut to whole seconds: what a report needs. Use the number where more counts.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(SECOND)) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

/// Serialised as it is displayed, so that a report and its JSON say the same.
impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn dates_are_those_of_the_calendar(second in -62_135_596_800_i64..253_402_300_800) {
            let civil = jiff::Timestamp::from_second(second).expect("in range").to_zoned(jiff::tz::TimeZone::UTC).date();
            let got = Time::from_date(civil.year(), civil.month(), civil.day(), 0);
            let days = second.div_euclid(86_400);
            proptest::prop_assert_eq!(got, days.checked_mul(DAY).map(Time));
        }
    }

    #[test]
    fn ntp_era_follows_the_pivot() {
        let second_era = Time((2_085_978_496 + 100) * SECOND);
        assert_eq!(Time::from_ntp(5 << 32, second_era), Time((2_085_978_496 + 5) * SECOND));
        assert_eq!(Time::from_ntp(u64::MAX, second_era).0.div_euclid(SECOND), 2_085_978_495);
    }
}
