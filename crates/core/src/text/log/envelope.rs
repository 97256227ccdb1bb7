//! How the lines of a log are stamped: who writes when, around what a program says.
//!
//! Logs of other programs are long, so a line is first cut at its stamp, host and program; the stamp itself is read
//! only where the program has something to do with the clock.

use super::stamp::{self, Stamp, is_clock};
use super::{chronyd, program};

/// One line, cut up.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When.
    pub stamp: Stamp<'a>,
    /// The host that the line names; empty where it names none.
    pub host: &'a str,
    /// What the program calls itself; empty where the line names none.
    pub program: &'a str,
    /// What it says.
    pub message: &'a str,
}

/// One way to stamp lines.
pub struct Envelope {
    /// Cuts a line; `None` where it is not stamped so.
    pub cut: for<'a> fn(&'a str) -> Option<Entry<'a>>,
    /// Whether a line that can be cut so begins such a log, for stamps that others use too.
    pub begins: for<'a> fn(&'a str, &Entry<'a>) -> bool,
}

impl Envelope {
    /// Whether a line begins a log that is stamped so.
    pub fn opens(&self, line: &str) -> bool {
        (self.cut)(line).is_some_and(|entry| (self.begins)(line, &entry))
    }
}

/// Whether the line names its program, or the logger itself speaks, whose words have no colon.
fn is_named(_: &str, entry: &Entry<'_>) -> bool {
    const LOGGER: [&str; 3] = ["-- MARK --", "last message repeated ", "syslogd "];
    !entry.program.is_empty() || LOGGER.iter().any(|words| entry.message.starts_with(words))
}

/// Whether the line names a program that is known.
fn is_known(_: &str, entry: &Entry<'_>) -> bool {
    program(entry.program).is_some()
}

/// Whether the line names a program as only syslog does: with its process, or after a host and a stamp with a zone.
/// Other programs too stamp their logs so, and colons stand in many messages.
fn is_of_syslog(line: &str, entry: &Entry<'_>) -> bool {
    let before = line[..line.len() - entry.message.len()].trim_ascii_end();
    let process = before.strip_suffix(':').unwrap_or(before).strip_suffix(']');
    let numbered = process.is_some_and(|rest| rest.ends_with(|c: char| c.is_ascii_digit()));
    let zoned = entry.stamp.text.split_once('T').is_some_and(|(_, time)| time.contains(['+', '-']));
    numbered || is_known(line, entry) || zoned && !entry.host.is_empty()
}

fn always(_: &str, _: &Entry<'_>) -> bool {
    true
}

/// RFC 3164 and what was made of it: `<30>Nov 22 09:25:13 host ntpd[123]: …`, with a year before or after the time
/// (macOS, OpenWrt's `logread`), fractions of a second (journalctl -o short-precise), and `daemon.info` (BusyBox).
pub const SYSLOG: Envelope = Envelope { cut: cut_syslog, begins: is_named };

fn cut_syslog(line: &str) -> Option<Entry<'_>> {
    // A month that is a number is filled up with a blank; a crash leaves zeros before the next line.
    let bare = without_priority(line.trim_start_matches('\0')).trim_ascii_start();
    let (stamp, rest) = stamp::month_first(bare)?;
    // `[1795339513.123]`, which logread -t adds.
    let rest = match rest.strip_prefix('[').and_then(|inner| inner.split_once("] ")) {
        Some((inside, rest)) if inside.bytes().all(|b| b.is_ascii_digit() || b == b'.') => rest,
        _ => rest,
    };
    Some(host_and_tag(stamp, rest))
}

/// RFC 5424: `<30>1 2026-11-22T09:25:13.123Z host ntpd 123 - - …`.
pub const RFC5424: Envelope = Envelope { cut: cut_5424, begins: always };

