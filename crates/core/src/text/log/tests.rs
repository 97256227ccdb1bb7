//! Lines as their programs print them, with the numbers of real daemons where a sign is at stake.

use crate::text::tests::read;

/// The rows of one line, without the words that all have.
fn said(line: &str) -> String {
    let (rows, rejects, _) = read(line);
    assert_eq!(rejects, Vec::<String>::new(), "{line}");
    rows.join("\n")
}

/// What each line of one program becomes: the happening, the source and the value.
fn each(stamp: &str, cases: &[(&str, &str)]) {
    for (message, want) in cases {
        let (rows, rejects, _) = read(&format!("{stamp}{message}"));
        assert_eq!(rejects, Vec::<String>::new(), "{message}");
        let row = rows.first().map_or("", |row| row.split_once(" who=").map_or("", |(_, rest)| rest));
        let row = row.split_once(' ').map_or("", |(_, rest)| rest);
        let got = row.split_once("text=").map_or(row, |(before, _)| before);
        assert_eq!(got.trim_end(), *want, "{message}");
    }
}

#[test]
fn steps_have_the_sign_of_the_offset_that_was_measured() {
    // NTPsec, case b03: peerstats had -0.188778924 and protostats `clock_step -0.188272 s` at the same second.
    let got = said("2027-01-05T06:09:25 ntpd[22735]: CLOCK: time stepped by -0.188272");
    let want =
        "time=2027-01-05T06:09:25Z message who=ntpd name=step value=-0.188272 text=CLOCK: time stepped by -0.188272";
    assert_eq!(got, want);
    let stamp = "Nov 22 09:25:13 h ntpd[1]: ";
    each(
        stamp,
        &[
            ("time reset +0.227430 s", "name=step value=0.22743"),
            ("time reset (step) -12.5 s", "name=step value=-12.5"),
            ("time slew -0.021 s", "name=slew value=-0.021"),
            ("0.0.0.0 c61c 0c clock_step -1.234567 s", "name=step value=-1.234567"),
            ("0.0.0.0 c613 03 spike_detect +0.300000 s", "name=spike value=0.3"),
            ("0.0.0.0 c617 07 panic_stop -1434 s; set clock manually within 1000 s.", "name=panic value=-1434"),
            ("192.0.2.2 961d 8d popcorn 0.012500 s", "subject=192.0.2.2 name=popcorn value=0.0125"),
            ("set local clock to Sun Nov 22 09:25:13 UTC 2026 (offset 0.250000s)", "name=step value=0.25"),
            ("adjusting local clock by -0.067000s", "name=slew value=-0.067"),
            ("setting time to 2026-11-22 09:25:13.000001 (offset +0.500000s)", "name=step value=0.5"),
        ],
    );
}

#[test]
fn chronyd_prints_offsets_with_our_sign_and_frequencies_with_the_other() {
    each(
        "Nov 22 09:25:13 h chronyd[1]: ",
        &[
            // reference.c: maybe_log_offset() prints -offset, and LCL_ApplyStepOffset() is told in the same way.
            ("System clock wrong by -0.500000 seconds, adjustment started", "name=slew value=-0.5"),
            ("System clock wrong by 1.5 seconds", "name=slew value=1.5"),
            ("System clock wrong by 1.5 seconds (step)", "name=step value=1.5"),
            ("System clock was stepped by -0.500000 seconds", "name=step value=-0.5"),
            ("System's initial offset : 2.250000 seconds fast of true (step)", "name=step value=-2.25"),
            ("System's initial offset : 0.250000 seconds slow of true (slew)", "name=slew value=0.25"),
            // The corpus's host: tracking.log has Freq ppm -15.6, where positive is fast.
            ("Frequency -15.640 +/- 0.021 ppm read from /var/lib/chrony/chrony.drift", "name=frequency value=15.64"),
            (
                "Adjustment of 3600.000 seconds exceeds the allowed maximum of 1.000 seconds (exiting) ",
                "name=panic value=3600",
            ),
            ("Selected source 2001:db8::1 (ntp.example)", "subject=2001:db8::1 name=synchronised"),
            ("Source 192.0.2.1 replaced with 192.0.2.2 (ntp.example)", "subject=192.0.2.1 name=demobilised"),
            ("Detected falseticker PPS0", "subject=PPS0 name=falseticker"),
            ("Can't synchronise: no majority (no agreement among 2 sources)", "name=falseticker"),
            ("Backward time jump detected!", "name=foreign"),
        ],
    );
}

