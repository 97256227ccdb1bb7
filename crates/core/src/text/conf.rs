//! `ntp.conf` and `chrony.conf`: one reader for both, because many files begin with lines that both daemons understand.
//!
//! A row cannot be taken back, so each says the language that is known by its line: a `server` line of its own
//! options, else that of the last line that only one daemon understands, else ntpd's.

use super::{Block, Form, Line, Taken, forms, is_prompt};
use crate::model::{Daemon, Event, Row, What};
use std::net::IpAddr;

/// What this module reads.
pub const FORMS: &[Form] = &[NTPD, CHRONY, EITHER];

/// A configuration of ntpd (ntp.conf(5)), as its first line says.
const NTPD: Form = Form {
    name: "ntp.conf",
    opens: |line| opens(line) && language(line) == Some(Daemon::Ntpd),
    block: || Box::new(Directives { daemon: Daemon::Ntpd }),
};

/// A configuration of chronyd (chrony.conf(5)), as its first line says.
const CHRONY: Form = Form {
    name: "chrony.conf",
    opens: |line| opens(line) && language(line) == Some(Daemon::Chrony),
    block: || Box::new(Directives { daemon: Daemon::Chrony }),
};

/// A configuration of which the first line does not say whose it is.
const EITHER: Form = Form {
    name: "ntp.conf or chrony.conf",
    opens: |line| opens(line) && language(line).is_none(),
    block: || Box::new(Directives { daemon: Daemon::Ntpd }),
};

/// Directives that only ntpd knows, of the NTP project or NTPsec.
const NTPD_ONLY: &str = "autokey automax broadcastclient broadcastdelay calldelay controlkey crypto disable discard \
    enable end extra filegen fudge ident includefile interface keys keysdir leapfile leapsmearinterval logconfig \
    logfile manycastclient manycastserver mdnstries monitor mru multicastclient nic nonvolatile nts phone \
    pollskewlist qos requestkey reset restrict revoke rlimit saveconfigdir setvar statistics statsdir tick tinker \
    tos trap trustedkey ttl unconfig unpeer unrestrict";

/// Directives that only chronyd knows.
const CHRONY_ONLY: &str = "acquisitionport allow authselectmode bindacqaddress bindacqdevice bindaddress \
    bindcmdaddress bindcmddevice binddevice clientloglimit clockprecision cmdallow cmddeny cmdport cmdratelimit \
    combinelimit commandkey confdir corrtimeratio deny dumpdir dumponexit fallbackdrift generatecommandkey \
    hwclockfile hwtimestamp hwtstimeout include initstepslew keyfile leapseclist leapsecmode leapsectz \
    linux_freq_scale linux_hz local lock_all log logbanner logchange logdir mailonchange makestep manual maxchange \
    maxclockerror maxdistance maxdrift maxjitter maxntsconnections maxsamples maxslewrate maxstratum maxtxbuffers \
    maxupdateskew minsamples minsources nocerttimecheck noclientlog nosystemcert ntsaeads ntscachedir ntsdumpdir \
    ntsntpserver ntsport ntsprocesses ntsratelimit ntsrefresh ntsrotate ntsservercert ntsserverkey ntstrustedcerts \
    opencommands port ptpdomain ptpport ratelimit refresh reselectdist rtcautotrim rtcdevice rtcfile rtconutc \
    rtcsync sched_priority smoothtime sourcedir stratumweight tempcomp user";

/// Directives that both know.
const SHARED: &str = "broadcast driftfile dscp ntpsigndsocket peer pidfile pool refclock server";

/// Options of a source that both know; those that only one knows follow.
const SOURCE_OPTIONS: &str = "iburst burst minpoll maxpoll key version prefer noselect";
const NTPD_OPTIONS: &str = "autokey mode true preempt ttl bias";
/// NTPsec knows `nts` too, and ntpd `xleave` for peers; more files that have them are chrony's, and a line that only
/// ntpd understands sets it right.
const CHRONY_OPTIONS: &str = "offline auto_offline xleave nts ntsport certset maxdelay maxdelayratio \
    maxdelaydevratio maxdelayquant mindelay asymmetry offset minstratum minsamples maxsamples filter presend \
    polltarget port copy trust require extfield maxsources maxunreach";

/// Options of NTPsec's `refclock`, after the driver's name.
const REFCLOCK_OPTIONS: &str = "unit prefer minpoll maxpoll time1 time2 stratum refid mode flag1 flag2 flag3 flag4 \
    path ppspath baud subtype noselect";

