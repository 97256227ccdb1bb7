//! A daemon as a server: whom it answers, what, and what it counts (ntp_proto.c and ntp_monitor.c of ntpd 4.2.6 and
//! 4.2.8; ntp_core.c and clientlog.c of chrony 4.3), with the quirks that a world gives it.

use super::daemon::{Datagram, System};
use super::ip::{CLASS_6, TTL};
use super::make::{Family, Make};
use super::seed;
use super::wiring::{holds, network};
use crate::world::{Limit, Serves, Span};
use anyhow::Result;
use ntpscope_core::time::{NTP_TO_UNIX, SECOND, Time, ntp_stamp};
use ntpscope_core::wire::ntp::{HEADER, Header};
use rand::RngExt;
use rand_pcg::Pcg64;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// NTP's port.
pub const NTP: u16 = 123;
/// ntpd lets this many headways pass before it limits (`NTP_SHIFT`).
const SHIFT: i64 = 8;
/// chrony's default burst of answers to one address, and how often it answers all the same: one of 2² (`ratelimit`).
const BURST: f64 = 8.0;
const LEAK: f64 = 0.25;
/// How often a reference clock is read.
const REFERENCE_POLL: i64 = 16 * SECOND;
const PRECISION: i8 = -23;
/// What a server tells that is not synchronised.
pub const UNSYNCHRONISED: System = System {
    leap: 3,
    stratum: 16,
    precision: PRECISION,
    root_delay_s: 0.0,
    root_dispersion_s: 0.0,
    refid: *b"INIT",
    reference: Time(0),
};
/// Oldest version that ntpd takes (`NTP_OLDVERSION`), and the newest.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=4;

/// What a server has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came in.
    pub received: u64,
    /// Answers, kisses included.
    pub sent: u64,
    /// Requests of version 4.
    pub current: u64,
    /// Requests of older versions.
    pub older: u64,
    /// Thrown away as malformed: the low ports of bug 2174 too.
    pub bad_format: u64,
    /// Thrown away because of their mode.
    pub declined: u64,
    /// Thrown away by an access list.
    pub restricted: u64,
    /// Thrown away by a rate limit, kisses included.
    pub limited: u64,
    /// Kisses.
    pub kisses: u64,
}

/// What a server remembers of an address.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Requests.
    pub count: u64,
    /// Of these, dropped by the rate limit.
    pub dropped: u64,
    /// First and last request, true ns.
    pub seen: (i64, i64),
    /// Port, mode and version of the last.
    pub last: (u16, u8, u8),
    /// Whether the last was over the limit.
    pub limited: bool,
    /// ntpd: seconds in the bucket; chrony: answers left.
    bucket: f64,
}

/// A server.
pub struct Server {
    /// Which daemon it is.
    pub make: Make,
    /// What it has counted.
    pub counts: Counts,
    /// Whom it has heard of.
    pub clients: BTreeMap<IpAddr, Client>,
    /// Since when it runs, true ns.
    pub since: i64,
    /// While it has too much to do: how late it answers, and the share of requests that are dropped.
    pub busy: Option<(Span, f64)>,
    pub(super) said: Serves,
    denied: Vec<(IpAddr, u8)>,
    rng: Pcg64,
}

/// An answer on its way out of the daemon.
#[derive(Clone, Debug)]
pub struct Answer {
    from: SocketAddr,
    to: SocketAddr,
    request: Header,
    received: Time,
    kiss: Option<[u8; 4]>,
}

impl Server {
    /// A server that starts at a true instant.
    ///
    /// # Errors
    /// A network of its access list that can't be.
    pub fn new(make: Make, said: &Serves, since: i64, seed: u64) -> Result<Server> {
        let denied = said.denies.iter().map(|text| network(text)).collect::<Result<_>>()?;
        let rng = seed::stream(seed, "server");
        let said = said.clone();
        Ok(Server { make, counts: Counts::default(), clients: BTreeMap::new(), since, busy: None, said, denied, rng })
    }

