//! A world: hosts, links, faults, capture points, and the diagnosis that is true of it, as one short TOML file.
//!
//! Unknown keys are errors, so that a misspelt fault is not a healthy world. Times of day do not matter to a world;
//! durations and instants since its start are written `90s`, `15m`, `6h`, `3d`.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A world as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// What happens in it, in a sentence.
    pub about: String,
    /// How long it is played.
    pub duration: Span,
    /// The engines that can play it; the reason for each that can't stands in `unfit`.
    #[serde(default = "both")]
    pub engines: Vec<Engine>,
    /// Why the other engine can't play it.
    #[serde(default)]
    pub unfit: Option<String>,
    /// Hosts by name.
    pub hosts: BTreeMap<String, Host>,
    /// What joins them.
    pub links: BTreeMap<String, Link>,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Where packets are captured: `c1.eth0`.
    #[serde(default)]
    pub captures: Vec<String>,
    /// What is true.
    #[serde(default)]
    pub truth: Truth,
}

/// Who plays a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The simulator, in virtual time
    Sim,
    /// Real daemons in network namespaces
    Netns,
}

fn both() -> Vec<Engine> {
    vec![Engine::Sim, Engine::Netns]
}

/// A duration, or an instant since the start, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Span(pub f64);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let scale = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(serde::de::Error::custom(format!("`{text}` is not a time like 90s, 15m, 6h or 3d"))),
        };
        let number = text[..text.len() - unit.len()].parse::<f64>();
        number.map(|n| Span(n * scale)).map_err(|_| serde::de::Error::custom(format!("`{text}` has no number")))
    }
}

/// One machine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Address and prefix by interface: `{ eth0 = "10.1.0.11/24" }`; several are divided by blanks, the first is the one that
    /// routing prefers.
    pub addresses: BTreeMap<String, String>,
    /// The next router; none where all is on the link.
    pub gateway: Option<IpAddr>,
    /// How fast its clock runs.
    pub oscillator: Oscillator,
    /// How far the clock is ahead of true time at the start, in seconds.
    pub ahead_s: f64,
    /// Who else sets this clock.
    pub foreign: Option<Foreign>,
    /// The daemon that runs here, as client, server or both.
    pub daemon: Option<Daemon>,
    /// Whether it forwards between its interfaces.
    pub router: bool,
    /// How it rewrites sources.
    pub nat: Option<Nat>,
    /// What it does not let through (or in, on a host that is no router).
    pub filters: Vec<Filter>,
}

/// How far an oscillator's rate strays; in fractions of a second per second (1e-6 is 1 ppm).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oscillator {
    /// Constant error in parts per million; positive: the clock runs fast.
    pub ppm: f64,
    /// White frequency noise: Allan deviation at 1 s.
    pub white: f64,
    /// Flicker frequency noise: the floor of the Allan deviation.
    pub flicker: f64,
    /// Random walk of the frequency: its deviation after a second, per root second.
    pub walk: f64,
    /// A temperature's cycle: its amplitude in ppm.
    pub cycle_ppm: f64,
    /// The period of that cycle in hours; 24 where not said.
    pub cycle_h: Option<f64>,
    /// Timer ticks of 4 ms that the kernel loses in an hour, at random.
    pub lost_ticks_per_h: f64,
}

