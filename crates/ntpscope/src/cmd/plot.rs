//! `ntpscope plot PATH…`: clocks and sources over time, and their statistics.

use crate::cli::Plot;
use crate::input::{self, Evidence, Reading};
use crate::plot::{Ground, save};
use anyhow::bail;
use ntpscope_core::diagnosis::diagnose;
use ntpscope_core::render::plot::terminal::{Terminal, draw};
use ntpscope_core::render::plot::{self, Kind, Traces, View};
use ntpscope_core::rules::Material;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Columns where no terminal says how many it has.
const COLUMNS: usize = 80;

/// Rows of characters of each panel, where there are few and where there are many over time: several hosts then fit one
/// screen.
const TALL: usize = 8;
const FLAT: usize = 4;
const FEW: usize = 3;

/// Reads everything, draws.
pub fn run(args: &Plot) -> anyhow::Result<ExitCode> {
    let evidence = Evidence::gather(&args.path, &args.host);
    if let Some(path) = args.output.as_deref().filter(|path| evidence.holds(path)) {
        bail!("{} is evidence: it would be overwritten", path.display());
    }
    let view = View {
        kind: args.kind.into(),
        quantities: args.quantity.iter().map(|quantity| (*quantity).into()).collect(),
        sources: args.sources,
        same_scale: args.same_scale,
        statistics: args.statistics,
    };
    let wanted = view.gathered();
    let fold = |part: &mut Option<Traces>, host: &str, material: Material<'_>| {
        part.get_or_insert_with(|| Traces::of(&wanted)).fold(host, material);
    };
    let mut traces = Traces::of(&wanted);
    let reading = input::read_also(&evidence, &fold, &mut |part| part.into_iter().for_each(|part| traces.merge(part)))?;
    let Reading { mut scene, rules, .. } = reading;
    super::ensure_evidence(&scene)?;
    super::tell_trouble(&scene);
    let diagnosis = diagnose(&rules, &mut scene);
    // Who sends requests is known by address.
    let traces = traces.renamed(|host| host.parse().map_or_else(|_| scene.called(host), |address| scene.name(address)));
    let drawn = plot::Material { scene: &scene, rules: &rules, traces: &traces, claims: &diagnosis.diagnoses };
    let Some(picture) = plot::picture(&drawn, &view) else {
        bail!("nothing to draw: no row has a time and what is asked for; 'ntpscope rows --summary' says what was read");
    };
    let mut out = std::io::stdout().lock();
    match &args.output {
        Some(path) => save(&picture, path, if args.dark { Ground::Dark } else { Ground::Light })?,
        None => {
            let height = if picture.panels.len() <= FEW || view.kind != Kind::Time { TALL } else { FLAT };
            let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let width = terminal_size::terminal_size().map_or(COLUMNS, |(width, _)| usize::from(width.0));
            out.write_all(draw(&picture, Terminal { width, height, colour }).as_bytes())?;
        }
    }
    if args.statistics {
        let numbers = match view.kind {
            Kind::Allan => plot::deviations(&picture.panels),
            _ => plot::table(&plot::statistics(&drawn, &view)),
        };
        out.write_all(numbers.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
