//! Our joining of requests and replies against an independent one, request by request, on all captures of the corpus.
//!
//! The oracle decodes with tshark and joins here, in the plainest way there is: a reply (mode 4) belongs to the
//! request (mode 3) whose transmit timestamp it returns as its origin timestamp, whose addresses and ports it turns
//! round, and that it follows within two minutes; the first such reply counts. That needs timestamps which tell
//! requests apart, so a request whose timestamp is zero, repeated in its file or not captured is left out of the
//! comparison of replies, and counted; that none of them gets lost is compared all the same. Packets of other modes,
//! symmetric ones among them, are counted only.
//!
//! Where the two differ, [`KNOWN`] says in which file, how, how often and why; anything else fails the test.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// How ours differs from the oracle's.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// A request of the oracle's is not in ours.
    Missing,
    /// A request of ours is none of tshark's mode 3 packets.
    Extra,
    /// One of us has a reply and the other has none, or both have one but not the same.
    Reply,
    /// The requests of ours, duplicates included, are not as many as tshark's mode 3 packets.
    Count,
}

/// Differences that there must be: file, how, how many, and why ours is right or at least meant.
const KNOWN: &[(&str, How, usize, &str)] = &[(
    "zeek_zeek__testing__btest__Traces__ntp__misordered-ntp.pcap",
    How::Reply,
    1,
    "the reply stands a second before its request; it returns that request's timestamp, so it is its reply, and what \
     is wrong is the order in the capture",
)];

/// Where timestamps are in the payload.
const ORIGIN: usize = 24;
const TRANSMIT: usize = 40;

/// The oracle's horizon: no client waits longer.
const HORIZON_NS: i64 = 120_000_000_000;

/// What tshark is asked for; of the headers of a tunnel, the last.
const FIELDS: &str = "frame.number frame.time_epoch frame.protocols ip.src ipv6.src udp.srcport ip.dst ipv6.dst \
                      udp.dstport udp.payload";

/// An NTP packet as tshark decodes it.
struct Packet {
    frame: u64,
    time_ns: i64,
    /// Address and port.
    source: String,
    destination: String,
    payload: Vec<u8>,
}

impl Packet {
    /// From a line of [`FIELDS`].
    fn of(line: &str) -> Option<Packet> {
        let [frame, time, protocols, ip_source, ip6_source, from, ip_destination, ip6_destination, to, payload] =
            line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let v6 = protocols.rsplit(':').find(|layer| matches!(*layer, "ip" | "ipv6"))? == "ipv6";
        let (source, destination) = if v6 { (ip6_source, ip6_destination) } else { (ip_source, ip_destination) };
        let (second, fraction) = time.split_once('.')?;
        let byte = |at| u8::from_str_radix(payload.get(at..at + 2)?, 16).ok();
        Some(Packet {
            frame: frame.parse().ok()?,
            time_ns: format!("{second}{fraction:0<9}").parse().ok()?,
            source: format!("{source} {from}"),
            destination: format!("{destination} {to}"),
            payload: (0..payload.len()).step_by(2).map(byte).collect::<Option<_>>()?,
        })
    }

    fn mode(&self) -> Option<u8> {
        self.payload.first().map(|first| first & 7)
    }

    /// The timestamp at [`ORIGIN`] or [`TRANSMIT`]; `None` where it is zero or not captured.
    fn stamp(&self, at: usize) -> Option<u64> {
        let bytes = self.payload.get(at..at + 8)?;
        Some(bytes.iter().fold(0, |stamp, byte| stamp << 8 | u64::from(*byte))).filter(|stamp| *stamp != 0)
    }

    fn answers(&self, request: &Packet) -> bool {
        self.source == request.destination
            && self.destination == request.source
            && (0..=HORIZON_NS).contains(&(self.time_ns - request.time_ns))
    }
}

/// What one file came to.
#[derive(Default)]
struct Compared {
    requests: usize,
    replies: usize,
    left_out: usize,
    /// Packets that are neither of mode 3 nor of mode 4.
    others: usize,
    differences: Vec<(How, String)>,
}

#[test]
fn requests_and_replies_are_joined_as_an_independent_oracle_joins_them() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !corpus.is_dir() {
        return println!("skipped: ../shared/corpus is not here");
    }
    if Command::new("tshark").arg("--version").output().is_err() {
        return println!("skipped: tshark is not installed");
    }
    let files = captures(&corpus);
    let (next, compared) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Relaxed)) {
                    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let result = compare(file);
                    compared.lock().unwrap_or_else(PoisonError::into_inner).insert(name, result);
                }
            });
        }
    });
    let compared = compared.into_inner().unwrap_or_else(PoisonError::into_inner);

    let mut troubles = Vec::new();
    for (name, file) in &compared {
        for how in [How::Missing, How::Extra, How::Reply, How::Count] {
            let found: Vec<&str> = file.differences.iter().filter(|d| d.0 == how).map(|d| d.1.as_str()).collect();
            let known = KNOWN.iter().find(|known| (known.0, known.1) == (name, how)).map_or(0, |known| known.2);
            if known != found.len() {
                let Compared { requests, replies, left_out, .. } = file;
                troubles.push(format!(
                    "{name} ({requests} requests, {replies} replies, {left_out} left out): {known} {how:?} known, {}\n  {}",
                    found.len(),
                    found.join("\n  ")
                ));
            }
        }
    }
    for (name, ..) in KNOWN.iter().filter(|known| !compared.contains_key(known.0)) {
        troubles.push(format!("{name} has known differences, but is not in the corpus"));
    }
    assert_eq!(compared.len(), files.len(), "two files of one name");
    let sum = |count: fn(&Compared) -> usize| compared.values().map(count).sum::<usize>();
    println!(
        "{} files: {} requests compared, {} of them with a reply; {} requests left out, {} packets of other modes; \
         {} differences explained",
        compared.len(),
        sum(|file| file.requests),
        sum(|file| file.replies),
        sum(|file| file.left_out),
        sum(|file| file.others),
        KNOWN.iter().map(|known| known.2).sum::<usize>()
    );
    assert!(troubles.is_empty(), "{} unexplained:\n{}", troubles.len(), troubles.join("\n"));
    assert!(sum(|file| file.replies) > 10_000, "the corpus has shrunk: the comparison says nothing");
}

