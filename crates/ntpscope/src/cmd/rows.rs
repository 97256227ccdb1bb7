//! `ntpscope rows PATH…`: what the readers saw.

use crate::cli::{RowFormat, Rows};
use crate::input::{self, Evidence, Kind, Opened, Seen};
use anyhow::{Context, bail};
use ntpscope_core::digest::Digest;
use ntpscope_core::model::{Reject, Row};
use ntpscope_core::render::pcapng::Pcapng;
use ntpscope_core::render::rows::{csv, csv_header, json};
use ntpscope_core::render::summary::summary;
use ntpscope_core::render::{plain, statsdir};
use ntpscope_core::rules::{Material, Summaries, Summary};
use ntpscope_core::scene::{Input, Scene};
use ntpscope_core::table::{Owner, Table};
use ntpscope_core::wire::Packet;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Bytes that are gathered before they are written.
const PIECE: usize = 1 << 16;

const CHOOSE: &str = "each table has columns of its own: choose one with --table clock, peer, packet or event";

/// Prints rows, rejects, or a summary.
pub fn run(args: &Rows) -> anyhow::Result<ExitCode> {
    let evidence = Evidence::gather(&args.path, &args.host);
    if let Some(path) = args.output.as_deref().filter(|path| evidence.holds(path)) {
        bail!("{} is evidence: it would be overwritten before it is read", path.display());
    }
    let one_table_only = args.format == RowFormat::Csv;
    #[cfg(feature = "parquet")]
    let one_table_only = one_table_only || args.format == RowFormat::Parquet;
    if one_table_only && !args.summary && !args.rejects && args.table.is_none() {
        bail!(CHOOSE);
    }
    let mut out = output(args.output.as_deref())?;
    #[cfg(feature = "parquet")]
    if args.format == RowFormat::Parquet {
        return complain(&parquet(&evidence, args, out)?, args);
    }
    let scene = if args.summary {
        let (scene, took_s, digest) = digest(&evidence);
        out.write_all(summary(&scene, &took_s, &digest).as_bytes())?;
        scene
    } else if args.rejects {
        rejects(&evidence, args, &mut *out)?
    } else {
        rows(&evidence, args, &mut *out)?
    };
    out.flush()?;
    complain(&scene, args)
}

fn output(path: Option<&Path>) -> anyhow::Result<Box<dyn Write + Send>> {
    Ok(match path {
        None => Box::new(io::stdout()),
        Some(path) => Box::new(File::create(path).with_context(|| format!("can't write {}", path.display()))?),
    })
}

/// Reads everything in order, and shows how far that has come unless the terminal shows the rows themselves.
fn read(
    evidence: &Evidence,
    args: &Rows,
    seen: &mut dyn FnMut(&Input, Seen<'_>),
    reject: &mut dyn FnMut(&Input, &Reject),
) -> Scene {
    let mut read = || input::rows(evidence, seen, reject);
    if args.output.is_none() && io::stdout().is_terminal() {
        return read();
    }
    input::shown("reading", evidence.size_of(|file| file.kind.is_evidence()), read)
}

#[cfg(feature = "parquet")]
fn parquet(evidence: &Evidence, args: &Rows, out: Box<dyn Write + Send>) -> anyhow::Result<Scene> {
    let table = args.table.map(Table::from).context(CHOOSE)?;
    let mut file = crate::parquet::Parquet::new(table, out)?;
    let (mut refid, mut wrote) = (String::new(), Ok(()));
    let mut write = |input: &Input, seen: Seen<'_>| {
        let owner = Owner { input: &input.name, host: input.host.as_deref().unwrap_or_default() };
        let row = match seen {
            Seen::Row(row) => Some(*row),
            Seen::Packet(packet, _) => packet.row(&mut refid).map(Row::Packet),
        };
        if let Some(row) = row.filter(|row| Table::of(row) == table && wrote.is_ok()) {
            wrote = file.row(&row, owner);
        }
    };
    let scene = read(evidence, args, &mut write, &mut |_, _| {});
    wrote?;
    file.finish()?;
    Ok(scene)
}

fn rows(evidence: &Evidence, args: &Rows, out: &mut dyn Write) -> anyhow::Result<Scene> {
    let chosen = args.table.map(Table::from);
    let table = chosen.or(args.format.table());
    let (mut piece, capture) = (Vec::new(), args.format == RowFormat::Pcapng);
    // Its header is written also where no packet follows.
    let capture = capture.then(|| Pcapng::new(&mut piece));
    let mut writer = Writer { format: args.format, piece, text: String::new(), capture };
    if let (RowFormat::Csv, Some(table)) = (args.format, table) {
        csv_header(table, &mut writer.text);
    }
    // Every host has an `eth0`.
    let several = evidence.files.len() > 1;
    let (mut refid, mut unfit, mut wrote) = (String::new(), 0_u64, Ok(()));
    let mut write = |input: &Input, seen: Seen<'_>| {
        if wrote.is_err() {
            return;
        }
        let fits = match seen {
            Seen::Row(row) if table.is_some_and(|table| table != Table::of(row)) => return,
            Seen::Packet(..) if table.is_some_and(|table| table != Table::Packet) => return,
            Seen::Row(row) => writer.row(input, row),
            Seen::Packet(packet, interface) if args.format == RowFormat::Pcapng => match interface {
                Some(interface) if several => writer.packet(&format!("{} {interface}", input.name), packet),
                _ => writer.packet(interface.unwrap_or(&input.name), packet),
            },
            // What an ICMP error quotes was not sent here, and is no row.
            Seen::Packet(packet, _) => packet.row(&mut refid).is_none_or(|row| writer.row(input, &Row::Packet(row))),
        };
        unfit += u64::from(!fits);
        wrote = writer.drain(PIECE, out);
    };
    let scene = read(evidence, args, &mut write, &mut |_, _| {});
    wrote?;
    writer.drain(0, out)?;
    if unfit > 0 {
        eprintln!(
            "{unfit} rows lack what this format needs, and were not written: --format json has all that is known"
        );
    }
    Ok(scene)
}

