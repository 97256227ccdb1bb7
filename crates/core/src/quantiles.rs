//! Quantiles of any number of values in bounded memory, merged exactly.
//!
//! A value is counted in the bin that its sign, its exponent and the first bits of its fraction name, as in DDSketch
//! (Masson, Rim and Lee 2019) with bins that are cheap to compute: a quantile is wrong by half a bin at the most, which
//! is one part in 128. Counts add up, so that it does not matter how the values were divided.

/// Bits of the fraction that name a bin: 64 bins an octave.
const BITS: u32 = 6;

/// Bins below 2⁻⁴⁰ s (a picosecond), where all clocks agree, are one; so are those from 2⁴⁰ on (35 000 years in seconds).
const LOWEST: u64 = bin_of(1.0 / (1_u64 << 40) as f64);
const HIGHEST: u64 = bin_of((1_u64 << 40) as f64);

/// The bin of a positive number.
const fn bin_of(value: f64) -> u64 {
    value.to_bits() >> (f64::MANTISSA_DIGITS - 1 - BITS)
}

/// Counts of values by bins, for each sign; the two begin at the same bin, the lowest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantiles {
    negative: Bins,
    positive: Bins,
}

/// Counts from bin `first` on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Bins {
    first: usize,
    counts: Vec<u64>,
}

impl Bins {
    fn count(&mut self, bin: usize, n: u64) {
        if self.counts.is_empty() {
            self.first = bin;
        }
        if bin < self.first {
            let more = self.first - bin;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = bin;
        }
        let at = bin - self.first;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += n;
    }

    fn merge(&mut self, other: &Bins) {
        for (bin, n) in (other.first..).zip(&other.counts).filter(|(_, n)| **n > 0) {
            self.count(bin, *n);
        }
    }

    /// The middle of each bin that holds values, with their number, from the lowest on.
    fn iter(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        filled.map(|(at, n)| (middle(self.first + at), *n))
    }
}

fn middle(bin: usize) -> f64 {
    let edge = |bin: u64| f64::from_bits(bin << (f64::MANTISSA_DIGITS - 1 - BITS));
    let bin = bin as u64 + LOWEST;
    if bin == LOWEST { 0.0 } else { f64::midpoint(edge(bin), edge(bin + 1)) }
}

impl Quantiles {
    /// Counts a value; what is no number is not counted.
    pub fn fold(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bin = (bin_of(value.abs()).clamp(LOWEST, HIGHEST) - LOWEST) as usize;
        let bins = if value < 0.0 && bin > 0 { &mut self.negative } else { &mut self.positive };
        bins.count(bin, 1);
    }

    /// Adds all that another has counted.
    pub fn merge(&mut self, other: &Quantiles) {
        self.negative.merge(&other.negative);
        self.positive.merge(&other.positive);
    }

    /// The value below which a share of all lie, by nearest rank; `None` of none.
    #[must_use]
    pub fn at(&self, share: f64) -> Option<f64> {
        let all = self.negative.iter().rev().map(|(value, n)| (-value, n)).chain(self.positive.iter());
        let total: u64 = self.negative.iter().chain(self.positive.iter()).map(|(_, n)| n).sum();
        let rank = (share.clamp(0.0, 1.0) * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        all.into_iter().find_map(|(value, n)| {
            seen += n;
            (seen >= rank).then_some(value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Quantiles {
        let mut quantiles = Quantiles::default();
        values.iter().for_each(|value| quantiles.fold(*value));
        quantiles
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_part_in_128(
            mut values in prop::collection::vec(prop_oneof![-1e3..1e3_f64, -1e-6..1e-6_f64], 1..200),
            share in 0.0..=1.0_f64,
        ) {
            let got = of(&values).at(share).expect("there are values");
            values.sort_by(f64::total_cmp);
            let rank = ((share * values.len() as f64).ceil() as usize).max(1);
            let want = values[rank - 1];
            prop_assert!((got - want).abs() <= want.abs() / 128.0 + 1e-12, "{got} for {want}");
        }

        #[test]
        fn merging_parts_gives_the_whole(values in prop::collection::vec(-1e3..1e3_f64, 0..100), cut in 0_usize..100) {
            let (a, b) = values.split_at(cut.min(values.len()));
            let mut merged = of(a);
            merged.merge(&of(b));
            prop_assert_eq!([0.0, 0.01, 0.5, 0.99, 1.0].map(|q| merged.at(q)), [0.0, 0.01, 0.5, 0.99, 1.0].map(|q| of(&values).at(q)));
        }
    }

    #[test]
    fn of_nothing_there_is_none_and_odd_values_have_a_place() {
        assert_eq!(of(&[]).at(0.5), None);
        assert_eq!(of(&[0.0, -0.0, 1e-300, f64::NAN]).at(1.0), Some(0.0));
        assert!(of(&[f64::MAX]).at(0.5).is_some_and(|value| value > 1e12));
    }
}
