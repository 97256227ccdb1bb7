//! What contrast says: the sets that were tried, with their numbers.

use super::row::Cell;
use super::who::Within;
use crate::model::Origin;
use crate::stats::{Share, difference};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Where a set of values lies among all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// All up to a threshold.
    Low,
    /// All from a threshold on.
    High,
    /// Elsewhere, or there is no order.
    #[default]
    Other,
}

/// A set of requests, held against all others at one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// The name that causes know the set by: `port-below-123`, `length`, `version` …
    pub name: &'static str,
    /// The set in words: `source port below 123`, `length 68 or more`.
    pub set: String,
    /// A tshark display filter of the set, where tshark has fields for it.
    pub filter: Option<String>,
    /// Clients that lost requests in the set.
    pub clients: BTreeSet<IpAddr>,
    /// Requests in the set.
    pub inside: Cell,
    /// All other requests; of two quirks at once, those that are in neither.
    pub outside: Cell,
    /// Probability of chance after correction for all that was tried.
    pub chance: f64,
    /// Its logarithm.
    pub(super) ln_chance: f64,
    /// Whether the set separates lost from answered: [`super::LIMITS`] are met.
    pub separates: bool,
    /// On which side of the attribute's other values it lies.
    pub side: Side,
    /// Of several quirks at once, which: 0 is the first.
    pub quirk: usize,
    /// The same within each client, where it separates.
    pub within: Within,
    /// Frames that speak against it: of the set and answered, or not of it and lost. A few.
    pub against: Vec<Origin>,
    /// The source port in the set that lost most.
    pub worst_port: Option<u16>,
    /// Whether it says who asks, and not what.
    pub is_who: bool,
}

impl Contrast {
    /// Lost requests in the set, and outside it.
    #[must_use]
    pub fn shares(&self) -> (Share, Share) {
        (self.inside.lost_share(), self.outside.lost_share())
    }

    /// By how much more is lost inside, with its 95 % interval.
    #[must_use]
    pub fn difference(&self) -> (f64, (f64, f64)) {
        let (inside, outside) = self.shares();
        difference(inside, outside)
    }

    /// Whether no client asked both ways, so that *who* can't be told from *what*.
    #[must_use]
    pub fn is_confounded(&self) -> bool {
        !self.is_who && self.within.clients > 1 && self.within.both == 0
    }

    /// Whether another set is told from this one by nothing that was seen.
    #[must_use]
    pub fn is_as_good(&self, other: &Contrast) -> bool {
        let (_, (low, _)) = self.difference();
        other.separates && other.quirk == self.quirk && other.difference().0 >= low
    }
}

/// All that contrast can say about requests to one server as seen at one point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contrasts {
    /// The best set of each attribute, and the usual sets; the best first.
    pub tried: Vec<Contrast>,
    /// How many sets were tried in all.
    pub sets: f64,
    /// Lost and answered requests by client.
    pub clients: BTreeMap<IpAddr, Cell>,
    /// Lost and answered requests by source port; [`super::HIGH`] stands for all from there up.
    pub ports: BTreeMap<u16, Cell>,
}

impl Contrasts {
    /// The sets that separate, the best first.
    pub fn separating(&self) -> impl Iterator<Item = &Contrast> {
        self.tried.iter().filter(|c| c.separates)
    }

    /// The best set of each quirk that separates.
    pub fn best(&self) -> impl Iterator<Item = &Contrast> {
        let of = |quirk| self.separating().find(move |c| c.quirk == quirk);
        (0..super::judge::MOST_QUIRKS).map_while(of)
    }

    /// The named set, where it was tried.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Contrast> {
        self.tried.iter().find(|c| c.name == name)
    }

    /// The source port that lost most, of the best set of ports that separates.
    #[must_use]
    pub fn worst_port(&self) -> Option<u16> {
        self.separating().find(|c| c.name.starts_with("port-"))?.worst_port
    }

    /// Whether each client is served always or never, or never asked both ways, so that *who* can't be told from *what*.
    #[must_use]
    pub fn is_confounded(&self) -> bool {
        let always = self.clients.len() > 1 && self.clients.values().all(|c| c.lost == 0 || c.answered == 0);
        always || self.separating().next().is_some_and(Contrast::is_confounded)
    }
}
