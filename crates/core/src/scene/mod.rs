//! Who is who: the inputs, the hosts that they belong to, the capture points, the addresses.
//!
//! A host is the innermost folder that holds its files, or what stands above a system's own tree; a folder that only
//! sorts files by kind is no host. A capture
//! point is its file's stem, and belongs to the host before its last `_` where such a host exists. Addresses are
//! joined to hosts by what the evidence itself says, and each join keeps its reason.

mod joins;
mod path;

pub use joins::Join;
pub use path::{host_of, in_tree, point_of};

use crate::exchange::{PointId, Points};
use crate::model::{InputId, Origin, Reject};
use crate::rules::Summaries;
use crate::rules::path::Routes;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Rejects of one input that are kept whole; the others are counted.
pub const MOST_REJECTS: usize = 20;

/// One file of evidence.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Its path below what was given.
    pub name: String,
    /// What it was found to be: `pcap`, `ntpq -p` …; empty where nothing in it is known.
    pub kind: String,
    /// The host it belongs to.
    pub host: Option<String>,
    /// Lines or frames.
    pub units: u64,
    /// Rows that they gave.
    pub rows: u64,
    /// Lines or frames that were not understood.
    pub rejected: u64,
    /// The first of those.
    pub rejects: Vec<Reject>,
    /// Why it could not be read (to its end).
    pub trouble: Option<String>,
    /// First and last stamp in it.
    pub span: Option<(Time, Time)>,
}

impl Input {
    /// Counts a reject, and keeps it while there are few.
    pub fn reject(&mut self, reject: Reject) {
        self.rejected += 1;
        if self.rejects.len() < MOST_REJECTS {
            self.rejects.push(reject);
        }
    }
}

/// One capture point.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name: the capture's stem, with the interface where a capture has several.
    pub name: String,
    /// The host it is on.
    pub host: Option<String>,
    /// The capture.
    pub input: InputId,
}

/// Why an address is a host's.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The host.
    pub host: String,
    /// What says so.
    pub why: String,
    /// Where it says so.
    pub origin: Option<Origin>,
}

/// An address that an input says is its host's own, what says so, and where.
type Own<'a> = (InputId, IpAddr, &'a str, Origin);

/// The inputs, points, hosts and addresses of one diagnosis.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// By [`InputId`].
    pub inputs: Vec<Input>,
    points: BTreeMap<PointId, Point>,
    addresses: BTreeMap<IpAddr, Claim>,
    routers: BTreeSet<String>,
    daemons: BTreeSet<String>,
    joins: Vec<Join>,
}

impl Scene {
    /// Of these inputs, by [`InputId`]; nothing is known of them yet.
    #[must_use]
    pub fn of(inputs: Vec<Input>) -> Scene {
        Scene { inputs, ..Scene::default() }
    }

    /// Places the points, and gives each to the host that its name begins with, or else to that of its folder.
    pub fn place(&mut self, points: impl IntoIterator<Item = (PointId, Point)>) {
        self.points = points.into_iter().collect();
        let prefix = |name: &str| name.rsplit_once('_').map(|(host, _)| host.to_owned());
        let mut known: BTreeSet<String> = self.inputs.iter().filter_map(|i| i.host.clone()).collect();
        // Two captures that share the beginning of their names are two interfaces of one host.
        let mut once = BTreeSet::new();
        let interface = |name: &&Point| name.name.rsplit_once('_').is_some_and(|(_, last)| path::is_interface(last));
        for host in self.points.values().filter(interface).filter_map(|p| prefix(&p.name)) {
            if !once.insert(host.clone()) {
                known.insert(host);
            }
        }
        // A folder of captures of all hosts is no host, though it stands in one that might be.
        for point in self.points.values_mut() {
            point.host = prefix(&point.name).filter(|host| known.contains(host)).or(point.host.take());
        }
    }

    /// Joins names and addresses to hosts: by what hosts and daemons say of themselves, then by where captures stand.
    pub fn learn(&mut self, rules: &Summaries, routes: &Routes) {
        self.know(rules);
        for input in rules.nat.routers() {
            self.routers.extend(self.host_of_input(input));
        }
        let mut interfaces: BTreeMap<&str, usize> = BTreeMap::new();
        for host in self.points.values().filter_map(|p| p.host.as_deref()) {
            *interfaces.entry(host).or_default() += 1;
        }
        let forwarding = interfaces.into_iter().filter(|(_, n)| *n > 1).map(|(host, _)| host.to_owned());
        self.routers.extend(forwarding.collect::<Vec<_>>());
        for (input, _) in rules.daemon.iter().filter(|(_, said)| said.counts_requests()) {
            self.daemons.extend(self.host_of_input(input));
        }
        for server in routes.servers() {
            for (client, route) in routes.to(server) {
                let ends = [(route.first(), client, "requests start"), (route.last(), server, "requests end")];
                for (point, address, what) in ends {
                    let Some(point) = point.filter(|_| route.len() > 1) else { continue };
                    let Some(host) = self.host_of_point(*point).filter(|h| !self.routers.contains(*h)) else {
                        continue;
                    };
                    let why = format!("{what} at its capture {}", self.point_name(*point));
                    self.claim(address, host.to_owned(), why, None);
                }
            }
        }
        self.claim_by_elimination(rules, routes);
    }

