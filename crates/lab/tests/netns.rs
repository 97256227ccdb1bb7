//! A short world with real daemons: what it writes is read without a reject, and its captures show what the wire's log says.

use ntpscope_core::model::InputId;
use ntpscope_core::text::TextReader;
use ntpscope_core::time::Time;
use ntpscope_core::wire::link::{Frame, decode};
use ntpscope_core::wire::{CaptureReader, Item};
use ntpscope_lab::netns;
use ntpscope_lab::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// NTPsec asks chronyd and the lab's own server, chronyd asks the same two, through a NAT and a link that loses some.
const WORLD: &str = r#"
about = "two clients behind a NAT ask chronyd, and a server that drops low ports, over a link that loses a third"
duration = "16s"
captures = ["a.eth0", "b.eth0", "rt.in0", "rt.out0", "s.eth0", "t.eth0"]
hosts.a = { addresses = { eth0 = "10.1.0.11/24" }, gateway = "10.1.0.1", daemon = { is = "ntpsec 1.2.2", asks = [
    { server = "10.2.0.2", minpoll = 2, maxpoll = 2, iburst = true }, { server = "10.2.0.3", minpoll = 2, maxpoll = 2 }] } }
hosts.b = { addresses = { eth0 = "10.1.0.12/24" }, gateway = "10.1.0.1", daemon = { is = "chrony 4.3", port = 123, asks = [
    { server = "10.2.0.2", minpoll = 1, maxpoll = 1 }, { server = "10.2.0.3", minpoll = 1, maxpoll = 1 }] } }
hosts.rt = { addresses = { in0 = "10.1.0.1/24", out0 = "10.2.0.1/24" }, router = true, nat = { out = "out0" } }
hosts.s = { addresses = { eth0 = "10.2.0.2/24" }, gateway = "10.2.0.1", daemon = { is = "chrony 4.3", serves = { stratum = 1 } } }
hosts.t = { addresses = { eth0 = "10.2.0.3/24" }, gateway = "10.2.0.1", daemon = { is = "ntpd 4.2.6p5", serves = { stratum = 1, drops_ports_below = 123 } } }
links.lan = { joins = ["a.eth0", "b.eth0", "rt.in0"], delay_ms = 0.1 }
links.wan = { joins = ["rt.out0", "s.eth0", "t.eth0"], delay_ms = 2.0, jitter_ms = 0.2, loss = 0.33, duplicated = 0.1 }
"#;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Plays a world that is called so, where that can be.
fn played(name: &str, text: &str) -> Option<Folder> {
    let folder = Folder(std::env::temp_dir().join(format!("ntpscope-lab-netns-{name}-{}", std::process::id())));
    let _ = std::fs::remove_dir_all(&folder.0);
    let world = World::read(text).expect("a world");
    if let Err(why) = netns::check(&world) {
        println!("skipped: {why:#}");
        return None;
    }
    netns::play(&world, name, 1, &folder.0).expect("it is played");
    Some(folder)
}

/// What happened to NTP packets at a point: the words of the wire's log, and how often.
type Seen = BTreeMap<String, u32>;

/// What a capture shows.
fn captured(folder: &Path, point: &str) -> Seen {
    let bytes = std::fs::read(folder.join(format!("pcap/{}.pcap", point.replace('.', "_")))).expect("a capture");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let (mut at, mut seen) = (24, Seen::new());
    while at < bytes.len() {
        let end = at + 16 + word(at + 8);
        if let Frame::Ntp(packet) = decode(1, &bytes[at + 16..end]).0 {
            let [source, destination] = [packet.source, packet.destination].map(std::net::SocketAddr::from);
            let transmit = u64::from_be_bytes(packet.payload[40..48].try_into().expect("eight bytes"));
            let told = format!("{source}>{destination} mode {} {transmit:016x}", packet.payload[0] & 7);
            *seen.entry(told).or_default() += 1;
        }
        at = end;
    }
    seen
}

/// What the log says that a capture must show: what its interface sent, and what was brought to it; and that of it which may
/// have arrived when the world was over.
fn logged(log: &str, point: &str) -> (Seen, BTreeSet<String>) {
    let (mut seen, mut late) = (Seen::new(), BTreeSet::new());
    let seconds = |line: &str| line.split('\t').next().and_then(|time| time.parse::<f64>().ok());
    let last = log.lines().last().and_then(seconds).expect("a line");
    let mut sent = BTreeSet::new();
    for line in log.lines().skip(1) {
        let [time, _, from, to, packet, fate] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let is_first = !fate.starts_with("again") && sent.insert((time.to_owned(), packet.to_owned()));
        if packet.contains(" mode ") && (from == point && is_first || to == point && fate != "lost") {
            *seen.entry(packet.to_owned()).or_default() += 1;
            // Somebody polls every second.
            if seconds(line).is_some_and(|time| time + 1.0 > last) {
                late.insert(packet.to_owned());
            }
        }
    }
    (seen, late)
}

