//! What ntpscope says of evidence, compared with what is true: the same five questions for each world.
//!
//! The first four are those of the scorer that the recorded cases are scored with, so that worlds and recordings can be
//! compared: right, placed, whom, clean. The fifth, told, asks for notes and risks, which that one passes over.

use crate::sim::record;
use crate::world::World;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// From here up a fault is claimed.
pub const CLAIM: f64 = 0.5;
/// On healthy evidence no fault may get as much.
const QUIET: f64 = 0.2;

/// What is asked of a report.
pub const MARKS: [&str; 5] = ["right", "placed", "whom", "clean", "told"];

/// The answers, in the order of [`MARKS`].
pub type Marks = [bool; MARKS.len()];

/// What the program said.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Report {
    /// Its diagnoses.
    pub diagnoses: Vec<Diagnosis>,
    /// What it could not decide.
    pub undecided: Vec<Undecided>,
    /// Its exit status.
    #[serde(skip)]
    pub exit: Option<i32>,
}

/// One diagnosis, as far as it is compared.
#[derive(Clone, Debug, Deserialize)]
pub struct Diagnosis {
    /// Its cause's id.
    pub cause: String,
    /// `fault`, `risk` or `note`.
    pub kind: String,
    /// Its probability.
    pub probability: f64,
    /// Its place.
    #[serde(rename = "where")]
    pub place: Map<String, Value>,
    /// Who suffers.
    pub affected: BTreeSet<String>,
}

/// A cause that could not be decided.
#[derive(Clone, Debug, Deserialize)]
pub struct Undecided {
    /// Its id.
    pub cause: String,
}

/// What is true of a world, with each place in all the names that a report may give it.
pub struct Truth {
    places: BTreeMap<String, Map<String, Value>>,
    /// The true causes, the first first.
    pub causes: Vec<String>,
    affected: BTreeSet<String>,
    accept: BTreeSet<String>,
    undecided: BTreeSet<String>,
    notes: Vec<String>,
    healthy: BTreeSet<String>,
}

/// How a report did.
pub struct Verdict {
    /// See [`MARKS`].
    pub marks: Marks,
    /// The cause that was claimed with most probability, `undecided` or `nothing`.
    pub said: String,
    /// Each fault that was named: its probability, and whether it is true.
    pub faults: Vec<(f64, bool)>,
    /// For each true cause the probability that it got; none where it was not named.
    pub given: Vec<(String, Option<f64>)>,
}

impl Truth {
    /// What is true of a world.
    #[must_use]
    pub fn of(world: &World) -> Truth {
        let told = record::truth(world, "", "", &BTreeMap::new());
        let mut places = BTreeMap::new();
        for cause in told["causes"].as_array().into_iter().flatten() {
            if let (Some(id), Some(place)) = (cause["cause"].as_str(), cause["where"].as_object()) {
                places.insert(id.to_owned(), place.clone());
            }
        }
        let truth = &world.truth;
        let causes: Vec<String> = truth.causes.iter().map(|cause| cause.cause.clone()).collect();
        Truth {
            places,
            affected: truth.causes.first().map(|cause| cause.affected.iter().cloned().collect()).unwrap_or_default(),
            accept: causes.iter().chain(&truth.accept).cloned().collect(),
            causes,
            undecided: truth.undecided.iter().cloned().collect(),
            notes: truth.notes.clone(),
            healthy: truth.healthy_hosts.iter().cloned().collect(),
        }
    }

