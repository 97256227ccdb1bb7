//! Which panels a picture has.

use super::{
    Axis, Mark, MarkKind, Panel, Picture, Point, Quantity, Shape, Statistics, Traces, Unit, daily, histogram, line,
    share, stability, wedge,
};
use crate::causes;
use crate::diagnosis::{CLAIM, Claim};
use crate::model::{Happening, InputId};
use crate::rules::Summaries;
use crate::scene::Scene;
use crate::time::Time;
use std::collections::BTreeSet;

/// What is drawn of each host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Over time.
    #[default]
    Time,
    /// How many values lie where.
    Histogram,
    /// Offset against delay.
    Wedge,
    /// The Allan deviation of offsets.
    Allan,
    /// By the hour of the day.
    Hours,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// What is drawn.
    pub kind: Kind,
    /// Of which quantities; empty where that was left open.
    pub quantities: Vec<Quantity>,
    /// Whether sources are drawn beside the clocks of several hosts.
    pub sources: bool,
    /// Whether all panels of a unit have one scale.
    pub same_scale: bool,
    /// Whether statistics are wanted too.
    pub statistics: bool,
}

impl View {
    /// The quantities that are drawn.
    fn drawn(&self) -> Vec<Quantity> {
        match self.kind {
            Kind::Wedge => vec![Quantity::Delay, Quantity::Offset],
            Kind::Allan => vec![Quantity::Offset],
            Kind::Time if self.quantities.is_empty() => vec![Quantity::Offset, Quantity::Frequency],
            _ if self.quantities.is_empty() => vec![Quantity::Offset],
            _ => self.quantities.clone(),
        }
    }

    /// The quantities of which all rows have to be gathered: where only the picture over time is wanted, the samples that
    /// rules have anyway do.
    #[must_use]
    pub fn gathered(&self) -> Vec<Quantity> {
        let mut drawn = self.drawn();
        if self.kind == Kind::Time && !self.statistics {
            drawn.retain(|quantity| quantity.of_sample().is_none());
        }
        drawn
    }
}

/// Everything that a picture is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// Inputs and hosts.
    pub scene: &'a Scene,
    /// What rules know: samples, and what happened.
    pub rules: &'a Summaries,
    /// Rows that were gathered, by the names that hosts have in `scene`.
    pub traces: &'a Traces,
    /// What was diagnosed.
    pub claims: &'a [Claim],
}

/// One host: its clock, the source without a name, and its sources.
struct Host<'a> {
    name: String,
    inputs: Vec<InputId>,
    sources: BTreeSet<&'a str>,
}

