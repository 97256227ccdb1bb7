//! Rows in the formats of ntpd's statistics files, so that tools made for those can read what any daemon left.
//!
//! The formats are those of ntpd 4.2.8 (`ntpd/ntp_util.c`), or where a row knows less, of an older ntpd that had fewer
//! columns. A row that lacks what all of them need is not printed.

use crate::model::{Clock, Packet, Peer};
use crate::time::{Time, ntp_decimal};
use std::fmt::{Display, Write};
use std::net::{IpAddr, Ipv4Addr};

/// The first day that ntpd can print, in 1900, and the last of five digits.
const DAYS: std::ops::RangeInclusive<i64> = 15_020..=99_999;

/// A row's modified Julian day and the second of it, rounded to milliseconds as ntpd does.
fn stamp(time: Option<Time>) -> Option<impl Display> {
    let (day, ns) = time?.to_mjd();
    let ms = (ns + 500_000) / 1_000_000;
    DAYS.contains(&day).then_some(Stamp { day, ms })
}

struct Stamp {
    day: i64,
    ms: i64,
}

impl Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}.{:03}", self.day, self.ms / 1000, self.ms % 1000)
    }
}

/// Writes a clock as a line of `loopstats`, the time constant left away where there is none (chronyd has none); says
/// whether the row has what that needs.
pub fn loopstats(row: &Clock<'_>, out: &mut String) -> bool {
    loopstats_line(row).is_some_and(|line| writeln!(out, "{line}").is_ok())
}

fn loopstats_line(row: &Clock<'_>) -> Option<String> {
    let stamp = stamp(row.at.time)?;
    let (offset, frequency) = (row.offset_s?, row.frequency_ppm?);
    let (jitter, wander) = (row.jitter_s?, row.wander_ppm?);
    let constant = match row.poll_s {
        Some(poll) => format!(" {}", (0..=17).find(|log| poll == f64::from(1_u32 << log))?),
        None => String::new(),
    };
    // ntpd prints three decimals, NTPsec six.
    let decimals = if ((frequency * 1e3).round() / 1e3 - frequency).abs() < 0.5e-6 { 3 } else { 6 };
    Some(format!("{stamp} {offset:.9} {frequency:.decimals$} {jitter:.9} {wander:.6}{constant}"))
}

/// Writes a source as a line of `peerstats`, the jitter left away where there is none, as until ntpd 4.1; says whether
/// the row has what that needs.
pub fn peerstats(row: &Peer<'_>, out: &mut String) -> bool {
    peerstats_line(row).is_some_and(|line| writeln!(out, "{line}").is_ok())
}

fn peerstats_line(row: &Peer<'_>) -> Option<String> {
    let (stamp, status) = (stamp(row.at.time)?, row.status.or_else(|| reachable(row))?);
    let (offset, delay, dispersion) = (row.offset_s?, row.delay_s?, row.dispersion_s?);
    let jitter = row.jitter_s.map_or_else(String::new, |jitter| format!(" {jitter:.9}"));
    let source = Some(row.source).filter(|source| !source.is_empty() && !source.contains([' ', '\t', '\r', '\n']))?;
    Some(format!("{stamp} {source} {status:x} {offset:.9} {delay:.9} {dispersion:.9}{jitter}"))
}

/// The status of a source of chronyd, which has no such word: all that is known is that it answers, as a sample of it was
/// accepted. Whether it was selected is not.
fn reachable(row: &Peer<'_>) -> Option<u16> {
    const REACHABLE: u16 = 0x1000;
    (row.accepted == Some(true)).then_some(REACHABLE)
}

/// Writes a packet as a line of `rawstats`: of 17 columns, of 20 where the row has what NTPsec adds, or of the 8 that
/// ntpd 4.2.6 had where nothing but the timestamps is known. Says whether the row has what that needs.
pub fn rawstats(row: &Packet<'_>, out: &mut String) -> bool {
    rawstats_line(row).is_some_and(|line| writeln!(out, "{line}").is_ok())
}

