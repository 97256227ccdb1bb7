//! `ntpscope explain [ID]`.

use anyhow::bail;
use ntpscope_core::render::explain;
use std::io::Write;
use std::process::ExitCode;

/// Prints a page, or the list of pages.
pub fn run(id: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match id {
        None => {
            for (id, title) in explain::index() {
                writeln!(out, "{id:<27} {title}")?;
            }
        }
        Some(id) => match explain::page(id) {
            Some(page) => out.write_all(page.as_bytes())?,
            None => bail!("no page for {id}: 'ntpscope explain' lists all"),
        },
    }
    Ok(ExitCode::SUCCESS)
}
