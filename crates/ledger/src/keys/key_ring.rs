//! The signing keys that a server holds, of all its logs: the given ones, and those of a folder,
//! which may get another one while the server runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ring::rand::SecureRandom;
use tlog::{Hash, KeyAlgorithm, SigningKey};

use super::key_file;

/// Key files that are read of one folder: a log that rotates twice a year has as many after 30
/// years.
const MAX_KEY_FILES: usize = 64;
/// The extension of a key file.
const EXTENSION: &str = "pem";

/// The algorithms of the keys that a log may have.
const ALGORITHMS: [KeyAlgorithm; 2] = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519];

/// Signing keys, each found by the SHA-256 of its SPKI.
pub struct KeyRing {
    held: RwLock<Vec<Arc<SigningKey>>>,
    folder: Option<PathBuf>,
}

impl KeyRing {
    /// Makes a ring of the given keys, in their order.
    pub fn new(keys: impl IntoIterator<Item = SigningKey>) -> Self {
        Self {
            held: RwLock::new(keys.into_iter().map(Arc::new).collect()),
            folder: None,
        }
    }

    /// Adds the keys of all `.pem` files in `folder`, now and whenever [`KeyRing::look`] is called.
    /// A folder that does not exist counts as empty.
    pub fn with_folder(mut self, folder: PathBuf, rng: &dyn SecureRandom) -> Self {
        self.folder = Some(folder);
        self.look(rng);
        self
    }

    /// Returns the key whose SPKI has this SHA-256.
    pub fn find(&self, digest: &Hash) -> Option<Arc<SigningKey>> {
        self.read(|held| held.iter().find(|key| digest_of(key) == *digest).cloned())
    }

    /// Returns the SHA-256 of the SPKI of each key.
    pub fn digests(&self) -> Vec<Hash> {
        self.read(|held| held.iter().map(|key| digest_of(key)).collect())
    }

    /// Returns the folder, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Adds new keys of the folder. A key whose file is removed stays until the process ends. A
    /// file that cannot be used is left out, and reported in the log.
    pub fn look(&self, rng: &dyn SecureRandom) {
        let Some(folder) = &self.folder else { return };
        for path in key_files(folder) {
            match key_file::read_again(&path, &ALGORITHMS, rng) {
                Ok(key) => {
                    if self.add(key) {
                        key_file::warn_of_writers(&path);
                    }
                }
                Err(error) => tracing::warn!(%error, "a file in the key folder is not used"),
            }
        }
    }

    /// Adds a key. Returns whether it is new.
    fn add(&self, key: SigningKey) -> bool {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !held
            .iter()
            .any(|other| other.verifying_key() == key.verifying_key());
        if is_new {
            held.push(Arc::new(key));
        }
        is_new
    }

    /// The list is whole between any two calls, so a panic elsewhere does not spoil it.
    fn read<T>(&self, f: impl FnOnce(&[Arc<SigningKey>]) -> T) -> T {
        f(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the SHA-256 of a key's SPKI.
fn digest_of(key: &SigningKey) -> Hash {
    tlog::sha256(key.verifying_key().spki())
}

/// Returns the paths of the key files in a folder, by name. A folder that does not exist counts as
/// empty.
pub fn key_files(folder: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "the key folder cannot be read");
            return Vec::new();
        }
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == EXTENSION)
        })
        .collect();
    files.sort();
    files.truncate(MAX_KEY_FILES);
    files
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    #[test]
    fn keys_of_the_folder_are_found_when_they_come_and_stay_when_they_go() {
        let folder = tempfile::tempdir().unwrap();
        let rng = SystemRandom::new();
        let ring = KeyRing::new([]).with_folder(folder.path().join("keys"), &rng);
        assert!(ring.digests().is_empty());
        fs::create_dir(folder.path().join("keys")).unwrap();
        let path = folder.path().join("keys/one.pem");
        let (key, _) = key_file::read_or_make(&path, &ALGORITHMS, &rng).unwrap();
        fs::write(folder.path().join("keys/broken.pem"), "no key").unwrap();
        fs::write(folder.path().join("keys/note.txt"), "no key").unwrap();
        let digest = digest_of(&key);
        assert!(ring.find(&digest).is_none());
        ring.look(&rng);
        ring.look(&rng);
        assert_eq!(ring.digests(), [digest]);
        fs::remove_file(path).unwrap();
        ring.look(&rng);
        assert!(ring.find(&digest).is_some());
    }
}
