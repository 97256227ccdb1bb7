//! Journals that are no lines of text: `journalctl -o json`, `-o export` and `-o verbose`, and Docker's own JSON.
//!
//! The fields are those of systemd.journal-fields(7), the forms those of "Journal Export Formats" at systemd.io.

use super::envelope::{self, Entry};
use super::stamp::{self, Stamp};
use super::{program, tell};
use crate::model::{At, Row};
use crate::text::field::integer;
use crate::text::{Block, Form, Line, Taken};
use crate::time::Time;
use serde_json::{Map, Value};

/// One object a line.
pub const JSON: Form = Form { name: "journalctl -o json", opens: is_json, block: || Box::new(Json) };

/// One field a line, and a blank line or a new stamp between entries.
pub const EXPORT: Form = Form { name: "journalctl -o export", opens: is_export, block: || Box::new(Export::default()) };

/// What Docker's `json-file` driver keeps of a container.
pub const DOCKER: Form = Form { name: "log of Docker", opens: is_docker, block: || Box::new(Docker) };

/// What journalctl prints before and between entries, whatever their form.
pub const BANNER: Form = Form { name: "journalctl", opens: is_banner, block: || Box::new(Banner) };

fn is_banner(line: &str) -> bool {
    const BEGINS: &[&str] = &[
        "-- Logs begin at ",
        "-- Journal begins at ",
        "-- Boot ",
        "-- Reboot --",
        "-- No entries --",
        "Hint: You are currently not seeing messages",
        "Hint: Some lines were ellipsized",
        "Warning: Journal has been rotated",
        "Warning: some journal files were not opened",
    ];
    line.starts_with(['-', 'H', 'W']) && BEGINS.iter().any(|begin| line.starts_with(begin))
}

struct Banner;

impl Block for Banner {
    fn line(&mut self, line: Line<'_>, _: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || is_banner(line.text) { Taken::Yes } else { Taken::No }
    }
}

fn is_json(line: &str) -> bool {
    line.starts_with('{') && line.ends_with('}') && line.contains("\"__REALTIME_TIMESTAMP\"")
}

fn is_docker(line: &str) -> bool {
    line.starts_with("{\"log\":\"") && line.contains("\"stream\":\"") && line.ends_with('}')
}

fn is_export(line: &str) -> bool {
    line.starts_with("__CURSOR=") || verbose_head(line).is_some()
}

/// `Sun 2026-11-22 09:25:13.123456 UTC [s=…;i=…]`, with which an entry of `-o verbose` begins.
fn verbose_head(line: &str) -> Option<Stamp<'_>> {
    stamp::full(line).filter(|(_, rest)| rest.starts_with("[s=")).map(|(stamp, _)| stamp)
}

/// Microseconds since 1970.
fn microseconds(text: &str, _: Time) -> Option<Time> {
    integer(text)?.checked_mul(1000).map(Time)
}

struct Json;

impl Block for Json {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() {
            return Taken::Yes;
        }
        if !line.text.starts_with('{') {
            return Taken::No;
        }
        // Whose entry it is, without reading all of it.
        let names = ["\"SYSLOG_IDENTIFIER\":\"", "\"_COMM\":\""];
        let mut named = names.iter().filter_map(|key| Some(line.text.split_once(key)?.1.split_once('"')?.0)).peekable();
        let others = named.peek().is_some() && !named.any(|name| program(name).is_some());
        if others && line.text.ends_with('}') {
            return Taken::Yes;
        }
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(line.text) else {
            return Taken::Rejected("expected one whole JSON object".into());
        };
        let field = |name| fields.get(name).map_or(String::new(), text_of);
        let (identifier, command) = (field("SYSLOG_IDENTIFIER"), field("_COMM"));
        let (real, host, message) = (field("__REALTIME_TIMESTAMP"), field("_HOSTNAME"), field("MESSAGE"));
        let name = if identifier.is_empty() { &command } else { &identifier };
        let stamp = Stamp { text: &real, read: microseconds };
        tell(line, &Entry { stamp, host: &host, program: name, message: &message }, rows)
    }
}

/// A field: text, bytes where it is not UTF-8, or several where it occurs more than once.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> = items.iter().map(|item| u8::try_from(item.as_u64()?).ok()).collect();
            match bytes {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => items.iter().find_map(Value::as_str).unwrap_or_default().to_owned(),
            }
        }
        _ => String::new(),
    }
}

struct Docker;

impl Block for Docker {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if !line.text.starts_with("{\"log\":") {
            return if line.text.is_empty() { Taken::Yes } else { Taken::No };
        }
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(line.text) else {
            return Taken::Rejected("expected one whole JSON object".into());
        };
        let (log, time) =
            (fields.get("log").map_or(String::new(), text_of), fields.get("time").map_or(String::new(), text_of));
        let stamp = Stamp { text: &time, read: stamp::iso_instant };
        match envelope::foreground(log.trim_end()) {
            Some(entry) => tell(line, &Entry { stamp, ..entry }, rows),
            None => Taken::Yes,
        }
    }
}

/// The fields of an entry that count, until it ends.
#[derive(Default)]
struct Export {
    /// Where the message stands.
    line: Option<(At<'static>, Time)>,
    real: String,
    /// The stamp with which a verbose entry begins.
    head: String,
    host: String,
    identifier: String,
    command: String,
    message: String,
    /// Whether the next line is a message that is not text: its length in eight bytes, then itself.
    binary: bool,
}

impl Export {
    fn entry_ends(&mut self, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let entry = std::mem::take(self);
        let Some((at, written)) = entry.line else { return Taken::Yes };
        let (text, read) = match entry.real.is_empty() {
            true => (&entry.head, stamp::full_instant as fn(&str, Time) -> Option<Time>),
            false => (&entry.real, microseconds as fn(&str, Time) -> Option<Time>),
        };
        let name = if entry.identifier.is_empty() { &entry.command } else { &entry.identifier };
        let said = Entry { stamp: Stamp { text, read }, host: &entry.host, program: name, message: &entry.message };
        tell(Line { at, text: "", written }, &said, rows)
    }
}

impl Block for Export {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if self.binary {
            self.binary = false;
            self.message = line.text.chars().skip(8).collect();
            return Taken::Yes;
        }
        if let Some(head) = verbose_head(line.text) {
            let taken = self.entry_ends(rows);
            self.head = head.text.to_owned();
            return taken;
        }
        if line.text.is_empty() {
            return self.entry_ends(rows);
        }
        let (name, value) = line.text.trim_start().split_once('=').unwrap_or((line.text, ""));
        let is_field = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !is_field {
            return Taken::No;
        }
        match name {
            "__CURSOR" => return self.entry_ends(rows),
            "__REALTIME_TIMESTAMP" => value.clone_into(&mut self.real),
            "_HOSTNAME" => value.clone_into(&mut self.host),
            "SYSLOG_IDENTIFIER" => value.clone_into(&mut self.identifier),
            "_COMM" => value.clone_into(&mut self.command),
            "MESSAGE" => {
                value.clone_into(&mut self.message);
                self.binary = !line.text.contains('=');
                self.line = Some((At::origin(line.at.origin), line.written));
            }
            _ => {}
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        self.entry_ends(rows);
    }
}
