//! The lab: one short `world.toml` (hosts, oscillators, links, NAT, servers with their quirks, clients, faults over time,
//! capture points, and the diagnosis that is true) becomes evidence like that of real hosts.
//!
//! [`world`] is what a world says; [`sim`] plays it in virtual time. Never shipped with the product.
#![forbid(unsafe_code)]

pub mod sim;
pub mod world;
