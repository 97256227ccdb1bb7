//! What a daemon and its host say to each other. A daemon acts on nothing but this: it never sees true time.

use crate::sim::chrony::Chronyd;
use crate::sim::ntpd::Ntpd;
use ntpscope_core::time::Time;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A UDP datagram, as it is on a wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Datagram {
    /// Who sends it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// UDP payload.
    pub payload: Vec<u8>,
}

/// What a daemon sees of its host when it is called.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The system clock, the one that is being disciplined.
    pub clock: Time,
    /// Seconds since the daemon started, by a clock that nobody sets (the kernel's monotonic clock).
    pub monotonic_s: f64,
}

/// What a daemon asks of its host.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Send this now. A source port of 0 asks for a new one.
    Send(Datagram),
    /// Call [`Daemon::wake`] with this token after so many seconds.
    Wake {
        /// Told back.
        token: u64,
        /// Seconds of the monotonic clock.
        after_s: f64,
    },
    /// Step the clock, by seconds (positive: forwards).
    Step(f64),
    /// Give the kernel's PLL an offset to amortise (`ntp_adjtime` with `MOD_OFFSET`): seconds, and its time constant, log₂ s.
    /// It also adjusts the kernel's frequency, as the kernel does.
    Offset {
        /// Seconds, reference − local.
        offset_s: f64,
        /// ntpd's `sys_poll`.
        constant: i8,
    },
    /// Set the kernel's frequency correction, ppm (positive: the clock is sped up).
    Frequency(f64),
    /// Slew by seconds at a rate (chronyd): so many ppm until done.
    Slew {
        /// Seconds forwards.
        by_s: f64,
        /// At how many ppm at the most.
        rate_ppm: f64,
    },
    /// Append a line to a file of the host: `stats/loopstats`, `chrony/tracking.log`, `ntpd.log`.
    Write {
        /// The file, below the host's folder.
        file: &'static str,
        /// The line, without its end.
        line: String,
    },
}

/// What a daemon tells those who ask it, when it serves what it itself asks (RFC 5905 §7.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct System {
    /// Leap indicator; 3 is not synchronised.
    pub leap: u8,
    /// Stratum, 16 where not synchronised.
    pub stratum: u8,
    /// Precision, log₂ s.
    pub precision: i8,
    /// Seconds to the root and back.
    pub root_delay_s: f64,
    /// Dispersion to the root, in seconds.
    pub root_dispersion_s: f64,
    /// Reference id as on the wire.
    pub refid: [u8; 4],
    /// When the clock was last set.
    pub reference: Time,
}

/// A daemon as a client; what it serves is the server's affair.
pub trait Daemon {
    /// It starts.
    fn start(&mut self, now: Now, acts: &mut Vec<Act>);
    /// A time that it asked for has come.
    fn wake(&mut self, token: u64, now: Now, acts: &mut Vec<Act>);
    /// A datagram has arrived, at `now`.
    fn receive(&mut self, datagram: &Datagram, now: Now, acts: &mut Vec<Act>);
    /// It is told to end (`SIGTERM`): what it still writes.
    fn stop(&mut self, _now: Now, _acts: &mut Vec<Act>) {}
    /// The kernel's frequency correction, ppm, is told before each call (`ntp_adjtime` returns it).
    fn kernel_frequency(&mut self, ppm: f64);
    /// What it would tell those who ask it.
    fn system(&self, now: Now) -> System;
    /// What it prints of itself when somebody asks (`ntpq -pn`, `rv`, `as`; `chronyc sources`, `tracking`, `ntpdata` …), as a
    /// text that `ntpscope` reads.
    fn status(&self, now: Now) -> String;
    /// Its configuration: name of the file and text.
    fn configuration(&self) -> (&'static str, String);
}

/// The daemon that a world names, `ntpd 4.2.6p5` or `chrony 4.3`, on a host with these addresses.
///
/// # Errors
/// Where the simulator has no such daemon.
pub fn daemon(
    is: &str,
    config: &crate::world::Daemon,
    addresses: &[IpAddr],
    seed: u64,
) -> anyhow::Result<Box<dyn Daemon>> {
    match is.split(' ').next() {
        Some("ntpd" | "ntpsec") => Ok(Box::new(Ntpd::new(config, addresses, seed)?)),
        Some("chrony") => Ok(Box::new(Chronyd::new(config, addresses, seed))),
        _ => anyhow::bail!("the simulator has no daemon `{is}`; it has ntpd, ntpsec and chrony"),
    }
}

/// The own address towards a server: the one whose kind it is and that shares the most leading bits with it.
#[must_use]
pub fn local_towards(addresses: &[IpAddr], server: IpAddr) -> IpAddr {
    let shared = |own: &IpAddr| match (own, server) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() as i32,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() as i32,
        _ => -1,
    };
    // The first of equals: it is the one that routing prefers.
    let best = addresses.iter().rev().max_by_key(|own| shared(own));
    best.copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
