//! `ss -ulpn` and `netstat -ulpn`: who listens on NTP's port. Two daemons on it get in each other's way.

use super::super::{Block, Form, Line, Taken};
use super::variable;
use crate::model::Row;

/// `ss` and `netstat` with the sockets of UDP, alone or among others.
pub const SOCKETS: Form = Form { name: "ss -ulpn", opens, block: || Box::new(Sockets::default()) };

/// The header of either; `netstat` has a title before it.
fn opens(line: &str) -> bool {
    line.starts_with("Active Internet connections") || is_header(line)
}

/// Counts of bytes stand before the addresses, or of segments (`netstat -T` of FreeBSD).
fn is_header(line: &str) -> bool {
    let counts = line.contains("Recv-Q") && line.contains("Send-Q") || line.contains("OOORcv");
    counts && line.contains("Local Address")
}

#[derive(Default)]
struct Sockets {
    /// Words before the protocol (an address of the kernel's, `netstat -A`), where the lines name it (`netstat`,
    /// `ss -tu`); without it they may be of UDP or TCP.
    protocol: Option<usize>,
    /// Among sockets that are not of the net.
    others: bool,
}

/// What stands in the column of the protocol, besides UDP.
const PROTOCOLS: [&str; 19] = [
    "tcp", "raw", "unix", "nl", "u_str", "u_dgr", "u_seq", "p_raw", "p_dgr", "icmp", "icm", "ip", "v_str", "???",
    "sctp", "tipc", "mptcp", "xdp", "div",
];

impl Block for Sockets {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim_start();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if is_header(text) {
            self.protocol = words.iter().take(3).position(|word| matches!(*word, "Netid" | "Proto"));
            self.others = false;
            return Taken::Yes;
        }
        // `netstat -a` lists local sockets and the kernel's own after those of the net.
        if text.starts_with("Active ") || text.starts_with("Registered kernel") {
            self.others = !text.starts_with("Active Internet");
            return Taken::Yes;
        }
        // `ss -m` and `ss -i` go on in lines that are indented.
        if text.is_empty() || line.text.starts_with(['\t', ' ']) && !self.others {
            return Taken::Yes;
        }
        let is_other = |word: &str| PROTOCOLS.iter().any(|name| word.starts_with(name));
        if self.others {
            let first = words[0];
            let number = first.bytes().all(|b| b.is_ascii_hexdigit());
            let header =
                ["Proto", "Address", "id", "unit", "kctlref", "pcb"].iter().any(|word| first.starts_with(word));
            let kernel = first.starts_with("kctl") || first.starts_with("kevt");
            return if number || header || kernel || is_other(first) { Taken::Yes } else { Taken::No };
        }
        let named = self.protocol.and_then(|at| words.get(at)).copied();
        let udp = named.is_some_and(|name| name.starts_with("udp")) || text.starts_with("udp");
        if self.protocol.is_some() && !udp {
            return if named.is_some_and(is_other) { Taken::Yes } else { Taken::No };
        }
        let states = ["UNCONN", "ESTAB", "LISTEN", "CLOSE", "TIME-WAIT", "SYN", "FIN", "LAST-ACK"];
        let state = words.iter().take(2).any(|word| states.iter().any(|state| word.starts_with(state)));
        let from = named.map_or(0, |_| self.protocol.unwrap_or_default() + 1);
        let is_address = |word: &&str| word.contains([':', '.', '*']);
        let Some(after) = words.iter().skip(from).position(is_address).map(|at| from + at) else {
            let reason = "expected a local and a remote address";
            return if udp || state { Taken::Rejected(reason.into()) } else { Taken::No };
        };
        // FreeBSD counts no segments of UDP (`netstat -T`), the others always bytes.
        let counts = words.get(from..after).unwrap_or_default();
        let counted = counts.iter().rev().take(2).filter(|word| word.parse::<u64>().is_ok()).count();
        if counted != 2 && !(counts.is_empty() && named.is_some()) {
            let reason = "expected two counts of bytes before the address";
            return if udp || state { Taken::Rejected(reason.into()) } else { Taken::No };
        }
        // Without a protocol, UDP's sockets are those that are not connected or have no state at all.
        let tcp = !udp && words[0] != "UNCONN" && words[0] != "ESTAB" && state;
        let (Some(local), Some(remote)) = (words.get(after), words.get(after + 1)) else {
            return Taken::Rejected("expected a local and a remote address".into());
        };
        // A connected socket of a client may have the port by chance, but the server's own is open to all. BSD has a dot
        // before the port.
        let is_ntp = local.rsplit_once([':', '.']).is_some_and(|(_, port)| matches!(port, "123" | "ntp"));
        if is_ntp && !tcp && remote.ends_with('*') {
            let value = process(&words).map_or_else(|| (*local).to_owned(), |process| format!("{local} {process}"));
            variable(line.at, "udp_123", &value, rows);
        }
        Taken::Yes
    }
}