impl<'a> Material<'a> {
    /// The host of this name; the empty one has what belongs to none.
    fn host(&self, name: &str, view: &View) -> Host<'a> {
        let none = || {
            let own = self.scene.inputs.iter().enumerate().filter(|(_, input)| input.host.is_none());
            own.map(|(at, _)| InputId(at as u32)).collect()
        };
        let inputs: Vec<InputId> = if name.is_empty() { none() } else { self.scene.inputs_of(name) };
        let sampled = if view.kind == Kind::Time { self.rules.series.names(&inputs) } else { BTreeSet::new() };
        let gathered = self.traces.iter().filter(|(host, ..)| *host == name).map(|(_, source, _)| source);
        let sources = sampled.into_iter().chain(gathered).collect();
        Host { name: name.to_owned(), inputs, sources }
    }

    /// All hosts of which anything can be drawn.
    fn hosts(&self) -> BTreeSet<String> {
        let named = self.scene.hosts().into_iter().chain([""]).filter(|host| {
            let sampled = |input: &InputId| self.rules.series.has(*input);
            if host.is_empty() {
                let mut none = self.scene.inputs.iter().enumerate().filter(|(_, input)| input.host.is_none());
                return none.any(|(at, _)| sampled(&InputId(at as u32)));
            }
            self.scene.inputs_of(host).iter().any(sampled)
        });
        named.chain(self.traces.iter().map(|(host, ..)| host)).map(ToOwned::to_owned).collect()
    }

    /// Over time, of the samples that rules have, and else of all rows.
    fn points(&self, host: &Host<'_>, source: &str, quantity: Quantity) -> Vec<Point> {
        let Some(value) = quantity.of_sample() else { return self.gathered(&host.name, source, quantity) };
        let samples = self.rules.series.held(&host.inputs, source);
        let points = samples.map(|sample| (sample.time.since_s(Time(0)), value(sample)));
        let mut points: Vec<Point> = points.filter(|(_, value)| value.is_finite()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    fn gathered(&self, host: &str, source: &str, quantity: Quantity) -> Vec<Point> {
        let number = self.traces.wanted().iter().position(|wanted| *wanted == quantity);
        let trace = number.and_then(|number| Some((number, self.traces.get(host, source)?)));
        trace.map(|(number, trace)| trace.points(number)).unwrap_or_default()
    }

    /// Starts, steps and claimed faults of a host.
    fn marks(&self, host: &Host<'_>) -> Vec<Mark> {
        let at = |time: Time| time.since_s(Time(0));
        let happened = self.rules.happenings.of(&host.inputs).into_iter().filter_map(|happened| {
            let kind = match happened.kind {
                Happening::Start => MarkKind::Start,
                Happening::Step => MarkKind::Step,
                _ => return None,
            };
            let time = at(happened.time?);
            Some(Mark { kind, from: time, to: time })
        });
        let theirs = claimed(self.claims).filter(|claim| claim.affected.contains(&host.name));
        let faults = theirs.filter_map(|claim| {
            let from = claim.since?;
            Some(Mark { kind: MarkKind::Fault, from: at(from), to: at(claim.last.unwrap_or(from)) })
        });
        happened.chain(faults).collect()
    }
}

/// What a clock or source is called in a picture.
fn label(host: &str, source: &str) -> String {
    match (host, source) {
        ("", "") => "clock".to_owned(),
        ("", source) => source.to_owned(),
        (host, "") => host.to_owned(),
        (host, source) => format!("{host} {source}"),
    }
}

/// Gives panels whose times are near each other one axis, and brings them together, in their order. Evidence of another month stands apart, or
/// nobody would see either.
fn share_axes(panels: &mut [Panel]) {
    let mut own: Vec<(f64, f64)> = panels.iter().map(|panel| (panel.x.low, panel.x.high)).collect();
    own.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for (low, high) in own {
        match spans.last_mut().filter(|(from, to)| low - *to <= (*to - *from).max(high - low)) {
            Some((_, to)) => *to = to.max(high),
            None => spans.push((low, high)),
        }
    }
    let span_of = |panel: &Panel| spans.iter().rposition(|(from, _)| *from <= panel.x.low).unwrap_or_default();
    panels.sort_by_key(span_of);
    for panel in panels.iter_mut() {
        let (from, to) = spans[span_of(panel)];
        on_axis(panel, Axis::of(from, to, Unit::Instant));
    }
}

/// A mark may stand before the first row or after the last by this share of the axis: a daemon starts before it polls.
const BESIDE: f64 = 0.02;

/// Puts a panel on the axis that all share, and marks that are a little beside it at its end.
fn on_axis(panel: &mut Panel, x: Axis) {
    panel.marks.retain(|mark| x.place(mark.to) >= -BESIDE && x.place(mark.from) <= 1.0 + BESIDE);
    for mark in &mut panel.marks {
        (mark.from, mark.to) = (mark.from.clamp(x.low, x.high), mark.to.clamp(x.low, x.high));
    }
    panel.x = x;
}

/// The quantities that are drawn of one clock or source.
///
/// Of several hosts it is those of the clocks; of sources, where they were asked for, where a host says nothing of its clock,
/// and what only sources have: a delay and a reach register. Where quantities were left open, only a host alone shows the
/// frequency, of its clock.
fn quantities(host: &Host<'_>, source: &str, view: &View, is_alone: bool) -> Vec<Quantity> {
    let of_sources = |quantity: Quantity| matches!(quantity, Quantity::Delay | Quantity::Reach | Quantity::Loss);
    let is_shown = source.is_empty() || is_alone || view.sources || !host.sources.contains("");
    let has_frequency = !view.quantities.is_empty() || is_alone && source.is_empty();
    let mut drawn = view.drawn();
    drawn.retain(|of| (is_shown || of_sources(*of)) && (has_frequency || *of != Quantity::Frequency));
    drawn
}

/// The picture; `None` where there is nothing to draw.
#[must_use]
pub fn picture(material: &Material<'_>, view: &View) -> Option<Picture> {
    let hosts = material.hosts();
    let is_alone = hosts.len() == 1;
    let mut panels = Vec::new();
    for name in &hosts {
        let host = material.host(name, view);
        let marks = if view.kind == Kind::Time { material.marks(&host) } else { Vec::new() };
        for source in &host.sources {
            let label = label(name, source);
            panels.extend(match view.kind {
                Kind::Wedge => {
                    let trace = material.traces.get(name, source);
                    let points = trace.map(|trace| trace.pairs(0, 1).collect()).unwrap_or_default();
                    wedge(format!("{label} offset against delay"), points).into_iter().collect()
                }
                Kind::Allan if quantities(&host, source, view, is_alone).is_empty() => Vec::new(),
                Kind::Allan => {
                    let points = material.gathered(name, source, Quantity::Offset);
                    stability(format!("{label} Allan deviation"), &points).into_iter().collect()
                }
                _ => of_quantities(material, &host, source, &marks, (view, is_alone)),
            });
        }
    }
    if view.kind == Kind::Time {
        share_axes(&mut panels);
    }
    if panels.is_empty() {
        return None;
    }
    if view.same_scale {
        one_scale(&mut panels);
    }
    let mut notes: Vec<String> = what_is_drawn(view.kind).map(ToOwned::to_owned).into_iter().collect();
    if view.kind == Kind::Time {
        notes
            .extend(claimed(material.claims).map(|claim| {
                format!("FAULT: {} (probability {:.2}): {}", claim.cause, claim.probability, claim.title)
            }));
    }
    let signs = panels.iter().flat_map(|panel| &panel.marks).map(|mark| mark.kind).collect();
    Some(Picture { panels, signs, notes })
}

fn of_quantities(
    material: &Material<'_>,
    host: &Host<'_>,
    source: &str,
    marks: &[Mark],
    (view, is_alone): (&View, bool),
) -> Vec<Panel> {
    let panel = |of: Quantity| {
        let label = format!("{} {}", label(&host.name, source), of.word());
        let points = match view.kind {
            Kind::Time => material.points(host, source, of),
            _ => material.gathered(&host.name, source, of),
        };
        let unit = of.unit();
        match view.kind {
            Kind::Histogram => {
                let values: Vec<f64> = points.into_iter().map(|(_, value)| value).collect();
                histogram(label, &values, unit)
            }
            Kind::Hours => daily(label, &points, unit),
            _ if of == Quantity::Loss => share(label, &points, marks.to_vec()),
            _ => line(label, points, unit, marks.to_vec()),
        }
    };
    quantities(host, source, view, is_alone).into_iter().filter_map(panel).collect()
}

fn claimed(claims: &[Claim]) -> impl Iterator<Item = &Claim> {
    claims.iter().filter(|claim| claim.kind == causes::Kind::Fault && claim.probability >= CLAIM)
}

fn what_is_drawn(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Time | Kind::Histogram => None,
        Kind::Wedge => {
            Some("Offset (up) against delay (right): what delays one direction moves the offset by half of it.")
        }
        Kind::Allan => Some("Overlapping Allan deviation of the offsets (up) by averaging time (right)."),
        Kind::Hours => Some("By hour of the day, UTC: the median, and the range that holds 90 %."),
    }
}

