//! The labels of reports, and what each stands for.

use crate::model::Counter;

/// What a label stands for.
#[derive(Clone, Copy, PartialEq)]
pub enum Meaning {
    Count(Counter),
    /// Age of the daemon; of the counters, unless a reset says better.
    Uptime,
    /// Age of the counters.
    Reset,
    /// A variable, by the name that the daemon has for it.
    Variable(&'static str),
    /// Whose packets these are.
    Remote,
    Source,
    Leap,
    Stratum,
    RefTime,
    Offset,
    Frequency,
    Jitter,
    Wander,
    RootDelay,
    RootDispersion,
    MaxError,
    /// Status of the kernel's clock.
    Flags,
}

use Meaning::{Count, Variable};

pub type Labels = &'static [(&'static str, Meaning)];

/// All reports: a label of another one ends a report, one of none is of another version.
pub const REPORTS: [Labels; 9] = [SYSTEM, CONTROL, IO, INFO, KERNEL, LOOP, MONITOR, PEER, NTS];

/// `ntpq -c sysstats`.
pub const SYSTEM: Labels = &[
    ("uptime", Meaning::Uptime),
    ("sysstats reset", Meaning::Reset),
    ("packets received", Count(Counter::Received)),
    ("current version", Count(Counter::CurrentVersion)),
    ("older version", Count(Counter::OldVersion)),
    ("bad length or format", Count(Counter::BadFormat)),
    ("authentication failed", Count(Counter::BadAuth)),
    ("declined", Count(Counter::Declined)),
    ("restricted", Count(Counter::Restricted)),
    ("rate limited", Count(Counter::Limited)),
    ("KoD responses", Count(Counter::KodSent)),
    ("processed for time", Count(Counter::Processed)),
];

/// `ntpdc -c sysstats` of ntpd 4.2.0 to 4.2.8, and of xntpd 3.
pub const CONTROL: Labels = &[
    ("time since restart", Meaning::Uptime),
    ("system uptime", Meaning::Uptime),
    ("time since reset", Meaning::Reset),
    ("packets processed", Count(Counter::Processed)),
    ("previous version", Count(Counter::OldVersion)),
    ("bad version", Count(Counter::UnknownVersion)),
    ("access denied", Count(Counter::Restricted)),
    ("bad authentication", Count(Counter::BadAuth)),
    ("rate exceeded", Count(Counter::Limited)),
    ("packets received", Count(Counter::Received)),
    ("current version", Count(Counter::CurrentVersion)),
    ("declined", Count(Counter::Declined)),
    ("bad length or format", Count(Counter::BadFormat)),
    ("new version packets", Count(Counter::CurrentVersion)),
    ("old version packets", Count(Counter::OldVersion)),
    ("unknown version number", Count(Counter::UnknownVersion)),
    ("bad packet format", Count(Counter::BadFormat)),
    ("limitation rejects", Count(Counter::Limited)),
];

/// `iostats`, `timerstats`, `authinfo`. The age here is that of other counters, and no [`Counter::AgeS`].
pub const IO: Labels = &[
    ("time since reset", Variable("reset")),
    ("dropped packets", Variable("io_dropped")),
    ("ignored packets", Variable("io_ignored")),
    ("received packets", Variable("io_received")),
    ("packets sent", Count(Counter::Sent)),
    ("packet send failures", Variable("io_sendfailed")),
    ("packets not sent", Variable("io_sendfailed")),
    ("timer overruns", Variable("timer_overruns")),
    ("keys not found", Variable("authknotfound")),
];

/// `sysinfo` of ntpq and ntpdc.
pub const INFO: Labels = &[
    ("system peer", Meaning::Source),
    ("system peer mode", Variable("peermode")),
    ("leap indicator", Meaning::Leap),
    ("stratum", Meaning::Stratum),
    ("log2 precision", Variable("precision")),
    ("precision", Variable("precision")),
    ("root delay", Meaning::RootDelay),
    // ntpdc calls the delay a distance; NTPsec has a true one, without a colon.
    ("root distance", Meaning::RootDelay),
    ("root dispersion", Meaning::RootDispersion),
    ("reference ID", Variable("refid")),
    ("reference time", Meaning::RefTime),
    ("system flags", Variable("flags")),
    ("system jitter", Meaning::Jitter),
    ("jitter", Meaning::Jitter),
    ("clock jitter", Variable("clk_jitter")),
    ("clock wander", Meaning::Wander),
    ("stability", Meaning::Wander),
    ("broadcast delay", Variable("bcastdelay")),
    ("broadcastdelay", Variable("bcastdelay")),
    ("symm. auth. delay", Variable("authdelay")),
    ("authdelay", Variable("authdelay")),
];

