//! Cisco's `show ntp associations detail`: a page for each source, printed alike by IOS, IOS-XE, IOS-XR, ASA and
//! Brocade's FastIron.
//!
//! The pages pin the sign of Cisco's offsets. They print the originate and receive time stamps of the last packet, as
//! ntpd keeps them: the server's transmit time, and the local time at which it came. `org AFE252E2.3AC0E887`,
//! `rcv AFE252E2.3D7E464D`, delay 4.23 ms: org − rcv + delay/2 is −8.6 ms, and −8.59 ms is what the page says. So
//! they are reference − local.

use super::{Answer, is_source, kept, leading, seconds, stamp, stratum, variable};
use crate::model::{Counter, Event, Peer, Row, What};
use crate::text::field::answered;
use crate::text::{Block, Form, Line, Taken};

/// `show ntp associations detail`.
pub const ASSOCIATIONS_DETAIL: Form = Form {
    name: "show ntp associations detail",
    opens: |line| super::asked(line, COMMANDS) || first_line(line).is_some(),
    block: || Answer::to(COMMANDS, Pages::default()),
};

const COMMANDS: &[&str] = &["show ntp associations detail"];

/// `192.0.2.1 configured, our_master, sane, valid, stratum 3`: the source, its states, and its stratum.
fn first_line(line: &str) -> Option<(&str, &str, &str)> {
    let (source, rest) = line.trim_start().split_once(' ').filter(|(source, _)| is_source(source))?;
    let (states, stratum) = rest.rsplit_once(", stratum ").or_else(|| rest.rsplit_once(",stratum "))?;
    let states = states.trim();
    // IOS-XR: `192.0.2.1 vrf RED configured, …`.
    let known = states.split([' ', ',']).any(|word| matches!(word, "configured" | "dynamic" | "server" | "peer"));
    known.then_some((source, states, stratum.trim()))
}

/// The mark for a source's states: newer IOS prints it (`authenticated ('+' candidate)`), older words are those of its
/// legend. A `candidate` without a mark is `-` of an old legend or `+` of a newer, so it is nothing.
fn tally(states: &str) -> Option<char> {
    if let Some((_, quoted)) = states.split_once("('") {
        return quoted.chars().next();
    }
    states.split([',', ' ']).find_map(|state| match state {
        "our_master" | "master" | "sys_peer" | "sys.peer" => Some('*'),
        "selected" => Some('+'),
        "outlyer" | "outlier" => Some('-'),
        "falseticker" | "falsetick" => Some('x'),
        "reject" => Some(' '),
        _ => None,
    })
}

fn accepted(states: &str) -> Option<bool> {
    let mut words = states.split([',', ' ']);
    let bad = words.clone().any(|word| matches!(word, "insane" | "invalid"));
    let good = words.any(|word| matches!(word, "sane" | "valid"));
    (bad || good).then_some(!bad)
}

