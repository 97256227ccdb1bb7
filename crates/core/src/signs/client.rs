//! Signs of a client that does not ask.

use super::{Case, Examiner};
use crate::exchange::Fate;
use crate::rules::exchange::Count;
use crate::rules::path::{Locus, Symptom};
use crate::rules::polling::Pause;
use crate::rules::{Evidence, Finding, Measure};
use std::collections::BTreeMap;

impl Examiner<'_> {
    /// A case for each time in which a client asked nobody.
    pub(crate) fn pauses(&mut self) -> Vec<Case> {
        self.rules.polling.pauses().into_iter().filter_map(|pause| self.pause(pause)).collect()
    }

    fn pause(&mut self, pause: Pause) -> Option<Case> {
        let (client, server) = (self.scene.full_name(pause.client), self.scene.full_name(pause.server));
        let others: Vec<String> = pause.others.iter().map(|other| self.scene.name(*other)).collect();
        let meanwhile =
            if others.is_empty() { String::new() } else { format!(", while {} went on asking", others.join(", ")) };
        let length_s = pause.until.0.since_s(pause.from.0);
        let end = if pause.until.1.is_some() { "" } else { ", the end of the recording" };
        let found = self.findings.add(Finding {
            rule: "polling",
            subject: self.scene.name(pause.client),
            statement: format!(
                "{client} asked {server} every {:.0} s or oftener, but nobody from {} to {}{end}: {} polls are missing \
                 in {length_s:.0} s{meanwhile}",
                pause.interval_s.max(1.0),
                pause.from.0,
                pause.until.0,
                pause.missed
            ),
            measures: vec![
                ("missed", Measure::Number(pause.missed as f64)),
                ("interval_s", Measure::Number(pause.interval_s)),
                ("pause_s", Measure::Number(length_s)),
            ],
            evidence: Evidence::of(std::iter::once(pause.from.1).chain(pause.until.1))?,
            recipe: Some(format!(
                "tshark -r CAPTURE -Y 'ip.src == {} && udp.dstport == 123' -T fields -e frame.time_epoch | awk \
                 'NR>1 && $1-p>{:.0} {{print p, $1}} {{p=$1}}'",
                pause.client,
                length_s / 2.0
            )),
        });
        let missing = Count { n: pause.missed, first: Some(pause.from), last: Some((pause.until.0, pause.from.1)) };
        let symptom = Symptom {
            lost: BTreeMap::from([(pause.client, missing)]),
            reached: BTreeMap::from([(pause.client, pause.sent + pause.missed)]),
            ..Symptom::new(pause.server, Locus::Unasked(pause.near))
        };
        let own_host = pause.near.and_then(|point| self.scene.host_of_point(point));
        let kissed = self.rules.path.iter().any(|(trace, _)| {
            (trace.server, trace.client) == (pause.server, pause.client) && matches!(trace.fate, Fate::Kiss(_))
        });
        let own = own_host == Some(self.scene.name(pause.client).as_str());
        // A capture of nobody's host that saw this client alone may be its own.
        let elsewhere = own_host.is_some() || pause.shared;
        let watched = (own || elsewhere).then_some(("watched-at-client", own));
        let signs = [
            ("polls-missing", true),
            ("others-went-on", !pause.others.is_empty()),
            ("retreat", pause.retreat),
            ("kiss-rate", kissed),
        ];
        let signs = signs.into_iter().chain(watched);
        let mut case = Case::new(symptom, found);
        signs.for_each(|(name, holds)| case.weighed.hold(name, holds, found));
        Some(case)
    }
}
