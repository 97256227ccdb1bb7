//! Evidence as it is written: a folder for each host, captures, and what is true.

use crate::world::{Cause, World};
use anyhow::{Context, Result};
use ntpscope_core::time::{SECOND, Time};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The log of what a host's daemon does not write itself.
pub const SYSLOG: &str = "syslog";
/// What may wait in memory before it is written.
const MOST_HELD: usize = 1 << 22;
/// 1970-01-01 as a modified Julian day.
const MJD_OF_UNIX: i64 = 40_587;

/// A folder of evidence that is being written.
pub struct Evidence {
    root: PathBuf,
    held: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    /// The member that ntpd writes of each of its files, and its day.
    current: BTreeMap<String, (String, String)>,
    trouble: Option<std::io::Error>,
}

impl Evidence {
    /// Begins a folder, which must not exist or be empty.
    ///
    /// # Errors
    /// It can't be made, or has something in it.
    pub fn new(root: &Path) -> Result<Evidence> {
        fs::create_dir_all(root).with_context(|| format!("can't make {}", root.display()))?;
        let mut entries = fs::read_dir(root).with_context(|| format!("can't read {}", root.display()))?;
        anyhow::ensure!(entries.next().is_none(), "{} is not empty: give a new folder", root.display());
        Ok(Evidence { root: root.into(), held: BTreeMap::new(), bytes: 0, current: BTreeMap::new(), trouble: None })
    }

    /// Appends bytes to a file below the folder.
    pub fn append(&mut self, file: &str, bytes: &[u8]) {
        match self.held.get_mut(file) {
            Some(held) => held.extend(bytes),
            None => {
                self.held.insert(file.to_owned(), bytes.to_vec());
            }
        }
        self.bytes += bytes.len();
        if self.bytes > MOST_HELD {
            self.spill();
        }
    }

    /// Appends a line to a file of a host; one of ntpd's statistics goes to the file of its day, as `type day` has it.
    pub fn line(&mut self, host: &str, file: &str, line: &str) {
        let mut name = format!("{host}/{file}");
        if file.starts_with("stats/") {
            name = self.member(name, line.split(' ').next().unwrap_or_default());
        }
        self.append(&name, line.as_bytes());
        self.append(&name, b"\n");
    }

    /// The member of a file of statistics for a modified Julian day: `stats/loopstats.20261122`.
    fn member(&mut self, name: String, day: &str) -> String {
        if let Some((member, of)) = self.current.get(&name)
            && of == day
        {
            return member.clone();
        }
        let seconds = (day.parse().unwrap_or(MJD_OF_UNIX) - MJD_OF_UNIX) * 86_400;
        let date = jiff::Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y%m%d");
        let member = format!("{name}.{date}");
        self.current.insert(name, (member.clone(), day.to_owned()));
        member
    }

    fn spill(&mut self) {
        self.bytes = 0;
        for (file, bytes) in std::mem::take(&mut self.held) {
            if let Err(error) = append(&self.root.join(file), &bytes) {
                self.trouble.get_or_insert(error);
            }
        }
    }

    /// Writes what still waits.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn finish(mut self) -> Result<()> {
        self.spill();
        // ntpd links the current member to the name without a suffix.
        for (name, (member, _)) in std::mem::take(&mut self.current) {
            if let Err(error) = fs::hard_link(self.root.join(member), self.root.join(name)) {
                self.trouble.get_or_insert(error);
            }
        }
        match self.trouble {
            Some(error) => Err(error).with_context(|| format!("can't write below {}", self.root.display())),
            None => Ok(()),
        }
    }
}

fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
}

/// A capture at a point, in the classic format with nanoseconds.
pub struct Capture {
    file: String,
}

impl Capture {
    /// Begins the capture of `c1.eth0`, in `pcap/c1_eth0.pcap`.
    pub fn new(point: &str, evidence: &mut Evidence) -> Capture {
        let file = format!("pcap/{}.pcap", point.replace('.', "_"));
        let mut header = 0xa1b2_3c4d_u32.to_le_bytes().to_vec();
        // Version 2.4, no zone, no accuracy, whole packets, Ethernet.
        header.extend([2, 0, 4, 0]);
        header.extend([0; 8]);
        header.extend(262_144_u32.to_le_bytes());
        header.extend(1_u32.to_le_bytes());
        evidence.append(&file, &header);
        Capture { file }
    }

