//! The key folder and the user whose server reads it.
//!
//! Root may rotate the log of a server that runs as another user. A key that root creates for
//! itself would be unreadable for that server, so whatever is created here belongs to the owner of
//! the key folder or, while there is no key folder, of the data folder.

use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

use ledger::key_file::{self, Owner};

use crate::failure::{Explain, FailureKind, Outcome};

/// Mode of a new key folder: only the server itself may look into it.
const FOLDER_MODE: u32 = 0o700;
/// Mode bits by which the owner and the group read a file.
const OWNER_READS: u32 = 0o400;
const GROUP_READS: u32 = 0o040;

/// The folder of further keys, which servers read while they run.
pub(crate) struct KeyFolder {
    path: PathBuf,
    /// The owner of this folder or of the data folder; `None` if neither exists.
    owner: Option<Owner>,
}

impl KeyFolder {
    /// Finds out who owns the key folder. Creates nothing.
    pub(crate) fn locate(path: &Path, data_dir: &Path) -> Self {
        let mut metadata = [path, data_dir].into_iter().map(fs::metadata);
        let owner = metadata.find_map(Result::ok).map(|found| owner_of(&found));
        Self {
            path: path.to_owned(),
            owner,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the owner of new keys, if that is not whoever runs this process. Only root can give
    /// files away.
    pub(crate) fn owner_of_new_keys(&self) -> Option<Owner> {
        self.owner.filter(|_| key_file::effective_user() == Some(0))
    }

    /// Creates the folder and its parents where they are absent.
    pub(crate) fn create(&self) -> Outcome<()> {
        let created = create_for(&self.path, self.owner_of_new_keys());
        let shown = self.path.display();
        created.explain(FailureKind::Other, format_args!("key folder {shown}"))
    }

    /// Returns why the owner of the folder cannot read this file in it, if that is certain. A file
    /// elsewhere is not read by servers, but copied to them.
    pub(crate) fn fault_of(&self, file: &Path) -> Option<String> {
        let server = self.owner.filter(|_| self.holds(file))?;
        let metadata = fs::metadata(file).ok()?;
        let is_readable = match owner_of(&metadata).user == server.user {
            true => metadata.mode() & OWNER_READS != 0,
            // The server may be a member of the group.
            false => metadata.mode() & GROUP_READS != 0,
        };
        let remedy = format!("chown {}:{} {}", server.user, server.group, file.display());
        let is_certain = server.user != 0 && !is_readable;
        is_certain.then(|| {
            format!(
                "{}, so user {}, who owns the key folder, cannot read it: {remedy}",
                readers(file),
                server.user
            )
        })
    }

    fn holds(&self, file: &Path) -> bool {
        let folder = file.parent().and_then(|parent| parent.canonicalize().ok());
        folder.is_some() && folder == self.path.canonicalize().ok()
    }
}

/// Describes who may read a file.
pub(crate) fn readers(file: &Path) -> String {
    let shown = file.display();
    match fs::metadata(file) {
        Ok(metadata) => {
            let (owner, mode) = (owner_of(&metadata), metadata.mode() & 0o7777);
            format!(
                "{shown} belongs to user {} and has mode {mode:04o}",
                owner.user
            )
        }
        Err(error) => format!("{shown}: {error}"),
    }
}

fn owner_of(metadata: &Metadata) -> Owner {
    Owner {
        user: metadata.uid(),
        group: metadata.gid(),
    }
}

/// Creates a folder and its parents where they are absent, all for this owner.
fn create_for(path: &Path, owner: Option<Owner>) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_for(parent, owner)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => {}
        // Another process created it at this moment.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        Err(error) => return Err(error),
    }
    match owner {
        // Not through a link that took the place of the new folder.
        Some(Owner { user, group }) => lchown(path, Some(user), Some(group)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_created_with_its_parents_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data/keys");
        let folder = KeyFolder::locate(&path, parent.path());
        folder.create().unwrap();
        folder.create().unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o777, FOLDER_MODE);
        let owner = fs::metadata(parent.path()).unwrap();
        assert_eq!(metadata.uid(), owner.uid());
    }

    #[test]
    fn a_file_that_the_owner_of_the_folder_cannot_read_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("key.pem");
        fs::write(&file, "").unwrap();
        let own = fs::metadata(&file).unwrap();
        let folder_of = |user| KeyFolder {
            path: parent.path().to_owned(),
            owner: Some(Owner {
                user,
                group: own.gid(),
            }),
        };
        let another = own.uid() + 4711;
        // Mode of the file, owner of the folder, whether the fault is certain.
        let cases = [
            (0o600, another, true),
            (0o640, another, false),
            (0o600, 0, false),
        ];
        for (mode, user, is_certain) in cases {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let fault = folder_of(user).fault_of(&file);
            assert_eq!(fault.is_some(), is_certain, "{mode:o} {user}: {fault:?}");
            assert!(fault.is_none_or(|text| text.contains("chown")));
        }
    }
}
