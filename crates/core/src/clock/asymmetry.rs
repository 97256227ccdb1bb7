//! Rule `asymmetry`: a source's delay held against its offset. What one direction takes longer moves the offset by half
//! of it (RFC 5905 §8, figure 17: the offset is wrong by half the difference of the two directions); what both take
//! longer alike leaves the offset alone. An asymmetry that was always there can't be seen in either, and is not told.

use super::apart::{Other, View};
use super::course::{Jump, jumps, noise, shift};
use crate::rules::series::Sample;
use crate::stats::{median, quantile};

/// Least change of a delay that is told, in seconds and as a share of the delay: public paths change by less all the time.
const LEAST_S: f64 = 2e-3;
/// See [`LEAST_S`].
const LEAST_SHARE: f64 = 0.2;

/// All that follows a change is away from all that was before by this share of it, or it was an episode.
const FOR_GOOD: f64 = 0.5;

/// Seconds between two sources' first samples of one change.
const TOGETHER_S: f64 = 3600.0;

/// An answer that took less than this longer than usual, in seconds, has queued for nothing that a clock would feel.
const LEAST_QUEUE_S: f64 = 5e-3;

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
    /// Their offsets against the other sources, where these tell.
    pub(super) limb: Option<Limb>,
    /// Their offsets against what the clock was before and after: where all sources queue, they tell nothing of each other.
    pub(super) own_limb: Option<Limb>,
    /// Whether they vary as queues do, or have one delay as another way has.
    pub(super) varies: bool,
    /// The first and the last.
    pub(super) ends: (Sample, Sample),
}

/// How offsets go along with delays, where answers queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limb {
    /// The offset's excursion as a share of half the delay's, in the median: 1 where requests queue, -1 where answers do.
    pub(super) share: f64,
    /// Whether nearly all keep to one limb of the wedge.
    pub(super) one_sided: bool,
}

/// Excursions as a share of half the delay's that keep to one limb: the median, and those of nearly all.
const ONE_SIDED: std::ops::RangeInclusive<f64> = 0.6..=1.4;
/// See [`ONE_SIDED`].
const NEARLY_ALL: f64 = 0.8;

impl Limb {
    fn of(shares: &[f64]) -> Option<Limb> {
        let share = median(shares.iter().copied()).filter(|_| shares.len() >= FEWEST_QUEUED)?;
        let along = shares.iter().filter(|one| *one / share > 0.5).count();
        let most = along as f64 >= NEARLY_ALL * shares.len() as f64;
        Some(Limb { share, one_sided: most && ONE_SIDED.contains(&share.abs()) })
    }
}

/// The samples of a view that have a delay, and these delays.
fn delays(view: &View) -> (Vec<Sample>, Vec<f64>) {
    let known = view.samples.iter().filter(|sample| sample.delay_s.is_finite() && sample.delay_s > 0.0);
    known.map(|sample| (*sample, f64::from(sample.delay_s))).unzip()
}

/// Where the delay of a source changes for good: the largest change of each source of one host, and whether all of
/// several sources share it.
pub(super) fn turns<'a>(views: &[&'a View]) -> Vec<(&'a View, Turn, bool)> {
    let largest = |view: &&'a View| {
        let (samples, delays_s) = delays(view);
        let usual_s = quantile(delays_s.iter().copied(), USUAL)?;
        let least_s = LEAST_S.max(LEAST_SHARE * usual_s);
        let level = |range: &[f64]| median(range.iter().copied());
        let stays = |jump: &Jump| {
            let change_s = level(&delays_s[jump.at..])? - level(&delays_s[..jump.at])?;
            Some(change_s / jump.by >= FOR_GOOD)
        };
        let lasting = jumps(&delays_s, least_s).into_iter().filter(|jump| stays(jump) == Some(true));
        let jump = lasting.max_by(|a, b| a.by.abs().total_cmp(&b.by.abs()))?;
        Some((*view, (samples[jump.at - 1], samples[jump.at]), jump.by))
    };
    let turned: Vec<_> = views.iter().filter_map(largest).collect();
    let turn = |(view, between, delay_s): &(&'a View, (Sample, Sample), f64)| {
        let steady: Vec<&View> = views
            .iter()
            .copied()
            .filter(|other| other.printed != view.printed)
            .filter(|other| !turned.iter().any(|(v, at, _)| v.printed == other.printed && together(at.1, between.1)))
            .collect();
        let offset_s = if steady.is_empty() { at_once(view, between.1) } else { against(view, &steady, between.1) };
        (*view, Turn { between: *between, delay_s: *delay_s, offset_s }, steady.is_empty() && views.len() > 1)
    };
    turned.iter().map(turn).collect()
}