/// The list's own spelling of a word that is in it; chronyd reads keywords in any case.
fn among(list: &'static str, word: &str) -> Option<&'static str> {
    list.split_ascii_whitespace().find(|known| known.eq_ignore_ascii_case(word))
}

fn is_among(list: &'static str, word: &str) -> bool {
    among(list, word).is_some()
}

/// The first word of a line, and the rest without its comment.
fn directive(line: &str) -> (&str, &str) {
    let bare = line.trim_start();
    // ntpd's comments may follow a directive; of chrony's marks (`#`, `!`, `;`, `%`) none may.
    let comment =
        bare.match_indices('#').find(|(at, _)| bare.get(..*at).is_some_and(|b| b.ends_with(char::is_whitespace)));
    let bare = comment.and_then(|(at, _)| bare.get(..at)).unwrap_or(bare).trim_end();
    let (keyword, rest) = bare.split_once(char::is_whitespace).unwrap_or((bare, ""));
    (keyword, rest.trim_start())
}

/// Whose language a line is, where it is only one's.
fn language(line: &str) -> Option<Daemon> {
    let (keyword, rest) = directive(line);
    if is_among(NTPD_ONLY, keyword) {
        return Some(Daemon::Ntpd);
    }
    if is_among(CHRONY_ONLY, keyword) {
        return Some(Daemon::Chrony);
    }
    let mut words = rest.split_whitespace();
    let first = words.next()?;
    match keyword {
        // chrony: `refclock SHM 0`; NTPsec: `refclock shm unit 0`.
        "refclock" if first.starts_with(|c: char| c.is_ascii_uppercase()) => Some(Daemon::Chrony),
        "refclock" => Some(Daemon::Ntpd),
        // chrony: `broadcast 60 192.0.2.255`; ntpd: `broadcast 192.0.2.255`.
        "broadcast" if first.parse::<u32>().is_ok() => Some(Daemon::Chrony),
        "broadcast" => Some(Daemon::Ntpd),
        // ntpd's reference clocks have addresses of this net, and options `-4` and `-6` before an address.
        _ if first.starts_with("127.127.") || matches!(first, "-4" | "-6") => Some(Daemon::Ntpd),
        "server" | "pool" | "peer" => words.find_map(|word| {
            let chrony = is_among(CHRONY_OPTIONS, word).then_some(Daemon::Chrony);
            chrony.or_else(|| is_among(NTPD_OPTIONS, word).then_some(Daemon::Ntpd))
        }),
        _ => None,
    }
}

/// Whether a line is a directive beyond doubt: prose and logs begin with `server`, `local` or `log` too.
fn opens(line: &str) -> bool {
    let (keyword, rest) = directive(line);
    let mut words = rest.split_whitespace();
    let first = words.next().unwrap_or_default();
    let alone = rest.is_empty();
    let second = words.next();
    let number = |word: &str| word.parse::<f64>().is_ok();
    match keyword {
        "server" | "pool" | "peer" => is_source(first, second) || is_flag_and_source(first, second),
        "broadcast" | "manycastclient" | "manycastserver" | "multicastclient" => is_address(first),
        "restrict" | "unrestrict" => {
            matches!(first, "default" | "source") || is_address(first) || is_flag_and_source(first, second)
        }
        "fudge" => first.starts_with("127.127."),
        "driftfile" | "statsdir" | "logfile" | "keys" | "leapfile" | "includefile" | "pidfile" | "ntpsigndsocket"
        | "logdir" | "dumpdir" | "keyfile" | "ntsdumpdir" | "confdir" | "sourcedir" | "include" | "rtcfile"
        | "rtcdevice" | "hwclockfile" | "ntsservercert" | "ntsserverkey" | "leapseclist" => {
            first.trim_start_matches('"').starts_with('/') && second.is_none()
        }
        "statistics" | "filegen" => first.ends_with("stats"),
        "tinker" | "tos" | "discard" | "mru" => second.is_some_and(number),
        "disable" | "enable" => matches!(first, "auth" | "bclient" | "kernel" | "mode7" | "monitor" | "ntp" | "stats"),
        "interface" | "nic" => matches!(first, "listen" | "ignore" | "drop"),
        "log" => matches!(first, "measurements" | "statistics" | "tracking" | "rawmeasurements" | "refclocks"),
        "rtcsync" | "rtconutc" | "lock_all" | "noclientlog" | "dumponexit" | "broadcastclient" => alone,
        "allow" | "deny" | "cmdallow" | "cmddeny" => {
            first == "all" || is_address(first.split('/').next().unwrap_or(""))
        }
        "bindaddress" | "bindacqaddress" | "bindcmdaddress" => is_address(first) || first.starts_with('/'),
        "local" => first == "stratum" && second.is_some_and(number),
        "refclock" => {
            matches!(first, "SHM" | "PPS" | "SOCK" | "PHC")
                || second.is_some_and(|word| is_among(REFCLOCK_OPTIONS, word))
        }
        "leapsectz" => first.contains('/') && second.is_none(),
        "ratelimit" | "cmdratelimit" => matches!(first, "interval" | "burst" | "leak"),
        "makestep" | "acquisitionport" | "cmdport" | "port" | "maxupdateskew" | "minsources" | "logchange"
        | "maxdistance" | "clientloglimit" | "sched_priority" | "dscp" | "stratumweight" | "trustedkey"
        | "requestkey" | "controlkey" | "leapsmearinterval" => number(first) && second.is_none_or(number),
        _ => false,
    }
}

fn is_address(word: &str) -> bool {
    word.parse::<IpAddr>().is_ok()
}

/// `-4 ntp.example`, `-6 default`
fn is_flag_and_source(first: &str, second: Option<&str>) -> bool {
    matches!(first, "-4" | "-6") && second.is_some_and(|word| word == "default" || is_source(word, None))
}

/// An address, a name with dots, or any name that an option follows.
fn is_source(first: &str, second: Option<&str>) -> bool {
    let is_option = |word: &str| [SOURCE_OPTIONS, NTPD_OPTIONS, CHRONY_OPTIONS].iter().any(|list| is_among(list, word));
    let is_name = first.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let dotted = is_name && first.contains('.') && !first.ends_with('.');
    match second {
        Some(second) => (is_address(first) || is_name) && is_option(second),
        None => is_address(first) || dotted,
    }
}

struct Directives {
    /// Whose language the last line was that only one daemon understands.
    daemon: Daemon,
}

impl Block for Directives {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let bare = line.text.trim_start();
        // All of chrony's comments: to ntpd the other marks are no directive either.
        if bare.is_empty() || bare.starts_with(['#', '!', ';', '%']) {
            return Taken::Yes;
        }
        let (word, rest) = directive(bare);
        let Some(keyword) = [NTPD_ONLY, CHRONY_ONLY, SHARED].iter().find_map(|list| among(list, word)) else {
            let is_conf = |form: &Form| [NTPD.name, CHRONY.name, EITHER.name].contains(&form.name);
            let another = forms().any(|form| !is_conf(form) && (form.opens)(line.text));
            // A prompt is followed by what its command printed.
            let ended = another || bare.starts_with('$') || is_prompt(bare);
            return if ended { Taken::No } else { Taken::Rejected(format!("unknown directive `{word}`")) };
        };
        self.daemon = language(bare).unwrap_or(self.daemon);
        let what = What::Directive { daemon: self.daemon, keyword, rest };
        rows(Row::Event(Event { at: line.at, what }));
        Taken::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn ntpds_directives_lose_their_comments() {
        let text = "# mine\nserver 192.0.2.1 iburst # ours\nserver 127.127.1.0\nrestrict default\tlimited kod\n\
                    driftfile /var/lib/ntp/drift\n\nfrobnicate all\n$ ntpq -p\n";
        let (rows, rejects, forms) = read(text);
        let want = [
            "directive Ntpd server 192.0.2.1 iburst",
            "directive Ntpd server 127.127.1.0",
            "directive Ntpd restrict default\tlimited kod",
            "directive Ntpd driftfile /var/lib/ntp/drift",
        ];
        assert_eq!(rows, want);
        assert_eq!(rejects, ["line 7: unknown directive `frobnicate`"]);
        assert_eq!(forms, ["ntp.conf or chrony.conf"]);
    }

    #[test]
    fn a_file_is_chronys_from_its_first_own_word() {
        let text =
            "pool ntp.example iburst\nMakeStep 1.0 3\ndriftfile /var/lib/chrony/drift\n! server 192.0.2.9\nallow\n";
        let want = [
            "directive Ntpd pool ntp.example iburst",
            "directive Chrony makestep 1.0 3",
            "directive Chrony driftfile /var/lib/chrony/drift",
            "directive Chrony allow ",
        ];
        assert_eq!(read(text).0, want);
        assert_eq!(read("server 2001:db8::1 minpoll 4 xleave\n").2, ["chrony.conf"]);
        assert_eq!(language("refclock SHM 0 refid GPS"), Some(Daemon::Chrony));
        assert_eq!(language("refclock shm unit 0"), Some(Daemon::Ntpd));
        assert_eq!(language("server ntp.example nts iburst"), Some(Daemon::Chrony));
    }

    #[test]
    fn prose_and_logs_open_nothing() {
        let prose = [
            "server is down",
            "server failed.",
            "pool of water",
            "local stratum",
            "log in",
            "restrict access",
            "peer 192.0.2.1 unreachable",
            "allow me",
            "port 123 is closed",
            "driftfile missing",
            "enable it",
            "user root",
        ];
        assert!(!prose.iter().any(|line| opens(line)));
    }
}
