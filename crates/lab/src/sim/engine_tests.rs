use super::super::play;
use super::*;
use crate::world::World;
use ntpscope_core::wire::ntp::Header;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Story 2, and worlds made from it.
const STORY: &str = include_str!("../../../../stories/2-latent-port-108/world.toml");
const SERVES: &str = "serves = { stratum = 2, refid = \"127.127.1.0\", drops_ports_below = 123 }";

/// A packet of a capture: time, TTL, source port, header.
type Seen = (i64, u8, u16, Header);

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ntpscope-lab-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn played(name: &str, text: &str, seed: u64) -> Folder {
    let folder = Folder::new(name);
    let world = World::read(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    play(&world, name, seed, &folder.0).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    folder
}

/// The story with another server, and clients that may not set their clocks.
fn serving(serves: &str) -> String {
    let text = STORY.replace("asks = [", "may_set = false, asks = [");
    let text = text.replace(SERVES, &format!("serves = {{ stratum = 2, {serves} }}")).replace(", rover = 107", "");
    assert_ne!(text, STORY);
    text
}

/// Records of a capture: time, and the frame.
fn frames(folder: &Folder, point: &str) -> Vec<(i64, Vec<u8>)> {
    let bytes = std::fs::read(folder.0.join(format!("pcap/{point}.pcap"))).expect("a capture");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let (mut at, mut frames) = (24, Vec::new());
    while at < bytes.len() {
        let end = at + 16 + word(at + 8);
        frames.push((word(at) as i64 * SECOND + word(at + 4) as i64, bytes[at + 16..end].to_vec()));
        at = end;
    }
    frames
}

fn packets(folder: &Folder, point: &str) -> Vec<Seen> {
    let udp = frames(folder, point).into_iter().filter(|(_, frame)| frame[23] == 17);
    let read = |(time, frame): (i64, Vec<u8>)| {
        let header = Header::read(&frame[42..]).expect("a header");
        (time, frame[22], u16::from_be_bytes([frame[34], frame[35]]), header)
    };
    udp.map(read).collect()
}

/// ICMP errors of a capture.
fn errors(folder: &Folder, point: &str, code: u8) -> usize {
    frames(folder, point).iter().filter(|(_, frame)| frame[23] == 1 && frame[34] == 3 && frame[35] == code).count()
}

fn of_mode(packets: &[Seen], mode: u8) -> Vec<Header> {
    packets.iter().filter(|(.., header)| header.mode() == mode).map(|(.., header)| *header).collect()
}

/// Seconds by which the transmit timestamps of the first and the last reply are ahead of their requests'; only c3's requests
/// tell its clock, the others hide it.
fn ahead(answers: &[Header]) -> (f64, f64) {
    let ahead = |header: &Header| header.transmit().wrapping_sub(header.origin()) as i64 as f64 / 2_f64.powi(32);
    let told: Vec<f64> = answers.iter().map(ahead).filter(|ahead| ahead.abs() < 60.0).collect();
    assert!(told.len() > 20);
    (told[0], told[told.len() - 1])
}

/// What `ntpscope diagnose` says, where it has been built.
fn diagnosis(evidence: &Path) -> Option<serde_json::Value> {
    let program = std::env::current_exe().ok()?.parent()?.parent()?.join("ntpscope");
    if !program.exists() {
        println!("skipped: {} is not built", program.display());
        return None;
    }
    let said = Command::new(program).args(["diagnose", "--format", "json"]).arg(evidence).output().expect("it runs");
    Some(serde_json::from_slice(&said.stdout).expect("a report"))
}

/// Cause, host and affected hosts of what a report says of a kind.
fn named(report: &serde_json::Value, kind: &str) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["diagnoses"].as_array().expect("diagnoses").iter();
    all.filter(|d| d["kind"] == kind && d["probability"].as_f64() >= Some(0.5))
        .map(|d| {
            let hosts = d["affected"].as_array().map(|all| all.iter().map(text).collect()).unwrap_or_default();
            (text(&d["cause"]), text(&d["where"]["host"]), hosts)
        })
        .collect()
}

