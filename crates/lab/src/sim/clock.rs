//! A host's system clock: its oscillator, what the kernel makes of it for the daemon, and what foreign hands do to it.

use crate::sim::daemon::Act;
use crate::sim::kernel::Kernel;
use crate::sim::oscillator::Oscillator;
use crate::world::{Foreign, Host, What};
use ntpscope_core::time::{SECOND, Time};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use std::collections::VecDeque;

/// Above this `ntpdate` steps, below it slews (its `NTPDATE_THRESHOLD`).
const NTPDATE_STEP_S: f64 = 0.5;
/// How fast `adjtime` slews, in ppm.
const ADJTIME_PPM: f64 = 500.0;
/// From here on `systemd-timesyncd` steps (its `NTP_MAX_ADJUST`).
const TIMESYNCD_STEP_S: f64 = 0.4;

/// What a foreign hand did, in seconds forwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// It set the clock.
    Stepped(f64),
    /// It asked the kernel to bring the clock there gently.
    Slewed(f64),
}

/// The system clock of a host.
#[derive(Clone, Debug)]
pub struct SystemClock {
    oscillator: Oscillator,
    start: i64,
    /// True ns UTC up to which everything here is computed.
    at: i64,
    /// By how much the monotonic clock is ahead of the true time since `start`, in seconds.
    gained_s: f64,
    /// By how much the system clock is ahead of the monotonic clock, in seconds, and of true time at `start`.
    moved_s: f64,
    /// What the daemon sees of the kernel.
    kernel: Kernel,
    /// What works on the clock, where that is something else.
    works: Option<Works>,
    foreign: Option<Foreign>,
    /// The true instant at which the foreign hand comes next.
    next_foreign: Option<i64>,
    /// By how much the hypervisor's clock was ahead of true time when it was last set, and when that was.
    hypervisor: (f64, i64),
}

/// A kernel that is told late, or that does more than it is told.
#[derive(Clone, Debug)]
struct Works {
    kernel: Kernel,
    gain: f64,
    lag_ns: i64,
    told: VecDeque<(i64, Act)>,
}

impl SystemClock {
    /// A host's clock at the true instant `start` (ns UTC).
    #[must_use]
    pub fn new(host: &Host, start: i64, seed: u64) -> SystemClock {
        let works = match host.foreign {
            Some(Foreign::Loop { gain, lag }) => Some(Works::new(gain, lag.0)),
            Some(Foreign::Ignored) => Some(Works::new(0.0, 0.0)),
            _ => None,
        };
        let every = host.foreign.as_ref().and_then(period_ns);
        SystemClock {
            oscillator: Oscillator::new(&host.oscillator, Pcg64::seed_from_u64(seed)),
            start,
            at: start,
            gained_s: 0.0,
            moved_s: host.ahead_s,
            kernel: Kernel::default(),
            works,
            foreign: host.foreign,
            next_foreign: every.map(|every| start + every),
            hypervisor: (0.0, start),
        }
    }

    /// What the clock shows at a true instant; instants must not decrease.
    pub fn read(&mut self, now: i64) -> Time {
        self.advance(now);
        Time(self.at + (self.ahead_s() * SECOND as f64).round() as i64)
    }

    /// Seconds by which the kernel's monotonic clock has advanced since `start`; it runs at the oscillator's rate.
    pub fn monotonic_s(&mut self, now: i64) -> f64 {
        self.advance(now);
        (self.at - self.start) as f64 / SECOND as f64 + self.gained_s
    }

    /// The true instant at which the monotonic clock will have advanced by so many seconds, to a microsecond (the noise that
    /// comes meanwhile is not known yet).
    pub fn when(&mut self, after_s: f64, now: i64) -> i64 {
        self.advance(now);
        let microseconds = after_s.max(0.0) / (1.0 + self.oscillator.rate()) * 1e6;
        now + 1000 * microseconds.round() as i64
    }

    /// Does what a daemon asks: step, offset, frequency, slew; other acts are not the clock's.
    pub fn act(&mut self, act: &Act, now: i64) {
        self.advance(now);
        self.kernel.act(act);
        if let Some(works) = &mut self.works {
            works.told.push_back((now + works.lag_ns, act.clone()));
            works.take(now);
        }
        if let Act::Step(by_s) = *act {
            self.moved_s += by_s;
            if let Some(Foreign::HostPull { follows_steps: true, .. }) = self.foreign {
                self.hypervisor = (self.ahead_s(), now);
            }
        }
    }

