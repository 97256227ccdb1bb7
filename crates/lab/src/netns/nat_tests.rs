//! The kernel's choice of ports beside the simulator's, on one schedule: frames go into a router's room and come out rewritten.

use super::frame::{self, Sort};
use super::network::furnish;
use super::program::{feed, need_tools};
use super::room::Room;
use crate::sim::daemon::Datagram;
use crate::sim::ip::Packet;
use crate::sim::nat::Nat;
use crate::sim::wiring::Wiring;
use crate::world::World;
use ntpscope_core::time::SECOND;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tappers::Tap;

/// Servers; each is asked by three clients of its own, all from port 123.
const SERVERS: u32 = 2000;
/// Chi square of eight classes of two samples, 7 degrees of freedom: true samples exceed it once in ten thousand runs.
const MOST: f64 = 29.88;
/// The hop behind the router, and its hardware address.
const NEXT: ([u8; 6], &str) = ([2, 0, 0, 0, 0, 9], "02:00:00:00:00:09");

/// A router that masquerades, and its two wires.
struct Router {
    _room: Room,
    inside: Tap,
    outside: Tap,
    mac: [u8; 6],
}

impl Router {
    /// A router; none where there can't be one, and then the reason is printed.
    fn new(nat: &str) -> Option<Router> {
        let text = format!(
            r#"
            about = "a router"
            duration = "1m"
            hosts.rt = {{ addresses = {{ in0 = "10.0.0.1/8", out0 = "192.168.0.1/24" }}, gateway = "192.168.0.2", router = true, nat = {{ out = "out0" {nat} }} }}
            links.lan = {{ joins = ["rt.in0"] }}
            links.wan = {{ joins = ["rt.out0"] }}
        "#
        );
        let world = World::read(&text).expect("a world");
        let wiring = Wiring::new(&world, 1).expect("a wiring");
        let made = need_tools().and_then(|()| {
            let room = Room::new("rt")?;
            let taps = furnish(&world, &wiring, 0, &room)?;
            let next = format!("neighbour add 192.168.0.2 lladdr {} dev out0 nud permanent\n", NEXT.1);
            room.have(move || feed(Command::new("ip").args(["-batch", "-"]), &next))?;
            Ok((room, taps))
        });
        match made {
            Ok((room, taps)) => {
                let mut taps = taps.into_values();
                let (inside, outside) = (taps.next().expect("in0"), taps.next().expect("out0"));
                Some(Router { _room: room, inside, outside, mac: wiring.at((0, 0)).mac })
            }
            Err(why) => {
                println!("skipped: {why:#}");
                None
            }
        }
    }

    /// The ports that requests have outside, by their transmit timestamps.
    fn send(&self, requests: &[(SocketAddr, SocketAddr)]) -> BTreeMap<usize, u16> {
        let mut ports = BTreeMap::new();
        for (number, (source, destination)) in requests.iter().enumerate() {
            let mut payload = vec![0x23; 48];
            payload[40..48].copy_from_slice(&(number as u64).to_be_bytes());
            let packet = Packet::of(
                Datagram { source: *source, destination: *destination, ttl: 64, dscp: 0, payload },
                number as u16,
            );
            self.inside.send(&packet.frame([2, 0, 0, 0, 0, 7], self.mac)).expect("sent");
            // One by one: queues between the two would drop what comes in a flood.
            let begun = Instant::now();
            while !ports.contains_key(&number) && begun.elapsed() < Duration::from_secs(1) {
                self.receive(&mut ports);
            }
        }
        ports
    }

    fn receive(&self, ports: &mut BTreeMap<usize, u16>) {
        let mut buffer = [0; 256];
        while let Ok(length) = self.outside.recv(&mut buffer) {
            if let Sort::Ntp { source, transmit, .. } = frame::sort(&buffer[..length]) {
                ports.insert(transmit as usize, source.port());
            }
        }
    }
}

/// Three clients ask each server, and no client asks two.
fn schedule(servers: u32, port: u16) -> Vec<(SocketAddr, SocketAddr)> {
    let one = |number: u32| {
        let client = Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 0).to_bits() + number);
        // None ends in 255, which the lab takes for a broadcast.
        let (net, host) = (number / 3 / 200, number / 3 % 200);
        let server = Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + net * 256 + host);
        (SocketAddr::new(client.into(), port), SocketAddr::new(server.into(), 123))
    };
    (0..3 * servers).map(one).collect()
}

