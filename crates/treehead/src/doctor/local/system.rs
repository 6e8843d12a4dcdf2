//! The machine: disk, memory, open files, clock.

use std::fs;
use std::path::{Path, PathBuf};

use client::explain::Report;
use rustix::fs::{StatFs, statfs, statvfs};

use super::process::Process;
use super::words::GUIDE;
use crate::config::Config;

/// File systems on which SQLite's WAL is not safe, because machines share them, or which forget.
const NETWORK: [(i64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0bd0_0bd0, "Lustre"),
];
const MEMORY: [(i64, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// With less the WAL (136 MiB), a checkpoint and a log line may not fit any more.
const LEAST_FREE_BYTES: u64 = 1024 * 1024 * 1024;
/// Room for some ten million entries.
const LITTLE_FREE_BYTES: u64 = 10 * 1024 * 1024 * 1024;
/// What an entry takes on disk, everything included (docs/OPERATING.md, Size).
const ENTRY_BYTES: u64 = 1_100;
/// Memory of a busy server apart from request bodies: caches, queue, connections.
const SERVER_BYTES: u64 = 256 * 1024 * 1024;
/// Files that a server has open apart from connections.
const OTHER_FILES: u64 = 64;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Looks at the machine.
pub(super) fn check(
    report: &mut Report,
    config: &Config,
    folder: &Path,
    process: Option<&Process>,
) {
    let is_sqlite = config.database.is_none() && config.database_file.is_none();
    check_disk(report, folder, is_sqlite);
    check_memory(report, config, process);
    check_open_files(report, config, process);
    check_time_service(report);
}

fn check_disk(report: &mut Report, folder: &Path, is_sqlite: bool) {
    let place = folder.display();
    if let Ok(space) = statvfs(folder) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let all = space.f_blocks.saturating_mul(space.f_frsize);
        report.fact(
            "disk space",
            format_args!("{:.1} GiB free of {:.1} GiB", gib(free), gib(all)),
        );
        let entries = free / ENTRY_BYTES;
        let what = format!(
            "{:.1} GiB are free, room for some {entries} entries",
            gib(free)
        );
        if is_sqlite && free < LEAST_FREE_BYTES {
            let remedy = "make room now: when the disk is full, each write gets 503. Enlarge the \
                volume; never remove treehead.db or treehead.db-wal";
            report.error("disk-full", &[], place, what, remedy);
        } else if is_sqlite && free < LITTLE_FREE_BYTES {
            report.warning(
                "disk-nearly-full",
                place,
                what,
                "enlarge the volume before it is full",
            );
        }
        if space.f_files > 0 && space.f_favail == 0 {
            let what = "the file system has no inodes left, so no file can be made";
            report.error(
                "inodes",
                &[],
                folder.display(),
                what,
                "remove small files of other programs",
            );
        }
        if space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
            let what = "the file system is mounted read-only; after an error of the disk Linux \
                does that by itself";
            report.error(
                "disk-read-only",
                &[],
                folder.display(),
                what,
                "look at dmesg; repair or replace the disk, and mount it again",
            );
        }
    }
    if let Ok(system) = statfs(folder) {
        check_kind(report, folder, &system, is_sqlite);
    }
}

fn check_kind(report: &mut Report, folder: &Path, system: &StatFs, is_sqlite: bool) {
    #[expect(clippy::unnecessary_cast, reason = "the type differs by platform")]
    let kind = system.f_type as i64;
    let named = |list: &[(i64, &'static str)]| {
        list.iter()
            .find(|(number, _)| *number == kind)
            .map(|(_, name)| *name)
    };
    let place = folder.display();
    if let Some(name) = named(&NETWORK) {
        report.fact("file system", name);
        if is_sqlite {
            let what = format!(
                "the database is on {name}, which machines share: SQLite's WAL needs memory that \
                    only one machine has, and may be damaged"
            );
            let remedy = format!(
                "move the data folder to a disk of this machine, or use Postgres ({GUIDE}, \
                    Production on Postgres)"
            );
            report.error("network-file-system", &[], place, what, remedy);
        }
    } else if let Some(name) = named(&MEMORY) {
        report.fact("file system", name);
        let what = format!(
            "the data folder is on {name}: everything in it, keys included, is gone after a \
                restart of the machine"
        );
        report.warning(
            "memory-file-system",
            place,
            what,
            "move the data folder to a disk, unless this is a trial",
        );
    }
}

fn check_memory(report: &mut Report, config: &Config, process: Option<&Process>) {
    let need = config.max_body_bytes_in_flight.0 + SERVER_BYTES;
    if let Some(used) = process.and_then(Process::memory) {
        report.fact("memory of the server", format_args!("{} MiB", used >> 20));
    }
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let total = machine.as_deref().and_then(|text| kib(text, "MemTotal:"));
    let limit = cgroup_limit(process).or(total);
    let Some(limit) = limit else { return };
    report.fact("memory for the server", format_args!("{} MiB", limit >> 20));
    if limit < need {
        let what = format!(
            "a busy server may take {} MiB, and it may have {} MiB: the kernel would kill it",
            need >> 20,
            limit >> 20
        );
        let remedy =
            "raise the limit of the service or container, or lower max-body-bytes-in-flight";
        report.warning("memory", "", what, remedy);
    }
}

/// Returns the memory limit of the control group of the server, or of this process.
fn cgroup_limit(process: Option<&Process>) -> Option<u64> {
    let id = process.map_or_else(|| "self".to_owned(), |process| process.id.to_string());
    let groups = fs::read_to_string(format!("/proc/{id}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let file = PathBuf::from(format!("/sys/fs/cgroup{path}/memory.max"));
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn check_open_files(report: &mut Report, config: &Config, process: Option<&Process>) {
    let need = config.max_connections as u64 + OTHER_FILES;
    let Some(process) = process else { return };
    let Some(limit) = process.open_files_limit() else {
        return;
    };
    let open = process.open_files();
    let shown = open.map_or_else(String::new, |open| format!("{open} open, "));
    report.fact(
        "files of the server",
        format_args!("{shown}{limit} allowed"),
    );
    if limit < need {
        let what = format!(
            "the server may have {limit} files open, and needs {need} for max-connections: beyond \
                that, connections fail"
        );
        let remedy = format!(
            "set LimitNOFILE={need} in the unit (ulimit -n in a shell), or lower max-connections, \
                and restart"
        );
        report.warning(
            "open-files",
            format_args!("process {}", process.id),
            what,
            remedy,
        );
    }
}

/// Only systemd's own service leaves a trace that everybody may read.
fn check_time_service(report: &mut Report) {
    let folder = Path::new("/run/systemd/timesync");
    if folder.is_dir() && !folder.join("synchronized").exists() {
        let what =
            "systemd-timesyncd runs and has not synchronised the clock since the machine started";
        let remedy = "timedatectl status; let the machine reach its time servers. Entries are \
            dated by this clock";
        report.warning("clock-not-synchronised", "", what, remedy);
    }
}

/// Returns the bytes in a line such as `MemTotal:  16384 kB`.
pub(super) fn kib(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(label))?;
    let number: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    number.checked_mul(1024)
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB
}
