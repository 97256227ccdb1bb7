//! A made-up capture for the bench: what a point in front of four NTP servers sees of two thousand clients.
//!
//! Ordinary traffic with ordinary trouble: lost requests, late replies, frames seen twice, gateways that rewrite ports, and one
//! server that silently drops requests whose source port is below 123, as ntpd 4.2.6 does. The same bytes every time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::io::{self, Write};

/// Clients, of which every second one stands behind a gateway that it shares with the next [`BEHIND_GATEWAY`].
const CLIENTS: u32 = 2000;
const BEHIND_GATEWAY: u32 = 8;
/// How many of the servers each client asks.
const ASKED: u32 = 2;
const SERVERS: u32 = 4;
/// The server that drops requests from ports below 123.
const PICKY_SERVER: u32 = 3;
/// Poll exponents: 16 to 1024 s.
const POLLS: (u32, u32) = (4, 10);

/// Out of a thousand requests: no reply; a reply 2 to 20 s late.
const LOST: u64 = 30;
const LATE: u64 = 5;
/// Out of a thousand frames: seen twice.
const TWICE: u64 = 2;
/// Out of a hundred ntpd-like clients: those with a key, so that packets end in a 20-byte MAC.
const KEYED: u64 = 10;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// When the capture starts, in ns since 1970: 2026-01-01 00:00:00 UTC.
const START: u64 = 1_767_225_600 * SECOND;
/// Seconds from 1900, the NTP epoch, to 1970 (RFC 5905, figure 4).
const NTP_EPOCH: u64 = 2_208_988_800;

const NTP: u16 = 123;
/// Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 14 + 20 + 8;
/// Where the TTL and the source port are.
const IP_TTL: usize = 14 + 8;
const SOURCE_PORT: usize = 14 + 20;

/// From one router to the next, ns.
const HOP: u64 = 100 * MICROSECOND;

