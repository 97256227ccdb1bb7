//! `show ntp associations`, `status` and `statistics` of OpenSwitch and of Aruba's AOS-CX, which came of it: ntpq's columns,
//! more or fewer of them.

use super::billboard::words_are;
use super::{interval_s, kept, leading, stratum, variable};
use crate::model::{Clock, Counter, Event, Peer, Row, What};
use crate::text::field::number;
use crate::text::{Block, Form, Line, Taken, is_rule};

/// `show ntp associations`.
pub const ASSOCIATIONS: Form = Form {
    name: "show ntp associations (AOS-CX)",
    opens: |line| columns(line).is_some(),
    block: || Box::new(Associations { long: false }),
};

const SHORT: [&str; 8] = ["ID", "NAME", "REMOTE", "REF-ID", "ST", "LAST", "POLL", "REACH"];
const LONG: [&str; 14] =
    ["ID", "NAME", "REMOTE", "VER", "KEYID", "REF-ID", "ST", "T", "LAST", "POLL", "REACH", "DELAY", "OFFSET", "JITTER"];

/// Whether a header has the columns of OpenSwitch; `None` where it is none.
fn columns(line: &str) -> Option<bool> {
    let long = words_are(line, &LONG);
    (long || words_are(line, &SHORT)).then_some(long)
}

struct Associations {
    long: bool,
}

impl Block for Associations {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(long) = columns(line.text) {
            self.long = long;
            return Taken::Yes;
        }
        if line.text.is_empty() || is_rule(line.text) {
            return Taken::Yes;
        }
        let bare = line.text.trim_start();
        let mark = bare.chars().next().filter(|c| "x.-+#*o".contains(*c));
        let rest = mark.and_then(|mark| bare.strip_prefix(mark)).unwrap_or(bare);
        let words: Vec<&str> = rest.split_ascii_whitespace().take(16).collect();
        let (names, cells) = words.split_at(words.len().saturating_sub(if self.long { 12 } else { 6 }));
        let (remote, refid, st, last, poll, reach, measures) = match cells {
            [remote, refid, st, last, poll, reach] => (*remote, *refid, *st, *last, *poll, *reach, ["-"; 3]),
            [remote, _, _, refid, st, _, last, poll, reach, measures @ ..] => {
                let Ok(measures) = <[&str; 3]>::try_from(measures) else { return Taken::No };
                (*remote, *refid, *st, *last, *poll, *reach, measures)
            }
            _ => return Taken::No,
        };
        if names.first().is_none_or(|id| id.parse::<u32>().is_err()) {
            return Taken::No;
        }
        // A source that was never asked has `-` in most columns.
        let (st, last, poll_s) = (said(st, stratum), interval_s(last), said(poll, interval_s));
        let (Some(st), Some(_), Some(poll_s)) = (st, last, poll_s) else {
            return Taken::Rejected("a source needs ST of 0 to 16, LAST and POLL".into());
        };
        let Some(reach) = said(reach, |cell| u8::from_str_radix(cell, 8).ok()) else {
            return Taken::Rejected(format!("reach `{reach}` is not octal 0 to 377"));
        };
        let [Some(delay), Some(offset), Some(jitter)] = measures.map(|cell| said(cell, number)) else {
            return Taken::Rejected("DELAY, OFFSET or JITTER is not a number".into());
        };
        rows(Row::Peer(Peer {
            tally: Some(mark.unwrap_or(' ')),
            refid: if refid == "-" { "" } else { refid },
            stratum: st,
            poll_s,
            reach,
            // ntpd's own, in milliseconds: reference − local.
            offset_s: offset.map(|ms| ms / 1e3),
            delay_s: delay.map(|ms| ms / 1e3),
            jitter_s: jitter.map(|ms| ms / 1e3),
            ..Peer::new(line.at, remote)
        }));
        if let Some(name) = names.last().filter(|name| names.len() > 1 && **name != remote) {
            variable(rows, line.at, remote, "srchost", name);
        }
        Taken::Yes
    }
}

/// `show ntp status`: sentences in OpenSwitch, labels in AOS-CX.
pub const STATUS: Form = Form {
    name: "show ntp status (AOS-CX)",
    opens: |line| matches!(line.trim_end_matches('.'), "NTP is enabled" | "NTP Status Information"),
    block: || Box::new(Status::default()),
};

