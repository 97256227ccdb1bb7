//! What an `ntp.conf` says of who is asked, who is listened to, and who is ignored (ntp.conf(5), ntp_acc(5)).

use crate::model::{Daemon, InputId, Origin};
use crate::rules::Summaries;
use crate::rules::daemon::Directive;
use std::net::{IpAddr, Ipv4Addr};

/// Lines that make a client ask, each for one address or name.
const ASKS: &[&str] = &["server", "peer", "pool", "manycastclient"];

/// Lines that make it listen.
const LISTENS: &[&str] = &["multicastclient", "broadcastclient"];

/// The configuration of an ntpd, as far as it concerns sources.
#[derive(Clone, Debug, Default)]
pub struct Ntpd {
    /// Addresses and names that are asked, with their lines.
    pub asked: Vec<(String, Origin)>,
    /// The groups that are listened to; none for broadcasts and for the group that is usual.
    pub groups: Vec<(Option<IpAddr>, Origin)>,
    /// Access lists, the lines that concern all first.
    pub restricted: Vec<Restricted>,
    /// Where it enables statistics.
    pub statistics: Option<Origin>,
    /// Where it is.
    pub origin: Option<Origin>,
    /// Each association gets a line of its own in the access list (`restrict source`, from 4.2.7 on).
    pub restricts_sources: bool,
}

/// A line of an access list.
#[derive(Clone, Debug, PartialEq)]
pub struct Restricted {
    /// The address, and how many bits of it count; 0 for `default`.
    pub to: (IpAddr, u8),
    /// Whether all packets from there are dropped.
    pub ignores: bool,
    /// Where the line is.
    pub origin: Origin,
}

/// Reads the configuration in `inputs`.
#[must_use]
pub fn ntpd(rules: &Summaries, inputs: &[InputId]) -> Ntpd {
    let mut said = Ntpd::default();
    for directive in rules.daemon.directives(inputs).filter(|directive| directive.daemon == Daemon::Ntpd) {
        said.line(directive);
    }
    said
}

impl Ntpd {
    fn line(&mut self, Directive { keyword, rest, origin, .. }: &Directive) {
        let mut words = rest.split_ascii_whitespace().skip_while(|word| matches!(*word, "-4" | "-6"));
        self.origin.get_or_insert(*origin);
        match keyword.as_str() {
            ask if ASKS.contains(&ask) => self.asked.extend(words.next().map(|to| (to.to_owned(), *origin))),
            listen if LISTENS.contains(&listen) => {
                self.groups.push((words.next().and_then(|group| group.parse().ok()), *origin));
            }
            "restrict" if words.clone().next() == Some("source") => self.restricts_sources = true,
            "restrict" => self.restricted.extend(restricted(rest, *origin)),
            // NTPsec takes flags back: what is left does not ignore.
            "unrestrict" => {
                self.restricted.extend(restricted(rest, *origin).map(|line| Restricted { ignores: false, ..line }));
            }
            "statistics" => self.statistics = Some(*origin),
            "filegen" if !words.any(|word| word == "disable") => self.statistics = Some(*origin),
            _ => {}
        }
    }

    /// The group that it listens to, where it listens at all.
    #[must_use]
    pub fn listens_to(&self) -> Option<Option<IpAddr>> {
        self.groups.first().map(|(group, _)| *group)
    }

    /// Whether a line asks this very address.
    #[must_use]
    pub fn asks(&self, address: IpAddr) -> bool {
        self.asked.iter().any(|(to, _)| to.parse() == Ok(address))
    }

    /// Whether it asks anybody, or listens: it is a client.
    #[must_use]
    pub fn is_client(&self) -> bool {
        let is_clock = |to: &str| to.parse().is_ok_and(crate::scene::is_clock);
        !self.groups.is_empty() || self.asked.iter().any(|(to, _)| !is_clock(to))
    }

    /// The line that decides on packets from an address: the narrowest that holds it.
    #[must_use]
    pub fn decides(&self, address: IpAddr) -> Option<&Restricted> {
        self.restricted.iter().filter(|line| line.holds(address)).max_by_key(|line| line.to.1)
    }
}

impl Restricted {
    /// Whether the line is for a single address.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.to.1 == if self.to.0.is_ipv4() { 32 } else { 128 }
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.to, address) {
            ((_, 0), _) => true,
            ((IpAddr::V4(own), bits), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()) >> (32 - bits.min(32)) == 0
            }
            ((IpAddr::V6(own), bits), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()) >> (128 - bits.min(128)) == 0
            }
            _ => false,
        }
    }
}

/// `[-4|-6] ADDRESS[/BITS] [mask MASK] [flags …]`; lines for names, which only the daemon resolves, are passed over.
fn restricted(rest: &str, origin: Origin) -> Option<Restricted> {
    let words: Vec<&str> = rest.split_ascii_whitespace().skip_while(|word| matches!(*word, "-4" | "-6")).collect();
    let (first, flags) = words.split_first()?;
    let ignores = flags.contains(&"ignore");
    if *first == "default" {
        return Some(Restricted { to: (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), ignores, origin });
    }
    let (address, bits) = first.split_once('/').map_or((*first, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let mask = flags.iter().position(|word| *word == "mask").and_then(|at| flags.get(at + 1));
    let bits = match (bits, mask) {
        (Some(bits), _) => bits.parse().ok().filter(|bits| *bits <= whole)?,
        (None, Some(mask)) => match mask.parse().ok()? {
            IpAddr::V4(mask) => mask.to_bits().leading_ones() as u8,
            IpAddr::V6(mask) => mask.to_bits().leading_ones() as u8,
        },
        (None, None) => whole,
    };
    Some(Restricted { to: (address, bits), ignores, origin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    #[test]
    fn the_narrowest_line_decides() {
        let origin = |n| Origin { input: InputId(0), place: Place::Line(n) };
        let lines = [
            "default nomodify notrap",
            "10.4.0.2 ignore",
            "10.5.0.0 mask 255.255.0.0 ignore",
            "-6 2001:db8::/32 ignore",
            "10.5.0.7",
            "ntp.example.net ignore",
        ];
        let restricted = lines.iter().zip(1..).filter_map(|(line, n)| restricted(line, origin(n))).collect();
        let said = Ntpd { restricted, ..Ntpd::default() };
        let ignores = |address: &str| said.decides(address.parse().expect("an address")).map(|line| line.ignores);
        let wanted = [("10.4.0.2", true), ("10.4.0.22", false), ("10.5.1.1", true), ("10.5.0.7", false)];
        for (address, ignored) in wanted.into_iter().chain([("2001:db8::5", true)]) {
            assert_eq!(ignores(address), Some(ignored), "{address}");
        }
    }
}
