//! Reports of a label and a value a line: counters, the system, the kernel.

use super::super::field::number;
use super::super::{Block, Form, Line, Taken};
use super::labels::{CONTROL, INFO, IO, KERNEL, LOOP, Labels, MONITOR, Meaning, NTS, PEER, REPORTS, SYSTEM};
use super::{gauge, leap, milliseconds, stamp, stratum, variable, without_port};
use crate::model::{At, Clock, Counter, Event, Origin, Row, What};
use crate::time::Time;

/// `ntpq -c sysstats`.
pub const SYSSTATS: Form =
    Form { name: "ntpq -c sysstats", opens: |line| opens(line, &["uptime"]), block: || Box::new(Report::new(SYSTEM)) };

/// `ntpdc -c sysstats`.
pub const CONTROLSTATS: Form = Form {
    name: "ntpdc -c sysstats",
    opens: |line| opens(line, &["time since restart", "system uptime"]),
    block: || Box::new(Report::new(CONTROL)),
};

/// `ntpq -c iostats`, `timerstats` and `authinfo`, which begin alike; `ntpdc` has them too.
pub const IOSTATS: Form = Form {
    name: "ntpq -c iostats",
    opens: |line| opens(line, &["time since reset"]),
    block: || Box::new(Report::new(IO)),
};

/// `ntpq -c sysinfo`, `ntpdc -c sysinfo`.
pub const SYSINFO: Form = Form {
    name: "ntpq -c sysinfo",
    opens: |line| line.starts_with("system peer:"),
    block: || Box::new(Report::new(INFO)),
};

/// `ntpq -c kerninfo`, `ntpdc -c kerninfo`.
pub const KERNINFO: Form = Form {
    name: "ntpq -c kerninfo",
    opens: |line| opens(line, &["pll offset"]),
    block: || Box::new(Report::new(KERNEL)),
};

/// `ntpdc -c loopinfo`.
pub const LOOPINFO: Form = Form {
    name: "ntpdc -c loopinfo",
    opens: |line| line.starts_with("offset: ") && line.ends_with(" s") && opens(line, &["offset"]),
    block: || Box::new(Report::new(LOOP)),
};

/// `ntpq -c monstats`.
pub const MONSTATS: Form = Form {
    name: "ntpq -c monstats",
    opens: |line| line.starts_with("enabled:   ") && opens(line, &["enabled"]),
    block: || Box::new(Report::new(MONITOR)),
};

/// `ntpq -c pstats`: the packets of one association.
pub const PSTATS: Form = Form {
    name: "ntpq -c pstats",
    opens: |line| line.starts_with("remote host:"),
    block: || Box::new(Report::new(PEER)),
};

/// NTPsec's `ntpq -c ntsinfo`, `ntskeinfo` and `mssntpinfo`.
pub const NTSINFO: Form = Form {
    name: "ntpq -c ntsinfo",
    opens: |line| {
        let starts = ["NTS client sends:", "NTS KE serves good:", "MSSNTP requests processed:"];
        starts.iter().any(|start| line.starts_with(start))
    },
    block: || Box::new(Report::new(NTS)),
};

/// Whether `line` is one of these labels and a number.
fn opens(line: &str, labels: &[&str]) -> bool {
    let Some((label, value)) = line.split_once(':') else { return false };
    labels.contains(&label) && value.trim_start().starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c))
}

struct Report {
    labels: Labels,
    /// Kept until a reset says better.
    uptime: Option<(Origin, u64)>,
    /// Whether the age of the counters was told.
    reset: bool,
    /// Whose packets these are; empty for the daemon.
    remote: String,
    /// What is known of the clock, and where that began.
    clock: Option<Clock<'static>>,
    source: String,
}

impl Report {
    fn new(labels: Labels) -> Self {
        Report { labels, uptime: None, reset: false, remote: String::new(), clock: None, source: String::new() }
    }

    fn count(&mut self, at: At<'_>, name: Counter, value: &str, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        // NTPsec adds a second column since the reset and two of rates: the first column counts.
        let Some(value) = value.split_whitespace().next().and_then(|first| first.parse().ok()) else {
            return Taken::Rejected(format!("`{value}` is not a count"));
        };
        if let Some((origin, age)) = self.uptime.take() {
            counter(rows, At::origin(origin), "", Counter::AgeS, age);
        }
        counter(rows, at, &self.remote, name, value);
        Taken::Yes
    }

