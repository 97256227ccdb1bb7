//! An oscillator's phase at irregular instants, without steps between them: each kind of noise is drawn jointly with its
//! integral (Zucca and Tavella, IEEE UFFC 52 (2005), give these covariances).

use crate::world;
use rand::RngExt;
use rand_distr::{Poisson, StandardNormal};
use rand_pcg::Pcg64;
use std::f64::consts::{LN_2, TAU};

/// Flicker noise is a sum of relaxations whose time constants grow by this factor.
const FACTOR: f64 = 8.0;
/// The shortest of them, in seconds.
const SHORTEST_S: f64 = 0.25;
/// A timer tick, in seconds (`CONFIG_HZ=250`).
const TICK_S: f64 = 0.004;
/// How many: from a quarter of a second to six days.
const STAGES: usize = 8;

/// An oscillator.
#[derive(Clone, Debug)]
pub struct Oscillator {
    /// Constant error and jumps.
    rate: f64,
    white: f64,
    walk: f64,
    /// What the random walk has come to.
    walked: f64,
    /// Standard deviation of each relaxation of the flicker noise, 0 without it.
    flicker: f64,
    relaxing: [f64; STAGES],
    /// Amplitude, angular frequency per second, and phase at 0.
    cycle: (f64, f64, f64),
    lost_ticks_per_s: f64,
    /// Seconds since the start.
    at_s: f64,
    random: Pcg64,
}

impl Oscillator {
    /// As the world states it; the phase of its cycle and its noise follow from `random`.
    #[must_use]
    pub fn new(stated: &world::Oscillator, mut random: Pcg64) -> Oscillator {
        // Relaxations of equal variance s² a factor r apart have the spectrum s² / (f ln r); the floor of the Allan
        // deviation of a spectrum h / f is √(2 ln 2 · h).
        let flicker = stated.flicker * (FACTOR.ln() / (2.0 * LN_2)).sqrt();
        let relaxing = std::array::from_fn(|_| if flicker > 0.0 { flicker * normal(&mut random) } else { 0.0 });
        let omega = TAU / (3600.0 * stated.cycle_h.unwrap_or(24.0));
        let cycle = (stated.cycle_ppm * 1e-6, omega, TAU * random.random::<f64>());
        Oscillator {
            rate: stated.ppm * 1e-6,
            white: stated.white,
            walk: stated.walk,
            walked: 0.0,
            flicker,
            relaxing,
            cycle,
            lost_ticks_per_s: stated.lost_ticks_per_h / 3600.0,
            at_s: 0.0,
            random,
        }
    }

    /// How fast it runs now, as a fraction, without white noise (which has no value at an instant).
    #[must_use]
    pub fn rate(&self) -> f64 {
        let (amplitude, omega, phase) = self.cycle;
        self.rate + self.walked + self.relaxing.iter().sum::<f64>() + amplitude * (omega * self.at_s + phase).sin()
    }

    /// The rate jumps by a fraction.
    pub fn jump(&mut self, by: f64) {
        self.rate += by;
    }

    /// Goes on by `dt` true seconds; gives by how many seconds it has gained on true time.
    pub fn advance(&mut self, dt: f64) -> f64 {
        let mut gained = self.rate * dt;
        let (amplitude, omega, phase) = self.cycle;
        if amplitude != 0.0 {
            let (from, to) = (omega * self.at_s + phase, omega * (self.at_s + dt) + phase);
            // cos a − cos b, without cancellation.
            gained += amplitude / omega * 2.0 * ((from + to) / 2.0).sin() * ((to - from) / 2.0).sin();
        }
        if self.white > 0.0 {
            gained += self.white * dt.sqrt() * normal(&mut self.random);
        }
        if self.walk > 0.0 {
            let (u, v) = (normal(&mut self.random), normal(&mut self.random));
            let sigma = self.walk * dt.sqrt();
            gained += self.walked * dt + sigma * dt * (u / 2.0 + v / 12_f64.sqrt());
            self.walked += sigma * u;
        }
        if self.flicker > 0.0 {
            gained += self.flicker_advance(dt);
        }
        // Poisson's mean must be above 0.
        if let Ok(lost) = Poisson::new(self.lost_ticks_per_s * dt) {
            gained -= TICK_S * self.random.sample(lost);
        }
        self.at_s += dt;
        gained
    }