fn cut_5424(line: &str) -> Option<Entry<'_>> {
    let rest = without_priority(line);
    let rest = (rest.len() < line.len()).then(|| rest.strip_prefix("1 "))??;
    let (stamp, rest) = match rest.strip_prefix("- ") {
        Some(rest) => (Stamp::NONE, rest),
        None => stamp::iso(rest)?,
    };
    let mut parts = rest.splitn(5, ' ');
    let (host, program) = (parts.next()?, parts.next()?);
    let (_process, _kind, rest) = (parts.next()?, parts.next()?, parts.next()?);
    // Structured data is `-` or elements in brackets; a bracket in a value is escaped (RFC 5424 §6.3.3).
    let mut message = rest.strip_prefix('-').unwrap_or(rest);
    while let Some(element) = message.strip_prefix('[') {
        let mut escaped = false;
        let end = element.bytes().position(|b| {
            let ends = b == b']' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        })?;
        message = &element[end + 1..];
    }
    let message = message.trim_start().trim_start_matches('\u{feff}');
    let named = |word| if word == "-" { "" } else { word };
    Some(Entry { stamp, host: named(host), program: named(program), message })
}

/// ISO 8601 with host and program: rsyslog, journalctl -o short-iso; without a host: NTPsec's own log.
pub const ISO: Envelope = Envelope { cut: cut_iso, begins: is_of_syslog };

fn cut_iso(line: &str) -> Option<Entry<'_>> {
    let (stamp, rest) = stamp::iso(without_priority(line))?;
    let entry = host_and_tag(stamp, rest);
    // chronyd stamps with `Z` and whole seconds, and names no program: its messages hold colons, but no process.
    let could_be_chronyd = stamp.text.len() == 20 && stamp.text.ends_with('Z');
    let process = rest.split(": ").next().is_some_and(|before| before.ends_with(']'));
    (!entry.program.is_empty() && (!could_be_chronyd || process || is_known(line, &entry))).then_some(entry)
}

/// `Sun 2026-11-22 09:25:13 UTC host ntpd[123]: …`: journalctl -o short-full and with-unit.
pub const FULL: Envelope = Envelope { cut: cut_full, begins: is_named };

fn cut_full(line: &str) -> Option<Entry<'_>> {
    let (stamp, rest) = stamp::full(line)?;
    Some(host_and_tag(stamp, rest))
}

/// `22 Nov 09:25:13 ntpd[123]: …`: what ntpd, ntpdate and sntp write to a file of their own (`msyslog`).
pub const OWN: Envelope = Envelope { cut: cut_own, begins: is_known };

fn cut_own(line: &str) -> Option<Entry<'_>> {
    let (stamp, rest) = stamp::day_first(line)?;
    let (program, message) = tag(rest)?;
    Some(Entry { stamp, host: "", program, message })
}

/// `ntpd: time set +0.123456s`: what `ntpd -q` prints of the one time that it set the clock.
pub const ONCE: Envelope = Envelope { cut: cut_once, begins: always };

fn cut_once(line: &str) -> Option<Entry<'_>> {
    let message = line.strip_prefix("ntpd: ")?;
    let says = ["time set ", "time slew ", "no servers found"].iter().any(|begin| message.starts_with(begin));
    says.then_some(Entry { stamp: Stamp::NONE, host: "", program: "ntpd", message })
}

/// `2026-11-22T09:23:48Z Selected source …`: chronyd's own log, and what it prints in the foreground.
pub const CHRONYD: Envelope = Envelope { cut: cut_chronyd, begins: |_, entry| chronyd::says(entry.message) };

fn cut_chronyd(line: &str) -> Option<Entry<'_>> {
    let (stamp, message) = stamp::iso(line)?;
    // logging.c: "%Y-%m-%dT%H:%M:%SZ ".
    let own = stamp.text.len() == 20 && stamp.text.ends_with('Z');
    own.then_some(Entry { stamp, host: "", program: "chronyd", message })
}

/// `2026-11-22T09:25:13.123456Z  INFO ntp_proto::algorithm::kalman: …`: ntpd-rs in the foreground.
pub const NTPD_RS: Envelope = Envelope { cut: cut_ntpd_rs, begins: always };

fn cut_ntpd_rs(line: &str) -> Option<Entry<'_>> {
    let (stamp, message) = stamp::iso(line)?;
    let (level, rest) = message.trim_start().split_once(' ')?;
    let target = rest.split(": ").next()?;
    let ours = matches!(level, "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE")
        && ["ntp_", "ntpd", "nts_", "ntp::"].iter().any(|begin| target.starts_with(begin));
    ours.then(|| Entry { stamp, host: "", program: "ntpd-rs", message: message.trim_start() })
}