/// A foreign hand on a clock.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Foreign {
    /// The hypervisor pulls the guest's clock onto its own, which runs `host_ppm` fast; a step by the guest's daemon sets the
    /// hypervisor's clock too where `follows_steps` (Xen's dependent wallclock, seen from dom0).
    HostPull {
        /// How often.
        every: Span,
        /// The rate error of the hypervisor's clock, in ppm.
        host_ppm: f64,
        /// Whether a step by the daemon sets the hypervisor's clock too.
        #[serde(default)]
        follows_steps: bool,
    },
    /// Adjustments have no effect (a guest that may not set its clock, a container).
    Ignored,
    /// The hypervisor's tools move a clock that is behind forwards at once, and let one that is ahead be.
    OneSided {
        /// How often.
        every: Span,
        /// The rate error of the hypervisor's clock, in ppm.
        host_ppm: f64,
    },
    /// `ntpdate` from cron.
    Ntpdate {
        /// How often.
        every: Span,
        /// Whom it asks.
        server: IpAddr,
        /// How far that server is ahead of true time, in seconds.
        #[serde(default)]
        wrong_s: f64,
    },
    /// A second daemon, `systemd-timesyncd`: it gives the kernel its own offsets, and steps from 0.4 s on.
    Timesyncd {
        /// Its poll interval.
        every: Span,
        /// Whom it asks.
        server: IpAddr,
        /// How far that server is ahead of true time, in seconds.
        #[serde(default)]
        wrong_s: f64,
    },
    /// What the loop asks for is multiplied, or comes late: a wrong constant in the kernel.
    Loop {
        /// Times the gain that it should have.
        #[serde(default = "one")]
        gain: f64,
        /// Seconds until an adjustment works.
        #[serde(default)]
        lag: Span,
    },
}

fn one() -> f64 {
    1.0
}

/// A daemon.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Daemon {
    /// Name and version as it says them: `ntpd 4.2.6p5`, `ntpd 4.2.8p15`, `ntpsec 1.2.2`, `chrony 4.3`, `openntpd 6.2p3`.
    pub is: String,
    /// Whom it asks.
    #[serde(default)]
    pub asks: Vec<Source>,
    /// What it serves; nothing where it only asks.
    #[serde(default)]
    pub serves: Option<Serves>,
    /// Source port of its requests; where not said, the daemon's own habit (ntpd: 123; chrony: a new one for each).
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether it may set the clock.
    #[serde(default = "yes")]
    pub may_set: bool,
    /// When it is started; where not said, within the first second.
    #[serde(default)]
    pub starts: Option<Span>,
    /// Whether it writes statistics.
    #[serde(default = "yes")]
    pub statistics: bool,
    /// Further lines of its configuration, which have no effect.
    #[serde(default)]
    pub lines: Vec<String>,
}

fn yes() -> bool {
    true
}

/// One source of a daemon.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its address.
    pub server: IpAddr,
    /// log₂ seconds between polls at the least.
    #[serde(default = "six")]
    pub minpoll: i8,
    /// And at the most.
    #[serde(default = "ten")]
    pub maxpoll: i8,
    /// A burst at the start.
    #[serde(default)]
    pub iburst: bool,
    /// Length of requests in bytes, where longer than 48 (an extension field pads them).
    #[serde(default)]
    pub length: Option<u16>,
    /// Mode of the association: 3 asks a server, 1 a symmetric peer; 5 listens to a group, which is then the address.
    #[serde(default = "three")]
    pub mode: u8,
    /// Version of NTP.
    #[serde(default = "four")]
    pub version: u8,
}

fn three() -> u8 {
    3
}

fn four() -> u8 {
    4
}

fn six() -> i8 {
    6
}

fn ten() -> i8 {
    10
}

/// What a daemon serves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serves {
    /// Its stratum where it has a reference clock of its own, which is true but for `wrong_s` and `drift_ppm`; none where it
    /// serves what it asks.
    pub stratum: Option<u8>,
    /// The reference clock's name: `GPS`.
    pub refid: String,
    /// How far what it serves is ahead of true time, in seconds, and how that grows.
    pub wrong_s: f64,
    /// See `wrong_s`.
    pub drift_ppm: f64,
    /// Drops requests from source ports below this one without a word (ntp bug 2174: 123).
    pub drops_ports_below: Option<u16>,
    /// Answers only source port 123 or from 1024 up (ntpd 4.1.0).
    pub drops_reserved_ports: bool,
    /// Drops requests whose poll field is below this one (ntp bug 3870: 4).
    pub drops_poll_below: Option<i8>,
    /// Modes and versions that it does not answer.
    pub ignores_modes: Vec<u8>,
    /// See `ignores_modes`.
    pub ignores_versions: Vec<u8>,
    /// Networks that it does not answer, or with DENY where `kod`.
    pub denies: Vec<String>,
    /// Seconds between requests of one address that it answers on average, and at the least; faster ones are dropped, or get
    /// RATE where `kod`.
    pub limit: Option<Limit>,
    /// Whether it sends a kiss-o'-death.
    pub kod: bool,
    /// Answers from this address, whichever was asked.
    pub answers_from: Option<IpAddr>,
    /// Says that it is not synchronised.
    pub unsynchronised: bool,
    /// Neither announces nor inserts a leap second, but runs a second slow over the 24 hours around it.
    pub smears: bool,
    /// Seconds until it answers, more than it should need.
    pub slow: Span,
    /// Multicasts or broadcasts to this address, every 2^`broadcast_poll` s.
    pub broadcasts_to: Option<IpAddr>,
    /// See `broadcasts_to`.
    pub broadcast_poll: i8,
    /// Addresses that it also sends its broadcasts from, each with how often of a hundred.
    pub broadcasts_also_from: BTreeMap<IpAddr, f64>,
}

