//! `loopstats`, the clock's discipline at every update, and the drift file, its frequency alone.

use super::fields::Fields;
use super::{Before, Kind};
use crate::model::{At, Clock, Row};
use crate::text::field::decimal;
use crate::text::{Block, Form, Line, Taken};

/// `loopstats`: offset, frequency, jitter, wander, time constant: `0.000006019 13.778 0.000351733 0.013380 6`.
pub const LOOPSTATS: Kind = Kind { name: "loopstats", read: loopstats, free: false };

/// ntpd before 4.0 had no jitter and no wander, and once no time constant.
fn loopstats(mut fields: Fields<'_>, before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let offset = fields.number().filter(|number| number.decimals > 0)?;
    let frequency = fields.number().filter(|number| number.decimals > 0)?;
    let mut clock =
        Clock { offset_s: Some(offset.value), frequency_ppm: Some(frequency.value), ..Clock::new(fields.at) };
    let columns = if fields.ended() {
        4
    } else {
        let third = fields.number()?;
        if third.decimals > 0 {
            clock.jitter_s = Some(third.value);
            let wander = fields.number()?;
            clock.wander_ppm = Some(wander.value);
            // The documentation has a row without a time constant; so looks one that was cut behind the wander's six
            // decimals, of which all is true.
            if !(fields.ended() && wander.decimals >= 6) {
                clock.poll_s = Some(exp2(fields.whole()?)?);
            }
            7
        } else {
            // A jitter that was cut behind its first digit is no time constant.
            clock.poll_s = Some(exp2(third.value as u64).filter(|_| third.value >= 2.0)?);
            5
        }
    };
    (fields.ended() && columns >= before.widest).then_some(())?;
    before.widest = columns;
    rows(Row::Clock(clock));
    Some(())
}

/// ntpd's `sys_poll`, log₂ seconds: RFC 5905 §7.3 has 4 to 17, ntpd takes 3 and NTPsec 0.
fn exp2(log: u64) -> Option<f64> {
    (log <= 17).then(|| f64::from(1_u32 << log))
}

/// A drift file: one line with the frequency, three decimals of ntpd or six of NTPsec, and nothing else.
pub const DRIFT: Form =
    Form { name: "drift file", opens: |line| drift(line).is_some(), block: || Box::new(Drift::Nothing) };

/// A frequency that ntpd would write: `-11.974`. It never corrects by more than 500 parts per million, but prints what
/// it was told.
fn drift(line: &str) -> Option<f64> {
    let number = decimal(line.as_bytes()).filter(|number| number.length == line.len() && !line.starts_with('+'))?;
    (matches!(number.decimals, 3 | 6) && number.value.abs() < 1000.0).then_some(number.value)
}

/// A number alone is a drift file only where nothing stands before and behind it.
enum Drift {
    Nothing,
    Number(At<'static>, f64),
}

impl Block for Drift {
    fn line(&mut self, line: Line<'_>, _rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        match (&*self, drift(line.text)) {
            (Drift::Number(..), _) if line.text.is_empty() => Taken::Yes,
            (Drift::Nothing, Some(number)) if line.at.origin.place == crate::model::Place::Line(1) => {
                *self = Drift::Number(At { host: "", ..At::origin(line.at.origin) }, number);
                Taken::Yes
            }
            (_, Some(_)) => {
                *self = Drift::Nothing;
                Taken::Rejected("a number alone is a drift file only where there is nothing else".into())
            }
            (_, None) => {
                *self = Drift::Nothing;
                Taken::No
            }
        }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Drift::Number(at, frequency) = *self {
            // Already ntpd's sign: what is added to the clock's rate.
            rows(Row::Clock(Clock { frequency_ppm: Some(frequency), ..Clock::new(at) }));
        }
    }
}
