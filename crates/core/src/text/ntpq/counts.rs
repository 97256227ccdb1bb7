//! What `ntpq` counts: `sysstats`, `iostats`, and the clients of `mrulist`.

use super::super::{Block, Form, Line, Taken, is_rule};
use crate::model::{At, Counter, Event, Origin, Row, What};

/// `ntpq -c sysstats`.
pub const SYSSTATS: Form = Form {
    name: "ntpq -c sysstats",
    opens: |line| line.strip_prefix(UPTIME).is_some_and(|rest| rest.strip_prefix(':').and_then(age_s).is_some()),
    block: || Box::new(Counters { first: UPTIME, names: SYSTEM, uptime: None }),
};

/// `ntpq -c iostats`.
pub const IOSTATS: Form = Form {
    name: "ntpq -c iostats",
    opens: |line| line.strip_prefix(SINCE).is_some_and(|rest| rest.strip_prefix(':').and_then(age_s).is_some()),
    block: || Box::new(Counters { first: SINCE, names: IO, uptime: None }),
};

/// `ntpq -c mrulist`: the clients that a server has seen most recently.
pub const MRULIST: Form = Form {
    name: "ntpq -c mrulist",
    opens: |line| is_banner(line) || MruColumns::of(line).is_some(),
    block: || Box::new(Mru::default()),
};

/// The first label of `sysstats`.
const UPTIME: &str = "uptime";

/// The first label of `iostats`. Its age is that of other counters, and no [`Counter::AgeS`].
const SINCE: &str = "time since reset";

const SYSTEM: &[(&str, Counter)] = &[
    ("packets received", Counter::Received),
    ("bad length or format", Counter::BadFormat),
    ("authentication failed", Counter::BadAuth),
    ("restricted", Counter::Restricted),
    ("rate limited", Counter::Limited),
    ("KoD responses", Counter::KodSent),
];

const IO: &[(&str, Counter)] = &[("packets sent", Counter::Sent)];

/// `label: value` lines. NTPsec adds a second column since the reset and two of rates: the first column counts.
struct Counters {
    first: &'static str,
    names: &'static [(&'static str, Counter)],
    /// Kept until `sysstats reset` says better.
    uptime: Option<(Origin, u64)>,
}

impl Block for Counters {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        let mut count = |at, name, value| {
            rows(Row::Event(Event { at, what: What::Counter { association: "", name, value, over_s: None } }));
        };
        if label == UPTIME || label == SINCE {
            if label != self.first {
                return Taken::No;
            }
            self.uptime = age_s(value).filter(|_| label == UPTIME).map(|age| (line.at.origin, age));
            return Taken::Yes;
        }
        if label == "sysstats reset" {
            let Some(age) = age_s(value) else { return Taken::Rejected(format!("`{value}` is not an age")) };
            self.uptime = None;
            count(line.at, Counter::AgeS, age);
            return Taken::Yes;
        }
        let Some((_, name)) = self.names.iter().find(|(known, _)| *known == label) else { return Taken::Yes };
        let Some(value) = value.split_whitespace().next().and_then(|first| first.parse().ok()) else {
            return Taken::Rejected(format!("`{value}` is not a count"));
        };
        if let Some((origin, age)) = self.uptime.take() {
            count(At::origin(origin), Counter::AgeS, age);
        }
        count(line.at, *name, value);
        Taken::Yes
    }
}

fn labelled(line: &str) -> Option<(&str, &str)> {
    let (label, value) = line.split_once(':')?;
    let value = value.trim();
    let fits = label.starts_with(|c: char| c.is_ascii_alphabetic())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ')
        && value.starts_with(|c: char| c.is_ascii_digit());
    fits.then_some((label, value))
}

/// An age: seconds (the NTP project), or NTPsec's `hh:mm:ss` after a number of days (`2D` or `2 days`).
fn age_s(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace().peekable();
    let mut days = 0_u64;
    let mut first = words.next()?;
    let glued = first.strip_suffix(['D', 'd']);
    if glued.is_some() || words.next_if(|word| word.starts_with("day")).is_some() {
        days = glued.unwrap_or(first).parse().ok()?;
        first = words.next().unwrap_or("0");
    }
    let clock = first.split(':').try_fold(0_u64, |sum, part| {
        let part = part.parse::<u64>().ok()?;
        sum.checked_mul(60)?.checked_add(part)
    })?;
    days.checked_mul(86_400)?.checked_add(clock)
}

