//! `ntpscope rows`: rows as CSV, as JSON lines, and in the files that others read.

use crate::model::Row;
use crate::table::{Cell, Owner, Table, cells};
use std::fmt::Write;

/// Writes a header and then rows of one table as comma-separated values (RFC 4180).
pub fn csv_header(table: Table, out: &mut String) {
    out.push_str(&table.columns().join(","));
    out.push('\n');
}

/// Writes a row as comma-separated values.
pub fn csv(row: &Row<'_>, owner: Owner<'_>, out: &mut String) {
    let mut first = true;
    cells(row, owner, &mut |cell| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        match cell {
            Cell::Text(text) => quoted(&super::plain(text), out),
            cell => plain(cell, out),
        }
    });
    out.push('\n');
}

fn quoted(text: &str, out: &mut String) {
    // Writing to a string does not fail.
    let _ = if text.contains([',', '"']) {
        write!(out, "\"{}\"", text.replace('"', "\"\""))
    } else {
        write!(out, "{text}")
    };
}

/// Writes a row as one JSON object on a line; what the form does not say is left out.
pub fn json(row: &Row<'_>, owner: Owner<'_>, out: &mut String) {
    let table = Table::of(row);
    let _ = write!(out, "{{\"table\":\"{}\"", table.name());
    let mut columns = table.columns().iter();
    cells(row, owner, &mut |cell| {
        let name = columns.next().copied().unwrap_or_default();
        match cell {
            Cell::Nothing => {}
            Cell::Number(_) | Cell::Whole(_) | Cell::Flag(_) => {
                let _ = write!(out, ",\"{name}\":");
                plain(cell, out);
            }
            Cell::Text(text) => {
                let _ = write!(out, ",\"{name}\":");
                string(text, out);
            }
            Cell::Mark(mark) => {
                let _ = write!(out, ",\"{name}\":{}", serde_json::to_string(&mark).unwrap_or_default());
            }
            Cell::Time(_) | Cell::Address(_) | Cell::Prefix(..) | Cell::Reach(_) | Cell::Bits(_) | Cell::Stamp(_) => {
                let _ = write!(out, ",\"{name}\":\"");
                plain(cell, out);
                out.push('"');
            }
        }
    });
    out.push_str("}\n");
}

/// JSON escapes the control characters of ASCII; a terminal obeys others, too.
fn string(text: &str, out: &mut String) {
    // A string has no reason to fail.
    for c in serde_json::to_string(text).unwrap_or_default().chars() {
        if super::is_odd(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

/// Writes a cell as text, without quotes; of nothing, nothing.
pub fn plain(cell: Cell<'_>, out: &mut String) {
    // Writing to a string does not fail.
    let _ = match cell {
        Cell::Nothing => Ok(()),
        Cell::Text(text) => write!(out, "{text}"),
        Cell::Mark(mark) => write!(out, "{mark}"),
        Cell::Number(value) => write!(out, "{value}"),
        Cell::Whole(value) => write!(out, "{value}"),
        Cell::Flag(value) => write!(out, "{value}"),
        Cell::Time(time) => write!(out, "{}", time.exactly()),
        Cell::Address(address) => write!(out, "{address}"),
        Cell::Prefix(address, bits) => write!(out, "{address}/{bits}"),
        Cell::Reach(reach) => write!(out, "{reach:o}"),
        Cell::Bits(bits) => write!(out, "{bits:04x}"),
        Cell::Stamp(stamp) => write!(out, "{:08x}.{:08x}", stamp >> 32, stamp & 0xffff_ffff),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, InputId, Origin, Peer, Place};

    /// Of a source with an odd name: as CSV and as JSON.
    fn written(source: &str) -> (String, String) {
        let at = At::origin(Origin { input: InputId(0), place: Place::Line(1) });
        let (row, mut comma, mut object) = (Row::Peer(Peer::new(at, source)), String::new(), String::new());
        csv(&row, Owner::default(), &mut comma);
        json(&row, Owner::default(), &mut object);
        (comma, object)
    }

    #[test]
    fn a_terminal_obeys_nothing_of_the_evidence() {
        let (comma, object) = written("a\x1b[2J\u{9b}\u{202e}\rb\tc");
        let odd = |text: &str| text.trim_end_matches('\n').chars().any(super::super::is_odd);
        assert!(!odd(&comma) && !odd(&object), "{comma:?} {object:?}");
        assert!(object.contains(r#""source":"a\u001b[2J\u009b\u202e\rb\tc""#), "{object}");
        assert!(comma.contains("a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b\tc"), "{comma}");
    }

    #[test]
    fn what_csv_would_take_for_its_own_is_quoted() {
        assert!(written("a,\"b\"").0.contains(r#""a,""b""""#));
    }
}
