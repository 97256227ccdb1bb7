//! `sntp -d` of macOS: each exchange with its four time stamps.

use super::super::field::number;
use super::super::{Block, Form, Line, Taken};
use super::{stamp, stratum, variable};
use crate::model::{At, Event, Happening, Message, Origin, Peer, Row, What};
use crate::time::Time;

/// `sntp_exchange {` and its lines; `selected:` stands before the one that counted, which is printed again.
pub const EXCHANGE: Form = Form {
    name: "sntp -d",
    opens: |line| is_begin(line) || line.trim() == SELECTED,
    block: || Box::new(Exchanges::default()),
};

const SELECTED: &str = "selected:";

fn is_begin(line: &str) -> bool {
    line.trim() == "sntp_exchange {"
}

#[derive(Default)]
struct Exchanges {
    met: bool,
    open: Option<Exchange>,
    /// Origin stamps of those that were given.
    given: Vec<String>,
}

#[derive(Default)]
struct Exchange {
    origin: Option<Origin>,
    /// Result other than success, in words.
    failure: String,
    source: String,
    refid: String,
    stratum: Option<u8>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
    offset_s: Option<f64>,
    delay_s: Option<f64>,
    stamps: [String; 4],
    time: Option<Time>,
}

impl Block for Exchanges {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim();
        if is_begin(text) {
            self.end(rows);
            self.met = true;
            self.open = Some(Exchange { origin: Some(line.at.origin), ..Exchange::default() });
            return Taken::Yes;
        }
        if text.is_empty() || text == SELECTED {
            return Taken::Yes;
        }
        // Told of each exchange that failed, on the other stream: here or there.
        if let Some(text) = text.strip_prefix("sntp: ").filter(|_| self.met) {
            let message = Message { program: "sntp", kind: Happening::Network, source: "", value: None, text };
            rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
            return Taken::Yes;
        }
        let Some(exchange) = &mut self.open else { return Taken::No };
        if text == "}" {
            self.end(rows);
            return Taken::Yes;
        }
        let Some((label, value)) = text.split_once(": ") else { return Taken::No };
        match exchange.hear(label, value.trim(), line.written) {
            Some(true) => Taken::Yes,
            Some(false) => Taken::No,
            None => Taken::Rejected(format!("{label} `{value}` is not what it can be")),
        }
    }

    fn sure(&self) -> bool {
        self.met
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(exchange) = self.open.take() else { return };
        if self.given.contains(&exchange.stamps[0]) {
            return;
        }
        exchange.give(rows);
        // Each server is asked a few times, never so often.
        if self.given.len() < 256 && !exchange.stamps[0].is_empty() {
            self.given.push(exchange.stamps.into_iter().next().unwrap_or_default());
        }
    }
}

/// What stands in the parentheses at the end, with its quotes taken off: the value, for people.
fn explained(value: &str) -> Option<&str> {
    let (_, words) = value.strip_suffix(')')?.split_once('(')?;
    Some(words.trim_matches('"'))
}

impl Exchange {
    /// Whether the label is known; `None` where its value is not what it must be.
    fn hear(&mut self, label: &str, value: &str, written: Time) -> Option<bool> {
        let seconds = || explained(value).and_then(number);
        match label {
            "result" => {
                if !value.starts_with("0 ") {
                    explained(value)?.clone_into(&mut self.failure);
                }
            }
            "stratum" => self.stratum = Some(stratum(explained(value)?)?),
            "ref" => explained(value)?.clone_into(&mut self.refid),
            "addr" => value.clone_into(&mut self.source),
            // Of the server's packet, and after the offset of this exchange.
            "delay" if self.offset_s.is_none() => self.root_delay_s = Some(seconds()?),
            "delay" => self.delay_s = Some(seconds()?),
            "dispersion" => self.root_dispersion_s = Some(seconds()?),
            // Half of (T2 − T1) + (T3 − T4), as the stamps of every exchange show: reference − local.
            "offset" => self.offset_s = Some(seconds()?),
            "t1" | "t2" | "t3" | "t4" => {
                let word = value.split(' ').next()?;
                let index = label.as_bytes().get(1)?.checked_sub(b'1')?;
                word.clone_into(self.stamps.get_mut(usize::from(index))?);
                if label == "t4" {
                    self.time = stamp(&word.to_ascii_lowercase()).map(|stamp| Time::from_ntp(stamp, written));
                }
            }
            "header" | "poll" | "precision" | "t_ref" | "mean" | "error" => {}
            _ => return Some(false),
        }
        Some(true)
    }

