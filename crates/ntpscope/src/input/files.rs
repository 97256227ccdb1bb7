//! Files read once each: in threads over what can be opened, or in order where rows are shown.

use super::bytes::{self, Kind, View};
use super::captures::packets_of;
use super::gather::File;
use super::progress::shown;
use super::{Evidence, scene, threads};
use ntpscope_core::model::{InputId, Reject, Row};
use ntpscope_core::scene::{Input, Scene};
use ntpscope_core::text::TextReader;
use ntpscope_core::time::Time;
use ntpscope_core::wire::{CaptureReader, Packet};
use std::io;
use std::ops::ControlFlow;

/// A file whose bytes can be read, once.
pub struct Opened<'a> {
    file: &'a File,
    id: InputId,
    stream: &'a mut dyn io::Read,
}

/// What a file holds: a row of text, or a packet of a capture.
#[derive(Clone, Copy)]
pub enum Seen<'a> {
    /// As its reader gave it.
    Row(&'a Row<'a>),
    /// With the name of its interface, where the capture has one.
    Packet(&'a Packet, Option<&'a str>),
}

/// Takes an opened file into account, with the others of its source.
type Read<'a, T> = dyn Fn(Opened<'_>, &mut T) + Sync + 'a;

/// Reads each file that is `wanted` on as many threads as there are processors, and hands on what came of each source, in
/// the order of the sources.
pub fn each<T: Default + Send>(
    evidence: &Evidence,
    wanted: fn(Kind) -> bool,
    read: &Read<'_, T>,
    done: &mut dyn FnMut(T),
) {
    let job = |source: usize| {
        let mut part = T::default();
        visit(evidence, source, wanted, &mut |opened| read(opened, &mut part));
        part
    };
    let size = evidence.size_of(|file| wanted(file.kind));
    shown("reading", size, || threads(evidence.sources.len(), &job, done));
}

/// Shows what each file holds, and what of it was not understood, in the order of the files.
pub fn rows(
    evidence: &Evidence,
    seen: &mut dyn FnMut(&Input, Seen<'_>),
    reject: &mut dyn FnMut(&Input, &Reject),
) -> Scene {
    let mut scene = scene(evidence);
    for source in 0..evidence.sources.len() {
        visit(evidence, source, Kind::is_evidence, &mut |opened| {
            let id = opened.id.0 as usize;
            let about = scene.inputs[id].clone();
            scene.inputs[id] = opened.read(&mut |s| seen(&about, s), &mut |r| reject(&about, r));
        });
    }
    scene
}

/// Shows the files of one source. What goes wrong with the source is told to those that it then can't show.
fn visit(evidence: &Evidence, source: usize, wanted: fn(Kind) -> bool, take: &mut dyn FnMut(Opened<'_>)) {
    let (source, files) = &evidence.sources[source];
    let wanted = |id: &usize| evidence.files.get(*id).is_some_and(|file| wanted(file.kind));
    let Some(last) = files.clone().rfind(wanted) else { return };
    let mut next = files.start;
    let visited = source.visit(&mut |member, stream| {
        // Files that are there twice are not among them.
        let file = evidence.files.get(next).filter(|file| file.number == member.number);
        if let Some(file) = file {
            if wanted(&next) {
                take(Opened { file, id: InputId(next as u32), stream });
            }
            next += 1;
        }
        if next <= last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    // The file vanished, or the archive changed, since it was looked at.
    let mut why = visited.err();
    for id in (next..=last).filter(wanted) {
        let why = why.take().unwrap_or_else(|| io::Error::other("the archive has changed"));
        let stream = &mut super::streams::Broken(Some(why));
        take(Opened { file: &evidence.files[id], id: InputId(id as u32), stream });
    }
}

impl Opened<'_> {
    /// Its number as an input.
    pub fn id(&self) -> usize {
        self.id.0 as usize
    }

    /// The host that its folder or archive belongs to.
    pub fn host(&self) -> &str {
        self.file.host.as_deref().unwrap_or_default()
    }

    /// Reads it to its end.
    pub fn read(self, seen: &mut dyn FnMut(Seen<'_>), reject: &mut dyn FnMut(&Reject)) -> Input {
        let input = Input { name: self.file.name.clone(), host: self.file.host.clone(), ..Input::default() };
        if self.file.kind.is_capture() { self.capture(input, seen, reject) } else { self.text(input, seen, reject) }
    }

    fn text(self, mut input: Input, seen: &mut dyn FnMut(Seen<'_>), reject: &mut dyn FnMut(&Reject)) -> Input {
        let mut reader = TextReader::new(self.id, self.file.written);
        let (mut rows, mut span) = (0, None::<(Time, Time)>);
        let mut count = |row: Row<'_>| {
            rows += 1;
            if let Some(time) = row.at().time {
                span = Some(span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
            }
            seen(Seen::Row(&row));
        };
        // Where nothing is known, no line is a reject: the file is.
        let mut waiting = Vec::new();
        let mut tell = |waiting: &mut Vec<Reject>, forms: &[&str]| {
            for rejected in waiting.drain(..).filter(|_| !forms.is_empty()) {
                reject(&rejected);
                input.reject(rejected);
            }
        };
        let mut lines = 0;
        let read = bytes::lines(self.stream, &mut |line| {
            lines += 1;
            waiting.extend(reader.line(line, &mut count));
            if !reader.forms.is_empty() {
                tell(&mut waiting, &reader.forms);
            }
            !reader.is_hopeless()
        });
        reader.end(&mut count);
        tell(&mut waiting, &reader.forms);
        input.units = lines;
        let kind = reader.forms.join(", ");
        let trouble = read.err().map(|error| format!("could be read only to line {}: {error}", input.units));
        Input { kind, rows, span, trouble, ..input }
    }

    fn capture(self, mut input: Input, seen: &mut dyn FnMut(Seen<'_>), reject: &mut dyn FnMut(&Reject)) -> Input {
        let mut reader = CaptureReader::new(self.id);
        let read = packets_of(&mut View::new(self.stream), &mut reader, &mut |reader, item| {
            match item {
                Ok(packet) => {
                    input.rows += 1;
                    seen(Seen::Packet(&packet, reader.interface_name(packet.interface)));
                }
                Err(rejected) => {
                    reject(&rejected);
                    input.reject(rejected);
                }
            }
            true
        });
        let frames = u64::from(reader.frames);
        let trouble = read.err().map(|error| format!("could be read only to frame {frames}: {error}"));
        Input { kind: reader.format().into(), units: frames, span: reader.span, trouble, ..input }
    }
}
