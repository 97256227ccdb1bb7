//! One host under several names: its folder, what it calls itself, what logs call it, its addresses.

use super::Scene;
use crate::model::{InputId, Origin};
use crate::rules::Summaries;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Two names that are one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The host, by the name that the report uses.
    pub host: String,
    /// Its other name.
    pub name: String,
    /// What says so.
    pub why: String,
    /// Where it says so.
    pub origin: Option<Origin>,
}

/// Which names are one host, each with the name that it was joined to.
#[derive(Default)]
struct Names {
    /// Names of folders, each with the addresses that are known to be its host's.
    folders: BTreeMap<String, BTreeSet<IpAddr>>,
    parent: BTreeMap<String, String>,
    joins: Vec<Join>,
}

impl Names {
    /// The name that stands for all that `name` was joined to.
    fn root(&self, name: &str) -> String {
        let mut name = name;
        while let Some(parent) = self.parent.get(name) {
            name = parent;
        }
        name.to_owned()
    }

    /// Joins two names, unless they are one already; the name of a folder stays, of two the first that is no address.
    fn join(&mut self, host: &str, name: &str, why: &str, origin: Option<Origin>) {
        let (host, name) = (self.root(host), self.root(name));
        if host == name {
            return;
        }
        let (keep, lose) = match (self.folders.get(&host), self.folders.get(&name)) {
            // Clones bear one name: two folders are one host where they have an address in common.
            (Some(a), Some(b)) if a.is_disjoint(b) => return,
            (Some(_), Some(_)) if rank(&name) < rank(&host) => (name, host),
            (None, Some(_)) => (name, host),
            _ => (host, name),
        };
        let more = self.folders.get(&lose).cloned().unwrap_or_default();
        if let Some(addresses) = self.folders.get_mut(&keep) {
            addresses.extend(more);
        }
        self.joins.push(Join { host: keep.clone(), name: lose.clone(), why: why.to_owned(), origin });
        self.parent.insert(lose, keep);
    }
}

fn rank(name: &str) -> (bool, &str) {
    (name.parse::<IpAddr>().is_ok(), name)
}

