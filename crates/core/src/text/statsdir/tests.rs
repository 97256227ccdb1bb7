use super::super::tests::read;

/// The rows of a text of which nothing may be rejected.
fn rows(text: &str) -> Vec<String> {
    let (rows, rejects, _) = read(text);
    assert_eq!(rejects, Vec::<String>::new());
    rows
}

fn rejects(text: &str) -> Vec<String> {
    read(text).1
}

#[test]
fn a_positive_offset_and_frequency_are_those_of_a_slow_clock() {
    // An NTPsec whose clock was set 0.2 s back wrote offset 0.2, and its protostats `clock_step +0.2`: forwards.
    let said = rows("61409 33161.004 -0.000223014 -12.222 0.001219647 0.140108 10");
    assert_eq!(
        said,
        ["clock time=2027-01-04T09:12:41.004Z offset_s=-0.000223014 frequency_ppm=-12.222 jitter_s=0.001219647 \
          wander_ppm=0.140108 poll_s=1024"]
    );
}

#[test]
fn loopstats_had_fewer_columns_long_ago() {
    let said = rows("49213 525.624 -0.000612 13.778\n49213 589.624 -0.000511 13.779 6");
    assert_eq!(said[0], "clock time=1993-08-14T00:08:45.624Z offset_s=-0.000612 frequency_ppm=13.778");
    assert!(said[1].ends_with("poll_s=64"), "{}", said[1]);
    // Cut rows of today look like those.
    let today = "50935 75440.031 0.000006019 13.778 0.000351733 0.013380 6";
    assert!(rows(&today[..55]) == [rows(today)[0].trim_end_matches(" poll_s=64")], "all but the last is there");
    for length in [54, 48, 46, 41, 36, 33, 31, 25, 17, 13] {
        let said = rejects(&format!("{today}\n{}", &today[..length]));
        assert!(said.len() == 1 && said[0].contains("cut"), "{length} {said:?}");
    }
}

#[test]
fn peerstats_have_seven_or_eight_columns() {
    let said = rows(
        "54695 7690.466 192.0.2.5 93b4 0.002345 0.01001 0.00090\n\
         54695 7691.466 2001:db8::5 961a -0.000054394 0.000306203 7.937500062 0.000000000\n\
         54695 7692.466 NMEA(0) 14 -0.000054394 0.000000000 0.937500062 0.000000001\n\
         54695 7692.466 fe80::1%2 9014 0.1 0.2 0.3",
    );
    assert_eq!(
        said[..2],
        [
            "peer time=2008-08-17T02:08:10.466Z source=192.0.2.5 tally=- status=93b4 offset_s=0.002345 delay_s=0.01001 \
             dispersion_s=0.0009",
            "peer time=2008-08-17T02:08:11.466Z source=2001:db8::5 tally=* status=961a offset_s=-0.000054394 \
             delay_s=0.000306203 dispersion_s=7.937500062 jitter_s=0"
        ]
    );
    assert!(said[2].contains("source=NMEA(0) tally=  status=0014"), "{}", said[2]);
    let cut = "54695 7692.466 LOCAL(0) 961a -0.000054394 0.000000000 0.937500062 0.000000";
    assert_eq!(
        rejects(&format!("{cut}001\n{cut}")),
        ["line 2: among peerstats rows, one that was cut, or that no version of ntpd writes"]
    );
    assert_eq!(read(&cut[..40]).0, Vec::<String>::new(), "nor is it a row of another file");
}

#[test]
fn time_may_run_backwards_and_begin_in_1900_or_1970() {
    let row = "0.000006019 13.778 0.000351733 0.013380 6";
    let days = [("64730", "2036-02-07"), ("88128", "2100-03-01"), ("40587", "1970-01-01"), ("15020", "1900-01-01")];
    let text: Vec<_> = days.iter().map(|(day, _)| format!("{day} 5.031 {row}")).collect();
    for (said, (_, date)) in rows(&text.join("\n")).iter().zip(days) {
        assert!(said.contains(&format!("time={date}T00:00:05.031Z")), "{said}");
    }
    assert!(rows(&format!("61366 86400.000 {row}"))[0].contains("2026-11-23T00:00:00Z"));
    let good = format!("61366 86399.999 {row}");
    for stamp in ["61366 86400.001", "61366 5.03", "14999 5.031"] {
        let said = rejects(&format!("{good}\n{stamp} {row}"));
        assert!(said.len() == 1 && said[0].contains("the stamp is not"), "{said:?}");
    }
}

