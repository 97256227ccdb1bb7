//! What all others say that have to do with the clock: clients that run once, systemd, virtual machines, linuxptp, cron.

use super::meaning::{Meaning, Program, as_it_is};
use crate::model::Happening::{
    Configuration, Foreign, Frequency, Kernel, Kiss, Mobilised, Network, Other, Panic, Slew, Start, Step, Stop,
    Synchronised, Timecode, Unreachable, Unsynchronised,
};

/// systemd-timesyncd: `timesyncd-manager.c`. `offset` is ((T2-T1)+(T3-T4))/2, our sign.
pub const TIMESYNCD: Program = Program {
    name: "systemd-timesyncd",
    tags: &["systemd-timesyncd", "systemd-timesync", "systemd-timesyn"],
    meanings: &[
        ("Initial synchronization to time server [{source}]:", Synchronised),
        ("Initial synchronization to time server {source}:", Synchronised),
        ("Synchronized to time server for the first time [{source}]:", Synchronised),
        ("Synchronized to time server for the first time {source}:", Synchronised),
        ("Synchronized to time server [{source}]:", Synchronised),
        ("Synchronized to time server {source}:", Synchronised),
        ("Contacted time server [{source}]:", Synchronised),
        ("Contacted time server {source}:", Synchronised),
        ("Initial synchronization to time server", Synchronised),
        ("Synchronized to time server", Synchronised),
        // Since 250: the clock was right for the first time since the boot, whether by a step or not.
        ("Initial clock synchronization to", Synchronised),
        ("Timed out waiting for reply from [{source}]:", Unreachable),
        ("Timed out waiting for reply from {source}:", Unreachable),
        ("Using NTP server [{source}]:", Mobilised),
        ("Using NTP server {source}:", Mobilised),
        ("Selected server {source} ", Mobilised),
        ("Network configuration changed", Network),
        ("No network connectivity", Network),
        ("Failed to resolve {source}:", Network),
        ("Failed to ", Network),
        ("Server has too large root distance", Unreachable),
        ("Server is not synchronized", Unreachable),
        ("Server not connected", Unreachable),
        ("Invalid ", Configuration),
        ("System clock time unset or jumped backwards", Foreign),
        ("System time changed", Foreign),
        ("The system is configured to read the RTC time in the local", Configuration),
        ("interval/delta/delay/jitter/drift {*}/{value}s/", Other),
        ("{*}adjust (slew): {value} sec", Slew),
        ("{*}adjust (jump): {value} sec", Step),
        ("Starting", Start),
    ],
    all: true,
    bare: str::trim_start,
};

/// ntpdate, and what took its place: `sntp` and NTPsec's `ntpdig`. The offset is what is added to the clock.
pub const NTPDATE: Program = Program {
    name: "",
    tags: &["ntpdate", "ntpdate-debian", "sntp", "ntpdig", "msntp"],
    meanings: &[
        ("step time server {source} offset {value}", Step),
        ("adjust time server {source} offset {value}", Slew),
        ("ntpd: time set {value}s", Step),
        ("no server suitable for synchronization found", Unsynchronised),
        ("no servers can be used", Unsynchronised),
        ("no servers responded", Unsynchronised),
        ("no eligible servers", Unsynchronised),
        ("the NTP socket is in use", Network),
        ("bind() fails", Network),
        ("Can't find host {source}:", Network),
        ("Can't find host {source}", Network),
        ("name server cannot be used", Network),
        ("Exiting, name server cannot be used", Network),
        ("sendto({source})", Network),
        ("host name not found", Network),
        ("Can't ", Kernel),
        ("Error resolving {source}:", Network),
        ("{*} no response", Unreachable),
        ("started", Start),
        ("{<}ntpdate {*}{>} started", Start),
        ("{<}ntpdate {*}{>}", Start),
        ("{<}sntp {*}{>}", Start),
    ],
    all: true,
    bare: as_it_is,
};

