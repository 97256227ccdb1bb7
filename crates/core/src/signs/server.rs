//! Signs of a server that gets requests and serves them ill: it can't answer, it is too slow, it has no time itself.

use super::{Case, Examiner, last_point};
use crate::exchange::Fate;
use crate::model::{Counter, InputId};
use crate::rules::pace::Together;
use crate::rules::path::Locus;
use crate::rules::{Evidence, Finding, Measure};
use crate::stats::{Share, fisher};

/// Lost requests below which counters and times prove nothing.
const FEWEST: u64 = 4;

/// So much of what was lost must be found where a sign looks for it.
const MOSTLY: f64 = 0.5;

/// Losses and slow answers lie together when chance would bring this about so seldom.
const CHANCE: f64 = 1e-3;

impl Examiner<'_> {
    /// Whether the daemon took the lost requests for answered, and whether it was slow meanwhile.
    pub(super) fn service(&mut self, case: &mut Case) {
        let inputs = self.inputs_of(case.symptom.server);
        if case.weighed.locus == "server" {
            self.answers_unseen(case, &inputs);
        }
        if matches!(case.weighed.locus, "server" | "beyond") {
            let own = self
                .rules
                .loss
                .captured()
                .filter(|((s, c), _)| *s == case.symptom.server && case.symptom.lost.contains_key(c));
            let answered = own.filter(|(_, polls)| polls.answered.is_some()).count();
            case.weighed.hold("never-answered", answered == 0, case.weighed.found);
        }
        if matches!(case.weighed.locus, "server" | "late" | "beyond") {
            self.slowness(case);
        }
    }

    /// What the daemon counts as sent, held against what was seen to leave.
    fn answers_unseen(&mut self, case: &mut Case, inputs: &[InputId]) {
        let lost = case.symptom.total().n;
        let name = self.scene.full_name(case.symptom.server);
        let grown = |counter| self.rules.daemon.growth(inputs, counter);
        let (received, sent, dropped) = (grown(Counter::Received), grown(Counter::Sent), grown(Counter::Limited));
        let all = case.symptom.came();
        if lost < FEWEST {
            return;
        }
        // chronyd counts what its access list lets in, and what it drops of that; the rest it answers.
        let accepted = match (sent, received, dropped) {
            (Some(sent), Some(received), _) => Some((sent.by, received, "sent")),
            (None, Some(received), Some(dropped)) if received.over_s.is_none() => {
                Some((received.by.saturating_sub(dropped.by), received, "accepted"))
            }
            _ => None,
        };
        if let Some((answered, received, word)) = accepted {
            // The daemon's looks span some of the recording, or more: shares are compared, not counts.
            // What it could not send, it had answered.
            let failed = self.rules.daemon.sends_failed(inputs).map_or(0, |(failed, _)| failed);
            let (unanswered, share) = (received.by.saturating_sub(answered + failed), lost as f64 / all.max(1) as f64);
            let expected = received.by as f64 * share;
            let reached = received.over_s.is_some() || received.by as f64 > (all - lost) as f64 + MOSTLY * lost as f64;
            let id = self.findings.add(Finding {
                rule: "daemon",
                subject: self.scene.name(case.symptom.server),
                statement: format!(
                    "{name} received {} packets between two looks and {word} {answered}; were the lost requests dropped \
                     by it, {expected:.0} would be missing",
                    received.by
                ),
                measures: vec![
                    ("received", Measure::Number(received.by as f64)),
                    ("sent", Measure::Number(answered as f64)),
                    ("expected", Measure::Number(expected)),
                ],
                evidence: Evidence::of([received.looks.1, received.looks.0]).unwrap_or(Evidence::at(received.looks.1)),
                recipe: Some("ntpq -c iostats (chronyc serverstats), twice".into()),
            });
            // What never came to the daemon was not answered by it.
            let missed =
                case.weighed.signs.iter().find(|sign| sign.name == "daemon-missed-them").map(|sign| sign.holds);
            let reached =
                reached && missed.is_none_or(|missed| !missed) && (missed.is_some() || received.over_s.is_none());
            if reached && expected >= FEWEST as f64 {
                case.weighed.hold("daemon-answered-them", (unanswered as f64) < expected * MOSTLY, id);
            }
        }
        let Some((failed, origin)) = self.rules.daemon.sends_failed(inputs) else { return };
        let id = self.findings.add(Finding {
            rule: "daemon",
            subject: self.scene.name(case.symptom.server),
            statement: format!("{name} counted {failed} packets that it could not send"),
            measures: vec![("failed", Measure::Number(failed as f64))],
            evidence: Evidence::at(origin),
            recipe: Some("ntpq -c iostats: \"packet send failures\"".into()),
        });
        if failed > 0 {
            case.weighed.hold("send-failed", failed as f64 >= MOSTLY * lost as f64, id);
        }
    }

    /// Whether requests are lost when answers are slow.
    fn slowness(&mut self, case: &mut Case) {
        let server = case.symptom.server;
        let Together { lost, fast, slow, slow_at } = self.rules.pace.together(server, last_point(case.symptom.locus));
        let (near, all) = (Share::of(lost.0, lost.0 + lost.1), lost.0 + lost.1);
        let Some((_, example)) = case.symptom.total().first.filter(|_| slow > 0) else { return };
        let name = self.scene.full_name(server);
        let id = self.findings.add(Finding {
            rule: "pace",
            subject: self.scene.name(server),
            statement: format!(
                "{name} gave {slow} slow answers; {} lost requests fall within 16 s of one, and {} of {} fast answers",
                near.words(),
                fast.0,
                fast.0 + fast.1
            ),
            measures: vec![("slow", Measure::Number(slow as f64)), ("lost_while_slow", Measure::Share(near))],
            evidence: Evidence::at(example),
            recipe: Some("ntpscope exchanges CAPTURE: the column of reply times, at the server's capture".into()),
        });
        let at_server = slow_at.iter().any(|point| self.scene.is_at_server(point, server));
        if slow >= 3 {
            case.weighed.hold("slow-at-server", at_server, id);
        }
        if all >= 3 && slow >= 3 {
            // Where all was slow all the time, nothing can be told.
            let apart = fast.1 > 0 && fisher(lost, fast) < CHANCE;
            case.weighed.hold("lost-while-slow", apart && near.value() > 0.8, id);
        } else if slow == 0 && all >= FEWEST {
            case.weighed.hold("lost-while-slow", false, id);
        }
    }

    /// When a server that had no time had it.
    pub(super) fn synchronisation(&mut self, case: &mut Case) {
        let server = case.symptom.server;
        let answers = || self.rules.exchange.iter().filter(|(s, ..)| *s == server);
        let good = answers().find(|(_, fate, _)| *fate == Fate::Answered).map(|(.., count)| count);
        let bad = answers().find(|(_, fate, _)| *fate == Fate::Unsynchronised).map(|(.., count)| count);
        let (Some(good), Some(bad)) = (good, bad) else { return };
        let (first_good, last_good) = (good.first.map(|(t, _)| t), good.last.map(|(t, _)| t));
        let (first_bad, last_bad) = (bad.first.map(|(t, _)| t), bad.last.map(|(t, _)| t));
        let later = last_good > last_bad;
        case.weighed.hold("synchronised-later", later, case.weighed.found);
        if matches!(case.symptom.locus, Locus::Answered(_)) {
            case.weighed.hold(
                "started-unsynchronised",
                later && first_bad < first_good && last_bad < first_good,
                case.weighed.found,
            );
        }
    }
}
