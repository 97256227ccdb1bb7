//! Small worlds with a planted answer: clients behind a router that ask one server, captured at four points.
//!
//! Each world is healthy but for what its test says; the diagnosis must say that, and nothing of a healthy world.

use ntpscope_core::causes::Kind;
use ntpscope_core::diagnosis::{self, CLAIM, Diagnosis, Place};
use ntpscope_core::exchange::survey::Survey;
use ntpscope_core::exchange::{Alignment, Exchange, Fate, Matcher, PointId};
use ntpscope_core::model::{At, Event, InputId, Origin, Place as Unit, Row, What};
use ntpscope_core::rules::path::Direction::{self, ToClient, ToServer};
use ntpscope_core::rules::{Material, Summaries, Summary};
use ntpscope_core::scene::{Input, Point, Scene};
use ntpscope_core::time::{SECOND, Time};
use ntpscope_core::wire::{Packet, ntp};
use std::net::IpAddr;

const POINTS: [&str; 4] = ["c_eth0", "rt_in0", "rt_out0", "sv_eth0"];
const START: i64 = 1_795_000_000 * SECOND;
const MILLI: i64 = SECOND / 1000;
const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 2, 0, 2));

/// One request: whose, the how many-th of this client, and its source port beyond the router.
#[derive(Clone, Copy)]
struct Ask {
    client: u8,
    poll: i64,
    port: u16,
}

/// What becomes of a request; points are counted from the client's side.
#[derive(Clone, Copy)]
enum Way {
    /// Answered after so many nanoseconds.
    Answered(i64),
    /// Seen at the first points only; 4 is at the server too.
    Lost(u8),
    /// Answered, and the reply is seen at the last points only.
    ReplyLost(u8),
}

const WELL: Way = Way::Answered(MILLI / 10);

struct World<'a> {
    clients: u8,
    polls: i64,
    /// The source port beyond a router that rewrites addresses; without one nothing is rewritten.
    nat: Option<fn(u8, i64) -> u16>,
    way: &'a dyn Fn(Ask) -> Way,
    transmit: fn(Ask) -> u64,
    /// How far the client's clock is off after some nanoseconds.
    clock: fn(i64) -> i64,
    /// First and last second that each point records.
    records: [(i64, i64); 4],
    twice: bool,
    version: Option<&'static str>,
}

/// A timestamp that no other request has.
fn own_stamp(ask: Ask) -> u64 {
    0xeead_0000_1234_5678 + ((ask.poll as u64 * 64) << 32) + (u64::from(ask.client) << 20)
}

const HEALTHY: World<'static> = World {
    clients: 3,
    polls: 60,
    nat: Some(|client, _| [123, 160, 108, 300, 400][usize::from(client) % 5]),
    way: &|_| WELL,
    transmit: own_stamp,
    clock: |_| 0,
    records: [(-10, 1 << 20); 4],
    twice: false,
    version: None,
};

