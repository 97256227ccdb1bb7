//! The `ntpscope` program: opens files, drives the core, prints what it rendered.
#![forbid(unsafe_code)]

mod cli;
mod cmd;
mod input;
#[cfg(feature = "parquet")]
mod parquet;
mod plot;

use clap::Parser;
use std::process::ExitCode;

/// Exit status where nothing could be read or done.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let done = match &cli.verb {
        cli::Verb::Diagnose(args) => cmd::diagnose::run(args),
        cli::Verb::Exchanges(args) => cmd::exchanges::run(args),
        cli::Verb::Rows(args) => cmd::rows::run(args),
        cli::Verb::Plot(args) => cmd::plot::run(args),
        cli::Verb::Explain { id } => cmd::explain::run(id.as_deref()),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ntpscope: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

/// `ntpscope … | head` is no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
}
