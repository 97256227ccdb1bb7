//! What stands around evidence, and is nobody's: prompts, rules, comments, dates, and the marks of terminals.

use super::field::{integer, time_of_day};
use super::{chrony_logs, router};
use crate::time::Time;

/// Whether a line, bare of blanks at its start, is nobody's, and yet no reject.
pub(super) fn is_nobodys(bare: &str) -> bool {
    let comment = bare.is_empty() || bare.starts_with(['#', ';', '!', '$', '%']);
    // `==> tracking.log <==` stands between files that `head` and `tail` print.
    let title = bare.starts_with("==> ") && bare.ends_with(" <==");
    // JSON that is laid out has brackets on lines of their own.
    let bracket = matches!(bare, "{" | "}" | "[" | "]");
    // A rule stands above the headers of chronyd's logs, a count above the samples of its older dumps.
    comment
        || title
        || bracket
        || is_template(bare)
        || is_prompt(bare)
        || is_rule(bare)
        || is_wrapping(bare)
        || date(bare).is_some()
        || chrony_logs::is_count(bare)
}

/// What a tool that runs commands prints of its own: `watch`, pyATS, NTPsec's `ntpmon`, the shell of Windows; Junos of its
/// two routing engines (`{master:0}`), SONiC of its networks; `service ntpd status`; and Cisco's `utils ntp status`, which
/// ends with the time twice.
fn is_wrapping(bare: &str) -> bool {
    let watched = bare.strip_prefix("Every ").and_then(|rest| rest.split_once("s: "));
    let engine = bare.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    watched.is_some_and(|(seconds, _)| seconds.parse::<f64>().is_ok())
        || (bare.starts_with("+++ ") && bare.ends_with(" +++"))
        || engine.is_some_and(|engine| {
            ["master", "backup", "primary", "secondary", "linecard"].iter().any(|role| engine.starts_with(role))
        })
        || ["ntpd (pid ", "chronyd (pid "]
            .iter()
            .any(|start| bare.starts_with(start) && bare.ends_with("is running..."))
        || (bare.starts_with("ntpd ") && bare.contains("  Updated: "))
        || (bare.starts_with("Microsoft Windows [") && bare.ends_with(']'))
        || (bare.contains("(c) ") && bare.contains(" Microsoft Corporation"))
        || bare == "MGMT_VRF_CONFIG is not present."
        || (bare.starts_with("Current time in ") && bare.contains(" is : "))
}

/// A prompt with a command, as people paste them: `[root@host ~]# ntpq -p`, `user@host:~$ chronyc sources`, `ntpq> pe`,
/// `PS C:\> w32tm /query /status`, `admin:utils ntp status`.
pub(crate) fn is_prompt(line: &str) -> bool {
    let windows = line.strip_prefix("PS ").unwrap_or(line);
    let is_drive = windows.starts_with(|c: char| c.is_ascii_uppercase()) && windows.get(1..3) == Some(":\\");
    is_drive && windows.contains('>')
        || is_command(line)
        || line.starts_with("admin:utils ")
        || router::prompt(line).is_some()
        || line.split_once(['#', '$', '>']).is_some_and(|(before, after)| {
            let asks = before.contains('@') || matches!(before, "ntpq" | "chronyc");
            asks && (after.is_empty() || after.starts_with(' '))
        })
}

/// A command that asks for evidence, without a prompt.
fn is_command(line: &str) -> bool {
    let bare = line.strip_prefix("sudo ").unwrap_or(line);
    let asks = ["ntpq -", "ntpdc -", "chronyc ", "timedatectl ", "ntpdate -", "w32tm /"];
    line.len() < 100
        && (asks.iter().any(|start| bare.starts_with(start)) || matches!(bare, "ntptime" | "ntpstat" | "timedatectl"))
}

/// A line of a template's own language (Jinja, Go, ERB, EPP), as configuration management keeps them.
pub(crate) fn is_template(line: &str) -> bool {
    ["{%", "{#", "{{", "<%"].iter().any(|mark| line.starts_with(mark))
}

