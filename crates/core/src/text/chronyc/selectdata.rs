//! `chronyc selectdata` and `authdata`: why each source is or is not selected, and how it is authenticated.

use super::{fields, first_fields, gauge, interval_s, is_filler, is_header, is_name, leap, seconds, taken, variable};
use crate::model::{Peer, Row};
use crate::text::field::{integer, number};
use crate::text::{Block, Form, Line, Taken};

/// `chronyc selectdata`, with or without `-v` and `-a`; chrony 4.0 and later.
pub(super) const SELECTDATA: Form =
    Form { name: "chronyc selectdata", opens: opens_selectdata, block: || Box::new(Selectdata) };

/// `chronyc authdata`, with or without `-v` and `-a`; chrony 4.0 and later.
pub(super) const AUTHDATA: Form =
    Form { name: "chronyc authdata", opens: opens_authdata, block: || Box::new(Authdata) };

/// The letters of `sources.c`: not selectable, waiting, falseticker, selectable, combined, best.
const STATES: &str = "NsMdDr~wWSOTPUx+*?-";

fn opens_selectdata(line: &str) -> bool {
    is_header(line, &["S", "Name/IP", "Address", "Auth", "COpts"])
        || line.trim_start().starts_with(". State: N - noselect")
        || selection_of_fields(line).is_some()
}

struct Selectdata;

impl Block for Selectdata {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if opens_selectdata(line.text) && selection_of_fields(line.text).is_none() || is_filler(line.text) {
            return Taken::Yes;
        }
        let is_row = selection_of_fields(line.text).is_some() || selection_of_row(line.text).is_some();
        if is_row { taken(line, rows, selection) } else { Taken::No }
    }
}

/// State, name, Auth, configured options, effective options, Last, Score, low and high end of the interval, Leap.
type Selection<'a> = [&'a str; 10];

fn selection_of_row(line: &str) -> Option<Selection<'_>> {
    let mut words = line.split_ascii_whitespace();
    let mut cells = [""; 10];
    for cell in &mut cells {
        *cell = words.next()?;
    }
    let [state, name, auth, configured, effective, ..] = cells;
    let is_options = |text: &str| text.len() == 5 && text.bytes().all(|b| b"NPTR-".contains(&b));
    let is_row = is_state(state) && is_name(name) && matches!(auth, "Y" | "N");
    (is_row && is_options(configured) && is_options(effective) && words.next().is_none()).then_some(cells)
}

/// `-c`: each option is a value of its own; the leap status came with chrony 4.1.
fn selection_of_fields(line: &str) -> Option<(Selection<'_>, [&str; 10])> {
    let ([state, name, auth], _) = first_fields::<3>(line)?;
    if !is_state(state) || !is_name(name) || !matches!(auth, "Y" | "N") {
        return None;
    }
    let ([_, _, _, o0, o1, o2, o3, o4, o5, o6, o7, o8, o9, last, score, low, high], mut rest) =
        first_fields::<17>(line)?;
    let leap = rest.next().unwrap_or_default();
    let options = [o0, o1, o2, o3, o4, o5, o6, o7, o8, o9];
    let is_options = options.iter().all(|option| matches!(*option, "N" | "P" | "T" | "R" | "-"));
    let cells = [state, name, auth, "", "", last, score, low, high, leap];
    (is_options && rest.next().is_none()).then_some((cells, options))
}

fn is_state(text: &str) -> bool {
    text.len() == 1 && STATES.contains(text)
}

fn selection(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    let joined;
    let cells = match (selection_of_fields(line.text), selection_of_row(line.text)) {
        (Some((mut cells, options)), _) => {
            joined = options.concat();
            let (configured, effective) = joined.split_at(joined.len() / 2);
            (cells[3], cells[4]) = (configured, effective);
            cells
        }
        (None, Some(cells)) => cells,
        (None, None) => return Err("a row of selectdata needs ten columns".into()),
    };
    let [state, source, auth, configured, effective, last, score, low, high, said] = cells;
    interval_s(last).ok_or_else(|| format!("Last `{last}` is not an interval"))?;
    let score = number(score).ok_or_else(|| format!("score `{score}` is not a number"))?;
    let time = |text: &str| seconds(text).ok_or_else(|| format!("the end `{text}` of the interval is not a time"));
    let (low, high) = (time(low)?, time(high)?);
    rows(Row::Peer(Peer { tally: state.chars().next(), ..Peer::new(line.at, source) }));
    variable(rows, line.at, source, "authenticated", auth);
    variable(rows, line.at, source, "configured_options", configured);
    variable(rows, line.at, source, "effective_options", effective);
    if leap(said).is_some() {
        variable(rows, line.at, source, "leap", said);
    }
    gauge(rows, line.at, source, "selection_score", score);
    // A source without samples has an interval from 0 to 0.
    if (low, high) != (0.0, 0.0) {
        // The interval is of local − reference, as is all in chrony's sourcestats.c: turned, low becomes high.
        gauge(rows, line.at, source, "offset_low_s", 0.0 - high);
        gauge(rows, line.at, source, "offset_high_s", 0.0 - low);
    }
    Ok(())
}