/// Writes a capture of this many packets: pcap, little endian, microseconds; so many routers nearer to the clients.
pub fn write(out: &mut impl Write, packets: usize, hops: u8) -> io::Result<()> {
    let mut file_header = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file_header.extend(word.to_le_bytes());
    }
    out.write_all(&file_header)?;

    let mut random = Random(0x6e74_7073_636f_7065);
    let mut flows = flows(&mut random);
    // Soonest first; the flow's number or the frame's bytes only settle ties.
    let mut due: BinaryHeap<Reverse<(u64, Event)>> = BinaryHeap::new();
    for (number, flow) in flows.iter().enumerate() {
        let start = START + random.between(0, SECOND << flow.poll);
        due.push(Reverse((start, Event::Poll(number))));
    }

    let mut written = 0;
    while written < packets {
        let Some(Reverse((now, event))) = due.pop() else {
            break;
        };
        match event {
            Event::Poll(number) => {
                let flow = &mut flows[number];
                let request = flow.request(now, &mut random);
                if let Some((at, reply)) = flow.reply(now, &request, &mut random) {
                    due.push(Reverse((at, Event::Frame(reply))));
                }
                due.push(Reverse((now, Event::Frame(request))));
                let jitter = random.between(0, SECOND << (flow.poll - 3));
                let next = now + (SECOND << flow.poll) - (SECOND << (flow.poll - 4)) + jitter;
                due.push(Reverse((next, Event::Poll(number))));
            }
            Event::Frame(frame) => {
                let from_server = frame[SOURCE_PORT..SOURCE_PORT + 2] == NTP.to_be_bytes() && frame[IP_TTL] == 64;
                let on_the_way = HOP * u64::from(hops);
                let mut seen = frame.clone();
                // A request comes past earlier, with a higher TTL; a reply later, with a lower one.
                let (at, ttl) = match from_server {
                    true => (now + on_the_way, seen[IP_TTL] - hops),
                    false => (now - on_the_way, seen[IP_TTL] + hops),
                };
                seen[IP_TTL] = ttl;
                write_record(out, at, &seen)?;
                written += 1;
                if random.out_of(1000) < TWICE {
                    let again = now + random.between(10 * MICROSECOND, 200 * MICROSECOND);
                    due.push(Reverse((again, Event::Frame(frame))));
                }
            }
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A flow's next request passes the capture point.
    Poll(usize),
    /// These bytes pass it.
    Frame(Vec<u8>),
}

/// How a client fills its requests.
#[derive(Clone, Copy)]
enum Daemon {
    /// From port 123 (or what a gateway made of it), with its own state in the header.
    Ntpd { port: u16, key: Option<u32> },
    /// From a new port each time, with nothing in the header but a random transmit timestamp.
    Chrony,
}

/// One client's requests to one server.
struct Flow {
    daemon: Daemon,
    client: [u8; 4],
    server: u32,
    poll: u32,
    ttl: u8,
    /// From the client to the capture point, ns.
    path: u64,
    /// What the client's clock is ahead of the true time, ns.
    ahead: u64,
    /// The server's transmit timestamp of the last reply, and when it came by the client's clock.
    last: ([u8; 8], [u8; 8]),
}

fn flows(random: &mut Random) -> Vec<Flow> {
    let mut flows = Vec::new();
    let mut taken = HashSet::new();
    for number in 0..CLIENTS {
        let [_, _, high, low] = number.to_be_bytes();
        let client = if number % 2 == 0 {
            [10, 1, high, low]
        } else {
            let [_, _, high, low] = (number / (2 * BEHIND_GATEWAY)).to_be_bytes();
            [10, 2, high, low]
        };
        let ntpd = number % 4 < 2;
        let key = (random.out_of(100) < KEYED).then_some(number);
        let path = random.between(200 * MICROSECOND, 20 * MILLISECOND);
        let ahead = random.between(0, 5 * MILLISECOND);
        let ttl = 64 - random.between(1, 7) as u8;
        let first = random.out_of(u64::from(SERVERS)) as u32;
        for server in (0..ASKED).map(|next| (first + next) % SERVERS) {
            let daemon = if ntpd {
                let mut port = NTP;
                // As Linux masquerades: the port stays unless it's taken, and a port below 512 becomes another one below 512.
                while !taken.insert((client, server, port)) {
                    port = random.between(1, 512) as u16;
                }
                Daemon::Ntpd { port, key }
            } else {
                Daemon::Chrony
            };
            let poll = random.between(POLLS.0.into(), u64::from(POLLS.1) + 1) as u32;
            let last = ([0; 8], [0; 8]);
            flows.push(Flow { daemon, client, server, poll, ttl, path, ahead, last });
        }
    }
    flows
}

impl Flow {
    /// The request that passes the capture point now.
    fn request(&self, now: u64, random: &mut Random) -> Vec<u8> {
        let sent = timestamp(now - self.path + self.ahead, random);
        let mut ntp = Vec::with_capacity(68);
        let (port, tos) = match self.daemon {
            Daemon::Ntpd { port, key } => {
                ntp.extend([0x23, 3, self.poll as u8, 0xe9]);
                ntp.extend(0x0000_0400_u32.to_be_bytes()); // root delay, 16 ms
                ntp.extend(0x0000_0a00_u32.to_be_bytes()); // root dispersion, 39 ms
                ntp.extend(server_address(self.server));
                ntp.extend(self.last.1);
                ntp.extend(self.last.0);
                ntp.extend(self.last.1);
                ntp.extend(sent);
                append_mac(&mut ntp, key, random);
                (port, 0xb8)
            }
            Daemon::Chrony => {
                ntp.extend([0x23, 0, 0, 0x20]);
                ntp.extend([0; 36]);
                ntp.extend(random.next().to_be_bytes());
                (random.between(1024, 65536) as u16, 0)
            }
        };
        let server = server_address(self.server);
        frame((self.client, port), (server, NTP), self.ttl, tos, &ntp, random)
    }

    /// The reply to it and when it passes, unless there is none.
    fn reply(&mut self, now: u64, request: &[u8], random: &mut Random) -> Option<(u64, Vec<u8>)> {
        let port = u16::from_be_bytes([request[34], request[35]]);
        let fate = random.out_of(1000);
        if fate < LOST || self.server == PICKY_SERVER && port < NTP {
            return None;
        }
        let took = random.between(20 * MICROSECOND, 200 * MICROSECOND);
        let late = if fate < LOST + LATE { random.between(2 * SECOND, 20 * SECOND) } else { 0 };
        let received = timestamp(now + 10 * MICROSECOND, random);
        let sent = timestamp(now + 10 * MICROSECOND + took, random);

        let asked = &request[HEADERS..];
        let mut ntp = Vec::with_capacity(68);
        ntp.extend([0x24, 1, asked[2], 0xec]);
        ntp.extend(0_u32.to_be_bytes()); // root delay
        ntp.extend(0x0000_0040_u32.to_be_bytes()); // root dispersion, 1 ms
        ntp.extend(*b"GPS\0");
        ntp.extend(timestamp(now - now % (16 * SECOND), random));
        ntp.extend(&asked[40..48]);
        ntp.extend(received);
        ntp.extend(sent);
        let key = match self.daemon {
            Daemon::Ntpd { key, .. } => key,
            Daemon::Chrony => None,
        };
        append_mac(&mut ntp, key, random);

        let passes = now + 20 * MICROSECOND + took + late;
        if late == 0 {
            self.last = (sent, timestamp(passes + self.path + self.ahead, random));
        }
        let server = server_address(self.server);
        Some((passes, frame((server, NTP), (self.client, port), 64, 0xb8, &ntp, random)))
    }
}

fn server_address(server: u32) -> [u8; 4] {
    let [.., low] = server.to_be_bytes();
    [10, 0, 0, 11 + low]
}

/// A key's number and a digest of 16 bytes; nobody can check it without the key.
fn append_mac(ntp: &mut Vec<u8>, key: Option<u32>, random: &mut Random) {
    if let Some(key) = key {
        ntp.extend(key.to_be_bytes());
        ntp.extend(random.next().to_be_bytes());
        ntp.extend(random.next().to_be_bytes());
    }
}

/// An NTP timestamp: this many ns since 1970, and noise below.
fn timestamp(time: u64, random: &mut Random) -> [u8; 8] {
    let seconds = time / SECOND + NTP_EPOCH;
    let fraction = ((time % SECOND) << 32) / SECOND;
    ((seconds << 32 | fraction) ^ random.out_of(4)).to_be_bytes()
}

/// Ethernet, IPv4 and UDP around a payload. The UDP checksum is zero: not computed (RFC 768).
fn frame(
    (from, from_port): ([u8; 4], u16),
    (to, to_port): ([u8; 4], u16),
    ttl: u8,
    tos: u8,
    ntp: &[u8],
    random: &mut Random,
) -> Vec<u8> {
    let udp_length = 8 + ntp.len() as u16;
    let mut frame = Vec::with_capacity(HEADERS + ntp.len());
    for address in [to, from] {
        frame.extend([2, 0]);
        frame.extend(address);
    }
    frame.extend([8, 0]);

    frame.extend([0x45, tos]);
    frame.extend((20 + udp_length).to_be_bytes());
    frame.extend((random.next() as u16).to_be_bytes());
    frame.extend([0x40, 0, ttl, 17, 0, 0]); // don't fragment; UDP; the checksum follows
    frame.extend(from);
    frame.extend(to);
    let checksum = !ones_complement_sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());

    frame.extend(from_port.to_be_bytes());
    frame.extend(to_port.to_be_bytes());
    frame.extend(udp_length.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(ntp);
    frame
}

/// RFC 1071.
fn ones_complement_sum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded + (folded >> 16)) as u16
}