/// What the value behind a label is.
#[derive(Clone, Copy)]
enum Field {
    RefId,
    Poll,
    RootDelay,
    RootDispersion,
    Reach,
    Delay,
    Offset,
    Dispersion,
    Jitter,
    Stamp(&'static str),
    Variable(&'static str),
    Counter(Counter),
    Known,
}

/// Labels, the longer before those that they begin with.
const FIELDS: &[(&str, Field)] = &[
    ("ref ID ", Field::RefId),
    ("time ", Field::Stamp("reftime")),
    ("our mode ", Field::Variable("our_mode")),
    ("peer mode ", Field::Variable("peer_mode")),
    ("our poll intvl ", Field::Poll),
    ("peer poll intvl ", Field::Variable("peer_poll_s")),
    ("root delay ", Field::RootDelay),
    ("root disp ", Field::RootDispersion),
    ("reach ", Field::Reach),
    ("sync dist ", Field::Variable("rootdist")),
    ("delay ", Field::Delay),
    ("offset ", Field::Offset),
    ("dispersion ", Field::Dispersion),
    ("jitter ", Field::Jitter),
    ("precision ", Field::Variable("precision")),
    ("version ", Field::Variable("packet_version")),
    ("assoc id ", Field::Variable("associd")),
    ("assoc ID ", Field::Variable("associd")),
    ("assoc name ", Field::Variable("srchost")),
    ("assoc in packets ", Field::Counter(Counter::Received)),
    ("assoc out packets ", Field::Counter(Counter::SourceSent)),
    ("assoc error packets ", Field::Variable("error_packets")),
    ("org time ", Field::Stamp("org")),
    ("rec time ", Field::Stamp("rec")),
    ("rcv time ", Field::Stamp("rec")),
    ("xmt time ", Field::Stamp("xmt")),
    ("minpoll = ", Field::Variable("minpoll")),
    ("maxpoll = ", Field::Variable("maxpoll")),
    // Eight numbers each; the best of them is already the source's own.
    ("filtdelay", Field::Known),
    ("filtoffset", Field::Known),
    ("filterror", Field::Known),
    ("filtdisp", Field::Known),
    ("filter delay", Field::Known),
    ("filter offset", Field::Known),
    ("filter error", Field::Known),
    ("filter disp", Field::Known),
];

#[derive(Default)]
struct Pages {
    open: Option<Page>,
}

/// A source of which more lines may follow.
struct Page {
    source: String,
    refid: String,
    peer: Peer<'static>,
}

impl Block for Pages {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() {
            return Taken::Yes;
        }
        if let Some((source, states, st)) = first_line(line.text) {
            self.end(rows);
            let Some(st) = stratum(st) else {
                return Taken::Rejected(format!("stratum `{st}` is not 0 to 16"));
            };
            variable(rows, line.at, source, "condition", states);
            let peer = Peer {
                stratum: Some(st),
                tally: tally(states),
                accepted: accepted(states),
                ..Peer::new(kept(line.at), "")
            };
            self.open = Some(Page { source: source.to_owned(), refid: String::new(), peer });
            return Taken::Yes;
        }
        let Some(page) = &mut self.open else { return Taken::No };
        let mut met = false;
        for piece in line.text.split(',').map(str::trim_start) {
            let known = FIELDS.iter().find_map(|(label, field)| Some((label, field, piece.strip_prefix(label)?)));
            let Some((label, field, value)) = known else { continue };
            met = true;
            if page.field(*field, value.trim(), line, rows).is_none() {
                return Taken::Rejected(format!("{label}`{}` is not a number that it can have", value.trim()));
            }
        }
        if met { Taken::Yes } else { Taken::No }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(Page { source, refid, peer }) = self.open.take() else { return };
        let answered = answered(peer.reach, peer.delay_s, peer.offset_s);
        let answered = |value: Option<f64>| value.filter(|_| answered);
        rows(Row::Peer(Peer {
            source: &source,
            refid: &refid,
            offset_s: answered(peer.offset_s),
            delay_s: answered(peer.delay_s),
            dispersion_s: answered(peer.dispersion_s),
            jitter_s: answered(peer.jitter_s),
            root_delay_s: answered(peer.root_delay_s),
            root_dispersion_s: answered(peer.root_dispersion_s),
            ..peer
        }));
    }
}

impl Page {
    fn field(&mut self, field: Field, value: &str, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
        let first = value.split_ascii_whitespace().next().unwrap_or_default();
        let source = self.source.as_str();
        match field {
            Field::RefId => first.clone_into(&mut self.refid),
            Field::Poll => self.peer.poll_s = Some(leading(value)?),
            Field::Reach => self.peer.reach = Some(u8::from_str_radix(first, 8).ok()?),
            // Milliseconds, with or without the word.
            Field::RootDelay => self.peer.root_delay_s = Some(seconds(value)?),
            Field::RootDispersion => self.peer.root_dispersion_s = Some(seconds(value)?),
            Field::Delay => self.peer.delay_s = Some(seconds(value)?),
            Field::Offset => self.peer.offset_s = Some(seconds(value)?),
            Field::Dispersion => self.peer.dispersion_s = Some(seconds(value)?),
            Field::Jitter => self.peer.jitter_s = Some(seconds(value)?),
            Field::Stamp(name) => variable(rows, line.at, source, name, stamp(value).unwrap_or_default()),
            Field::Variable(name) => variable(rows, line.at, source, name, first),
            Field::Counter(name) => {
                let value = first.parse().ok()?;
                let what = What::Counter { association: source, name, value, over_s: None };
                rows(Row::Event(Event { at: line.at, what }));
            }
            Field::Known => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, variables};

    #[test]
    fn an_offset_is_what_the_time_stamps_of_the_page_give() {
        // The numbers that Cisco's manual prints for one source; see the head of this file.
        let page = "192.0.2.2 configured, insane, invalid, stratum 5\n\
                    root delay 137.77 msec, root disp 142.75, reach 376, sync dist 215.363\n\
                    delay 4.23 msec, offset -8.587 msec, dispersion 1.62\n\
                    org time AFE252E2.3AC0E887 (00:12:34.229 PDT Mon Jul 5 1993)\n\
                    rcv time AFE252E2.3D7E464D (00:12:34.240 PDT Mon Jul 5 1993)\n";
        let fraction = |name: &str| {
            let said = variables(page).into_iter().find(|said| said.contains(&format!("name={name} ")));
            let (_, hex) =
                said.expect("the stamp").rsplit_once('.').map(|(a, b)| (a.len(), b.to_owned())).expect("a dot");
            f64::from(u32::from_str_radix(&hex, 16).expect("hex")) / f64::from(u32::MAX)
        };
        // T3 − T4 + delay/2, of a request that takes as long as its answer.
        let measured = fraction("org") - fraction("rec") + 0.004_23 / 2.0;
        assert!((measured - -0.0085).abs() < 0.0002, "{measured}");
        assert_eq!(
            peers(page),
            ["source=192.0.2.2 accepted=false stratum=5 reach=376 offset_s=-0.008587 delay_s=0.00423 \
              dispersion_s=0.00162 root_delay_s=0.13777 root_dispersion_s=0.14275"]
        );
    }

    #[test]
    fn marks_are_printed_or_follow_from_the_states() {
        let tallies = [
            ("configured, ipv4, authenticated ('x' falsetick), sane, valid", Some('x')),
            ("configured, our_master, sane, valid", Some('*')),
            ("configured, selected, sane, valid", Some('+')),
            ("configured, candidate, sane, valid", None),
        ];
        for (states, tally) in tallies {
            assert_eq!(super::tally(states), tally, "{states}");
        }
    }
}