    /// A datagram has arrived: at true `now`, `received` by its clock. `Some` where it is answered.
    pub fn receive(&mut self, datagram: &Datagram, received: Time, now: i64) -> Option<Answer> {
        // What a full socket drops, no daemon counts.
        if self.busy.is_some_and(|(_, drops)| self.rng.random_bool(drops.clamp(0.0, 1.0))) {
            return None;
        }
        let request = Header::read(&datagram.payload)?;
        let (source, port) = (datagram.source.ip(), datagram.source.port());
        let (version, mode) = (request.version(), request.mode());
        if self.make.family == Family::Chrony {
            return self.receive_as_chrony(datagram, request, received, now);
        }
        self.counts.received += 1;
        if self.drops_port(port) {
            self.counts.bad_format += 1;
            return None;
        }
        let denied = self.denies(source);
        if denied && !self.said.kod {
            self.counts.restricted += 1;
            return None;
        }
        if !VERSIONS.contains(&version) || self.said.ignores_versions.contains(&version) {
            self.counts.bad_format += 1;
            return None;
        }
        if version == 4 {
            self.counts.current += 1;
        } else {
            self.counts.older += 1;
        }
        // That bug 3870 counts here is not known; it is the test of a format.
        let short_poll = self.said.drops_poll_below.is_some_and(|least| request.poll() < least);
        if !request.is_whole() || short_poll {
            self.counts.bad_format += 1;
            return None;
        }
        let limited = self.monitor(source, port, mode, version, now);
        if !matches!(mode, 1 | 3) || self.said.ignores_modes.contains(&mode) {
            self.counts.declined += 1;
            return None;
        }
        let kiss = match limited {
            _ if denied => {
                self.counts.restricted += 1;
                Some(*b"DENY")
            }
            Limited::No => None,
            Limited::Silently => return None,
            Limited::Kiss => Some(*b"RATE"),
        };
        self.counts.kisses += u64::from(kiss.is_some());
        Some(self.answer(datagram, request, received, kiss))
    }

    /// chronyd counts only whom its access list lets in, and limits before it looks at anything else.
    fn receive_as_chrony(&mut self, datagram: &Datagram, request: Header, received: Time, now: i64) -> Option<Answer> {
        let (source, port) = (datagram.source.ip(), datagram.source.port());
        let (version, mode) = (request.version(), request.mode());
        let unfit = !request.is_whole()
            || !VERSIONS.contains(&version)
            || !matches!(mode, 1 | 3)
            || self.said.ignores_versions.contains(&version)
            || self.said.ignores_modes.contains(&mode)
            || self.said.drops_poll_below.is_some_and(|least| request.poll() < least)
            || self.drops_port(port);
        if unfit || self.denies(source) {
            return None;
        }
        self.counts.received += 1;
        let limit = self.said.limit;
        let client = self.client(source, port, mode, version, now);
        let since = (now - client.seen.1) as f64 / SECOND as f64;
        let first = client.count == 1;
        client.seen.1 = now;
        let Some(Limit { average_s, .. }) = limit else {
            return Some(self.answer(datagram, request, received, None));
        };
        client.bucket = if first { BURST } else { (client.bucket + since / average_s).min(BURST) };
        if client.bucket >= 1.0 {
            client.bucket -= 1.0;
            return Some(self.answer(datagram, request, received, None));
        }
        client.dropped += 1;
        self.counts.limited += 1;
        let leaks = self.rng.random::<f64>() < LEAK;
        // `ratelimit kod` of chrony 4.7: what leaks is a kiss.
        leaks.then(|| self.answer(datagram, request, received, self.said.kod.then_some(*b"RATE")))
    }

    fn drops_port(&self, port: u16) -> bool {
        let low = self.said.drops_ports_below.is_some_and(|below| port < below);
        low || self.said.drops_reserved_ports && port < 1024 && port != NTP
    }

