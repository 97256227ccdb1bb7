//! A real daemon in a host's room: started without the right to set the clock, asked, paused, stopped; and what it has written.

use super::conf::{self, KEYS, LOGDIR, SOCKET, STATSDIR};
use super::program::{Kind, Program, asked};
use crate::world::Daemon;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::net::UdpSocket;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon has to end by itself.
const FAREWELL: Duration = Duration::from_secs(3);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long an answer on loopback may take.
const ANSWER: Duration = Duration::from_millis(500);
/// Root dispersion of a server that is ready, in 2⁻¹⁶ s: 100 ms. Clients refuse more than a second or so.
const MOST_DISPERSION: u32 = 6554;
/// What chronyd and OpenNTPD print.
const PRINTED: &str = "/var/log/printed";

/// A daemon that runs.
pub struct Running(Child);

/// Starts a daemon; to be called in its host's room.
///
/// # Errors
/// It can't be configured or started.
pub fn start(program: &Program, daemon: &Daemon) -> Result<Running> {
    let file = Path::new("/run").join(conf::file(program.kind));
    fs::write(&file, conf::text(program.kind, daemon)?).context("write a configuration")?;
    for (keys, text) in KEYS {
        fs::write(keys, text).context("write the keys")?;
    }
    for folder in [STATSDIR, LOGDIR] {
        fs::create_dir_all(folder).with_context(|| format!("make {folder}"))?;
    }
    // chronyd opens its socket only in a folder that is closed to others.
    let folder = Path::new(SOCKET).parent().context("a socket is in a folder")?;
    DirBuilder::new().recursive(true).mode(0o750).create(folder).context("make the folder of a socket")?;
    let printed = File::options().create(true).append(true).open(PRINTED).context("write what it prints")?;
    // Killed when its room ends; and without the capability nobody can set the machine's clock.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--bounding-set", "-sys_time"]).arg(program.daemon());
    match program.kind {
        Kind::Chrony => command.args(["-x", "-d", "-F", "0", "-f"]).arg(&file),
        Kind::Ntpsec => command.arg("-n").arg("-c").arg(&file).args(["-p", "/run/ntpd.pid", "-l", "/var/log/ntpd.log"]),
        Kind::Openntpd => {
            openntpd_home()?;
            command.args(["-d", "-v", "-f"]).arg(&file)
        }
    };
    command.current_dir("/").stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(printed);
    command.spawn().with_context(|| format!("start {command:?}")).map(Running)
}

/// OpenNTPD wants a user of its own and a folder of root's.
fn openntpd_home() -> Result<()> {
    use nix::mount::{MsFlags, mount};
    const USER: u32 = 65_530;
    let nothing: Option<&str> = None;
    if Path::new("/run/passwd").exists() {
        return Ok(());
    }
    let lines = [
        ("passwd", format!("ntpd:x:{USER}:{USER}::/run/openntpd:/bin/false\n")),
        ("group", format!("ntpd:x:{USER}:\n")),
    ];
    for (name, line) in lines {
        let (real, ours) = (format!("/etc/{name}"), format!("/run/{name}"));
        let known = fs::read_to_string(&real).unwrap_or_default();
        let others: String =
            known.lines().filter(|known| !known.starts_with("ntpd:")).map(|line| format!("{line}\n")).collect();
        fs::write(&ours, others + &line)?;
        mount(Some(ours.as_str()), real.as_str(), nothing, MsFlags::MS_BIND, nothing)
            .context("mount a list of users")?;
    }
    mount(Some("tmpfs"), "/var/lib", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).context("mount /var/lib")?;
    for folder in ["/run/openntpd", "/var/lib/openntpd/db", "/var/lib/openntpd/run"] {
        fs::create_dir_all(folder)?;
    }
    Ok(())
}

