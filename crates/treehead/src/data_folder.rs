//! The data folder and the lock that keeps two servers off one SQLite database.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ledger::key_file;

use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Mode of a new data folder: only the server itself may look into it.
const FOLDER_MODE: u32 = 0o700;
/// Mode bit by which every user may create, replace and remove files.
const OTHERS_WRITE: u32 = 0o002;
/// Mode bits by which the group or every user may do anything at all.
const OTHERS_LOOK: u32 = 0o077;
const LOCK_NAME: &str = "treehead.lock";
const DATABASE_NAME: &str = "treehead.db";
const GUARD_NAME: &str = "guard";

/// The lock, held until this value is dropped. The kernel releases it however the process ends, so
/// no stale lock remains.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Creates the folder and its parents where they are absent, and returns its absolute path.
pub(crate) fn create(folder: &Path) -> Outcome<PathBuf> {
    let refused = |error| {
        Failure::new(
            FailureKind::Other,
            format_args!("data folder {}: {error}", folder.display()),
        )
    };
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(refused)?;
    folder.canonicalize().map_err(refused)
}

/// Warns of a folder in which others may replace or see files: whoever replaces the database, or
/// puts a key into `keys`, decides what the log signs.
///
/// Such a folder is not refused, because volumes of containers are often open to every user of a
/// container that has only one.
pub(crate) fn warn_of_exposure(folder: &Path) -> Outcome<()> {
    for exposure in exposures(folder)? {
        tracing::warn!("{exposure}");
    }
    Ok(())
}

/// Returns what others may do to a folder.
pub(crate) fn exposures(folder: &Path) -> Outcome<Vec<String>> {
    let metadata = folder
        .metadata()
        .explain(FailureKind::Other, folder.display())?;
    let shown = folder.display();
    let mut exposures = Vec::new();
    let mode = metadata.mode() & 0o7777;
    if let Some(warning) = exposure(mode) {
        exposures.push(format!(
            "{warning} the data folder {shown} (mode {mode:04o}); chmod 700 {shown}"
        ));
    }
    let owner = metadata.uid();
    if owner != 0 && key_file::effective_user() != Some(owner) {
        exposures.push(format!(
            "the data folder {shown} belongs to user {owner}, who can change everything in it"
        ));
    }
    Ok(exposures)
}

/// Returns the beginning of a warning about a folder of this mode, if it deserves one.
fn exposure(mode: u32) -> Option<&'static str> {
    match mode {
        mode if mode & OTHERS_WRITE != 0 => {
            Some("every user of this machine may replace the database and the keys in")
        }
        mode if mode & OTHERS_LOOK != 0 => Some("others may look into"),
        _ => None,
    }
}

/// Returns the path of the SQLite database.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE_NAME)
}

/// Returns the paths of the guards of servers that share the folder.
pub(crate) fn guards(folder: &Path, most: usize) -> impl Iterator<Item = PathBuf> {
    let others = (2..=most).map(|number| format!("{GUARD_NAME}-{number}"));
    let names = [GUARD_NAME.to_owned()].into_iter().chain(others);
    names.map(|name| folder.join(name))
}

/// Returns the path of the lock.
pub(crate) fn lock_file(folder: &Path) -> PathBuf {
    folder.join(LOCK_NAME)
}

/// Takes the lock. If another process holds it, the failure names the file to look for.
pub(crate) fn lock(folder: &Path) -> Outcome<FolderLock> {
    let path = lock_file(folder);
    // A link would lock the folder that it leads to.
    if path.is_symlink() {
        return Err(Failure::new(
            FailureKind::Other,
            format_args!("{}: a symbolic link; remove it", path.display()),
        ));
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
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
        let folder = create(&parent.path().join("a/b")).unwrap();
        assert_eq!(
            folder.metadata().unwrap().permissions().mode() & 0o777,
            FOLDER_MODE
        );
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
        create(parent.path()).unwrap();
        assert_eq!(
            parent.path().metadata().unwrap().permissions().mode() & 0o777,
            0o750
        );
    }

    #[test]
    fn a_folder_that_others_may_change_or_see_deserves_a_warning() {
        for (mode, words) in [
            (0o700, None),
            (0o750, Some("look")),
            (0o2775, Some("look")),
            (0o777, Some("replace")),
            (0o1777, Some("replace")),
        ] {
            let warning = exposure(mode);
            assert_eq!(warning.is_some(), words.is_some(), "{mode:o}");
            assert!(
                warning
                    .unwrap_or_default()
                    .contains(words.unwrap_or_default()),
                "{mode:o}: {warning:?}"
            );
        }
    }

    #[test]
    fn a_lock_that_is_a_link_is_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let elsewhere = parent.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, parent.path().join(LOCK_NAME)).unwrap();
        lock(parent.path()).unwrap_err();
        assert!(!elsewhere.exists());
    }
}
