//! Rule `daemon`: what the daemons say of themselves: versions, counters and their growth, configuration.

use super::{Material, Summary, keep_first};
use crate::model::{Counter, Daemon, Event, InputId, Origin, Row, What};
use crate::time::Time;
use crate::version::Version;
use std::collections::BTreeMap;

/// Values kept for one input: a billboard has dozens, an attack has millions.
const MOST_VALUES: usize = 4096;

/// Variables that some rule asks for; the others are not kept.
const ASKED: &[&str] = &[
    "version",
    "srcadr",
    "dstadr",
    "clock",
    "stratum",
    "refid",
    "leap",
    "reach",
    "io_sendfailed",
    "system",
    "processor",
];

/// What the daemons said, by input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Daemons(BTreeMap<InputId, Said>);

/// What a daemon said in one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    variables: BTreeMap<(String, String), (String, Origin)>,
    counters: BTreeMap<(String, Counter), (u64, Origin)>,
    directives: Vec<Directive>,
    /// Requests of each address that the daemon remembers.
    clients: BTreeMap<String, (u64, Origin)>,
}

/// A line of configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive {
    /// Whose language it is in.
    pub daemon: Daemon,
    /// Its first word.
    pub keyword: String,
    /// Its other words.
    pub rest: String,
    /// Where it stands.
    pub origin: Origin,
}

impl Summary for Daemons {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Row(&Row::Event(Event { at, what })) = material else { return };
        let origin = at.origin;
        let said = self.0.entry(origin.input).or_default();
        match what {
            What::Variable { association, name, value } if ASKED.contains(&name) => {
                said.variables.insert((association.into(), name.into()), (value.into(), origin));
            }
            What::Counter { association, name, value, over_s: None } => {
                said.counters.insert((association.into(), name), (value, origin));
            }
            What::Client { address, count, .. } => {
                let known = said.clients.entry(address.into()).or_insert((count, origin));
                *known = (*known).max((count, origin));
            }
            What::Directive { daemon, keyword, rest } => {
                said.directives.push(Directive { daemon, keyword: keyword.into(), rest: rest.into(), origin });
            }
            _ => return,
        }
        said.bound();
    }

    fn merge(&mut self, later: Self) {
        for (input, other) in later.0 {
            let said = self.0.entry(input).or_default();
            said.variables.extend(other.variables);
            said.counters.extend(other.counters);
            said.directives.extend(other.directives);
            for (address, count) in other.clients {
                let known = said.clients.entry(address).or_insert(count);
                *known = (*known).max(count);
            }
            said.bound();
        }
    }
}

/// How far a counter went up between two looks at one daemon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// By how much.
    pub by: u64,
    /// Seconds between the looks, as the daemon counts them; chronyd does not say.
    pub over_s: Option<u64>,
    /// The earlier and the later look.
    pub looks: (Origin, Origin),
}

impl Daemons {
    /// All that was said, by input.
    pub fn iter(&self) -> impl Iterator<Item = (InputId, &Said)> {
        self.0.iter().map(|(input, said)| (*input, said))
    }

    /// What was said in `inputs`.
    fn of<'a>(&'a self, inputs: &'a [InputId]) -> impl Iterator<Item = &'a Said> {
        inputs.iter().filter_map(|input| self.0.get(input))
    }

    /// The version of the daemon that `inputs` belong to: as it answers, or else as its log says.
    #[must_use]
    pub fn version(&self, inputs: &[InputId]) -> Option<(Version, String, Origin)> {
        let answers = self.of(inputs).filter(|said| said.spoken().is_some());
        answers.chain(self.of(inputs)).find_map(|said| {
            let (text, origin) = said.variables.get(&(String::new(), "version".into()))?;
            Some((Version::read(text)?, text.clone(), *origin))
        })
    }

    /// A variable of the daemon that `inputs` belong to, as it answers.
    #[must_use]
    pub fn variable<'a>(&'a self, inputs: &'a [InputId], name: &str) -> Option<&'a str> {
        let key = (String::new(), name.to_owned());
        self.of(inputs).find_map(|said| Some(said.variables.get(&key)?.0.as_str()))
    }

    /// How a counter of the whole daemon grew from the first look to the last.
    ///
    /// Looks are ordered by the daemon's own age, or else by the requests it has received; a daemon that was restarted
    /// in between has no growth.
    #[must_use]
    pub fn growth(&self, inputs: &[InputId], name: Counter) -> Option<Growth> {
        let of = |said: &Said, name| said.counters.get(&(String::new(), name)).copied();
        let look = |said: &Said| {
            let age = of(said, Counter::AgeS).map(|(age, _)| age);
            Some((age.or(of(said, Counter::Received).map(|(n, _)| n))?, age, of(said, name)?))
        };
        let mut looks: Vec<_> = self.of(inputs).filter_map(look).collect();
        looks.sort_by_key(|(order, ..)| *order);
        let (&(from, first, (low, early)), &(to, last, (high, late))) = (looks.first()?, looks.last()?);
        let over_s = first.zip(last).map(|(first, last)| last - first);
        (to > from && high >= low).then(|| Growth { by: high - low, over_s, looks: (early, late) })
    }