/// `[    1.234567] clocksource: …` (dmesg, with or without `<6>` or `kern  :info  :`), `[Sun Nov 22 09:25:13 2026] …`
/// (dmesg -T), and `[    1.234567] host kernel: …` (journalctl -o short-monotonic). The time of the boot is not known.
pub const DMESG: Envelope = Envelope { cut: cut_dmesg, begins: always };

fn cut_dmesg(line: &str) -> Option<Entry<'_>> {
    let bare = without_priority(line);
    // dmesg -x puts facility and level first.
    let level = bare.split_once(": [").map(|(level, _)| level).filter(|level| level.len() <= 16 && level.contains(':'));
    let named = level.filter(|level| level.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b':')));
    let bare = named.map_or(bare, |level| &bare[level.len() + 2..]);
    let (inside, message) = bare.strip_prefix('[')?.split_once("] ")?;
    let since_boot = inside.trim_start();
    let stamp = if since_boot.split_once('.').is_some_and(|(s, f)| is_digits(s) && f.len() == 6 && is_digits(f)) {
        Stamp::NONE
    } else {
        // Apache's errors are stamped so too, with a fraction, or with a level in brackets.
        let level = ["[error]", "[warn]", "[notice]", "[info]", "[debug]", "[crit]", "[client "];
        let whole = |stamp: &Stamp<'_>| stamp.text.len() > 20 && !stamp.text.contains('.');
        if level.iter().any(|level| message.starts_with(level)) {
            return None;
        }
        stamp::month_first(inside).filter(|(stamp, rest)| rest.is_empty() && whole(stamp))?.0
    };
    // A host before the program, or a program before its message, tell a journal from the kernel's own buffer.
    let entry = host_and_tag(stamp, message);
    Some(match program(entry.program) {
        Some(_) => entry,
        None => Entry { stamp, host: "", program: "kernel", message },
    })
}

/// `phc2sys[1234.567]: …`, `ptp4l[1234.567]: …`: linuxptp in the foreground, by the time since boot.
pub const LINUXPTP: Envelope = Envelope { cut: cut_linuxptp, begins: always };

fn cut_linuxptp(line: &str) -> Option<Entry<'_>> {
    let (program, rest) = line.split_once('[')?;
    let (inside, message) = rest.split_once("]: ")?;
    let ours = matches!(program, "ptp4l" | "phc2sys" | "ts2phc" | "timemaster") && inside.contains('.');
    (ours && inside.bytes().all(|b| b.is_ascii_digit() || b == b'.')).then_some(Entry {
        stamp: Stamp::NONE,
        host: "",
        program,
        message,
    })
}

/// Lines of a container: `2026-11-22T09:25:13.123456789Z stdout F …` (CRI), `2026-11-22T09:25:13.123456789Z …`
/// (docker logs -t), `ntp-1  | …` (compose), before what a daemon prints in the foreground.
pub const CONTAINER: Envelope = Envelope { cut: cut_container, begins: |_, entry| entry.program != UNREADABLE };

/// The program of a container's line that is somebody else's.
const UNREADABLE: &str = "?";

fn cut_container(line: &str) -> Option<Entry<'_>> {
    if let Some((name, rest)) = line.split_once("| ").filter(|(name, _)| is_container(name)) {
        return foreground(rest).map(|entry| Entry { host: name.trim_end(), ..entry });
    }
    let (stamp, rest) = stamp::iso(line)?;
    let cri = rest.strip_prefix("stdout ").or_else(|| rest.strip_prefix("stderr "));
    let rest = match cri.and_then(|rest| rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P "))) {
        Some(rest) => rest,
        // Docker and Kubernetes stamp with a fraction.
        None => (stamp.text.len() > 20).then_some(rest).filter(|rest| foreground(rest).is_some())?,
    };
    let other = Entry { stamp, host: "", program: UNREADABLE, message: rest };
    // The stamp from outside names its zone.
    Some(foreground(rest).map_or(other, |entry| Entry { stamp, ..entry }))
}

