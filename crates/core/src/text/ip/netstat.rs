//! `route -n` and `netstat -rn`, of Linux and the BSDs.

use super::super::{Block, Form, Line, Taken};
use super::{mask_bits, prefixed};
use crate::model::{Event, Row, What};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The routes by their table's title.
pub const ROUTES: Form = Form {
    name: "netstat -rn",
    opens: |line| TITLES.contains(&line) || line.starts_with("Destination") && Columns::of(line).is_some(),
    block: || Box::new(Routes::default()),
};

const TITLES: [&str; 3] = ["Kernel IP routing table", "Kernel IPv6 routing table", "Routing tables"];

/// Where the columns stand that say something, counted in words.
#[derive(Clone, Copy)]
struct Columns {
    mask: Option<usize>,
    /// From the left, or (Linux, where it is the last) from the right.
    interface: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> Option<Columns> {
        let header = header.replace("Next Hop", "Gateway");
        let words: Vec<&str> = header.split_ascii_whitespace().collect();
        let at = |names: &[&str]| words.iter().position(|word| names.contains(word));
        let interface = at(&["Netif", "Iface", "If", "Interface"])?;
        let last = interface + 1 == words.len();
        (words.first() == Some(&"Destination") && words.get(1) == Some(&"Gateway"))
            .then(|| Columns { mask: at(&["Genmask", "Netmask"]), interface: (!last).then_some(interface) })
    }
}

#[derive(Default)]
struct Routes {
    columns: Option<Columns>,
    /// Under `Internet6:` or `Kernel IPv6 routing table`.
    six: bool,
}

impl Block for Routes {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim();
        if text.is_empty() {
            return Taken::Yes;
        }
        if TITLES.contains(&text) || matches!(text, "Internet:" | "Internet6:") {
            self.six = text.contains("v6") || text == "Internet6:";
            self.columns = None;
            return Taken::Yes;
        }
        if let Some(columns) = Columns::of(text) {
            self.columns = Some(columns);
            return Taken::Yes;
        }
        let Some(columns) = self.columns else { return Taken::No };
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words.len() < 4 {
            return Taken::No;
        }
        let any: IpAddr = if self.six { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let mask = columns.mask.and_then(|at| words.get(at)).map(|mask| mask_bits(mask));
        let Some(to) = destination(words[0], any) else {
            // With a mask in its place, or a link, it is a route, to a net that has a name.
            let named = mask.is_some_and(|mask| mask.is_some());
            return if named { Taken::Rejected("expected the address of a net, not a name".into()) } else { Taken::No };
        };
        let to = match mask {
            Some(Some(bits)) => (to.0, bits),
            Some(None) => return Taken::Rejected("expected a netmask".into()),
            None => to,
        };
        // The kernel's last resort, which says no.
        if words.iter().any(|flags| flags.starts_with('!')) {
            return Taken::Yes;
        }
        let gateway = words[1];
        let via = match prefixed(gateway).map(|(address, _)| address) {
            Some(address) => (!address.is_unspecified()).then_some(address),
            // On the link itself: BSD names the interface or the neighbour's hardware.
            None if matches!(gateway, "*" | "-")
                || gateway.starts_with("link")
                || gateway.matches([':', '.']).count() == 5 =>
            {
                None
            }
            None => return Taken::Rejected(format!("expected the address of a router, not `{gateway}`")),
        };
        let interface = match columns.interface {
            Some(at) => words.get(at).copied(),
            None => words.last().copied(),
        };
        let what = What::Route { to, via, interface: interface.unwrap_or_default(), from: None };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }
}

/// `default`, `0.0.0.0`, `2001:db8::/64`, or with the zeros left off as macOS does: `192.0.2`.
fn destination(text: &str, any: IpAddr) -> Option<(IpAddr, u8)> {
    let bare = text.trim_start_matches('[').replacen(']', "", 1);
    if matches!(&*bare, "default" | "::/0") {
        return Some((any, 0));
    }
    if let Some(found) = prefixed(&bare) {
        return Some(found);
    }
    let (net, bits) = bare.split_once('/').map_or((&*bare, None), |(net, bits)| (net, Some(bits)));
    let parts = net.split('.').count();
    let address = format!("{net}{}", ".0".repeat(4_usize.checked_sub(parts)?)).parse::<Ipv4Addr>().ok()?;
    let bits = bits.map_or(u8::try_from(parts * 8).ok(), |bits| bits.parse().ok().filter(|bits| *bits <= 32))?;
    Some((address.into(), bits))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn linux_and_bsd_say_the_same() {
        let linux = "Kernel IP routing table\nDestination     Gateway         Genmask         Flags Metric Ref    Use Iface\n\
                     0.0.0.0         192.0.2.1       0.0.0.0         UG    0      0        0 eth0\n\
                     192.0.2.0       0.0.0.0         255.255.255.0   U     0      0        0 eth0\n\
                     default         gateway         0.0.0.0         UG    0      0        0 eth0\n";
        let want = ["route subject=eth0 name=0.0.0.0/0 text=via 192.0.2.1", "route subject=eth0 name=192.0.2.0/24"];
        let (rows, rejects, _) = read(linux);
        assert_eq!(rows, want);
        assert_eq!(rejects, ["line 5: expected the address of a router, not `gateway`"]);
        let bsd = "Routing tables\n\nInternet:\nDestination        Gateway            Flags     Netif Expire\n\
                   default            192.0.2.1          UGS        eth0\n192.0.2/24         link#1             U          eth0\n";
        assert_eq!(read(bsd).0, want);
        let six = "Kernel IPv6 routing table\nDestination                    Next Hop                   Flag Met Ref Use If\n\
                   [::]/0                         fe80::1                    UG   1024 1     0 eth0\n";
        assert_eq!(read(six).0, ["route subject=eth0 name=::/0 text=via fe80::1"]);
    }
}
