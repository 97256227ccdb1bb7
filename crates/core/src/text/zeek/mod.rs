//! Zeek's `ntp.log`, `ntp_control.log` and `ntp_private.log`, as columns or as JSON lines.
//!
//! Columns are those of `scripts/base/protocols/ntp/main.zeek` (Zeek 3.0 and later; Bro logged no NTP), whichever of them
//! a site has kept and in whatever order: `#fields` or the keys tell. Logs of other protocols are known as Zeek's and
//! passed over, since sites put several into one stream.
//!
//! A line is one NTP message, but it names the ends of the *connection*: who opened it, and who was addressed. The
//! mode tells who sent the message. Zeek turns a connection round where a server's message opened it
//! (`ntp-analyzer.pac`), so a client is always the originator. Between symmetric peers the timestamps tell, or nothing
//! does.
//!
//! NTP's timestamps are printed as Unix time: microseconds in columns, a double (good to 0.24 µs) or milliseconds in
//! JSON. The stamps in a row are as exact as that, and equal stamps are still equal; the wire's lower bits are lost.

mod json;

use super::field::{date_time, integer, nanoseconds, number, stamp};
use super::{Block, Form, Line, Taken};
use crate::model::{At, Packet, Row};
use crate::time::{NTP_TO_UNIX, SECOND, Time};
use std::collections::HashMap;
use std::net::IpAddr;

/// What this module reads.
pub const FORMS: &[Form] = &[
    Form { name: "Zeek log", opens: opens_columns, block: || Box::new(Columns::default()) },
    json::LINES,
    json::LAID_OUT,
];

/// What is read of a line, by the names of Zeek's columns.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Ts,
    Uid,
    OrigHost,
    OrigPort,
    RespHost,
    RespPort,
    Version,
    Mode,
    Stratum,
    Poll,
    Precision,
    RootDelay,
    RootDispersion,
    RefId,
    Reference,
    Originate,
    Receive,
    Transmit,
    OpCode,
    ResponseBit,
    RequestCode,
    Sensor,
}

use Column::{
    Mode, OpCode, OrigHost, OrigPort, Originate, Poll, Precision, Receive, RefId, Reference, RequestCode, RespHost,
    RespPort, ResponseBit, RootDelay, RootDispersion, Sensor, Stratum, Transmit, Ts, Uid, Version,
};

const COLUMNS: [(&str, Column); 22] = [
    ("ts", Ts),
    ("uid", Uid),
    ("id.orig_h", OrigHost),
    ("id.orig_p", OrigPort),
    ("id.resp_h", RespHost),
    ("id.resp_p", RespPort),
    ("version", Version),
    ("mode", Mode),
    ("stratum", Stratum),
    ("poll", Poll),
    ("precision", Precision),
    ("root_delay", RootDelay),
    ("root_disp", RootDispersion),
    ("ref_id", RefId),
    ("ref_time", Reference),
    ("org_time", Originate),
    ("rec_time", Receive),
    ("xmt_time", Transmit),
    ("op_code", OpCode),
    ("resp_bit", ResponseBit),
    ("req_code", RequestCode),
    // Corelight's sensors put their name into every line.
    ("_system_name", Sensor),
];

/// The cells of one line; `None` where it has none, or it is unset.
#[derive(Clone, Copy, Default)]
struct Cells<'a>([Option<&'a str>; COLUMNS.len()]);

impl<'a> Cells<'a> {
    fn get(&self, column: Column) -> Option<&'a str> {
        self.0[column as usize]
    }

    /// A cell that may be unset, but if it is set must be what `read` reads.
    fn read<T>(&self, column: Column, read: fn(&str) -> Option<T>) -> Result<Option<T>, String> {
        let Some(text) = self.get(column) else { return Ok(None) };
        let name = COLUMNS[column as usize].0;
        read(text).map(Some).ok_or_else(|| format!("an NTP message whose {name} can't be right"))
    }

    /// Whether these are the columns of one of the logs about NTP.
    fn is_ntp(&self) -> bool {
        self.get(Mode).is_some() && [Transmit, OpCode, RequestCode].iter().any(|column| self.get(*column).is_some())
    }
}

/// Who sent what between symmetric peers.
#[derive(Default)]
struct Peers(HashMap<String, [Option<u64>; 2]>);

/// Connections between symmetric peers that are remembered; a log of more begins anew.
const MOST_PEERS: usize = 4096;

