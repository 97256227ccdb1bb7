//! Evidence in archives gives the diagnosis that it gives unpacked, and belongs to the hosts that its folders name.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const STORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../stories/2-latent-port-108/evidence");

fn tar(folder: &Path, below: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(below, folder).expect("the folder can be read");
    archive.into_inner().expect("memory takes it")
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn bz2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn zip(folder: &Path) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("below the folder").to_string_lossy().into_owned();
            archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("memory takes it");
            archive.write_all(&fs::read(&path).expect("the file can be read")).expect("memory takes it");
        }
    }
    archive.finish().expect("memory takes it").into_inner()
}

struct TempDir(PathBuf);

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn temp(name: &str) -> TempDir {
    let path = std::env::temp_dir().join(format!("ntpscope-archives-{}-{name}", std::process::id()));
    fs::create_dir(&path).expect("a folder for this test alone");
    TempDir(path)
}

fn diagnose(path: &Path) -> Value {
    let ran = Command::new(env!("CARGO_BIN_EXE_ntpscope")).args(["diagnose", "--format", "json"]).arg(path).output();
    serde_json::from_slice(&ran.expect("the program starts").stdout).expect("a report")
}

/// Everything of a diagnosis that does not name inputs.
fn essence(report: &Value) -> Vec<[Value; 4]> {
    let diagnoses = report["diagnoses"].as_array().expect("a list");
    diagnoses.iter().map(|d| ["cause", "probability", "place", "affected"].map(|key| d[key].clone())).collect()
}

#[test]
fn an_archive_gives_the_diagnosis_that_its_folder_gives() {
    let want = essence(&diagnose(Path::new(STORY)));
    assert_eq!(want[0][0], "ntpd-low-source-port");
    let dir = temp("story");
    let plain = tar(Path::new(STORY), "evidence");
    let nested = {
        let mut archive = tar::Builder::new(Vec::new());
        let inner = xz(&plain);
        let mut header = tar::Header::new_gnu();
        header.set_size(inner.len() as u64);
        archive.append_data(&mut header, "site/evidence.tar.xz", &inner[..]).expect("memory takes it");
        archive.into_inner().expect("memory takes it")
    };
    for (name, bytes) in [
        ("evidence.tar", plain.clone()),
        ("evidence.tgz", gz(&plain)),
        ("evidence.tar.xz", xz(&plain)),
        ("evidence.tar.bz2", bz2(&plain)),
        ("evidence.tar.zst", zst(&plain)),
        ("evidence.zip", zip(Path::new(STORY))),
        ("evidence.misnamed", gz(&nested)),
    ] {
        let path = dir.0.join(name);
        fs::write(&path, bytes).expect("the folder is writable");
        assert_eq!(essence(&diagnose(&path)), want, "{name}");
    }
}

#[test]
fn a_sosreport_belongs_to_the_host_in_its_name() {
    let dir = temp("sos");
    let below = dir.0.join("tree");
    for (path, text) in [
        ("etc/ntp.conf", "server 192.0.2.1 iburst\nrestrict default kod limited\n"),
        (
            "sos_commands/ntp/ntpq_-pn",
            "     remote           refid      st t when poll reach   delay   offset  jitter\n====\n*192.0.2.1       .GPS.            1 u    3   64  377    0.250    0.010   0.001\n",
        ),
        ("etc/ssh/sshd_config", "Port 22\nPermitRootLogin no\nInclude /etc/ssh/sshd_config.d/*.conf\n"),
    ] {
        let path = below.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
        fs::write(path, text).expect("the folder is writable");
    }
    let packed = xz(&tar(&below, "sosreport-c1-2026-11-22-abcdefg"));
    let path = dir.0.join("sosreport-c1-2026-11-22-abcdefg.tar.xz");
    fs::write(&path, packed).expect("the folder is writable");
    let report = diagnose(&path);
    let inputs = report["coverage"]["inputs"].as_array().expect("a list");
    let of = |ending: &str| {
        inputs.iter().find(|i| i["name"].as_str().is_some_and(|name| name.ends_with(ending))).expect(ending)
    };
    assert_eq!((&of("ntp.conf")["host"], &of("ntpq_-pn")["host"]), (&"c1".into(), &"c1".into()));
    assert_eq!((&of("ntpq_-pn")["rows"], &of("sshd_config")["kind"]), (&1.into(), &Value::Null));
}

