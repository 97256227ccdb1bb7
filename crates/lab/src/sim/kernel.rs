//! The kernel's clock discipline, as Linux has it (kernel/time/ntp.c): a PLL that takes offsets, a frequency, a slew.

use crate::sim::daemon::Act;

/// `SHIFT_PLL`: the phase is amortised by 2⁻⁽²⁺ᵗᶜ⁾ each second.
const SHIFT_PLL: i32 = 2;
/// `MAXPHASE`, in seconds.
const MAX_PHASE_S: f64 = 0.5;
/// `MAXFREQ`, in ppm.
const MAX_FREQUENCY_PPM: f64 = 500.0;
/// What chronyd can set with the tick added to the frequency.
const MAX_TICK_PPM: f64 = 100_000.0;
/// `MAXTC`.
const MAX_CONSTANT: i8 = 10;
/// `MAXSEC`: from longer intervals the frequency is locked to the frequency too.
const MAX_INTERVAL_S: f64 = 2048.0;

/// The state that `ntp_adjtime` sees.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel {
    frequency_ppm: f64,
    offset_s: f64,
    constant: i8,
    /// Seconds since the last offset was given.
    since_s: f64,
    slew_s: f64,
    slew_ppm: f64,
}

impl Kernel {
    /// The frequency correction, in ppm; positive speeds the clock up.
    #[must_use]
    pub fn frequency_ppm(&self) -> f64 {
        self.frequency_ppm
    }

    /// What is left of the last offset, in seconds.
    #[must_use]
    pub fn offset_s(&self) -> f64 {
        self.offset_s
    }

    /// Takes over a frequency that somebody else has seen there.
    pub fn told(&mut self, frequency_ppm: f64) {
        self.frequency_ppm = frequency_ppm;
    }

    /// Goes on by `dt` seconds; gives by how many seconds that moves the clock.
    pub fn advance(&mut self, dt: f64) -> f64 {
        self.since_s += dt;
        let mut moved = self.frequency_ppm * 1e-6 * dt;
        if self.offset_s != 0.0 {
            // Once a second the kernel takes this share of what is left; between seconds that is near enough to smooth.
            let share = 2_f64.powi(-(SHIFT_PLL + i32::from(self.constant)));
            let left = self.offset_s * (dt * (-share).ln_1p()).exp();
            moved += self.offset_s - left;
            // Below a nanosecond the kernel's numbers end.
            self.offset_s = if left.abs() < 1e-10 { 0.0 } else { left };
        }
        if self.slew_s != 0.0 {
            let part = (self.slew_ppm * 1e-6 * dt).min(self.slew_s.abs()).copysign(self.slew_s);
            moved += part;
            self.slew_s = if (self.slew_s - part).abs() < 1e-12 { 0.0 } else { self.slew_s - part };
        }
        moved
    }

    /// Does what is asked of it; a step forgets the phase, as `do_settimeofday` does.
    pub fn act(&mut self, act: &Act) {
        match *act {
            Act::Offset { offset_s, constant } => self.give(offset_s, constant),
            Act::Frequency(ppm) => self.frequency_ppm = ppm.clamp(-MAX_TICK_PPM, MAX_TICK_PPM),
            Act::Slew { by_s, rate_ppm } => (self.slew_s, self.slew_ppm) = (by_s, rate_ppm.abs()),
            Act::Step(_) => (self.offset_s, self.slew_s) = (0.0, 0.0),
            Act::Send(_) | Act::Wake { .. } | Act::Write { .. } => {}
        }
    }

    /// `ntp_update_offset`.
    fn give(&mut self, offset_s: f64, constant: i8) {
        self.offset_s = offset_s.clamp(-MAX_PHASE_S, MAX_PHASE_S);
        self.constant = constant.clamp(0, MAX_CONSTANT);
        let tau = i32::from(self.constant);
        let longest = 2_f64.powi(SHIFT_PLL + 1 + tau);
        let interval = self.since_s.round();
        let fll = if interval > MAX_INTERVAL_S { self.offset_s / (4.0 * interval) } else { 0.0 };
        let pll = self.offset_s * interval.min(longest) / 2_f64.powi(2 * (SHIFT_PLL + 2 + tau));
        self.since_s = 0.0;
        let limit = MAX_FREQUENCY_PPM.max(self.frequency_ppm.abs());
        self.frequency_ppm = (self.frequency_ppm + 1e6 * (fll + pll)).clamp(-limit, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `b01_healthy/h2/stats/loopstats.20270104`: seconds since the row before, the offset, the poll exponent
    /// before the row's change of it, and by how many ppm the frequency changes.
    #[test]
    fn frequencies_are_those_that_a_kernel_gave() {
        let rows = [(66, -0.011_453_396, 6, -0.721), (274, -0.005_638_555, 6, -1.473), (335, 0.002_096_404, 7, 0.167)];
        let slow =
            [(1057, 0.000_238_041, 10, 0.001), (2148, -0.000_109_571, 10, -0.013), (2093, 0.000_186_411, 10, 0.023)];
        for (interval, offset_s, constant, change_ppm) in rows.into_iter().chain(slow) {
            let mut kernel = Kernel::default();
            kernel.advance(f64::from(interval));
            kernel.act(&Act::Offset { offset_s, constant });
            assert!((kernel.frequency_ppm() - change_ppm).abs() < 0.0016, "{interval}: {}", kernel.frequency_ppm());
        }
    }

    #[test]
    fn an_offset_is_amortised_whole() {
        let mut kernel = Kernel::default();
        kernel.act(&Act::Offset { offset_s: 0.01, constant: 6 });
        let first = kernel.advance(1.0);
        assert!((first - 0.01 / 256.0).abs() < 1e-9);
        let all = first + kernel.advance(10_000.0);
        assert!((all - 0.01).abs() < 1e-9 && kernel.offset_s() == 0.0);
        kernel.act(&Act::Slew { by_s: -0.001, rate_ppm: 500.0 });
        assert!((kernel.advance(1.0) + 0.0005).abs() < 1e-12);
        assert!((kernel.advance(10.0) + 0.0005).abs() < 1e-12);
    }
}
