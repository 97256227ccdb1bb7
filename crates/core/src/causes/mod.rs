//! Causes: knowledge as data. One TOML file each, compiled in; to add one, write the file and add a line to [`FILES`].

use crate::signs::CLOCK_LOCI;
use crate::version::Version;
use serde::Deserialize;

/// The files, in the order of `CAUSES` ids in the documentation.
const FILES: &[(&str, &str)] = &[
    ("ntpd-low-source-port", include_str!("ntpd-low-source-port.toml")),
    ("ntpd-reserved-source-port", include_str!("ntpd-reserved-source-port.toml")),
    ("server-rate-limit", include_str!("server-rate-limit.toml")),
    ("server-access-list", include_str!("server-access-list.toml")),
    ("server-not-running", include_str!("server-not-running.toml")),
    ("server-unsynchronised", include_str!("server-unsynchronised.toml")),
    ("reply-from-other-address", include_str!("reply-from-other-address.toml")),
    ("network-outage", include_str!("network-outage.toml")),
    ("server-stalled", include_str!("server-stalled.toml")),
    ("late-replies", include_str!("late-replies.toml")),
    ("loss-on-segment", include_str!("loss-on-segment.toml")),
    ("drop-in-device", include_str!("drop-in-device.toml")),
    ("source-port-filter", include_str!("source-port-filter.toml")),
    ("size-filter", include_str!("size-filter.toml")),
    ("ntpd-short-poll-field", include_str!("ntpd-short-poll-field.toml")),
    ("server-ignores-mode", include_str!("server-ignores-mode.toml")),
    ("server-no-return-route", include_str!("server-no-return-route.toml")),
    ("server-overloaded", include_str!("server-overloaded.toml")),
    ("dscp-or-ttl-filter", include_str!("dscp-or-ttl-filter.toml")),
    ("nat-mapping-conflict", include_str!("nat-mapping-conflict.toml")),
    ("duplicated-packets", include_str!("duplicated-packets.toml")),
    ("client-not-polling", include_str!("client-not-polling.toml")),
    ("multicast-many-addresses", include_str!("multicast-many-addresses.toml")),
    ("multicast-route-missing", include_str!("multicast-route-missing.toml")),
    ("restrict-without-effect", include_str!("restrict-without-effect.toml")),
    ("statistics-off", include_str!("statistics-off.toml")),
    ("nat-port-rewrite", include_str!("nat-port-rewrite.toml")),
    ("second-discipline", include_str!("second-discipline.toml")),
    ("unstable-discipline", include_str!("unstable-discipline.toml")),
    ("unstable-oscillator", include_str!("unstable-oscillator.toml")),
    ("frequency-jump", include_str!("frequency-jump.toml")),
    ("adjustments-ignored", include_str!("adjustments-ignored.toml")),
    ("frequency-out-of-range", include_str!("frequency-out-of-range.toml")),
    ("temperature-cycle", include_str!("temperature-cycle.toml")),
    ("daemon-restarted", include_str!("daemon-restarted.toml")),
    ("clock-stepped", include_str!("clock-stepped.toml")),
    ("path-asymmetry", include_str!("path-asymmetry.toml")),
    ("route-change", include_str!("route-change.toml")),
    ("congestion", include_str!("congestion.toml")),
    ("falseticker", include_str!("falseticker.toml")),
    ("server-stepped", include_str!("server-stepped.toml")),
    ("leap-second", include_str!("leap-second.toml")),
    ("leap-smear-mix", include_str!("leap-smear-mix.toml")),
    ("era-or-rollover", include_str!("era-or-rollover.toml")),
    ("local-clock-served", include_str!("local-clock-served.toml")),
    ("common-upstream", include_str!("common-upstream.toml")),
    ("sources-disagree", include_str!("sources-disagree.toml")),
    ("sync-loop", include_str!("sync-loop.toml")),
    ("too-few-sources", include_str!("too-few-sources.toml")),
];

/// What a diagnosis of this cause means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It harms a clock or loses answers now.
    Fault,
    /// It may at any time.
    Risk,
    /// It is worth knowing.
    Note,
}

