//! A made-up fleet for the bench: the `peerstats` of many hosts over many days, the same bytes every time.
//!
//! Each host asks five servers, one of them over IPv6; its clock wanders like a bounded random walk, and each server is
//! off by a little. Days are files of their own, as `filegen` makes them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

const HOSTS: u32 = 200;
const DAYS: u32 = 30;
/// 2026-10-23.
const FIRST_DAY: u32 = 61_336;
const SERVERS: [&str; 5] = ["192.0.2.1", "192.0.2.2", "198.51.100.17", "203.0.113.129", "2001:db8:1:2::123"];
/// Rows a day: with a poll of 64 s, two of three samples are new and written.
const ROWS: u32 = 3350;

/// Writes the fleet below `folder`, a folder a host.
pub fn write(folder: &Path) -> Result<()> {
    let mut line = String::new();
    for host in 0..HOSTS {
        let own = folder.join(format!("h{host:03}"));
        fs::create_dir_all(&own).with_context(|| format!("create {}", own.display()))?;
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ u64::from(host));
        let mut offset_s = 0.0;
        for day in 0..DAYS {
            let path = own.join(format!("peerstats.{day:02}"));
            let mut out = BufWriter::new(File::create(&path).with_context(|| format!("write {}", path.display()))?);
            for row in 0..ROWS {
                let server = row as usize % SERVERS.len();
                offset_s = offset_s * 0.999 + random.centred() * 20e-6;
                let second = (f64::from(row) + random.unit()) * 86_400.0 / f64::from(ROWS);
                let delay_s = 0.0002 * (server + 1) as f64 + random.unit() * 0.0005;
                let status = if server == 0 { 0x961a } else { 0x9414 };
                line.clear();
                writeln!(
                    line,
                    "{} {second:.3} {} {status:x} {:.9} {delay_s:.9} {:.9} {:.9}",
                    FIRST_DAY + day,
                    SERVERS[server],
                    offset_s + random.centred() * 50e-6 + server as f64 * 1e-5,
                    0.001 + random.unit() * 0.01,
                    random.unit() * 100e-6,
                )?;
                out.write_all(line.as_bytes())?;
            }
            out.flush()?;
        }
    }
    Ok(())
}

/// Marsaglia's xorshift: good enough to look like noise.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From −1 to 1.
    fn centred(&mut self) -> f64 {
        self.unit() * 2.0 - 1.0
    }
}
