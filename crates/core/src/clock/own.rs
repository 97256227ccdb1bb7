//! One host's clock: from its track to a case, with the signs that tell a foreign hand from a loop, and both from an
//! oscillator.

use super::cycle;
use super::frequency;

use super::step::{self, Step};
use super::telling::{Signs, ms};
use super::track::{Track, within};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::stats::quantile;

use crate::rules::{Evidence, Finding, Measure};
use crate::signs::Weighed;
use crate::time::{SECOND, Time};
use std::collections::BTreeSet;

/// When a clock makes a case.
struct Limits {
    /// Share of the hours since the first disturbed ones from which on the clock does not come to rest, and how many.
    lasting: (f64, usize),
    /// Swings that follow each other too fast for a stable loop are so many times what is more than noise: long polls make
    /// a quiet clock wander by some milliseconds.
    restless: f64,
    /// A frequency that goes to and fro by so much within three hours, in ppm: a day's warmth moves it by some tenths.
    wander_ppm: f64,
    /// The highest offset against the usual one before, from which on a single event is one.
    event: f64,
    /// A single blow to a clock that chronyd keeps is so many times what is more than noise, and so many times what nine of
    /// ten offsets are: far paths have outliers.
    blow: (f64, f64),
    /// Steps that are single events; more are a habit.
    single: usize,
    /// So many of the farthest swings are looked for at other hosts.
    peaks: usize,
    /// Events of two hosts so near in time, in seconds, are one.
    same_s: f64,
    /// Likewise for steps.
    same_step_s: f64,
}

/// See [`Limits::restless`].
pub(super) const RESTLESS: f64 = 2.5;

/// See [`Limits::wander_ppm`].
pub(super) const WANDER_PPM: f64 = 1.5;

const LIMITS: Limits = Limits {
    lasting: (0.6, 3),
    restless: RESTLESS,
    wander_ppm: WANDER_PPM,
    event: 8.0,
    blow: (5.0, 20.0),
    single: 2,
    peaks: 5,
    same_s: 2400.0,
    same_step_s: 7200.0,
};

/// What became of a clock.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// First instance.
    pub(super) since: Time,
    /// Last instance.
    pub(super) last: Time,
    /// Whether that is as old as the record.
    pub(super) from_the_start: bool,
    /// What it is.
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// It does not come to rest.
    Lasting,
    /// It swung and came to rest.
    Restless,
    /// Its rate changed once.
    Rate(frequency::Jump),
    /// It was set once, by so much.
    Set(Step),
}

impl Clocks<'_> {
    /// The cases of hosts whose own clock is wrong.
    pub(super) fn own(&mut self) -> Vec<Case> {
        let hosts: Vec<String> = self.scene.hosts().iter().map(|host| (*host).to_owned()).collect();
        let (rules, scene) = (self.rules, self.scene);
        let track = |host: &String| {
            let inputs = scene.inputs_of(host);
            let (rows, mut sources) = (rules.series.clock(&inputs), rules.series.sources(&inputs));
            for samples in sources.values_mut().filter(|samples| samples.iter().any(|s| s.delay_s.is_finite())) {
                // chronyd's statistics are estimates from the measurements that its other log has.
                samples.retain(|s| s.delay_s.is_finite());
            }
            let tells = !rows.is_empty() || !sources.is_empty();
            tells.then(|| Track { rows, sources, said: rules.happenings.of(&inputs) })
        };
        let tracks: Vec<(&str, Track<'_>)> =
            hosts.iter().filter_map(|host| Some((host.as_str(), track(host)?))).collect();
        let mut cases: Vec<Case> = tracks.iter().flat_map(|(host, track)| self.notes(host, track)).collect();
        let troubles: Vec<Option<Trouble>> = tracks.iter().map(|(_, track)| trouble(track)).collect();
        for (k, ((host, track), trouble)) in tracks.iter().zip(&troubles).enumerate() {
            let Some(trouble) = trouble else { continue };
            let shared = tracks.iter().enumerate().filter(|(other, _)| *other != k).any(|(other, (_, theirs))| {
                let lasting = troubles[other].as_ref().is_some_and(|t| t.kind == Kind::Lasting);
                !lasting && saw_it_too(track, trouble, theirs)
            });
            cases.extend(self.case(host, track, trouble, (tracks.len() > 1).then_some(shared)));
        }
        cases
    }

    fn case(&mut self, host: &str, track: &Track<'_>, trouble: &Trouble, shared: Option<bool>) -> Option<Case> {
        let found = self.findings.add(found(host, track, trouble)?);
        let mut weighed = Weighed::new("clock", found);
        let mut signs = Signs { host, track, trouble, clocks: self, weighed: &mut weighed };
        signs.take(shared);
        Some(Case {
            weighed,
            place: Place::Client(host.to_owned()),
            affected: BTreeSet::from([host.to_owned()]),
            since: Some(trouble.since),
            from_the_start: trouble.from_the_start,
            last: Some(trouble.last),
        })
    }
}

