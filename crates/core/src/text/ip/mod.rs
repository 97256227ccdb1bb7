//! What a host says of itself: addresses, routes, sockets, names and the kernel's clock.

mod address;
mod adjtimex;
mod host;
mod ifconfig;
mod netstat;
mod route;
mod socket;

use super::Form;
use crate::model::{At, Event, Row, What};
use std::net::{IpAddr, Ipv4Addr};

/// What this module reads.
pub const FORMS: &[Form] = &[
    address::LIST,
    address::BRIEF,
    route::ROUTES,
    route::RULES,
    ifconfig::IFCONFIG,
    netstat::ROUTES,
    socket::SOCKETS,
    host::UNAME,
    host::HOSTNAMECTL,
    adjtimex::ADJTIMEX,
];

/// `192.0.2.1/24`; an address alone has all its bits.
fn prefixed(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.split('%').next()?.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
    (bits <= all).then_some((address, bits))
}

/// The bits of a netmask: `255.255.255.0`, BSD's `0xffffff00` or Solaris' `ffffff00`.
fn mask_bits(text: &str) -> Option<u8> {
    let mask = match text.parse::<Ipv4Addr>() {
        Ok(dotted) => u32::from(dotted),
        Err(_) => u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok().filter(|_| text.len() >= 8)?,
    };
    // A mask with holes is no prefix.
    let bits = mask.leading_ones();
    (mask.count_ones() == bits).then_some(u8::try_from(bits).ok()?)
}

fn address(at: At<'_>, interface: &str, (address, prefix): (IpAddr, u8), rows: &mut dyn FnMut(Row<'_>)) {
    rows(Row::Event(Event { at, what: What::Address { interface, address, prefix } }));
}

fn variable(at: At<'_>, name: &str, value: &str, rows: &mut dyn FnMut(Row<'_>)) {
    rows(Row::Event(Event { at, what: What::Variable { association: "", name, value } }));
}

/// An interface as `ip` prints it, without what it is stacked on: `eth0.5@eth0`, `veth1@if5`.
fn interface(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}
