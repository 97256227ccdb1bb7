//! What a call brings: the time by both clocks, and where the daemon's acts go.

use crate::sim::daemon::{Act, Now};
use ntpscope_core::time::{SECOND, Time};

/// A host during one call of its daemon.
#[derive(Debug)]
pub struct Host<'a> {
    /// The system clock; a step moves it.
    pub clock: Time,
    /// Seconds since the daemon started.
    pub monotonic_s: f64,
    /// ntpd's `current_time`: whole seconds of its own timer.
    pub seconds: i64,
    acts: &'a mut Vec<Act>,
}

impl<'a> Host<'a> {
    /// For a call at `now`, a second of the daemon's timer.
    pub fn new(now: Now, seconds: i64, acts: &'a mut Vec<Act>) -> Host<'a> {
        Host { clock: now.clock, monotonic_s: now.monotonic_s, seconds, acts }
    }

    /// Does it.
    pub fn act(&mut self, act: Act) {
        if let Act::Step(by_s) = act {
            self.clock.0 += (by_s * SECOND as f64).round() as i64;
        }
        self.acts.push(act);
    }

    /// Appends a line to a statistics file: modified Julian day, second of the day, and what `line` says.
    pub fn statistics(&mut self, file: &'static str, line: &str) {
        let (day, ns) = self.clock.to_mjd();
        let (second, ms) = (ns / SECOND, ns % SECOND / 1_000_000);
        self.acts.push(Act::Write { file, line: format!("{day} {second}.{ms:03} {line}") });
    }

    /// Appends a line to the daemon's log.
    pub fn log(&mut self, line: String) {
        self.acts.push(Act::Write { file: "ntpd.log", line });
    }
}
