//! `chronyc clients`: who asked this server.

use super::{fields, gauge, interval_s, is_filler, is_header, is_name};
use crate::model::{At, Event, Row, What};
use crate::text::field::integer;
use crate::text::{Block, Form, Line, Taken};
use std::net::IpAddr;

/// `chronyc clients`, with or without `-k`.
pub(super) const CLIENTS: Form = Form { name: "chronyc clients", opens, block: || Box::new(Clients { old: false }) };

fn opens(line: &str) -> bool {
    is_clients_header(line) || Cells::of_fields(line).is_some()
}

/// `-k` names the second half NTS-KE; until chrony 2.1 there were counts of peers and of commands instead.
fn is_clients_header(line: &str) -> bool {
    is_header(line, &["Hostname", "NTP", "Drop", "Int"]) || is_header(line, &OLD)
}

const OLD: [&str; 5] = ["Hostname", "Client", "Peer", "CmdAuth", "CmdNorm"];

struct Clients {
    /// Whether the header is that of chrony 1.
    old: bool,
}

impl Block for Clients {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_clients_header(line.text) {
            self.old = is_header(line.text, &OLD);
            return Taken::Yes;
        }
        if is_filler(line.text) {
            return Taken::Yes;
        }
        let cells = Cells::of_fields(line.text).or_else(|| Cells::of_row(line.text, self.old));
        cells.map_or(Taken::No, |cells| cells.taken(line.at, rows))
    }
}

struct Cells<'a> {
    address: &'a str,
    hits: &'a str,
    /// In chrony 1 the packets of symmetric peers, which are requests too.
    peers: &'a str,
    dropped: &'a str,
    /// The last request: how long ago.
    last: &'a str,
}

impl<'a> Cells<'a> {
    fn of_row(line: &'a str, old: bool) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next();
        let (address, hits) = (word()?, word()?);
        let cells = if old {
            let peers = word()?;
            let (_auth, _norm, _bad, last, _) = (word()?, word()?, word()?, word()?, word()?);
            Cells { address, hits, peers, dropped: "0", last }
        } else {
            let (dropped, _interval, _limited, last) = (word()?, word()?, word()?, word()?);
            let _commands = (word()?, word()?, word()?, word()?);
            Cells { address, hits, peers: "0", dropped, last }
        };
        (word().is_none() && is_name(address)).then_some(cells)
    }

    /// The ten fields of `-c`, which prints no names of clients.
    fn of_fields(line: &'a str) -> Option<Self> {
        let [address, hits, dropped, interval, limited, last, commands, refused, pause, before] = fields::<10>(line)?;
        let whole = [hits, dropped, last, commands, refused, before].iter().all(|field| integer(field).is_some());
        let short = [interval, limited, pause].iter().all(|field| field.parse::<i8>().is_ok());
        (whole && short && address.parse::<IpAddr>().is_ok()).then_some(Cells {
            address,
            hits,
            peers: "0",
            dropped,
            last,
        })
    }

    fn taken(&self, at: At<'a>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let whole = |text: &str| integer(text).and_then(|whole| u64::try_from(whole).ok());
        let (Some(hits), Some(peers), Some(dropped)) = (whole(self.hits), whole(self.peers), whole(self.dropped))
        else {
            return Taken::Rejected("a client needs counts of NTP packets and of those dropped".into());
        };
        let what = What::Client { address: self.address, port: None, count: hits.saturating_add(peers) };
        rows(Row::Event(Event { at, what }));
        if dropped > 0 {
            gauge(rows, at, self.address, "dropped_packets", dropped as f64);
        }
        let last_s = interval_s(self.last).flatten();
        last_s.into_iter().for_each(|last_s| gauge(rows, at, self.address, "last_request_ago_s", last_s));
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::read;

    #[test]
    fn clients_of_all_layouts_are_counted() {
        let now = "Hostname                      NTP   Drop Int IntL Last     Cmd   Drop Int  Last\n====\n\
                   192.0.2.7                      12      3   6   -    23       0      0   -     -\n";
        let keyed = now.replace("    Cmd", " NTS-KE");
        let wide = now.replace("Hostname", "Hostname              ");
        let csv = "192.0.2.7,12,3,6,127,23,0,0,127,4294967295\n";
        for text in [now, &keyed, &wide, csv] {
            let (rows, rejects, forms) = read(text);
            let want = [
                "client subject=192.0.2.7 name=requests value=12",
                "gauge subject=192.0.2.7 name=dropped_packets value=3",
                "gauge subject=192.0.2.7 name=last_request_ago_s value=23",
            ];
            assert_eq!((rows, rejects.len(), forms), (want.map(str::to_owned).to_vec(), 0, vec!["chronyc clients"]));
        }
        let old = "Hostname                   Client    Peer CmdAuth CmdNorm  CmdBad  LstN  LstC\n====\n\
                   192.0.2.7                       5       2       0       0       0    10     -\n\
                   192.0.2.8                       x       2       0       0       0    10     -\n";
        assert_eq!(read(old).0[0], "client subject=192.0.2.7 name=requests value=7");
        assert_eq!(read(old).1.len(), 1);
    }
}
