//! The `chrony.conf` of a world's daemon: its sources, and otherwise Debian's.

use crate::world;
use std::fmt::Write;

/// What it is configured with.
pub fn text(config: &world::Daemon) -> String {
    let mut text = String::new();
    for source in config.asks.iter().filter(|source| source.mode != 5) {
        let word = if source.mode == 1 { "peer" } else { "server" };
        let _ = write!(text, "{word} {}", source.server);
        if source.iburst {
            text.push_str(" iburst");
        }
        let _ = write!(text, " minpoll {} maxpoll {}", source.minpoll, source.maxpoll);
        if source.version != 4 {
            let _ = write!(text, " version {}", source.version);
        }
        text.push('\n');
    }
    if let Some(port) = config.port {
        let _ = writeln!(text, "acquisitionport {port}");
    }
    text.push_str("driftfile /var/lib/chrony/chrony.drift\nlogdir /var/log/chrony\n");
    text.push_str("log measurements statistics tracking\n");
    text.push_str("maxupdateskew 100.0\nrtcsync\nmakestep 1 3\n");
    if config.serves.is_some() {
        text.push_str("allow\n");
    }
    text
}