/// A known cause.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Its name, which never changes its meaning.
    pub id: String,
    /// Whether it is a fault, a risk or a note.
    pub kind: Kind,
    /// One sentence: what is wrong. `{server}` and the like are filled in.
    pub title: String,
    /// A page: how it comes about, what it looks like.
    pub page: String,
    /// Log odds before any sign, against an unknown cause.
    #[serde(default)]
    pub prior: f64,
    /// The places of a symptom that it can explain: [`crate::signs::LOCI`].
    #[serde(default)]
    pub explains: Vec<String>,
    /// What speaks for it and against it.
    #[serde(default, rename = "sign")]
    pub signs: Vec<Weight>,
    /// Versions that have it.
    #[serde(default, rename = "version")]
    pub versions: Vec<Range>,
    /// Whether a NAT that rewrites source ports brings it about.
    #[serde(default)]
    pub provoked_by_nat: bool,
    /// What mends it, best first.
    pub remedy: Vec<String>,
    /// Commands that confirm it.
    #[serde(default)]
    pub confirm: Vec<String>,
    /// The evidence that would decide where it is undecided.
    #[serde(default)]
    pub needs: String,
    /// Where it is documented.
    pub sources: Vec<String>,
}

impl Cause {
    /// Whether it can be why a clock is wrong though answers come.
    #[must_use]
    pub fn explains_clocks(&self) -> bool {
        self.explains.iter().any(|locus| CLOCK_LOCI.contains(&locus.as_str()))
    }

    /// Whether it can be why requests get no good answer.
    #[must_use]
    pub fn explains_losses(&self) -> bool {
        let losses = |locus: &String| !matches!(locus.as_str(), "unasked" | "doubled");
        !self.explains_clocks() && self.explains.iter().any(losses)
    }
}

/// How much a sign weighs, in log odds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The sign: [`crate::signs::SIGNS`].
    pub name: String,
    /// Added where the sign holds.
    #[serde(default)]
    pub holds: f64,
    /// Added where it could be seen that it does not.
    #[serde(default)]
    pub fails: f64,
}

/// A range of versions, both ends included.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// `ntpd`, `ntpsec` or `chrony`.
    pub product: String,
    /// First version that has it.
    pub from: String,
    /// Last version that has it.
    pub to: String,
    /// What a version string does not tell.
    #[serde(default)]
    pub note: String,
    /// Vendors' releases of versions in the range that carry the fix, each the first: `4.2.6p5-22.el7`.
    #[serde(default)]
    pub fixed: Vec<String>,
}

impl Range {
    /// Whether a version is in the range and not a vendor's release that is mended.
    #[must_use]
    pub fn holds(&self, version: &Version) -> bool {
        let mended = self.fixed.iter().any(|release| version.is_release_from(release));
        version.is_within(&self.product, &self.from, &self.to) && !mended
    }
}

/// A cause whose odds fall by this much through one sign could not have survived it: it is ruled out.
pub const DECISIVE: f64 = -5.0;

/// All causes.
///
/// # Panics
/// Where a compiled-in file is wrong; a test reads them all.
#[must_use]
pub fn all() -> Vec<Cause> {
    FILES
        .iter()
        .map(|(id, text)| match toml::from_str::<Cause>(text) {
            Ok(cause) => cause,
            Err(error) => panic!("causes/{id}.toml: {error}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signs::{LOCI, SIGNS};

    #[test]
    fn every_file_is_right_and_named_for_its_cause() {
        for (cause, (id, _)) in all().iter().zip(FILES) {
            assert_eq!(cause.id, *id);
            assert!(
                cause.explains.iter().all(|l| LOCI.contains(&l.as_str()) || CLOCK_LOCI.contains(&l.as_str())),
                "{id}: {:?}",
                cause.explains
            );
            for sign in &cause.signs {
                assert!(SIGNS.iter().any(|(name, _)| *name == sign.name), "{id}: unknown sign {}", sign.name);
                assert!(sign.holds != 0.0 || sign.fails != 0.0, "{id}: {} weighs nothing", sign.name);
            }
            assert!(!cause.remedy.is_empty() && !cause.sources.is_empty(), "{id}");
        }
    }

    #[test]
    fn every_sign_serves_some_cause() {
        let causes = all();
        for (name, _) in SIGNS {
            assert!(causes.iter().any(|c| c.signs.iter().any(|s| s.name == *name)), "{name} serves none");
        }
    }
}
