//! One time scale for captures whose clocks differ: nothing here trusts a capture's clock.

use super::survey::Survey;
use super::{PointId, Points};
use crate::time::{SECOND, Time};
use std::collections::{BTreeMap, HashMap};

/// Frames this near to the edge of a capture may have been missed by it.
const EDGE: i64 = SECOND / 2;

/// How far each point's clock is from the common scale, and when each point was recording.
#[derive(Clone, Debug, Default)]
pub struct Alignment {
    /// Nanoseconds to add to a point's own stamps, by point number.
    ahead: Vec<i64>,
    /// Points whose clock was never tied to the others': they are taken at their word.
    untied: Points,
    /// When each point was recording, on its own clock. Absent where nothing is known before the end, and for
    /// captures that cut off what tells one request from another.
    spans: Vec<(PointId, Time, Time)>,
}

impl Alignment {
    /// From a survey of each capture.
    ///
    /// Two points are tied by the median difference of the requests that both saw, and points tied through others
    /// follow. The median clock of a tied group is the scale: one host with a wrong clock does not move the rest.
    #[must_use]
    pub fn from_surveys(surveys: &[Survey]) -> Alignment {
        let points = surveys.iter().map(|s| usize::from(s.point.0) + 1).max().unwrap_or(0);
        let mut seen: HashMap<u64, Vec<(PointId, Time)>> = HashMap::new();
        for survey in surveys {
            for (key, time) in &survey.sample {
                seen.entry(*key).or_default().push((survey.point, *time));
            }
        }
        let mut between: BTreeMap<(PointId, PointId), Vec<i64>> = BTreeMap::new();
        for sightings in seen.values() {
            for (a, at_a) in sightings {
                for (b, at_b) in sightings.iter().filter(|(b, _)| a != b) {
                    between.entry((*a, *b)).or_default().push(at_a.0.saturating_sub(at_b.0));
                }
            }
        }
        let ties: BTreeMap<_, _> = between.into_iter().map(|(pair, mut d)| (pair, median(&mut d))).collect();
        let mut ahead = vec![None; points];
        let mut untied = Points::default();
        for survey in surveys {
            if ahead[usize::from(survey.point.0)].is_some() {
                continue;
            }
            // Everything that can be reached from this point, each by what ties it to one already reached.
            let mut group = vec![(survey.point, 0)];
            let mut next = 0;
            while let Some(&(a, ahead_a)) = group.get(next) {
                next += 1;
                for ((_, b), difference) in ties.range((a, PointId(0))..=(a, PointId(u8::MAX))) {
                    if !group.iter().any(|(known, _)| known == b) {
                        group.push((*b, ahead_a + difference));
                    }
                }
            }
            if group.len() == 1 {
                untied.insert(survey.point);
            }
            let scale = median(&mut group.iter().map(|(_, ahead)| *ahead).collect::<Vec<_>>());
            for (point, ahead_point) in group {
                ahead[usize::from(point.0)] = Some(ahead_point - scale);
            }
        }
        let ahead = ahead.into_iter().map(Option::unwrap_or_default).collect();
        let sharp = surveys.iter().filter(|s| !s.blurred);
        let spans = sharp.filter_map(|s| s.span.map(|(first, last)| (s.point, first, last))).collect();
        Alignment { ahead, untied, spans }
    }

    /// A point's own stamp on the common scale.
    #[must_use]
    pub fn common(&self, point: PointId, own: Time) -> Time {
        Time(own.0.saturating_add(self.ahead_ns(point)))
    }

    /// What must be added to a point's own stamps, in nanoseconds.
    #[must_use]
    pub fn ahead_ns(&self, point: PointId) -> i64 {
        self.ahead.get(usize::from(point.0)).copied().unwrap_or(0)
    }

    /// Points whose clock could not be compared with any other's.
    #[must_use]
    pub fn untied(&self) -> Points {
        self.untied
    }

    /// Follows a drifting clock: both points have just seen the same request, and `apart` is the difference on the
    /// common scale. A sixteenth of it is taken, so that queueing does not move the scale.
    pub fn follow(&mut self, point: PointId, apart: i64) {
        if let Some(ahead) = self.ahead.get_mut(usize::from(point.0)) {
            *ahead = ahead.saturating_sub(apart / 16);
        }
    }

    /// The points that were recording from `first` to `last` (common scale), edges excepted.
    ///
    /// Without a survey nothing is known, and nothing is said to be covered.
    #[must_use]
    pub fn recording(&self, first: Time, last: Time) -> Points {
        let within = |(point, from, to): &(PointId, Time, Time)| {
            let (from, to) = (self.common(*point, *from), self.common(*point, *to));
            first.0 >= from.0.saturating_add(EDGE) && last.0 <= to.0.saturating_sub(EDGE)
        };
        self.spans.iter().filter(|span| within(span)).map(|(point, ..)| *point).collect()
    }
}

fn median(values: &mut [i64]) -> i64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(point: u8, stamps: &[(u64, i64)]) -> Survey {
        let mut survey = Survey::new(PointId(point));
        survey.sample = stamps.iter().map(|(key, second)| (*key, Time(second * SECOND))).collect();
        survey
    }

    #[test]
    fn a_wrong_clock_is_brought_to_the_others_even_through_a_third() {
        // Point 1 shares requests with both others and is 37 s ahead; 0 and 2 share none.
        let surveys = [
            survey(0, &[(1, 100), (2, 110)]),
            survey(1, &[(1, 137), (2, 147), (3, 157), (4, 167)]),
            survey(2, &[(3, 120), (4, 130)]),
        ];
        let alignment = Alignment::from_surveys(&surveys);
        assert_eq!([0, 1, 2].map(|p| alignment.ahead_ns(PointId(p)) / SECOND), [0, -37, 0]);
        assert_eq!(alignment.untied(), Points::default());
    }

    #[test]
    fn a_point_without_common_requests_is_taken_at_its_word() {
        let alignment = Alignment::from_surveys(&[survey(0, &[(1, 100)]), survey(1, &[(2, 500)])]);
        assert_eq!(alignment.untied().iter().count(), 2);
        assert_eq!(alignment.ahead_ns(PointId(1)), 0);
    }
}
