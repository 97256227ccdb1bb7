//! When servers are asked (`transmit` and `poll_update` of ntp_proto.c).

use crate::sim::daemon::{Act, Datagram};
use crate::sim::ntpd::host::Host;
use crate::sim::ntpd::peer::{Filtered, Mode, SHIFT, Sample};
use crate::sim::ntpd::version::Family;
use crate::sim::ntpd::{MAX_DISPERSION_S, Ntpd, PRECISION};
use crate::sim::packet::{Packet, ntp};
use rand::RngExt;
use std::net::SocketAddr;

/// Packets of a burst at the start (`NTP_IBURST`).
const BURST: u8 = 6;
/// Polls in which a reply may start a burst (`NTP_RETRY`).
const RETRY: u8 = 3;
/// Polls without a reply after which the interval is raised (`NTP_UNREACH`).
const UNREACH: u32 = 10;
/// Seconds between packets at the least (`NTP_MINPKT`).
const MIN_SPACING_S: i64 = 2;
/// ntpd marks its packets for expedited forwarding since 4.2.8p3 (bug 2837), NTPsec too.
const EXPEDITED: u8 = 46;

impl Ntpd {
    /// The time for a poll has come.
    pub(super) fn transmit(&mut self, host: &mut Host<'_>, index: usize) {
        let mut hpoll = self.peers[index].hpoll;
        if self.peers[index].burst == 0 {
            let peer = &mut self.peers[index];
            let was_reachable = peer.reach != 0;
            peer.outdate = host.seconds;
            peer.unreach += 1;
            peer.reach <<= 1;
            if peer.reach == 0 {
                let nothing =
                    Sample { offset_s: 0.0, delay_s: 0.0, dispersion_s: MAX_DISPERSION_S, epoch: host.seconds };
                let settled = self.settled();
                let filtered = self.peers[index].filter(nothing, settled);
                self.filtered(host, index, filtered);
                if was_reachable {
                    self.peers[index].flash |= 0x1000;
                    self.peer_event(host, index, 3, "unreachable", "");
                }
                let peer = &mut self.peers[index];
                if (peer.source.iburst || peer.mode == Mode::Volley) && peer.retry == 0 {
                    peer.retry = RETRY;
                }
            } else {
                peer.unreach = 0;
                hpoll = self.discipline.poll;
            }
            if self.peers[index].unreach >= UNREACH {
                hpoll += 1;
            }
        } else {
            self.peers[index].burst -= 1;
        }
        let peer = &mut self.peers[index];
        peer.retry = peer.retry.saturating_sub(1);
        if peer.mode != Mode::Listens {
            self.send(host, index);
        }
        self.poll_update(host, index, hpoll);
    }

    fn send(&mut self, host: &mut Host<'_>, index: usize) {
        let own = ntp(host.clock);
        // NTPsec keeps its own time to itself: the wire has a random number in its place.
        let transmit = if self.version.family == Family::Sec { self.random.random() } else { own };
        let now = self.system_at(host.seconds);
        let version = &self.version;
        let peer = &mut self.peers[index];
        let symmetric = peer.mode == Mode::Symmetric;
        let bare = version.family == Family::Sec;
        let request = Packet {
            leap: if bare { 0 } else { now.leap },
            version: peer.source.version,
            mode: if symmetric { 1 } else { 3 },
            stratum: if bare || now.stratum >= 16 { 0 } else { now.stratum },
            poll: if bare { 0 } else { peer.hpoll },
            precision: if bare { 0x20 } else { PRECISION },
            root_delay_s: if bare { 0.0 } else { now.root_delay_s },
            root_dispersion_s: if bare { 0.0 } else { now.root_dispersion_s },
            refid: if bare { [0; 4] } else { now.refid },
            reference: if bare { 0 } else { self.system.reference },
            origin: if bare { 0 } else { peer.transmit },
            receive: if bare { 0 } else { peer.received.map_or(0, ntp) },
            transmit,
        };
        (peer.origin, peer.sent) = (transmit, host.clock);
        peer.open += 1;
        // Headway: so much is added by each packet, and one is taken off each second.
        peer.throttle = (peer.throttle - (host.seconds - peer.throttled)).max(0) + (1_i64 << peer.minpoll) - 2;
        peer.throttled = host.seconds;
        let payload = request.bytes(peer.source.length.unwrap_or(0));
        let (local, address) = (peer.local, peer.address);
        let old = version.family == Family::Old || (version.text.starts_with("4.2.8") && version.patch < 3);
        let datagram = Datagram {
            source: SocketAddr::new(local, self.config.port.unwrap_or(123)),
            destination: SocketAddr::new(address, 123),
            ttl: 64,
            dscp: if old { 0 } else { EXPEDITED },
            payload,
        };
        host.act(Act::Send(datagram));
        if self.version.records_what_it_sends() {
            self.record_raw(host, index, &request, None, 0);
        }
    }

    /// Sets when a server is asked next; a burst goes on every 2 s, other polls come up to a sixteenth late.
    pub(super) fn poll_update(&mut self, host: &Host<'_>, index: usize, poll: i8) {
        let drawn: i64 = self.random.random_range(0..256);
        let peer = &mut self.peers[index];
        peer.hpoll = poll.min(peer.source.maxpoll).max(peer.minpoll);
        let throttle = (peer.throttle - (host.seconds - peer.throttled)).max(0);
        let headway = throttle - (SHIFT as i64 - 1) * (1_i64 << peer.minpoll);
        let earliest = host.seconds + headway.max(MIN_SPACING_S);
        if peer.burst > 0 {
            if peer.nextdate <= host.seconds {
                peer.nextdate = earliest;
            }
            return;
        }
        let exponent = if peer.retry > 0 {
            peer.minpoll
        } else if peer.reach == 0 {
            peer.hpoll
        } else {
            peer.ppoll.min(peer.hpoll)
        };
        let interval = ((0x1000 + drawn) << exponent.max(0)) >> 12;
        peer.nextdate = (peer.outdate + interval).max(earliest);
        if throttle > 1_i64 << peer.minpoll {
            peer.nextdate += MIN_SPACING_S;
        }
    }

    /// A reply came where one of a burst was waited for.
    pub(super) fn start_burst(&mut self, host: &Host<'_>, index: usize) {
        let peer = &mut self.peers[index];
        if peer.retry == 0 {
            return;
        }
        peer.retry = 0;
        peer.burst = if peer.reach == 0 {
            BURST - 1
        } else {
            let missing = 1_u32 << (peer.hpoll - peer.minpoll).clamp(0, 16);
            missing.min(SHIFT as u32) as u8 - 1
        };
        if peer.burst > 0 {
            peer.nextdate = host.seconds;
        }
    }

    /// What the filter said, written down and acted upon.
    pub(super) fn filtered(&mut self, host: &mut Host<'_>, index: usize, filtered: Filtered) {
        match filtered {
            Filtered::Nothing => self.select(host),
            Filtered::Popcorn(size_s) => {
                self.peer_event(host, index, 13, "popcorn", &format!("{size_s:.6} s"));
            }
            Filtered::Old => {}
            Filtered::Best => {
                self.record_peer(host, index);
                if self.peers[index].burst == 0 || self.system.leap == 3 {
                    self.select(host);
                }
            }
        }
    }
}
