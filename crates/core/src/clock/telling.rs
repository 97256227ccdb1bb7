//! The signs of a host's own clock: what tells a foreign hand from a loop, and both from an oscillator.

use super::cycle::{self, Growth, Locked};
use super::own::{self, Kind, Trouble};
use super::step::{self, Step};
use super::track::{Track, within};
use super::{Clocks, frequency, residual};
use crate::model::{Happening, Origin};
use crate::rules::happenings::Happened;
use crate::rules::series::Sample;
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::signs::Weighed;
use crate::stats::quantile;
use crate::time::Time;

/// When a measure makes a sign.
struct Limits {
    /// So much better than as told must another answer of the clock fit: late; not at all.
    late: f64,
    ignored: f64,
    /// And then the gain that fits best is no more than this.
    ignored_gain: f64,
    /// Share of rows at the limit of the frequency.
    at_limit: f64,
    /// From half of the limit to all of it a wrong rate takes minutes; what takes longer than this was pushed, in seconds.
    slow_s: f64,
    /// Share of steps that do not last, and how many.
    undone: (f64, usize),
    /// A frequency that goes to and fro by more than this within three hours, in ppm, is no oscillator's.
    wild_ppm: f64,
    /// The mean offset against its spread, from which on something holds the clock off.
    standing: f64,
    /// Sources' contradiction, against the offsets themselves.
    contradiction: f64,
    /// A straight line fits peaks so much better than an exponential, or worse by its inverse.
    line: f64,
    /// A hand that sets the clock at the daemon's start is no second one: it comes later than this, in seconds.
    start_s: f64,
    /// So near in time logs may tell of what happened, in seconds: a machine may sleep for a night.
    near_s: f64,
}

const LIMITS: Limits = Limits {
    late: 1.5,
    ignored: 3.0,
    ignored_gain: 0.3,
    at_limit: 0.5,
    slow_s: 3.0 * 3600.0,
    undone: (0.6, 3),
    wild_ppm: 200.0,
    standing: 1.2,
    contradiction: 0.5,
    line: 0.7,
    start_s: 3600.0,
    near_s: 12.0 * 3600.0,
};

/// Programs that set a clock beside its daemon.
const OTHERS: &[&str] =
    &["ntpdate", "ntpdate-debian", "sntp", "ntpdig", "msntp", "systemd-timesyncd", "phc2sys", "ptpd"];

/// The signs of one case.
pub(super) struct Signs<'a, 'b> {
    pub(super) host: &'a str,
    pub(super) track: &'a Track<'a>,
    pub(super) trouble: &'a Trouble,
    pub(super) clocks: &'a mut Clocks<'b>,
    pub(super) weighed: &'a mut Weighed,
}

impl Signs<'_, '_> {
    pub(super) fn take(&mut self, shared: Option<bool>) {
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
        let period_s = measures.iter().find_map(|(name, measure)| match measure {
            Measure::Number(period_s) if *name == "period_s" => Some(*period_s),
            _ => None,
        });
        let recipe = period_s.map_or_else(|| recipe(rule).to_owned(), folded);
        self.clocks.findings.add(Finding {
            rule,
            subject: self.host.to_owned(),
            statement,
            measures,
            evidence: Evidence::at(at),
            recipe: Some(recipe),
        })
    }

    /// Rows since the trouble began.
    fn rows(&self) -> &[Sample] {
        within(&self.track.rows, self.trouble.since, Time::MAX)
    }

    fn first(&self) -> Option<Origin> {
        within(self.track.main(), self.trouble.since, Time::MAX).first().map(|s| s.origin)
    }

    /// Whether offsets are locked to a period.
    fn period(&mut self) -> Option<Locked> {
        let mut series: Vec<&[Sample]> = self.track.sources.values().map(Vec::as_slice).collect();
        if series.is_empty() || !self.track.is_loop() && !self.track.rows.is_empty() {
            series.push(&self.track.rows);
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
        let (share, took_s) = frequency::at_limit(&self.track.rows, settled.max(self.trouble.since));
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
        let (Some(ppm), Some(at)) = (own::wander_ppm(self.track), self.first()) else { return };
        let statement =
            format!("the frequency of {} goes to and fro by {ppm:.1} ppm within three hours, in the median", self.host);
        let id = self.tell("frequency", statement, vec![("range_ppm", Measure::Number(ppm))], at);
        self.weighed.hold("rate-wanders", (own::WANDER_PPM..LIMITS.wild_ppm).contains(&ppm), id);
        self.weighed.hold("rate-runs-wild", ppm >= LIMITS.wild_ppm, id);
    }

    /// Whether swings follow each other regularly, or faster than a stable loop's could.
    fn swinging(&mut self) {
        let swing_s = self.track.swing_s();
        if let Some(regular) = cycle::is_regular(&cycle::peaks(self.track.main(), swing_s)) {
            self.weighed.hold("swings-regularly", regular, self.weighed.found);
        }
        let swings = cycle::peaks(self.track.main(), own::RESTLESS * swing_s);
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
        let Some((half, low, high)) = super::track::median_within(&halves) else { return };
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
        let Some(size) = quantile(sizes.iter().copied(), 0.75).filter(|size| *size > 0.0) else { return };
        // chronyd moves the clock between two samples.
        let apart =
            apart_s >= LIMITS.contradiction * size && apart_s > self.track.swing_s() / 2.0 && !self.track.is_quick();
        let contradict = apart || !self.track.has_majority();
        self.weighed.hold("sources-contradict", contradict, self.weighed.found);
    }

    /// What logs say of other hands, of sleep, of the clock source.
    fn said(&mut self) {
        let Some((first, _)) = self.track.span() else { return };
        let later = |h: &&&Happened| h.time.is_some_and(|time| time.since_s(first) > LIMITS.start_s);
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
        let near = |h: &&&Happened| h.time.is_some_and(|t| t.since_s(self.trouble.since).abs() < LIMITS.near_s);
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
        "cycle" => "awk '{print $1 * 86400 + $2, $3}' loopstats",
        "residual" => "awk '{print $2, $3, $4, $7}' loopstats",
        "frequency" => "awk '{print $1 * 86400 + $2, $4}' loopstats",
        _ => "grep -h -e clock_step -e 'time reset' -e stepped protostats ntpd.log",
    }
}

/// How someone else folds offsets at a period of UTC, in ten parts.
fn folded(period_s: f64) -> String {
    format!("awk '{{t = ($1 * 86400 + $2) % {period_s:.0}; print int(10 * t / {period_s:.0}), $5}}' peerstats")
}

/// Seconds as people read them.
pub(super) fn ms(s: f64) -> String {
    match s.abs() {
        size if size >= 1.0 => format!("{s:.2} s"),
        size if size >= 1e-3 => format!("{:.1} ms", s * 1e3),
        _ => format!("{:.0} µs", s * 1e6),
    }
}