fn rawstats_line(row: &Packet<'_>) -> Option<String> {
    let stamp = stamp(row.at.time)?;
    let (source, destination) = (End(row.source.0), End(row.destination.0));
    [row.originate, row.receive, row.transmit].iter().any(Option::is_some).then_some(())?;
    // What is unset is zero on the wire; what was sent has not arrived, and ntpd prints zero.
    let ntp = |stamp: Option<u64>| Ntp(stamp.unwrap_or(0));
    let (originate, receive) = (ntp(row.originate), ntp(row.receive));
    let (transmit, arrival) = (ntp(row.transmit), ntp(row.arrival));
    let header = if row.version.is_some() || row.mode.is_some() { header(row)? } else { String::new() };
    Some(format!("{stamp} {source} {destination} {originate} {receive} {transmit} {arrival}{header}"))
}

/// The columns behind the timestamps.
fn header(row: &Packet<'_>) -> Option<String> {
    let (leap, version, mode) = (row.leap?, row.version?, row.mode?);
    let (stratum, poll, precision) = (row.stratum?, row.poll? as u8, row.precision?);
    let (delay, dispersion) = (row.root_delay_s?, row.root_dispersion_s?);
    let refid = refid(row.refid, stratum)?;
    let ntpsec = match (row.lost, row.dropped, row.failed) {
        (Some(lost), Some(dropped), Some(failed)) => format!(" {lost} {dropped} {failed:x}"),
        _ => String::new(),
    };
    Some(format!(" {leap} {version} {mode} {stratum} {poll} {precision} {delay:.6} {dispersion:.6} {refid}{ntpsec}"))
}

/// An address, or a reference id's letters between points, however the row's daemon prints them.
fn refid(text: &str, stratum: u8) -> Option<String> {
    if text.parse::<Ipv4Addr>().is_ok() {
        return Some(text.to_owned());
    }
    if let Some(bits) = text.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
        return Some(Ipv4Addr::from_bits(bits).to_string());
    }
    // All zero: an address from stratum 2 on.
    if text.is_empty() && (2..16).contains(&stratum) {
        return Some(Ipv4Addr::UNSPECIFIED.to_string());
    }
    let letters = text.strip_prefix('.').and_then(|text| text.strip_suffix('.')).unwrap_or(text);
    (letters.chars().count() <= 4 && !letters.contains(['\r', '\n'])).then(|| format!(".{letters}."))
}

/// An address, or what ntpd prints where it does not know it.
struct End(Option<IpAddr>);

impl Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("-"),
        }
    }
}

/// A 64-bit NTP timestamp in decimal seconds of its era.
struct Ntp(u64);

