//! How someone else gets the numbers of the path's findings: a line for the shell, with tshark. Requests are known by their
//! transmit timestamp, replies by their origin timestamp, which returns it.

use super::Examiner;
use crate::exchange::{Fate, LATE_S, PointId};
use crate::rules::path::{Direction, Locus, Symptom};
use crate::wire::IcmpError;
use std::net::IpAddr;

impl Examiner<'_> {
    /// Counts the requests of a symptom; `example` is the capture in which one of them stands.
    pub(super) fn symptom_recipe(&self, symptom: &Symptom, example: &str) -> String {
        let server = symptom.server;
        let listed = |filter: String| format!("tshark -r {example} -Y '{filter}' | wc -l");
        match symptom.locus {
            Locus::Server(at) | Locus::Beyond(at, Direction::ToServer) => {
                missing(&self.stamps(at, server, Direction::ToServer), &self.stamps(at, server, Direction::ToClient))
            }
            Locus::Beyond(at, Direction::ToClient) => self.stamps(at, server, Direction::ToClient),
            Locus::Segment(from, to, way) | Locus::Device(from, to, way) => self.hop_recipe(from, to, server, way),
            Locus::Late(_) | Locus::Told => format!("ntpscope exchanges --fate late {example} (later than {LATE_S} s)"),
            Locus::Answered(Fate::Kiss(code)) => {
                let code = String::from_utf8_lossy(&code).into_owned();
                let refid: Vec<String> = code.bytes().map(|byte| format!("{byte:02x}")).collect();
                listed(format!("{} && ntp.stratum == 0 && ntp.refid == {}", from(server), refid.join(":")))
            }
            Locus::Answered(Fate::Unsynchronised) => {
                listed(format!("{} && ntp.flags.mode == 4 && ntp.flags.li == 3", from(server)))
            }
            Locus::Answered(Fate::Elsewhere(other)) => listed(format!("{} && ntp.flags.mode == 4", from(other))),
            Locus::Answered(Fate::Misdirected(other)) => {
                listed(format!("{} && ntp.flags.mode == 4 && {}", from(server), to(other)))
            }
            Locus::Answered(Fate::Error(error, by)) => listed(format!("{} && {} && ntp", from(by), icmp(error, by))),
            Locus::Doubled(_, to, way) => {
                format!("{} | sort | uniq -d | wc -l", self.stamps(to, server, way.unwrap_or(Direction::ToServer)))
            }
            Locus::Answered(_) | Locus::Unasked(_) => listed(format!("{} && ntp", from(server))),
        }
    }

    /// Counts what is seen at one point and not at another; of replies those whose requests had passed there.
    pub(super) fn hop_recipe(&self, from: PointId, to: PointId, server: IpAddr, way: Direction) -> String {
        let (seen, next) = (self.stamps(from, server, way), self.stamps(to, server, way));
        match way {
            Direction::ToServer => missing(&seen, &next),
            Direction::ToClient => {
                let asked = self.stamps(to, server, Direction::ToServer);
                format!("comm -12 <({seen} | sort -u) <({asked} | sort -u) | comm -23 - <({next} | sort -u) | wc -l")
            }
        }
    }

    /// The stamps of requests or replies at a point.
    fn stamps(&self, at: PointId, server: IpAddr, way: Direction) -> String {
        let capture = self.capture_of(at);
        match way {
            Direction::ToServer => {
                format!("tshark -r {capture} -Y '{} && ntp.flags.mode == 3' -T fields -e ntp.xmt", to(server))
            }
            Direction::ToClient => {
                format!("tshark -r {capture} -Y '{} && ntp.flags.mode == 4' -T fields -e ntp.org", from(server))
            }
        }
    }
}

/// Counts the lines of one command that another does not print.
fn missing(of: &str, among: &str) -> String {
    format!("comm -23 <({of} | sort -u) <({among} | sort -u) | wc -l")
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "ipv6" } else { "ip" }
}

fn from(address: IpAddr) -> String {
    format!("{}.src == {address}", family(address))
}

fn to(address: IpAddr) -> String {
    format!("{}.dst == {address}", family(address))
}

/// An ICMP error (RFC 792, RFC 1812; RFC 4443).
fn icmp(error: IcmpError, by: IpAddr) -> String {
    let (v4, v6) = match error {
        IcmpError::PortUnreachable => ("icmp.type == 3 && icmp.code == 3", "icmpv6.type == 1 && icmpv6.code == 4"),
        IcmpError::HostUnreachable => ("icmp.type == 3 && icmp.code == 1", "icmpv6.type == 1 && icmpv6.code == 3"),
        IcmpError::NetworkUnreachable => ("icmp.type == 3 && icmp.code == 0", "icmpv6.type == 1 && icmpv6.code == 0"),
        IcmpError::Prohibited => ("icmp.type == 3 && icmp.code in {9, 10, 13}", "icmpv6.type == 1 && icmpv6.code == 1"),
        IcmpError::TooBig => ("icmp.type == 3 && icmp.code == 4", "icmpv6.type == 2"),
        IcmpError::TimeExceeded => ("icmp.type == 11", "icmpv6.type == 3"),
        IcmpError::Other(kind, code) => {
            let name = if by.is_ipv6() { "icmpv6" } else { "icmp" };
            return format!("{name}.type == {kind} && {name}.code == {code}");
        }
    };
    if by.is_ipv6() { v6.into() } else { v4.into() }
}
