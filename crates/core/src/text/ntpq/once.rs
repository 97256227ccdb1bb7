//! Programs that ask once, and print a line or a few.

use super::super::field::{date_time, integer, number, time_of_day};
use super::super::{Block, Form, Line, Taken};
use super::{gauge, stratum};
use crate::model::{At, Clock, Event, Happening, Message, Peer, Row, What};
use crate::time::{SECOND, Time};

/// `ntpstat`: the program in C of old, or the script that asks ntpq or chronyc.
pub const NTPSTAT: Form = Form {
    name: "ntpstat",
    opens: |line| {
        ["synchronised to ", "unsynchronised"].iter().any(|start| line.starts_with(start)) && is_ntpstat(line)
    },
    block: || Box::new(Ntpstat::default()),
};

/// `ntptrace`: each server on the way to stratum 1.
pub const NTPTRACE: Form =
    Form { name: "ntptrace", opens: |line| Hop::of(line).is_some(), block: || Box::new(Ntptrace) };

/// `ntpdate -q`: a line for each server, and one that says what would be done.
pub const NTPDATE: Form = Form { name: "ntpdate -q", opens: |line| asked(line).is_some(), block: || Box::new(Ntpdate) };

/// `sntp` of ntpd 4.2.6 and later, NTPsec's `ntpdig`, macOS's `sntp`.
pub const SNTP: Form =
    Form { name: "sntp", opens: |line| is_banner(line) || Answer::of(line).is_some(), block: || Box::new(Sntp) };

/// The version, which sntp prints first: `sntp 4.2.8p18@1.4062-o …`.
fn is_banner(line: &str) -> bool {
    line.starts_with("sntp 4.") && line.contains('@')
}

fn is_ntpstat(line: &str) -> bool {
    let line = line.trim_end();
    let stratum = line.rsplit_once(" at stratum ").map(|(_, stratum)| stratum);
    line == "unsynchronised" || stratum.is_some_and(|stratum| stratum.bytes().all(|b| b.is_ascii_digit()))
}

#[derive(Default)]
struct Ntpstat {
    source: String,
    clock: Option<Clock<'static>>,
}

impl Block for Ntpstat {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if (NTPSTAT.opens)(line.text) {
            self.end(rows);
            let mut clock = Clock { leap: Some(3), ..Clock::new(At::origin(line.at.origin)) };
            if let Some((source, at)) =
                line.text.strip_prefix("synchronised to ").and_then(|rest| rest.split_once(" at stratum "))
            {
                let Some(stratum) = stratum(at.trim()) else {
                    return Taken::Rejected(format!("stratum `{at}` is not 0 to 16"));
                };
                // `NTP server (192.0.2.1)`, or a kind of reference clock: `UHF radio`, `local net`.
                let source = source.split_once('(').map_or(source, |(_, inner)| inner.trim_end_matches(')'));
                (clock.leap, clock.stratum) = (None, Some(stratum));
                self.source = source.to_owned();
            }
            self.clock = Some(clock);
            return Taken::Yes;
        }
        let text = line.text.trim();
        let Some(clock) = &mut self.clock else { return Taken::No };
        let ms = text.strip_prefix("time correct to within ").and_then(|rest| rest.strip_suffix(" ms"));
        if let Some(ms) = ms {
            let Some(ms) = number(ms) else { return Taken::Rejected(format!("`{ms}` is not a number")) };
            gauge(rows, line.at, "", "max_error_s", ms / 1e3);
            return Taken::Yes;
        }
        if let Some(poll) = text.strip_prefix("polling server every ").and_then(|rest| rest.strip_suffix(" s")) {
            clock.poll_s = number(poll);
            return Taken::Yes;
        }
        if text.starts_with("time server re-starting") || text == "poll interval unknown" {
            Taken::Yes
        } else {
            Taken::No
        }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let Some(clock) = self.clock.take() {
            rows(Row::Clock(Clock { source: &self.source, ..clock }));
        }
        self.source.clear();
    }
}

/// `ntp.example: stratum 2, offset 0.000423, synch distance 0.031250`, at the end `, refid 'GPS'`.
struct Hop<'a> {
    host: &'a str,
    stratum: Option<u8>,
    offset: &'a str,
    distance: &'a str,
    refid: &'a str,
}