fn opens_authdata(line: &str) -> bool {
    is_header(line, &["Name/IP", "address", "Mode", "KeyID", "Type"])
        || line.trim_start().starts_with(".- Auth. mechanism (NTS")
        || fields::<10>(line).is_some_and(|cells| is_authentication(&cells))
}

struct Authdata;

impl Block for Authdata {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if authentication_of(line.text).is_some() {
            return taken(line, rows, authentication);
        }
        if is_filler(line.text) || opens_authdata(line.text) { Taken::Yes } else { Taken::No }
    }
}

/// Name, Mode, KeyID, Type, KLen, Last, Atmp, NAK, Cook, CLen.
fn authentication_of(line: &str) -> Option<[&str; 10]> {
    let words = || {
        let mut words = line.split_ascii_whitespace();
        let mut cells = [""; 10];
        for cell in &mut cells {
            *cell = words.next()?;
        }
        words.next().is_none().then_some(cells)
    };
    fields::<10>(line).or_else(words).filter(is_authentication)
}

fn is_authentication(cells: &[&str; 10]) -> bool {
    let [name, mode, key, kind, length, ..] = cells;
    is_name(name)
        && matches!(*mode, "-" | "SK" | "NTS" | "?")
        && [key, kind, length].iter().all(|n| integer(n).is_some())
}

fn authentication(line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Result<(), String> {
    let cells = authentication_of(line.text).ok_or("a row of authdata needs ten columns")?;
    let [source, mode, key, kind, length, last, attempts, naks, cookies, _] = cells;
    let last_s = interval_s(last).ok_or_else(|| format!("Last `{last}` is not an interval"))?;
    let count = |text: &str| number(text).ok_or_else(|| format!("`{text}` is not a count"));
    let (attempts, naks, cookies) = (count(attempts)?, count(naks)?, count(cookies)?);
    variable(rows, line.at, source, "authentication", mode);
    if mode != "-" {
        variable(rows, line.at, source, "keyid", key);
        variable(rows, line.at, source, "key_type", kind);
        variable(rows, line.at, source, "key_bits", length);
    }
    if mode == "NTS" {
        last_s.into_iter().for_each(|last_s| gauge(rows, line.at, source, "nts_ke_ago_s", last_s));
        gauge(rows, line.at, source, "nts_ke_attempts", attempts);
        gauge(rows, line.at, source, "nts_naks", naks);
        gauge(rows, line.at, source, "nts_cookies", cookies);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    #[test]
    fn an_interval_of_a_fast_clock_lies_below_zero() {
        let text = "S Name/IP Address        Auth COpts EOpts Last Score     Interval  Leap\n=====\n\
                    D ntp.example               Y ----- --TR-    4   1.0   +60ms   +62ms  N\n\
                    M ID#0000000002             N ----- -----    0   1.0    +0ns    +0ns  ?\n\
                    D ntp.example               Y ----- --TR-    4   1.0   +60ms    soon  N\n";
        assert_eq!(peers(text), ["source=ntp.example tally=D", "source=ID#0000000002 tally=M"]);
        let (rows, rejects, _) = read(text);
        for want in
            ["name=offset_low_s value=-0.062", "name=offset_high_s value=-0.06", "name=effective_options text=--TR-"]
        {
            assert!(rows.iter().any(|row| row.ends_with(want)), "{want} in {rows:?}");
        }
        assert_eq!(rejects, ["line 5: the end `soon` of the interval is not a time"]);
        let csv = "D,ntp.example,Y,-,-,-,-,-,-,-,T,R,-,4,1.0,0.060000000,0.062000000,N\n";
        assert_eq!(read(csv).0, rows[..read(csv).0.len()]);
    }

    #[test]
    fn authdata_tells_how_and_for_nts_with_what() {
        let text = "Name/IP address             Mode KeyID Type KLen Last Atmp  NAK Cook CLen\n=====\n\
                    ntp.example                  NTS     1   15  256  33m    0    2    8  100\n\
                    192.0.2.1                      -     0    0    0    -    0    0    0    0\n";
        let (rows, rejects, _) = read(text);
        let csv = "ntp.example,NTS,1,15,256,1980,0,2,8,100\n192.0.2.1,-,0,0,0,4294967295,0,0,0,0\n";
        assert_eq!(read(csv).0, rows);
        assert_eq!((rows.len(), rejects.len()), (9, 0));
        assert!(rows.contains(&"gauge subject=ntp.example name=nts_naks value=2".to_owned()), "{rows:?}");
    }
}
