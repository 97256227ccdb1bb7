//! `ntpdate -d`: what was sent and received, then a page for each server.

use super::super::field::number;
use super::super::{Block, Form, Line, Taken};
use super::{leap, stamp, stratum, variable};
use crate::model::{At, Event, Happening, Message, Peer, Row, What};

/// `ntpdate -d`, which sets nothing and tells everything.
pub const DEBUG: Form = Form {
    name: "ntpdate -d",
    opens: |line| page(line).is_some() || step(line).is_some() || dropped(line).is_some(),
    block: || Box::new(Debug::default()),
};

/// `server 192.0.2.1, port 123`, with which a page begins.
fn page(line: &str) -> Option<&str> {
    let (server, port) = line.strip_prefix("server ")?.split_once(", port ")?;
    (!server.contains(' ') && port.parse::<u16>().is_ok()).then_some(server)
}

/// `transmit(192.0.2.1)`, `receive(192.0.2.1)`; and a name that was looked for, of which no server is known yet.
fn step(line: &str) -> Option<&str> {
    if line.starts_with("Looking for host ") && line.ends_with(" and service ntp") {
        return Some("");
    }
    let server = line.strip_prefix("transmit(").or_else(|| line.strip_prefix("receive("))?.strip_suffix(')')?;
    (!server.is_empty() && !server.contains([' ', ','])).then_some(server)
}

/// `192.0.2.1: Server dropped: strata too high`: the server, and why.
fn dropped(line: &str) -> Option<(&str, &str)> {
    let (server, reason) = line.split_once(": Server dropped: ")?;
    (!server.is_empty() && !server.contains(' ')).then_some((server, reason))
}

/// What stands between these and says nothing more.
fn is_known(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("host found : ")
        || line.starts_with("transmitted ")
        || line.contains(" reversed to ")
        || line.starts_with("filter delay:")
        || line.starts_with("filter offset:")
        || is_samples(line)
}

/// The second half of a filter's eight samples, alone on its line; unused ones are zeros, or from ntpd 4.2.8 on rules.
fn is_samples(line: &str) -> bool {
    line.starts_with([' ', '\t']) && line.split_whitespace().all(|word| word == "----" || number(word).is_some())
}

#[derive(Default)]
struct Debug {
    /// Whose packets were met last.
    server: String,
    open: Option<Page>,
}

struct Page {
    server: String,
    refid: String,
    peer: Peer<'static>,
}

impl Block for Debug {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(server) = page(line.text).or_else(|| step(line.text)) {
            self.end(rows);
            server.clone_into(&mut self.server);
            return Taken::Yes;
        }
        if let Some((source, text)) = dropped(line.text) {
            let silent = text.starts_with("no data");
            let kind = if silent { Happening::Network } else { Happening::Unsynchronised };
            let message = Message { program: "ntpdate", kind, source, value: None, text };
            rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
            return Taken::Yes;
        }
        if is_known(line.text) {
            return Taken::Yes;
        }
        let stamps = [("reference time:", "reftime"), ("originate timestamp:", "org"), ("transmit timestamp:", "xmt")];
        let named = stamps.iter().find_map(|(label, name)| Some((name, line.text.strip_prefix(label)?.trim_start())));
        if let Some((name, value)) = named {
            // `(no time)`, or zeros.
            if let Some(value) = value.split(' ').next().filter(|word| stamp(word).is_some()) {
                variable(rows, line.at, &self.server, name, value);
            }
            return Taken::Yes;
        }
        let opens = line.text.starts_with("stratum ");
        if self.server.is_empty() || !(opens || self.open.is_some()) {
            return Taken::No;
        }
        let server = &self.server;
        let page = self.open.get_or_insert_with(|| Page {
            server: server.clone(),
            refid: String::new(),
            peer: Peer::new(At::origin(line.at.origin), ""),
        });
        let mut met = false;
        for piece in line.text.split(", ") {
            match page.hear(piece, line.at, rows) {
                Some(Ok(())) => met = true,
                Some(Err(label)) => return Taken::Rejected(format!("{label} in `{piece}` is not what it can be")),
                None => {}
            }
        }
        if met { Taken::Yes } else { Taken::No }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(Page { server, refid, peer }) = self.open.take() else { return };
        // Zeros stand for a server that did not answer; one that did has a stratum.
        let zero = |value: Option<f64>| value.is_none_or(|value| value == 0.0);
        let answered = peer.stratum != Some(0) || !zero(peer.offset_s) || !zero(peer.delay_s);
        let answered = |value: Option<f64>| value.filter(|_| answered);
        rows(Row::Peer(Peer {
            source: &server,
            refid: &refid,
            stratum: peer.stratum.filter(|stratum| *stratum > 0),
            offset_s: answered(peer.offset_s),
            delay_s: answered(peer.delay_s),
            dispersion_s: answered(peer.dispersion_s),
            root_delay_s: answered(peer.root_delay_s),
            root_dispersion_s: answered(peer.root_dispersion_s),
            ..peer
        }));
    }
}