    fn denies(&self, source: IpAddr) -> bool {
        self.denied.iter().any(|network| holds(*network, source))
    }

    /// Remembers a request; the time of the last is the caller's to set.
    fn client(&mut self, source: IpAddr, port: u16, mode: u8, version: u8, now: i64) -> &mut Client {
        let last = (port, mode, version);
        let new = Client { count: 0, dropped: 0, seen: (now, now), last, limited: false, bucket: 0.0 };
        let client = self.clients.entry(source).or_insert(new);
        client.count += 1;
        client.last = last;
        client
    }

    /// ntpd's `ntp_monitor`: all traffic of an address is one bucket, whatever its port.
    fn monitor(&mut self, source: IpAddr, port: u16, mode: u8, version: u8, now: i64) -> Limited {
        let (limit, kod) = (self.said.limit, self.said.kod);
        let client = self.client(source, port, mode, version, now);
        let interval = (now - client.seen.1 + SECOND / 2).div_euclid(SECOND);
        client.seen.1 = now;
        client.limited = false;
        let Some(limit) = limit else { return Limited::No };
        if client.count == 1 {
            return Limited::No;
        }
        let (head, least) = (limit.average_s.round() as i64, limit.minimum_s.ceil() as i64);
        let bucket = (client.bucket as i64 - interval).max(0);
        let (leak, most) = (bucket + head, SHIFT * head);
        let (bucket, verdict) = if interval + 1 >= least && leak < most {
            (leak - 2, Limited::No)
        } else if bucket < most {
            (most + head, if kod { Limited::Kiss } else { Limited::Silently })
        } else {
            (bucket, Limited::Silently)
        };
        client.bucket = bucket as f64;
        client.limited = verdict != Limited::No;
        client.dropped += u64::from(client.limited);
        self.counts.limited += u64::from(verdict != Limited::No);
        verdict
    }

    fn answer(&mut self, datagram: &Datagram, request: Header, received: Time, kiss: Option<[u8; 4]>) -> Answer {
        let asked = datagram.destination.ip();
        let from = self.said.answers_from.filter(|from| from.is_ipv4() == asked.is_ipv4()).unwrap_or(asked);
        self.counts.sent += 1;
        Answer { from: SocketAddr::new(from, NTP), to: datagram.source, request, received, kiss }
    }

    /// What it tells while its reference clock holds its own, which shows `clock` at true `now`.
    #[must_use]
    pub fn reference(&self, clock: Time, now: i64) -> System {
        let name = if self.said.refid.is_empty() { "GPS" } else { &self.said.refid };
        let since = now.rem_euclid(REFERENCE_POLL);
        System {
            leap: 0,
            stratum: self.said.stratum.unwrap_or(1),
            precision: PRECISION,
            root_delay_s: 0.0,
            root_dispersion_s: 0.000_9 + since as f64 / 1e9 * 15e-6,
            refid: refid(name),
            reference: Time(clock.0 - since),
        }
    }

    /// Nanoseconds that an answer takes in the daemon.
    pub fn takes(&mut self) -> i64 {
        let slow = (self.said.slow.0 + self.busy.map_or(0.0, |(slow, _)| slow.0)) * 1e9;
        slow as i64 + self.rng.random_range(25_000..90_000)
    }

