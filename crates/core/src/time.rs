//! Instants: nanoseconds on one scale, and the NTP era arithmetic that leads to them.

use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z, on the clock of whoever took the stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// One second, in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;

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

    /// Seconds from `earlier` to this instant; negative where it lies before.
    #[must_use]
    pub fn since_s(self, earlier: Time) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / SECOND as f64
    }
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

    #[test]
    fn ntp_era_follows_the_pivot() {
        let second_era = Time((2_085_978_496 + 100) * SECOND);
        assert_eq!(Time::from_ntp(5 << 32, second_era), Time((2_085_978_496 + 5) * SECOND));
        assert_eq!(Time::from_ntp(u64::MAX, second_era).0.div_euclid(SECOND), 2_085_978_495);
    }
}
