//! `ip route`, `ip -6 route`, `ip route get`, `ip rule` (ip-route(8), ip-rule(8)).

use super::super::{Block, Form, Line, Taken};
use super::prefixed;
use crate::model::{At, Event, Row, What};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `ip route`, of the main table or of all.
pub const ROUTES: Form = Form {
    name: "ip route",
    opens: |line| matches!(route(line.trim_start()), Some(Ok(_))) || leads_on(line),
    block: || Box::new(Routes::default()),
};

/// `default proto static`: the next lines name the routers.
fn leads_on(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next().is_some_and(|to| to == "default" || prefixed(to).is_some()) && words.next() == Some("proto")
}

/// `ip rule`: which table is asked when; passed over.
pub const RULES: Form = Form { name: "ip rule", opens: is_rule, block: || Box::new(Rules) };

/// `32766:` and a tab, `from all lookup main`
fn is_rule(line: &str) -> bool {
    line.split_once(":\t").is_some_and(|(number, rest)| {
        number.parse::<u32>().is_ok() && (rest.starts_with("from ") || rest.starts_with("not from "))
    })
}

/// States of neighbours, whose lines begin as routes do.
const NEIGHBOUR: [&str; 9] =
    ["lladdr", "REACHABLE", "STALE", "FAILED", "DELAY", "PROBE", "INCOMPLETE", "PERMANENT", "NOARP"];

/// Kinds of routes that lead nowhere, and of those of the host's own addresses.
const NOWHERE: [&str; 4] = ["unreachable", "blackhole", "prohibit", "throw"];
const OWN: [&str; 4] = ["local", "broadcast", "anycast", "nat"];

/// What a line of `ip route` says.
struct Route<'a> {
    to: (IpAddr, u8),
    via: Option<IpAddr>,
    interface: &'a str,
    from: Option<IpAddr>,
    /// Whether it is a route that others ask about: of the main table, and not to the host itself.
    told: bool,
}

/// A route, or that it begins as one and is broken.
fn route(line: &str) -> Option<Result<Route<'_>, String>> {
    // Most lines that are asked are no routes: their first letter says so.
    if !line.starts_with(|c: char| c.is_ascii_hexdigit() || "lnmptu:".contains(c)) {
        return None;
    }
    let words: Vec<&str> = line.split_ascii_whitespace().take(40).collect();
    let (kind, rest) = match words.split_first() {
        Some((kind, rest))
            if NOWHERE.contains(kind) || OWN.contains(kind) || matches!(*kind, "unicast" | "multicast") =>
        {
            (*kind, rest)
        }
        _ => ("", &words[..]),
    };
    let first = *rest.first()?;
    let to = prefixed(first);
    if to.is_none() && first != "default" || words.iter().any(|word| NEIGHBOUR.contains(word)) {
        return None;
    }
    let after = |name: &str| rest.iter().skip(1).position(|word| *word == name).map(|at| rest.get(at + 2).copied());
    // Newer kernels may reach a destination of version 4 by a router of version 6: `via inet6 fe80::1`.
    let via = match after("via") {
        Some(Some("inet" | "inet6")) => rest.iter().skip_while(|word| **word != "via").nth(2).copied(),
        Some(next) => next,
        None => None,
    };
    let device = after("dev").flatten();
    if device.is_none() && via.is_none() && !(NOWHERE.contains(&kind) || first == "default" && rest.len() == 1) {
        return None;
    }
    // `default` begins prose too.
    if first == "default"
        && !matches!(
            rest.get(1),
            None | Some(&"via" | &"dev" | &"nhid" | &"proto" | &"metric" | &"table" | &"src" | &"from")
        )
    {
        return None;
    }
    let via = match via.map(|via| via.parse::<IpAddr>().map_err(|_| via)) {
        Some(Err(via)) => return Some(Err(format!("expected the address of a router, not `{via}`"))),
        found => found.and_then(Result::ok),
    };
    let six = via.is_some_and(|via| via.is_ipv6()) || rest.contains(&"pref");
    let any = if six { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let from = after("src").flatten().and_then(|word| word.parse().ok());
    let main = after("table").flatten().is_none_or(|table| matches!(table, "main" | "254" | "local" | "255"));
    let told = main && !OWN.contains(&kind);
    Some(Ok(Route { to: to.unwrap_or((any, 0)), via, interface: device.unwrap_or_default(), from, told }))
}

#[derive(Default)]
struct Routes {
    /// Where the routers lead that the next lines name, each with its weight.
    to: Option<(IpAddr, u8)>,
    from: Option<IpAddr>,
    /// Whether more was met than a destination, which may be any text.
    sure: bool,
}