impl Scene {
    /// Gives each host one name: that of its folder where it has one, else what it calls itself.
    ///
    /// `addresses` are those that are known to be a host's.
    pub(super) fn join(&mut self, rules: &Summaries, addresses: &[super::Own<'_>]) -> Vec<Join> {
        let hosts: BTreeSet<String> = self.inputs.iter().filter_map(|input| input.host.clone()).collect();
        let mut folders: BTreeMap<String, BTreeSet<IpAddr>> =
            hosts.iter().map(|host| (host.clone(), host.parse().into_iter().collect())).collect();
        for (input, address, ..) in addresses {
            let own = self.host_of_input(*input).and_then(|host| folders.get_mut(&host));
            own.into_iter().for_each(|own| {
                own.insert(*address);
            });
        }
        let mut names = Names { folders, ..Names::default() };
        for host in &hosts {
            let inputs: Vec<InputId> = self.inputs_of(host);
            let own: BTreeMap<&str, Origin> =
                inputs.iter().rev().flat_map(|input| rules.identity.own(*input)).collect();
            for (name, origin) in &own {
                names.join(host, name, "it calls itself so", Some(*origin));
            }
            // A log host's folder holds the lines of many.
            let said: BTreeMap<&str, Origin> =
                inputs.iter().rev().flat_map(|input| rules.identity.lines(*input)).collect();
            let own_log = |name| own.is_empty() || own.contains_key(name);
            if let (1, Some((name, origin))) = (said.len(), said.first_key_value().filter(|(name, _)| own_log(*name))) {
                names.join(host, name, "all lines of its logs name this host", Some(*origin));
            }
        }
        // Logs that stand in nobody's folder, of one host.
        for (number, input) in self.inputs.iter_mut().enumerate().filter(|(_, input)| input.host.is_none()) {
            let id = InputId(number as u32);
            let said: BTreeSet<&str> =
                rules.identity.own(id).chain(rules.identity.lines(id)).map(|(name, _)| name).collect();
            if let (1, Some(name)) = (said.len(), said.first()) {
                input.host = Some((*name).to_owned());
            }
        }
        let all: BTreeSet<String> =
            self.inputs.iter().filter_map(|input| input.host.clone()).chain(names.parent.keys().cloned()).collect();
        // `ntp1` and `ntp1.example.net`, where there is no other `ntp1.…`.
        let is_address = |name: &str| name.parse::<IpAddr>().is_ok();
        for name in all.iter().filter(|name| !name.contains('.')) {
            let mut full = all
                .iter()
                .filter(|full| !is_address(full) && full.split_once('.').is_some_and(|(first, _)| first == name));
            if let (Some(full), None) = (full.next(), full.next()) {
                names.join(name, full, "the same name with its domain", None);
            }
        }
        // A folder that is called for an address.
        for (input, address, why, origin) in addresses {
            let name = address.to_string();
            if let Some(host) = self.host_of_input(*input).filter(|_| all.contains(&name)) {
                names.join(&host, &name, why, Some(*origin));
            }
        }
        for input in &mut self.inputs {
            input.host = input.host.take().map(|host| names.root(&host));
        }
        for point in self.points.values_mut() {
            point.host = point.host.take().map(|host| names.root(&host));
        }
        let joins = std::mem::take(&mut names.joins);
        joins.into_iter().map(|join| Join { host: names.root(&join.host), ..join }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{At, Event, Place, Row, What};
    use crate::rules::{Material, Summary};
    use crate::scene::Input;

    /// Inputs of these hosts, each of which says the name and the address that it has, and is logged as `logged`.
    fn known(inputs: &[(&str, &str, &str, &str)]) -> Scene {
        let mut rules = Summaries::default();
        let mut scene = Scene::default();
        for ((host, name, address, logged), number) in inputs.iter().zip(0..) {
            scene.inputs.push(Input { host: (!host.is_empty()).then(|| (*host).into()), ..Input::default() });
            let origin = Origin { input: InputId(number), place: Place::Line(1) };
            let mut say = |host, what| {
                rules.fold(Material::Row(&Row::Event(Event { at: At { host, ..At::origin(origin) }, what })));
            };
            if !name.is_empty() {
                say("", What::Variable { association: "", name: "hostname", value: name });
            }
            if let Ok(address) = address.parse() {
                say("", What::Address { interface: "eth0", address, prefix: 24 });
            }
            say(logged, What::Gauge { of: "", name: "age_s", value: 1.0 });
        }
        scene.know(&rules);
        scene
    }

    fn hosts(inputs: &[(&str, &str, &str, &str)]) -> Vec<Option<String>> {
        known(inputs).inputs.into_iter().map(|input| input.host).collect()
    }

    #[test]
    fn folder_hostname_and_address_are_one_host() {
        let scene =
            known(&[("c1", "ntp-1", "192.0.2.1", ""), ("192.0.2.1", "", "", ""), ("", "", "", "ntp-1.example.net")]);
        assert!(scene.inputs.iter().all(|input| input.host.as_deref() == Some("c1")), "{:?}", scene.inputs);
        let joins: Vec<_> = scene.joins().iter().map(|join| (join.name.as_str(), join.why.as_str())).collect();
        let want = [
            ("ntp-1", "it calls itself so"),
            ("ntp-1.example.net", "the same name with its domain"),
            ("192.0.2.1", "an interface of it has this address"),
        ];
        assert_eq!(joins, want);
        assert_eq!(scene.name("192.0.2.1".parse().expect("an address")), "c1");
    }

    #[test]
    fn clones_and_log_hosts_are_not_joined() {
        let clones = [
            ("a", "vm", "", ""),
            ("b", "vm", "192.0.2.1", ""),
            ("d", "vm", "192.0.2.2", ""),
            ("10", "localhost", "", ""),
        ];
        assert_eq!(hosts(&clones), ["a", "b", "d", "10"].map(|host| Some(host.to_owned())));
        let bridge = known(&[("a", "", "192.0.2.17", ""), ("b", "", "192.0.2.17", "")]);
        assert_eq!(bridge.name("192.0.2.17".parse().expect("an address")), "192.0.2.17");
        let logs = [("logs", "", "", "x"), ("logs", "", "", "y"), ("", "", "", "x"), ("a", "one", "", "other")];
        assert_eq!(hosts(&logs), ["logs", "logs", "x", "a"].map(|host| Some(host.to_owned())));
        let twice = [("a", "vm", "192.0.2.1", ""), ("b", "vm", "192.0.2.1", ""), ("b", "", "192.0.2.77", "")];
        assert_eq!(hosts(&twice), ["a", "a", "a"].map(|host| Some(host.to_owned())));
    }
}
