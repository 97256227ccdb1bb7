//! Which worlds the engine can play, and who plays each daemon of them: a real one, one that stands in for it, or the lab's own
//! server, where a quirk needs a daemon that Debian doesn't have.

use super::program::Kind;
use crate::sim::make::{Family, Make};
use crate::world::{self, Daemon, Engine, Serves, What, World};
use anyhow::{Context, Result, bail};

/// Length of a request with a key of MD5, the only longer one that Debian's daemons send by configuration.
pub const WITH_KEY: u16 = 68;
/// Plain length.
const PLAIN: u16 = 48;

/// Who plays a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A real daemon.
    Real(Kind),
    /// The lab's own server.
    Own,
}

/// Who plays the daemon of each host, in the order of their names; none where a host has none.
///
/// # Errors
/// Why the world can't be played.
pub fn cast(world: &World) -> Result<Vec<Option<Actor>>> {
    if !world.engines.contains(&Engine::Netns) {
        bail!("{}", world.unfit.as_deref().unwrap_or("it is not for namespaces"));
    }
    for fault in &world.faults {
        if let What::Step { .. }
        | What::Rate { .. }
        | What::Leap { .. }
        | What::Suspend { .. }
        | What::Migration { .. } = fault.what
        {
            bail!("namespaces share the machine's clock, which nobody may set: {:?}", fault.what);
        }
    }
    let one = |(name, host): (&String, &world::Host)| actor(world, name, host).with_context(|| format!("host {name}"));
    world.hosts.iter().map(one).collect()
}

fn actor(world: &World, name: &str, host: &world::Host) -> Result<Option<Actor>> {
    if host.ahead_s != 0.0 || host.foreign.is_some() {
        bail!("its clock would have to be set, and namespaces share the machine's");
    }
    let Some(daemon) = &host.daemon else { return Ok(None) };
    let make = Make::of(&daemon.is)?;
    let is_quirky = daemon.serves.as_ref().is_some_and(|serves| needs_own(&make, serves)) || is_disturbed(world, name);
    if daemon.asks.is_empty() {
        if daemon.serves.as_ref().is_some_and(|serves| serves.broadcasts_to.is_some()) {
            bail!("no daemon of Debian multicasts");
        }
        return Ok(daemon
            .serves
            .as_ref()
            .map(|_| if is_quirky { Actor::Own } else { Actor::Real(kind(&make, daemon)) }));
    }
    if is_quirky {
        bail!("a real daemon that asks has none of the quirks of what it serves");
    }
    for source in &daemon.asks {
        if source.mode == 5 {
            bail!("no daemon of Debian listens to multicasts");
        }
        if !matches!(source.length, None | Some(PLAIN | WITH_KEY)) {
            bail!("real requests have {PLAIN} bytes, or {WITH_KEY} with a key");
        }
    }
    let kind = kind(&make, daemon);
    match (kind, daemon.port) {
        (Kind::Chrony, _) | (Kind::Ntpsec, None | Some(123)) | (Kind::Openntpd, None) => Ok(Some(Actor::Real(kind))),
        (_, Some(port)) => bail!("{} can't be told to ask from port {port}", daemon.is),
    }
}

/// Which real daemon plays one: of its own family, or NTPsec's for those that Debian no longer has. It has no symmetric mode any
/// more, which chronyd has.
fn kind(make: &Make, daemon: &Daemon) -> Kind {
    match make.family {
        Family::Classic | Family::Ntpsec if daemon.asks.iter().any(|source| source.mode == 1) => Kind::Chrony,
        Family::Classic | Family::Ntpsec => Kind::Ntpsec,
        Family::Chrony => Kind::Chrony,
        Family::Openntpd => Kind::Openntpd,
    }
}

/// Whether what is served takes a daemon that Debian doesn't have.
fn needs_own(make: &Make, serves: &Serves) -> bool {
    // OpenNTPD serves only once it is synchronised, and knows no local clock.
    !matches!(make.family, Family::Chrony | Family::Ntpsec)
        || serves.stratum.is_none()
        || serves.wrong_s != 0.0
        || serves.drift_ppm != 0.0
        || serves.drops_ports_below.is_some()
        || serves.drops_reserved_ports
        || serves.drops_poll_below.is_some()
        || !serves.ignores_modes.is_empty()
        || !serves.ignores_versions.is_empty()
        || serves.limit.is_some()
        || serves.kod
        || serves.answers_from.is_some()
        || serves.unsynchronised
        || serves.slow.0 > 0.0
}

/// Whether a fault makes a server do what no real one can be made to do.
fn is_disturbed(world: &World, name: &str) -> bool {
    world.faults.iter().any(|fault| match &fault.what {
        What::Busy { host, .. } | What::Wrong { host, .. } | What::Unsynchronised { host } => host == name,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORY: &str = include_str!("../../../../stories/2-latent-port-108/world.toml");

    fn cast_of(text: &str) -> Result<Vec<Option<Actor>>> {
        cast(&World::read(text).expect("a world"))
    }

    #[test]
    fn old_daemons_have_stand_ins() {
        let (sec, chrony) = (Some(Actor::Real(Kind::Ntpsec)), Some(Actor::Real(Kind::Chrony)));
        let hosts = cast_of(STORY).expect("it can be played");
        assert_eq!(hosts, [sec, chrony, sec, None, Some(Actor::Own)]);
        let modern = STORY.replace("ntpd 4.2.7p273", "chrony 4.3").replace(", drops_ports_below = 123", "");
        assert_eq!(cast_of(&modern).expect("it can be played")[4], chrony);
        let busy = "\nfaults = [{ what = { kind = \"busy\", host = \"sv\", slow = \"1s\", drops = 0.1 } }]\n";
        let busy = modern.replacen('\n', busy, 1);
        assert_eq!(cast_of(&busy).expect("it can be played")[4], Some(Actor::Own));
    }

    #[test]
    fn clocks_are_for_the_simulator() {
        for (with, why) in [
            ("faults = [{ what = { kind = \"step\", host = \"c1\", by_s = 1.0 } }]", "clock"),
            ("engines = [\"sim\"]\nunfit = \"too long\"", "too long"),
            ("hosts.x = { ahead_s = 1.0 }", "clock"),
        ] {
            let error = cast_of(&STORY.replacen('\n', &format!("\n{with}\n"), 1)).expect_err(with);
            assert!(format!("{error:#}").contains(why), "{error:#}");
        }
    }
}