impl Block for Routes {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim_start();
        if let Some(hop) = bare.strip_prefix("nexthop ") {
            return self.hop(line.at, hop, rows);
        }
        if bare.is_empty() || bare == "cache" || bare.starts_with("cache ") {
            return Taken::Yes;
        }
        let several = || {
            let first = bare.split_ascii_whitespace().next()?;
            let rest = bare.contains(" proto ") || bare.contains(" metric ") || bare.contains(" src ") || bare == first;
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            rest.then(|| if first == "default" { Some((any, 0)) } else { prefixed(first) })?
        };
        match route(bare) {
            Some(Ok(route)) => {
                (self.to, self.from) = (Some(route.to), route.from);
                self.sure |= bare.contains(' ');
                // Of a route with several routers only they say where it goes.
                if route.told && !(route.via.is_none() && route.interface.is_empty() && bare.starts_with("default")) {
                    give(line.at, &route, rows);
                }
                Taken::Yes
            }
            Some(Err(reason)) => Taken::Rejected(reason),
            None => match several() {
                Some(to) => {
                    (self.to, self.from) = (Some(to), None);
                    Taken::Yes
                }
                None => Taken::No,
            },
        }
    }

    fn sure(&self) -> bool {
        self.sure
    }
}

impl Routes {
    /// `nexthop via 192.0.2.1 dev eth0 weight 1`
    fn hop(&mut self, at: At<'_>, hop: &str, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some(to) = self.to else { return Taken::Rejected("a router without its destination".into()) };
        let words: Vec<&str> = hop.split_ascii_whitespace().take(16).collect();
        let after = |name: &str| words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1]);
        let via = after("via").and_then(|via| via.parse::<IpAddr>().ok());
        let Some(interface) = after("dev") else { return Taken::Rejected("a router without its interface".into()) };
        // The line of the destination does not say its version where it is the default.
        let to = match via {
            Some(IpAddr::V6(_)) if to.1 == 0 => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
            _ => to,
        };
        self.sure = true;
        give(at, &Route { to, via, interface, from: self.from, told: true }, rows);
        Taken::Yes
    }
}

fn give(at: At<'_>, route: &Route<'_>, rows: &mut dyn FnMut(Row<'_>)) {
    let Route { to, via, interface, from, .. } = *route;
    rows(Row::Event(Event { at, what: What::Route { to, via, interface, from } }));
}

struct Rules;

impl Block for Rules {
    fn line(&mut self, line: Line<'_>, _: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || is_rule(line.text) { Taken::Yes } else { Taken::No }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn routes_of_the_main_table_are_told() {
        let text = "default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.2 metric 100\n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2\n\
                    local 192.0.2.2 dev eth0 table local proto kernel scope host src 192.0.2.2\ndefault via 198.51.100.1 dev eth1 table 100\n\
                    unreachable 203.0.113.0/24\n198.51.100.0/24 proto static\n\tnexthop via 192.0.2.8 dev eth0 weight 1\n\
                    \tnexthop via 192.0.2.9 dev eth0 weight 1\ndefault via fe80::1 dev eth0 metric 1024 pref medium\n\
                    192.0.2.7 via router dev eth0\n192.0.2.1 dev eth0 lladdr 00:00:5e:00:53:01 REACHABLE\n";
        let want = [
            "route subject=eth0 name=0.0.0.0/0 text=via 192.0.2.1 from 192.0.2.2",
            "route subject=eth0 name=192.0.2.0/24 text=from 192.0.2.2",
            "route name=203.0.113.0/24",
            "route subject=eth0 name=198.51.100.0/24 text=via 192.0.2.8",
            "route subject=eth0 name=198.51.100.0/24 text=via 192.0.2.9",
            "route subject=eth0 name=::/0 text=via fe80::1",
        ];
        let (rows, rejects, _) = read(text);
        assert_eq!(rows, want);
        assert_eq!(
            rejects,
            ["line 10: expected the address of a router, not `router`", "line 11: no reader knows this line"]
        );
    }

    #[test]
    fn a_destination_may_have_several_routers() {
        let text = "default\n\tnexthop via 192.0.2.1 dev eth0 weight 1\n\tnexthop via fe80::1 dev eth0 weight 1\n";
        let want =
            ["route subject=eth0 name=0.0.0.0/0 text=via 192.0.2.1", "route subject=eth0 name=::/0 text=via fe80::1"];
        assert_eq!(read(text).0, want);
        assert_eq!(read(text).2, ["ip route"]);
    }

    #[test]
    fn prose_is_no_route() {
        for line in ["default", "default is yes", "192.0.2.1", "192.0.2.1 is down", "local time", "unreachable"] {
            let (rows, _, forms) = read(line);
            assert!(rows.is_empty() && forms.is_empty(), "{line}");
        }
    }
}
