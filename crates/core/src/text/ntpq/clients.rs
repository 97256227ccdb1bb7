//! The clients that a server has seen.

use super::super::{Block, Form, Line, Taken, is_rule};
use super::without_port;
use crate::model::{Event, Row, What};

/// `ntpq -c mrulist`, `ntpdc -c monlist`: the clients that a server has seen most recently.
pub const MRULIST: Form = Form {
    name: "ntpq -c mrulist",
    opens: |line| is_banner(line) || Columns::of(line).is_some(),
    block: || Box::new(Clients::default()),
};

fn is_banner(line: &str) -> bool {
    // Progress overwrites itself with a carriage return.
    line.contains("Ctrl-C will stop MRU") || line.contains(" unique MRU entries")
}

/// Which word of a row is which.
#[derive(Clone, Copy)]
struct Columns {
    count: usize,
    port: usize,
    address: usize,
}

impl Columns {
    /// NTPsec 1.2.2 put `score` and `drop` between `count` and `rport`; ntpdc has the address first, and since ntpd 4.2
    /// the local address (ntpdc_ops.c, `monlist`).
    fn of(line: &str) -> Option<Self> {
        let text = line.trim_start();
        let fits = text.starts_with("lstint ")
            || (text.starts_with("remote address ") || text.starts_with("address ")) && text.ends_with("lstint")
            || text.starts_with("address ") && text.ends_with(" lasttime firsttime");
        // `remote` and `local` qualify the word after them.
        let names = || text.split_whitespace().filter(|word| *word != "remote");
        let at = |wanted| names().filter(|word| *word != "local").position(|word| wanted == word);
        let (count, address) = (at("count")?, at("address")?);
        let port = at("rport").or_else(|| at("port"))?;
        fits.then_some(Columns { count, port, address })
    }
}

#[derive(Default)]
struct Clients {
    columns: Option<Columns>,
}

impl Block for Clients {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        if let Some(columns) = Columns::of(text) {
            self.columns = Some(columns);
            return Taken::Yes;
        }
        // NTPsec's last words are `# Collected …`, `# Processed …`, `# Used …`.
        if text.is_empty() || is_rule(text) || is_banner(text) || is_summary(text) {
            return Taken::Yes;
        }
        let Some(columns) = self.columns else { return Taken::No };
        let word = |index| text.split_whitespace().nth(index);
        let count = word(columns.count).and_then(|word| word.parse().ok());
        let port = word(columns.port).and_then(|word| word.parse().ok());
        // All that is not the address is a number, or a flag of one letter.
        let numeric = text.split_whitespace().filter(|word| word.parse::<f64>().is_ok()).count() >= 4;
        if !numeric && (count.is_none() || port.is_none()) {
            return Taken::No;
        }
        let (Some(address), Some(port), Some(count)) = (word(columns.address), port, count) else {
            return Taken::Rejected("a client needs count, port and remote address".into());
        };
        let what = What::Client { address: without_port(address), port: Some(port), count };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }
}

fn is_summary(line: &str) -> bool {
    ["# Collected ", "# Processed ", "# Used ", "# Retrieved "].iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;

    #[test]
    fn clients_of_both_programs() {
        let text = "Ctrl-C will stop MRU retrieval and display partial results.\n\nRetrieved 1 unique MRU entries and 0 updates.\n\
                    lstint avgint rstr r m v  count rport remote address\n====\n     8      2   20 L 3 4     18   116 192.0.2.1\n\n\
                    \x20lstint avgint rstr r m v  count    score   drop rport remote address\n====\n\
                    \x20     1   2.45    0 . 3 4     87    0.410      0   123 2001:db8::1\n# Used 23 megabytes of memory\n     1 2 3 4\n";
        let (rows, rejects, _) = read(text);
        let want = [
            "client subject=192.0.2.1 name=requests value=18 text=port 116",
            "client subject=2001:db8::1 name=requests value=87 text=port 123",
        ];
        assert_eq!(rows, want);
        assert_eq!(rejects, ["line 12: a client needs count, port and remote address"]);
    }

    #[test]
    fn clients_of_ntpdc() {
        let text = "remote address          port local address      count m ver rstr avgint  lstint\n====\n\
                    ntp.example               123 192.0.2.7             12 3 4      0     64      30\n\n\
                    \x20    address               port     count mode ver rstr avgint  lstint\n====\n\
                    192.0.2.1                 40000      7    3  4         0        64        30\n";
        let want = [
            "client subject=ntp.example name=requests value=12 text=port 123",
            "client subject=192.0.2.1 name=requests value=7 text=port 40000",
        ];
        assert_eq!(read(text), (want.map(str::to_owned).to_vec(), Vec::new(), vec!["ntpq -c mrulist"]));
    }
}