/// A rate limit, as ntpd's `discard`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Average spacing in seconds.
    pub average_s: f64,
    /// Least spacing in seconds.
    pub minimum_s: f64,
}

/// What joins interfaces: a switch or a cable.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Interfaces: `c1.eth0`.
    pub joins: Vec<String>,
    /// One-way delay in milliseconds.
    #[serde(default)]
    pub delay_ms: f64,
    /// Mean of what queueing adds, exponentially distributed, in milliseconds.
    #[serde(default)]
    pub jitter_ms: f64,
    /// Share of packets that it loses.
    #[serde(default)]
    pub loss: f64,
    /// Mean length of the runs in which it loses them; 1 is one by one.
    #[serde(default = "one")]
    pub loss_run: f64,
    /// Share of packets that come twice.
    #[serde(default)]
    pub duplicated: f64,
}

/// Source address translation, as Linux does it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nat {
    /// The interface whose address the packets get.
    pub out: String,
    /// Ports that it may choose from; where not said, those of the class of the original port.
    pub ports: Option<(u16, u16)>,
    /// `random`, `fully-random`: draws a port for every flow.
    pub random: bool,
    /// Kernels before 5.0 search from a rover that starts at this port, instead of a random one.
    pub rover: Option<u16>,
}

/// What a host drops.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Source ports that it drops: first and last.
    pub source_ports: Option<(u16, u16)>,
    /// Drops all source ports but these.
    pub only_source_ports: Option<(u16, u16)>,
    /// Drops UDP payloads longer than this, in bytes.
    pub longer_than: Option<u16>,
    /// Drops this traffic class.
    pub dscp: Option<u8>,
    /// Drops what has a TTL below this.
    pub ttl_below: Option<u8>,
    /// Drops what goes to this address.
    pub to: Option<IpAddr>,
    /// Says so with an ICMP error.
    pub rejects: bool,
}

/// What goes wrong, from then to then.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Since when.
    #[serde(default)]
    pub from: Span,
    /// Until when; the end of the world where not said.
    #[serde(default)]
    pub until: Option<Span>,
    /// What.
    pub what: What,
}