/// Program and process id of `users:(("chronyd",pid=812,fd=5))`, older `users:(("chronyd",812,5))`, or `812/chronyd`.
fn process(words: &[&str]) -> Option<String> {
    let users = words.iter().find_map(|word| word.strip_prefix("users:((\""));
    if let Some((name, rest)) = users.and_then(|users| users.split_once('"')) {
        let rest = rest.trim_start_matches(',');
        let pid = rest.strip_prefix("pid=").unwrap_or(rest);
        return Some(format!("{name} {}", pid.split([',', ')']).next()?));
    }
    let (pid, name) = words.iter().skip(5).find_map(|word| word.split_once('/'))?;
    pid.parse::<u32>().is_ok().then(|| format!("{} {pid}", name.trim_end_matches(':')))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{read, variables};

    #[test]
    fn both_programs_tell_who_listens() {
        let ss = "State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n\
                  UNCONN 0      0            0.0.0.0:123       0.0.0.0:*    users:((\"ntpd\",pid=812,fd=3))\n\
                  UNCONN 0      0          127.0.0.1:323       0.0.0.0:*    users:((\"chronyd\",pid=813,fd=5))\n\
                  UNCONN x      0               [::]:ntp          [::]:*    users:((\"ntpd\",pid=812,fd=4))\n\
                  UNCONN 0      0               [::]:ntp          [::]:*    users:((\"ntpd\",812,4))\n";
        assert_eq!(variables(ss), ["name=udp_123 text=0.0.0.0:123 ntpd 812", "name=udp_123 text=[::]:ntp ntpd 812"]);
        assert_eq!(read(ss).1, ["line 4: expected two counts of bytes before the address"]);
        let bsd = "Active Internet connections (including servers)\n\
                   Proto Recv-Q Send-Q Local Address          Foreign Address        (state)\n\
                   udp4       0      0 *.123                  *.*\n";
        assert_eq!(variables(bsd), ["name=udp_123 text=*.123"]);
        let kernel = "Active Internet connections (including servers)\n\
                      Socket           Flowhash Proto Recv-Q Send-Q  Local Address      Foreign Address    (state)\n\
                      7fb03cb93c709f4d b64a4fe1 udp4       0      0  *.ntp              *.*\n\
                      Active LOCAL (UNIX) domain sockets\n\
                      Address          Type   Recv-Q Send-Q            Inode             Conn             Refs          Nextref Addr\n\
                      7fb03cb94a63a7cd stream      1      0                0 7fb03cb94a63cedd                0                0\n\
                      Registered kernel control modules\nid       flags    pcbcount rcvbuf   sndbuf   name\n\
                      \x20      1        9        0   131072   131072 com.example.flow\nend\n";
        assert_eq!(variables(kernel), ["name=udp_123 text=*.ntp"]);
        assert_eq!(read(kernel).1, ["line 10: no reader knows this line"]);
        let segments = "Active Internet connections (including servers)\n\
                        Proto Rexmit OOORcv 0-win  Local Address          Foreign Address\n\
                        tcp4       3      0      0 192.0.2.1.ssh          192.0.2.9.64330\n\
                        udp4                       *.ntp                  *.*\n";
        assert_eq!((variables(segments), read(segments).1.len()), (vec!["name=udp_123 text=*.ntp".into()], 0));
        let netstat = "Active Internet connections (servers and established)\n\
                       Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name\n\
                       tcp        0      0 0.0.0.0:123             0.0.0.0:*               LISTEN      1/inetd\n\
                       udp        0      0 192.0.2.2:123           192.0.2.9:123           ESTABLISHED 7/sntp\n\
                       udp        0      0 0.0.0.0:123             0.0.0.0:*                           812/ntpd\n\
                       udp6       0      0 :::123                  :::*                                -\n";
        assert_eq!(variables(netstat), ["name=udp_123 text=0.0.0.0:123 ntpd 812", "name=udp_123 text=:::123"]);
    }
}
