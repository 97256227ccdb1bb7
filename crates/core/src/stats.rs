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

/// Fisher's exact test, two-sided: how probable a table at least as uneven as this is, if rows and columns have
/// nothing to do with each other. Rows are (lost, answered), `a` within a group and `b` outside it.
#[must_use]
pub fn fisher(a: (u64, u64), b: (u64, u64)) -> f64 {
    let (within, lost, all) = (a.0 + a.1, a.0 + b.0, a.0 + a.1 + b.0 + b.1);
    let ways = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let ln_p = |k: u64| ways(within, k) + ways(all - within, lost - k) - ways(all, lost);
    let observed = ln_p(a.0);
    let from = lost.saturating_sub(all - within);
    let to = lost.min(within);
    // The tail beyond a few thousand terms adds nothing that could be seen.
    let span = 20_000;
    let terms = (from.max(a.0.saturating_sub(span))..=to.min(a.0.saturating_add(span))).map(ln_p);
    terms.filter(|p| *p <= observed + 1e-7).map(f64::exp).sum::<f64>().min(1.0)
}

/// ln n!, exact to double precision for small n, by Stirling's series beyond.
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|i| (i as f64).ln()).sum();
    }
    let x = n as f64 + 1.0;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
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
    fn stirling_meets_the_exact_sum() {
        let exact: f64 = (2..=40u64).map(|i| (i as f64).ln()).sum();
        assert!((ln_factorial(40) - exact).abs() < 1e-9);
    }
}