impl Peers {
    /// Whether the originator of the connection sent this message; `None` where nothing tells.
    ///
    /// The connection's first message is its originator's. After that, a message returns as its origin timestamp what
    /// the *other* end sent last (RFC 5905 §8).
    fn is_from_originator(&mut self, uid: &str, packet: &Packet<'_>) -> Option<bool> {
        if self.0.len() >= MOST_PEERS && !self.0.contains_key(uid) {
            self.0.clear();
        }
        let known = self.0.contains_key(uid);
        let sent = self.0.entry(uid.to_owned()).or_default();
        let answers = |end: usize| packet.originate.is_some() && packet.originate == sent[end];
        let originator = match (answers(0), answers(1)) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            // A passive peer answers (mode 2); an active one may have asked first, or again.
            _ if packet.mode == Some(2) => Some(false),
            _ if !known => Some(true),
            _ => None,
        };
        if let Some(originator) = originator {
            sent[usize::from(!originator)] = packet.transmit;
        }
        originator
    }
}

/// Gives the row of one message.
fn message(at: At<'_>, cells: &Cells<'_>, peers: &mut Peers, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    let mode = cells.read(Mode, small)?.filter(|mode| *mode < 8).ok_or("an NTP message without a mode")?;
    let host = cells.get(Sensor).unwrap_or_default();
    let mut packet = Packet::new(At { time: cells.read(Ts, time)?.flatten(), host, ..at });
    packet.mode = Some(mode);
    packet.version = cells.read(Version, small)?.filter(|version| *version < 8);
    let end = |host, port| Ok::<_, String>((cells.read(host, |text| text.parse().ok())?, cells.read(port, port_of)?));
    let (originator, responder): ((Option<IpAddr>, _), _) = (end(OrigHost, OrigPort)?, end(RespHost, RespPort)?);
    packet.stratum = cells.read(Stratum, small)?;
    packet.poll = cells.read(Poll, interval)?.and_then(exponent);
    packet.precision = cells.read(Precision, interval)?.and_then(exponent);
    packet.root_delay_s = cells.read(RootDelay, interval)?;
    packet.root_dispersion_s = cells.read(RootDispersion, interval)?;
    packet.refid = refid(cells.get(RefId).unwrap_or_default());
    packet.reference = cells.read(Reference, ntp)?.flatten();
    packet.originate = cells.read(Originate, ntp)?.flatten();
    packet.receive = cells.read(Receive, ntp)?.flatten();
    packet.transmit = cells.read(Transmit, ntp)?.flatten();
    let from_originator = match mode {
        // A broadcast has one direction.
        3 | 5 => Some(true),
        4 => Some(false),
        1 | 2 => peers.is_from_originator(cells.get(Uid).unwrap_or_default(), &packet),
        // Whoever asks opened the connection; `ntp_private.log` does not say what is a question.
        6 => cells.read(ResponseBit, flag)?.map(|response| !response),
        _ => None,
    };
    match from_originator {
        Some(true) => (packet.source, packet.destination) = (originator, responder),
        Some(false) => (packet.source, packet.destination) = (responder, originator),
        None => {}
    }
    rows(Row::Packet(packet));
    Ok(())
}

/// `T` and `F`, as Zeek prints `bool`.
fn flag(text: &str) -> Option<bool> {
    matches!(text, "T" | "F").then_some(text == "T")
}

fn small(text: &str) -> Option<u8> {
    integer(text)?.try_into().ok()
}

/// A port; `123/udp` in logs that were made with Zeek's own `print`.
fn port_of(text: &str) -> Option<u16> {
    integer(text.strip_suffix("/udp").unwrap_or(text))?.try_into().ok()
}

/// Seconds.
fn interval(text: &str) -> Option<f64> {
    number(text)
}

/// The exponent of a power of two, which Zeek prints to the microsecond: below 2⁻²⁰ it is not known any more.
fn exponent(seconds: f64) -> Option<i8> {
    const HALF_A_MICROSECOND: f64 = 0.500_001e-6;
    let exponent = seconds.log2().round();
    let fits = exponent.is_finite() && (exponent.exp2() - seconds).abs() <= HALF_A_MICROSECOND;
    (fits && exponent.abs() < 128.0).then_some(exponent as i8)
}

/// The reference id without the zeros that fill it; Zeek prints a byte that is no character as `\x00`.
fn refid(text: &str) -> &str {
    let mut text = text;
    while let Some(shorter) = text.strip_suffix("\\x00").or_else(|| text.strip_suffix('\0')) {
        text = shorter;
    }
    text
}

