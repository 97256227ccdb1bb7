//! Evidence from disk: which files there are, what each is, and the stream of what they say.
//!
//! Files are read, never mapped: one that shrinks meanwhile is then an early end and not a signal.

mod bytes;
mod captures;
mod gather;

pub use gather::{File, gather};

use anyhow::Result;
use bytes::{Kind, Lines};
use ntpscope_core::exchange::{Alignment, Exchange, Tally};
use ntpscope_core::model::{InputId, Reject, Row};
use ntpscope_core::rules::{Material, Summaries, Summary};
use ntpscope_core::scene::{Input, Scene};
use ntpscope_core::text::TextReader;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// Everything that was read.
pub struct Reading {
    /// Inputs, points and hosts.
    pub scene: Scene,
    /// The summaries of all rules.
    pub rules: Summaries,
    /// What the joining counted.
    pub tally: Tally,
    /// The clocks of the captures.
    pub alignment: Alignment,
}

/// What is done with each exchange as it is complete.
pub type Each<'a> = dyn FnMut(&Exchange, &Scene) -> Result<()> + 'a;

/// Reads all files into the summaries of the rules.
pub fn read(files: &[File]) -> Result<Reading> {
    let (mut scene, kinds) = sniff(files);
    let mut rules = Summaries::default();
    for (id, input, summaries) in texts(files, &kinds) {
        scene.inputs[id] = Input { host: scene.inputs[id].host.take(), ..input };
        rules.merge(summaries);
    }
    // Joining and folding each take a thread.
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel::<Vec<Exchange>>(WAITING);
        let folding = scope.spawn(move || {
            let mut folded = Summaries::default();
            batches.iter().flatten().for_each(|exchange| folded.fold(Material::Exchange(&exchange)));
            folded
        });
        let mut batch = Vec::with_capacity(BATCH);
        let read = captures::read(files, &kinds, scene, &mut |exchange, _| {
            batch.push(exchange.clone());
            if batch.len() == BATCH {
                sender.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))?;
            }
            Ok(())
        });
        let _ = sender.send(batch);
        drop(sender);
        rules.merge(folding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok(Reading { rules, ..read? })
    })
}

/// Exchanges handed to the folding thread at once, and how many such batches may wait.
const BATCH: usize = 256;
const WAITING: usize = 4;

/// Reads the captures among the files, and shows every exchange to `each`; no rule is folded.
pub fn exchanges(files: &[File], each: &mut Each<'_>) -> Result<Reading> {
    let (scene, kinds) = sniff(files);
    captures::read(files, &kinds, scene, each)
}

/// Looks at the beginning of each file.
fn sniff(files: &[File]) -> (Scene, Vec<Kind>) {
    let mut scene = Scene::default();
    let mut kinds = Vec::with_capacity(files.len());
    for file in files {
        let (kind, trouble) = match &file.trouble {
            Some(trouble) => (Kind::Nothing, Some(trouble.clone())),
            None => match bytes::kind(file) {
                Ok(Kind::Nothing) => (Kind::Nothing, Some("neither a capture nor text".into())),
                Ok(Kind::Empty) => (Kind::Nothing, Some("is empty".into())),
                Ok(kind) => (kind, None),
                Err(error) => (Kind::Nothing, Some(format!("can't be read: {error}"))),
            },
        };
        scene.inputs.push(Input { name: file.name.clone(), host: file.host.clone(), trouble, ..Input::default() });
        kinds.push(kind);
    }
    (scene, kinds)
}

/// Reads the text files, on as many threads as there are processors; results come in the order of the files.
fn texts(files: &[File], kinds: &[Kind]) -> Vec<(usize, Input, Summaries)> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let id = next.fetch_add(1, Ordering::Relaxed);
            let (Some(file), Some(kind)) = (files.get(id), kinds.get(id)) else { return done };
            if *kind == Kind::Text {
                let (input, summaries) = text(file, InputId(id as u32));
                done.push((id, input, summaries));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len().max(1));
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    all.sort_by_key(|(id, ..)| *id);
    all
}

fn text(file: &File, id: InputId) -> (Input, Summaries) {
    let mut summaries = Summaries::default();
    let input = text_rows(file, id, &mut |row| summaries.fold(Material::Row(row)), &mut |_| {});
    (input, summaries)
}

/// Shows the rows and rejects of every text file.
pub fn rows(files: &[File], row: &mut dyn FnMut(&Input, Row<'_>), reject: &mut dyn FnMut(&Input, &Reject)) -> Scene {
    let (mut scene, kinds) = sniff(files);
    for (id, file) in files.iter().enumerate().filter(|(id, _)| kinds[*id] == Kind::Text) {
        let about = Input { name: file.name.clone(), host: file.host.clone(), ..Input::default() };
        let input = text_rows(file, InputId(id as u32), &mut |r| row(&about, r), &mut |r| reject(&about, r));
        scene.inputs[id] = Input { host: scene.inputs[id].host.take(), ..input };
    }
    scene
}

fn text_rows(file: &File, id: InputId, each: &mut dyn FnMut(Row<'_>), each_reject: &mut dyn FnMut(&Reject)) -> Input {
    let mut input = Input { name: file.name.clone(), ..Input::default() };
    let mut reader = TextReader::new(id, file.written);
    let read = bytes::open(file).and_then(|stream| {
        let mut lines = Lines::new(stream);
        while let Some(line) = lines.next()? {
            input.units += 1;
            let mut count = |row: Row<'_>| {
                input.rows += 1;
                each(row);
            };
            if let Some(reject) = reader.line(line, &mut count) {
                each_reject(&reject);
                input.reject(reject);
            }
            if reader.is_hopeless() {
                break;
            }
        }
        reader.end(&mut |row| {
            input.rows += 1;
            each(row);
        });
        Ok(())
    });
    if let Err(error) = read {
        input.trouble = Some(format!("could be read only to line {}: {error}", input.units));
    }
    input.kind = reader.forms.join(", ");
    if input.kind.is_empty() {
        // Nothing in it is known, so no line of it is a reject: the file is.
        (input.rejected, input.rejects) = (0, Vec::new());
    }
    input
}
