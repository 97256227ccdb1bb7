use super::*;

const S: i64 = SECOND;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

fn nat(said: &world::Nat, seed: u64) -> Nat {
    Nat::new(said, "10.2.0.1".parse().expect("an address"), 0, seed)
}

/// Ports that the second of two clients gets, for as many routers as there are seeds.
fn second(said: &world::Nat, port: u16, seeds: u64) -> Vec<u16> {
    let server = at("10.2.0.2:123");
    let draw = |seed| {
        let mut nat = nat(said, seed);
        let first = nat.outbound(SocketAddr::new(at("10.1.0.11:1").ip(), port), server, 0).expect("a port");
        let second = nat.outbound(SocketAddr::new(at("10.1.0.12:1").ip(), port), server, S).expect("a port");
        assert_ne!(first, second);
        second.port()
    };
    (0..seeds).map(draw).collect()
}

fn share(ports: &[u16], is: impl Fn(u16) -> bool) -> f64 {
    ports.iter().filter(|port| is(**port)).count() as f64 / ports.len() as f64
}

#[test]
fn a_rewritten_port_falls_below_123_as_often_as_in_a_real_kernel() {
    // measured.md §3: 2873 of 12000.
    let ports = second(&world::Nat::default(), 123, 12_000);
    let below = share(&ports, |port| port < 123);
    assert!((below - 0.2394).abs() < 0.015, "{below}");
    assert!(ports.iter().all(|port| (1..512).contains(port) && *port != 123));
    // Uniform: eight classes of 64, each within four deviations.
    for class in 0..8_u16 {
        let n = ports.iter().filter(|port| **port / 64 == class).count() as f64;
        assert!((n - 1500.0).abs() < 4.0 * 1500_f64.sqrt() + 30.0, "class {class}: {n}");
    }
}

#[test]
fn a_port_keeps_its_class_and_a_range_its_bounds() {
    assert!(second(&world::Nat::default(), 600, 300).iter().all(|port| (600..1024).contains(port)));
    assert!(second(&world::Nat::default(), 40_000, 300).iter().all(|port| *port >= 1024));
    let workaround = world::Nat { ports: Some((123, 511)), ..world::Nat::default() };
    assert!(second(&workaround, 123, 300).iter().all(|port| (124..512).contains(port)));
    let high = world::Nat { ports: Some((1024, 65_535)), ..world::Nat::default() };
    assert!(second(&high, 123, 300).iter().all(|port| *port >= 1024));
    let random = world::Nat { random: true, ..world::Nat::default() };
    let mut only = nat(&random, 3);
    let drawn =
        (0..300_u16).map(|n| only.outbound(at("10.1.0.11:123"), at(&format!("10.2.{}.{}:123", n / 200, n % 200)), 0));
    assert!(drawn.flatten().filter(|to| to.port() != 123).count() > 280);
}

#[test]
fn an_old_kernel_counts_on_from_its_rover() {
    let story = world::Nat { rover: Some(107), ..world::Nat::default() };
    assert_eq!(second(&story, 123, 2), [108, 108]);
    let mut booted = nat(&world::Nat { rover: Some(0), ..world::Nat::default() }, 1);
    let ports: Vec<u16> = (1..5)
        .map(|n| booted.outbound(at(&format!("10.1.0.{n}:123")), at("10.2.0.2:123"), 0).expect("a port").port())
        .collect();
    assert_eq!(ports, [123, 1, 2, 3]);
}

#[test]
fn a_source_keeps_its_port_towards_other_servers() {
    let mut nat = nat(&world::Nat::default(), 7);
    nat.outbound(at("10.1.0.11:123"), at("10.2.0.2:123"), 0);
    let given = nat.outbound(at("10.1.0.12:123"), at("10.2.0.2:123"), 0);
    // 123 is free towards the second server, and is not taken.
    assert_eq!(nat.outbound(at("10.1.0.12:123"), at("10.2.0.3:123"), 10 * S), given);
    // The first entry is dead by now, and not collected perhaps: its port is used all the same, or the collector passed.
    assert_eq!(nat.outbound(at("10.1.0.12:123"), at("10.2.0.4:123"), 39 * S), given);
}

