//! The clock discipline (RFC 5905 §11.3; `local_clock` of ntp_loopfilter.c): states, steps, frequency, time constant.

use crate::sim::daemon::Act;
use crate::sim::kernel::Kernel;
use crate::sim::ntpd::host::Host;
use crate::sim::ntpd::statistics::MRU;
use crate::sim::ntpd::version::Family;
use crate::sim::ntpd::{Ntpd, PRECISION, precision_s};

/// Step threshold (`CLOCK_MAX`), in seconds.
const STEP_S: f64 = 0.128;
/// Panic threshold (`CLOCK_PANIC`), in seconds.
const PANIC_S: f64 = 1000.0;
/// Offset below which the start is over (`CLOCK_FLOOR`, 4.2.7 and later), in seconds.
const FLOOR_S: f64 = 0.0005;
/// `NTP_MAXFREQ`, in ppm.
const MAX_FREQUENCY_PPM: f64 = 500.0;
/// Averaging constant of jitter and wander (`CLOCK_AVG`).
const AVERAGE: f64 = 8.0;
/// Poll-adjust threshold and gate (`CLOCK_LIMIT`, `CLOCK_PGATE`).
const LIMIT: i64 = 30;
const GATE: f64 = 4.0;
/// Allan intercept, log₂ s and s (`CLOCK_ALLAN`), and the gain of the frequency lock beyond it (`CLOCK_FLL`).
const ALLAN: i8 = 11;
const ALLAN_S: f64 = 2048.0;
const FLL_GAIN: f64 = 0.25;
/// Gain of the phase lock (`CLOCK_PLL`).
const PLL_GAIN: f64 = 16.0;
/// How fast `adjtime` slews, in ppm.
const ADJTIME_PPM: f64 = 500.0;

/// States of the discipline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Frequency not set.
    Nset,
    /// Frequency set from the drift file.
    Fset,
    /// Measuring the frequency.
    Freq,
    /// Synchronised.
    Sync,
    /// Offset beyond the step threshold.
    Spik,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The daemon gives up.
    Panic,
    /// Nothing.
    Ignored,
    /// Taken.
    Slewed,
    /// The clock was stepped.
    Stepped,
}

/// The discipline's variables.
#[derive(Clone, Debug)]
pub struct Discipline {
    /// State.
    pub state: State,
    /// Time constant and poll exponent (`sys_poll`), log₂ s.
    pub poll: i8,
    /// Offset left, in seconds.
    pub offset_s: f64,
    last_offset_s: f64,
    /// In seconds.
    pub jitter_s: f64,
    /// In ppm.
    pub frequency_ppm: f64,
    /// In ppm.
    pub wander_ppm: f64,
    /// `current_time` of the last update.
    pub epoch: i64,
    counter: i64,
    /// Seconds left in which the start is clamped (`freq_cnt`).
    pub clamped_s: i64,
    /// Before these times the time constant neither falls nor rises.
    gates: (i64, i64),
    may_panic: bool,
    /// `current_time` of the last step; 0 before one, which makes an early step look like a second one.
    last_step: i64,
    /// The kernel as the daemon knows it.
    pub kernel: Kernel,
    /// Up to when it is computed, in seconds of the monotonic clock.
    pub kernel_at_s: f64,
}

impl Discipline {
    /// Before the first update.
    pub fn new(poll: i8, clamped_s: i64) -> Discipline {
        Discipline {
            state: State::Nset,
            poll,
            offset_s: 0.0,
            last_offset_s: 0.0,
            jitter_s: precision_s(PRECISION),
            frequency_ppm: 0.0,
            wander_ppm: 0.0,
            epoch: 0,
            counter: 0,
            clamped_s,
            gates: (0, 0),
            // Distributions start it with -g, which lets the first offset be any.
            may_panic: true,
            last_step: 0,
            kernel: Kernel::default(),
            kernel_at_s: 0.0,
        }
    }
}

impl Ntpd {
    /// Whether the filter may prefer old samples.
    pub(super) fn settled(&self) -> bool {
        match self.version.family {
            Family::Old => self.system.leap != 3,
            Family::New | Family::Sec => self.discipline.clamped_s == 0,
        }
    }

    /// Sets the frequency by hand, and says so.
    pub(super) fn set_frequency(&mut self, host: &mut Host<'_>, ppm: f64) {
        self.discipline.frequency_ppm = ppm;
        self.tell(host, Act::Frequency(ppm.clamp(-MAX_FREQUENCY_PPM, MAX_FREQUENCY_PPM)));
        let decimals = self.version.frequency_decimals();
        self.system_event(host, 2, "freq_set", &format!("kernel {ppm:.decimals$} PPM"));
    }

    /// Asks something of the kernel, if it may.
    fn tell(&mut self, host: &mut Host<'_>, act: Act) {
        if self.config.may_set {
            self.discipline.kernel.act(&act);
            host.act(act);
        }
    }

