//! `timedatectl status` (or none) and `timedatectl show`: whether the clock is synchronised, and by whom.

use super::variable;

use crate::model::{At, Row};
use crate::text::field::date_time;
use crate::text::{Block, Form, Line, Taken};
use crate::time::Time;

/// `timedatectl` or `timedatectl status`.
pub(super) const STATUS: Form =
    Form { name: "timedatectl status", opens: opens_status, block: || Box::new(Status::default()) };

/// `timedatectl show`.
pub(super) const SHOW: Form = Form { name: "timedatectl show", opens: opens_show, block: || Box::new(Show) };

/// The labels of all versions, and the names that `show` has for the same; the first letter is lower where it has none.
const LABELS: [(&str, &str); 16] = [
    ("Local time", "localTime"),
    ("Universal time", "TimeUSec"),
    ("RTC time", "RTCTimeUSec"),
    ("Time zone", "Timezone"),
    // Until systemd 215.
    ("Timezone", "Timezone"),
    ("System clock synchronized", "NTPSynchronized"),
    ("NTP synchronized", "NTPSynchronized"),
    ("NTP service", "ntpService"),
    ("systemd-timesyncd.service active", "ntpService"),
    ("NTP enabled", "NTP"),
    ("Network time on", "NTP"),
    ("NTP", "NTP"),
    ("RTC in local TZ", "LocalRTC"),
    ("DST active", "dstActive"),
    ("Last DST change", "lastDSTChange"),
    ("Next DST change", "nextDSTChange"),
];

/// Lines that the warning about a clock in local time has.
const LONGEST_WARNING: u8 = 8;

fn labelled(line: &str) -> Option<(&'static str, &str)> {
    let (label, value) = line.trim_start().split_once(": ")?;
    let (_, name) = LABELS.iter().find(|(known, _)| label.trim_end().eq_ignore_ascii_case(known))?;
    Some((name, value.trim()))
}

fn opens_status(line: &str) -> bool {
    labelled(line).is_some_and(|(name, value)| match name {
        "localTime" | "TimeUSec" => date_of(value).is_some(),
        "NTPSynchronized" | "LocalRTC" => matches!(value, "yes" | "no"),
        "ntpService" => matches!(value, "active" | "inactive" | "n/a" | "yes" | "no"),
        _ => false,
    })
}

/// `Mon 2026-11-23 10:00:00 UTC`: date and time, and the zone.
fn date_of(text: &str) -> Option<(Time, &str)> {
    let mut words = text.split_ascii_whitespace();
    let (day, date, time) = (words.next()?, words.next()?, words.next()?);
    // Days of the week are in the language of the locale.
    let at = date_time(date, time).filter(|_| !day.starts_with(|c: char| c.is_ascii_digit()))?;
    Some((at, words.next().unwrap_or_default()))
}

#[derive(Default)]
struct Status {
    /// The clock when this was printed.
    time: Option<Time>,
    /// Lines that may still be of the warning.
    warning: u8,
    /// Whether the line before told of a change of daylight saving, which has a second line.
    change: bool,
}

impl Block for Status {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some((name, value)) = labelled(line.text) {
            self.change = name.ends_with("DSTChange");
            if name == "TimeUSec" {
                let Some((time, _)) = date_of(value) else {
                    return Taken::Rejected(format!("`{value}` is not a date and a time"));
                };
                self.time = Some(time);
            }
            variable(rows, At { time: self.time, ..line.at }, "", name, value);
            return Taken::Yes;
        }
        let bare = line.text.trim_start();
        if bare.starts_with("Warning: The ") && bare.contains("RTC") {
            self.warning = LONGEST_WARNING;
            return Taken::Yes;
        }
        let continues = bare.len() < line.text.len() && (self.warning > 0 || self.change);
        if continues {
            self.warning = self.warning.saturating_sub(1);
        }
        if bare.is_empty() || continues { Taken::Yes } else { Taken::No }
    }
}

/// The properties of `show` that are not those of timesyncd.
const PROPERTIES: [&str; 7] = ["Timezone", "LocalRTC", "CanNTP", "NTP", "NTPSynchronized", "TimeUSec", "RTCTimeUSec"];

fn property(line: &str) -> Option<(&str, &str)> {
    line.split_once('=').filter(|(name, _)| PROPERTIES.contains(name))
}

fn opens_show(line: &str) -> bool {
    property(line).is_some_and(|(name, value)| match name {
        "LocalRTC" | "CanNTP" | "NTPSynchronized" => matches!(value, "yes" | "no"),
        "TimeUSec" | "RTCTimeUSec" => date_of(value).is_some() || value == "n/a",
        "Timezone" => !value.is_empty() && !value.contains([' ', '"']),
        _ => false,
    })
}

struct Show;

impl Block for Show {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((name, value)) = property(line.text) else { return Taken::No };
        if matches!(name, "LocalRTC" | "CanNTP" | "NTP" | "NTPSynchronized") && !matches!(value, "yes" | "no") {
            return Taken::Rejected(format!("{name} is `{value}`, not yes or no"));
        }
        // In UTC the clock says when this was printed; in another zone, `EST` and its like tell nothing.
        let time = date_of(value).filter(|(_, zone)| name == "TimeUSec" && *zone == "UTC").map(|(time, _)| time);
        variable(rows, At { time, ..line.at }, "", name, value);
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::read;

    #[test]
    fn all_versions_say_whether_the_clock_is_synchronised() {
        let new = "               Local time: Mon 2026-11-23 11:00:00 CET\n           Universal time: Mon 2026-11-23 10:00:00 UTC\n\
                   System clock synchronized: no\n              NTP service: active\n          RTC in local TZ: yes\n\n\
                   Warning: The system is configured to read the RTC time in the local time zone.\n         \
                   This mode cannot be fully supported.\n";
        let got = read(new).0;
        assert_eq!(got[2], "time=2026-11-23T10:00:00Z variable name=NTPSynchronized text=no");
        assert_eq!(got[3], "time=2026-11-23T10:00:00Z variable name=ntpService text=active");
        assert_eq!(read(new).1.len(), 0);
        let old = "      Local time: Mo 2014-11-24 11:00:00 CET\n  Universal time: Mo 2014-11-24 10:00:00 UTC\n\
                   NTP enabled: yes\nNTP synchronized: no\n Last DST change: DST ended at\n                  \
                   So 2014-10-26 02:59:59 CEST\n                  So 2014-10-26 02:00:00 CET\n";
        assert_eq!(
            read(old).0[2..4].join(" | "),
            "time=2014-11-24T10:00:00Z variable name=NTP text=yes | time=2014-11-24T10:00:00Z variable name=NTPSynchronized text=no"
        );
        assert_eq!(read(old).1.len(), 0);
    }

    #[test]
    fn show_gives_its_properties() {
        let text = "Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=maybe\nTimeUSec=Mon 2026-11-23 10:00:00 UTC\n";
        assert_eq!(read(text).0[3], "variable name=NTP text=yes");
        assert_eq!(
            read(text).0[4],
            "time=2026-11-23T10:00:00Z variable name=TimeUSec text=Mon 2026-11-23 10:00:00 UTC"
        );
        assert_eq!(read(text).1, ["line 5: NTPSynchronized is `maybe`, not yes or no"]);
    }
}