/// Nanoseconds since 1970: Unix time with a fraction, milliseconds, or ISO 8601.
fn unix_ns(text: &str) -> Option<i64> {
    /// Beyond this, whole numbers are milliseconds (`LogAscii::json_timestamps = JSON::TS_MILLIS`): as seconds it is the
    /// year 5138, as milliseconds March 1973.
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    if let Some((date, time)) = text.split_once('T') {
        return date_time(date, time.strip_suffix('Z')?).map(|time| time.0);
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    if let Some(whole) = integer(digits).filter(|whole| *whole >= MILLISECONDS_FROM) {
        return whole.checked_mul(sign * 1_000_000);
    }
    // Small doubles of JSON have exponents; their nanoseconds are what counts.
    // What is no time at all, such as two that were written over each other, is beyond every clock.
    let seconds = |digits| number(digits).filter(|seconds| *seconds < (i64::MAX / SECOND) as f64);
    let ns = nanoseconds(digits).or_else(|| seconds(digits).map(|s| (s * SECOND as f64) as i64))?;
    Some(sign * ns)
}

/// The time of a line; `None` within where it was masked (`XXXXXXXXXX.XXXXXX`), as Zeek's own test logs are.
fn time(text: &str) -> Option<Option<Time>> {
    if text.bytes().all(|byte| matches!(byte, b'X' | b'.')) {
        return Some(None);
    }
    unix_ns(text).map(|ns| Some(Time(ns)))
}

/// A timestamp of NTP. Zeek prints an unset one as the Unix time 0.
fn ntp(text: &str) -> Option<Option<u64>> {
    let ns = unix_ns(text)?;
    Some((ns != 0).then(|| stamp(ns.saturating_add(NTP_TO_UNIX * SECOND))))
}

fn opens_columns(line: &str) -> bool {
    // `#fields`, a separator, `ts`, the separator again, and what else the log has.
    let fields = line.strip_prefix("#fields").and_then(|rest| rest.split_once("ts"));
    line.strip_prefix("#separator ").is_some_and(|word| word.starts_with("\\x") || word.chars().count() == 1)
        || fields.is_some_and(|(separator, rest)| separator.chars().count() == 1 && rest.starts_with(separator))
}

/// A log as columns, from one header to the next.
#[derive(Default)]
struct Columns {
    /// What stands between columns; `\t` where no line says otherwise.
    separator: Option<char>,
    unset: Option<String>,
    empty: Option<String>,
    /// What each column is; empty before `#fields`.
    fields: Vec<Option<Column>>,
    /// Whether they are of a log about NTP.
    ntp: bool,
    peers: Peers,
}

impl Block for Columns {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let separator = self.separator.unwrap_or('\t');
        if let Some(header) = line.text.strip_prefix('#') {
            self.header(header, separator);
            return Taken::Yes;
        }
        // A prompt, a notice of `cat` or another log: none has as many columns. Digits are what is left of a row.
        let count = line.text.split(separator).count();
        let is_left = line.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if self.fields.is_empty() || line.text.is_empty() || !(is_left || line.text.contains(separator)) {
            return if line.text.is_empty() { Taken::Yes } else { Taken::No };
        }
        let is_row = line.text.starts_with(|c: char| c.is_ascii_digit());
        if !self.ntp && (count == self.fields.len() || !is_row) {
            return if count == self.fields.len() { Taken::Yes } else { Taken::No };
        }
        if count != self.fields.len() {
            return Taken::Rejected(format!("a row of {count} columns, where #fields has {}", self.fields.len()));
        }
        let mut cells = Cells::default();
        for (column, cell) in self.fields.iter().zip(line.text.split(separator)) {
            let unset =
                cell == self.unset.as_deref().unwrap_or("-") || cell == self.empty.as_deref().unwrap_or("(empty)");
            if let Some(column) = column
                && !unset
                && !cell.is_empty()
            {
                cells.0[*column as usize] = Some(cell);
            }
        }
        message(line.at, &cells, &mut self.peers, rows).map_or_else(Taken::Rejected, |()| Taken::Yes)
    }
}

impl Columns {
    fn header(&mut self, header: &str, separator: char) {
        if let Some(separator) = header.strip_prefix("separator ") {
            // Before everything else, and the only one that a blank ends.
            *self = Columns { separator: character(separator), ..Columns::default() };
            return;
        }
        let mut words = header.split(separator);
        match words.next() {
            Some("unset_field") => self.unset = words.next().map(str::to_owned),
            Some("empty_field") => self.empty = words.next().map(str::to_owned),
            Some("fields") => {
                let column = |name| COLUMNS.iter().find(|(known, _)| *known == name).map(|(_, column)| *column);
                self.fields = words.map(column).collect();
                let has = |column| self.fields.contains(&Some(column));
                self.ntp = has(Mode) && (has(Transmit) || has(OpCode) || has(RequestCode));
            }
            _ => {}
        }
    }
}

