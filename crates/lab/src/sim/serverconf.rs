//! The configuration of a server, as its daemon reads it.

use super::make::Family;
use super::server::Server;
use std::fmt::Write;
use std::net::IpAddr;

impl Server {
    /// Name and text of the configuration of a daemon that only serves.
    #[must_use]
    pub fn configuration(&self) -> (&'static str, String) {
        let said = &self.said;
        match self.make.family {
            Family::Chrony => {
                let mut text = String::from("refclock SHM 0\n");
                if let Some(stratum) = said.stratum.filter(|stratum| *stratum > 1) {
                    text = format!("local stratum {stratum}\n");
                }
                text.push_str("allow\n");
                text.push_str(&self.lines());
                text.push_str("logdir /var/log/chrony\n");
                ("chrony.conf", text)
            }
            Family::Openntpd => ("ntpd.conf", "listen on *\nsensor *\n".into()),
            Family::Classic | Family::Ntpsec => {
                let mut text = match said.stratum {
                    Some(1) => String::from("server 127.127.20.0 mode 0 minpoll 4 maxpoll 4 prefer\n"),
                    Some(stratum) => {
                        format!("server 127.127.1.0 minpoll 4 maxpoll 4\nfudge 127.127.1.0 stratum {}\n", stratum - 1)
                    }
                    None => String::new(),
                };
                text.push_str(&self.lines());
                text.push_str("statsdir /var/log/ntpstats/\nstatistics clockstats sysstats\n");
                for kind in ["clockstats", "sysstats"] {
                    let enable = if self.make.family == Family::Ntpsec { "" } else { " enable" };
                    let _ = writeln!(text, "filegen {kind} file {kind} type day{enable}");
                }
                ("ntp.conf", text)
            }
        }
    }

    /// The lines of its configuration that tell whom it serves.
    #[must_use]
    pub fn lines(&self) -> String {
        let said = &self.said;
        let mut text = String::new();
        if self.make.family == Family::Chrony {
            for network in &said.denies {
                let _ = writeln!(text, "deny {network}");
            }
            if let Some(limit) = said.limit {
                let kod = if said.kod { " kod" } else { "" };
                let _ = writeln!(text, "ratelimit interval {}{kod}", limit.average_s.max(1.0).log2().round());
            }
            return text;
        }
        let kod = if said.kod { " kod" } else { "" };
        let limited = if said.limit.is_some() { " limited" } else { "" };
        let _ = writeln!(text, "restrict default{limited}{kod}");
        if let Some(limit) = said.limit {
            let average = limit.average_s.max(1.0).log2().round();
            let _ = writeln!(text, "discard average {average} minimum {}", limit.minimum_s.ceil());
        }
        for network in &said.denies {
            let flag = if said.kod { "noserve kod" } else { "ignore" };
            let (address, mask) = network.split_once('/').unwrap_or((network, ""));
            let mask = mask_of(address, mask).map(|mask| format!(" mask {mask}")).unwrap_or_default();
            let _ = writeln!(text, "restrict {address}{mask} {flag}");
        }
        if let Some(to) = said.broadcasts_to {
            let _ = writeln!(text, "broadcast {to} minpoll {} ttl 1", said.broadcast_poll);
        }
        text
    }
}

/// The mask of a prefix's length.
fn mask_of(address: &str, length: &str) -> Option<IpAddr> {
    let length: u32 = length.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(_) => Some(IpAddr::V4(u32::MAX.checked_shl(32 - length).unwrap_or(0).into())),
        IpAddr::V6(_) => Some(IpAddr::V6(u128::MAX.checked_shl(128 - length).unwrap_or(0).into())),
    }
}
