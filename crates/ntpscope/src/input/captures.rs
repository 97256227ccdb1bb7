//! Captures: surveyed, brought to one time scale, and merged into one stream of packets in the order of time.

use super::bytes::{Kind, View};
use super::files::{self, Opened, Seen};
use super::progress::shown;
use super::{Each, Evidence, Reading};
use anyhow::Result;
use ntpscope_core::exchange::survey::Survey;
use ntpscope_core::exchange::{Alignment, Heard, MOST_POINTS, Matcher, PointId};
use ntpscope_core::model::{InputId, Reject};
use ntpscope_core::rules::{Material, Summaries, Summary};
use ntpscope_core::scene::{Input, Point, Scene, point_of};
use ntpscope_core::time::Time;
use ntpscope_core::wire::{CaptureReader, Item, Packet, Step};
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, sync_channel};

/// Packets handed from a decoding thread at once, and how many such batches may wait.
const BATCH: usize = 512;
const WAITING: usize = 4;

/// Reads the captures among the evidence.
pub fn read(evidence: &Evidence, mut scene: Scene, each: &mut Each<'_>) -> Result<Reading> {
    let kind = |id: usize| evidence.files[id].kind;
    let mut ids: Vec<usize> = (0..evidence.files.len()).filter(|id| kind(*id).is_capture()).collect();
    let size = evidence.size_of(|file| file.kind.is_capture());
    let surveyed = ids.len() > 1 || ids.iter().any(|id| kind(*id) == Kind::Interfaces);
    let seen =
        if surveyed { survey(evidence, &mut scene) } else { ids.iter().map(|_| vec![Interface::default()]).collect() };
    // Each interface of each capture is a point, while there are numbers.
    let mut points: BTreeMap<(usize, u32), PointId> = BTreeMap::new();
    let mut named = Vec::new();
    let mut surveys = Vec::new();
    for (id, interfaces) in ids.iter().zip(seen) {
        let several = interfaces.len() > 1;
        for interface in interfaces {
            if named.len() == MOST_POINTS {
                scene.inputs[*id].trouble =
                    Some(format!("only {MOST_POINTS} capture points can be joined at once: give fewer captures"));
                break;
            }
            let point = PointId(named.len() as u8);
            points.insert((*id, interface.number), point);
            let stem = point_of(&evidence.files[*id].name);
            let name = match interface.name {
                _ if !several => stem.to_owned(),
                Some(name) => format!("{stem}#{name}"),
                None => format!("{stem}#{}", interface.number),
            };
            named.push((point, Point { name, host: scene.inputs[*id].host.clone(), input: InputId(*id as u32) }));
            let mut survey = interface.survey;
            survey.point = point;
            if let Some((first, last)) = interface.span {
                survey.cover(first, last);
            }
            surveys.push(survey);
        }
    }
    distinguish(&mut named, &scene);
    scene.place(named);
    let alignment = if surveyed { Alignment::from_surveys(&surveys) } else { Alignment::default() };
    let mut matcher = Matcher::new(alignment, surveyed);
    // Each is read by a thread of its own, so that there must not be thousands.
    ids.retain(|id| points.range((*id, 0)..=(*id, u32::MAX)).next().is_some());
    for id in &ids {
        // All that the survey said of it is said again.
        let input = &mut scene.inputs[*id];
        (input.rows, input.rejected, input.rejects) = (0, 0, Vec::new());
    }
    let kept = keep(evidence, &ids);
    let mut rules = Summaries::default();
    let mut heard = |heard: Heard| rules.fold(Material::Heard(&heard));
    shown("joining captures", size, || {
        merge(evidence, &kept, &ids, &points, &mut matcher, &mut scene, (each, &mut heard))
    })?;
    let (tally, alignment) = (matcher.tally, matcher.alignment().clone());
    Ok(Reading { scene, rules, tally, alignment })
}

/// Captures of one name in several folders are told apart by their hosts, or else by their paths.
fn distinguish(named: &mut [(PointId, Point)], scene: &Scene) {
    let names: Vec<String> = named.iter().map(|(_, p)| p.name.clone()).collect();
    for (_, point) in named.iter_mut() {
        if names.iter().filter(|n| **n == point.name).count() > 1 {
            let folder = scene.input_name(point.input).rsplit_once('/').map_or("", |(folder, _)| folder);
            let before = point.host.as_deref().unwrap_or(folder);
            point.name = format!("{before}/{}", point.name);
        }
    }
}

