//! What the daemon counted and used in the last hour: `sysstats`, `usestats`, `ntsstats`, `ntskestats`; and `refstats`,
//! what became of a reference clock's samples.
//!
//! ntpd and NTPsec clear their counters at every row, so that each row stands for itself.

use super::fields::{Fields, is_source};
use super::{Before, Kind};
use crate::model::{Counter, Event, Row, What};

/// `sysstats`: seconds, and the packets of each fate.
pub const SYSSTATS: Kind = Kind { name: "sysstats", read: sysstats, free: false };

/// `usestats` of NTPsec: seconds, and what `getrusage(2)` tells of them.
pub const USESTATS: Kind = Kind { name: "usestats", read: usestats, free: false };

/// `refstats` of NTPsec: how the samples of a reference clock were trimmed.
pub const REFSTATS: Kind = Kind { name: "refstats", read: refstats, free: false };

/// `ntsstats` of NTPsec: packets with NTS, as a client and as a server.
pub const NTSSTATS: Kind = Kind { name: "ntsstats", read: ntsstats, free: false };

/// `ntskestats` of NTPsec: key exchanges.
pub const NTSKESTATS: Kind = Kind { name: "ntskestats", read: ntskestats, free: false };

/// The columns of `sysstats` behind the time since reset: 4.2.5 and later; NTPsec since 1.2.2 has the last one.
const COUNTERS: [Counter; 11] = [
    Counter::Received,
    Counter::Processed,
    Counter::CurrentVersion,
    Counter::OldVersion,
    Counter::Restricted,
    Counter::BadFormat,
    Counter::BadAuth,
    Counter::Declined,
    Counter::Limited,
    Counter::KodSent,
    Counter::Version1,
];

/// The same in 4.2.0 to 4.2.4.
const OLD_COUNTERS: [Counter; 9] = [
    Counter::Received,
    Counter::Processed,
    Counter::CurrentVersion,
    Counter::OldVersion,
    Counter::UnknownVersion,
    Counter::Restricted,
    Counter::BadFormat,
    Counter::BadAuth,
    Counter::Limited,
];

/// How often ntpd writes `sysstats` (`HOUR` in `ntp_timer.c`).
const EVERY_S: f64 = 3600.0;

fn sysstats(mut fields: Fields<'_>, before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let at = fields.at;
    let mut values = [0; 12];
    let count = whole_numbers(&mut fields, &mut values)?;
    let (names, over_s) = match count {
        // Hours that the daemon had run when the counters were last cleared: how long they counted is not said.
        10 => (&OLD_COUNTERS[..], EVERY_S),
        11 | 12 => (&COUNTERS[..count - 1], values[0] as f64),
        _ => return None,
    };
    (count >= before.widest).then_some(())?;
    before.widest = count;
    for (name, value) in names.iter().zip(&values[1..]) {
        let what = What::Counter { association: "", name: *name, value: *value, over_s: Some(over_s) };
        rows(Row::Event(Event { at, what }));
    }
    Some(())
}

/// Reads all fields that are left, as digits, and says how many there were; not more than there is room for.
fn whole_numbers(fields: &mut Fields<'_>, values: &mut [u64]) -> Option<usize> {
    let mut count = 0;
    while !fields.ended() {
        *values.get_mut(count)? = fields.whole()?;
        count += 1;
    }
    Some(count)
}

/// A column: what it is called, and with how many decimals it is printed.
type Column = (&'static str, usize);

/// Reads the columns, to the end of the row; gives a gauge for each.
fn gauges(fields: &mut Fields<'_>, of: &str, columns: &[Column], rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let mut values = [0.0; 16];
    let values = values.get_mut(..columns.len())?;
    for (value, (_, decimals)) in values.iter_mut().zip(columns) {
        *value = fields.fixed(*decimals)?;
    }
    fields.ended().then_some(())?;
    for (value, (name, _)) in values.iter().zip(columns) {
        rows(Row::Event(Event { at: fields.at, what: What::Gauge { of, name, value: *value } }));
    }
    Some(())
}

fn usestats(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    const COLUMNS: [Column; 12] = [
        ("over_s", 0),
        ("cpu_user_s", 3),
        ("cpu_system_s", 3),
        ("minor_faults", 0),
        ("major_faults", 0),
        ("swaps", 0),
        ("blocks_read", 0),
        ("blocks_written", 0),
        ("voluntary_switches", 0),
        ("involuntary_switches", 0),
        ("signals", 0),
        ("resident_kib", 0),
    ];
    gauges(&mut fields, "", &COLUMNS, rows)
}

fn refstats(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    const COLUMNS: [Column; 11] = [
        ("samples", 0),
        ("first_used", 0),
        ("last_used", 0),
        ("lowest_s", 9),
        ("lowest_used_s", 9),
        ("median_s", 9),
        ("highest_used_s", 9),
        ("highest_s", 9),
        ("jitter_s", 9),
        ("deviation_used_s", 9),
        ("deviation_s", 9),
    ];
    let source = fields.word().filter(|word| is_source(word))?;
    gauges(&mut fields, source, &COLUMNS, rows)
}

fn ntsstats(mut fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    const COLUMNS: [Column; 16] = [
        ("over_s", 0),
        ("nts_client_sent", 0),
        ("nts_client_received_good", 0),
        ("nts_client_received_bad", 0),
        ("nts_server_sent", 0),
        ("nts_server_received_good", 0),
        ("nts_server_received_bad", 0),
        ("nts_cookies_made", 0),
        ("nts_cookies_not_server", 0),
        ("nts_cookies_decoded", 0),
        ("nts_cookies_current", 0),
        ("nts_cookies_old", 0),
        ("nts_cookies_old2", 0),
        ("nts_cookies_older", 0),
        ("nts_cookies_too_old", 0),
        ("nts_cookies_error", 0),
    ];
    gauges(&mut fields, "", &COLUMNS, rows)
}

fn ntskestats(fields: Fields<'_>, _before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    const COLUMNS: [Column; 12] = [
        ("over_s", 0),
        ("ntske_served_good", 0),
        ("ntske_served_good_wall_s", 3),
        ("ntske_served_good_cpu_s", 3),
        ("ntske_served_no_tls", 0),
        ("ntske_served_no_tls_wall_s", 3),
        ("ntske_served_no_tls_cpu_s", 3),
        ("ntske_served_bad", 0),
        ("ntske_served_bad_wall_s", 3),
        ("ntske_served_bad_cpu_s", 3),
        ("ntske_asked_good", 0),
        ("ntske_asked_bad", 0),
    ];
    // The first releases told user from system time, and did not time what had no TLS.
    const FIRST: [Column; 12] = [
        ("over_s", 0),
        ("ntske_served_good", 0),
        ("ntske_served_good_wall_s", 3),
        ("ntske_served_good_user_s", 3),
        ("ntske_served_good_system_s", 3),
        ("ntske_served_no_tls", 0),
        ("ntske_served_bad", 0),
        ("ntske_served_bad_wall_s", 3),
        ("ntske_served_bad_user_s", 3),
        ("ntske_served_bad_system_s", 3),
        ("ntske_asked_good", 0),
        ("ntske_asked_bad", 0),
    ];
    gauges(&mut fields.clone(), "", &COLUMNS, rows).or_else(|| gauges(&mut fields.clone(), "", &FIRST, rows))
}
