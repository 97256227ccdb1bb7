//! Rule `series`: how each clock and each source went, sample by sample, in bounded memory.
//!
//! While there is room every sample is kept. Beyond that, time is divided into bins, and of each series each bin keeps the
//! first and the last sample and those that are extreme (M4: Jugel et al., VLDB 2014), so that no spike is lost. A bin's
//! extremes are those of its halves, and bins only grow where too many are filled, so folding and merging keep the same.

use super::{Material, Summary, keep_first};
use crate::model::{Clock, InputId, Origin, Peer, Row};
use crate::time::{SECOND, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// Filled bins of all series. A host's year of eight sources that are polled each 256 s has a million samples, two to a
/// bin then, and all of them are kept.
const MOST_BINS: usize = 1 << 19;

/// Samples from which on bins are looked at: below this there is room for all.
const ROOM: usize = 1 << 20;

/// Series that are told apart: inputs times sources.
const MOST_SERIES: usize = 1 << 16;

/// Widest bins: 2⁴⁰ s.
const WIDEST: u32 = 40;

/// What was known of a clock or a source at one time; NaN is what the form does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When, on the host's own clock.
    pub time: Time,
    /// Offset in seconds, reference − local.
    pub offset_s: f64,
    /// Where it was read.
    pub origin: Origin,
    /// Correction of the frequency in parts per million, ntpd's sign (of clocks); how much faster the source runs (of
    /// chronyd's statistics of sources).
    pub frequency_ppm: f32,
    /// Round-trip delay in seconds (of sources).
    pub delay_s: f32,
    /// Jitter in seconds.
    pub jitter_s: f32,
    /// Dispersion in seconds (of sources).
    pub dispersion_s: f32,
    /// ntpd's status word of the association (RFC 9327 §3.2); 0 where the form has none.
    pub status: u16,
    /// Poll exponent, log₂ seconds; 0 where the form does not say.
    pub poll: i8,
}

/// All samples of all inputs: those of the clock itself have no source.
#[derive(Clone, Debug, Default)]
pub struct Series {
    of: BTreeMap<InputId, BTreeMap<String, Vec<Sample>>>,
    /// Samples that are held.
    held: usize,
    /// Samples at which bins are looked at again.
    due: usize,
    /// Bins are 2^level seconds wide, as when they were last looked at.
    level: u32,
    /// The same with all that is held; not known where more has come since.
    settled: OnceLock<u32>,
}

impl Summary for Series {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Row(row) = material else { return };
        let Some((source, sample)) = sample(row) else { return };
        let sources = self.of.entry(sample.origin.input).or_default();
        match sources.get_mut(source) {
            Some(samples) => samples.push(sample),
            None => {
                sources.insert(source.to_owned(), vec![sample]);
                self.bound();
            }
        }
        self.held += 1;
        self.settled.take();
        self.thin();
    }

    fn merge(&mut self, later: Self) {
        self.level = self.level.max(later.level);
        self.held += later.held;
        self.settled.take();
        for (input, sources) in later.of {
            let own = self.of.entry(input).or_default();
            for (source, mut samples) in sources {
                own.entry(source).or_default().append(&mut samples);
            }
        }
        self.bound();
        self.thin();
    }
}

fn sample<'a>(row: &Row<'a>) -> Option<(&'a str, Sample)> {
    let narrow = |value: Option<f64>| value.map_or(f32::NAN, |value| value as f32);
    let exponent = |poll_s: Option<f64>| poll_s.filter(|s| *s > 0.0).map_or(0, |s| s.log2().round() as i8);
    match *row {
        Row::Clock(Clock { at, offset_s, frequency_ppm, jitter_s, poll_s, .. }) => Some((
            "",
            Sample {
                time: at.time?,
                offset_s: offset_s?,
                origin: at.origin,
                frequency_ppm: narrow(frequency_ppm),
                delay_s: f32::NAN,
                jitter_s: narrow(jitter_s),
                dispersion_s: f32::NAN,
                status: 0,
                poll: exponent(poll_s),
            },
        )),
        Row::Peer(Peer {
            at,
            source,
            offset_s,
            frequency_ppm,
            delay_s,
            jitter_s,
            dispersion_s,
            status,
            poll_s,
            ..
        }) => Some((
            source,
            Sample {
                time: at.time?,
                offset_s: offset_s?,
                origin: at.origin,
                frequency_ppm: narrow(frequency_ppm),
                delay_s: narrow(delay_s),
                jitter_s: narrow(jitter_s),
                dispersion_s: narrow(dispersion_s),
                status: status.unwrap_or(0),
                poll: exponent(poll_s),
            },
        )),
        Row::Packet(_) | Row::Event(_) => None,
    }
}

