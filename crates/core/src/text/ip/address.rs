//! `ip addr` and `ip link`, whole, on one line each (`-o`), or brief (`-br`) (ip-address(8), ip-link(8)).

use super::super::{Block, Form, Line, Taken};
use super::{address, interface, prefixed};
use crate::model::{At, Row};

/// `ip addr`, `ip -o addr`, `ip -s -d addr`; `ip link` has no addresses, and is passed over.
pub const LIST: Form = Form {
    name: "ip addr",
    opens: |line| heading(line).is_some() || one_line(line).is_some(),
    block: || Box::new(List::default()),
};

/// `ip -br addr`, `ip -br link`.
pub const BRIEF: Form =
    Form { name: "ip -br addr", opens: |line| brief(line) == Some(true), block: || Box::new(Brief) };

/// `2: eth0: <BROADCAST,MULTICAST,UP> mtu 1500 …`: the interface.
fn heading(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    words.next()?.strip_suffix(':')?.parse::<u32>().ok()?;
    let name = words.next()?.strip_suffix(':')?;
    words.next().filter(|flags| flags.starts_with('<') && flags.ends_with('>'))?;
    (words.next() == Some("mtu")).then_some(interface(name))
}

/// `2: eth0    inet 192.0.2.2/24 brd …`: the interface, and what follows.
fn one_line(line: &str) -> Option<(&str, &str)> {
    let (number, rest) = line.split_once(':')?;
    number.parse::<u32>().ok()?;
    let (name, rest) = rest.trim_start().split_once(' ')?;
    let rest = rest.trim_start();
    (rest.starts_with("inet ") || rest.starts_with("inet6 ")).then_some((interface(name), rest))
}

#[derive(Default)]
struct List {
    interface: String,
}

impl Block for List {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(name) = heading(line.text) {
            name.clone_into(&mut self.interface);
            return Taken::Yes;
        }
        if let Some((name, rest)) = one_line(line.text) {
            return inet(line.at, name, rest, rows);
        }
        if line.text.is_empty() {
            return Taken::Yes;
        }
        // Hardware address, lifetimes and counts are indented too.
        if !line.text.starts_with(' ') || self.interface.is_empty() {
            return Taken::No;
        }
        inet(line.at, &self.interface, line.text.trim_start(), rows)
    }
}

/// `inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0`, `inet 192.0.2.2 peer 192.0.2.9/32`.
fn inet(at: At<'_>, name: &str, text: &str, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
    let mut words = text.split_ascii_whitespace();
    if !matches!(words.next(), Some("inet" | "inet6")) {
        return Taken::Yes;
    }
    match words.next().and_then(prefixed) {
        Some(found) => {
            address(at, name, found, rows);
            Taken::Yes
        }
        None => Taken::Rejected("expected an address and its prefix".into()),
    }
}

const STATES: [&str; 7] = ["UP", "DOWN", "UNKNOWN", "LOWERLAYERDOWN", "DORMANT", "NOTPRESENT", "TESTING"];

/// Whether a line is an interface with its state and addresses; of one without addresses nobody could tell.
fn brief(line: &str) -> Option<bool> {
    let mut words = line.split_ascii_whitespace();
    words.next()?;
    STATES.contains(&words.next()?).then_some(())?;
    let third = words.next();
    let is_hardware = |word: &str| word.len() == 17 && word.split(':').count() == 6;
    match third {
        Some(word) => (word.contains('/') && prefixed(word).is_some() || is_hardware(word)).then_some(true),
        None => Some(false),
    }
}

struct Brief;

impl Block for Brief {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if brief(line.text).is_none() {
            return Taken::No;
        }
        let mut words = line.text.split_ascii_whitespace();
        let name = interface(words.next().unwrap_or_default());
        for found in words.skip(1).filter(|word| word.contains('/')).filter_map(prefixed) {
            address(line.at, name, found, rows);
        }
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn each_layout_gives_the_same_addresses() {
        let whole = "2: eth0@if5: <BROADCAST,UP> mtu 1500 qdisc noop state UP\n    link/ether 00:00:5e:00:53:01 brd ff:ff:ff:ff:ff:ff\n    \
                     inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\n       valid_lft forever preferred_lft forever\n    \
                     inet6 2001:db8::2/64 scope global\n    inet bad/24\nend\n";
        let want = ["address subject=eth0 text=192.0.2.2/24", "address subject=eth0 text=2001:db8::2/64"];
        let (rows, rejects, _) = read(whole);
        assert_eq!(rows, want);
        assert_eq!(rejects, ["line 6: expected an address and its prefix", "line 7: no reader knows this line"]);
        let one = "2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever\n\
                   2: eth0    inet6 2001:db8::2/64 scope global \\       valid_lft forever\n";
        assert_eq!(read(one).0, want);
        assert_eq!(read("eth0@if5  UP  192.0.2.2/24 2001:db8::2/64 \nifb0             DOWN\n").0, want);
    }
}
