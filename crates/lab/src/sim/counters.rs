//! What a server prints when it is asked for its counters, and its configuration.

use super::daemon::System;
use super::make::Family;
use super::server::{Server, stamp};
use ntpscope_core::time::{SECOND, Time};
use std::fmt::Write;

/// Queries of its own that a look makes: sysstats, iostats, rv, mrulist.
const QUERIES: u64 = 4;

impl Server {
    /// What somebody sees who looks at true `now`, its clock showing `clock`: `system` where no client tells its state.
    pub fn look(&mut self, now: i64, clock: Time, system: Option<&System>) -> String {
        match self.make.family {
            Family::Chrony => self.look_with_chronyc(now, clock, system),
            Family::Openntpd => "$ ntpctl -s status\n0/0 peers valid, clock unsynced\n".into(),
            Family::Classic | Family::Ntpsec => {
                // Mode 6 from the host itself is counted like all else.
                self.counts.received += QUERIES;
                self.counts.sent += QUERIES;
                let mut text = if self.make.speaks_mode_7() { self.sysstats_of_ntpdc(now) } else { self.sysstats(now) };
                if let Some(system) = system {
                    text.push_str(&self.variables(clock, system));
                }
                text.push_str(&if self.make.speaks_mode_7() { self.monlist(now) } else { self.mrulist(now) });
                text
            }
        }
    }

    fn age(&self, now: i64) -> i64 {
        // While it is restarted somebody may look before it is there again.
        (now - self.since).max(0) / SECOND
    }

    fn sysstats(&self, now: i64) -> String {
        let (age, counts) = (self.age(now), &self.counts);
        let mut text = String::from("$ ntpq -n -c sysstats 127.0.0.1\n");
        let is_ntpsec = self.make.family == Family::Ntpsec;
        let clock =
            if is_ntpsec { format!("{:02}:{:02}:{:02}", age / 3600, age / 60 % 60, age % 60) } else { age.to_string() };
        let line = |text: &mut String, label: &str, value: &str| {
            let label = format!("{label}:");
            let _ =
                if is_ntpsec { writeln!(text, "{label:<23}{value:>13}") } else { writeln!(text, "{label:<24}{value}") };
        };
        line(&mut text, "uptime", &clock);
        line(&mut text, "sysstats reset", &clock);
        for (label, value) in [
            ("packets received", counts.received),
            ("current version", counts.current),
            ("older version", counts.older),
            ("bad length or format", counts.bad_format),
            ("authentication failed", 0),
            ("declined", counts.declined),
            ("restricted", counts.restricted),
            ("rate limited", counts.limited),
            ("KoD responses", counts.kisses),
            ("processed for time", 0),
        ] {
            line(&mut text, label, &value.to_string());
        }
        text.push_str("\n$ ntpq -n -c iostats 127.0.0.1\n");
        line(&mut text, "time since reset", &clock);
        for (label, value) in [
            ("receive buffers", 10),
            ("free receive buffers", 9),
            ("used receive buffers", 0),
            ("low water refills", 1),
            ("dropped packets", 0),
            ("ignored packets", 0),
            ("received packets", counts.received + 1),
            ("packets sent", counts.sent),
            ("packet send failures", 0),
            ("input wakeups", counts.received + 1),
            ("useful input wakeups", counts.received + 1),
        ] {
            line(&mut text, label, &value.to_string());
        }
        text.push('\n');
        text
    }

    /// ntpd up to 4.2.6 tells its counters only by mode 7.
    fn sysstats_of_ntpdc(&self, now: i64) -> String {
        let (age, counts) = (self.age(now) as u64, &self.counts);
        let mut text = String::from("$ ntpdc -n -c sysstats 127.0.0.1\n");
        for (label, value) in [
            ("time since restart", age),
            ("time since reset", age),
            ("packets received", counts.received),
            ("packets processed", 0),
            ("current version", counts.current),
            ("previous version", counts.older),
            ("declined", counts.declined),
            ("access denied", counts.restricted),
            ("bad length or format", counts.bad_format),
            ("bad authentication", 0),
            ("rate exceeded", counts.limited),
        ] {
            let label = format!("{label}:");
            let _ = writeln!(text, "{label:<24}{value}");
        }
        text.push_str("\n$ ntpdc -n -c iostats 127.0.0.1\n");
        for (label, value) in [
            ("time since reset", age),
            ("receive buffers", 10),
            ("free receive buffers", 9),
            ("used receive buffers", 0),
            ("low water refills", 1),
            ("dropped packets", 0),
            ("ignored packets", 0),
            ("received packets", counts.received),
            ("packets sent", counts.sent),
            ("packets not sent", 0),
            ("interrupts handled", counts.received),
            ("received by int", counts.received),
        ] {
            let label = format!("{label}:");
            let _ = writeln!(text, "{label:<24}{value}");
        }
        text.push('\n');
        text
    }

