//! The key files of a ledger, in two stages: [`KeyFiles::locate`] turns the settings into absolute
//! paths and touches no file; after that [`KeyFiles::read`] reads the keys of logs that exist, and
//! [`KeyFiles::create`] creates those of new ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::key_file::{self, KeyFileError, KeyOrigin};
use ledger::store::{KeyRole, TreeRow};
use ledger::{Api, KeyRing, NewLog, Tree, V1, V2};
use ring::rand::SystemRandom;
use tlog::{Hash, KeyAlgorithm, SigningKey, VerifyingKey};

use crate::banner::LogFacts;
use crate::config::Config;
use crate::data_folder;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// The folder of further keys in the data folder.
const KEY_FOLDER: &str = "keys";

/// Absolute paths of the key files of all logs. The files need not exist.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    files: [KeyFile; 3],
    folder: PathBuf,
    /// The host name of a new v2 log, if it has one of its own.
    v2_name: Option<String>,
}

/// The file of one key of a log.
#[derive(Debug)]
pub(crate) struct KeyFile {
    api: &'static Api,
    role: KeyRole,
    /// The flag that names the file.
    pub flag: &'static str,
    pub path: PathBuf,
    /// Whether a setting names it, or it is in the data folder by default.
    named: Named,
    /// The algorithms that the key may have. A key that is created has the first.
    algorithms: Vec<KeyAlgorithm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    BySetting,
    ByDefault,
}

/// The keys of a ledger, read from their files.
pub(crate) struct Keys {
    /// The keys of the files, and those of the key folder.
    pub ring: KeyRing,
    /// Where each key is.
    pub places: KeyPlaces,
    /// The files that this start created.
    pub created: Vec<PathBuf>,
}

/// The file of each key.
pub(crate) struct KeyPlaces {
    in_files: Vec<(VerifyingKey, PathBuf)>,
    folder: PathBuf,
}

impl KeyFiles {
    /// Finds where the key files are by the settings.
    pub(crate) fn locate(config: &Config) -> Outcome<Self> {
        let file = |api, role, flag, given: &Option<PathBuf>, name| {
            let (path, named) = match given {
                Some(path) => (path.clone(), Named::BySetting),
                None => (config.data_dir.join(name), Named::ByDefault),
            };
            Ok(KeyFile {
                api,
                role,
                flag,
                path: absolute(&path)?,
                named,
                algorithms: algorithms(config, api, role),
            })
        };
        let (log, checkpoint) = (KeyRole::Log, KeyRole::Checkpoint);
        let v1_checkpoint = &config.v1_checkpoint_key;
        let in_data_dir = || config.data_dir.join(KEY_FOLDER);
        Ok(Self {
            files: [
                file(&V1, log, "--v1-key", &config.v1_key, "v1-log.pem")?,
                file(
                    &V1,
                    checkpoint,
                    "--v1-checkpoint-key",
                    v1_checkpoint,
                    "v1-checkpoint.pem",
                )?,
                file(&V2, log, "--v2-key", &config.v2_key, "v2-log.pem")?,
            ],
            folder: absolute(&config.key_dir.clone().unwrap_or_else(in_data_dir))?,
            v2_name: config.v2_name.clone(),
        })
    }

