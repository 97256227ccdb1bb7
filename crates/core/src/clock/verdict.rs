//! Cases of sources: what all hosts that see one tell of it, in one case.

use super::agreement::{OffsetJump, Standing, is_telling, standing};
use super::apart::{View, views};
use super::asymmetry::{Queueing, Turn, direction, queueing, together, turns};
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::rules::series::Sample;
use crate::rules::upstream::{Reference, reference};
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::signs::Weighed;
use crate::time::Time;
use std::collections::BTreeMap;

/// Hosts whose findings about one source are told; the others say the same.
const MOST_TOLD: usize = 8;

/// An offset's change as a share of the delay's: a half where one direction changed, up to this much where both did.
const HALF: (f64, f64) = (0.35, 0.65);
/// See [`HALF`].
const BOTH: f64 = 0.15;

/// A clock follows a source that it is nearer to than this share of how far that is from the others.
const FOLLOWS: f64 = 0.3;

/// What is known of one source, or of the way that all sources of a host share.
#[derive(Default)]
struct Source<'a> {
    /// What each host that can tell says of how it stands against the others.
    standings: Vec<(&'a View, Standing)>,
    /// The largest change of its delay, by host.
    turns: Vec<(&'a View, Turn)>,
    /// Its queueing, by host.
    queues: Vec<(&'a View, Queueing)>,
}

impl<'a> Source<'a> {
    fn off(&self) -> impl Iterator<Item = &(&'a View, Standing)> {
        self.standings.iter().filter(|(_, standing)| standing.is_off())
    }

    fn agree(&self, is: impl Fn(&Standing) -> bool) -> bool {
        let off = self.off().count();
        off > 0 && self.off().filter(|(_, standing)| is(standing)).count() * 2 >= off
    }
}

/// What one host sees of its sources, and of the way to all of them.
fn look<'a>(
    host: &'a str,
    views: &[&'a View],
    sources: &mut BTreeMap<&'a str, Source<'a>>,
    ways: &mut BTreeMap<&'a str, Source<'a>>,
) {
    let turned = turns(views);
    let queued: Vec<(&View, Queueing)> = views.iter().filter_map(|view| Some((*view, queueing(view)?))).collect();
    for view in views.iter().filter(|view| is_telling(view)) {
        let mut standing = standing(view);
        for jump in &mut standing.jumps {
            // Where the way to others changed just then, it is they that moved.
            let others = turned.iter().filter(|(other, ..)| other.printed != view.printed);
            let moved = |turn: &Turn| together(turn.between.1, jump.between.1) && turn.delay_s.abs() > jump.by_s.abs();
            if others.into_iter().any(|(_, turn, _)| moved(turn)) {
                jump.alone = Some(false);
            }
        }
        sources.entry(&view.source).or_default().standings.push((*view, standing));
    }
    for (view, turn, shared) in turned {
        let of = if shared { ways.entry(host).or_default() } else { sources.entry(&view.source).or_default() };
        of.turns.push((view, turn));
    }
    let shared = views.len() > 1 && queued.len() == views.len();
    for (view, queue) in queued {
        if shared {
            ways.entry(host).or_default().queues.push((view, Queueing { limb: queue.own_limb, ..queue }));
        } else {
            sources.entry(&view.source).or_default().queues.push((view, queue));
        }
    }
}

impl Clocks<'_> {
    /// Cases of sources, and of what several of them have in common.
    pub(super) fn off_sources(&mut self) -> Vec<Case> {
        let views = views(self.rules, self.scene);
        let (mut by_source, mut by_host) = (BTreeMap::<&str, Vec<&View>>::new(), BTreeMap::<&str, Vec<&View>>::new());
        for view in &views {
            by_source.entry(&view.source).or_default().push(view);
            by_host.entry(&view.host).or_default().push(view);
        }
        let (mut sources, mut ways) = (BTreeMap::<&str, Source<'_>>::new(), BTreeMap::<&str, Source<'_>>::new());
        for (host, views) in &by_host {
            look(host, views, &mut sources, &mut ways);
        }
        let mut cases: BTreeMap<String, Case> = BTreeMap::new();
        for (name, source) in &sources {
            let views = by_source.get(name).map_or(&[][..], Vec::as_slice);
            let Some(first) = views.first() else { continue };
            let place = Place::Source(first.source.clone(), first.address);
            if let Some(case) = self.source(views, source, place) {
                cases.insert((*name).to_owned(), case);
            }
        }
        for (source, views) in &by_source {
            if let Some(case) = self.followed(views) {
                cases.entry((*source).to_owned()).or_insert(case);
            }
        }
        let explained = self.shared_upstreams(&views, &mut cases);
        let mut cases: Vec<Case> = cases.into_values().collect();
        for (host, way) in &ways {
            let place = Place::Segment((*host).to_owned(), "its sources".into(), None);
            cases.extend(self.source(&[], way, place));
        }
        cases.extend(self.undecided_majorities(&views, &cases, &explained));
        cases.extend(self.loops(&views));
        cases.extend(self.few_sources(&views));
        cases
    }

    /// The case of one source, where something is wrong with it or with the way to it.
    fn source(&mut self, views: &[&View], source: &Source<'_>, place: Place) -> Option<Case> {
        let agreement: Vec<FindingId> =
            source.off().take(MOST_TOLD).filter_map(|(view, standing)| self.tell_standing(view, standing)).collect();
        let mut asymmetry: Vec<FindingId> = Vec::new();
        for (view, turn) in source.turns.iter().take(MOST_TOLD) {
            asymmetry.extend(self.tell_turn(view, turn));
        }
        let queued: Vec<FindingId> =
            source.queues.iter().take(MOST_TOLD).filter_map(|(view, queue)| self.tell_queueing(view, queue)).collect();
        let found = *agreement.iter().chain(&asymmetry).chain(&queued).next()?;
        let mut weighed = Weighed::new("source", found);
        let mut hold = |name, holds, by: &[FindingId]| {
            by.iter().for_each(|id| weighed.hold(name, holds, *id));
        };
        if let [first, ..] = agreement[..] {
            hold("offset-apart", source.agree(|s| s.beyond.is_some()), &agreement);
            hold("drifts-apart", source.agree(|s| s.drift.is_some()), &agreement);
            if source.off().any(|(_, standing)| standing.jumps_alone().is_some()) {
                hold("jumped-alone", source.agree(|s| s.jumps_alone() == Some(true)), &agreement);
            }
            hold("one-second", source.agree(Standing::is_a_second_off), &[first]);
            hold("smears", source.agree(|s| s.smears), &[first]);
            hold("rolled-over", source.agree(Standing::has_rolled_over), &[first]);
            hold("called-false", source.agree(|s| s.called_false.0 * 2 > s.called_false.1), &[first]);
            hold(
                "followed",
                source.agree(|s| s.beyond.is_some() || !s.jumps.is_empty()) && self.follows(source),
                &[first],
            );
            let (off, all) = (source.off().count(), source.standings.len());
            if all > 1 {
                hold("seen-by-all", off * 3 >= all * 2, &agreement);
            }
        } else if !source.standings.is_empty() {
            hold("offset-apart", false, &[found]);
        }
        if !asymmetry.is_empty() {
            hold("delay-jumped", true, &asymmetry);
            let shares: Vec<f64> = source.turns.iter().filter_map(|(_, turn)| turn.share()).collect();
            if !shares.is_empty() {
                let most =
                    |is: &dyn Fn(f64) -> bool| shares.iter().filter(|share| is(**share)).count() * 2 > shares.len();
                hold("half-of-delay", most(&|share| (BOTH..=HALF.1).contains(&share.abs())), &asymmetry);
                hold("offset-stays", most(&|share| share.abs() < BOTH), &asymmetry);
            }
        }
        if !queued.is_empty() {
            hold("in-episodes", source.queues.iter().any(|(_, queue)| queue.varies), &queued);
            let sided: Vec<bool> = source.queues.iter().filter_map(|(_, queue)| Some(queue.limb?.one_sided)).collect();
            if !sided.is_empty() {
                hold("one-limb", sided.iter().filter(|is| **is).count() * 2 >= sided.len(), &queued);
            }
        }
        if let Some((local, id)) = self.local_reference(views) {
            weighed.hold("local-reference", local, id);
        }
        let ends = || {
            let standings = source.off().flat_map(|(_, standing)| ends_of(standing));
            let turns = source.turns.iter().map(|(view, turn)| (turn.between.1.time, last_of(view)));
            let queues = source.queues.iter().map(|(_, queue)| (queue.ends.0.time, queue.ends.1.time));
            standings.chain(turns).chain(queues)
        };
        let since = ends().map(|(since, _)| since).min();
        let begin = views.iter().filter_map(|view| view.points.first()).map(|point| point.sample.time).min();
        Some(Case {
            weighed,
            place,
            affected: source
                .off()
                .filter(|(view, standing)| follows(view, standing))
                .map(|(v, _)| v.host.clone())
                .collect(),
            since,
            from_the_start: since.zip(begin).is_some_and(|(since, begin)| since <= begin),
            last: ends().map(|(_, last)| last).max(),
        })
    }

    /// Whether those who see a source off follow it all the same.
    fn follows(&self, source: &Source<'_>) -> bool {
        source.off().filter(|(view, standing)| follows(view, standing)).count() * 2 > source.off().count()
    }

    /// Whether a source serves its own undisciplined clock, where the others of the same hosts have real references.
    fn local_reference(&mut self, views: &[&View]) -> Option<(bool, FindingId)> {
        let (mut local, mut real, mut others) = (None, None, 0);
        for view in views {
            let inputs = self.scene.inputs_of(&view.host);
            for spell in self.rules.upstream.spells(&inputs, &view.printed) {
                match reference(&spell.refid) {
                    Reference::LocalClock => local = Some((view, spell)),
                    Reference::Address(_) | Reference::Clock => real = Some((view, spell)),
                    Reference::Unknown => {}
                }
            }
            let other = self.rules.upstream.sources(&inputs).filter(|source| *source != view.printed);
            let is_real = |source: &&str| {
                let named = || self.rules.upstream.spells(&inputs, source).map(|spell| reference(&spell.refid));
                !named().any(|it| it == Reference::LocalClock) && named().any(|it| it != Reference::Unknown)
            };
            others = others.max(other.filter(is_real).count());
        }
        // A network whose servers all stand on their own clocks has made one of them its time.
        let (view, spell, holds) = match (local, real) {
            (Some((view, spell)), _) if others > 0 => (view, spell, true),
            (None, Some((view, spell))) => (view, spell, false),
            _ => return None,
        };
        let what =
            if holds { "its own clock, which nothing disciplines; others have a real one" } else { "a real one" };
        let id = self.findings.add(Finding {
            rule: "agreement",
            subject: view.source.clone(),
            statement: format!("{} names as its reference {:?}: {what}", name(view), spell.refid),
            measures: vec![("refid", Measure::Word(spell.refid.clone()))],
            evidence: Evidence::at(spell.origin),
            recipe: Some(format!(
                "ntpq -pn, or the last columns of rawstats and measurements.log, of {}",
                view.printed
            )),
        });
        Some((holds, id))
    }

    fn tell_standing(&mut self, view: &View, standing: &Standing) -> Option<FindingId> {
        let (mut words, mut measures, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        if let Some((drift, ends)) = &standing.drift {
            let ppm = |rate: f64| rate * 1e6;
            words.push(format!(
                "drifts from them by {:+.3} ppm ({:.3} to {:.3} in each third), {} in {:.1} h",
                ppm(drift.rate),
                ppm(drift.thirds.0).min(ppm(drift.thirds.1)),
                ppm(drift.thirds.0).max(ppm(drift.thirds.1)),
                seconds(drift.by),
                ends.1.time.since_s(ends.0.time) / 3600.0
            ));
            measures.extend([("drift_ppm", Measure::Number(ppm(drift.rate))), ("drift_s", Measure::Number(drift.by))]);
            origins.extend([ends.0.origin, ends.1.origin]);
        }
        if let Some(beyond) = &standing.beyond {
            words.push(format!(
                "is {} from them (median), where distances allow {}, in {} samples in a row from {} to {}",
                seconds(beyond.apart_s),
                seconds(beyond.allowed_s).trim_start_matches('+'),
                beyond.n,
                beyond.ends.0.time,
                beyond.ends.1.time
            ));
            measures.extend([
                ("apart_s", Measure::Number(beyond.apart_s)),
                ("allowed_s", Measure::Number(beyond.allowed_s)),
                ("samples", Measure::Number(beyond.n as f64)),
            ]);
            origins.extend([beyond.ends.0.origin, beyond.ends.1.origin]);
        }
        if let Some(jump) = largest(standing) {
            let delay = match jump.alone {
                Some(true) => "its delay stays",
                Some(false) => "its delay, or that of the others, changes as well",
                None => "its delay is not known",
            };
            words.push(format!("jumps by {} at {}; {delay}", seconds(jump.by_s), jump.between.1.time));
            measures.push(("jump_s", Measure::Number(jump.by_s)));
            origins.extend([jump.between.0.origin, jump.between.1.origin]);
        }
        if standing.called_false.0 > 0 {
            let (called, of) = standing.called_false;
            words.push(format!("is called a falseticker by the daemon in {called} of {of} samples"));
        }
        Some(self.findings.add(Finding {
            rule: "agreement",
            subject: format!("{} at {}", view.source, view.host),
            statement: format!(
                "of the {} sources of {} held against their median, {} {}",
                view.sources,
                view.host,
                name(view),
                words.join("; ")
            ),
            measures,
            evidence: Evidence::of(origins)?,
            recipe: Some(recipe(view)),
        }))
    }

    fn tell_turn(&mut self, view: &View, turn: &Turn) -> Option<FindingId> {
        let (before, after) = turn.between;
        let mut measures = vec![("delay_shift_s", Measure::Number(turn.delay_s))];
        let offset = match (turn.offset_s, turn.share()) {
            (Some((offset_s, _)), Some(share)) => {
                measures.push(("offset_shift_s", Measure::Number(offset_s)));
                measures.push(("share", Measure::Number(share)));
                let which = match share.abs() {
                    share if share < BOTH => "both directions changed alike".into(),
                    share if (HALF.0..=HALF.1).contains(&share) => {
                        format!("one direction changed, {}", direction(offset_s, turn.delay_s))
                    }
                    _ => "the directions changed, and not alike".into(),
                };
                format!("its offset moves by {}, {share:+.2} of that: {which}", seconds(offset_s))
            }
            _ => "what its offset did is hidden by the clock's own movements".into(),
        };
        Some(self.findings.add(Finding {
            rule: "asymmetry",
            subject: format!("{} at {}", view.source, view.host),
            statement: format!(
                "{} sees the delay of {} change by {} at {}; {offset}",
                view.host,
                name(view),
                seconds(turn.delay_s),
                after.time
            ),
            measures,
            evidence: Evidence::of([before.origin, after.origin])?,
            recipe: Some(recipe(view)),
        }))
    }

    fn tell_queueing(&mut self, view: &View, queue: &Queueing) -> Option<FindingId> {
        let (queued, of) = queue.of;
        let limb = match queue.limb {
            Some(limb) => format!(
                "their offsets go along, by {:+.2} of half of it: {}",
                limb.share,
                if limb.one_sided {
                    format!("only the way {} queues", direction(limb.share, 1.0))
                } else {
                    "not one direction alone".into()
                }
            ),
            None => "which direction, no other source tells".into(),
        };
        let measures = vec![
            ("queued", Measure::Number(queued as f64)),
            ("longer_s", Measure::Number(queue.longer_s)),
            ("episodes", Measure::Number(queue.episodes as f64)),
        ];
        Some(self.findings.add(Finding {
            rule: "asymmetry",
            subject: format!("{} at {}", view.source, view.host),
            statement: format!(
                "{} of {of} answers of {} reach {} late, {} longer under way in the median, in {} episodes; {limb}",
                queued,
                name(view),
                view.host,
                seconds(queue.longer_s).trim_start_matches('+'),
                queue.episodes
            ),
            measures:
                measures.into_iter().chain(queue.limb.map(|limb| ("limb", Measure::Number(limb.share)))).collect(),
            evidence: Evidence::of([queue.ends.0.origin, queue.ends.1.origin])?,
            recipe: Some(recipe(view)),
        }))
    }
}

/// Whether a host's clock follows a source that is away from the others.
pub(super) fn follows(view: &View, standing: &Standing) -> bool {
    let near_s = crate::stats::median(view.samples.iter().rev().take(8).map(|sample| sample.offset_s.abs()));
    near_s.is_some_and(|near_s| near_s < FOLLOWS * standing.at_last_s.abs())
}

fn largest(standing: &Standing) -> Option<&OffsetJump> {
    standing.jumps.iter().max_by(|a, b| a.by_s.abs().total_cmp(&b.by_s.abs()))
}

fn ends_of(standing: &Standing) -> impl Iterator<Item = (Time, Time)> {
    let times = |(a, b): (Sample, Sample)| (a.time, b.time);
    let drift = standing.drift.map(|(_, ends)| times(ends));
    let jump = largest(standing).map(|jump| (jump.between.1.time, jump.between.1.time));
    drift.into_iter().chain(standing.beyond.map(|beyond| times(beyond.ends))).chain(jump)
}

fn last_of(view: &View) -> Time {
    view.samples.last().map_or(Time(0), |sample| sample.time)
}

/// `s3 (192.0.2.3)`, or how the host prints it.
pub(super) fn name(view: &View) -> String {
    if view.source == view.printed { view.source.clone() } else { format!("{} ({})", view.source, view.printed) }
}

/// How someone else gets offsets and delays of one source.
pub(super) fn recipe(view: &View) -> String {
    format!(
        "awk '$3 == \"{}\" {{ print $1, $2, $5, $6 }}' peerstats* of {}, or ntpscope rows --table peer --format csv: day, \
         second, offset and delay; less the median of the other sources' offsets at that time",
        view.printed, view.host
    )
}

/// Seconds in the unit that suits them.
pub(super) fn seconds(s: f64) -> String {
    match s.abs() {
        size if size >= 1e5 => format!("{:+.1} d", s / 86_400.0),
        size if size >= 1.0 => format!("{s:+.3} s"),
        size if size >= 1e-4 => format!("{:+.1} ms", s * 1e3),
        _ => format!("{:+.0} µs", s * 1e6),
    }
}
