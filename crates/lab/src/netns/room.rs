//! A host's room: a thread that lives in a network and a mount namespace of its own, and does there what it is told.
//!
//! The namespaces have no names. The kernel removes them, and all that is in them, when their last thread and descriptor are
//! gone, and it kills the programs that a room has started when the room's thread ends (`setpriv --pdeathsig`). So nothing can
//! be left over, whether the lab ends well, with an error, or is killed.

use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// A host's namespaces, and the thread in them.
pub struct Room {
    name: String,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What a room will have answered.
pub struct Answer<T>(Receiver<T>, String);

impl Room {
    /// Makes the namespaces. Its `/run` and `/var/log` are empty and nobody else's.
    ///
    /// # Errors
    /// The kernel does not allow it.
    pub fn new(name: &str) -> Result<Room> {
        let (jobs, work) = channel::<Job>();
        let (tell, told) = channel();
        let live = move || {
            let entered = enter();
            let is_in = entered.is_ok();
            if tell.send(entered).is_ok() && is_in {
                work.into_iter().for_each(|job| job());
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(live).context("start a thread")?;
        let room = Room { name: name.into(), jobs: Some(jobs), thread: Some(thread) };
        told.recv().context("a host's thread has ended")?.with_context(|| format!("host {name}"))?;
        Ok(room)
    }

    /// Has a job done; jobs of one room are done one after another.
    pub fn ask<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let (tell, told) = channel();
        let job = Box::new(move || {
            // Who does not wait does not want to know.
            let _ = tell.send(job());
        });
        if let Some(jobs) = &self.jobs {
            // A room that has ended says so when its answer is waited for.
            let _ = jobs.send(job);
        }
        Answer(told, self.name.clone())
    }

    /// Has a job done, and waits for it.
    ///
    /// # Errors
    /// Those of the job.
    pub fn have<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.ask(job).wait()?.with_context(|| format!("host {}", self.name))
    }
}

impl<T> Answer<T> {
    /// Waits until it is there.
    ///
    /// # Errors
    /// The room has ended.
    pub fn wait(self) -> Result<T> {
        self.0.recv().map_err(|_| anyhow!("the thread of host {} has ended", self.1))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // One that broke has said why.
            let _ = thread.join();
        }
    }
}

/// Leaves the machine's namespaces for new ones.
fn enter() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("can't make namespaces (is it root?)")?;
    let nothing: Option<&str> = None;
    // What is mounted from here on is seen here only.
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).context("make mounts private")?;
    for folder in ["/run", "/var/log"] {
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
            .with_context(|| format!("mount an empty {folder}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_has_a_network_of_its_own() {
        let room = match Room::new("test") {
            Ok(room) => room,
            Err(error) => return println!("skipped: {error:#}"),
        };
        let seen = room.have(|| {
            std::fs::write("/run/ntpscope-lab-test", "here")?;
            Ok(std::fs::read_to_string("/proc/thread-self/net/dev")?)
        });
        let seen = seen.expect("a list of interfaces");
        assert_eq!(seen.lines().skip(2).count(), 1, "only lo: {seen}");
        assert!(!std::path::Path::new("/run/ntpscope-lab-test").exists(), "what is written there stays there");
        assert!(room.have(|| Ok(std::fs::read_to_string("/run/ntpscope-lab-test")?)).is_ok_and(|text| text == "here"));
    }
}
