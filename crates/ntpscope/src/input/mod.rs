//! Evidence from disk: which files there are, what each is, and the stream of what they say.
//!
//! Files are read, never mapped: one that shrinks meanwhile is then an early end and not a signal.

mod archive;
mod bytes;
mod captures;
mod files;
mod gather;
mod progress;
mod streams;

pub use bytes::Kind;
pub use files::{Opened, Seen, each, rows};
pub use gather::{Evidence, UNFIT};
pub use progress::shown;

use anyhow::Result;
use ntpscope_core::exchange::{Alignment, Exchange, Tally};
use ntpscope_core::rules::{Material, Summaries, Summary};
use ntpscope_core::scene::{Input, Scene};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};

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

/// What the files of one source gave: the inputs, the summaries of their rows, and what else was wanted of them.
type Part<T> = (Vec<(usize, Input)>, Summaries, T);

/// What is done with each exchange as it is complete.
pub type Each<'a> = dyn FnMut(&Exchange, &Scene) -> Result<()> + 'a;

/// Reads all files into the summaries of the rules.
pub fn read(evidence: &Evidence) -> Result<Reading> {
    read_also(evidence, &|&mut (), _, _| {}, &mut |()| {})
}

/// The same, and shows each row of text, with the host that it belongs to, and each exchange to what also wants to know of
/// them: `fold` takes it into a part, `merge` gets the parts in the order of the inputs.
pub fn read_also<T: Default + Send>(
    evidence: &Evidence,
    fold: &(dyn Fn(&mut T, &str, Material<'_>) + Sync),
    merge: &mut dyn FnMut(T),
) -> Result<Reading> {
    let mut scene = scene(evidence);
    let mut rules = Summaries::default();
    let read = |opened: Opened<'_>, (inputs, summaries, also): &mut Part<T>| {
        let (id, host) = (opened.id(), opened.host().to_owned());
        let mut seen = |seen: Seen<'_>| {
            if let Seen::Row(row) = seen {
                summaries.fold(Material::Row(row));
                let named = row.at().host;
                fold(also, if named.is_empty() { &host } else { named }, Material::Row(row));
            }
        };
        inputs.push((id, opened.read(&mut seen, &mut |_| {})));
    };
    each(evidence, |kind| kind == Kind::Text, &read, &mut |(inputs, summaries, also)| {
        inputs.into_iter().for_each(|(id, input)| scene.inputs[id] = input);
        rules.merge(summaries);
        merge(also);
    });
    name_the_only_host(&mut scene, evidence);
    // Joining and folding each take a thread.
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel::<Vec<Exchange>>(WAITING);
        let folding = scope.spawn(move || {
            let mut folded = Summaries::default();
            batches.iter().flatten().for_each(|exchange| folded.fold(Material::Exchange(&exchange)));
            folded
        });
        let (mut batch, mut also) = (Vec::with_capacity(BATCH), T::default());
        let read = captures::read(evidence, scene, &mut |exchange, _| {
            fold(&mut also, "", Material::Exchange(exchange));
            batch.push(exchange.clone());
            if batch.len() == BATCH {
                sender.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))?;
            }
            Ok(())
        });
        merge(also);
        let _ = sender.send(batch);
        drop(sender);
        rules.merge(folding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let read = read?;
        // Broadcasts are few: the joining thread has folded them.
        rules.merge(read.rules);
        Ok(Reading { rules, ..read })
    })
}

/// Exchanges handed to the folding thread at once, and how many such batches may wait.
const BATCH: usize = 256;
const WAITING: usize = 4;

/// Jobs that a thread may be ahead of the one whose turn it is.
const AHEAD: usize = 16;

/// Reads the captures among the files, and shows every exchange to `each`; no rule is folded.
pub fn exchanges(evidence: &Evidence, each: &mut Each<'_>) -> Result<Reading> {
    captures::read(evidence, scene(evidence), each)
}

/// The inputs, of which nothing is read yet.
pub fn scene(evidence: &Evidence) -> Scene {
    let input = |file: &gather::File| Input {
        name: file.name.clone(),
        host: file.host.clone(),
        trouble: file.trouble.clone(),
        ..Input::default()
    };
    Scene::of(evidence.files.iter().map(input).collect())
}

/// Where no file below what was given says whose it is, all text is one host's, called for the folder that it was given
/// from; or each file is a host's own, where two of one kind tell of the same time.
fn name_the_only_host(scene: &mut Scene, evidence: &Evidence) {
    if scene.inputs.iter().any(|input| input.host.is_some()) {
        return;
    }
    let named: Vec<(usize, String)> = evidence
        .sources
        .iter()
        .flat_map(|(source, files)| {
            let is_text = |id: &usize| evidence.files.get(*id).is_some_and(|file| file.kind == Kind::Text);
            files.clone().filter(is_text).map(|id| (id, source.owner()))
        })
        .collect();
    let meanwhile = |a: &Input, b: &Input| {
        let spans = a.span.zip(b.span).filter(|_| a.kind == b.kind);
        spans.is_some_and(|(a, b)| a.0 < b.1 && b.0 < a.1)
    };
    let collide = |(k, (id, owner)): (usize, &(usize, String))| {
        named[..k].iter().any(|(other, its)| its == owner && meanwhile(&scene.inputs[*id], &scene.inputs[*other]))
    };
    let several = named.iter().enumerate().any(collide);
    for (id, owner) in named {
        let input = &mut scene.inputs[id];
        input.host = Some(if several { input.name.clone() } else { owner });
    }
}

/// Does a number of jobs on as many threads as there are processors, and hands on what each gave, in the order of the
/// jobs. A thread waits where it is too far ahead of a slow job, so that few results wait.
fn threads<T: Send>(jobs: usize, job: &(dyn Fn(usize) -> T + Sync), done: &mut dyn FnMut(T)) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.max(1));
    let ahead = threads * AHEAD;
    let (next, due, turn) = (AtomicUsize::new(0), Mutex::new(0), Condvar::new());
    let locked = || due.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        let (sender, results) = channel();
        for _ in 0..threads {
            let (sender, next, due, turn, locked) = (sender.clone(), &next, &due, &turn, &locked);
            scope.spawn(move || {
                let _freed = Freed(due, turn);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let mut due = locked();
                    while number > *due + ahead {
                        due = turn.wait(due).unwrap_or_else(PoisonError::into_inner);
                    }
                    drop(due);
                    if number >= jobs || sender.send((number, job(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        for (number, result) in results {
            early.insert(number, result);
            let mut due = locked();
            while let Some(result) = early.remove(&*due) {
                done(result);
                *due += 1;
            }
            turn.notify_all();
        }
    });
}

/// Where a job panics, its turn never comes: the others need not wait for it.
struct Freed<'a>(&'a Mutex<usize>, &'a Condvar);

impl Drop for Freed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = usize::MAX / 2;
            self.1.notify_all();
        }
    }
}
