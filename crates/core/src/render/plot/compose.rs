//! Which panels a picture has.

use super::{
    Axis, Mark, MarkKind, Panel, Picture, Quantity, Shape, Statistics, Trace, Traces, Unit, daily, histogram, instant, line,
    stability, wedge,
};
use crate::causes;
use crate::diagnosis::{CLAIM, Claim};
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
    /// Whether sources are drawn beside clocks of several hosts.
    pub sources: bool,
    /// Whether all panels of a unit have one scale.
    pub same_scale: bool,
}

impl View {
    /// The quantities that have to be gathered.
    #[must_use]
    pub fn wanted(&self) -> Vec<Quantity> {
        match self.kind {
            Kind::Wedge => vec![Quantity::Delay, Quantity::Offset],
            Kind::Allan => vec![Quantity::Offset],
            Kind::Time if self.quantities.is_empty() => vec![Quantity::Offset, Quantity::Frequency],
            _ if self.quantities.is_empty() => vec![Quantity::Offset],
            _ => self.quantities.clone(),
        }
    }

    /// Whether a quantity of a clock or source is drawn. Where it was left open, the frequency of one host's clock is.
    fn shows(&self, of: Quantity, is_clock: bool, is_alone: bool) -> bool {
        !self.quantities.is_empty() || of != Quantity::Frequency || is_clock && is_alone
    }
}

/// The clocks and sources that are drawn: of several hosts the clocks, and the sources of those that say nothing of their
/// clock, or where they were asked for.
fn drawn<'a>(traces: &'a Traces, view: &View) -> (bool, Vec<(String, bool, &'a str, &'a Trace)>) {
    let hosts: BTreeSet<&str> = traces.iter().map(|(host, ..)| host).collect();
    let is_alone = hosts.len() == 1;
    let clocks: BTreeSet<&str> = traces.iter().filter(|(_, source, _)| source.is_empty()).map(|(host, ..)| host).collect();
    // Only a source has a delay against which its offsets could be held.
    let sources = is_alone || view.sources || view.kind == Kind::Wedge;
    let asked = |host: &str| {
        let of = view.wanted();
        of.iter().all(|quantity| matches!(quantity, Quantity::Delay | Quantity::Reach)) || !clocks.contains(host)
    };
    let shown = traces.iter().filter(|(host, source, _)| source.is_empty() || sources || asked(host));
    let named = shown.map(|(host, source, trace)| {
        let host = if host.is_empty() { "clock" } else { host };
        let label = if source.is_empty() { host.to_owned() } else { format!("{host} {source}") };
        (label, source.is_empty(), host, trace)
    });
    (is_alone, named.collect())
}

/// The picture; `None` where there is nothing to draw.
#[must_use]
pub fn picture(traces: &Traces, claims: &[Claim], view: &View) -> Option<Picture> {
    let (is_alone, subjects) = drawn(traces, view);
    let x = traces.span().map(|(from, to)| Axis::of(from, to, Unit::Instant))?;
    let mut panels = Vec::new();
    for (label, is_clock, host, trace) in subjects {
        let wanted = traces.wanted().iter().enumerate().filter(|(_, of)| view.shows(**of, is_clock, is_alone));
        let labelled = |of: Quantity| format!("{label} {}", of.word());
        match view.kind {
            Kind::Wedge => panels.extend(wedge(format!("{label} offset against delay"), trace.pairs(0, 1).collect())),
            Kind::Allan => panels.extend(stability(format!("{label} Allan deviation"), &trace.points(0))),
            Kind::Time => panels.extend(wanted.filter_map(|(at, of)| {
                let marks = traces.marks(host).chain(faults(claims, host)).collect();
                line(labelled(*of), trace.points(at), of.unit(), &x, marks)
            })),
            Kind::Histogram => panels.extend(wanted.filter_map(|(at, of)| {
                let values: Vec<f64> = trace.points(at).into_iter().map(|(_, y)| y).collect();
                histogram(labelled(*of), &values, of.unit())
            })),
            Kind::Hours => {
                panels.extend(wanted.filter_map(|(at, of)| daily(labelled(*of), &trace.points(at), of.unit())));
            }
        }
    }
    if panels.is_empty() {
        return None;
    }
    if view.same_scale {
        one_scale(&mut panels);
    }
    let title = format!("{} to {}", instant(x.low), instant(x.high));
    let mut notes = vec![what_is_drawn(view.kind).to_owned()];
    notes.extend(legend(&panels));
    notes.extend(told(claims, view.kind));
    Some(Picture { title, panels, notes: notes.into_iter().filter(|note| !note.is_empty()).collect() })
}