#[test]
fn story_2_is_diagnosed_and_its_cure_is_healthy() {
    let folder = played("story", STORY, 1);
    let conntrack = folder.read("rt/conntrack-mid.txt");
    let flow =
        "src=10.1.0.13 dst=10.2.0.2 sport=123 dport=123 [UNREPLIED] src=10.2.0.2 dst=10.2.0.1 sport=123 dport=108";
    assert!(conntrack.contains(flow) && conntrack.contains("[ASSURED]"), "{conntrack}");
    assert!(folder.read("rt/nft-mid.txt").contains("masquerade"));
    // One more in the counter for each request of c3 that arrives.
    let low = packets(&folder, "sv_eth0").iter().filter(|(_, _, port, _)| *port == 108).count();
    assert!(low > 20 && folder.read("sv/status-end.txt").contains(&format!("bad length or format:   {low}\n")));
    let truth: serde_json::Value = serde_json::from_str(&folder.read("truth.json")).expect("JSON");
    assert_eq!(truth["causes"][0]["where"]["host"], serde_json::json!(["sv", "10.2.0.2"]));
    assert!(truth["provenance"].as_str().is_some_and(|text| text.contains("seed 1")));
    let cured = played("cured", &STORY.replace("rover = 107", "ports = [123, 511]"), 1);
    let (Some(sick), Some(well)) = (diagnosis(&folder.0), diagnosis(&cured.0)) else { return };
    let expected = ("ntpd-low-source-port".to_owned(), "sv".to_owned(), vec!["c3".to_owned()]);
    assert_eq!(named(&sick, "fault"), [expected]);
    assert_eq!(named(&sick, "risk")[0].0, "nat-port-rewrite");
    assert_eq!((named(&well, "fault"), named(&well, "risk")), (vec![], vec![]));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let noisy = STORY.replace("jitter_ms = 0.05", "jitter_ms = 0.05\nloss = 0.05\nloss_run = 2.0\nduplicated = 0.05");
    let (a, b, c) = (played("seed-a", &noisy, 7), played("seed-b", &noisy, 7), played("seed-c", &noisy, 8));
    let bytes = |folder: &Folder| std::fs::read(folder.0.join("pcap/sv_eth0.pcap")).expect("a capture");
    assert!(bytes(&a) == bytes(&b) && bytes(&a) != bytes(&c));
    assert_eq!(a.read("truth.json").replace("seed-a", ""), b.read("truth.json").replace("seed-b", ""));
    // A folder that has something in it is not written into.
    let world = World::read(&noisy).expect("a world");
    assert!(play(&world, "again", 1, &a.0).is_err());
}

#[test]
fn each_request_is_seen_at_each_point_in_order() {
    // Captures are stamped by the hosts' clocks: these are true, and nobody sets them.
    let text = serving("refid = \"GPS\"");
    let text =
        text.replace("ppm = 12.0", "ppm = 0.0").replace("ppm = 8.0", "ppm = 0.0").replace("ppm = -5.0", "ppm = 0.0");
    let folder = played("order", &text, 3);
    let clients: Vec<Seen> = ["c1_eth0", "c2_eth0", "c3_eth0"].iter().flat_map(|at| packets(&folder, at)).collect();
    let [inside, outside, server] = ["rt_in0", "rt_out0", "sv_eth0"].map(|point| packets(&folder, point));
    let mut seen = 0;
    for (time, ttl, _, request) in clients.iter().filter(|(.., header)| header.mode() == 3) {
        let at = |point: &[Seen]| {
            let found = point.iter().find(|(.., h)| h.mode() == 3 && h.transmit() == request.transmit());
            found.map(|(time, ttl, ..)| (*time, *ttl))
        };
        let (Some(a), Some(b), Some(c)) = (at(&inside), at(&outside), at(&server)) else { continue };
        seen += 1;
        assert!(*time < a.0 && a.0 < b.0 && b.0 + 500_000 <= c.0);
        assert_eq!((*ttl, a.1, b.1, c.1), (64, 64, 63, 63));
    }
    assert!(seen > 100);
    // Every request is answered, by its origin timestamp, and the server's own stamps lie between.
    let asked: HashSet<u64> = of_mode(&clients, 3).iter().map(Header::transmit).collect();
    let answers = of_mode(&clients, 4);
    assert!(answers.len() + 3 >= asked.len() && answers.iter().all(|answer| asked.contains(&answer.origin())));
    assert!(answers.iter().all(|answer| answer.transmit() > answer.receive() && answer.stratum() == 2));
}

