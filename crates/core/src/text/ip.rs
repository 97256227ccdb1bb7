//! `ip addr`, `ip route`, `uname`: what a host says of itself.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
