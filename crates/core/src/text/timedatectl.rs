//! `timedatectl timesync-status` and `show-timesync`: systemd-timesyncd.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
