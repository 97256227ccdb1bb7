//! What NTPsec's scripts log beside the statistics: satellites (`ntploggps`) and temperatures (`ntplogtemp`).

use super::fields::Fields;
use crate::model::{At, Event, InputId, Origin, Place, Row, What};
use crate::text::field::date_time;
use crate::text::{Block, Form, Line, Taken};
use crate::time::Time;

/// The log of `ntploggps`: time, device, dilution of precision, satellites: `1474761600 /dev/ttyS0 0.840000 9`.
pub const GPSD: Form = Form {
    name: "ntploggps",
    opens: |line| opens(line, gpsd),
    block: || Box::new(Sensors { read: gpsd, cut: "device, TDOP and nSat" }),
};

/// The log of `ntplogtemp`: time, sensor, degrees Celsius: `1474761600 ZONE0 27.8`.
pub const TEMPS: Form = Form {
    name: "ntplogtemp",
    opens: |line| opens(line, temps),
    block: || Box::new(Sensors { read: temps, cut: "sensor and value" }),
};

type Reader = fn(Line<'_>, &mut dyn FnMut(Row<'_>)) -> Option<()>;

fn opens(text: &str, read: Reader) -> bool {
    let at = At::origin(Origin { input: InputId(0), place: Place::Line(0) });
    text.starts_with(|c: char| c.is_ascii_digit()) && read(Line { at, text, written: Time(0) }, &mut |_| {}).is_some()
}

struct Sensors {
    read: Reader,
    /// What a row has behind its time.
    cut: &'static str,
}

impl Block for Sensors {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if (self.read)(line, rows).is_some() || line.text.is_empty() || line.text.starts_with('#') {
            return Taken::Yes;
        }
        let other = [gpsd, temps].iter().any(|read| read(line, &mut |_| {}).is_some());
        let time = line.text.split(' ').next().unwrap_or_default();
        if other || !time.starts_with(|c: char| c.is_ascii_digit()) || Fields::of(line).is_some() {
            return Taken::No;
        }
        Taken::Rejected(format!("a row needs the time, {}", self.cut))
    }
}

fn gauge(at: At<'_>, of: &str, name: &'static str, value: f64, rows: &mut dyn FnMut(Row<'_>)) {
    rows(Row::Event(Event { at, what: What::Gauge { of, name, value } }));
}

fn gpsd(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let mut fields = match Fields::of_unix(line) {
        Some(fields) => fields,
        // Until 1.1 the time was printed as `2016-09-25T00:00:00.000Z`.
        None => {
            let (time, _) = line.text.split_once(' ')?;
            let (date, time) = time.strip_suffix('Z')?.split_once('T')?;
            let mut fields = Fields::behind_first_word(line);
            fields.at.time = Some(date_time(date, time)?);
            fields
        }
    };
    let device = fields.word().filter(|word| word.starts_with('/') || word.contains("://"))?;
    let (tdop, satellites) = (fields.fixed(6)?, fields.whole().filter(|count| *count < 1000)?);
    fields.ended().then(|| {
        gauge(fields.at, device, "time_dilution", tdop, rows);
        gauge(fields.at, device, "satellites_used", satellites as f64, rows);
    })
}

fn temps(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let mut fields = Fields::of_unix(line)?;
    let sensor = fields.word()?;
    let numbered = |name| sensor.strip_prefix(name).is_some_and(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
    let known = ["ZONE", "LM", "TEMPER"].into_iter().any(numbered) || sensor.starts_with("/dev/sd");
    let celsius = fields.number().filter(|number| known && (-273.15..1000.0).contains(&number.value))?;
    fields.ended().then(|| gauge(fields.at, sensor, "temperature_c", celsius.value, rows))
}
