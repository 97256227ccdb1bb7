//! The report for people: 80 columns, no colour needed, the answer first.

use super::{Coverage, wrapped, wrapped_command};
use crate::causes::{self, Kind};
use crate::diagnosis::{Advice, CLAIM, Claim, Diagnosis, Place, Undecided};
use crate::rules::path::Direction;
use crate::rules::{Finding, FindingId, Measure};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Pieces of evidence that are asked for, at the most.
const MOST_ADVICE: usize = 3;

/// A clock this far from the others is worth a line.
const CLOCK_S: f64 = 0.01;

/// Whether what stays open is why requests get no answer.
fn refuses(diagnosis: &Diagnosis) -> bool {
    let open = |id: &str| diagnosis.undecided.iter().any(|undecided| undecided.cause == id);
    causes::all().iter().any(|cause| cause.explains_losses() && open(&cause.id))
}

/// The whole report.
#[must_use]
pub fn report(diagnosis: &Diagnosis, coverage: Coverage<'_>) -> String {
    let mut page = Page { unjudged: diagnosis.unjudged, ..Page::default() };
    let faults: Vec<_> =
        diagnosis.diagnoses.iter().filter(|d| d.kind == Kind::Fault && d.probability >= CLAIM).collect();
    if faults.is_empty() {
        let answered = diagnosis.answered;
        let verdict = match (answered.whole, diagnosis.symptoms) {
            (0, _) if !diagnosis.undecided.is_empty() && refuses(diagnosis) => {
                "SERVERS REFUSE, and what was given does not tell whom: no requests whose fate is known are in it."
                    .into()
            }
            (0, _) if diagnosis.clocks > 0 && !diagnosis.undecided.is_empty() => format!(
                "NO FAULT IS CERTAIN in what was given: statistics of {} clocks were looked at.",
                diagnosis.clocks
            ),
            (0, _) if diagnosis.clocks > 0 => {
                format!("NO FAULT FOUND in what was given: statistics of {} clocks were looked at.", diagnosis.clocks)
            }
            (0, _) => "NOTHING TO JUDGE BY: neither requests whose fate is known nor statistics of clocks are in what \
                       was given."
                .to_owned(),
            (_, 0) => format!("NO FAULT FOUND in what was given: {} requests were answered well.", answered.words()),
            _ => {
                format!("REQUESTS FAIL, and what was given does not tell why: {} were answered well.", answered.words())
            }
        };
        page.text(0, &verdict);
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
        }
        page.gap();
    }
    if !diagnosis.undecided.is_empty() {
        page.text(0, "UNDECIDED");
        for Advice { host, command, bits, open_bits, .. } in diagnosis.advice.iter().take(MOST_ADVICE) {
            page.labelled(
                "best",
                11,
                &format!("on {host}: {command} ({bits:.1} of {open_bits:.1} bits that are open)"),
            );
        }
        for Undecided { cause, probability, needs } in &diagnosis.undecided {
            page.item(cause, &format!("{probability:.2}, needs {needs}"));
        }
        page.gap();
    }
    let others: Vec<_> = diagnosis.findings.iter().filter(|(id, _)| !told.contains(id)).collect();
    if !others.is_empty() {
        page.text(0, "ALSO MEASURED");
    }
    // Hops that lose nothing are told together: each is in the JSON report.
    let idle = |finding: &Finding| finding.rule == "path" && finding.measures.contains(&("lost", Measure::Number(0.0)));
    let (hops, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, finding)| idle(finding));
    for (id, finding) in &others {
        page.labelled(
            &format!("{id} {}", finding.rule),
            11,
            &format!("{} ({})", finding.statement, seen(finding, coverage)),
        );
    }
    if !hops.is_empty() {
        let ids: Vec<FindingId> = hops.iter().map(|(id, _)| *id).collect();
        let names: Vec<&str> = hops.iter().map(|(_, finding)| finding.subject.as_str()).collect();
        page.labelled(&list(&ids), 11, &format!("nothing was lost on these hops: {}", names.join(", ")));
    }
    let others = [others, hops].concat();
    if !others.is_empty() {
        page.gap();
    }
    page.recipes(diagnosis, &told);
    page.coverage(coverage);
    page.lines
}

#[derive(Default)]
struct Page {
    lines: String,
    /// Requests whose fate is not known.
    unjudged: u64,
}

