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
