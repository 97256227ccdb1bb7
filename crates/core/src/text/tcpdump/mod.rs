//! NTP packets as `tcpdump` prints them, from 3.5 to 4.99, as the BSDs' do, and `tshark` in one line each.
//!
//! Other packets in the same dump are passed over, and so are packets that an ICMP error quotes: nobody sent those here.
//! Without `-tt`, times are of the time zone of the machine that printed them, which the text does not say: they are
//! taken as UTC. Without a date, they are of the last day on which they are not later than the text was written.

mod head;
mod ntp;
mod tshark;

use super::{Block, Form, Line, Taken};
use crate::model::{At, Event, Packet, Row, What};
use head::{Clock, Head};
use ntp::Said;

/// What this module reads.
pub const FORMS: &[Form] = &[
    Form { name: "tcpdump", opens, block: || Box::new(Dump::default()) },
    Form { name: "tshark", opens: tshark::opens, block: || Box::new(tshark::Summary) },
];

/// Lines that tcpdump writes besides packets: how they begin.
const BANNERS: &[&str] = &["tcpdump: ", "listening on ", "reading from file ", "dropped privs to ", "Warning: "];

/// What tcpdump counts at its end: what the line says, and the gauge that a loss becomes.
const TOTALS: &[(&str, Option<&str>)] = &[
    ("captured", None),
    ("received by filter", None),
    ("dropped by kernel", Some("dropped_packets")),
    ("dropped by interface", Some("dropped_by_interface_packets")),
];

fn opens(line: &str) -> bool {
    line.starts_with("tcpdump: listening on ")
        || line.starts_with("tcpdump: verbose output suppressed")
        || (line.starts_with("listening on ") && line.contains(", link-type "))
        || (line.starts_with("reading from file ") && line.contains(", link-type "))
        || Head::of(line).is_some_and(|head| head.is_certain())
}

/// A dump.
#[derive(Default)]
struct Dump {
    clock: Clock,
    state: State,
}

/// The packet whose lines are being read.
#[derive(Default)]
enum State {
    /// None, or one that is not NTP.
    #[default]
    Other,
    /// Of one the IP header was printed (`-v`); the next line says the ends and what it is.
    Ip(Packet<'static>),
    /// An NTP packet; lines with its fields may follow.
    Ntp(Said),
}

impl Block for Dump {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        // What was typed to end it stands before the last lines.
        let text = line.text.strip_prefix("^C").unwrap_or(line.text);
        if let Some(head) = Head::of(text) {
            self.end(rows);
            return self.head(line, &head);
        }
        if text.is_empty() {
            return Taken::Yes;
        }
        if text.starts_with([' ', '\t']) {
            return self.more(text.trim_start());
        }
        if let Some((count, said)) = total(text) {
            self.end(rows);
            if let Some(name) = said.filter(|_| count > 0) {
                let what = What::Gauge { of: "tcpdump", name, value: count as f64 };
                rows(Row::Event(Event { at: line.at, what }));
            }
            return Taken::Yes;
        }
        if BANNERS.iter().any(|banner| text.starts_with(banner)) { Taken::Yes } else { Taken::No }
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        if let State::Ntp(said) = std::mem::take(&mut self.state) {
            rows(Row::Packet(said.packet()));
        }
    }
}

impl Dump {
    /// The first line of a packet.
    fn head(&mut self, line: Line<'_>, head: &Head<'_>) -> Taken {
        let time = self.clock.time(head.stamp, line.written);
        let packet = Packet { ttl: head.ttl, ..Packet::new(At { time, host: "", ..At::origin(line.at.origin) }) };
        if head.awaits() {
            self.state = State::Ip(packet);
            return Taken::Yes;
        }
        self.body(packet, head.body, head.is_verbose)
    }

    /// A line that belongs to the packet before.
    fn more(&mut self, text: &str) -> Taken {
        match &mut self.state {
            State::Other => Taken::Yes,
            State::Ip(packet) => {
                let packet = *packet;
                self.body(packet, text, true)
            }
            State::Ntp(said) => {
                said.more(text);
                Taken::Yes
            }
        }
    }

    /// `198.51.100.1.123 > 192.0.2.1.123: [udp sum ok] NTPv4, Server, length 48`, whatever stands before it.
    fn body(&mut self, mut packet: Packet<'static>, text: &str, verbose: bool) -> Taken {
        self.state = State::Other;
        let Some((ends, what)) = head::ends(text) else { return Taken::Yes };
        if text.contains(": ICMP") {
            return Taken::Yes;
        }
        (packet.source, packet.destination) = ends;
        match Said::of(packet, what, verbose) {
            Ok(Some(said)) => {
                self.state = State::Ntp(said);
                Taken::Yes
            }
            Ok(None) => Taken::Yes,
            Err(reason) => Taken::Rejected(reason),
        }
    }
}

