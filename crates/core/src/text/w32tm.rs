//! `w32tm`: the Windows time service.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