    /// Where one server is asked of which no host is known, and one host counts requests of which no address is known.
    fn claim_by_elimination(&mut self, rules: &Summaries, routes: &Routes) {
        let told = rules.account.inputs().collect::<Vec<_>>();
        let told = rules.account.sources(&told).into_iter().filter_map(|source| source.parse().ok());
        let mut servers: BTreeSet<IpAddr> = routes.servers().into_iter().chain(told).collect();
        servers.retain(|server| !self.addresses.contains_key(server) && !is_clock(*server));
        let known: BTreeSet<&str> = self.addresses.values().map(|claim| claim.host.as_str()).collect();
        let hosts: Vec<&String> = self.daemons.iter().filter(|host| !known.contains(host.as_str())).collect();
        if let (1, Some(server), [host]) = (servers.len(), servers.first(), hosts.as_slice()) {
            let (server, host) = (*server, (*host).clone());
            let why = "the only server that is asked, and the only host without an address that counts requests";
            self.claim(server, host, why.into(), None);
        }
    }

    /// Gives each host one name, and the addresses that the host itself says are its own.
    pub fn know(&mut self, rules: &Summaries) {
        let mut own: Vec<Own<'_>> = Vec::new();
        for (input, said) in rules.daemon.iter() {
            let usable = |a: &IpAddr| !a.is_loopback() && !a.is_unspecified();
            let parsed =
                said.own_addresses().filter_map(|(text, origin)| Some((text.parse().ok().filter(usable)?, origin)));
            own.extend(parsed.map(|(address, origin)| (input, address, "its daemon uses this address", origin)));
        }
        let addresses = rules.identity.addresses();
        own.extend(
            addresses.map(|(input, address, origin)| (input, address, "an interface of it has this address", origin)),
        );
        self.joins = self.join(rules, &own);
        // An address that several hosts have (of a bridge for containers, or one that moves) tells nothing.
        let mut owners: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
        for (input, address, ..) in &own {
            owners.entry(*address).or_default().extend(self.host_of_input(*input));
        }
        for (input, address, why, origin) in own {
            let only = owners.get(&address).is_some_and(|hosts| hosts.len() == 1);
            if let Some(host) = self.host_of_input(input).filter(|_| only) {
                self.claim(address, host, why.into(), Some(origin));
            }
        }
    }

    /// What a host is called in reports, whatever the evidence calls it.
    #[must_use]
    pub fn called(&self, name: &str) -> String {
        let join = self.joins.iter().find(|join| join.name == name);
        join.map_or(name, |join| join.host.as_str()).to_owned()
    }

    /// Which names are one host, and why.
    #[must_use]
    pub fn joins(&self) -> &[Join] {
        &self.joins
    }

    fn claim(&mut self, address: IpAddr, host: String, why: String, origin: Option<Origin>) {
        self.addresses.entry(address).or_insert(Claim { host, why, origin });
    }

    /// The host that an input belongs to.
    #[must_use]
    pub fn host_of_input(&self, input: InputId) -> Option<String> {
        self.inputs.get(input.0 as usize)?.host.clone()
    }

    /// The host that a point is on.
    #[must_use]
    pub fn host_of_point(&self, point: PointId) -> Option<&str> {
        self.point(point)?.host.as_deref()
    }

    fn point(&self, point: PointId) -> Option<&Point> {
        self.points.get(&PointId(point.0 & 63))
    }

    /// A point's name; the twin after forwarding says so.
    #[must_use]
    pub fn point_name(&self, point: PointId) -> String {
        let name = self.point(point).map_or_else(|| format!("point {}", point.0), |p| p.name.clone());
        if point == point.after() { format!("{name} (after forwarding)") } else { name }
    }

    /// All points, by number.
    pub fn points(&self) -> impl Iterator<Item = (PointId, &Point)> {
        self.points.iter().map(|(id, point)| (*id, point))
    }

    /// The names of a set of points.
    #[must_use]
    pub fn names(&self, points: Points) -> Vec<String> {
        points.iter().map(|point| self.point_name(point)).collect()
    }

    /// Whether two points are on one host.
    #[must_use]
    pub fn same_host(&self, a: PointId, b: PointId) -> bool {
        a.after() == b.after() || (self.host_of_point(a).is_some() && self.host_of_point(a) == self.host_of_point(b))
    }