/// One character, or its number as `\x09`.
fn character(text: &str) -> Option<char> {
    match text.strip_prefix("\\x") {
        Some(hex) => u8::from_str_radix(hex, 16).ok().map(char::from),
        None => text.chars().next(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    const HEADER: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tntp\n";
    const FIELDS: &str = "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tversion\tmode\tstratum\tpoll\t\
                          precision\troot_delay\troot_disp\tref_id\tref_time\torg_time\trec_time\txmt_time\tnum_exts\n";

    fn rows(lines: &str) -> Vec<String> {
        let (rows, rejects, _) = read(&format!("{HEADER}{FIELDS}{lines}"));
        assert_eq!(rejects, [""; 0]);
        rows
    }

    #[test]
    fn the_mode_tells_who_sent_a_message() {
        let ends = "1795340180.000000\tC1\t192.0.2.1\t40000\t198.51.100.2\t123\t4";
        let rest = "2\t64.000000\t0.000001\t0.5\t0.25\t192.0.2.9\t0.000000\t0.000000\t0.000000\t1795340180.500000\t0";
        let sent = |mode| rows(&format!("{ends}\t{mode}\t{rest}\n"))[0].clone();
        assert_eq!(
            sent(3),
            "packet time=2026-11-22T09:36:20Z source=192.0.2.1 source_port=40000 destination=198.51.100.2 \
             destination_port=123 version=4 mode=3 stratum=2 poll=6 precision=-20 root_delay_s=0.5 \
             root_dispersion_s=0.25 refid=192.0.2.9 transmit=eead3614.80000000"
        );
        assert!(sent(4).contains("source=198.51.100.2 source_port=123 destination=192.0.2.1 destination_port=40000"));
        assert!(!sent(6).contains("source"));
        let version_8 = rows(&format!("{}8\t3\t{rest}\n", ends.trim_end_matches('4')));
        assert!(!version_8[0].contains("version"), "three bits have no such version: {version_8:?}");
    }

    #[test]
    fn between_peers_the_origin_timestamp_tells_who_sent_a_message() {
        let line = |org: &str, xmt: &str| {
            format!(
                "1795340180.0\tC1\t192.0.2.1\t123\t192.0.2.2\t123\t4\t1\t2\t64.0\t0.0\t0.0\t0.0\t-\t0.0\t{org}\t0.0\t{xmt}\t0\n"
            )
        };
        let lines = [line("0.0", "11.0"), line("11.0", "12.0"), line("12.0", "13.0"), line("5.0", "14.0")].concat();
        let from: Vec<_> = rows(&lines).iter().map(|row| row.split(' ').nth(2).map(str::to_owned)).collect();
        let from: Vec<_> = from.iter().flatten().map(String::as_str).collect();
        assert_eq!(from, ["source=192.0.2.1", "source=192.0.2.2", "source=192.0.2.1", "version=4"]);
    }

    #[test]
    fn json_has_epoch_milliseconds_or_iso_times_and_other_logs_between() {
        let line = |ts: &str, xmt: &str| {
            format!(
                "{{\"ts\":{ts},\"uid\":\"C1\",\"id.orig_h\":\"2001:db8::1\",\"id.orig_p\":123,\"id.resp_h\":\"2001:db8::2\",\
                 \"id.resp_p\":123,\"version\":4,\"mode\":4,\"stratum\":1,\"poll\":64.0,\"precision\":5.960464477539063e-8,\
                 \"ref_id\":\"GPS\\u0000\",\"org_time\":0.0,\"xmt_time\":{xmt}}}\n"
            )
        };
        let dns = "{\"ts\":1.5,\"uid\":\"C2\",\"id.orig_h\":\"192.0.2.1\",\"query\":\"example.org\",\"mode\":3}\n";
        let text = [
            dns,
            &line("1795340180.5", "1795340180.5"),
            &line("1795340180500", "1795340180500"),
            &line("\"2026-11-22T09:36:20.500000Z\"", "\"2026-11-22T09:36:20.500000Z\""),
        ];
        let (rows, rejects, forms) = read(&text.concat());
        let want = "packet time=2026-11-22T09:36:20.5Z source=2001:db8::2 source_port=123 destination=2001:db8::1 \
                    destination_port=123 version=4 mode=4 stratum=1 poll=6 precision=-24 refid=GPS \
                    transmit=eead3614.80000000";
        assert_eq!((rows, rejects, forms), (vec![want.to_owned(); 3], vec![], vec!["Zeek log in JSON"]));
    }

    #[test]
    fn rows_without_a_header_are_nobodys_and_cut_rows_are_rejected() {
        let row = "1795340180.0\tC1\t192.0.2.1\t123\t192.0.2.2\t123\t4\t3\t2\t64.0";
        assert_eq!(read(row).1, ["line 1: no reader knows this line"]);
        assert_eq!(read(&format!("{HEADER}{FIELDS}{row}")).1, ["line 7: a row of 10 columns, where #fields has 19"]);
        // Two writers of one file.
        let rest = "\t0.0\t0.0\t0.0\t-\t0.0\t0.0\t0.0\t11.0\t0";
        let reason = ["line 7: an NTP message whose ts can't be right"];
        assert_eq!(read(&format!("{HEADER}{FIELDS}17{row}{rest}")).1, reason);
    }
}
