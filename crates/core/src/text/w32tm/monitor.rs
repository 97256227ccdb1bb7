//! `w32tm /monitor`: the clocks of a domain's controllers against that of its first.

use super::{gauge, labelled, seconds, variable};
use crate::model::{At, Event, Happening, Message, Origin, Peer, Row, What};
use crate::text::field::integer;
use crate::text::{Block, Form, Line, Taken};

/// `w32tm /monitor`.
pub(super) const MONITOR: Form = Form { name: "w32tm /monitor", opens, block: || Box::new(Monitor::default()) };

/// Lines of the warning about names at the end.
const LONGEST_WARNING: u8 = 4;

fn opens(line: &str) -> bool {
    machine(line).is_some() || is_progress(line)
}

fn is_progress(line: &str) -> bool {
    line.starts_with("Getting AD DC list for ") || (line.starts_with("Analyzing:") && line.contains(" of "))
}

/// The name in `dc1.example *** PDC ***[192.0.2.1:123]:`, with which a machine begins.
fn machine(line: &str) -> Option<&str> {
    let (name, address) = line.strip_suffix(":123]:")?.split_once('[')?;
    let name = name.trim_end().trim_end_matches(" *** PDC ***").trim();
    let is_name = !name.is_empty() && !name.contains([' ', '"']);
    (is_name && !address.is_empty() && !address.contains(' ')).then_some(name)
}

#[derive(Default)]
struct Monitor {
    origin: Option<Origin>,
    name: String,
    /// Whose clock the offset is against.
    against: String,
    offset_s: Option<f64>,
    refid: String,
    stratum: Option<u8>,
    warning: u8,
}

impl Block for Monitor {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim();
        if let Some(name) = machine(text) {
            self.end(rows);
            self.origin = Some(line.at.origin);
            name.clone_into(&mut self.name);
            return Taken::Yes;
        }
        if self.warning > 0 || text == "Warning:" {
            self.warning = if text == "Warning:" { LONGEST_WARNING } else { self.warning - 1 };
            return if text.is_empty() { Taken::No } else { Taken::Yes };
        }
        if text.is_empty() || is_progress(text) {
            return Taken::Yes;
        }
        let Some((label, value)) = labelled(text).filter(|_| self.origin.is_some()) else { return Taken::No };
        let taken = match label {
            "ICMP" => self.icmp(value, line.at, rows),
            "NTP" => self.ntp(value, line.at, rows),
            "RefID" => {
                value.clone_into(&mut self.refid);
                Ok(())
            }
            "Stratum" => {
                self.stratum = value.parse().ok().filter(|stratum| *stratum <= 16);
                self.stratum.map(|_| ()).ok_or_else(|| format!("stratum `{value}` is not 0 to 16"))
            }
            _ => return Taken::No,
        };
        taken.map_or_else(Taken::Rejected, |()| Taken::Yes)
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(self);
        let Some(origin) = said.origin else { return };
        let at = At { host: &said.against, ..At::origin(origin) };
        rows(Row::Peer(Peer {
            refid: &said.refid,
            stratum: said.stratum,
            offset_s: said.offset_s,
            ..Peer::new(at, &said.name)
        }));
    }
}

impl Monitor {
    /// `0ms delay`, or an error.
    fn icmp(&self, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let delay = value.strip_suffix("ms delay").and_then(integer);
        match delay {
            Some(ms) => gauge(rows, at, &self.name, "icmp_delay_s", ms as f64 / 1e3),
            None if value.starts_with("error ") => variable(rows, at, &self.name, "icmp", value),
            None => return Err(format!("`{value}` is not a delay")),
        }
        Ok(())
    }

    /// `-0.0045331s offset from dc1.example`: this machine's clock less that one's; or an error.
    fn ntp(&mut self, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        if value.starts_with("error ") {
            let kind = Happening::Network;
            let message = Message { program: "w32tm", kind, source: &self.name, value: None, text: value };
            rows(Row::Event(Event { at, what: What::Message(message) }));
            return Ok(());
        }
        let said = value.split_once(" offset from ").and_then(|(offset, clock)| Some((seconds(offset)?, clock)));
        let (offset_s, clock) = said.ok_or_else(|| format!("`{value}` is not an offset in seconds"))?;
        // The first controller is measured against itself.
        self.offset_s = Some(offset_s).filter(|_| clock != self.name);
        if clock != "local clock" {
            clock.split(' ').next().unwrap_or_default().clone_into(&mut self.against);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    #[test]
    fn the_clock_that_others_are_measured_against_is_the_host() {
        let text = "dc2.example[[fe80::1%6]:123]:\n    ICMP: 3ms delay\n    NTP: -0.0045331s offset from dc1.example\n        \
                    RefID: dc1.example [192.0.2.1]\n        Stratum: 4\ndc1.example *** PDC ***[192.0.2.1:123]:\n    \
                    ICMP: 0ms delay\n    NTP: +0.0000000s offset from dc1.example\n        RefID: 'LOCL' [0x4C434F4C]\n        \
                    Stratum: 3\ndc3.example[192.0.2.3:123]:\n    ICMP: error IP_REQ_TIMED_OUT - no response in 1000ms\n    \
                    NTP: error ERROR_TIMEOUT - no response from server in 1000ms\n\nWarning:\nReverse name resolution\nis best.\n\n";
        let want = [
            "host=dc1.example source=dc2.example refid=dc1.example [192.0.2.1] stratum=4 offset_s=-0.0045331",
            "host=dc1.example source=dc1.example refid='LOCL' [0x4C434F4C] stratum=3",
            "source=dc3.example",
        ];
        assert_eq!(peers(text), want);
        assert_eq!(read(text).1.len(), 0);
    }
}
