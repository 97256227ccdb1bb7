//! Whether daemons are configured to keep statistics: without, most of what is wrong can't be seen afterwards.

use super::config::ntpd;
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::model::{Daemon, Origin};
use crate::rules::{Evidence, Finding, Measure};
use crate::signs::Weighed;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Lines of `chrony.conf` that make it a client.
const ASKS: &[&str] = &["server", "pool", "peer"];

/// Lines that read other files.
const INCLUDES: &[&str] = &["includefile", "include", "confdir"];

/// Kinds of files that hold statistics.
const STATISTICS: &[&str] =
    &["loopstats", "peerstats", "rawstats", "tracking.log", "measurements.log", "statistics.log"];

impl Clocks<'_> {
    /// A case of all clients whose daemon keeps no statistics; all that is configured alike is told once.
    pub(super) fn statistics(&mut self) -> Option<Case> {
        let without: BTreeMap<String, Origin> =
            self.scene.hosts().into_iter().filter_map(|host| Some((host.to_owned(), self.keeps_none(host)?))).collect();
        let first = without.keys().next()?.clone();
        let names: Vec<&str> = without.keys().map(String::as_str).collect();
        let found = self.findings.add(Finding {
            rule: "config",
            subject: first.clone(),
            statement: format!("the configuration of {} enables no statistics, and there are none", names.join(", ")),
            measures: vec![("hosts", Measure::Number(names.len() as f64))],
            evidence: Evidence::of(without.values().copied())?,
            recipe: Some("grep -E '^(statistics|filegen|log) ' ntp.conf chrony.conf".into()),
        });
        let mut weighed = Weighed::new("configured", found);
        weighed.hold("statistics-not-configured", true, found);
        let affected = without.keys().cloned().collect();
        Some(Case { weighed, place: Place::Client(first), affected, since: None, from_the_start: true, last: None })
    }

    /// Where a client's configuration is that enables no statistics, if there are none.
    fn keeps_none(&self, host: &str) -> Option<Origin> {
        let inputs = self.scene.inputs_of(host);
        let kinds =
            || inputs.iter().filter_map(|input| self.scene.inputs.get(input.0 as usize)).map(|input| &input.kind);
        if kinds().any(|kind| STATISTICS.iter().any(|name| kind.contains(name))) {
            return None;
        }
        // What another file enables is not seen where that is not at hand.
        if self.rules.daemon.directives(&inputs).any(|line| INCLUDES.contains(&line.keyword.as_str())) {
            return None;
        }
        let said = ntpd(self.rules, &inputs);
        if said.is_client() {
            return said.origin.filter(|_| said.statistics.is_none());
        }
        let chrony = || self.rules.daemon.directives(&inputs).filter(|line| line.daemon == Daemon::Chrony);
        let is_clock = |to: &str| to.parse::<IpAddr>().is_ok_and(crate::scene::is_clock);
        let asks = chrony().find(|line| ASKS.contains(&line.keyword.as_str()) && !is_clock(&line.rest))?;
        // `logbanner`, `logchange` and `logdir` alone enable nothing.
        (!chrony().any(|line| line.keyword == "log")).then_some(asks.origin)
    }
}