/// Whether a clock is worth a case.
fn trouble(track: &Track<'_>) -> Option<Trouble> {
    let (first, last) = track.span()?;
    let windows = track.windows();
    let disturbed: Vec<_> = windows.iter().skip_while(|w| !w.disturbed).collect();
    let many = disturbed.iter().filter(|w| w.disturbed).count();
    let share = many as f64 / disturbed.len().max(1) as f64;
    let wanders = wander_ppm(track).is_some_and(|ppm| ppm >= LIMITS.wander_ppm);
    if wanders {
        return Some(Trouble { since: first, last, from_the_start: true, kind: Kind::Lasting });
    }
    if share >= LIMITS.lasting.0 && many >= LIMITS.lasting.1 {
        let from_the_start = windows.first().is_some_and(|w| w.disturbed);
        let since = if from_the_start { first } else { disturbed.first()?.from };
        return Some(Trouble { since, last, from_the_start, kind: Kind::Lasting });
    }
    let main = track.main();
    let swings = cycle::peaks(main, LIMITS.restless * track.swing_s());
    let restless = cycle::restless(&swings);
    if let (Some(a), Some(b)) = (restless.first(), restless.last()) {
        return Some(Trouble {
            since: a.time,
            last: b.time,
            from_the_start: a.time < track.settled()?,
            kind: Kind::Restless,
        });
    }
    let event = |time: Time, kind: Kind| {
        let last = disturbed.iter().rfind(|w| w.disturbed).map_or(time, |w| w.from).max(time);
        Some(Trouble { since: time, last, from_the_start: false, kind })
    };
    let jumped = frequency::jump(&track.rows, Time(first.0 + (track.settled()?.0 - first.0) / 2), track.is_quick());
    if let Some(jump) = jumped {
        let time = onset(track, jump.time);
        if stands_out(track, time) {
            return event(time, Kind::Rate(jump));
        }
    }
    let mut steps = step::steps(track);
    if steps.is_empty() && track.is_quick() {
        // chronyd steps only after its start, unless told otherwise: it slews, however far the clock is off.
        let rested = within(main, track.settled()?, Time::MAX);
        let usual_s = quantile(rested.iter().map(|s| s.offset_s.abs()), 0.9)?;
        let blows = cycle::blows(rested, (LIMITS.blow.0 * track.swing_s()).max(LIMITS.blow.1 * usual_s));
        steps.extend(blows.iter().map(|blow| Step { time: blow.time, by_s: blow.offset_s, origin: blow.origin }));
    }
    let set = steps.iter().max_by(|a, b| a.by_s.abs().total_cmp(&b.by_s.abs()))?;
    (steps.len() <= LIMITS.single).then_some(())?;
    event(set.time, Kind::Set(*set))
}

/// By how much the frequency wanders within hours where the daemon follows it at once, in ppm; a loop's follows offsets.
pub(super) fn wander_ppm(track: &Track<'_>) -> Option<f64> {
    frequency::wander(&track.rows, track.settled()?).filter(|_| track.is_quick())
}

/// Whether offsets near a time stand out from those before it.
fn stands_out(track: &Track<'_>, time: Time) -> bool {
    let near = |from: f64, to: f64| {
        let shift = |s: f64| Time(time.0.saturating_add((s * SECOND as f64) as i64));
        let offsets: Vec<f64> = within(track.main(), shift(from), shift(to)).iter().map(|s| s.offset_s.abs()).collect();
        (quantile(offsets.iter().copied(), 0.75), quantile(offsets.iter().copied(), 1.0))
    };
    let (Some(before), Some(height)) = (near(-6.0 * 3600.0, -1800.0).0, near(-3600.0, 3.0 * 3600.0).1) else {
        return false;
    };
    // chronyd follows a new rate within some polls, and offsets hardly show it.
    let least_s = if track.is_loop() { track.swing_s() } else { track.swing_s() / 10.0 };
    height > least_s && height > LIMITS.event * before
}