    /// A new offset, in seconds.
    pub(super) fn local_clock(&mut self, host: &mut Host<'_>, index: usize, offset_s: f64) -> Outcome {
        if offset_s.abs() > PANIC_S && !self.discipline.may_panic {
            self.panic(host, offset_s);
            return Outcome::Panic;
        }
        let family = self.version.family;
        if self.version.ends_allowance_at_once() {
            self.discipline.may_panic = false;
        }
        let (minpoll, maxpoll) = (self.peers[index].minpoll, self.peers[index].source.maxpoll);
        let old_poll = self.discipline.poll;
        self.discipline.poll = old_poll.max(minpoll).min(maxpoll);
        let interval = host.seconds - self.discipline.epoch;
        let mut frequency_ppm = self.discipline.frequency_ppm;
        let mut outcome = Outcome::Slewed;
        let waits = interval < self.version.stepout_s();
        let state = self.discipline.state;
        if offset_s.abs() > STEP_S {
            match state {
                State::Sync => {
                    self.system_event(host, 3, "spike_detect", &format!("{offset_s:+.6} s"));
                    self.discipline.state = State::Spik;
                    return Outcome::Ignored;
                }
                State::Freq | State::Spik if waits => return Outcome::Ignored,
                State::Freq => frequency_ppm = self.direct_frequency(host, offset_s),
                State::Spik | State::Nset | State::Fset => {}
            }
            self.step(host, offset_s);
            outcome = Outcome::Stepped;
            let again = host.seconds - self.discipline.last_step < 2 * self.version.stepout_s();
            if state == State::Nset || family == Family::Old && again {
                self.enter(host, State::Freq, 0.0);
                return outcome;
            }
            self.discipline.last_step = host.seconds;
            self.enter(host, State::Sync, 0.0);
        } else {
            let change = (offset_s - self.discipline.last_offset_s).abs().max(precision_s(PRECISION));
            self.discipline.jitter_s = average(self.discipline.jitter_s, change);
            match state {
                State::Nset => {
                    if family != Family::Old {
                        self.tell(host, Act::Slew { by_s: offset_s, rate_ppm: ADJTIME_PPM });
                    }
                    self.enter(host, State::Freq, offset_s);
                }
                State::Freq if waits => return Outcome::Ignored,
                State::Fset if family == Family::Old => self.enter(host, State::Sync, offset_s),
                State::Freq if family == Family::Old => {
                    frequency_ppm = self.direct_frequency(host, offset_s);
                    self.enter(host, State::Sync, 0.0);
                }
                State::Freq | State::Fset | State::Sync | State::Spik => {
                    if state == State::Freq {
                        frequency_ppm = self.direct_frequency(host, offset_s);
                    }
                    self.discipline.may_panic = false;
                    if family == Family::Old || self.discipline.clamped_s == 0 {
                        frequency_ppm += self.loop_ppm(offset_s, interval);
                    }
                    self.enter(host, State::Sync, offset_s);
                    if family != Family::Old && offset_s.abs() < FLOOR_S {
                        self.discipline.clamped_s = 0;
                    }
                }
            }
        }
        if family == Family::Old || self.discipline.clamped_s == 0 {
            frequency_ppm = self.discipline_kernel(host);
        }
        self.settle(host, index, frequency_ppm, old_poll, (minpoll, maxpoll));
        outcome
    }

    fn panic(&mut self, host: &mut Host<'_>, offset_s: f64) {
        let text = format!("{offset_s:+.0} s; set clock manually within {PANIC_S:.0} s.");
        self.system_event(host, 7, "panic_stop", &text);
        let line = match self.version.family {
            Family::Sec => format!("CLOCK: Panic: offset too big: {offset_s:.3}"),
            Family::Old | Family::New => text,
        };
        self.log(host, &line);
    }

    fn step(&mut self, host: &mut Host<'_>, offset_s: f64) {
        self.system_event(host, 12, "clock_step", &format!("{offset_s:+.6} s"));
        self.tell(host, Act::Step(offset_s));
        if self.version.family == Family::Sec {
            self.log(host, &format!("CLOCK: time stepped by {offset_s:.6}"));
            self.log(host, MRU);
        }
        self.discipline.counter = 0;
        self.discipline.jitter_s = precision_s(PRECISION);
    }

    /// The frequency, measured since training began.
    fn direct_frequency(&mut self, host: &mut Host<'_>, offset_s: f64) -> f64 {
        let interval = (host.seconds - self.discipline.epoch) as f64;
        let mut ppm = offset_s / interval * 1e6;
        if self.version.family == Family::Old {
            // It asks the kernel what is left of the first offset, and what that did to the frequency.
            let kernel = self.discipline.kernel;
            ppm = (offset_s - kernel.offset_s()) / interval * 1e6 + kernel.frequency_ppm();
        }
        self.set_frequency(host, ppm);
        ppm
    }

