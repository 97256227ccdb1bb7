//! The programs that the engine needs: where they are, and how they are asked.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What must be on the search path, and the Debian package of each.
const TOOLS: [(&str, &str); 4] =
    [("ip", "iproute2"), ("nft", "nftables"), ("conntrack", "conntrack"), ("setpriv", "util-linux")];
/// The folder beside the build that `cargo xtask` unpacks Debian's daemons into, each in one of its name: the packages exclude
/// one another, so that not all can be installed.
const UNPACKED: &str = "daemons";
/// How long a program may take to answer: ntpq gives a paused daemon up by itself after 13 s.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// A package of daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// chronyd.
    Chrony,
    /// NTPsec's ntpd.
    Ntpsec,
    /// OpenBSD's ntpd.
    Openntpd,
}

impl Kind {
    /// Debian's package.
    #[must_use]
    pub fn package(self) -> &'static str {
        match self {
            Kind::Chrony => "chrony",
            Kind::Ntpsec => "ntpsec",
            Kind::Openntpd => "openntpd",
        }
    }

    /// Daemon and client, below the package's root.
    fn paths(self) -> [&'static str; 2] {
        match self {
            Kind::Chrony => ["usr/sbin/chronyd", "usr/bin/chronyc"],
            Kind::Ntpsec => ["usr/sbin/ntpd", "usr/bin/ntpq"],
            Kind::Openntpd => ["usr/sbin/openntpd", "usr/sbin/ntpctl"],
        }
    }
}

/// A daemon that can be started.
#[derive(Clone, Debug)]
pub struct Program {
    /// Which.
    pub kind: Kind,
    root: PathBuf,
}

impl Program {
    /// Finds it: where it is installed, or unpacked beside the build.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn find(kind: Kind) -> Result<Program> {
        let here = std::env::current_exe().context("where is the lab?")?;
        let unpacked = here.ancestors().map(|folder| folder.join(UNPACKED).join(kind.package()));
        let installed = std::iter::once(PathBuf::from("/"));
        let found = installed.chain(unpacked).map(|root| Program { kind, root }).find(Program::is_there);
        let package = kind.package();
        found.with_context(|| {
            format!(
                "{package} is not here: `cargo xtask test` unpacks it beside the build, or apt-get install {package}"
            )
        })
    }

    /// ntpd is a name that others have too.
    fn is_there(&self) -> bool {
        let [daemon, client] = self.kind.paths().map(|path| self.root.join(path));
        let says = |word| self.version().is_ok_and(|text| text.contains(word));
        daemon.is_file() && client.is_file() && (self.kind != Kind::Ntpsec || says("ntpsec"))
    }

    /// What it calls itself.
    ///
    /// # Errors
    /// It can't be started.
    pub fn version(&self) -> Result<String> {
        if self.kind == Kind::Openntpd {
            // It has no option for that.
            return Ok("openntpd 6.2p3 (Debian's package of 12)".into());
        }
        let said = Command::new(self.daemon()).arg("--version").output().context("ask for a version")?;
        let said = [said.stdout, said.stderr].concat();
        // chronyd adds what it was built with.
        let said = String::from_utf8_lossy(&said);
        Ok(said.split(['\n', '+']).next().unwrap_or_default().trim_end_matches(" (").trim().into())
    }

    /// The daemon.
    #[must_use]
    pub fn daemon(&self) -> PathBuf {
        self.root.join(self.kind.paths()[0])
    }

    /// The program that asks it.
    #[must_use]
    pub fn client(&self) -> Command {
        let mut command = Command::new(self.root.join(self.kind.paths()[1]));
        if self.kind == Kind::Ntpsec {
            let lib = self.root.join("usr/lib");
            let folder = format!("{}-linux-gnu/ntp", std::env::consts::ARCH);
            command.env("PYTHONPATH", lib.join("python3/dist-packages")).env("LD_LIBRARY_PATH", lib.join(folder));
        }
        command
    }
}

/// Says which tools are missing.
///
/// # Errors
/// Some are.
pub fn need_tools() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let missing: Vec<&str> = TOOLS.iter().filter(|(name, _)| !is_there(name)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        bail!("tools are missing: apt-get install {}", missing.join(" "));
    }
    Ok(())
}

/// Runs a tool with this on its input.
///
/// # Errors
/// It can't be started, or fails: then with what it says.
pub fn feed(command: &mut Command, input: &str) -> Result<String> {
    let file = Path::new("/run/lab-input");
    std::fs::write(file, input).with_context(|| format!("write {}", file.display()))?;
    command.stdin(File::open(file)?);
    let done = command.output().with_context(|| format!("start {command:?}"))?;
    if !done.status.success() {
        bail!("{command:?} on\n{input}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// All that a program says, and whether it ended in time; else it is killed.
pub fn asked(command: &mut Command) -> (String, bool) {
    let file = Path::new("/run/lab-output");
    let mut ask = || -> Result<bool> {
        let output = File::create(file)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let begun = Instant::now();
        while child.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
        Ok(true)
    };
    match ask() {
        Ok(in_time) => {
            let said = std::fs::read(file).unwrap_or_default();
            (String::from_utf8_lossy(&said).into_owned(), in_time)
        }
        Err(error) => (format!("{error:#}\n"), false),
    }
}
