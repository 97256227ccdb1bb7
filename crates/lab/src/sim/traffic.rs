//! Packets on their way: sent, routed, rewritten, captured, filtered, delivered, answered.

use super::daemon::Datagram;
use super::engine::{Engine, Happens};
use super::filter::{Verdict, judge};
use super::host::Waiting;
use super::ip::{Body, Packet, Unreachable, is_group};
use super::link::Passage;
use super::server::Answer;
use super::wiring::End;
use ntpscope_core::time::{SECOND, Time};
use std::net::{IpAddr, SocketAddr};

/// A router gives up to find a neighbour after this time (three questions, a second apart).
const NEIGHBOUR_TIMEOUT: i64 = 3 * SECOND;

impl Engine<'_> {
    /// A daemon's request, with the source address and port that the kernel gives it.
    pub(super) fn send(&mut self, host: usize, mut datagram: Datagram) {
        let to = datagram.destination;
        let Some((out, _)) = self.way_out(host, to.ip(), datagram.source.ip()) else {
            return self.count(format!("{} has no route to {}", self.wiring.names[host], to.ip()));
        };
        let own = &self.wiring.interfaces[host][out].addresses;
        let chosen = datagram.source.ip();
        let fits = own.iter().any(|(address, _)| *address == chosen);
        let first = own.iter().map(|(address, _)| *address).find(|address| address.is_ipv4() == to.is_ipv4());
        let Some(source) = first.filter(|_| !fits).or(Some(chosen)) else { return };
        let at = &mut self.hosts[host];
        datagram.source = SocketAddr::new(source, at.port(datagram.source.port(), to));
        let (id, leaves) = (at.next_id(), self.now + at.takes());
        if matches!(datagram.payload.first().map(|first| first & 7), Some(1 | 3)) {
            self.count(format!("{} asked {}", self.wiring.names[host], to.ip()));
        }
        self.arrange(leaves, Happens::Leaves(host, Packet::of(datagram, id), false));
    }

    /// The interface towards an address, and the next hop; to a group, the interface of the source's address.
    fn way_out(&self, host: usize, to: IpAddr, source: IpAddr) -> Option<(usize, IpAddr)> {
        if !is_group(to) {
            return self.wiring.route(host, to);
        }
        let interfaces = &self.wiring.interfaces[host];
        let own = self.wiring.owner(source).filter(|(owner, at)| *owner == host && interfaces[*at].link.is_some());
        let first = || interfaces.iter().position(|interface| interface.link.is_some());
        own.map(|(_, at)| at).or_else(first).map(|at| (at, to))
    }

    /// A packet goes out: it is routed, rewritten, captured and carried.
    pub(super) fn leave(&mut self, host: usize, mut packet: Packet, forwarded: bool) {
        if self.hosts[host].off > 0 {
            return;
        }
        let to = packet.destination.ip();
        if self.wiring.owner(to).is_some_and(|(owner, _)| owner == host) {
            return self.local(host, &packet);
        }
        let Some((out, hop)) = self.way_out(host, to, packet.source.ip()) else {
            return self.count(format!("{} has no route to {to}", self.wiring.names[host]));
        };
        let before = packet.source;
        let is_outside = self.wiring.outside(host) == Some(out);
        if let (Some(nat), true, Body::Udp(_)) = (&mut self.hosts[host].nat, is_outside, &packet.body) {
            match nat.outbound(packet.source, packet.destination, self.now) {
                Some(source) => packet.source = source,
                None => return self.count(format!("{} had no port left", self.wiring.names[host])),
            }
        }
        let from = (host, out);
        let Some(link) = self.wiring.at(from).link else { return };
        let ends: Vec<End> = self.wiring.on(link).iter().copied().filter(|end| *end != from).collect();
        let neighbour = self.wiring.owner(hop).filter(|end| ends.contains(end));
        if !is_group(to) && neighbour.is_none_or(|(next, _)| self.hosts[next].off > 0) {
            // Nobody says that the next hop is his: the router tells the sender, a host only its own daemon.
            let own = self.wiring.own_address(from, packet.source.is_ipv4());
            if let (true, Some(own)) = (forwarded, own) {
                // NAT translates an error about a packet that it rewrote back to the sender.
                packet.source = before;
                let error = packet.error(own, Unreachable::Host);
                self.tell(host, error, self.now + NEIGHBOUR_TIMEOUT);
            }
            return;
        }
        let next_mac = neighbour.map_or([0xff; 6], |end| self.wiring.at(end).mac);
        self.capture(from, &packet, self.wiring.at(from).mac, next_mac);
        let heard = if is_group(to) { ends } else { neighbour.into_iter().collect() };
        for end in heard {
            let faults = self.link_faults.iter().filter(|(_, works)| *works).filter_map(|(fault, _)| fault.as_ref());
            match self.links[link].carry(link, to, (from, end), faults, &self.wiring, &self.nats) {
                Passage::Lost => {
                    self.count(format!("{} lost towards {}", self.wiring.links[link], self.wiring.names[end.0]));
                }
                Passage::Brings(once, again) => {
                    self.arrange(self.now + once, Happens::Arrives(end, from, packet.clone()));
                    if let Some(again) = again {
                        self.count(format!("{} brought twice", self.wiring.links[link]));
                        self.arrange(self.now + again, Happens::Arrives(end, from, packet.clone()));
                    }
                }
            }
        }
    }

    /// Sends an error of the host itself.
    fn tell(&mut self, host: usize, error: Option<Packet>, at: i64) {
        if let Some(mut error) = error {
            error.id = self.hosts[host].next_id();
            self.arrange(at, Happens::Leaves(host, error, false));
        }
    }

    fn capture(&mut self, end: End, packet: &Packet, from: [u8; 6], to: [u8; 6]) {
        if let Some(capture) = self.captures.get(&end) {
            let time = self.hosts[end.0].clock.read(self.now);
            capture.write(&packet.frame(from, to), time, &mut self.evidence);
        }
    }

    /// A packet comes in: it is captured, translated back, delivered or forwarded.
    pub(super) fn arrive(&mut self, end: End, from: End, mut packet: Packet) {
        let (host, _) = end;
        if self.hosts[host].off > 0 {
            return;
        }
        self.capture(end, &packet, self.wiring.at(from).mac, self.wiring.at(end).mac);
        let to = packet.destination.ip();
        if is_group(to) {
            // A group's packets reach daemons that joined it; broadcasts all.
            if !to.is_multicast() || self.hosts[host].asks(to) {
                self.local(host, &packet);
            }
            return;
        }
        if self.wiring.outside(host) == Some(end.1) {
            self.translate_back(host, &mut packet);
        }
        let to = packet.destination.ip();
        let is_own = self.wiring.owner(to).is_some_and(|(owner, _)| owner == host);
        let is_router = self.hosts[host].said.router || self.hosts[host].nat.is_some();
        if !is_own && !is_router {
            return;
        }
        // A router's filter judges what it forwards, a host's what it takes in.
        if is_own != is_router {
            match judge(&mut self.hosts[host].filters, &packet) {
                Verdict::Passes => {}
                verdict => {
                    self.count(format!("{} filtered", self.wiring.names[host]));
                    let own = self.wiring.own_address(end, packet.source.is_ipv4());
                    if let (Verdict::Rejected, Some(own)) = (verdict, own) {
                        let error = packet.error(own, Unreachable::Prohibited);
                        self.tell(host, error, self.now);
                    }
                    return;
                }
            }
        }
        if is_own {
            return self.local(host, &packet);
        }
        packet.ttl = packet.ttl.saturating_sub(1);
        if packet.ttl > 0 {
            let leaves = self.now + self.hosts[host].takes();
            self.arrange(leaves, Happens::Leaves(host, packet, true));
        }
    }

    fn translate_back(&mut self, host: usize, packet: &mut Packet) {
        let Some(nat) = &mut self.hosts[host].nat else { return };
        match &mut packet.body {
            Body::Udp(_) => {
                if let Some(inside) = nat.inbound(packet.source, packet.destination, self.now) {
                    packet.destination = inside;
                }
            }
            Body::Error { about, .. } => {
                if let Some(inside) = nat.quoted(about.source, about.destination, self.now) {
                    packet.destination = SocketAddr::new(inside.ip(), 0);
                    about.source = inside;
                }
            }
        }
    }

    /// A packet for this host.
    fn local(&mut self, host: usize, packet: &Packet) {
        let Some(datagram) = packet.datagram() else { return };
        if !self.hosts[host].listens(datagram.destination.port()) {
            let error = packet.error(datagram.destination.ip(), Unreachable::Port);
            self.count(format!("{} had nothing listening", self.wiring.names[host]));
            return self.tell(host, error, self.now);
        }
        let received = self.hosts[host].clock.read(self.now);
        if self.hosts[host].paused > 0 {
            self.hosts[host].keep(Waiting::Datagram(datagram, received));
        } else {
            self.deliver(host, &datagram, received);
        }
    }

    /// A datagram for the daemon, that arrived when the clock showed `received`.
    pub(super) fn deliver(&mut self, host: usize, datagram: &Datagram, received: Time) {
        let mode = datagram.payload.first().map_or(0, |first| first & 7);
        let source = datagram.source.ip();
        let at = &mut self.hosts[host];
        if matches!(mode, 2 | 4 | 5) || mode == 1 && at.asks(source) {
            at.books.replies += 1;
            if matches!(mode, 2 | 4) && at.daemon.is_some() {
                *self.tally.entry(format!("{} answered by {source}", self.wiring.names[host])).or_default() += 1;
            }
            let acts = at.call(self.now, Some(received), |daemon, now, acts| daemon.receive(datagram, now, acts));
            return self.act(host, acts);
        }
        let wrong = Time(received.0 + (at.wrong_s * 1e9) as i64);
        let Some(server) = &mut at.server else { return };
        match server.receive(datagram, wrong, self.now) {
            Some(answer) => {
                let (sends, life) = (self.now + server.takes(), at.life);
                self.arrange(sends, Happens::Answers(host, life, Box::new(answer)));
            }
            None => self.count(format!("{} did not answer {source}", self.wiring.names[host])),
        }
    }

    pub(super) fn answer(&mut self, host: usize, life: u32, answer: &Answer) {
        let at = &mut self.hosts[host];
        if at.life != life || at.stopped > 0 {
            return;
        }
        let (system, clock) = (at.system(self.now), at.serves(self.now));
        let Some(server) = &at.server else { return };
        let datagram = server.reply(answer, &system, clock);
        let (id, leaves) = (at.next_id(), self.now + at.takes());
        self.arrange(leaves, Happens::Leaves(host, Packet::of(datagram, id), false));
    }

    pub(super) fn broadcast(&mut self, host: usize) {
        let own = self.wiring.addresses(host).next();
        let at = &mut self.hosts[host];
        let (system, clock) = (at.system(self.now), at.serves(self.now));
        let runs = at.stopped == 0 && at.paused == 0;
        let (Some(server), Some(own)) = (&mut at.server, own) else { return };
        let Some((every, to)) = server.broadcasts_every().zip(server.broadcasts_to()) else { return };
        let from = if runs { server.broadcasts_from(own) } else { Vec::new() };
        let datagrams: Vec<Datagram> =
            from.into_iter().map(|from| server.broadcast(from, to, &system, clock)).collect();
        for datagram in datagrams {
            let (id, leaves) = (self.hosts[host].next_id(), self.now + self.hosts[host].takes());
            self.arrange(leaves, Happens::Leaves(host, Packet::of(datagram, id), false));
        }
        // ntpd spreads its polls by a second or so.
        let next = self.now + every - SECOND / 2 + self.hosts[host].within(SECOND);
        self.arrange(next, Happens::Broadcasts(host));
    }
}