    /// Returns the folder of further log keys.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn of_log(&self, api: &str) -> impl Iterator<Item = &KeyFile> {
        let is_of_log = move |file: &&KeyFile| file.api.name == api;
        self.files.iter().filter(is_of_log)
    }

    /// Returns a key file of one of the logs that exists although no setting names it. A named file
    /// is meant to be used; a file that is merely there may belong to a ledger that was lost.
    pub(crate) fn unnamed(&self, apis: &[&'static Api]) -> Option<&KeyFile> {
        let mut files = apis.iter().flat_map(|api| self.of_log(api.name));
        files.find(|file| file.named == Named::ByDefault && file.path.exists())
    }

    /// Reads the keys of logs that exist, given by their active trees. Creates none, because a log
    /// without its key must not continue under another.
    pub(crate) fn read(&self, trees: &[TreeRow]) -> Outcome<Keys> {
        let keys = self.read_found(trees)?;
        for tree in trees {
            self.check_held(tree, &keys)?;
        }
        Ok(keys)
    }

    /// Reads the keys of logs whose files exist.
    pub(crate) fn read_found(&self, trees: &[TreeRow]) -> Outcome<Keys> {
        let rng = SystemRandom::new();
        let mut found = Vec::new();
        for file in trees.iter().flat_map(|tree| self.of_log(&tree.api)) {
            let allowed = allowed(file.api, file.role);
            match key_file::read(&file.path, allowed, &rng) {
                Ok(key) => found.push((file, key)),
                Err(KeyFileError::Missing(_)) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        Ok(self.keys(found, Vec::new()))
    }

    /// Creates the keys of new logs. Key files that exist are used as they are.
    pub(crate) fn create(&self, apis: &[&'static Api]) -> Outcome<(Keys, Vec<NewLog>)> {
        let rng = SystemRandom::new();
        let (mut found, mut created) = (Vec::new(), Vec::new());
        for file in apis.iter().flat_map(|api| self.of_log(api.name)) {
            if let (Named::ByDefault, Some(folder)) = (file.named, file.path.parent()) {
                data_folder::create(folder)?;
            }
            let key = key_file::read_or_make(&file.path, &file.algorithms, &rng);
            let (key, origin) = key.map_err(failure)?;
            if origin == KeyOrigin::Made {
                created.push(file.path.clone());
            }
            found.push((file, key));
        }
        let new_logs = apis.iter().filter_map(|api| self.new_log(api, &found));
        let new_logs = new_logs.collect();
        Ok((self.keys(found, created), new_logs))
    }

    /// Describes a new log with the public halves of its keys.
    fn new_log(&self, api: &'static Api, found: &[(&KeyFile, SigningKey)]) -> Option<NewLog> {
        let key = |role: KeyRole| {
            let is_meant = |file: &KeyFile| file.api == api && file.role == role;
            let (_, key) = found.iter().find(|(file, _)| is_meant(file))?;
            Some(key.verifying_key().clone())
        };
        Some(NewLog {
            api,
            origin: self.v2_name.clone().filter(|_| api == &V2),
            log_key: key(KeyRole::Log)?,
            checkpoint_key: key(KeyRole::Checkpoint),
        })
    }

    fn keys(&self, found: Vec<(&KeyFile, SigningKey)>, created: Vec<PathBuf>) -> Keys {
        let place =
            |(file, key): &(&KeyFile, SigningKey)| (key.verifying_key().clone(), file.path.clone());
        let places = KeyPlaces {
            in_files: found.iter().map(place).collect(),
            folder: self.folder.clone(),
        };
        let ring = KeyRing::new(found.into_iter().map(|(_, key)| key));
        Keys {
            ring: ring.with_folder(self.folder.clone(), &SystemRandom::new()),
            places,
            created,
        }
    }

    /// Refuses to go on without the keys of an active tree.
    pub(crate) fn check_held(&self, tree: &TreeRow, keys: &Keys) -> Outcome<()> {
        for stored in &tree.keys {
            if keys.ring.find(&tlog::sha256(&stored.spki)).is_some() {
                continue;
            }
            let file = self.of_log(&tree.api).find(|file| file.role == stored.role);
            if let Some(file) = file {
                return Err(file.lacks_key(tree, keys));
            }
        }
        Ok(())
    }
}

impl KeyFile {
    /// Returns the failure of a start that does not find the key of a tree in this file.
    fn lacks_key(&self, tree: &TreeRow, keys: &Keys) -> Failure {
        let Self {
            role, flag, path, ..
        } = self;
        let is_there = keys.places.in_files.iter().any(|(_, place)| place == path);
        let (state, remedy) = match is_there {
            true => ("holds another key", "put the key of the log in its place"),
            false => ("does not exist", "restore that file from its copy"),
        };
        let log_id = log_id(tree).map(|log_id| format!(", log ID {log_id}"));
        Failure::new(
            FailureKind::Key,
            format_args!(
                "the {} log of {:?} (tree {}{}) needs its {role} key, and {} {state}; {remedy}, or \
                 name its place with {flag}",
                self.api,
                tree.name,
                tree.tree_id,
                log_id.unwrap_or_default(),
                path.display()
            ),
        )
    }
}

impl KeyPlaces {
    /// Returns what the banner shows of a log.
    pub(crate) fn facts(&self, tree: Arc<Tree>) -> LogFacts {
        LogFacts {
            log_key: self.of(&tree.log_key).to_owned(),
            checkpoint_key: self.of(&tree.checkpoint_key).to_owned(),
            tree,
        }
    }

    /// Returns the file of a key, or the folder of further keys, where each rotation puts one.
    fn of(&self, key: &VerifyingKey) -> &Path {
        let mut in_files = self.in_files.iter();
        let found = in_files.find(|(held, _)| held == key);
        found.map_or(&self.folder, |(_, path)| path)
    }
}

/// Returns the algorithms that a key of this role may have.
fn allowed(api: &'static Api, role: KeyRole) -> &'static [KeyAlgorithm] {
    match role {
        KeyRole::Log => api.log_key,
        KeyRole::Checkpoint => &[KeyAlgorithm::Ed25519],
    }
}

/// Returns the algorithms of a new key, by the settings where they say.
fn algorithms(config: &Config, api: &'static Api, role: KeyRole) -> Vec<KeyAlgorithm> {
    match config.v2_key_algorithm {
        Some(algorithm) if api == &V2 => vec![algorithm.into()],
        _ => allowed(api, role).to_vec(),
    }
}

/// Returns whether a tree was created with this key.
pub(crate) fn is_key_of(tree: &TreeRow, key: &VerifyingKey) -> bool {
    tree.keys.iter().any(|stored| stored.spki == key.spki())
}

/// Returns the log ID of a stored tree. A damaged tree may lack it, which
/// [`ledger::Ledger::open`] reports.
pub(crate) fn log_id(tree: &TreeRow) -> Option<Hash> {
    let api = Api::by_name(&tree.api)?;
    Some(Tree::of(tree, api).ok()?.log_id)
}

fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).explain(FailureKind::Key, path.display())
}

fn failure(error: KeyFileError) -> Failure {
    Failure::new(FailureKind::Key, error)
}
