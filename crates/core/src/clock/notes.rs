//! What is worth knowing of a clock that is right: a rate that follows the day, restarts of its daemon.

use super::track::Track;
use super::{Case, Clocks, frequency};
use crate::diagnosis::Place;
use crate::model::Happening;
use crate::rules::{Evidence, Finding, Measure};
use crate::signs::Weighed;
use crate::time::Time;
use std::collections::BTreeSet;

/// What is said of one start within this is said once, in seconds.
const ONCE_S: f64 = 120.0;

/// A start that stands in the log so soon after the first sample, or before it, is the first one, in seconds.
const FIRST_S: f64 = 600.0;

impl Clocks<'_> {
    /// What is worth a note of one host.
    pub(super) fn notes(&mut self, host: &str, track: &Track<'_>) -> Vec<Case> {
        [self.day(host, track), self.restarts(host, track)].into_iter().flatten().collect()
    }

    /// A frequency that follows the day while the clock stays right.
    fn day(&mut self, host: &str, track: &Track<'_>) -> Option<Case> {
        let settled = track.settled()?;
        let (size, share) = frequency::day(&track.rows, settled)?;
        let windows = track.windows();
        let disturbed = windows.iter().filter(|window| window.disturbed).count();
        if disturbed * 4 > windows.len() {
            return None;
        }
        let first = track.rows.iter().find(|row| row.time >= settled)?;
        let last = track.rows.last()?.time;
        let found = Finding {
            rule: "frequency",
            subject: host.to_owned(),
            statement: format!(
                "the rate of {host}'s clock follows the day by {size:.2} ppm to each side: the hour explains {:.0} % of \
                 how it varies",
                share * 100.0
            ),
            measures: vec![("day_ppm", Measure::Number(size)), ("explained", Measure::Number(share))],
            evidence: Evidence::at(first.origin),
            recipe: Some(
                "awk '{h = int($2 / 3600); n[h]++; f[h] += $4} END {for (h in n) print h, f[h] / n[h]}' loopstats"
                    .into(),
            ),
        };
        Some(self.note(host, "follows-the-day", found, settled, last))
    }

    /// Starts of the daemon after the first.
    fn restarts(&mut self, host: &str, track: &Track<'_>) -> Option<Case> {
        let (first, end) = track.span()?;
        let is_start = |h: &&&crate::rules::happenings::Happened| {
            h.kind == Happening::Start && matches!(h.program.as_str(), "ntpd" | "chronyd")
        };
        let starts = track.said.iter().filter(is_start).filter_map(|h| Some((h.time?, h.origin)));
        let mut restarts = Vec::new();
        let mut last: Option<Time> = None;
        for (time, origin) in starts {
            let again = last.is_some_and(|last| time.since_s(last) < ONCE_S);
            last = Some(time);
            if !again && time.since_s(first) > FIRST_S && time <= end {
                restarts.push((time, origin));
            }
        }
        let (since, until) = (restarts.first()?.0, restarts.last()?.0);
        let told: Vec<String> = restarts.iter().take(4).map(|(time, _)| time.to_string()).collect();
        let found = Finding {
            rule: "step",
            subject: host.to_owned(),
            statement: format!(
                "the daemon of {host} was started again {} times, at {}: gaps and transients there are its start",
                restarts.len(),
                told.join(", ")
            ),
            measures: vec![("restarts", Measure::Number(restarts.len() as f64))],
            evidence: Evidence::of(restarts.iter().map(|(_, origin)| *origin))?,
            recipe: Some("grep -h -i starting ntpd.log syslog".into()),
        };
        Some(self.note(host, "started-again", found, since, until))
    }

    fn note(&mut self, host: &str, sign: &'static str, found: Finding, since: Time, last: Time) -> Case {
        let found = self.findings.add(found);
        let mut weighed = Weighed::new("noted", found);
        weighed.hold(sign, true, found);
        Case {
            weighed,
            place: Place::Client(host.to_owned()),
            affected: BTreeSet::new(),
            since: Some(since),
            from_the_start: false,
            last: Some(last),
        }
    }
}
