//! Who is joined to whom: interfaces, their addresses and links, and the way from a host to an address.

use super::seed;
use crate::world::World;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

/// An interface of a host, by their numbers.
pub type End = (usize, usize);

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// Addresses and lengths of their prefixes, the preferred one first.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The link that it is on.
    pub link: Option<usize>,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// All hosts' interfaces, in the order of the world's names.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Names of hosts.
    pub names: Vec<String>,
    /// Interfaces of each host.
    pub interfaces: Vec<Vec<Interface>>,
    /// Names of links.
    pub links: Vec<String>,
    ends: Vec<Vec<End>>,
    owners: HashMap<IpAddr, End>,
    gateways: Vec<Option<IpAddr>>,
    routers: Vec<bool>,
    /// The interface towards the outside of each NAT.
    outsides: Vec<Option<usize>>,
}

impl Wiring {
    /// The wiring of a world.
    ///
    /// # Errors
    /// An address or interface that can't be, or that nothing has.
    pub fn new(world: &World, seed: u64) -> Result<Wiring> {
        let mut wiring = Wiring {
            names: world.hosts.keys().cloned().collect(),
            interfaces: Vec::new(),
            links: world.links.keys().cloned().collect(),
            ends: Vec::new(),
            owners: HashMap::new(),
            gateways: world.hosts.values().map(|host| host.gateway).collect(),
            routers: world.hosts.values().map(|host| host.router || host.nat.is_some()).collect(),
            outsides: Vec::new(),
        };
        for (number, (name, host)) in world.hosts.iter().enumerate() {
            let mut interfaces = Vec::new();
            for (at, (interface, text)) in host.addresses.iter().enumerate() {
                let addresses = text.split_whitespace().map(address).collect::<Result<Vec<_>>>();
                let addresses = addresses.with_context(|| format!("{name}.{interface}"))?;
                for (address, _) in &addresses {
                    if wiring.owners.insert(*address, (number, at)).is_some() {
                        bail!("{name}.{interface}: {address} is another interface's too");
                    }
                }
                let mac = seed::number(seed, &format!("{name}.{interface}")).to_be_bytes();
                // Locally administered, for one station.
                let mac = [mac[0] & 0xfc | 2, mac[1], mac[2], mac[3], mac[4], mac[5]];
                interfaces.push(Interface { name: interface.clone(), addresses, link: None, mac });
            }
            wiring.interfaces.push(interfaces);
            let out = host.nat.as_ref().map(|nat| wiring.end(&format!("{name}.{}", nat.out)));
            wiring.outsides.push(out.transpose()?.map(|(_, interface)| interface));
        }
        for (number, (name, link)) in world.links.iter().enumerate() {
            let mut ends = Vec::new();
            for point in &link.joins {
                let (host, interface) = wiring.end(point).with_context(|| format!("link {name}"))?;
                if wiring.interfaces[host][interface].link.replace(number).is_some() {
                    bail!("link {name}: {point} is on another link too");
                }
                ends.push((host, interface));
            }
            wiring.ends.push(ends);
        }
        Ok(wiring)
    }

    /// The interface called `c1.eth0`.
    ///
    /// # Errors
    /// There is none.
    pub fn end(&self, point: &str) -> Result<End> {
        let (host, interface) = point.split_once('.').with_context(|| format!("`{point}` is not like c1.eth0"))?;
        let host = self.host(host)?;
        let found = self.interfaces[host].iter().position(|at| at.name == interface);
        found.map(|interface| (host, interface)).with_context(|| format!("no interface is called {point}"))
    }

