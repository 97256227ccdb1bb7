//! Versions of NTP daemons: what they print, and which known ranges that falls in.

use std::fmt;

/// The programs that version ranges are known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// ntpd of the NTP project.
    Ntpd,
    /// NTPsec's ntpd.
    Ntpsec,
    /// chronyd.
    Chrony,
}

/// A program and its version: `4.2.7p273` is `[4, 2, 7, 273]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Which program.
    pub product: Product,
    numbers: Vec<u32>,
    /// The vendor's release after it, where the text says one.
    release: Option<Release>,
}

/// A vendor's release of a version: `22.el7` is `[22]` of `el7`, `5.el6_7.4` is `[5]` of `el6` (and its update 7.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    numbers: Vec<u32>,
    /// `el7`, `fc21`; empty for Debian and others, which do not name the distribution.
    distribution: String,
}

impl Release {
    /// From what stands after the version's `-`.
    fn read(text: &str) -> Option<Release> {
        let words: Vec<&str> = text.split('.').collect();
        let numbers: Vec<u32> = words.iter().map_while(|word| word.parse().ok()).collect();
        let named = words.get(numbers.len()).copied().unwrap_or_default();
        let letters = named.trim_start_matches(|c: char| c.is_ascii_lowercase());
        let digits = letters.len() - letters.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let distribution = named[..named.len() - letters.len() + digits].to_owned();
        (!numbers.is_empty()).then_some(Release { numbers, distribution })
    }
}

impl Version {
    /// From what a daemon says of itself: `ntpd 4.2.6p5@1.2349-o Tue …`, `ntpd ntpsec-1.2.2`, `chronyd 4.3`; or from
    /// a package's name: `ntp-4.2.6p5-22.el7`, `1:4.2.8p15+dfsg-1`.
    ///
    /// ```
    /// use ntpscope_core::version::Version;
    /// let version = Version::read("ntpd 4.2.6p5@1.2349-o Tue Dec  9 2014 (1)").unwrap();
    /// assert_eq!(version.to_string(), "ntpd 4.2.6p5");
    /// assert!(version.is_within("ntpd", "4.2.5p113", "4.2.7p273"));
    /// assert!(!Version::read("ntpd ntpsec-1.2.2").unwrap().is_within("ntpd", "4.2.5p113", "4.2.7p273"));
    /// ```
    #[must_use]
    pub fn read(text: &str) -> Option<Version> {
        let lower = text.to_ascii_lowercase();
        let product = match () {
            () if lower.contains("ntpsec") => Product::Ntpsec,
            () if lower.contains("chrony") => Product::Chrony,
            () if lower.contains("ntpd") || is_package(&lower) => Product::Ntpd,
            () => return None,
        };
        // An epoch (`1:`) is no part of the version.
        let digits = |word: &str| {
            let own = word.rsplit_once(':').filter(|(epoch, _)| epoch.ends_with(|c: char| c.is_ascii_digit()));
            let word = own.map_or(word, |(_, own)| own);
            word.find(|c: char| c.is_ascii_digit()).map(|at| word[at..].to_owned())
        };
        let number = lower.split_whitespace().filter_map(digits).find(|word| word.contains('.'))?;
        // What follows an @ is the repository's own count: its `-o` (optimised) is no release.
        let (own, release) = number.split_once('-').unwrap_or((&number, ""));
        let release = if own.contains('@') { None } else { Release::read(release) };
        Some(Version { product, numbers: numbers(&number), release })
    }

    /// Whether this is a vendor's release of the same version and distribution as `release`, and not older.
    ///
    /// ```
    /// use ntpscope_core::version::Version;
    /// let version = |text| Version::read(text).unwrap();
    /// assert!(version("ntp-4.2.6p5-29.el7").is_release_from("4.2.6p5-22.el7"));
    /// assert!(!version("ntp-4.2.6p5-29.el7").is_release_from("4.2.6p5-5.el6"));
    /// assert!(!version("ntpd 4.2.6p5@1.2349-o").is_release_from("4.2.6p5-22.el7"));
    /// ```
    #[must_use]
    pub fn is_release_from(&self, release: &str) -> bool {
        let (version, mended) = release.split_once('-').unwrap_or((release, ""));
        match (&self.release, Release::read(mended)) {
            (Some(own), Some(mended)) => {
                numbers(version) == self.numbers
                    && own.distribution == mended.distribution
                    && own.numbers >= mended.numbers
            }
            _ => false,
        }
    }

    /// Whether the text named the vendor's release, which alone tells whether a fix was taken into an older version.
    #[must_use]
    pub fn has_release(&self) -> bool {
        self.release.is_some()
    }

