//! What routers and switches print of NTP: Cisco's IOS, IOS-XE, IOS-XR, NX-OS and ASA, and the many that print alike;
//! Huawei's VRP and H3C's Comware; Aruba's AOS-CX, Check Point's Gaia, Nokia's SR OS, OneAccess' OneOS, Fortinet's
//! FortiOS, Palo Alto's PAN-OS, MikroTik's RouterOS; Junos and Arista's EOS where they do not run ntpq.
//!
//! What a command prints seldom says whose it is, but the prompt before it does: see [`prompt`]. A form begins with its
//! command, or with the first line of what that prints.

mod aruba;
mod billboard;
mod config;
mod detail;
mod few;
mod gaia;
mod mikrotik;
mod nxos;
mod sntp;
mod sros;
mod status;
mod vrp;

use super::field::number;
use super::{Block, Form, Line, Taken, is_rule};
use crate::model::{At, Event, Row, What};
use crate::time::Time;

/// What this module reads.
pub const FORMS: &[Form] = &[
    detail::ASSOCIATIONS_DETAIL,
    billboard::ASSOCIATIONS,
    aruba::ASSOCIATIONS,
    aruba::STATISTICS,
    aruba::STATUS,
    billboard::COMWARE,
    billboard::ONEACCESS,
    nxos::PEER_STATUS,
    nxos::PEERS,
    status::STATUS,
    vrp::STATUS,
    vrp::SESSIONS,
    sntp::STATUS,
    gaia::SERVERS,
    gaia::CURRENT,
    sros::ALL,
    few::FORTIOS,
    few::PANOS,
    mikrotik::CLIENT,
    config::COMMANDS,
];

/// Words that a line after a router's prompt begins with, where evidence of time is asked for.
const ASKING: &[&str] = &["show", "sh", "display", "disp", "dis", "do", "get", "diagnose", "diag", "terminal", "exit"];

/// A router's prompt with its command: `R1#show ntp status`, `RP/0/RP0/CPU0:core# show …`, `<Sysname> display …`,
/// `A:admin@edge1# show …`. Gives the host that it names, and the command; a bare prompt has an empty one.
pub(super) fn prompt(line: &str) -> Option<(&str, &str)> {
    let bare = line.trim_start();
    let (before, after) = match bare.strip_prefix('[') {
        // RouterOS: `[admin@edge1] > /system/ntp/client/print`.
        Some(inside) => inside.split_once("] >").or_else(|| inside.split_once(']'))?,
        None => bare.strip_prefix('<').unwrap_or(bare).split_once(['#', '>'])?,
    };
    // FortiOS: `FW1 # diagnose …`.
    let before = if after.trim().is_empty() { before } else { before.trim_end() };
    let named = before.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*')
        && before.len() <= 64
        && before.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/()@~*".contains(&b));
    let after = after.trim();
    // VRP and Comware know `display`, RouterOS paths: so they are told from a page's `<td>show`.
    let bracketed = bare.starts_with(['<', '[']);
    let asks = match after.split_ascii_whitespace().next() {
        Some(word) if bracketed => word.starts_with('/') || (ASKING.contains(&word) && word.starts_with('d')),
        Some(word) => ASKING.contains(&word),
        None => !bracketed,
    };
    // `RP/0/RP0/CPU0:core`, `admin@edge1`, and `R1(config)`.
    let host = before.rsplit([':', '@']).next()?.split('(').next()?;
    let named = named && host.starts_with(|c: char| c.is_ascii_alphanumeric());
    (named && asks).then_some((host, after))
}

/// Whether a line asks one of `commands`.
///
/// Behind a prompt words may be cut short, as every such command line allows, and more may follow; without one the
/// whole line must be the command, because people write of commands too.
fn asked(line: &str, commands: &[&str]) -> bool {
    let (host, command) = prompt(line).unwrap_or(("", line.trim()));
    let fits = |wanted: &&str| {
        if host.is_empty() {
            return *wanted == command;
        }
        let mut words = command.split_ascii_whitespace().skip_while(|word| *word == "do");
        wanted.split(' ').all(|whole| words.next().is_some_and(|word| word.len() >= 2 && whole.starts_with(word)))
    };
    commands.iter().any(fits)
}

