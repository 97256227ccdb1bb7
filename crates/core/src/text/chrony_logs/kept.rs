//! What chronyd keeps over a restart: samples of each source (`dumpdir`), the frequency (`driftfile`), and how far the
//! real-time clock was ahead (`rtcfile`).

use super::super::field::{Words, integer, nanoseconds};
use super::{Block, Form, Line, Taken, finite, fixed, scientific, turned};
use crate::model::{At, Clock, Event, Peer, Row, What};
use crate::time::{SECOND, Time};

/// A dump file: `SRC0`, name and state of the source since chrony 4.1, then a count and so many samples.
///
/// Until chrony 4.0 a file began with the count, which says nothing; its samples are known by themselves.
pub const DUMP: Form = Form {
    name: "chronyd dump file",
    opens: |line| line == DUMP_MARK || Sample::of(line).is_some(),
    block: || Box::new(Dump { name: String::new(), next: Next::Sample }),
};

/// The drift file: frequency and skew in parts per million, `           11.171731             0.155679`.
pub const DRIFT: Form =
    Form { name: "chronyd drift file", opens: |line| drift(line).is_some(), block: || Box::new(Once(drift_row)) };

/// The RTC file: `1 1483218000 -0.037434 -37.948`.
pub const RTC_FILE: Form =
    Form { name: "chronyd RTC file", opens: |line| rtc(line).is_some(), block: || Box::new(Once(rtc_row)) };

/// The first line of a dump since chrony 4.1.
const DUMP_MARK: &str = "SRC0";

/// Most samples that chronyd keeps of a source (`MAX_SAMPLES` in `sourcestats.c`).
const MOST_SAMPLES: i64 = 64;

/// Which line of a dump comes next.
enum Next {
    /// The source's name, `.` for a reference clock.
    Name,
    /// Whether it is authenticated, reach, bits of that in use, stratum, leap.
    State,
    /// A count, with or without the run of jitter's asymmetry, or a sample.
    Sample,
}

struct Dump {
    name: String,
    next: Next,
}

impl Block for Dump {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text == DUMP_MARK {
            self.name.clear();
            self.next = Next::Name;
            return Taken::Yes;
        }
        match self.next {
            Next::Name => {
                self.next = Next::State;
                let mut words = Words::of(line.text);
                let (Some(name), None) = (words.next(), words.next()) else {
                    return Taken::Rejected("expected the name of a dump's source".into());
                };
                name.trim_start_matches('.').clone_into(&mut self.name);
                Taken::Yes
            }
            Next::State => {
                self.next = Next::Sample;
                let Some((reach, stratum)) = state(line.text) else {
                    return Taken::Rejected("expected authentication, octal reach, its bits, stratum and leap".into());
                };
                let peer = Peer { reach: Some(reach), stratum: Some(stratum), ..Peer::new(line.at, &self.name) };
                rows(Row::Peer(peer));
                Taken::Yes
            }
            Next::Sample => {
                if let Some(sample) = Sample::of(line.text) {
                    rows(Row::Peer(sample.peer(line.at, &self.name)));
                    return Taken::Yes;
                }
                if Words::of(line.text).all(is_count) && Words::of(line.text).count() <= 2 {
                    return Taken::Yes;
                }
                let fields = |word: &str| word.bytes().all(|b| b.is_ascii_hexdigit() || b"-+.".contains(&b));
                if Words::of(line.text).count() > 2 && Words::of(line.text).all(fields) {
                    return Taken::Rejected("expected the time and six numbers of a sample".into());
                }
                Taken::No
            }
        }
    }
}

/// A count that stands alone: of the samples, before them, or the run of asymmetry, after them.
pub fn is_count(text: &str) -> bool {
    integer(text.trim_start_matches('-')).is_some_and(|count| count <= MOST_SAMPLES)
}

