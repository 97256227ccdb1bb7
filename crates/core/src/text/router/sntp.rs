//! `show sntp status` of Cisco's small switches (SG, SX, CBS), which calls `show ntp status`' first line its own.

use super::{Answer, is_source, kept, leading, seconds, variable};
use crate::model::{Peer, Row};
use crate::text::{Block, Form, Line, Taken, is_rule};

/// The lists of servers, after the line on the clock.
pub const STATUS: Form = Form {
    name: "show sntp status",
    opens: |line| line.trim() == UNICAST,
    block: || Answer::to(&[], Servers::default()),
};

const UNICAST: &str = "Unicast servers:";

/// A server that never answered has this stratum.
const NEVER: f64 = 255.0;

#[derive(Default)]
struct Servers {
    open: Option<(String, Peer<'static>)>,
}

impl Block for Servers {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text.trim();
        let is_list = matches!(text, UNICAST | "Anycast server:" | "Broadcast:");
        if text.is_empty() || is_list || text.starts_with("Server ") && !text.contains(':') || is_rule(text) {
            return Taken::Yes;
        }
        let Some((label, value)) = text.split_once(':').map(|(label, value)| (label.trim_end(), value.trim())) else {
            return Taken::No;
        };
        if label == "Server" {
            self.end(rows);
            self.open = Some((value.to_owned(), Peer::new(kept(line.at), "")));
            return Taken::Yes;
        }
        if is_source(text.split(' ').next().unwrap_or_default()) {
            return row(line, text, rows);
        }
        let Some((source, peer)) = &mut self.open else { return Taken::No };
        match label {
            "Stratum" | "Stratum Level" => match leading(value) {
                Some(NEVER) => {}
                Some(stratum) if (0.0..=16.0).contains(&stratum) => peer.stratum = Some(stratum as u8),
                _ => return Taken::Rejected(format!("stratum `{value}` is not 0 to 16")),
            },
            // Of the server's clock, relative to the local one (RFC 2030): reference − local.
            "Offset" | "Delay" => {
                let Some(span) = seconds(&value.to_ascii_lowercase()) else {
                    return Taken::Rejected(format!("{label} `{value}` is not a number of milliseconds"));
                };
                *(if label == "Offset" { &mut peer.offset_s } else { &mut peer.delay_s }) = Some(span);
            }
            "Source" => variable(rows, line.at, source, "source", value),
            "Status" => variable(rows, line.at, source, "condition", value),
            "Last Response" | "Last Request" | "Poll Interval" => {}
            _ => return Taken::No,
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some((source, peer)) = self.open.take() else { return };
        let never = peer.stratum.is_none() && peer.offset_s == Some(0.0);
        let measured = |value: Option<f64>| value.filter(|_| !never);
        rows(Row::Peer(Peer {
            source: &source,
            offset_s: measured(peer.offset_s),
            delay_s: measured(peer.delay_s),
            ..peer
        }));
    }
}

/// Older releases print a row: the server, its state, when it answered last, and offset and delay in milliseconds.
fn row(line: Line<'_>, text: &str, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
    let words: Vec<&str> = text.split_ascii_whitespace().take(16).collect();
    let ([source, state, ..], [.., offset, delay]) = (words.as_slice(), words.as_slice()) else { return Taken::No };
    let (Some(offset), Some(delay)) = (leading(offset), leading(delay)) else {
        return Taken::Rejected("a server needs offset and delay in milliseconds".into());
    };
    variable(rows, line.at, source, "condition", state);
    let answered = offset != 0.0 || delay != 0.0;
    rows(Row::Peer(Peer {
        offset_s: answered.then_some(offset / 1e3),
        delay_s: answered.then_some(delay / 1e3),
        ..Peer::new(line.at, source)
    }));
    Taken::Yes
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    #[test]
    fn servers_of_both_layouts_are_read() {
        let text = "Clock is synchronized, stratum 3, reference is ntp.example, unicast\n\nUnicast servers:\n\n\
                    Server            : 192.0.2.1\n  Source          : Static\n  Stratum         : 255\n  \
                    Status          : down\n  Last Response   : 00:00:00.0  Jan 1 1900\n  Offset          : 0.0000000 mSec\n  \
                    Delay           : 0 mSec\n\nServer            : ntp.example\n  Stratum Level   : 3\n  \
                    Status          : up\n  Offset          : -1404.5 mSec\n  Delay           : 20 mSec\n\n\n\n\
                    Anycast server:\n\n\n\nBroadcast:\n";
        assert_eq!(peers(text), ["source=192.0.2.1", "source=ntp.example stratum=3 offset_s=-1.4045 delay_s=0.02"]);
        assert_eq!((read(text).1, read(text).2), (vec![], vec!["show ntp status", "show sntp status"]));
        let old = "Clock is unsynchronized\n\nUnicast servers:\n\nServer Status Last Response Offset [mSec] Delay [mSec]\n\
                   ----------- ------- ------------- ------ ------\n192.0.2.1 up 19:58:22.289 PDT Feb 19 2002 7.33 117.79\n";
        assert_eq!(peers(old), ["source=192.0.2.1 offset_s=0.00733 delay_s=0.11779"]);
        assert_eq!((read(old).0[0].as_str(), read(old).1.len()), ("clock leap=3", 0));
    }
}
