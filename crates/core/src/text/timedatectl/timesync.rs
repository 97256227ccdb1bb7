//! `timedatectl timesync-status` and `timedatectl show-timesync`: the server that timesyncd asks, and its last reply.

use super::{gauge, span_s, variable};
use crate::model::{At, Clock, Counter, Event, Origin, Peer, Row, What};
use crate::text::field::{integer, number};
use crate::text::{Block, Form, Line, Taken};

/// `timedatectl timesync-status`, systemd 239 and later.
pub(super) const STATUS: Form =
    Form { name: "timedatectl timesync-status", opens: opens_status, block: || Box::new(Status::default()) };

/// `timedatectl show-timesync`, with or without `--all`.
pub(super) const SHOW: Form =
    Form { name: "timedatectl show-timesync", opens: opens_show, block: || Box::new(Show::default()) };

/// Steps of the kernel's frequency (`struct timex`, adjtimex(2)) in one part per million.
const STEPS_PER_PPM: f64 = 65_536.0;

const LABELS: [&str; 14] = [
    "Server",
    "Poll interval",
    "Leap",
    "Version",
    "Stratum",
    "Reference",
    "Precision",
    "Root distance",
    "Offset",
    "Delay",
    "Jitter",
    "Packet count",
    "Frequency",
    "Ignored",
];

fn labelled(line: &str) -> Option<(&'static str, &str)> {
    let (label, value) = line.trim_start().split_once(':')?;
    LABELS.iter().find(|known| **known == label).map(|label| (*label, value.trim()))
}

/// `Server: 192.0.2.1 (ntp.example)`; `n/a` or `(null)` stands where there is no address, or no name.
fn opens_status(line: &str) -> bool {
    labelled(line).is_some_and(|(label, value)| label == "Server" && server_of(value).is_some())
}

fn server_of(value: &str) -> Option<(&str, &str)> {
    let (address, name) = value.strip_suffix(')')?.rsplit_once(" (")?;
    (!address.is_empty() && !address.contains(' ')).then_some((address, name))
}

fn is_said(text: &str) -> bool {
    !matches!(text, "" | "n/a" | "(null)" | "null")
}

/// What is known of the one server.
#[derive(Default)]
struct Server {
    origin: Option<Origin>,
    source: String,
    refid: String,
    stratum: Option<u8>,
    poll_s: Option<f64>,
    offset_s: Option<f64>,
    delay_s: Option<f64>,
    jitter_s: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
    /// What the kernel adds to the clock's rate: positive is a slow oscillator, as for ntpd.
    frequency_ppm: Option<f64>,
    accepted: Option<bool>,
}

impl Server {
    fn stratum(&mut self, value: &str) -> Result<(), String> {
        let stratum = value.parse().ok().filter(|stratum: &u8| *stratum <= 16);
        self.stratum = Some(stratum.ok_or_else(|| format!("stratum `{value}` is not 0 to 16"))?);
        Ok(())
    }

    fn count(&self, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let value = value.parse().map_err(|_| format!("`{value}` is not a count"))?;
        // Counted after the tests of version, mode, leap, stratum and root distance (`timesyncd-manager.c`), for the
        // server that is asked now.
        let what = What::Counter { association: &self.source, name: Counter::SourceValid, value, over_s: None };
        rows(Row::Event(Event { at, what }));
        Ok(())
    }

    fn give(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(self);
        let Some(at) = said.origin.map(At::origin) else { return };
        if !said.source.is_empty() {
            rows(Row::Peer(Peer {
                accepted: said.accepted,
                refid: &said.refid,
                stratum: said.stratum,
                poll_s: said.poll_s,
                offset_s: said.offset_s,
                delay_s: said.delay_s,
                jitter_s: said.jitter_s,
                root_delay_s: said.root_delay_s,
                root_dispersion_s: said.root_dispersion_s,
                ..Peer::new(at, &said.source)
            }));
        }
        if said.frequency_ppm.is_some() {
            rows(Row::Clock(Clock { source: &said.source, frequency_ppm: said.frequency_ppm, ..Clock::new(at) }));
        }
    }
}

#[derive(Default)]
struct Status(Server);

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        if label == "Server" {
            self.0.give(rows);
            self.0.origin = Some(line.at.origin);
        }
        self.hear(label, value, line.at, rows).map_or_else(Taken::Rejected, |()| Taken::Yes)
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        self.0.give(rows);
    }
}