impl Display for Ntp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (second, ns) = ntp_decimal(self.0);
        write!(f, "{second}.{ns:09}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, InputId, Origin, Place, Row};
    use crate::text::TextReader;
    use crate::time::ntp_stamp;
    use proptest::prelude::*;

    fn at(ms: i64) -> At<'static> {
        let origin = Origin { input: InputId(0), place: Place::Line(1) };
        At { time: Some(Time(ms * 1_000_000)), ..At::origin(origin) }
    }

    /// Reads a line and gives its only row to `check`.
    fn reread(line: &str, check: &mut dyn FnMut(Row<'_>)) {
        let mut reader = TextReader::new(InputId(0), Time(0));
        let mut rows = 0;
        let reject = reader.line(line.trim_end().as_bytes(), &mut |row| {
            rows += 1;
            check(row);
        });
        assert_eq!((rows, reject), (1, None), "{line}");
    }

    /// From 1900 to 2132, in milliseconds.
    fn moment() -> impl Strategy<Value = i64> {
        -2_208_988_800_000..5_133_000_000_000_i64
    }

    /// A number that `decimals` decimals hold.
    fn decimal(below: i64, decimals: i32) -> impl Strategy<Value = f64> {
        let scale = 10_f64.powi(decimals);
        (-below..below).prop_map(move |units| units as f64 / scale)
    }

    fn ntp() -> impl Strategy<Value = u64> {
        (any::<u32>(), 0_u32..1_000_000_000).prop_map(|(second, ns)| ntp_stamp(second, ns))
    }

    proptest! {
        #[test]
        fn a_clock_is_read_as_it_was_printed(
            ms in moment(),
            offset in decimal(1_000_000_000_000, 9), frequency in decimal(600_000, 3),
            jitter in decimal(1_000_000_000, 9), wander in decimal(1_000_000, 6), constant in 0_u32..18,
        ) {
            let clock = Clock {
                offset_s: Some(offset),
                frequency_ppm: Some(frequency),
                jitter_s: Some(jitter),
                wander_ppm: Some(wander),
                poll_s: Some(f64::from(1_u32 << constant)),
                ..Clock::new(at(ms))
            };
            let mut line = String::new();
            prop_assert!(loopstats(&clock, &mut line));
            reread(&line, &mut |row| assert!(matches!(row, Row::Clock(again) if again == clock), "{line} {row:?}"));
        }

        #[test]
        fn a_peer_is_read_as_it_was_printed(
            ms in moment(), address in any::<IpAddr>(), status in any::<u16>(),
            values in prop::array::uniform4(decimal(100_000_000_000, 9)),
        ) {
            let source = address.to_string();
            let tally = [' ', 'x', '.', '-', '+', '#', '*', 'o'][usize::from(status >> 8 & 7)];
            let peer = Peer {
                status: Some(status),
                tally: Some(tally),
                offset_s: Some(values[0]),
                delay_s: Some(values[1]),
                dispersion_s: Some(values[2]),
                jitter_s: Some(values[3]),
                ..Peer::new(at(ms), &source)
            };
            let mut line = String::new();
            prop_assert!(peerstats(&peer, &mut line));
            reread(&line, &mut |row| assert!(matches!(row, Row::Peer(again) if again == peer), "{line} {row:?}"));
        }

        #[test]
        fn a_packet_is_read_as_it_was_printed(
            ms in moment(), ends in any::<(Option<IpAddr>, Option<IpAddr>)>(), stamps in prop::array::uniform4(ntp()),
            head in (0_u8..4, 0_u8..8, 0_u8..6, any::<u8>(), any::<i8>(), any::<i8>()),
            root in (0_u32..1_000_000_000, 0_u32..1_000_000_000), refid in "[.][A-Z ]{0,4}[.]|[1-9]{1,2}([.][1-9]{1,2}){3}",
        ) {
            let (leap, version, mode, stratum, poll, precision) = head;
            prop_assume!(stamps[3] != 0);
            let packet = Packet {
                source: (ends.0, None),
                destination: (ends.1, None),
                originate: Some(stamps[0]),
                receive: Some(stamps[1]),
                transmit: Some(stamps[2]),
                arrival: Some(stamps[3]),
                leap: Some(leap),
                version: Some(version),
                mode: Some(mode),
                stratum: Some(stratum),
                poll: Some(poll),
                precision: Some(precision),
                root_delay_s: Some(f64::from(root.0) / 1e6 % 65_536.0),
                root_dispersion_s: Some(f64::from(root.1) / 1e6),
                refid: &refid,
                ..Packet::new(at(ms))
            };
            let mut line = String::new();
            prop_assert!(rawstats(&packet, &mut line));
            reread(&line, &mut |row| assert!(matches!(row, Row::Packet(again) if again == packet), "{line} {row:?}"));
        }

        #[test]
        fn what_ntpd_prints_of_a_stamp_survives(stamp in 0..u64::MAX - 1_000_000_000) {
            let (second, ns) = ntp_decimal(stamp);
            let again = ntp_stamp(second as u32, ns as u32);
            // Half a nanosecond, and half a unit of the stamp.
            prop_assert!(again.abs_diff(stamp) <= 3);
            prop_assert_eq!(ntp_decimal(again), (second, ns));
        }
    }

    #[test]
    fn a_row_without_what_a_format_needs_is_not_printed() {
        let mut out = String::new();
        assert!(!loopstats(&Clock::new(at(0)), &mut out));
        assert!(!peerstats(&Peer::new(at(0), "192.0.2.1"), &mut out));
        assert!(!rawstats(&Packet::new(at(0)), &mut out));
        let clock = Clock {
            offset_s: Some(0.0),
            frequency_ppm: Some(0.0),
            jitter_s: Some(0.0),
            wander_ppm: Some(0.0),
            poll_s: Some(48.0),
            ..Clock::new(at(0))
        };
        assert!(!loopstats(&clock, &mut out), "48 s is no power of two");
        let clock = Clock { poll_s: Some(64.0), ..clock };
        assert!(!loopstats(&Clock { at: At { time: None, ..clock.at }, ..clock }, &mut out));
        assert_eq!(out, "");
        assert!(loopstats(&clock, &mut out));
        assert_eq!(out, "40587 0.000 0.000000000 0.000 0.000000000 0.000000 6\n");
    }
    #[test]
    fn what_a_row_does_not_know_is_left_away_as_older_daemons_did() {
        // A row of chronyd's tracking.log: no time constant.
        let clock = Clock {
            offset_s: Some(1e-6),
            frequency_ppm: Some(-11.172),
            jitter_s: Some(0.0),
            wander_ppm: Some(0.156),
            ..Clock::new(at(0))
        };
        let mut out = String::new();
        assert!(loopstats(&clock, &mut out));
        // NTPsec prints six decimals.
        assert!(loopstats(&Clock { frequency_ppm: Some(-11.172_345), poll_s: Some(64.0), ..clock }, &mut out));
        // One of its measurements.log: no status, and no jitter.
        let offset = (Some(0.25), Some(0.5), Some(0.125));
        let (offset_s, delay_s, dispersion_s) = offset;
        let peer = Peer { offset_s, delay_s, dispersion_s, ..Peer::new(at(0), "192.0.2.1") };
        assert!(!peerstats(&peer, &mut out));
        assert!(!peerstats(&Peer { accepted: Some(false), ..peer }, &mut out));
        assert!(peerstats(&Peer { accepted: Some(true), ..peer }, &mut out));
        // A row of rawstats of ntpd 4.2.6, and a client's request, most of whose header is zero.
        let packet = Packet { transmit: Some(5 << 32), ..Packet::new(at(0)) };
        assert!(rawstats(&packet, &mut out));
        let packet = Packet {
            leap: Some(3),
            version: Some(4),
            mode: Some(3),
            stratum: Some(0),
            poll: Some(6),
            precision: Some(-20),
            root_delay_s: Some(0.0),
            root_dispersion_s: Some(0.0),
            ..packet
        };
        assert!(rawstats(&packet, &mut out));
        let reply = Packet { stratum: Some(2), lost: Some(1), dropped: Some(0), failed: Some(0x2000), ..packet };
        assert!(rawstats(&Packet { refid: "0xc0000209", ..reply }, &mut out));
        assert!(rawstats(&Packet { lost: None, ..reply }, &mut out));
        let stamps = "0.000000000 0.000000000 5.000000000 0.000000000";
        let want = [
            "40587 0.000 0.000001000 -11.172 0.000000000 0.156000".to_owned(),
            "40587 0.000 0.000001000 -11.172345 0.000000000 0.156000 6".to_owned(),
            "40587 0.000 192.0.2.1 1000 0.250000000 0.500000000 0.125000000".to_owned(),
            format!("40587 0.000 - - {stamps}"),
            format!("40587 0.000 - - {stamps} 3 4 3 0 6 -20 0.000000 0.000000 .."),
            format!("40587 0.000 - - {stamps} 3 4 3 2 6 -20 0.000000 0.000000 192.0.2.9 1 0 2000"),
            format!("40587 0.000 - - {stamps} 3 4 3 2 6 -20 0.000000 0.000000 0.0.0.0"),
        ];
        assert_eq!(out.lines().collect::<Vec<_>>(), want);
        for line in want {
            reread(&line, &mut |_| {});
        }
    }
}
