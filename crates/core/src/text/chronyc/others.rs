//! The small reports of `chronyc`, and its answers.

use super::{Read, fields, gauge, interval_s, is_filler, is_header, labelled, leading_number, taken, variable};
use crate::model::{At, Event, Happening, Message, Peer, Row, What};
use crate::text::field::{date_time, integer, number};
use crate::text::{Block, Form, Line, Taken};

/// `chronyc activity`.
pub(super) const ACTIVITY: Form =
    Form { name: "chronyc activity", opens: |line| activity_of(line).is_some(), block: || each(is_activity, activity) };

/// `chronyc smoothing`.
pub(super) const SMOOTHING: Form = Form {
    name: "chronyc smoothing",
    opens: |line| line.trim_start().starts_with("Active         : ") || smoothing_of_fields(line).is_some(),
    block: || each(is_smoothing, smoothing),
};

/// `chronyc rtcdata`.
pub(super) const RTCDATA: Form = Form {
    name: "chronyc rtcdata",
    opens: |line| line.trim_start().starts_with("RTC ref time (UTC)") || rtcdata_of_fields(line).is_some(),
    block: || each(is_rtcdata, rtcdata),
};

/// `chronyc manual list`.
pub(super) const MANUAL: Form = Form {
    name: "chronyc manual list",
    opens: |line| is_manual_header(line) || is_entry(line),
    block: || each(is_manual, manual),
};

/// `chronyc waitsync`.
pub(super) const WAITSYNC: Form =
    Form { name: "chronyc waitsync", opens: |line| try_of(line).is_some(), block: || each(is_try, waitsync) };

/// What chronyc answers to a command, or says where it fails.
pub(super) const ANSWER: Form =
    Form { name: "chronyc answer", opens: |line| answer_of(line).is_some(), block: || each(is_answer, answer) };

/// A report in which every line is read by itself.
struct Each {
    is_row: fn(&str) -> bool,
    read: Read,
}

fn each(is_row: fn(&str) -> bool, read: Read) -> Box<dyn Block> {
    Box::new(Each { is_row, read })
}

impl Block for Each {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if (self.is_row)(line.text) { taken(line, rows, self.read) } else { Taken::No }
    }
}

/// What `activity` counts: the end of its line, and the name of the gauge.
const ACTIVITIES: [(&str, &str); 5] = [
    ("sources online", "sources_online"),
    ("sources offline", "sources_offline"),
    ("sources doing burst (return to online)", "sources_burst_online"),
    ("sources doing burst (return to offline)", "sources_burst_offline"),
    ("sources with unknown address", "sources_unresolved"),
];

enum Activity<'a> {
    One(&'static str, &'a str),
    All([&'a str; 5]),
}

fn activity_of(line: &str) -> Option<Activity<'_>> {
    let line = line.trim_start();
    let (count, rest) = line.split_once(' ').unwrap_or((line, ""));
    if let Some((_, name)) = ACTIVITIES.iter().find(|(end, _)| *end == rest) {
        return Some(Activity::One(name, count));
    }
    // `-c serverstats` of chrony 2 and 3 has five numbers too. Its third counts commands, this one among them, and is
    // never 0; sources in a burst are rare.
    let counts = fields::<5>(line)?;
    let is_activity =
        counts.iter().all(|count| integer(count).is_some_and(|n| n < 10_000)) && counts[2..4] == ["0", "0"];
    is_activity.then_some(Activity::All(counts))
}

fn is_activity(line: &str) -> bool {
    activity_of(line).is_some()
}

fn activity(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    let mut said = |name, count: &str| {
        let value = integer(count).ok_or_else(|| format!("`{count}` is not a count"))?;
        gauge(rows, line.at, "", name, value as f64);
        Ok(())
    };
    match activity_of(line.text) {
        Some(Activity::One(name, count)) => said(name, count),
        Some(Activity::All(counts)) => {
            ACTIVITIES.iter().zip(counts).try_for_each(|((_, name), count)| said(name, count))
        }
        None => Ok(()),
    }
}

