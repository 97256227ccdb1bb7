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
}

impl Version {
    /// From what a daemon says of itself: `ntpd 4.2.6p5@1.2349-o Tue …`, `ntpd ntpsec-1.2.2`, `chronyd 4.3`.
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
            () if lower.contains("ntpd") => Product::Ntpd,
            () => return None,
        };
        let digits = |word: &str| word.find(|c: char| c.is_ascii_digit()).map(|at| word[at..].to_owned());
        let number = lower.split_whitespace().filter_map(digits).find(|word| word.contains('.'))?;
        Some(Version { product, numbers: numbers(&number) })
    }

    /// Whether this is `product` from version `from` to version `to`, both included.
    #[must_use]
    pub fn is_within(&self, product: &str, from: &str, to: &str) -> bool {
        self.product.to_string() == product && numbers(from) <= self.numbers && self.numbers <= numbers(to)
    }
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
    fn what_is_no_version_is_none() {
        assert_eq!(Version::read("OpenNTPD"), None);
        assert_eq!(Version::read("ntpd"), None);
        assert_eq!(
            Version::read("chronyd (chrony) version 4.3 starting").map(|v| v.to_string()),
            Some("chrony 4.3".into())
        );
    }
}