impl<'a> Hop<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (host, rest) = line.trim_start().split_once(": stratum ")?;
        let mut items = rest.split(", ");
        let stratum = stratum(items.next()?.trim());
        let offset = items.next()?.strip_prefix("offset ")?.trim();
        let distance = items.next()?.strip_prefix("synch distance ")?.trim();
        let refid = items.next().and_then(|item| item.strip_prefix("refid ")).unwrap_or_default();
        let fits = !host.is_empty() && !host.contains(char::is_whitespace);
        fits.then_some(Hop { host, stratum, offset, distance, refid: refid.trim_matches('\'') })
    }
}

struct Ntptrace;

impl Block for Ntptrace {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(hop) = Hop::of(line.text) else { return Taken::No };
        let (Some(stratum), Some(offset)) = (hop.stratum, number(hop.offset)) else {
            return Taken::Rejected("a server needs stratum and offset in seconds".into());
        };
        // The script prints what each server says of itself, with six decimals; the program of ntpd 4.1 and before
        // measured the offset of each against the local clock, and printed five decimals of the distance.
        if hop.distance.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 6) {
            let clock = Clock {
                source: hop.refid,
                stratum: Some(stratum),
                offset_s: Some(offset),
                ..Clock::new(At { host: hop.host, ..line.at })
            };
            rows(Row::Clock(clock));
        } else {
            let peer = Peer {
                refid: hop.refid,
                stratum: Some(stratum),
                offset_s: Some(offset),
                ..Peer::new(line.at, hop.host)
            };
            rows(Row::Peer(peer));
        }
        Taken::Yes
    }
}

/// `server 192.0.2.1, stratum 2, offset -0.000423, delay 0.02571`.
fn asked(line: &str) -> Option<[&str; 4]> {
    let mut items = line.trim_start().split(", ");
    let server = items.next()?.strip_prefix("server ")?.trim();
    let stratum = items.next()?.strip_prefix("stratum ")?;
    let offset = items.next()?.strip_prefix("offset ")?;
    let delay = items.next()?.strip_prefix("delay ")?;
    (!server.contains(' ') && items.next().is_none()).then_some([server, stratum.trim(), offset.trim(), delay.trim()])
}

struct Ntpdate;

impl Block for Ntpdate {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some([server, level, offset, delay]) = asked(line.text) {
            let (Some(level), Some(offset), Some(delay)) = (stratum(level), number(offset), number(delay)) else {
                return Taken::Rejected("a server needs stratum, offset and delay".into());
            };
            // Zeros stand for a server that did not answer; one that did has a stratum.
            let answered = level > 0 || offset != 0.0 || delay != 0.0;
            let peer = Peer {
                stratum: Some(level).filter(|_| answered),
                // Half of (T2 − T1) + (T3 − T4): reference − local (ntpdate.c, `receive`).
                offset_s: answered.then_some(offset),
                delay_s: answered.then_some(delay),
                ..Peer::new(line.at, server)
            };
            rows(Row::Peer(peer));
            return Taken::Yes;
        }
        // `22 Nov 09:36:20 ntpdate[42]: adjust time server …`, the local time of an unknown zone. With `-q` nothing is done.
        let said = line.text.split_once(" ntpdate[").and_then(|(_, rest)| rest.split_once("]: "));
        let Some((_, said)) = said.filter(|_| line.text.len() < 512) else { return Taken::No };
        let silent = said.starts_with("no server suitable");
        let kind = if silent { Happening::Unsynchronised } else { Happening::Other };
        let source = said.split_once("time server ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
        let value =
            said.split_once(" offset ").and_then(|(_, rest)| number(rest.split(' ').next().unwrap_or_default()));
        let message = Message { program: "ntpdate", kind, source, value, text: said };
        rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
        Taken::Yes
    }
}

/// `2026-11-22 09:36:20.281957 (+0000) +0.000423 +/- 0.031250 ntp.example 192.0.2.1 s2 no-leap`; macOS prints no time.
struct Answer<'a> {
    time: Option<Time>,
    offset: &'a str,
    /// Name, address, stratum and leap.
    words: [&'a str; 4],
}

impl<'a> Answer<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" +/- ")?;
        let mut words = before.split_whitespace().rev();
        let offset = words.next().filter(|word| word.starts_with(['+', '-']))?;
        number(offset)?;
        let (zone, clock, date, year) = (words.next(), words.next(), words.next(), words.next());
        if words.next().is_some() {
            return None;
        }
        let time = match (year, date, clock, zone) {
            (None, Some(date), Some(clock), Some(zone)) => Some(local_time(date, clock, zone)?),
            // `2010 Nov 22 09:36:20.281957 -0.000423 +/- 0.031250 secs`, of ntpd 4.2.6: local, in an unknown zone.
            (Some(year), Some(_), Some(_), Some(clock)) => {
                integer(year).and(time_of_day(clock))?;
                None
            }
            (None, None, None, None) => None,
            _ => return None,
        };
        let mut words = after.split_whitespace();
        number(words.next()?)?;
        let words = [(); 4].map(|()| words.next().unwrap_or_default());
        Some(Answer { time, offset, words })
    }
}