    /// Whether this is `product` from version `from` to version `to`, both included.
    #[must_use]
    pub fn is_within(&self, product: &str, from: &str, to: &str) -> bool {
        self.product.to_string() == product && numbers(from) <= self.numbers && self.numbers <= numbers(to)
    }
}

/// Whether a text is the name of ntp's package, or nothing but a version in ntp's manner (`4.2.8p15`).
fn is_package(lower: &str) -> bool {
    let named = lower.split_whitespace().any(|word| word == "ntp" || word.starts_with("ntp-"));
    let bare = lower.split(['-', '+', '@', ' ']).next().unwrap_or_default();
    let own = bare.rsplit(':').next().unwrap_or_default();
    let patch = own.rsplit_once('p').is_some_and(|(version, patch)| {
        !patch.is_empty()
            && patch.bytes().all(|b| b.is_ascii_digit())
            && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    });
    named || patch
}

/// The numbers of `4.2.6p5@1.2349-o`, up to the `@` of the repository's own count: `[4, 2, 6, 5]`.
fn numbers(text: &str) -> Vec<u32> {
    let own = text.split(['@', '-', '+', '~', ' ']).next().unwrap_or_default();
    let parts = own.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map_while(|part| part.parse().ok()).collect()
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Product::Ntpd => "ntpd",
            Product::Ntpsec => "ntpsec",
            Product::Chrony => "chrony",
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.product)?;
        for (i, number) in self.numbers.iter().enumerate() {
            let before = match (i, self.product) {
                (0, _) => "",
                (3, Product::Ntpd) => "p",
                _ => ".",
            };
            write!(f, "{before}{number}")?;
        }
        if let Some(Release { numbers, distribution }) = &self.release {
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            let dot = if distribution.is_empty() { "" } else { "." };
            write!(f, "-{}{dot}{distribution}", numbers.join("."))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_a_range_are_exact() {
        let within = |text: &str| Version::read(text).expect("a version").is_within("ntpd", "4.2.5p113", "4.2.7p273");
        assert!(!within("ntpd 4.2.5p112"));
        assert!(within("ntpd 4.2.5p113"));
        assert!(within("ntpd 4.2.6"));
        assert!(within("ntpd 4.2.7p273 Sun Nov 22 09:07:28 UTC 2026 (1)"));
        assert!(!within("ntpd 4.2.7p274"));
        assert!(!within("ntpd 4.2.8p6"));
        assert!(!within("ntpd 4.2.4p8@1.1612-o"));
    }

    #[test]
    fn versions_are_told_as_daemons_and_packages_write_them() {
        for (text, told) in [
            ("ntpd 4.2.6p5@1.2349-o Fri Apr 13 12:52:27 UTC 2018 (1)", "ntpd 4.2.6p5"),
            ("ntpd 4.2.8p15@1.3728-o Wed Sep 23 11:46:38 UTC 2020 (1)", "ntpd 4.2.8p15"),
            ("ntpd ntpsec-1.2.2", "ntpsec 1.2.2"),
            ("ntpd ntpsec-1.2.2+17-g1b2c3d4 2024-01-01T00:00:00Z", "ntpsec 1.2.2"),
            ("chronyd (chrony) version 4.3 (+CMDMON +NTP)", "chrony 4.3"),
            ("ntp-4.2.6p5-22.el7", "ntpd 4.2.6p5-22.el7"),
            ("ntp-4.2.6p5-5.el6_7.4.x86_64", "ntpd 4.2.6p5-5.el6"),
            ("4.2.6p5-22.el7", "ntpd 4.2.6p5-22.el7"),
            ("1:4.2.8p15+dfsg-1", "ntpd 4.2.8p15-1"),
        ] {
            assert_eq!(Version::read(text).map(|v| v.to_string()).as_deref(), Some(told), "{text}");
        }
    }

    #[test]
    fn a_vendor_s_release_decides_what_the_version_does_not() {
        let from = |text: &str, release: &str| Version::read(text).expect("a version").is_release_from(release);
        assert!(from("ntp-4.2.6p5-5.el6_7.4", "4.2.6p5-5.el6"));
        assert!(!from("ntp-4.2.6p5-3.el6.centos", "4.2.6p5-5.el6"));
        assert!(from("ntp-4.2.6p5-22.el7", "4.2.6p5-22.el7"));
        assert!(!from("ntp-4.2.6p5-19.el7_0", "4.2.6p5-22.el7"));
        assert!(!from("ntpd 4.2.6p5@1.2349-o", "4.2.6p5-5.el6"));
    }

    #[test]
    fn what_is_no_version_is_none() {
        assert_eq!(Version::read("OpenNTPD"), None);
        assert_eq!(Version::read("ntpd"), None);
        assert_eq!(
            Version::read("chronyd (chrony) version 4.3 starting").map(|v| v.to_string()),
            Some("chrony 4.3".into())
        );
    }
}