#[test]
fn what_a_crash_or_a_locale_leaves_is_told() {
    let good = "50935 75440.031 0.000006019 13.778 0.000351733 0.013380 6";
    let said = rejects(&format!(
        "{good}\n50935 75441.031 0,000006019 13,778 0,000351733 0,013380 6\n\
         50935 75442.031 0.00000{good}\n\0\0\0\0\n\0\0{good}\n50935 75443.031 0.0\0\0\n50935 754\n{good}"
    ));
    assert_eq!(
        said,
        [
            "line 3: among loopstats rows, one that was cut, and another on the same line",
            "line 4: zero bytes, as a crash leaves them where a row was to be",
            "line 6: among loopstats rows, one with zero bytes in it, as a crash leaves them",
            "line 7: a row that was cut within or behind its stamp",
        ]
    );
}

#[test]
fn rows_may_have_decimal_commas_and_stand_to_the_right() {
    let good = "50935 75440.031 0.000006019 13.778 0.000351733 0.013380 6";
    let commas = "50935 75440.031 0,000006019 13,778 0,000351733 0,013380 6";
    let said = rows(&format!("{good}\n{commas}\n    {good}\n\t{commas}"));
    assert_eq!(said, vec![said[0].clone(); 4]);
    assert_eq!(rejects(&format!("{good}\n{}", &commas[..47])).len(), 1, "a row that was cut");
    let peer = "50935 75441.031 192.0.2.1 961a 0,000006019 0,000351733 0,013380000 0,000000001";
    assert_eq!(rows(peer), rows(&peer.replace(',', ".")));
}

#[test]
fn rawstats_of_all_versions() {
    let old = "61366 33914.602 192.0.2.1 192.0.2.2 4004328314.601695935 4004328314.601903430 4004328314.602201200 \
               4004328314.602299908";
    let stamps = "originate=eead337a.9a08beab receive=eead337a.9a1657db transmit=eead337a.9a29db9c \
                  arrival=eead337a.9a3053a7";
    let ends = "packet time=2026-11-22T09:25:14.602Z source=192.0.2.1 destination=192.0.2.2";
    assert_eq!(rows(old), [format!("{ends} {stamps}")]);
    let header = "0 4 4 16 200 -26 0.000244 0.000488";
    let refids = [
        (" .GPS.", "refid=.GPS.", ""),
        (" .G S.", "refid=.G S.", ""),
        (" ..", "refid=..", ""),
        (" 192.0.2.9", "refid=192.0.2.9", ""),
        (" .GPS. 20: 00010002aabb", "refid=.GPS.", " length=68"),
        (" .GPS. 3", "refid=.GPS.", " lost=3"),
        (" 192.0.2.9 0 1 2000", "refid=192.0.2.9", " lost=0 dropped=1 failed=8192"),
        (" G S 0 0 0", "refid=G S", " lost=0 dropped=0 failed=0"),
    ];
    for (rest, refid, more) in refids {
        let want = format!(
            "{ends} leap=0 version=4 mode=4 stratum=16 poll=-56 precision=-26 root_delay_s=0.000244 \
             root_dispersion_s=0.000488 {refid} {stamps}{more}"
        );
        assert_eq!(rows(&format!("{old} {header}{rest}")), [want]);
    }
    for cut in ["", " .GP", " 192.0.2", " .GPS. 20", " .GPS. 0 0"] {
        let said = rejects(&format!("{old} {header} .GPS. 20: 0102\n{old} {header}{cut}"));
        assert!(said.len() == 1 && said[0].contains("rawstats"), "{cut} {said:?}");
    }
    assert_eq!(rejects(&format!("{old}\n{}", &old[..old.len() - 1])).len(), 1);
}

