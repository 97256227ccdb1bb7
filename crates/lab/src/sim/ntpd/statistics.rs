//! What ntpd writes: statistics (`ntp_util.c`), events, its log.

use crate::sim::ntpd::Ntpd;
use crate::sim::ntpd::host::Host;
use crate::sim::ntpd::version::Family;
use crate::sim::packet::{Packet, ntp};
use jiff::tz::TimeZone;
use ntpscope_core::time::{Time, ntp_decimal};

/// NTPsec says this at its start and after each step.
pub(super) const MRU: &str = "INIT: MRU 10922 entries, 13 hash bits, 65536 bytes";

impl Ntpd {
    /// A row of `loopstats`.
    pub(super) fn record_loop(&self, host: &mut Host<'_>) {
        let d = &self.discipline;
        let decimals = self.version.frequency_decimals();
        let (offset, ppm, jitter) = (d.offset_s, d.frequency_ppm, d.jitter_s);
        let line = format!("{offset:.9} {ppm:.decimals$} {jitter:.9} {:.6} {}", d.wander_ppm, d.poll);
        host.statistics("stats/loopstats", &line);
    }

    /// A row of `peerstats`.
    pub(super) fn record_peer(&self, host: &mut Host<'_>, index: usize) {
        let peer = &self.peers[index];
        let status = peer.status_word(self.version.family);
        let (offset, delay) = (peer.offset_s, peer.delay_s);
        let (dispersion, jitter) = (peer.dispersion_s, peer.jitter_s);
        let address = peer.address;
        let line = format!("{address} {status:x} {offset:.9} {delay:.9} {dispersion:.9} {jitter:.9}");
        host.statistics("stats/peerstats", &line);
    }

    /// A row of `rawstats`: of a packet that arrived at a time of the own clock, or was sent. `flag` is NTPsec's.
    pub(super) fn record_raw(&self, host: &mut Host<'_>, index: usize, packet: &Packet, at: Option<Time>, flag: u16) {
        let line = self.raw_line(index, packet, at);
        let more = if self.version.family == Family::Sec { format!(" 0 0 {flag:x}") } else { String::new() };
        host.statistics("stats/rawstats", &(line + &more));
    }

    /// NTPsec's row of a reply before which `open` requests had none.
    pub(super) fn record_raw_open(&self, host: &mut Host<'_>, index: usize, packet: &Packet, flag: u16, open: u32) {
        let line = self.raw_line(index, packet, Some(host.clock));
        host.statistics("stats/rawstats", &format!("{line} {open} 0 {flag:x}"));
    }

    fn raw_line(&self, index: usize, packet: &Packet, arrival: Option<Time>) -> String {
        let peer = &self.peers[index];
        let (from, to) = if arrival.is_some() { (peer.address, peer.local) } else { (peer.local, peer.address) };
        let stamps = [packet.origin, packet.receive, packet.transmit, arrival.map_or(0, ntp)].map(decimal);
        let mut line = format!("{from} {to} {}", stamps.join(" "));
        if self.version.family != Family::Old {
            let p = packet;
            line += &format!(" {} {} {} {} {} {}", p.leap, p.version, p.mode, p.stratum, p.poll as u8, p.precision);
            line += &format!(" {:.6} {:.6} {}", p.root_delay_s, p.root_dispersion_s, refid_text(p.refid, p.stratum));
        }
        line
    }

    /// An event of an association.
    pub(super) fn peer_event(&mut self, host: &mut Host<'_>, index: usize, event: u8, keyword: &str, text: &str) {
        let family = self.version.family;
        let peer = &mut self.peers[index];
        peer.note(event, family);
        let status = peer.status_word(family);
        let address = peer.address;
        self.protocol(host, &address.to_string(), status, 0x80 | event, keyword, text);
    }

    /// An event of the system.
    pub(super) fn system_event(&mut self, host: &mut Host<'_>, event: u8, keyword: &str, text: &str) {
        self.system.event = event;
        let status = self.system_word();
        self.protocol(host, "0.0.0.0", status, event, keyword, text);
    }

    /// The system status word; NTPsec never names a kind of source.
    pub(super) fn system_word(&self) -> u16 {
        let source = if self.system.peer.is_some() && self.version.family != Family::Sec { 6 } else { 0 };
        u16::from(self.system.leap) << 14 | source << 8 | 1 << 4 | u16::from(self.system.event)
    }

    fn protocol(&self, host: &mut Host<'_>, who: &str, status: u16, event: u8, keyword: &str, text: &str) {
        if !self.version.has_protostats() {
            self.log_event(host, who, keyword, text);
        } else {
            let gap = if text.is_empty() { "" } else { " " };
            host.statistics("stats/protostats", &format!("{who} {status:04x} {event:02x} {keyword}{gap}{text}"));
        }
    }

    /// What 4.2.4 says of an event in its log: it has no `protostats`.
    fn log_event(&self, host: &mut Host<'_>, who: &str, keyword: &str, text: &str) {
        let peer = self.peers.iter().find(|peer| peer.address.to_string() == who);
        let line = match keyword {
            "sys_peer" => format!("synchronized to {who}, stratum {}", peer.map_or(16, |peer| peer.stratum)),
            "clock_step" => format!("time reset {text}"),
            "clock_sync" => "kernel time sync status change 0001".to_owned(),
            "no_sys_peer" => "no servers reachable".to_owned(),
            _ => return,
        };
        self.log(host, &line);
    }

    /// A line of its log.
    pub(super) fn log(&self, host: &mut Host<'_>, text: &str) {
        let format = if self.version.family == Family::Sec { "%Y-%m-%dT%H:%M:%S" } else { "%e %b %H:%M:%S" };
        let stamp = stamp(host.clock, format);
        host.log(format!("{stamp} ntpd[{}]: {text}", self.process));
    }