impl Page {
    fn gap(&mut self) {
        self.lines.push('\n');
    }

    /// A paragraph, indented.
    fn text(&mut self, indent: usize, text: &str) {
        let spaces = " ".repeat(indent);
        self.lines(wrapped(text, &spaces, &spaces));
    }

    /// A label in a column of `width`, and a paragraph beside it.
    fn labelled(&mut self, label: &str, width: usize, text: &str) {
        let first = format!("  {label:<width$}");
        let first = if first.ends_with(' ') { first } else { first + " " };
        let rest = " ".repeat(width + 2);
        self.lines(wrapped(text, &first, &rest));
    }

    fn lines(&mut self, lines: Vec<String>) {
        for line in lines {
            self.lines.push_str(&line);
            self.gap();
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
        self.text(0, &format!("{word}: {} (probability {:.2})", claim.cause, claim.probability));
        self.text(2, &format!("{}.", claim.title));
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
            let older = if claim.from_the_start { ", as old as the recording: it may be older" } else { "" };
            self.labelled("since", 11, &format!("{since}{older}; last seen {last}"));
        }
        for id in &claim.explains {
            if let Some(finding) = diagnosis.findings.get(*id).filter(|_| told.insert(*id)) {
                let text = format!("{} ({})", finding.statement, seen(finding, coverage));
                self.labelled(&format!("why {id}"), 11, &text);
            }
        }
        let sections = [
            ("version", &claim.versions),
            ("fix", &claim.remedy),
            ("confirm", &claim.confirm),
            ("source", &claim.sources),
        ];
        for (label, lines) in sections {
            for line in lines {
                self.labelled(label, 11, line);
            }
        }
        self.gap();
    }

    /// How to get the numbers of the findings that were told.
    fn recipes(&mut self, diagnosis: &Diagnosis, told: &BTreeSet<FindingId>) {
        let mut recipes: Vec<(&str, Vec<FindingId>)> = Vec::new();
        for (id, finding) in diagnosis.findings.iter().filter(|(id, _)| told.contains(id)) {
            let Some(recipe) = finding.recipe.as_deref() else { continue };
            match recipes.iter_mut().find(|(known, _)| *known == recipe) {
                Some((_, ids)) => ids.push(id),
                None => recipes.push((recipe, vec![id])),
            }
        }
        if !recipes.is_empty() {
            self.text(0, "TO COUNT AGAIN");
            for (recipe, ids) in recipes {
                let first = format!("  {:<11}", list(&ids));
                let first = if first.ends_with(' ') { first } else { first + " " };
                self.lines(wrapped_command(recipe, &first, &" ".repeat(13)));
            }
            self.gap();
        }
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
        for join in scene.joins() {
            let place = join.origin.map_or(String::new(), |origin| format!(" ({})", scene.locate(origin)));
            self.labelled(&join.host, 12, &format!("is {} too: {}{place}", join.name, join.why));
        }
        for (address, claim) in scene.claims() {
            self.labelled(&claim.host, 12, &format!("is {address}: {}", claim.why));
        }
        let unread: Vec<_> =
            scene.inputs.iter().filter(|i| i.kind.is_empty() && i.trouble.is_none()).map(|i| i.name.as_str()).collect();
        if !unread.is_empty() {
            self.text(2, &format!("Not read, for want of a reader: {} inputs: {}.", unread.len(), shortened(&unread)));
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
        if self.unjudged > 0 {
            self.text(
                2,
                &format!("Not judged, being too near to the end of the recording: {} requests.", self.unjudged),
            );
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
        Place::Client(name) => format!("client {name}"),
        Place::Source(name, Some(address)) if *name != address.to_string() => format!("source {name} ({address})"),
        Place::Source(name, _) => format!("source {name}"),
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

/// Where a finding can be seen: its first two places.
fn seen(finding: &Finding, coverage: Coverage<'_>) -> String {
    finding.evidence.iter().take(2).map(|o| coverage.scene.locate(o)).collect::<Vec<_>>().join("; ")
}

/// `f1, f8–f16`.
fn list(ids: &[FindingId]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for FindingId(id) in ids {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *id => *last = *id,
            _ => runs.push((*id, *id)),
        }
    }
    let run = |(first, last): &(usize, usize)| match last - first {
        0 => format!("f{first}"),
        1 => format!("f{first}, f{last}"),
        _ => format!("f{first}–f{last}"),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}
