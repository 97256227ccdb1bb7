//! The few statistics that findings need: intervals of shares, exact tests of two shares.

/// Standard normal quantile of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;

/// A share `part / whole` with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// How many.
    pub part: u64,
    /// Of how many.
    pub whole: u64,
}

impl Share {
    /// `part` of `whole`.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Share {
        Share { part, whole }
    }

    /// The share itself; 0 of 0 is 0.
    #[must_use]
    pub fn value(self) -> f64 {
        if self.whole == 0 { 0.0 } else { self.part as f64 / self.whole as f64 }
    }

    /// The Wilson score interval at 95 % (Wilson 1927): sound for few observations and for shares near 0 and 1.
    ///
    /// ```
    /// use ntpscope_core::stats::Share;
    /// let (low, high) = Share::of(27, 27).interval();
    /// assert!((low - 0.8754).abs() < 1e-4 && high == 1.0);
    /// ```
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        if self.whole == 0 {
            return (0.0, 1.0);
        }
        let (n, p, z2) = (self.whole as f64, self.value(), Z_95 * Z_95);
        let middle = p + z2 / (2.0 * n);
        let half = Z_95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        let at = |x: f64| (x / (1.0 + z2 / n)).clamp(0.0, 1.0);
        let low = if self.part == 0 { 0.0 } else { at(middle - half) };
        let high = if self.part == self.whole { 1.0 } else { at(middle + half) };
        (low, high)
    }

    /// `27 of 27 [88 %, 100 %]`.
    #[must_use]
    pub fn words(self) -> String {
        let (low, high) = self.interval();
        format!("{} of {} [{}, {}]", self.part, self.whole, percent(low), percent(high))
    }
}

/// A share in per cent, with one decimal where it is small or nearly whole.
#[must_use]
pub fn percent(share: f64) -> String {
    let p = share * 100.0;
    if p == 0.0 || p == 100.0 || (9.95..=90.05).contains(&p) { format!("{p:.0} %") } else { format!("{p:.1} %") }
}

/// How many polls it takes on average until `run` in a row are lost, where each is lost with probability `loss` whatever
/// became of the others (Feller, An Introduction to Probability Theory, XIII.7).
#[must_use]
pub fn polls_until_run(loss: f64, run: u32) -> f64 {
    if loss >= 1.0 {
        return f64::from(run);
    }
    let all = loss.powi(run as i32);
    (1.0 - all) / ((1.0 - loss) * all)
}

/// The difference of two shares, `a` less `b`, with its 95 % interval (Newcombe 1998, method 10: from the two Wilson
/// intervals).
#[must_use]
pub fn difference(a: Share, b: Share) -> (f64, (f64, f64)) {
    let (apart, (al, ah), (bl, bh)) = (a.value() - b.value(), a.interval(), b.interval());
    let low = ((a.value() - al).powi(2) + (bh - b.value()).powi(2)).sqrt();
    let high = ((ah - a.value()).powi(2) + (b.value() - bl).powi(2)).sqrt();
    (apart, (apart - low, apart + high))
}

/// Fisher's exact test, two-sided: how probable a table at least as uneven as this is, if rows and columns have
/// nothing to do with each other. Rows are (lost, answered), `a` within a group and `b` outside it.
#[must_use]
pub fn fisher(a: (u64, u64), b: (u64, u64)) -> f64 {
    ln_fisher(a, b).exp()
}

