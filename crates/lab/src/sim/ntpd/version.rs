//! What changed in ntpd from version to version.

use anyhow::{Context, Result, bail};

/// The versions that behave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Up to 4.2.6p5.
    Old,
    /// 4.2.7 and 4.2.8.
    New,
    /// NTPsec.
    Sec,
}

/// A version of ntpd.
#[derive(Clone, Debug)]
pub struct Version {
    /// What behaves like it.
    pub family: Family,
    /// As it says it: `4.2.8p15`, `1.2.2`.
    pub text: String,
    /// The patch level after `p`, 0 without one.
    pub patch: u32,
}

impl Version {
    /// From `ntpd 4.2.6p5` or `ntpsec 1.2.2`.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn read(is: &str) -> Result<Version> {
        let (name, text) = is.split_once(' ').with_context(|| format!("`{is}` has no version"))?;
        let (numbers, patch) = text.split_once('p').unwrap_or((text, "0"));
        let patch = patch.parse().with_context(|| format!("`{patch}` is no patch level"))?;
        let numbers: Vec<u32> = numbers.split('.').map_while(|n| n.parse().ok()).collect();
        let family = match name {
            "ntpsec" => Family::Sec,
            "ntpd" if numbers >= vec![4, 2, 7] => Family::New,
            "ntpd" => Family::Old,
            _ => bail!("`{name}` is no ntpd"),
        };
        Ok(Version { family, text: text.to_owned(), patch })
    }

    /// Seconds for which an offset beyond the step threshold must last (ntp commit 4868bc8a3: 4.2.7p52).
    #[must_use]
    pub fn stepout_s(&self) -> i64 {
        if self.family == Family::Old { 900 } else { 300 }
    }

    /// Whether `-g` allows only the first offset to be any (CVE-2015-5300: 4.2.8p5), not all until the clock is set.
    #[must_use]
    pub fn ends_allowance_at_once(&self) -> bool {
        self.family == Family::Sec || self.text.starts_with("4.2.8") && self.patch >= 5
    }

    /// Whether the poll interval may change only after a while (bug 3615: 4.2.8p14).
    #[must_use]
    pub fn has_poll_gates(&self) -> bool {
        self.text.starts_with("4.2.8") && self.patch >= 14
    }

    /// Whether `rawstats` has rows of what was sent (4.2.8p11).
    #[must_use]
    pub fn records_what_it_sends(&self) -> bool {
        self.text.starts_with("4.2.8") && self.patch >= 11
    }

    /// Whether it knows the file of events (4.2.5).
    #[must_use]
    pub fn has_protostats(&self) -> bool {
        self.family != Family::Old || self.text.starts_with("4.2.6") || self.text.starts_with("4.2.5")
    }

    /// Decimals of a frequency in ppm.
    #[must_use]
    pub fn frequency_decimals(&self) -> usize {
        if self.family == Family::Sec { 6 } else { 3 }
    }

    /// As `rv` says it.
    #[must_use]
    pub fn banner(&self) -> String {
        match self.family {
            Family::Sec => format!("ntpd ntpsec-{}", self.text),
            Family::Old | Family::New => format!("ntpd {} Sun Nov 22 09:12:39 UTC 2026 (1)", self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let family = |is| Version::read(is).map(|version| (version.family, version.patch)).ok();
        assert_eq!(family("ntpd 4.2.6p5"), Some((Family::Old, 5)));
        assert_eq!(family("ntpd 4.2.4p8"), Some((Family::Old, 8)));
        assert_eq!(family("ntpd 4.2.7p273"), Some((Family::New, 273)));
        assert_eq!(family("ntpd 4.2.8p15"), Some((Family::New, 15)));
        assert_eq!(family("ntpsec 1.2.2"), Some((Family::Sec, 0)));
        assert_eq!(family("chrony 4.3"), None);
    }
}