/// A line that only rules a table off: `====`, `----`, with or without gaps between the columns.
pub(crate) fn is_rule(line: &str) -> bool {
    let bare = line.trim_start();
    ["==", "--"].iter().any(|start| bare.starts_with(start))
        && bare.len() >= 4
        && (bare.bytes().all(|b| b == b'=' || b == b' ') || bare.bytes().all(|b| b == b'-' || b == b' '))
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A line that `date` printed, `Sun Nov 22 09:36:20 UTC 2026`, or in newer locales `Sun 22 Nov 2026 09:36:20 AM UTC`.
/// The time is known in UTC only: other zones have names that many share.
pub(super) fn date(line: &str) -> Option<Option<Time>> {
    let first = line.split_ascii_whitespace().next().filter(|word| line.len() < 48 && DAYS.contains(word))?;
    let mut words = line.split_ascii_whitespace().skip_while(|word| *word == first);
    let (mut year, mut month, mut day, mut time, mut half, mut zone) = (None, None, None, None, None, None);
    for word in &mut words {
        if let Some(known) = MONTHS.iter().position(|name| *name == word) {
            month = Some(known + 1);
        } else if word.contains(':') {
            time = Some(time_of_day(word)?);
        } else if let Some(number) = integer(word) {
            *(if number > 31 { &mut year } else { &mut day }) = Some(number);
        } else if matches!(word, "AM" | "PM") {
            half = Some(word == "PM");
        } else if zone.is_none() && word.bytes().all(|b| b.is_ascii_uppercase() || b"+-0123456789".contains(&b)) {
            zone = Some(word);
        } else {
            return None;
        }
    }
    const HOUR: i64 = 3600 * crate::time::SECOND;
    let time = match half {
        // Twelve hours: 12 AM is midnight.
        Some(after_noon) => time? % (12 * HOUR) + if after_noon { 12 * HOUR } else { 0 },
        None => time?,
    };
    let at = Time::from_date(year?.try_into().ok()?, month?.try_into().ok()?, day?.try_into().ok()?, time)?;
    Some(zone.is_some_and(|zone| matches!(zone, "UTC" | "GMT" | "+00" | "+0000")).then_some(at))
}

/// The line without what sets colours on a terminal and moves its cursor (`ESC [ … m`).
pub(super) fn without_escapes(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(match piece.strip_prefix('[') {
            Some(sequence) => {
                let parameters = |c: char| !('\u{40}'..='\u{7e}').contains(&c);
                sequence.trim_start_matches(parameters).get(1..).unwrap_or_default()
            }
            // `ESC ( B` chooses a set of characters.
            None => piece.strip_prefix("(B").unwrap_or(piece),
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::tests::{peers, read};
    use super::*;

    #[test]
    fn dates_of_all_locales_are_known_and_those_of_utc_are_times() {
        let want = Some(Some(Time(1_795_340_180_000_000_000)));
        assert_eq!(date("Sun Nov 22 09:36:20 UTC 2026"), want);
        assert_eq!(date("Sun 22 Nov 2026 09:36:20 AM UTC"), want);
        assert_eq!(date("Sun Nov 22 09:36:20 PM CET 2026"), Some(None));
        assert_eq!(date("Sun Nov 22 09:36:20 2026"), Some(None));
        for line in
            ["Sun", "Sun Nov 22 09:36:20", "Sun Nov 22 09:36 UTC 2026 was fine", "Sunday", "Nov 22 09:36:20 h x"]
        {
            assert_eq!(date(line), None, "{line}");
        }
    }

    #[test]
    fn what_date_says_is_when_the_next_command_ran() {
        let billboard = "     remote           refid      st t when poll reach   delay   offset  jitter\n====\n\
                         *192.0.2.1       .GPS.            1 u   45   64  377    1.0   2.0   3.0\n";
        let text = format!(
            "Every 2.0s: ntpq -p      h1: Sun Nov 22 09:36:20 2026\n\nSun Nov 22 09:36:20 UTC 2026\n{billboard}\
             Sun Nov 22 09:36:30 CET 2026\n{billboard}Sun Nov 22 09:36:40 UTC 2026\n\n\n\n\n{billboard}"
        );
        let times: Vec<bool> = peers(&text).iter().map(|row| row.starts_with("time=2026-11-22T09:36:20Z ")).collect();
        assert_eq!((times, read(&text).1), (vec![true, false, false], vec![]));
        assert_eq!(peers(&text).iter().filter(|row| row.contains("time=")).count(), 1);
    }

    #[test]
    fn colours_of_terminals_are_taken_off() {
        assert_eq!(without_escapes("\u{1b}[1;32m*192.0.2.1\u{1b}[0m\u{1b}(B x\u{1b}["), "*192.0.2.1 x");
    }
}
