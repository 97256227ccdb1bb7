//! `w32tm /query /peers`, with or without `/verbose`.

use super::{explained, gauge, labelled, poll_s, seconds, source_of, stratum, variable};
use crate::model::{At, Origin, Peer, Row};
use crate::text::field::integer;
use crate::text::{Block, Form, Line, Taken};

/// `w32tm /query /peers`.
pub(super) const PEERS: Form = Form { name: "w32tm /query /peers", opens, block: || Box::new(Peers::default()) };

/// The labels in English, in the order that all languages have; from the eighth on with `/verbose`.
const LABELS: [&str; 14] = [
    "Peer",
    "State",
    "Time Remaining",
    "Mode",
    "Stratum",
    "PeerPoll Interval",
    "HostPoll Interval",
    "Last Successful Sync Time",
    "LastSyncError",
    "LastSyncErrorMsgId",
    "AuthTypeMsgId",
    "Resolve Attempts",
    "ValidDataCounter",
    "Reachability",
];

/// `#Peers: 2`
fn opens(line: &str) -> bool {
    let count = line.strip_prefix('#').filter(|label| !label.starts_with(' ')).and_then(labelled);
    count.is_some_and(|(label, value)| {
        (label.contains("eer") || label.starts_with("Homolog")) && integer(value).is_some()
    })
}

#[derive(Default)]
struct Peers {
    said: Said,
    /// The line that comes next.
    next: usize,
}

#[derive(Default)]
struct Said {
    origin: Option<Origin>,
    source: String,
    stratum: Option<u8>,
    poll_s: Option<f64>,
    reach: Option<u8>,
}

impl Block for Peers {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if line.text.is_empty() || opens(line.text) {
            self.next = 0;
            return Taken::Yes;
        }
        let Some((label, value)) = labelled(line.text) else { return Taken::No };
        let known = LABELS.iter().position(|known| *known == label);
        let Some(index) = known.or_else(|| (self.next < LABELS.len()).then_some(self.next)) else { return Taken::No };
        // In another language the two lines that are numbers must be.
        let fits = match index {
            0 => value.split(',').next().is_some_and(|name| !name.contains(' ')),
            4 => stratum(value).is_some(),
            _ => self.said.origin.is_some(),
        };
        if known.is_none() && !fits {
            return Taken::No;
        }
        if index == 0 {
            self.end(rows);
            self.said.origin = Some(line.at.origin);
        }
        self.next = index + 1;
        self.said.hear(index, value, line.at, rows).map_or_else(Taken::Rejected, |()| Taken::Yes)
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let said = std::mem::take(&mut self.said);
        let Some(at) = said.origin.map(At::origin) else { return };
        let (stratum, poll_s, reach) = (said.stratum, said.poll_s, said.reach);
        rows(Row::Peer(Peer { stratum, poll_s, reach, ..Peer::new(at, &said.source) }));
    }
}

impl Said {
    fn hear(&mut self, index: usize, value: &str, at: At<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
        match index {
            0 => source_of(value).clone_into(&mut self.source),
            2 => {
                let remaining = seconds(value).ok_or_else(|| format!("`{value}` is not a number of seconds"))?;
                gauge(rows, at, &self.source, "next_poll_s", remaining);
            }
            4 => self.stratum = stratum(value).ok_or_else(|| format!("stratum `{value}` is not 0 to 16"))?,
            // The peer's is what its packets said; the host's is how often it is asked.
            5 => {}
            6 => self.poll_s = poll_s(value).ok_or_else(|| format!("poll `{value}` is not a power of two"))?,
            // Decimal, where everybody else prints octal.
            13 => {
                let reach = value.parse().map_err(|_| format!("reachability `{value}` is not 0 to 255"))?;
                self.reach = Some(reach);
            }
            11 | 12 => {
                let count = integer(value).ok_or_else(|| format!("`{value}` is not a count"))?;
                let name = if index == 11 { "resolve_attempts" } else { "valid_data_counter" };
                gauge(rows, at, &self.source, name, count as f64);
            }
            8..=10 if explained(value).is_none() => return Err(format!("`{value}` is not a code and its meaning")),
            _ => variable(rows, at, &self.source, LABELS[index], value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read, variables};

    #[test]
    fn peers_of_both_lengths_are_read() {
        let text = "#Peers: 2\n\nPeer: ntp.example,0x9\nState: Active\nTime Remaining: 29.4847157s\nMode: 3 (Client)\n\
                    Stratum: 3 (secondary reference - syncd by (S)NTP)\nPeerPoll Interval: 17 (out of valid range)\n\
                    HostPoll Interval: 6 (64s)\nLast Successful Sync Time: 11/22/2026 12:05:55 AM\n\
                    LastSyncError: 0x00000000 (Succeeded)\nLastSyncErrorMsgId: 0x00000000 (Succeeded)\n\
                    AuthTypeMsgId: 0x0000005A (NoAuth )\nResolve Attempts: 0\nValidDataCounter: 1\nReachability: 255\n\n\
                    Peer: 192.0.2.9\nState: Pending\nTime Remaining: 0.0000000s\nMode: 0 (reserved)\n\
                    Stratum: 0 (unspecified)\nPeerPoll Interval: 0 (unspecified)\nHostPoll Interval: 0 (unspecified)\n";
        let want = ["source=ntp.example stratum=3 poll_s=64 reach=377", "source=192.0.2.9"];
        assert_eq!(peers(text), want);
        assert_eq!(variables(text)[0], "subject=ntp.example name=State text=Active");
        assert_eq!(read(text).1.len(), 0);
    }

    #[test]
    fn other_languages_are_read_by_the_order_of_lines() {
        let text = "#Peers: 1\n\nPeer: ntp.example,0x9\nStatus: Aktiv\nVerbleibende Zeit: 29,4847157s\nModus: 3 (Client)\n\
                    Stratum: 3 (Sekundärreferenz)\nPeerabrufintervall: 6 (64s)\nHostabrufintervall: 6 (64s)\n";
        assert_eq!(peers(text), ["source=ntp.example stratum=3 poll_s=64"]);
        assert_eq!(read(text).1.len(), 0);
    }
}