    fn flicker_advance(&mut self, dt: f64) -> f64 {
        let mut gained = 0.0;
        let mut tau = SHORTEST_S;
        for y in &mut self.relaxing {
            let a = dt / tau;
            let decay = (-a).exp();
            let lost = -(-a).exp_m1();
            // Variances of the rate and of its integral, and their covariance, in units of s², s²τ², s²τ.
            let rate = -(-2.0 * a).exp_m1();
            let integral =
                if a < 1e-2 { a * a * a * (2.0 / 3.0 - a / 2.0) } else { 2.0 * a - 3.0 + 4.0 * decay - decay * decay };
            let both = lost * lost;
            let (u, v) = (normal(&mut self.random), normal(&mut self.random));
            let slope = both / rate.sqrt();
            let rest = (integral - slope * slope).max(0.0).sqrt();
            gained += tau * (*y * lost + self.flicker * (slope * u + rest * v));
            *y = *y * decay + self.flicker * rate.sqrt() * u;
            tau *= FACTOR;
        }
        gained
    }
}

fn normal(random: &mut Pcg64) -> f64 {
    random.sample(StandardNormal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Overlapping Allan deviation of phases that lie `step` apart, over `n` steps (IEEE 1139).
    fn allan(phases: &[f64], step: f64, n: usize) -> f64 {
        let squares: f64 = phases.windows(2 * n + 1).map(|w| (w[2 * n] - 2.0 * w[n] + w[0]).powi(2)).sum();
        let count = (phases.len() - 2 * n) as f64;
        (squares / (2.0 * count)).sqrt() / (step * n as f64)
    }

    fn phases(stated: &world::Oscillator, step: f64, count: usize) -> Vec<f64> {
        let mut oscillator = Oscillator::new(stated, Pcg64::seed_from_u64(7));
        let mut phase = 0.0;
        let mut next = || {
            phase += oscillator.advance(step);
            phase
        };
        std::iter::repeat_with(&mut next).take(count).collect()
    }

    #[test]
    fn the_allan_deviation_is_the_stated_one() {
        let white = world::Oscillator { white: 1e-9, ..Default::default() };
        let flicker = world::Oscillator { flicker: 1e-9, ..Default::default() };
        let walk = world::Oscillator { walk: 1e-9, ..Default::default() };
        for step in [1.0, 16.0] {
            let series = [&white, &flicker, &walk].map(|stated| phases(stated, step, 20_000));
            for n in [1, 8, 64] {
                let tau = step * n as f64;
                let expected = [1e-9 / tau.sqrt(), 1e-9, 1e-9 * (tau / 3.0).sqrt()];
                for (series, expected) in series.iter().zip(expected) {
                    let got = allan(series, step, n);
                    assert!((got / expected - 1.0).abs() < 0.12, "{tau} s: {got:e}, not {expected:e}");
                }
            }
        }
    }

    #[test]
    fn lost_ticks_are_lost() {
        let stated = world::Oscillator { lost_ticks_per_h: 900.0, ..Default::default() };
        let lost_s = -phases(&stated, 60.0, 24 * 60)[1439];
        // 21 600 ticks, give or take 147.
        assert!((lost_s / TICK_S - 21_600.0).abs() < 600.0, "{lost_s}");
    }

    #[test]
    fn phases_do_not_depend_on_how_often_one_looks() {
        let stated = world::Oscillator { ppm: 12.0, cycle_ppm: 3.0, ..Default::default() };
        let hourly = phases(&stated, 3600.0, 24);
        let minutely = phases(&stated, 60.0, 24 * 60);
        assert!((hourly[23] - minutely[1439]).abs() < 1e-12);
        assert!((hourly[23] - 12e-6 * 86_400.0).abs() < 1e-9, "a cycle is over");
    }
}