    /// What is wanted, in a word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.causes.first() {
            Some(cause) => cause,
            None if self.undecided.is_empty() => "nothing",
            None => "undecided",
        }
    }

    /// Compares.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Verdict {
        let mut faults: Vec<&Diagnosis> = report.diagnoses.iter().filter(|d| d.kind == "fault").collect();
        faults.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let claimed: Vec<&Diagnosis> = faults.iter().copied().filter(|d| d.probability >= CLAIM).collect();
        let accepted = |d: &&Diagnosis| self.accept.contains(&d.cause);
        let open: BTreeSet<&str> = report.undecided.iter().map(|u| u.cause.as_str()).collect();
        let left_open = self.undecided.iter().any(|cause| open.contains(cause.as_str()));

        let [right, placed, whom] = if self.causes.is_empty() {
            let quiet = faults.iter().filter(|d| d.probability >= QUIET).all(accepted);
            let told = self.undecided.is_empty() || faults.first().is_some_and(accepted) || left_open;
            [quiet && told; 3]
        } else {
            let top = claimed.first().filter(|top| accepted(top));
            let at_its_place =
                |top: &&Diagnosis| self.places.get(&top.cause).is_none_or(|want| is_at(want, &top.place));
            let named: BTreeSet<String> =
                claimed.iter().filter(|d| accepted(d)).flat_map(|d| d.affected.iter().cloned()).collect();
            let right = top.is_some();
            [right, top.is_some_and(at_its_place), right && (self.affected.is_empty() || named == self.affected)]
        };
        let innocent = |d: &&Diagnosis| accepted(d) && self.healthy.is_disjoint(&d.affected);
        let clean = claimed.iter().all(innocent) && report.exit == Some(i32::from(!claimed.is_empty()));
        let told = self.notes.iter().all(|note| report.diagnoses.iter().any(|d| d.cause == *note));

        let undecided = left_open || self.causes.iter().any(|cause| open.contains(cause.as_str()));
        let said = match claimed.first() {
            Some(top) => top.cause.clone(),
            None if undecided => "undecided".into(),
            None => "nothing".into(),
        };
        let given = self.causes.iter().map(|cause| {
            let best = faults.iter().find(|d| d.cause == *cause).map(|d| d.probability);
            (cause.clone(), best)
        });
        Verdict {
            marks: [right, placed, whom, clean, told],
            said,
            faults: faults.iter().map(|d| (d.probability, accepted(d))).collect(),
            given: given.collect(),
        }
    }
}

/// Whether a place is the one that is wanted: the ends of a segment in either order, and by capture point or host; a host by
/// any of its names.
fn is_at(want: &Map<String, Value>, got: &Map<String, Value>) -> bool {
    let none = Value::Null;
    let get = |key: &str| got.get(key).unwrap_or(&none);
    want.iter().all(|(key, value)| match (key.as_str(), value) {
        ("between", Value::Array(want)) => {
            let want: Vec<&str> = want.iter().filter_map(Value::as_str).collect();
            let got: Vec<&str> = ["from", "to"].iter().filter_map(|end| get(end).as_str()).collect();
            set(&want, |end| end) == set(&got, |end| end) || set(&want, host_of) == set(&got, host_of)
        }
        ("host", Value::Array(names)) => names.contains(get("host")) || names.contains(get("address")),
        (_, Value::Array(any)) => any.contains(get(key)),
        _ => value == get(key),
    })
}

fn set<'a>(ends: &[&'a str], name: impl Fn(&'a str) -> &'a str) -> BTreeSet<&'a str> {
    ends.iter().map(|end| name(end)).collect()
}

