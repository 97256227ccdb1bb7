//! Logs with rows of clocks: the system clock, what its temperature does to it, and the real-time clock.

use super::{Fields, finite, turned};
use crate::model::{Clock, Event, Row, What};

/// What chronyd prints for a skew that it does not know, in parts per million.
const NO_SKEW_PPM: f64 = 1e6;

/// `tracking.log`: the clock at every update, and when no source can be followed any more.
///
/// `2     -3.541      0.075 -8.621e-06 N  2  2.940e-03 -2.084e-04  1.534e-02  3.472e-04  8.304e-03`: stratum,
/// frequency, skew, offset; since chrony 1.27 leap; since 1.29 sources combined, the offset's standard deviation,
/// correction still to be made; since 3.2 delay and dispersion of the root, largest error since the last update.
pub fn tracking(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.source()?;
    let stratum = fields.whole::<u8>().filter(|stratum| *stratum <= 16)?;
    let [frequency, skew] = [fields.fixed(3)?, fields.fixed(3)?];
    let offset = fields.scientific()?;
    let mut clock = Clock {
        // Both positive where the local clock is fast (chrony.conf(5), tracking).
        frequency_ppm: turned(frequency),
        wander_ppm: Some(skew).filter(|skew| *skew < NO_SKEW_PPM),
        ..Clock::new(fields.at)
    };
    let (mut deviation, mut root_delay, mut root_dispersion) = (None, None, None);
    if !fields.ended() {
        clock.leap = Some(fields.leap()?);
    }
    if !fields.ended() {
        let _combined = fields.whole::<u32>()?;
        deviation = finite(fields.scientific()?);
        let _correction = fields.scientific()?;
    }
    if !fields.ended() {
        root_delay = finite(fields.scientific()?);
        root_dispersion = finite(fields.scientific()?);
        let _error = fields.scientific()?;
    }
    if stratum == 0 {
        // `0.0.0.0  0`: nothing is followed, and what depends on a source is a zero or one that stands in for it.
        clock.leap = Some(3);
    } else {
        clock.source = source;
        clock.stratum = Some(stratum);
        clock.offset_s = turned(offset);
        clock.jitter_s = deviation;
        clock.root_delay_s = root_delay;
        clock.root_dispersion_s = root_dispersion;
    }
    fields.ended().then(|| rows(Row::Clock(clock)))
}

/// Above this no clock lives, in degrees: the kernel's sensors tell thousandths of them.
const HOTTEST_C: f64 = 200.0;

/// `tempcomp.log`: `2.8000e+04  3.6600e-01`, what the sensor's file says and the compensation in parts per million.
///
/// That is added to the clock's rate, as ntpd's frequency is.
pub fn temperature(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let [temperature, compensation] = [fields.scientific()?, fields.scientific()?];
    let celsius = if temperature.abs() > HOTTEST_C { temperature / 1e3 } else { temperature };
    let at = fields.at;
    let mut gauge = |name, value| {
        rows(Row::Event(Event { at, what: What::Gauge { of: "tempcomp", name, value } }));
    };
    let whole = fields.ended() && temperature.is_finite() && compensation.is_finite();
    whole.then(|| {
        gauge("temperature_c", celsius);
        gauge("compensation_ppm", compensation);
    })
}

/// `rtc.log`: `-0.037360 1       -0.037434       -37.948  12   5  120`: how far the real-time clock is ahead of the
/// system clock, whether what follows is known, the same by regression, its gain, samples, runs, interval.
pub fn real_time_clock(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let fast = fields.fixed(6)?;
    let _known = fields.words.next().filter(|known| matches!(*known, "0" | "1"))?;
    let _regression = (fields.fixed(6)?, fields.fixed(3)?);
    let _counts = [fields.whole::<u32>()?, fields.whole::<u32>()?, fields.whole::<u32>()?];
    let what = What::Gauge { of: "rtc", name: "rtc_fast_s", value: fast };
    fields.ended().then(|| rows(Row::Event(Event { at: fields.at, what })))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn a_clock_that_runs_fast_has_a_negative_offset_and_frequency() {
        // Recorded in cases/b01_healthy/h5, where ntpd found -12.535 ppm for an oscillator of the same kind.
        // chronyd's own measurement of that second says +2.875e-04, reference - local.
        let text = "2027-01-06 23:51:09 192.168.123.1    2     11.172      0.156 -2.596e-04 N  1  5.214e-05  1.292e-05  \
            2.030e-03  5.265e-05  2.440e-03";
        let want = "clock time=2027-01-06T23:51:09Z source=192.168.123.1 stratum=2 leap=0 offset_s=0.0002596 \
            frequency_ppm=-11.172 jitter_s=0.00005214 wander_ppm=0.156 root_delay_s=0.00203 root_dispersion_s=0.00005265";
        assert_eq!(read(text).0, [want]);
    }

    #[test]
    fn nothing_that_stands_in_for_a_source_is_told() {
        let text = "\
2026-11-22 09:23:48 0.0.0.0          0      0.000 1000000.000  0.000e+00 ?  0  0.000e+00 -0.000e+00  1.000e+00  1.000e+00  1.500e+00
2008-11-22 09:23:48 0.0.0.0          0     -3.541      0.075  0.000e+00
2008-11-22 09:23:48 192.0.2.1        3     -3.541      0.075 -8.621e-06
2012-11-22 09:23:48                  1      1.000      0.075  1.000e-03 ?";
        let want = [
            "clock time=2026-11-22T09:23:48Z leap=3 frequency_ppm=0",
            "clock time=2008-11-22T09:23:48Z leap=3 frequency_ppm=3.541 wander_ppm=0.075",
            "clock time=2008-11-22T09:23:48Z source=192.0.2.1 stratum=3 offset_s=8.621e-6 frequency_ppm=3.541 wander_ppm=0.075",
            "clock time=2012-11-22T09:23:48Z stratum=1 leap=3 offset_s=-0.001 frequency_ppm=-1 wander_ppm=0.075",
        ];
        assert_eq!(read(text).0, want);
    }

    #[test]
    fn other_clocks_give_gauges() {
        let text = "\
2015-04-19 10:39:48  2.8000e+04  3.6600e-01
2015-04-19 10:39:49  2.8500e+01 -3.6600e-01
2015-07-22 05:40:50      -0.037360 1       -0.037434       -37.948  12   5  120";
        let want = [
            "time=2015-04-19T10:39:48Z gauge subject=tempcomp name=temperature_c value=28",
            "time=2015-04-19T10:39:48Z gauge subject=tempcomp name=compensation_ppm value=0.366",
            "time=2015-04-19T10:39:49Z gauge subject=tempcomp name=temperature_c value=28.5",
            "time=2015-04-19T10:39:49Z gauge subject=tempcomp name=compensation_ppm value=-0.366",
            "time=2015-07-22T05:40:50Z gauge subject=rtc name=rtc_fast_s value=-0.03736",
        ];
        assert_eq!(read(text).0, want);
    }
}
