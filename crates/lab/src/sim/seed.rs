//! Random numbers: one seed, and a stream of its own for each thing that draws, so that a new host or link does not
//! change what the others draw.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// The stream called `name` of a seed.
#[must_use]
pub fn stream(seed: u64, name: &str) -> Pcg64 {
    Pcg64::seed_from_u64(number(seed, name))
}

/// A seed of its own for `name` (FNV-1a over the name, from the seed on).
#[must_use]
pub fn number(seed: u64, name: &str) -> u64 {
    let start = seed ^ 0xcbf2_9ce4_8422_2325;
    name.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A draw of the exponential distribution with this mean.
pub fn exponential(mean: f64, rng: &mut Pcg64) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    // `1 − u` is never zero.
    -mean * (1.0 - rng.random::<f64>()).ln()
}
