//! All rows of each host and source, of the quantities that were asked for: what statistics need, where the samples of
//! [`crate::rules::series`] are only those that a picture needs.

use super::{Point, Unit};
use crate::exchange::{Exchange, Fate};
use crate::model::Row;
use crate::rules::Material;
use crate::rules::series::Sample;
use crate::time::Time;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// A quantity of a clock or of a host's view of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Reference − local.
    Offset,
    /// The correction of the frequency.
    Frequency,
    /// The uncertainty of the offset.
    Jitter,
    /// The round-trip delay, of a clock that to the root.
    Delay,
    /// The uncertainty of the frequency.
    Wander,
    /// How many of the last eight polls were answered, as reach registers say.
    Reach,
    /// How many requests in captures stay without an answer.
    Loss,
}

impl Quantity {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Quantity::Offset => "offset",
            Quantity::Frequency => "frequency",
            Quantity::Jitter => "jitter",
            Quantity::Delay => "delay",
            Quantity::Wander => "wander",
            Quantity::Reach => "reach",
            Quantity::Loss => "loss",
        }
    }

    /// What it is measured in.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Quantity::Offset | Quantity::Jitter | Quantity::Delay => Unit::Seconds,
            Quantity::Frequency | Quantity::Wander => Unit::Ppm,
            Quantity::Reach | Quantity::Loss => Unit::Share,
        }
    }

    /// The quantity of a sample; `None` where samples do not have it.
    #[must_use]
    pub fn of_sample(self) -> Option<fn(&Sample) -> f64> {
        match self {
            Quantity::Offset => Some(|sample| sample.offset_s),
            Quantity::Frequency => Some(|sample| f64::from(sample.frequency_ppm)),
            Quantity::Jitter => Some(|sample| f64::from(sample.jitter_s)),
            Quantity::Delay => Some(|sample| f64::from(sample.delay_s)),
            Quantity::Wander | Quantity::Reach | Quantity::Loss => None,
        }
    }

    fn of(self, row: &Row<'_>) -> Option<f64> {
        match (self, row) {
            (Quantity::Offset, Row::Clock(row)) => row.offset_s,
            (Quantity::Offset, Row::Peer(row)) => row.offset_s,
            (Quantity::Frequency, Row::Clock(row)) => row.frequency_ppm,
            (Quantity::Frequency, Row::Peer(row)) => row.frequency_ppm,
            (Quantity::Jitter, Row::Clock(row)) => row.jitter_s,
            (Quantity::Jitter, Row::Peer(row)) => row.jitter_s,
            (Quantity::Delay, Row::Clock(row)) => row.root_delay_s,
            (Quantity::Delay, Row::Peer(row)) => row.delay_s,
            (Quantity::Wander, Row::Clock(row)) => row.wander_ppm,
            (Quantity::Wander, Row::Peer(row)) => row.wander_ppm,
            (Quantity::Reach, Row::Peer(row)) => row.reach.map(|reach| f64::from(reach.count_ones()) / 8.0),
            _ => None,
        }
    }
}

/// Rows of one clock or source that are kept; a year of polls each 32 s. Of more, every second is kept, then every fourth …
const MOST_ROWS: usize = 1 << 20;

/// Clocks and sources that are told apart.
const MOST_TRACES: usize = 1 << 12;

/// The rows of one clock or source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    times: Vec<Time>,
    /// By quantity, in the order that was asked for; not a number where a row does not say.
    values: Vec<Vec<f64>>,
    /// Every so many rows one is kept: two to this.
    thinned: u32,
    seen: u64,
}

impl Trace {
    fn fold(&mut self, time: Time, values: impl Iterator<Item = f64>) {
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(1 << self.thinned) {
            return;
        }
        let before = self.times.len();
        self.times.push(time);
        for (at, value) in values.enumerate() {
            if at == self.values.len() {
                self.values.push(Vec::new());
            }
            let list = &mut self.values[at];
            // What is never said takes no room.
            if !value.is_nan() || !list.is_empty() {
                list.resize(before, f64::NAN);
                list.push(value);
            }
        }
        if self.times.len() > MOST_ROWS {
            self.thin();
        }
    }

