//! *What* or *who*: where an attribute is the same in all requests of a client, the client explains the loss as well.

use super::row::Cell;
use super::table::Table;
use crate::stats::stratified;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A set held against the others within each client: who asks is the same on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Within {
    /// Clients.
    pub clients: usize,
    /// Clients that asked both ways, in the set and outside it.
    pub both: usize,
    /// The fates of these: lost and answered in the set, and outside it.
    pub inside: Cell,
    /// Outside the set.
    pub outside: Cell,
    /// Probability that their fate follows the set by chance (exact, each client for itself), corrected as the contrast is.
    pub chance: f64,
}

impl Within {
    /// Measures it for a set of a table's rows; `factor` is the correction for all that was tried.
    pub(super) fn of(table: &Table<'_>, rows: &[usize], inside: &[bool], factor: f64) -> Within {
        let mut by_client: BTreeMap<IpAddr, [Cell; 2]> = BTreeMap::new();
        for at in rows {
            let row = &table.rows[*at];
            by_client.entry(row.at.client).or_default()[usize::from(!inside[*at])].add(row.cell);
        }
        let clients = by_client.len();
        let both: Vec<[Cell; 2]> = by_client.into_values().filter(|c| c.iter().all(|c| c.all() > 0)).collect();
        let mut within = Within { clients, both: both.len(), chance: 1.0, ..Within::default() };
        for [inside, outside] in &both {
            within.inside.add(*inside);
            within.outside.add(*outside);
        }
        if within.inside.lost > 0 && within.outside.answered > 0 {
            let strata: Vec<_> = both.iter().map(|[a, b]| (a.pair(), b.pair())).collect();
            within.chance = (stratified(&strata) * factor).min(1.0);
        }
        within
    }
}

/// The command that tells a set from the client: one host asks both ways. `name` is the set's; `bad` a port in it and
/// `good` one that is not.
#[must_use]
pub fn probe(name: &str, server: IpAddr, bad: Option<u16>, good: Option<u16>) -> Option<String> {
    let ask = |option: &str, directive: &str| {
        let directive = if directive.is_empty() { String::new() } else { format!(" '{directive}'") };
        format!("sudo chronyd -Q -t 8 'server {server} iburst{option}'{directive}")
    };
    Some(match name {
        name if name.starts_with("port-") => {
            let good = good.map_or_else(|| "another port".into(), |good| format!("'acquisitionport {good}'"));
            format!("{}, then with {good}", ask("", &format!("acquisitionport {}", bad?)))
        }
        "version" => format!("{}, then without version", ask(" version 3", "")),
        "poll-field" | "poll-below-4" => format!("{}, then with minpoll 6", ask(" minpoll 3 maxpoll 3", "")),
        "dscp" => format!("{}, then with 'dscp 0'", ask("", "dscp 46")),
        "nts" | "extensions" => format!("{}, then without nts", ask(" nts", "")),
        "length" => format!("{}, then without extfield", ask(" extfield F323", "")),
        "mac" => format!("{}, then without key", ask(" key 1", "keyfile /etc/chrony.keys")),
        _ => return None,
    })
}