/// A local time and its zone, `(+0130)`.
fn local_time(date: &str, clock: &str, zone: &str) -> Option<Time> {
    let zone = zone.strip_prefix('(')?.strip_suffix(')')?;
    let digits = zone.get(1..).filter(|digits| digits.len() == 4)?.parse::<i64>().ok()?;
    let east = (digits / 100 * 60 + digits % 100) * 60 * SECOND;
    let local = date_time(date, clock)?;
    let east = if zone.starts_with('-') { -east } else { east };
    Some(Time(local.0.checked_sub(east)?))
}

struct Sntp;

impl Block for Sntp {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_banner(line.text) {
            return Taken::Yes;
        }
        let Some(answer) = Answer::of(line.text) else { return Taken::No };
        let [name, ..] = answer.words;
        let peer = Peer {
            stratum: answer.words.iter().find_map(|word| stratum(word.strip_prefix('s')?)),
            // Half of (T2 − T1) + (T3 − T4): reference − local (sntp's main.c, `offset_calculation`).
            offset_s: number(answer.offset),
            ..Peer::new(At { time: answer.time, ..line.at }, if name == "secs" { "" } else { name })
        };
        rows(Row::Peer(peer));
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    fn rows(text: &str) -> Vec<String> {
        let (rows, rejects, _) = read(text);
        assert_eq!(rejects, Vec::<String>::new());
        rows
    }

    /// The sign as in the programs' sources, see above: the server is ahead where it is positive.
    #[test]
    fn offsets_of_ntpdate_and_sntp_are_reference_minus_local() {
        let text = "server 192.0.2.1, stratum 2, offset -0.000423, delay 0.02571\n\
                    server 192.0.2.2, stratum 0, offset 0.000000, delay 0.00000\n\
                    22 Nov 09:36:20 ntpdate[42]: adjust time server 192.0.2.1 offset -0.000423 sec\n";
        let want = [
            "peer source=192.0.2.1 stratum=2 offset_s=-0.000423 delay_s=0.02571",
            "peer source=192.0.2.2",
            "message who=ntpdate subject=192.0.2.1 name=other value=-0.000423 \
             text=adjust time server 192.0.2.1 offset -0.000423 sec",
        ];
        assert_eq!(rows(text), want);
        let text = "2026-11-22 10:36:20.5 (+0100) +0.000423 +/- 0.031250 ntp.example 192.0.2.1 s2 no-leap\n\
                    -0.5 +/- 0.031 192.0.2.3 192.0.2.3\n2010 Nov 22 09:36:20.281957 -0.25 +/- 0.031250 secs\n";
        let want = [
            "peer time=2026-11-22T09:36:20.5Z source=ntp.example stratum=2 offset_s=0.000423",
            "peer source=192.0.2.3 offset_s=-0.5",
            "peer offset_s=-0.25",
        ];
        assert_eq!(rows(text), want);
    }

    #[test]
    fn ntpstat_says_whom_it_follows() {
        let text = "synchronised to NTP server (192.0.2.1) at stratum 3 \n   time correct to within 42 ms\n   \
                    polling server every 1024 s\nunsynchronised\n  time server re-starting\n   polling server every 64 s\n";
        let want = [
            "gauge name=max_error_s value=0.042",
            "clock source=192.0.2.1 stratum=3 poll_s=1024",
            "clock leap=3 poll_s=64",
        ];
        assert_eq!(rows(text), want);
    }

    #[test]
    fn ntptrace_quotes_servers_or_measures_them() {
        let text = "ntp.example: stratum 2, offset 0.000423, synch distance 0.031250\n\
                    192.0.2.9: stratum 1, offset -0.000021, synch distance 0.00125, refid 'GPS'\n";
        let want = [
            "clock host=ntp.example stratum=2 offset_s=0.000423",
            "peer source=192.0.2.9 refid=GPS stratum=1 offset_s=-0.000021",
        ];
        assert_eq!(rows(text), want);
    }
}
