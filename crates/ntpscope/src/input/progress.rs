//! How far a long reading has come, on a terminal.

use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Bytes read from all files so far.
static READ: AtomicU64 = AtomicU64::new(0);

/// Between two lines; nothing is shown of what takes less.
const EVERY: Duration = Duration::from_millis(700);

/// A file whose bytes are counted as they are read.
pub struct Counted(pub std::fs::File);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buffer)?;
        READ.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// Does some work that reads `all` bytes, and shows how many it has read where standard error is a terminal.
pub fn shown<T>(what: &str, all: u64, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (before, done) = (READ.load(Ordering::Relaxed), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reporter = scope.spawn(|| {
            std::thread::park_timeout(EVERY);
            let mut shown = false;
            while !done.load(Ordering::Acquire) {
                let mib = |bytes: u64| bytes >> 20;
                eprint!("\r{what}: {} of {} MiB", mib(READ.load(Ordering::Relaxed) - before), mib(all));
                shown = true;
                std::thread::park_timeout(EVERY);
            }
            if shown {
                eprint!("\r\x1b[K");
            }
        });
        // Also where the work panics: the scope waits for the reporter.
        let _ended = Ended(&done, reporter.thread().clone());
        work()
    })
}

struct Ended<'a>(&'a AtomicBool, std::thread::Thread);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        self.1.unpark();
    }
}