#[test]
fn replies_find_back_and_lifetimes_are_those_of_a_real_kernel() {
    let (client, server) = (at("10.1.0.12:123"), at("10.2.0.2:123"));
    let mut nat = nat(&world::Nat::default(), 7);
    let outside = nat.outbound(client, server, 0).expect("a port");
    assert!(nat.connections(S).contains("17 29 src=10.1.0.12 dst=10.2.0.2 sport=123 dport=123 [UNREPLIED] src="));
    assert_eq!(nat.inbound(server, outside, 1000), Some(client));
    assert_eq!(nat.inbound(at("10.2.0.3:123"), outside, 1000), None);
    assert_eq!(nat.quoted(outside, server, 1000), Some(client));
    // An exchange that is over within 2 s leaves the entry at 30 s; a later packet makes it a stream.
    assert_eq!(nat.inbound(server, outside, 31 * S), None);
    let outside = nat.outbound(client, server, 40 * S).expect("a port");
    nat.inbound(server, outside, 40 * S + 1000);
    nat.outbound(client, server, 56 * S);
    assert!(nat.connections(57 * S).contains("17 119 "), "{}", nat.connections(57 * S));
    assert!(nat.connections(57 * S).contains("[ASSURED]"));
    assert_eq!(nat.inbound(server, outside, 150 * S), Some(client));
}

/// Three clients of a NAT poll each server every `poll` seconds, at random phases within `spread` of it: how often a poll
/// is rewritten, how often it is lost at a server that drops ports below 123, and how often a rewritten mapping stays.
fn regime(poll: i64, servers: u8, spread: f64, groups: u64) -> (f64, f64, f64) {
    let (mut polls, mut rewritten, mut lost, mut pairs, mut kept) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    for group in 0..groups {
        let mut rng = seed::stream(group, "regime");
        let mut nat = nat(&world::Nat::default(), group);
        let mut due: Vec<(i64, u8, u8)> = Vec::new();
        for client in 11..14 {
            for server in 0..servers {
                let phase = (rng.random::<f64>() * spread * (poll * S) as f64) as i64;
                due.extend((0..1200 / poll).map(|n| (phase + n * poll * S, client, server)));
            }
        }
        due.sort_unstable();
        let mut last = HashMap::new();
        for (now, client, server) in due {
            let source = at(&format!("10.1.0.{client}:123"));
            let to = at(&format!("10.2.0.{}:123", server + 2));
            let outside = nat.outbound(source, to, now).expect("a port");
            polls += 1;
            rewritten += u32::from(outside.port() != 123);
            if outside.port() < 123 {
                lost += 1;
            } else {
                nat.inbound(to, outside, now + 1_000_000);
            }
            if let Some(before) = last.insert((client, server), outside.port())
                && before != 123
            {
                pairs += 1;
                kept += u32::from(before == outside.port());
            }
        }
    }
    let of = |n: u32, all: u32| f64::from(n) / f64::from(all.max(1));
    (of(rewritten, polls), of(lost, rewritten), of(kept, pairs))
}

#[test]
fn mappings_live_as_they_do_in_a_real_kernel() {
    // measured.md §3, "life of a mapping": share rewritten, lost of rewritten; and whether a mapping stays.
    let (rewritten, lost, kept) = regime(16, 1, 1.0, 200);
    assert!(
        (rewritten - 0.666).abs() < 0.01 && (lost - 0.239).abs() < 0.06 && kept == 1.0,
        "{rewritten} {lost} {kept}"
    );
    // At 64 s each poll is a new draw.
    let (_, lost, kept) = regime(64, 1, 1.0, 200);
    assert!((lost - 0.235).abs() < 0.03 && kept < 0.02, "{lost} {kept}");
    // At 256 s clients seldom meet, unless they poll together.
    let (rewritten, lost, _) = regime(256, 1, 1.0, 400);
    assert!((rewritten - 0.174).abs() < 0.06 && (lost - 0.239).abs() < 0.08, "{rewritten} {lost}");
    let (rewritten, ..) = regime(256, 1, 10.0 / 256.0, 200);
    assert!((rewritten - 0.661).abs() < 0.02, "{rewritten}");
    // Several servers make it last: one port serves them all as long as any entry does.
    let (_, lost, kept) = regime(64, 3, 1.0, 200);
    assert!((lost - 0.239).abs() < 0.04 && kept > 0.4, "{lost} {kept}");
}
