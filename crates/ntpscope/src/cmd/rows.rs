//! `ntpscope rows PATH…`: what the readers saw.

use crate::cli::{RowFormat, Rows, TableName};
use crate::input;
use ntpscope_core::render::rows::{csv, csv_header, json};
use ntpscope_core::table::{Owner, Table};
use std::io::Write;
use std::process::ExitCode;

/// Prints rows, or rejects.
pub fn run(args: &Rows) -> anyhow::Result<ExitCode> {
    let evidence = input::Evidence::gather(&args.path, &[]);
    let table = args.table.map(|name| match name {
        TableName::Clock => Table::Clock,
        TableName::Peer => Table::Peer,
        TableName::Packet => Table::Packet,
        TableName::Event => Table::Event,
    });
    let mut out = String::new();
    if args.format == RowFormat::Csv {
        csv_header(table.unwrap_or(Table::Peer), &mut out);
    }
    let mut rejects = String::new();
    let scene = input::rows(
        &evidence,
        &mut |input, row| {
            if table.is_some_and(|table| table != Table::of(&row)) {
                return;
            }
            let owner = Owner { input: &input.name, host: input.host.as_deref().unwrap_or_default() };
            match args.format {
                RowFormat::Csv => csv(&row, owner, &mut out),
                RowFormat::Json => json(&row, owner, &mut out),
            }
        },
        &mut |input, reject| rejects.push_str(&format!("{} {}: {}\n", input.name, reject.place, reject.reason)),
    );
    let text = if args.rejects { rejects } else { out };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    for input in &scene.inputs {
        eprintln!(
            "{:<60} {:<30} rows {:>6} rejects {:>4} {}",
            input.name,
            input.kind,
            input.rows,
            input.rejected,
            input.trouble.as_deref().unwrap_or("")
        );
    }
    Ok(ExitCode::SUCCESS)
}