#[test]
fn rows_of_packets_that_were_sent() {
    // 4.2.8p14 and later: ntpd's own request, and a reply whose receiver asked with a leap warning.
    let said = rows(
        "61366 33914.602 192.0.2.2 192.0.2.1 0.000000000 0.000000000 4004328314.601695935 0.000000000 \
         3 4 3 0 6 -24 0.000000 0.000031 .INIT.\n\
         61366 33914.602 192.0.2.2 2001:db8::7 4004328314.501695935 4004328314.601695935 4004328314.601695935 \
         0.000000000 0 4 4 2 6 -24 0.000000 0.000031 192.0.2.9",
    );
    assert!(said[0].contains("destination=192.0.2.1 leap=3 version=4 mode=3 stratum=0"), "{}", said[0]);
    assert!(said[0].contains("originate=00000000.00000000") && !said[0].contains("arrival"), "{}", said[0]);
    assert!(said[1].contains("leap=0 version=4 mode=4"), "{}", said[1]);
    // 4.2.8p11: mode and leap in each other's column, stamps in the order of bytes on the wire, and no source where
    // the packet went to a group. 0xeead337a is 0x7a33adee backwards.
    let said = rows(
        "61366 33914.602 - 224.0.1.1 0.000000000 0.000000000 2050207214.460000000 0.000000000 \
         5 4 0 2 6 -24 16777216.000000 520093696.000000 192.0.2.9",
    );
    assert_eq!(
        said,
        ["packet time=2026-11-22T09:25:14.602Z destination=224.0.1.1 leap=0 version=4 mode=5 stratum=2 poll=6 \
          precision=-24 refid=192.0.2.9"]
    );
    // What answers ntpq has another header.
    let said = rows(
        "61366 33914.602 127.0.0.1 127.0.0.1 1987411.460000000 77.020000000 2054.460000000 0.000000000 \
         6 2 0 130 0 9 98370.000000 6.000000 .\u{1}\u{fffd}.",
    );
    assert_eq!(
        said,
        ["packet time=2026-11-22T09:25:14.602Z source=127.0.0.1 destination=127.0.0.1 leap=0 version=2 mode=6"]
    );
}

#[test]
fn sysstats_count_since_the_row_before() {
    let said = rows(
        "50928 2132.543 3600 81965 0 9546 56 512 540 10 4 147 1\n\
         59935 82782.547 1800 36082754 31287166 26510580 4779042 113 19698 1997 428 4773352 0 366120",
    );
    let names = [
        "received",
        "processed",
        "current_version",
        "old_version",
        "restricted",
        "bad_format",
        "bad_auth",
        "declined",
        "limited",
        "kod_sent",
    ];
    for (said, name) in said.iter().zip(names) {
        assert!(said.starts_with(&format!("time=1998-04-25T00:35:32.543Z counter name={name} ")), "{said}");
    }
    assert!(said[5].ends_with("name=bad_format value=540 over_s=3600"), "{}", said[5]);
    assert!(said[20].ends_with("name=version_1 value=366120 over_s=1800"), "{}", said[20]);
    assert_eq!(said.len(), 21);
    // ntpd 4.2.0 to 4.2.4 told hours of uptime, and unknown versions.
    let said = rows("50928 2132.543 36 81965 0 9546 56 71793 512 540 10 147");
    assert!(said[4].ends_with("name=unknown_version value=71793 over_s=3600"), "{}", said[4]);
    assert!(said[8].ends_with("name=limited value=147 over_s=3600"), "{}", said[8]);
    let row = "50928 2132.543 3600 81965 0 9546 56 512 540 10 4 147 1";
    assert_eq!(rejects(&format!("{row}\n{}", &row[..row.len() - 2])).len(), 1, "no row of 4.2.4");
}

