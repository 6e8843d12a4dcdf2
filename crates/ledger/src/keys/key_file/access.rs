//! The users that may read and change a key file.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Permission bits of everybody but owner and group: none is allowed.
const OTHERS: u32 = 0o007;
/// Permission bits with which the group changes or runs a file. Its read bit is always allowed:
/// that is how Kubernetes and systemd hand a secret over to a process that does not run as root.
const GROUP_CHANGES: u32 = 0o030;
const GROUP_WRITES: u32 = 0o020;

/// The user and the group to which a new file is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's ID.
    pub user: u32,
    /// The group's ID.
    pub group: u32,
}

/// Returns whether only the owner can have read or changed a key file.
///
/// Kubernetes makes all files of a volume with `fsGroup` writable by that group, at each mount. So
/// the group may write where the owner is root or this process's user: nobody else can have given
/// the group that right.
pub(super) fn is_private(file: &Metadata) -> bool {
    let group_changes = file.mode() & GROUP_CHANGES != 0;
    let is_ours = file.uid() == 0 || effective_user() == Some(file.uid());
    file.mode() & OTHERS == 0 && (!group_changes || is_ours)
}

/// Warns of a key file that its group may change: whoever does that decides what the log signs.
pub(crate) fn warn_of_writers(path: &Path) {
    let mode = fs::metadata(path).map_or(0, |file| file.mode() & 0o7777);
    if mode & GROUP_WRITES != 0 {
        let shown = path.display();
        tracing::warn!(
            "the group of the key file {shown} may change it (mode {mode:04o}); chmod 640 {shown}"
        );
    }
}

/// Returns the effective user ID of this process; `None` if `/proc` is not mounted.
pub fn effective_user() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // Real, effective, saved, file system (proc_pid_status(5)).
    ids.split_whitespace().nth(1)?.parse().ok()
}
