//! `chronyc tracking`: the clock and how chronyd corrects it.

use super::{fields, first_word, gauge, in_parentheses, labelled, leading_number, leap, stratum, variable};
use crate::model::{At, Clock, Origin, Row};
use crate::text::{Block, Form, Line, Taken};
use std::net::Ipv4Addr;

/// `chronyc tracking`.
pub(super) const TRACKING: Form = Form {
    name: "chronyc tracking",
    opens: |line| labelled(line).is_some_and(opens) || is_fields(line),
    block: || Box::new(Tracking::default()),
};

/// The labels, in the order of the report; with `-c` the name of the source is a value of its own after the first.
const LABELS: [&str; 13] = [
    "Reference ID",
    "Stratum",
    "Ref time (UTC)",
    "System time",
    "Last offset",
    "RMS offset",
    "Frequency",
    "Residual freq",
    "Skew",
    "Root delay",
    "Root dispersion",
    "Update interval",
    "Leap status",
];

/// The first line, or one that `grep` let through.
fn opens((label, value): (&str, &str)) -> bool {
    match label {
        "Reference ID" => {
            // `C0000202 (ntp.example)`; until chrony 2.3 as an address.
            let id = first_word(value);
            let is_id = id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
            (is_id || id.parse::<Ipv4Addr>().is_ok()) && value.ends_with(')')
        }
        "System time" => value.ends_with(" of NTP time"),
        _ => false,
    }
}

/// The fourteen fields of `-c`: the first is eight hex digits, the last says the leap status.
fn is_fields(line: &str) -> bool {
    fields::<14>(line).is_some_and(|[refid, .., last]| {
        refid.len() == 8 && refid.bytes().all(|b| b.is_ascii_hexdigit()) && (leap(last).is_some() || last == "Invalid")
    })
}

#[derive(Default)]
struct Tracking {
    /// Where the report began.
    origin: Option<Origin>,
    said: Said,
}

#[derive(Default)]
struct Said {
    source: String,
    stratum: Option<u8>,
    leap: Option<u8>,
    offset_s: Option<f64>,
    frequency_ppm: Option<f64>,
    rms_s: Option<f64>,
    skew_ppm: Option<f64>,
    last_offset_s: Option<f64>,
    residual_ppm: Option<f64>,
    interval_s: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
}

impl Block for Tracking {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let result = if is_fields(line.text) {
            self.end(rows);
            self.origin = Some(line.at.origin);
            self.said.hear_fields(line.text, line.at, rows)
        } else {
            let Some((label, value)) = labelled(line.text) else { return Taken::No };
            if !LABELS.contains(&label) {
                return Taken::No;
            }
            if label == LABELS[0] || (label == "System time" && self.said.offset_s.is_some()) {
                self.end(rows);
            }
            self.origin.get_or_insert(line.at.origin);
            self.said.hear(label, value, line.at, rows)
        };
        result.map_or_else(Taken::Rejected, |()| Taken::Yes)
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(&mut self.said);
        if let Some(origin) = self.origin.take() {
            let at = At::origin(origin);
            rows(Row::Clock(said.clock(at)));
            let gauges = [("last_offset_s", said.last_offset_s), ("residual_frequency_ppm", said.residual_ppm)];
            for (name, value) in gauges {
                said.measured(value).into_iter().for_each(|value| gauge(rows, at, "", name, value));
            }
        }
    }
}

impl Said {
    fn hear_fields(&mut self, line: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let Some([refid, name, values @ ..]) = fields::<14>(line) else { return Ok(()) };
        name.clone_into(&mut self.source);
        variable(rows, at, "", "refid", refid);
        let mut result = Ok(());
        for (label, value) in LABELS.iter().skip(1).zip(values) {
            result = result.and(self.hear(label, value, at, rows));
        }
        result
    }

    fn hear(&mut self, label: &str, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let number = || leading_number(value).ok_or_else(|| format!("{label} `{value}` is not a number"));
        // `0.000001333 seconds fast of NTP time`, `3.225 ppm slow`
        let is = |word| value.split_ascii_whitespace().any(|said| said == word);
        match label {
            "Reference ID" => {
                variable(rows, at, "", "refid", value);
                in_parentheses(value).clone_into(&mut self.source);
            }
            "Stratum" => {
                variable(rows, at, "", "stratum", value);
                let read = stratum(value).ok_or_else(|| format!("stratum `{value}` is not 0 to 16"))?;
                // chronyd prints 0 while it has none; nothing that runs it is a stratum 0.
                self.stratum = Some(read).filter(|stratum| *stratum != 0);
            }
            // When the clock was last updated, not when this was printed.
            "Ref time (UTC)" => variable(rows, at, "", "reftime", value),
            // Words say which; with `-c` positive is slow (`client.c`, specifier O). Slow is reference − local > 0.
            "System time" => self.offset_s = Some(if is("fast") { 0.0 - number()? } else { number()? }),
            // Positive is a fast local clock (chronyc(1), tracking).
            "Last offset" => self.last_offset_s = Some(0.0 - number()?),
            "RMS offset" => self.rms_s = Some(number()?),
            // Words say which; with `-c` positive is fast (`client.c`, specifier F). A slow oscillator is positive.
            "Frequency" => self.frequency_ppm = Some(if is("slow") { number()? } else { 0.0 - number()? }),
            // The local clock against the source that is followed, positive fast, as in `sourcestats`.
            "Residual freq" => self.residual_ppm = Some(0.0 - number()?),
            "Skew" => self.skew_ppm = Some(number()?),
            "Root delay" => self.root_delay_s = Some(number()?),
            "Root dispersion" => self.root_dispersion_s = Some(number()?),
            "Update interval" => self.interval_s = Some(number()?),
            "Leap status" => {
                variable(rows, at, "", "leap", value);
                self.leap = leap(value);
            }
            _ => {}
        }
        Ok(())
    }

