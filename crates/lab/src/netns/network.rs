//! A host's interfaces, routes, filters and NAT, made in its room.

use super::program::feed;
use super::room::Room;
use crate::sim::filter::{self, Filter};
use crate::sim::nat::Nat;
use crate::sim::wiring::{End, Wiring};
use crate::world::{self, World};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::process::Command;
use tappers::{Interface, Tap};

/// Makes the interfaces of a host, and all that its kernel is told.
///
/// # Errors
/// The kernel refuses.
pub fn furnish(world: &World, wiring: &Wiring, number: usize, room: &Room) -> Result<BTreeMap<End, Tap>> {
    let said = &world.hosts[&wiring.names[number]];
    let (links, routes) = (interfaces(wiring, number), routes(world, wiring, number));
    let rules = ruleset(wiring, number, said)?;
    let forwards = said.router || said.nat.is_some();
    let has_v6 = wiring.addresses(number).any(|address| address.is_ipv6());
    let names: Vec<String> = wiring.interfaces[number].iter().map(|interface| interface.name.clone()).collect();
    let taps = room.have(move || {
        // Before the interfaces, so that none begins to look for routers.
        set("net/ipv6/conf/default/disable_ipv6", !has_v6)?;
        set("net/ipv6/conf/all/disable_ipv6", !has_v6)?;
        set("net/ipv4/ip_forward", forwards)?;
        if has_v6 {
            set("net/ipv6/conf/all/forwarding", forwards)?;
        }
        let taps: Vec<Tap> = names.iter().map(|name| tap(name)).collect::<Result<_>>()?;
        feed(Command::new("ip").args(["-batch", "-"]), &(links + &routes))?;
        if !rules.is_empty() {
            feed(Command::new("nft").args(["-f", "-"]), &rules)?;
        }
        Ok(taps)
    })?;
    Ok(taps.into_iter().enumerate().map(|(interface, tap)| ((number, interface), tap)).collect())
}

/// Makes an interface whose other end the lab holds.
///
/// # Errors
/// The kernel refuses.
pub fn tap(name: &str) -> Result<Tap> {
    let interface = Interface::new(name).with_context(|| format!("`{name}` is no name of an interface"))?;
    let mut tap = Tap::new_named(interface).with_context(|| format!("make the interface {name} (/dev/net/tun)"))?;
    // The wire waits for all at once.
    tap.set_nonblocking(true)?;
    Ok(tap)
}

fn set(what: &str, on: bool) -> Result<()> {
    let file = format!("/proc/sys/{what}");
    std::fs::write(&file, if on { "1" } else { "0" }).with_context(|| format!("write {file}"))
}

/// What `ip` is told of interfaces.
fn interfaces(wiring: &Wiring, number: usize) -> String {
    let mut text = String::from("link set lo up\n");
    for interface in &wiring.interfaces[number] {
        let name = &interface.name;
        let mac = interface.mac.map(|byte| format!("{byte:02x}")).join(":");
        let _ = writeln!(text, "link set {name} address {mac} up");
        for (address, length) in &interface.addresses {
            let known = if address.is_ipv6() { " nodad" } else { "" };
            let _ = writeln!(text, "address add {address}/{length} dev {name}{known}");
        }
    }
    text
}

/// What `ip` is told of routes: a host knows its gateway, a router also the networks behind other routers.
fn routes(world: &World, wiring: &Wiring, number: usize) -> String {
    let said = &world.hosts[&wiring.names[number]];
    let mut text = said.gateway.map_or_else(String::new, |gateway| format!("route add default via {gateway}\n"));
    let all = wiring.interfaces.iter().flatten().flat_map(|interface| &interface.addresses);
    let mut networks: Vec<(IpAddr, u8)> = all.map(|(address, length)| (first_of(*address, *length), *length)).collect();
    networks.sort();
    networks.dedup();
    for (network, length) in networks {
        let hop = wiring.route(number, network).map(|(_, hop)| hop);
        if let Some(hop) = hop.filter(|hop| *hop != network && Some(*hop) != said.gateway) {
            let _ = writeln!(text, "route add {network}/{length} via {hop}");
        }
    }
    text
}

/// The address of a network.
fn first_of(address: IpAddr, length: u8) -> IpAddr {
    let zeros = |bits: u32| bits - u32::from(length);
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4(v4.to_bits().checked_shr(zeros(32)).and_then(|n| n.checked_shl(zeros(32))).unwrap_or(0).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6(v6.to_bits().checked_shr(zeros(128)).and_then(|n| n.checked_shl(zeros(128))).unwrap_or(0).into())
        }
    }
}

/// What `nft` is told: the filters, and the NAT where the kernel does it.
fn ruleset(wiring: &Wiring, number: usize, said: &world::Host) -> Result<String> {
    let filters: Vec<Filter> = said.filters.iter().map(Filter::new).collect();
    let mut text = filter::ruleset(&filters, said.router || said.nat.is_some());
    if let Some(nat) = said.nat.as_ref().filter(|nat| nat.rover.is_none()) {
        let address = wiring.addresses(number).find(IpAddr::is_ipv4).context("NAT needs an IPv4 address")?;
        text.push_str(&Nat::new(nat, address, 0, 0).ruleset());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_know_what_lies_behind_others() {
        let text = r#"
            about = "two routers"
            duration = "1m"
            hosts.a = { addresses = { eth0 = "10.1.0.2/24" }, gateway = "10.1.0.1" }
            hosts.r = { addresses = { in0 = "10.1.0.1/24", out0 = "10.2.0.1/24" }, router = true }
            hosts.s = { addresses = { in0 = "10.2.0.2/24", out0 = "10.3.0.1/24" }, router = true }
            links.one = { joins = ["a.eth0", "r.in0"] }
            links.two = { joins = ["r.out0", "s.in0"] }
            links.three = { joins = ["s.out0"] }
        "#;
        let world = World::read(text).expect("a world");
        let wiring = Wiring::new(&world, 1).expect("a wiring");
        assert_eq!(routes(&world, &wiring, 0), "route add default via 10.1.0.1\n");
        assert_eq!(routes(&world, &wiring, 1), "route add 10.3.0.0/24 via 10.2.0.2\n");
        assert_eq!(routes(&world, &wiring, 2), "route add 10.1.0.0/24 via 10.2.0.1\n");
        assert_eq!(first_of("fd00::5".parse().expect("an address"), 64), "fd00::".parse::<IpAddr>().expect("a net"));
    }
}