/// Reach and stratum.
fn state(text: &str) -> Option<(u8, u8)> {
    let mut words = Words::of(text);
    let _authenticated = integer(words.next()?)?;
    let reach = u8::from_str_radix(words.next()?, 8).ok()?;
    let _bits = integer(words.next()?)?;
    let stratum = words.next()?.parse().ok().filter(|stratum: &u8| *stratum <= 16)?;
    let _leap = integer(words.next()?)?;
    words.next().is_none().then_some((reach, stratum))
}

/// One sample of a dump.
struct Sample {
    time: Time,
    /// The offset as measured, local − reference.
    ahead: f64,
    delay: f64,
    dispersion: f64,
    /// From this host to the root.
    root_delay: f64,
    root_dispersion: f64,
    stratum: Option<u8>,
}

impl Sample {
    /// `1795339480.668785136`, offset with later corrections, offset, delay, dispersion, delay and dispersion to the
    /// root.
    ///
    /// Until chrony 4.0 `5868296e 00026e8d` for seconds and microseconds; then a weight of 1 and the stratum stand
    /// last.
    fn of(text: &str) -> Option<Self> {
        let mut words = Words::of(text);
        let first = words.next()?;
        let old = first.len() == 8 && first.bytes().all(|b| b.is_ascii_hexdigit());
        let ns = if old {
            let seconds = i64::from_str_radix(first, 16).ok()?;
            let microseconds = words.next().filter(|word| word.len() == 8)?;
            let microseconds = i64::from_str_radix(microseconds, 16).ok().filter(|us| (0..1_000_000).contains(us))?;
            seconds * SECOND + microseconds * 1_000
        } else {
            fixed(first, 9).and_then(|_| nanoseconds(first))?
        };
        let mut next = || words.next().and_then(scientific);
        let (_corrected, ahead, delay, dispersion) = (next()?, next()?, next()?, next()?);
        let (root_delay, root_dispersion) = (next()?, next()?);
        let stratum = if old {
            let _weight = next()?;
            Some(words.next()?.parse().ok()?)
        } else {
            None
        };
        let sample = Sample { time: Time(ns), ahead, delay, dispersion, root_delay, root_dispersion, stratum };
        words.next().is_none().then_some(sample)
    }

    fn peer<'a>(&self, at: At<'a>, source: &'a str) -> Peer<'a> {
        // What the source tells of its root is what remains when this host's own part is taken off; digits were cut.
        let rest = |whole: f64, part: f64| finite((whole - part).max(0.0));
        Peer {
            stratum: self.stratum.map(|stratum: u8| stratum.min(16)),
            // chronyd turns the sign where it takes a sample into its register (`SST_AccumulateSample`).
            offset_s: turned(self.ahead),
            delay_s: finite(self.delay),
            dispersion_s: finite(self.dispersion),
            root_delay_s: rest(self.root_delay, self.delay),
            root_dispersion_s: rest(self.root_dispersion, self.dispersion),
            ..Peer::new(At { time: Some(self.time), ..at }, source)
        }
    }
}

/// Reads the one line of a file; `None` where it is another's.
type OneLine = fn(Line<'_>, &mut dyn FnMut(Row<'_>)) -> Option<()>;

/// A file of one line.
struct Once(OneLine);

impl Block for Once {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if (self.0)(line, rows).is_some() { Taken::Yes } else { Taken::No }
    }
}

/// Two numbers, each right-justified in 20 columns, with six decimals; four until chrony 1.28.
fn drift(text: &str) -> Option<(f64, f64)> {
    let mut words = Words::of(text);
    let frequency = words.next()?;
    // The second field's width is what sets this apart from any other two numbers.
    let skew = Some(words.rest()).filter(|skew| skew.len().max(20) + 1 == after(text, frequency).len())?;
    let decimals = [6, 4].into_iter().find(|decimals| fixed(skew, *decimals).is_some())?;
    Some((fixed(frequency, decimals)?, fixed(skew, decimals)?))
}

/// What follows the first word of a line.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    text.trim_ascii_start().strip_prefix(word).unwrap_or_default()
}

