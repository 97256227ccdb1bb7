//! A source as chronyd polls it.

use crate::sim::chrony::samples::Samples;
use crate::sim::packet::Packet;
use crate::world;
use ntpscope_core::time::Time;
use std::net::IpAddr;

/// Good answers that end a burst, and requests.
const BURST: (u8, u8) = (4, 8);
/// Seconds from an answer to the next request of a burst, and from a request that got none.
const BURST_S: (f64, f64) = (2.0, 8.0);
/// `polltarget`: samples of a line that the poll interval aims at.
const POLL_TARGET: f64 = 8.0;
/// Bits of the reach register.
pub const REACH_BITS: u32 = 8;

/// How selection sees a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Too few samples.
    Unknown,
    /// It says that it is not synchronised.
    Unsynchronised,
    /// Its root distance is too long.
    Distant,
    /// Its deviation is too large.
    Jittery,
    /// Unreachable, and older than the reachable ones.
    Stale,
    /// Waits for the first samples of others.
    Waits,
    /// Disagrees with the majority.
    Falseticker,
    /// Agrees, but is not combined.
    Outlier,
    /// Is combined with the selected one.
    Combined,
    /// Is selected.
    Selected,
}

impl State {
    /// As `chronyc sources` shows it.
    pub fn letter(self) -> char {
        match self {
            State::Unknown | State::Unsynchronised | State::Distant | State::Stale | State::Waits => '?',
            State::Jittery => '~',
            State::Falseticker => 'x',
            State::Outlier => '-',
            State::Combined => '+',
            State::Selected => '*',
        }
    }
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its transmit timestamp, which says nothing.
    pub nonce: u64,
    /// When it left, by the corrected clock.
    pub at: Time,
    /// And by the monotonic clock, in seconds.
    pub monotonic_s: f64,
}

/// The last valid answer, for `chronyc ntpdata`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// What it said.
    pub packet: Packet,
    /// Server − local.
    pub offset_s: f64,
    /// There and back.
    pub delay_s: f64,
    /// Error of the timestamps.
    pub dispersion_s: f64,
    /// How long the server took.
    pub response_s: f64,
    /// Results of the tests 1 2 3, 5 6 7, A B C D.
    pub tests: Tests,
}

/// Results of the tests, as the logs show them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tests {
    /// Not heard before; answers the last request; has timestamps.
    pub first: [bool; 3],
    /// Authentication; synchronised; root distance.
    pub second: [bool; 3],
    /// Delay, its ratio, its deviation, no loop.
    pub last: [bool; 4],
}

impl Tests {
    /// Ones and zeros, in three groups.
    pub fn text(&self) -> String {
        let bits = |tests: &[bool]| tests.iter().map(|passed| if *passed { '1' } else { '0' }).collect::<String>();
        format!("{} {} {}", bits(&self.first), bits(&self.second), bits(&self.last))
    }

    /// Whether it answers the request.
    pub fn valid(&self) -> bool {
        self.first == [true; 3] && self.second[0]
    }

    /// Whether it comes from a synchronised server.
    pub fn synchronised(&self) -> bool {
        self.valid() && self.second == [true; 3]
    }

    /// Whether it is used.
    pub fn good(&self) -> bool {
        self.synchronised() && self.last == [true; 4]
    }
}

/// A source.
#[derive(Clone, Debug)]
pub struct Source {
    /// What the world says of it.
    pub said: world::Source,
    /// Its samples.
    pub samples: Samples,
    /// How selection sees it.
    pub state: State,
    /// The score against the selected one.
    pub score: f64,
    /// How many more times it is left out of the combination.
    pub penalty: u32,
    /// Whether it has a sample that the reference has not used.
    pub fresh: bool,
    /// Log₂ s between requests.
    pub poll: i8,
    /// What is missing until that changes.
    pub poll_score: f64,
    /// Reach register, and how many bits of it are known.
    pub reach: u8,
    /// See `reach`.
    pub reach_bits: u32,
    /// The request that waits for its answer.
    pub asked: Option<Asked>,
    /// Requests since the last valid answer.
    pub unanswered: u32,
    /// Receive and transmit timestamps of the last answer.
    pub heard: (u64, u64),
    /// The last valid answer.
    pub answer: Option<Answer>,
    /// Address that the last answer came to.
    pub local: Option<IpAddr>,
    /// The last offset as it was measured: local − source.
    pub measured_s: f64,
    /// Counted: sent, received, valid, good.
    pub counts: [u32; 4],
    /// The number of its timer; earlier ones are void.
    pub timer: u64,
    /// Good answers and requests that a burst still wants.
    burst: (u8, u8),
}

