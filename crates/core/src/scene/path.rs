//! Whose a file is, as far as its path tells.

/// Folders that sort by kind, and so are no hosts.
const SORTING: &[&str] = &[
    "bundle",
    "capture",
    "captures",
    "chrony",
    "conf",
    "config",
    "data",
    "etc",
    "evidence",
    "files",
    "log",
    "logs",
    "ntp",
    "ntpsec",
    "ntpstats",
    "output",
    "pcap",
    "pcaps",
    "state",
    "statistics",
    "stats",
    "statsdir",
    "status",
    "text",
    "tmp",
    "var",
];

/// Folders at the top of a system's own tree, or of a sosreport's: what stands above them is the system's.
const TREE: &[&str] = &[
    "etc",
    "var",
    "usr",
    "proc",
    "sys",
    "sos_commands",
    "sos_logs",
    "sos_reports",
    "sos_strings",
    "host_service_logs",
];

/// Folders in a log host's tree that have a folder for each host whose logs they keep.
const REMOTE: &[&str] = &["remote", "hosts", "rsyslog"];

/// Endings of archives and of compressed files.
const PACKED: &[&str] = &[".gz", ".bz2", ".xz", ".zst", ".tgz", ".tbz", ".txz", ".tzst", ".tar", ".zip"];

/// The host that the file at `path` belongs to; `path` is relative to what was given, its last part the file, and an
/// archive is a folder.
///
/// ```
/// use ntpscope_core::scene::host_of;
/// assert_eq!(host_of("site/c1/stats/loopstats"), Some("c1"));
/// assert_eq!(host_of("sosreport-c1-2026-11-22-abcdefg.tar.xz/sosreport-c1-2026-11-22-abcdefg/etc/ntp.conf"), Some("c1"));
/// assert_eq!(host_of("pcap/rt_out0.pcap"), None);
/// ```
#[must_use]
pub fn host_of(path: &str) -> Option<&str> {
    let (folders, _) = path.rsplit_once('/')?;
    let folders: Vec<&str> = folders.split('/').map(unpacked).collect();
    let is_host = |folder: &&&str| !folder.is_empty() && **folder != "." && !among(SORTING, folder);
    let found = match folders.iter().position(|folder| TREE.contains(folder)) {
        None => folders.iter().rev().find(is_host),
        // What is inside a system's tree is the system's, but for the logs that it keeps of others.
        Some(tree) => {
            let (above, inside) = folders.split_at(tree);
            let others = inside.iter().position(|folder| REMOTE.contains(folder));
            others.and_then(|remote| inside.get(remote + 1)).or_else(|| above.last().filter(is_host))
        }
    };
    found.map(|folder| system(folder))
}

/// Whether a path leads into a system's own tree.
#[must_use]
pub fn in_tree(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folders, _)| folders.split('/').any(|folder| TREE.contains(&folder)))
}

fn among(list: &[&str], folder: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(folder))
}

/// A name without the endings of `PACKED`.
fn unpacked(name: &str) -> &str {
    let ending = PACKED.iter().find_map(|ending| name.strip_suffix(ending));
    ending.filter(|stem| !stem.is_empty()).map_or(name, unpacked)
}

/// The host in the name of a sosreport: `sosreport-HOST-2026-11-22-abcdefg`, or `sosreport-HOST-20261122093000`.
fn system(folder: &str) -> &str {
    let Some(name) = folder.strip_prefix("sosreport-") else { return folder };
    let is_date = |(at, _): &(usize, &str)| {
        let digits = name[at + 1..].bytes().filter(|byte| *byte != b'-').take(8);
        name[at + 1..].starts_with("20") && digits.clone().count() == 8 && digits.clone().all(|b| b.is_ascii_digit())
    };
    let date = name.match_indices('-').find(is_date);
    date.and_then(|(at, _)| name.get(..at)).filter(|host| !host.is_empty()).unwrap_or(name)
}

/// The name of the capture point in the file at `path`: its name without the endings of captures and compression.
#[must_use]
pub fn point_of(path: &str) -> &str {
    let mut stem = path.rsplit('/').next().unwrap_or(path);
    stem = unpacked(stem);
    for ending in [".pcapng", ".pcap", ".cap", ".dmp"] {
        stem = stem.strip_suffix(ending).unwrap_or(stem);
    }
    stem
}

/// Whether a word is what people call network interfaces: `eth0`, `ens3`, `in0`, `wan` …
pub(super) fn is_interface(word: &str) -> bool {
    word.ends_with(|c: char| c.is_ascii_digit())
        || ["any", "in", "inside", "lan", "out", "outside", "wan"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_and_folders_are_no_names() {
        assert_eq!(point_of("a/rt_out0.pcap.gz"), "rt_out0");
        assert_eq!(host_of("evidence/CHRONY/x.log"), None);
        assert_eq!(host_of("x.log"), None);
        assert_eq!(host_of("site.tgz/backup/h1/etc/chrony/conf.d/x.conf"), Some("h1"));
        assert_eq!(host_of("h1.tar.zst/ntp.conf"), Some("h1"));
        assert_eq!(host_of("var/log/remote/h2/messages"), Some("h2"));
        assert_eq!(host_of("etc/chrony/conf.d/x.conf"), None);
        assert!(in_tree("etc/ntp.conf") && !in_tree("c1/etc.conf"));
        assert_eq!(host_of("sosreport-n-20-b-20261122093000/var/log/messages"), Some("n-20-b"));
        assert_eq!(host_of("sosreport-20261122/x"), Some("20261122"));
    }
}
