//! `w32tm /query /status`, with or without `/verbose`.

use super::{explained, gauge, labelled, poll_s, seconds, source_of, stratum, variable};
use crate::model::{At, Clock, Origin, Row};
use crate::text::{Block, Form, Line, Taken};

/// `w32tm /query /status`.
pub(super) const STATUS: Form = Form { name: "w32tm /query /status", opens, block: || Box::new(Status::default()) };

/// The labels in English, in the order that all languages have.
const LABELS: [&str; 16] = [
    "Leap Indicator",
    "Stratum",
    "Precision",
    "Root Delay",
    "Root Dispersion",
    "ReferenceId",
    "Last Successful Sync Time",
    "Source",
    "Poll Interval",
    // /verbose, after a blank line
    "Phase Offset",
    "ClockRate",
    "State Machine",
    "Time Source Flags",
    "Server Role",
    "Last Sync Error",
    "Time since Last Good Sync Time",
];

/// `Leap Indicator: 0(no warning)`: in all languages a digit that touches its explanation.
fn opens(line: &str) -> bool {
    labelled(line).is_some_and(|(label, value)| {
        let shape = value.starts_with(['0', '1', '2', '3']) && value[1..].starts_with('(') && value.ends_with(')');
        shape && (label == LABELS[0] || !label.bytes().any(|b| b.is_ascii_digit() || b"_.-/\\".contains(&b)))
    })
}

#[derive(Default)]
struct Status {
    origin: Option<Origin>,
    /// The line that comes next.
    next: usize,
    source: String,
    stratum: Option<u8>,
    leap: Option<u8>,
    offset_s: Option<f64>,
    poll_s: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
}

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() {
            return Taken::Yes;
        }
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        let known = LABELS.iter().position(|known| *known == label);
        let Some(index) = known.or_else(|| (self.next < LABELS.len()).then_some(self.next)) else { return Taken::No };
        if index == 0 {
            self.end(rows);
            if !opens(line.text) {
                return Taken::No;
            }
            self.origin = Some(line.at.origin);
        }
        // One line that is not as it should be in another language may be anything.
        if known.is_none() && index == 1 && stratum(value).is_none() {
            return Taken::No;
        }
        self.next = index + 1;
        self.hear(index, value, line.at, rows).map_or_else(Taken::Rejected, |()| Taken::Yes)
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(self);
        // The first line alone is too little.
        let Some(at) = said.origin.map(At::origin).filter(|_| said.next > 1) else { return };
        let warning = said.leap.map(|leap| leap.to_string());
        warning.into_iter().for_each(|leap| variable(rows, at, "", "leap", &leap));
        // Until the first synchronisation what was never measured is printed as zero.
        let measured = |value: Option<f64>| value.filter(|value| *value != 0.0 || said.leap != Some(3));
        rows(Row::Clock(Clock {
            source: &said.source,
            stratum: said.stratum,
            leap: said.leap,
            offset_s: measured(said.offset_s),
            poll_s: said.poll_s,
            root_delay_s: measured(said.root_delay_s),
            root_dispersion_s: measured(said.root_dispersion_s),
            ..Clock::new(at)
        }));
    }
}

impl Status {
    fn hear(&mut self, index: usize, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let name = LABELS[index];
        let time = || seconds(value).ok_or_else(|| format!("{name} `{value}` is not a number of seconds"));
        match index {
            0 => {
                self.leap = explained(value).and_then(|(digit, _)| digit.parse().ok());
            }
            1 => {
                self.stratum = stratum(value).ok_or_else(|| format!("stratum `{value}` is not 0 to 16"))?;
                variable(rows, at, "", "stratum", value);
            }
            3 => self.root_delay_s = Some(time()?),
            4 => self.root_dispersion_s = Some(time()?),
            5 => variable(rows, at, "", "refid", value),
            7 => {
                source_of(value).clone_into(&mut self.source);
                variable(rows, at, "", name, value);
            }
            8 => self.poll_s = poll_s(value).ok_or_else(|| format!("poll `{value}` is not a power of two"))?,
            // What the clock is still to be corrected by (timeprov.h, TSI_PhaseOffset): reference − local.
            9 => self.offset_s = Some(time()?),
            10 => gauge(rows, at, "", "clock_rate_s", time()?),
            15 => gauge(rows, at, "", "last_good_sync_ago_s", time()?),
            _ => variable(rows, at, "", name, value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{read, variables};

    fn clocks(text: &str) -> Vec<String> {
        read(text).0.iter().filter_map(|row| row.strip_prefix("clock ").map(str::to_owned)).collect()
    }

    const ENGLISH: &str = "Leap Indicator: 0(no warning)\nStratum: 4 (secondary reference - syncd by (S)NTP)\n\
        Precision: -23 (119.209ns per tick)\nRoot Delay: 0.0154902s\nRoot Dispersion: 7.7773722s\n\
        ReferenceId: 0xC0000207 (source IP:  192.0.2.7)\nLast Successful Sync Time: 11/22/2026 2:32:05 PM\n\
        Source: ntp.example,0x9\nPoll Interval: 10 (1024s)\n\nPhase Offset: -0.0038147s\nClockRate: 0.0156250s\n\
        State Machine: 1 (Hold)\nTime Source Flags: 0 (None)\nServer Role: 0 (None)\n\
        Last Sync Error: 2 (The computer did not resync because only stale time data was available.)\n\
        Time since Last Good Sync Time: 2820.1997480s\n";

    const WANT: &str = "source=ntp.example stratum=4 leap=0 offset_s=-0.0038147 poll_s=1024 root_delay_s=0.0154902 \
        root_dispersion_s=7.7773722";

    #[test]
    fn the_phase_offset_is_what_the_clock_lacks() {
        assert_eq!(clocks(ENGLISH), [WANT]);
        assert_eq!(variables(ENGLISH)[2], "name=refid text=0xC0000207 (source IP:  192.0.2.7)");
        assert_eq!(read(ENGLISH).1.len(), 0);
        let never = ENGLISH.replace("0(no warning)", "3(not synchronized)").replace("-0.0038147s", "0.0000000s");
        assert!(!clocks(&never)[0].contains("offset_s"), "{never}");
    }

    #[test]
    fn other_languages_are_read_by_the_order_of_lines() {
        let german = [
            "Sprungindikator: 0(keine Warnung)",
            "Stratum: 4 (Sekundärreferenz - synchr. über (S)NTP)",
            "Präzision: -23 (119.209ns pro Tick)",
            "Stammverzögerung: 0,0154902s",
            "Stammabweichung: 7,7773722s",
            "Referenz-ID: 0xC0000207 (Quell-IP:  192.0.2.7)",
            "Letzte erfolgr. Synchronisierungszeit: 22.11.2026 14:32:05",
            "Quelle: ntp.example,0x9",
            "Abrufintervall: 10 (1024s)",
            "",
            "Phasenoffset: -0,0038147s",
        ];
        assert_eq!(clocks(&german.join("\n")), [WANT]);
        assert_eq!(read("note: 0(zero)\nother: text").0.len(), 0);
        let bad = "Leap Indicator: 0(no warning)\nStratum: many (x)\nRoot Delay: long\n";
        assert_eq!(
            read(bad).1,
            ["line 2: stratum `many (x)` is not 0 to 16", "line 3: Root Delay `long` is not a number of seconds"]
        );
    }
}