/// A block behind its command: it takes the prompt, what IOS prints before any answer, and then what `inner` takes.
struct Answer {
    commands: &'static [&'static str],
    /// When the command was given, where IOS says so (`terminal exec prompt timestamp`) in universal time.
    time: Option<Time>,
    /// Whether nothing of the answer was met yet.
    waiting: bool,
    inner: Box<dyn Block>,
}

impl Answer {
    fn to(commands: &'static [&'static str], inner: impl Block + 'static) -> Box<dyn Block> {
        Box::new(Answer { commands, time: None, waiting: true, inner: Box::new(inner) })
    }
}

impl Block for Answer {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if asked(line.text, self.commands) {
            self.end(rows);
            (self.time, self.waiting) = (None, true);
            return Taken::Yes;
        }
        if self.waiting && line.text.is_empty() {
            return Taken::Yes;
        }
        if self.waiting && is_off(line.text) {
            self.waiting = false;
            variable(rows, line.at, "", "ntp_service", "inactive");
            return Taken::Yes;
        }
        if self.waiting && is_preamble(line.text) {
            self.time = line.text.split_once(", ").and_then(|(_, stamp)| universal(stamp));
            return Taken::Yes;
        }
        let taken = self.inner.line(Line { at: At { time: self.time, ..line.at }, ..line }, rows);
        self.waiting &= taken == Taken::No || is_rule(line.text);
        taken
    }

    /// Junos and EOS print what ntpq does, so the command alone says nothing of the form.
    fn sure(&self) -> bool {
        !self.waiting
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        self.inner.end(rows);
    }
}

/// What IOS and IOS-XR print between a command and its answer: load and time.
fn is_preamble(line: &str) -> bool {
    let bare = line.trim_start();
    let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().any(|day| bare.starts_with(day));
    bare.starts_with("Load for five secs:")
        || bare.starts_with("Time source is ")
        // `Mon Nov  5 23:22:25.521 UTC`, without a year.
        || (day && matches!(bare.split_ascii_whitespace().count(), 4 | 5) && bare.contains(':'))
}

