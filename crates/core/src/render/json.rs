//! The report for programs: `docs/diagnosis.schema.json` describes it.

use super::Coverage;
use crate::diagnosis::{Claim, Diagnosis, Place};
use crate::model::{Origin, Place as Unit};
use crate::rules::path::Direction;
use crate::rules::{Finding, FindingId, Measure};
use crate::scene::{Input, Scene};
use crate::stats::Share;
use serde_json::{Map, Value, json};

/// The whole report.
#[must_use]
pub fn report(diagnosis: &Diagnosis, coverage: Coverage<'_>) -> Value {
    let Coverage { scene, tally, alignment } = coverage;
    let ids = |by: &[FindingId]| by.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "schema": "ntpscope.diagnosis/1",
        "diagnoses": diagnosis.diagnoses.iter().map(claim).collect::<Vec<_>>(),
        "findings": diagnosis.findings.iter().map(|(id, f)| finding(id, f, scene)).collect::<Vec<_>>(),
        "ruled_out": diagnosis.ruled_out.iter().map(|(cause, by)| json!({ "cause": cause, "by": ids(by) })).collect::<Vec<_>>(),
        "undecided": diagnosis.undecided.iter().map(|undecided| json!({
            "cause": undecided.cause, "probability": rounded(undecided.probability), "needs": undecided.needs,
        })).collect::<Vec<_>>(),
        "advice": diagnosis.advice.iter().map(|advice| json!({
            "server": advice.server, "host": advice.host, "command": advice.command,
            "bits": rounded(advice.bits), "open_bits": rounded(advice.open_bits),
        })).collect::<Vec<_>>(),
        "coverage": {
            "requests": share(diagnosis.answered),
            "requests_unjudged": diagnosis.unjudged,
            "packets": tally.packets,
            "replies_without_request": tally.unasked,
            "closed_early": tally.hurried,
            "inputs": scene.inputs.iter().map(input).collect::<Vec<_>>(),
            "points": scene.points().map(|(id, p)| json!({
                "name": p.name, "host": p.host, "input": scene.input_name(p.input),
                "clock_behind_s": alignment.ahead_ns(id) as f64 / 1e9,
            })).collect::<Vec<_>>(),
            "hosts": scene.claims().map(|(address, c)| json!({
                "host": c.host, "address": address.to_string(), "why": c.why, "evidence": c.origin.map(|o| origin(o, scene)),
            })).collect::<Vec<_>>(),
            "names": scene.joins().iter().map(|j| json!({
                "host": j.host, "name": j.name, "why": j.why, "evidence": j.origin.map(|o| origin(o, scene)),
            })).collect::<Vec<_>>(),
            "rejects": scene.inputs.iter().flat_map(|i| i.rejects.iter().map(|r| {
                let mut reject = unit(r.place);
                reject.insert("input".into(), json!(i.name));
                reject.insert("reason".into(), json!(r.reason));
                Value::Object(reject)
            })).collect::<Vec<_>>(),
        },
    })
}

/// To four decimals: more would pretend to be known.
fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

fn claim(claim: &Claim) -> Value {
    json!({
        "cause": claim.cause,
        "kind": claim.kind,
        "probability": rounded(claim.probability),
        "title": claim.title,
        "where": place(&claim.place),
        "provoked_by": claim.provoked_by.as_ref().map(|host| json!({ "kind": "device", "host": host })),
        "affected": claim.affected,
        "since": claim.since,
        "until": null,
        "may_be_older": claim.from_the_start,
        "last_seen": claim.last,
        "explains": claim.explains.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "versions": claim.versions,
        "remedy": claim.remedy,
        "confirm": claim.confirm,
        "sources": claim.sources,
    })
}

fn place(place: &Place) -> Value {
    let (kind, host, address, ends, direction) = match place {
        Place::Server(host, address) => ("server", Some(host), Some(address), None, None),
        Place::Device(name, ends) => ("device", Some(name), None, ends.as_ref().map(|(a, b)| (a, b)), None),
        Place::Client(host) => ("client", Some(host), None, None, None),
        Place::Source(name, address) => ("source", Some(name), address.as_ref(), None, None),
        Place::Segment(from, to, direction) => {
            let way = match direction {
                Some(Direction::ToServer) => "to-server",
                Some(Direction::ToClient) => "to-client",
                None => "both",
            };
            ("segment", None, None, Some((from, to)), Some(way))
        }
    };
    json!({
        "kind": kind,
        "host": host,
        "address": address.map(ToString::to_string),
        "from": ends.map(|(from, _)| from),
        "to": ends.map(|(_, to)| to),
        "direction": direction,
    })
}

fn finding(id: FindingId, finding: &Finding, scene: &Scene) -> Value {
    let mut measures = Map::new();
    for (name, measure) in &finding.measures {
        let value = match measure {
            Measure::Number(n) => json!(n),
            Measure::Share(s) => share(*s),
            Measure::Interval(low, high) => json!([low, high]),
            Measure::Word(word) => json!(word),
        };
        measures.insert((*name).into(), value);
    }
    json!({
        "id": id.to_string(),
        "rule": finding.rule,
        "subject": finding.subject,
        "statement": finding.statement,
        "measures": measures,
        "evidence": finding.evidence.iter().map(|o| origin(o, scene)).collect::<Vec<_>>(),
        "recompute": finding.recipe,
    })
}

fn share(share: Share) -> Value {
    let (low, high) = share.interval();
    json!({ "part": share.part, "of": share.whole, "share": share.value(), "interval": [low, high] })
}

fn input(input: &Input) -> Value {
    json!({
        "name": input.name, "kind": (!input.kind.is_empty()).then_some(&input.kind), "host": input.host,
        "units": input.units, "rows": input.rows, "rejected": input.rejected, "trouble": input.trouble,
        "first": input.span.map(|(first, _)| first), "last": input.span.map(|(_, last)| last),
    })
}

fn origin(origin: Origin, scene: &Scene) -> Value {
    let mut place = unit(origin.place);
    place.insert("input".into(), json!(scene.input_name(origin.input)));
    Value::Object(place)
}

fn unit(place: Unit) -> Map<String, Value> {
    let (key, n) = match place {
        Unit::Line(n) => ("line", n),
        Unit::Frame(n) => ("frame", n),
    };
    Map::from_iter([(key.to_owned(), json!(n))])
}