/// What `rows` says of an archive on standard error, and how many rows it gives.
fn rows(dir: &TempDir, name: &str, bytes: &[u8]) -> (String, usize) {
    let path = dir.0.join(name);
    fs::write(&path, bytes).expect("the folder is writable");
    let ran = Command::new(env!("CARGO_BIN_EXE_ntpscope")).arg("rows").arg(path).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
    (text(ran.stderr), text(ran.stdout).lines().count())
}

fn packed(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, *bytes).expect("memory takes it");
    }
    archive.into_inner().expect("memory takes it")
}

#[test]
fn damage_is_told_and_what_comes_before_it_is_read() {
    let dir = temp("damage");
    let lines: String = (10_000..40_000)
        .map(|second| format!("61366 {second}.579 192.0.2.1 963a -0.000{second} 0.013380 0.000116 0.000500\n"))
        .collect();
    let lines = lines.as_bytes();
    for (name, mut whole) in [("peers.gz", gz(lines)), ("peers.xz", xz(lines)), ("peers.bz2", bz2(lines))] {
        let middle = whole.len() / 2;
        whole[middle] ^= 0x55;
        let (said, rows) = rows(&dir, name, &whole);
        assert!(said.contains("could be read only to line") && rows > 0, "{name}: {rows} rows, {said}");
    }
    let cut = packed(&[("a", lines), ("b", lines)]);
    let (said, count) = rows(&dir, "cut.tar", &cut[..cut.len() - 1_000_000]);
    assert!(said.contains("cut.tar/b: could be read only to line") && said.contains("ends within it"), "{said}");
    assert!((30_000..60_000).contains(&count), "{count} rows");
    let mut zipped = zip(Path::new(STORY));
    // The way that the first member is packed, in its own header and in the directory: none that there is.
    let directory = zipped.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    (zipped[8], zipped[directory + 10]) = (77, 77);
    let (said, count) = rows(&dir, "odd.zip", &zipped);
    assert!(said.contains("compression method not supported") && count > 0, "{said}");
}

#[test]
fn no_name_in_an_archive_takes_memory_beyond_measure() {
    let dir = temp("name");
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").expect("a short path");
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(40 << 20);
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.resize(archive.len() + (40 << 20), b'n');
    archive.extend(packed(&[("a", b"server 192.0.2.1\n")]));
    let (said, rows) = rows(&dir, "name.tar.gz", &gz(&archive));
    assert!(rows == 0 && said.contains("a name or map beyond all measure"), "{said}");
}

#[test]
fn more_captures_than_points_are_told_and_still_listed() {
    let dir = temp("points");
    let capture = fs::read(format!("{STORY}/pcap/c1_eth0.pcap")).expect("the story has this capture");
    let names: Vec<String> = (0..70).map(|n| format!("h{n:02}_eth0.pcap")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &capture[..])).collect();
    let path = dir.0.join("captures.tgz");
    fs::write(&path, gz(&packed(&members))).expect("the folder is writable");
    let report = diagnose(&path);
    let inputs = report["coverage"]["inputs"].as_array().expect("a list");
    let beyond: Vec<_> = inputs.iter().filter(|i| i["trouble"].as_str().is_some()).collect();
    assert_eq!((inputs.len(), beyond.len()), (70, 6));
    assert!(inputs.iter().all(|input| input["kind"] == "pcap" && input["rows"] == 54), "{inputs:#?}");
}
