//! The words of the configurations of ntpd, chronyd and OpenNTPD: whose they are, and which lines nothing else has.

use super::template::{filled, holds_template};
use crate::model::Daemon;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

/// Directives that only ntpd knows: of xntp3 to 4.2.8p18 (ntp.conf(5), keyword-gen.c) and NTPsec.
const NTPD: &str = "authdelay authenticate authprov autokey automax broadcastclient broadcastdelay calibrate calldelay \
    clientlimit clientperiod controlkey crypto device disable discard enable end extra filegen fudge ident includefile \
    interface keys keysdir leapfile leapsmearinterval limit logconfig logfile manycastclient manycastserver maxskew \
    mdnstries monitor mru multicastclient nic nonvolatile nts phone pollskewlist pps precision qos requestkey reset \
    resolver restrict revoke rlimit saveconfigdir setvar slewalways slewthreshold statistics statsdir tick tinker tos \
    tracefile tracelevel trap trustedkey ttl unconfig unpeer unrestrict";

/// Directives that only chronyd knows: of 1.x to 4.8 (chrony.conf(5), conf.c).
const CHRONY: &str = "acquisitionport allow authselectmode bindacqaddress bindacqdevice bindaddress \
    bindcmdaddress bindcmddevice binddevice clientloglimit clockprecision cmdallow cmddeny cmdport cmdratelimit \
    combinelimit commandkey confdir corrtimeratio deny dumpdir dumponexit fallbackdrift generatecommandkey \
    hwclockfile hwtimestamp hwtstimeout include initstepslew keyfile leapseclist leapsecmode leapsectz \
    linux_freq_scale linux_hz local lock_all log logbanner logchange logdir mailonchange makestep manual maxchange \
    maxclockerror maxdistance maxdrift maxjitter maxntsconnections maxsamples maxslewrate maxstratum maxtxbuffers \
    maxupdateskew minsamples minsources nocerttimecheck noclientlog nosystemcert ntsaeads ntscachedir ntsdumpdir \
    ntsntpserver ntsport ntsprocesses ntsratelimit ntsrefresh ntsrotate ntsservercert ntsserverkey ntstrustedcerts \
    opencommands port ptpdomain ptpport ratelimit refresh reselectdist rtcautotrim rtcdevice rtcfile rtconutc \
    rtcsync sched_priority smoothtime sourcedir stratumweight tempcomp user";

/// Directives that only OpenNTPD knows (ntpd.conf(5) of OpenBSD).
const OPENNTPD: &str = "constraint constraints listen query sensor servers";

/// Directives that several know.
const SHARED: &str = "broadcast driftfile dscp ntpsigndsocket peer pidfile pool refclock server";

/// Directives that may stand alone.
const ALONE: &str = "allow autokey automax broadcastclient cmdallow cmddeny crypto deny dumponexit end \
    generatecommandkey local lock_all manual monitor multicastclient noclientlog nosystemcert nts pps rtconutc rtcsync \
    slewalways";

/// Directives that are one number, or several.
const NUMBERS: &str = "acquisitionport authdelay broadcastdelay clientloglimit clockprecision cmdport combinelimit \
    controlkey corrtimeratio fallbackdrift hwtstimeout leapsmearinterval logbanner logchange makestep maxclockerror \
    maxdistance maxdrift maxjitter maxntsconnections maxslewrate maxstratum maxupdateskew mdnstries minsources \
    ntsport ntsprocesses ntsrefresh ntsrotate ptpport requestkey reselectdist rtcautotrim sched_priority smoothtime \
    stratumweight trustedkey";

/// Directives that are a path, and are nothing else's.
const PATHS: &str = "confdir driftfile hwclockfile includefile leapfile leapseclist ntpsigndsocket ntscachedir ntsdumpdir \
    ntsservercert ntsserverkey ntstrustedcerts rtcdevice rtcfile saveconfigdir sourcedir statsdir";

/// Directives that are a path, in other programs' configurations too.
const COMMON_PATHS: &str = "dumpdir include keyfile keys keysdir logdir logfile pidfile";

/// Options of a source that many know.
const SOURCE_OPTIONS: &str = "iburst burst minpoll maxpoll key version prefer noselect nts xleave";
const NTPD_OPTIONS: &str = "autokey mode true preempt ttl bias skey dynamic ask aead ca cert";
const CHRONY_OPTIONS: &str = "offline auto_offline ntsport certset maxdelay maxdelayratio maxdelaydevratio \
    maxdelayquant mindelay asymmetry offset minstratum minsamples maxsamples filter presend polltarget port copy trust \
    require extfield maxsources maxunreach ipv4 ipv6";