#[test]
fn a_short_world_is_played_by_real_daemons() {
    let Some(folder) = played("short", WORLD) else { return };
    let log = std::fs::read_to_string(folder.0.join("wire.tsv")).expect("a log");
    for point in ["a.eth0", "b.eth0", "rt.in0", "rt.out0", "s.eth0", "t.eth0"] {
        let (mut captured, (mut logged, late)) = (captured(&folder.0, point), logged(&log, point));
        assert!(captured.len() > 3, "{point}: {captured:?}");
        assert!(captured.keys().all(|packet| logged.contains_key(packet)), "{point}: {captured:?}, {logged:?}");
        captured.retain(|packet, _| !late.contains(packet));
        logged.retain(|packet, _| !late.contains(packet));
        assert_eq!(captured, logged, "{point}");
    }
    assert!(log.contains("\tlost\n") && log.contains("\tagain "), "{log}");
    let read = |file: &str| std::fs::read_to_string(folder.0.join(file)).unwrap_or_else(|why| panic!("{file}: {why}"));
    assert!(read("a/status-end.txt").contains("$ ntpq -pn 127.0.0.1\n"), "{}", read("a/status-end.txt"));
    assert!(read("b/status-end.txt").contains("# chronyc -n tracking\nReference ID"), "{}", read("b/status-end.txt"));
    assert!(read("s/status-end.txt").contains("NTP packets received"), "{}", read("s/status-end.txt"));
    assert!(read("t/status-end.txt").contains("bad length or format"), "{}", read("t/status-end.txt"));
    assert!(read("rt/conntrack-end.txt").contains("dst=10.2.0.2"), "{}", read("rt/conntrack-end.txt"));
    assert!(read("rt/nft-end.txt").contains("masquerade"), "{}", read("rt/nft-end.txt"));
    assert!(read("truth.json").contains("engine netns"), "{}", read("truth.json"));
    let rejects = rejects(&folder.0);
    assert!(rejects.is_empty(), "{rejects:#?}");
}

#[test]
fn the_rover_of_an_old_kernel_is_the_wires_own() {
    let old = WORLD.replace("nat = { out = \"out0\" }", "nat = { out = \"out0\", rover = 107 }");
    assert_ne!(old, WORLD);
    let Some(folder) = played("rover", &old) else { return };
    let log = std::fs::read_to_string(folder.0.join("wire.tsv")).expect("a log");
    // Who comes second gets the next port, and the answers find their way back.
    assert!(log.contains("10.2.0.1:108>10.2.0.2:123 mode 3"), "{log}");
    let back = |line: &str| line.starts_with("10.2.0.2:123>10.1.0.1") && line.contains(":123 mode 4");
    let reached =
        |name: &str| log.lines().any(|line| line.contains(&format!("\t{name}.eth0\t")) && line.split('\t').any(back));
    assert!(reached("a") && reached("b"), "{log}");
    // chronyd answers port 108, and the lab's own server does not.
    assert!(log.contains("10.2.0.2:123>10.2.0.1:108 mode 4") && !log.contains("10.2.0.3:123>10.2.0.1:108"), "{log}");
    let table = std::fs::read_to_string(folder.0.join("rt/conntrack-end.txt")).expect("a table");
    assert!(table.contains("dport=108"), "{table}");
}

/// Lines and frames of the evidence that ntpscope's readers can't read.
fn rejects(folder: &Path) -> Vec<String> {
    let mut rejects = Vec::new();
    for file in files(folder) {
        let bytes = std::fs::read(&file).expect("a file");
        let name = file.strip_prefix(folder).expect("below it").display().to_string();
        if name.ends_with(".pcap") {
            rejects.extend(bad_frames(&bytes).into_iter().map(|why| format!("{name}: {why}")));
        } else if name.contains('/') {
            let mut reader = TextReader::new(InputId(0), Time(0));
            for line in bytes.split(|byte| *byte == b'\n') {
                let reject = reader.line(line, &mut |_| {});
                rejects.extend(reject.map(|why| format!("{name}: {why:?}: {}", String::from_utf8_lossy(line))));
            }
            reader.end(&mut |_| {});
        }
    }
    rejects
}

fn bad_frames(bytes: &[u8]) -> Vec<String> {
    let mut reader = CaptureReader::new(InputId(0));
    let (mut at, mut bad) = (0, Vec::new());
    loop {
        let step = reader.step(&bytes[at..], true);
        at += step.consumed;
        match step.item {
            Item::Packet(_) => {}
            Item::End => return bad,
            other => bad.push(format!("{other:?}")),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
