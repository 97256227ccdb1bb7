//! `ifconfig` of net-tools (both layouts), the BSDs, macOS, Solaris and AIX.

use super::super::{Block, Form, Line, Taken};
use super::{address, mask_bits, prefixed};
use crate::model::Row;

/// `ifconfig`, `ifconfig -a`.
pub const IFCONFIG: Form =
    Form { name: "ifconfig", opens: |line| heading(line).is_some(), block: || Box::new(Interfaces::default()) };

/// `eth0: flags=4163<UP,…>  mtu 1500`, or before net-tools 2: `eth0      Link encap:Ethernet  HWaddr …`.
fn heading(line: &str) -> Option<&str> {
    // Pasted into other text, all of it is indented.
    let (name, rest) = line.trim_start().split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let new = rest.starts_with("flags=") && rest.contains('<');
    (new && name.ends_with(':') || rest.starts_with("Link encap:")).then(|| name.strip_suffix(':').unwrap_or(name))
}

#[derive(Default)]
struct Interfaces {
    interface: String,
}

impl Block for Interfaces {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if let Some(name) = heading(line.text) {
            name.clone_into(&mut self.interface);
            return Taken::Yes;
        }
        if line.text.is_empty() {
            return Taken::Yes;
        }
        // Hardware address, counts and media are indented too.
        let Some(text) = line.text.strip_prefix([' ', '\t']).map(str::trim_start) else { return Taken::No };
        let Some(rest) = text.strip_prefix("inet6").or_else(|| text.strip_prefix("inet")) else { return Taken::Yes };
        // `inet addr:192.0.2.2  Mask:255.255.255.0`, `inet6 addr: 2001:db8::2/64 Scope:Global`
        let rest = rest.trim_start().trim_start_matches("addr:");
        let mut words = rest.split_ascii_whitespace();
        let found = words.next().and_then(prefixed).and_then(|(host, all)| {
            let words: Vec<&str> = words.collect();
            let after = |name: &str| words.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1]);
            let mask = after("netmask").or_else(|| words.iter().find_map(|word| word.strip_prefix("Mask:")));
            let bits = match (mask, after("prefixlen")) {
                (Some(mask), _) => mask_bits(mask)?,
                (None, Some(bits)) => bits.parse().ok()?,
                (None, None) => all,
            };
            let all = if host.is_ipv4() { 32 } else { 128 };
            (bits <= all).then_some((host, bits))
        });
        match found {
            Some(found) => {
                address(line.at, &self.interface, found, rows);
                Taken::Yes
            }
            None => Taken::Rejected("expected an address and its netmask".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn every_layout_gives_address_and_prefix() {
        let texts = [
            "eth0: flags=4163<UP,BROADCAST>  mtu 1400\n        inet 192.0.2.2  netmask 255.255.255.0  broadcast 192.0.2.255\n        inet6 2001:db8::2  prefixlen 64  scopeid 0x0<global>\n",
            "eth0      Link encap:Ethernet  HWaddr 00:00:5E:00:53:01\n          inet addr:192.0.2.2  Bcast:192.0.2.255  Mask:255.255.255.0\n          inet6 addr: 2001:db8::2/64 Scope:Global\n",
            "eth0: flags=8843<UP,BROADCAST> metric 0 mtu 1500\n\tinet 192.0.2.2 netmask 0xffffff00 broadcast 192.0.2.255\n\tinet6 2001:db8::2%eth0 prefixlen 64 scopeid 0x1\n",
            "eth0: flags=1000843<UP,BROADCAST> mtu 1500 index 2\n        inet 192.0.2.2 netmask ffffff00 broadcast 192.0.2.255\n        inet6 2001:db8::2/64\n",
        ];
        for text in texts {
            let want = ["address subject=eth0 text=192.0.2.2/24", "address subject=eth0 text=2001:db8::2/64"];
            assert_eq!(read(text).0, want, "{text}");
        }
        let (rows, rejects, _) = read("eth0: flags=8843<UP> mtu 1500\n\tinet 192.0.2.2 prefixlen 64\n");
        assert_eq!((rows.len(), rejects), (0, vec!["line 2: expected an address and its netmask".to_owned()]));
    }
}