/// When offsets first left the usual, up to some hours before a time.
fn onset(track: &Track<'_>, time: Time) -> Time {
    let from = Time(time.0 - 3 * 3600 * SECOND);
    let near = within(track.main(), from, Time(time.0 + 3600 * SECOND));
    near.iter().find(|s| s.offset_s.abs() > track.swing_s()).map_or(time, |s| s.time)
}

/// Whether another host, which is quiet otherwise, was far off too when this one was farthest off.
fn saw_it_too(track: &Track<'_>, trouble: &Trouble, theirs: &Track<'_>) -> bool {
    let Some(settled) = theirs.settled() else { return false };
    let mut peaks = cycle::peaks(within(track.main(), trouble.since.max(settled), Time::MAX), track.swing_s());
    peaks.sort_by(|a, b| b.offset_s.abs().total_cmp(&a.offset_s.abs()));
    peaks.truncate(LIMITS.peaks);
    // ntpd believes in a step only when it has lasted, and long polls see it late.
    let same_s = if matches!(trouble.kind, Kind::Set(_)) { LIMITS.same_step_s } else { LIMITS.same_s };
    let same = (same_s * SECOND as f64) as i64;
    let mut times: Vec<Time> = peaks.iter().map(|peak| peak.time).collect();
    if let Kind::Set(step) = trouble.kind {
        times = vec![step.time];
    }
    let steps = step::steps(theirs);
    let is_there = |time: &&Time| {
        let near = within(theirs.main(), Time(time.0 - same), Time(time.0 + same));
        near.iter().any(|s| s.offset_s.abs() > theirs.swing_s())
            || steps.iter().any(|step| step.time.since_s(**time).abs() < same_s)
    };
    let met = times.iter().filter(is_there).count();
    met > 0 && met * 5 >= times.len() * 2
}

fn found(host: &str, track: &Track<'_>, trouble: &Trouble) -> Option<Finding> {
    let shown = within(track.main(), trouble.since, Time(trouble.last.0.saturating_add(1)));
    let sizes: Vec<f64> = shown.iter().map(|s| s.offset_s.abs()).collect();
    let worst = shown.iter().max_by(|a, b| a.offset_s.abs().total_cmp(&b.offset_s.abs()));
    let (usual, most) =
        (quantile(sizes.iter().copied(), 0.5).unwrap_or(0.0), quantile(sizes.iter().copied(), 1.0).unwrap_or(0.0));
    let noise_s = track.noise_s();
    let what = match trouble.kind {
        Kind::Lasting => format!(
            "the clock of {host} does not come to rest: offsets of {} are usual, {} the largest",
            ms(usual),
            ms(most)
        ),
        Kind::Restless => {
            format!("the clock of {host} swung to both sides until {}, by {} at the most", trouble.last, ms(most))
        }
        Kind::Rate(jump) => format!(
            "the rate of {host}'s clock changed: its correction went from {:.1} ppm to {:.1} ppm, offsets up to {}",
            jump.ppm.0,
            jump.ppm.1,
            ms(most)
        ),
        Kind::Set(step) if step.by_s.is_nan() => format!("the clock of {host} was stepped at {}", step.time),
        Kind::Set(step) => format!("the clock of {host} was {} off at once, and was stepped back", ms(step.by_s.abs())),
    };
    let (rule, origin) = match trouble.kind {
        Kind::Lasting | Kind::Restless => ("cycle", worst?.origin),
        Kind::Rate(_) => ("frequency", worst.map(|s| s.origin).or(track.rows.first().map(|row| row.origin))?),
        Kind::Set(step) => ("step", step.origin),
    };
    Some(Finding {
        rule,
        subject: host.to_owned(),
        statement: format!("{what}, since {}; the paths alone make {}", trouble.since, ms(noise_s)),
        measures: vec![
            ("usual_s", Measure::Number(usual)),
            ("largest_s", Measure::Number(most)),
            ("noise_s", Measure::Number(noise_s)),
        ],
        evidence: Evidence::of([Some(origin), shown.first().map(|s| s.origin)].into_iter().flatten())?,
        recipe: Some("awk '{x = $3 < 0 ? -$3 : $3; if (x > m) m = x} END {print m}' loopstats".into()),
    })
}
