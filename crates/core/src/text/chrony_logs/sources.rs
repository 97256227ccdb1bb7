//! Logs with rows of sources: measurements, their statistics, selections, and samples of reference clocks.

use super::{Fields, PPM, finite, leap, turned};
use crate::model::{Peer, Row};
use std::ops::RangeInclusive;

/// The exponents that chronyd takes (`MIN_POLL` and `MAX_POLL` in `ntp_core.c`).
const POLLS: RangeInclusive<i8> = -7..=24;

/// `measurements.log`: a row for each reply that was valid, or for each at all (`log rawmeasurements`).
///
/// `N  2 111 111 1111   6  6 1.00 -1.636e-05  3.586e-05  8.401e-06  0.000e+00  0.000e+00 C0000201 4B K K`: leap,
/// stratum, tests, own poll, source's poll, score, offset, delay, dispersion, and those of the source's root; since
/// chrony 3.0 the source's reference id, mode, and who took the stamps.
pub fn measurement(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.source()?;
    fields.leap()?;
    let stratum = fields.whole::<u8>()?;
    let accepted = passed(&mut fields)?;
    let own_poll = fields.whole::<i8>().filter(|log| POLLS.contains(log))?;
    let _source_poll = fields.whole::<i16>()?;
    // The score was a whole number until chrony 1.24.
    let _score = fields.whole::<f32>()?;
    let [offset, delay, dispersion] = [fields.scientific()?, fields.scientific()?, fields.scientific()?];
    let [root_delay, root_dispersion] = [fields.scientific()?, fields.scientific()?];
    let mut peer = Peer {
        accepted: Some(accepted),
        // What is no stratum is told as 0 by the packet, and as 17 by chrony 1.
        stratum: Some(stratum.min(16)),
        poll_s: Some(f64::from(own_poll).exp2()),
        root_delay_s: finite(root_delay),
        root_dispersion_s: finite(root_dispersion),
        ..Peer::new(fields.at, source)
    };
    // Of a packet that is not valid nothing is computed, and zeros are printed. A dispersion is never less than the
    // precision of the clocks.
    if (delay, dispersion) != (0.0, 0.0) {
        // Reference − local already (chrony.conf(5): positive where the local clock is slow).
        peer.offset_s = finite(offset);
        peer.delay_s = finite(delay);
        peer.dispersion_s = finite(dispersion);
    }
    if let Some(refid) = fields.words.next() {
        peer.refid = Some(refid).filter(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let _mode = fields.words.next().filter(|mode| mode.ends_with(['B', 'I']))?;
        let stamps = [fields.words.next()?, fields.words.next()?];
        stamps.iter().all(|stamp| matches!(*stamp, "D" | "K" | "H")).then_some(())?;
    }
    fields.ended().then(|| rows(Row::Peer(peer)))
}

/// Whether a packet passed all tests: only then its sample is used.
///
/// `123 567 ABCD` since chrony 2.0, `1234 abc 5678` since 1.25, `1234 ab 5678` before.
fn passed(fields: &mut Fields<'_>) -> Option<bool> {
    let mut group = || fields.words.next().filter(|bits| bits.bytes().all(|bit| matches!(bit, b'0' | b'1')));
    let groups = [group()?, group()?, group()?];
    let known = matches!(groups.map(str::len), [3, 3, 4] | [4, 3, 4] | [4, 2, 4]);
    known.then(|| groups.iter().all(|bits| !bits.contains('0')))
}

/// `statistics.log`: what regression over a source's last samples gives.
///
/// `3.579e-07  1.688e-06  3.977e-07  1.462e-06  1.160e-03 7.3e-04   3   0   3  0.00`: standard deviation, offset, its
/// standard deviation, frequency, skew, stress, samples, those dropped, runs; since chrony 3.0 the jitter's asymmetry.
pub fn statistics(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.source()?;
    let [deviation, offset, _] = [fields.scientific()?, fields.scientific()?, fields.scientific()?];
    let [frequency, skew, _stress] = [fields.scientific()?, fields.scientific()?, fields.scientific()?];
    let _counts = [fields.whole::<u32>()?, fields.whole::<u32>()?, fields.whole::<u32>()?];
    if !fields.ended() {
        let _asymmetry = fields.fixed(2)?;
    }
    fields.ended().then(|| {
        rows(Row::Peer(Peer {
            // Positive where the local clock is fast, and where it gains on the source (chrony.conf(5), statistics).
            offset_s: turned(offset),
            frequency_ppm: turned(frequency * PPM),
            jitter_s: finite(deviation),
            wander_ppm: finite(skew * PPM),
            ..Peer::new(fields.at, source)
        }));
    })
}

/// `selection.log`, since chrony 4.3: every source at each selection.
///
/// `* -----  377  1.00  4.228e+01 -1.575e-04  1.239e-04`: state, effective options, reach, score, seconds since the
/// last sample, and the interval of its offset. That is not given as an offset: the same sample comes back at each
/// selection.
pub fn selection(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.source()?;
    let mut state = fields.words.next()?.chars();
    let tally = state.next().filter(|c| c.is_ascii_alphabetic() || "*+-~?".contains(*c))?;
    let is_options = |word: &&str| word.len() >= 4 && word.bytes().all(|b| b == b'-' || b.is_ascii_uppercase());
    let _options = fields.words.next().filter(is_options)?;
    // Octal.
    let reach = u8::from_str_radix(fields.words.next()?, 8).ok()?;
    let _score = fields.fixed(2)?;
    let _interval = [fields.scientific()?, fields.scientific()?, fields.scientific()?];
    let whole = state.next().is_none() && fields.ended();
    whole.then(|| rows(Row::Peer(Peer { tally: Some(tally), reach: Some(reach), ..Peer::new(fields.at, source) })))
}

/// `refclocks.log`: what a driver reads, and what its filter makes of it.
///
/// `7 N 1  4.900000e-07 -6.741777e-07  1.000e-06`: number of the read in this poll, leap, whether it is a pulse,
/// offset as read, offset with corrections, since chrony 1.25 a dispersion. Only three columns of a filtered sample
/// are not `-`.
pub fn refclock(mut fields: Fields<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.source()?;
    let read = fields.words.next()?;
    let filtered = read == "-";
    (filtered || read.parse::<u32>().is_ok()).then_some(())?;
    leap(fields.words.next()?)?;
    let (pulse, raw) = (fields.words.next()?, fields.words.next()?);
    let fits = if filtered { (pulse, raw) == ("-", "-") } else { pulse.len() == 1 && super::scientific(raw).is_some() };
    // Reference − local already: positive where the local clock is slow (chrony.conf(5), refclocks).
    let offset = fields.scientific().filter(|_| fits)?;
    let mut peer = Peer { offset_s: finite(offset), ..Peer::new(fields.at, source) };
    // A filtered sample is the one that is used; what was read is its material.
    peer.accepted = filtered.then_some(true);
    if !fields.ended() {
        peer.dispersion_s = finite(fields.scientific()?);
    }
    fields.ended().then(|| rows(Row::Peer(peer)))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{peers, read};

    #[test]
    fn a_source_that_runs_ahead_is_ahead_and_fast_in_each_log() {
        // Recorded in cases/b15_falseticker_drift/h5: this server was made to run fast by 0.5 ppm, 43 ms a day.
        let text = "\
2027-01-06 23:49:55 192.168.123.3   N  1 111 111 1111  10 10 1.00  1.293e-01  1.647e-02  2.221e-07  0.000e+00  0.000e+00 7F7F0101 4B K K
2027-01-06 23:49:55 192.168.123.3    3.404e-04 -1.294e-01  1.650e-04 -5.096e-07  8.830e-08 8.0e-03  14   0   5  0.00";
        let got = peers(text);
        assert_eq!(
            got[0],
            "time=2027-01-06T23:49:55Z source=192.168.123.3 accepted=true refid=7F7F0101 stratum=1 poll_s=1024 \
            offset_s=0.1293 delay_s=0.01647 dispersion_s=2.221e-7 root_delay_s=0 root_dispersion_s=0"
        );
        assert_eq!(
            got[1],
            "time=2027-01-06T23:49:55Z source=192.168.123.3 offset_s=0.1294 jitter_s=0.0003404 \
            frequency_ppm=0.5095999999999999 wander_ppm=0.0883"
        );
    }

    #[test]
    fn every_layout_of_tests_is_read_and_one_failed_test_is_enough() {
        let row = |tests: &str, score: &str| {
            format!(
                "2026-11-22 09:23:48 192.0.2.1       N  2 {tests}  6  6 {score} -1.000e-03  2.000e-02  1.000e-05  1.0e-02  1.0e-03"
            )
        };
        for (tests, score, accepted) in [
            ("111 111 1111 ", "1.00", Some("accepted=true")),
            ("111 111 1101 ", "1.00", Some("accepted=false")),
            ("1111 111 1111", "0.24", Some("accepted=true")),
            ("1111 11 1101", " 0", Some("accepted=false")),
            ("111 11 1111", "1.00", None),
            ("111 111 1121", "1.00", None),
        ] {
            let got = peers(&row(tests, score));
            assert_eq!(got.first().map(|row| accepted.is_some_and(|word| row.contains(word))), accepted.map(|_| true));
        }
    }

    #[test]
    fn a_packet_that_is_not_valid_has_no_offset() {
        let text = "2026-11-22 09:23:48 2001:db8::1     ?  0 110 111 0000   6  6 0.00  0.000e+00  0.000e+00  0.000e+00  \
            0.000e+00  0.000e+00 52415445 4B D K";
        let want = "time=2026-11-22T09:23:48Z source=2001:db8::1 accepted=false refid=52415445 stratum=0 poll_s=64 \
            root_delay_s=0 root_dispersion_s=0";
        assert_eq!(peers(text), [want]);
    }

    #[test]
    fn reach_is_octal_and_what_is_not_a_number_is_not_known() {
        let text = "\
2026-11-22 09:23:48 PPS0            * -P---  367  1.00  4.228e+01 -1.575e-04  1.239e-04
2026-11-22 09:23:48 PPS0             1.000e-06 -2.000e-06  1.000e-06        nan        inf     nan   3   0   3";
        assert_eq!(
            peers(text),
            [
                "time=2026-11-22T09:23:48Z source=PPS0 tally=* reach=367",
                "time=2026-11-22T09:23:48Z source=PPS0 offset_s=2e-6 jitter_s=1e-6",
            ]
        );
    }

    #[test]
    fn logs_in_one_file_are_told_apart_with_and_without_banners() {
        let rule = "=".repeat(79);
        let text = format!(
            "{rule}\n   Date (UTC) Time         Refid  DP L P  Raw offset   Cooked offset      Disp.\n{rule}\n\
             2009-11-30 14:33:27.000000 PPS2    7 N 1  4.900000e-07 -6.741777e-07  1.000e-06\n\
             2009-11-30 14:33:27.500000 PPS2    - N -       -       -6.700000e-07  2.000e-06\n\
             2009-11-30 14:33:28 PPS2             1.000e-06 -2.000e-06  1.000e-06  1.000e-09  1.000e-09 1.0e-01   3   0\n\
             2009-11-30 14:33:28 PPS2             1.000e-06 -2.000e-06  1.000e-06  1.000e-09  1.000e-09 1.0e-01   3   0   3\n\
             2009-11-30 14:33:29 a message of some program\n"
        );
        let (rows, rejects, forms) = read(&text);
        assert_eq!(
            rows[..2],
            [
                "peer time=2009-11-30T14:33:27Z source=PPS2 offset_s=-6.741777e-7 dispersion_s=1e-6",
                "peer time=2009-11-30T14:33:27.5Z source=PPS2 accepted=true offset_s=-6.7e-7 dispersion_s=2e-6",
            ]
        );
        let want = [
            "line 6: expected poll, leap, pulse, two offsets and a dispersion of a reference clock",
            "line 8: no reader knows this line",
        ];
        assert_eq!(
            (rows.len(), rejects, forms),
            (3, want.map(str::to_owned).to_vec(), vec!["chronyd refclocks.log", "chronyd statistics.log"])
        );
    }
}
