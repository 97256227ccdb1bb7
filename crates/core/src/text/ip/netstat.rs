//! `route -n` and `netstat -rn`, of Linux and the BSDs.

use super::super::{Block, Form, Line, Taken};
use super::{mask_bits, prefixed};
use crate::model::{Event, Row, What};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The routes by their table's title.
pub const ROUTES: Form = Form {
    name: "netstat -rn",
    opens: |line| {
        let line = line.trim_start();
        TITLES.contains(&line) || line.starts_with("Destination") && Columns::of(line).is_some()
    },
    block: || Box::new(Routes::default()),
};

const TITLES: [&str; 3] = ["Kernel IP routing table", "Kernel IPv6 routing table", "Routing tables"];

/// Where the columns stand that say something, counted in words.
#[derive(Clone, Copy)]
struct Columns {
    mask: Option<usize>,
    flags: usize,
    /// From the left, or (Linux, where it is the last) from the right.
    interface: Option<usize>,
    /// Letters of the first column.
    width: usize,
}

impl Columns {
    fn of(header: &str) -> Option<Columns> {
        let width = header.find("Gateway").or_else(|| header.find("Next Hop"))?;
        let header = header.replace("Next Hop", "Gateway");
        let words: Vec<&str> = header.split_ascii_whitespace().collect();
        let at = |names: &[&str]| words.iter().position(|word| names.contains(word));
        let interface = at(&["Netif", "Iface", "If", "Interface"])?;
        let last = interface + 1 == words.len();
        let (mask, flags) = (at(&["Genmask", "Netmask"]), at(&["Flags", "Flag"])?);
        (words.first() == Some(&"Destination") && words.get(1) == Some(&"Gateway")).then(|| Columns {
            mask,
            flags,
            interface: (!last).then_some(interface),
            width,
        })
    }

    /// Whether an address may have lost its end: macOS and the BSDs cut what is longer than 18 letters.
    fn cuts(&self, address: &str) -> bool {
        self.mask.is_none() && self.width == CUT + 1 && address.len() >= CUT && address.contains(':')
    }
}

/// Letters that BSD's netstat leaves of a name or address (`WID_DST_DEFAULT`).
const CUT: usize = 18;

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
        // Up or refused, a gateway or a host: the flags tell a route from any other line.
        let Some(flags) = words.get(columns.flags).filter(|flags| flags.starts_with(['U', '!', 'G', 'H'])) else {
            return Taken::No;
        };
        // The kernel's last resort, which says no.
        if flags.starts_with('!') {
            return Taken::Yes;
        }
        let any: IpAddr = if self.six { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let to = match columns.mask.and_then(|at| words.get(at)).map(|mask| mask_bits(mask)) {
            Some(None) => return Taken::Rejected("expected a netmask".into()),
            Some(Some(bits)) => destination(words[0], any).map(|(to, _)| (to, bits)),
            None => destination(words[0], any).filter(|_| !columns.cuts(words[0])),
        };
        let gateway = words[1].trim_matches(['[', ']']);
        let on_link = matches!(gateway, "*" | "-" | "::" | "0.0.0.0")
            || gateway.starts_with("link")
            // BSD names the neighbour's hardware.
            || gateway.matches([':', '.']).count() == 5 && prefixed(gateway).is_none();
        let via = prefixed(gateway).map(|(address, _)| address).filter(|_| !columns.cuts(gateway));
        let interface = match columns.interface {
            Some(at) => words.get(at).copied(),
            None => words.last().copied(),
        };
        let interface = interface.unwrap_or_default();
        let what = match to {
            Some(to) if on_link || via.is_some() => {
                let via = via.filter(|address| !address.is_unspecified());
                What::Route { to, via, interface, from: None }
            }
            // Without `-n` nets and routers have names, of which only the host itself knows the addresses.
            _ => {
                let value = if on_link { words[0].to_owned() } else { format!("{} via {gateway}", words[0]) };
                let what = What::Variable { association: interface, name: "route", value: &value };
                rows(Row::Event(Event { at: line.at, what }));
                return Taken::Yes;
            }
        };
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
                     default         gateway         0.0.0.0         UG    0      0        0 eth0\n\
                     192.0.2.0       0.0.0.0         255.0.255.0     U     0      0        0 eth0\n";
        let want = ["route subject=eth0 name=0.0.0.0/0 text=via 192.0.2.1", "route subject=eth0 name=192.0.2.0/24"];
        let (rows, rejects, _) = read(linux);
        assert_eq!(rows[..2], want);
        assert_eq!(rows[2..], ["variable subject=eth0 name=route text=default via gateway"]);
        assert_eq!(rejects, ["line 6: expected a netmask"]);
        let bsd = "Routing tables\n\nInternet:\nDestination        Gateway            Flags     Netif Expire\n\
                   default            192.0.2.1          UGS        eth0\n192.0.2/24         link#1             U          eth0\n";
        assert_eq!(read(bsd).0, want);
        let six = "Kernel IPv6 routing table\nDestination                    Next Hop                   Flag Met Ref Use If\n\
                   [::]/0                         fe80::1                    UG   1024 1     0 eth0\n";
        assert_eq!(read(six).0, ["route subject=eth0 name=::/0 text=via fe80::1"]);
    }

    #[test]
    fn names_and_addresses_that_lost_their_end_stay_text() {
        let text = "Routing tables\n\nInternet6:\nDestination        Gateway            Flags         Netif Expire\n\
                    default            fe80::1234:5678:9a UGc             en0       \n\
                    fe80::%lo0         fe80::1%lo0        UcI             lo0       \n\
                    host.example       00:0:5e:0:53:1     UHLWI           en0   1044\n\
                    2001:db8::         link#4             UC              en0      !\n";
        let want = [
            "variable subject=en0 name=route text=default via fe80::1234:5678:9a",
            "route subject=lo0 name=fe80::/128 text=via fe80::1",
            "variable subject=en0 name=route text=host.example",
            "route subject=en0 name=2001:db8::/128",
        ];
        assert_eq!(read(text).0, want);
        let refused = "Kernel IPv6 routing table\nDestination                    Next Hop                   Flag Met Ref Use If\n\
                       0.0.0.0/96                     [::]                       !n   1024 0      0 lo\n\
                       host.example/128               [::]                       U    1024 0      0 lo\n";
        assert_eq!(read(refused).0, ["variable subject=lo name=route text=host.example/128"]);
    }
}