impl Status {
    fn hear(&mut self, label: &str, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let server = &mut self.0;
        let span = |text: &str| span_s(text.trim()).ok_or_else(|| format!("{label} `{text}` is not a time span"));
        match label {
            "Server" => {
                let (address, name) = server_of(value).ok_or_else(|| format!("`{value}` is not a server"))?;
                let source = if is_said(address) { address } else { name };
                if is_said(source) {
                    source.clone_into(&mut server.source);
                    variable(rows, at, source, "ServerName", name);
                }
            }
            // `34min 8s (min: 32s; max 34min 8s)`
            "Poll interval" => {
                // 0 while no server was found.
                server.poll_s = Some(span(value.split('(').next().unwrap_or_default())?).filter(|poll_s| *poll_s > 0.0);
            }
            "Leap" => variable(rows, at, &server.source, "leap", value),
            "Stratum" => server.stratum(value)?,
            "Reference" => value.clone_into(&mut server.refid),
            // RootDelay / 2 + RootDispersion of the reply (`timedatectl.c`); each alone is not printed.
            "Root distance" => {
                let distance_s = span(value.split('(').next().unwrap_or_default())?;
                gauge(rows, at, &server.source, "root_distance_s", distance_s);
            }
            // ((T2 − T1) + (T3 − T4)) / 2 of the last reply (`timesyncd-manager.c`): reference − local already.
            "Offset" => server.offset_s = Some(span(value)?),
            "Delay" => server.delay_s = Some(span(value)?),
            "Jitter" => server.jitter_s = Some(span(value)?),
            "Packet count" => server.count(value, at, rows)?,
            "Ignored" => server.accepted = Some(value != "yes"),
            // `+48,508ppm` in locales with a decimal comma.
            "Frequency" => {
                let ppm = value.strip_suffix("ppm").map(|digits| digits.trim().replace(',', "."));
                let ppm = ppm.as_deref().and_then(number);
                server.frequency_ppm = Some(ppm.ok_or_else(|| format!("frequency `{value}` is not in ppm"))?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The properties of timesyncd; those with `Servers` in their name are lists of what is configured.
const PROPERTIES: [&str; 12] = [
    "LinkNTPServers",
    "SystemNTPServers",
    "RuntimeNTPServers",
    "FallbackNTPServers",
    "ServerName",
    "ServerAddress",
    "RootDistanceMaxUSec",
    "PollIntervalMinUSec",
    "PollIntervalMaxUSec",
    "PollIntervalUSec",
    "NTPMessage",
    "Frequency",
];

fn property(line: &str) -> Option<(&'static str, &str)> {
    let (name, value) = line.split_once('=')?;
    PROPERTIES.iter().find(|known| **known == name).map(|name| (*name, value))
}

fn opens_show(line: &str) -> bool {
    property(line).is_some_and(|(name, value)| match name {
        "ServerName" | "ServerAddress" => !value.contains([' ', '"']),
        "NTPMessage" => value.starts_with('{'),
        "Frequency" => false,
        _ => true,
    })
}

#[derive(Default)]
struct Show {
    server: Server,
    name: String,
}

impl Block for Show {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((name, value)) = property(line.text) else { return Taken::No };
        self.server.origin.get_or_insert(line.at.origin);
        self.hear(name, value, line.at, rows).map_or_else(Taken::Rejected, |()| Taken::Yes)
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        self.server.give(rows);
    }
}

impl Show {
    fn hear(&mut self, name: &str, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        match name {
            "ServerAddress" if !value.is_empty() => {
                value.clone_into(&mut self.server.source);
                variable(rows, at, value, "ServerName", &self.name);
            }
            // The name comes first, and stands for the source where no address was found.
            "ServerName" => {
                value.clone_into(&mut self.name);
                value.clone_into(&mut self.server.source);
            }
            "PollIntervalUSec" => {
                let poll_s = span_s(value).ok_or_else(|| format!("{name} `{value}` is not a time span"))?;
                self.server.poll_s = Some(poll_s);
            }
            "NTPMessage" => self.message(value, at, rows)?,
            "Frequency" => {
                let digits = value.strip_prefix('-').unwrap_or(value);
                let steps = integer(digits).and_then(|_| number(value));
                let steps = steps.ok_or_else(|| format!("frequency `{value}` is not a whole number"))?;
                self.server.frequency_ppm = Some(steps / STEPS_PER_PPM);
            }
            _ => variable(rows, at, "", name, value),
        }
        Ok(())
    }

    /// `{ Leap=0, Version=4, …, Ignored=no, PacketCount=620, Jitter=1.118ms }`; before systemd 246 without the comma
    /// after `Ignored`.
    fn message(&mut self, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let inner = value.strip_prefix('{').and_then(|value| value.strip_suffix('}'));
        let inner = inner.ok_or("an NTPMessage stands in braces")?;
        let server = &mut self.server;
        for item in inner.split(',').flat_map(|item| item.split(" PacketCount=").enumerate()) {
            let (name, value) = match item {
                (0, item) => item.trim().split_once('=').unwrap_or_default(),
                (_, count) => ("PacketCount", count),
            };
            let value = value.trim();
            let span = || span_s(value).ok_or_else(|| format!("{name} `{value}` is not a time span"));
            match name {
                "Leap" => variable(rows, at, &server.source, "leap", value),
                "Stratum" => server.stratum(value)?,
                "RootDelay" => server.root_delay_s = Some(span()?),
                "RootDispersion" => server.root_dispersion_s = Some(span()?),
                "Reference" => value.clone_into(&mut server.refid),
                // Whole seconds, in the zone of the host: not enough for an offset.
                "OriginateTimestamp" | "ReceiveTimestamp" | "TransmitTimestamp" | "DestinationTimestamp" => {
                    variable(rows, at, &server.source, name, value);
                }
                "Ignored" => server.accepted = Some(value != "yes"),
                "PacketCount" => server.count(value, at, rows)?,
                "Jitter" => server.jitter_s = Some(span()?),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{counters, peers, read};

    fn clocks(text: &str) -> Vec<String> {
        read(text).0.iter().filter_map(|row| row.strip_prefix("clock ").map(str::to_owned)).collect()
    }

    #[test]
    fn the_offset_of_timesyncd_is_reference_minus_local_and_its_frequency_the_kernels() {
        let text = "       Server: 192.0.2.1 (ntp.example)\nPoll interval: 34min 8s (min: 32s; max 34min 8s)\n         Leap: normal\n\
                    \x20     Version: 4\n      Stratum: 2\n    Reference: C0000207\n    Precision: 1us (-24)\n\
                    Root distance: 40.580ms (max: 5s)\n       Offset: -1.087495s\n        Delay: 2.156880s\n\
                    \x20      Jitter: 2.300948s\n Packet count: 620\n    Frequency: +48,508ppm\n";
        let want = "source=192.0.2.1 refid=C0000207 stratum=2 poll_s=2048 offset_s=-1.087495 delay_s=2.15688 jitter_s=2.300948";
        assert_eq!(peers(text), [want]);
        // The kernel runs the clock faster by as much, so that the oscillator is slow: ntpd's sign.
        assert_eq!(clocks(text), ["source=192.0.2.1 frequency_ppm=48.508"]);
        assert_eq!(counters(text), ["subject=192.0.2.1 name=source_valid value=620"]);
        assert_eq!(read(text).1.len(), 0);
        let none = "       Server: n/a (ntp.example)\nPoll interval: 0 (min: 32s; max 34min 8s)\n Packet count: 0\n";
        assert_eq!(peers(none), ["source=ntp.example"]);
    }

    #[test]
    fn show_timesync_is_the_same_for_programs() {
        let text = |comma| {
            format!(
                "SystemNTPServers=192.0.2.1\nServerName=ntp.example\nServerAddress=192.0.2.1\nPollIntervalUSec=1min 4s\n\
                 NTPMessage={{ Leap=0, Version=4, Mode=4, Stratum=2, Precision=-21, RootDelay=177.398ms, \
                 RootDispersion=142.196ms, Reference=C0000207, OriginateTimestamp=Mon 2026-11-23 10:00:00 UTC, \
                 ReceiveTimestamp=Mon 2026-11-23 10:00:00 UTC, Ignored=no{comma} PacketCount=11, Jitter=1.5ms }}\n\
                 Frequency=-3276800\n"
            )
        };
        for text in [text(""), text(",")] {
            let want = "source=192.0.2.1 accepted=true refid=C0000207 stratum=2 poll_s=64 jitter_s=0.0015 root_delay_s=0.177398 \
                        root_dispersion_s=0.142196";
            assert_eq!(peers(&text), [want]);
            assert_eq!(clocks(&text), ["source=192.0.2.1 frequency_ppm=-50"]);
            assert_eq!(counters(&text), ["subject=192.0.2.1 name=source_valid value=11"]);
            assert_eq!(read(&text).1.len(), 0);
        }
        assert_eq!(read("ServerName=x\nNTPMessage={ Stratum=99 }").1, ["line 2: stratum `99` is not 0 to 16"]);
    }
}
