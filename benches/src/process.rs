//! What the server's process has used, from `/proc` (Linux).

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Kernel clock ticks in a second as `/proc/*/stat` counts them: USER_HZ, 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// A process by its number.
pub(crate) struct Process {
    id: u32,
}

/// What it has used until now.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// User and system time, of all threads.
    pub(crate) cpu: Duration,
    /// Resident memory.
    pub(crate) resident_mib: u64,
}

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self { id }
    }

    /// Reads it. Fails if the process is gone.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let read = |file| {
            let path = format!("/proc/{}/{file}", self.id);
            fs::read_to_string(&path).context(path)
        };
        Ok(Usage {
            cpu: parse_stat(&read("stat")?).context("unknown form of stat")?,
            resident_mib: parse_status(&read("status")?).context("unknown form of status")? / 1024,
        })
    }
}

/// Fields 14 and 15 (proc(5)), counted from the end of the command's name, which may hold spaces.
fn parse_stat(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

/// `VmRSS` in KiB.
fn parse_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_files() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 1 0 0 0 250 125 0 0 20 0 3 0 100 1 1";
        assert_eq!(parse_stat(stat), Some(Duration::from_millis(3750)));
        assert_eq!(parse_status("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2048));
        assert!(Process::new(std::process::id()).usage().unwrap().resident_mib > 0);
    }
}
