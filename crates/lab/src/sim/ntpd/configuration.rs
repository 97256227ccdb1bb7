//! The `ntp.conf` of a world's daemon.

use crate::sim::ntpd::version::{Family, Version};
use crate::world;
use std::fmt::Write;

/// What it is configured with.
pub fn text(config: &world::Daemon, version: &Version) -> String {
    let mut text = String::from("driftfile /var/lib/ntp/ntp.drift\n");
    for source in &config.asks {
        let address = source.server;
        if source.mode == 5 {
            let _ = write!(text, "disable auth\nmulticastclient {address}\n");
            continue;
        }
        let word = if source.mode == 1 { "peer" } else { "server" };
        let _ = write!(text, "{word} {address}");
        if source.iburst {
            text.push_str(" iburst");
        }
        let _ = write!(text, " minpoll {} maxpoll {}", source.minpoll, source.maxpoll);
        if source.version != 4 {
            let _ = write!(text, " version {}", source.version);
        }
        text.push('\n');
    }
    if let Some(serves) = &config.serves {
        if let Some(stratum) = serves.stratum {
            let _ = write!(text, "server 127.127.1.0 minpoll 4 maxpoll 4\nfudge 127.127.1.0 stratum {}", stratum - 1);
            let _ = writeln!(text, " refid {}", if serves.refid.is_empty() { "LOCL" } else { &serves.refid });
        }
        if let Some(group) = serves.broadcasts_to {
            let _ = writeln!(text, "broadcast {group} minpoll {} ttl 1", serves.broadcast_poll);
        }
        if let Some(limit) = serves.limit {
            let log = limit.average_s.log2().round();
            let _ = writeln!(text, "discard average {log} minimum {}", limit.minimum_s);
        }
        for network in &serves.denies {
            let (address, mask) = mask(network);
            let _ = writeln!(text, "restrict {address} mask {mask} noserve{}", if serves.kod { " kod" } else { "" });
        }
    }
    let limited = config.serves.as_ref().is_some_and(|serves| serves.limit.is_some());
    let kod = config.serves.as_ref().is_some_and(|serves| serves.kod);
    let words = [(true, "nomodify"), (true, "notrap"), (limited, "limited"), (kod, "kod")];
    let words: Vec<&str> = words.into_iter().filter_map(|(set, word)| set.then_some(word)).collect();
    let _ = writeln!(text, "restrict default {}\nrestrict 127.0.0.1", words.join(" "));
    text.push_str("statsdir /var/log/ntpstats/\n");
    let mut kinds = vec!["loopstats", "peerstats", "rawstats", "sysstats"];
    if version.has_protostats() {
        kinds.push("protostats");
    }
    let _ = writeln!(text, "statistics {}", kinds.join(" "));
    for kind in &kinds {
        let enable = if version.family == Family::Sec { "" } else { " enable" };
        let _ = writeln!(text, "filegen {kind} file {kind} type day{enable}");
    }
    text
}

/// `10.1.0.0/16` as address and mask.
fn mask(network: &str) -> (&str, std::net::Ipv4Addr) {
    let (address, length) = network.split_once('/').unwrap_or((network, "32"));
    let length: u32 = length.parse().unwrap_or(32).min(32);
    (address, std::net::Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - length).unwrap_or(0)))
}
