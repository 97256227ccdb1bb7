//! The logs that chronyd writes to `logdir`, and its dump and drift files.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
