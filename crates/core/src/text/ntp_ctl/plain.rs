//! `ntp-ctl status`: a line for each source until ntpd-rs 1.7, a line for each value from 1.8.

use super::{MOST, Served, Source, System};
use crate::model::{At, Origin, Row};
use crate::text::field::{integer, number};
use crate::text::{Block, Form, Line, Taken};

/// `ntp-ctl status`.
pub(super) const STATUS: Form = Form {
    name: "ntp-ctl status",
    opens: |line| line.trim() == "Synchronization status:",
    block: || Box::new(Status::default()),
};

/// The part of the report that a line stands in.
#[derive(Clone, Copy, Default, PartialEq)]
enum Part {
    #[default]
    System,
    Sources,
    Servers,
}

#[derive(Default)]
struct Status {
    origin: Option<Origin>,
    part: Part,
    system: System,
    sources: Vec<(Origin, Source)>,
    served: Served,
}

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim();
        match text {
            "" => return Taken::Yes,
            "Synchronization status:" => {
                self.end(rows);
                self.origin = Some(line.at.origin);
                return Taken::Yes;
            }
            "Sources:" | "Servers:" => {
                self.part = if text == "Sources:" { Part::Sources } else { Part::Servers };
                return Taken::Yes;
            }
            _ => {}
        }
        let result = match self.part {
            Part::System => self.system_line(text),
            Part::Sources => self.source_line(line.at.origin, text),
            Part::Servers => self.server_line(line.at.origin, text),
        };
        match result {
            Some(Ok(())) => Taken::Yes,
            Some(Err(reason)) => Taken::Rejected(reason),
            None => Taken::No,
        }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(self);
        let Some(origin) = said.origin else { return };
        said.system.give(At::origin(origin), rows);
        said.sources.iter().for_each(|(origin, source)| source.give(At::origin(*origin), rows));
        said.served.give(None, rows);
    }
}

/// Whether a line is of this part, and if so, whether it could be read.
type Heard = Option<Result<(), String>>;

/// `0.000104s`, `+0.000564`, `±0.000138`: seconds.
fn seconds(text: &str) -> Result<Option<f64>, String> {
    let bare = text.trim().trim_start_matches('±').trim_end_matches('s');
    number(bare).map(Some).ok_or_else(|| format!("`{text}` is not a number of seconds"))
}

fn whole(text: &str) -> Result<Option<f64>, String> {
    integer(text).map(|whole| Some(whole as f64)).ok_or_else(|| format!("`{text}` is not a count"))
}

impl Status {
    /// `Dispersion: 0.000104s, Delay: 0.005740s`
    fn system_line(&mut self, text: &str) -> Heard {
        let mut result = None;
        for item in text.split(", ") {
            let (label, value) = item.split_once(':')?;
            let value = value.trim();
            let system = &mut self.system;
            let read = match label {
                "Dispersion" => seconds(value).map(|value| system.root_dispersion_s = value),
                "Delay" => seconds(value).map(|value| system.root_delay_s = value),
                "Desired poll interval" => seconds(value).map(|value| system.poll_s = value),
                "Stratum" => {
                    let stratum = value.parse().ok().filter(|stratum: &u8| *stratum <= 16);
                    system.stratum = stratum;
                    stratum.map(|_| ()).ok_or_else(|| format!("stratum `{value}` is not 0 to 16"))
                }
                _ => return None,
            };
            result = Some(result.unwrap_or(Ok(())).and(read));
        }
        result
    }

    fn source_line(&mut self, origin: Origin, text: &str) -> Heard {
        if let Some(read) = headed(text) {
            return Some(read.map(|source| {
                if self.sources.len() < MOST {
                    self.sources.push((origin, source));
                }
            }));
        }
        let (_, source) = self.sources.last_mut()?;
        let mut result = None;
        for item in text.split(", ") {
            let (label, value) = item.split_once(':')?;
            let value = value.trim();
            let read = match label.trim() {
                "Offset" => seconds(value).map(|value| source.offset_s = value),
                "Uncertainty" => seconds(value).map(|value| source.uncertainty_s = value),
                "Delay" => seconds(value).map(|value| source.delay_s = value),
                "poll interval" | "Poll interval" => seconds(value).map(|value| source.poll_s = value),
                "missing polls" | "Missing polls" => whole(value).map(|value| source.unanswered = value),
                "root dispersion" | "Root dispersion" => seconds(value).map(|value| source.root_dispersion_s = value),
                "root delay" | "Root delay" => seconds(value).map(|value| source.root_delay_s = value),
                // `8/8 available`
                "NTS cookies" => whole(value.split('/').next().unwrap_or_default()).map(|value| source.cookies = value),
                _ => return None,
            };
            result = Some(result.unwrap_or(Ok(())).and(read));
        }
        result
    }

    /// `0.0.0.0:123: received 5, accepted 5, errors 0`, then `denied 0, nts nak 0, …`; from 1.8 an address, then
    /// `Received 5` and so on.
    fn server_line(&mut self, origin: Origin, text: &str) -> Heard {
        let counts = text.split_once(": received ").map_or(text, |(address, _)| &text[address.len() + 2..]);
        if counts.parse::<std::net::SocketAddr>().is_ok() {
            return Some(Ok(()));
        }
        let mut result = None;
        for item in counts.split(", ") {
            let (label, value) = item.rsplit_once(char::is_whitespace)?;
            let name = label.trim().to_ascii_lowercase().replace(' ', "_");
            let name = if name == "errors" { "response_send_errors" } else { name.as_str() };
            let read = match integer(value).and_then(|value| u64::try_from(value).ok()) {
                Some(value) if self.served.add(name, value, origin) => Ok(()),
                Some(_) => return None,
                None if self.served.add(name, 0, origin) => Err(format!("`{value}` is not a count")),
                None => return None,
            };
            result = Some(result.unwrap_or(Ok(())).and(read));
        }
        result
    }
}