    /// The kernel's frequency correction in ppm, as the daemon sees it.
    pub fn frequency_ppm(&mut self, now: i64) -> f64 {
        self.advance(now);
        self.kernel.frequency_ppm()
    }

    /// The next true instant at which a foreign hand moves this clock, if any.
    #[must_use]
    pub fn next_foreign(&self) -> Option<i64> {
        self.next_foreign
    }

    /// The foreign hand at work; it comes again after its period. What it did, where it is one that would tell.
    pub fn foreign(&mut self, now: i64) -> Option<Deed> {
        self.advance(now);
        self.next_foreign = self.foreign.as_ref().and_then(period_ns).map(|every| now + every);
        let behind_s = self.hypervisor_s(now) - self.ahead_s();
        let (by_s, step_s, slew) = match self.foreign? {
            Foreign::HostPull { .. } => {
                self.moved_s += behind_s;
                return None;
            }
            Foreign::OneSided { .. } => {
                self.moved_s += behind_s.max(0.0);
                return None;
            }
            Foreign::Ntpdate { wrong_s, .. } => {
                let by_s = wrong_s - self.ahead_s();
                (by_s, NTPDATE_STEP_S, Act::Slew { by_s, rate_ppm: ADJTIME_PPM })
            }
            Foreign::Timesyncd { wrong_s, every, .. } => {
                let by_s = wrong_s - self.ahead_s();
                let constant = every.0.log2().floor() as i8 - 4;
                (by_s, TIMESYNCD_STEP_S, Act::Offset { offset_s: by_s, constant })
            }
            Foreign::Ignored | Foreign::Loop { .. } => return None,
        };
        let steps = by_s.abs() >= step_s;
        let act = if steps { Act::Step(by_s) } else { slew };
        self.act(&act, now);
        Some(if steps { Deed::Stepped(by_s) } else { Deed::Slewed(by_s) })
    }

    /// The machine has slept since the clock was last read. The monotonic clock has stood still; the system clock is behind
    /// by so many seconds, or by all of the time.
    pub fn wake(&mut self, behind_s: Option<f64>, now: i64) {
        let slept_s = (now - self.at) as f64 / SECOND as f64;
        self.at = now;
        self.gained_s -= slept_s;
        self.moved_s += slept_s - behind_s.unwrap_or(slept_s);
    }

    /// Faults of the world: a step, a jump of the rate; others are not the clock's.
    pub fn disturb(&mut self, what: &What, now: i64) {
        self.advance(now);
        match *what {
            What::Step { by_s, .. } => self.moved_s += by_s,
            What::Rate { by_ppm, .. } => self.oscillator.jump(by_ppm * 1e-6),
            _ => {}
        }
    }

    /// By how much it is ahead of true time, in seconds.
    fn ahead_s(&self) -> f64 {
        self.gained_s + self.moved_s
    }

    /// By how much the hypervisor's clock is ahead of true time, in seconds.
    fn hypervisor_s(&self, now: i64) -> f64 {
        let (Some(Foreign::HostPull { host_ppm, .. }) | Some(Foreign::OneSided { host_ppm, .. })) = self.foreign else {
            return 0.0;
        };
        let (ahead_s, since) = self.hypervisor;
        ahead_s + host_ppm * 1e-6 * (now - since) as f64 / SECOND as f64
    }

    fn advance(&mut self, to: i64) {
        if to <= self.at {
            return;
        }
        let dt = (to - self.at) as f64 / SECOND as f64;
        self.gained_s += self.oscillator.advance(dt);
        let told = self.kernel.advance(dt);
        self.moved_s += match &mut self.works {
            Some(works) => works.advance(self.at, to),
            None => told,
        };
        self.at = to;
    }
}

impl Works {
    fn new(gain: f64, lag_s: f64) -> Works {
        let lag_ns = (lag_s * SECOND as f64) as i64;
        Works { kernel: Kernel::default(), gain, lag_ns, told: VecDeque::new() }
    }

    /// Takes what has been on its way long enough.
    fn take(&mut self, now: i64) {
        while let Some((_, act)) = self.told.pop_front_if(|(due, _)| *due <= now) {
            self.kernel.act(&act);
        }
    }

    /// By how many seconds it moves the clock between two instants.
    fn advance(&mut self, mut at: i64, to: i64) -> f64 {
        let mut moved_s = 0.0;
        while at < to {
            let next = self.told.front().map_or(to, |(due, _)| to.min(*due));
            moved_s += self.gain * self.kernel.advance((next - at) as f64 / SECOND as f64);
            at = next;
            self.take(at);
        }
        moved_s
    }
}

