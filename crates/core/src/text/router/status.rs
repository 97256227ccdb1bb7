//! Cisco's `show ntp status`, printed alike by IOS, IOS-XE, IOS-XR, ASA, Brocade's FastIron and Cisco's Packet Tracer.
//!
//! Releases break the lines at other places, so labels are looked for wherever they stand.

use super::{Answer, gauge, kept, leading, seconds, stamp, stratum, variable};
use crate::model::{At, Clock, Row};
use crate::text::{Block, Form, Line, Taken};

/// `show ntp status`.
pub const STATUS: Form = Form {
    name: "show ntp status",
    opens: |line| super::asked(line, COMMANDS) || first_line(line).is_some(),
    block: || Answer::to(COMMANDS, Status::default()),
};

const COMMANDS: &[&str] = &["show ntp status"];

/// `Clock is synchronized, stratum 4, reference is 192.0.2.1`: the leap indicator that it says, and the rest.
fn first_line(line: &str) -> Option<(u8, &str)> {
    let rest = line.trim_start().strip_prefix("Clock is ")?;
    // Cisco's small switches say no more.
    if rest == "unsynchronized" {
        return Some((3, ""));
    }
    let (state, rest) = rest.split_once(", ").filter(|(_, rest)| rest.trim_start().starts_with("stratum "))?;
    let leap = match state {
        "synchronized" => 0,
        "synchronized (adding leap second)" => 1,
        "synchronized (deleting leap second)" => 2,
        "unsynchronized" => 3,
        _ => return None,
    };
    Some((leap, rest))
}

/// What a label's value is.
#[derive(Clone, Copy)]
enum Field {
    Nominal,
    Actual,
    Drift,
    Poll,
    Offset,
    RootDelay,
    RootDispersion,
    Gauge(&'static str),
    Variable(&'static str),
    /// Said for people, or of no use.
    Known,
}

const FIELDS: &[(&str, Field)] = &[
    ("nominal freq is ", Field::Nominal),
    ("actual freq is ", Field::Actual),
    ("precision is ", Field::Variable("precision")),
    ("ntp uptime is ", Field::Known),
    ("resolution is ", Field::Known),
    ("reference time is ", Field::Variable("reftime")),
    ("clock offset is ", Field::Offset),
    ("root delay is ", Field::RootDelay),
    ("root dispersion is ", Field::RootDispersion),
    ("peer dispersion is ", Field::Gauge("peer_dispersion_s")),
    ("loopfilter state is ", Field::Variable("loopfilter_state")),
    ("drift is ", Field::Drift),
    ("system poll interval is ", Field::Poll),
    ("last update was ", Field::Known),
    ("last clock update was ", Field::Known),
    ("never updated", Field::Known),
    // IOS-XR 7.
    ("authenticate is ", Field::Known),
    ("panic handling is ", Field::Known),
    ("hostname resolution retry interval is ", Field::Known),
    // FastIron goes on for some lines.
    ("server mode is ", Field::Known),
    ("client mode is ", Field::Known),
    ("master mode is ", Field::Known),
    ("panic mode is ", Field::Known),
];

#[derive(Default)]
struct Status {
    open: Option<Open>,
}

/// A status of which more lines may follow.
struct Open {
    source: String,
    clock: Clock<'static>,
    nominal: Option<f64>,
    actual: Option<f64>,
    /// Whether the loop filter never set the frequency, so that a drift of 0 says nothing.
    never_set: bool,
}

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some((leap, rest)) = first_line(line.text) {
            self.end(rows);
            return match Open::new(line.at, leap, rest) {
                Ok(open) => {
                    self.open = Some(open);
                    Taken::Yes
                }
                Err(reason) => Taken::Rejected(reason),
            };
        }
        let Some(open) = &mut self.open else { return Taken::No };
        let mut met = false;
        for (label, field) in FIELDS {
            let Some((_, value)) = line.text.split_once(label) else { continue };
            met = true;
            if let Err(reason) = open.field(*field, value, line.at, rows) {
                return Taken::Rejected(format!("{label}{reason}"));
            }
        }
        if met { Taken::Yes } else { Taken::No }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(open) = self.open.take() else { return };
        let by_hertz = open.nominal.zip(open.actual).filter(|(nominal, _)| *nominal > 0.0);
        // A local oscillator that runs at more than its nominal frequency must be slowed: the other sign. IOS prints
        // both for one clock (`1000.0003 Hz, actual freq is 1000.4589 Hz`, `drift is -0.000458631 s/s`).
        let by_hertz =
            by_hertz.map(|(nominal, actual)| (nominal - actual) / nominal * 1e6).filter(|ppm| ppm.is_finite());
        let frequency_ppm = open.clock.frequency_ppm.or(by_hertz).filter(|ppm| !(open.never_set && *ppm == 0.0));
        rows(Row::Clock(Clock { source: &open.source, frequency_ppm, ..open.clock }));
    }
}

