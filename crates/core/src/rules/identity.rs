//! Rule `identity`: what inputs say of the names and addresses of the hosts that wrote them.

use super::{Material, Summary, keep_first};
use crate::model::{Event, InputId, Message, Origin, Row, What};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Names and addresses kept of one input: a log host has hundreds, an attack has millions.
const MOST: usize = 1 << 10;

/// Names that many hosts bear, and so tell nothing.
const COMMON: &[&str] = &[
    "localhost",
    "localhost.localdomain",
    "localhost6",
    "(none)",
    "unknown",
    "debian",
    "ubuntu",
    "raspberrypi",
    "Router",
    "Switch",
];

/// What ntpd logs of each interface that it uses, old and new.
const LISTENS: [&str; 2] = ["Listen normally on", "Listening on interface"];

/// Names or addresses by input, each with where it is first said.
type Said<K> = BTreeMap<InputId, BTreeMap<K, Origin>>;

/// What inputs say of hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Hosts that stand in the lines of a log.
    lines: Said<String>,
    /// Names that a host gives to itself (`uname -a`, `hostnamectl`).
    own: Said<String>,
    /// Addresses of a host's interfaces (`ip addr`, or as ntpd logs where it listens).
    addresses: Said<IpAddr>,
}

/// Whether a name tells hosts apart.
fn is_telling(name: &str) -> bool {
    !name.is_empty() && !COMMON.contains(&name)
}

fn note<K: Ord>(said: &mut Said<K>, key: K, origin: Origin) {
    let keys = said.entry(origin.input).or_default();
    keys.entry(key).and_modify(|first| *first = origin.min(*first)).or_insert(origin);
    keep_first(keys, MOST);
}

fn merge<K: Ord>(said: &mut Said<K>, later: Said<K>) {
    for (key, origin) in later.into_values().flatten() {
        note(said, key, origin);
    }
}

impl Summary for Names {
    fn fold(&mut self, material: Material<'_>) {
        let Material::Row(row) = material else { return };
        let at = row.at();
        let input = at.origin.input;
        // Nearly every line of a log names a host that a line before has named.
        let known = || self.lines.get(&input)?.get(at.host).filter(|first| **first <= at.origin);
        if is_telling(at.host) && known().is_none() {
            note(&mut self.lines, at.host.to_owned(), at.origin);
        }
        match *row {
            Row::Event(Event { what: What::Variable { association: "", name: "hostname", value }, .. })
                if is_telling(value) =>
            {
                note(&mut self.own, value.to_owned(), at.origin);
            }
            Row::Event(Event { what: What::Address { address, .. }, .. }) => self.address(address, at.origin),
            Row::Event(Event { what: What::Message(Message { source, text, .. }), .. })
                if LISTENS.iter().any(|words| text.contains(words)) =>
            {
                // `192.0.2.5:123`, `[2001:db8::5]:123`, `192.0.2.5#123`, or the address alone.
                let address = source.split('#').next().unwrap_or(source);
                let parsed = address.parse::<SocketAddr>().map(|socket| socket.ip()).or_else(|_| address.parse());
                parsed.into_iter().for_each(|address| self.address(address, at.origin));
            }
            _ => {}
        }
    }

    fn merge(&mut self, later: Self) {
        merge(&mut self.lines, later.lines);
        merge(&mut self.own, later.own);
        merge(&mut self.addresses, later.addresses);
    }
}

/// Every host has such addresses, and two hosts may have the same.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

impl Names {
    fn address(&mut self, address: IpAddr, origin: Origin) {
        if !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !is_link_local(address) {
            note(&mut self.addresses, address, origin);
        }
    }

    /// The hosts that the lines of an input name.
    pub fn lines(&self, input: InputId) -> impl Iterator<Item = (&str, Origin)> {
        self.lines.get(&input).into_iter().flatten().map(|(name, origin)| (name.as_str(), *origin))
    }

    /// The names that the host of an input gives to itself.
    pub fn own(&self, input: InputId) -> impl Iterator<Item = (&str, Origin)> {
        self.own.get(&input).into_iter().flatten().map(|(name, origin)| (name.as_str(), *origin))
    }

    /// The addresses of hosts' interfaces.
    pub fn addresses(&self) -> impl Iterator<Item = (InputId, IpAddr, Origin)> {
        let all = |(input, addresses): (&InputId, &'_ BTreeMap<IpAddr, Origin>)| -> Vec<_> {
            addresses.iter().map(|(address, origin)| (*input, *address, *origin)).collect()
        };
        self.addresses.iter().flat_map(all)
    }
}