/// ntpd-rs: `ntp-proto/src/algorithm/kalman/mod.rs`, `source.rs`. A jump's sign is the change of the clock.
pub const NTPD_RS: Program = Program {
    name: "ntpd-rs",
    tags: &["ntp-daemon", "ntpd-rs", "ntp-ctl", "ntpd-rs-metrics"],
    meanings: &[
        ("Jumped offset by {ms}ms", Step),
        ("Offset: {ms}+-", Other),
        ("Unusually large clock step suggested", Panic),
        ("No consensus on current time", Unsynchronised),
        ("No sources configured", Configuration),
        ("Fewer sources configured", Configuration),
        ("Unrestricted config file permissions", Configuration),
        ("new source", Mobilised),
        ("Source denied service", Kiss),
        ("Source requested rate limit", Kiss),
        ("Unrecognized KISS Message", Kiss),
        ("Received nts not-acknowledge", crate::model::Happening::BadAuth),
        ("Could not control clock", Kernel),
        ("Could not open socket", Network),
        ("Could not resolve", Network),
        ("Unresolvable domain name {source}", Network),
        ("error while resolving", Network),
        ("error while attempting key exchange", Network),
        ("timeout while attempting key exchange", Network),
        ("poll message could not be sent", Network),
        ("could not receive packet", Network),
        ("Could not ", Other),
    ],
    all: true,
    bare: after_inner_stamp,
};

/// Removes the stamp, level and module that ntpd-rs writes also where syslog stamps the line.
fn after_inner_stamp(message: &str) -> &str {
    let stamped = message.starts_with(|c: char| c.is_ascii_digit());
    let rest = if stamped { message.split_once(' ').map_or(message, |(_, rest)| rest.trim_start()) } else { message };
    let level = ["ERROR ", "WARN ", "INFO ", "DEBUG ", "TRACE "].iter().find_map(|level| rest.strip_prefix(level));
    level.and_then(|rest| rest.split_once(": ")).map_or(message, |(_, rest)| rest)
}

/// linuxptp: another discipline, of this clock where it says `CLOCK_REALTIME`. Its offsets are nanoseconds of the
/// other sign, and of a kind that has no unit here: they stay text.
pub const LINUXPTP: Program = Program {
    name: "",
    tags: &["ptp4l", "phc2sys", "ts2phc", "timemaster", "ptpd", "ptpd2", "sfptpd"],
    meanings: &[
        ("{*}CLOCK_REALTIME ", Foreign),
        ("{*}sys offset", Foreign),
        ("{*}master offset", Foreign),
        ("{*}rms ", Foreign),
        ("{*}clockcheck: ", Foreign),
    ],
    all: true,
    bare: as_it_is,
};

/// systemd itself, its sleep, and its time settings.
pub const SYSTEMD: Program = Program {
    name: "",
    tags: &["systemd", "systemd-sleep", "systemd-timedated", "systemd-timedate", "systemd-logind", "systemd-resolved"],
    meanings: &[
        ("Time has been changed", Foreign),
        ("Clock change detected", Foreign),
        ("System time before build time", Foreign),
        ("System time advanced to", Foreign),
        ("System time was", Foreign),
        ("Suspending system", Foreign),
        ("Entering sleep state", Foreign),
        ("System returned from sleep", Foreign),
        ("System resumed", Foreign),
        ("Failed to suspend", Foreign),
        ("Performing sleep operation", Foreign),
        ("Changed local time to", Foreign),
        ("Changed local RTC", Configuration),
        ("Changed time zone to", Configuration),
        ("Set NTP to", Configuration),
        ("Starting {*}Network Time", Other),
        ("Starting {*}NTP", Other),
        ("Starting {*}chrony", Other),
        ("Starting {*}timesyncd", Other),
        ("Started {*}Network Time", Other),
        ("Started {*}NTP", Other),
        ("Started {*}chrony", Other),
        ("Started {*}timesyncd", Other),
        ("Stopping {*}Network Time", Other),
        ("Stopping {*}NTP", Other),
        ("Stopping {*}chrony", Other),
        ("Stopping {*}timesyncd", Other),
        ("Stopped {*}Network Time", Other),
        ("Stopped {*}NTP", Other),
        ("Stopped {*}chrony", Other),
        ("Stopped {*}timesyncd", Other),
        ("Failed to start {*}Network Time", Other),
        ("Failed to start {*}NTP", Other),
        ("Failed to start {*}chrony", Other),
        ("Failed to start {*}timesyncd", Other),
        ("chronyd.service: ", Other),
        ("chrony.service: ", Other),
        ("ntpd.service: ", Other),
        ("ntp.service: ", Other),
        ("ntpsec.service: ", Other),
        ("ntpdate.service: ", Other),
        ("openntpd.service: ", Other),
        ("ntpd-rs.service: ", Other),
        ("systemd-timesyncd.service: ", Other),
    ],
    all: false,
    bare: as_it_is,
};