fn drift_row(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let (frequency, skew) = drift(line.text)?;
    // chronyd's frequency is what the local clock gains (`LCL_ReadAbsoluteFrequency`).
    let clock = Clock { frequency_ppm: turned(frequency), wander_ppm: finite(skew), ..Clock::new(line.at) };
    rows(Row::Clock(clock));
    Some(())
}

/// When, and how far the real-time clock was ahead: valid, reference time, offset, rate.
fn rtc(text: &str) -> Option<(Time, f64)> {
    let mut words = Words::of(text);
    let _valid = words.next().filter(|valid| matches!(*valid, "0" | "1"))?;
    let reference = words.next().filter(|seconds| matches!(seconds.len(), 9..=11)).and_then(integer)?;
    let offset = fixed(words.next()?, 6)?;
    let _rate = fixed(words.next()?, 3)?;
    words.next().is_none().then_some((Time(reference.checked_mul(SECOND)?), offset))
}

fn rtc_row(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let (time, fast) = rtc(line.text)?;
    let at = At { time: Some(time), ..line.at };
    rows(Row::Event(Event { at, what: What::Gauge { of: "rtc", name: "rtc_fast_s", value: fast } }));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn samples_of_a_dump_are_turned() {
        // A local clock that is slow by 0.25 s; the first offset is what a step has left of it.
        let text = "\
1
5868296e 000f4240 -2.500000e-03 -2.500000e-01 2.000000e-02 1.000000e-06 3.000000e-02 4.001000e-03 1.000000e+00 2
5868296f 0007a120 -2.500000e-03 -2.500000e-01 2.000000e-02 1.000000e-06 3.000000e-02 4.001000e-03 1.000000e+00 2
-3
SRC0
ntp.example.com
0 367 8 2 0
1 0
1795339480.500000000 -2.500000e-03 -2.500000e-01 2.000000e-02 1.000000e-06 3.000000e-02 4.001000e-03
SRC0
.
0 0 0 0 0
1 0
1795339480.500000000 -2.500000e-03 -2.500000e-01 2.000000e-02";
        let (rows, rejects, forms) = read(text);
        let sample =
            "offset_s=0.25 delay_s=0.02 dispersion_s=1e-6 root_delay_s=0.009999999999999998 root_dispersion_s=0.004";
        let want = [
            format!("peer time=2016-12-31T21:55:59.5Z stratum=2 {sample}"),
            "peer source=ntp.example.com stratum=2 reach=367".into(),
            format!("peer time=2026-11-22T09:24:40.5Z source=ntp.example.com {sample}"),
            "peer stratum=0 reach=0".into(),
        ];
        assert_eq!(rows, want);
        let reasons = ["line 2: no reader knows this line", "line 14: expected the time and six numbers of a sample"];
        assert_eq!((rejects, forms), (reasons.map(str::to_owned).to_vec(), vec!["chronyd dump file"]));
    }

    #[test]
    fn a_drift_file_is_two_numbers_in_columns() {
        // Recorded in cases/b01_healthy: chronyd on h5, where ntpd on h2 found -12.535 for the same oscillator.
        let words = "clock frequency_ppm=-11.171731 wander_ppm=0.155679";
        for text in ["           11.171731             0.155679", "11.171731             0.155679"] {
            assert_eq!(read(text).0, [words]);
        }
        assert_eq!(
            read("            -23.4561               0.0812").0,
            ["clock frequency_ppm=23.4561 wander_ppm=0.0812"]
        );
        for text in ["11.171731 0.155679", "11.171731  12.155679 0.155679", "  11.171731         0.155679"] {
            assert_eq!(read(text).2, Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn the_rtc_file_has_its_own_time() {
        let want = "time=2016-12-31T21:00:00Z gauge subject=rtc name=rtc_fast_s value=-0.037434";
        let got = read("1 1483218000 -0.037434 -37.948").0.join("\n");
        assert_eq!(got, want);
    }
}
