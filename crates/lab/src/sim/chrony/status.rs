//! What `chronyc -n` prints of it.

use crate::sim::chrony::Chronyd;
use crate::sim::chrony::logs::{hexadecimal, stamp};
use crate::sim::chrony::source::{Answer, Source, State};
use crate::sim::daemon::Now;
use ntpscope_core::time::Time;
use std::fmt::Write;

/// How `chronyc` writes a time.
const DATE: &str = "%a %b %d %H:%M:%S %Y";

impl Chronyd {
    /// `sources`, `sourcestats`, `ntpdata`, `tracking`, `activity`.
    pub(super) fn status_text(&self, now: Now) -> String {
        let asked: Vec<&Source> = self.sources.iter().filter(|source| source.said.mode != 5).collect();
        let mut text = String::from(
            "# chronyc -n sources\nMS Name/IP address         Stratum Poll Reach LastRx Last sample               \n",
        );
        let _ = writeln!(text, "{}", "=".repeat(79));
        for source in &asked {
            text.push_str(&row_of_sources(source, now.monotonic_s));
        }
        text.push_str("\n# chronyc -n sourcestats\n");
        text.push_str("Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev\n");
        let _ = writeln!(text, "{}", "=".repeat(78));
        for source in &asked {
            text.push_str(&row_of_sourcestats(source, now.monotonic_s));
        }
        text.push_str("\n# chronyc -n ntpdata\n");
        for source in &asked {
            text.push_str(&ntpdata(source));
        }
        text.push_str("\n# chronyc -n tracking\n");
        text.push_str(&self.tracking(now));
        let bursts = asked.iter().filter(|source| source.bursts()).count();
        let _ = write!(
            text,
            "\n# chronyc -n activity\n200 OK\n{} sources online\n0 sources offline\n\
             {bursts} sources doing burst (return to online)\n0 sources doing burst (return to offline)\n\
             0 sources with unknown address\n",
            asked.len() - bursts,
        );
        text
    }

    fn tracking(&self, now: Now) -> String {
        let reference = &self.reference;
        let left_s = self.correction.left_s(now.monotonic_s);
        let known = reference.address.is_some();
        let name = reference
            .address
            .map_or_else(|| "00000000 ()".to_owned(), |address| format!("{} ({address})", hexadecimal(address)));
        let way = |fast: bool| if fast { "fast" } else { "slow" };
        let ppm = self.correction.frequency_ppm;
        let lines = [
            ("Reference ID", name),
            ("Stratum", reference.stratum.to_string()),
            ("Ref time (UTC)", stamp(reference.set, DATE)),
            ("System time", format!("{:.9} seconds {} of NTP time", left_s.abs(), way(left_s <= 0.0))),
            ("Last offset", format!("{:+.9} seconds", reference.offset_s)),
            ("RMS offset", format!("{:.9} seconds", reference.mean_square.sqrt())),
            ("Frequency", format!("{:.3} ppm {}", ppm.abs(), way(ppm > 0.0))),
            ("Residual freq", format!("{:+.3} ppm", reference.residual * 1e6)),
            ("Skew", format!("{:.3} ppm", if known { reference.skew * 1e6 } else { 0.0 })),
            ("Root delay", format!("{:.9} seconds", reference.root_delay_s)),
            ("Root dispersion", format!("{:.9} seconds", reference.dispersion_s(now.monotonic_s))),
            ("Update interval", format!("{:.1} seconds", reference.interval_s)),
            ("Leap status", leap_text(reference.leap).to_owned()),
        ];
        table(&lines)
    }
}

fn row_of_sources(source: &Source, now_s: f64) -> String {
    let kind = if source.said.mode == 1 { '=' } else { '^' };
    let stratum = source.answer.map_or(0, |answer| answer.packet.stratum);
    let (mut last, mut adjusted_s, mut error_s) = ("-".to_owned(), 0.0, 0.0);
    if let Some(sample) = source.samples.last() {
        last = interval(now_s - sample.at_s);
        adjusted_s = sample.offset_s;
        error_s = sample.root_dispersion_s + sample.root_delay_s / 2.0;
    }
    format!(
        "{kind}{} {:<27}  {stratum:2}  {:2}   {:3o}  {last:>4}  {}[{}] +/- {}\n",
        if source.samples.last().is_none() { State::Unknown.letter() } else { source.state.letter() },
        source.said.server.to_string(),
        source.poll,
        source.reach,
        nanoseconds(adjusted_s, true),
        nanoseconds(if last == "-" { 0.0 } else { source.measured_s }, true),
        nanoseconds(error_s, false),
    )
}

fn row_of_sourcestats(source: &Source, now_s: f64) -> String {
    let samples = &source.samples;
    format!(
        "{:<25} {:3} {:3}  {:>4} {:+10.3} {:10.3}  {}  {}\n",
        source.said.server.to_string(),
        samples.count(),
        samples.line().map_or(0, |line| line.runs),
        interval(samples.span_s()),
        samples.frequency() * 1e6,
        samples.skew() * 1e6,
        nanoseconds(samples.line().map_or(0.0, |_| samples.predict(now_s)), true),
        nanoseconds(samples.deviation_s(), false),
    )
}