/// Whether two sources' samples show one change: each is polled in its own time, and ntpd's filter prefers the old ones of
/// short delay for some polls.
pub(super) fn together(a: Sample, b: Sample) -> bool {
    a.time.since_s(b.time).abs() <= TOGETHER_S
}

/// By how much a source's offset against others of its host changes for good from a sample on, and the noise.
fn against(view: &View, steady: &[&View], from: Sample) -> Option<(f64, f64)> {
    let others: Vec<_> = steady.iter().map(|other| Other::of(&other.samples, 0.0)).collect();
    let apart = view.samples.iter().filter_map(|sample| {
        let middle_s = median(others.iter().filter_map(|other| Some(other.at(sample.time)?.offset_s)))?;
        Some((sample.time, sample.offset_s - middle_s))
    });
    let (times, offsets_s): (Vec<_>, Vec<_>) = apart.unzip();
    let at = times.partition_point(|time| *time < from.time);
    Some((shift(&offsets_s, at)?, noise(&offsets_s)))
}

/// By how much a source's offset changes at once at a sample, where nothing else tells; the clock follows soon.
fn at_once(view: &View, from: Sample) -> Option<(f64, f64)> {
    let offsets_s: Vec<f64> = view.samples.iter().map(|sample| sample.offset_s).collect();
    let at = view.samples.partition_point(|sample| sample.time < from.time);
    let before_s = median(offsets_s.get(at.checked_sub(4)?..at)?.iter().copied())?;
    let after_s = median(offsets_s.get(at..at + 2)?.iter().copied())?;
    Some((after_s - before_s, noise(&offsets_s)))
}

/// Whether answers of a source queue in episodes.
pub(super) fn queueing(view: &View) -> Option<Queueing> {
    let (samples, delays_s) = delays(view);
    let usual_s = quantile(delays_s.iter().copied(), USUAL)?;
    let middle_s = median(delays_s.iter().copied())?;
    let spread_s = 1.4826 * median(delays_s.iter().map(|delay_s| (delay_s - middle_s).abs()))?;
    let least_s = LEAST_QUEUE_S.max(LEAST_SHARE * usual_s).max(QUEUED * spread_s);
    let longer = |at: &usize| delays_s[*at] - usual_s;
    let queued: Vec<usize> = (0..delays_s.len()).filter(|at| longer(at) >= least_s).collect();
    let (first, last) = (*queued.first()?, *queued.last()?);
    if queued.len() < FEWEST_QUEUED || queued.len() as f64 > MOST_QUEUED * delays_s.len() as f64 {
        return None;
    }
    // What stays until the end is no episode.
    let episodes = queued.chunk_by(|a, b| b - a <= APART).filter(|run| {
        let ends = run.last().is_some_and(|at| at + APART < delays_s.len());
        run.len() >= FEWEST_OF_EPISODE && ends
    });
    let episodes = episodes.count();
    let longer_s = median(queued.iter().map(longer))?;
    let judged = view.judged();
    let level_s = median(judged.iter().map(|point| point.apart_s)).unwrap_or(0.0);
    let of_judged = judged.iter().filter_map(|point| {
        let longer_s = f64::from(point.sample.delay_s) - usual_s;
        (longer_s >= least_s).then(|| 2.0 * (point.apart_s - level_s) / longer_s)
    });
    let limb = Limb::of(&of_judged.collect::<Vec<f64>>());
    // Against what the clock was before and after, as far as samples that did not queue tell.
    let quiet: Vec<&Sample> =
        samples.iter().zip(&delays_s).filter(|(_, s)| **s - usual_s < least_s).map(|(s, _)| s).collect();
    let of_own = queued.iter().filter_map(|at| {
        let next = quiet.partition_point(|sample| sample.time < samples[*at].time);
        let near = quiet.get(next.saturating_sub(2)..(next + 2).min(quiet.len()))?;
        let excursion_s = samples[*at].offset_s - median(near.iter().map(|sample| sample.offset_s))?;
        Some(2.0 * excursion_s / longer(at))
    });
    let own_limb = Limb::of(&of_own.collect::<Vec<f64>>());
    let spread = [0.25, 0.75].map(|share| quantile(queued.iter().map(longer), share).unwrap_or(longer_s));
    (episodes > 0).then_some(Queueing {
        of: (queued.len(), delays_s.len()),
        episodes,
        longer_s,
        limb: limb.or(own_limb),
        own_limb,
        varies: spread[1] - spread[0] > VARIES * longer_s,
        ends: (samples[first], samples[last]),
    })
}

/// In the direction in which it takes longer, where the offset tells.
pub(super) fn direction(offset_s: f64, delay_s: f64) -> &'static str {
    // Requests that take longer make the server seem ahead (T2 − T1 grows), answers behind (T3 − T4 falls).
    if (offset_s > 0.0) == (delay_s > 0.0) { "to the source" } else { "from the source" }
}
