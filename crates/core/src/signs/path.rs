//! Findings about the path: the symptom itself, and what each hop loses.

use super::Examiner;
use crate::exchange::{Fate, LATE_S, MAX_DISTANCE_S, PointId};
use crate::rules::exchange::Count;
use crate::rules::path::{Direction, Hop, Locus, Symptom, Trace};
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::stats::Share;
use std::net::IpAddr;

impl Examiner<'_> {
    /// The finding of the symptom itself: how many, where, with an example.
    pub(super) fn symptom(&mut self, symptom: &Symptom) -> Option<FindingId> {
        let total = symptom.total();
        let (since, example) = total.first?;
        let share = Share::of(total.n, symptom.came());
        let scene = self.scene;
        let (server, name) = (scene.full_name(symptom.server), |p: PointId| scene.point_name(p));
        let (what, subject) = match symptom.locus {
            Locus::Server(at) => (
                format!("requests to {server} arrived at {} and got no reply from it", name(at)),
                scene.name(symptom.server),
            ),
            Locus::Segment(a, b, d) | Locus::Device(a, b, d) => {
                let packets = if d == Direction::ToServer { "requests to" } else { "replies of" };
                (
                    format!("{packets} {server} were seen at {} and not at {}", name(a), name(b)),
                    format!("{} to {}", name(a), name(b)),
                )
            }
            Locus::Beyond(at, _) => (
                format!("requests to {server} were last seen at {}; nothing further on was recording", name(at)),
                name(at),
            ),
            Locus::Late(Some((a, b))) => {
                let (a, b) = (name(a), name(b));
                (
                    format!("replies of {server} were in time at {a} and came later than {LATE_S} s at {b}"),
                    format!("{a} to {b}"),
                )
            }
            Locus::Late(None) => {
                (format!("replies of {server} came later than {LATE_S} s"), scene.name(symptom.server))
            }
            Locus::Told => return None,
            Locus::Answered(fate) => {
                (format!("requests to {server} {}", answered_words(fate)), scene.name(symptom.server))
            }
            Locus::Doubled(a, b, direction) => {
                let packets = match direction {
                    Some(Direction::ToServer) => "requests to",
                    Some(Direction::ToClient) => "replies of",
                    None => "packets to and from",
                };
                let (a, b) = (name(a), name(b));
                (format!("{packets} {server} were seen once at {a} and twice at {b}"), format!("{a} to {b}"))
            }
            Locus::Unasked(_) => (format!("polls of {server} are missing"), scene.name(symptom.server)),
        };
        let last = total.last.map(|(_, origin)| origin);
        let recipe = self.symptom_recipe(symptom, scene.input_name(example.input));
        Some(self.findings.add(Finding {
            rule: if matches!(symptom.locus, Locus::Answered(_)) { "exchange" } else { "path" },
            subject,
            statement: format!("{} {what}; the first at {since}", share.words()),
            measures: vec![
                ("lost", Measure::Number(total.n as f64)),
                ("of", Measure::Number(symptom.came() as f64)),
                ("share", Measure::Share(share)),
            ],
            evidence: Evidence::of(std::iter::once(example).chain(last))?,
            recipe: Some(recipe),
        }))
    }

    /// How much each hop loses: what rules the path out, or in.
    pub(crate) fn hops(&mut self, server: IpAddr) -> Vec<(Hop, FindingId)> {
        let mut told = Vec::new();
        for hop in self.rules.path.hops(self.routes, server) {
            let of = |(t, count): (Trace, Count)| {
                (t.server == server && t.requests.contains(hop.from)).then_some(count.first?.1)
            };
            let Some(evidence) = Evidence::of(self.rules.path.iter().filter_map(of).take(2)) else { continue };
            let share = Share::of(hop.lost, hop.came);
            let (from, to) = (self.scene.point_name(hop.from), self.scene.point_name(hop.to));
            let packets = if hop.direction == Direction::ToServer { "requests to" } else { "replies of" };
            let id = self.findings.add(Finding {
                rule: "path",
                subject: format!("{from} to {to}"),
                statement: format!(
                    "{} {packets} {} were lost from {from} to {to}",
                    share.words(),
                    self.scene.full_name(server)
                ),
                measures: vec![("lost", Measure::Number(hop.lost as f64)), ("share", Measure::Share(share))],
                evidence,
                recipe: Some(self.hop_recipe(hop.from, hop.to, server, hop.direction)),
            });
            told.push((hop, id));
        }
        told
    }
}

fn answered_words(fate: Fate) -> String {
    match fate {
        Fate::Kiss(code) => format!("were answered with kiss-o'-death {}", String::from_utf8_lossy(&code)),
        Fate::Elsewhere(from) => format!("were answered from {from}, which was not asked"),
        Fate::Misdirected(to) => format!("were answered to {to}, which had not asked"),
        Fate::Unsynchronised => {
            format!("were answered with \"not synchronised\" (or with a root distance grown past {MAX_DISTANCE_S} s)")
        }
        Fate::Error(error, from) => format!("were answered with {} by {from}", error.words()),
        other => format!("are {}", other.word()),
    }
}
