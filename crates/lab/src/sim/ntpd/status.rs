//! What `ntpq` shows of it.

use crate::sim::daemon::Now;
use crate::sim::ntpd::discipline::State;
use crate::sim::ntpd::peer::{Mode, Peer};
use crate::sim::ntpd::statistics::{refid_text, stamp};
use crate::sim::ntpd::version::Family;
use crate::sim::ntpd::{Ntpd, PRECISION};
use crate::sim::packet::ntp;
use ntpscope_core::time::{NTP_TO_UNIX, SECOND, Time, ntp_decimal};
use std::fmt::Write;

/// `ntpq` breaks lines at this width.
const WIDTH: usize = 78;
/// Tally codes by selection.
const TALLY: [char; 8] = [' ', 'x', '.', '-', '+', '#', '*', 'o'];
/// And as `as` says them.
const CONDITION: [&str; 8] =
    ["reject", "falsetick", "excess", "outlier", "candidate", "backup", "sys.peer", "pps.peer"];
/// Events of associations.
const EVENTS: [&str; 14] = [
    "",
    "mobilize",
    "demobilize",
    "unreachable",
    "reachable",
    "restart",
    "no_reply",
    "rate_exceeded",
    "access_denied",
    "leap_armed",
    "sys_peer",
    "clock_event",
    "bad_auth",
    "popcorn",
];
/// Events of the system.
const SYSTEM_EVENTS: [&str; 14] = [
    "unspecified",
    "freq_not_set",
    "freq_set",
    "spike_detect",
    "freq_mode",
    "clock_sync",
    "restart",
    "panic_stop",
    "no_system_peer",
    "leap_armed",
    "leap_disarmed",
    "leap_event",
    "clock_step",
    "kern",
];
/// Words of the bits of `flash`.
const FLASH: [&str; 13] = [
    "pkt_dup",
    "pkt_bogus",
    "pkt_unsync",
    "pkt_denied",
    "pkt_auth",
    "pkt_stratum",
    "pkt_header",
    "pkt_autokey",
    "pkt_crypto",
    "peer_stratum",
    "peer_dist",
    "peer_loop",
    "peer_unreach",
];

impl Ntpd {
    /// Billboard, associations, system variables, and the variables of each association.
    pub(super) fn status_text(&self, now: Now) -> String {
        let mut text = String::from("$ ntpq -pn 127.0.0.1\n");
        self.billboard(&mut text, now.clock);
        text.push_str("\n$ ntpq -n -c as -c rv 127.0.0.1\n");
        self.associations(&mut text);
        self.system_variables(&mut text, now);
        for (count, peer) in self.peers.iter().enumerate() {
            let _ = write!(text, "\n$ ntpq -n -c \"rv &{}\" 127.0.0.1\n", count + 1);
            self.peer_variables(&mut text, peer, self.second(now));
        }
        text
    }

    fn billboard(&self, text: &mut String, clock: Time) {
        let sec = self.version.family == Family::Sec;
        let gap = if sec { " " } else { "" };
        let _ = writeln!(text, "     remote           refid      st t when poll reach   delay   offset{gap}  jitter");
        let _ = writeln!(text, "{}", "=".repeat(if sec { 79 } else { 78 }));
        for peer in &self.peers {
            let tally = TALLY[usize::from(peer.status & 7)];
            let kind = match peer.mode {
                Mode::Client | Mode::Volley => 'u',
                Mode::Symmetric => 's',
                Mode::Listens => 'b',
            };
            let when = peer.received.map_or("-".to_owned(), |at| interval(clock.since_s(at) as i64));
            let poll = interval(1_i64 << peer.ppoll.min(peer.hpoll).clamp(0, 17));
            let (delay, offset, jitter) = (peer.delay_s * 1e3, peer.offset_s * 1e3, peer.jitter_s * 1e3);
            let (address, refid) = (peer.address.to_string(), refid_text(peer.refid, peer.stratum));
            let _ = write!(text, "{tally}{address:15.15} {refid:15.15} {:2} {kind} {when:>4} {poll:>4}", peer.stratum);
            let decimals = if sec { 4 } else { 3 };
            let shown = [delay, offset, jitter].map(|ms| format!("{ms:.decimals$}"));
            let [delay, offset, jitter] = shown;
            let _ = writeln!(text, "  {:3o}  {delay:>7.7} {offset:>8.8}{gap} {jitter:>7.7}", peer.reach);
        }
    }