/// What a first look found of one interface.
struct Interface {
    number: u32,
    name: Option<String>,
    survey: Survey,
    span: Option<(Time, Time)>,
}

impl Default for Interface {
    fn default() -> Self {
        Interface { number: 0, name: None, survey: Survey::new(PointId(0)), span: None }
    }
}

/// Looks over each capture once: the inputs as if each was all, and the interfaces of each.
fn survey(evidence: &Evidence, scene: &mut Scene) -> Vec<Vec<Interface>> {
    let look = |opened: Opened<'_>, all: &mut Vec<(usize, Input, Vec<Interface>)>| {
        let id = opened.id();
        let mut interfaces: BTreeMap<u32, Interface> = BTreeMap::new();
        let mut fold = |seen: Seen<'_>| {
            if let Seen::Packet(packet, name) = seen {
                let new =
                    || Interface { number: packet.interface, name: name.map(str::to_owned), ..Interface::default() };
                interfaces.entry(packet.interface).or_insert_with(new).survey.fold(packet);
            }
        };
        let input = opened.read(&mut fold, &mut |_| {});
        if interfaces.is_empty() {
            interfaces.insert(0, Interface::default());
        }
        let span = input.span;
        let interfaces = interfaces.into_values().map(|interface| Interface { span, ..interface });
        all.push((id, input, interfaces.collect()));
    };
    let mut all = Vec::new();
    files::each(evidence, Kind::is_capture, &look, &mut |captures| {
        for (id, input, interfaces) in captures {
            scene.inputs[id] = input;
            all.push(interfaces);
        }
    });
    all
}

/// Captures that are kept in memory, by their inputs.
type Kept = BTreeMap<usize, Vec<u8>>;

/// Bytes of captures that are kept; those beyond are read from their archives as often as they are many.
const MOST_KEPT: u64 = 256 << 20;

/// Captures of archives: joining reads all at once, and each would undo the whole archive.
fn keep(evidence: &Evidence, ids: &[usize]) -> Kept {
    let (mut kept, mut left) = (Kept::new(), MOST_KEPT);
    for (source, files) in &evidence.sources {
        let of_source = |id: &&usize| files.contains(id);
        if ids.iter().filter(of_source).count() < 2 {
            continue;
        }
        // Trouble is told by the reading, which meets it as well.
        let _ = source.visit(&mut |member, stream| {
            let found = ids.iter().filter(of_source).find(|id| evidence.files[**id].number == member.number);
            if let Some(id) = found {
                let mut bytes = Vec::new();
                let whole = stream.take(left + 1).read_to_end(&mut bytes).is_ok_and(|n| n as u64 <= left);
                if whole {
                    left -= bytes.len() as u64;
                    kept.insert(*id, bytes);
                }
            }
            ControlFlow::Continue(())
        });
    }
    kept
}

/// Reads a capture to its end, or until `take` says that it wants no more.
fn packets(
    evidence: &Evidence,
    kept: &Kept,
    id: usize,
    reader: &mut CaptureReader,
    take: &mut dyn FnMut(Result<Packet, Reject>) -> bool,
) -> std::io::Result<()> {
    if let Some(mut bytes) = kept.get(&id).map(Vec::as_slice) {
        return packets_of(&mut View::new(&mut bytes), reader, &mut |_, item| take(item));
    }
    let file = &evidence.files[id];
    let mut read = Ok(());
    evidence.sources[file.source].0.visit(&mut |member, stream| {
        if member.number != file.number {
            return ControlFlow::Continue(());
        }
        read = packets_of(&mut View::new(stream), reader, &mut |_, item| take(item));
        ControlFlow::Break(())
    })?;
    read
}

/// Reads what is in view of a capture, likewise.
pub fn packets_of(
    view: &mut View<'_>,
    reader: &mut CaptureReader,
    take: &mut dyn FnMut(&CaptureReader, Result<Packet, Reject>) -> bool,
) -> std::io::Result<()> {
    let mut failed = None;
    loop {
        let (bytes, ended) = view.bytes();
        let Step { consumed, item } = reader.step(bytes, ended || failed.is_some());
        view.consume(consumed);
        let go_on = match item {
            Item::Packet(packet) => take(reader, Ok(packet)),
            Item::Reject(reject) => take(reader, Err(reject)),
            Item::More => {
                failed = view.more().err();
                true
            }
            Item::End => return failed.map_or(Ok(()), Err),
        };
        if !go_on {
            return Ok(());
        }
    }
}

