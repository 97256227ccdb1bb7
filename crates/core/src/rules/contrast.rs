//! Rule `contrast`: which attribute of a request goes with its being lost.

use super::{Material, Sampled, Summary};
use crate::exchange::{Exchange, Fate, PointId, Sighting};
use crate::stats::{Share, fisher};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Source ports from here up are counted as one: clients that choose their ports choose them here.
pub const HIGH: u16 = 1024;

/// Requests by their attributes and fate, as seen at each point: a contingency table.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    attributes: Sampled<(IpAddr, PointId, Attributes), Cell>,
    ports: Sampled<(IpAddr, PointId, u16), Cell>,
}

/// The attributes of a request that have few values; the source port has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    client: IpAddr,
    ports: PortClass,
    version: u8,
    mode: u8,
    poll: i8,
    ttl: u8,
    dscp: u8,
    length: u16,
    extensions: u8,
    mac: u8,
}

/// Source ports that every [`PORTS`] set has either all or none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PortClass {
    Below123,
    Is123,
    Below1024,
    Above1023,
}

impl PortClass {
    fn of(port: u16) -> PortClass {
        match port {
            0..123 => PortClass::Below123,
            123 => PortClass::Is123,
            124..1024 => PortClass::Below1024,
            _ => PortClass::Above1023,
        }
    }

    /// A port of this class.
    fn example(self) -> u16 {
        match self {
            PortClass::Below123 => 1,
            PortClass::Is123 => 123,
            PortClass::Below1024 => 1023,
            PortClass::Above1023 => 1024,
        }
    }
}

/// Lost and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Neither answered nor explained by an error.
    pub lost: u64,
    /// Answered with time.
    pub answered: u64,
}

impl Cell {
    fn add(&mut self, other: Cell) {
        self.lost += other.lost;
        self.answered += other.answered;
    }

    fn all(self) -> u64 {
        self.lost + self.answered
    }

    fn lost_share(self) -> Share {
        Share::of(self.lost, self.all())
    }
}

