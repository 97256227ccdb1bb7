//! Zeek's logs as JSON: an object a line, as Zeek writes them, or laid out over several lines, as `jq` prints them.

use super::super::{Block, Form, Line, Taken};
use super::{COLUMNS, Cells, Peers, message};
use crate::model::{At, Row};
use serde_json::{Map, Value};

const NAME: &str = "Zeek log in JSON";

/// An object a line.
pub(super) const LINES: Form = Form { name: NAME, opens: opens_line, block: || Box::new(Lines::default()) };

/// Objects over several lines. Brackets on lines of their own are nobody's, so the time opens one: Zeek gives it first.
pub(super) const LAID_OUT: Form = Form {
    name: NAME,
    opens: |line| line.trim_start().starts_with("\"ts\": ") && line.ends_with(','),
    block: || Box::new(LaidOut::default()),
};

/// What is longer is no object of Zeek's.
const LONGEST: usize = 16 * 1024;

/// The object of a line, which may be one of a list.
fn object(line: &str) -> Option<&str> {
    let text = line.trim_start_matches(['[', ' ', '\t']);
    (text.starts_with('{') && text != "{").then(|| text.trim_end_matches([',', ']', ' ']))
}

fn opens_line(line: &str) -> bool {
    let has = |key: &str| line.contains(key);
    object(line).is_some() && has("\"ts\"") && has("\"uid\"") && (has("\"id.orig_h\"") || has("orig_h\""))
}

#[derive(Default)]
struct Lines {
    peers: Peers,
}

impl Block for Lines {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(text) = object(line.text) else {
            return if line.text.is_empty() { Taken::Yes } else { Taken::No };
        };
        let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) else {
            return Taken::Rejected("a line that is no whole JSON object".into());
        };
        if !object.contains_key("ts") && !object.contains_key("_path") {
            return Taken::No;
        }
        read(line.at, &object, &mut self.peers, rows)
    }
}

/// Gives the row of an object, if it is of a log about NTP.
fn read(at: At<'_>, object: &Map<String, Value>, peers: &mut Peers, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
    let texts: Vec<Option<String>> = COLUMNS.iter().map(|(name, _)| text_of(find(object, name)?)).collect();
    let mut cells = Cells::default();
    for (cell, text) in cells.0.iter_mut().zip(&texts) {
        *cell = text.as_deref();
    }
    if !cells.is_ntp() {
        return Taken::Yes;
    }
    message(at, &cells, peers, rows).map_or_else(Taken::Rejected, |()| Taken::Yes)
}

#[derive(Default)]
struct LaidOut {
    peers: Peers,
    /// The object as far as it was read, from its first key on.
    text: String,
    /// Where it begins.
    at: Option<At<'static>>,
    /// Brackets that are open in it.
    depth: u32,
    /// Whether one was Zeek's.
    sure: bool,
}

impl Block for LaidOut {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_start();
        let Some(at) = self.at else {
            if (LAID_OUT.opens)(line.text) {
                self.at = Some(At { host: "", ..At::origin(line.at.origin) });
                "{".clone_into(&mut self.text);
                self.text.push_str(text);
                return Taken::Yes;
            }
            return if matches!(text, "" | "{" | "[" | "]") { Taken::Yes } else { Taken::No };
        };
        let closes = text.starts_with(['}', ']']);
        if self.text.len() + text.len() > LONGEST || !(closes || text.starts_with(['"', '{', '['])) {
            (self.at, self.depth) = (None, 0);
            return Taken::No;
        }
        if closes && self.depth == 0 {
            self.at = None;
            self.text.push('}');
            let object = serde_json::from_str::<Map<String, Value>>(&self.text).unwrap_or_default();
            let zeek = find(&object, "id.orig_h").is_some() && object.contains_key("uid");
            self.sure |= zeek;
            return if zeek { read(at, &object, &mut self.peers, rows) } else { Taken::No };
        }
        self.text.push_str(text);
        self.depth = self.depth.saturating_sub(u32::from(closes)) + u32::from(text.ends_with(['{', '[']));
        Taken::Yes
    }

    fn sure(&self) -> bool {
        self.sure
    }
}

/// The value of a key, which collectors rename where they can't keep its dot: `id.orig_h`, `id_orig_h`, `id: {orig_h}`.
fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        let (outer, inner) = name.split_once('.')?;
        object.get(&format!("{outer}_{inner}")).or_else(|| object.get(outer)?.get(inner))
    })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(if *flag { "T" } else { "F" }.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn objects_may_be_laid_out_and_stand_in_a_list() {
        let line = "{\"ts\":1795340180.5,\"uid\":\"C1\",\"id\":{\"orig_h\":\"192.0.2.1\",\"resp_h\":\"192.0.2.2\"},\
                    \"version\":4,\"mode\":3,\"xmt_time\":1795340180.5}";
        let laid_out = "{\n  \"ts\": 1795340180.5,\n  \"uid\": \"C1\",\n  \"id\": {\n    \"orig_h\": \"192.0.2.1\",\n    \
                        \"resp_h\": \"192.0.2.2\"\n  },\n  \"version\": 4,\n  \"mode\": 3,\n  \"xmt_time\": 1795340180.5\n}";
        let want = "packet time=2026-11-22T09:36:20.5Z source=192.0.2.1 destination=192.0.2.2 version=4 mode=3 \
                    transmit=eead3614.80000000";
        for text in [
            format!("{line}\n{line}"),
            format!("[{line},\n{line}]"),
            format!("[\n  {line},\n  {line}\n]"),
            format!("{laid_out}\n{laid_out}"),
            format!("[\n{laid_out},\n{laid_out}\n]"),
        ] {
            let (rows, rejects, forms) = read(&text);
            assert_eq!((rows, rejects, forms), (vec![want.to_owned(); 2], vec![], vec!["Zeek log in JSON"]), "{text}");
        }
    }

    #[test]
    fn what_another_program_lays_out_is_not_zeeks() {
        let (rows, _, forms) = read("{\n  \"ts\": 1795340180.5,\n  \"level\": \"info\",\n  \"mode\": 3\n}\n");
        assert_eq!((rows, forms), (vec![], vec![]));
    }
}