fn write_record(out: &mut impl Write, time: u64, frame: &[u8]) -> io::Result<()> {
    let length = frame.len() as u32;
    let microseconds = (time % SECOND / MICROSECOND) as u32;
    for word in [(time / SECOND) as u32, microseconds, length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(frame)
}

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to below `count`, near enough to even for traffic.
    fn out_of(&mut self, count: u64) -> u64 {
        (self.next() >> 16) % count
    }

    /// From `low` to below `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.out_of(high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: usize = 40_000;

    /// The capture's records: time in µs, and the frame.
    fn records(capture: &[u8]) -> Vec<(u64, &[u8])> {
        let mut records = Vec::new();
        let mut rest = &capture[24..];
        while let Some((header, behind)) = rest.split_first_chunk::<16>() {
            let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            let (frame, next) = behind.split_at(word(12) as usize);
            records.push((u64::from(word(0)) * 1_000_000 + u64::from(word(4)), frame));
            rest = next;
        }
        records
    }

    #[test]
    fn it_is_the_same_each_time() -> io::Result<()> {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        write(&mut one, 1000, 0)?;
        write(&mut other, 1000, 0)?;
        assert_eq!(one, other);
        Ok(())
    }

    #[test]
    fn it_has_the_traffic_that_it_promises() -> io::Result<()> {
        let mut capture = Vec::new();
        write(&mut capture, PACKETS, 0)?;
        let records = records(&capture);
        assert_eq!(records.len(), PACKETS);
        assert!(records.is_sorted_by_key(|(time, _)| *time), "time goes backwards");
        assert!(records.iter().all(|(_, frame)| ones_complement_sum(&frame[14..34]) == 0xffff), "a checksum is wrong");

        // Requests by source address, port and transmit timestamp: the ones that a reply's origin timestamp answers.
        let (requests, replies): (Vec<_>, Vec<_>) =
            records.iter().map(|(_, frame)| *frame).partition(|frame| frame[HEADERS] & 7 == 3);
        let answered: HashSet<_> =
            replies.iter().map(|frame| (&frame[30..34], &frame[36..38], &frame[66..74])).collect();
        let is_answered = |frame: &[u8]| answered.contains(&(&frame[26..30], &frame[34..36], &frame[82..90]));

        let picky = server_address(PICKY_SERVER);
        let (low, others): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|frame| frame[30..34] == picky && frame[34] == 0 && frame[35] < 123);
        assert!(low.len() > 20, "only {} requests from low ports to the picky server", low.len());
        assert!(!low.iter().any(|frame| is_answered(frame)), "the picky server answers a low port");
        let lost = others.iter().filter(|frame| !is_answered(frame)).count();
        let share = lost as f64 / others.len() as f64;
        assert!((0.025..0.04).contains(&share), "{lost} of {} other requests are lost", others.len());
        Ok(())
    }
}