    /// What the daemon's own loop would add to the frequency, in ppm; the kernel's replaces it where it is in use.
    fn loop_ppm(&self, offset_s: f64, interval: i64) -> f64 {
        let discipline = &self.discipline;
        let constant = precision_s(discipline.poll);
        let mut change = 0.0;
        if discipline.poll >= ALLAN {
            change += (offset_s - discipline.offset_s) / constant.max(interval as f64) * FLL_GAIN;
        }
        change += offset_s * (interval as f64).min(ALLAN_S) / (4.0 * PLL_GAIN * constant).powi(2);
        change * 1e6
    }

    fn enter(&mut self, host: &mut Host<'_>, state: State, offset_s: f64) {
        if state != self.discipline.state {
            match state {
                State::Freq => self.system_event(host, 4, "freq_mode", ""),
                State::Sync => self.system_event(host, 5, "clock_sync", ""),
                State::Nset | State::Fset | State::Spik => {}
            }
        }
        self.discipline.state = state;
        (self.discipline.offset_s, self.discipline.last_offset_s) = (offset_s, offset_s);
        self.discipline.epoch = host.seconds;
    }

    /// Hands the offset to the kernel; gives the frequency that it then has, in ppm.
    fn discipline_kernel(&mut self, host: &mut Host<'_>) -> f64 {
        let (offset_s, constant) = (self.discipline.offset_s, self.discipline.poll);
        self.tell(host, Act::Offset { offset_s, constant });
        self.discipline.kernel.frequency_ppm()
    }

    /// Frequency, wander, time constant; and the row.
    fn settle(&mut self, host: &mut Host<'_>, index: usize, ppm: f64, old_poll: i8, (minpoll, maxpoll): (i8, i8)) {
        if ppm.abs() > MAX_FREQUENCY_PPM {
            let text = format!("frequency error {ppm:.0} PPM exceeds tolerance {MAX_FREQUENCY_PPM:.0} PPM");
            let text = if self.version.family == Family::Sec { format!("CLOCK: {text}") } else { text };
            self.log(host, &text);
        }
        let gated = self.version.has_poll_gates();
        let old = self.version.family == Family::Old;
        let discipline = &mut self.discipline;
        discipline.wander_ppm = average(discipline.wander_ppm, ppm - discipline.frequency_ppm);
        discipline.frequency_ppm = ppm.clamp(-MAX_FREQUENCY_PPM, MAX_FREQUENCY_PPM);
        if !old && discipline.clamped_s > 0 {
            discipline.counter = 0;
            discipline.gates = (host.seconds, host.seconds);
        } else if discipline.offset_s.abs() < GATE * discipline.jitter_s {
            discipline.counter += i64::from(discipline.poll);
            if discipline.counter > LIMIT {
                discipline.counter = LIMIT;
                if discipline.poll < maxpoll && (!gated || host.seconds >= discipline.gates.1) {
                    discipline.poll += 1;
                    discipline.counter = 0;
                }
            }
        } else {
            discipline.counter -= 2 * i64::from(discipline.poll);
            if discipline.counter < -LIMIT {
                discipline.counter = -LIMIT;
                if discipline.poll > minpoll && (!gated || host.seconds >= discipline.gates.0) {
                    discipline.poll -= 1;
                    discipline.counter = 0;
                }
            }
        }
        if discipline.poll != old_poll {
            let half = 1_i64 << (discipline.poll - 1).max(0);
            let low = host.seconds + half.max(60);
            discipline.gates = (low, low + half);
            let poll = discipline.poll;
            self.poll_update(host, index, poll);
        }
        self.record_loop(host);
    }

    /// The once-a-second work at the start of 4.2.7 and later: a thirty-second of the offset is slewed.
    pub(super) fn tick(&mut self, host: &mut Host<'_>) {
        if !self.ticks() {
            return;
        }
        let by_s = self.discipline.offset_s / (2.0 * PLL_GAIN);
        let by_s = by_s.clamp(-MAX_FREQUENCY_PPM * 1e-6, MAX_FREQUENCY_PPM * 1e-6);
        self.discipline.offset_s -= by_s;
        self.discipline.clamped_s -= 1;
        self.tell(host, Act::Slew { by_s, rate_ppm: ADJTIME_PPM });
    }

    /// Whether there is work once a second.
    pub(super) fn ticks(&self) -> bool {
        let discipline = &self.discipline;
        self.version.family != Family::Old && discipline.state == State::Sync && discipline.clamped_s > 0
    }
}

/// Root of the exponentially averaged square.
fn average(mean: f64, new: f64) -> f64 {
    (mean * mean + (new * new - mean * mean) / AVERAGE).sqrt()
}
