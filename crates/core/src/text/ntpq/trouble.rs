//! What the query programs say when they get no answer.

use super::super::{Block, Form, Line, Taken};
use crate::model::{Event, Happening, Message, Row, What};

/// Messages of ntpq, ntpdc, ntpdate and sntp about the query itself. A daemon that doesn't answer queries may still answer
/// with time (`restrict noquery`), so that these say nothing of its clock.
pub const TROUBLE: Form =
    Form { name: "ntpq: no answer", opens: |line| Trouble::of(line).is_some(), block: || Box::new(Troubles) };

struct Trouble<'a> {
    program: &'a str,
    host: &'a str,
    kind: Happening,
}

/// How messages begin or end, and what each means (`ntpq.c`, `ntpdc.c`, NTPsec's `packet.py`).
const ENDS: [(&str, Happening); 5] = [
    (": timed out, nothing received", Happening::Network),
    (": timed out with incomplete data", Happening::Network),
    (": Connection refused", Happening::Network),
    (": Network is unreachable", Happening::Network),
    (": No route to host", Happening::Network),
];
const STARS: [(&str, Happening); 12] = [
    ("Request timed out", Happening::Network),
    ("Response from server was incomplete", Happening::Network),
    ("Response timed out", Happening::Network),
    ("Can't find host", Happening::Network),
    ("No information returned", Happening::Other),
    ("No information", Happening::Other),
    ("Server returned", Happening::Other),
    ("Server disallowed", Happening::Other),
    ("Server reports", Happening::Other),
    ("Server implementation", Happening::Other),
    ("Permission denied", Happening::Other),
    ("Association ID", Happening::Other),
];

impl<'a> Trouble<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (host, text) = match line.strip_prefix("server=") {
            Some(rest) => rest.split_once(' ')?,
            None => ("", line),
        };
        // `ID's` by the NTP project, `IDs` by NTPsec.
        if text.starts_with("No association ID") {
            return Some(Trouble { program: "ntpq", host, kind: Happening::Other });
        }
        if let Some(text) = text.strip_prefix("***") {
            let (_, kind) = STARS.iter().find(|(start, _)| text.trim_start().starts_with(start))?;
            let named = text.split_once("Can't find host ").map_or(host, |(_, name)| name);
            return Some(Trouble { program: "ntpq", host: named, kind: *kind });
        }
        // macOS's sntp.
        let failed = text.strip_prefix("sntp: ").unwrap_or(text);
        if failed.starts_with("Exchange failed: ") || failed == "Clock select failed" {
            return Some(Trouble { program: "sntp", host, kind: Happening::Network });
        }
        let (end, kind) = ENDS.iter().find(|(end, _)| text.ends_with(end))?;
        let before = text.strip_suffix(end)?;
        // `ntpq: read: Connection refused`; the name of the host is alone before the others.
        if let Some(program) = ["ntpq", "ntpdc"].into_iter().find(|name| before.starts_with(&format!("{name}: "))) {
            return Some(Trouble { program, host, kind: *kind });
        }
        let named = end.contains("timed out") && !before.is_empty() && !before.contains(char::is_whitespace);
        named.then_some(Trouble { program: "ntpq", host: before, kind: *kind })
    }
}

struct Troubles;

impl Block for Troubles {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(Trouble { program, host, kind }) = Trouble::of(line.text) else { return Taken::No };
        let message = Message { program, kind, source: host, value: None, text: line.text };
        rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn silence_is_told() {
        let text = "192.0.2.1: timed out, nothing received\n***Request timed out\nntpq: read: Connection refused\n\
                    No association ID's returned\n*** is a line of stars\nsntp: Exchange failed: Timeout\nwget: timed out, nothing here\n";
        let (rows, rejects, _) = read(text);
        let want = [
            "message who=ntpq subject=192.0.2.1 name=network text=192.0.2.1: timed out, nothing received",
            "message who=ntpq name=network text=***Request timed out",
            "message who=ntpq name=network text=ntpq: read: Connection refused",
            "message who=ntpq name=other text=No association ID's returned",
            "message who=sntp name=network text=sntp: Exchange failed: Timeout",
        ];
        assert_eq!(rows, want);
        assert_eq!(rejects.len(), 2);
    }
}
