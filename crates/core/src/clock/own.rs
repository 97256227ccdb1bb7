//! One host's clock: from its track to a case, with the signs that tell a foreign hand from a loop, and both from an
//! oscillator.

use super::cycle::{self, Growth, Locked};
use super::frequency;
use super::residual;
use super::step::{self, Step};
use super::track::{Track, quantile, within};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::model::{Happening, Origin};
use crate::rules::happenings::Happened;
use crate::rules::series::Sample;
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::signs::Weighed;
use crate::time::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};

/// When a clock makes a case, and when a measure makes a sign.
struct Limits {
    /// Share of the hours since the first disturbed ones from which on the clock does not come to rest, and how many.
    lasting: (f64, usize),
    /// So much better than as told must another answer of the clock fit: late; not at all.
    late: f64,
    ignored: f64,
    /// And then the gain that fits best is no more than this.
    ignored_gain: f64,
    /// Swings that follow each other too fast for a stable loop are so many times what is more than noise: long polls make
    /// a quiet clock wander by some milliseconds.
    restless: f64,
    /// Share of rows at the limit of the frequency.
    at_limit: f64,
    /// From half of the limit to all of it a wrong rate takes minutes; what takes longer than this was pushed, in seconds.
    slow_s: f64,
    /// Share of steps that do not last, and how many.
    undone: (f64, usize),
    /// A frequency that goes to and fro by so much within three hours, in ppm: a day's warmth moves it by some tenths, and
    /// more than the second no oscillator does.
    wander_ppm: f64,
    wild_ppm: f64,
    /// The mean offset against its spread, from which on something holds the clock off.
    standing: f64,
    /// The highest offset against the usual one before, from which on a single event is one.
    event: f64,
    /// Sources' contradiction, against the offsets themselves.
    contradiction: f64,
    /// Steps that are single events; more are a habit.
    single: usize,
    /// So many of the farthest swings are looked for at other hosts.
    peaks: usize,
    /// Events of two hosts so near in time, in seconds, are one.
    same_s: f64,
    /// Likewise for steps.
    same_step_s: f64,
    /// A straight line fits peaks so much better than an exponential, or worse by its inverse.
    line: f64,
}

const LIMITS: Limits = Limits {
    lasting: (0.6, 3),
    late: 1.5,
    ignored: 3.0,
    ignored_gain: 0.3,
    restless: 2.5,
    at_limit: 0.5,
    slow_s: 3.0 * 3600.0,
    undone: (0.6, 3),
    wander_ppm: 1.5,
    wild_ppm: 200.0,
    standing: 1.2,
    event: 8.0,
    contradiction: 0.5,
    single: 2,
    peaks: 5,
    same_s: 2400.0,
    same_step_s: 7200.0,
    line: 0.7,
};

/// Programs that set a clock beside its daemon.
const OTHERS: &[&str] =
    &["ntpdate", "ntpdate-debian", "sntp", "ntpdig", "msntp", "systemd-timesyncd", "phc2sys", "ptpd"];