fn is_container(name: &str) -> bool {
    let bare = name.trim_end();
    let letters = bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    !bare.is_empty() && letters && name.len() < 100
}

/// What a daemon prints in the foreground, where its output is stamped once more.
pub fn foreground(line: &str) -> Option<Entry<'_>> {
    let own = [&OWN, &CHRONYD, &NTPD_RS, &LINUXPTP, &ISO].into_iter();
    let mut known = own.filter_map(|envelope| (envelope.cut)(line).filter(|entry| (envelope.begins)(line, entry)));
    known.find(|entry| is_known(line, entry))
}

/// Removes `<30>`.
fn without_priority(line: &str) -> &str {
    match line.as_bytes() {
        [b'<', b'0'..=b'9', ..] => match line[1..].split_once('>') {
            Some((priority, rest)) if priority.len() <= 3 && is_digits(priority) => rest,
            _ => line,
        },
        _ => line,
    }
}

/// Cuts what follows a stamp: a host, perhaps `daemon.info` or `<ntp.notice>`, a program, and its message.
fn host_and_tag<'a>(stamp: Stamp<'a>, rest: &'a str) -> Entry<'a> {
    let rest = rest.trim_ascii_start();
    // Some name no host: NTPsec's own log, logread.
    if let Some((program, message)) = tag(rest) {
        return Entry { stamp, host: "", program, message };
    }
    let none = Entry { stamp, host: "", program: "", message: rest };
    let Some((first, after)) = rest.split_once(' ') else { return none };
    let (host, after) = match first {
        _ if is_facility(first) => ("", after),
        _ => match after.split_once(' ') {
            Some((word, rest)) if is_facility(word) || is_level(word) && tag(rest).is_some() => (first, rest),
            _ => (first, after),
        },
    };
    // FreeBSD's `syslogd -v` puts facility and level before the host.
    let (host, after) = match after.split_once(' ') {
        Some((next, rest)) if host.is_empty() && tag(after).is_none() => (next, rest),
        _ => (host, after),
    };
    match tag(after) {
        Some((program, message)) => Entry { stamp, host, program, message },
        None => Entry { host, message: after, ..none },
    }
}

/// `daemon.info`, `<ntp.notice>`, `daemon:notice` (AIX).
fn is_facility(word: &str) -> bool {
    const FACILITIES: &[&str] = &[
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
        "security", "console", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];
    // No program's name has a dot or colon inside; most lines end here.
    let Some(at) = word.bytes().position(|b| matches!(b, b'.' | b':')) else { return false };
    at + 1 < word.len() && FACILITIES.contains(&word[..at].trim_start_matches('<'))
}

/// The level after the host, as SONiC's switches put it.
fn is_level(word: &str) -> bool {
    matches!(word, "EMERG" | "ALERT" | "CRIT" | "ERR" | "WARNING" | "NOTICE" | "INFO" | "DEBUG")
}

/// `ntpd[123]: …`, `kernel: …`: the program without its folder or container (`ntp#ntpd`), and its message.
fn tag(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|b| matches!(b, b' ' | b':' | b'['))?;
    let name = &text[..end];
    let message = match bytes[end] {
        b'[' => {
            let (inside, rest) = text[end + 1..].split_once(']')?;
            let process = !inside.is_empty() && inside.len() <= 20 && inside.bytes().all(|b| b.is_ascii_alphanumeric());
            let rest = rest.strip_prefix(':').or_else(|| rest.starts_with(' ').then_some(rest))?;
            process.then_some(rest)?
        }
        b':' => text[end + 1..].strip_prefix(' ').or_else(|| (end + 1 == text.len()).then_some(""))?,
        _ => return None,
    };
    (!name.is_empty()).then(|| (name.rsplit(['/', '#']).next().unwrap_or(name), message.trim_ascii_start()))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a line of a journal or syslog is no entry: a banner of journalctl, or the rest of a message in many lines.
pub fn is_banner(line: &str) -> bool {
    line.starts_with("-- ") && line.len() > 6
        // What `journalctl -x` explains.
        || line.starts_with("\u{2591}\u{2591}")
        || line.starts_with([' ', '\t']) && !is_clock(line.trim_start().as_bytes())
}
