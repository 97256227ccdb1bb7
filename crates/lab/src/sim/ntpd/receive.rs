//! What arrives: replies, kisses, broadcasts (`receive` and `process_packet` of ntp_proto.c).

use crate::sim::daemon::Datagram;
use crate::sim::ntpd::host::Host;
use crate::sim::ntpd::peer::{Mode, SHIFT, Sample};
use crate::sim::ntpd::version::Family;
use crate::sim::ntpd::{MAX_DISPERSION_S, MAX_DISTANCE_S, Ntpd, PHI, PRECISION, precision_s};
use crate::sim::packet::{Packet, difference_s, ntp};
use ntpscope_core::wire::ntp::Header;
use std::net::IpAddr;

/// NTPsec's tests, as the last column of its `rawstats` has them.
const DUPLICATE: u16 = 0x0001;
const BOGUS: u16 = 0x0002;
const UNSYNCHRONISED: u16 = 0x0020;
const BAD_HEADER: u16 = 0x0040;
const TOO_FAR: u16 = 0x2000;

impl Ntpd {
    /// A datagram that is for the client.
    pub(super) fn read(&mut self, host: &mut Host<'_>, datagram: &Datagram) {
        let Some(header) = Header::read(&datagram.payload).filter(Header::is_whole) else { return };
        let from = datagram.source.ip();
        let known = self.peers.iter().position(|peer| peer.address == from);
        if header.mode() == 5 {
            self.broadcast(host, &header, from, datagram.destination.ip(), known);
            return;
        }
        // An association is found by address and port (`findpeer`): a reply from another port is nobody's.
        let Some(index) = known.filter(|_| datagram.source.port() == 123) else { return };
        let expected = match self.peers[index].mode {
            Mode::Client | Mode::Volley => header.mode() == 4,
            Mode::Symmetric => matches!(header.mode(), 1 | 2 | 4),
            Mode::Listens => false,
        };
        if expected {
            self.reply(host, index, &header);
        }
    }

    fn reply(&mut self, host: &mut Host<'_>, index: usize, header: &Header) {
        let sec = self.version.family == Family::Sec;
        let packet = Packet::of(header);
        let peer = &mut self.peers[index];
        let open = peer.open.saturating_sub(1);
        peer.flash &= !0xff;
        let repeated = packet.transmit != 0 && packet.transmit == peer.transmit || sec && peer.open == 0;
        if repeated || peer.origin == 0 || packet.origin != peer.origin {
            peer.flash |= if repeated { 1 } else { 2 };
            if sec {
                let flag = if repeated { DUPLICATE } else { BOGUS };
                self.record_raw(host, index, &packet, Some(host.clock), flag);
            }
            return;
        }
        let sent = ntp(peer.sent);
        (peer.origin, peer.open) = (0, 0);
        peer.transmit = packet.transmit;
        if !sec {
            // NTPsec hides its own poll exponent, so that the server's says nothing.
            peer.ppoll = packet.poll.max(peer.minpoll);
        }
        if packet.stratum == 0 && packet.leap == 3 && header.kiss().is_some() {
            self.kiss(host, index, &packet);
            return;
        }
        let packet = Packet { origin: sent, ..packet };
        if packet.receive == 0 || packet.transmit == 0 {
            peer.flash |= 4;
            return;
        }
        let (there, back) = (difference_s(packet.receive, sent), difference_s(packet.transmit, ntp(host.clock)));
        let delay_s = (there - back).abs();
        let unsynchronised = packet.leap == 3 || packet.stratum == 0 || packet.stratum >= 16;
        let bad_header = packet.root_delay_s / 2.0 + packet.root_dispersion_s >= MAX_DISPERSION_S;
        if sec {
            let tests =
                [(unsynchronised, UNSYNCHRONISED), (bad_header, BAD_HEADER), (delay_s > MAX_DISTANCE_S, TOO_FAR)];
            let flag = tests.iter().find_map(|(fails, flag)| fails.then_some(*flag)).unwrap_or(0);
            self.record_raw_open(host, index, &packet, flag, open);
            if flag != 0 {
                return;
            }
        } else {
            self.record_raw(host, index, &packet, Some(host.clock), 0);
        }
        let peer = &mut self.peers[index];
        peer.received = Some(host.clock);
        (peer.leap, peer.stratum, peer.server_mode) =
            (packet.leap, if packet.stratum == 0 { 16 } else { packet.stratum.min(16) }, packet.mode);
        (peer.precision, peer.refid, peer.reference) = (packet.precision, packet.refid, packet.reference);
        (peer.root_delay_s, peer.root_dispersion_s) = (packet.root_delay_s, packet.root_dispersion_s);
        self.start_burst(host, index);
        let poll = self.peers[index].hpoll;
        self.poll_update(host, index, poll);
        if unsynchronised || bad_header {
            self.peers[index].flash |= if unsynchronised { 0x20 } else { 0x40 };
            return;
        }
        self.sample(host, index, (there + back) / 2.0, delay_s);
    }