    /// The number of a host.
    ///
    /// # Errors
    /// There is none.
    pub fn host(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|host| host == name).with_context(|| format!("no host is called {name}"))
    }

    /// Whose address this is.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Option<End> {
        self.owners.get(&address).copied()
    }

    /// An interface.
    #[must_use]
    pub fn at(&self, (host, interface): End) -> &Interface {
        &self.interfaces[host][interface]
    }

    /// The interface whose address a NAT gives.
    #[must_use]
    pub fn outside(&self, host: usize) -> Option<usize> {
        self.outsides[host]
    }

    /// The preferred address of an interface, of one family.
    #[must_use]
    pub fn own_address(&self, end: End, v4: bool) -> Option<IpAddr> {
        self.at(end).addresses.iter().map(|(address, _)| *address).find(|address| address.is_ipv4() == v4)
    }

    /// All that is on a link.
    #[must_use]
    pub fn on(&self, link: usize) -> &[End] {
        &self.ends[link]
    }

    /// All addresses of a host, the first interface's first.
    pub fn addresses(&self, host: usize) -> impl Iterator<Item = IpAddr> {
        self.interfaces[host].iter().flat_map(|interface| interface.addresses.iter().map(|(address, _)| *address))
    }

    /// The interface that leads to an address, and the next hop; none where there is no route.
    ///
    /// A host knows the networks it is on and its gateway; a router also the networks behind other routers, but not
    /// what lies inside a NAT.
    #[must_use]
    pub fn route(&self, host: usize, to: IpAddr) -> Option<(usize, IpAddr)> {
        if let Some(interface) = self.connected(host, to) {
            return Some((interface, to));
        }
        let behind = if self.routers[host] { self.behind(host, to) } else { None };
        behind.or_else(|| {
            let gateway = self.gateways[host]?;
            Some((self.connected(host, gateway)?, gateway))
        })
    }

    fn connected(&self, host: usize, to: IpAddr) -> Option<usize> {
        self.interfaces[host].iter().position(|at| at.link.is_some() && at.addresses.iter().any(|net| holds(*net, to)))
    }

    /// The first hop of the shortest way through routers.
    fn behind(&self, from: usize, to: IpAddr) -> Option<(usize, IpAddr)> {
        let mut seen = BTreeSet::from([from]);
        let mut queue: VecDeque<(usize, Option<(usize, IpAddr)>)> = VecDeque::from([(from, None)]);
        while let Some((host, first)) = queue.pop_front() {
            if first.is_some() && self.connected(host, to).is_some() {
                return first;
            }
            for (out, interface) in self.interfaces[host].iter().enumerate() {
                for &(next, entry) in interface.link.map_or(&[][..], |link| self.on(link)) {
                    if self.routers[next] && self.outsides[next] != Some(entry) && seen.insert(next) {
                        let hop = self.interfaces[next][entry].addresses.iter().map(|(address, _)| *address);
                        let hop = hop.into_iter().find(|address| address.is_ipv4() == to.is_ipv4());
                        let Some(hop) = hop else { continue };
                        queue.push_back((next, first.or(Some((out, hop)))));
                    }
                }
            }
        }
        None
    }

    /// The ends of a link through which its packets get to a host.
    #[must_use]
    pub fn towards(&self, link: usize, host: usize) -> BTreeSet<End> {
        let leads = |&(first, interface): &End| {
            let mut seen = BTreeSet::from([first]);
            let mut queue = VecDeque::from([first]);
            while let Some(at) = queue.pop_front() {
                if at == host {
                    return true;
                }
                let others = self.interfaces[at].iter().enumerate().filter(|(n, _)| at != first || *n != interface);
                let links = others.filter_map(|(_, interface)| interface.link).filter(|other| *other != link);
                for (next, _) in links.flat_map(|link| self.on(link)) {
                    if seen.insert(*next) {
                        queue.push_back(*next);
                    }
                }
            }
            false
        };
        self.on(link).iter().filter(|end| leads(end)).copied().collect()
    }
}

/// `10.1.0.11/24`.
fn address(text: &str) -> Result<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').with_context(|| format!("`{text}` is not like 10.1.0.11/24"))?;
    let address: IpAddr = address.parse().with_context(|| format!("`{address}` is no address"))?;
    let length: u8 = length.parse().with_context(|| format!("`{length}` is no length of a prefix"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if length > most {
        bail!("a prefix is at most {most} bits long, not {length}");
    }
    Ok((address, length))
}

/// Whether an address is in the network of another.
#[must_use]
pub fn holds((network, length): (IpAddr, u8), address: IpAddr) -> bool {
    let (a, b, bits) = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    (a ^ b).checked_shr(bits - u32::from(length)).unwrap_or(0) == 0
}

/// A network as worlds write it: `10.0.0.0/8`, or an address alone.
///
/// # Errors
/// It is neither.
pub fn network(text: &str) -> Result<(IpAddr, u8)> {
    match text.parse::<IpAddr>() {
        Ok(alone) => Ok((alone, if alone.is_ipv4() { 32 } else { 128 })),
        Err(_) => address(text),
    }
}
