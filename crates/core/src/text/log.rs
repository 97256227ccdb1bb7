//! Logs: what daemons and the kernel said, in syslog, journals and logs of their own.

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[];