impl World<'_> {
    fn packets(&self) -> [Vec<Packet>; 4] {
        let mut seen: [Vec<Packet>; 4] = Default::default();
        for (poll, client) in (0..self.polls).flat_map(|poll| (0..self.clients).map(move |client| (poll, client))) {
            let ask = Ask { client, poll, port: self.nat.map_or(123, |port| port(client, poll)) };
            let (asked, replied, wait) = match (self.way)(ask) {
                Way::Answered(wait) => (4, 4, wait),
                Way::Lost(points) => (points, 0, 0),
                Way::ReplyLost(points) => (4, points, 0),
            };
            for point in 0..4u8 {
                let beyond = self.nat.is_some() && point >= 2;
                let (address, port) = if beyond { ([10, 2, 0, 1], ask.port) } else { ([10, 1, 0, 11 + client], 123) };
                let (sent, transit) =
                    ((poll * 640 + i64::from(client) * 17) * 100 * MILLI, i64::from(point) * MILLI / 4);
                let mut see = |reply: bool, since: i64, ends: [(IpAddr, u16); 2]| {
                    let (from, to) = self.records[usize::from(point)];
                    if (from * SECOND..=to * SECOND).contains(&since) {
                        let packet = packet(point, self.stamp(point, since), ends, reply, (self.transmit)(ask));
                        seen[usize::from(point)].extend(std::iter::repeat_n(packet, 1 + usize::from(self.twice)));
                    }
                };
                if point < asked {
                    see(false, sent + transit, [(address.into(), port), (SERVER, 123)]);
                }
                if point + replied >= 4 {
                    see(true, sent + wait + 2 * MILLI - transit, [(SERVER, 123), (address.into(), port)]);
                }
            }
        }
        for (packets, input) in seen.iter_mut().zip((0..).map(InputId)) {
            packets.sort_by_key(|packet| packet.time);
            (1..).zip(packets).for_each(|(n, packet)| packet.origin = Origin { input, place: Unit::Frame(n) });
        }
        seen
    }

    fn stamp(&self, point: u8, since: i64) -> Time {
        Time(START + since + if point == 0 { (self.clock)(since) } else { 0 })
    }

    /// Surveys, joins and diagnoses as the program does.
    fn diagnose(&self) -> (Diagnosis, Vec<Exchange>) {
        let seen = self.packets();
        let surveys = (0u8..).zip(&seen).map(|(point, packets)| {
            let mut survey = Survey::new(PointId(point));
            packets.iter().for_each(|packet| survey.fold(packet));
            let (from, to) = self.records[usize::from(point)];
            survey.cover(self.stamp(point, from * SECOND), self.stamp(point, to.min(self.polls * 64 + 10) * SECOND));
            survey
        });
        let mut matcher = Matcher::new(Alignment::from_surveys(&surveys.collect::<Vec<_>>()), true);
        let (mut exchanges, mut summaries, mut at) = (Vec::new(), Summaries::default(), [0; 4]);
        loop {
            let next = |point: usize| {
                Some((matcher.alignment().common(PointId(point as u8), seen[point].get(at[point])?.time), point))
            };
            let Some((_, point)) = (0..4).filter_map(next).min() else { break };
            matcher.packet(&seen[point][at[point]], PointId(point as u8), &mut |e| exchanges.push(e.clone()));
            at[point] += 1;
        }
        matcher.finish(&mut |e| exchanges.push(e.clone()));
        exchanges.iter().for_each(|exchange| summaries.fold(Material::Exchange(exchange)));
        let mut scene = Scene::default();
        scene.inputs = POINTS.map(|name| Input { name: format!("{name}.pcap"), ..Input::default() }).to_vec();
        scene.inputs.push(Input { name: "sv/status.txt".into(), host: Some("sv".into()), ..Input::default() });
        if let Some(value) = self.version {
            let (origin, name) = (Origin { input: InputId(4), place: Unit::Line(1) }, "version");
            let what = What::Variable { association: "", name, value };
            summaries.fold(Material::Row(&Row::Event(Event { at: At::origin(origin), what })));
        }
        let point = |(n, name): (u8, &str)| Point { name: name.into(), host: None, input: InputId(u32::from(n)) };
        scene.place((0u8..).zip(POINTS).map(|named| (PointId(named.0), point(named))));
        (diagnosis::diagnose(&summaries, &mut scene), exchanges)
    }

    /// The faults that are claimed, with their places.
    fn faults(&self) -> Vec<(String, Place)> {
        let faults =
            self.diagnose().0.diagnoses.into_iter().filter(|d| d.kind == Kind::Fault && d.probability >= CLAIM);
        faults.map(|fault| (fault.cause, fault.place)).collect()
    }
}

fn packet(point: u8, time: Time, [source, destination]: [(IpAddr, u16); 2], reply: bool, stamp: u64) -> Packet {
    let mut bytes = [0; ntp::HEADER];
    bytes[0] = if reply { 0x24 } else { 0x23 };
    bytes[1] = u8::from(reply);
    bytes[if reply { 24..32 } else { 40..48 }].copy_from_slice(&stamp.to_be_bytes());
    Packet {
        origin: Origin { input: InputId(0), place: Unit::Frame(0) },
        interface: 0,
        time,
        source,
        destination,
        ttl: if (point < 2) == reply { 63 } else { 64 },
        dscp: 0,
        ip_id: 0,
        length: 48,
        ntp: ntp::Header::read(&bytes).expect("48 bytes"),
        tail: ntp::Tail::default(),
        icmp: None,
    }
}