    fn give(&self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(origin) = self.origin else { return };
        let at = At { time: self.time, ..At::origin(origin) };
        let failed = !self.failure.is_empty();
        let measured = |value: Option<f64>| value.filter(|_| !failed);
        rows(Row::Peer(Peer {
            accepted: Some(!failed),
            refid: &self.refid,
            stratum: self.stratum.filter(|stratum| *stratum > 0),
            offset_s: measured(self.offset_s),
            delay_s: measured(self.delay_s),
            root_delay_s: measured(self.root_delay_s),
            root_dispersion_s: measured(self.root_dispersion_s),
            ..Peer::new(at, &self.source)
        }));
        for (name, value) in ["org", "rec", "xmt", "dst"].into_iter().zip(&self.stamps) {
            if stamp(value).is_some() {
                variable(rows, at, &self.source, name, value);
            }
        }
        if failed {
            let kind = Happening::Network;
            let message = Message { program: "sntp", kind, source: &self.source, value: None, text: &self.failure };
            rows(Row::Event(Event { at, what: What::Message(message) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{peers, read};

    const GOOD: &str = "sntp_exchange {\n        result: 0 (Success)\n        header: 24 (li:0 vn:4 mode:4)\n       \
        stratum: 02 (2)\n          poll: 00 (1)\n     precision: FFFFFFE7 (2.980232e-08)\n         \
        delay: 0000.0396 (0.014007568)\n    dispersion: 0000.0003 (0.000045776)\n           ref: C0000209 (192.0.2.9)\n         \
        t_ref: EEAD3600.00000000 (4004329984.000000000)\n            t1: EEAD3614.80000000 (4004330004.500000000)\n            \
        t2: EEAD3614.40000000 (4004330004.250000000)\n            t3: EEAD3614.40000000 (4004330004.250000000)\n            \
        t4: EEAD3614.C0000000 (4004330004.750000000)\n        offset: FFFFFFFFFFFFFFFF.A0000000 (-0.375000000)\n         \
        delay: 0000000000000000.40000000 (0.250000000)\n          mean: 00000000EEAD3614.40 (4004330004.250000000)\n         \
        error: 0000000000000000.01CE (0.007049561)\n          addr: 192.0.2.1\n}\n";

    #[test]
    fn an_exchange_is_given_once_and_its_offset_follows_from_its_stamps() {
        let text = format!("{GOOD}selected:\n{GOOD}-0.375000 +/- 0.250000 ntp.example 192.0.2.1\n");
        // ((0.25 − 0.5) + (0.25 − 0.75)) / 2
        let want = [
            "time=2026-11-22T09:36:20.75Z source=192.0.2.1 accepted=true refid=192.0.2.9 stratum=2 offset_s=-0.375 \
             delay_s=0.25 root_delay_s=0.014007568 root_dispersion_s=0.000045776",
            "source=ntp.example offset_s=-0.375",
        ];
        assert_eq!(peers(&text), want);
        assert_eq!((read(&text).1.len(), read(&text).2), (0, vec!["sntp -d", "sntp"]));
        assert_eq!(read("selected:\nother\n").2.len(), 0);
    }

    #[test]
    fn a_failed_exchange_measured_nothing() {
        let text = "sntp_exchange {\n result: 8 (Kiss of death)\n stratum: 00 (0)\n ref: 52415445 (\"RATE\")\n \
                    offset: FFFFFFFF15D27F14.76 (-3928850667.537612915)\n addr: 192.0.2.1\n}\n";
        assert_eq!(peers(text), ["source=192.0.2.1 accepted=false refid=RATE"]);
        assert_eq!(read(text).0[1], "message who=sntp subject=192.0.2.1 name=network text=Kiss of death");
    }
}