    /// How many requests of `address` the daemon of `inputs` remembers at the most; `None` where it lists nobody.
    #[must_use]
    pub fn remembers(&self, inputs: &[InputId], address: &str) -> Option<(u64, Origin)> {
        let lists = self.of(inputs).filter(|said| !said.clients.is_empty());
        lists
            .filter_map(|said| {
                said.clients
                    .get(address)
                    .or(said.clients.values().next())
                    .map(|any| said.clients.get(address).copied().unwrap_or((0, any.1)))
            })
            .max()
    }

    /// Queries of `ntpq` that the daemon of `inputs` was asked between its first look and its last, as far as their
    /// answers are at hand: it counts them among the packets that it received.
    #[must_use]
    pub fn queries(&self, inputs: &[InputId]) -> u64 {
        let has = |said: &Said, name| u64::from(said.counters.contains_key(&(String::new(), name)));
        let looks = self.of(inputs).filter(|said| has(said, Counter::AgeS) > 0);
        let asked: Vec<u64> = looks
            .map(|said| {
                let variables = u64::from(said.variables.contains_key(&(String::new(), "version".into())));
                has(said, Counter::Received)
                    + has(said, Counter::Sent)
                    + variables
                    + u64::from(!said.clients.is_empty())
            })
            .collect();
        asked.iter().sum::<u64>() - asked.last().copied().unwrap_or(0)
    }

    /// How often the daemon of `inputs` could not send, from the first look to the last.
    #[must_use]
    pub fn sends_failed(&self, inputs: &[InputId]) -> Option<(u64, Origin)> {
        let key = (String::new(), "io_sendfailed".to_owned());
        let looks = self.of(inputs).filter_map(|said| said.variables.get(&key));
        // NTPsec's ntpq prints a rate behind the count.
        let count = |(text, origin): &(String, Origin)| Some((text.split(' ').next()?.parse().ok()?, *origin));
        let counts: Vec<(u64, Origin)> = looks.filter_map(count).collect();
        let (low, high) = (counts.iter().min()?, counts.iter().max()?);
        Some((if counts.len() > 1 { high.0 - low.0 } else { high.0 }, high.1))
    }

    /// How a counter that is kept in parts (for each processor) grew from the lowest look to the highest; where there
    /// is but one look, its value since boot.
    #[must_use]
    pub fn summed(&self, inputs: &[InputId], name: Counter) -> Option<(u64, Origin)> {
        let sum = |said: &Said| {
            let parts: Vec<_> = said.counters.iter().filter(|((_, counter), _)| *counter == name).collect();
            Some((parts.iter().map(|(_, (value, _))| value).sum::<u64>(), parts.first()?.1.1))
        };
        let looks: Vec<(u64, Origin)> = self.of(inputs).filter_map(sum).collect();
        let (low, high) = (looks.iter().min()?, looks.iter().max()?);
        Some((if looks.len() > 1 { high.0 - low.0 } else { high.0 }, high.1))
    }

    /// Where the daemon of `inputs` has said anything of itself: it was running then.
    #[must_use]
    pub fn spoken(&self, inputs: &[InputId]) -> Option<Origin> {
        self.of(inputs).find_map(Said::spoken)
    }

    /// The configuration in `inputs`.
    pub fn directives<'a>(&'a self, inputs: &'a [InputId]) -> impl Iterator<Item = &'a Directive> {
        self.of(inputs).flat_map(|said| &said.directives)
    }
}

impl Said {
    /// Keeps the first keys and lines: which those are does not depend on how the rows were divided.
    fn bound(&mut self) {
        keep_first(&mut self.variables, MOST_VALUES);
        keep_first(&mut self.counters, MOST_VALUES);
        self.directives.truncate(MOST_VALUES);
        keep_first(&mut self.clients, MOST_VALUES);
    }

    /// Where the daemon has answered. Its version is in its log too, which also tells of a daemon that has ended.
    fn spoken(&self) -> Option<Origin> {
        let answered = |(association, name): &(String, String)| association.is_empty() && name != "version";
        let variable = self.variables.iter().find(|(key, _)| answered(key)).map(|(_, (_, origin))| *origin);
        // The kernel counts these, not a daemon.
        let tracked = |name| matches!(name, Counter::TrackInsertFailed | Counter::TrackDrop);
        let counter = self.counters.iter().find(|((_, name), _)| !tracked(*name));
        variable.or_else(|| counter.map(|(_, (_, origin))| *origin))
    }

    /// The addresses that the daemon uses itself (`dstadr` of its associations), with where that is said.
    pub fn own_addresses(&self) -> impl Iterator<Item = (&str, Origin)> {
        self.variables
            .iter()
            .filter(|((_, name), _)| name == "dstadr")
            .map(|(_, (value, origin))| (value.as_str(), *origin))
    }

    /// Whether this is a look at a daemon that counts what it is asked.
    #[must_use]
    pub fn counts_requests(&self) -> bool {
        self.counters.contains_key(&(String::new(), Counter::Received))
    }

    /// The daemon's own time when it was looked at.
    #[must_use]
    pub fn clock(&self, near: Time) -> Option<Time> {
        let (text, _) = self.variables.get(&(String::new(), "clock".into()))?;
        let (seconds, fraction) = text.split_once('.')?;
        let stamp = u64::from(u32::from_str_radix(seconds, 16).ok()?) << 32
            | u64::from(u32::from_str_radix(fraction, 16).ok()?);
        Some(Time::from_ntp(stamp, near))
    }
}