/// The labels of `smoothing` after the first, in the order of `-c`, and the gauges.
const SMOOTHED: [(&str, &str); 5] = [
    ("Offset", "smoothing_offset_s"),
    ("Frequency", "smoothing_frequency_ppm"),
    ("Wander", "smoothing_wander_ppm_per_s"),
    ("Last update", "smoothing_update_ago_s"),
    ("Remaining time", "smoothing_remaining_s"),
];

fn smoothing_of_fields(line: &str) -> Option<[&str; 7]> {
    fields::<7>(line).filter(|[active, only, values @ ..]| {
        matches!(*active, "Yes" | "No")
            && matches!(*only, "" | "(leap second only)")
            && values.iter().all(|value| number(value).is_some())
    })
}

fn is_smoothing(line: &str) -> bool {
    let is_label = |label| label == "Active" || SMOOTHED.iter().any(|(name, _)| *name == label);
    smoothing_of_fields(line).is_some() || labelled(line).is_some_and(|(label, _)| is_label(label))
}

/// What a server adds to the time that it serves: kept as printed, under its own name.
fn smoothing(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    if let Some([active, _, values @ ..]) = smoothing_of_fields(line.text) {
        variable(rows, line.at, "", "smoothing", active);
        for ((_, name), value) in SMOOTHED.iter().zip(values) {
            number(value).into_iter().for_each(|value| gauge(rows, line.at, "", name, value));
        }
        return Ok(());
    }
    let Some((label, value)) = labelled(line.text) else { return Ok(()) };
    let Some((_, name)) = SMOOTHED.iter().find(|(name, _)| *name == label) else {
        variable(rows, line.at, "", "smoothing", value);
        return Ok(());
    };
    let value = leading_number(value).ok_or_else(|| format!("{label} `{value}` is not a number"))?;
    gauge(rows, line.at, "", name, value);
    Ok(())
}

/// The labels of `rtcdata` after the first, in the order of `-c`, and the gauges.
const RTC: [(&str, &str); 5] = [
    ("Number of samples", "samples"),
    ("Number of runs", "runs"),
    ("Sample span period", "span_s"),
    ("RTC is fast by", "fast_s"),
    ("RTC gains time at", "gain_ppm"),
];

fn rtcdata_of_fields(line: &str) -> Option<[&str; 6]> {
    fields::<6>(line).filter(|[time, samples, runs, span, fast, gain]| {
        time.contains('.')
            && [samples, runs, span].iter().all(|whole| integer(whole).is_some())
            && [time, fast, gain].iter().all(|value| value.contains('.') && number(value).is_some())
    })
}

fn is_rtcdata(line: &str) -> bool {
    let (label, _) = line.split_once(':').unwrap_or_default();
    let label = label.trim();
    rtcdata_of_fields(line).is_some() || label == "RTC ref time (UTC)" || RTC.iter().any(|(name, _)| *name == label)
}

fn rtcdata(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    let mut said = |name, value: &str| {
        let number = if name == "span_s" { interval_s(value).flatten() } else { leading_number(value) };
        let number = number.ok_or_else(|| format!("{name} `{value}` is not a number"))?;
        gauge(rows, line.at, "RTC", name, number);
        Ok(())
    };
    if let Some([_, values @ ..]) = rtcdata_of_fields(line.text) {
        return RTC.iter().zip(values).try_for_each(|((_, name), value)| said(name, value));
    }
    let (label, value) = line.text.split_once(':').unwrap_or_default();
    let name = RTC.iter().find(|(name, _)| *name == label.trim());
    name.map_or(Ok(()), |(_, name)| said(name, value.trim()))
}

/// `#    Date     Time(UTC)    Slewed   Original   Residual`; until chrony 3 with a blank less.
fn is_manual_header(line: &str) -> bool {
    is_header(line, &["#", "Date", "Time(UTC)", "Slewed"]) || line.starts_with("210 n_samples = ")
}