#[test]
fn sentences_of_ntpd_tell_of_sources_and_sockets() {
    each(
        "22 Nov 09:25:13 ntpd[1]: ",
        &[
            ("synchronized to LOCAL(0), stratum 10", "subject=LOCAL(0) name=synchronised"),
            ("no servers reachable", "name=unsynchronised"),
            ("0.0.0.0 c618 08 no_sys_peer", "name=unsynchronised"),
            ("0.0.0.0 c012 02 freq_set kernel -11.250 PPM", "name=frequency value=-11.25"),
            ("192.0.2.2 8011 81 mobilize assoc 17767", "subject=192.0.2.2 name=mobilised"),
            ("kernel time sync status change 2001", "name=kernel"),
            ("Soliciting pool server 192.0.2.7", "subject=192.0.2.7 name=mobilised"),
            ("Deferring DNS for ntp.example 1", "subject=ntp.example name=network"),
            ("host name not found: ntp.example", "subject=ntp.example name=network"),
            ("unable to bind to wildcard address 0.0.0.0 - another process may be running - EXITING", "name=network"),
            (
                "bind() fd 19, family AF_INET, port 123, addr 192.0.2.5, in_classd=0 flags=25 failed: Address already in use",
                "name=network",
            ),
            ("Listen normally on 3 eth0 192.0.2.5:123", "subject=192.0.2.5:123 name=other"),
            (
                "receive: Unexpected origin timestamp 0xe1.1 does not match aorg 0000 from server@192.0.2.9 xmt 0xe1.2",
                "subject=server@192.0.2.9 name=other",
            ),
            ("peer 192.0.2.3 now valid", "subject=192.0.2.3 name=reachable"),
            ("adjusting clock frequency by 0.500000 to -3.250000ppm", "name=frequency value=-3.25"),
            ("something that nobody has said yet", "name=other"),
        ],
    );
}

#[test]
fn a_daemon_that_starts_says_its_version_and_a_source_the_own_address() {
    let got = said("22 Nov 09:25:13 ntpd[1]: ntpd 4.2.6p5@1.2349-o Tue Dec  9 2014 (1): Starting");
    assert!(
        got.ends_with("time=2026-11-22T09:25:13Z variable name=version text=ntpd 4.2.6p5@1.2349-o Tue Dec  9 2014 (1)")
    );
    let got = said("2026-11-22T09:25:13Z chronyd version 4.3 starting (+CMDMON -DEBUG)");
    assert!(got.ends_with("name=version text=chronyd version 4.3"), "{got}");
    let got = said("22 Nov 09:25:13 ntpd[1]: 192.0.2.1 local addr 192.0.2.5 -> 192.0.2.6");
    assert!(got.ends_with("time=2026-11-22T09:25:13Z variable subject=192.0.2.1 name=dstadr text=192.0.2.6"), "{got}");
    let got = said("22 Nov 09:25:13 ntpd[1]: 192.0.2.1 local addr 0.0.0.0 -> <null>");
    assert!(!got.contains("dstadr"), "{got}");
}