#[derive(Default)]
struct Status {
    source: String,
    clock: Option<Clock<'static>>,
}

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_end_matches('.');
        if (STATUS.opens)(text) {
            self.end(rows);
            self.clock = Some(Clock::new(kept(line.at)));
            return Taken::Yes;
        }
        let Some(clock) = &mut self.clock else { return Taken::No };
        let known = [
            "NTP authentication is ",
            "Uptime: ",
            "Time accuracy is within ",
            "Reference time: ",
            "NTP Synchronization",
        ];
        if text.is_empty() || known.iter().any(|start| text.starts_with(start)) {
            return Taken::Yes;
        }
        if text.starts_with("Not synchronized with an NTP server") {
            clock.leap = Some(3);
            return Taken::Yes;
        }
        let said = text.strip_prefix("Synchronized to NTP Server ").map(|value| ("NTP Server", value));
        let said = said.or_else(|| text.split_once(" = "));
        let said = said.or_else(|| text.split_once(':').map(|(label, value)| (label.trim_end(), value.trim())));
        match said {
            Some(("NTP Server", value)) => {
                let Some((source, level)) = value.split_once(" at stratum ") else { return Taken::No };
                let Some(level) = stratum(level.trim()) else {
                    return Taken::Rejected(format!("stratum `{level}` is not 0 to 16"));
                };
                source.clone_into(&mut self.source);
                (clock.leap, clock.stratum) = (Some(0), Some(level));
            }
            Some(("Poll interval", value)) => clock.poll_s = leading(value),
            // The accuracy is said to be in seconds, and is the offset in milliseconds without its sign.
            Some((
                "NTP"
                | "NTP DHCP"
                | "NTP Authentication"
                | "NTP Server Connections"
                | "System time"
                | "NTP uptime"
                | "Time accuracy"
                | "Reference time",
                _,
            )) => {}
            _ => return Taken::No,
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some(clock) = self.clock.take() {
            rows(Row::Clock(Clock { source: &self.source, ..clock }));
        }
        self.source.clear();
    }
}

/// `show ntp statistics`: packets received, a label and a count a line; the manual and the switch word them otherwise.
pub const STATISTICS: Form = Form {
    name: "show ntp statistics (AOS-CX)",
    opens: |line| count(line).is_some_and(|(name, _)| name == Counter::Received),
    block: || Box::new(Statistics),
};

const COUNTS: [(&[&str], Counter); 9] = [
    (&["Rx-pkts"], Counter::Received),
    (&["Rx cur ver", "Cur Ver Rx-pkts", "Current Version Rx-pkts"], Counter::CurrentVersion),
    (&["Rx old ver", "Old Ver Rx-pkts", "Old Version Rx-pkts"], Counter::OldVersion),
    (&["Err-pkts", "Error pkts"], Counter::BadFormat),
    (&["Auth-failed-pkts", "Auth-failed pkts"], Counter::BadAuth),
    (&["Declined-pkts", "Declined pkts"], Counter::Declined),
    (&["Restricted-pkts", "Restricted pkts"], Counter::Restricted),
    (&["Rate-limited-pkts", "Rate-limited pkts"], Counter::Limited),
    (&["KoD-pkts", "KOD pkts"], Counter::KodSent),
];

fn count(line: &str) -> Option<(Counter, u64)> {
    let (label, value) = line.trim().rsplit_once(' ')?;
    let label = label.trim_end().trim_end_matches(':').trim_end();
    let (_, name) = COUNTS.iter().find(|(labels, _)| labels.contains(&label))?;
    Some((*name, value.parse().ok()?))
}

struct Statistics;

impl Block for Statistics {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || is_rule(line.text) {
            return Taken::Yes;
        }
        let Some((name, value)) = count(line.text) else { return Taken::No };
        rows(Row::Event(Event { at: line.at, what: What::Counter { association: "", name, value, over_s: None } }));
        Taken::Yes
    }
}

/// A cell, of which `-` says nothing; `None` where it is not what it must be.
fn said<T>(cell: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if cell == "-" { Some(None) } else { read(cell).map(Some) }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{counters, peers, read};

    #[test]
    fn both_tables_are_read() {
        let text = "s1(config)#show ntp associations\n----\n  ID             NAME           REMOTE  VER  KEYID           REF-ID  ST  T  LAST  \
                    POLL  REACH  DELAY  OFFSET  JITTER\n----\n   1        192.0.2.1        192.0.2.1    3      -           \
                    .INIT.   -  -     -     -      -      -       -       -\n*  2   ntp.example     192.0.2.2    4     \
                    10           .GPS.   2  U    10    64      17  0.121   -0.994   1.001\n----\n";
        let (_, rejects, forms) = read(text);
        assert_eq!((rejects, forms), (vec![], vec!["show ntp associations (AOS-CX)"]));
        let never = "host=s1 source=192.0.2.1 tally=  refid=.INIT.";
        let want = "host=s1 source=192.0.2.2 tally=* refid=.GPS. stratum=2 poll_s=64 reach=17 offset_s=-0.000994 \
                    delay_s=0.000121 jitter_s=0.001001";
        assert_eq!(peers(text), [never, want]);
    }

    #[test]
    fn counters_are_known_by_both_wordings() {
        let text = "Rx-pkts              100\nRx cur ver           80\nKoD-pkts             2\n             Rx-pkts    \
                    7\n     Old Ver Rx-pkts    0\n";
        let want = [
            "received value=100",
            "current_version value=80",
            "kod_sent value=2",
            "received value=7",
            "old_version value=0",
        ];
        assert_eq!(counters(text), want.map(|said| format!("name={said}")));
    }
}