const OPENNTPD_OPTIONS: &str = "weight trusted";

/// Options that other programs' `server` lines have too.
const COMMON_OPTIONS: &str = "ask bias burst ca cert copy dynamic filter key mode offline offset port require trust trusted ttl \
    version weight ipv4 ipv6 true";

/// Options of NTPsec's `refclock`, after the driver's name.
const REFCLOCK_OPTIONS: &str = "unit prefer minpoll maxpoll time1 time2 stratum refid mode flag1 flag2 flag3 flag4 \
    path ppspath baud subtype noselect";

/// Flags of `restrict`.
const RESTRICT_FLAGS: &str = "ignore kod limited lowpriotrap flake mssntp epeer noepeer nomodify nomrulist nopeer \
    noquery noserve notrap notrust ntpport non-ntpport notraps version nopeers serverresponse fuzz";

/// Words after `tinker`, `tos`, `discard`, `limit` and `mru`.
const TUNING: &str = "allan dispersion freq huffpuff panic step stepout stepback stepfwd ceiling cohort floor maxclock \
    maxdist minclock mindist minsane orphan orphanwait beacon basedate bcpollbstep average minimum monitor burst kod \
    maxage maxdepth maxmem mindepth minage initalloc initmem incalloc incmem tick";

/// Words after `enable` and `disable`.
const SWITCHES: &str = "auth bclient calibrate kernel mode7 monitor ntp pps stats peer_clear_digest_early \
    unpeer_crypto_early unpeer_crypto_nak_early unpeer_digest_early";

/// Words after chrony's `log`.
const LOGS: &str = "measurements rawmeasurements statistics tracking selection rtc refclocks tempcomp";

/// A directive as its daemon spells it, and whose it is, where it is only one's.
type Directive = (&'static str, Option<Daemon>);

/// The directives by their names. Every line that no other reader knows is looked up
/// here, and of those there may be millions.
static DIRECTIVES: LazyLock<HashMap<&[u8], Directive>> = LazyLock::new(|| {
    let own = [(NTPD, Daemon::Ntpd), (CHRONY, Daemon::Chrony), (OPENNTPD, Daemon::OpenNtpd)];
    let all = own.into_iter().map(|(list, daemon)| (list, Some(daemon))).chain([(SHARED, None)]);
    all.flat_map(|(list, daemon)| list.split_ascii_whitespace().map(move |word| (word.as_bytes(), (word, daemon))))
        .collect()
});

/// The directive that a word is, whatever its case.
fn spelled(word: &str) -> Option<Directive> {
    const LONGEST: usize = 24;
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    DIRECTIVES.get(&*lower).copied()
}

fn is_among(list: &'static str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// The directive that the line's first word is. chronyd reads its words in any case, but so begins prose too: then the
/// rest must be as the directive demands.
pub fn known(word: &str, line: &str) -> Option<&'static str> {
    let (keyword, daemon) = spelled(word)?;
    let small = || sign(&line.replacen(word, keyword, 1)) != Sign::Nothing;
    (keyword == word || matches!(daemon, Some(Daemon::Chrony) | None) && small()).then_some(keyword)
}

/// Whether a directive may stand alone.
pub fn is_alone(keyword: &str) -> bool {
    is_among(ALONE, keyword)
}

/// The first word of a line, and the rest without its comment.
pub fn directive(line: &str) -> (&str, &str) {
    let bare = line.trim_start();
    // ntpd's comments may follow a directive; of chrony's marks (`#`, `!`, `;`, `%`) none may.
    let (mut quoted, mut blank) = (false, false);
    let comment = bare.char_indices().find(|(_, c)| {
        let begins = *c == '#' && blank && !quoted;
        quoted ^= *c == '"';
        blank = c.is_whitespace();
        begins
    });
    let bare = comment.and_then(|(at, _)| bare.get(..at)).unwrap_or(bare).trim_end();
    // A template's passage may follow the word at once: `tinker<% if … %> panic 0<% end %>`.
    let end =
        [bare.find(char::is_whitespace), bare.find("<%"), bare.find("{{"), bare.find("{%")].into_iter().flatten().min();
    let (keyword, rest) = bare.split_at(end.unwrap_or(bare.len()));
    (keyword, rest.trim_start())
}

/// Whose language a line is, where it is only one's.
pub fn language(line: &str) -> Option<Daemon> {
    let (word, rest) = directive(line);
    if let Some((_, Some(daemon))) = spelled(word) {
        return Some(daemon);
    }
    let mut words = rest.split_whitespace();
    let first = words.next()?;
    match word {
        // chrony: `refclock SHM 0`; NTPsec: `refclock shm unit 0`.
        "refclock" if first.starts_with(|c: char| c.is_ascii_uppercase()) => Some(Daemon::Chrony),
        "refclock" => Some(Daemon::Ntpd),
        // chrony: `broadcast 60 192.0.2.255`; ntpd: `broadcast 192.0.2.255`.
        "broadcast" if first.parse::<u32>().is_ok() => Some(Daemon::Chrony),
        "broadcast" => Some(Daemon::Ntpd),
        "driftfile" | "pidfile" if first.contains("/chrony") => Some(Daemon::Chrony),
        "driftfile" | "pidfile" if first.contains("/ntp") => Some(Daemon::Ntpd),
        // ntpd's reference clocks have addresses of this net, and options `-4` and `-6` before an address.
        _ if first.starts_with("127.127.") || matches!(first, "-4" | "-6") => Some(Daemon::Ntpd),
        "server" | "pool" | "peer" => words.find_map(|word| {
            let lists =
                [(CHRONY_OPTIONS, Daemon::Chrony), (NTPD_OPTIONS, Daemon::Ntpd), (OPENNTPD_OPTIONS, Daemon::OpenNtpd)];
            lists.into_iter().find(|(list, _)| is_among(list, word)).map(|(_, daemon)| daemon)
        }),
        _ => None,
    }
}

/// Options that NTPsec (`nts`) and ntpd (`xleave`, for peers) know too, though more files that have them are chrony's.
pub fn prefers_chrony(line: &str) -> bool {
    line.split_whitespace().any(|word| matches!(word, "nts" | "xleave"))
}

/// What a line says of the text that it stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Nothing: other texts have such lines.
    #[default]
    Nothing,
    /// Configurations of many programs have such lines; others must say that this is one of time.
    Hint,
    /// It is a configuration of a time daemon, if nothing in it is strange.
    May,
    /// It is one.
    Sure,
}

