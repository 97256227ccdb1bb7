//! What a rule does, and whether NTP packets may meet it. `nft` asks the same.

use crate::model::Action;
use crate::wire::NTP_PORT;

/// What the target of a rule does; `argument` gives what follows an option of it.
pub fn action<'a>(target: &str, ports: impl Fn() -> Option<&'a str>, random: bool) -> Option<Action> {
    match target {
        "MASQUERADE" | "SNAT" => Some(Action::TranslateSource { ports: ports().and_then(range), random }),
        "DNAT" | "REDIRECT" => Some(Action::TranslateDestination),
        "DROP" | "REJECT" => Some(Action::Drop),
        _ => None,
    }
}

/// The ports of `1024-65535`, `123`, `192.0.2.1:123-511` or `[2001:db8::1]:123-511`; `None` for an address alone.
pub fn range(target: &str) -> Option<(u16, u16)> {
    let ports = match target.rsplit_once(':') {
        // An address of version 6 stands in brackets where ports follow.
        Some((address, _)) if address.contains(':') && !address.ends_with(']') => return None,
        Some((_, ports)) => ports,
        None => target,
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Whether NTP packets may be of this protocol.
pub fn may_be_udp(protocol: &str) -> bool {
    matches!(protocol, "udp" | "17" | "all" | "0" | "ip" | "") || protocol.starts_with('!')
}

/// Whether NTP packets may have one of these ports (`123`, `ntp`, `1024:65535`, `53,123`; with `!` not these): 123
/// itself, or a range of those that clients choose from.
pub fn may_be_ntps(ports: &str) -> bool {
    let ports = ports.trim_start_matches('=');
    ports.starts_with('!')
        || ports.split(',').any(|part| {
            let number = |text: &str, empty| if text.is_empty() { Some(empty) } else { port(text) };
            match part.split_once([':', '-']) {
                Some((low, high)) => number(low, 0)
                    .zip(number(high, u16::MAX))
                    .is_none_or(|(low, high)| (low..=high).contains(&NTP_PORT) || (high > 1023 && high - low > 1000)),
                None => port(part).is_some_and(|port| port == NTP_PORT),
            }
        })
}

fn port(text: &str) -> Option<u16> {
    if text == "ntp" { Some(NTP_PORT) } else { text.parse().ok() }
}
