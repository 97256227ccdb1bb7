//! Rule `raw`: offsets and delays from the four timestamps of single exchanges, where a host keeps `rawstats` and nothing
//! that is computed from them.
//!
//! Of each source each bin of time keeps the exchange of the shortest delay, as ntpd's clock filter prefers it: what is
//! kept does not depend on how the rows were divided.

use super::series::Sample;
use super::{Material, Summary, keep_first};
use crate::model::{InputId, Packet, Row};
use crate::time::SECOND;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Width of a bin, in seconds: ntpd's longest usual poll. A year of a source has 31 000.
const BIN_S: i64 = 1024;

/// Bins that are kept, the first: a host's year of eight sources has 250 000.
const MOST_BINS: usize = 1 << 18;

/// Exchanges of the shortest delay, by input, source and bin.
#[derive(Clone, Debug, Default)]
pub struct Raw(BTreeMap<(InputId, IpAddr, i64), Sample>);

impl Summary for Raw {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Row(Row::Packet(packet)) = material else { return };
        let Some((source, sample)) = sample(packet) else { return };
        self.take((packet.at.origin.input, source, sample.time.0.div_euclid(BIN_S * SECOND)), sample);
        keep_first(&mut self.0, MOST_BINS);
    }

    fn merge(&mut self, later: Self) {
        for (key, sample) in later.0 {
            self.take(key, sample);
        }
        keep_first(&mut self.0, MOST_BINS);
    }
}

impl Raw {
    fn take(&mut self, key: (InputId, IpAddr, i64), sample: Sample) {
        let kept = self.0.entry(key).or_insert(sample);
        if sample.delay_s < kept.delay_s {
            *kept = sample;
        }
    }

    /// What `inputs` say of each source, in the order of time.
    #[must_use]
    pub fn sources(&self, inputs: &[InputId]) -> BTreeMap<String, Vec<Sample>> {
        let mut all: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for ((_, source, _), sample) in self.0.iter().filter(|((input, ..), _)| inputs.contains(input)) {
            all.entry(source.to_string()).or_default().push(*sample);
        }
        all.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.time));
        all
    }
}

/// Offset and delay of one answer (RFC 5905 §8); without a mode the form has answers only.
fn sample(packet: &Packet<'_>) -> Option<(IpAddr, Sample)> {
    // NTPsec logs what it dropped as well.
    let refused = packet.leap == Some(3) || packet.failed.is_some_and(|tests| tests != 0);
    if refused || !matches!(packet.mode, None | Some(2 | 4)) {
        return None;
    }
    let stamps = [packet.originate?, packet.receive?, packet.transmit?, packet.arrival?];
    if stamps.contains(&0) {
        return None;
    }
    let seconds = |late: u64, early: u64| late.wrapping_sub(early) as i64 as f64 / (1_u64 << 32) as f64;
    let [t1, t2, t3, t4] = stamps;
    let (there_s, back_s) = (seconds(t2, t1), seconds(t3, t4));
    let sample = Sample {
        time: packet.at.time?,
        offset_s: (there_s + back_s) / 2.0,
        origin: packet.at.origin,
        frequency_ppm: f32::NAN,
        delay_s: (there_s - back_s) as f32,
        jitter_s: f32::NAN,
        dispersion_s: f32::NAN,
        status: 0,
        poll: 0,
    };
    Some((packet.source.0?, sample))
}
