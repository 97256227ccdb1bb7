//! How far each source is from the others of its host: what the host's own clock does is common to all, and cancels.

use crate::rules::Summaries;
use crate::rules::series::Sample;
use crate::scene::Scene;
use crate::stats::median;
use crate::time::{SECOND, Time};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Samples of a source that are no series: some looks at a billboard.
const FEW: usize = 12;

/// Another source is known at a time that lies between two of its samples, this many usual intervals apart at the most.
const INTERVALS: f64 = 4.0;
/// Or this far, in seconds: a source that is polled each 64 s may lose some answers.
const AT_LEAST_S: f64 = 600.0;

/// Where the others move by so many times as much as usual between two samples, the clock was stepped or pulled meanwhile:
/// nothing is known there.
const RESTLESS: f64 = 3.0;
/// Movements below this, in seconds, are none.
const RESTLESS_S: f64 = 1e-4;

/// A dispersion from here on, in seconds, is that of a filter which has just begun to fill, and no uncertainty of time.
const BEGINNING_S: f64 = 1.0;

/// Sources that are nearer than this, in seconds, agree, however short their distances are.
const AGREE_S: f64 = 5e-3;

/// What one host sees of one source.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The host.
    pub(super) host: String,
    /// The source, as the host's evidence prints it.
    pub(super) printed: String,
    /// What reports call it.
    pub(super) source: String,
    /// Its address, where it has one.
    pub(super) address: Option<IpAddr>,
    /// How many sources the host has.
    pub(super) sources: usize,
    /// All samples of it.
    pub(super) samples: Vec<Sample>,
    /// Those that could be held against others.
    pub(super) points: Vec<Point>,
}

/// One sample, held against the host's other sources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// The sample.
    pub(super) sample: Sample,
    /// Its offset less the median of all sources' offsets at that time.
    pub(super) apart_s: f64,
    /// How far it may be from that without being wrong: its own distance and that of the others.
    pub(super) allowed_s: f64,
    /// How many sources were known then, this one among them.
    pub(super) among: usize,
    /// Whether more than half of them agree with the median within their distances.
    pub(super) majority: bool,
}

impl View {
    /// Points at which a majority could outvote one source.
    pub(super) fn judged(&self) -> Vec<Point> {
        self.points.iter().filter(|point| point.among > 2).copied().collect()
    }
}

/// What all hosts see of all sources.
pub(super) fn views(rules: &Summaries, scene: &Scene) -> Vec<View> {
    let mut views = Vec::new();
    for host in scene.hosts() {
        let inputs = scene.inputs_of(host);
        let computed = rules.series.sources(&inputs);
        let mut all: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        // What the daemon computed tells more than what it computed it from.
        if computed.values().all(|samples| samples.len() < FEW) {
            all = rules.raw.sources(&inputs);
        }
        if all.is_empty() {
            all = computed.into_iter().map(|(source, samples)| (source.to_owned(), measured(samples))).collect();
        }
        let root_s = |source: &str| rules.upstream.root_distance_s(&inputs, source).unwrap_or(0.0);
        let usable = all.iter().filter(|(source, samples)| !is_own_clock(source) && !samples.is_empty());
        let sources: Vec<(&str, &Vec<Sample>, f64)> =
            usable.map(|(source, samples)| (source.as_str(), samples, root_s(source))).collect();
        for (at, (printed, samples, root_s)) in sources.iter().enumerate() {
            let others: Vec<Other<'_>> = sources
                .iter()
                .enumerate()
                .filter(|(o, _)| *o != at)
                .map(|(_, (_, s, root_s))| Other::of(s, *root_s))
                .collect();
            let address: Option<IpAddr> = printed.parse().ok();
            views.push(View {
                host: host.to_owned(),
                printed: (*printed).to_owned(),
                source: address.map_or_else(|| scene.called(printed), |address| scene.name(address)),
                address,
                sources: sources.len(),
                points: hold(samples, *root_s, &others),
                samples: (*samples).clone(),
            });
        }
    }
    views
}