#[test]
fn protostats_say_what_happened_by_name_or_code() {
    let cases = [
        ("0.0.0.0 c016 06 restart", "name=start"),
        ("0.0.0.0 c012 02 freq_set kernel -11.974 PPM", "name=frequency value=-11.974"),
        ("0.0.0.0 0613 03 spike_detect -0.214530 s", "name=spike value=-0.21453"),
        ("0.0.0.0 061c 0c clock_step +0.214530 s", "name=step value=0.21453"),
        ("0.0.0.0 c617 07 panic_stop -1234 s; set clock manually within 1000 s.", "name=panic value=-1234"),
        ("0.0.0.0 0615 05 clock_sync", "name=synchronised"),
        ("0.0.0.0 c618 08 no_sys_peer", "name=unsynchronised"),
        ("0.0.0.0 061d 0d kern kernel time sync disabled", "name=kernel"),
        ("0.0.0.0 0619 09 leap_armed", "name=leap"),
        ("0.0.0.0 c013 03 system event: event_sync_chg", "name=unsynchronised"),
        ("0.0.0.0 0615 05 event_clock_reset", "name=step"),
        ("0.0.0.0 0614 04 event_peer/strat_chg", "name=synchronised"),
        ("192.0.2.1 963a 8a sys_peer", "source=192.0.2.1 name=synchronised"),
        ("2001:db8::1 8011 81 mobilize assoc 17767", "source=2001:db8::1 name=mobilised"),
        ("LOCAL(0) b612 82 demobilize assoc 17767", "source=LOCAL(0) name=demobilised"),
        ("pool.example 8013 83 peer event: event_unreach", "source=pool.example name=unreachable"),
        ("192.0.2.1 8044 84 event_reach", "source=192.0.2.1 name=reachable"),
        ("192.0.2.1 9027 87 rate_exceeded", "source=192.0.2.1 name=kiss"),
        ("192.0.2.1 902c 8c bad_auth crypto_NAK", "source=192.0.2.1 name=bad_auth"),
        ("192.0.2.1 902d 8d popcorn 0.004000 s", "source=192.0.2.1 name=popcorn value=0.004"),
        ("192.0.2.1 902d 8d some_new_name", "source=192.0.2.1 name=popcorn"),
        ("192.0.2.1 e01e 10e certificate_expired", "source=192.0.2.1 name=bad_auth"),
        ("127.127.20.0 802b 8b clock_event clk_no_reply", "source=127.127.20.0 name=timecode"),
    ];
    for (row, want) in cases {
        let (source, text) = row.split_once(' ').expect("two words");
        let want = want.strip_prefix("source=").and_then(|want| want.split_once(' ')).map_or(want, |(_, want)| want);
        let subject = if source == "0.0.0.0" { String::new() } else { format!("subject={source} ") };
        let said = rows(&format!("61366 33914.602 {row}"));
        assert_eq!(said, [format!("time=2026-11-22T09:25:14.602Z message who=ntpd {subject}{want} text={text}")]);
    }
    let good = "61366 33914.602 0.0.0.0 061c 0c clock_step +0.214530 s";
    assert_eq!(rejects(&format!("{good}\n{}", &good[..good.len() - 3])).len(), 1);
}

#[test]
fn files_of_ntpsec_alone() {
    let said = rows("57570 83399.541 3600 0.902 1.451 164 7 0 0 2328 64226 1 0 4308");
    assert_eq!(said.len(), 12);
    assert!(said[1].ends_with("name=cpu_user_s value=0.902") && said[4].ends_with("name=major_faults value=7"));
    assert!(said[11].ends_with("name=resident_kib value=4308"), "{}", said[11]);
    let said = rows("60209 77147.187 3600 1320 1239 0 2895 2895 11 4104 0 2897 2885 10 0 0 2 0");
    assert!(said.len() == 16 && said[6].ends_with("name=nts_server_received_bad value=11"), "{said:?}");
    let said = rows("60209 77147.187 3600 10 2.914 0.026 2 3.218 0.004 0 0.000 0.000 0 1");
    assert!(said[4].ends_with("name=ntske_served_no_tls value=2") && said[11].ends_with("asked_bad value=1"));
    let said = rows("60209 77147.187 3600 10 2.914 0.026 0.001 2 3 3.218 0.004 0.005 0 1");
    assert!(said[6].ends_with("name=ntske_served_bad value=3"), "{}", said[6]);
    let said = rows("61151 21317.793  OK 0.007 0.796 0.084 [2001:db8::67]:54914 TLSv1.3:TLS_AES_256_GCM_SHA384(256)");
    assert!(said[0].contains("subject=[2001:db8::67]:54914 name=other value=0.007"), "{}", said[0]);
    let said = rows(
        "61151 21317.793 NMEA(0) 15 2 12  -0.000000004 -0.000000002 0.000000001 0.000000003 0.000000005  \
         0.000000006 0.000000007 0.000000008",
    );
    assert!(said.len() == 11 && said[3].ends_with("subject=NMEA(0) name=lowest_s value=-4e-9"), "{said:?}");
    assert!(said[8].ends_with("name=jitter_s value=6e-9"), "{}", said[8]);
}