/// What IOS and EOS answer where NTP does not run.
fn is_off(line: &str) -> bool {
    matches!(line.trim_start_matches(['%', ' ']), "NTP is not enabled." | "NTP is disabled.")
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `16:21:12.433 UTC Fri Oct 14 2016`. Other zones are names that the operator chose, so they say nothing for sure; a
/// `*` or `.` before the time marks a clock that is not known to be right.
fn universal(stamp: &str) -> Option<Time> {
    let mut words = stamp.split_ascii_whitespace();
    let time = super::field::time_of_day(words.next()?.trim_start_matches(['*', '.']))?;
    words.next().filter(|zone| matches!(*zone, "UTC" | "GMT"))?;
    let (_day, month, day, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Time::from_date(year.parse().ok()?, month.try_into().ok()?, day.parse().ok()?, time)
}

/// The number that a text begins with, whatever follows: `5.61 msec`, `0.2862ms`, `64`, and Packet Tracer's `- 0.1 s`.
fn leading(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let (sign, text) = text.strip_prefix("- ").map_or((1.0, text), |rest| (-1.0, rest.trim_start()));
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    number(text.strip_suffix(digits)?).map(|value| sign * value)
}

/// A number with its unit, in seconds; without a unit it is in milliseconds, as the columns of billboards are.
fn seconds(text: &str) -> Option<f64> {
    let unit = text.trim().trim_start_matches(|c: char| c.is_ascii_digit() || " +-.".contains(c));
    let scale = match unit.split([',', ' ', '.']).next()? {
        "" | "ms" | "msec" => 1e3,
        "us" | "usec" => 1e6,
        "s" | "sec" | "seconds" => 1.0,
        _ => return None,
    };
    leading(text).map(|value| value / scale)
}

/// A stratum as printed, 0 to 16.
fn stratum(text: &str) -> Option<u8> {
    text.parse().ok().filter(|stratum| *stratum <= 16)
}

/// An interval as billboards print it (`-`, `64`, `137m`, `5h`, `4d`), in seconds.
fn interval_s(text: &str) -> Option<f64> {
    let (number, scale) = match text.as_bytes().last()? {
        b'-' if text == "-" => return Some(0.0),
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 3600),
        b'd' => (text.strip_suffix('d')?, 86_400),
        b'w' => (text.strip_suffix('w')?, 604_800),
        b'y' => (text.strip_suffix('y')?, 31_536_000),
        _ => (text, 1),
    };
    number.parse::<u32>().ok()?.checked_mul(scale).map(f64::from)
}

/// A 64-bit NTP timestamp in a text, as printed: `DFA02517.D2F7B9F6`, in any place. All zeros say that there is none.
fn stamp(text: &str) -> Option<&str> {
    let is_half = |half: &str| half.len() == 8 && half.bytes().all(|b| b.is_ascii_hexdigit());
    text.split([' ', '(', ')', ',']).find(|word| {
        let halves = word.split_once('.').is_some_and(|(whole, part)| is_half(whole) && is_half(part));
        halves && *word != "00000000.00000000"
    })
}

fn variable(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, association: &str, name: &str, value: &str) {
    if !value.is_empty() {
        rows(Row::Event(Event { at, what: What::Variable { association, name, value } }));
    }
}

fn gauge(rows: &mut dyn FnMut(Row<'_>), at: At<'_>, of: &str, name: &'static str, value: f64) {
    rows(Row::Event(Event { at, what: What::Gauge { of, name, value } }));
}

/// An origin and a time that outlive the line: of rows that need more lines. The prompt gives the host.
fn kept(at: At<'_>) -> At<'static> {
    At { origin: at.origin, time: at.time, host: "" }
}

/// Whether a word can be a source: an address or a host's name, with or without a zone.
fn is_source(word: &str) -> bool {
    let byte = |b: u8| b.is_ascii_alphanumeric() || b"-._:%()".contains(&b);
    word.len() >= 2 && word.contains(['.', ':', '(']) && word.bytes().all(byte)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{peers, read};
    use super::{asked, prompt, universal};

    #[test]
    fn prompts_name_their_host_and_prose_is_none() {
        assert_eq!(prompt("RP/0/RP0/CPU0:core#show ntp status"), Some(("core", "show ntp status")));
        assert_eq!(prompt("<Sysname> display clock"), Some(("Sysname", "display clock")));
        assert_eq!(prompt("R1(config)#do show clock"), Some(("R1", "do show clock")));
        assert_eq!(prompt("FW1 # diagnose sys ntp status"), Some(("FW1", "diagnose sys ntp status")));
        assert_eq!(prompt("R1#"), Some(("R1", "")));
        let router_os = "[admin@edge1] > /system ntp client print";
        assert_eq!(prompt(router_os), Some(("edge1", "/system ntp client print")));
        for line in
            ["# show ntp status", "server 192.0.2.1 # show", "<td>", "<td>show", "a > b", "[ntp] x", "root@h:~#"]
        {
            assert_eq!(prompt(line), None, "{line}");
        }
        assert!(asked("R1#sh ntp stat | include clock", &["show ntp status"]));
        assert!(!asked("show ntp status shows the status", &["show ntp status"]));
    }

    #[test]
    fn a_host_lasts_from_its_prompt_to_the_next() {
        let text = "a1#show ntp associations\n  address  ref clock  st  when  poll reach  delay  offset   disp\n\
                    *~192.0.2.1 .GPS. 1 12 64 377 1.8 -0.5 0.1\nb2#show ntp associations\n\
                    *~192.0.2.2 .GPS. 1 12 64 377 1.8 -0.5 0.1\n";
        let hosts: Vec<_> =
            peers(text).iter().map(|row| row.split(' ').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(hosts, ["host=a1", "host=b2"]);
        assert_eq!(read(text).1.len(), 0);
    }

    #[test]
    fn only_universal_time_is_a_time() {
        assert_eq!(universal("*16:21:12.433 UTC Fri Oct 14 2016").map(|t| t.0), Some(1_476_462_072_433_000_000));
        assert_eq!(universal("16:21:12.433 EST Fri Oct 14 2016"), None);
    }
}