/// How often a foreign hand comes, in ns; `None` where it is always at work.
fn period_ns(foreign: &Foreign) -> Option<i64> {
    match foreign {
        Foreign::HostPull { every, .. }
        | Foreign::OneSided { every, .. }
        | Foreign::Ntpdate { every, .. }
        | Foreign::Timesyncd { every, .. } => Some(((every.0 * SECOND as f64) as i64).max(1)),
        Foreign::Ignored | Foreign::Loop { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{self, Span};
    use std::net::{IpAddr, Ipv4Addr};

    fn host(foreign: Option<Foreign>) -> Host {
        Host { oscillator: world::Oscillator { ppm: 10.0, ..Default::default() }, foreign, ..Default::default() }
    }

    fn hours(count: i64) -> i64 {
        count * 3600 * SECOND
    }

    fn ahead_us(clock: &mut SystemClock, now: i64) -> i64 {
        (clock.read(now).0 - now + 500).div_euclid(1000)
    }

    #[test]
    fn a_clock_drifts_and_is_corrected() {
        let mut clock = SystemClock::new(&host(None), 0, 1);
        assert_eq!(ahead_us(&mut clock, hours(1)), 36_000);
        clock.act(&Act::Frequency(-10.0), hours(1));
        clock.act(&Act::Step(-0.036), hours(1));
        assert_eq!(ahead_us(&mut clock, hours(2)), 0);
        assert!((clock.monotonic_s(hours(2)) - 7200.072).abs() < 1e-9, "nobody sets the monotonic clock");
        assert_eq!(clock.when(1.0, hours(2)), hours(2) + 999_990_000);
    }

    #[test]
    fn foreign_hands_move_it() {
        let every = Span(3600.0);
        let pull = |follows_steps| Some(Foreign::HostPull { every, host_ppm: 2.0, follows_steps });
        let mut clock = SystemClock::new(&host(pull(false)), 0, 1);
        assert_eq!(clock.next_foreign(), Some(hours(1)));
        clock.foreign(hours(1));
        assert_eq!(ahead_us(&mut clock, hours(1)), 7200);
        assert_eq!(clock.next_foreign(), Some(hours(2)));
        let mut clock = SystemClock::new(&host(pull(true)), 0, 1);
        clock.act(&Act::Step(-0.036), hours(1));
        clock.foreign(hours(2));
        assert_eq!(ahead_us(&mut clock, hours(2)), 7200);
        let mut clock = SystemClock::new(&host(Some(Foreign::OneSided { every, host_ppm: 2.0 })), 0, 1);
        clock.foreign(hours(1));
        assert_eq!(ahead_us(&mut clock, hours(1)), 36_000, "it is ahead already");
        let mut clock = SystemClock::new(
            &host(Some(Foreign::Ntpdate { every, server: IpAddr::V4(Ipv4Addr::LOCALHOST), wrong_s: 3.0 })),
            0,
            1,
        );
        clock.foreign(hours(1));
        assert_eq!(ahead_us(&mut clock, hours(1)), 3_000_000);
    }

    #[test]
    fn a_sleeping_machine_loses_no_more_than_is_said() {
        let mut clock = SystemClock::new(&host(None), 0, 1);
        assert_eq!(ahead_us(&mut clock, hours(1)), 36_000);
        clock.wake(Some(0.25), hours(3));
        assert_eq!(ahead_us(&mut clock, hours(3)), 36_000 - 250_000);
        assert!((clock.monotonic_s(hours(3)) - 3600.036).abs() < 1e-6);
    }

    #[test]
    fn adjustments_may_be_ignored_or_late() {
        let mut clock = SystemClock::new(&host(Some(Foreign::Ignored)), 0, 1);
        clock.act(&Act::Frequency(-10.0), 0);
        assert_eq!(ahead_us(&mut clock, hours(1)), 36_000);
        assert_eq!(clock.frequency_ppm(hours(1)), -10.0, "but the daemon believes it");
        let mut clock = SystemClock::new(&host(Some(Foreign::Loop { gain: 1.0, lag: Span(1800.0) })), 0, 1);
        clock.act(&Act::Frequency(-10.0), 0);
        assert_eq!(ahead_us(&mut clock, hours(1)), 18_000);
    }
}
