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
            Cell::Text(text) if text.contains([',', '"', '\n', '\r']) => quote(text, out),
            cell => plain(cell, out),
        }
    });
    out.push('\n');
}

fn quote(text: &str, out: &mut String) {
    let _ = write!(out, "\"{}\"", text.replace('"', "\"\""));
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
                // A string has no reason to fail.
                let _ = write!(out, ",\"{name}\":{}", serde_json::to_string(text).unwrap_or_default());
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