/// What a decoding thread has to say.
enum Message {
    Packets(Vec<Packet>),
    Reject(Reject),
    /// The last word: frames, span, format, and the error that ended it.
    Done(u64, Option<(Time, Time)>, &'static str, Option<std::io::Error>),
}

/// A capture whose packets come from its thread.
struct Head {
    id: usize,
    messages: Receiver<Message>,
    batch: Vec<Packet>,
    at: usize,
    /// The point of the packet at `at`; `None` when all were read.
    point: Option<PointId>,
}

/// Shows all packets to the matcher in the order of the common time scale; broadcasts, which it only counts, go to the
/// second of the two that take what comes of them.
fn merge(
    evidence: &Evidence,
    kept: &Kept,
    ids: &[usize],
    points: &BTreeMap<(usize, u32), PointId>,
    matcher: &mut Matcher,
    scene: &mut Scene,
    (each, heard): (&mut Each<'_>, &mut dyn FnMut(Heard)),
) -> Result<()> {
    std::thread::scope(|scope| {
        let mut heads: Vec<Head> = ids
            .iter()
            .map(|id| {
                let (sender, messages) = sync_channel(WAITING);
                let id = *id;
                scope.spawn(move || decode(evidence, kept, id, &|message| sender.send(message).is_ok()));
                Head { id, messages, batch: Vec::new(), at: 0, point: None }
            })
            .collect();
        for head in &mut heads {
            head.advance(points, scene);
        }
        let mut failed = None;
        loop {
            let clocks = matcher.alignment();
            let time = |head: &Head| Some(clocks.common(head.point?, head.batch[head.at].time));
            let earliest = heads.iter().enumerate().filter_map(|(i, head)| Some((time(head)?, i))).min();
            let Some(head) = earliest.and_then(|(_, i)| heads.get_mut(i)) else { break };
            if let Some(point) = head.point {
                let packet = &head.batch[head.at];
                if let Some(broadcast) = Heard::of(packet, point, clocks.common(point, packet.time)) {
                    heard(broadcast);
                }
                matcher.packet(packet, point, &mut |exchange| {
                    if failed.is_none() {
                        failed = each(exchange, scene).err();
                    }
                });
                head.at += 1;
            }
            head.advance(points, scene);
            if failed.is_some() {
                break;
            }
        }
        matcher.finish(&mut |exchange| {
            if failed.is_none() {
                failed = each(exchange, scene).err();
            }
        });
        failed.map_or(Ok(()), Err)
    })
}

impl Head {
    /// Goes to the next packet of a known point, and notes what is said besides.
    fn advance(&mut self, points: &BTreeMap<(usize, u32), PointId>, scene: &mut Scene) {
        loop {
            while let Some(packet) = self.batch.get(self.at) {
                self.point = points.get(&(self.id, packet.interface)).copied();
                if self.point.is_some() {
                    return;
                }
                self.at += 1;
            }
            let input = &mut scene.inputs[self.id];
            match self.messages.recv() {
                Ok(Message::Packets(batch)) => {
                    input.rows += batch.len() as u64;
                    (self.batch, self.at) = (batch, 0);
                }
                Ok(Message::Reject(reject)) => input.reject(reject),
                Ok(Message::Done(frames, span, format, error)) => {
                    (input.units, input.span, input.kind) = (frames, span, format.into());
                    if let Some(error) = error {
                        input.trouble = Some(format!("could be read only to frame {frames}: {error}"));
                    }
                }
                Err(_) => {
                    self.point = None;
                    return;
                }
            }
        }
    }
}

fn decode(evidence: &Evidence, kept: &Kept, id: usize, send: &dyn Fn(Message) -> bool) {
    let mut reader = CaptureReader::new(InputId(id as u32));
    let mut batch = Vec::with_capacity(BATCH);
    let read = packets(evidence, kept, id, &mut reader, &mut |item| match item {
        Ok(packet) => {
            batch.push(packet);
            batch.len() < BATCH || send(Message::Packets(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))))
        }
        Err(reject) => send(Message::Reject(reject)),
    });
    let _ = send(Message::Packets(batch));
    send(Message::Done(u64::from(reader.frames), reader.span, reader.format(), read.err()));
}