#[test]
fn a_file_of_many_kinds_and_others_beside_it() {
    let (rows, rejects, forms) = read(
        "49213 525.624 127.127.4.1 93 226 00:08:29.606 D\n\
         50935 75440.031 0.000006019 13.778190 0.000351733 0.0133806 6\n\
         49213 525.624 127.127.1.0 8011 81 mobilize assoc 17767\n\
         49213 525.624 0.0.0.0 update ts 3331004411\n\
         53876 36.920 192.0.2.5 1 0.000014592 input processing delay\n\
         1474761600 ZONE0 27.8\n\
         1474761600 /dev/ttyS0 0.840000 9\n\
         57378 3313.351 PPS(0) 423681 64 0 0 0",
    );
    let want = ["clockstats", "loopstats", "protostats", "cryptostats", "timingstats", "ntplogtemp", "ntploggps"];
    assert_eq!((rows.len(), rejects, forms), (9, vec![], want.to_vec()));
    assert!(rows[0].ends_with("subject=127.127.4.1 name=timecode text=93 226 00:08:29.606 D"), "{}", rows[0]);
    assert!(rows[4].ends_with("subject=192.0.2.5 name=input_processing_s value=0.000014592"), "{}", rows[4]);
    assert_eq!(rows[5], "time=2016-09-25T00:00:00Z gauge subject=ZONE0 name=temperature_c value=27.8");
}

#[test]
fn what_only_begins_like_a_stamp_or_a_reference_clock_is_none() {
    let odd = "9999999999 ZONE0 27.8\n49213 525.624 127.127.40.A,4807.038,N hello\n49213 525.624 127.127.4";
    let (rows, rejects, forms) = read(odd);
    assert_eq!((rows.len(), rejects.len(), forms), (0, 3, vec![]));
}

#[test]
fn a_row_that_was_cut_is_no_row_of_another_file() {
    let whole = [
        "61366 33914.602 127.127.20.0 9714 0.000054394 0.000306203 7.937500062 0.000000000",
        "60209 77147.187 3600 1320 1239 0 2895 2895 11 4104 0 2897 2885 10 0 0 2 0",
        "61151 21317.793 NMEA(0) 15 2 12  -0.000000004 -0.000000002 0.000000001 0.000000003 0.000000005  0.000000006 \
         0.000000007 0.000000008",
    ];
    for row in whole {
        for length in 1..row.len() {
            let (_, rejects, forms) = read(&format!("{row}\n{}", &row[..length]));
            assert!(forms.len() == 1, "{} is {forms:?}", &row[..length]);
            // Peerstats of ntpd 4.1 end before the jitter.
            assert!(rejects.len() == 1 || row[..length].trim_end().ends_with("7.937500062"), "{}", &row[..length]);
        }
    }
}

#[test]
fn a_drift_file_is_one_number() {
    assert_eq!(rows("-11.974\n"), ["clock frequency_ppm=-11.974"]);
    assert_eq!(rows("500.000000"), ["clock frequency_ppm=500"]);
    for other in ["4186\n4188", "1.5", "1.234\n2.345", "# frequency\n1.234", "1.234 5.678"] {
        assert_eq!(read(other).0, Vec::<String>::new(), "{other}");
    }
}
