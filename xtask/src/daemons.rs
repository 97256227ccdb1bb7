//! The real daemons that the lab plays worlds with. Debian's packages of them exclude one another, so they are not installed but
//! unpacked beside the build; what they need is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{run, shown};
use crate::{answers, target_folder};

/// Packages, and the folder of each; ntpq is written in Python.
const PACKAGES: [(&str, &str); 4] =
    [("chrony", "chrony"), ("ntpsec", "ntpsec"), ("openntpd", "openntpd"), ("python3-ntp", "ntpsec")];

/// Unpacks the daemons, unless they are there.
pub fn unpack() -> Result<()> {
    let folder = target_folder().join("daemons");
    if PACKAGES.iter().all(|(package, _)| folder.join(done(package)).exists()) {
        return Ok(());
    }
    let downloads = folder.join("packages");
    fs::create_dir_all(&downloads).with_context(|| format!("make {}", downloads.display()))?;
    let mut needed = Vec::new();
    for (package, to) in PACKAGES {
        run(Command::new("apt-get").args(["download", package]).current_dir(&downloads))?;
        let file = downloaded(&downloads, package)?;
        run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(folder.join(to)))?;
        needed.extend(libraries(&file)?);
    }
    needed.sort();
    needed.dedup();
    needed.retain(|library| !answers(Command::new("dpkg").args(["--status", library])));
    if !needed.is_empty() {
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--no-install-recommends"]).args(needed);
        run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    for (package, _) in PACKAGES {
        fs::write(folder.join(done(package)), "").context("note what is done")?;
    }
    Ok(())
}

/// A file that says that a package is unpacked and has what it needs.
fn done(package: &str) -> String {
    format!("{package}.unpacked")
}

fn downloaded(folder: &Path, package: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder).context("list what was downloaded")? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{package}_"))) {
            return Ok(path);
        }
    }
    bail!("{package} was not downloaded")
}

/// What a package needs to run where it is unpacked: libraries and Python, but not the rest of a system with a clock.
fn libraries(file: &Path) -> Result<Vec<String>> {
    let mut ask = Command::new("dpkg-deb");
    ask.arg("--field").arg(file).arg("Depends");
    let said = ask.output().with_context(|| format!("start {}", shown(&ask)))?;
    Ok(libraries_in(&String::from_utf8_lossy(&said.stdout)))
}

/// `libc6 (>= 2.36), adduser, libssl3 | libssl1` → libc6, libssl3.
fn libraries_in(depends: &str) -> Vec<String> {
    let names = depends.split(',').filter_map(|one| one.split(['(', '|', ':']).next()).map(str::trim);
    names.filter(|name| name.starts_with("lib") || *name == "python3").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_program_loads_is_needed() {
        let depends = "adduser, python3:any, libc6 (>= 2.36), libssl3 (>= 3.0.0) | libssl1, ucf";
        assert_eq!(libraries_in(depends), ["python3", "libc6", "libssl3"]);
    }
}