/// Gives all panels of one unit the scale that holds all.
fn one_scale(panels: &mut [Panel]) {
    let is_scaled = |panel: &Panel| !matches!(panel.shape, Shape::Bars(_));
    for at in 0..panels.len() {
        let of_unit = panels.iter().filter(|panel| panel.y.unit == panels[at].y.unit && is_scaled(panel));
        let all = of_unit.map(|panel| (panel.y.low, panel.y.high)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        if let Some((low, high)) = all.filter(|_| is_scaled(&panels[at])) {
            (panels[at].y.low, panels[at].y.high) = (low, high);
        }
    }
}

/// The statistics of what [`picture`] draws, of all rows that were gathered.
#[must_use]
pub fn statistics(material: &Material<'_>, view: &View) -> Vec<(String, Unit, Statistics)> {
    let hosts = material.hosts();
    let mut all = Vec::new();
    for name in &hosts {
        let host = material.host(name, view);
        for source in &host.sources {
            for of in quantities(&host, source, view, hosts.len() == 1) {
                let points = material.gathered(name, source, of);
                let mut values: Vec<f64> = points.into_iter().map(|(_, value)| value).collect();
                let of_all = Statistics::of(&mut values);
                let label = format!("{} {}", label(name, source), of.word());
                all.extend(of_all.map(|of_all| (label, of.unit(), of_all)));
            }
        }
    }
    all
}
