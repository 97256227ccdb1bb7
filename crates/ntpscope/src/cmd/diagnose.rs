//! `ntpscope diagnose PATH…`: the main job.

use crate::cli::{Diagnose, ReportFormat};
use crate::input::{self, Evidence, Reading};
use ntpscope_core::causes::Kind;
use ntpscope_core::diagnosis::{CLAIM, diagnose};
use ntpscope_core::render::{Coverage, json, text};
use std::io::Write;
use std::process::ExitCode;

/// Reads everything, diagnoses, prints.
pub fn run(args: &Diagnose) -> anyhow::Result<ExitCode> {
    let evidence = Evidence::gather(&args.path, &args.host);
    let Reading { mut scene, rules, tally, alignment } = input::read(&evidence)?;
    super::ensure_evidence(&scene)?;
    let diagnosis = diagnose(&rules, &mut scene);
    let coverage = Coverage { scene: &scene, tally: &tally, alignment: &alignment };
    let mut out = std::io::stdout().lock();
    match args.format {
        ReportFormat::Text => out.write_all(text::report(&diagnosis, coverage).as_bytes())?,
        ReportFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &json::report(&diagnosis, coverage))?;
            writeln!(out)?;
        }
    }
    let fault = diagnosis.diagnoses.iter().any(|d| d.kind == Kind::Fault && d.probability >= CLAIM);
    Ok(ExitCode::from(u8::from(fault)))
}
