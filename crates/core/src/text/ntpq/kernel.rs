//! The kernel's clock, as `ntptime` prints it.

use super::super::field::number;
use super::super::{Block, Form, Line, Taken};
use super::labelled::kernel_leap;
use super::{gauge, stamp, variable};
use crate::model::{At, Clock, Row};
use crate::time::Time;

/// `ntptime` (the NTP project's `ntptime.c`; NTPsec's prints the same).
pub const NTPTIME: Form = Form {
    name: "ntptime",
    opens: |line| {
        ["ntp_gettime() returns code", "ntp_adjtime() returns code"].iter().any(|start| line.starts_with(start))
    },
    block: || Box::new(Kernel::default()),
};

#[derive(Default)]
struct Kernel {
    /// Whether `ntp_adjtime()` has begun, whose lines say the errors again.
    adjtime: bool,
    clock: Option<Clock<'static>>,
}

impl Block for Kernel {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_start();
        if (NTPTIME.opens)(line.text) {
            if !line.text.starts_with("ntp_adjtime") {
                self.end(rows);
            }
            self.adjtime = line.text.starts_with("ntp_adjtime");
            let state = text.rsplit_once('(').map_or("", |(_, state)| state.trim_end_matches(')'));
            let clock = self.clock.get_or_insert_with(|| Clock::new(At::origin(line.at.origin)));
            clock.leap = match state {
                // Code 5 is a clock that nobody has set (adjtimex(2)).
                "ERROR" => Some(3),
                "OK" => Some(0),
                "INS" => Some(1),
                "DEL" => Some(2),
                _ => None,
            };
            return Taken::Yes;
        }
        let Some(clock) = self.clock.as_mut().filter(|_| text.len() < line.text.len()) else { return Taken::No };
        let begins =
            ["time ", "maximum error ", "modes ", "offset ", "status ", "pps frequency ", "intervals ", "ntptime="];
        if !begins.iter().any(|begin| text.starts_with(begin)) {
            return Taken::No;
        }
        if let Some(time) = text.strip_prefix("time ").filter(|rest| !rest.starts_with("constant")) {
            let stamp = time.split_whitespace().next().and_then(stamp);
            let Some(stamp) = stamp else { return Taken::Rejected("time needs an NTP timestamp".into()) };
            clock.at.time = Some(Time::from_ntp(stamp, line.written));
            return Taken::Yes;
        }
        if let Some(flags) = text.strip_prefix("status ") {
            let words =
                flags.split_once('(').and_then(|(_, words)| words.split_once(')')).map_or("", |(words, _)| words);
            clock.leap = clock.leap.max(Some(kernel_leap(words.split(','))));
            variable(rows, line.at, "", "kstflags", words);
            return Taken::Yes;
        }
        for item in text.trim_end_matches(',').split(", ") {
            let Some((name, value)) = measure(item) else { continue };
            let Some(value) = value else { return Taken::Rejected(format!("`{item}` has no number")) };
            match name {
                // Microseconds; both have the kernel's sign, which is ntpd's.
                "offset" => clock.offset_s = Some(value / 1e6),
                "frequency" => clock.frequency_ppm = Some(value),
                "estimated error" => clock.jitter_s = Some(value / 1e6),
                _ if !self.adjtime => {
                    gauge(rows, At { time: clock.at.time, ..line.at }, "", "max_error_s", value / 1e6);
                }
                _ => {}
            }
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        self.clock.take().into_iter().for_each(|clock| rows(Row::Clock(clock)));
    }
}

/// `offset -12.5 us`: one of the names that are needed, and its number where it is one.
fn measure(item: &str) -> Option<(&'static str, Option<f64>)> {
    let names = ["offset", "frequency", "maximum error", "estimated error"];
    let (name, rest) = names.into_iter().find_map(|name| Some((name, item.trim_start().strip_prefix(name)?)))?;
    Some((name, rest.split_whitespace().next().and_then(number)))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn the_kernel_counts_in_microseconds() {
        let text = "ntp_gettime() returns code 0 (OK)\n  time eead3614.80000000  Sun, Nov 22 2026  9:36:20.500, (.500000000),\n  \
                    maximum error 78502 us, estimated error 16 us, TAI offset 37\nntp_adjtime() returns code 0 (OK)\n  \
                    modes 0x0 (),\n  offset -12.500 us, frequency 31.250 ppm, interval 1 s,\n  \
                    maximum error 78502 us, estimated error 16 us,\n  status 0x2001 (PLL,NANO),\n  \
                    time constant 6, precision 0.001 us, tolerance 500 ppm,\n";
        let want = [
            "time=2026-11-22T09:36:20.5Z gauge name=max_error_s value=0.078502",
            "variable name=kstflags text=PLL,NANO",
            "clock time=2026-11-22T09:36:20.5Z leap=0 offset_s=-0.0000125 frequency_ppm=31.25 jitter_s=0.000016",
        ];
        assert_eq!(read(text), (want.map(str::to_owned).to_vec(), Vec::new(), vec!["ntptime"]));
    }
}
