//! The file that a connection has open, and its WAL.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::{StoreError, StoreResult};

/// The file behind a path at one moment. If a backup replaces the file, an open connection
/// continues to write to the old file, which has no name any more. Acknowledged entries would be
/// lost when the process ends.
#[derive(Debug)]
pub(super) struct FileIdentity {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl FileIdentity {
    pub(super) fn of(path: &Path) -> StoreResult<Self> {
        Ok(Self {
            path: path.to_owned(),
            device_and_inode: device_and_inode(path)?,
        })
    }

    /// Fails if the path leads to another file now. One `stat`, a microsecond.
    pub(super) fn check(&self) -> StoreResult<()> {
        if device_and_inode(&self.path)? == self.device_and_inode {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "{} was replaced while it was open",
            self.path.display()
        )))
    }
}

/// Returns the bytes of a file's WAL; 0 without a WAL, `None` if it cannot be read.
pub(super) fn wal_bytes(path: &Path) -> Option<u64> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    match Path::new(&wal).metadata() {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(0),
        Err(_) => None,
    }
}

fn device_and_inode(path: &Path) -> StoreResult<(u64, u64)> {
    let metadata = path
        .metadata()
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
    Ok((metadata.dev(), metadata.ino()))
}