    /// `rv` of a server that has no sources but its reference clock.
    fn variables(&self, clock: Time, system: &System) -> String {
        let synchronised = system.leap != 3;
        let (leap, source) = if synchronised { ("none", "uhf_radio") } else { ("alarm", "unspec") };
        let word = if synchronised { 0x0415 } else { 0xc016 };
        let event = if synchronised { "clock_sync" } else { "restart" };
        let comma = |refid: &[u8; 4]| match (system.stratum, std::str::from_utf8(refid)) {
            (0 | 1 | 16, Ok(letters)) => letters.trim_end_matches('\0').to_owned(),
            _ => refid.map(|byte| byte.to_string()).join("."),
        };
        let hex = |time: Time| {
            let stamp = stamp(time);
            let date = jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
            format!("{:08x}.{:08x}  {}", stamp >> 32, stamp & 0xffff_ffff, date.strftime("%a, %b %e %Y %k:%M:%S%.3f"))
        };
        format!(
            "$ ntpq -n -c rv 127.0.0.1\n\
             associd=0 status={word:04x} leap_{leap}, sync_{source}, 1 event, {event},\n\
             version=\"{}\",\nprocessor=\"x86_64\", system=\"Linux/6.18.44\", leap={:02b}, stratum={},\n\
             precision={}, rootdelay={:.3}, rootdisp={:.3}, refid={},\nreftime={},\nclock={}, peer=0, tc=4,\n\
             mintc=3, offset=0.000000, frequency=0.000, sys_jitter=0.000000,\nclk_jitter=0.000, clk_wander=0.000\n\n",
            self.make.variable(),
            system.leap,
            system.stratum,
            system.precision,
            system.root_delay_s * 1e3,
            system.root_dispersion_s * 1e3,
            comma(&system.refid),
            hex(system.reference),
            hex(clock),
        )
    }

    /// `ntpq -c mrulist`: the latest last. What is dropped for its port never gets here.
    fn mrulist(&self, now: i64) -> String {
        let mut text = String::from(
            "$ ntpq -n -c mrulist 127.0.0.1\nCtrl-C will stop MRU retrieval and display partial results.\n",
        );
        let is_ntpsec = self.make.family == Family::Ntpsec;
        if is_ntpsec {
            text.push_str(" lstint avgint rstr r m v  count    score   drop rport remote address\n");
            let _ = writeln!(text, "{}", "=".repeat(69));
        } else {
            let _ = writeln!(text, "\nRetrieved {} unique MRU entries and 0 updates.", self.clients.len());
            text.push_str("lstint avgint rstr r m v  count rport remote address\n");
            let _ = writeln!(text, "{}", "=".repeat(78));
        }
        let mut clients: Vec<_> = self.clients.iter().collect();
        clients.sort_by_key(|(_, client)| client.seen.1);
        for (address, client) in clients {
            let last = (now - client.seen.1) / SECOND;
            let average = (client.seen.1 - client.seen.0) as f64 / SECOND as f64 / client.count.max(2) as f64;
            let (restricted, mark) = match (self.said.limit, client.limited) {
                (Some(_), true) => ("20", if self.said.kod { 'K' } else { 'L' }),
                _ => ("0", '.'),
            };
            let (port, mode, version) = client.last;
            let (count, dropped) = (client.count, client.dropped);
            let _ = if is_ntpsec {
                writeln!(
                    text,
                    "{last:6} {average:6.2} {restricted:>4} {mark} {mode} {version} {count:6} {:8.3} {dropped:6} {port:5} {address}",
                    0.05
                )
            } else {
                writeln!(
                    text,
                    "{last:6} {average:6.0} {restricted:>4} {mark} {mode} {version} {count:6} {port:5} {address}"
                )
            };
        }
        if is_ntpsec {
            let _ = writeln!(text, "# Collected {} slots in 0.006 seconds", self.clients.len());
            let _ = writeln!(text, "# Processed {} slots in 0.006 seconds", self.clients.len());
        }
        text
    }

