//! The key files of a log, in two stages: [`KeyFiles::locate`] turns the settings into absolute
//! paths and touches no file; after that [`KeyFiles::read`] reads the keys of a log that exists,
//! and [`KeyFiles::create`] creates those of a new one.

use std::path::{Path, PathBuf};

use ledger::key_file::{self, KeyFileError, KeyOrigin};
use ledger::store::{KeyRole, TreeRow};
use ledger::{KeyRing, key_files};
use ring::rand::SystemRandom;
use tlog::{Hash, KeyAlgorithm, SigningKey, VerifyingKey};

use crate::config::Config;
use crate::data_folder;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// The file of the log key in the data folder.
const LOG_KEY: &str = "log-key.pem";
/// The folder of further keys in the data folder.
const KEY_FOLDER: &str = "keys";

/// Absolute paths of the key files. The files need not exist.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    log: LogKeyFile,
    folder: PathBuf,
    ed25519: Option<PathBuf>,
}

/// The file of the log key.
#[derive(Debug)]
enum LogKeyFile {
    /// A setting names it.
    Named(PathBuf),
    /// No setting names it, so it is in the data folder.
    Default(PathBuf),
}

/// The keys of a log, read from their files.
pub(crate) struct Keys {
    /// The log keys: first the one of the log key's file, then those of the key folder.
    pub ring: KeyRing,
    /// The Ed25519 key, if the log has one.
    pub ed25519: Option<SigningKey>,
    /// Whether this start created the log key.
    pub origin: KeyOrigin,
    /// Log ID of the key in the log key's file, which may be absent after a rotation.
    pub in_log_file: Option<Hash>,
}

impl KeyFiles {
    /// Finds where the key files are by the settings.
    pub(crate) fn locate(config: &Config) -> Outcome<Self> {
        let in_data_dir = |name| absolute(&config.data_dir.join(name));
        let log = match &config.key {
            Some(path) => LogKeyFile::Named(absolute(path)?),
            None => LogKeyFile::Default(in_data_dir(LOG_KEY)?),
        };
        let folder = match &config.key_dir {
            Some(path) => absolute(path)?,
            None => in_data_dir(KEY_FOLDER)?,
        };
        let ed25519 = config.ed25519_key.as_deref().map(absolute).transpose()?;
        Ok(Self {
            log,
            folder,
            ed25519,
        })
    }

    /// Returns the file of the log key.
    pub(crate) fn log(&self) -> &Path {
        match &self.log {
            LogKeyFile::Named(path) | LogKeyFile::Default(path) => path,
        }
    }

    /// Returns the folder of further log keys.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the log key's file if it exists although no setting names it. A named file is meant
    /// to be used; a file that is merely there may belong to a log that was lost.
    pub(crate) fn unnamed_log_key(&self) -> Option<&Path> {
        match &self.log {
            LogKeyFile::Default(path) if path.exists() => Some(path),
            LogKeyFile::Default(_) | LogKeyFile::Named(_) => None,
        }
    }

    /// Reads the keys of a log that exists. Creates none, because a log without its key must not
    /// continue under another.
    pub(crate) fn read(&self, tree: &TreeRow) -> Outcome<Keys> {
        let rng = SystemRandom::new();
        let first = match key_file::read(self.log(), KeyAlgorithm::EcdsaP256, &rng) {
            Ok(key) => Some(key),
            Err(KeyFileError::Missing(_)) => None,
            Err(error) => return Err(failure(error)),
        };
        let in_log_file = first.as_ref().map(|key| key.verifying_key().log_id());
        let ring = KeyRing::new(first).with_folder(self.folder.clone(), &rng);
        if in_log_file.is_none() {
            self.check_held(tree, &ring)?;
        }
        Ok(Keys {
            ring,
            ed25519: self.read_ed25519()?,
            origin: KeyOrigin::Found,
            in_log_file,
        })
    }

    /// Creates the keys of a new log, and returns them with the public log key. Key files that
    /// exist are used as they are.
    pub(crate) fn create(&self) -> Outcome<(Keys, VerifyingKey)> {
        let rng = SystemRandom::new();
        if let LogKeyFile::Default(path) = &self.log
            && let Some(folder) = path.parent()
        {
            data_folder::create(folder)?;
        }
        let created = key_file::read_or_make(self.log(), KeyAlgorithm::EcdsaP256, &rng);
        let (key, origin) = created.map_err(failure)?;
        let ed25519 = match &self.ed25519 {
            Some(path) => {
                let created = key_file::read_or_make(path, KeyAlgorithm::Ed25519, &rng);
                let (ed25519, _) = created.map_err(failure)?;
                Some(ed25519)
            }
            None => None,
        };
        let log_key = key.verifying_key().clone();
        let keys = Keys {
            ring: KeyRing::new([key]).with_folder(self.folder.clone(), &rng),
            ed25519,
            origin,
            in_log_file: Some(log_key.log_id()),
        };
        Ok((keys, log_key))
    }

    /// Reads the Ed25519 key, if the log is to have one. Whether it is the tree's key is checked
    /// when the log is opened.
    pub(crate) fn read_ed25519(&self) -> Outcome<Option<SigningKey>> {
        let Some(path) = &self.ed25519 else {
            return Ok(None);
        };
        let key = key_file::read(path, KeyAlgorithm::Ed25519, &SystemRandom::new());
        key.map(Some).map_err(failure)
    }

    /// Returns the log key of a tree, if one of the files holds it.
    pub(crate) fn key_of(&self, tree: &TreeRow) -> Option<SigningKey> {
        let rng = SystemRandom::new();
        let mut paths = key_files(&self.folder);
        paths.push(self.log().to_owned());
        let keys = paths
            .iter()
            .filter_map(|path| key_file::read(path, KeyAlgorithm::EcdsaP256, &rng).ok());
        let mut keys = keys.filter(|key| is_key_of(tree, key.verifying_key()));
        keys.next()
    }

    /// Refuses to start without the log key of the tree.
    fn check_held(&self, tree: &TreeRow, ring: &KeyRing) -> Outcome<()> {
        let Some(log_id) = log_id(tree) else {
            return Ok(());
        };
        if ring.find(&log_id).is_some() {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::Key,
            format_args!(
                "the log {:?} (tree {}) needs its key, log ID {log_id}, and {} does not exist; \
                 restore that file from its copy, or name its place with --key",
                tree.name,
                tree.tree_id,
                self.log().display()
            ),
        ))
    }
}

/// Returns whether a tree was created with this key.
pub(crate) fn is_key_of(tree: &TreeRow, key: &VerifyingKey) -> bool {
    tree.keys.iter().any(|stored| stored.spki == key.spki())
}

/// Returns the log ID of a stored tree. A damaged tree may lack it, which
/// [`ledger::Ledger::open`] reports.
pub(crate) fn log_id(tree: &TreeRow) -> Option<Hash> {
    let key = tree.keys.iter().find(|key| key.role == KeyRole::Log)?;
    Some(tlog::sha256(&key.spki))
}

fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).explain(FailureKind::Key, path.display())
}

fn failure(error: KeyFileError) -> Failure {
    Failure::new(FailureKind::Key, error)
}