/// Whether a line is a directive beyond doubt: prose, logs and other programs' configurations begin with `server`,
/// `local` or `log` too.
pub fn sign(line: &str) -> Sign {
    let (keyword, rest) = directive(line);
    let words: Vec<&str> = rest.split_whitespace().take(16).collect();
    if holds_template(line) {
        return templated(keyword, &words).max(as_filled(line));
    }
    let first = words.first().copied().unwrap_or_default();
    let numbers = || !words.is_empty() && words.iter().all(|word| word.parse::<f64>().is_ok());
    let sure = |yes: bool| if yes { Sign::Sure } else { Sign::Nothing };
    let hint = |yes: bool| if yes { Sign::Hint } else { Sign::Nothing };
    let may = |yes: bool| if yes { Sign::May } else { Sign::Nothing };
    match keyword {
        "server" | "pool" | "peer" => source(&words),
        _ if is_among(NUMBERS, keyword) => sure(numbers()),
        _ if is_among(PATHS, keyword) => match (is_path(first), is_times(first)) {
            (true, true) => Sign::Sure,
            (path, _) => may(path && words.len() < 3),
        },
        // ntpd reads what stands beside its configuration too, and nobody else has the word.
        "includefile" => may(words.len() == 1),
        _ if is_among(COMMON_PATHS, keyword) => match is_path(first) && words.len() == 1 {
            true if is_times(first) => Sign::Sure,
            path => hint(path),
        },
        "port" => hint(numbers() && words.len() == 1),
        "user" => hint(matches!(words[..], [_])),
        "manual" | "local" if words.is_empty() => Sign::Hint,
        "servers" => sure(words.len() == 1 && is_name(first)),
        "broadcast" => {
            may(is_address(first) || first.parse::<u32>().is_ok() && words.get(1).is_some_and(|w| is_address(w)))
        }
        "manycastclient" | "manycastserver" | "multicastclient" => sure(is_address(first)),
        "broadcastclient" => sure(words.is_empty() || matches!(words[..], ["yes" | "no" | "novolley"])),
        "restrict" | "unrestrict" => sure(is_restriction(&words)),
        "fudge" | "device" => sure(first.starts_with("127.127.")),
        "statistics" | "filegen" => sure(first.ends_with("stats")),
        "tinker" | "tos" | "discard" | "mru" | "limit" => {
            sure(is_among(TUNING, first) && words.get(1).is_some_and(|word| word.parse::<f64>().is_ok()))
        }
        "disable" | "enable" => may(!words.is_empty() && words.iter().all(|word| is_among(SWITCHES, word))),
        "interface" | "nic" => may(matches!(words[..], ["listen" | "ignore" | "drop", _])),
        "logconfig" => sure(first.starts_with(['=', '+', '-']) && first.len() > 3),
        "nts" => sure(
            matches!(first, "enable" | "disable" | "cookie" | "key" | "cert" | "ca" | "mintls" | "maxtls")
                && words.len() < 3,
        ),
        "pollskewlist" => sure(first == "default" || first.contains('|')),
        "rlimit" => sure(matches!(first, "memlock" | "stacksize" | "filenum")),
        "authenticate" | "monitor" => may(matches!(words[..], ["yes" | "no"])),
        "log" => match words.iter().all(|word| is_among(LOGS, word)) {
            true if words.len() > 1 => Sign::Sure,
            all => may(all && !words.is_empty()),
        },
        "rtcsync" | "rtconutc" | "lock_all" | "noclientlog" | "dumponexit" | "nosystemcert" | "generatecommandkey" => {
            sure(words.is_empty())
        }
        "allow" | "deny" if words.is_empty() => Sign::Hint,
        "cmdallow" | "cmddeny" if words.is_empty() => Sign::Sure,
        "allow" | "deny" => may(matches!(words[..], ["all"]) || words.len() == 1 && is_net(first)),
        "cmdallow" | "cmddeny" => sure(first == "all" || is_net(first)),
        "bindacqaddress" | "bindcmdaddress" => sure(is_address(first) || first.starts_with('/')),
        "bindaddress" => may(is_address(first) && words.len() == 1),
        "local" => sure(first == "stratum" && words.get(1).is_some_and(|word| word.parse::<u8>().is_ok())),
        "refclock" => sure(
            words.len() > 1
                && (matches!(first.split(':').next(), Some("SHM" | "PPS" | "SOCK" | "PHC" | "RTC"))
                    || words.get(1).is_some_and(|word| is_among(REFCLOCK_OPTIONS, word))),
        ),
        "leapsectz" => sure(first.contains('/') && words.len() == 1),
        "leapsecmode" => sure(matches!(first, "system" | "step" | "slew" | "ignore")),
        "authselectmode" => sure(matches!(first, "require" | "prefer" | "mix" | "ignore")),
        "ratelimit" | "cmdratelimit" | "ntsratelimit" => sure(matches!(first, "interval" | "burst" | "leak" | "kod")),
        "initstepslew" | "maxchange" => sure(first.parse::<f64>().is_ok() && words.len() > 1),
        "hwtimestamp" => {
            may(words.len() == 1 || words.iter().any(|word| matches!(*word, "minpoll" | "rxfilter" | "txcomp")))
        }
        "dscp" => may(numbers() && words.len() == 1),
        "listen" => may(matches!(words[..], ["on", on] | ["on", on, "rtable", _] if on == "*" || is_name(on))),
        "query" => sure(matches!(words[..], ["from", from] if is_address(from))),
        "sensor" => may(words.len() == 1
            || words.iter().any(|word| matches!(*word, "correction" | "refid" | "stratum" | "weight" | "trusted"))),
        "constraint" | "constraints" => {
            let quoted = words.get(1).is_some_and(|word| word.starts_with('"') && word.ends_with('"'));
            sure(first == "from" && (quoted || words.get(1).is_some_and(|word| is_address(word))))
        }
        _ => Sign::Nothing,
    }
}

