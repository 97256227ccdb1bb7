//! One client and true servers, each behind a link of its own delay and jitter: enough to see how a daemon disciplines a clock.

use crate::sim::clock::SystemClock;
use crate::sim::daemon::{Act, Datagram, Now};
use crate::sim::packet::{Packet, ntp};
use crate::world::{self, Foreign, Host, What};
use ntpscope_core::time::{SECOND, Time};
use ntpscope_core::wire::ntp::Header;
use rand::{RngExt, SeedableRng};
use rand_distr::Exp1;
use rand_pcg::Pcg64;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// 2027-01-04, as the recordings.
pub const START: i64 = 1_799_020_800 * SECOND;

/// What is played.
pub struct Scene {
    /// `ntpd 4.2.6p5`.
    pub is: &'static str,
    /// The client's oscillator.
    pub oscillator: world::Oscillator,
    /// Who else sets its clock.
    pub foreign: Option<Foreign>,
    /// Ahead at the start, in seconds.
    pub ahead_s: f64,
    /// Poll exponents.
    pub polls: (i8, i8),
    /// One-way delay and mean jitter of each server, in ms.
    pub links: Vec<(f64, f64)>,
    /// Share of packets lost.
    pub loss: f64,
    /// One server is not as the others: its number, since which hour, and what is wrong with it.
    pub odd: Option<(usize, f64, Odd)>,
    /// How long, in hours.
    pub hours: f64,
    /// Servers that answer with a kiss: its code.
    pub kiss: Option<[u8; 4]>,
    /// Faults: hours since the start, and what.
    pub faults: Vec<(f64, What)>,
    /// Seed.
    pub seed: u64,
}

/// What is wrong with one server.
#[derive(Clone, Copy)]
pub enum Odd {
    /// Its replies take so many ms longer.
    Slow(f64),
    /// This share of the requests to it is lost.
    Lossy(f64),
    /// Its clock runs fast by so many ppm.
    Drifts(f64),
}

impl Default for Scene {
    fn default() -> Scene {
        Scene {
            is: "ntpd 4.2.6p5",
            oscillator: world::Oscillator { ppm: 12.0, walk: 1e-9, ..Default::default() },
            foreign: None,
            ahead_s: 0.0,
            polls: (6, 10),
            links: vec![(1.0, 0.1), (4.0, 0.3), (8.0, 0.5)],
            loss: 0.0,
            odd: None,
            hours: 72.0,
            kiss: None,
            faults: Vec::new(),
            seed: 1,
        }
    }
}

/// What came of it.
#[derive(Default)]
pub struct Played {
    /// Lines by file.
    pub files: BTreeMap<&'static str, Vec<String>>,
    /// Seconds since the start, and by how many seconds the clock was ahead, every minute.
    pub truth: Vec<(f64, f64)>,
    /// What the daemon shows at the end.
    pub status: String,
    /// Requests sent.
    pub sent: usize,
    /// Of each server, whether each request was answered.
    pub answered: Vec<Vec<bool>>,
}

impl Played {
    /// The lines of a file.
    pub fn lines(&self, file: &str) -> &[String] {
        self.files.get(file).map_or(&[], Vec::as_slice)
    }

    /// A column of a file, as numbers.
    pub fn column(&self, file: &str, column: usize) -> Vec<f64> {
        let number = |line: &String| line.split_whitespace().nth(column)?.parse().ok();
        self.lines(file).iter().filter_map(number).collect()
    }

    /// How many lines of a file hold a word.
    pub fn count(&self, file: &str, word: &str) -> usize {
        self.lines(file).iter().filter(|line| line.contains(word)).count()
    }

