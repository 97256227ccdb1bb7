//! What hosts say of their clock and of each source, in numbers: how many rows, and how their offsets lie.

use crate::model::Row;
use crate::quantiles::Quantiles;
use std::collections::BTreeMap;

/// Clocks and sources that are told apart; a fleet has thousands, an attack has millions.
const MOST: usize = 1 << 13;

/// The offsets of many rows, in seconds, reference − local.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offsets {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean_s: f64,
    /// Sum of the squared differences from the mean (Welford 1962).
    squares: f64,
    /// Their quantiles, each within one part in 128.
    pub quantiles_s: Quantiles,
}

impl Offsets {
    fn fold(&mut self, offset_s: f64) {
        self.count += 1;
        let before = offset_s - self.mean_s;
        self.mean_s += before / self.count as f64;
        self.squares += before * (offset_s - self.mean_s);
        self.quantiles_s.fold(offset_s);
    }

    /// Takes another's rows into account (Chan, Golub and LeVeque 1979).
    fn merge(&mut self, other: &Offsets) {
        let (own, others) = (self.count as f64, other.count as f64);
        let apart = other.mean_s - self.mean_s;
        let all = (own + others).max(1.0);
        self.mean_s += apart * others / all;
        self.squares += other.squares + apart * apart * own * others / all;
        self.count += other.count;
        self.quantiles_s.merge(&other.quantiles_s);
    }

    /// The standard deviation of the sample; `None` of less than two.
    #[must_use]
    pub fn deviation_s(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }
}

/// The offsets of each clock and source of each host.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// Host, source and offsets; the clock itself is the source without a name.
    subjects: Vec<(String, String, Offsets)>,
    /// Where a host's source stands in `subjects`.
    numbers: BTreeMap<String, BTreeMap<String, usize>>,
    /// The subject of the last row.
    last: usize,
    /// Rows of sources that were too many to be told apart.
    pub others: u64,
}

impl Digest {
    /// Takes a row of `host` into account, if it has an offset.
    pub fn fold(&mut self, host: &str, row: &Row<'_>) {
        let (source, offset) = match row {
            Row::Clock(clock) => ("", clock.offset_s),
            Row::Peer(peer) => (peer.source, peer.offset_s),
            Row::Packet(_) | Row::Event(_) => return,
        };
        let Some(offset_s) = offset else { return };
        match self.offsets(host, source) {
            Some(offsets) => offsets.fold(offset_s),
            None => self.others += 1,
        }
    }

    fn offsets(&mut self, host: &str, source: &str) -> Option<&mut Offsets> {
        // A daemon asks its sources in turn, so the next row is nearly always of the subject that came next before.
        let next = if self.last + 1 < self.subjects.len() { self.last + 1 } else { 0 };
        let is_next = self.subjects.get(next).is_some_and(|(h, s, _)| s == source && h == host);
        let known = is_next.then_some(next).or_else(|| self.numbers.get(host)?.get(source).copied());
        if known.is_none() && self.subjects.len() == MOST {
            return None;
        }
        self.last = known.unwrap_or_else(|| {
            self.subjects.push((host.to_owned(), source.to_owned(), Offsets::default()));
            let number = self.subjects.len() - 1;
            self.numbers.entry(host.to_owned()).or_default().insert(source.to_owned(), number);
            number
        });
        self.subjects.get_mut(self.last).map(|(.., offsets)| offsets)
    }

    /// Takes all into account that `later` has.
    pub fn merge(&mut self, later: &Digest) {
        self.others += later.others;
        for (host, source, offsets) in later.iter() {
            match self.offsets(host, source) {
                Some(own) => own.merge(offsets),
                None => self.others += offsets.count,
            }
        }
    }

    /// The same, where hosts are called otherwise.
    #[must_use]
    pub fn renamed(&self, called: impl Fn(&str) -> String) -> Digest {
        let mut renamed = Digest { others: self.others, ..Digest::default() };
        for (host, source, offsets) in self.iter() {
            match renamed.offsets(&called(host), source) {
                Some(own) => own.merge(offsets),
                None => renamed.others += offsets.count,
            }
        }
        renamed
    }

    /// Host, source and offsets, in order; the clock itself is the source without a name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Offsets)> {
        let numbers = self.numbers.values().flat_map(BTreeMap::values);
        let subjects = numbers.filter_map(|number| self.subjects.get(*number));
        subjects.map(|(host, source, offsets)| (host.as_str(), source.as_str(), offsets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, InputId, Origin, Peer, Place};

    fn of(offsets: &[f64]) -> Digest {
        let mut digest = Digest::default();
        for (line, offset) in (1..).zip(offsets) {
            let at = At::origin(Origin { input: InputId(0), place: Place::Line(line) });
            digest.fold("h", &Row::Peer(Peer { offset_s: Some(*offset), ..Peer::new(at, "192.0.2.1") }));
        }
        digest
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_sample() {
        let digest = of(&[1.0, 2.0, 3.0, 4.0]);
        let (host, source, offsets) = digest.iter().next().expect("one source");
        assert_eq!((host, source, offsets.count, offsets.mean_s), ("h", "192.0.2.1", 4, 2.5));
        // (1.5² + 0.5² + 0.5² + 1.5²) ÷ 3
        assert!((offsets.deviation_s().expect("of four") - (5.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(of(&[1.0]).iter().next().and_then(|(.., o)| o.deviation_s()), None);
    }

    proptest::proptest! {
        #[test]
        fn merging_parts_gives_the_whole(values in proptest::collection::vec(-1.0..1.0_f64, 1..50), cut in 0_usize..50) {
            let (a, b) = values.split_at(cut.min(values.len()));
            let mut merged = of(a);
            merged.merge(&of(b));
            let whole = of(&values);
            for ((.., got), (.., want)) in merged.iter().zip(whole.iter()) {
                proptest::prop_assert_eq!(got.count, want.count);
                proptest::prop_assert!((got.mean_s - want.mean_s).abs() < 1e-12 && (got.squares - want.squares).abs() < 1e-12);
                proptest::prop_assert_eq!(got.quantiles_s.at(0.5), want.quantiles_s.at(0.5));
            }
            proptest::prop_assert_eq!(merged.iter().count(), 1);
        }
    }
}