fn captures(corpus: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["pcap", "pcap-encap", "pcap-format"] {
        let entries = std::fs::read_dir(corpus.join(folder)).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(".pcap")));
    }
    // The largest first, so that none of them is left for one thread alone.
    files.sort_by_key(|path| (std::cmp::Reverse(path.metadata().map_or(0, |data| data.len())), path.clone()));
    files
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("a program that starts");
    assert!(status.success(), "{command:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

fn compare(file: &Path) -> Compared {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(file).args(["-Y", "ntp && !icmp && !icmpv6", "-T", "fields", "-E", "occurrence=l"]);
    let decoded = run(tshark.args(FIELDS.split(' ').flat_map(|field| ["-e", field])));
    let packet = |line| Packet::of(line).unwrap_or_else(|| panic!("{}: {line}", file.display()));
    let packets: Vec<Packet> = decoded.lines().map(packet).collect();
    let ours = ours(file);

    let asked: BTreeMap<u64, &Packet> = packets.iter().filter(|p| p.mode() == Some(3)).map(|p| (p.frame, p)).collect();
    let mut alike: HashMap<u64, usize> = HashMap::new();
    for stamp in asked.values().filter_map(|request| request.stamp(TRANSMIT)) {
        *alike.entry(stamp).or_default() += 1;
    }
    let mut answers: HashMap<u64, Vec<&Packet>> = HashMap::new();
    for reply in packets.iter().filter(|p| p.mode() == Some(4)) {
        answers.entry(reply.stamp(ORIGIN).unwrap_or(0)).or_default().push(reply);
    }
    let others = packets.iter().filter(|p| !matches!(p.mode(), Some(3 | 4))).count();
    let mut compared = Compared { others, ..Compared::default() };
    let mut differ = |how, what| compared.differences.push((how, what));
    for (frame, request) in &asked {
        let Some(stamp) = request.stamp(TRANSMIT).filter(|stamp| alike[stamp] == 1) else {
            compared.left_out += 1;
            continue;
        };
        let reply = answers.get(&stamp).and_then(|replies| replies.iter().find(|reply| reply.answers(request)));
        let reply: Vec<u64> = reply.iter().map(|reply| reply.frame).collect();
        compared.requests += 1;
        compared.replies += reply.len();
        match ours.replies.get(frame) {
            None => differ(How::Missing, format!("request {frame}, reply {reply:?}")),
            Some((replies, _)) if *replies == reply => {}
            Some((replies, fate)) => {
                differ(How::Reply, format!("request {frame}: reply {reply:?}, ours {replies:?} ({fate})"));
            }
        }
    }
    for (frame, (replies, fate)) in ours.replies.iter().filter(|(frame, _)| !asked.contains_key(frame)) {
        differ(How::Extra, format!("request {frame}, reply {replies:?} ({fate})"));
    }
    if ours.seen != asked.len() {
        differ(How::Count, format!("{} requests, ours {}", asked.len(), ours.seen));
    }
    compared
}

/// What `ntpscope exchanges` says of the requests of mode 3.
struct Ours {
    /// By the frame of each request: the frames of its replies, and its fate.
    replies: BTreeMap<u64, (Vec<u64>, String)>,
    /// How often a request was seen, duplicates included.
    seen: usize,
}

fn ours(file: &Path) -> Ours {
    let mut ours = Ours { replies: BTreeMap::new(), seen: 0 };
    let lines = run(Command::new(env!("CARGO_BIN_EXE_ntpscope")).args(["exchanges", "--format", "json"]).arg(file));
    for line in lines.lines() {
        let exchange: Value = serde_json::from_str(line).expect("JSON");
        if exchange["mode"] != 3 {
            continue;
        }
        let frame = |at: &Value| at["at"].as_str()?.rsplit_once(" frame ")?.1.parse().ok();
        let frames = |list: &Value| list.as_array()?.iter().map(frame).collect::<Option<Vec<u64>>>();
        let (seen, answered) =
            (frames(&exchange["seen"]).expect("frames"), frames(&exchange["answered"]).expect("frames"));
        ours.seen += seen.len() + exchange["duplicates"].as_u64().map_or(0, |n| n as usize);
        for request in seen {
            ours.replies.insert(request, (answered.clone(), exchange["fate"].as_str().unwrap_or_default().to_owned()));
        }
    }
    ours
}
