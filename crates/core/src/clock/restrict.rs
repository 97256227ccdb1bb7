//! Access lists that were to keep an address out and don't: lines that match nobody, or that the daemon does not know of.

use super::config::{Ntpd, Restricted, ntpd};
use super::hearing::Hearing;
use super::multicast::Speaker;
use super::{Case, Clocks};
use crate::diagnosis::Place;
use crate::model::{InputId, Origin};
use crate::rules::{Evidence, Finding, FindingId, Measure};
use crate::signs::Weighed;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Samples of an ignored address from which on its line is not at work.
const FEWEST: usize = 3;

/// They must reach into the last part of what the host says: before, the line may not have been there yet.
const LATE: f64 = 0.9;

/// Letters by which an address that was meant differs from one that was written.
const SLIPS: usize = 2;

/// A source that a host has heard: how often, and its last sample.
struct Source {
    n: usize,
    last: (Time, Origin),
}

impl Clocks<'_> {
    /// Cases of access lists without effect.
    pub(super) fn restrictions(&mut self, speakers: &[Speaker], hearings: &[Hearing]) -> Vec<Case> {
        let mut cases = Vec::new();
        for host in self.scene.hosts() {
            let inputs = self.scene.inputs_of(host);
            let said = ntpd(self.rules, &inputs);
            if !said.restricted.iter().any(|line| line.ignores && line.to.1 > 0) {
                continue;
            }
            let sources = self.sources_of(host, &inputs, hearings);
            let found = self.unmatched(host, &said, &sources, speakers).map(|id| ("ignores-nobody", id));
            let found = found.or_else(|| self.not_at_work(host, &said, &sources).map(|id| ("ignored-is-heard", id)));
            let Some((sign, found)) = found else { continue };
            let mut weighed = Weighed::new("configured", found);
            weighed.hold(sign, true, found);
            let (place, affected) = (Place::Client(host.to_owned()), BTreeSet::from([host.to_owned()]));
            cases.push(Case { weighed, place, affected, since: None, from_the_start: true, last: None });
        }
        cases
    }

    /// What a host's own statistics and records say of its sources.
    fn sources_of(&self, host: &str, inputs: &[InputId], hearings: &[Hearing]) -> BTreeMap<IpAddr, Source> {
        let mut sources: BTreeMap<IpAddr, Source> = BTreeMap::new();
        for (name, samples) in self.rules.series.sources(inputs) {
            if let (Ok(address), Some(last)) = (name.parse(), samples.last()) {
                sources.insert(address, Source { n: samples.len(), last: (last.time, last.origin) });
            }
        }
        let own = hearings.iter().filter(|hearing| hearing.own && hearing.host.as_deref() == Some(host));
        for (address, heard) in own.flat_map(|hearing| &hearing.senders) {
            let heard = Source { n: heard.n as usize, last: heard.last };
            sources.entry(*address).or_insert(heard);
        }
        sources
    }

    /// A line for one address that nobody has, where one of a server's other addresses goes on being heard.
    fn unmatched(
        &mut self,
        host: &str,
        said: &Ntpd,
        sources: &BTreeMap<IpAddr, Source>,
        speakers: &[Speaker],
    ) -> Option<FindingId> {
        let known = |address: IpAddr| {
            let asked = self.rules.loss.captured().any(|((server, client), _)| server == address || client == address);
            asked
                || sources.contains_key(&address)
                || self.scene.owner(address).is_some()
                || self.rules.senders.ways().any(|(way, _)| way.sender == address)
                || self.scene.hosts().iter().any(|host| {
                    let inputs = self.scene.inputs_of(host);
                    self.rules.series.sources(&inputs).contains_key(address.to_string().as_str())
                })
        };
        let heard = |speaker: &Speaker| -> Vec<IpAddr> {
            speaker.addresses.iter().copied().filter(|address| sources.contains_key(address)).collect()
        };
        let meant = |line: &Restricted| {
            let several = speakers.iter().map(heard).filter(|heard| heard.len() > 1);
            let slip = |address: &IpAddr| slips(&address.to_string(), &line.to.0.to_string()) <= SLIPS;
            several.flatten().find(slip)
        };
        let lines = said.restricted.iter().filter(|line| line.ignores && line.is_single() && !known(line.to.0));
        let (line, meant) = lines.filter_map(|line| Some((line, meant(line)?))).next()?;
        let source = sources.get(&meant)?;
        Some(self.findings.add(Finding {
            rule: "sources",
            subject: host.to_owned(),
            statement: format!(
                "{host} ignores {}, which nobody has and nothing came from; {meant}, which is spelled much like it, is \
                 heard all the same: {} samples",
                line.to.0, source.n
            ),
            measures: vec![
                ("ignored", Measure::Word(line.to.0.to_string())),
                ("meant", Measure::Word(meant.to_string())),
                ("samples", Measure::Number(source.n as f64)),
            ],
            evidence: Evidence::of([line.origin, source.last.1])?,
            recipe: Some("grep restrict ntp.conf; sort -u peerstats* | awk '{print $3}' | sort | uniq -c".into()),
        }))
    }

    /// A line that matches a source whose samples go on being taken to the end: the daemon does not know of it.
    fn not_at_work(&mut self, host: &str, said: &Ntpd, sources: &BTreeMap<IpAddr, Source>) -> Option<FindingId> {
        // With `restrict source` each association has a line of its own, which is narrower.
        if said.restricts_sources {
            return None;
        }
        let inputs = self.scene.inputs_of(host);
        let times = || inputs.iter().filter_map(|input| self.scene.inputs.get(input.0 as usize)?.span);
        let (first, last) = (times().map(|(first, _)| first).min()?, times().map(|(_, last)| last).max()?);
        let late = |source: &Source| source.last.0.since_s(first) >= LATE * last.since_s(first);
        let ignored = |address: IpAddr| said.decides(address).filter(|line| line.ignores && line.to.1 > 0);
        let heard = sources.iter().filter(|(_, source)| source.n >= FEWEST && late(source));
        let (address, source, line) =
            heard.filter_map(|(address, source)| Some((address, source, ignored(*address)?))).next()?;
        Some(self.findings.add(Finding {
            rule: "sources",
            subject: host.to_owned(),
            statement: format!(
                "{host} is configured to ignore {address}, and has taken {} samples of it, the last at {}: its daemon has not \
                 read that line",
                source.n, source.last.0
            ),
            measures: vec![("samples", Measure::Number(source.n as f64))],
            evidence: Evidence::of([line.origin, source.last.1])?,
            recipe: Some("grep restrict ntp.conf; sort -u peerstats* | awk '{print $3}' | sort | uniq -c".into()),
        }))
    }
}

/// Letters to change, add or leave out to make one word of another (Levenshtein).
fn slips(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = before + usize::from(from != *to);
            before = row[j + 1];
            row[j + 1] = cost.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        assert_eq!(slips("10.3.1.22", "10.3.1.2"), 1);
        assert_eq!(slips("10.4.0.2", "10.3.0.2"), 1);
        assert_eq!(slips("10.4.0.2", "192.168.7.9"), 7);
    }
}
