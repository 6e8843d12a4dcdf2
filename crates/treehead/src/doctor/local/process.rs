//! The process of a server, as the kernel shows it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A server that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub id: u32,
}

impl Process {
    /// Returns the process that holds the lock of a data folder. The lock itself is left alone, so
    /// that a server that starts meanwhile finds it free.
    pub(super) fn holding(lock: &Path) -> Option<Self> {
        let inode = lock.metadata().ok()?.ino();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        // Files of two disks may have the same number, so the name of the program counts too.
        let mut holders = locks.lines().filter_map(|line| holder(line, inode));
        holders.find_map(Self::of)
    }

    /// Returns the process if it runs this program, whatever the file of that is called.
    pub(super) fn of(id: u32) -> Option<Self> {
        let name = |id: &str| fs::read_to_string(format!("/proc/{id}/comm"));
        let theirs = name(&id.to_string()).ok()?;
        let is_this = theirs.starts_with("treehead") || name("self").is_ok_and(|own| own == theirs);
        is_this.then_some(Self { id })
    }

    /// Returns the most files that it may have open.
    pub(super) fn open_files_limit(&self) -> Option<u64> {
        soft_limit(&fs::read_to_string(format!("/proc/{}/limits", self.id)).ok()?)
    }

    /// Returns how many files it has open now. Only its own user may know.
    pub(super) fn open_files(&self) -> Option<u64> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.id)).ok()?;
        Some(files.count() as u64)
    }

    /// Returns its resident memory in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        super::system::kib(&status, "VmRSS:")
    }
}

/// Returns the process of a line of `/proc/locks` such as
/// `1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF`, if its file has this inode.
fn holder(line: &str, inode: u64) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, _, id, file, ..] = words.as_slice() else {
        return None;
    };
    let (_, of_file) = file.rsplit_once(':')?;
    (of_file.parse() == Ok(inode)).then(|| id.parse().ok())?
}

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    let soft = line.split_whitespace().nth(3)?;
    match soft {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_names_the_holder_of_a_lock() {
        let line = "12: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF";
        assert_eq!(holder(line, 131_090), Some(4711));
        assert_eq!(holder(line, 131_091), None);
        assert_eq!(
            holder("1: POSIX  ADVISORY  WRITE 4711 08:01:131090 0 EOF", 131_090),
            None
        );
        assert_eq!(holder("", 1), None);
    }

    #[test]
    fn limits_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           \
            Units     \nMax open files            1024                 524288               \
            files     \n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(
            soft_limit("Max open files            unlimited            unlimited            files"),
            Some(u64::MAX)
        );
    }
}