/// The undisciplined local clock as a source of its own host: it always agrees with itself.
pub(super) fn is_own_clock(source: &str) -> bool {
    source.starts_with("127.127.1.") || source.starts_with("LOCAL(") || source == "LOCL"
}

/// chronyd's statistics tell of the same samples as its measurements, smoothed and without a delay.
fn measured(samples: Vec<Sample>) -> Vec<Sample> {
    if samples.iter().any(|sample| !sample.delay_s.is_nan()) {
        samples.into_iter().filter(|sample| !sample.delay_s.is_nan()).collect()
    } else {
        samples
    }
}

/// How far a sample may be wrong though source and path are sound (RFC 5905 §11.2: the root distance).
fn distance_s(sample: &Sample, root_s: f64) -> f64 {
    let known = |value: f32| if value.is_nan() { 0.0 } else { f64::from(value) };
    let dispersion_s = Some(known(sample.dispersion_s)).filter(|s| *s < BEGINNING_S).unwrap_or(0.0);
    known(sample.delay_s) / 2.0 + dispersion_s + root_s
}

/// Another source of the same host.
pub(super) struct Other<'a> {
    samples: &'a [Sample],
    root_s: f64,
    widest: i64,
}

/// Where another source was at a time: its offset, how far it moved between two samples, and its distance.
pub(super) struct Met {
    pub(super) offset_s: f64,
    moved_s: f64,
    distance_s: f64,
}

impl Other<'_> {
    pub(super) fn of(samples: &[Sample], root_s: f64) -> Other<'_> {
        let usual = median(samples.windows(2).map(|pair| pair[1].time.since_s(pair[0].time)));
        let widest_s = (INTERVALS * usual.unwrap_or(0.0)).max(AT_LEAST_S);
        Other { samples, root_s, widest: (widest_s * SECOND as f64) as i64 }
    }

    pub(super) fn at(&self, time: Time) -> Option<Met> {
        let next = self.samples.partition_point(|sample| sample.time < time);
        let (before, after) = (self.samples.get(next.checked_sub(1)?)?, self.samples.get(next)?);
        let between = after.time.0 - before.time.0;
        if between > self.widest {
            return None;
        }
        let share = if between > 0 { (time.0 - before.time.0) as f64 / between as f64 } else { 0.0 };
        let moved_s = after.offset_s - before.offset_s;
        let offset_s = before.offset_s + share * moved_s;
        let distance_s = distance_s(before, self.root_s).max(distance_s(after, self.root_s));
        Some(Met { offset_s, moved_s: moved_s.abs(), distance_s })
    }
}

/// Holds each sample of a source against the others.
fn hold(samples: &[Sample], root_s: f64, others: &[Other<'_>]) -> Vec<Point> {
    let mut held: Vec<(Point, f64)> = Vec::new();
    for sample in samples {
        let mut met: Vec<Met> = others.iter().filter_map(|other| other.at(sample.time)).collect();
        let (Some(restless_s), Some(theirs_s)) =
            (median(met.iter().map(|m| m.moved_s)), median(met.iter().map(|m| m.distance_s)))
        else {
            continue;
        };
        let own_s = distance_s(sample, root_s);
        met.push(Met { offset_s: sample.offset_s, moved_s: 0.0, distance_s: own_s });
        let Some(middle_s) = median(met.iter().map(|m| m.offset_s)) else { continue };
        let agree = met.iter().filter(|m| (m.offset_s - middle_s).abs() <= m.distance_s + m.moved_s + AGREE_S).count();
        let point = Point {
            sample: *sample,
            apart_s: sample.offset_s - middle_s,
            allowed_s: own_s + theirs_s + restless_s,
            among: met.len(),
            majority: agree * 2 > met.len(),
        };
        held.push((point, restless_s));
    }
    let usual_s = median(held.iter().map(|(_, restless_s)| *restless_s)).unwrap_or(0.0);
    held.retain(|(_, restless_s)| *restless_s <= RESTLESS * usual_s + RESTLESS_S);
    held.into_iter().map(|(point, _)| point).collect()
}
