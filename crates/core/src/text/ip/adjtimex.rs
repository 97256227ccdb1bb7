//! `adjtimex --print`: the kernel's own discipline (adjtimex(8), adjtimex(2)).

use super::super::field::{integer, nanoseconds};
use super::super::{Block, Form, Line, Taken};
use crate::model::{At, Clock, Event, Origin, Row, What};
use crate::time::Time;

/// `adjtimex --print`.
pub const ADJTIMEX: Form = Form {
    name: "adjtimex --print",
    opens: |line| line.strip_prefix("         mode: ").is_some_and(|mode| mode.parse::<u32>().is_ok()),
    block: || Box::new(State::default()),
};

/// Bits of the status (`linux/timex.h`).
const PLL: i64 = 0x1;
const INSERT: i64 = 0x10;
const DELETE: i64 = 0x20;
const UNSYNCHRONISED: i64 = 0x40;
const NANO: i64 = 0x2000;

/// The kernel counts frequencies in parts of a million, with 16 bits after the point.
const PPM: f64 = 65536.0;

#[derive(Default)]
struct State {
    /// Where its first line stands; everything is told at the end, since the unit of the offset depends on the status.
    origin: Option<Origin>,
    time: Option<Time>,
    offset: Option<i64>,
    frequency: Option<i64>,
    status: Option<i64>,
    gauges: Vec<(&'static str, f64)>,
}

/// Labels of numbers that are gauges, what we call them, and their unit in ours.
const GAUGES: [(&str, &str, f64); 4] = [
    ("maxerror", "kernel_maxerror_s", 1e-6),
    ("esterror", "kernel_esterror_s", 1e-6),
    ("tick", "kernel_tick_us", 1.0),
    ("tolerance", "kernel_tolerance_ppm", 1.0 / PPM),
];

/// Labels of numbers that say nothing.
const OTHERS: [&str; 10] =
    ["precision", "time_constant", "ppsfreq", "jitter", "shift", "stabil", "jitcnt", "calcnt", "errcnt", "stbcnt"];

fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) => integer(digits).map(|value| -value),
        None => integer(text),
    }
}

impl Block for State {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_start();
        if text.strip_prefix("return value = ").is_some() {
            self.end(rows);
            return Taken::Yes;
        }
        let Some((label, value)) = text.split_once(':').map(|(label, value)| (label, value.trim())) else {
            return Taken::No;
        };
        if label == "mode" {
            self.end(rows);
            self.origin = Some(line.at.origin);
            return Taken::Yes;
        }
        if label == "raw time" {
            // `raw time:  1795345476s 508012us = 1795345476.508012`
            let seconds = value.rsplit_once("= ").and_then(|(_, seconds)| nanoseconds(seconds));
            self.time = seconds.map(Time);
            return Taken::Yes;
        }
        let known = matches!(label, "offset" | "frequency" | "status") || OTHERS.contains(&label);
        let gauge = GAUGES.iter().find(|(name, ..)| *name == label);
        if !known && gauge.is_none() {
            return Taken::No;
        }
        let Some(value) = signed(value) else { return Taken::Rejected(format!("expected a number after `{label}`")) };
        match (label, gauge) {
            ("offset", _) => self.offset = Some(value),
            ("frequency", _) => self.frequency = Some(value),
            ("status", _) => self.status = Some(value),
            (_, Some((_, name, unit))) => self.gauges.push((name, value as f64 * unit)),
            _ => {}
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let State { origin, time, offset, frequency, status, gauges } = std::mem::take(self);
        let Some(origin) = origin else { return };
        let at = At { origin, time, host: "" };
        let has = |bit: i64| status.map(|status| status & bit != 0);
        let unit = if has(NANO) == Some(true) { 1e-9 } else { 1e-6 };
        let leap = match (has(UNSYNCHRONISED), has(INSERT), has(DELETE)) {
            (Some(true), ..) => Some(3),
            (_, Some(true), _) => Some(1),
            (.., Some(true)) => Some(2),
            _ => status.map(|_| 0),
        };
        // What is left to add to the clock, so positive where it is slow, and a frequency that is added: both are
        // reference − local. Without its loop, or before it is set for the first time, the kernel has no offset: the 0
        // means nothing.
        let is_set = |offset: &i64| has(PLL) == Some(true) && (*offset != 0 || has(UNSYNCHRONISED) == Some(false));
        let offset_s = offset.filter(is_set).map(|offset| offset as f64 * unit);
        let frequency_ppm = frequency.map(|frequency| frequency as f64 / PPM);
        rows(Row::Clock(Clock { leap, offset_s, frequency_ppm, ..Clock::new(at) }));
        for (name, value) in gauges {
            rows(Row::Event(Event { at, what: What::Gauge { of: "kernel", name, value } }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn kernel_units_become_ours() {
        let text = "         mode: 0\n       offset: -1500\n    frequency: 655360\n     maxerror: 16000\n     esterror: 500\n       status: 1\n\
                    time_constant: 6\n    precision: 1\n    tolerance: 32768000\n         tick: 10000\n\
                    \x20    raw time:  1795345476s 508012us = 1795345476.508012\n return value = 0\n";
        let want = [
            "clock time=2026-11-22T11:04:36.508012Z leap=0 offset_s=-0.0015 frequency_ppm=10",
            "time=2026-11-22T11:04:36.508012Z gauge subject=kernel name=kernel_maxerror_s value=0.016",
        ];
        assert_eq!(read(text).0[..2], want);
        let nano =
            text.replace("status: 1", "status: 8257").replace("-1500", "-1500000").replace("tick: 10000", "tick: x");
        let (rows, rejects, _) = read(&nano);
        assert!(rows[0].contains("leap=3 offset_s=-0.0015 "), "{rows:?}");
        assert_eq!(rejects, ["line 10: expected a number after `tick`"]);
        assert!(!read(&text.replace("status: 1", "status: 64")).0[0].contains("offset_s"));
    }
}