    /// Puts `value` in the clock; a report of a wrong value is a reject.
    fn set(&mut self, meaning: Meaning, value: &str, line: Line<'_>) -> Option<()> {
        let clock = self.clock.get_or_insert_with(|| Clock::new(At::origin(line.at.origin)));
        match meaning {
            Meaning::Leap => clock.leap = Some(leap(value)?),
            Meaning::Stratum => clock.stratum = Some(stratum(value)?),
            // Zero where it was never set.
            Meaning::RefTime => {
                let word = value.split_whitespace().next()?;
                clock.at.time = stamp(word).map(|stamp| Time::from_ntp(stamp, line.written));
            }
            Meaning::Offset => clock.offset_s = Some(seconds(value)?),
            Meaning::Jitter => clock.jitter_s = Some(seconds(value)?),
            Meaning::RootDelay => clock.root_delay_s = Some(seconds(value)?),
            Meaning::RootDispersion => clock.root_dispersion_s = Some(seconds(value)?),
            // ntpd's sign already.
            Meaning::Frequency => clock.frequency_ppm = Some(ppm(value)?),
            Meaning::Wander => clock.wander_ppm = Some(ppm(value)?),
            _ => {}
        }
        Some(())
    }
}

fn counter(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: Counter, value: u64) {
    rows(Row::Event(Event { at, what: What::Counter { association, name, value, over_s: None } }));
}

impl Block for Report {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((label, value)) = labelled(line.text, self.labels) else { return Taken::No };
        let Some((_, meaning)) = self.labels.iter().find(|(known, _)| *known == label) else {
            let others = REPORTS.iter().any(|labels| labels.iter().any(|(known, _)| *known == label));
            let numeric = value.starts_with(|c: char| c.is_ascii_digit());
            return if others || !numeric { Taken::No } else { Taken::Yes };
        };
        let meaning = *meaning;
        match meaning {
            Meaning::Count(name) => return self.count(line.at, name, value, rows),
            // Another report begins with the same word.
            Meaning::Reset if self.reset => return Taken::No,
            Meaning::Uptime | Meaning::Reset => {
                let Some(age) = age_s(value) else { return Taken::Rejected(format!("`{value}` is not an age")) };
                if meaning == Meaning::Uptime {
                    self.uptime = Some((line.at.origin, age));
                } else {
                    (self.uptime, self.reset) = (None, true);
                    counter(rows, line.at, "", Counter::AgeS, age);
                }
            }
            Meaning::Variable(name) => {
                let value = value.trim_start_matches('[').trim_end_matches(']');
                let value = if name == "dstadr" { without_port(value) } else { value };
                variable(rows, line.at, &self.remote, name, value);
            }
            Meaning::Remote => {
                self.remote.clear();
                self.remote.push_str(without_port(value));
            }
            Meaning::Source => {
                // ntpdc and ntpq print a zero address where there is none.
                let source = without_port(value);
                let none = source.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified());
                self.source = if none { String::new() } else { source.to_owned() };
            }
            Meaning::MaxError => {
                let Some(error) = seconds(value) else {
                    return Taken::Rejected(format!("`{value}` is not a duration"));
                };
                gauge(rows, line.at, "", "max_error_s", error);
            }
            Meaning::Flags => {
                // ntpdc prints the bits first: `2001  pll nano`.
                let words = value.split_whitespace().skip_while(|word| u16::from_str_radix(word, 16).is_ok());
                let leap = kernel_leap(words);
                self.clock.get_or_insert_with(|| Clock::new(At::origin(line.at.origin))).leap = Some(leap);
                variable(rows, line.at, "", "kstflags", value);
            }
            _ if self.set(meaning, value, line).is_none() => {
                return Taken::Rejected(format!("`{value}` is no {label}"));
            }
            _ => {}
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some((origin, age)) = self.uptime.take() {
            counter(rows, At::origin(origin), "", Counter::AgeS, age);
        }
        if let Some(clock) = self.clock.take() {
            rows(Row::Clock(Clock { source: &self.source, ..clock }));
        }
    }
}

/// The leap indicator that flags of the kernel amount to (adjtimex(2)).
pub fn kernel_leap<'a>(flags: impl Iterator<Item = &'a str>) -> u8 {
    flags.fold(0, |leap, flag| match flag {
        "unsync" | "UNSYNC" => 3,
        "ins" | "INS" => leap.max(1),
        "del" | "DEL" => leap.max(2),
        _ => leap,
    })
}

/// ntpdc says seconds (`0.00012 s`); ntpq's numbers are milliseconds, or with NTPsec's `-u` have their unit.
fn seconds(value: &str) -> Option<f64> {
    match value.strip_suffix(" s") {
        Some(seconds) => number(seconds),
        None => milliseconds(value),
    }
}

