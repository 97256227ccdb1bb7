//! Variables of the system, of an association, or of a reference clock.

use super::super::field::{answered, number};
use super::super::{Block, Form, Line, Taken};
use super::{TALLIES, leap, milliseconds, stamp, stratum, variable};
use crate::model::{At, Clock, Peer, Row};
use crate::time::Time;

/// `ntpq -c readvar` (`rv`, `rl`) and `clockvar` (`cv`), of the system or of an association, whole or of a few variables.
pub const VARIABLES: Form = Form {
    name: "ntpq -c readvar",
    opens: |line| Header::of(line).is_some() || is_bare(line) || is_time(line),
    block: || Box::new(Variables::default()),
};

/// The line that begins a list of variables.
struct Header<'a> {
    /// Where several hosts were asked.
    host: &'a str,
    /// Empty for the system.
    association: &'a str,
    /// What follows the id.
    rest: &'a str,
}

impl<'a> Header<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (host, text) = match line.trim_start().strip_prefix("server=") {
            Some(rest) => rest.split_once(' ')?,
            None => ("", line.trim_start()),
        };
        // `assID` was the word until ntpd 4.2.4.
        if let Some(rest) = text.strip_prefix("associd=").or_else(|| text.strip_prefix("assID=")) {
            let (id, rest) = rest.split_once([' ', ',']).unwrap_or((rest, ""));
            id.parse::<u16>().ok()?;
            return Some(Header { host, association: if id == "0" { "" } else { id }, rest });
        }
        // ntpd 4.2.0 and before gave no id.
        let status = text.strip_prefix("status=")?;
        let (bits, words) = status.split_once([' ', ','])?;
        let fits = bits.trim_start_matches("0x").len() == 4
            && ["leap_", "sync_"].iter().any(|word| words.trim_start().starts_with(word));
        fits.then_some(Header { host, association: "", rest: text })
    }
}

/// The variables that a rule or a row needs, by the name of ntpd 4.2.8, with older names of the same.
const KEPT: [(&str, &[&str]); 26] = [
    ("status", &[]),
    ("leap", &[]),
    ("stratum", &[]),
    ("rootdelay", &[]),
    ("rootdisp", &["rootdispersion"]),
    ("refid", &[]),
    ("reftime", &[]),
    ("clock", &[]),
    ("tc", &["poll"]),
    ("offset", &[]),
    ("frequency", &[]),
    ("sys_jitter", &[]),
    ("clk_jitter", &[]),
    ("clk_wander", &["stability"]),
    ("srcadr", &["srchost", "peeradr"]),
    ("rec", &[]),
    ("reach", &[]),
    ("delay", &[]),
    ("jitter", &[]),
    ("dispersion", &[]),
    ("hpoll", &[]),
    ("ppoll", &[]),
    ("flash", &[]),
    ("hmode", &[]),
    ("device", &[]),
    ("timecode", &[]),
];

/// Variables without a header, as `ntpq -c "rv 0 offset"` prints the few that were asked for: every one has a name that only
/// ntpd has, or stands beside such.
fn is_bare(line: &str) -> bool {
    const OWN: [&str; 20] = [
        "leap",
        "stratum",
        "rootdelay",
        "rootdisp",
        "rootdispersion",
        "reftime",
        "offset",
        "frequency",
        "sys_jitter",
        "clk_jitter",
        "clk_wander",
        "srcadr",
        "dstadr",
        "refid",
        "hmode",
        "hpoll",
        "ppoll",
        "rootdist",
        "tc",
        "mintc",
    ];
    let mut names = items(line.trim_end_matches(',')).map(variable_of);
    let first = names.next().flatten();
    let plain = |value: &str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._:()".contains(&b));
    first.is_some_and(|(name, value)| OWN.contains(&name) && !value.is_empty() && plain(value))
        && line.starts_with(|c: char| c.is_ascii_lowercase())
        && !line.contains(" = ")
        && line.split_once('=').is_some_and(|(_, value)| !value.starts_with([' ', '\t']))
        && names.all(|item| item.is_some())
}

/// A time alone, `clock=eead3614.482e62ca  Sun, Nov 22 2026  9:36:20.281`: the date has commas in it.
fn is_time(line: &str) -> bool {
    let time = ["clock=", "reftime=", "rec=", "org=", "xmt="].iter().find_map(|name| line.strip_prefix(name));
    time.is_some_and(|time| stamp(time.split(' ').next().unwrap_or_default()).is_some())
}

#[derive(Default)]
struct Variables {
    host: String,
    /// Empty for the system, whose id is 0.
    association: String,
    /// Whether a register of the clock filter was met. NTPsec 1.2.2 prints these, and shifts what follows them, with
    /// stray bytes, commas and line ends among them; they are not needed, and must not end the block.
    filter: bool,
    /// What waits for the last line, by the order of [`KEPT`].
    kept: Option<Kept>,
}

struct Kept {
    origin: crate::model::Origin,
    written: Time,
    values: [Option<String>; KEPT.len()],
}