impl Open {
    /// From what follows the state: `stratum 4, reference is 192.0.2.1`, with `reference assoc id 1` before in XE.
    fn new(at: At<'_>, leap: u8, rest: &str) -> Result<Self, String> {
        let mut pieces = rest.split(',').map(str::trim);
        let st = pieces.next().and_then(|piece| piece.strip_prefix("stratum ")).unwrap_or_default();
        let st = match stratum(st.trim()) {
            None if !rest.is_empty() => return Err(format!("stratum `{st}` is not 0 to 16")),
            st => st,
        };
        let source = pieces.find_map(|piece| {
            piece.strip_prefix("reference is ").or_else(|| piece.strip_prefix("reference clock is "))
        });
        let clock = Clock { stratum: st, leap: Some(leap), ..Clock::new(kept(at)) };
        let source = source.unwrap_or_default().trim().to_owned();
        Ok(Open { source, clock, nominal: None, actual: None, never_set: false })
    }

    fn field(
        &mut self,
        field: Field,
        value: &str,
        at: At<'_>,
        rows: &mut dyn FnMut(Row<'_>),
    ) -> Result<(), &'static str> {
        const NUMBER: &str = "no number";
        let number = || leading(value).map(Some).ok_or(NUMBER);
        // What stands before a comma, because units end there.
        let value = value.split(',').next().unwrap_or_default().trim();
        let span = || seconds(value).map(Some).ok_or("no number with msec");
        match field {
            Field::Nominal => self.nominal = number()?,
            Field::Actual => self.actual = number()?,
            // Seconds per second, ntpd's sign: it is the correction, negative where the oscillator is fast (see `end`).
            Field::Drift => self.clock.frequency_ppm = number()?.map(|drift| drift * 1e6).filter(|ppm| ppm.is_finite()),
            Field::Poll => self.clock.poll_s = number()?,
            // Reference − local: the same number as the system peer's in `show ntp associations`. Without a reference
            // a zero says nothing.
            Field::Offset => self.clock.offset_s = span()?.filter(|s| *s != 0.0 || !self.source.is_empty()),
            Field::RootDelay => self.clock.root_delay_s = span()?.filter(|s| *s != 0.0 || !self.source.is_empty()),
            Field::RootDispersion => self.clock.root_dispersion_s = span()?,
            Field::Gauge(name) => gauge(rows, at, "", name, span()?.ok_or(NUMBER)?),
            Field::Variable("reftime") => variable(rows, at, "", "reftime", stamp(value).unwrap_or_default()),
            Field::Variable(name) => {
                // `'CTRL' (Normal Controlled Loop)`
                let word = value.split_ascii_whitespace().next().unwrap_or_default().trim_matches('\'');
                self.never_set |= word == "NSET";
                variable(rows, at, "", name, word);
            }
            Field::Known => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::read;

    fn clock(text: &str) -> String {
        read(text).0.into_iter().find(|row| row.starts_with("clock")).unwrap_or_default()
    }

    #[test]
    fn a_fast_oscillator_has_a_negative_frequency_by_drift_and_by_hertz() {
        // One router printed these three numbers together.
        let first = "Clock is synchronized, stratum 4, reference is 192.0.2.2\n\
                     nominal freq is 1000.0003 Hz, actual freq is 1000.4589 Hz, precision is 2**14\n";
        assert!(clock(first).starts_with("clock source=192.0.2.2 stratum=4 leap=0 frequency_ppm=-458.59986"));
        let drift = "loopfilter state is 'CTRL' (Normal Controlled Loop), drift is -0.000458631 s/s\n";
        assert_eq!(clock(&format!("{first}{drift}")), "clock source=192.0.2.2 stratum=4 leap=0 frequency_ppm=-458.631");
    }

    #[test]
    fn what_was_never_set_is_nothing() {
        let text = "Clock is unsynchronized, stratum 16, no reference clock\n\
                    nominal freq is 1000.0 Hz, actual freq is 1000.0 Hz, precision is 2**23\n\
                    clock offset is 0.000 msec, root delay is 0.000 msec\n\
                    loopfilter state is 'NSET' (Never set), drift is 0.0000000000 s/s\n";
        assert_eq!(clock(text), "clock stratum=16 leap=3");
    }
}