    /// A good sample.
    fn sample(&mut self, host: &mut Host<'_>, index: usize, offset_s: f64, delay_s: f64) {
        if self.peers[index].reach == 0 {
            self.peer_event(host, index, 4, "reachable", "");
        }
        let settled = self.settled();
        let family = self.version.family;
        let peer = &mut self.peers[index];
        peer.reach |= 1;
        let floor_s = if family == Family::New { precision_s(PRECISION) } else { 0.0 };
        let delay_s = delay_s.max(floor_s);
        let dispersion_s = precision_s(PRECISION) + precision_s(peer.precision) + PHI * delay_s;
        let filtered = peer.filter(Sample { offset_s, delay_s, dispersion_s, epoch: host.seconds }, settled);
        self.filtered(host, index, filtered);
        let Some(peer) = self.peers.get_mut(index) else { return };
        if peer.mode == Mode::Volley && peer.unfit(host.seconds, family, &[]) & 0x400 == 0 {
            peer.mode = Mode::Listens;
        }
    }

    /// A kiss-o'-death (RFC 5905 §7.4): only RATE is obeyed; the others are noted.
    fn kiss(&mut self, host: &mut Host<'_>, index: usize, packet: &Packet) {
        if packet.refid != *b"RATE" {
            if self.version.family == Family::Old {
                // 4.2.6 takes other kisses for replies of an unsynchronised server.
                self.peers[index].flash |= 0x20;
            }
            return;
        }
        self.peer_event(host, index, 7, "rate_exceeded", "");
        let sec = self.version.family == Family::Sec;
        let peer = &mut self.peers[index];
        let asked = if sec { packet.poll.min(10) } else { packet.poll };
        let throttle = (SHIFT as i64 + 1) << peer.minpoll;
        if packet.poll > peer.minpoll {
            peer.minpoll = if sec { peer.ppoll.min(10) } else { peer.ppoll };
        }
        (peer.burst, peer.retry) = (0, 0);
        peer.throttle = if sec { throttle } else { (SHIFT as i64 + 1) << peer.minpoll };
        peer.throttled = host.seconds;
        self.poll_update(host, index, asked);
    }

    /// A broadcast: a server that is not known is asked first, for the delay.
    fn broadcast(&mut self, host: &mut Host<'_>, header: &Header, from: IpAddr, to: IpAddr, known: Option<usize>) {
        let group = self.config.asks.iter().find(|source| source.mode == 5 && source.server == to).cloned();
        let (Some(group), true) = (group, self.version.family != Family::Sec) else { return };
        let packet = Packet::of(header);
        let Some(index) = known else {
            let poll = packet.poll.max(group.minpoll);
            let source = crate::world::Source { minpoll: poll, maxpoll: poll, iburst: true, ..group };
            let at = host.seconds + 1;
            self.mobilize(host, from, &source, Mode::Volley, at);
            return;
        };
        if self.peers[index].mode != Mode::Listens {
            return;
        }
        let peer = &mut self.peers[index];
        peer.flash &= !0xff;
        if packet.transmit == peer.transmit {
            peer.flash |= 1;
            return;
        }
        peer.transmit = packet.transmit;
        self.record_raw(host, index, &packet, Some(host.clock), 0);
        let peer = &mut self.peers[index];
        peer.received = Some(host.clock);
        (peer.leap, peer.stratum, peer.server_mode) = (packet.leap, packet.stratum.min(16), 5);
        (peer.refid, peer.reference, peer.precision) = (packet.refid, packet.reference, packet.precision);
        (peer.root_delay_s, peer.root_dispersion_s) = (packet.root_delay_s, packet.root_dispersion_s);
        if packet.leap == 3 || packet.stratum == 0 || packet.stratum >= 16 {
            peer.flash |= 0x20;
            return;
        }
        let delay_s = peer.delay_s;
        let offset_s = difference_s(packet.transmit, ntp(host.clock)) + delay_s / 2.0;
        self.sample(host, index, offset_s, delay_s);
    }
}
