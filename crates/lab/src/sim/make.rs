//! Which daemon a world means: `ntpd 4.2.6p5`, `ntpsec 1.2.2`, `chrony 4.3`, `openntpd 6.2p3`.

use anyhow::{Result, bail};

/// A daemon's family; what they do as servers differs by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// ntpd of the NTP project.
    Classic,
    /// NTPsec's ntpd.
    Ntpsec,
    /// chronyd.
    Chrony,
    /// OpenBSD's ntpd.
    Openntpd,
}

/// A daemon as a world names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Make {
    /// Its family.
    pub family: Family,
    /// Its version: `4.2.6p5`.
    pub version: String,
}

impl Make {
    /// From the words of a world.
    ///
    /// # Errors
    /// No such daemon.
    pub fn of(text: &str) -> Result<Make> {
        let Some((name, version)) = text.split_once(' ') else { bail!("`{text}` is not a name and a version") };
        let family = match name {
            "ntpd" => Family::Classic,
            "ntpsec" => Family::Ntpsec,
            "chrony" => Family::Chrony,
            "openntpd" => Family::Openntpd,
            _ => bail!("`{name}` is none of ntpd, ntpsec, chrony, openntpd"),
        };
        Ok(Make { family, version: version.into() })
    }

    /// Whether it counts what it is asked only by mode 7, for ntpdc: classic ntpd up to 4.2.6.
    #[must_use]
    pub fn speaks_mode_7(&self) -> bool {
        self.family == Family::Classic
            && ["4.0", "4.1", "4.2.0", "4.2.2", "4.2.4", "4.2.5", "4.2.6"]
                .iter()
                .any(|old| self.version.starts_with(old))
    }

    /// What `rv` says of it.
    #[must_use]
    pub fn variable(&self) -> String {
        match self.family {
            Family::Ntpsec => format!("ntpd ntpsec-{}", self.version),
            _ => format!("ntpd {} Sun Nov 22 09:12:39 UTC 2026 (1)", self.version),
        }
    }
}