impl Running {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }

    /// Ends it: with a word, and if that does not help, without.
    ///
    /// # Errors
    /// The kernel does not let it be waited for.
    pub fn stop(&mut self) -> Result<()> {
        for (signal, patience) in [(Signal::SIGTERM, FAREWELL), (Signal::SIGKILL, FAREWELL)] {
            // One that has ended already can't be told.
            let _ = kill(self.pid(), signal);
            let _ = kill(self.pid(), Signal::SIGCONT);
            let begun = Instant::now();
            while begun.elapsed() < patience {
                if self.0.try_wait().context("wait for a daemon")?.is_some() {
                    return Ok(());
                }
                std::thread::sleep(LOOK);
            }
        }
        bail!("process {} does not end", self.0.id())
    }
}

/// Whether the daemon of this room says that it is synchronised, and well enough for its clients.
#[must_use]
pub fn is_synchronised() -> bool {
    let ask = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(ANSWER))?;
        let mut packet = [0; 48];
        // A client's request of version 4, with a poll field that no daemon dislikes.
        (packet[0], packet[2]) = (0x23, 6);
        socket.send_to(&packet, "127.0.0.1:123")?;
        socket.recv(&mut packet)?;
        let dispersion = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        Ok(packet[0] >> 6 != 3 && packet[1] != 0 && dispersion < MOST_DISPERSION)
    };
    ask().unwrap_or(false)
}

/// What somebody sees who asks the daemon of this room: as a client, as a server.
#[must_use]
pub fn look(program: &Program, asks: bool, serves: bool) -> String {
    let (mark, name, client, server): (_, _, &[&str], &[&str]) = match program.kind {
        Kind::Ntpsec => (
            "$",
            "ntpq",
            &["-pn", "-n -c as -c rv", "-n -c \"rv &1\""],
            &["-n -c sysstats", "-n -c iostats", "-n -c rv", "-n -c mrulist"],
        ),
        Kind::Chrony => (
            "#",
            "chronyc",
            &["-n sources", "-n sourcestats", "-n ntpdata", "-n tracking"],
            &["-n tracking", "-n serverstats", "-n clients"],
        ),
        Kind::Openntpd => ("$", "ntpctl", &["-s all"], &["-s status"]),
    };
    let words = |is_wanted: bool, words: &'static [&'static str]| words.iter().filter(move |_| is_wanted);
    let mut text = String::new();
    let mut told = Vec::new();
    for arguments in words(asks, client).chain(words(serves, server)) {
        if told.contains(arguments) {
            continue;
        }
        told.push(*arguments);
        let mut command = program.client();
        if program.kind == Kind::Chrony {
            command.args(["-h", SOCKET]);
        }
        command.args(split(arguments));
        let host = if program.kind == Kind::Ntpsec { " 127.0.0.1" } else { "" };
        command.args(host.split_whitespace());
        let (said, in_time) = asked(&mut command);
        text.push_str(&format!("{mark} {name} {arguments}{host}\n{said}\n"));
        if !in_time {
            // It would not answer the next question either.
            break;
        }
    }
    text
}

/// Arguments at blanks, where quotes don't hold them together.
fn split(arguments: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for letter in arguments.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => parts.push(String::new()),
            _ => parts.iter_mut().next_back().into_iter().for_each(|part| part.push(letter)),
        }
    }
    parts
}

/// All that the daemon of this room has written, by the name of its file among the evidence.
///
/// ntpd's files of a day and without a day are one file with two names; here each has one.
#[must_use]
pub fn written(kind: Kind) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::<String, Vec<u8>>::new();
    let mut add = |name: String, path: &Path| {
        if let Ok(bytes) = fs::read(path) {
            files.entry(name).or_default().extend(bytes);
        }
    };
    add(conf::file(kind).into(), &Path::new("/run").join(conf::file(kind)));
    match kind {
        Kind::Ntpsec => {
            add("ntpd.log".into(), Path::new("/var/log/ntpd.log"));
            for path in list(STATSDIR) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if let Some((kind, _)) = name.split_once('.') {
                    add(format!("stats/{kind}"), &path);
                }
            }
        }
        Kind::Chrony => {
            add("chronyd.log".into(), Path::new(PRINTED));
            for path in list(LOGDIR) {
                add(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), &path);
            }
        }
        Kind::Openntpd => add("ntpd.log".into(), Path::new(PRINTED)),
    }
    // An empty file of statistics says nothing.
    files.retain(|_, bytes| !bytes.is_empty());
    files
}

fn list(folder: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