impl Source {
    /// Not asked yet.
    pub fn new(said: &world::Source) -> Source {
        Source {
            said: said.clone(),
            samples: Samples::new(),
            state: State::Unknown,
            score: 1.0,
            penalty: 0,
            fresh: false,
            poll: said.minpoll,
            poll_score: 0.0,
            reach: 0,
            reach_bits: 0,
            asked: None,
            unanswered: 0,
            heard: (0, 0),
            answer: None,
            local: None,
            measured_s: 0.0,
            counts: [0; 4],
            timer: 0,
            burst: if said.iburst { BURST } else { (0, 0) },
        }
    }

    /// Shifts the reach register.
    pub fn reached(&mut self, yes: bool) {
        self.reach = self.reach << 1 | u8::from(yes);
        self.reach_bits = (self.reach_bits + 1).min(REACH_BITS);
    }

    /// Adds to the score of the poll interval, and changes that when the score is full or empty.
    pub fn adjust_poll(&mut self, by: f64) {
        self.poll_score += by;
        let whole = self.poll_score.floor();
        self.poll = self.poll.saturating_add(whole as i8);
        self.poll_score -= whole;
        if self.poll < self.said.minpoll {
            (self.poll, self.poll_score) = (self.said.minpoll, 0.0);
        } else if self.poll > self.said.maxpoll {
            (self.poll, self.poll_score) = (self.said.maxpoll, 1.0);
        }
    }

    /// How a good sample changes the score: by how far it is from what was expected, or by how many samples the line holds.
    pub fn poll_change(&self, error_s: f64, distance_s: f64) -> f64 {
        if error_s > distance_s {
            return -(error_s / distance_s).log2();
        }
        let change = (self.samples.count() as f64 / POLL_TARGET - 1.0) / POLL_TARGET;
        if change < 0.0 { 2.0 * change } else { change }
    }

    /// A request goes out: seconds until the next, if no answer comes.
    pub fn sent(&mut self) -> f64 {
        self.counts[0] += 1;
        self.unanswered += 1;
        self.burst.1 = self.burst.1.saturating_sub(1);
        if self.bursts() { BURST_S.1 } else { self.interval_s() }
    }

    /// An answer has come: seconds after it, or after its request (`true`), until the next request.
    pub fn answered(&mut self, good: bool) -> (f64, bool) {
        self.burst.0 = self.burst.0.saturating_sub(u8::from(good));
        if self.bursts() { (BURST_S.0, false) } else { (self.interval_s(), true) }
    }

    /// Ends a burst.
    pub fn calm(&mut self) {
        self.burst = (0, 0);
    }

    /// Whether a burst is under way.
    pub fn bursts(&self) -> bool {
        self.burst.0 > 0 && self.burst.1 > 0
    }

    /// Seconds between requests.
    pub fn interval_s(&self) -> f64 {
        2_f64.powi(i32::from(self.poll))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poll_interval_follows_the_score() {
        let said: world::Source = toml::from_str("server = '10.0.0.1'\nmaxpoll = 7").expect("a source");
        let mut source = Source::new(&said);
        source.adjust_poll(-0.25);
        assert_eq!((source.poll, source.poll_score), (6, 0.0));
        source.adjust_poll(1.25);
        assert_eq!((source.poll, source.poll_score), (7, 0.25));
        source.adjust_poll(1.0);
        assert_eq!((source.poll, source.poll_score), (7, 1.0));
        source.adjust_poll(-3.0);
        assert_eq!((source.poll, source.poll_score), (6, 0.0));
    }

    /// Rows of `b01_healthy`: the score after 9, 10, 11, 12 samples.
    #[test]
    fn the_score_grows_with_the_samples() {
        use crate::sim::chrony::samples::Sample;
        let said: world::Source = toml::from_str("server = '10.0.0.1'").expect("a source");
        let mut source = Source::new(&said);
        let mut scores = Vec::new();
        for n in 0..12 {
            let offset_s = if n % 2 == 0 { 1e-6 } else { -1e-6 };
            source.samples.take(Sample {
                at_s: f64::from(n) * 64.0,
                offset_s,
                delay_s: 0.002,
                dispersion_s: 1e-7,
                root_delay_s: 0.002,
                root_dispersion_s: 1e-7,
            });
            source.adjust_poll(source.poll_change(1e-6, 1e-3));
            scores.push(format!("{:.2}", source.poll_score));
        }
        assert_eq!(scores[7..], ["0.00", "0.02", "0.05", "0.09", "0.16"]);
    }
}