fn is_banner(line: &str) -> bool {
    // Progress overwrites itself with a carriage return.
    line.contains("Ctrl-C will stop MRU") || line.contains(" unique MRU entries")
}

/// Which word of a row is which.
#[derive(Clone, Copy)]
struct MruColumns {
    count: usize,
    port: usize,
    address: usize,
}

impl MruColumns {
    /// NTPsec 1.2.2 put `score` and `drop` between `count` and `rport`.
    fn of(line: &str) -> Option<Self> {
        line.trim_start().strip_prefix("lstint")?;
        let at = |name| line.split_whitespace().position(|word| word == name);
        Some(MruColumns { count: at("count")?, port: at("rport")?, address: at("remote")? })
    }
}

#[derive(Default)]
struct Mru {
    columns: Option<MruColumns>,
}

impl Block for Mru {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        if let Some(columns) = MruColumns::of(text) {
            self.columns = Some(columns);
            return Taken::Yes;
        }
        // NTPsec's last words are `# Collected …`, `# Processed …`, `# Used …`.
        if text.is_empty() || is_rule(text) || is_banner(text) || text.starts_with("# ") {
            return Taken::Yes;
        }
        let numeric = text.split_whitespace().next().is_some_and(|word| word.parse::<f64>().is_ok());
        let Some(columns) = self.columns.filter(|_| numeric) else { return Taken::No };
        let word = |index| text.split_whitespace().nth(index);
        let count = word(columns.count).and_then(|word| word.parse().ok());
        let port = word(columns.port).and_then(|word| word.parse().ok());
        let (Some(address), Some(port), Some(count)) = (word(columns.address), port, count) else {
            return Taken::Rejected("a client needs count, rport and remote address".into());
        };
        let what = What::Client { address, port: Some(port), count };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{counters, read};
    use super::*;

    #[test]
    fn the_first_column_is_counted_and_the_reset_is_the_age() {
        let text = "uptime:                 2D 00:03:49\ncontrol requests: 31\n\
                    sysstats reset:             00:01:40      00:01:40\n\
                    packets received:                118           18        2.0s/p        2.0s/p\n\
                    NTPv1 total:                       0             0\nbad length or format:  4\nrate limited: 3\n";
        assert_eq!(counters(text), [" AgeS 100", " Received 118", " BadFormat 4", " Limited 3"]);
        assert_eq!(counters("uptime:  61\npackets received:  345\n"), [" AgeS 61", " Received 345"]);
        let io = "time since reset:       59\nreceived packets:       38\npackets sent:           35\nuptime: 7\n";
        assert_eq!(counters(io), [" Sent 35"]);
        assert_eq!(read("uptime: 1\nrate limited: 9x\n").1, ["line 2: `9x` is not a count"]);
    }

    #[test]
    fn ages_are_read_in_every_shape() {
        let got = ["61", "00:03:49", "1D 00:00:01", "2 day(s) 01:00:00", "", "1:x", "99999999999999999999"].map(age_s);
        assert_eq!(got, [Some(61), Some(229), Some(86_401), Some(176_400), None, None, None]);
    }

    #[test]
    fn clients_of_both_programs() {
        let text = "Ctrl-C will stop MRU retrieval and display partial results.\n\nRetrieved 1 unique MRU entries and 0 updates.\n\
                    lstint avgint rstr r m v  count rport remote address\n====\n     8      2   20 L 3 4     18   116 192.0.2.1\n\n\
                    \x20lstint avgint rstr r m v  count    score   drop rport remote address\n====\n\
                    \x20     1   2.45    0 . 3 4     87    0.410      0   123 2001:db8::1\n# Used 23 megabytes of memory\n     1 2\n";
        let (rows, rejects, _) = read(text);
        assert_eq!(rows, ["client 192.0.2.1 116 18", "client 2001:db8::1 123 87"]);
        assert_eq!(rejects, ["line 12: a client needs count, rport and remote address"]);
    }
}
