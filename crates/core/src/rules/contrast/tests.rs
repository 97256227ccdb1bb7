use super::attribute::ATTRIBUTES;
use super::row::{Stamp, step};
use super::search::Values;
use super::table::{Row, Table};
use super::*;
use crate::model::{InputId, Origin, Place};
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Stdio};

/// Small pools of values, as clients have them.
const CLIENTS: u8 = 6;

/// A request whose attributes are drawn from pools, each by bits of its own.
fn request(draw: u64) -> Attributes {
    let of = |at: u32, pool: &[u16]| pool[(draw >> (at * 5)) as usize % 31 % pool.len()];
    let client = (draw >> 60) as u8 % CLIENTS;
    let client = [10, 1, client % 2, 10 + client];
    Attributes {
        client: client.into(),
        port: step(of(0, &[123, 108, 200, 700, 1024, 33_000, 40_000, 123])),
        length: of(1, &[48, 68, 72, 228]),
        version: of(2, &[3, 4]) as u8,
        mode: of(3, &[1, 3, 3]) as u8,
        poll: of(4, &[2, 3, 6, 10]) as i8,
        ttl: of(5, &[62, 63, 64, 128]) as u8,
        dscp: of(6, &[0, 46]) as u8,
        extensions: of(7, &[0, 1, 4]) as u8,
        mac: of(8, &[0, 20, 24]) as u8,
        nts: of(9, &[0, 1]) == 1,
        stamp: [Stamp::Real, Stamp::Random][usize::from(of(10, &[0, 1]))],
        own_gap: of(11, &[10, 13, 16, 40]) as u8,
        any_gap: of(11, &[10, 13, 16, 40]) as u8,
        in_flight: of(9, &[0, 0, 1]) as u8,
    }
}

/// Numbers that look random, the same every time.
fn draws(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

/// `n` requests; `lost` says of each, with a number between 0 and 1 from chance, whether it is lost.
fn judged(seed: u64, n: usize, lost: impl Fn(&Attributes, f64) -> bool) -> Contrasts {
    let mut draws = draws(seed);
    let mut rows: Vec<Row> = Vec::new();
    for frame in 1..=n as u32 {
        let at = request(draws.next().unwrap_or(0));
        let lost = lost(&at, draws.next().unwrap_or(0) as f64 / u64::MAX as f64);
        let origin = Some(Origin { input: InputId(0), place: Place::Frame(frame) });
        let first = if lost { (origin, None) } else { (None, origin) };
        let cell = Cell { lost: u64::from(lost), answered: u64::from(!lost) };
        rows.push(Row::new(at, cell, first, (at.port, at.port)));
    }
    judge::judge(rows)
}

fn names(contrasts: &Contrasts) -> Vec<&'static str> {
    contrasts.best().map(|c| c.name).collect()
}

type Planted = (&'static [&'static str], fn(&Attributes) -> bool);

/// Sets that may be planted, and how they may be called.
const PLANTED: &[Planted] = &[
    (&["port-below-123"], |a| a.port < 123),
    (&["port-number"], |a| (200..=1024).contains(&a.port)),
    (&["length"], |a| a.length > 68),
    (&["length"], |a| a.length == 68 || a.length == 228),
    (&["version"], |a| a.version == 3),
    (&["mode"], |a| a.mode == 1),
    (&["poll-below-4", "poll-field"], |a| a.poll < 4),
    (&["ttl"], |a| a.ttl < 63),
    (&["dscp"], |a| a.dscp == 46),
    (&["mac"], |a| a.mac == 20),
    (&["nts"], |a| a.nts),
    (&["stamp"], |a| a.stamp == Stamp::Random),
    (&["own-gap"], |a| a.own_gap < 13),
    (&["client"], |a| a.client == IpAddr::from([10, 1, 0, 12])),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_planted_set_is_found_beside_other_loss(seed in 1u64.., which in 0..PLANTED.len(), loss in 0.0f64..0.05) {
        let (called, inside) = PLANTED[which];
        let contrasts = judged(seed, 240, |at, chance| inside(at) || chance < loss);
        let first = contrasts.best().next();
        prop_assert!(first.is_some_and(|c| called.contains(&c.name)), "{:?} for {called:?}", names(&contrasts));
    }
}

