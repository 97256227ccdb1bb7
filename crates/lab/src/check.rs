//! Whether a world holds together: what its links, captures, faults and truth name is there.

use crate::causes;
use crate::sim::fault::host_of;
use crate::world::{Engine, What, World};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Lines that a world may have.
pub const MOST_LINES: usize = 60;
/// Kinds of places in a report.
const KINDS: [&str; 5] = ["client", "server", "device", "segment", "source"];
/// Directions of a segment in a report.
const DIRECTIONS: [&str; 3] = ["to-server", "to-client", "both"];

/// All that is wrong with a world, a sentence each.
#[must_use]
pub fn check(world: &World, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        wrong.push(format!("it has {lines} lines; {MOST_LINES} are enough"));
    }
    if world.engines.is_empty() {
        wrong.push("no engine can play it".into());
    }
    let all = [Engine::Sim, Engine::Netns].iter().all(|engine| world.engines.contains(engine));
    if all == world.unfit.is_some() {
        wrong.push("`unfit` says why one of the engines can't play it, and nothing else".into());
    }
    let names = Names::of(world);
    names.hosts(&mut wrong);
    names.links(&mut wrong);
    names.faults(&mut wrong);
    names.truth(&mut wrong);
    wrong
}

struct Names<'a> {
    world: &'a World,
    /// `c1.eth0`.
    interfaces: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl<'a> Names<'a> {
    fn of(world: &'a World) -> Names<'a> {
        let mut names = Names { world, interfaces: BTreeSet::new(), addresses: BTreeSet::new() };
        for (name, host) in &world.hosts {
            for (interface, addresses) in &host.addresses {
                names.interfaces.insert(format!("{name}.{interface}"));
                let each =
                    addresses.split_whitespace().filter_map(|text| text.split('/').next()?.parse::<IpAddr>().ok());
                names.addresses.extend(each);
            }
        }
        names
    }

    fn hosts(&self, wrong: &mut Vec<String>) {
        for (name, host) in &self.world.hosts {
            if let Some(gateway) = host.gateway.filter(|gateway| !self.addresses.contains(gateway)) {
                wrong.push(format!("{name}: nobody has the gateway's address {gateway}"));
            }
            if let Some(nat) = host.nat.as_ref().filter(|nat| !host.addresses.contains_key(&nat.out)) {
                wrong.push(format!("{name}: NAT goes out of {}, which it doesn't have", nat.out));
            }
            for source in host.daemon.iter().flat_map(|daemon| &daemon.asks) {
                let group = |serves: &crate::world::Serves| serves.broadcasts_to == Some(source.server);
                let mut daemons = self.world.hosts.values().filter_map(|host| host.daemon.as_ref());
                let is_group = daemons.any(|daemon| daemon.serves.as_ref().is_some_and(group));
                if !self.addresses.contains(&source.server) && !is_group {
                    wrong.push(format!("{name} asks {}, which nobody has", source.server));
                }
            }
        }
    }

    fn links(&self, wrong: &mut Vec<String>) {
        let mut joined = BTreeSet::new();
        for (name, link) in &self.world.links {
            for end in &link.joins {
                if !self.interfaces.contains(end) {
                    wrong.push(format!("link {name} joins {end}, which is not there"));
                }
                if !joined.insert(end) {
                    wrong.push(format!("{end} is joined twice"));
                }
            }
        }
        for alone in self.interfaces.iter().filter(|end| !joined.contains(end)) {
            wrong.push(format!("no link joins {alone}"));
        }
        for point in self.world.captures.iter().filter(|point| !self.interfaces.contains(*point)) {
            wrong.push(format!("a capture is at {point}, which is not there"));
        }
    }

    fn faults(&self, wrong: &mut Vec<String>) {
        let (hosts, links) = (&self.world.hosts, &self.world.links);
        for fault in &self.world.faults {
            let until = fault.until.unwrap_or(self.world.duration);
            let must_end = matches!(fault.what, What::Suspend { .. } | What::Migration { .. });
            if until <= fault.from || until > self.world.duration || must_end && fault.until.is_none() {
                wrong.push(format!("{:?} lasts from {} s until {} s", fault.what, fault.from.0, until.0));
            }
            let mut need = |there: bool, name: &str| {
                if !there {
                    wrong.push(format!("a fault is at {name}, which is not there"));
                }
            };
            match &fault.what {
                What::Loss { link, towards, .. } | What::Delay { link, towards, .. } => {
                    need(links.contains_key(link), link);
                    towards.iter().for_each(|host| need(hosts.contains_key(host), host));
                }
                What::Down { at } => need(links.contains_key(at) || hosts.contains_key(at), at),
                What::Leap { missed_by } => missed_by.iter().for_each(|host| need(hosts.contains_key(host), host)),
                of_a_host => host_of(of_a_host).iter().for_each(|host| need(hosts.contains_key(*host), host)),
            }
        }
    }

    fn truth(&self, wrong: &mut Vec<String>) {
        let truth = &self.world.truth;
        let ids = truth.causes.iter().map(|cause| &cause.cause);
        for id in ids.chain(&truth.accept).chain(&truth.undecided).chain(&truth.notes) {
            if causes::known(id).is_none() {
                wrong.push(format!("`{id}` is no cause that is listed"));
            }
        }
        let affected: BTreeSet<&String> = truth.causes.iter().flat_map(|cause| &cause.affected).collect();
        for name in affected.iter().copied().chain(&truth.healthy_hosts) {
            if !self.world.hosts.contains_key(name) {
                wrong.push(format!("the truth names the host {name}, which is not there"));
            }
        }
        for name in truth.healthy_hosts.iter().filter(|name| affected.contains(name)) {
            wrong.push(format!("{name} is affected, and healthy"));
        }
        for cause in &truth.causes {
            let id = &cause.cause;
            if !cause.place.contains_key("kind") {
                wrong.push(format!("{id}: its place has no kind"));
            }
            for (key, value) in &cause.place {
                let words = words(value);
                if words.is_empty() {
                    wrong.push(format!("{id}: {key} is neither a text nor a list of texts"));
                }
                for word in words.into_iter().filter(|word| !self.is_place(key, word)) {
                    wrong.push(format!("{id}: {key} can't be `{word}`"));
                }
            }
        }
    }

    /// Whether a report could say this of a place.
    fn is_place(&self, key: &str, word: &str) -> bool {
        let is_host = |name: &str| self.world.hosts.contains_key(name);
        match key {
            "kind" => KINDS.contains(&word),
            "direction" => DIRECTIONS.contains(&word),
            // The empty name: a place may also be unnamed.
            "host" => word.is_empty() || is_host(word) || self.is_address(word),
            "address" => self.is_address(word),
            "from" | "to" => is_host(word) || self.interfaces.iter().any(|end| end.replace('.', "_") == word),
            _ => false,
        }
    }

    fn is_address(&self, word: &str) -> bool {
        word.parse().is_ok_and(|address: IpAddr| self.addresses.contains(&address))
    }
}

/// The texts of a value: one, or a list.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        about = "nothing is wrong"
        duration = "60s"
        captures = ["c.eth0"]
        faults = [{ from = "10s", what = { kind = "loss", link = "lan", towards = "s", share = 0.5 } }]
        hosts.c = { addresses = { eth0 = "10.0.0.1/24" }, daemon = { is = "chrony 4.3", asks = [{ server = "10.0.0.2" }] } }
        hosts.s = { addresses = { eth0 = "10.0.0.2/24" }, daemon = { is = "chrony 4.3", serves = { stratum = 1 } } }
        links.lan = { joins = ["c.eth0", "s.eth0"] }
        truth.causes = [{ cause = "loss-on-segment", where = { kind = "segment", from = "c_eth0", to = "s" }, affected = ["c"] }]
    "#;

    fn wrong(text: &str) -> Vec<String> {
        check(&World::read(text).expect("a world"), text)
    }

    #[test]
    fn a_world_that_holds_together_passes() {
        assert_eq!(wrong(GOOD), [""; 0]);
    }

    #[test]
    fn what_is_not_there_is_told() {
        for (good, bad) in [
            (r#"captures = ["c.eth0"]"#, r#"captures = ["c.eth1"]"#),
            (r#"link = "lan""#, r#"link = "wan""#),
            (r#"towards = "s""#, r#"towards = "x""#),
            (r#"from = "10s""#, r#"from = "60s""#),
            (r#"server = "10.0.0.2""#, r#"server = "10.0.0.3""#),
            (r#"joins = ["c.eth0", "s.eth0"]"#, r#"joins = ["c.eth0"]"#),
            (r#"affected = ["c"]"#, r#"affected = ["d"]"#),
            ("loss-on-segment", "loss-on-moon"),
            (r#"kind = "segment""#, r#"kind = "planet""#),
            (r#"from = "c_eth0""#, r#"from = "c.eth0""#),
            (r#"duration = "60s""#, "duration = \"60s\"\nengines = [\"sim\"]"),
        ] {
            assert!(GOOD.contains(good), "{good}");
            assert_eq!(wrong(&GOOD.replace(good, bad)).len(), 1, "{bad}: {:?}", wrong(&GOOD.replace(good, bad)));
        }
    }

    #[test]
    fn a_world_is_short() {
        let long = GOOD.to_owned() + &"\n".repeat(60);
        assert_eq!(wrong(&long).len(), 1);
    }
}
