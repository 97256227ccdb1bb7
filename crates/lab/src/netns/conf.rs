//! The configurations of real daemons, from what a world says (ntp.conf(5) of NTPsec, chrony.conf(5), ntpd.conf(5) of OpenNTPD).

use super::fit::WITH_KEY;
use super::program::Kind;
use crate::sim::wiring::network;
use crate::world::{Daemon, Source};
use anyhow::Result;
use std::fmt::Write;

/// The only key there is: its number, and its line in NTPsec's and in chrony's file of keys.
const KEY: &str = "1";
/// See [`KEY`].
pub const KEYS: [(&str, &str); 2] =
    [("/run/ntp.keys", "1 MD5 ntpscope-lab-key\n"), ("/run/chrony.keys", "1 MD5 ASCII:ntpscope-lab-key\n")];
/// chronyd's command socket.
pub const SOCKET: &str = "/run/chrony/chronyd.sock";
/// Where ntpd's statistics go.
pub const STATSDIR: &str = "/var/log/ntpstats";
/// Where chronyd's go.
pub const LOGDIR: &str = "/var/log/chrony";

/// The name of a daemon's configuration among the evidence.
#[must_use]
pub fn file(kind: Kind) -> &'static str {
    match kind {
        Kind::Chrony => "chrony.conf",
        Kind::Ntpsec => "ntp.conf",
        Kind::Openntpd => "ntpd.conf",
    }
}

/// The configuration of a daemon.
///
/// # Errors
/// A network of its access list that can't be.
pub fn text(kind: Kind, daemon: &Daemon) -> Result<String> {
    let mut text = match kind {
        Kind::Chrony => chrony(daemon),
        Kind::Ntpsec => ntpsec(daemon)?,
        Kind::Openntpd => daemon.asks.iter().fold(String::new(), |all, ask| all + &format!("server {}\n", ask.server)),
    };
    daemon.lines.iter().for_each(|line| text = format!("{text}{line}\n"));
    Ok(text)
}

/// What stands behind a source's address.
fn options(source: &Source) -> String {
    let mut text = format!(" minpoll {} maxpoll {}", source.minpoll, source.maxpoll);
    if source.iburst {
        text.push_str(" iburst");
    }
    if source.version != 4 {
        let _ = write!(text, " version {}", source.version);
    }
    if source.length == Some(WITH_KEY) {
        let _ = write!(text, " key {KEY}");
    }
    text
}

fn ntpsec(daemon: &Daemon) -> Result<String> {
    let mut text = String::new();
    for source in &daemon.asks {
        let _ = writeln!(text, "server {}{}", source.server, options(source));
    }
    let serves = daemon.serves.as_ref();
    if let Some(stratum) = serves.and_then(|serves| serves.stratum) {
        let refid = serves.map(|serves| serves.refid.as_str()).filter(|name| name.len() <= 4 && !name.is_empty());
        let refid = refid.map_or_else(String::new, |name| format!(" refid {name}"));
        // What it serves is one stratum below its clock. Without `orphanwait` a local clock counts only after 300 s; its root
        // dispersion starts at 16 s and halves with each of the first eight polls, so these should be short.
        let _ = writeln!(text, "server 127.127.1.0 minpoll 1 maxpoll 1 iburst prefer");
        let _ = writeln!(text, "fudge 127.127.1.0 stratum {}{refid}\ntos orphanwait 1", stratum.saturating_sub(1));
    }
    // It limits and answers no queries by default.
    text.push_str("unrestrict default noquery limited\n");
    for denied in serves.iter().flat_map(|serves| &serves.denies) {
        let (address, length) = network(denied)?;
        let _ = writeln!(text, "restrict {address}/{length} ignore");
    }
    let _ = writeln!(text, "keys {}\ntrustedkey {KEY}", KEYS[0].0);
    if daemon.statistics {
        let _ = writeln!(text, "statsdir {STATSDIR}/");
        let kinds = ["loopstats", "peerstats", "clockstats", "rawstats", "sysstats", "protostats"];
        let _ = writeln!(text, "statistics {}", kinds.join(" "));
        for kind in kinds {
            let _ = writeln!(text, "filegen {kind} file {kind} type day enable");
        }
    }
    Ok(text)
}

fn chrony(daemon: &Daemon) -> String {
    let mut text = String::new();
    for source in &daemon.asks {
        let word = if source.mode == 1 { "peer" } else { "server" };
        let _ = writeln!(text, "{word} {}{}", source.server, options(source));
    }
    if let Some(port) = daemon.port {
        let _ = writeln!(text, "acquisitionport {port}");
    }
    if let Some(serves) = &daemon.serves {
        if let Some(stratum) = serves.stratum {
            let _ = writeln!(text, "local stratum {stratum}");
        }
        text.push_str("allow\n");
        serves.denies.iter().for_each(|network| text.push_str(&format!("deny {network}\n")));
    }
    let _ = write!(text, "keyfile {}\nuser root\npidfile /run/chrony/chronyd.pid\n", KEYS[1].0);
    let _ = writeln!(text, "bindcmdaddress {SOCKET}\ncmdport 0");
    if daemon.statistics {
        let _ = writeln!(text, "logdir {LOGDIR}\nlog measurements statistics tracking rawmeasurements");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    const STORY: &str = include_str!("../../../../stories/2-latent-port-108/world.toml");

    #[test]
    fn sources_and_access_are_told_in_each_daemons_words() {
        let world = STORY.replace("asks = [{", "asks = [{ length = 68, iburst = true,");
        let world = world.replace("drops_ports_below = 123", "denies = [\"10.1.0.0/16\"]");
        let world = World::read(&world).expect("a world");
        let said = |host: &str, kind| {
            let daemon = world.hosts[host].daemon.as_ref().expect("a daemon");
            text(kind, daemon).expect("a configuration")
        };
        assert!(said("c1", Kind::Ntpsec).starts_with("server 10.2.0.2 minpoll 3 maxpoll 3 iburst key 1\n"));
        assert!(said("c2", Kind::Chrony).starts_with("server 10.2.0.2 minpoll 2 maxpoll 2 iburst key 1\n"));
        assert!(said("sv", Kind::Ntpsec).contains("restrict 10.1.0.0/16 ignore\n"));
        assert!(said("sv", Kind::Chrony).contains("local stratum 2\nallow\ndeny 10.1.0.0/16\n"));
        assert_eq!(said("c1", Kind::Openntpd), "server 10.2.0.2\n");
    }
}