/// What became of a clock.
#[derive(Clone, Debug)]
struct Trouble {
    since: Time,
    last: Time,
    from_the_start: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
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
        let mut kept: Vec<(String, Vec<Sample>, BTreeMap<&str, Vec<Sample>>, Vec<&Happened>)> = Vec::new();
        for host in hosts {
            let inputs = self.scene.inputs_of(&host);
            let (rows, mut sources) = (self.rules.series.clock(&inputs), self.rules.series.sources(&inputs));
            for samples in sources.values_mut().filter(|samples| samples.iter().any(|s| s.delay_s.is_finite())) {
                // chronyd's statistics are estimates from the measurements that its other log has.
                samples.retain(|s| s.delay_s.is_finite());
            }
            if rows.is_empty() && sources.is_empty() {
                continue;
            }
            kept.push((host, rows, sources, self.rules.happenings.of(&inputs)));
        }
        let tracks: Vec<(&str, Track<'_>)> =
            kept.iter().map(|(host, rows, sources, said)| (host.as_str(), Track { rows, sources, said })).collect();
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
    let jumped = frequency::jump(track.rows, Time(first.0 + (track.settled()?.0 - first.0) / 2), track.is_quick());
    if let Some(jump) = jumped {
        let time = onset(track, jump.time);
        if stands_out(track, time) {
            return event(time, Kind::Rate(jump));
        }
    }
    let mut steps = step::steps(track);
    if steps.is_empty() && track.is_quick() {
        // chronyd steps only after its start, unless told otherwise: it slews, however far the clock is off.
        let blows = cycle::blows(within(main, track.settled()?, Time::MAX), track.swing_s());
        steps.extend(blows.iter().map(|blow| Step { time: blow.time, by_s: blow.offset_s, origin: blow.origin }));
    }
    let set = steps.iter().max_by(|a, b| a.by_s.abs().total_cmp(&b.by_s.abs()))?;
    (steps.len() <= LIMITS.single).then_some(())?;
    event(set.time, Kind::Set(*set))
}

/// By how much the frequency wanders within hours where the daemon follows it at once, in ppm; a loop's follows offsets.
fn wander_ppm(track: &Track<'_>) -> Option<f64> {
    frequency::wander(track.rows, track.settled()?).filter(|_| track.is_quick())
}

/// Whether offsets near a time stand out from those before it.
fn stands_out(track: &Track<'_>, time: Time) -> bool {
    let near = |from: f64, to: f64| {
        let shift = |s: f64| Time(time.0.saturating_add((s * SECOND as f64) as i64));
        let offsets: Vec<f64> = within(track.main(), shift(from), shift(to)).iter().map(|s| s.offset_s.abs()).collect();
        (quantile(&offsets, 0.75), quantile(&offsets, 1.0))
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
    let (usual, most) = (quantile(&sizes, 0.5).unwrap_or(0.0), quantile(&sizes, 1.0).unwrap_or(0.0));
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

/// The signs of one case.
struct Signs<'a, 'b> {
    host: &'a str,
    track: &'a Track<'a>,
    trouble: &'a Trouble,
    clocks: &'a mut Clocks<'b>,
    weighed: &'a mut Weighed,
}

impl Signs<'_, '_> {
    fn take(&mut self, shared: Option<bool>) {
        let found = self.weighed.found;
        let lasting = self.trouble.kind == Kind::Lasting;
        let restless = self.trouble.kind == Kind::Restless;
        self.weighed.hold("clock-rests", !lasting, found);
        self.weighed.hold("swings-fast", restless, found);
        self.weighed.hold("rate-jumped", matches!(self.trouble.kind, Kind::Rate(_)), found);
        self.weighed.hold("set-once", matches!(self.trouble.kind, Kind::Set(_)), found);
        let steps = step::steps(self.track);
        if lasting {
            let locked = self.period();
            self.answer();
            self.limit();
            self.standing();
            self.wander();
            if locked.is_none() && !self.track.is_quick() {
                self.swinging();
            }
            self.cycles(locked, &steps);
        }
        if !steps.is_empty() {
            self.steps(&steps);
        }
        self.contradiction();
        self.said();
        self.weighed.hold("one-source", self.track.sources.len() == 1, found);
        if let Some(shared) = shared {
            self.weighed.hold("others-too", shared, found);
        }
    }

    fn tell(
        &mut self,
        rule: &'static str,
        statement: String,
        measures: Vec<(&'static str, Measure)>,
        at: Origin,
    ) -> FindingId {
        self.clocks.findings.add(Finding {
            rule,
            subject: self.host.to_owned(),
            statement,
            measures,
            evidence: Evidence::at(at),
            recipe: Some(recipe(rule).into()),
        })
    }

    /// Rows since the trouble began.
    fn rows(&self) -> &[Sample] {
        within(self.track.rows, self.trouble.since, Time::MAX)
    }

    fn first(&self) -> Option<Origin> {
        within(self.track.main(), self.trouble.since, Time::MAX).first().map(|s| s.origin)
    }

    /// Whether offsets are locked to a period.
    fn period(&mut self) -> Option<Locked> {
        let mut series: Vec<&[Sample]> = self.track.sources.values().map(Vec::as_slice).collect();
        if series.is_empty() || !self.track.is_loop() && !self.track.rows.is_empty() {
            series.push(self.track.rows);
        }
        let since = self.trouble.since.max(self.track.settled()?);
        let swing_s = self.track.swing_s();
        let jumps = || if self.track.is_loop() { residual::jumps(self.rows(), swing_s / 2.0) } else { Vec::new() };
        let locked = cycle::locked(&series, since)
            .or_else(|| cycle::struck(self.track.main(), since, swing_s))
            .or_else(|| cycle::jumped(&jumps()));
        let Some(lock) = locked else {
            self.weighed.hold("locked-to-a-period", false, self.weighed.found);
            return None;
        };
        let at = self.first()?;
        let (period_s, share, periods) = (lock.period_s, lock.share * 100.0, lock.periods);
        let statement = if lock.by_phase {
            format!(
                "offsets of {} repeat each {period_s:.0} s: the phase explains {share:.0} % of how they vary, at all its \
                 sources, over {periods:.0} periods",
                self.host
            )
        } else {
            format!(
                "the clock of {} is struck each {period_s:.0} s, which its daemon can't have done: phases of the blows \
                 agree to {share:.0} % over {periods:.0} periods",
                self.host
            )
        };
        let measures = vec![
            ("period_s", Measure::Number(lock.period_s)),
            ("explained", Measure::Number(lock.share)),
            ("periods", Measure::Number(lock.periods.floor())),
        ];
        let id = self.tell("cycle", statement, measures, at);
        self.weighed.hold("locked-to-a-period", true, id);
        locked
    }

    /// How the clock answers to its loop.
    fn answer(&mut self) {
        if !self.track.is_loop() {
            return;
        }
        let Some(answer) = residual::response(self.rows(), self.track.swing_s()) else { return };
        let Some(at) = self.first() else { return };
        let late = answer.told_s / answer.late_s.max(1e-12);
        let nothing = answer.told_s / answer.nothing_s.max(1e-12);
        let ignored = nothing >= LIMITS.ignored && answer.gain <= LIMITS.ignored_gain;
        let statement = format!(
            "of what the clock of {} did between updates, {} remains unexplained if it did what its loop asked, {} if it did so {:.0} s late, {} if it did nothing of it",
            self.host,
            ms(answer.told_s),
            ms(answer.late_s),
            answer.lag_s,
            ms(answer.nothing_s)
        );
        let measures = vec![
            ("told_s", Measure::Number(answer.told_s)),
            ("late_s", Measure::Number(answer.late_s)),
            ("lag_s", Measure::Number(answer.lag_s)),
            ("nothing_s", Measure::Number(answer.nothing_s)),
            ("gain", Measure::Number(answer.gain)),
            ("updates", Measure::Number(answer.swings as f64)),
        ];
        let id = self.tell("residual", statement, measures, at);
        self.weighed.hold("answers-late-to-loop", late >= LIMITS.late && !ignored, id);
        self.weighed.hold("ignores-loop", ignored, id);
        self.weighed.hold("answers-as-told", late < LIMITS.late && !ignored, id);
    }

    /// Whether the frequency is at its limit, and how it came there.
    fn limit(&mut self) {
        if !self.track.is_loop() {
            return;
        }
        let Some(settled) = self.track.settled() else { return };
        let (share, took_s) = frequency::at_limit(self.track.rows, settled.max(self.trouble.since));
        if share < LIMITS.at_limit {
            self.weighed.hold("frequency-at-limit", false, self.weighed.found);
            return;
        }
        let at_limit = |row: &&Sample| row.frequency_ppm.abs() >= 499.5;
        let Some(at) = self.track.rows.iter().find(at_limit).map(|row| row.origin) else { return };
        let statement = format!(
            "the frequency of {} stands at its limit of 500 ppm in {:.0} % of the updates; from half of that it took {:.1} h",
            self.host,
            share * 100.0,
            took_s / 3600.0
        );
        let measures = vec![("share", Measure::Number(share)), ("took_s", Measure::Number(took_s))];
        let id = self.tell("frequency", statement, measures, at);
        self.weighed.hold("frequency-at-limit", true, id);
        self.weighed.hold("pushed-to-limit", took_s >= LIMITS.slow_s, id);
    }

    /// Whether the clock stands to one side though its frequency is free.
    fn standing(&mut self) {
        let rows = within(self.track.main(), self.trouble.since, Time::MAX);
        if rows.is_empty() || self.track.is_quick() {
            return;
        }
        let mean = rows.iter().map(|s| s.offset_s).sum::<f64>() / rows.len() as f64;
        let spread = (rows.iter().map(|s| (s.offset_s - mean).powi(2)).sum::<f64>() / rows.len() as f64).sqrt();
        let stands = mean.abs() >= LIMITS.standing * spread && mean.abs() > self.track.swing_s();
        self.weighed.hold("one-sided", stands, self.weighed.found);
        if !stands || !self.track.is_loop() {
            return;
        }
        let statement = format!(
            "the clock of {} stands {} off to one side, {} to and fro: its loop would have removed that",
            self.host,
            ms(mean.abs()),
            ms(spread)
        );
        let measures = vec![("mean_s", Measure::Number(mean)), ("spread_s", Measure::Number(spread))];
        let id = self.tell("residual", statement, measures, rows[0].origin);
        self.weighed.hold("stands-off", true, id);
    }

    /// Whether the frequency wanders, where the daemon follows it at once.
    fn wander(&mut self) {
        let (Some(ppm), Some(at)) = (wander_ppm(self.track), self.first()) else { return };
        let statement =
            format!("the frequency of {} goes to and fro by {ppm:.1} ppm within three hours, in the median", self.host);
        let id = self.tell("frequency", statement, vec![("range_ppm", Measure::Number(ppm))], at);
        self.weighed.hold("rate-wanders", (LIMITS.wander_ppm..LIMITS.wild_ppm).contains(&ppm), id);
        self.weighed.hold("rate-runs-wild", ppm >= LIMITS.wild_ppm, id);
    }

    /// Whether swings follow each other regularly, or faster than a stable loop's could.
    fn swinging(&mut self) {
        let swing_s = self.track.swing_s();
        if let Some(regular) = cycle::is_regular(&cycle::peaks(self.track.main(), swing_s)) {
            self.weighed.hold("swings-regularly", regular, self.weighed.found);
        }
        let swings = cycle::peaks(self.track.main(), LIMITS.restless * swing_s);
        let restless = cycle::restless(&swings);
        if restless.len() * 2 > swings.len() {
            // It is said first that it does not swing fast, for the clock did not come to rest; this is nearer.
            self.weighed.signs.retain(|sign| sign.name != "swings-fast");
            self.weighed.hold("swings-fast", true, self.weighed.found);
        }
    }

    /// From step to step: how peaks grow.
    fn cycles(&mut self, locked: Option<Locked>, steps: &[Step]) {
        let main = within(self.track.main(), self.trouble.since, Time::MAX);
        let swings = cycle::peaks(main, self.track.swing_s());
        let halves: Vec<f64> = swings.windows(2).map(|pair| pair[1].time.since_s(pair[0].time)).collect();
        let Some((half, low, high)) = super::track::median(&halves) else { return };
        let every_s = locked.map_or(half, |lock| lock.period_s).max(60.0);
        let times: Vec<Time> = steps.iter().map(|step| step.time).collect();
        let growth = cycle::growth(main, &times, every_s, self.track.swing_s());
        let Some(at) = self.first() else { return };
        let told: Vec<String> = steps.iter().take(4).map(|step| step.time.to_string()).collect();
        let stepped = match steps.len() {
            0 => "without a step".to_owned(),
            n if n > told.len() => format!("with {n} steps, the first at {}", told.join(", ")),
            n => format!("with {n} steps, at {}", told.join(", ")),
        };
        let words = growth.map_or(String::new(), growth_words);
        let statement = format!(
            "offsets of {} swing from side to side {} times, every {half:.0} s [{low:.0}, {high:.0}], {stepped}{words}",
            self.host,
            swings.len(),
        );
        let mut measures = vec![
            ("half_period_s", Measure::Number(half)),
            ("half_period_interval_s", Measure::Interval(low, high)),
            ("swings", Measure::Number(swings.len() as f64)),
            ("steps", Measure::Number(steps.len() as f64)),
        ];
        if let Some(growth) = growth {
            measures.push(("growth_s", Measure::Interval(growth.by_s.1, growth.by_s.2)));
            measures.push(("growth_ratio", Measure::Interval(growth.ratio.1, growth.ratio.2)));
        }
        let id = self.tell("cycle", statement, measures, at);
        if let Some(growth) = growth.filter(|growth| growth.cycles >= 2 && growth.by_s.1 > 0.0) {
            self.weighed.hold("grows-evenly", growth.line <= LIMITS.line, id);
            self.weighed.hold("grows-by-ratio", growth.line >= 1.0 / LIMITS.line, id);
        }
    }

    /// Whether steps last.
    fn steps(&mut self, steps: &[Step]) {
        let (undone, judged) = step::undone(self.track, steps);
        if judged < LIMITS.undone.1 {
            return;
        }
        let statement = format!(
            "{} stepped its clock {} times; of {judged} whose outcome can be seen, {undone} did not last: the offset was back within minutes",
            self.host,
            steps.len()
        );
        let measures = vec![("undone", Measure::Number(undone as f64)), ("of", Measure::Number(judged as f64))];
        let id = self.tell("step", statement, measures, steps[0].origin);
        self.weighed.hold("steps-undone", undone as f64 >= LIMITS.undone.0 * judged as f64, id);
    }

    /// Whether sources contradict each other by as much as the clock swings.
    fn contradiction(&mut self) {
        let Some(apart_s) = self.track.contradiction_s() else { return };
        let shown = within(self.track.main(), self.trouble.since, Time(self.trouble.last.0.saturating_add(1)));
        let sizes: Vec<f64> = shown.iter().map(|s| s.offset_s.abs()).collect();
        let Some(size) = quantile(&sizes, 0.75).filter(|size| *size > 0.0) else { return };
        let apart = apart_s >= LIMITS.contradiction * size && apart_s > self.track.swing_s() / 2.0;
        let contradict = apart || !self.track.has_majority();
        self.weighed.hold("sources-contradict", contradict, self.weighed.found);
    }

    /// What logs say of other hands, of sleep, of the clock source.
    fn said(&mut self) {
        let Some((first, _)) = self.track.span() else { return };
        let later = |h: &&&Happened| h.time.is_some_and(|time| time.since_s(first) > 3600.0);
        let other = |h: &&&Happened| {
            matches!(h.kind, Happening::Step | Happening::Slew | Happening::Synchronised)
                && OTHERS.contains(&h.program.as_str())
        };
        let hands: Vec<&Happened> = self.track.said.iter().filter(later).filter(other).copied().collect();
        let early = self.track.said.iter().filter(other).count();
        let beside = hands.first().copied().or_else(|| {
            let timesyncd = |h: &&&Happened| h.program == "systemd-timesyncd" && h.time.is_some_and(|t| t > first);
            self.track.said.iter().filter(other).find(timesyncd).copied()
        });
        if let Some(hand) = beside {
            let statement =
                format!("{} works on the clock of {} beside its daemon: {early} lines say so", hand.program, self.host);
            let id = self.tell("step", statement, vec![("lines", Measure::Number(early as f64))], hand.origin);
            self.weighed.hold("another-hand", true, id);
        }
        let near = |h: &&&Happened| h.time.is_some_and(|t| t.since_s(self.trouble.since).abs() < 12.0 * 3600.0);
        let foreign = self.track.said.iter().filter(near).find(|h| h.kind == Happening::Foreign).copied();
        if let Some(slept) = foreign.filter(|_| matches!(self.trouble.kind, Kind::Set(_))) {
            let statement = format!("the log of {} says that the machine slept or its time was changed", self.host);
            let id = self.tell("step", statement, Vec::new(), slept.origin);
            self.weighed.hold("slept-or-set", true, id);
        }
        let source = self.track.said.iter().find(|h| h.kind == Happening::ClockSource).copied();
        if let Some(source) = source {
            let statement = format!("the kernel of {} found its clock source unstable, or changed it", self.host);
            let id = self.tell("frequency", statement, Vec::new(), source.origin);
            self.weighed.hold("clock-source-changed", true, id);
        }
    }
}

fn growth_words(growth: Growth) -> String {
    let kind = if growth.line <= LIMITS.line {
        "evenly"
    } else if growth.line >= 1.0 / LIMITS.line {
        "by a ratio"
    } else {
        "neither evenly nor by a ratio"
    };
    format!(
        "; from step to step peaks grow {kind}: by {} [{}, {}] each, {:.2} times [{:.2}, {:.2}]",
        ms(growth.by_s.0),
        ms(growth.by_s.1),
        ms(growth.by_s.2),
        growth.ratio.0,
        growth.ratio.1,
        growth.ratio.2
    )
}

/// How someone else gets the numbers of a rule.
fn recipe(rule: &str) -> &'static str {
    match rule {
        "cycle" => "awk '{t = $2 % 3600; print int(t / 360), $5}' peerstats",
        "residual" => "awk '{print $2, $3, $4, $7}' loopstats",
        "frequency" => "awk '{print $1 * 86400 + $2, $4}' loopstats",
        _ => "grep -h -e clock_step -e 'time reset' -e stepped protostats ntpd.log",
    }
}

/// Seconds as people read them.
fn ms(s: f64) -> String {
    match s.abs() {
        size if size >= 1.0 => format!("{s:.2} s"),
        size if size >= 1e-3 => format!("{:.1} ms", s * 1e3),
        _ => format!("{:.0} µs", s * 1e6),
    }
}