    fn associations(&self, text: &mut String) {
        text.push_str("\nind assid status  conf reach auth condition  last_event cnt\n");
        let _ = writeln!(text, "{}", "=".repeat(59));
        for (count, peer) in self.peers.iter().enumerate() {
            let yes = |set: bool| if set { "yes" } else { "no" };
            let status = peer.status_word(self.version.family);
            let (event, times) = peer.event;
            let _ = writeln!(
                text,
                "{:3} {:5}  {status:04x} {:>5} {:>5}  none {:>9} {:>11} {times:2}",
                count + 1,
                peer.association,
                yes(peer.configured),
                yes(peer.reach != 0),
                CONDITION[usize::from(peer.status & 7)],
                EVENTS[usize::from(event).min(13)],
            );
        }
    }

    fn system_variables(&self, text: &mut String, now: Now) {
        let sec = self.version.family == Family::Sec;
        let shown = self.system_at(self.second(now));
        let d = &self.discipline;
        let leap = ["leap_none", "leap_add_sec", "leap_del_sec", "leap_alarm"][usize::from(shown.leap & 3)];
        let source = if self.system.peer.is_some() && !sec { "sync_ntp" } else { "sync_unspec" };
        let event = SYSTEM_EVENTS[usize::from(self.system.event).min(13)];
        let _ = writeln!(text, "associd=0 status={:04x} {leap}, {source}, 1 event, {event},", self.system_word());
        let refid = refid_text(shown.refid, shown.stratum);
        let peer = self.system.peer.map_or(0, |index| self.peers[index].association);
        let poll = self.config.asks.iter().map(|source| source.minpoll).min().unwrap_or(3);
        let offset = if d.state == State::Nset { 0.0 } else { self.system.offset_s * 1e3 };
        let variables = [
            format!("version=\"{}\"", self.version.banner()),
            "processor=\"x86_64\"".to_owned(),
            "system=\"Linux/6.1.0\"".to_owned(),
            format!("leap={:02b}", shown.leap),
            format!("stratum={}", shown.stratum),
            format!("precision={PRECISION}"),
            format!("rootdelay={:.3}", shown.root_delay_s * 1e3),
            format!("rootdisp={:.3}", shown.root_dispersion_s * 1e3),
            format!("refid={}", refid.trim_matches('.')),
            format!("reftime={}", self.date(self.system.reference, shown.reference)),
            format!("clock={}", self.date(ntp(now.clock), now.clock)),
            format!("peer={peer}"),
            format!("tc={}", d.poll),
            format!("mintc={}", if sec { 0 } else { poll.min(3) }),
            format!("offset={offset:.6}"),
            format!("frequency={:.3}", d.frequency_ppm),
            format!("sys_jitter={:.6}", self.system.jitter_s * 1e3),
            format!("clk_jitter={:.3}", d.jitter_s * 1e3),
            format!("clk_wander={:.3}", d.wander_ppm),
        ];
        // NTPsec tells them in another order, and its ntpq drops noughts.
        let sec_order = [3, 4, 5, 6, 7, 8, 9, 12, 11, 14, 15, 16, 17, 10, 1, 2, 0, 18, 13];
        match sec {
            true => wrap(text, &sec_order.map(|n| short(&variables[n]))),
            false => wrap(text, &variables),
        }
    }