    /// Writes a frame that the host's clock stamps with `time`.
    pub fn write(&self, frame: &[u8], time: Time, evidence: &mut Evidence) {
        let (second, ns) = (time.0.div_euclid(SECOND), time.0.rem_euclid(SECOND));
        let mut record = Vec::with_capacity(16 + frame.len());
        for field in [second as u32, ns as u32, frame.len() as u32, frame.len() as u32] {
            record.extend(field.to_le_bytes());
        }
        record.extend(frame);
        evidence.append(&self.file, &record);
    }
}

/// `truth.json`: what is true of a world, in the words of the score, and how the evidence was made.
///
/// `measured` is what the engine has counted; `name` is what the world is called.
#[must_use]
pub fn truth(world: &World, name: &str, provenance: &str, measured: &BTreeMap<String, u64>) -> Value {
    let causes: Vec<Value> = world.truth.causes.iter().map(|cause| told(cause, world)).collect();
    let hosts: Map<String, Value> = world
        .hosts
        .iter()
        .filter_map(|(name, host)| {
            let daemon = host.daemon.as_ref()?;
            let address = addresses(world, name).into_iter().next();
            Some((name.clone(), json!({ "address": address, "daemon": daemon.is })))
        })
        .collect();
    json!({
        "causes": causes,
        "accept": world.truth.accept,
        "undecided": world.truth.undecided,
        "notes": world.truth.notes,
        "healthy_hosts": world.truth.healthy_hosts,
        "case": name,
        "injected": world.about,
        "measured": measured,
        "hosts": hosts,
        "duration_s": world.duration.0,
        "provenance": provenance,
    })
}

/// A cause as the score compares it: each end by its name and addresses.
fn told(cause: &Cause, world: &World) -> Value {
    let mut place = Map::new();
    for (key, value) in &cause.place {
        match (key.as_str(), value) {
            ("host" | "address", Value::String(name)) => {
                let known = place.remove("host");
                let mut names = known.and_then(|known| known.as_array().cloned()).unwrap_or_default();
                names.push(json!(name));
                names.extend(addresses(world, name).into_iter().map(|address| json!(address)));
                names.dedup();
                place.insert("host".into(), Value::Array(names));
            }
            ("host", Value::Array(all)) => {
                let names = all
                    .iter()
                    .filter_map(Value::as_str)
                    .flat_map(|name| std::iter::once(name.to_owned()).chain(addresses(world, name)));
                // A place may also be unnamed: TOML has no null.
                let names = names.map(|name| if name.is_empty() { Value::Null } else { name.into() });
                place.insert("host".into(), names.collect());
            }
            ("from" | "to", _) => {}
            _ => {
                place.insert(key.clone(), value.clone());
            }
        }
    }
    if let (Some(from), Some(to)) = (cause.place.get("from"), cause.place.get("to")) {
        place.insert("between".into(), json!([from, to]));
    }
    json!({ "cause": cause.cause, "where": place, "affected": cause.affected })
}

fn addresses(world: &World, host: &str) -> Vec<String> {
    let Some(host) = world.hosts.get(host) else { return Vec::new() };
    let words = host.addresses.values().flat_map(|text| text.split_whitespace());
    words.filter_map(|word| word.split('/').next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_have_a_file_for_each_day_and_the_last_is_linked() {
        let root = std::env::temp_dir().join(format!("ntpscope-lab-record-{}", std::process::id()));
        let mut evidence = Evidence::new(&root).expect("a new folder");
        for line in ["61366 86399.900 a", "61367 0.100 b", "61366 86399.950 a step back", "61367 1.000 c"] {
            evidence.line("h", "stats/loopstats", line);
        }
        evidence.line("h", "ntpd.log", "22 Nov 09:30:00 ntpd[1]: hello");
        evidence.finish().expect("written");
        let read = |name: &str| fs::read_to_string(root.join("h").join(name)).expect("a file");
        assert_eq!(read("stats/loopstats.20261122"), "61366 86399.900 a\n61366 86399.950 a step back\n");
        assert_eq!(read("stats/loopstats.20261123"), "61367 0.100 b\n61367 1.000 c\n");
        assert_eq!(read("stats/loopstats"), read("stats/loopstats.20261123"));
        assert!(read("ntpd.log").ends_with("hello\n"));
        fs::remove_dir_all(&root).expect("removed");
    }
}