    /// Whether `point` is the server's own capture and not one further off.
    #[must_use]
    pub fn is_at_server(&self, point: PointId, server: IpAddr) -> bool {
        let host = self.host_of_point(point);
        match (host, self.addresses.get(&server)) {
            (Some(host), Some(claim)) => claim.host == host,
            // A capture of its own beyond another host's, and on no router: it was put there to watch the server.
            (None, None) => self.points.len() > 1 && point != point.after(),
            _ => false,
        }
    }

    /// An address of a host: one that is known, or else one that stands for it (in 0.0.0.0/8, which no packet has).
    pub fn address_of(&mut self, host: &str) -> IpAddr {
        if let Some((address, _)) = self.addresses.iter().find(|(_, claim)| claim.host == host) {
            return *address;
        }
        let taken = self.addresses.keys().filter(|address| is_stand_in(**address)).count() as u32;
        let address = IpAddr::from(std::net::Ipv4Addr::from_bits(taken + 1));
        self.claim(address, host.to_owned(), "no address of it is known".into(), None);
        address
    }

    /// What a report calls the owner of an address: its host, else the address itself.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> String {
        self.addresses.get(&address).map_or_else(|| address.to_string(), |claim| claim.host.clone())
    }

    /// The host that has an address, where one is known.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Option<&str> {
        self.addresses.get(&address).map(|claim| claim.host.as_str())
    }

    /// `c3 (10.1.0.13)`, or the address alone.
    #[must_use]
    pub fn full_name(&self, address: IpAddr) -> String {
        match self.addresses.get(&address) {
            Some(claim) if is_stand_in(address) => claim.host.clone(),
            Some(claim) => format!("{} ({address})", claim.host),
            None => address.to_string(),
        }
    }

    /// Which address belongs to whom, and why.
    pub fn claims(&self) -> impl Iterator<Item = (IpAddr, &Claim)> {
        let real = self.addresses.iter().filter(|(address, _)| !is_stand_in(**address));
        real.map(|(address, claim)| (*address, claim))
    }

    /// All hosts that inputs belong to.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<&str> {
        self.inputs.iter().filter_map(|input| input.host.as_deref()).collect()
    }

    /// The inputs that belong to a host.
    #[must_use]
    pub fn inputs_of(&self, host: &str) -> Vec<InputId> {
        let own = |(_, input): &(usize, &Input)| input.host.as_deref() == Some(host);
        self.inputs.iter().enumerate().filter(own).map(|(i, _)| InputId(i as u32)).collect()
    }

    /// Whether a host is a router: it tracks flows, rewrites, or was captured on two interfaces.
    #[must_use]
    pub fn is_router(&self, host: &str) -> bool {
        self.routers.contains(host)
    }

    /// All hosts whose daemon says what it counts.
    pub fn daemons(&self) -> impl Iterator<Item = &str> {
        self.daemons.iter().map(String::as_str)
    }

    /// All routers that are known.
    pub fn routers(&self) -> impl Iterator<Item = &str> {
        self.routers.iter().map(String::as_str)
    }

    /// Whether a host runs a daemon that says what it counts.
    #[must_use]
    pub fn has_daemon(&self, host: &str) -> bool {
        self.daemons.contains(host)
    }

    /// An input's name.
    #[must_use]
    pub fn input_name(&self, input: InputId) -> &str {
        self.inputs.get(input.0 as usize).map_or("?", |i| i.name.as_str())
    }

    /// `sv/status-end.txt:12`, or `rt_in0.pcap frame 5`.
    #[must_use]
    pub fn locate(&self, origin: Origin) -> String {
        use crate::model::Place;
        match origin.place {
            Place::Line(line) => format!("{}:{line}", self.input_name(origin.input)),
            Place::Frame(frame) => format!("{} frame {frame}", self.input_name(origin.input)),
        }
    }
}

/// Whether an address is one of ntpd's reference clocks (127.127.0.0/16).
#[must_use]
pub fn is_clock(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[..2] == [127, 127])
}

/// Whether an address stands for a host of which none is known.
fn is_stand_in(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[0] == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_belongs_to_the_host_that_its_name_begins_with() {
        let mut scene =
            Scene { inputs: vec![Input { host: Some("c1".into()), ..Input::default() }], ..Scene::default() };
        let point = |name: &str| Point { name: name.into(), host: None, input: InputId(0) };
        scene.place((0..).map(PointId).zip(["c1_eth0", "rt_in0", "rt_out0", "sv_eth0"].map(point)));
        assert_eq!([0, 1, 3].map(|p| scene.host_of_point(PointId(p))), [Some("c1"), Some("rt"), None]);
        assert!(scene.same_host(PointId(1), PointId(2)) && !scene.same_host(PointId(0), PointId(1)));
    }
}