impl Summary for Tables {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Exchange(exchange) = material else { return };
        let cell = match exchange.fate {
            Fate::Silent => Cell { lost: 1, answered: 0 },
            Fate::Answered => Cell { lost: 0, answered: 1 },
            _ => return,
        };
        let near = exchange.near();
        let server = near.destination.0;
        for seen in &exchange.requests {
            let key = (server, seen.point, Attributes::of(exchange, near.source.0, seen));
            if let Some(counted) = self.attributes.entry(key) {
                counted.add(cell);
            }
            if let Some(counted) = self.ports.entry((server, seen.point, seen.source.1.min(HIGH))) {
                counted.add(cell);
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.attributes.merge(later.attributes, |a, b| a.add(b));
        self.ports.merge(later.ports, |a, b| a.add(b));
    }
}

impl Attributes {
    fn of(exchange: &Exchange, client: IpAddr, seen: &Sighting) -> Attributes {
        Attributes {
            client,
            ports: PortClass::of(seen.source.1),
            version: exchange.header.version(),
            mode: exchange.header.mode(),
            poll: exchange.header.poll(),
            ttl: seen.ttl,
            dscp: seen.dscp,
            length: exchange.length,
            extensions: exchange.tail.extensions,
            mac: exchange.tail.mac,
        }
    }
}

/// A set of requests that a rule somewhere on the path may single out.
struct Suspect {
    /// The name that causes know it by.
    name: &'static str,
    /// How a report describes the set.
    words: &'static str,
    /// The same as a tshark display filter.
    filter: &'static str,
    holds: fn(u16) -> bool,
}

/// Sets of source ports that software is known to treat alike; each is tried.
const PORTS: &[Suspect] = &[
    Suspect { name: "port-below-123", words: "source port below 123", filter: "udp.srcport < 123", holds: |p| p < 123 },
    Suspect {
        name: "port-not-123",
        words: "source port other than 123",
        filter: "udp.srcport != 123",
        holds: |p| p != 123,
    },
    Suspect { name: "port-is-123", words: "source port 123", filter: "udp.srcport == 123", holds: |p| p == 123 },
    Suspect {
        name: "port-below-1024",
        words: "source port below 1024",
        filter: "udp.srcport < 1024",
        holds: |p| p < 1024,
    },
    Suspect {
        name: "port-reserved",
        words: "source port below 1024 other than 123",
        filter: "udp.srcport < 1024 && udp.srcport != 123",
        holds: |p| p < 1024 && p != 123,
    },
    Suspect {
        name: "port-above-1023",
        words: "source port above 1023",
        filter: "udp.srcport > 1023",
        holds: |p| p > 1023,
    },
];

/// The sets of source ports that some device or daemon is known to treat alike: the name that causes know each by, its
/// words, and whether a port is in it.
pub fn usual_ports() -> impl Iterator<Item = (&'static str, &'static str, fn(u16) -> bool)> {
    PORTS.iter().map(|suspect| (suspect.name, suspect.words, suspect.holds))
}

/// An attribute with few values: how causes know it, how a report calls it, tshark's field, and its value.
type Attribute = (&'static str, &'static str, &'static str, fn(&Attributes) -> i64);

/// The other attributes that are tried, each by value and (where its values have an order) by threshold.
const ATTRIBUTES: &[Attribute] = &[
    ("length", "length", "udp.length - 8", |a| i64::from(a.length)),
    ("version", "version", "ntp.flags.vn", |a| i64::from(a.version)),
    ("mode", "mode", "ntp.flags.mode", |a| i64::from(a.mode)),
    ("poll-field", "poll field", "ntp.ppoll", |a| i64::from(a.poll)),
    ("ttl", "TTL", "ip.ttl", |a| i64::from(a.ttl)),
    ("dscp", "DSCP", "ip.dsfield.dscp", |a| i64::from(a.dscp)),
    ("extensions", "number of extension fields", "ntp.ext", |a| i64::from(a.extensions)),
    ("mac", "length of the MAC", "ntp.mac", |a| i64::from(a.mac)),
];

/// When a contrast is worth telling.
pub struct Limits {
    /// Share of requests within the set that must be lost, and outside it answered: a rule drops all it names.
    pub clean: f64,
    /// Highest probability of chance, after correction for the number of sets tried (Bonferroni).
    pub chance: f64,
}

/// A rule in a device or a daemon has no mood: 90 % allows for other loss beside it; 1 % is the field's habit.
pub const LIMITS: Limits = Limits { clean: 0.9, chance: 0.01 };

/// What separates lost from answered requests at one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// The name that causes know the set by: `port-below-123`, `length`, `version` …
    pub name: &'static str,
    /// The set in words: `source port below 123`, `length 68 or more`.
    pub set: String,
    /// A tshark display filter of the set.
    pub filter: String,
    /// Clients that lost requests in the set.
    pub clients: BTreeSet<IpAddr>,
    /// Requests in the set.
    pub inside: Cell,
    /// All other requests.
    pub outside: Cell,
    /// Probability of chance after correction.
    pub chance: f64,
    /// Whether the set separates lost from answered: [`LIMITS`] are met.
    pub separates: bool,
}

impl Contrast {
    /// Lost requests in the set, and outside it.
    #[must_use]
    pub fn shares(&self) -> (Share, Share) {
        (self.inside.lost_share(), self.outside.lost_share())
    }
}

/// All that contrast can say about requests to one server as seen at one point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contrasts {
    /// Every set that was tried, the best first.
    pub tried: Vec<Contrast>,
    /// Lost and answered requests by client.
    pub clients: BTreeMap<IpAddr, Cell>,
    /// Lost and answered requests by source port; [`HIGH`] stands for all from there up.
    pub ports: BTreeMap<u16, Cell>,
}

impl Contrasts {
    /// The sets that separate, the best first.
    pub fn separating(&self) -> impl Iterator<Item = &Contrast> {
        self.tried.iter().filter(|c| c.separates)
    }

    /// The named set, where it was tried.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Contrast> {
        self.tried.iter().find(|c| c.name == name)
    }

    /// The source port that lost most, of the best set of ports that separates.
    #[must_use]
    pub fn worst_port(&self) -> Option<u16> {
        let set = self.separating().find_map(|c| PORTS.iter().find(|suspect| suspect.name == c.name))?;
        let inside = self.ports.iter().filter(|(port, cell)| (set.holds)(**port) && cell.lost > 0);
        inside.max_by_key(|(_, cell)| cell.lost).map(|(port, _)| *port)
    }

    /// Whether each client is served always or never, so that *who* can't be told from *what*.
    #[must_use]
    pub fn is_confounded(&self) -> bool {
        self.clients.len() > 1 && self.clients.values().all(|c| c.lost == 0 || c.answered == 0)
    }
}

impl Tables {
    /// Tries every attribute on the requests to `server` that were seen at `point`.
    #[must_use]
    pub fn contrasts(&self, server: IpAddr, point: PointId) -> Contrasts {
        let mut all = Contrasts::default();
        for ((_, _, port), cell) in self.ports.sorted().into_iter().filter(|((s, p, _), _)| (*s, *p) == (server, point))
        {
            all.ports.entry(*port).or_default().add(*cell);
        }
        let attributes = self.attributes.sorted();
        let rows: Vec<_> = attributes.into_iter().filter(|((s, p, _), _)| (*s, *p) == (server, point)).collect();
        for ((.., row), cell) in &rows {
            all.clients.entry(row.client).or_default().add(**cell);
        }
        let rows: Vec<(&Attributes, Cell)> = rows.into_iter().map(|((.., row), cell)| (row, *cell)).collect();
        for suspect in PORTS {
            let within = |row: &Attributes| (suspect.holds)(row.ports.example());
            all.tried.push(Contrast::of(suspect.name, suspect.words.into(), suspect.filter.into(), &rows, within));
        }
        for attribute in ATTRIBUTES {
            all.tried.extend(best_of(attribute, &rows));
        }
        let tried = all.tried.len().max(1) as f64;
        for contrast in &mut all.tried {
            contrast.judge(tried);
        }
        // Stable: of two sets that separate equally well, the one listed first.
        all.tried.sort_by(|a, b| {
            (b.separates, a.chance).partial_cmp(&(a.separates, b.chance)).unwrap_or(std::cmp::Ordering::Equal)
        });
        all
    }
}

