//! Logs: what daemons and the kernel said, in syslog, journals, containers, and logs of their own.
//!
//! `envelope.rs` knows how lines are stamped, `journal.rs` the forms of journals that are no lines of text, and the
//! other files what the messages of each program mean. All lines of a log are taken; those of programs that have
//! nothing to do with the clock give no row.

mod chronyd;
mod envelope;
mod journal;
mod kernel;
mod meaning;
mod ntpd;
mod others;
mod stamp;
mod unit;

use super::{Block, Form, Line, Taken};
use crate::model::{At, Event, Happening, Message, Row, What};
use envelope::{CHRONYD, CONTAINER, DMESG, Entry, Envelope, FULL, ISO, LINUXPTP, NTPD_RS, ONCE, OWN, RFC5424, SYSLOG};
use meaning::Program;
use std::net::IpAddr;

/// What this module reads. Those that say most about themselves come first.
pub const FORMS: &[Form] = &[
    journal::JSON,
    journal::EXPORT,
    journal::DOCKER,
    journal::BANNER,
    unit::STATUS,
    Form { name: "syslog", opens: |line| SYSLOG.opens(line), block: || Box::new(Log::of(&SYSLOG)) },
    Form { name: "syslog (RFC 5424)", opens: |line| RFC5424.opens(line), block: || Box::new(Log::of(&RFC5424)) },
    Form { name: "log of a container", opens: |line| CONTAINER.opens(line), block: || Box::new(Log::of(&CONTAINER)) },
    Form { name: "log of chronyd", opens: |line| CHRONYD.opens(line), block: || Box::new(Log::of(&CHRONYD)) },
    Form { name: "log of ntpd-rs", opens: |line| NTPD_RS.opens(line), block: || Box::new(Log::of(&NTPD_RS)) },
    Form { name: "log of ntpd", opens: |line| OWN.opens(line), block: || Box::new(Log::of(&OWN)) },
    Form { name: "ntpd -q", opens: |line| ONCE.opens(line), block: || Box::new(Log::of(&ONCE)) },
    Form { name: "log of linuxptp", opens: |line| LINUXPTP.opens(line), block: || Box::new(Log::of(&LINUXPTP)) },
    Form { name: "syslog (ISO stamps)", opens: |line| ISO.opens(line), block: || Box::new(Log::of(&ISO)) },
    Form { name: "journalctl -o short-full", opens: |line| FULL.opens(line), block: || Box::new(Log::of(&FULL)) },
    Form { name: "dmesg", opens: |line| DMESG.opens(line), block: || Box::new(Log::of(&DMESG)) },
];

/// The programs that say something about time.
const PROGRAMS: &[Program] = &[
    kernel::KERNEL,
    others::SYSTEMD,
    others::CRON,
    others::SUDO,
    ntpd::NTPD,
    chronyd::CHRONYD,
    others::TIMESYNCD,
    others::NTPDATE,
    others::NTPD_RS,
    others::LINUXPTP,
    others::GUEST,
    others::SETTERS,
    others::GPSD,
];

/// The program that calls itself so.
fn program(tag: &str) -> Option<&'static Program> {
    // Most lines are of programs that are not known, and few known names begin with the same letter.
    let first = tag.bytes().next()?;
    let same = |known: &&str| known.as_bytes().first() == Some(&first) && *known == tag;
    PROGRAMS.iter().find(|program| program.tags.iter().any(same))
}

/// A log whose lines are all stamped in one way.
struct Log {
    envelope: &'static Envelope,
    /// Hosts that lines have named.
    hosts: Vec<String>,
}

/// Hosts of one log that are told; more than one is enough to know the log of many.
const MOST_HOSTS: usize = 8;

impl Log {
    const fn of(envelope: &'static Envelope) -> Log {
        Log { envelope, hosts: Vec::new() }
    }

    /// Gives each host that a line names which says nothing of time, unless a row has named it: a log is of one host only
    /// where all its lines are.
    fn note_host(&mut self, line: Line<'_>, host: &str, told: bool, rows: &mut dyn FnMut(Row<'_>)) {
        let known = self.hosts.len() >= MOST_HOSTS || self.hosts.iter().any(|known| known == host);
        if !host.is_empty() && !known {
            self.hosts.push(host.to_owned());
            if !told {
                let what = What::Variable { association: "", name: "log_host", value: host };
                rows(Row::Event(Event { at: At { host, ..line.at }, what }));
            }
        }
    }
}

impl Block for Log {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        match (self.envelope.cut)(line.text) {
            Some(entry) => {
                let mut told = false;
                let taken = tell(line, &entry, &mut |row| {
                    told = true;
                    rows(row);
                });
                if taken == Taken::Yes {
                    self.note_host(line, entry.host, told, rows);
                }
                taken
            }
            None if line.text.is_empty() || envelope::is_banner(line.text) => Taken::Yes,
            None => Taken::No,
        }
    }
}

/// Gives what an entry says about the clock, if anything.
fn tell(line: Line<'_>, entry: &Entry<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
    let Some(program) = program(entry.program) else { return Taken::Yes };
    let text = said(entry.message);
    let Some((kind, found)) = program.read(text) else { return Taken::Yes };
    let time = (entry.stamp.read)(entry.stamp.text, line.written);
    if time.is_none() && !entry.stamp.text.is_empty() {
        return Taken::Rejected(format!("expected a day and a time that exist, not {:?}", entry.stamp.text));
    }
    let at = At { time, host: entry.host, ..line.at };
    let name = if program.name.is_empty() { entry.program } else { program.name };
    let message = Message { program: name, kind, source: found.source, value: found.value, text };
    rows(Row::Event(Event { at, what: What::Message(message) }));
    if kind == Happening::Start && !found.version.is_empty() {
        let what = What::Variable { association: "", name: "version", value: found.version };
        rows(Row::Event(Event { at, what }));
    }
    if is_own_address(found.local) {
        let what = What::Variable { association: found.source, name: "dstadr", value: found.local };
        rows(Row::Event(Event { at, what }));
    }
    Taken::Yes
}

/// Removes what loggers put before a message: Solaris's `[ID 450285 daemon.notice] `, and rsyslog's count of lines that
/// are the same (`message repeated 2 times: [ …]`).
fn said(message: &str) -> &str {
    let repeated = message.strip_prefix("message repeated ").and_then(|rest| rest.split_once(" times: [ "));
    let message = repeated.map_or(message, |(_, rest)| rest.strip_suffix(']').unwrap_or(rest));
    let numbered = message.strip_prefix("[ID ").and_then(|rest| rest.split_once("] "));
    let message = numbered.map_or(message, |(_, rest)| rest);
    // What a daemon stamps in the foreground is stamped again by the journal that takes it.
    let stamped = message.trim_ascii_start().starts_with(|c: char| c.is_ascii_digit());
    let inner = if stamped { envelope::foreground(message) } else { None };
    inner.map_or(message, |entry| entry.message)
}

/// Whether this is an address by which a host can be told from others.
fn is_own_address(text: &str) -> bool {
    text.parse()
        .is_ok_and(|address: IpAddr| !address.is_loopback() && !address.is_unspecified() && !address.is_multicast())
}

#[cfg(test)]
mod tests;