/// The host of a capture point: what stands before its last `_`.
fn host_of(point: &str) -> &str {
    point.rsplit_once('_').map_or(point, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn truth(said: &str) -> Truth {
        let text = format!(
            r#"
            about = ""
            duration = "1m"
            hosts.c1 = {{ addresses = {{ eth0 = "10.1.0.11/24" }} }}
            hosts.sv = {{ addresses = {{ eth0 = "10.2.0.2/24" }} }}
            links = {{}}
            {said}
            "#
        );
        Truth::of(&World::read(&text).expect("a world"))
    }

    fn report(diagnoses: &Value, undecided: &Value, exit: i32) -> Report {
        let read = serde_json::from_value(json!({ "diagnoses": diagnoses, "undecided": undecided }));
        Report { exit: Some(exit), ..read.expect("a report") }
    }

    fn fault(cause: &str, probability: f64, place: &Value, affected: &[&str]) -> Value {
        json!({ "cause": cause, "kind": "fault", "probability": probability, "where": place, "affected": affected })
    }

    const LOSS: &str = r#"
        truth.healthy_hosts = ["sv"]
        truth.causes = [{ cause = "loss-on-segment", where = { kind = "segment", from = "rt_out0", to = "sv_eth0", direction = "to-server" }, affected = ["c1"] }]
    "#;

    #[test]
    fn a_right_answer_has_all_marks_and_each_wrong_one_lacks_its_own() {
        let there = json!({ "kind": "segment", "from": "sv", "to": "rt", "direction": "to-server" });
        let elsewhere = json!({ "kind": "segment", "from": "c1", "to": "rt", "direction": "to-server" });
        let good = fault("loss-on-segment", 0.9, &there, &["c1"]);
        let marks = |diagnoses: Value, exit| truth(LOSS).judge(&report(&diagnoses, &json!([]), exit)).marks;
        assert_eq!(marks(json!([good]), 1), [true; 5]);
        assert_eq!(
            marks(json!([fault("loss-on-segment", 0.9, &elsewhere, &["c1"])]), 1),
            [true, false, true, true, true]
        );
        assert_eq!(marks(json!([fault("loss-on-segment", 0.9, &there, &["c2"])]), 1), [true, true, false, true, true]);
        assert_eq!(
            marks(json!([fault("loss-on-segment", 0.9, &there, &["c1", "sv"])]), 1),
            [true, true, false, false, true]
        );
        assert_eq!(marks(json!([good]), 0), [true, true, true, false, true]);
        assert_eq!(
            marks(json!([good, fault("falseticker", 0.6, &there, &["c1"])]), 1),
            [true, true, true, false, true]
        );
        assert_eq!(marks(json!([fault("falseticker", 0.6, &there, &["c1"])]), 1), [false, false, false, false, true]);
        assert_eq!(
            marks(json!([fault("loss-on-segment", 0.4, &there, &["c1"])]), 0),
            [false, false, false, true, true]
        );
    }

    #[test]
    fn a_host_goes_by_any_of_its_names() {
        let truth =
            truth(r#"truth.causes = [{ cause = "server-access-list", where = { kind = "server", host = "sv" } }]"#);
        let marks = |place: Value| {
            truth.judge(&report(&json!([fault("server-access-list", 0.9, &place, &[])]), &json!([]), 1)).marks[1]
        };
        assert!(marks(json!({ "kind": "server", "host": "sv" })));
        assert!(marks(json!({ "kind": "server", "host": "other", "address": "10.2.0.2" })));
        assert!(!marks(json!({ "kind": "server", "host": "c1" })));
        assert!(!marks(json!({ "kind": "device", "host": "sv" })));
    }

    #[test]
    fn healthy_evidence_is_quiet_and_undecided_evidence_is_left_open() {
        let (healthy, open) = (truth(""), truth(r#"truth.undecided = ["loss-on-segment"]"#));
        let nothing = report(&json!([]), &json!([]), 0);
        let guess = report(&json!([fault("falseticker", 0.3, &json!({}), &[])]), &json!([]), 0);
        let left = report(&json!([]), &json!([{ "cause": "loss-on-segment" }]), 0);
        assert_eq!(healthy.judge(&nothing).marks, [true; 5]);
        assert!(!healthy.judge(&guess).marks[0]);
        assert!(!open.judge(&nothing).marks[0]);
        assert_eq!((open.judge(&left).marks, open.judge(&left).said.as_str()), ([true; 5], "undecided"));
    }

    #[test]
    fn notes_are_asked_for() {
        let truth = truth(r#"truth.notes = ["nat-port-rewrite"]"#);
        let note =
            json!([{ "cause": "nat-port-rewrite", "kind": "risk", "probability": 0.2, "where": {}, "affected": [] }]);
        assert!(truth.judge(&report(&note, &json!([]), 0)).marks[4]);
        assert!(!truth.judge(&report(&json!([]), &json!([]), 0)).marks[4]);
    }
}