#[test]
fn others_set_the_clock_too() {
    let host = "Nov 22 09:25:13 h ";
    each(
        host,
        &[
            (
                "ntpdate[9]: step time server 192.0.2.4 offset 5.101069 sec",
                "subject=192.0.2.4 name=step value=5.101069",
            ),
            ("ntpdate[9]: no server suitable for synchronization found", "name=unsynchronised"),
            ("CRON[9]: (root) CMD (/usr/sbin/ntpdate -s 192.0.2.4)", "name=foreign"),
            ("CRON[9]: (root) CMD (run-parts /etc/cron.hourly)", ""),
            ("systemd[1]: Time has been changed", "name=foreign"),
            ("systemd[1]: Started Session 4 of user root.", ""),
            (
                "systemd-timesyncd[1]: Timed out waiting for reply from 192.0.2.4:123 (ntp.example).",
                "subject=192.0.2.4 name=unreachable",
            ),
            (
                "systemd-timesyncd[1]: Initial synchronization to time server [2001:db8::1]:123 (ntp.example).",
                "subject=2001:db8::1 name=synchronised",
            ),
            ("kernel: [    3.368526] Switched to clocksource tsc", "subject=tsc name=clock_source"),
            (
                "kernel: clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:",
                "subject=tsc name=clock_source",
            ),
            ("kernel: Clock: inserting leap second 23:59:60 UTC", "name=leap"),
            ("kernel: usb 1-1: new high-speed USB device", ""),
            ("phc2sys[9]: [123.456] CLOCK_REALTIME phc offset       -12 s2 freq   +1234 delay    567", "name=foreign"),
            (
                "VBoxService[9]: 00:00:10.000000 timesync vgsvcTimeSyncWorker: Radical host time change: 12 345ns",
                "name=foreign",
            ),
            ("sudo: admin : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/date -s 12:00", "name=foreign"),
            (
                "ntp-daemon[9]: 2026-11-22T09:25:13.1Z  WARN ntp_proto::algorithm::kalman: Jumped offset by -250.5ms. This may",
                "name=step value=-0.2505",
            ),
        ],
    );
}

#[test]
fn every_envelope_gives_the_time_and_the_host() {
    let want = "host=h time=2026-11-22T09:25:13Z message who=ntpd name=step value=0.2 text=time reset +0.2 s";
    for line in [
        "Nov 22 09:25:13 h ntpd[1]: time reset +0.2 s",
        "<29>Nov 22 09:25:13 h ntpd[1]: time reset +0.2 s",
        "Nov 22 2026 09:25:13 h /usr/sbin/ntpd[1]: time reset +0.2 s",
        "Nov 22 09:25:13 h xntpd[1]: [ID 450285 daemon.notice] time reset +0.2 s",
        "Nov 22 09:25:13 h daemon.notice ntpd[1]: time reset +0.2 s",
        "Nov 22 09:25:13 h ntpd[1]: 22 Nov 09:25:12 ntpd[1]: time reset +0.2 s",
        "11월 22 09:25:13 h ntpd[1]: time reset +0.2 s",
        "Nov 22 09:25:13 h ntpd[1]: message repeated 2 times: [ time reset +0.2 s]",
        "<29>1 2026-11-22T09:25:13Z h ntpd 1 - - time reset +0.2 s",
        "<29>1 2026-11-22T10:25:13+01:00 h ntpd 1 ID [a@1 b=\"\\]\"][c d=\"e\"] \u{feff}time reset +0.2 s",
        "2026-11-22T10:25:13+01:00 h ntpd[1]: time reset +0.2 s",
        "2026-11-22T09:25:13+0000 h ntpd[1]: time reset +0.2 s",
        "Sun 2026-11-22 09:25:13 UTC h ntpd[1]: time reset +0.2 s",
        "{\"__REALTIME_TIMESTAMP\":\"1795339513000000\",\"_HOSTNAME\":\"h\",\"_COMM\":\"ntpd\",\"MESSAGE\":\"time reset +0.2 s\"}",
        "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795339513000000\nMESSAGE=time reset +0.2 s\n_HOSTNAME=h\nSYSLOG_IDENTIFIER=ntpd\n",
        "Sun 2026-11-22 09:25:13 UTC [s=1;i=2]\n    _HOSTNAME=h\n    SYSLOG_IDENTIFIER=ntpd\n    MESSAGE=time reset +0.2 s",
    ] {
        assert_eq!(said(line), want, "{line}");
    }
    let want = want.replace("host=h ", "");
    for line in [
        "Sun Nov 22 09:25:13 2026 daemon.notice ntpd[1]: time reset +0.2 s",
        "22 Nov 09:25:13 ntpd[1]: time reset +0.2 s",
        "2026-11-22T09:25:13Z stdout F 22 Nov 08:00:00 ntpd[1]: time reset +0.2 s",
        "{\"log\":\"22 Nov 08:00:00 ntpd[1]: time reset +0.2 s\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-22T09:25:13Z\"}",
    ] {
        assert_eq!(said(line), want, "{line}");
    }
    let got = said("ntp-1  | 2026-11-22T09:25:13Z Selected source 192.0.2.1");
    assert!(got.starts_with("host=ntp-1 time=2026-11-22T09:25:13Z message who=chronyd"), "{got}");
    // Seconds since a boot that nobody knows.
    let got = said("[    5.250000] h kernel: Switched to clocksource tsc");
    assert!(got.starts_with("host=h message who=kernel"), "{got}");
    let got = said("[    5.250000] clocksource: Switched to clocksource tsc");
    assert!(got.starts_with("message who=kernel subject=tsc"), "{got}");
    let got = said("kern  :info  : [    5.250000] clocksource: Switched to clocksource tsc");
    assert!(got.starts_with("message who=kernel subject=tsc"), "{got}");
    let got = said("[Sun Nov 22 09:25:13 2026] clocksource: Switched to clocksource tsc");
    assert!(got.starts_with("time=2026-11-22T09:25:13Z message who=kernel subject=tsc"), "{got}");
}