/// The claimed faults that a host suffers from, by when.
fn faults<'a>(claims: &'a [Claim], host: &'a str) -> impl Iterator<Item = Mark> + 'a {
    let at = |time: Option<Time>| time.map(|time| time.since_s(Time(0)));
    let theirs = claimed(claims).filter(move |claim| claim.affected.contains(host));
    theirs.filter_map(move |claim| {
        let from = at(claim.since)?;
        Some(Mark { kind: MarkKind::Fault, from, to: at(claim.last).unwrap_or(from) })
    })
}

fn claimed(claims: &[Claim]) -> impl Iterator<Item = &Claim> {
    claims.iter().filter(|claim| claim.kind == causes::Kind::Fault && claim.probability >= CLAIM)
}

fn told(claims: &[Claim], kind: Kind) -> Vec<String> {
    let tell = |claim: &Claim| format!("FAULT: {} (probability {:.2}): {}", claim.cause, claim.probability, claim.title);
    if kind == Kind::Time { claimed(claims).map(tell).collect() } else { Vec::new() }
}

/// What the signs below the panels mean.
fn legend(panels: &[Panel]) -> Option<String> {
    let used: BTreeSet<MarkKind> = panels.iter().flat_map(|panel| &panel.marks).map(|mark| mark.kind).collect();
    let signs = used.iter().rev().map(|kind| {
        let (sign, meaning) = kind.sign();
        format!("{sign} {meaning}")
    });
    let signs: Vec<String> = signs.collect();
    (!signs.is_empty()).then(|| signs.join(", "))
}

fn what_is_drawn(kind: Kind) -> &'static str {
    match kind {
        Kind::Time | Kind::Histogram => "",
        Kind::Wedge => "offset (up) against round-trip delay (right): a delay in one direction only moves the offset by half of it",
        Kind::Allan => "overlapping Allan deviation of the offsets (up) by the averaging time in seconds (right)",
        Kind::Hours => "by hour of the day, UTC: the median, and the range that holds 90 %",
    }
}

/// Gives all panels of one unit the scale that holds all.
fn one_scale(panels: &mut [Panel]) {
    for at in 0..panels.len() {
        let unit = panels[at].y.unit;
        let of_unit = panels.iter().filter(|panel| panel.y.unit == unit && !matches!(panel.shape, Shape::Bars(_)));
        let (low, high) = of_unit.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), panel| {
            (low.min(panel.y.low), high.max(panel.y.high))
        });
        let panel = &mut panels[at];
        if low < high && !matches!(panel.shape, Shape::Bars(_)) {
            (panel.y.low, panel.y.high) = (low, high);
        }
    }
}

/// The statistics of all that [`picture`] draws.
#[must_use]
pub fn statistics(traces: &Traces, view: &View) -> Vec<(String, Unit, Statistics)> {
    let (is_alone, subjects) = drawn(traces, view);
    let mut all = Vec::new();
    for (label, is_clock, _, trace) in subjects {
        let wanted = traces.wanted().iter().enumerate().filter(|(_, of)| view.shows(**of, is_clock, is_alone));
        for (at, of) in wanted {
            let mut values: Vec<f64> = trace.points(at).into_iter().map(|(_, value)| value).collect();
            let label = format!("{label} {}", of.word());
            all.extend(Statistics::of(&mut values).map(|statistics| (label, of.unit(), statistics)));
        }
    }
    all
}
