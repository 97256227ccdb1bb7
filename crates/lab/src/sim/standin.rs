//! A stand-in for a daemon: it asks at even intervals, keeps a reach register, and never touches the clock.

use super::daemon::{Act, Daemon, Datagram, Now, System};
use super::ip::TTL;
use super::server::stamp;
use crate::world;
use ntpscope_core::time::Time;
use ntpscope_core::wire::ntp::{HEADER, Header};
use rand::RngExt;
use rand_pcg::Pcg64;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// The traffic class of ntpd's packets (EF).
const EXPEDITED: u8 = 46;
/// Requests of a burst, and seconds between them.
const BURST: (u32, f64) = (6, 2.0);

pub struct StandIn {
    own: IpAddr,
    port: u16,
    dscp: u8,
    sources: Vec<Polled>,
    rng: Pcg64,
}

struct Polled {
    said: world::Source,
    asked: u64,
    reach: u8,
    sent: u32,
}

/// ntpd's habit is port 123, chronyd's a new port for each request.
pub fn daemon(is: &str, config: &world::Daemon, addresses: &[IpAddr], seed: u64) -> anyhow::Result<Box<dyn Daemon>> {
    let port = config.port.unwrap_or(if is.starts_with("chrony") { 0 } else { 123 });
    let polled = |said: &world::Source| Polled { said: said.clone(), asked: 0, reach: 0, sent: 0 };
    Ok(Box::new(StandIn {
        own: addresses[0],
        port,
        dscp: if is.starts_with("ntp") { EXPEDITED } else { 0 },
        sources: config.asks.iter().map(polled).collect(),
        rng: super::seed::stream(seed, "stand-in"),
    }))
}

impl StandIn {
    fn poll(&mut self, at: usize, now: Now, acts: &mut Vec<Act>) {
        let source = &mut self.sources[at];
        source.asked = stamp(now.clock);
        source.reach <<= 1;
        source.sent += 1;
        let mut payload = vec![0; HEADER];
        payload[0] = source.said.version << 3 | source.said.mode;
        payload[2] = source.said.minpoll as u8;
        payload[40..48].copy_from_slice(&source.asked.to_be_bytes());
        let length = usize::from(source.said.length.unwrap_or(48));
        if length > HEADER {
            // An extension field of an unknown kind.
            payload.extend([0x20, 0x05]);
            payload.extend(((length - HEADER) as u16).to_be_bytes());
            payload.resize(length, 0);
        }
        acts.push(Act::Send(Datagram {
            source: SocketAddr::new(self.own, self.port),
            destination: SocketAddr::new(source.said.server, 123),
            ttl: TTL,
            dscp: self.dscp,
            payload,
        }));
        let bursts = source.said.iburst && source.sent < BURST.0;
        let every = if bursts { BURST.1 } else { f64::from(1_u32 << source.said.minpoll) };
        let after_s = every + if bursts { 0.0 } else { self.rng.random_range(-0.05..0.05) };
        acts.push(Act::Wake { token: at as u64, after_s });
    }
}

impl Daemon for StandIn {
    fn start(&mut self, now: Now, acts: &mut Vec<Act>) {
        for at in 0..self.sources.len() {
            // Who listens to a group does not ask.
            if self.sources[at].said.mode != 5 {
                self.poll(at, now, acts);
            }
        }
    }

    fn wake(&mut self, token: u64, now: Now, acts: &mut Vec<Act>) {
        self.poll(token as usize, now, acts);
    }

    fn receive(&mut self, datagram: &Datagram, _now: Now, acts: &mut Vec<Act>) {
        let Some(header) = Header::read(&datagram.payload) else { return };
        for source in &mut self.sources {
            if header.origin() == source.asked && datagram.source.ip() == source.said.server {
                source.reach |= u8::from(header.leap() != 3);
                acts.push(Act::Write { file: "answers", line: format!("{} {}", header.origin(), header.mode()) });
            }
        }
    }

    fn kernel_frequency(&mut self, _ppm: f64) {}

    fn system(&self, now: Now) -> System {
        let (refid, reference) = ([10, 0, 0, 1], Time(now.clock.0));
        System { leap: 0, stratum: 2, precision: -23, root_delay_s: 0.0, root_dispersion_s: 0.01, refid, reference }
    }

    fn status(&self, _now: Now) -> String {
        let mut text = String::from(
            "$ ntpq -pn 127.0.0.1\n     remote           refid      st t when poll reach   delay   offset  jitter\n",
        );
        let _ = writeln!(text, "{}", "=".repeat(78));
        for Polled { said, reach, .. } in &self.sources {
            let _ = writeln!(
                text,
                "{}{:<15} {:<15} {:2} u {:4} {:4}  {reach:03o}    0.100    0.030   0.003",
                if *reach > 0 { '*' } else { ' ' },
                said.server.to_string(),
                if *reach > 0 { "10.0.0.1" } else { ".INIT." },
                if *reach > 0 { 2 } else { 16 },
                1,
                1 << said.minpoll,
            );
        }
        text
    }

    fn configuration(&self) -> (&'static str, String) {
        let lines = self.sources.iter().map(|Polled { said, .. }| {
            format!("server {} minpoll {} maxpoll {}\n", said.server, said.minpoll, said.maxpoll)
        });
        ("ntp.conf", lines.collect())
    }
}
