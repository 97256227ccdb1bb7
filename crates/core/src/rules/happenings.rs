//! Rule `happenings`: what logs and `protostats` say happened to each daemon and its clock.

use super::{Material, Summary};
use crate::model::{Event, Happening, InputId, Message, Origin, Row, What};
use crate::time::Time;
use std::collections::BTreeMap;

/// Kept of one input: the first. A daemon that starts and steps each hour says some dozens a day.
const MOST: usize = 1 << 12;

/// What happens all the time, or tells nothing of a clock.
const IDLE: &[Happening] = &[Happening::Other, Happening::Timecode, Happening::BadAuth, Happening::Popcorn];

/// What happened, by input, in the order of the lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Happenings(BTreeMap<InputId, Vec<Happened>>);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// When, where the log says.
    pub time: Option<Time>,
    /// What.
    pub kind: Happening,
    /// Who says so: `ntpd`, `chronyd`, `kernel` …
    pub program: String,
    /// The source that it is about; empty for the whole daemon.
    pub source: String,
    /// The number in it, in the unit that the kind has.
    pub value: Option<f64>,
    /// Where it stands.
    pub origin: Origin,
}

impl Summary for Happenings {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Row(&Row::Event(Event { at, what: What::Message(message) })) = material else { return };
        let Message { program, kind, source, value, .. } = message;
        let own = self.0.entry(at.origin.input).or_default();
        if IDLE.contains(&kind) || own.len() == MOST {
            return;
        }
        let (program, source) = (program.to_owned(), source.to_owned());
        own.push(Happened { time: at.time, kind, program, source, value, origin: at.origin });
    }

    fn merge(&mut self, later: Self) {
        for (input, others) in later.0 {
            let own = self.0.entry(input).or_default();
            let room = MOST - own.len();
            own.extend(others.into_iter().take(room));
        }
    }
}

impl Happenings {
    /// What happened by `inputs`, in the order of time; what has no time stands first.
    #[must_use]
    pub fn of(&self, inputs: &[InputId]) -> Vec<&Happened> {
        let mut all: Vec<_> = inputs.iter().filter_map(|input| self.0.get(input)).flatten().collect();
        all.sort_by_key(|happened| happened.time);
        all
    }
}
