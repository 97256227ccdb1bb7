//! What routers and switches print of NTP.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
