//! The program on input that is missing, cut, compressed, huge or no evidence at all: it says so and never panics.
//!
//! The good evidence is that of story 2, whose captures hold 106 requests: `tshark -T fields -e ntp.flags.mode -e
//! udp.srcport -e ip.src` counts 27 from 10.1.0.11, 52 from .12 (both all answered), and 27 from .13, which leave the
//! router from port 108 and are never answered; the last of these comes 34 ms before the captures end.

use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const STORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../stories/2-latent-port-108/evidence");

/// A folder that goes when it is dropped.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> TempDir {
        let path = std::env::temp_dir().join(format!("ntpscope-test-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("a folder for this test alone");
        TempDir(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("the folder is writable");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the program did: its exit status, and what it wrote.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn ntpscope() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ntpscope"))
}

fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    let code = output.status.code().expect("no signal ended it");
    let ran = Ran { code, out: text(output.stdout), err: text(output.stderr) };
    assert!((0..=2).contains(&ran.code) && !ran.err.contains("panicked"), "{}: {}", ran.code, ran.err);
    ran
}

fn run(verb: &[&str], path: &Path) -> Ran {
    ran(ntpscope().args(verb).arg(path).output().expect("the program starts"))
}

/// The report as JSON; `None` where nothing could be read, and then nothing was written.
fn report(path: &Path) -> Option<Value> {
    let ran = run(&["diagnose", "--format", "json"], path);
    if ran.code == 2 {
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{}", ran.err);
        return None;
    }
    let report: Value = serde_json::from_str(&ran.out).expect("the report is JSON");
    assert_eq!(report["schema"], "ntpscope.diagnosis/1");
    let fault = |d: &Value| d["kind"] == "fault" && d["probability"].as_f64() >= Some(0.5);
    let faults = report["diagnoses"].as_array().expect("a list").iter().filter(|d| fault(d)).count();
    assert_eq!(ran.code, i32::from(faults > 0));
    Some(report)
}

fn capture(name: &str) -> Vec<u8> {
    fs::read(format!("{STORY}/pcap/{name}.pcap")).expect("the story has this capture")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// What a compressor makes of some bytes; `None` where it is not installed.
fn compressed(program: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    let mut child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(bytes).ok()?;
    Some(child.wait_with_output().ok().filter(|output| output.status.success())?.stdout)
}

/// A copy of the story's evidence whose captures went through `change`; `None` where that could not.
fn story(dir: &TempDir, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Value> {
    let mut folders = vec![PathBuf::from(STORY)];
    while let Some(folder) = folders.pop() {
        let below = dir.0.join(folder.strip_prefix(STORY).expect("below the story"));
        fs::create_dir_all(&below).expect("the folder is writable");
        for entry in fs::read_dir(&folder).expect("the story can be listed") {
            let path = entry.expect("the story can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("the story can be read");
            let is_capture = path.extension().is_some_and(|ending| ending == "pcap");
            let bytes = if is_capture { change(&bytes)? } else { bytes };
            fs::write(below.join(path.file_name().expect("files have names")), bytes).expect("the folder is writable");
        }
    }
    report(&dir.0)
}

#[test]
fn nothing_to_read_is_said_with_exit_status_2() {
    let dir = TempDir::new("nothing");
    let (empty, zero) = (dir.0.join("empty"), dir.file("zero.pcap", &[]));
    fs::create_dir(&empty).expect("the folder is writable");
    let junk: Vec<u8> = (0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let cases = [
        (empty, "none of 0 inputs is evidence"),
        (zero, "zero.pcap: is empty"),
        (dir.0.join("nowhere.pcap"), "nowhere.pcap: can't be read: No such file"),
        (dir.file("junk.bin", &junk), "junk.bin: neither a capture nor text"),
        (dir.file("diary.txt", b"Dear diary,\nnothing happened.\n"), "none of 1 inputs is evidence"),
    ];
    for (path, said) in cases {
        let text = run(&["diagnose"], &path);
        assert_eq!((text.code, text.out.as_str()), (2, ""), "{}", path.display());
        assert!(text.err.contains(said) && text.err.contains("none of"), "{said:?} is not in {:?}", text.err);
        assert!(report(&path).is_none());
        let listed = run(&["exchanges"], &path);
        assert_eq!(listed.code, 2, "exchanges {}: {}", path.display(), listed.err);
    }
}

#[test]
fn of_a_gzip_that_ends_early_all_before_is_used() {
    let dir = TempDir::new("early");
    let whole = gzip(&capture("rt_out0"));
    let found = report(&dir.file("rt_out0.pcap.gz", &whole[..whole.len() / 2])).expect("half of it is evidence");
    let input = &found["coverage"]["inputs"][0];
    assert!((50..184).contains(&input["rows"].as_u64().expect("a count")), "{input}");
    assert!(input["trouble"].as_str().is_some_and(|why| why.contains("could be read only to frame")), "{input}");
    assert!(found["coverage"]["requests"]["of"].as_u64() > Some(20), "{}", found["coverage"]["requests"]);
}

#[test]
fn compressed_captures_give_the_same_report() {
    let plain = story(&TempDir::new("plain"), &|bytes| Some(bytes.to_vec())).expect("the story can be read");
    assert_eq!(plain["diagnoses"][0]["cause"], "ntpd-low-source-port");
    let gz = story(&TempDir::new("gz"), &|bytes| Some(gzip(bytes)));
    assert!(gz.as_ref() == Some(&plain), "gzip changes the report: {gz:#?}");
    // Two members in one file, as `cat a.gz b.gz` makes them.
    let halves = |bytes: &[u8]| Some([gzip(&bytes[..1000]), gzip(&bytes[1000..])].concat());
    assert!(story(&TempDir::new("members"), &halves).as_ref() == Some(&plain), "two gzip members change the report");
}

fn compressed_by(program: &str) {
    if compressed(program, b"any").is_none() {
        println!("skipped: {program} is not installed");
        return;
    }
    let plain = report(Path::new(STORY));
    let same = story(&TempDir::new(program), &|bytes| compressed(program, bytes));
    assert!(same.is_some() && same == plain, "{program} changes the report: {same:#?}");
}

#[test]
fn captures_compressed_by_xz_give_the_same_report() {
    compressed_by("xz");
}

#[test]
fn captures_compressed_by_zstd_give_the_same_report() {
    compressed_by("zstd");
}

#[test]
fn a_capture_cut_anywhere_gives_what_was_before_the_cut() {
    let dir = TempDir::new("cut");
    let whole = capture("c1_eth0");
    let mut rows = 0;
    for cut in (24..whole.len()).step_by(97) {
        let found = report(&dir.file("cut.pcap", &whole[..cut])).expect("its header is whole");
        let input = &found["coverage"]["inputs"][0];
        // 24 bytes of header, then 16 and 90 for each packet.
        rows = (cut as u64 - 24) / 106;
        assert_eq!((&input["rows"], &input["kind"]), (&rows.into(), &"pcap".into()), "cut at {cut}: {input}");
        assert_eq!(found["coverage"]["rejects"].as_array().map(Vec::len), Some(usize::from((cut - 24) % 106 > 0)));
    }
    assert_eq!(rows, 53, "the last cut is in the last packet");
}

#[test]
fn a_file_that_no_reader_knows_is_named() {
    let dir = TempDir::new("unknown");
    dir.file("c1_eth0.pcap", &capture("c1_eth0"));
    dir.file("diary.txt", b"Dear diary,\nnothing happened.\n");
    let text = run(&["diagnose"], &dir.0);
    let unread = text.out.lines().find(|line| line.contains("Not read"));
    assert!(unread.is_some_and(|line| line.contains("diary.txt")), "{}", text.out);
    let found = report(&dir.0).expect("the capture is evidence");
    let inputs = found["coverage"]["inputs"].as_array().expect("a list");
    let diary = inputs.iter().find(|input| input["name"] == "diary.txt").expect("it is listed");
    assert!(diary["kind"].is_null() && diary["rejected"] == 0, "{diary}");
    // No line of it is a reject: the file is.
    let listed = run(&["rows", "--rejects"], &dir.0);
    assert_eq!((listed.code, listed.out.as_str()), (0, ""), "{}", listed.err);
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new("locked");
    dir.file("c1_eth0.pcap", &capture("c1_eth0"));
    let locked = dir.file("c2_eth0.pcap", &capture("c2_eth0"));
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).expect("the file is ours");
    if fs::File::open(&locked).is_ok() {
        println!("skipped: this user reads files that nobody may read (root)");
        return;
    }
    let found = report(&dir.0).expect("the other capture is evidence");
    let trouble = found["coverage"]["inputs"][1]["trouble"].as_str().unwrap_or_default().to_owned();
    assert!(trouble.contains("can't be read: Permission denied"), "{trouble}");
    assert_eq!(found["coverage"]["inputs"][0]["rows"], 54);
}

#[test]
fn a_line_of_100_mb_is_passed_over_in_bounded_memory_and_time() {
    const MOST_KIB: u64 = 100 << 10;
    let dir = TempDir::new("line");
    let path = dir.file("ntp.conf", &[b"restrict default limited\n".as_slice(), &[b'x'; 8192]].concat());
    // The rest of the line are zeros that take no room on the disk.
    let file = fs::File::options().append(true).open(&path).expect("the file is ours");
    file.set_len(100_000_000).expect("files may have holes");
    (&file).write_all(b"\nserver 10.2.0.2 iburst\n").expect("the folder is writable");
    let start = Instant::now();
    let mut child = ntpscope()
        .args(["diagnose", "--format", "json"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let (mut highest, mut looks) = (0, 0);
    while child.try_wait().expect("it is our child").is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        (highest, looks) = (highest.max(peak.unwrap_or(0)), looks + u32::from(peak.is_some()));
        assert!(start.elapsed() < Duration::from_secs(60), "it takes more than a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut out = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut out).expect("UTF-8");
    let found: Value = serde_json::from_str(&out).expect("the report is JSON");
    let input = &found["coverage"]["inputs"][0];
    assert_eq!((&input["units"], &input["rows"], &input["rejected"]), (&3.into(), &2.into(), &1.into()), "{input}");
    if looks == 0 {
        println!("skipped: /proc does not tell the memory of a process here");
        return;
    }
    assert!(highest < MOST_KIB, "it took {highest} KiB");
}

const PEERSTATS: &[u8] = b"61366 33913.579 192.0.2.1 963a -0.000351733 0.013380 0.000116 0.000500\n";

#[test]
fn zeros_of_a_crash_and_bare_carriage_returns_hide_no_row() {
    let dir = TempDir::new("zeros");
    let zeros = vec![0; 200_000];
    let rows = |bytes: &[&[u8]]| run(&["rows"], &dir.file("peerstats", &bytes.concat())).out.lines().count();
    assert_eq!(rows(&[&zeros, PEERSTATS, PEERSTATS]), 2);
    assert_eq!(rows(&[PEERSTATS, &zeros, PEERSTATS, &zeros]), 2);
    let returns = PEERSTATS.repeat(5000).iter().map(|b| if *b == b'\n' { b'\r' } else { *b }).collect::<Vec<_>>();
    let told = run(&["rows"], &dir.file("peerstats", &returns)).out;
    assert!(told.lines().count() == 5000 && told.trim_end().contains("\"line\":5000,"), "{told}");
}

#[test]
fn a_link_that_was_given_is_followed_and_one_below_is_not() {
    let dir = TempDir::new("link");
    fs::create_dir(dir.0.join("host")).expect("the folder is writable");
    dir.file("host/peerstats", PEERSTATS);
    std::os::unix::fs::symlink("..", dir.0.join("host/up")).expect("links can be made");
    std::os::unix::fs::symlink("host", dir.0.join("current")).expect("links can be made");
    for given in ["host", "current"] {
        let ran = run(&["rows"], &dir.0.join(given));
        assert!(ran.code == 0 && ran.out.lines().count() == 1, "{given}: {}", ran.err);
    }
}

#[test]
fn evidence_is_never_written_over() {
    let dir = TempDir::new("over");
    let path = dir.file("peerstats", PEERSTATS);
    let output = ntpscope().args(["rows", "--output"]).args([&path, &path]).output().expect("the program starts");
    let ran = ran(output);
    assert!(ran.code == 2 && ran.err.contains("overwritten before it is read"), "{}", ran.err);
    assert_eq!(fs::read(&path).expect("it is still there"), PEERSTATS);
}

#[test]
fn a_name_moves_no_cursor() {
    let dir = TempDir::new("name");
    dir.file("red\u{1b}[31m\n\u{202e}.gz", &gzip(PEERSTATS)[..12]);
    for verb in [&["rows"][..], &["rows", "--summary"], &["diagnose"], &["exchanges"]] {
        let ran = run(verb, &dir.0);
        assert!(ran.code == 2 && ran.err.contains("can't be read"), "{verb:?}: {}", ran.err);
        let odd = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        assert!(!format!("{}{}", ran.out, ran.err).contains(odd), "{verb:?}: {}", ran.err);
    }
}

/// Runs the program on a capture at standard input; with `listening` false nobody reads what it says.
fn piped(arguments: &[&str], listening: bool) -> Ran {
    let mut command = ntpscope();
    command.args(arguments).arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    if !listening {
        // It waits for its input, so nothing is said before this.
        drop(child.stdout.take());
    }
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(&capture("rt_out0")).expect("the program reads its input");
    drop(input);
    ran(child.wait_with_output().expect("it is our child"))
}

#[test]
fn a_capture_at_standard_input_is_read_like_a_file() {
    let dir = TempDir::new("stdin");
    let mut file = report(&dir.file("stdin", &capture("rt_out0"))).expect("the capture is evidence");
    let ran = piped(&["diagnose", "--format", "json"], true);
    let mut found: Value = serde_json::from_str(&ran.out).expect("the report is JSON");
    assert_eq!((found["coverage"]["packets"].take(), ran.code), (185.into(), 1));
    assert_eq!(file["coverage"]["packets"].take(), 185);
    assert!(found == file, "{found:#}\nis not\n{file:#}");
}

#[test]
fn a_reader_who_stops_reading_is_no_error() {
    for arguments in
        [&["diagnose"][..], &["exchanges"], &["exchanges", "--format", "json"], &["exchanges", "--summary"]]
    {
        let ran = piped(arguments, false);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_reader_who_stops_reading_json_is_no_error() {
    let ran = piped(&["diagnose", "--format", "json"], false);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn the_filters_of_exchanges_select_what_tshark_counts() {
    let count = |filter: &[&str]| {
        let listed = run(&[&["exchanges"], filter].concat(), &Path::new(STORY).join("pcap"));
        assert_eq!((listed.code, listed.err.as_str()), (0, ""), "{filter:?}");
        listed.out.lines().count() - 1
    };
    assert_eq!([count(&[]), count(&["--fate", "answered"])], [106, 79]);
    // The last request to be lost could still have been answered after the captures had ended.
    assert_eq!([count(&["--fate", "lost"]), count(&["--fate", "cut"])], [26, 1]);
    assert_eq!([count(&["--port", "108"]), count(&["--port", "160"]), count(&["--port", "109"])], [27, 52, 0]);
    assert_eq!(
        [count(&["--host", "10.1.0.13"]), count(&["--host", "10.2.0.2"]), count(&["--host", "::1"])],
        [27, 106, 0]
    );
    assert_eq!(count(&["--fate", "lost", "--port", "108", "--host", "10.1.0.13"]), 26);
    assert_eq!(count(&["--fate", "lost", "--port", "160"]), 0);
}

#[test]
fn every_line_of_csv_has_the_columns_of_its_header() {
    let listed = run(&["exchanges", "--format", "csv"], &Path::new(STORY).join("pcap"));
    let columns: Vec<usize> = listed.out.lines().map(|line| line.split(',').count()).collect();
    assert_eq!((columns.len(), columns[0]), (107, 17));
    assert!(columns.iter().all(|n| *n == columns[0]), "{columns:?}");
    let json = run(&["exchanges", "--format", "json"], &Path::new(STORY).join("pcap"));
    let whole = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|value| value.is_object());
    assert!(json.out.lines().count() == 106 && json.out.lines().all(whole));
}