fn ntpdata(source: &Source) -> String {
    let unspecified = Answer::default();
    let answer = source.answer.as_ref().unwrap_or(&unspecified);
    let packet = &answer.packet;
    let heard = source.answer.is_some();
    let modes = ["Invalid", "Symmetric active", "Symmetric passive", "Client", "Server"];
    let local = source
        .local
        .map_or_else(|| "[UNSPEC] (00000000)".to_owned(), |local| format!("{local} ({})", hexadecimal(local)));
    let letters: String = packet
        .refid
        .iter()
        .filter(|byte| packet.stratum < 2 && byte.is_ascii_graphic())
        .map(|b| char::from(*b))
        .collect();
    let server = source.said.server;
    let reference = ntpscope_core::time::ntp_decimal(packet.reference);
    let since = if packet.reference == 0 {
        0
    } else {
        (reference.0 as i64 - ntpscope_core::time::NTP_TO_UNIX) * ntpscope_core::time::SECOND
    };
    let power = |log: i8| 2_f64.powi(i32::from(log));
    let stamps = if heard { "Kernel" } else { "Invalid" }.to_owned();
    let seconds = |value: f64| format!("{value:.6} seconds");
    let [sent, received, valid, good] = source.counts.map(|count| count.to_string());
    let lines = [
        ("Remote address", format!("{server} ({})", hexadecimal(server))),
        ("Remote port", "123".to_owned()),
        ("Local address", local),
        ("Leap status", leap_text(packet.leap).to_owned()),
        ("Version", packet.version.to_string()),
        ("Mode", (*modes.get(usize::from(packet.mode)).unwrap_or(&"Invalid")).to_owned()),
        ("Stratum", packet.stratum.to_string()),
        ("Poll interval", format!("{} ({:.0} seconds)", packet.poll, power(packet.poll))),
        ("Precision", format!("{} ({:.9} seconds)", packet.precision, power(packet.precision))),
        ("Root delay", seconds(packet.root_delay_s)),
        ("Root dispersion", seconds(packet.root_dispersion_s)),
        ("Reference ID", format!("{:08X} ({letters})", u32::from_be_bytes(packet.refid))),
        ("Reference time", stamp(Time(since), DATE)),
        ("Offset", format!("{:+.9} seconds", answer.offset_s)),
        ("Peer delay", format!("{:.9} seconds", answer.delay_s)),
        ("Peer dispersion", format!("{:.9} seconds", answer.dispersion_s)),
        ("Response time", format!("{:.9} seconds", answer.response_s)),
        ("Jitter asymmetry", format!("{:+.2}", source.samples.asymmetry.share())),
        ("NTP tests", answer.tests.text()),
        ("Interleaved", "No".to_owned()),
        ("Authenticated", "No".to_owned()),
        ("TX timestamping", stamps.clone()),
        ("RX timestamping", stamps),
        ("Total TX", sent),
        ("Total RX", received),
        ("Total valid RX", valid),
        ("Total good RX", good),
    ];
    format!("\n{}", table(&lines))
}

fn table(lines: &[(&str, String)]) -> String {
    lines.iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<16}: {value}\n"))
}

fn leap_text(leap: u8) -> &'static str {
    ["Normal", "Insert second", "Delete second", "Not synchronised"][usize::from(leap & 3)]
}

/// Seconds, minutes, hours or days.
fn interval(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        0..1200 => format!("{seconds}"),
        1200..36_000 => format!("{}m", seconds / 60),
        36_000..345_600 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time with the unit that suits it, in six columns, or seven with a sign.
fn nanoseconds(seconds: f64, signed: bool) -> String {
    let units = [("ns", 1e9), ("us", 1e6), ("ms", 1e3)];
    let small = units.iter().find(|(_, scale)| (seconds * scale).abs() < 9999.5);
    let (number, unit) = match small {
        Some((unit, scale)) => ((seconds * scale, 0), *unit),
        None if seconds.abs() < 999.5 => ((seconds, 1), "s"),
        None => ((seconds, 0), "s"),
    };
    let (value, decimals) = number;
    let width = 6 - unit.len();
    if signed {
        format!("{value:+width$.decimals$}{unit}", width = width + 1)
    } else {
        format!("{value:width$.decimals$}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let signed = [3.289e-6, 0.0, -23e-6, 0.0021, 12.34, -1234.0].map(|s| nanoseconds(s, true));
        assert_eq!(signed, ["+3289ns", "   +0ns", "  -23us", "+2100us", " +12.3s", " -1234s"]);
        assert_eq!([0.948, 0.0].map(|s| nanoseconds(s, false)), [" 948ms", "   0ns"]);
        assert_eq!([4.4, 1800.0, 86_400.0, 864_000.0].map(interval), ["4", "30m", "24h", "10d"]);
    }

    /// Rows of `a01_healthy_routed` and `a12_firewall_source_port`.
    #[test]
    fn rows_are_as_chronyc_prints_them() {
        let said: crate::world::Source = toml::from_str("server = '10.2.0.2'\nminpoll = 2").expect("a source");
        let source = Source::new(&said);
        let expected = "^? 10.2.0.2                      0   2     0     -     +0ns[   +0ns] +/-    0ns\n";
        assert_eq!(row_of_sources(&source, 0.0), expected);
        let expected = "10.2.0.2                    0   0     0     +0.000   2000.000     +0ns  4000ms\n";
        assert_eq!(row_of_sourcestats(&source, 0.0), expected);
        assert!(ntpdata(&source).contains("Precision       : 0 (1.000000000 seconds)\n"));
    }
}