    /// What it logs when it starts.
    pub(super) fn log_start(&self, host: &mut Host<'_>) {
        let text = &self.version.text;
        let addresses = std::iter::once("127.0.0.1".to_owned()).chain(self.addresses.iter().map(ToString::to_string));
        let interface = |count: usize| if count == 0 { "lo".to_owned() } else { format!("eth{}", count - 1) };
        match self.version.family {
            Family::Sec => {
                self.log(host, &format!("INIT: ntpd ntpsec-{text}: Starting"));
                self.log(host, "INIT: Command line: /usr/sbin/ntpd -g -c /etc/ntp.conf -l /var/log/ntpd.log");
                self.log(host, "INIT: precision = 0.101 usec (-23)");
                self.log(host, "CONFIG: readconfig: parsing file: /etc/ntp.conf");
                self.log(host, "INIT: Using SO_TIMESTAMPNS(ns)");
                self.log(host, "IO: Listen and drop on 0 v4wildcard 0.0.0.0:123");
            }
            Family::New => {
                self.log(host, &format!("{}: Starting", self.version.banner()));
                self.log(host, "Command line: /usr/sbin/ntpd -g -c /etc/ntp.conf -l /var/log/ntpd.log");
                self.log(host, "proto: precision = 0.101 usec (-23)");
                self.log(host, "Listen and drop on 0 v4wildcard 0.0.0.0:123");
            }
            Family::Old if !self.version.has_protostats() => {
                self.log(host, "logging to file /var/log/ntpd.log");
                self.log(host, "precision = 0.101 usec");
                self.log(host, "Listening on interface #0 wildcard, 0.0.0.0#123 Disabled");
            }
            Family::Old => {
                self.log(host, "proto: precision = 0.101 usec");
                self.log(host, "ntp_io: estimated max descriptors: 1024, initial socket boundary: 16");
                self.log(host, "Listen and drop on 0 v4wildcard 0.0.0.0 UDP 123");
            }
        }
        for (count, address) in addresses.enumerate() {
            let (n, name) = (count + 1, interface(count));
            self.log(
                host,
                &match self.version.family {
                    Family::Sec => format!("IO: Listen normally on {n} {name} {address}:123"),
                    Family::New => format!("Listen normally on {n} {name} {address}:123"),
                    Family::Old if !self.version.has_protostats() => {
                        format!("Listening on interface #{n} {name}, {address}#123 Enabled")
                    }
                    Family::Old => format!("Listen normally on {n} {name} {address} UDP 123"),
                },
            );
        }
        self.log_listening(host);
        if !self.config.may_set && self.version.family != Family::Old {
            let sec = self.version.family == Family::Sec;
            let (before, file) = if sec { ("CLOCK: ", "ntpd/ntp_loopfilter.c") } else { ("", "ntp_loopfilter.c") };
            let lines = if sec { [1063, 1042] } else { [1118, 1081] };
            for (call, line) in ["start_kern_loop", "set_freq"].into_iter().zip(lines) {
                let text = format!("{before}{call}: {file} line {line}: ntp_adjtime: Operation not permitted");
                self.log(host, &text);
            }
        }
    }

    /// What it says when it ends: it forgets its associations first.
    pub(super) fn record_stop(&mut self, host: &mut Host<'_>) {
        let family = self.version.family;
        let by = if family == Family::Old { "" } else { " (Terminated)" };
        let err = if family == Family::Sec { "ERR: " } else { "" };
        self.log(host, &format!("{err}ntpd exiting on signal 15{by}"));
        if family == Family::Old {
            return;
        }
        for index in 0..self.peers.len() {
            let peer = &self.peers[index];
            let (address, local, text) = (peer.address, peer.local, format!("assoc {}", peer.association));
            self.peer_event(host, index, 2, "demobilize", &text);
            let line = match family {
                Family::Sec => format!("PROTO: {address} unlink local addr {local} -> <null>"),
                Family::Old | Family::New => format!("{address} local addr {local} -> <null>"),
            };
            self.log(host, &line);
        }
        self.system_event(host, 13, "kern", "kernel time sync disabled");
    }

    /// What it logs when its sockets are open.
    fn log_listening(&self, host: &mut Host<'_>) {
        match self.version.family {
            Family::Sec => {
                self.log(host, "IO: Listening on routing socket on fd #20 for interface updates");
                self.log(host, MRU);
            }
            Family::New => self.log(host, "Listening on routing socket on fd #20 for interface updates"),
            Family::Old if self.version.has_protostats() => {
                self.log(host, "peers refreshed");
                self.log(host, "Listening on routing socket on fd #20 for interface updates");
            }
            Family::Old => self.log(host, "kernel time sync status 0040"),
        }
    }
}

/// An NTP timestamp in decimal seconds of its era.
fn decimal(stamp: u64) -> String {
    let (second, ns) = ntp_decimal(stamp);
    format!("{second}.{ns:09}")
}

/// A reference id as ntpd prints it: letters between points up to stratum 1, else an address.
pub fn refid_text(refid: [u8; 4], stratum: u8) -> String {
    if (2..16).contains(&stratum) || refid[0] == 127 {
        let [a, b, c, d] = refid;
        return format!("{a}.{b}.{c}.{d}");
    }
    let letters: String = refid.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).collect();
    format!(".{letters}.")
}

/// A time in UTC.
pub fn stamp(time: Time, format: &str) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
    stamp.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_ids_are_letters_or_addresses() {
        assert_eq!(refid_text(*b"GPS\0", 1), ".GPS.");
        assert_eq!(refid_text(*b"INIT", 16), ".INIT.");
        assert_eq!(refid_text([10, 0, 0, 1], 2), "10.0.0.1");
    }
}