/// NTPsec's `-u` knows parts per trillion, too.
fn ppm(value: &str) -> Option<f64> {
    let bare = value.trim_end_matches(char::is_alphabetic);
    let scale = match &value[bare.len()..] {
        "" | "ppm" => 1.0,
        "ppb" => 1e-3,
        "ppt" => 1e-6,
        "ppk" => 1e3,
        _ => return None,
    };
    number(bare.trim_end()).map(|value| value * scale).filter(|value| value.is_finite())
}

/// A label and its value. Two labels of ntpq have lost their colon.
fn labelled(line: &str, labels: Labels) -> Option<(&str, &str)> {
    let text = line.trim_start();
    if let Some((label, value)) = text.split_once(':') {
        let fits = label.starts_with(|c: char| c.is_ascii_alphabetic())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b" .-".contains(&b))
            && !label.ends_with(' ');
        if fits {
            return Some((label, value.trim()));
        }
    }
    let (label, _) =
        labels.iter().find(|(label, _)| text.strip_prefix(label).is_some_and(|rest| rest.starts_with("  ")))?;
    // NTPsec's distance is none of the two delays.
    (*label != "root distance").then_some((*label, text[label.len()..].trim()))
}

/// An age: seconds (the NTP project), or NTPsec's `hh:mm:ss` after a number of days (`2D` or `2 days`).
fn age_s(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace().peekable();
    let mut days = 0_u64;
    let mut first = words.next()?;
    let glued = first.strip_suffix(['D', 'd']);
    if glued.is_some() || words.next_if(|word| word.starts_with("day")).is_some() {
        days = glued.unwrap_or(first).parse().ok()?;
        first = words.next().unwrap_or("0");
    }
    let clock = first.split(':').try_fold(0_u64, |sum, part| {
        let part = part.parse::<u64>().ok()?;
        sum.checked_mul(60)?.checked_add(part)
    })?;
    days.checked_mul(86_400)?.checked_add(clock)
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{counters, read};
    use super::*;

    #[test]
    fn the_first_column_is_counted_and_the_reset_is_the_age() {
        let text = "uptime:                 2D 00:03:49\ncontrol requests: 31\n\
                    sysstats reset:             00:01:40      00:01:40\n\
                    packets received:                118           18        2.0s/p        2.0s/p\n\
                    NTPv1 total:                       0             0\nbad length or format:  4\nrate limited: 3\n";
        let want =
            ["name=age_s value=100", "name=received value=118", "name=bad_format value=4", "name=limited value=3"];
        assert_eq!(counters(text), want);
        assert_eq!(
            counters("uptime:  61\npackets received:  345\n"),
            ["name=age_s value=61", "name=received value=345"]
        );
        let io = "time since reset:       59\nreceived packets:       38\npackets sent:           35\nuptime: 7\n";
        assert_eq!(counters(io), ["name=sent value=35", "name=age_s value=7"]);
        let both =
            "time since restart: 9\ntime since reset: 8\naccess denied: 7\ntime since reset: 6\npackets sent: 5\n";
        assert_eq!(counters(both), ["name=age_s value=8", "name=restricted value=7", "name=sent value=5"]);
        assert_eq!(read("uptime: 1\nrate limited: 9x\n").1, ["line 2: `9x` is not a count"]);
    }

    #[test]
    fn ages_are_read_in_every_shape() {
        let got = ["61", "00:03:49", "1D 00:00:01", "2 day(s) 01:00:00", "", "1:x", "99999999999999999999"].map(age_s);
        assert_eq!(got, [Some(61), Some(229), Some(86_401), Some(176_400), None, None, None]);
    }

    /// ntpq prints milliseconds (ntp_control.c, `to_ms`), ntpdc seconds with the unit (ntpdc_ops.c, `kerninfo`).
    #[test]
    fn the_kernel_of_ntpq_and_of_ntpdc_is_the_same() {
        let ntpq = "pll offset:            -0.25\npll frequency:         -12.5\nmaximum error:         500\n\
                    estimated error:       0.5\nkernel status:         pll unsync nano\ncalibration interval   4\n";
        let ntpdc = "pll offset:           -0.00025 s\npll frequency:        -12.500 ppm\nmaximum error:        0.5 s\n\
                     estimated error:      0.0005 s\nstatus:               2041  pll unsync nano\n\
                     calibration interval: 4 s\n";
        for text in [ntpq, ntpdc] {
            let (rows, rejects, _) = read(text);
            assert_eq!(rows[0], "gauge name=max_error_s value=0.5");
            assert_eq!(rows[3], "clock leap=3 offset_s=-0.00025 frequency_ppm=-12.5 jitter_s=0.0005");
            assert_eq!(rejects.len(), 0);
        }
    }
}
