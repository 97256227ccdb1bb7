//! `iptables` and `ip6tables`: rules that drop packets or rewrite their ends, as far as they may concern NTP.

mod list;
pub mod rule;
mod save;

use super::Form;

/// What this module reads.
pub const FORMS: &[Form] = &[save::SAVE, list::LIST];

/// The hook that a chain hangs on; empty for chains that are only jumped to.
fn hook(chain: &str) -> &'static str {
    match chain {
        "PREROUTING" => "prerouting",
        "INPUT" => "input",
        "FORWARD" => "forward",
        "OUTPUT" => "output",
        "POSTROUTING" => "postrouting",
        _ => "",
    }
}
