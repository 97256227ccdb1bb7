//! Any bytes as a capture file: read to the end step by step, the same in two pieces as whole; and what is found is
//! joined, with no packet lost between what goes in and what comes out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntpscope_core::exchange::survey::Survey;
use ntpscope_core::exchange::{Alignment, MOST_POINTS, Matcher, PointId};
use ntpscope_core::model::InputId;
use ntpscope_core::wire::{CaptureReader, Item, Packet, Role, Step};

fuzz_target!(|data: &[u8]| {
    let (packets, told) = read(data, data.len());
    // The last bytes say where the pieces part, so that an input is a capture file as it stands.
    let end = data.last_chunk::<2>().map_or(0, |end| usize::from(u16::from_le_bytes(*end)));
    let in_pieces = read(data, end % (data.len() + 1));
    assert_eq!(in_pieces.1, told, "in pieces, and whole");
    assert_eq!(words(&in_pieces.0), words(&packets), "in pieces, and whole");

    join(&packets, Alignment::default(), false);
    join(&packets, Alignment::from_surveys(&surveys(&packets)), true);
});

/// Reads a file of which only `first` bytes are there at first: its packets, and what is told besides.
fn read(data: &[u8], first: usize) -> (Vec<Packet>, Vec<String>) {
    let mut reader = CaptureReader::new(InputId(0));
    let (mut packets, mut told, mut start, mut end, mut frames) = (Vec::new(), Vec::new(), 0, first, 0);
    loop {
        let Step { consumed, item } = reader.step(&data[start..end], end == data.len());
        start += consumed;
        assert!(start <= end, "{} bytes used that are not there", start - end);
        let moved = consumed > 0 || matches!(item, Item::More | Item::End);
        assert!(moved, "stuck {} bytes before the end: {item:?}", data.len() - start);
        assert!(reader.frames >= frames, "frame {} after {frames}", reader.frames);
        match item {
            Item::Packet(packet) => {
                assert!(packet.frame() > frames, "frame {} again", packet.frame());
                assert_eq!(packet.frame(), reader.frames);
                packets.push(packet);
            }
            // How much is left unread depends on how much is there.
            Item::Reject(reject) => {
                let reason = reject.reason.split(" (at least ").next().unwrap_or_default();
                told.push(format!("{}: {reason}", reject.place));
            }
            Item::More => {
                assert!(end < data.len(), "more than all was asked for");
                end = data.len();
            }
            Item::End => break,
        }
        frames = reader.frames;
    }
    told.push(format!("{} frames, {:?}, {}", reader.frames, reader.span, reader.format()));
    (packets, told)
}

fn words(packets: &[Packet]) -> Vec<String> {
    packets.iter().map(|packet| format!("{packet:?}")).collect()
}

/// Each interface is a point.
fn point(packet: &Packet) -> PointId {
    PointId((packet.interface % MOST_POINTS as u32) as u8)
}

fn surveys(packets: &[Packet]) -> Vec<Survey> {
    let mut surveys: Vec<Survey> = Vec::new();
    for packet in packets {
        let at = surveys.iter().position(|survey| survey.point == point(packet)).unwrap_or_else(|| {
            surveys.push(Survey::new(point(packet)));
            surveys.len() - 1
        });
        surveys[at].fold(packet);
    }
    surveys
}

/// Every request is in one exchange, once or as a duplicate, and no reply in two.
fn join(packets: &[Packet], alignment: Alignment, surveyed: bool) {
    let mut matcher = Matcher::new(alignment, surveyed);
    let (mut asked, mut answered) = (0, 0);
    let mut done = |exchange: &ntpscope_core::exchange::Exchange| {
        asked += exchange.requests.len() + usize::from(exchange.duplicate_requests);
        answered += exchange.replies.len() + usize::from(exchange.duplicate_replies);
        let (near, far) = (exchange.near(), exchange.far());
        assert!(near.ttl >= far.ttl, "{near:?} is nearer than {far:?}");
        assert!(exchange.response_s().is_none_or(f64::is_finite));
    };
    for packet in packets {
        matcher.packet(packet, point(packet), &mut done);
    }
    matcher.finish(&mut done);
    let count = |roles: &[Role]| packets.iter().filter(|p| p.icmp.is_none() && roles.contains(&p.role())).count();
    let (tally, cut) = (matcher.tally, matcher.tally.cut as usize);
    let requests = count(&[Role::Request, Role::Symmetric]);
    assert!((requests.saturating_sub(cut)..=requests).contains(&asked), "{asked} of {requests} requests, {tally:?}");
    let replies = count(&[Role::Reply, Role::Symmetric]);
    assert!(answered + tally.unasked as usize <= replies, "{answered} of {replies} replies, {tally:?}");
    assert_eq!(tally.packets as usize, packets.len());
}
