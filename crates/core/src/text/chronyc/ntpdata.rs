//! `chronyc ntpdata`: the last packet of each source, and how many were sent and received.

use super::{first_fields, first_word, gauge, in_parentheses, labelled, leading_number, poll_s, stratum, variable};
use crate::model::{At, Counter, Event, Origin, Peer, Row, What};
use crate::text::{Block, Form, Line, Taken};
use std::net::IpAddr;

/// `chronyc ntpdata`, chrony 3.0 and later.
pub(super) const NTPDATA: Form = Form {
    name: "chronyc ntpdata",
    opens: |line| opens(line) || is_fields(line),
    block: || Box::new(Ntpdata::default()),
};

/// The first label of a source.
const REMOTE: &str = "Remote address";

/// `Remote address  : 192.0.2.1 (C0000201)`
fn opens(line: &str) -> bool {
    labelled(line).is_some_and(|(label, value)| label == REMOTE && first_word(value).parse::<IpAddr>().is_ok())
}

/// The labels, in the order of the report and of `-c`, and how many values `-c` has for each.
const LABELS: [(&str, usize); 30] = [
    (REMOTE, 2),
    ("Remote port", 1),
    ("Local address", 2),
    ("Leap status", 1),
    ("Version", 1),
    ("Mode", 1),
    ("Stratum", 1),
    ("Poll interval", 2),
    ("Precision", 2),
    ("Root delay", 1),
    ("Root dispersion", 1),
    ("Reference ID", 2),
    ("Reference time", 1),
    ("Offset", 1),
    ("Peer delay", 1),
    ("Peer dispersion", 1),
    ("Response time", 1),
    ("Jitter asymmetry", 1),
    ("NTP tests", 3),
    ("Interleaved", 1),
    ("Authenticated", 1),
    ("TX timestamping", 1),
    ("RX timestamping", 1),
    ("Total TX", 1),
    ("Total RX", 1),
    ("Total valid RX", 1),
    // chrony 4.3
    ("Total good RX", 1),
    // chrony 4.4
    ("Total kernel TX", 1),
    ("Total kernel RX", 1),
    ("Total HW TX", 1),
];

/// Values of `-c` until chrony 4.2.
const FEWEST_FIELDS: usize = 33;

fn is_fields(line: &str) -> bool {
    let Some(([remote, refid, port, local, _, _, version], rest)) = first_fields::<7>(line) else { return false };
    remote.parse::<IpAddr>().is_ok()
        && refid.len() == 8
        && port.parse::<u16>().is_ok()
        && local.parse::<IpAddr>().is_ok()
        && version.parse::<u8>().is_ok()
        && rest.count() + 7 >= FEWEST_FIELDS
}

#[derive(Default)]
struct Ntpdata {
    /// Where the source began.
    origin: Option<Origin>,
    said: Said,
}

/// What was said about one source.
#[derive(Default)]
struct Said {
    remote: String,
    refid: String,
    /// Whether `Reference ID` was met: the next one begins a `tracking`.
    referred: bool,
    /// Whether anything was ever received; without it all is zero.
    heard: bool,
    accepted: Option<bool>,
    stratum: Option<u8>,
    poll_s: Option<f64>,
    offset_s: Option<f64>,
    delay_s: Option<f64>,
    dispersion_s: Option<f64>,
    root_delay_s: Option<f64>,
    root_dispersion_s: Option<f64>,
}

impl Block for Ntpdata {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_fields(line.text) {
            self.end(rows);
            let taken = self.fields(line, rows);
            self.end(rows);
            return taken;
        }
        // A blank line stands between sources, and before whatever the next command prints.
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        if label == REMOTE {
            self.end(rows);
            self.origin = Some(line.at.origin);
        }
        // A later chrony may count more.
        let known = LABELS.iter().any(|(name, _)| *name == label) || label.starts_with("Total ");
        if !known || (label == "Reference ID" && self.said.referred) {
            return Taken::No;
        }
        match self.said.hear(label, value, line.at, rows) {
            Ok(()) => Taken::Yes,
            Err(reason) => Taken::Rejected(reason),
        }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(&mut self.said);
        if let Some(origin) = self.origin.take() {
            rows(Row::Peer(said.peer(At::origin(origin))));
        }
    }
}