impl Block for Variables {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let mut text = line.text;
        if let Some(header) = Header::of(text) {
            self.end(rows);
            *self = Variables { host: header.host.into(), association: header.association.into(), ..Self::default() };
            text = header.rest;
        } else if items(text).next().and_then(variable_of).is_none() && !(self.filter && text.contains(['=', '\t'])) {
            return Taken::No;
        }
        let fresh = || Kept { origin: line.at.origin, written: line.written, values: Default::default() };
        let kept = self.kept.get_or_insert_with(fresh);
        for (name, value) in items(text).filter_map(variable_of) {
            if name.starts_with("filt") {
                self.filter = true;
                break;
            }
            variable(rows, At { host: &self.host, ..line.at }, &self.association, name, value);
            let known = KEPT.iter().position(|(known, old)| *known == name || old.contains(&name));
            // The first of two names of one thing is the newer.
            if let Some(place) = known.and_then(|index| kept.values.get_mut(index)).filter(|place| place.is_none()) {
                *place = Some(value.to_owned());
            }
        }
        Taken::Yes
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        let Some(kept) = self.kept.take() else { return };
        // `clockvar` tells of a driver, with a stratum and a refid of its own.
        if kept.get("timecode").or(kept.get("device")).is_some() {
            return;
        }
        let at = At { host: &self.host, ..At::origin(kept.origin) };
        if kept.get("srcadr").is_some() {
            kept.peer(at).into_iter().for_each(|peer| rows(Row::Peer(peer)));
        } else if self.association.is_empty() && ["delay", "reach", "hpoll"].iter().all(|name| kept.get(name).is_none())
        {
            kept.clock(at).into_iter().for_each(|clock| rows(Row::Clock(clock)));
        }
    }
}

impl Kept {
    fn get(&self, name: &str) -> Option<&str> {
        let index = KEPT.iter().position(|(known, _)| *known == name)?;
        self.values.get(index)?.as_deref()
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(number)
    }

    /// A duration: in milliseconds (RFC 9327 §4), of NTPsec's `-u` with its unit.
    fn seconds(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(milliseconds)
    }

    fn time(&self, name: &str) -> Option<Time> {
        self.get(name).and_then(stamp).map(|stamp| Time::from_ntp(stamp, self.written))
    }

    fn poll_s(&self, name: &str) -> Option<f64> {
        self.number(name).filter(|exponent| (0.0..32.0).contains(exponent)).map(f64::exp2)
    }

    fn status(&self) -> Option<u16> {
        self.get("status").and_then(|bits| u16::from_str_radix(bits.trim_start_matches("0x"), 16).ok())
    }

    fn clock<'a>(&'a self, at: At<'a>) -> Option<Clock<'a>> {
        let (leap, stratum) = (self.get("leap").and_then(leap), self.get("stratum").and_then(stratum));
        // Until the clock is first set its offset is printed as zero.
        let unset = leap == Some(3) || stratum == Some(16);
        let offset_s = self.seconds("offset").filter(|offset| !(unset && *offset == 0.0));
        let clock = Clock {
            source: self
                .get("refid")
                .filter(|_| stratum.is_none_or(|stratum| (1..16).contains(&stratum)))
                .unwrap_or(""),
            stratum,
            leap,
            // ntpd's own signs: reference − local, and the correction added.
            offset_s,
            frequency_ppm: self.number("frequency"),
            // `jitter` until ntpd 4.2.4.
            jitter_s: self.seconds("sys_jitter").or_else(|| self.seconds("jitter")),
            wander_ppm: self.number("clk_wander"),
            poll_s: self.poll_s("tc"),
            root_delay_s: self.seconds("rootdelay"),
            root_dispersion_s: self.seconds("rootdisp"),
            ..Clock::new(At { time: self.time("clock").or_else(|| self.time("reftime")), ..at })
        };
        let says = ["offset", "frequency", "stratum", "sys_jitter", "rootdisp"];
        says.iter().any(|name| self.get(name).is_some()).then_some(clock)
    }

    fn peer<'a>(&'a self, at: At<'a>) -> Option<Peer<'a>> {
        let source = self.get("srcadr")?;
        let refid = self.get("refid").unwrap_or_default();
        let reach = self.get("reach").and_then(|reach| u8::from_str_radix(reach, 8).ok());
        let (offset, delay) = (self.seconds("offset"), self.seconds("delay"));
        let answered = refid != "INIT" && answered(reach, delay, offset);
        let known = |value: Option<f64>| value.filter(|_| answered);
        // As in the billboard: the source may ask for longer intervals, or shorter ones (ntpq-subs.c, `doprintpeers`).
        let poll_s = [self.poll_s("hpoll"), self.poll_s("ppoll")].into_iter().flatten().reduce(f64::min);
        let flash = self.get("flash").and_then(|bits| u32::from_str_radix(bits.trim_start_matches("0x"), 16).ok());
        let status = self.status();
        Some(Peer {
            // Bits 8 to 10 are the selection (RFC 9327 §3.2).
            tally: status.map(|bits| TALLIES[usize::from(bits >> 8 & 7)]),
            status,
            accepted: flash.map(|bits| bits == 0),
            refid,
            stratum: self.get("stratum").and_then(stratum),
            poll_s,
            reach,
            offset_s: known(offset),
            delay_s: known(delay),
            dispersion_s: known(self.seconds("dispersion")),
            jitter_s: known(self.seconds("jitter")),
            root_delay_s: known(self.seconds("rootdelay")),
            root_dispersion_s: known(self.seconds("rootdisp")),
            // The last packet came at `rec`, on the local clock.
            ..Peer::new(At { time: self.time("rec"), ..at }, source)
        })
    }
}

