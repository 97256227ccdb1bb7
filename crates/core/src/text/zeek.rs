//! Zeek's `ntp.log`.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
