//! Which sources are believed, which is selected, and what they say together (chrony.conf(5): `maxdistance`, `maxjitter`,
//! `stratumweight`, `reselectdist`, `combinelimit`).

use crate::sim::chrony::reference::Update;
use crate::sim::chrony::samples::{CLOCK_ERROR, Selection, Tracking};
use crate::sim::chrony::source::{REACH_BITS, State};
use crate::sim::chrony::{Call, Chronyd};

/// `maxdistance`, in seconds.
const MOST_DISTANCE_S: f64 = 3.0;
/// `maxjitter`, in seconds.
const MOST_JITTER_S: f64 = 1.0;
/// `stratumweight`, in seconds.
const STRATUM_S: f64 = 1e-3;
/// `reselectdist`, in seconds.
const RESELECT_S: f64 = 1e-4;
/// A source whose score is higher is selected instead.
const MOST_SCORE: f64 = 10.0;
/// `combinelimit`.
const COMBINE: f64 = 3.0;
/// A source that was too far off is left out of so many combinations.
const PENALTY: u32 = 32;

/// A source that can be selected.
struct Candidate {
    index: usize,
    selection: Selection,
    tracking: Tracking,
    stratum: u8,
    leap: u8,
}

impl Chronyd {
    /// Selects, after a new sample of a source or a loss; updates the reference where that is due.
    pub(super) fn select(&mut self, call: &mut Call<'_>, updated: Option<usize>) {
        let mut candidates = self.candidates(call.now_s);
        if candidates.is_empty() {
            return self.deselect(call, "Can't synchronise: no selectable sources");
        }
        let Some((low_s, high_s)) = majority(&candidates) else {
            for candidate in &candidates {
                self.sources[candidate.index].state = State::Falseticker;
            }
            return self.deselect(call, "Can't synchronise: no majority");
        };
        candidates.retain(|candidate| {
            let Selection { low_s: low, high_s: high, .. } = candidate.selection;
            let agrees = low <= low_s && high >= high_s || low >= low_s && high <= high_s;
            self.sources[candidate.index].state = if agrees { State::Outlier } else { State::Falseticker };
            agrees
        });
        let Some(best) = self.scored(call, &candidates, updated) else { return };
        self.combine(call, &candidates, best);
    }

    fn deselect(&mut self, call: &mut Call<'_>, text: &str) {
        if self.selected.take().is_some() {
            self.log(call, text);
        }
    }

