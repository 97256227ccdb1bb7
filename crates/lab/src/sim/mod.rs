//! The simulator: virtual time, pure, the same bytes for the same seed.

pub mod daemon;
