//! NTP packets as `tcpdump` prints them.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