    /// The bytes of an answer that is sent when the server's clock shows `clock`.
    #[must_use]
    pub fn reply(&self, answer: &Answer, system: &System, clock: Time) -> Datagram {
        let request = &answer.request;
        let mode = if request.mode() == 1 { 2 } else { 4 };
        let poll = if self.make.family == Family::Chrony { request.poll() } else { request.poll().max(3) };
        let system = match answer.kiss {
            None => *system,
            Some(refid) => System { leap: 3, stratum: 0, refid, ..*system },
        };
        let mut payload = header(&system, request.version(), mode, poll);
        // A kiss tells nothing of the server's clock: all its stamps are the client's.
        let (receive, transmit) = match answer.kiss {
            None => (stamp(answer.received), stamp(clock)),
            Some(_) => (request.transmit(), request.transmit()),
        };
        for (at, value) in [(24, request.transmit()), (32, receive), (40, transmit)] {
            payload[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        Datagram { source: answer.from, destination: answer.to, ttl: TTL, dscp: self.dscp(), payload }
    }

    /// A broadcast or multicast of its time.
    pub fn broadcast(&mut self, from: IpAddr, to: IpAddr, system: &System, clock: Time) -> Datagram {
        self.counts.sent += 1;
        let mut payload = header(system, 4, 5, self.said.broadcast_poll);
        payload[40..48].copy_from_slice(&stamp(clock).to_be_bytes());
        let (source, destination) = (SocketAddr::new(from, NTP), SocketAddr::new(to, NTP));
        // ntpd's `ttl 1` is the second of its steps of 32.
        Datagram { source, destination, ttl: 32, dscp: self.dscp(), payload }
    }

    /// The address of the next broadcast: `own`, or one of the others that it also uses, in their share; with a share of
    /// all (ntpd from 4.2.6p3 on) each sends its own copy.
    pub fn broadcasts_from(&mut self, own: IpAddr) -> Vec<IpAddr> {
        let always = self.said.broadcasts_also_from.iter().filter(|(_, share)| **share >= 100.0);
        let mut from: Vec<IpAddr> = always.map(|(address, _)| *address).collect();
        let draw = self.rng.random::<f64>() * 100.0;
        let mut below = 0.0;
        let other = self.said.broadcasts_also_from.iter().filter(|(_, share)| **share < 100.0).find(|(_, share)| {
            below += **share;
            draw < below
        });
        from.insert(0, other.map_or(own, |(address, _)| *address));
        from
    }

    /// Nanoseconds between broadcasts, where it sends any.
    #[must_use]
    pub fn broadcasts_every(&self) -> Option<i64> {
        self.said.broadcasts_to.map(|_| SECOND << self.said.broadcast_poll.clamp(0, 17))
    }

    /// The group that it broadcasts to.
    #[must_use]
    pub fn broadcasts_to(&self) -> Option<IpAddr> {
        self.said.broadcasts_to
    }

    fn dscp(&self) -> u8 {
        if matches!(self.make.family, Family::Classic | Family::Ntpsec) { CLASS_6 } else { 0 }
    }
}

/// What a rate limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limited {
    No,
    Silently,
    Kiss,
}

/// An NTP header without its last three timestamps.
fn header(system: &System, version: u8, mode: u8, poll: i8) -> Vec<u8> {
    // ntpd sends its stratum 16 as 0 (`STRATUM_TO_PKT`).
    let stratum = if system.stratum >= 16 { 0 } else { system.stratum };
    let mut bytes = vec![system.leap << 6 | version << 3 | mode, stratum, poll as u8, system.precision as u8];
    for seconds in [system.root_delay_s, system.root_dispersion_s] {
        bytes.extend(((seconds * 65536.0) as u32).to_be_bytes());
    }
    bytes.extend(system.refid);
    let reference = if system.leap == 3 { 0 } else { stamp(system.reference) };
    bytes.extend(reference.to_be_bytes());
    bytes.resize(HEADER, 0);
    bytes
}

/// A clock's reading as an NTP timestamp.
#[must_use]
pub fn stamp(time: Time) -> u64 {
    let second = time.0.div_euclid(SECOND) + NTP_TO_UNIX;
    ntp_stamp(second as u32, time.0.rem_euclid(SECOND) as u32)
}

/// A reference id as on the wire: an address, or up to four letters.
#[must_use]
pub fn refid(text: &str) -> [u8; 4] {
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        return address.octets();
    }
    let mut refid = [0; 4];
    for (to, byte) in refid.iter_mut().zip(text.bytes()) {
        *to = byte;
    }
    refid
}