    fn peer_variables(&self, text: &mut String, peer: &Peer, seconds: i64) {
        let status = peer.status_word(self.version.family);
        let bits = [(0x8000, "conf"), (0x2000, "auth"), (0x1000, "reach")];
        let mut words: Vec<&str> = bits.iter().filter_map(|(bit, word)| (status & bit != 0).then_some(*word)).collect();
        let condition = format!("sel_{}", CONDITION[usize::from(peer.status & 7)]);
        words.push(&condition);
        let (event, times) = peer.event;
        let many = if times == 1 { "" } else { "s" };
        let (words, event) = (words.join(", "), EVENTS[usize::from(event).min(13)]);
        let associd = peer.association;
        let _ = writeln!(text, "associd={associd} status={status:04x} {words}, {times} event{many}, {event},");
        let flash: Vec<&str> =
            FLASH.iter().enumerate().filter_map(|(bit, word)| (peer.flash >> bit & 1 == 1).then_some(*word)).collect();
        let flash = if flash.is_empty() { "ok".to_owned() } else { flash.join(", ") };
        let received = peer.received;
        let three = |values: &dyn Fn(usize) -> f64, decimals: usize| {
            (0..8).map(|n| format!(" {:>7.7}", format!("{:.decimals$}", values(n)))).collect::<String>()
        };
        let variables = [
            format!("srcadr={}", peer.address),
            "srcport=123".to_owned(),
            format!("dstadr={}", peer.local),
            "dstport=123".to_owned(),
            format!("leap={:02b}", peer.leap),
            format!("stratum={}", peer.stratum),
            format!("precision={}", peer.precision),
            format!("rootdelay={:.3}", peer.root_delay_s * 1e3),
            format!("rootdisp={:.3}", peer.root_dispersion_s * 1e3),
            format!("refid={}", refid_text(peer.refid, peer.stratum).trim_matches('.')),
            format!("reftime={}", self.date(peer.reference, time_of(peer.reference))),
            format!("rec={}", self.date(received.map_or(0, ntp), received.unwrap_or(time_of(0)))),
            format!("reach={:03o}", peer.reach),
            format!("unreach={}", peer.unreach),
            format!("hmode={}", if peer.mode == Mode::Symmetric { 1 } else { 3 }),
            format!("pmode={}", peer.server_mode),
            format!("hpoll={}", peer.hpoll),
            format!("ppoll={}", peer.ppoll),
            format!("headway={}", (peer.throttle - (seconds - peer.throttled)).max(0)),
            format!("flash={:02x} {flash}", peer.flash),
            "keyid=0".to_owned(),
            format!("offset={:.3}", peer.offset_s * 1e3),
            format!("delay={:.3}", peer.delay_s * 1e3),
            format!("dispersion={:.3}", peer.dispersion_s * 1e3),
            format!("jitter={:.3}", peer.jitter_s * 1e3),
            "xleave=0.030".to_owned(),
        ];
        // NTPsec tells them in another order, knows no interleaved mode, and its ntpq drops noughts.
        let sec_order = [0, 1, 2, 3, 4, 14, 5, 17, 16, 6, 7, 8, 9, 10, 11, 12, 13, 22, 21, 24, 23, 20, 15, 19, 18];
        match self.version.family {
            Family::Sec => wrap(text, &sec_order.map(|n| short(&variables[n]))),
            Family::Old | Family::New => wrap(text, &variables),
        }
        text.truncate(text.trim_end().len());
        let _ = write!(text, ",\nfiltdelay= {},", three(&|n| peer.samples[n].delay_s * 1e3, 2));
        let _ = write!(text, "\nfiltoffset={},", three(&|n| peer.samples[n].offset_s * 1e3, 2));
        let _ = writeln!(text, "\nfiltdisp=  {}", three(&|n| peer.samples[n].dispersion_s * 1e3, 2));
    }

    /// A timestamp in hexadecimal and as a date; zero is the era's begin.
    fn date(&self, stamp_: u64, time: Time) -> String {
        let (high, low) = (stamp_ >> 32, stamp_ & 0xffff_ffff);
        if self.version.family == Family::Sec {
            return format!("{high:08x}.{low:08x} {}", stamp(time, "%Y-%m-%dT%H:%M:%S.%3fZ"));
        }
        if stamp_ == 0 {
            return "00000000.00000000  Thu, Feb  7 2036  6:28:16.000".to_owned();
        }
        format!("{high:08x}.{low:08x}  {}", stamp(time, "%a, %b %e %Y %k:%M:%S.%3f"))
    }
}

/// Seconds as `ntpq` shortens them (`prettyinterval`).
fn interval(seconds: i64) -> String {
    match seconds {
        ..=0 => "-".to_owned(),
        1..=2048 => seconds.to_string(),
        2049..=18_029 => format!("{}m", (seconds + 29) / 60),
        18_030..=347_399 => format!("{}h", (seconds + 1799) / 3600),
        _ => format!("{}d", (seconds + 43_199) / 86_400),
    }
}

/// A time that a timestamp says.
fn time_of(stamp: u64) -> Time {
    let (second, ns) = ntp_decimal(stamp);
    Time((second as i64 - NTP_TO_UNIX) * SECOND + ns as i64)
}

/// A number of milliseconds as Python prints it: without noughts at its end.
fn short(variable: &str) -> String {
    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
    let is_number = value.contains('.') && value.parse::<f64>().is_ok();
    let trimmed = value.trim_end_matches('0');
    match (is_number, trimmed.ends_with('.')) {
        (true, true) => format!("{name}={trimmed}0"),
        (true, false) => format!("{name}={trimmed}"),
        (false, _) => variable.to_owned(),
    }
}

/// Joins variables with commas, in lines that `ntpq` would make.
fn wrap(text: &mut String, variables: &[String]) {
    let mut width = 0;
    for (count, variable) in variables.iter().enumerate() {
        let last = count + 1 == variables.len();
        let length = variable.len() + usize::from(!last);
        if width > 0 && width + 1 + length > WIDTH {
            text.push('\n');
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(variable);
        if !last {
            text.push(',');
        }
        width += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_shortened() {
        assert_eq!(
            ["rootdelay=0.100", "offset=0.000000", "refid=10.2.0.2", "tc=10"].map(short),
            ["rootdelay=0.1", "offset=0.0", "refid=10.2.0.2", "tc=10"]
        );
        assert_eq!([0, 64, 2048, 2100, 20_000, 400_000].map(interval), ["-", "64", "2048", "35m", "6h", "5d"]);
    }
}