#[test]
fn lines_of_others_are_taken_and_give_only_their_host() {
    let log = "Nov 22 09:25:13 h sshd[1]: Accepted publickey for root\n\
               Nov 22 09:25:13 h last message repeated 2 times\n\
               Nov 22 09:25:13 h -- MARK --\n\
               -- Boot 0123456789abcdef0123456789abcdef --\n\
               Nov 22 09:25:13 h dhclient: DHCPREQUEST of 192.0.2.5 on eth0";
    let host = "host=h variable name=log_host text=h".to_owned();
    assert_eq!(read(log), (vec![host], vec![], vec!["syslog"]));
    let no_time = "Nov 31 09:25:13 h ntpd[1]: time reset +0.2 s";
    let (rows, rejects, _) = read(no_time);
    assert_eq!((rows.len(), rejects.len()), (0, 1), "{rejects:?}");
}

#[test]
fn prose_and_other_formats_open_no_log() {
    for line in [
        "On Nov 22 the clock was stepped: see below.",
        "Nov 22 09:25:13 2026",
        "Sun Nov 22 09:25:13 UTC 2026",
        "2026-11-22 09:23:48 192.0.2.1       N  5 111 111 1111   0  0 0.00 -1.636e-05  3.586e-05",
        "2026-11-22T09:25:13Z Failed to open a file: x",
        "2026-11-22T09:25:13Z,1,2",
        "61366 33913.579 0.0.0.0 c01d 0d kern kernel time sync enabled",
        "09:25:13.123456 IP 192.0.2.1.123 > 192.0.2.2.123: NTPv4, Client, length 48",
        "2026-11-22 09:25:13,123 - step.py[DEBUG]: Running module ntp",
        "2026-11-22T09:25:13.123456789Z container exec_create: /bin/sh (name=ntp)",
        "[Sun Nov 22 09:25:13 2026] [notice] Apache/2.2 configured -- resuming normal operations",
        "[Sun Nov 22 09:25:13.123456 2026] [core:notice] [pid 1] AH00094: Command line",
        "[Unit]",
        "[1] something",
        "{\"a\":1}",
    ] {
        let (_, _, forms) = read(line);
        let logs: Vec<_> = forms.iter().filter(|form| super::FORMS.iter().any(|ours| ours.name == **form)).collect();
        assert!(logs.is_empty(), "{line}: {logs:?}");
    }
}

#[test]
fn zeros_before_a_line_are_what_a_crash_left() {
    let (rows, rejects, _) = read("\0\0\0Nov 22 09:25:13 gate ntpd[1]: time reset +0.250000 s\n");
    let want = "host=gate time=2026-11-22T09:25:13Z message who=ntpd name=step value=0.25 text=time reset +0.250000 s";
    assert_eq!((rows, rejects.len()), (vec![want.to_owned()], 0));
}
