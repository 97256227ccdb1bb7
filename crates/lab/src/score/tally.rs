//! What many verdicts say together: which causes are taken for which, and whether probabilities are what they say.

use super::judge::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Upper ends of the bins of probability.
const BINS: [f64; 7] = [0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 1.0];
/// A probability is taken for at least this, and at most one minus this, when its logarithm is.
const LEAST: f64 = 0.001;
/// A true fault should get as much.
const SURE: f64 = 0.9;

/// Sums over verdicts.
#[derive(Default)]
pub struct Tally {
    /// How often what was true was called what.
    confusion: BTreeMap<String, BTreeMap<String, usize>>,
    bins: [Bin; BINS.len()],
    log_loss: f64,
    named: usize,
    /// Probabilities that true faults got, by cause; none where they were not named.
    given: BTreeMap<String, Vec<Option<f64>>>,
}

#[derive(Clone, Copy, Default)]
struct Bin {
    n: usize,
    is_true: usize,
    sum: f64,
}

impl Tally {
    /// Adds a verdict on evidence of `truth`.
    pub fn add(&mut self, truth: &str, verdict: &Verdict) {
        *self.confusion.entry(truth.into()).or_default().entry(verdict.said.clone()).or_default() += 1;
        for &(probability, is_true) in &verdict.faults {
            let at = BINS.iter().position(|end| probability <= *end).unwrap_or(BINS.len() - 1);
            let bin = &mut self.bins[at];
            *bin = Bin { n: bin.n + 1, is_true: bin.is_true + usize::from(is_true), sum: bin.sum + probability };
            let said = if is_true { probability } else { 1.0 - probability };
            self.log_loss -= said.clamp(LEAST, 1.0 - LEAST).ln();
            self.named += 1;
        }
        for (cause, probability) in &verdict.given {
            self.given.entry(cause.clone()).or_default().push(*probability);
        }
    }

    /// The matrix of confusion, a line for each true cause: what it was called, and how often.
    #[must_use]
    pub fn confusion(&self) -> String {
        let mut text = String::new();
        for (truth, said) in &self.confusion {
            let mut said: Vec<(&String, &usize)> = said.iter().collect();
            said.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
            let said: Vec<String> = said.iter().map(|(name, n)| format!("{name} {n}")).collect();
            let _ = writeln!(text, "  {truth:<26} {}", said.join(", "));
        }
        text
    }

    /// The table of calibration, and what sums it up; `unnamed` are the causes that no rule names.
    #[must_use]
    pub fn calibration(&self, unnamed: &[&str]) -> String {
        let mut text = String::from("  probability      named   mean   true\n");
        let mut from = 0.0;
        for (end, bin) in BINS.iter().zip(&self.bins) {
            let share = |sum: f64| if bin.n == 0 { "-".into() } else { format!("{:.2}", sum / bin.n as f64) };
            let _ = writeln!(
                text,
                "  {from:.2} to {end:.2} {:>9} {:>6} {:>6}",
                bin.n,
                share(bin.sum),
                share(bin.is_true as f64)
            );
            from = *end;
        }
        let loss = self.log_loss / self.named.max(1) as f64;
        let _ = writeln!(text, "  log loss {loss:.3} over {} faults that were named", self.named);
        for (whose, is_meant) in [("with a rule", false), ("all", true)] {
            let meant = self.given.iter().filter(|(cause, _)| is_meant || !unnamed.contains(&cause.as_str()));
            let given: Vec<f64> = meant.flat_map(|(_, all)| all.iter().map(|p| p.unwrap_or(0.0))).collect();
            let sure = given.iter().filter(|p| **p >= SURE).count();
            let share = 100.0 * sure as f64 / given.len().max(1) as f64;
            let _ =
                writeln!(text, "  true faults, {whose}: {sure} of {} got {SURE} or more ({share:.0} %)", given.len());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(said: &str, faults: &[(f64, bool)], given: Option<f64>) -> Verdict {
        let given = vec![("late-replies".to_owned(), given)];
        Verdict { marks: [true; 5], said: said.into(), faults: faults.into(), given }
    }

    #[test]
    fn counts_and_shares_are_told() {
        let mut tally = Tally::default();
        tally.add("late-replies", &verdict("late-replies", &[(0.97, true), (0.01, false)], Some(0.97)));
        tally.add("late-replies", &verdict("nothing", &[], None));
        assert_eq!(
            tally.confusion().split_whitespace().collect::<Vec<_>>().join(" "),
            "late-replies late-replies 1, nothing 1"
        );
        let text = tally.calibration(&[]);
        assert!(text.contains("0.95 to 0.99         1   0.97   1.00"), "{text}");
        assert!(text.contains("0.00 to 0.05         1   0.01   0.00"), "{text}");
        // (-ln 0.97 - ln 0.99) / 2.
        assert!(text.contains("log loss 0.020 over 2"), "{text}");
        assert!(text.contains("true faults, all: 1 of 2 got 0.9 or more (50 %)"), "{text}");
        assert!(tally.calibration(&["late-replies"]).contains("with a rule: 0 of 0"));
    }
}
