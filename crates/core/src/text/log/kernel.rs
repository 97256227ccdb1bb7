//! What the kernel says about its clocks: Linux's `kernel/time`, `arch/x86/kernel/tsc*.c`, drivers, and the BSDs'.

use super::meaning::{Meaning, Program};
use crate::model::Happening::{ClockSource, Foreign, Kernel, Leap, Other};

/// The kernel. Its log is long, so each pattern begins with a letter that few lines begin with.
pub const KERNEL: Program = Program { name: "kernel", tags: &["kernel"], meanings: KERNEL_SAYS, all: false, bare };

/// Removes the time since boot, which stands in `kernel: [    1.234567] …`, and the level of older kernels.
fn bare(message: &str) -> &str {
    let message = match message.as_bytes() {
        [b'<', b'0'..=b'7', b'>', ..] => &message[3..],
        _ => message,
    };
    let Some((inside, rest)) = message.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return message };
    let since_boot = inside.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'.'));
    if since_boot { rest.trim_start() } else { message }
}

const KERNEL_SAYS: &[Meaning] = &[
    ("clocksource: timekeeping watchdog {*}: Marking clocksource '{source}' as unstable", ClockSource),
    ("clocksource: Switched to clocksource {source}", ClockSource),
    ("clocksource: Override clocksource {source} ", ClockSource),
    ("clocksource: timekeeping watchdog", ClockSource),
    ("clocksource: wd-", ClockSource),
    ("clocksource: Long readout interval", ClockSource),
    ("clocksource: Checking clocksource", ClockSource),
    // Those that are registered at each boot, and the details of one that is unstable.
    ("clocksource: ", Other),
    ("Switched to clocksource {source}", ClockSource),
    ("Switching to clocksource {source}", ClockSource),
    ("Override clocksource {source} ", ClockSource),
    ("Clocksource {source} unstable", ClockSource),
    ("timekeeping watchdog", ClockSource),
    ("Time: {source} clocksource has been installed", ClockSource),
    ("Time: Using ", ClockSource),
    ("Using {source} for high-res timesource", ClockSource),
    ("tsc: Marking TSC unstable", ClockSource),
    ("Marking TSC unstable", ClockSource),
    ("TSC found unstable", ClockSource),
    ("TSC synchronization", ClockSource),
    ("TSC {*}skew", ClockSource),
    ("TSC {*}warp", ClockSource),
    ("tsc: {*}unstable", ClockSource),
    ("tsc: ", Other),
    ("Refined TSC clocksource", Other),
    ("Measured {*} cycles TSC warp", ClockSource),
    ("kvm-clock: ", Other),
    ("Timecounter ", ClockSource),
    ("timecounter: ", ClockSource),
    ("Timecounters tick", Other),
    ("time.c: Lost ", Kernel),
    ("time.c: ", Other),
    ("Losing some ticks", Kernel),
    ("warning: many lost ticks", Kernel),
    ("Your time source seems to be instable", Kernel),
    ("Falling back to a sane timesource", ClockSource),
    ("set_rtc_mmss: ", Kernel),
    ("hrtimer: interrupt took", Kernel),
    ("INFO: NMI handler {*} took too long", Kernel),
    ("perf: interrupt took too long", Kernel),
    ("Timer ISR/", Kernel),
    ("Timekeeping ", Kernel),
    ("timekeeping: ", Kernel),
    ("ntp: ", Kernel),
    ("pps ", Kernel),
    ("pps_core: ", Kernel),
    ("hardpps: ", Kernel),
    ("Clock: inserting leap second", Leap),
    ("Clock: deleting leap second", Leap),
    ("Clock: leap second", Leap),
    ("Clock: ", Kernel),
    ("PM: suspend", Foreign),
    ("PM: Suspending", Foreign),
    ("PM: Syncing filesystems", Foreign),
    ("PM: hibernation", Foreign),
    ("PM: Entering mem sleep", Foreign),
    ("PM: resume", Foreign),
    ("PM: Finishing wakeup", Foreign),
    ("ACPI: Waking up from system sleep", Foreign),
    ("ACPI: PM: Waking up from system sleep", Foreign),
    ("Suspended for {*} seconds", Foreign),
    ("rtc_cmos {*}setting system clock to", Kernel),
    ("rtc-{*}setting system clock to", Kernel),
    ("rtc_{*}setting system clock to", Kernel),
    ("rtc{*}: setting system clock to", Kernel),
    ("hctosys: ", Kernel),
    ("hv_utils: TimeSync", Foreign),
    ("ptp_kvm: ", Kernel),
    ("kvm: {*}clock", Other),
    ("xen: {*}time", Other),
    // VirtualBox's service writes to the kernel's log on some guests; a clock of its own stands before it.
    ("0{*} timesync ", Foreign),
    ("1{*} timesync ", Foreign),
    ("2{*} timesync ", Foreign),
];
