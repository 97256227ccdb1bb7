//! A stand-in for the system clock: a constant rate, steps and slews at once.

use super::daemon::Act;
use crate::world;
use ntpscope_core::time::{SECOND, Time};

/// The clock of a host.
pub struct SystemClock {
    start: i64,
    at: i64,
    shown: f64,
    ppm: f64,
    correction_ppm: f64,
}

impl SystemClock {
    /// A clock that starts at a true instant (ns).
    #[must_use]
    pub fn new(host: &world::Host, start: i64, _seed: u64) -> SystemClock {
        SystemClock { start, at: start, shown: host.ahead_s, ppm: host.oscillator.ppm, correction_ppm: 0.0 }
    }

    fn advance(&mut self, now: i64) {
        let passed = (now - self.at) as f64 / 1e9;
        self.shown += passed * (self.ppm + self.correction_ppm) * 1e-6;
        self.at = self.at.max(now);
    }

    /// What the clock shows at a true instant.
    pub fn read(&mut self, now: i64) -> Time {
        self.advance(now);
        Time(now + (self.shown * 1e9) as i64)
    }

    /// Seconds of the monotonic clock since the start.
    pub fn monotonic_s(&mut self, now: i64) -> f64 {
        (now - self.start) as f64 / SECOND as f64
    }

    /// When so many seconds will have passed.
    pub fn when(&mut self, after_s: f64, now: i64) -> i64 {
        now + (after_s * 1e9) as i64
    }

    /// Does what a daemon asks.
    pub fn act(&mut self, act: &Act, now: i64) {
        self.advance(now);
        match act {
            Act::Step(by) | Act::Slew { by_s: by, .. } | Act::Offset { offset_s: by, .. } => self.shown += by,
            Act::Frequency(ppm) => self.correction_ppm = *ppm,
            _ => {}
        }
    }

    /// The kernel's frequency correction in ppm.
    pub fn frequency_ppm(&mut self, _now: i64) -> f64 {
        self.correction_ppm
    }

    /// The next instant of a foreign hand.
    #[must_use]
    pub fn next_foreign(&self) -> Option<i64> {
        None
    }

    /// That hand at work.
    pub fn foreign(&mut self, _now: i64) {}

    /// Faults of the world.
    pub fn disturb(&mut self, what: &world::What, now: i64) {
        self.advance(now);
        match what {
            world::What::Step { by_s, .. } => self.shown += by_s,
            world::What::Rate { by_ppm, .. } => self.ppm += by_ppm,
            _ => {}
        }
    }
}