impl Page {
    /// One label and its value; `None` where it is unknown, the label where its value is not what it must be.
    fn hear(&mut self, piece: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<Result<(), &'static str>> {
        let (label, value) = piece.rsplit_once(' ')?;
        let seconds = number(value);
        let (known, said) = match label {
            "stratum" => {
                self.peer.stratum = stratum(value);
                ("stratum", self.peer.stratum.is_some())
            }
            "refid" => {
                value.trim_start_matches('[').trim_end_matches(']').clone_into(&mut self.refid);
                ("refid", true)
            }
            "leap" => {
                let leap = leap(value);
                leap.iter().for_each(|leap| variable(rows, at, &self.server, "leap", &leap.to_string()));
                ("leap", leap.is_some())
            }
            "precision" | "trust" => ("precision", true),
            // Half of (T2 − T1) + (T3 − T4): reference − local (ntpdate.c, `receive`).
            "offset" => ("offset", set(&mut self.peer.offset_s, seconds)),
            "delay" => ("delay", set(&mut self.peer.delay_s, seconds)),
            "dispersion" => ("dispersion", set(&mut self.peer.dispersion_s, seconds)),
            "root delay" => ("root delay", set(&mut self.peer.root_delay_s, seconds)),
            "root dispersion" => ("root dispersion", set(&mut self.peer.root_dispersion_s, seconds)),
            _ => return None,
        };
        Some(said.then_some(()).ok_or(known))
    }
}

fn set(to: &mut Option<f64>, value: Option<f64>) -> bool {
    *to = value;
    value.is_some()
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{peers, read};

    #[test]
    fn pages_of_both_ages_are_read() {
        let old = "Looking for host 192.0.2.1 and service ntp\nhost found : ntp.example\ntransmit(192.0.2.1)\n\
                   receive(192.0.2.1)\n192.0.2.1: Server dropped: strata too high\nserver 192.0.2.1, port 123\n\
                   stratum 16, precision -23, leap 11, trust 000\nrefid [192.0.2.9], delay 0.02611, dispersion 0.00015\n\
                   transmitted 4, in filter 4\nreference time:    00000000.00000000  Thu, Feb  7 2036 14:28:16.000\n\
                   originate timestamp: eead3614.482e62ca  Sun, Nov 22 2026  9:36:20.281\n\
                   filter delay:  0.02818  0.02623  0.02625  0.02611 \n         0.00000  0.00000  0.00000  0.00000 \n\
                   filter offset: 0.000990 0.000144 -0.00004 0.000109\n         0.000000 0.000000 0.000000 0.000000\n\
                   delay 0.02611, dispersion 0.00015\noffset -0.000109\n\n";
        let want =
            "source=192.0.2.1 refid=192.0.2.9 stratum=16 offset_s=-0.000109 delay_s=0.02611 dispersion_s=0.00015";
        assert_eq!(peers(old), [want]);
        let (rows, rejects, forms) = read(old);
        assert_eq!((rejects.len(), forms), (0, vec!["ntpdate -d"]));
        assert_eq!(rows[0], "message who=ntpdate subject=192.0.2.1 name=unsynchronised text=strata too high");
        assert!(rows.contains(&"variable subject=192.0.2.1 name=org text=eead3614.482e62ca".to_owned()));
        let new = "server 192.0.2.1, port 123\nstratum 5, precision -23, leap 00, trust 000\n\
                   refid [86.77.84.80], root delay 0.000160, root dispersion 0.010117\n\
                   filter delay:  0.02638    0.02625    ----       ----      \n               ----       ----\n\
                   delay 0.02625, dispersion 0.00003, offset +0.010501\n\nserver 192.0.2.2, port 123\n\
                   stratum 0, precision 0, leap 00, trust 000\ndelay 0.00000, dispersion 64.00000, offset 0.000000\n";
        let want = [
            "source=192.0.2.1 refid=86.77.84.80 stratum=5 offset_s=0.010501 delay_s=0.02625 dispersion_s=0.00003 \
             root_delay_s=0.00016 root_dispersion_s=0.010117",
            "source=192.0.2.2",
        ];
        assert_eq!(peers(new), want);
        assert_eq!(read("server 192.0.2.1, port 123\nstratum many, leap 00\n").1.len(), 1);
    }
}