/// Deterministic noise: a linear congruential generator (Knuth's MMIX constants), its upper bits as a share of 1.
fn noise(seed: u64) -> impl Fn() -> f64 {
    let state = std::cell::Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    move || {
        state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        (state.get() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn segment(from: &str, to: &str, direction: Direction) -> (String, Place) {
    ("loss-on-segment".into(), Place::Segment(from.into(), to.into(), Some(direction)))
}

#[test]
fn a_healthy_world_has_nothing_wrong() {
    for nat in [None, HEALTHY.nat] {
        let (found, exchanges) = World { nat, ..HEALTHY }.diagnose();
        assert!(found.diagnoses.is_empty() && found.ruled_out.is_empty() && found.undecided.is_empty(), "{found:?}");
        assert_eq!((exchanges.len(), found.answered.part, found.answered.whole), (180, 180, 180));
        assert!(exchanges.iter().all(|e| e.requests.len() == 4 && e.replies.len() == 4));
    }
}

#[test]
fn losses_name_their_segment_and_direction() {
    for (way, from, to, direction) in [
        (Way::Lost(1), "c_eth0", "rt_in0", ToServer),
        (Way::Lost(3), "rt_out0", "sv_eth0", ToServer),
        (Way::ReplyLost(1), "sv_eth0", "rt_out0", ToClient),
        (Way::ReplyLost(3), "rt_in0", "c_eth0", ToClient),
    ] {
        let noise = noise(30);
        let world = World { way: &|_| if noise() < 0.3 { way } else { WELL }, ..HEALTHY };
        assert_eq!(world.faults(), [segment(from, to, direction)]);
    }
}

#[test]
fn a_drop_between_two_interfaces_of_the_router_is_the_routers() {
    for (way, from, to) in [(Way::Lost(2), "rt_in0", "rt_out0"), (Way::ReplyLost(2), "rt_out0", "rt_in0")] {
        let noise = noise(32);
        let world = World { way: &|_| if noise() < 0.3 { way } else { WELL }, ..HEALTHY };
        let place = Place::Device("rt".into(), Some((from.into(), to.into())));
        assert_eq!(world.faults(), [("drop-in-device".to_owned(), place)]);
    }
}

/// A server that drops what comes from ports below 123; half-way the third client's mapping is drawn anew.
fn low_port(version: Option<&'static str>) -> Diagnosis {
    let way = |ask: Ask| if ask.port < 123 { Way::Lost(4) } else { WELL };
    let nat = |client, poll| if client == 2 && poll < 30 { 108 } else { 123 + 37 * u16::from(client) };
    World { way: &way, clients: 5, nat: Some(nat), version, ..HEALTHY }.diagnose().0
}

#[test]
fn low_ports_dropped_by_an_old_ntpd_are_its_bug_provoked_by_the_nat() {
    let found = low_port(Some("ntpd 4.2.6p5@1.2349-o Tue Dec  9 2014 (1)"));
    let fault = &found.diagnoses[0];
    assert_eq!((fault.cause.as_str(), &fault.place), ("ntpd-low-source-port", &Place::Server("sv".into(), SERVER)));
    assert!(fault.probability > 0.95, "{}", fault.probability);
    assert!(fault.affected.iter().eq(["10.1.0.13"]) && fault.provoked_by.as_deref() == Some("rt"), "{fault:?}");
    assert!(found.diagnoses.iter().any(|d| d.kind == Kind::Risk && d.affected.len() == 5), "all behind the NAT");
}

#[test]
fn low_ports_dropped_by_an_unknown_version_are_less_sure() {
    let (known, unknown) = (low_port(Some("ntpd 4.2.6p5")), low_port(None));
    assert_eq!(unknown.diagnoses[0].cause, known.diagnoses[0].cause);
    assert!((CLAIM..known.diagnoses[0].probability - 0.02).contains(&unknown.diagnoses[0].probability), "{unknown:?}");
}

#[test]
fn low_ports_dropped_by_a_version_without_the_bug_are_not_that_bug() {
    let found = low_port(Some("ntpd 4.2.8p15@1.3728-o Wed Sep 23 2020 (1)"));
    assert!(found.diagnoses.iter().all(|d| d.cause != "ntpd-low-source-port"), "{:?}", found.diagnoses);
    assert!(found.ruled_out.iter().any(|(cause, _)| cause == "ntpd-low-source-port"), "{:?}", found.ruled_out);
}

#[test]
fn a_clock_that_is_off_and_drifts_changes_nothing() {
    // By 200 ppm all the time; by 500 ppm after an hour and a half, which a look at the whole does not show.
    let steady = |since: i64| 37 * SECOND + since / 5000;
    let later = |since: i64| 37 * SECOND + (since - 5400 * SECOND).max(0) / 2000;
    for clock in [steady as fn(i64) -> i64, later] {
        let (found, exchanges) = World { clock, polls: 140, ..HEALTHY }.diagnose();
        assert!(found.diagnoses.is_empty() && exchanges.len() == 420, "{} exchanges; {found:?}", exchanges.len());
        let noise = noise(33);
        let way = |_| if noise() < 0.3 { Way::Lost(1) } else { WELL };
        let faults = World { clock, polls: 140, way: &way, ..HEALTHY }.faults();
        assert_eq!(faults, [segment("c_eth0", "rt_in0", ToServer)]);
    }
}

#[test]
fn what_a_capture_could_not_see_is_not_lost() {
    // The world lasts an hour and four minutes; each point misses a part of its beginning, its end, or both.
    for records in [
        [(-10, 9999), (900, 9999), (1900, 9999), (-10, 9999)],
        [(-10, 9999), (-10, 2000), (-10, 1000), (-10, 3000)],
        [(1000, 2000), (-10, 9999), (1500, 2500), (500, 1600)],
    ] {
        let (found, exchanges) = World { records, ..HEALTHY }.diagnose();
        assert!(found.diagnoses.is_empty(), "{records:?}: {:?}", found.diagnoses);
        assert!(exchanges.iter().all(|e| matches!(e.fate, Fate::Answered | Fate::Cut)), "{records:?}");
        // While a point does not record, losses beside it can only be told to lie between those that do.
        for (points, end) in [(1, "c_eth0"), (3, "sv_eth0")] {
            let noise = noise(34);
            let way = |_| if noise() < 0.5 { Way::Lost(points) } else { WELL };
            let faults = World { way: &way, records, ..HEALTHY }.faults();
            let right = |place: &Place| matches!(place, Place::Segment(a, b, Some(ToServer)) if a == end || b == end);
            let all = faults.iter().all(|(cause, place)| cause == "loss-on-segment" && right(place));
            assert!(!faults.is_empty() && all, "{records:?}, lost after {points}: {faults:?}");
        }
    }
}

#[test]
fn duplicates_are_counted_once() {
    let (found, exchanges) = World { twice: true, ..HEALTHY }.diagnose();
    assert!(found.diagnoses.is_empty(), "{:?}", found.diagnoses);
    assert_eq!((exchanges.len(), found.answered.part), (180, 180));
    assert!(exchanges.iter().all(|e| (e.duplicate_requests, e.duplicate_replies) == (4, 4)));
}

#[test]
fn replies_after_six_seconds_are_late_and_not_lost() {
    let way = |ask: Ask| if ask.poll % 3 == 0 { Way::Answered(6 * SECOND) } else { WELL };
    let world = World { way: &way, ..HEALTHY };
    assert_eq!(world.diagnose().1.iter().filter(|e| e.fate == Fate::Late).count(), 60);
    assert_eq!(world.faults(), [("late-replies".to_owned(), Place::Server("sv".into(), SERVER))]);
}

#[test]
fn requests_without_a_transmit_timestamp_are_no_loss() {
    let (found, exchanges) = World { transmit: |_| 0, ..HEALTHY }.diagnose();
    assert!(found.diagnoses.is_empty(), "{:?}", found.diagnoses);
    assert!(exchanges.iter().all(|e| e.weak && e.fate == Fate::Answered), "{:?}", found.answered);
}

#[test]
fn equal_timestamps_of_a_client_that_is_lost_and_two_that_are_answered_stay_apart() {
    let transmit = |ask: Ask| own_stamp(Ask { client: 0, ..ask });
    let way = |ask: Ask| if ask.client == 2 { Way::Lost(4) } else { WELL };
    let (_, exchanges) = World { transmit, way: &way, ..HEALTHY }.diagnose();
    for exchange in &exchanges {
        let third = exchange.near().source.0 == IpAddr::from([10, 1, 0, 13]);
        assert_eq!(exchange.fate, if third { Fate::Silent } else { Fate::Answered });
        assert_eq!(
            (exchanges.len(), exchange.requests.len(), exchange.replies.len() / 4),
            (180, 4, usize::from(!third))
        );
    }
}

#[test]
fn one_per_cent_of_random_loss_is_no_fault() {
    for seed in 0..40 {
        let noise = noise(seed);
        // Anywhere on the way and back, or (odd seeds) always at one place.
        let way = |_: Ask| match noise() {
            0.01.. => WELL,
            _ => match if seed % 2 == 1 { seed / 2 % 7 } else { (noise() * 7.0) as u64 } {
                place @ 0..4 => Way::Lost(place as u8 + 1),
                place => Way::ReplyLost(place as u8 - 3),
            },
        };
        let world = World { way: &way, clients: 5, polls: 80, ..HEALTHY };
        assert_eq!(world.faults(), [], "seed {seed}");
    }
}