#[test]
fn servers_have_the_quirks_that_worlds_give_them() {
    let modes = |serves: &str| {
        let folder = played(&format!("quirk-{}", serves.len()), &serving(serves), 5);
        let all = packets(&folder, "sv_eth0");
        (of_mode(&all, 3).len(), of_mode(&all, 4), folder.read("sv/status-end.txt"))
    };
    let (asked, answers, _) = modes("refid = \"GPS\"");
    assert!(asked > 100 && answers.len() + 1 >= asked);
    let (_, answers, status) = modes("limit = { average_s = 8.0, minimum_s = 1.0 }, kod = true");
    let kisses = answers.iter().filter(|answer| answer.kiss() == Some(*b"RATE")).count();
    assert!(answers.len() - kisses < asked / 3 && kisses > 3);
    assert!(status.contains(&format!("KoD responses:          {kisses}\n")), "{status}");
    assert!(answers.iter().filter(|a| a.kiss().is_some()).all(|a| a.origin() == a.receive() && a.leap() == 3));
    let (_, answers, status) = modes("limit = { average_s = 8.0, minimum_s = 1.0 }");
    assert!(answers.len() < asked / 3 && answers.iter().all(|answer| answer.kiss().is_none()));
    assert!(!status.contains("rate limited:           0\n"));
    // NTPsec's c1 asks with poll field 0 and chronyd's c2 with 2: they are dropped; ntpd's c3 with 3 is not.
    let (_, answers, _) = modes("drops_poll_below = 3");
    assert!((20..30).contains(&answers.len()), "{}", answers.len());
    let (_, answers, status) = modes("denies = [\"10.2.0.0/24\"]");
    assert!(answers.is_empty() && status.contains(&format!("restricted:             {asked}\n")));
    let (_, answers, _) = modes("denies = [\"10.2.0.1\"], kod = true");
    assert!(answers.len() + 1 >= asked && answers.iter().all(|answer| answer.kiss() == Some(*b"DENY")));
    let (_, answers, _) = modes("unsynchronised = true");
    assert!(answers.iter().all(|answer| (answer.leap(), answer.stratum(), answer.refid()) == (3, 0, *b"INIT")));
    let (_, answers, status) = modes("ignores_versions = [4]");
    assert!(answers.is_empty() && status.contains(&format!("bad length or format:   {asked}\n")));
    let (_, answers, status) = modes("ignores_modes = [3]");
    assert!(answers.is_empty() && status.contains(&format!("declined:               {asked}\n")));
    let (_, answers, _) = modes("wrong_s = 0.25, drift_ppm = 100.0");
    let (first, last) = ahead(&answers);
    assert!((first - 0.25).abs() < 0.01 && (last - first - 0.021).abs() < 0.01, "{first} {last}");
    let (_, answers, _) = modes("slow = \"2s\"");
    assert!(answers.len() > 90 && answers.iter().all(|answer| answer.transmit() - answer.receive() > 1 << 33));
    // An answer from elsewhere belongs to no connection: the router says so to the server.
    let second = "eth0 = \"10.2.0.2/24 10.2.0.3/24\"";
    let elsewhere = serving("answers_from = \"10.2.0.3\"").replace("eth0 = \"10.2.0.2/24\"", second);
    let folder = played("elsewhere", &elsewhere, 5);
    assert!(of_mode(&packets(&folder, "rt_in0"), 4).is_empty() && errors(&folder, "rt_out0", 3) > 100);
}

#[test]
fn faults_do_what_they_say() {
    let with = |name: &str, fault: &str| {
        let serves = serving("refid = \"GPS\"");
        played(name, &serves.replacen("duration", &format!("faults = [{fault}]\nduration"), 1), 5)
    };
    let folder = with("stopped", "{ from = \"60s\", until = \"120s\", what = { kind = \"stopped\", host = \"sv\" } }");
    let refused = errors(&folder, "c2_eth0", 3);
    assert!((13..17).contains(&refused) && errors(&folder, "sv_eth0", 3) > 25, "{refused}");
    assert!(folder.read("sv/status-mid.txt").contains("Connection refused"));
    let folder = with("stall", "{ from = \"60s\", until = \"120s\", what = { kind = \"stall\", host = \"sv\" } }");
    let late = of_mode(&packets(&folder, "sv_eth0"), 4).into_iter();
    let late = late.filter(|answer| answer.transmit() - answer.receive() > 1 << 32).count();
    assert!((25..35).contains(&late), "{late}");
    let folder = with("down", "{ from = \"60s\", what = { kind = \"down\", at = \"sv\" } }");
    assert!(errors(&folder, "rt_in0", 1) > 60 && errors(&folder, "c1_eth0", 1) > 15);
    let loss = "{ from = \"100s\", what = { kind = \"loss\", link = \"wan\", towards = \"sv\", share = 1.0 } }";
    let folder = with("loss", loss);
    let [left, arrived] = ["rt_out0", "sv_eth0"].map(|point| of_mode(&packets(&folder, point), 3).len());
    assert!(left > 95 && (45..60).contains(&arrived), "{left} {arrived}");
    let folder = with("one-way", "{ what = { kind = \"delay\", link = \"lan\", towards = \"c1\", more_ms = 40.0 } }");
    let wait = |point: &str| {
        let all = packets(&folder, point);
        let (asked, _, _, request) = all[0];
        all.iter().find(|(.., h)| h.mode() == 4 && h.origin() == request.transmit()).map_or(0, |(at, ..)| at - asked)
    };
    assert!(wait("c1_eth0") > 40_000_000 && wait("c3_eth0") < 5_000_000);
    let folder = with("wrong", "{ from = \"100s\", what = { kind = \"wrong\", host = \"sv\", by_s = 3.0 } }");
    let answers = of_mode(&packets(&folder, "sv_eth0"), 4);
    let (first, last) = ahead(&answers);
    assert!(first < 0.1 && last > 2.9);
    let folder = with("leap", "{ from = \"10s\", until = \"100s\", what = { kind = \"leap\" } }");
    let answers = of_mode(&packets(&folder, "sv_eth0"), 4);
    assert!(answers.iter().filter(|answer| answer.leap() == 1).count() > 30 && answers[answers.len() - 1].leap() == 0);
}

