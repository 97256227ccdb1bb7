//! What chronyd says, 1.24 to 4.8: `reference.c`, `sources.c`, `ntp_core.c`, `ntp_sources.c`, `local.c`, `sched.c`.
//!
//! Inside chronyd an offset is positive where the local clock is fast; the messages about it print `-offset`, so theirs
//! is our sign. A frequency is printed as it is held, positive where the local clock runs fast: it is turned here.

use super::meaning::{Meaning, Program};
use crate::model::Happening::{
    BadAuth, Configuration, Demobilised, Falseticker, Foreign, Frequency, Kernel, Kiss, Leap, Mobilised, Network,
    Other, Panic, Reachable, Slew, Start, Step, Stop, Synchronised, Timecode, Unreachable, Unsynchronised,
};

/// chronyd.
pub const CHRONYD: Program = Program {
    name: "chronyd",
    tags: &["chronyd", "chrony", "chronyd-restricted"],
    meanings: CHRONYD_SAYS,
    all: true,
    bare,
};

/// Removes the place in the source that a build for debugging puts first: `ntp_core.c:1827:(receive) `.
fn bare(message: &str) -> &str {
    match message.split_once(") ") {
        Some((place, rest)) if place.contains(".c:") && !place.contains(' ') => rest,
        _ => message,
    }
}

/// Whether only chronyd says so: lines of its own log have a stamp and no name, as have those of many programs.
pub fn says(message: &str) -> bool {
    let what = CHRONYD.read(message).map(|(kind, _)| kind);
    message.starts_with("chronyd ") || what.is_some_and(|kind| !matches!(kind, Other | Configuration | Network | Stop))
}

const CHRONYD_SAYS: &[Meaning] = &[
    ("{<}chronyd version {*}{>} starting", Start),
    ("chronyd exiting", Stop),
    ("Received shutdown command", Stop),
    ("Fatal error : ", Stop),
    ("Timeout reached", Stop),
    // The clock.
    ("System clock wrong by {value} seconds (step)", Step),
    ("System clock wrong by {value} seconds (ignored)", Other),
    ("System clock wrong by {value} seconds", Slew),
    ("System clock was stepped by {value} seconds", Step),
    ("System clock was stepped for leap second", Leap),
    // `initstepslew`: the number has no sign, and the word says which.
    ("System's initial offset : {value} seconds slow of true (step)", Step),
    ("System's initial offset : {-value} seconds fast of true (step)", Step),
    ("System's initial offset : {value} seconds slow of true (slew)", Slew),
    ("System's initial offset : {-value} seconds fast of true (slew)", Slew),
    // rtc_linux.c gives this number to LCL_AccumulateOffset, for which positive is fast.
    ("System clock off from RTC by {-value} seconds (slew)", Slew),
    ("System time set from RTC", Foreign),
    ("System time restored from driftfile", Foreign),
    ("Set system time, error in RTC", Foreign),
    // `chronyc doffset`, and `chronyc settime`: the same function, the same sign.
    ("Accumulated delta offset of {-value} seconds", Slew),
    ("Making a slew of {-value}", Slew),
    ("Making a frequency change of {*} ppm and a slew of {-value}", Slew),
    ("Accumulated delta freq of", Other),
    ("Adjustment of {value} seconds exceeds the allowed maximum", Panic),
    ("Adjustment of {value} seconds is invalid", Panic),
    ("Forward time jump detected!", Foreign),
    ("Backward time jump detected!", Foreign),
    ("System clock interference detected", Foreign),
    ("Frequency {-value} +/- {*} ppm read from", Frequency),
    ("Initial frequency {-value} ppm", Frequency),
    ("Initial txc.tick", Kernel),
    ("Frequency {-value} ppm exceeds allowed maximum", Frequency),
    ("Could not read valid frequency", Configuration),
    ("Could not step system clock", Kernel),
    ("Disabled control of system clock", Kernel),
    ("CAP_SYS_TIME not present", Kernel),
    ("adjtimex failed", Kernel),
    ("adjtimex({*}) failed", Kernel),
    ("ntp_adjtime({*}) failed", Kernel),
    ("set_config_hz", Kernel),
    ("hz=", Kernel),
    ("Linux kernel major=", Kernel),
    // Leap seconds.
    ("System clock status {*} leap second", Leap),
    ("System clock TAI offset", Leap),
    ("Adjusting system clock for leap second", Leap),
    ("Ignoring leap second", Leap),
    ("Dropping sample around leap second", Leap),
    ("Using {*} leap second", Leap),
    ("Leap second list", Leap),
    ("Failed to {*} leap second", Leap),
    ("Timezone {*} leap second", Leap),
    ("Assumed NTP time ends", Other),
    ("System time ends at", Other),
    // Sources.
    ("Selected source {source}", Synchronised),
    ("Can't synchronise: no majority", Falseticker),
    ("Can't synchronise: no ", Unsynchronised),
    ("Can't synchronise: ", Unsynchronised),
    ("Detected falseticker {source}", Falseticker),
    ("Stratum of {source} {*} stratum of", Falseticker),
    ("Root distance of {source} exceeds", Falseticker),
    ("Jitter of {source} exceeds", Falseticker),
    ("No suitable source", Unsynchronised),
    ("Enabled local reference mode", Synchronised),
    ("Disabled local reference mode", Other),
    ("Source {source} offline", Unreachable),
    ("Source {source} online", Reachable),
    ("Source {source} replaced with", Demobilised),
    ("Source {source} changed to", Other),
    ("Source {source} added", Mobilised),
    ("Source {source} removed", Demobilised),
    ("Added pool", Mobilised),
    ("Added source {source}", Mobilised),
    ("Removed source {source}", Demobilised),
    ("Could not add source {source}", Network),
    ("Source {source} ", Other),
    ("Received KoD RATE {*}from {source}", Kiss),
    ("Received KoD {*} from {source}", Kiss),
    ("Out of order sample detected, discarding history for {source}", Foreign),
    ("Local refclock lost lock", Timecode),
    ("Enabled HW timestamping {*}on", Other),
    ("Enabled kernel", Other),
    ("NTS-KE session with {source} timed out", Network),
    ("TLS handshake with {source} failed", BadAuth),
    ("NTS-KE not supported by {source}", BadAuth),
    ("Received invalid NTS-KE {*} from {source}", BadAuth),
    ("Could not connect to {source} ", Network),
    ("Could not {*} NTS-KE message {*} {source} ", Network),
    ("Could not resolve", Network),
    ("Could not open NTP socket", Network),
    ("Could not open NTS-KE socket", Network),
    ("Could not open command socket", Network),
    ("Could not open IPv", Network),
    ("Could not bind", Network),
    ("Could not send ", Network),
    ("Disabled command socket", Network),
    ("Timed out ", Network),
    ("Another chronyd may already be running", Stop),
    ("Could not ", Configuration),
    ("Invalid ", Configuration),
    ("Unknown ", Configuration),
    ("Missing ", Configuration),
    ("Keyfile", Configuration),
    ("Key ", Configuration),
    ("{*} directive is no longer supported", Configuration),
    ("{*} at line ", Configuration),
    ("Wrong permissions on", Configuration),
    ("Wrong owner of", Configuration),
    ("Using right/UTC timezone", Leap),
    ("Fallback drift", Frequency),
    ("Not starting a second", Stop),
];