/// The same in the simulator, all at one instant.
fn simulated(ports: Option<(u16, u16)>, requests: &[(SocketAddr, SocketAddr)]) -> Vec<u16> {
    let said = crate::world::Nat { out: "out0".into(), ports, ..crate::world::Nat::default() };
    let mut nat = Nat::new(&said, Ipv4Addr::new(192, 168, 0, 1).into(), 0, 1);
    requests.iter().filter_map(|(from, to)| nat.outbound(*from, *to, SECOND)).map(|to| to.port()).collect()
}

/// Ports of those who were rewritten.
fn rewritten(ports: impl IntoIterator<Item = u16>, from: u16) -> Vec<u16> {
    ports.into_iter().filter(|port| *port != from).collect()
}

/// Chi square of two samples over eight equal classes of a range (7 degrees of freedom).
fn chi_square(a: &[u16], b: &[u16], (low, high): (u16, u16)) -> f64 {
    let class = |port: &u16| usize::from(port - low) * 8 / (usize::from(high - low) + 1);
    let mut counts = [[0.0; 2]; 8];
    a.iter().for_each(|port| counts[class(port)][0] += 1.0);
    b.iter().for_each(|port| counts[class(port)][1] += 1.0);
    let (n, m) = (a.len() as f64, b.len() as f64);
    counts.iter().map(|[k, l]| ((m / n).sqrt() * k - (n / m).sqrt() * l).powi(2) / (k + l).max(1.0)).sum()
}

#[test]
fn a_kernel_chooses_ports_as_the_simulator_does() {
    for (nat, ports, from, range) in [
        ("", None, 123, (1, 511)),
        ("", None, 700, (600, 1023)),
        ("", None, 40_000, (1024, 65_535)),
        (", ports = [123, 511]", Some((123, 511)), 123, (123, 511)),
    ] {
        let Some(router) = Router::new(nat) else { return };
        let requests = schedule(SERVERS, from);
        let real = router.send(&requests);
        assert_eq!(real.len(), requests.len(), "{nat} {from}: all come out");
        let (real, model) = (rewritten(real.into_values(), from), rewritten(simulated(ports, &requests), from));
        // One of three keeps its port, in both.
        assert_eq!((real.len(), model.len()), (2 * SERVERS as usize, 2 * SERVERS as usize), "{nat} {from}");
        assert!(real.iter().chain(&model).all(|port| (range.0..=range.1).contains(port)), "{nat} {from}");
        let chi_square = chi_square(&real, &model, range);
        assert!(chi_square < MOST, "{nat} {from}: {chi_square}");
        let low = |ports: &[u16]| ports.iter().filter(|port| **port < 123).count() as f64 / ports.len() as f64;
        println!(
            "from {from}{nat}: chi square {chi_square:.1}, below 123 real {:.4}, model {:.4}",
            low(&real),
            low(&model)
        );
    }
}

#[test]
#[ignore = "takes a minute; `cargo xtask worlds --engine netns` runs it"]
fn a_mapping_stays_while_its_entry_lives() {
    const FEW: u32 = 100;
    for (idle, must_stay) in [(20, true), (25, true), (40, false)] {
        let Some(router) = Router::new("") else { return };
        let requests = schedule(FEW, 123);
        let first = router.send(&requests);
        sleep(Duration::from_secs(idle));
        let again = router.send(&requests);
        let kept = first.iter().filter(|(number, port)| again.get(number) == Some(port)).count();
        // In the model, over phases of its collector.
        let mut model = 0;
        for seed in 0..100 {
            let mut nat = Nat::new(&crate::world::Nat::default(), Ipv4Addr::new(192, 168, 0, 1).into(), 0, seed);
            let ask = |nat: &mut Nat, at: i64| -> Vec<_> {
                requests.iter().filter_map(|(from, to)| nat.outbound(*from, *to, at)).collect()
            };
            let first = ask(&mut nat, SECOND);
            let again = ask(&mut nat, SECOND + idle as i64 * SECOND);
            model += first.iter().zip(&again).filter(|(a, b)| a == b).count();
        }
        let all = first.len();
        println!("idle {idle} s: the kernel kept {kept} of {all}, the model {} of {all} on average", model / 100);
        assert!(!must_stay || kept == all && model == 100 * all, "{idle} s: {kept}, {model}");
    }
}