fn is_manual(line: &str) -> bool {
    is_filler(line) || is_manual_header(line) || entry_of(line, ',').or_else(|| entry_of(line, ' ')).is_some()
}

/// Number, date, time, slewed, original and residual offset. The date and its time are one value of `-c`.
fn entry_of(line: &str, between: char) -> Option<[&str; 6]> {
    let mut words = line.split([between, ' ']).filter(|word| !word.is_empty());
    let mut cells = [""; 6];
    for cell in &mut cells {
        *cell = words.next()?;
    }
    let [count, date, time, ..] = cells;
    let is_entry = integer(count).is_some() && date_time(date, time).is_some() && words.next().is_none();
    is_entry.then_some(cells)
}

/// An entry of `-c`, with its offset: logs and packets of other programs begin with a number and a stamp too.
fn is_entry(line: &str) -> bool {
    line.contains(',') && entry_of(line, ',').is_some_and(|[.., offset, _]| number(offset).is_some())
}

fn manual(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    let Some(cells) = entry_of(line.text, ',').or_else(|| entry_of(line.text, ' ')) else { return Ok(()) };
    let [_, date, time, _slewed, original, _residual] = cells;
    let ahead_s = number(original).ok_or_else(|| format!("offset `{original}` is not a number"))?;
    let at = At { time: date_time(date, time), ..line.at };
    // The clock's time less the time that was typed (`manual.c`): positive is a fast local clock.
    rows(Row::Peer(Peer { offset_s: Some(0.0 - ahead_s), ..Peer::new(at, "manual") }));
    Ok(())
}

/// `try: 1, refid: C0000202, correction: 0.000123000, skew: 0.013`; `-c` has the four values alone.
fn try_of(line: &str) -> Option<[&str; 4]> {
    let cells = fields::<4>(line)?;
    let labels = ["try: ", " refid: ", " correction: ", " skew: "];
    let mut values = [""; 4];
    for ((value, cell), label) in values.iter_mut().zip(cells).zip(labels) {
        *value = cell.strip_prefix(label).or_else(|| (!cell.contains(' ')).then_some(cell))?;
    }
    let [count, refid, correction, skew] = values;
    let is_try = integer(count).is_some()
        && refid.len() == 8
        && refid.bytes().all(|b| b.is_ascii_hexdigit())
        && number(correction).is_some()
        && number(skew).is_some();
    is_try.then_some(values)
}

fn is_try(line: &str) -> bool {
    try_of(line).is_some()
}

fn waitsync(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    let Some([_, refid, correction, skew]) = try_of(line.text) else { return Ok(()) };
    variable(rows, line.at, "", "refid", refid);
    // Without a sign, so that it is no offset.
    number(correction).into_iter().for_each(|value| gauge(rows, line.at, "", "correction_s", value));
    number(skew).into_iter().for_each(|value| gauge(rows, line.at, "", "skew_ppm", value));
    Ok(())
}

/// What chronyc says of itself, and what that means (`client.c`). `210` stands above tables until chrony 3.
const ANSWERS: [(&str, Option<Happening>); 30] = [
    ("200 OK", None),
    ("208 Access allowed", None),
    ("209 Access denied", None),
    ("210 Number of sources = ", None),
    ("500 Failure", Some(Happening::Other)),
    ("501 Not authorised", Some(Happening::Other)),
    ("502 Invalid command", Some(Happening::Other)),
    ("503 No such source", Some(Happening::Other)),
    ("504 Duplicate or stale logon detected", Some(Happening::Other)),
    ("505 Facility not enabled in daemon", Some(Happening::Configuration)),
    ("506 Cannot talk to daemon", Some(Happening::Network)),
    ("507 Bad subnet", Some(Happening::Other)),
    ("508 Bad reply from daemon", Some(Happening::Network)),
    ("510 No command access from this host", Some(Happening::Configuration)),
    ("511 Source already present", Some(Happening::Other)),
    ("512 Too many sources present", Some(Happening::Other)),
    ("513 RTC driver not running", Some(Happening::Other)),
    ("514 Can't write RTC parameters", Some(Happening::Other)),
    ("515 Invalid address family", Some(Happening::Other)),
    ("516 Sample index out of range", Some(Happening::Other)),
    ("517 Protocol version mismatch", Some(Happening::Network)),
    ("518 Packet length mismatch", Some(Happening::Network)),
    ("519 Client logging is not active in the daemon", Some(Happening::Configuration)),
    ("520 Got unexpected error from daemon", Some(Happening::Other)),
    ("521 Invalid name", Some(Happening::Other)),
    ("Could not open connection to daemon", Some(Happening::Network)),
    ("Could not get address for hostname", Some(Happening::Network)),
    ("Could not resolve address", Some(Happening::Network)),
    ("Could not bind/connect client Unix socket", Some(Happening::Network)),
    ("Could not read address", Some(Happening::Other)),
];