    /// What can be selected; all others get their state.
    fn candidates(&mut self, now_s: f64) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            source.state = State::Unknown;
            let Some(packet) = source.answer.map(|answer| answer.packet) else { continue };
            if packet.leap == 3 {
                source.state = State::Unsynchronised;
            }
            let (Some(selection), Some(tracking)) = (source.samples.selection(now_s), source.samples.tracking()) else {
                continue;
            };
            source.state = match selection {
                _ if source.state == State::Unsynchronised => continue,
                _ if selection.distance_s > MOST_DISTANCE_S => State::Distant,
                _ if selection.deviation_s > MOST_JITTER_S => State::Jittery,
                _ => {
                    candidates.push(Candidate {
                        index,
                        selection,
                        tracking,
                        stratum: packet.stratum,
                        leap: packet.leap,
                    });
                    State::Outlier
                }
            };
        }
        // An unreachable source stays while its samples are no older than those of the reachable ones.
        let reachable = candidates.iter().filter(|candidate| self.sources[candidate.index].reach != 0);
        let oldest_s = reachable.map(|candidate| candidate.selection.first_ago_s).fold(0.0, f64::max);
        candidates.retain(|candidate| {
            let source = &mut self.sources[candidate.index];
            let stale = source.reach == 0 && candidate.selection.first_ago_s > oldest_s;
            if stale {
                source.state = State::Stale;
            }
            !stale
        });
        if self.waits(&candidates) {
            for candidate in candidates.drain(..) {
                self.sources[candidate.index].state = State::Waits;
            }
        }
        candidates
    }

    /// At the start: whether others are one answer short of their first line.
    fn waits(&self, candidates: &[Candidate]) -> bool {
        let reaches = candidates.iter().map(|candidate| &self.sources[candidate.index]);
        let Some(most) = reaches.max_by_key(|source| source.reach) else { return false };
        let unknown = self.sources.iter().filter(|source| source.state == State::Unknown);
        let next = unknown.map(|source| source.reach).max().unwrap_or(0);
        self.selected.is_none() && most.reach_bits < REACH_BITS && next > 0 && most.reach >> 1 == next
    }

    /// Scores the candidates; the best of them, as a place in `candidates`.
    fn scored(&mut self, call: &mut Call<'_>, candidates: &[Candidate], updated: Option<usize>) -> Option<usize> {
        let least = candidates.iter().map(|candidate| candidate.stratum).min()?;
        let distance = |c: &Candidate| c.selection.distance_s + STRATUM_S * f64::from(c.stratum - least);
        let selected = candidates.iter().position(|candidate| Some(candidate.index) == self.selected);
        let of_selected = selected.map(|at| distance(&candidates[at]));
        for (at, candidate) in candidates.iter().enumerate() {
            let source = &mut self.sources[candidate.index];
            let is_new = updated.is_some() && (updated == Some(candidate.index) || updated == self.selected);
            match of_selected {
                Some(_) if selected == Some(at) => source.score = 1.0,
                Some(held) if is_new => {
                    source.score = (source.score * held / (distance(candidate) + RESELECT_S)).max(1.0);
                }
                Some(_) => {}
                None => source.score = 1.0 / distance(candidate),
            }
        }
        let score = |at: &usize| self.sources[candidates[*at].index].score;
        let best = (0..candidates.len()).max_by(|a, b| score(a).total_cmp(&score(b)))?;
        let best = match selected {
            Some(held) if score(&best) <= MOST_SCORE => held,
            _ => best,
        };
        if selected != Some(best) {
            let index = candidates[best].index;
            let text = format!("Selected source {}", self.sources[index].said.server);
            self.log(call, &text);
            self.selected = Some(index);
            for source in &mut self.sources {
                (source.score, source.penalty) = (1.0, 0);
            }
        }
        Some(best)
    }

    /// Combines what agrees with the selected source, and updates the reference when that has a new sample.
    fn combine(&mut self, call: &mut Call<'_>, candidates: &[Candidate], best: usize) {
        let chosen = &candidates[best];
        let is_fresh = self.sources[chosen.index].fresh;
        let limit_s = COMBINE * (RESELECT_S + chosen.selection.distance_s);
        let (mut count, mut phase, mut rate) = (0, [0.0; 3], [0.0; 3]);
        for (at, candidate) in candidates.iter().enumerate() {
            let source = &mut self.sources[candidate.index];
            let tracking = &candidate.tracking;
            let strays = (tracking.frequency - chosen.tracking.frequency).abs()
                > COMBINE * (tracking.skew + chosen.tracking.skew + CLOCK_ERROR);
            if at == best {
                source.state = State::Selected;
            } else if candidate.selection.distance_s > limit_s || strays {
                source.penalty = PENALTY;
                continue;
            } else if source.penalty > 0 {
                source.penalty -= u32::from(is_fresh);
                continue;
            } else {
                source.state = State::Combined;
            }
            count += 1;
            let offset_s = tracking.offset_s + (chosen.tracking.at_s - tracking.at_s) * tracking.frequency;
            let weight = candidate.selection.distance_s.powi(-2);
            add(&mut phase, weight, offset_s, tracking.offset_sd_s, chosen.tracking.offset_s);
            add(&mut rate, tracking.skew.powi(-2), tracking.frequency, tracking.skew, chosen.tracking.frequency);
        }
        if !is_fresh {
            return;
        }
        self.sources[chosen.index].fresh = false;
        let votes =
            |leap: u8| candidates.iter().filter(|candidate| candidate.leap == leap).count() * 2 > candidates.len();
        let Tracking { at_s, root_delay_s, root_dispersion_s, offset_s, .. } = chosen.tracking;
        let shifted_s = (phase[1] / phase[0] - offset_s).abs();
        let update = Update {
            address: self.sources[chosen.index].said.server,
            stratum: chosen.stratum + 1,
            leap: [1, 2].into_iter().find(|leap| votes(*leap)).unwrap_or(0),
            count,
            at_s,
            offset_s: phase[1] / phase[0],
            offset_sd_s: (phase[2] / phase[0]).sqrt(),
            frequency: rate[1] / rate[0],
            skew: (rate[2] / rate[0]).sqrt(),
            root_delay_s,
            root_dispersion_s: root_dispersion_s + shifted_s,
        };
        self.update(call, &update);
    }
}

/// Adds a value to a weighted sum: the weights, the values, and the squares of their deviations and of what they are off.
fn add(sum: &mut [f64; 3], weight: f64, value: f64, deviation: f64, chosen: f64) {
    sum[0] += weight;
    sum[1] += weight * value;
    sum[2] += weight * (deviation.powi(2) + (value - chosen).powi(2));
}

/// The interval that most of the sources hold to be true, if that is more than half of them.
fn majority(candidates: &[Candidate]) -> Option<(f64, f64)> {
    let ends = candidates.iter().flat_map(|c| [(c.selection.low_s, false), (c.selection.high_s, true)]);
    let mut ends: Vec<(f64, bool)> = ends.collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut depth, mut best, mut low_s, mut high_s) = (0, 0, 0.0, 0.0);
    for (at_s, closes) in ends {
        if closes {
            if depth == best {
                high_s = at_s;
            }
            depth -= 1;
        } else {
            depth += 1;
            if depth > best {
                (best, low_s) = (depth, at_s);
            }
        }
    }
    (best * 2 > candidates.len()).then_some((low_s, high_s))
}