/// `kerninfo` of ntpq and ntpdc.
pub const KERNEL: Labels = &[
    // What the kernel has still to slew (adjtimex(2)): positive makes the clock go forwards, so reference − local.
    ("pll offset", Meaning::Offset),
    ("pll frequency", Meaning::Frequency),
    ("maximum error", Meaning::MaxError),
    // ntpd tells the kernel its jitter so (ntp_loopfilter.c).
    ("estimated error", Meaning::Jitter),
    ("kernel status", Meaning::Flags),
    ("status", Meaning::Flags),
    ("pll time constant", Variable("ktimeconst")),
    ("precision", Variable("kprecis")),
    ("frequency tolerance", Variable("kfreqtol")),
    ("pps frequency", Variable("kppsfreq")),
    ("pps stability", Variable("kppsstab")),
    ("pps jitter", Variable("kppsjitter")),
    // ntpq has no colon here.
    ("calibration interval", Variable("kppscalibdur")),
    ("calibration cycles", Variable("kppscalibs")),
    ("jitter exceeded", Variable("kppsjitexc")),
    ("stability exceeded", Variable("kppsstbexc")),
    ("calibration errors", Variable("kppscaliberrs")),
];

/// `ntpdc -c loopinfo`.
pub const LOOP: Labels = &[
    ("offset", Meaning::Offset),
    ("frequency", Meaning::Frequency),
    ("poll adjust", Variable("compliance")),
    ("watchdog timer", Variable("watchdog_timer")),
];

/// `ntpq -c monstats`.
pub const MONITOR: Labels = &[
    ("enabled", Variable("mru_enabled")),
    ("addresses", Variable("mru_depth")),
    ("addresses in use", Variable("mru_depth")),
    ("peak addresses", Variable("mru_deepest")),
    ("maximum addresses", Variable("mru_maxdepth")),
    ("reclaim above count", Variable("mru_mindepth")),
    ("reclaim older than", Variable("mru_maxage")),
    ("reclaim maxage", Variable("mru_maxage")),
    ("reclaim minage", Variable("mru_minage")),
    ("age of oldest slot", Variable("mru_oldest_age")),
    ("kilobytes", Variable("mru_mem")),
    ("maximum kilobytes", Variable("mru_maxmem")),
];

/// `ntpq -c pstats`.
pub const PEER: Labels = &[
    ("remote host", Meaning::Remote),
    ("local address", Variable("dstadr")),
    ("time last received", Variable("timerec")),
    ("time until next send", Variable("timer")),
    ("reachability change", Variable("timereach")),
    ("packets sent", Count(Counter::SourceSent)),
    // Not all of them passed the tests.
    ("packets received", Variable("received")),
    ("bad authentication", Variable("badauth")),
    ("bogus origin", Variable("bogusorg")),
    ("duplicate", Variable("oldpkt")),
    ("bad dispersion", Variable("seldisp")),
    ("bad reference time", Variable("selbroken")),
    ("candidate order", Variable("candidate")),
    ("count of nts cookies", Variable("ntscookies")),
];

/// NTPsec's `ntsinfo`, `ntskeinfo` and `mssntpinfo`.
pub const NTS: Labels = &[
    ("NTS client sends", Variable("nts_client_send")),
    ("NTS client recvs good", Variable("nts_client_recv_good")),
    ("NTS client recvs w error", Variable("nts_client_recv_bad")),
    ("NTS server recvs good", Variable("nts_server_recv_good")),
    ("NTS server recvs w error", Variable("nts_server_recv_bad")),
    ("NTS server sends", Variable("nts_server_send")),
    ("NTS decode cookies error", Variable("nts_cookie_decode_error")),
    ("NTS KE serves good", Variable("nts_ke_serves_good")),
    ("NTS KE serves bad", Variable("nts_ke_serves_bad")),
    ("NTS KE client probes good", Variable("nts_ke_probes_good")),
    ("NTS KE client probes bad", Variable("nts_ke_probes_bad")),
    ("MSSNTP requests processed", Variable("mssntp_serves")),
    ("MSSNTP rejected by samba", Variable("mssntp_serves_no")),
    ("MSSNTP errors talking to samba", Variable("mssntp_serves_err")),
];