/// A line with placeholders: `pool {{ pool }} iburst`.
fn templated(keyword: &str, words: &[&str]) -> Sign {
    let option = |word: &&str| is_among(SOURCE_OPTIONS, word) && !is_among(COMMON_OPTIONS, word);
    let own = [PATHS, NUMBERS, "restrict fudge filegen statistics tinker servers constraint constraints"];
    let may = matches!(keyword, "server" | "pool" | "peer");
    // `server {{ ip }}:{{ port }};` and `server {{ name }} {{ ip }}:80 check` are of others.
    let whole = words.join(" ");
    let plain = !whole.ends_with([';', '{'])
        && filled(&whole, "")
            .split(' ')
            .all(|word| word.is_empty() || is_any_option(word) || word.bytes().all(|b| b.is_ascii_digit()));
    match () {
        () if may && words.iter().any(option) => Sign::Sure,
        () if own.iter().any(|list| is_among(list, keyword)) => Sign::Sure,
        () if may && words.first().is_some_and(|word| word.starts_with(['{', '<'])) && plain => Sign::May,
        () => Sign::Nothing,
    }
}

/// A line with placeholders where it would be one with an address, number or path in their place: `listen on {{ ip }}`,
/// `local stratum ${STRATUM}`, `keyfile <%= @keys %>`.
fn as_filled(line: &str) -> Sign {
    let signs = ["192.0.2.1", "1", "/x"].map(|value| sign(&filled(line, value)));
    // What the placeholder holds, it does not say.
    signs.into_iter().max().unwrap_or_default().min(Sign::May)
}