    /// Drops every second row.
    fn thin(&mut self) {
        fn halve<T>(list: &mut Vec<T>) {
            let mut keep = false;
            list.retain(|_| {
                keep = !keep;
                keep
            });
        }
        halve(&mut self.times);
        self.values.iter_mut().for_each(halve);
        self.thinned += 1;
    }

    fn merge(&mut self, mut later: Trace) {
        while later.thinned < self.thinned {
            later.thin();
        }
        while self.thinned < later.thinned {
            self.thin();
        }
        self.seen += later.seen;
        let (before, more) = (self.times.len(), later.times.len());
        self.times.append(&mut later.times);
        self.values.resize(self.values.len().max(later.values.len()), Vec::new());
        later.values.resize(self.values.len(), Vec::new());
        for (own, others) in self.values.iter_mut().zip(&mut later.values) {
            if !own.is_empty() || !others.is_empty() {
                own.resize(before, f64::NAN);
                own.append(others);
                own.resize(before + more, f64::NAN);
            }
        }
        while self.times.len() > MOST_ROWS {
            self.thin();
        }
    }

    /// The points of a quantity, by its number among those that were asked for, in the order of time.
    #[must_use]
    pub fn points(&self, quantity: usize) -> Vec<Point> {
        let values = self.values.get(quantity).into_iter().flatten();
        let points = self.times.iter().map(|time| time.since_s(Time(0))).zip(values.copied());
        let mut points: Vec<Point> = points.filter(|(_, value)| value.is_finite()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    /// The values of two quantities, where a row has both.
    pub fn pairs(&self, x: usize, y: usize) -> impl Iterator<Item = Point> {
        let of = |quantity: usize| self.values.get(quantity).into_iter().flatten().copied();
        of(x).zip(of(y)).filter(|(x, y)| x.is_finite() && y.is_finite())
    }

    /// Of how many rows each one that is kept stands for.
    #[must_use]
    pub fn stands_for(&self) -> u64 {
        1 << self.thinned
    }
}

/// The rows of each clock and source of each host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traces {
    wanted: Vec<Quantity>,
    /// By host and source; a clock is the source without a name.
    subjects: Vec<(String, String, Trace)>,
    numbers: BTreeMap<String, BTreeMap<String, usize>>,
    last: usize,
}

impl Traces {
    /// Of these quantities.
    #[must_use]
    pub fn of(wanted: &[Quantity]) -> Traces {
        Traces { wanted: wanted.to_vec(), ..Traces::default() }
    }

    /// Takes a row of `host` into account, or a request, whoever sent it.
    pub fn fold(&mut self, host: &str, material: Material<'_>) {
        match material {
            Material::Row(row) => self.row(host, row),
            Material::Exchange(exchange) => self.request(exchange),
            Material::Heard(_) => {}
        }
    }

    /// The share of lost requests is that of the ones among ones and zeros.
    fn request(&mut self, exchange: &Exchange) {
        let is_lost = match exchange.fate {
            Fate::Symmetric | Fate::Cut => return,
            Fate::Silent | Fate::Error(..) | Fate::Elsewhere(_) | Fate::Misdirected(_) => 1.0,
            Fate::Answered | Fate::Late | Fate::Unsynchronised | Fate::Kiss(_) => 0.0,
        };
        if !self.wanted.contains(&Quantity::Loss) {
            return;
        }
        let values: SmallVec<[f64; 6]> =
            self.wanted.iter().map(|of| if *of == Quantity::Loss { is_lost } else { f64::NAN }).collect();
        let near = exchange.near();
        if let Some(trace) = self.trace(&near.source.0.to_string(), &near.destination.0.to_string()) {
            trace.fold(near.time, values.into_iter());
        }
    }

