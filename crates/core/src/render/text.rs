//! The report for people: 80 columns, no colour needed, the answer first.

use super::Coverage;
use crate::causes::Kind;
use crate::diagnosis::{CLAIM, Claim, Diagnosis, Place};
use crate::rules::FindingId;
use crate::rules::path::Direction;
use std::collections::BTreeSet;
use std::fmt::Write;

const WIDTH: usize = 80;

/// A clock this far from the others is worth a line.
const CLOCK_S: f64 = 0.01;

/// The whole report.
#[must_use]
pub fn report(diagnosis: &Diagnosis, coverage: Coverage<'_>) -> String {
    let mut page = Page::default();
    let faults: Vec<_> =
        diagnosis.diagnoses.iter().filter(|d| d.kind == Kind::Fault && d.probability >= CLAIM).collect();
    if faults.is_empty() {
        let answered = diagnosis.answered;
        let what = if answered.whole > 0 {
            format!("{} requests were answered well.", answered.words())
        } else {
            "No requests are in it.".into()
        };
        page.text(0, &format!("NO FAULT FOUND in what was given. {what}"));
        page.gap();
    }
    let mut told = BTreeSet::new();
    for claim in &diagnosis.diagnoses {
        page.claim(claim, diagnosis, coverage, &mut told);
    }
    if !diagnosis.ruled_out.is_empty() {
        page.text(0, "RULED OUT");
        for (cause, by) in &diagnosis.ruled_out {
            page.item(cause, &format!("by {}", list(by)));
            told.extend(by);
        }
        page.gap();
    }
    if !diagnosis.undecided.is_empty() {
        page.text(0, "UNDECIDED");
        for (cause, needs) in &diagnosis.undecided {
            page.item(cause, &format!("needs {needs}"));
        }
        page.gap();
    }
    if diagnosis.findings.iter().next().is_some() {
        page.text(0, "FINDINGS");
        for (id, finding) in diagnosis.findings.iter() {
            let seen: Vec<_> = finding.evidence.iter().take(3).map(|o| coverage.scene.locate(o)).collect();
            let text = format!("{} — see {}", finding.statement, seen.join(", "));
            page.labelled(&format!("{id} {}", finding.rule), 14, &text);
        }
        page.gap();
    }
    page.coverage(coverage);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn gap(&mut self) {
        self.0.push('\n');
    }

    /// A paragraph, indented.
    fn text(&mut self, indent: usize, text: &str) {
        let spaces = " ".repeat(indent);
        let options =
            textwrap::Options::new(WIDTH).initial_indent(&spaces).subsequent_indent(&spaces).break_words(false);
        for line in textwrap::wrap(text, options) {
            self.0.push_str(line.trim_end());
            self.0.push('\n');
        }
    }

    /// A label in a column of `width`, and a paragraph beside it.
    fn labelled(&mut self, label: &str, width: usize, text: &str) {
        let first = format!("  {label:<width$}");
        let rest = " ".repeat(first.chars().count());
        let options = textwrap::Options::new(WIDTH).initial_indent(&first).subsequent_indent(&rest).break_words(false);
        for line in textwrap::wrap(text, options) {
            self.0.push_str(line.trim_end());
            self.0.push('\n');
        }
    }

    fn item(&mut self, name: &str, text: &str) {
        self.labelled(name, 27, text);
    }

    fn claim(&mut self, claim: &Claim, diagnosis: &Diagnosis, coverage: Coverage<'_>, told: &mut BTreeSet<FindingId>) {
        let word = match claim.kind {
            Kind::Fault if claim.probability >= CLAIM => "FAULT",
            Kind::Fault => "possible fault",
            Kind::Risk => "RISK",
            Kind::Note => "note",
        };
        let mut title = claim.title.clone();
        if let Some(first) = title.get(..1) {
            title = first.to_uppercase() + &title[1..];
        }
        self.text(0, &format!("{word}: {} (probability {:.2})", claim.cause, claim.probability));
        self.text(2, &format!("{title}."));
        let mut place = place(&claim.place);
        if let Some(device) = &claim.provoked_by {
            let _ = write!(place, "; brought about by the rewriting on {device}");
        }
        self.labelled("where", 11, &place);
        let named: Vec<_> = claim.affected.iter().map(String::as_str).collect();
        if !named.is_empty() {
            self.labelled(if claim.kind == Kind::Risk { "at risk" } else { "affected" }, 11, &named.join(", "));
        }
        if let (Some(since), Some(last)) = (claim.since, claim.last) {
            self.labelled("since", 11, &format!("{since} (first seen), last seen {last}"));
        }
        for id in &claim.explains {
            if let Some(finding) = diagnosis.findings.get(*id).filter(|_| told.insert(*id)) {
                let example = finding.evidence.iter().next().map(|o| coverage.scene.locate(o)).unwrap_or_default();
                self.labelled(&format!("why {id}"), 11, &format!("{} (see {example})", finding.statement));
            }
        }
        for (label, lines) in [("fix", &claim.remedy), ("confirm", &claim.confirm), ("source", &claim.sources)] {
            for line in lines {
                self.labelled(label, 11, line);
            }
        }
        self.gap();
    }

    fn coverage(&mut self, coverage: Coverage<'_>) {
        let Coverage { scene, tally, alignment } = coverage;
        self.text(0, "WHAT WAS READ");
        let known: Vec<_> = scene.inputs.iter().filter(|i| !i.kind.is_empty()).collect();
        let rejected: u64 = scene.inputs.iter().map(|i| i.rejected).sum();
        self.text(
            2,
            &format!(
                "{} of {} inputs; {} NTP packets at {} capture points; {rejected} lines or frames not understood.",
                known.len(),
                scene.inputs.len(),
                tally.packets,
                scene.points().count()
            ),
        );
        for (id, point) in scene.points() {
            let ahead = alignment.ahead_ns(id) as f64 / 1e9;
            let mut text = scene.input_name(point.input).to_owned();
            if let Some(host) = &point.host {
                let _ = write!(text, ", on host {host}");
            }
            if let Some((first, last)) = scene.inputs.get(point.input.0 as usize).and_then(|i| i.span) {
                let _ = write!(text, ", {first} to {last} by its own clock");
            }
            if ahead.abs() >= CLOCK_S {
                let _ =
                    write!(text, ", which is {:.3} s {}", ahead.abs(), if ahead > 0.0 { "behind" } else { "ahead" });
            }
            self.labelled(&point.name, 12, &text);
        }
        for (address, claim) in scene.claims() {
            self.labelled(&claim.host, 12, &format!("is {address}: {}", claim.why));
        }
        let unread: Vec<_> =
            scene.inputs.iter().filter(|i| i.kind.is_empty() && i.trouble.is_none()).map(|i| i.name.as_str()).collect();
        if !unread.is_empty() {
            self.text(2, &format!("No reader knows {} of the inputs: {}.", unread.len(), shortened(&unread)));
        }
        for input in scene.inputs.iter().filter(|i| i.trouble.is_some() || (i.rejected > 0 && !i.kind.is_empty())) {
            let mut text = input.trouble.clone().unwrap_or_default();
            if let Some(reject) = input.rejects.first() {
                let _ = write!(
                    text,
                    "{}{} not understood, the first at {}: {}",
                    if text.is_empty() { "" } else { "; " },
                    input.rejected,
                    reject.place,
                    reject.reason
                );
            }
            self.labelled(&input.name, 12, &text);
        }
        if tally.cut > 0 {
            let advice = "capture again without a snap length (tcpdump -s 0)";
            self.text(
                2,
                &format!("{} packets were cut before their timestamps and can't be joined: {advice}.", tally.cut),
            );
        }
        if tally.hurried > 0 {
            self.text(2, &format!("{} requests were given up early: too many were open at once.", tally.hurried));
        }
    }
}

fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more (--format json lists all)") } else { shown }
}

fn place(place: &Place) -> String {
    match place {
        Place::Server(host, address) if *host == address.to_string() => format!("server {address}"),
        Place::Server(host, address) => format!("server {host} ({address})"),
        Place::Device(name, None) => format!("device {name}"),
        Place::Device(name, Some((from, to))) => format!("device {name}, between {from} and {to}"),
        Place::Segment(from, to, direction) => {
            let way = match direction {
                Some(Direction::ToServer) => "towards the server",
                Some(Direction::ToClient) => "towards the client",
                None => "in both directions",
            };
            format!("between {from} and {to}, {way}")
        }
    }
}

fn list(ids: &[FindingId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
