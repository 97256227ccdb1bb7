//! Rule `upstream`: whom each source says that it follows itself, and how far from the root it is.

use super::{Material, Summary, keep_first};
use crate::model::{InputId, Origin, Packet, Peer, Row};
use crate::quantiles::Quantiles;
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Sources kept; hosts have a handful each.
const MOST_SOURCES: usize = 1 << 14;

/// Changes of its reference that are kept of one source: the first.
const MOST_SPELLS: usize = 256;

/// What inputs say of sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Upstreams(BTreeMap<(InputId, String), Told>);

/// What one input says of one source.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    /// While it followed the same reference, in the order of the rows.
    spells: Vec<Spell>,
    /// More changes came than are kept.
    full: bool,
    /// Half its root delay and its root dispersion, in seconds.
    root_s: Quantiles,
}

/// A time while a source named one reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Spell {
    /// The reference id as printed.
    pub refid: String,
    /// When it was first and last seen; unknown where the form has no times.
    pub span: Option<(Time, Time)>,
    /// The lowest and the highest stratum meanwhile.
    pub stratum: (u8, u8),
    /// Where it was first seen.
    pub origin: Origin,
}

/// What a reference id means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The source follows this address.
    Address(IpAddr),
    /// It serves its own clock, which nothing disciplines.
    LocalClock,
    /// It has a reference clock: GPS, PPS, DCFa.
    Clock,
    /// It is not synchronised, or what it has is unknown.
    Unknown,
}

/// Reference ids that tell a state (RFC 5905 §7.4), and those of ntpd's own making.
const STATES: [&str; 12] =
    ["INIT", "STEP", "XFAC", "RATE", "DENY", "RSTR", "AUTO", "BCST", "MCST", "NONE", "NULL", "XMIS"];

/// What a reference id means, however it is printed: an address, four letters, chronyd's hexadecimal, or the four bytes
/// themselves, as ntpd prints those of a server of stratum 1.
#[must_use]
pub fn reference(refid: &str) -> Reference {
    let text = refid.trim_matches('.');
    let hexadecimal = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8);
    let raw = <[u8; 4]>::try_from(text.as_bytes()).ok().filter(|bytes| bytes.iter().any(u8::is_ascii_control));
    let letters = |bytes: [u8; 4]| bytes.iter().take_while(|byte| **byte != 0).all(u8::is_ascii_alphanumeric);
    let octets =
        hexadecimal.map(u32::to_be_bytes).or(raw).or(text.parse().ok().map(|address: Ipv4Addr| address.octets()));
    match octets {
        Some([0, ..]) => Reference::Unknown,
        // Beyond stratum 1 ntpd prints every reference as an address, its local clock's letters too.
        Some([127, 127, 1, _] | [b'L', b'O', b'C', b'L']) => Reference::LocalClock,
        Some([127, ..]) => Reference::Clock,
        Some(bytes) if hexadecimal.is_some() && letters(bytes) => Reference::Clock,
        Some(octets) => Reference::Address(octets.into()),
        None if text == "LOCL" || text.starts_with("LOCAL(") => Reference::LocalClock,
        None if STATES.contains(&text) => Reference::Unknown,
        None => match text.parse() {
            Ok(address) => Reference::Address(address),
            Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric()) => Reference::Clock,
            Err(_) => Reference::Unknown,
        },
    }
}

impl Summary for Upstreams {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Row(row) = material else { return };
        let (source, at, refid, stratum, root) = match *row {
            Row::Peer(Peer { at, source, refid, stratum, root_delay_s, root_dispersion_s, .. }) => {
                (source.to_owned(), at, refid, stratum, root_delay_s.zip(root_dispersion_s))
            }
            Row::Packet(Packet {
                at,
                source: (Some(source), _),
                mode: Some(4 | 5),
                refid,
                stratum,
                root_delay_s,
                root_dispersion_s,
                ..
            }) => (source.to_string(), at, refid, stratum, root_delay_s.zip(root_dispersion_s)),
            _ => return,
        };
        if refid.is_empty() {
            return;
        }
        let told = self.0.entry((at.origin.input, source)).or_default();
        if let Some((delay_s, dispersion_s)) = root {
            told.root_s.fold(delay_s / 2.0 + dispersion_s);
        }
        let stratum = stratum.map_or((u8::MAX, 0), |stratum| (stratum, stratum));
        let span = at.time.map(|time| (time, time));
        told.take(Spell { refid: refid.to_owned(), span, stratum, origin: at.origin });
        keep_first(&mut self.0, MOST_SOURCES);
    }

    fn merge(&mut self, later: Self) {
        for (key, other) in later.0 {
            let told = self.0.entry(key).or_default();
            for spell in other.spells {
                told.take(spell);
            }
            told.full |= other.full;
            told.root_s.merge(&other.root_s);
        }
        keep_first(&mut self.0, MOST_SOURCES);
    }
}

impl Told {
    fn take(&mut self, spell: Spell) {
        if self.full {
            return;
        }
        let no_room = self.spells.len() == MOST_SPELLS;
        match self.spells.last_mut() {
            Some(last) if last.refid == spell.refid => {
                last.span = match (last.span, spell.span) {
                    (Some((from, to)), Some((start, end))) => Some((from.min(start), to.max(end))),
                    (known, new) => known.or(new),
                };
                last.stratum = (last.stratum.0.min(spell.stratum.0), last.stratum.1.max(spell.stratum.1));
            }
            _ if no_room => self.full = true,
            _ => self.spells.push(spell),
        }
    }
}

impl Upstreams {
    /// While a source, as `inputs` print it, named each of its references.
    pub fn spells(&self, inputs: &[InputId], source: &str) -> impl Iterator<Item = &Spell> {
        self.told(inputs, source).flat_map(|told| &told.spells)
    }

    /// The median distance of a source from its root, in seconds, as `inputs` saw it.
    #[must_use]
    pub fn root_distance_s(&self, inputs: &[InputId], source: &str) -> Option<f64> {
        let mut all = Quantiles::default();
        self.told(inputs, source).for_each(|told| all.merge(&told.root_s));
        all.at(0.5)
    }

    /// All sources that some inputs name.
    pub fn sources(&self, inputs: &[InputId]) -> impl Iterator<Item = &str> {
        self.0.keys().filter(|(input, _)| inputs.contains(input)).map(|(_, source)| source.as_str())
    }

    fn told(&self, inputs: &[InputId], source: &str) -> impl Iterator<Item = &Told> {
        inputs.iter().filter_map(move |input| self.0.get(&(*input, source.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_known_however_they_are_printed() {
        let upstream = Reference::Address(IpAddr::from([192, 0, 2, 7]));
        assert_eq!(["192.0.2.7", "C0000207"].map(reference), [upstream; 2]);
        let local =
            ["7F7F0101", "4C4F434C", "76.79.67.76", "127.127.1.0", "LOCAL(0)", ".LOCL.", ".\u{7f}\u{7f}\u{1}\u{1}."];
        assert_eq!(local.map(reference), [Reference::LocalClock; 7]);
        assert_eq!([".GPS.", "47505300", "PPS", "127.127.20.0"].map(reference), [Reference::Clock; 4]);
        assert_eq!(["", "00000000", ".INIT.", ".{."].map(reference), [Reference::Unknown; 4]);
    }
}