/// `ntp.example:123/192.0.2.1:123 [NTS] (1): +0.000564±0.000138(±0.007323)s`, or from 1.8
/// `ntp.example:123 192.0.2.1:123 [NTS] (1)`.
fn headed(text: &str) -> Option<Result<Source, String>> {
    let (head, measure) = match text.split_once("): ") {
        Some((head, measure)) => (head, measure),
        None => (text.strip_suffix(')')?, ""),
    };
    let (names, id) = head.rsplit_once(" (")?;
    integer(id)?;
    let names = names.strip_suffix(" [NTS]").unwrap_or(names);
    // A socket or a PPS device has slashes in its name and its address.
    let (name, address) = match names.split_once(' ') {
        Some(pair) => pair,
        None if measure.is_empty() => ("", names),
        None => names.split_once('/').filter(|(name, _)| !name.is_empty()).unwrap_or(("", names)),
    };
    let mut source = Source { name: name.into(), address: address.trim().into(), ..Source::default() };
    if !measure.is_empty() {
        let parts = measure.strip_suffix(")s").and_then(|bare| {
            let (offset, rest) = bare.split_once('±')?;
            let (uncertainty, delay) = rest.split_once("(±")?;
            Some((number(offset)?, number(uncertainty)?, number(delay)?))
        });
        let Some((offset, uncertainty, delay)) = parts else {
            return Some(Err(format!("`{measure}` is not offset ± uncertainty (± delay)")));
        };
        (source.offset_s, source.uncertainty_s, source.delay_s) = (Some(offset), Some(uncertainty), Some(delay));
    }
    Some(Ok(source))
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{counters, peers, read};

    const OLD: &str = "Synchronization status:\nDispersion: 0.000104s, Delay: 0.005740s\nDesired poll interval: 16s\nStratum: 3\n\n\
        Sources:\nntp.example:123/192.0.2.1:123 [NTS] (1): -0.022944±0.000218(±0.004720)s\n    poll interval: 16s, missing polls: 2\n    \
        root dispersion: 0.103531s, root delay:0.001434s\n    NTS cookies: 7/8 available\n\
        ntp.example:123/[2001:db8::1]:123 (2): +0.000000±2147483648.000000(±2147483648.000000)s\n\nServers:\n\
        0.0.0.0:123: received 5, accepted 3, errors 0\n    denied 1, nts nak 0, rate limited 2, ignored 0\n\
        [::]:123: received 50, accepted 30, errors 0\n    denied 10, nts nak 0, rate limited 20, ignored 0\n";

    const NEW: &str = "Synchronization status:\n\tDispersion:\t0.000104s\n\tDelay:\t\t0.005740s\n\tStratum:\t3\n\n\nSources:\n\n\
        ntp.example:123 192.0.2.1:123 [NTS] (1)\n\tOffset:\t\t\t-0.022944\n\tUncertainty:\t\t±0.000218\n\tDelay:\t\t\t±0.004720\n\
        \tPoll interval:\t\t16s\n\tMissing polls:\t\t2\n\tRoot dispersion:\t0.103531s\n\tRoot delay:\t\t0.001434s\n\
        \tNTS cookies:\t\t7/8 available\n\n\nServers:\n\n0.0.0.0:123\n\tIgnored\t\t\t0\n\tReceived\t\t55\n\tAccepted\t\t33\n\
        \tDenied\t\t\t11\n\tRate limited\t\t22\n\tNTS Rate limited\t0\n\n";

    #[test]
    fn both_layouts_tell_the_same() {
        let want = "source=192.0.2.1 poll_s=16 offset_s=-0.022944 delay_s=0.00472 jitter_s=0.000218 root_delay_s=0.001434 \
                    root_dispersion_s=0.103531";
        assert_eq!(peers(OLD), [want, "source=2001:db8::1"]);
        assert_eq!(peers(NEW), [want]);
        // Sums over the listening addresses.
        let want = ["received value=55", "processed value=33", "restricted value=11", "limited value=22"];
        let want: Vec<_> = want.iter().map(|row| format!("name={row}")).collect();
        assert_eq!((counters(OLD), counters(NEW)), (want.clone(), want));
        assert_eq!(read(OLD).0[0], "clock stratum=3 poll_s=16 root_delay_s=0.00574 root_dispersion_s=0.000104");
        assert_eq!((read(OLD).1.len(), read(NEW).1.len()), (0, 0));
    }

    #[test]
    fn what_cannot_be_read_is_rejected_and_what_follows_is_not_taken() {
        let text = "Synchronization status:\nDispersion: lots, Delay: 0.1s\n\nSources:\na:123/192.0.2.1:123 (1): +0±x(±1)s\n$ date\n";
        let want =
            ["line 2: `lots` is not a number of seconds", "line 5: `+0±x(±1)s` is not offset ± uncertainty (± delay)"];
        assert_eq!(read(text).1, want);
    }
}
