//! The use of processor and memory by processes, from `/proc` (Linux).
//!
//! A process stands for itself and all its descendants: Postgres is its postmaster and the backends
//! below it.

use std::collections::HashMap;
use std::fs;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};

/// Kernel clock ticks in a second as `/proc/*/stat` counts them: USER_HZ, 100 on every Linux that
/// Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// `name=pid`: a process and what it is called in the table.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Such as `server`.
    pub(crate) name: String,
    id: u32,
}

impl FromStr for Process {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, id) = text.split_once('=').context("write it as NAME=PID")?;
        Ok(Self {
            name: name.to_owned(),
            id: id.parse().context("not the number of a process")?,
        })
    }
}

impl Process {
    /// This one.
    pub(crate) fn own() -> Self {
        Self {
            name: "load".into(),
            id: std::process::id(),
        }
    }

    /// User and system time until now, of all threads, and of descendants that have ended. Fails if
    /// the process is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stats = self.family()?;
        let ticks: u64 = stats.iter().map(|(_, stat)| stat.ticks).sum();
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// Most memory, in KiB. Of one process alone what was resident at any time since it started
    /// (`VmHWM`); with descendants the sum of their shares now (`Pss`: what several map counts
    /// once), a millisecond or two for each.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        match &*self.family()? {
            [(id, _)] => read_kib(*id, "status", "VmHWM:"),
            // One that has ended since is no error.
            family => Ok(family
                .iter()
                .filter_map(|(id, _)| read_kib(*id, "smaps_rollup", "Pss:").ok())
                .sum()),
        }
    }

    /// This process first, then its descendants.
    fn family(&self) -> Result<Vec<(u32, Stat)>> {
        let own =
            Stat::read(self.id).with_context(|| format!("process {} ({})", self.id, self.name))?;
        let mut children: HashMap<u32, Vec<(u32, Stat)>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(id) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // One that has ended since is no error.
            if let Ok(stat) = Stat::read(id) {
                children.entry(stat.parent).or_default().push((id, stat));
            }
        }
        let mut family = vec![(self.id, own)];
        let mut next = 0;
        while let Some((id, _)) = family.get(next) {
            family.extend(children.remove(id).unwrap_or_default());
            next += 1;
        }
        Ok(family)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn read(id: u32) -> Result<Self> {
        let path = format!("/proc/{id}/stat");
        Self::parse(&fs::read_to_string(&path).context(path)?).context("unknown form of stat")
    }

    /// Fields 4 and 14 to 17 (proc(5)), counted from the end of the command's name, which may hold
    /// spaces.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks = fields
            .get(11..15)?
            .iter()
            .map(|ticks| ticks.parse::<u64>().ok())
            .sum::<Option<u64>>()?;
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            ticks,
        })
    }
}

fn read_kib(id: u32, file: &str, key: &str) -> Result<u64> {
    let path = format!("/proc/{id}/{file}");
    parse_kib(
        &fs::read_to_string(&path).with_context(|| path.clone())?,
        key,
    )
    .with_context(|| format!("{key} in {path}"))
}

fn parse_kib(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn reads_both_files() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 1 0 0 0 250 125 20 5 20 0 3 0 100 1 1";
        assert_eq!(
            Stat::parse(stat),
            Some(Stat {
                parent: 1,
                ticks: 400
            })
        );
        assert_eq!(
            parse_kib("Name:\tx\nVmHWM:\t   2048 kB\n", "VmHWM:"),
            Some(2048)
        );
        assert!(Process::own().peak_kib().unwrap() > 0);
        let process: Process = "server=42".parse().unwrap();
        assert_eq!((process.name.as_str(), process.id), ("server", 42));
        assert!("server".parse::<Process>().is_err() && "server=x".parse::<Process>().is_err());
    }

    #[test]
    fn descendants_count() {
        // A shell with a child that uses CPU time, says so and waits.
        let script = "exec 3<&0; (i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo; read x <&3) & wait";
        let shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut shell = shell.unwrap();
        shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let process = Process {
            name: "shell".into(),
            id: shell.id(),
        };
        let (cpu, alone) = (process.cpu().unwrap(), Stat::read(shell.id()).unwrap());
        assert!(
            cpu > Duration::from_millis(alone.ticks * 10),
            "{cpu:?} {alone:?}"
        );
        assert!(process.peak_kib().unwrap() > 0);
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}
