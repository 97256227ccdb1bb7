//! What servers have refused, where nobody is known who suffers from it: told, and what it may be stays undecided.

use super::{CLAIM, Diagnosis, Undecided};
use crate::causes::{Cause, DECISIVE};
use crate::model::{Counter, InputId};
use crate::rules::{Evidence, Finding, Findings, Measure, Summaries};
use crate::scene::Scene;
use crate::stats::Share;
use std::collections::BTreeSet;

/// Counters of what is refused, with the signs that causes know them by, and their words.
const REFUSALS: [(Counter, &str, &str); 3] = [
    (Counter::BadFormat, "bad-format-grew", "bad length or format"),
    (Counter::Limited, "limited-grew", "rate limited"),
    (Counter::Restricted, "restricted-grew", "restricted"),
];

/// Fewer refusals are anybody's scan.
const FEWEST: u64 = 3;
/// So is a smaller share of what came.
const LEAST_SHARE: f64 = 0.02;

/// Looks at all servers but those of which something is known already.
pub(super) fn refusals(
    rules: &Summaries,
    scene: &Scene,
    causes: &[Cause],
    known: &BTreeSet<String>,
    findings: &mut Findings,
    out: &mut Diagnosis,
) {
    for host in scene.daemons().filter(|host| !known.contains(*host)) {
        let inputs = scene.inputs_of(host);
        let Some(received) = rules.daemon.growth(&inputs, Counter::Received) else { continue };
        for (counter, sign, words) in REFUSALS {
            let Some(growth) = rules.daemon.growth(&inputs, counter) else { continue };
            let share = Share::of(growth.by.min(received.by), received.by);
            if growth.by < FEWEST || share.interval().0 < LEAST_SHARE {
                continue;
            }
            let (earlier, later) = growth.looks;
            let Some(evidence) = Evidence::of([later, earlier]) else { continue };
            findings.add(Finding {
                rule: "daemon",
                subject: host.to_owned(),
                statement: format!(
                    "{host} counted {} of the packets that it received as \"{words}\"; nothing shows whose they were",
                    share.words()
                ),
                measures: vec![("grew", Measure::Number(growth.by as f64)), ("share", Measure::Share(share))],
                evidence,
                recipe: Some("ntpq -c sysstats".into()),
            });
            for cause in causes {
                let is_known = out.undecided.iter().any(|known| known.cause == cause.id);
                if let Some(probability) = probability(cause, sign, &inputs, rules).filter(|_| !is_known) {
                    let needs =
                        format!("a capture at {host}, or what its clients say of it (ntpq -pn, chronyc -n ntpdata)");
                    out.undecided.push(Undecided { cause: cause.id.clone(), probability, needs });
                }
            }
        }
    }
}

/// How probable a cause is by a counter and the version alone; never enough to be claimed, since nobody is known to suffer.
fn probability(cause: &Cause, sign: &str, inputs: &[InputId], rules: &Summaries) -> Option<f64> {
    let weight = cause.signs.iter().find(|weight| weight.name == sign).filter(|weight| weight.holds > 0.0)?;
    let version = rules.daemon.version(inputs).map(|(version, ..)| version);
    let by_version =
        cause.signs.iter().find(|weight| weight.name == "version").zip(version).map(|(weight, version)| {
            let has = cause.versions.iter().any(|range| version.is_within(&range.product, &range.from, &range.to));
            if has { weight.holds } else { weight.fails }
        });
    let odds = cause.prior + weight.holds + by_version.unwrap_or_default();
    let likely = odds.exp() / (1.0 + odds.exp());
    (by_version.unwrap_or_default() > DECISIVE).then(|| likely.min(CLAIM - 0.01))
}