/// Its logarithm, which stays apart from others where the probability itself is too small for a number.
#[must_use]
pub fn ln_fisher(a: (u64, u64), b: (u64, u64)) -> f64 {
    let margins = Margins::of(a, b);
    let observed = margins.ln_p(a.0);
    let limit = observed + 1e-7;
    let (from, to) = margins.range();
    // From its mode the distribution falls on both sides: each tail begins where it is as improbable as what was seen.
    let mode = margins.mode();
    let begin = |mut inner: u64, mut outer: u64| {
        while inner.abs_diff(outer) > 1 {
            let middle = inner.midpoint(outer);
            if margins.ln_p(middle) <= limit { outer = middle } else { inner = middle }
        }
        [inner, outer].into_iter().find(|k| margins.ln_p(*k) <= limit)
    };
    let below = begin(mode, from).map(|k| (from..=k).rev());
    // The mode itself, where it is in both tails, counts once.
    let above = begin(mode, to).map(|k| k.max(mode + u64::from(below.is_some() && margins.ln_p(mode) <= limit))..=to);
    let tail = |terms: &mut dyn Iterator<Item = u64>| {
        let mut sum = 0.0;
        for k in terms {
            let term = (margins.ln_p(k) - observed).exp();
            sum += term;
            if term < NEGLIGIBLE * sum {
                break;
            }
        }
        sum
    };
    let sum = tail(&mut below.into_iter().flatten()) + tail(&mut above.into_iter().flatten());
    (observed + sum.ln()).min(0.0)
}

/// Terms that are smaller than this share of what was summed before them add nothing that could be seen.
const NEGLIGIBLE: f64 = 1e-17;

/// What is given of a table of two rows: how many are in the group, how many are lost, how many there are.
#[derive(Clone, Copy)]
struct Margins {
    within: u64,
    lost: u64,
    all: u64,
}

impl Margins {
    fn of(a: (u64, u64), b: (u64, u64)) -> Margins {
        Margins { within: a.0 + a.1, lost: a.0 + b.0, all: a.0 + a.1 + b.0 + b.1 }
    }

    /// The fewest and the most lost that the group can have.
    fn range(self) -> (u64, u64) {
        (self.lost.saturating_sub(self.all - self.within), self.lost.min(self.within))
    }

    /// How many lost the group has most probably.
    fn mode(self) -> u64 {
        let (from, to) = self.range();
        let mode = u128::from(self.lost + 1) * u128::from(self.within + 1) / u128::from(self.all + 2);
        (mode as u64).clamp(from, to)
    }

    /// Logarithm of the probability (hypergeometric) that the group has `k` of the lost.
    fn ln_p(self, k: u64) -> f64 {
        let ways = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
        ways(self.within, k) + ways(self.all - self.within, self.lost - k) - ways(self.all, self.lost)
    }
}

/// Lost and answered, within a group and outside it.
pub type Stratum = ((u64, u64), (u64, u64));

/// Numbers of lost that an exact test of several strata adds up at the most; the strata that could say least are left
/// out beyond, by what is given of them and not by what was seen.
const MOST_SUMS: u64 = 4096;

/// The exact test of several tables at once, one-sided: how probable it is that the groups together have as many of the
/// lost as this, if within each stratum the group and being lost have nothing to do with each other. Strata are
/// (lost, answered) within the group and outside it.
#[must_use]
pub fn stratified(strata: &[Stratum]) -> f64 {
    let mut tables: Vec<(Margins, u64)> = strata.iter().map(|(a, b)| (Margins::of(*a, *b), a.0)).collect();
    tables.retain(|(m, _)| m.range().0 < m.range().1);
    let variance = |m: &Margins| {
        let (within, lost, all) = (m.within as f64, m.lost as f64, m.all as f64);
        within * (all - within) * lost * (all - lost) / (all * all * (all - 1.0))
    };
    tables.sort_by(|(a, _), (b, _)| variance(b).total_cmp(&variance(a)));
    // How probable each number of lost in all groups is, beside the fewest that they can have.
    let (mut sums, mut seen) = (vec![1.0], 0usize);
    for (margins, lost) in tables {
        let (from, to) = margins.range();
        if sums.len() as u64 + (to - from) > MOST_SUMS && sums.len() > 1 {
            continue;
        }
        let terms: Vec<f64> = (from..=to).map(|k| margins.ln_p(k).exp()).collect();
        let mut next = vec![0.0; sums.len() + terms.len() - 1];
        for (i, sum) in sums.iter().enumerate() {
            for (j, term) in terms.iter().enumerate() {
                next[i + j] += sum * term;
            }
        }
        (sums, seen) = (next, seen + (lost - from) as usize);
    }
    sums[seen..].iter().rev().sum::<f64>().min(1.0)
}

