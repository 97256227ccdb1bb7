//! What chronyd writes: `measurements.log`, `statistics.log`, `tracking.log`, and its own log.

use crate::sim::chrony::reference::Row;
use crate::sim::chrony::{Call, Chronyd, reference_id};
use crate::sim::daemon::Act;
use jiff::tz::TimeZone;
use ntpscope_core::time::Time;

/// `logbanner`: a banner before every so many rows.
const BANNER: u32 = 32;
/// The logs, and the names of their columns.
const LOGS: [(&str, &str); 3] = [
    (
        "measurements.log",
        "   Date (UTC) Time     IP Address   L St 123 567 ABCD  LP RP Score    Offset  Peer del. Peer disp.  Root del. Root disp. \
         Refid     MTxRx",
    ),
    (
        "statistics.log",
        "   Date (UTC) Time     IP Address    Std dev'n Est offset  Offset sd  Diff freq   Est skew  Stress  Ns  Bs  Nr  Asym",
    ),
    (
        "tracking.log",
        "   Date (UTC) Time     IP Address   St   Freq ppm   Skew ppm     Offset L Co  Offset sd Rem. corr. Root delay Root disp. \
         Max. error",
    ),
];

impl Chronyd {
    fn row(&mut self, call: &mut Call<'_>, log: usize, row: &str) {
        let (file, columns) = LOGS[log];
        if self.rows[log].is_multiple_of(BANNER) {
            let rule = "=".repeat(columns.len());
            for line in [rule.clone(), columns.to_owned(), rule] {
                call.act(Act::Write { file, line });
            }
        }
        self.rows[log] += 1;
        let line = format!("{} {row}", stamp(self.corrected(call), "%Y-%m-%d %H:%M:%S"));
        call.act(Act::Write { file, line });
    }

    /// A row of `measurements.log`: the last answer of a source.
    pub(super) fn log_measurement(&mut self, call: &mut Call<'_>, index: usize) {
        let source = &self.sources[index];
        let Some(answer) = &source.answer else { return };
        let packet = &answer.packet;
        let values =
            [answer.offset_s, answer.delay_s, answer.dispersion_s, packet.root_delay_s, packet.root_dispersion_s];
        let row = format!(
            "{:<15} {} {:2} {}  {:2} {:2} {:4.2} {} {:08X} {}B K K",
            source.said.server.to_string(),
            leap_letter(packet.leap),
            packet.stratum,
            answer.tests.text(),
            source.poll,
            packet.poll,
            source.poll_score,
            values.map(scientific).join(" "),
            u32::from_be_bytes(packet.refid),
            packet.mode,
        );
        self.row(call, 0, &row);
    }

    /// A row of `statistics.log`: the line through a source's samples, where there is one.
    pub(super) fn log_statistics(&mut self, call: &mut Call<'_>, index: usize) {
        let source = &self.sources[index];
        let Some(line) = source.samples.line() else { return };
        let values = [line.deviation_s, line.offset_s, line.offset_sd_s, line.frequency, line.skew];
        let row = format!(
            "{:<15} {} {:>7} {:3} {:3} {:3} {:5.2}",
            source.said.server.to_string(),
            values.map(scientific).join(" "),
            exponent(source.samples.stress, 1),
            source.samples.before,
            line.start,
            line.runs,
            source.samples.asymmetry.share(),
        );
        self.row(call, 1, &row);
    }

    /// A row of `tracking.log`.
    pub(super) fn log_tracking(&mut self, call: &mut Call<'_>, row: &Row) {
        let reference = &self.reference;
        let address = reference.address.map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string());
        let values =
            [row.offset_sd_s, row.left_s, reference.root_delay_s, reference.dispersion_s(call.now_s), row.error_s];
        let text = format!(
            "{address:<15} {:2} {:10.3} {:10.3} {} {} {:2} {}",
            reference.stratum,
            self.correction.frequency_ppm,
            reference.skew * 1e6,
            scientific(row.offset_s),
            leap_letter(reference.leap),
            row.count,
            values.map(scientific).join(" "),
        );
        self.row(call, 2, &text);
    }

    /// The row of `tracking.log` that says that it is not synchronised.
    pub(super) fn log_unsynchronised(&mut self, call: &mut Call<'_>) {
        let error_s = self.reference.error_s(call.now_s);
        let left_s = self.correction.left_s(call.now_s);
        self.log_tracking(call, &Row { offset_s: 0.0, count: 0, offset_sd_s: 0.0, left_s, error_s });
    }

    /// A line of its log.
    pub(super) fn log(&self, call: &mut Call<'_>, text: &str) {
        let line = format!("{} {text}", stamp(call.clock, "%Y-%m-%dT%H:%M:%SZ"));
        call.act(Act::Write { file: "chronyd.log", line });
    }

    /// What it logs when it starts.
    pub(super) fn log_start(&mut self, call: &mut Call<'_>) {
        let features = "+CMDMON +NTP +REFCLOCK +RTC +PRIVDROP +SCFILTER +SIGND +ASYNCDNS +NTS +SECHASH +IPV6 -DEBUG";
        let text = format!("chronyd version {} starting ({features})", self.version);
        self.log(call, &text);
        if !self.config.may_set {
            self.log(call, "Disabled control of system clock");
        }
        let (ppm, skew_ppm) = (self.correction.frequency_ppm, self.reference.skew * 1e6);
        if ppm != 0.0 {
            let text = format!("Frequency {ppm:.3} +/- {skew_ppm:.3} ppm read from /var/lib/chrony/chrony.drift");
            self.log(call, &text);
        }
        self.log_unsynchronised(call);
    }
}

/// A leap indicator as the logs have it.
fn leap_letter(leap: u8) -> char {
    ['N', '+', '-', '?'][usize::from(leap & 3)]
}

/// `%10.3e`.
fn scientific(value: f64) -> String {
    format!("{:>10}", exponent(value, 3))
}

/// C's `%.*e`: the exponent has a sign and two digits.
fn exponent(value: f64, decimals: usize) -> String {
    // A zero has no sign here.
    let text = format!("{:.decimals$e}", value + 0.0);
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = power.strip_prefix('-').map_or(('+', power), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// A time in UTC.
pub fn stamp(time: Time, format: &str) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
    stamp.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// A reference id as `chronyc` shows an address.
pub fn hexadecimal(address: std::net::IpAddr) -> String {
    format!("{:08X}", u32::from_be_bytes(reference_id(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_writes_them() {
        assert_eq!([scientific(-0.001_971), scientific(0.0)], ["-1.971e-03", " 0.000e+00"]);
        assert_eq!((exponent(1100.0, 1), exponent(1.5, 3)), ("1.1e+03".into(), "1.500e+00".into()));
        assert_eq!(LOGS.map(|(_, columns)| columns.len()), [136, 116, 131]);
    }
}