impl Series {
    /// The discipline of the clock in `inputs`, in the order of time.
    #[must_use]
    pub fn clock(&self, inputs: &[InputId]) -> Vec<Sample> {
        self.ordered(self.held(inputs, "").copied().collect())
    }

    /// What `inputs` say of each source, in the order of time.
    #[must_use]
    pub fn sources(&self, inputs: &[InputId]) -> BTreeMap<&str, Vec<Sample>> {
        let sources = self.names(inputs).into_iter().filter(|name| !name.is_empty());
        sources.map(|source| (source, self.ordered(self.held(inputs, source).copied().collect()))).collect()
    }

    /// The clock, which has no name, and the sources that `inputs` tell of.
    #[must_use]
    pub fn names(&self, inputs: &[InputId]) -> BTreeSet<&str> {
        inputs.iter().filter_map(|input| self.of.get(input)).flat_map(BTreeMap::keys).map(String::as_str).collect()
    }

    /// All samples of one of them that are held, in the order in which they were read: a picture needs no more, and a copy
    /// would take as much room again.
    pub fn held<'a>(&'a self, inputs: &'a [InputId], source: &'a str) -> impl Iterator<Item = &'a Sample> + use<'a> {
        inputs.iter().filter_map(move |input| self.of.get(input)?.get(source)).flatten()
    }

    /// Whether anything is known of an input.
    #[must_use]
    pub fn has(&self, input: InputId) -> bool {
        self.of.contains_key(&input)
    }

    fn ordered(&self, mut samples: Vec<Sample>) -> Vec<Sample> {
        sort_and_thin(&mut samples, self.settled());
        samples
    }

    /// The narrowest bins of which not too many are filled, wherever the rows were divided.
    fn settled(&self) -> u32 {
        *self.settled.get_or_init(|| {
            let series = || self.of.values().flat_map(BTreeMap::values);
            let fits = |level| series().map(|samples| filled(samples, level)).sum::<usize>() <= MOST_BINS;
            (self.level..WIDEST).find(|level| self.held <= MOST_BINS || fits(*level)).unwrap_or(WIDEST)
        })
    }

    /// How wide the bins are of which only some samples are held, in seconds; `None` where all are.
    #[must_use]
    pub fn bin_s(&self) -> Option<u64> {
        Some(self.settled()).filter(|level| *level > 0).map(|level| 1 << level)
    }

    fn bound(&mut self) {
        let mut series: usize = self.of.values().map(BTreeMap::len).sum();
        while series > MOST_SERIES {
            let Some(mut last) = self.of.last_entry() else { return };
            let own = last.get().len();
            if series - own >= MOST_SERIES {
                last.remove();
            } else {
                keep_first(last.get_mut(), MOST_SERIES - (series - own));
            }
            series = self.of.values().map(BTreeMap::len).sum();
        }
    }

    /// Where there is no more room, widens the bins until few enough are filled, and thins what is held.
    fn thin(&mut self) {
        if self.held < self.due.max(ROOM) {
            return;
        }
        self.level = self.settled();
        for samples in self.of.values_mut().flat_map(BTreeMap::values_mut) {
            sort_and_thin(samples, self.level);
            samples.shrink_to_fit();
        }
        self.held = self.of.values().flat_map(BTreeMap::values).map(Vec::len).sum();
        self.due = self.held + ROOM / 2;
    }
}

/// The bin of a time.
fn bin(time: Time, level: u32) -> i64 {
    time.0.div_euclid(SECOND) >> level
}