/// ln n!, exact to double precision for small n, by Stirling's series beyond.
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|i| (i as f64).ln()).sum();
    }
    let x = n as f64 + 1.0;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

/// A quantile of some values: of an even number the middle of the two beside it; `None` of none, NaN left aside.
///
/// ```
/// use ntpscope_core::stats::quantile;
/// assert_eq!([0.0, 0.5, 1.0].map(|share| quantile([4.0, 1.0, 2.0, 3.0], share)), [Some(1.0), Some(2.5), Some(4.0)]);
/// ```
#[must_use]
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
    let at = share * values.len().checked_sub(1)? as f64;
    let (_, low, above) = values.select_nth_unstable_by(at.floor() as usize, f64::total_cmp);
    let high = if at.fract() > 0.0 { above.iter().copied().min_by(f64::total_cmp)? } else { *low };
    Some(f64::midpoint(*low, high))
}

/// The median of some values; `None` of none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_published_values() {
        let (low, high) = Share::of(3, 8).interval();
        assert!((low - 0.1368).abs() < 1e-4 && (high - 0.6943).abs() < 1e-4, "{low} {high}");
        assert_eq!(Share::of(0, 0).interval(), (0.0, 1.0));
    }

    #[test]
    fn fisher_agrees_with_the_lady_who_tasted_tea() {
        assert!((fisher((3, 1), (1, 3)) - 0.485_714).abs() < 1e-5);
        assert!((fisher((4, 0), (0, 4)) - 0.028_571).abs() < 1e-5);
        assert!(fisher((212, 0), (3, 4015)) < 1e-200);
    }

    #[test]
    fn runs_of_losses_take_their_time() {
        // A fair coin shows three heads in a row after 14 throws.
        assert!((polls_until_run(0.5, 3) - 14.0).abs() < 1e-9);
        assert!((polls_until_run(3.0 / 8.0, 7) - 1533.0).abs() < 1.0);
        assert_eq!(polls_until_run(1.0, 7), 7.0);
        assert!(polls_until_run(0.0, 7).is_infinite());
    }

    #[test]
    fn fisher_sums_both_tails() {
        for (a, b) in [((3, 9), (8, 2)), ((0, 5), (5, 30)), ((7, 7), (7, 7)), ((40, 2), (90, 60)), ((5, 0), (0, 0))] {
            let margins = Margins::of(a, b);
            let terms = (margins.range().0..=margins.range().1).map(|k| margins.ln_p(k));
            let all: f64 = terms.filter(|p| *p <= margins.ln_p(a.0) + 1e-7).map(f64::exp).sum();
            assert!((fisher(a, b) - all.min(1.0)).abs() < 1e-9, "{a:?} {b:?}: {} {all}", fisher(a, b));
        }
    }

    #[test]
    fn newcombe_agrees_with_published_values() {
        let (apart, (low, high)) = difference(Share::of(56, 70), Share::of(48, 80));
        assert!((apart - 0.2).abs() < 1e-9 && (low - 0.0524).abs() < 1e-4 && (high - 0.3339).abs() < 1e-4);
    }

    #[test]
    fn strata_add_up_and_one_of_them_alone_is_the_one_sided_test() {
        assert!((stratified(&[((4, 0), (0, 4))]) - 1.0 / 70.0).abs() < 1e-12);
        assert!((stratified(&[((4, 0), (0, 4)), ((4, 0), (0, 4))]) - 1.0 / 4900.0).abs() < 1e-12);
        // Each client is on one side only: nothing can be said.
        assert!((stratified(&[((9, 0), (0, 0)), ((0, 0), (0, 9))]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn stirling_meets_the_exact_sum() {
        let exact: f64 = (2..=40u64).map(|i| (i as f64).ln()).sum();
        assert!((ln_factorial(40) - exact).abs() < 1e-9);
    }
}