/// A host that sets its guest's clock: VMware's, VirtualBox's, QEMU's and Hyper-V's helpers in the guest.
pub const GUEST: Program = Program {
    name: "",
    tags: &[
        "vmtoolsd",
        "vmware-guestd",
        "vmsvc",
        "VBoxService",
        "vboxadd-service",
        "qemu-ga",
        "hv_kvp_daemon",
        "xe-daemon",
    ],
    meanings: &[
        ("{*}timesync", Foreign),
        ("{*}timeSync", Foreign),
        ("{*}TimeSync", Foreign),
        ("{*}ime sync", Foreign),
        ("{*}time changed", Foreign),
        ("{*}set-time", Foreign),
        ("{*}et the time", Foreign),
    ],
    all: false,
    bare: as_it_is,
};

/// Commands that set the clock beside the daemon, of jobs and of people.
const SETS_THE_CLOCK: &[Meaning] = &[
    ("{*}ntpdate", Foreign),
    ("{*}ntpd -q", Foreign),
    ("{*}ntpd -gq", Foreign),
    ("{*}ntpdig", Foreign),
    ("{*}sntp", Foreign),
    ("{*}rdate", Foreign),
    ("{*}hwclock", Foreign),
    ("{*}makestep", Foreign),
    ("{*}/date -s", Foreign),
    ("{*}/date --set", Foreign),
    ("{*} date -s", Foreign),
    ("{*}(date -s", Foreign),
    ("{*}timedatectl set-", Foreign),
    ("{*}timesync", Foreign),
];

/// The command in what cron (`(root) CMD (…)`) or sudo (`… COMMAND=…`) says; nothing in what else they say.
fn command(message: &str) -> &str {
    ["CMD ", "COMMAND="].iter().find_map(|mark| message.split_once(mark)).map_or("", |(_, command)| command)
}

/// cron, with the commands that it runs.
pub const CRON: Program = Program {
    name: "cron",
    tags: &["CRON", "crond", "cron", "anacron", "CROND", "fcron"],
    meanings: SETS_THE_CLOCK,
    all: false,
    bare: command,
};

/// sudo, with the commands that people run.
pub const SUDO: Program = Program { name: "", tags: &["sudo"], meanings: SETS_THE_CLOCK, all: false, bare: command };

/// Other programs that set the clock, or the hardware clock, by what they say of it.
pub const SETTERS: Program = Program {
    name: "",
    tags: &["hwclock", "rdate", "date", "adjtimex", "clock", "htpdate", "tlsdate", "tlsdated", "date-set"],
    meanings: &[("{*}adjusting time by {value} seconds", Slew), ("{*}setting time {value} seconds", Step)],
    all: true,
    bare: as_it_is,
};

/// A GPS receiver's daemon, where a clock listens to one.
pub const GPSD: Program = Program {
    name: "",
    tags: &["gpsd"],
    meanings: &[
        ("{*}PPS", Timecode),
        ("{*}KPPS", Timecode),
        ("{*}NTP", Timecode),
        ("{*}GPS rollover", Timecode),
        ("{*}rollover", Timecode),
        ("{*}leap", crate::model::Happening::Leap),
        ("{*}terminated", Stop),
        ("launching", Start),
        ("{*}ppm {value}", Frequency),
    ],
    all: false,
    bare: as_it_is,
};