/// The single value or threshold of an attribute that separates best; `None` where all requests have one value.
fn best_of(attribute: &Attribute, rows: &[(&Attributes, Cell)]) -> Option<Contrast> {
    let (name, words, field, value) = attribute;
    let mut by_value: BTreeMap<i64, Cell> = BTreeMap::new();
    let mut total = Cell::default();
    for (row, cell) in rows {
        by_value.entry(value(row)).or_default().add(*cell);
        total.add(*cell);
    }
    if by_value.len() < 2 {
        return None;
    }
    let rest = |inside: Cell| Cell { lost: total.lost - inside.lost, answered: total.answered - inside.answered };
    let apart = |inside: Cell| inside.lost_share().value() - rest(inside).lost_share().value();
    // A set is all values from its first to its last.
    let (first, last) = (*by_value.keys().next()?, *by_value.keys().next_back()?);
    let (mut below, mut previous) = (Cell::default(), first);
    let mut sets: Vec<(f64, i64, i64)> = Vec::new();
    for (value, cell) in &by_value {
        sets.push((apart(*cell), *value, *value));
        if *value > first {
            sets.push((apart(below), first, previous));
            sets.push((apart(rest(below)), *value, last));
        }
        below.add(*cell);
        previous = *value;
    }
    let (_, from, to) = sets.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (set, filter) = match () {
        () if from == to => (format!("{words} {from}"), format!("{field} == {from}")),
        () if from == first => (format!("{words} {to} or less"), format!("{field} <= {to}")),
        () => (format!("{words} {from} or more"), format!("{field} >= {from}")),
    };
    let mut contrast = Contrast::of(name, set, filter, rows, |row| (from..=to).contains(&value(row)));
    contrast.chance *= sets.len() as f64;
    Some(contrast)
}

impl Contrast {
    fn of(
        name: &'static str,
        set: String,
        filter: String,
        rows: &[(&Attributes, Cell)],
        within: impl Fn(&Attributes) -> bool,
    ) -> Contrast {
        let (mut inside, mut outside, mut clients) = (Cell::default(), Cell::default(), BTreeSet::new());
        for (row, cell) in rows {
            if within(row) {
                inside.add(*cell);
                clients.extend((cell.lost > 0).then_some(row.client));
            } else {
                outside.add(*cell);
            }
        }
        let chance = fisher((inside.lost, inside.answered), (outside.lost, outside.answered));
        Contrast { name, set, filter, clients, inside, outside, chance, separates: false }
    }

    fn judge(&mut self, tried: f64) {
        self.chance = (self.chance * tried).min(1.0);
        let (within, without) = self.shares();
        let clean = within.value() >= LIMITS.clean && without.value() <= 1.0 - LIMITS.clean;
        self.separates = clean && self.inside.all() > 0 && self.outside.all() > 0 && self.chance <= LIMITS.chance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of one client each, by length, lost and answered.
    fn best(by_length: &[(u16, u64, u64)]) -> Contrast {
        let attributes: Vec<Attributes> = by_length
            .iter()
            .map(|(length, ..)| Attributes {
                client: IpAddr::from([192, 0, 2, *length as u8]),
                ports: PortClass::Is123,
                version: 4,
                mode: 3,
                poll: 6,
                ttl: 64,
                dscp: 0,
                length: *length,
                extensions: 0,
                mac: 0,
            })
            .collect();
        let cells = by_length.iter().map(|(_, lost, answered)| Cell { lost: *lost, answered: *answered });
        let rows: Vec<_> = attributes.iter().zip(cells).collect();
        let mut best = best_of(&ATTRIBUTES[0], &rows).expect("two values");
        best.judge(10.0);
        best
    }

    #[test]
    fn the_best_threshold_is_found() {
        let best = best(&[(48, 0, 40), (68, 9, 0), (228, 12, 1)]);
        assert_eq!(
            (best.set.as_str(), best.inside, best.clients.len(), best.separates),
            ("length 68 or more", Cell { lost: 21, answered: 1 }, 2, true)
        );
    }

    #[test]
    fn a_few_requests_prove_nothing() {
        let best = best(&[(48, 1, 0), (68, 0, 3)]);
        assert!(!best.separates, "{best:?}");
    }
}