    /// `ntpdc -c monlist`, its counterpart up to 4.2.6.
    fn monlist(&self, now: i64) -> String {
        let mut text = String::from(
            "$ ntpdc -n -c monlist 127.0.0.1\n\
             remote address          port local address      count m ver rstr avgint  lstint\n",
        );
        let _ = writeln!(text, "{}", "=".repeat(79));
        let mut clients: Vec<_> = self.clients.iter().collect();
        clients.sort_by_key(|(_, client)| -client.seen.1);
        for (address, client) in clients {
            let last = (now - client.seen.1) / SECOND;
            let average = (client.seen.1 - client.seen.0) / SECOND / client.count.max(2) as i64;
            let restricted = if client.limited { "1d0" } else { "0" };
            let (port, mode, version) = client.last;
            let _ = writeln!(
                text,
                "{:<22} {port:5} {:<15} {:8} {mode} {version} {restricted:>6} {average:6} {last:7}",
                address.to_string(),
                "0.0.0.0",
                client.count
            );
        }
        text
    }

    fn look_with_chronyc(&self, now: i64, clock: Time, system: Option<&System>) -> String {
        let mut text = String::new();
        if let Some(system) = system {
            let date =
                jiff::Timestamp::from_nanosecond(i128::from(system.reference.0.min(clock.0))).unwrap_or_default();
            let name = String::from_utf8_lossy(&system.refid).trim_end_matches('\0').to_owned();
            let leap = if system.leap == 3 { "Not synchronised" } else { "Normal" };
            let _ = writeln!(
                text,
                "# chronyc -n tracking\nReference ID    : {:08X} ({name})\nStratum         : {}\n\
                 Ref time (UTC)  : {}\nSystem time     : 0.000000000 seconds fast of NTP time\n\
                 Last offset     : +0.000000000 seconds\nRMS offset      : 0.000000000 seconds\n\
                 Frequency       : 0.000 ppm slow\nResidual freq   : +0.000 ppm\nSkew            : 0.001 ppm\n\
                 Root delay      : {:.9} seconds\nRoot dispersion : {:.9} seconds\n\
                 Update interval : 16.0 seconds\nLeap status     : {leap}\n",
                u32::from_be_bytes(system.refid),
                system.stratum,
                date.strftime("%a %b %e %H:%M:%S %Y"),
                system.root_delay_s,
                system.root_dispersion_s,
            );
        }
        let counts = &self.counts;
        text.push_str("# chronyc -n serverstats\n");
        for (label, value) in [
            ("NTP packets received", counts.received),
            ("NTP packets dropped", counts.limited),
            ("Command packets received", 0),
            ("Command packets dropped", 0),
            ("Client log records dropped", 0),
            ("NTS-KE connections accepted", 0),
            ("NTS-KE connections dropped", 0),
            ("Authenticated NTP packets", 0),
            ("Interleaved NTP packets", 0),
            ("NTP timestamps held", 0),
            ("NTP timestamp span", 0),
        ] {
            let _ = writeln!(text, "{label:<27}: {value}");
        }
        text.push_str(
            "\n# chronyc -n clients\n\
             Hostname                      NTP   Drop Int IntL Last     Cmd   Drop Int  Last\n",
        );
        let _ = writeln!(text, "{}", "=".repeat(79));
        for (address, client) in &self.clients {
            let average = (client.seen.1 - client.seen.0) as f64 / SECOND as f64 / (client.count.max(2) - 1) as f64;
            let _ = writeln!(
                text,
                "{:<25} {:7} {:6} {:3}   - {:5}       0      0   -     -",
                address.to_string(),
                client.count,
                client.dropped,
                average.max(1.0).log2().round() as i64,
                (now - client.seen.1) / SECOND
            );
        }
        text
    }
}
