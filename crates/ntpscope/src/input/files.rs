//! Files read once each: in threads over what can be opened, or in order where rows are shown.

use super::bytes::{self, Kind};
use super::gather::File;
use super::{Evidence, scene, threads};
use ntpscope_core::model::{InputId, Reject, Row};
use ntpscope_core::scene::{Input, Scene};
use ntpscope_core::text::TextReader;
use ntpscope_core::time::Time;
use std::io;
use std::ops::ControlFlow;

/// What is done with a file, its number, and its bytes.
type Read<'a, T> = dyn Fn(&File, InputId, &mut dyn io::Read) -> T + Sync + 'a;

/// Reads each file that is `wanted` on as many threads as there are processors; results come in the order of the files.
pub fn each<T: Send>(evidence: &Evidence, wanted: fn(Kind) -> bool, read: &Read<'_, T>) -> Vec<(usize, T)> {
    let job = |source: usize| {
        let mut done = Vec::new();
        visit(evidence, source, wanted, &mut |id, file, stream| {
            done.push((id, read(file, InputId(id as u32), stream)));
        });
        done
    };
    threads(evidence.sources.len(), &job).into_iter().flat_map(|(_, done)| done).collect()
}

/// Shows the files of one source. What goes wrong with the source is told to those that it then can't show.
fn visit(
    evidence: &Evidence,
    source: usize,
    wanted: fn(Kind) -> bool,
    take: &mut dyn FnMut(usize, &File, &mut dyn io::Read),
) {
    let (source, files) = &evidence.sources[source];
    let wanted = |id: &usize| evidence.files.get(*id).is_some_and(|file| wanted(file.kind));
    let Some(last) = files.clone().rfind(wanted) else { return };
    let mut next = files.start;
    let visited = source.visit(&mut |member, stream| {
        let id = files.start + member.number;
        if id <= last && wanted(&id) {
            take(id, &evidence.files[id], stream);
        }
        next = id + 1;
        if id < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    // The file vanished, or the archive changed, since it was looked at.
    let mut why = visited.err();
    for id in (next..=last).filter(wanted) {
        let why = why.take().unwrap_or_else(|| io::Error::other("the archive has changed"));
        take(id, &evidence.files[id], &mut super::archive::Broken(Some(why)));
    }
}

/// Shows the rows and rejects of every file, in the order of the files.
pub fn rows(
    evidence: &Evidence,
    row: &mut dyn FnMut(&Input, Row<'_>),
    reject: &mut dyn FnMut(&Input, &Reject),
) -> Scene {
    let mut scene = scene(evidence);
    for source in 0..evidence.sources.len() {
        visit(evidence, source, Kind::is_evidence, &mut |id, file, stream| {
            let about = scene.inputs[id].clone();
            scene.inputs[id] =
                text(file, InputId(id as u32), stream, &mut |r| row(&about, r), &mut |r| reject(&about, r));
        });
    }
    scene
}

/// Reads one text.
pub fn text(
    file: &File,
    id: InputId,
    stream: &mut dyn io::Read,
    each: &mut dyn FnMut(Row<'_>),
    each_reject: &mut dyn FnMut(&Reject),
) -> Input {
    let mut reader = TextReader::new(id, file.written);
    let (mut units, mut rows, mut span) = (0, 0, None::<(Time, Time)>);
    let mut rejects = Input::default();
    let mut count = |row: Row<'_>| {
        rows += 1;
        if let Some(time) = row.at().time {
            span = Some(span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        }
        each(row);
    };
    let read = bytes::lines(stream, &mut |line| {
        units += 1;
        if let Some(reject) = reader.line(line, &mut count) {
            each_reject(&reject);
            rejects.reject(reject);
        }
        !reader.is_hopeless()
    });
    reader.end(&mut count);
    let kind = reader.forms.join(", ");
    if kind.is_empty() {
        // Nothing in it is known, so no line of it is a reject: the file is.
        rejects = Input::default();
    }
    let trouble = read.err().map(|error| format!("could be read only to line {units}: {error}"));
    Input { name: file.name.clone(), host: file.host.clone(), kind, units, rows, trouble, span, ..rejects }
}