fn answer_of(line: &str) -> Option<Option<Happening>> {
    let known =
        ANSWERS.iter().find(|(text, _)| line.trim_start().strip_prefix(text).is_some_and(|rest| rest.len() < 40));
    known.map(|(_, kind)| *kind)
}

fn is_answer(line: &str) -> bool {
    answer_of(line).is_some()
}

fn answer(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    if let Some(kind) = answer_of(line.text).flatten() {
        let message = Message { program: "chronyc", kind, source: "", value: None, text: line.text };
        rows(Row::Event(Event { at: line.at, what: What::Message(message) }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    #[test]
    fn small_reports_are_the_same_with_and_without_labels() {
        let pairs = [
            (
                "200 OK\n3 sources online\n1 sources offline\n0 sources doing burst (return to online)\n\
                 0 sources doing burst (return to offline)\n2 sources with unknown address\n",
                "3,1,0,0,2",
            ),
            (
                "Active         : Yes (leap second only)\nOffset         : +1.000268817 seconds\n\
                 Frequency      : -0.142859 ppm\nWander         : -0.010000 ppm per second\n\
                 Last update    : 17.8 seconds ago\nRemaining time : 19988.4 seconds\n",
                "Yes,(leap second only),1.000268817,-0.142859,-0.010000,17.8,19988.4",
            ),
            (
                "RTC ref time (UTC) : Sat May 30 07:25:56 2015\nNumber of samples  : 10\nNumber of runs     : 5\n\
                 Sample span period :  549\nRTC is fast by     :    -1.632736 seconds\nRTC gains time at  :  -107.623 ppm\n",
                "1432970756.000000000,10,5,549,-1.632736,-107.623",
            ),
            (
                "210 n_samples = 1\n#    Date     Time(UTC)    Slewed   Original   Residual\n=====\n \
                 0 2026-11-22 09:36:16       0.04       1.50      -0.01\n",
                "0,2026-11-22 09:36:16,0.04,1.50,-0.01",
            ),
            ("try: 2, refid: C0000202, correction: 0.000123000, skew: 0.013\n", "2,C0000202,0.000123000,0.013"),
        ];
        for (text, csv) in pairs {
            let ((rows, rejects, _), (same, _, _)) = (read(text), read(csv));
            assert_eq!(
                (&rows, rejects.len()),
                (&same.iter().map(|row| row.replace("text=Yes", "text=Yes (leap second only)")).collect(), 0)
            );
            assert!(!rows.is_empty(), "{text}");
        }
        // The clock was 1.5 s ahead of what was typed.
        assert_eq!(peers(pairs[3].0), ["time=2026-11-22T09:36:16Z source=manual offset_s=-1.5"]);
    }

    #[test]
    fn answers_are_messages_where_they_tell_of_trouble() {
        let text = "506 Cannot talk to daemon\n503 No such source\n208 Access allowed\n513 RTC driver not running\n";
        let (rows, rejects, forms) = read(text);
        assert_eq!(rows[0], "message who=chronyc name=network text=506 Cannot talk to daemon");
        assert_eq!((rows.len(), rejects.len(), forms), (3, 0, vec!["chronyc answer"]));
    }
}