impl Ntpdata {
    fn fields(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        self.origin = Some(line.at.origin);
        let mut fields = line.text.split(',');
        let mut reason = None;
        for (label, count) in LABELS {
            let Some(first) = fields.next() else { break };
            let more: Vec<_> = fields.by_ref().take(count - 1).collect();
            let joined;
            let value = match (label, more.as_slice()) {
                ("Reference ID", [name]) => {
                    joined = format!("{first} ({name})");
                    joined.as_str()
                }
                ("NTP tests", [second, third]) => {
                    joined = format!("{first} {second} {third}");
                    joined.as_str()
                }
                _ => first,
            };
            reason = self.said.hear(label, value, line.at, rows).err().or(reason);
        }
        reason.map_or(Taken::Yes, Taken::Rejected)
    }
}

impl Said {
    fn hear(&mut self, label: &str, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let number = || leading_number(value).ok_or_else(|| format!("{label} `{value}` is not a number"));
        match label {
            REMOTE => {
                // `192.0.2.1 (C0000201)`
                first_word(value).clone_into(&mut self.remote);
                variable(rows, at, &self.remote, "srcadr", &self.remote);
            }
            "Local address" => variable(rows, at, &self.remote, "dstadr", first_word(value)),
            "Mode" => self.heard = value != "Invalid",
            "Leap status" => variable(rows, at, &self.remote, "leap", value),
            "Stratum" => {
                let read = stratum(value).ok_or_else(|| format!("stratum `{value}` is not 0 to 16"))?;
                self.stratum = Some(read);
            }
            "Poll interval" => {
                // `6 (64 seconds)`
                let log = first_word(value);
                log.parse::<i8>().map_err(|_| format!("poll `{value}` is not the logarithm of an interval"))?;
                // It is what the packet said, and a server may say anything.
                self.poll_s = poll_s(log);
            }
            "Root delay" => self.root_delay_s = Some(number()?),
            "Root dispersion" => self.root_dispersion_s = Some(number()?),
            "Reference ID" => {
                // `47505300 (GPS)`; from stratum 2 on there is no name.
                self.referred = true;
                let name = in_parentheses(value);
                let refid = if name.is_empty() { first_word(value) } else { name };
                refid.clone_into(&mut self.refid);
            }
            "Reference time" => variable(rows, at, &self.remote, "reftime", value),
            // reference − local already: chronyd's NTP side computes RFC 5905's θ (`ntp_core.c`), and only turns the
            // sign for its own statistics. So `sources` prints +714ns where `ntpdata` prints -0.000000714.
            "Offset" => self.offset_s = Some(number()?),
            "Peer delay" => self.delay_s = Some(number()?),
            "Peer dispersion" => self.dispersion_s = Some(number()?),
            "Response time" if self.heard => gauge(rows, at, &self.remote, "response_time_s", number()?),
            "Jitter asymmetry" if self.heard => gauge(rows, at, &self.remote, "jitter_asymmetry", number()?),
            "NTP tests" => {
                // RFC 5905's tests 1–3 and 5–7, then chronyd's own A–D.
                variable(rows, at, &self.remote, "tests", value);
                let bits = value.bytes().filter(|byte| *byte != b' ');
                self.accepted = Some(bits.clone().all(|bit| bit == b'1')).filter(|_| bits.count() == 10);
            }
            "Interleaved" => variable(rows, at, &self.remote, "interleaved", value),
            "Authenticated" => variable(rows, at, &self.remote, "authenticated", value),
            "TX timestamping" => variable(rows, at, &self.remote, "tx_timestamping", value),
            "RX timestamping" => variable(rows, at, &self.remote, "rx_timestamping", value),
            "Total TX" => self.count(Counter::SourceSent, value, at, rows)?,
            "Total RX" => {
                let count = number()?;
                gauge(rows, at, &self.remote, "received_packets", count);
            }
            "Total valid RX" => self.count(Counter::SourceValid, value, at, rows)?,
            "Total good RX" => {
                let count = number()?;
                gauge(rows, at, &self.remote, "good_packets", count);
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&self, name: Counter, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        let value = value.parse().map_err(|_| format!("`{value}` is not a count"))?;
        let what = What::Counter { association: &self.remote, name, value, over_s: None };
        rows(Row::Event(Event { at, what }));
        Ok(())
    }

    fn peer<'a>(&'a self, at: At<'a>) -> Peer<'a> {
        if !self.heard {
            return Peer::new(at, &self.remote);
        }
        // A reply that failed the first tests is not measured: its offset, delay and dispersion are all zero.
        let zero = |value: Option<f64>| value.is_none_or(|value| value == 0.0);
        let measured = !(zero(self.offset_s) && zero(self.delay_s) && zero(self.dispersion_s));
        Peer {
            accepted: self.accepted,
            refid: &self.refid,
            stratum: self.stratum,
            poll_s: self.poll_s,
            offset_s: self.offset_s.filter(|_| measured),
            delay_s: self.delay_s.filter(|_| measured),
            dispersion_s: self.dispersion_s.filter(|_| measured),
            root_delay_s: self.root_delay_s,
            root_dispersion_s: self.root_dispersion_s,
            ..Peer::new(at, &self.remote)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{counters, peers, read, variables};

    #[test]
    fn ntpdata_counts_for_its_source_and_tracking_may_follow() {
        let text = "\nRemote address  : 192.0.2.2 (C0000202)\nLocal address   : 198.51.100.3 (C6336403)\n\
                    Mode            : Server\nStratum         : 2\nPoll interval   : 3 (8 seconds)\n\
                    Reference ID    : 7F7F0100 ()\nOffset          : -0.000000714 seconds\n\
                    Peer delay      : 0.000048558 seconds\nNTP tests       : 111 111 1110\n\
                    Total TX        : 52\nTotal RX        : 41\nTotal valid RX  : 40\n\n\
                    Remote address  : 192.0.2.9 (C0000209)\nMode            : Invalid\nStratum         : 0\nTotal TX        : 3\n\n\
                    Reference ID    : C0000202 (ntp.example)\nStratum         : 3\nLeap status     : Normal\n";
        let want = ["192.0.2.2 name=source_sent value=52", "192.0.2.2 name=source_valid value=40"];
        let want: Vec<_> = want.iter().map(|row| format!("subject={row}")).collect();
        assert_eq!(counters(text)[..2], want);
        assert_eq!(counters(text)[2], "subject=192.0.2.9 name=source_sent value=3");
        // The same packet is +714ns in `chronyc sources` of that daemon (shared case a01, host c2).
        let want = [
            "source=192.0.2.2 accepted=false refid=7F7F0100 stratum=2 poll_s=8 offset_s=-7.14e-7 delay_s=0.000048558",
            "source=192.0.2.9",
        ];
        assert_eq!(peers(text), want);
        let got = variables(text);
        assert_eq!(got[0], "subject=192.0.2.2 name=srcadr text=192.0.2.2");
        assert_eq!(got[1], "subject=192.0.2.2 name=dstadr text=198.51.100.3");
        assert_eq!(got.last().map(String::as_str), Some("name=leap text=Normal"));
        assert_eq!((read(text).1.len(), read(text).2), (0, vec!["chronyc ntpdata", "chronyc tracking"]));
    }

    #[test]
    fn comma_separated_values_are_the_same_with_33_fields_or_more() {
        let text = "192.0.2.2,C0000202,123,198.51.100.3,C6336403,Normal,4,Server,2,3,8,-24,0.00000006,0.0,0.9,7F7F0100,,\
                    1795339457.8,-0.000003,0.00009,0.00000008,0.00009,0.50,111,111,1111,No,No,Kernel,Kernel,24,23,22";
        for text in [text.to_owned(), format!("{text},21"), format!("{text},21,1,2,3,4")] {
            let want = ["source_sent value=24", "source_valid value=22"];
            let want: Vec<_> = want.iter().map(|row| format!("subject=192.0.2.2 name={row}")).collect();
            assert_eq!(counters(&text), want);
            let want = "source=192.0.2.2 accepted=true refid=7F7F0100 stratum=2 poll_s=8 offset_s=-3e-6 delay_s=0.00009 \
                        dispersion_s=8e-8 root_delay_s=0 root_dispersion_s=0.9";
            assert_eq!(peers(&text), [want]);
            assert_eq!(read(&text).1.len(), 0);
        }
    }
}
