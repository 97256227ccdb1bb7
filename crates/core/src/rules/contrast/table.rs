//! The requests to one server as seen at one point, as rows of attributes with what became of them.

use super::attribute::{Attribute, Kind};
use super::row::{Attributes, Cell};
use crate::model::Origin;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Requests with the same attributes.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub at: Attributes,
    pub cell: Cell,
    /// The first that was lost, and the first that was answered.
    pub first: (Option<Origin>, Option<Origin>),
    /// The lowest and the highest source port.
    pub ports: (u16, u16),
    /// The client's number, and its network's.
    who: (i64, i64),
}

/// All rows, in the order of their attributes.
#[derive(Clone, Debug, Default)]
pub(super) struct Table<'a> {
    pub rows: &'a [Row],
    pub clients: &'a [IpAddr],
    pub prefixes: &'a [(IpAddr, u8)],
}

impl Row {
    /// A row whose client is not numbered yet.
    pub(super) fn new(at: Attributes, cell: Cell, first: (Option<Origin>, Option<Origin>), ports: (u16, u16)) -> Row {
        Row { at, cell, first, ports, who: (0, 0) }
    }

    /// Adds more requests with the same attributes.
    pub(super) fn add(&mut self, other: &Row) {
        self.cell.add(other.cell);
        let min = |a: Option<Origin>, b: Option<Origin>| [a, b].into_iter().flatten().min();
        self.first = (min(self.first.0, other.first.0), min(self.first.1, other.first.1));
        self.ports = (self.ports.0.min(other.ports.0), self.ports.1.max(other.ports.1));
    }

    /// The value of an attribute.
    pub(super) fn value(&self, attribute: &Attribute) -> i64 {
        match attribute.kind {
            Kind::Client => self.who.0,
            Kind::Prefix => self.who.1,
            _ => (attribute.value)(&self.at),
        }
    }
}

/// Numbers the clients of rows and their networks.
pub(super) fn number(rows: &mut [Row]) -> (Vec<IpAddr>, Vec<(IpAddr, u8)>) {
    let clients: BTreeSet<IpAddr> = rows.iter().map(|row| row.at.client).collect();
    let prefixes: BTreeSet<(IpAddr, u8)> = rows.iter().map(|row| row.at.prefix()).collect();
    let clients: Vec<_> = clients.into_iter().collect();
    let prefixes: Vec<_> = prefixes.into_iter().collect();
    for row in rows {
        let client = clients.partition_point(|c| *c < row.at.client);
        let prefix = prefixes.partition_point(|p| *p < row.at.prefix());
        row.who = (client as i64, prefix as i64);
    }
    (clients, prefixes)
}

/// Some of a table's rows, by number.
pub(super) type Rows = Vec<usize>;

impl Table<'_> {
    pub(super) fn is_ipv6(&self) -> bool {
        self.clients.first().is_some_and(IpAddr::is_ipv6)
    }

    /// What became of these rows' requests.
    pub(super) fn sum(&self, rows: impl IntoIterator<Item = usize>) -> Cell {
        let mut sum = Cell::default();
        rows.into_iter().for_each(|at| sum.add(self.rows[at].cell));
        sum
    }

    /// The same by the values of an attribute.
    pub(super) fn by_value(&self, rows: &[usize], attribute: &Attribute) -> BTreeMap<i64, Cell> {
        let mut by_value: BTreeMap<i64, Cell> = BTreeMap::new();
        for at in rows {
            by_value.entry(self.rows[*at].value(attribute)).or_default().add(self.rows[*at].cell);
        }
        by_value
    }
}
