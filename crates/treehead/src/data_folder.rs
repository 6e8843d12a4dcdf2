//! The data folder and the lock that keeps two servers off one SQLite database.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// What is in it belongs to the server alone.
const FOLDER_MODE: u32 = 0o700;
const LOCK_NAME: &str = "treehead.lock";
const DATABASE_NAME: &str = "treehead.db";

/// Held as long as this lives. The kernel lets go of it however the process ends, so no stale lock is left.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Makes the folder, with those above it, unless it is there, and returns its absolute path.
pub(crate) fn make(folder: &Path) -> Outcome<PathBuf> {
    let refused = |error| Failure::new(FailureKind::Other, format_args!("data folder {}: {error}", folder.display()));
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(refused)?;
    folder.canonicalize().map_err(refused)
}

/// Where the SQLite database is.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE_NAME)
}

/// Takes the lock, or says who must be stopped first.
pub(crate) fn lock(folder: &Path) -> Outcome<FolderLock> {
    let path = folder.join(LOCK_NAME);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.explain(FailureKind::Other, path.display())?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            FailureKind::InUse,
            format_args!(
                "another treehead is using {} (it holds {}): one server at a time on SQLite; several servers need Postgres",
                folder.display(),
                path.display()
            ),
        )),
        Err(TryLockError::Error(error)) => Err(error).explain(FailureKind::Other, path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folder_is_private_and_locked_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = make(&parent.path().join("a/b")).unwrap();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, FOLDER_MODE);
        let held = lock(&folder).unwrap();
        let refused = lock(&folder).unwrap_err().to_string();
        assert!(refused.contains(&folder.display().to_string()), "{refused}");
        drop(held);
        lock(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_there_keeps_its_mode() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        make(parent.path()).unwrap();
        assert_eq!(parent.path().metadata().unwrap().permissions().mode() & 0o777, 0o750);
    }
}
