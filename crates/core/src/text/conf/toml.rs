//! ntpd-rs' `ntp.toml` (ntp.toml(5)): tables of keys and values, a line each.
//!
//! A directive is the table and the key (`source.address`), and its value without quotes.

use super::super::{Block, Form, Line, Taken};
use super::begins_another;
use crate::model::{At, Daemon, Event, Origin, Row, What};

/// A configuration of ntpd-rs.
pub const NTPD_RS: Form = Form { name: "ntp.toml of ntpd-rs", opens, block: || Box::new(Tables::default()) };

/// The tables, and the keys in each that nothing else has in a table of that name (Pipenv too has a `[[source]]`).
/// `*` is any key.
const TABLES: [(&str, &str); 8] = [
    ("[[source]]", "mode"),
    ("[[server]]", "listen"),
    ("[source-defaults]", "poll-interval-limits initial-poll-interval"),
    (
        "[synchronization]",
        "single-step-panic-threshold startup-step-panic-threshold accumulated-step-panic-threshold \
         minimum-agreeing-sources local-stratum algorithm reference-id warn-on-jump",
    ),
    ("[observability]", "observation-path metrics-exporter-listen observation-permissions ansi-colors"),
    ("[[nts-ke-server]]", "*"),
    ("[keyset]", "stale-key-count key-rotation-interval key-storage-path"),
    ("[synchronization.algorithm]", "*"),
];

/// The modes of a source.
const MODES: [&str; 8] = ["server", "pool", "nts", "nts-pool", "sock", "pps", "csptp", "ptp"];

fn opens(line: &str) -> bool {
    line.starts_with('[') && table(line).is_some()
}

/// The entry of a table's heading; a comment may follow it.
fn table(line: &str) -> Option<&'static (&'static str, &'static str)> {
    TABLES.iter().find(|(heading, _)| {
        line.trim_start()
            .strip_prefix(heading)
            .is_some_and(|rest| matches!(rest.trim_start().as_bytes(), [] | [b'#', ..]))
    })
}

/// The name of a table in one of those: `[server.allowlist]`, `[source.filter]`.
fn inner(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.trim_start_matches('[').split_once(']')?.0;
    let (outer, _) = name.split_once('.')?;
    TABLES.iter().any(|(heading, _)| heading.trim_matches(['[', ']']) == outer).then_some(name)
}

#[derive(Default)]
struct Tables {
    /// The name of the table that we are in, without brackets, and the keys that make us sure.
    table: String,
    telling: &'static str,
    sure: bool,
    /// Keys met before we were sure: `[[source]]` may begin with its address.
    held: Vec<(Origin, String, String)>,
    /// Inside a list or table that spans lines.
    open: bool,
}

/// More keys than these say nothing in any table that is ntpd-rs'.
const MOST_HELD: usize = 32;

impl Block for Tables {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim_start();
        if bare.is_empty() || bare.starts_with('#') {
            if begins_another(line.text) {
                return Taken::No;
            }
            return Taken::Yes;
        }
        if let Some((heading, telling)) = table(bare) {
            (self.table, self.telling) = (heading.trim_matches(['[', ']']).into(), telling);
            self.open = false;
            return Taken::Yes;
        }
        if self.open {
            self.open = !bare.starts_with([']', '}']);
            return Taken::Yes;
        }
        if let Some(name) = inner(bare).filter(|_| self.sure) {
            (self.table, self.telling) = (name.into(), "");
            return Taken::Yes;
        }
        let Some((key, value)) =
            bare.split_once('=').map(|(key, value)| (key.trim_end(), without_comment(value.trim())))
        else {
            // Another table, or another file.
            let reason = || Taken::Rejected("expected `key = value`".into());
            return if self.sure && !bare.starts_with(['[', '$']) && !bare.contains('@') {
                reason()
            } else {
                Taken::No
            };
        };
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.\"".contains(&b)) {
            return if self.sure { Taken::Rejected("expected `key = value`".into()) } else { Taken::No };
        }
        if value.is_empty() {
            return Taken::Rejected(format!("`{key}` has no value"));
        }
        self.open = matches!(value, "[" | "{");
        let plain = value.trim_matches('"');
        let tells = self.telling == "*" || self.telling.split_ascii_whitespace().any(|word| word == key);
        self.sure |= tells && (key != "mode" || MODES.contains(&plain));
        self.held.push((line.at.origin, format!("{}.{key}", self.table), plain.to_owned()));
        if self.sure {
            self.end(rows);
        } else if self.held.len() >= MOST_HELD {
            return Taken::No;
        }
        Taken::Yes
    }

    fn sure(&self) -> bool {
        self.sure
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        for (origin, keyword, rest) in self.held.drain(..).filter(|_| self.sure) {
            let what = What::Directive { daemon: Daemon::NtpdRs, keyword: &keyword, rest: &rest };
            rows(Row::Event(Event { at: At::origin(origin), what }));
        }
    }
}

/// A value without the comment after it; `#` in a string is none.
fn without_comment(value: &str) -> &str {
    let mut quoted = false;
    let end = value.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '#' && !quoted
    });
    end.map_or(value, |(at, _)| value[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn a_key_carries_its_table() {
        let text = "[[source]]\naddress = \"ntp.example\" # ours\nmode = \"pool\"\ncount = 4\n\n[synchronization]\n\
                    startup-step-panic-threshold = { forward = \"inf\", backward = 1800 }\nbroken\n\
                    [[server]]\nlisten = \"[::]:123\"\n[server.allowlist]\nfilter = []\n";
        let (rows, rejects, forms) = read(text);
        let want = [
            "directive who=ntpd-rs name=source.address text=ntp.example",
            "directive who=ntpd-rs name=source.mode text=pool",
            "directive who=ntpd-rs name=source.count text=4",
            "directive who=ntpd-rs name=synchronization.startup-step-panic-threshold text={ forward = \"inf\", backward = 1800 }",
            "directive who=ntpd-rs name=server.listen text=[::]:123",
            "directive who=ntpd-rs name=server.allowlist.filter text=[]",
        ];
        assert_eq!(rows, want);
        assert_eq!((rejects, forms), (vec!["line 8: expected `key = value`".to_owned()], vec!["ntp.toml of ntpd-rs"]));
    }
}
