//! `uname -a` and `hostnamectl`: what the host and its kernel are called.

use super::super::{Block, Form, Line, Taken};
use super::variable;
use crate::model::Row;

/// `uname -a`.
pub const UNAME: Form = Form { name: "uname -a", opens: |line| uname(line).is_some(), block: || Box::new(Uname) };

/// `hostnamectl`.
pub const HOSTNAMECTL: Form = Form {
    name: "hostnamectl",
    opens: |line| line.trim_start().starts_with("Static hostname: "),
    block: || Box::new(Hostnamectl),
};

/// `Linux host 6.1.0-18-amd64 #1 SMP … x86_64 GNU/Linux`: the host, and the kernel with its release.
fn uname(line: &str) -> Option<(&str, String)> {
    let mut words = line.split_ascii_whitespace();
    let (system, host, release, next) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let shaped = match system {
        "Linux" | "OpenBSD" => release.contains('.') && (next.starts_with('#') || system == "OpenBSD"),
        "FreeBSD" | "NetBSD" | "DragonFly" => next == system,
        "Darwin" => next == "Darwin",
        "SunOS" => release.starts_with("5."),
        _ => false,
    };
    let plain = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+~#".contains(&b));
    (shaped
        && plain(host)
        && plain(release)
        && release.starts_with(|c: char| c.is_ascii_digit())
        && words.next().is_some())
    .then(|| (host, format!("{system} {release}")))
}

struct Uname;

impl Block for Uname {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((host, kernel)) = uname(line.text) else { return Taken::No };
        variable(line.at, "hostname", host, rows);
        variable(line.at, "kernel", &kernel, rows);
        Taken::Yes
    }
}

/// The labels that say something of time, and what we call them.
const LABELS: [(&str, &str); 4] = [
    ("Static hostname", "hostname"),
    ("Kernel", "kernel"),
    ("Virtualization", "virtualization"),
    ("Operating System", "operating_system"),
];

/// Its other labels (systemd, src/hostname/hostnamectl.c).
const OTHERS: [&str; 22] = [
    "Pretty hostname",
    "Transient hostname",
    "Default hostname",
    "Icon name",
    "Chassis",
    "Chassis Asset Tag",
    "Deployment",
    "Location",
    "Machine ID",
    "Boot ID",
    "Product UUID",
    "AF_VSOCK CID",
    "CPE OS Name",
    "OS Support End",
    "OS Support Expired",
    "OS Support Remaining",
    "Architecture",
    "Hardware Vendor",
    "Hardware Model",
    "Hardware Version",
    "Hardware Serial",
    "Hardware SKU",
];

struct Hostnamectl;

impl Block for Hostnamectl {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let Some((label, value)) = line.text.split_once(": ").map(|(label, value)| (label.trim(), value.trim())) else {
            return Taken::No;
        };
        if let Some((_, name)) = LABELS.iter().find(|(known, _)| *known == label) {
            if !matches!(value, "n/a" | "(unset)" | "") {
                variable(line.at, name, value, rows);
            }
            return Taken::Yes;
        }
        if OTHERS.contains(&label) || label.starts_with("Firmware ") { Taken::Yes } else { Taken::No }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{read, variables};

    #[test]
    fn host_and_kernel_have_one_name_each() {
        let uname = "Linux n1 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2026-02-01) x86_64 GNU/Linux\n";
        assert_eq!(variables(uname), ["name=hostname text=n1", "name=kernel text=Linux 6.1.0-18-amd64"]);
        assert_eq!(variables("FreeBSD n2 14.1-RELEASE FreeBSD 14.1-RELEASE GENERIC amd64\n").len(), 2);
        let ctl = " Static hostname: n1\n       Icon name: computer-vm\n  Virtualization: kvm\nOperating System: Debian GNU/Linux 12 (bookworm)\n          Kernel: Linux 6.1.0-18-amd64\n    Architecture: x86-64\n";
        let want = [
            "name=hostname text=n1",
            "name=virtualization text=kvm",
            "name=operating_system text=Debian GNU/Linux 12 (bookworm)",
            "name=kernel text=Linux 6.1.0-18-amd64",
        ];
        assert_eq!(variables(ctl), want);
        assert_eq!(read("Linux is 2.0 times faster than that\nLinux version 6.1.0 (gcc)\n").2, [""; 0]);
    }
}