    fn row(&mut self, host: &str, row: &Row<'_>) {
        let Some(time) = row.at().time else { return };
        let source = match row {
            Row::Clock(_) => "",
            Row::Peer(peer) => peer.source,
            Row::Packet(_) | Row::Event(_) => return,
        };
        let values: SmallVec<[f64; 6]> = self.wanted.iter().map(|q| q.of(row).unwrap_or(f64::NAN)).collect();
        if values.iter().all(|value| value.is_nan()) {
            return;
        }
        if let Some(trace) = self.trace(host, source) {
            trace.fold(time, values.into_iter());
        }
    }

    fn trace(&mut self, host: &str, source: &str) -> Option<&mut Trace> {
        // A daemon asks its sources in turn, so the next row is nearly always of the subject that came next before.
        let next = if self.last + 1 < self.subjects.len() { self.last + 1 } else { 0 };
        let is_next = self.subjects.get(next).is_some_and(|(h, s, _)| s == source && h == host);
        let known = is_next.then_some(next).or_else(|| self.numbers.get(host)?.get(source).copied());
        if known.is_none() && self.subjects.len() == MOST_TRACES {
            return None;
        }
        self.last = known.unwrap_or_else(|| {
            self.subjects.push((host.to_owned(), source.to_owned(), Trace::default()));
            let number = self.subjects.len() - 1;
            self.numbers.entry(host.to_owned()).or_default().insert(source.to_owned(), number);
            number
        });
        self.subjects.get_mut(self.last).map(|(.., trace)| trace)
    }

    /// Takes all into account that `later` has.
    pub fn merge(&mut self, later: Traces) {
        if self.wanted.is_empty() {
            self.wanted = later.wanted;
        }
        for (host, source, trace) in later.subjects {
            if let Some(own) = self.trace(&host, &source) {
                own.merge(trace);
            }
        }
    }

    /// The same, where hosts are called otherwise.
    #[must_use]
    pub fn renamed(self, called: impl Fn(&str) -> String) -> Traces {
        let mut renamed = Traces::of(&self.wanted);
        for (host, source, trace) in self.subjects {
            if let Some(own) = renamed.trace(&called(&host), &source) {
                own.merge(trace);
            }
        }
        renamed
    }

    /// The rows of a clock (the source without a name) or source.
    #[must_use]
    pub fn get(&self, host: &str, source: &str) -> Option<&Trace> {
        self.subjects.get(*self.numbers.get(host)?.get(source)?).map(|(.., trace)| trace)
    }

    /// Host, source and rows, in order; a clock is the source without a name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Trace)> {
        let numbers = self.numbers.values().flat_map(BTreeMap::values);
        let subjects = numbers.filter_map(|number| self.subjects.get(*number));
        subjects.map(|(host, source, trace)| (host.as_str(), source.as_str(), trace))
    }

    /// The quantities that were asked for.
    #[must_use]
    pub fn wanted(&self) -> &[Quantity] {
        &self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, Clock, InputId, Origin, Place};

    fn of(offsets: impl Iterator<Item = u32>) -> Traces {
        let mut traces = Traces::of(&[Quantity::Offset, Quantity::Frequency]);
        for n in offsets {
            let origin = Origin { input: InputId(0), place: Place::Line(n) };
            let at = At { time: Some(Time(i64::from(n))), ..At::origin(origin) };
            let row = Row::Clock(Clock { offset_s: Some(f64::from(n)), ..Clock::new(at) });
            traces.fold("h", Material::Row(&row));
        }
        traces
    }

    #[test]
    fn merging_parts_gives_the_whole_and_gaps_stay_gaps() {
        let mut merged = of(0..70);
        merged.merge(of(70..100));
        assert_eq!(merged.subjects[0].2.points(0), of(0..100).subjects[0].2.points(0));
        assert!(merged.subjects[0].2.points(1).is_empty());
    }

    #[test]
    fn of_too_many_rows_every_second_is_kept() {
        let traces = of(0..MOST_ROWS as u32 + 10);
        let (.., trace) = traces.iter().next().expect("one clock");
        assert_eq!((trace.stands_for(), trace.times.len()), (2, MOST_ROWS / 2 + 5));
        assert_eq!(trace.points(0)[1].1, 2.0);
    }
}
