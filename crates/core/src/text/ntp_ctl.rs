//! `ntp-ctl status` and the observation socket of ntpd-rs.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