/// Rows on their way out.
struct Writer {
    format: RowFormat,
    /// What waits to be written: text, or the bytes of a capture.
    text: String,
    piece: Vec<u8>,
    /// Where a capture is written.
    capture: Option<Pcapng>,
}

impl Writer {
    /// Whether the format has a place for the row, which is then written.
    fn row(&mut self, input: &Input, row: &Row<'_>) -> bool {
        let owner = Owner { input: &input.name, host: input.host.as_deref().unwrap_or_default() };
        match (self.format, row) {
            (RowFormat::Json, _) => json(row, owner, &mut self.text),
            (RowFormat::Csv, _) => csv(row, owner, &mut self.text),
            (RowFormat::Loopstats, Row::Clock(clock)) => return statsdir::loopstats(clock, &mut self.text),
            (RowFormat::Peerstats, Row::Peer(peer)) => return statsdir::peerstats(peer, &mut self.text),
            (RowFormat::Rawstats, Row::Packet(packet)) => return statsdir::rawstats(packet, &mut self.text),
            (RowFormat::Pcapng, Row::Packet(packet)) => {
                let piece = &mut self.piece;
                return self.capture.as_mut().is_some_and(|capture| capture.row(&input.name, packet, piece));
            }
            _ => return false,
        }
        true
    }

    fn packet(&mut self, interface: &str, packet: &Packet) -> bool {
        let piece = &mut self.piece;
        self.capture.as_mut().is_some_and(|capture| capture.packet(interface, packet, piece))
    }

    /// Writes what waits, if it is more than `most` bytes.
    fn drain(&mut self, most: usize, out: &mut dyn Write) -> io::Result<()> {
        if self.text.len() + self.piece.len() > most {
            out.write_all(self.text.as_bytes())?;
            out.write_all(&self.piece)?;
            self.text.clear();
            self.piece.clear();
        }
        Ok(())
    }
}

fn rejects(evidence: &Evidence, args: &Rows, out: &mut dyn Write) -> anyhow::Result<Scene> {
    let mut wrote = Ok(());
    let scene = read(evidence, args, &mut |_, _| {}, &mut |input, reject| {
        if wrote.is_ok() {
            wrote = writeln!(out, "{} {}: {}", plain(&input.name), reject.place, plain(&reject.reason));
        }
    });
    wrote?;
    Ok(scene)
}

/// What the files of one source gave: the inputs, each with the seconds that it took.
type Part = (Vec<(usize, Input, f64)>, Digest, Summaries);

/// Reads everything on all threads: the inputs, the seconds that each took, and the offsets.
fn digest(evidence: &Evidence) -> (Scene, Vec<f64>, Digest) {
    let read = |opened: Opened<'_>, (inputs, digest, rules): &mut Part| {
        let (start, id, host) = (Instant::now(), opened.id(), opened.host().to_owned());
        let mut fold = |seen: Seen<'_>| {
            if let Seen::Row(row) = seen {
                let named = row.at().host;
                digest.fold(if named.is_empty() { &host } else { named }, row);
                rules.identity.fold(Material::Row(row));
                if let Row::Event(_) = row {
                    rules.daemon.fold(Material::Row(row));
                }
            }
        };
        let input = opened.read(&mut fold, &mut |_| {});
        inputs.push((id, input, start.elapsed().as_secs_f64()));
    };
    let mut scene = input::scene(evidence);
    let (mut took_s, mut all, mut rules) = (vec![0.0; scene.inputs.len()], Digest::default(), Summaries::default());
    input::each(evidence, Kind::is_evidence, &read, &mut |(inputs, digest, said): Part| {
        for (id, input, took) in inputs {
            (scene.inputs[id], took_s[id]) = (input, took);
        }
        all.merge(&digest);
        rules.merge(said);
    });
    scene.know(&rules);
    let all = all.renamed(|host| scene.called(host));
    (scene, took_s, all)
}

/// What could not be read goes to standard error, and is the exit status where nothing could.
fn complain(scene: &Scene, args: &Rows) -> anyhow::Result<ExitCode> {
    super::ensure_evidence(scene)?;
    super::tell_trouble(scene);
    let rejected: u64 = scene.inputs.iter().map(|input| input.rejected).sum();
    if rejected > 0 && !args.rejects {
        eprintln!("{rejected} lines or frames were not understood: --rejects lists them");
    }
    Ok(ExitCode::SUCCESS)
}