    /// Seconds since the start of each line of a statistics file.
    pub fn times(&self, file: &str) -> Vec<f64> {
        let (days, seconds) = (self.column(file, 0), self.column(file, 1));
        days.iter().zip(seconds).map(|(day, second)| (day - 61_409.0) * 86_400.0 + second).collect()
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Foreign,
    Fault(usize),
    Look,
    Wake(u64),
    /// By its place in what is on its way.
    Arrives(usize),
}

/// Plays a scene.
pub fn play(scene: &Scene) -> Played {
    let own = IpAddr::V4(Ipv4Addr::new(192, 168, 123, 4));
    let address = |n: usize| IpAddr::V4(Ipv4Addr::new(192, 168, 123, 1 + n as u8));
    let asks: Vec<String> = (0..scene.links.len())
        .map(|n| {
            let (low, high) = scene.polls;
            format!("{{ server = '{}', minpoll = {low}, maxpoll = {high}, iburst = true }}", address(n))
        })
        .collect();
    let config = format!("is = '{}'\nasks = [{}]", scene.is, asks.join(", "));
    let config: world::Daemon = toml::from_str(&config).expect("a daemon");
    let host =
        Host { oscillator: scene.oscillator, foreign: scene.foreign, ahead_s: scene.ahead_s, ..Default::default() };
    let mut clock = SystemClock::new(&host, START, scene.seed);
    let mut daemon = crate::sim::daemon::daemon(scene.is, &config, &[own], scene.seed).expect("a daemon");
    let mut random = Pcg64::seed_from_u64(scene.seed ^ 0x5eed);
    let mut played = Played { answered: vec![Vec::new(); scene.links.len()], ..Played::default() };
    let mut queue = BinaryHeap::new();
    let mut flying: VecDeque<Option<Datagram>> = VecDeque::new();
    let mut count = 0_u64;
    let end = START + (scene.hours * 3600.0 * SECOND as f64) as i64;
    let mut push = |queue: &mut BinaryHeap<Reverse<(i64, u64, Event)>>, at: i64, event: Event| {
        count += 1;
        queue.push(Reverse((at, count, event)));
    };
    for (n, (hour, _)) in scene.faults.iter().enumerate() {
        push(&mut queue, START + (hour * 3600.0 * SECOND as f64) as i64, Event::Fault(n));
    }
    if let Some(at) = clock.next_foreign() {
        push(&mut queue, at, Event::Foreign);
    }
    push(&mut queue, START, Event::Look);
    let mut acts = Vec::new();
    let mut now = START;
    daemon.start(at(&mut clock, now), &mut acts);
    loop {
        for act in acts.drain(..) {
            match act {
                Act::Write { file, line } => played.files.entry(file).or_default().push(line),
                Act::Wake { token, after_s } => {
                    push(&mut queue, clock.when(after_s, now).max(now), Event::Wake(token));
                }
                Act::Send(request) => {
                    played.sent += 1;
                    let IpAddr::V4(to) = request.destination.ip() else { continue };
                    let number = usize::from(to.octets()[3]) - 1;
                    let (delay, jitter) = scene.links[number];
                    let hours = (now - START) as f64 / SECOND as f64 / 3600.0;
                    let odd = scene.odd.filter(|(which, since, _)| *which == number && hours >= *since);
                    let (mut loss, mut more_ms, mut ahead_s) = (scene.loss, 0.0, 0.0);
                    match odd {
                        Some((_, _, Odd::Slow(ms))) => more_ms = ms,
                        Some((_, _, Odd::Lossy(share))) => loss = share,
                        Some((_, since, Odd::Drifts(ppm))) => ahead_s = ppm * 1e-6 * (hours - since) * 3600.0,
                        None => {}
                    }
                    let mut leg = || (delay + jitter * random.sample::<f64, _>(Exp1)) * 1e-3;
                    let (there, back) = (leg(), leg() + more_ms * 1e-3);
                    let lost = random.random::<f64>() < loss;
                    played.answered[number].push(!lost);
                    if lost {
                        continue;
                    }
                    let served = now + (there * SECOND as f64) as i64;
                    let shown = served + (ahead_s * SECOND as f64) as i64;
                    let reply = answer(&request, shown, scene.kiss);
                    flying.push_back(Some(reply));
                    let arrives = served + (back * SECOND as f64) as i64;
                    push(&mut queue, arrives, Event::Arrives(flying.len() - 1));
                }
                act => clock.act(&act, now),
            }
        }
        let Some(Reverse((then, _, event))) = queue.pop() else { break };
        if then > end {
            break;
        }
        now = then;
        match event {
            Event::Foreign => {
                clock.foreign(now);
                if let Some(at) = clock.next_foreign() {
                    push(&mut queue, at, Event::Foreign);
                }
            }
            Event::Fault(n) => clock.disturb(&scene.faults[n].1, now),
            Event::Look => {
                let ahead = clock.read(now).0 - now;
                played.truth.push(((now - START) as f64 / SECOND as f64, ahead as f64 / SECOND as f64));
                push(&mut queue, now + 60 * SECOND, Event::Look);
            }
            Event::Wake(token) => {
                daemon.kernel_frequency(clock.frequency_ppm(now));
                daemon.wake(token, at(&mut clock, now), &mut acts);
            }
            Event::Arrives(n) => {
                let Some(datagram) = flying[n].take() else { continue };
                daemon.kernel_frequency(clock.frequency_ppm(now));
                daemon.receive(&datagram, at(&mut clock, now), &mut acts);
            }
        }
    }
    played.status = daemon.status(at(&mut clock, end.max(now)));
    played
}

fn at(clock: &mut SystemClock, now: i64) -> Now {
    Now { clock: clock.read(now), monotonic_s: clock.monotonic_s(now) }
}

/// A true server of stratum 1.
fn answer(request: &Datagram, served: i64, kiss: Option<[u8; 4]>) -> Datagram {
    let header = Header::read(&request.payload).expect("a request");
    let time = ntp(Time(served));
    let reply = Packet {
        leap: if kiss.is_some() { 3 } else { 0 },
        version: header.version(),
        mode: 4,
        stratum: u8::from(kiss.is_none()),
        poll: header.poll(),
        precision: -23,
        refid: kiss.unwrap_or(*b"GPS\0"),
        reference: time,
        origin: header.transmit(),
        receive: time,
        transmit: time,
        ..Packet::default()
    };
    let (source, destination): (SocketAddr, SocketAddr) = (request.destination, request.source);
    Datagram { source, destination, payload: reply.bytes(48), ..request.clone() }
}
