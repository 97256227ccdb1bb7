//! Rule `asymmetry`: a source's delay held against its offset. What one direction takes longer moves the offset by half
//! of it (RFC 5905 §8, figure 17: the offset is wrong by half the difference of the two directions); what both take
//! longer alike leaves the offset alone. An asymmetry that was always there can't be seen in either, and is not told.

use super::apart::View;
use super::course::{jumps, median, noise, quantile, shift};
use crate::rules::series::Sample;

/// Least change of a delay that is told, in seconds and as a share of the delay: public paths change by less all the time.
const LEAST_S: f64 = 2e-3;
/// See [`LEAST_S`].
const LEAST_SHARE: f64 = 0.2;

/// Points from which on a course is looked at.
const FEWEST: usize = 12;

/// An answer has queued that took longer than usual by this many times the usual spread of the delay.
const QUEUED: f64 = 8.0;
/// The usual delay is that which so many answers keep below.
const USUAL: f64 = 0.2;
/// Queued answers, and those of one episode, from which on they are no chance.
const FEWEST_QUEUED: usize = 6;
/// See [`FEWEST_QUEUED`].
const FEWEST_OF_EPISODE: usize = 3;
/// Usual answers between two queued ones that end an episode.
const APART: usize = 4;
/// Share of all answers that queue, at the most: what is more than half of the time is how the path is.
const MOST_QUEUED: f64 = 0.6;
/// Queued answers of one delay have taken a longer way; queues vary by more than this share of themselves.
const VARIES: f64 = 0.25;

/// A change of a source's delay from one level to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The last sample before it, and the first after.
    pub(super) between: (Sample, Sample),
    /// By how much the delay changed, in seconds.
    pub(super) delay_s: f64,
    /// By how much the offset changed at once, where that could be measured, and how sure that is.
    pub(super) offset_s: Option<(f64, f64)>,
}

impl Turn {
    /// The change of the offset as a share of that of the delay: a half where one direction changed, nothing where both
    /// did; `None` where noise hides it.
    pub(super) fn share(&self) -> Option<f64> {
        let (offset_s, sure_s) = self.offset_s?;
        (sure_s <= 0.1 * self.delay_s.abs()).then_some(offset_s / self.delay_s)
    }
}

/// Answers that queued now and then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queueing {
    /// How many, of how many.
    pub(super) of: (usize, usize),
    /// In how many episodes.
    pub(super) episodes: usize,
    /// How much longer than usual they took, in the median, in seconds.
    pub(super) longer_s: f64,
    /// The offset's excursion as a share of half the delay's, in the median: 1 where requests queue, -1 where answers do.
    pub(super) limb: Option<f64>,
    /// Whether they vary as queues do, or have one delay as another way has.
    pub(super) varies: bool,
    /// The first and the last.
    pub(super) ends: (Sample, Sample),
}

impl Queueing {
    /// Whether the excursions keep to one limb of the wedge.
    pub(super) fn is_one_sided(&self) -> Option<bool> {
        self.limb.map(|limb| (0.6..=1.4).contains(&limb.abs()))
    }
}

/// Samples with their delays, and what is known of their offsets: apart from the others, or as they are.
struct Course {
    samples: Vec<Sample>,
    delays_s: Vec<f64>,
    offsets_s: Vec<f64>,
    /// Whether the offsets are held against others, so that the host's own clock does not matter.
    held: bool,
}

fn course(view: &View) -> Course {
    let judged = view.judged();
    let held = judged.len() >= FEWEST;
    let pairs: Vec<(Sample, f64)> = if held {
        judged.iter().map(|point| (point.sample, point.apart_s)).collect()
    } else {
        view.samples.iter().map(|sample| (*sample, sample.offset_s)).collect()
    };
    let known: Vec<_> =
        pairs.into_iter().filter(|(sample, _)| sample.delay_s.is_finite() && sample.delay_s > 0.0).collect();
    Course {
        samples: known.iter().map(|(sample, _)| *sample).collect(),
        delays_s: known.iter().map(|(sample, _)| f64::from(sample.delay_s)).collect(),
        offsets_s: known.iter().map(|(_, offset_s)| *offset_s).collect(),
        held,
    }
}

/// Where the delay of a source changes for good.
pub(super) fn turns(view: &View) -> Vec<Turn> {
    let course = course(view);
    let Some(usual_s) = quantile(course.delays_s.iter().copied(), USUAL) else { return Vec::new() };
    let least_s = LEAST_S.max(LEAST_SHARE * usual_s);
    let turn = |at: usize, delay_s: f64| {
        let offset_s = if course.held {
            shift(&course.offsets_s, at).zip(Some(noise(&course.offsets_s)))
        } else {
            // The clock follows soon: only the next sample tells.
            let near = &course.offsets_s[at.saturating_sub(4)..(at + 2).min(course.offsets_s.len())];
            let before = median(near.iter().copied().take(4));
            before.map(|before| (course.offsets_s[at] - before, noise(&course.offsets_s)))
        };
        Turn { between: (course.samples[at - 1], course.samples[at]), delay_s, offset_s }
    };
    jumps(&course.delays_s, least_s).into_iter().map(|jump| turn(jump.at, jump.by)).collect()
}

/// Whether answers of a source queue in episodes.
pub(super) fn queueing(view: &View) -> Option<Queueing> {
    let course = course(view);
    let usual_s = quantile(course.delays_s.iter().copied(), USUAL)?;
    let middle_s = median(course.delays_s.iter().copied())?;
    let spread_s = 1.4826 * median(course.delays_s.iter().map(|delay_s| (delay_s - middle_s).abs()))?;
    let least_s = LEAST_S.max(LEAST_SHARE * usual_s).max(QUEUED * spread_s);
    let longer = |at: &usize| course.delays_s[*at] - usual_s;
    let queued: Vec<usize> = (0..course.delays_s.len()).filter(|at| longer(at) >= least_s).collect();
    let (first, last) = (*queued.first()?, *queued.last()?);
    if queued.len() < FEWEST_QUEUED || queued.len() as f64 > MOST_QUEUED * course.delays_s.len() as f64 {
        return None;
    }
    // What stays until the end is no episode.
    let episodes = queued.chunk_by(|a, b| b - a <= APART).filter(|run| {
        let ends = run.last().is_some_and(|at| at + APART < course.delays_s.len());
        run.len() >= FEWEST_OF_EPISODE && ends
    });
    let episodes = episodes.count();
    let longer_s = median(queued.iter().map(longer))?;
    let level_s = median(course.offsets_s.iter().copied())?;
    let limb =
        course.held.then(|| median(queued.iter().map(|at| 2.0 * (course.offsets_s[*at] - level_s) / longer(at))));
    let spread = [0.25, 0.75].map(|share| quantile(queued.iter().map(longer), share).unwrap_or(longer_s));
    (episodes > 0).then_some(Queueing {
        of: (queued.len(), course.delays_s.len()),
        episodes,
        longer_s,
        limb: limb.flatten(),
        varies: spread[1] - spread[0] > VARIES * longer_s,
        ends: (course.samples[first], course.samples[last]),
    })
}

/// In the direction in which it takes longer, where the offset tells.
pub(super) fn direction(offset_s: f64, delay_s: f64) -> &'static str {
    // Requests that take longer make the server seem ahead (T2 − T1 grows), answers behind (T3 − T4 falls).
    if (offset_s > 0.0) == (delay_s > 0.0) { "to the source" } else { "from the source" }
}