/// `8 packets captured`; the 3.x series ends with `8 packets received by filter` only.
fn total(text: &str) -> Option<(u64, Option<&'static str>)> {
    let text = text.strip_prefix("tcpdump: ").unwrap_or(text);
    let (count, rest) = text.split_once(' ')?;
    let said = rest.strip_prefix("packets ").or_else(|| rest.strip_prefix("packet "))?;
    let (_, gauge) = TOTALS.iter().find(|(total, _)| *total == said)?;
    Some((count.parse().ok()?, *gauge))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    fn rows(text: &str) -> Vec<String> {
        let (rows, rejects, _) = read(text);
        assert_eq!(rejects, [""; 0], "{text}");
        rows
    }

    #[test]
    fn the_line_says_the_same_with_every_stamp_and_link_header() {
        let ends = "source=192.0.2.1 source_port=123 destination=198.51.100.2 destination_port=123";
        let same = "192.0.2.1.123 > 198.51.100.2.ntp: NTPv4, Client, length 48";
        let at = |time: &str| format!("packet {time}{ends} version=4 mode=3 length=48");
        let known = at("time=2026-11-22T09:25:13.123456Z ");
        for head in [
            "2026-11-22 09:25:13.123456 IP ",
            "1795339513.123456 IP ",
            "    1  2026-11-22 09:25:13.123456 IP ",
            "2026-11-22 09:25:13.123456 eth0  Out IP ",
            "2026-11-22 09:25:13.123456  In IP ",
            "Nov 22 09:25:13.123456 ",
            "Nov 22 09:25:13.123456 rule 47/(match) pass out on em1: ",
            "2026-11-22 09:25:13.123456 02:00:00:00:00:01 (oui Unknown) > 02:00:00:00:00:02, ethertype IPv4 (0x0800), length 90: ",
            "2026-11-22 09:25:13.123456 IP 203.0.113.1 > 203.0.113.2: GREv0, length 80: IP ",
        ] {
            assert_eq!(rows(&format!("{head}{same}")), [known.as_str()], "{head}");
        }
        // 2026-11-24T00:00:00Z is when the text was written.
        assert_eq!(rows(&format!("09:25:13.123456 IP {same}")), [at("time=2026-11-23T09:25:13.123456Z ")]);
        let relative = format!(" 00:00:01.000000 IP {same}\n-00:00:02.000000 IP {same}\nIP {same}");
        assert_eq!(rows(&relative), [at(""), at(""), at("")]);
        let old_relative = format!("00:00:00.000000 IP {same}\n00:00:01.000000 IP {same}");
        assert_eq!(rows(&old_relative), [at(""), at("")]);
    }

    #[test]
    fn fields_follow_in_lines_of_their_own() {
        let text = "2026-11-22 09:25:13.123456 IP (tos 0xb8, ttl 55, id 41904, offset 0, flags [DF], proto UDP (17), length 76)\n    \
                    198.51.100.2.123 > 192.0.2.1.40000: [udp sum ok] NTPv4, Server, length 48\n\t\
                    Leap indicator: -1s (128), Stratum 3 (secondary reference), poll 6 (64s), precision -25\n\t\
                    Root Delay: 0.017074, Root dispersion: 0.000732, Reference-ID: 0x0a1f0880\n\t  \
                    Reference Timestamp:  4004328313.500000000 (2026-11-22T09:25:13Z)\n\t  \
                    Origin Timestamp:     0.000000000\n\t  \
                    Receive Timestamp:    4004328313.250000000 (2026-11-22T09:25:13Z)\n\t  \
                    Transmit Timestamp:   4004328313.750000000 (2026-11-22T09:25:13Z)\n\t    \
                    Originator - Receive Timestamp:  +1.000000000\n\tKey id: 8\n\
                    \t0x0000:  4500 004c 0000 0000";
        assert_eq!(
            rows(text),
            ["packet time=2026-11-22T09:25:13.123456Z source=198.51.100.2 source_port=123 destination=192.0.2.1 \
              destination_port=40000 leap=2 version=4 mode=4 stratum=3 poll=6 precision=-25 root_delay_s=0.017074 \
              root_dispersion_s=0.000732 refid=0x0a1f0880 reference=eead3379.80000000 receive=eead3379.40000000 \
              transmit=eead3379.c0000000 length=48 ttl=55"]
        );
        let vlan = text.replacen(
            "IP (",
            "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 802.1Q (0x8100), length 94: vlan 5, p 0, (",
            1,
        );
        assert_eq!(rows(&vlan), rows(text));
        // 3.9 to 4.9 put the mode at the beginning of the second line, and until 4.4 the poll exponent was no power.
        let old = "09:25:13.123456 IP6 (hlim 64, next-header UDP (17) payload length: 56) 2001:db8::1.123 > 2001:db8::2.123: \
                   NTPv3, length 48\n\tBroadcast, Leap indicator: clock unsynchronized (192), Stratum 1, poll 6s, precision -20\n\
                   \tRoot Delay: 0.000000, Root dispersion: 0.000000, Reference-ID: GPS^@\n";
        let want = "source=2001:db8::1 source_port=123 destination=2001:db8::2 destination_port=123 leap=3 version=3 mode=5 \
                    stratum=1 poll=6 precision=-20 root_delay_s=0 root_dispersion_s=0 refid=GPS length=48 ttl=64";
        assert_eq!(rows(old)[0].split_once("Z ").map(|(_, rest)| rest), Some(want));
    }

    #[test]
    fn the_oldest_wording_says_all_in_one_line() {
        let text = "09:25:13.123456 198.51.100.2.ntp > host.example.ntp: v3 +1s server strat 2 poll 6 prec -18 dist 0.001 disp 0.5 \
                    ref 192.0.2.9@4004328313.5 orig 4004328312.250000000 rec -1.000000000 xmt +0.500000000 (DF) (ttl 63, id 9, len 76)";
        let want = "source=198.51.100.2 source_port=123 destination_port=123 leap=1 version=3 mode=4 stratum=2 poll=6 \
                    precision=-18 root_delay_s=0.001 root_dispersion_s=0.5 refid=192.0.2.9 reference=eead3379.80000000 \
                    originate=eead3378.40000000 receive=eead3377.40000000 transmit=eead3378.c0000000 ttl=63";
        assert_eq!(rows(text)[0].split_once("Z ").map(|(_, rest)| rest), Some(want));
        let text = "09:25:13.123456 IP (tos 0x0, ttl 64, length: 76) 192.0.2.1.123 > 198.51.100.2.123: [udp sum ok] NTPv4 client, \
                    strat 0, poll 4, prec -6 dist 1.000000, disp 1.000000, ref (unspec)@0.000000000 orig 0.000000000 rec \
                    0.000000000 xmt 4004328313.500000000 (2026/11/22 09:25:13)";
        let want = "version=4 mode=3 stratum=0 poll=4 precision=-6 root_delay_s=1 root_dispersion_s=1 \
                    transmit=eead3379.80000000 ttl=64";
        assert!(rows(text)[0].ends_with(want), "{:?}", rows(text));
    }

    #[test]
    fn other_packets_and_quoted_ones_give_no_row_and_a_cut_line_is_rejected() {
        let text = "tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n\
                    09:25:13.1 ARP, Request who-has 192.0.2.1 tell 192.0.2.2, length 28\n\
                    09:25:13.123456 IP (tos 0xc0, ttl 63, id 1, offset 0, flags [none], proto ICMP (1), length 104)\n    \
                    198.51.100.2 > 192.0.2.1: ICMP 198.51.100.2 udp port 123 unreachable, length 84\n\t\
                    IP (tos 0x0, ttl 63, id 7, offset 0, flags [DF], proto UDP (17), length 76)\n    \
                    192.0.2.1.123 > 198.51.100.2.123: NTPv4, Client, length 48\n\
                    09:25:13.123456 IP 192.0.2.1.4 > 198.51.100.2.53: 1+ A? example.org. (29)\n\
                    09:25:13.123456 IP 192.0.2.1.123 > 198.51.100.2.123: UDP, length 48\n\
                    09:25:13.123456 IP 192.0.2.1.123 > 198.51.100.2.123: NTPv4, Cli\n\
                    ^C5 packets captured\n7 packets dropped by kernel\n";
        let (rows, rejects, forms) = read(text);
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert!(rows[0].ends_with("destination_port=123 length=48"));
        assert_eq!(rows[1], "gauge subject=tcpdump name=dropped_packets value=7");
        assert_eq!(rejects, ["line 9: an NTP packet of no mode that tcpdump knows"]);
        assert_eq!(forms, ["tcpdump"]);
    }
}