/// A fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum What {
    /// A link loses packets, of those that go to `towards` (all, where not said).
    Loss {
        /// The link.
        link: String,
        /// A host behind it; where it is a router, what passes it is meant too.
        towards: Option<String>,
        /// Share of packets.
        share: f64,
    },
    /// A link takes longer, for packets that go to `towards` (all, where not said).
    Delay {
        /// The link.
        link: String,
        /// A host behind it; where it is a router, what passes it is meant too.
        towards: Option<String>,
        /// More delay, in milliseconds.
        more_ms: f64,
        /// More queueing, in milliseconds.
        #[serde(default)]
        jitter_ms: f64,
    },
    /// A link or host is dead.
    Down {
        /// The link or host.
        at: String,
    },
    /// A daemon is paused, and then answers what has queued.
    Stall {
        /// The host.
        host: String,
    },
    /// A daemon is not running: the host answers with ICMP port unreachable.
    Stopped {
        /// The host.
        host: String,
    },
    /// A daemon is restarted.
    Restart {
        /// The host.
        host: String,
    },
    /// A machine sleeps until the fault ends; its real-time clock then tells it how long that was.
    Suspend {
        /// The host.
        host: String,
        /// How far that leaves the clock behind, in seconds.
        #[serde(default)]
        behind_s: f64,
    },
    /// A hypervisor pauses or moves a machine until the fault ends; its clock has stood still.
    Migration {
        /// The host.
        host: String,
        /// Parts per million by which its clock runs faster where it has come to.
        #[serde(default)]
        by_ppm: f64,
    },
    /// A host's clock is stepped from outside (a restored snapshot, an operator).
    Step {
        /// The host.
        host: String,
        /// Seconds forwards.
        by_s: f64,
    },
    /// An oscillator's rate jumps.
    Rate {
        /// The host.
        host: String,
        /// Parts per million more.
        by_ppm: f64,
    },
    /// What a server serves is wrong by so much.
    Wrong {
        /// The host.
        host: String,
        /// Seconds ahead.
        by_s: f64,
    },
    /// A server has more to do than it can: it answers late, and some requests never reach its daemon.
    Busy {
        /// The host.
        host: String,
        /// How late.
        slow: Span,
        /// Share of requests that are dropped.
        drops: f64,
    },
    /// A server says that it is not synchronised.
    Unsynchronised {
        /// The host.
        host: String,
    },
    /// Leap seconds: the sources announce and insert one at the end.
    Leap {
        /// The hosts that handle it wrongly.
        #[serde(default)]
        missed_by: Vec<String>,
    },
}

/// What is true of a world; the score compares.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Truth {
    /// What is wrong.
    pub causes: Vec<Cause>,
    /// Causes that may be named as well.
    pub accept: Vec<String>,
    /// Causes that the evidence can't decide.
    pub undecided: Vec<String>,
    /// Notes and risks that should be told.
    pub notes: Vec<String>,
    /// Hosts with which nothing is wrong.
    pub healthy_hosts: Vec<String>,
}

/// One true cause, in the words of the reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Its id.
    pub cause: String,
    /// Where it lies: `kind`, and `host`, `from`, `to` … as a report places it.
    #[serde(default, rename = "where")]
    pub place: BTreeMap<String, serde_json::Value>,
    /// The hosts that suffer.
    #[serde(default)]
    pub affected: Vec<String>,
}

impl World {
    /// Reads a world's file.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn read(text: &str) -> Result<World, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_short_and_strict() {
        let text = r#"
            about = "a router rewrites port 123 to 108, and the server drops it"
            duration = "210s"
            captures = ["c1.eth0", "sv.eth0"]
            hosts.c1 = { addresses = { eth0 = "10.1.0.11/24" }, gateway = "10.1.0.1", oscillator = { ppm = 12.0, walk = 1e-9 }, daemon = { is = "ntpsec 1.2.2", asks = [{ server = "10.2.0.2", minpoll = 3, maxpoll = 3, iburst = true }] } }
            hosts.rt = { addresses = { in0 = "10.1.0.1/24", out0 = "10.2.0.1/24" }, router = true, nat = { out = "out0", rover = 107 } }
            hosts.sv = { addresses = { eth0 = "10.2.0.2/24" }, foreign = { kind = "host-pull", every = "1h", host_ppm = 2.0 }, daemon = { is = "ntpd 4.2.6p5", serves = { stratum = 1, refid = "GPS", drops_ports_below = 123 } } }
            links.lan = { joins = ["c1.eth0", "rt.in0"], delay_ms = 0.1 }
            links.wan = { joins = ["rt.out0", "sv.eth0"], delay_ms = 2.0, jitter_ms = 0.1 }
            faults = [{ from = "1m", what = { kind = "loss", link = "wan", towards = "sv", share = 0.2 } }]
            truth.causes = [{ cause = "ntpd-low-source-port", where = { kind = "server", host = "sv" }, affected = ["c1"] }]
        "#;
        let world = World::read(text).expect("a world");
        assert_eq!((world.duration, world.faults[0].from, world.hosts.len()), (Span(210.0), Span(60.0), 3));
        assert!(matches!(world.faults[0].what, What::Loss { share: 0.2, .. }));
        let misspelt = text.replace("jitter_ms", "gitter_ms");
        assert!(World::read(&misspelt).is_err_and(|error| error.to_string().contains("gitter_ms")));
    }
}
