//! `ntpscope exchanges CAPTURE…`: the requests, line by line or counted.

use crate::cli::{Exchanges, LineFormat};
use crate::input::{self, Evidence, Reading};
use anyhow::bail;
use ntpscope_core::exchange::{Exchange, HORIZON};
use ntpscope_core::render::exchanges::{Style, header, line};
use ntpscope_core::render::plain;
use ntpscope_core::rules::exchange::Fates;
use ntpscope_core::rules::{Material, Summary};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

/// Lists or counts the requests.
pub fn run(args: &Exchanges) -> anyhow::Result<ExitCode> {
    let evidence = Evidence::gather(&args.capture, &[]);
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.summary {
        return summary(args, &evidence, &mut out);
    }
    let style = match args.format {
        LineFormat::Table => Style::Table,
        LineFormat::Csv => Style::Csv,
        LineFormat::Json => Style::Json,
    };
    if let Some(header) = header(style) {
        writeln!(out, "{header}")?;
    }
    // Lost requests are known to be lost only later: lines wait until none before them can come.
    let mut waiting: BinaryHeap<Reverse<(i64, String)>> = BinaryHeap::new();
    let mut latest = i64::MIN;
    let Reading { scene, .. } = input::exchanges(&evidence, &mut |exchange, scene| {
        let start = exchange.near().time.0;
        latest = latest.max(start);
        if wanted(args, exchange) {
            waiting.push(Reverse((start, line(exchange, scene, style))));
        }
        while waiting.peek().is_some_and(|Reverse((time, _))| *time < latest.saturating_sub(HORIZON)) {
            if let Some(Reverse((_, line))) = waiting.pop() {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    })?;
    while let Some(Reverse((_, line))) = waiting.pop() {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    complain(&scene)
}

fn summary(args: &Exchanges, evidence: &Evidence, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut fates = Fates::default();
    let Reading { scene, tally, .. } = input::exchanges(evidence, &mut |exchange, _| {
        if wanted(args, exchange) {
            fates.fold(Material::Exchange(exchange));
        }
        Ok(())
    })?;
    writeln!(out, "{:<40} {:<15} {:>9}  first", "server", "fate", "requests")?;
    for (server, fate, count) in fates.iter() {
        let first = count.first.map(|(time, _)| time.to_string()).unwrap_or_default();
        writeln!(out, "{server:<40} {:<15} {:>9}  {first}", fate.word(), count.n)?;
    }
    writeln!(
        out,
        "{} requests in {} NTP packets; {} duplicated, {} interleaved, {} without a timestamp of their own; \
         {} replies without a request, {} broadcasts, {} control packets",
        fates.all,
        tally.packets,
        fates.duplicated,
        fates.interleaved,
        fates.weak,
        tally.unasked,
        tally.broadcasts,
        tally.control
    )?;
    out.flush()?;
    complain(&scene)
}

fn wanted(args: &Exchanges, exchange: &Exchange) -> bool {
    let near = exchange.near();
    args.fate.as_deref().is_none_or(|fate| exchange.fate.word() == fate)
        && args.host.is_none_or(|host| near.source.0 == host || near.destination.0 == host)
        && args.port.is_none_or(|port| exchange.requests.iter().any(|s| s.source.1 == port))
}

/// What could not be read goes to standard error, and is the exit status where nothing could.
fn complain(scene: &ntpscope_core::scene::Scene) -> anyhow::Result<ExitCode> {
    super::tell_trouble(scene);
    for input in &scene.inputs {
        for reject in &input.rejects {
            eprintln!("{} {}: {}", plain(&input.name), reject.place, plain(&reject.reason));
        }
    }
    if scene.points().next().is_none() {
        bail!("no capture among {} inputs", scene.inputs.len());
    }
    Ok(ExitCode::SUCCESS)
}