/// What stands between commas, where these are not quoted.
fn items(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// A name and its value. Of a value without quotes only the first word is the daemon's: what follows is ntpq's reading
/// of it (`status=c016 leap_alarm`, `flash=400 peer_dist`, `clock=eead3614.482e62ca  Sun`), which goes on after the
/// next comma without a `=`, and is `None`.
fn variable_of(item: &str) -> Option<(&str, &str)> {
    let (name, value) = item.split_once('=')?;
    let (name, value) = (name.trim(), value.trim_start());
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split_whitespace().next(),
    };
    is_name.then_some((name, value.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{read, variables};

    fn others(text: &str) -> Vec<String> {
        read(text).0.into_iter().filter(|row| !row.contains("variable ")).collect()
    }

    #[test]
    fn variables_lose_quotes_and_ntpqs_own_words() {
        let text = "associd=0 status=c016 leap_alarm, 1 event, restart,\nversion=\"ntpd 4.2, (1)\", leap=11,\n\
                    clock=eead3614.482e62ca  Sun, Nov 22 2026  9:36:20.281, peer=7,\n\nassocid=7 status=8011 conf,\n\
                    keyid=0,  filtdelay =\t0=5,x=1\nbroken\t0.1\nN 0P< 0.11=\"\",\nflash=1200 peer_stratum, peer_unreach\n";
        let want = [
            "name=status text=c016",
            "name=version text=ntpd 4.2, (1)",
            "name=leap text=11",
            "name=clock text=eead3614.482e62ca",
            "name=peer text=7",
            "subject=7 name=status text=8011",
            "subject=7 name=keyid text=0",
            "subject=7 name=flash text=1200",
        ];
        assert_eq!(variables(text), want);
        assert_eq!(read(text).1.len(), 0);
    }

    /// As ntpd 4.2.7p273 and NTPsec 1.2.2 printed them: milliseconds, and parts per million.
    #[test]
    fn the_system_is_a_clock_and_an_association_a_peer() {
        let text = "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\nleap=00, stratum=3, rootdelay=0.112, \
                    rootdisp=10.661,\nrefid=10.2.0.2, tc=3, offset=0.040974, frequency=-1.5, sys_jitter=0.5,\n\
                    clock=eead3613.f227291a 2026-11-22T09:36:19.945Z, clk_wander=0.25\n";
        let want = ["clock time=2026-11-22T09:36:19.945910042Z source=10.2.0.2 stratum=3 leap=0 offset_s=0.000040974 \
             frequency_ppm=-1.5 jitter_s=0.0005 wander_ppm=0.25 poll_s=8 root_delay_s=0.000112 root_dispersion_s=0.010661"];
        assert_eq!(others(text), want);
        let text = "server=ntp.example associd=7 status=961a conf, reach, sel_sys.peer, 1 event, sys_peer,\n\
                    srcadr=192.0.2.1, stratum=2, ppoll=99, hpoll=3, refid=GPS, reach=377,\ndelay=0.25, offset=-0.5, \
                    jitter=0.02, dispersion=0.116,\nrec=eead360c.80000000 2026-11-22T09:36:12.500Z, flash=00 ok\n";
        let want = [
            "peer host=ntp.example time=2026-11-22T09:36:12.5Z source=192.0.2.1 tally=* status=961a accepted=true refid=GPS \
             stratum=2 poll_s=8 reach=377 offset_s=-0.0005 delay_s=0.00025 dispersion_s=0.000116 jitter_s=0.00002",
        ];
        assert_eq!(others(text), want);
    }

    #[test]
    fn a_clock_never_set_and_a_source_never_heard_have_no_offset() {
        let text = "status=c011 sync_alarm, sync_unspec, 1 event, event_restart,\nleap=11, stratum=16, refid=INIT, \
                    reftime=00000000.00000000  Thu, Feb  7 2036  7:28:16.000, offset=0.000,\nassID=7 status=8000 unreach, \
                    conf, no events,\nsrcadr=192.0.2.1, refid=INIT, reach=000, offset=0.000, delay=0.000, jitter=4000.000,\n";
        assert_eq!(
            others(text),
            ["clock stratum=16 leap=3", "peer source=192.0.2.1 tally=  status=8000 refid=INIT reach=0"]
        );
    }

    #[test]
    fn a_few_variables_need_no_header_and_other_assignments_are_none() {
        assert_eq!(others("stratum=3, offset=-0.065\n"), ["clock stratum=3 offset_s=-0.000065"]);
        for line in ["offset=$(get)", "leap = no", "offset= 3", "name=3, offset=1", "stratum 3", "offset=1; x"] {
            assert_eq!(read(line).1.len(), 1, "{line}");
        }
    }
}