/// `server 192.0.2.1`, `pool -4 ntp.example iburst`
fn source(words: &[&str]) -> Sign {
    let (flag, words) = match words {
        ["-4" | "-6", rest @ ..] => (true, rest),
        all => (false, all),
    };
    let Some((name, options)) = words.split_first() else { return Sign::Nothing };
    let name = name.trim_matches('"');
    if name.starts_with("127.127.") && is_address(name) {
        return Sign::Sure;
    }
    // A port after a name is of others.
    let named = name.contains('.') && !name.contains(':') && is_name(name) && !name.ends_with('.') || is_address(name);
    // Options that are words, or a word and its value: numbers, key types, `true`.
    let plain = options.iter().all(|word| is_any_option(word) || word.bytes().any(|b| b.is_ascii_digit()));
    let own = options.iter().any(|word| is_any_option(word) && !is_among(COMMON_OPTIONS, word));
    match () {
        () if !is_name(name) || !plain => Sign::Nothing,
        // A name without dots is a word of prose but for what follows it.
        () if own => Sign::Sure,
        () if !named => Sign::Nothing,
        () if flag || is_times(name) => Sign::Sure,
        () if options.is_empty() || options.iter().any(|word| is_any_option(word)) => Sign::May,
        () => Sign::Nothing,
    }
}

fn is_any_option(word: &str) -> bool {
    [SOURCE_OPTIONS, NTPD_OPTIONS, CHRONY_OPTIONS, OPENNTPD_OPTIONS].iter().any(|list| is_among(list, word))
}

/// What follows `restrict`: a whom, a mask, and flags.
fn is_restriction(words: &[&str]) -> bool {
    let words = match words {
        ["-4" | "-6" | "ipv4" | "ipv6", rest @ ..] => rest,
        all => all,
    };
    let Some((whom, flags)) = words.split_first() else { return false };
    let flag = |word: &&str| {
        is_among(RESTRICT_FLAGS, word)
            || matches!(*word, "mask" | "ippeerlimit")
            || is_address(word)
            || word.parse::<i32>().is_ok()
    };
    let whom = matches!(*whom, "default" | "source") || is_net(whom) || whom.contains('.') && is_name(whom);
    whom && flags.iter().all(flag)
}

fn is_address(word: &str) -> bool {
    // ntpd takes brackets around an address.
    let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    bare.parse::<IpAddr>().is_ok()
}

/// `192.0.2.0/24`, `192.0.2`, `2001:db8::/32`; chronyd takes whole octets.
fn is_net(word: &str) -> bool {
    let (address, prefix) = word.split_once('/').map_or((word, None), |(address, prefix)| (address, Some(prefix)));
    let octets = || address.contains('.') && address.split('.').all(|part| part.parse::<u8>().is_ok());
    (is_address(address) || octets())
        && prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|bits| bits <= 128) || is_address(prefix))
}

fn is_name(word: &str) -> bool {
    let word = word.trim_matches('"');
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b))
}

fn is_path(word: &str) -> bool {
    word.trim_start_matches('"').starts_with('/')
}

/// A name or path that speaks of time: `/etc/ntp/keys`, `0.pool.ntp.org`, `time.example`.
fn is_times(word: &str) -> bool {
    let word = word.trim_matches('"').to_ascii_lowercase();
    word.contains("ntp") || word.contains("chrony") || word.starts_with("time") || word.contains("leap-seconds")
}