/// How many bins some samples fill.
fn filled(samples: &[Sample], level: u32) -> usize {
    let mut bins: Vec<i64> = samples.iter().map(|sample| bin(sample.time, level)).collect();
    bins.sort_unstable();
    bins.dedup();
    bins.len()
}

/// Puts samples in the order of time, and keeps those of each bin that are first, last or extreme.
fn sort_and_thin(samples: &mut Vec<Sample>, level: u32) {
    samples.sort_by_key(|sample| sample.time);
    if level == 0 {
        return;
    }
    let (mut kept, mut from) = (0, 0);
    while from < samples.len() {
        let this = bin(samples[from].time, level);
        let len = samples[from..].iter().take_while(|sample| bin(sample.time, level) == this).count();
        let keep = worth_keeping(&samples[from..from + len]);
        for at in keep {
            samples[kept] = samples[from + at];
            kept += 1;
        }
        from += len;
    }
    samples.truncate(kept);
}

/// What a sample can be extreme in.
const MEASURES: [fn(&Sample) -> f64; 3] =
    [|sample| sample.offset_s, |sample| f64::from(sample.delay_s), |sample| f64::from(sample.frequency_ppm)];

/// The numbers of the samples of one bin that are first, last or extreme, in order; of equals the first.
fn worth_keeping(bin: &[Sample]) -> Vec<usize> {
    let mut keep = vec![0, bin.len() - 1];
    for measure in MEASURES {
        let known = || bin.iter().map(measure).enumerate().filter(|(_, value)| !value.is_nan());
        keep.extend(known().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at));
        keep.extend(known().min_by(|a, b| b.1.total_cmp(&a.1)).map(|(at, _)| at));
    }
    keep.sort_unstable();
    keep.dedup();
    keep
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, Place};
    use proptest::prelude::*;

    fn sampled(second: i64, offset_s: f64) -> Sample {
        let at =
            At { time: Some(Time(second * SECOND)), ..At::origin(Origin { input: InputId(0), place: Place::Line(1) }) };
        let row = Row::Peer(Peer { offset_s: Some(offset_s), ..Peer::new(at, "192.0.2.1") });
        sample(&row).expect("a row with a time and an offset").1
    }

    proptest! {
        #[test]
        fn thinning_the_halves_first_gives_the_same(samples in prop::collection::vec(any::<(u16, i8)>(), 0..60), level in 1_u32..8) {
            let all: Vec<_> = samples.iter().map(|(s, offset)| sampled(i64::from(*s), f64::from(*offset))).collect();
            let [mut once, mut stepwise] = [all.clone(), all];
            sort_and_thin(&mut once, level);
            (1..=level).for_each(|level| sort_and_thin(&mut stepwise, level));
            let told = |samples: &[Sample]| samples.iter().map(|s| (s.time, s.offset_s)).collect::<Vec<_>>();
            prop_assert_eq!(told(&once), told(&stepwise));
        }
    }

    #[test]
    fn beyond_the_bound_no_spike_is_lost_and_the_order_of_merging_does_not_matter() {
        let fold = |seconds: std::ops::Range<i64>| {
            let mut series = Series::default();
            for second in seconds {
                let offset_s = if second == 777_777 { 1.0 } else { (second as f64).sin() / 1e3 };
                let at = At {
                    time: Some(Time(second * SECOND)),
                    ..At::origin(Origin { input: InputId(0), place: Place::Line(1) })
                };
                series.fold(Material::Row(&Row::Peer(Peer { offset_s: Some(offset_s), ..Peer::new(at, "192.0.2.1") })));
            }
            series
        };
        let whole = fold(0..1_500_000);
        let mut merged = fold(0..700_000);
        merged.merge(fold(700_000..1_500_000));
        let of = |series: &Series| {
            let samples = series.sources(&[InputId(0)]).remove("192.0.2.1").expect("one source");
            samples.iter().map(|sample| (sample.time, sample.offset_s)).collect::<Vec<_>>()
        };
        assert!(whole.held < ROOM * 2 && whole.bin_s() == Some(4));
        assert!(of(&whole).iter().any(|(_, offset_s)| *offset_s == 1.0));
        assert!(of(&whole) == of(&merged));
    }
}
