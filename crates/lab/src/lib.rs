//! The lab: one short `world.toml` (hosts, oscillators, links, NAT, servers with their quirks, clients, faults over time,
//! capture points, and the diagnosis that is true) becomes evidence like that of real hosts.
//!
//! [`world`] is what a world says, [`check`] whether it holds together; [`sim`] plays it in virtual time; [`score`] compares
//! what ntpscope says of it with what is true, and [`degrade`] takes evidence away; [`new`] begins another. Never shipped with the product.
#![forbid(unsafe_code)]

pub mod causes;
pub mod check;
pub mod degrade;
pub mod netns;
pub mod new;
pub mod score;
pub mod sim;
pub mod world;
