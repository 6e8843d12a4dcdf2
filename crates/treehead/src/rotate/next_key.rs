//! The key of the next tree: read, or created in the key folder.

use std::path::{Path, PathBuf};

use ledger::key_file::{self, KeyOrigin};
use ledger::store::{Store, TreeRow};
use ledger::{KeyRing, rotation};
use ring::rand::SystemRandom;
use tlog::{Hash, KeyAlgorithm, SigningKey, VerifyingKey};

use super::Rotation;
use crate::banner::print;
use crate::data_folder;
use crate::failure::{Failure, FailureKind, Outcome};

/// The key of the next tree.
pub(super) struct NextKey {
    pub key: VerifyingKey,
    /// The file of the key, or the folder that holds it.
    pub path: PathBuf,
}

impl Rotation<'_> {
    /// Returns the next key: the one in the file that `--next-key` names, or the one that an
    /// earlier run registered, or a new one in the key folder.
    pub(super) async fn next_key(
        &self,
        store: &dyn Store,
        trees: &[TreeRow],
        active: &TreeRow,
    ) -> Outcome<NextKey> {
        if let Some(path) = &self.flags.next_key {
            return read_or_create(path);
        }
        let registered = rotation::registered(store, &active.name).await;
        let registered = registered.map_err(|error| self.database.failure(&error))?;
        // A rotation that was overtaken may have registered a key that a tree has by now.
        let waiting = registered.filter(|log_id| !has_key(trees, log_id));
        let folder = self.key_files.folder();
        data_folder::create(folder)?;
        let Some(log_id) = waiting else {
            return read_or_create(&folder.join(format!("log-key-{}.pem", trees.len() + 1)));
        };
        let ring = KeyRing::new([]).with_folder(folder.to_owned(), &SystemRandom::new());
        match ring.find(&log_id) {
            Some(key) => Ok(NextKey {
                key: key.verifying_key().clone(),
                path: folder.to_owned(),
            }),
            None => Err(Failure::new(
                FailureKind::Key,
                format_args!(
                    "a rotation to the key with log ID {log_id} was begun, and that key is not in \
                     {}: put it there, or begin with another key, which --next-key FILE names",
                    folder.display()
                ),
            )),
        }
    }

    /// Returns the key in the file that `--next-key` names, if that file exists and can be used.
    pub(super) fn named_next_key(&self) -> Option<SigningKey> {
        let path = self.flags.next_key.as_deref()?;
        key_file::read(path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()).ok()
    }
}

fn has_key(trees: &[TreeRow], log_id: &Hash) -> bool {
    let mut keys = trees.iter().flat_map(|tree| &tree.keys);
    keys.any(|key| tlog::sha256(&key.spki) == *log_id)
}

/// Reads the key of a file, or creates both.
fn read_or_create(path: &Path) -> Outcome<NextKey> {
    let rng = SystemRandom::new();
    let (key, origin) = key_file::read_or_make(path, KeyAlgorithm::EcdsaP256, &rng)
        .map_err(|error| Failure::new(FailureKind::Key, error))?;
    let verb = if origin == KeyOrigin::Made {
        "created"
    } else {
        "found"
    };
    let key = key.verifying_key().clone();
    let (file, log_id) = (path.display(), key.log_id());
    print(format_args!("next key: {verb} {file}, log ID {log_id}"))?;
    Ok(NextKey {
        key,
        path: path.to_owned(),
    })
}
