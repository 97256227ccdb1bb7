//! Rule `sources`: whom a host follows, held against whom it was told to follow; and clients of a group who ignore one address.

use super::config::{Ntpd, Restricted, ntpd};
use super::hearing::Hearing;
use super::multicast::Speaker;
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::model::Origin;
use crate::rules::{Evidence, Finding, Measure};
use crate::scene::is_clock;
use crate::signs::Weighed;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Samples of a source from which on it is followed and no stray.
const FEWEST: usize = 3;

/// A sender that has less than this part of what the others have lacks some.
const LACKS: f64 = 0.9;

impl Clocks<'_> {
    /// Findings of sources that nobody configured, and of configured ones that were never heard.
    pub(super) fn configured(&mut self, hearings: &[Hearing]) {
        for host in self.scene.hosts() {
            let inputs = self.scene.inputs_of(host);
            let said = ntpd(self.rules, &inputs);
            let Some(asked) = addresses(&said) else { continue };
            let mut followed: BTreeMap<IpAddr, (usize, Origin)> = BTreeMap::new();
            for (name, samples) in self.rules.series.sources(&inputs) {
                let first = samples.first().map(|sample| sample.origin);
                if let (Ok(address), Some(origin)) = (name.parse::<IpAddr>(), first) {
                    followed.insert(address, (samples.len(), origin));
                }
            }
            followed.retain(|address, _| !is_clock(*address));
            if followed.is_empty() {
                continue;
            }
            // A capture may show what the statistics lack.
            let elsewhere = |address: &IpAddr| self.rules.loss.captured().any(|((server, _), _)| server == *address);
            let heard = hearings.iter().filter(|hearing| hearing.host.as_deref() == Some(host));
            let listens: BTreeSet<IpAddr> = heard.flat_map(|hearing| hearing.senders.keys().copied()).collect();
            let nobodys = followed.iter().filter(|(address, (n, _))| {
                *n >= FEWEST
                    && said.listens_to().is_none()
                    && !asked.contains_key(*address)
                    && !listens.contains(*address)
            });
            let nobodys: Vec<(String, Origin)> =
                nobodys.map(|(address, (n, at))| (format!("{n} samples of {address}"), *at)).collect();
            let silent = asked.iter().filter(|(address, _)| !followed.contains_key(*address) && !elsewhere(address));
            let silent: Vec<(String, Origin)> = silent.map(|(address, at)| (address.to_string(), *at)).collect();
            for (told, statement) in [
                (nobodys, format!("{host} follows sources that its configuration does not name")),
                (silent, format!("{host} is configured to ask servers of which it has no sample")),
            ] {
                let words: Vec<&str> = told.iter().map(|(words, _)| words.as_str()).collect();
                let Some(evidence) = Evidence::of(told.iter().map(|(_, origin)| *origin)) else { continue };
                self.findings.add(Finding {
                    rule: "sources",
                    subject: host.to_owned(),
                    statement: format!("{statement}: {}", words.join(", ")),
                    measures: vec![("sources", Measure::Number(words.len() as f64))],
                    evidence,
                    recipe: Some(
                        "grep -E '^(server|peer)' ntp.conf; sort -u peerstats* | awk '{print $3}' | sort | uniq -c"
                            .into(),
                    ),
                });
            }
        }
    }

    /// Clients that ignore one address of a group of which no capture shows it, while one of the senders lacks packets:
    /// they may come from there. Too little to claim, and worth to be looked at.
    pub(super) fn suspects(&mut self, speakers: &[Speaker], hearings: &[Hearing]) -> Vec<Case> {
        let mut cases: BTreeMap<IpAddr, Case> = BTreeMap::new();
        for hearing in hearings.iter().filter(|hearing| hearing.own) {
            let Some(host) = hearing.host.clone() else { continue };
            let said = ntpd(self.rules, &self.scene.inputs_of(&host));
            let Some(line) = ignored(&said, hearing, speakers) else { continue };
            let most = hearing.senders.values().map(|heard| heard.n).max().unwrap_or(0);
            let owner = self.scene.owner(line.to.0);
            let own = |address: &IpAddr| owner.is_none_or(|owner| self.scene.owner(*address) == Some(owner));
            let fewest = hearing.senders.iter().filter(|(address, _)| own(address)).min_by_key(|(_, heard)| heard.n);
            let Some((sender, heard)) = fewest.filter(|(_, heard)| (heard.n as f64) < LACKS * most as f64) else {
                continue;
            };
            let found = self.findings.add(Finding {
                rule: "sources",
                subject: host.clone(),
                statement: format!(
                    "{host} ignores {}, and has {} samples of {sender}, against up to {most} of the others: what is missing \
                     may come from there",
                    line.to.0, heard.n
                ),
                measures: vec![("samples", Measure::Number(heard.n as f64)), ("samples_other", Measure::Number(most as f64))],
                evidence: Evidence::at(line.origin),
                recipe: Some(hearing.recipe.clone()),
            });
            let case = cases.entry(*sender).or_insert_with(|| Case {
                weighed: Weighed::new("heard", found),
                place: Place::Server(self.scene.name(*sender), *sender),
                affected: BTreeSet::new(),
                since: None,
                from_the_start: true,
                last: None,
            });
            case.weighed.hold("ignored-by-clients", true, found);
        }
        cases.into_values().collect()
    }
}

/// The line by which a client of a group ignores a single address that no sender is known to have.
fn ignored<'a>(said: &'a Ntpd, hearing: &Hearing, speakers: &[Speaker]) -> Option<&'a Restricted> {
    let known = |address: IpAddr| {
        hearing.senders.contains_key(&address) || speakers.iter().any(|speaker| speaker.addresses.contains(&address))
    };
    said.restricted.iter().find(|line| line.ignores && line.is_single() && !known(line.to.0))
}

/// The addresses that a configuration asks; `None` where it has names or pools, which only the daemon resolves.
fn addresses(said: &Ntpd) -> Option<BTreeMap<IpAddr, Origin>> {
    let parsed = said.asked.iter().map(|(to, origin)| Some((to.parse::<IpAddr>().ok()?, *origin)));
    let asked = parsed.collect::<Option<BTreeMap<IpAddr, Origin>>>()?;
    Some(asked.into_iter().filter(|(address, _)| !is_clock(*address)).collect()).filter(|_| said.is_client())
}