#[test]
fn filters_drop_what_they_say() {
    let with = |name: &str, host: &str, filter: &str| {
        let text = serving("refid = \"GPS\"");
        played(name, &text.replace(host, &format!("{host}\nfilters = [{filter}]")), 5)
    };
    let folder = with("only-123", "eth0 = \"10.2.0.2/24\" }", "{ only_source_ports = [123, 123] }");
    let (all, rules) = (packets(&folder, "sv_eth0"), folder.read("sv/nft-end.txt"));
    let requests = |is: fn(u16) -> bool| all.iter().filter(|(_, _, port, h)| h.mode() == 3 && is(*port)).count();
    let (good, bad) = (requests(|port| port == 123), requests(|port| port != 123));
    assert!(of_mode(&all, 4).len() == good && bad > 60);
    assert!(rules.contains(&format!("udp dport 123 udp sport != 123 counter packets {bad} bytes {} drop", bad * 76)));
    let folder = with("rejects", "router = true", "{ to = \"10.2.0.2\", rejects = true }");
    assert!(errors(&folder, "c1_eth0", 13) > 25 && packets(&folder, "rt_out0").is_empty());
}

#[test]
fn a_second_address_is_heard_in_its_share() {
    let text = r#"
        about = "m2 multicasts from its second address now and then"
        duration = "2h"
        captures = ["x1.eth0"]
        hosts.m2 = { addresses = { eth0 = "10.3.0.2/24", eth1 = "10.4.0.2/24" }, daemon = { is = "ntpd 4.2.4p8", serves = { stratum = 1, broadcasts_to = "224.0.1.1", broadcast_poll = 4, broadcasts_also_from = { "10.4.0.2" = 15.0 } } } }
        hosts.x1 = { addresses = { eth0 = "10.3.0.11/24" }, daemon = { is = "ntpd 4.2.6p5", asks = [{ server = "224.0.1.1" }] } }
        hosts.x6 = { addresses = { eth0 = "2001:db8::6/64" }, daemon = { is = "chrony 4.3", asks = [{ server = "2001:db8::7" }] } }
        hosts.s6 = { addresses = { eth0 = "2001:db8::7/64" }, daemon = { is = "chrony 4.3", serves = { stratum = 1 } } }
        links.lan = { joins = ["m2.eth0", "m2.eth1", "x1.eth0", "x6.eth0", "s6.eth0"] }
    "#;
    let folder = played("multicast", text, 2);
    let is_broadcast = |frame: &[u8]| frame[..3] == [1, 0, 0x5e] && frame[42] & 7 == 5;
    let heard: Vec<_> = frames(&folder, "x1_eth0").into_iter().filter(|(_, frame)| is_broadcast(frame)).collect();
    let other = heard.iter().filter(|(_, frame)| frame[26..30] == [10, 4, 0, 2]).count();
    let share = other as f64 / heard.len() as f64;
    assert!((400..500).contains(&heard.len()) && (share - 0.15).abs() < 0.06, "{} {share}", heard.len());
    // IPv6 works as well.
    let rows = folder.read("x6/measurements.log").lines().filter(|line| line.contains(" 2001:db8::7 ")).count();
    assert!((20..60).contains(&rows), "{rows}");
}
