//! The clock as chronyd corrects it: a frequency, and an offset that is slewed away (or, under `-x`, only remembered).

use crate::sim::daemon::Act;

/// `maxslewrate`, in seconds per second.
const FASTEST: f64 = 0.083_333_333;
/// A slew takes so long at the least and at the most, in seconds.
const SHORTEST_S: f64 = 1.0;
/// See `SHORTEST_S`.
const LONGEST_S: f64 = 1e4;

/// What is done to the clock.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Whether it controls the clock.
    controls: bool,
    /// By how many ppm the clock is fast, as far as that is corrected.
    pub frequency_ppm: f64,
    /// Seconds that were left to go forwards at `at_s`.
    left_s: f64,
    at_s: f64,
    lasts_s: f64,
}

impl Correction {
    /// Nothing done yet.
    pub fn new(controls: bool) -> Correction {
        Correction { controls, frequency_ppm: 0.0, left_s: 0.0, at_s: 0.0, lasts_s: SHORTEST_S }
    }

    /// Seconds that the system clock has yet to go forwards, at a time of the monotonic clock.
    pub fn left_s(&self, now_s: f64) -> f64 {
        let passed = now_s - self.at_s;
        if self.controls {
            return self.left_s * (1.0 - passed / self.lasts_s).max(0.0);
        }
        self.left_s - self.frequency_ppm * 1e-6 * passed
    }

    /// Corrects a frequency and an offset (positive: the clock is fast); the offset the faster the smaller `rate`, which is
    /// the offset times how long it takes.
    pub fn adjust(&mut self, now_s: f64, frequency_ppm: f64, offset_s: f64, rate: f64, acts: &mut Vec<Act>) {
        self.left_s = self.left_s(now_s) - offset_s;
        (self.frequency_ppm, self.at_s) = (frequency_ppm, now_s);
        if !self.controls {
            return;
        }
        let size = self.left_s.abs();
        self.lasts_s =
            if size > 0.0 { (rate / size).clamp(SHORTEST_S, LONGEST_S).max(size / FASTEST) } else { SHORTEST_S };
        acts.push(Act::Frequency(-frequency_ppm));
        acts.push(Act::Slew { by_s: self.left_s, rate_ppm: size / self.lasts_s * 1e6 });
    }

    /// Steps what is left; gives by how much.
    pub fn step(&mut self, now_s: f64, acts: &mut Vec<Act>) -> f64 {
        let by_s = self.left_s(now_s);
        if self.controls {
            (self.left_s, self.at_s) = (0.0, now_s);
            acts.push(Act::Step(by_s));
        }
        by_s
    }

    /// Somebody else has stepped the clock: what was left to do is void.
    pub fn forget(&mut self, now_s: f64, acts: &mut Vec<Act>) {
        (self.left_s, self.at_s) = (0.0, now_s);
        if self.controls {
            acts.push(Act::Slew { by_s: 0.0, rate_ppm: 0.0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_slewed_in_its_time() {
        let mut acts = Vec::new();
        let mut correction = Correction::new(true);
        correction.adjust(0.0, 10.0, 0.002, 0.0, &mut acts);
        assert_eq!(acts, [Act::Frequency(-10.0), Act::Slew { by_s: -0.002, rate_ppm: 2000.0 }]);
        assert_eq!((correction.left_s(0.5), correction.left_s(2.0)), (-0.001, 0.0));
        correction.adjust(10.0, 10.0, -1e-5, 1e-3, &mut acts);
        assert!((correction.left_s(60.0) - 5e-6).abs() < 1e-9);
        correction.adjust(200.0, 10.0, 10.0, 0.0, &mut acts);
        assert!((correction.left_s(260.0) + 5.0).abs() < 1e-6, "at 83333 ppm at the most");
        assert!((correction.step(260.0, &mut acts) + 5.0).abs() < 1e-6 && correction.left_s(260.0) == 0.0);
    }

    #[test]
    fn without_control_it_adds_up() {
        let (mut acts, mut correction) = (Vec::new(), Correction::new(false));
        correction.adjust(0.0, 10.0, 0.002, 0.0, &mut acts);
        assert!(acts.is_empty() && (correction.left_s(100.0) + 0.003).abs() < 1e-9);
    }
}