    /// Before the first update chronyd prints zeros for all that updates measure, and ones for the root.
    fn is_updated(&self) -> bool {
        self.interval_s.is_none_or(|interval| interval != 0.0)
    }

    fn measured(&self, value: Option<f64>) -> Option<f64> {
        value.filter(|_| self.is_updated())
    }

    fn clock<'a>(&'a self, at: At<'a>) -> Clock<'a> {
        let measured = |value| self.measured(value);
        Clock {
            source: &self.source,
            stratum: self.stratum,
            leap: self.leap,
            offset_s: measured(self.offset_s),
            // What the drift file said is known before.
            frequency_ppm: self.frequency_ppm.filter(|frequency| self.is_updated() || *frequency != 0.0),
            jitter_s: measured(self.rms_s),
            wander_ppm: measured(self.skew_ppm),
            poll_s: measured(self.interval_s),
            root_delay_s: measured(self.root_delay_s),
            root_dispersion_s: measured(self.root_dispersion_s),
            ..Clock::new(at)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{read, variables};

    fn clocks(text: &str) -> Vec<String> {
        read(text).0.iter().filter_map(|row| row.strip_prefix("clock ").map(str::to_owned)).collect()
    }

    #[test]
    fn slow_is_positive_for_the_offset_and_for_the_frequency() {
        let report = |offset: &str, frequency: &str| {
            format!(
                "Reference ID    : C0000202 (ntp.example)\nStratum         : 3\nRef time (UTC)  : Sun Nov 22 09:36:16 2026\n\
                 System time     : {offset} of NTP time\nLast offset     : +0.000000021 seconds\n\
                 RMS offset      : 0.000000215 seconds\nFrequency       : {frequency}\nResidual freq   : +0.000 ppm\n\
                 Skew            : 0.013 ppm\nRoot delay      : 0.000005849 seconds\n\
                 Root dispersion : 0.000000918 seconds\nUpdate interval : 1.0 seconds\nLeap status     : Normal\n"
            )
        };
        // chronyd 4.3 printed this state both ways: text `0.000001333 seconds fast` and `0.004 ppm fast` were
        // -0.000001333 and 0.004 with -c (reference/formats.md).
        let fast = report("0.000001333 seconds fast", "0.004 ppm fast");
        let csv = "C0000202,ntp.example,3,1795339480.668785136,-0.000001333,0.000000021,0.000000215,0.004,0.000,0.013,\
                   0.000005849,0.000000918,1.0,Normal\n";
        let want = "source=ntp.example stratum=3 leap=0 offset_s=-1.333e-6 frequency_ppm=-0.004 jitter_s=2.15e-7 \
                    wander_ppm=0.013 poll_s=1 root_delay_s=5.849e-6 root_dispersion_s=9.18e-7";
        assert_eq!(clocks(&fast), [want]);
        assert_eq!(clocks(csv), [want]);
        let slow = clocks(&report("0.100000000 seconds slow", "3.225 ppm slow"));
        assert!(slow[0].contains("offset_s=0.1 frequency_ppm=3.225"), "{slow:?}");
        let want = [
            "name=refid text=C0000202 (ntp.example)",
            "name=stratum text=3",
            "name=reftime text=Sun Nov 22 09:36:16 2026",
            "name=leap text=Normal",
        ];
        assert_eq!(variables(&fast), want);
        assert_eq!(read(&format!("{fast}{csv}")).1.len(), 0);
    }

    #[test]
    fn lines_that_grep_let_through_are_clocks_too() {
        let text = "System time     : 0.5 seconds slow of NTP time\nSystem time     : 0.25 seconds fast of NTP time\n";
        assert_eq!(clocks(text), ["offset_s=0.5", "offset_s=-0.25"]);
        assert_eq!(read("Reference ID: our ticket (closed)").2.len(), 0);
    }

    #[test]
    fn nothing_is_known_before_the_first_update() {
        let text = "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,-12.500,0.000,0.000,1.000000000,\
                    1.000000000,0.0,Not synchronised\nC0000202,,many,1,2,3,4,5,6,7,8,9,10,Normal\n";
        assert_eq!(clocks(text)[0], "leap=3 frequency_ppm=12.5");
        assert_eq!(read(text).1, ["line 2: stratum `many` is not 0 to 16"]);
    }
}