#[test]
fn random_tables_separate_in_one_of_a_hundred_at_the_most() {
    let found = (1..=1000).filter(|seed| {
        let loss = [0.05, 0.2, 0.5, 0.8][*seed as usize % 4];
        judged(*seed, 40 + *seed as usize % 80, |_, chance| chance < loss).separating().next().is_some()
    });
    assert!(found.count() <= 10);
}

#[test]
fn two_quirks_at_once_are_told_apart() {
    let contrasts = judged(7, 300, |at, chance| at.port < 123 || at.dscp == 46 || chance < 0.03);
    let mut found = names(&contrasts);
    found.sort_unstable();
    assert_eq!(found, ["dscp", "port-below-123"]);
    assert!(contrasts.best().all(|c| c.inside.answered == 0 && c.within.chance < 0.01));
}

#[test]
fn two_attributes_are_named_where_one_is_not_enough() {
    let contrasts = judged(7, 400, |at, _| at.mode == 1 && at.length > 68);
    let best = contrasts.best().next().expect("a pair");
    assert_eq!((best.name, best.inside.answered, best.outside.lost), ("pair", 0, 0));
    assert_eq!(best.filter.as_deref(), Some("udp.length >= 80 && ntp.flags.mode == 1"));
}

#[test]
fn an_attribute_that_is_the_client_s_is_confounded_with_it_and_one_that_changes_is_not() {
    let who = |at: &Attributes| at.client == IpAddr::from([10, 1, 0, 12]);
    let mut rows = Vec::new();
    for (frame, draw) in draws(3).take(100).enumerate() {
        let mut at = request(draw);
        at.version = if who(&at) { 3 } else { 4 };
        let cell = Cell { lost: u64::from(who(&at)), answered: u64::from(!who(&at)) };
        let origin = Some(Origin { input: InputId(0), place: Place::Frame(frame as u32) });
        rows.push(Row::new(at, cell, (origin, origin), (at.port, at.port)));
    }
    let contrasts = judge::judge(rows);
    assert_eq!(names(&contrasts), ["version"]);
    assert!(contrasts.is_confounded() && contrasts.get("client").is_some_and(|c| c.separates));
    let contrasts = judged(3, 100, |at, _| at.version == 3);
    assert!(!contrasts.is_confounded());
    let within = contrasts.best().next().expect("version").within;
    assert!(within.both == usize::from(CLIENTS) && within.chance < 1e-9, "{within:?}");
}

#[test]
fn a_few_requests_prove_nothing() {
    assert!(judged(5, 4, |at, _| at.version == 3).separating().next().is_none());
}

#[test]
fn tshark_takes_every_filter() {
    if Command::new("tshark").arg("--version").output().is_err() {
        return;
    }
    let range = |from, to, first, last| Values::Range { from, to, first, last };
    let sets = [
        range(0, 0, false, false),
        range(1, 1, false, false),
        range(1, 24, true, false),
        range(1, 24, false, true),
        range(-6, 4, false, false),
        Values::Among(vec![0, 1]),
    ];
    let mut filters: Vec<String> = usual::usual().map(|usual| usual.filter.to_owned()).collect();
    for six in [false, true] {
        let number =
            |n: u8| if six { IpAddr::from([0xfd00, 0, 0, n.into(), 0, 0, 0, 1]) } else { [10, 1, n, 1].into() };
        let row =
            |n: u8| Row::new(Attributes { client: number(n), ..request(1) }, Cell::default(), (None, None), (1, 2));
        let mut rows = [row(0), row(1)];
        let (clients, prefixes) = table::number(&mut rows);
        let table = Table { rows: &rows, clients: &clients, prefixes: &prefixes };
        filters
            .extend(ATTRIBUTES.iter().flat_map(|a| sets.iter().filter_map(|set| a.filter(set, &table, (108, 40_000)))));
    }
    // Version 2.4, microseconds, no packets, Ethernet.
    let empty = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let mut tshark = Command::new("tshark");
    tshark.args(["-r", "-", "-Y", &filters.join(" || ")]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut tshark = tshark.spawn().expect("tshark runs");
    // It ends before it reads where it does not take the filter.
    let _ = tshark.stdin.take().map(|mut stdin| stdin.write_all(&empty));
    let out = tshark.wait_with_output().expect("tshark ends");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
