//! The key of the next tree: read, or created in the key folder.

use std::path::{Path, PathBuf};

use ledger::key_file::{self, KeyOrigin};
use ring::rand::SystemRandom;
use tlog::{Hash, KeyAlgorithm, VerifyingKey};

use super::key_folder::KeyFolder;
use super::target::Target;
use crate::banner::print;
use crate::failure::{Failure, FailureKind, Outcome};

/// The key of the next tree.
pub(crate) struct NextKey {
    pub key: VerifyingKey,
    pub path: PathBuf,
}

impl NextKey {
    /// Returns SHA-256 of the SPKI, by which servers show that they hold the key.
    pub(crate) fn digest(&self) -> Hash {
        tlog::sha256(self.key.spki())
    }
}

/// Returns the next key: the one in the file `named`, or the one that an earlier run registered, or
/// a new one in the key folder. Its file can be read by the owner of that folder.
pub(crate) async fn next_key(
    target: &Target<'_>,
    named: Option<&Path>,
    folder: &KeyFolder,
) -> Outcome<NextKey> {
    let registered = target.registered().await?;
    // A rotation that was overtaken may have registered a key that a tree has by now.
    let begun = registered.filter(|digest| !target.is_used(digest));
    let next = match (named, begun) {
        (Some(path), _) => read_or_create(target, path, folder)?,
        (None, Some(digest)) => begun_key(target, &digest, folder)?,
        (None, None) => {
            folder.create()?;
            let name = format!("{}-log-{}.pem", target.api, target.next_number());
            read_or_create(target, &folder.path().join(name), folder)?
        }
    };
    if let Some(replaced) = begun.filter(|digest| *digest != next.digest()) {
        print(format_args!(
            "it replaces the key with SHA-256 {replaced}, which an earlier run registered"
        ))?;
    }
    match folder.fault_of(&next.path) {
        Some(fault) => Err(Failure::new(FailureKind::Key, fault)),
        None => Ok(next),
    }
}

/// Returns the key in the file that `--next-key` names, if that file exists and can be used.
pub(crate) fn named_key(target: &Target<'_>, path: &Path) -> Option<VerifyingKey> {
    let read = key_file::read(path, target.api.log_key, &SystemRandom::new());
    read.ok().map(|key| key.verifying_key().clone())
}

/// Finds the key of a rotation that was begun.
fn begun_key(target: &Target<'_>, digest: &Hash, folder: &KeyFolder) -> Outcome<NextKey> {
    for path in ledger::key_files(folder.path()) {
        let Some(key) = named_key(target, &path) else {
            continue;
        };
        let next = NextKey { key, path };
        if next.digest() == *digest {
            let file = next.path.display();
            print(format_args!(
                "next key: {file}, SHA-256 {digest}; this continues the rotation that an earlier \
                 run began"
            ))?;
            return Ok(next);
        }
    }
    Err(Failure::new(
        FailureKind::Key,
        format_args!(
            "a rotation to the key with SHA-256 {digest} was begun, and that key is not in {}: put \
             it there, or begin with another key, which --next-key FILE names, or take the \
             rotation back with --abort",
            folder.path().display()
        ),
    ))
}

/// Reads the key of a file, or creates both.
fn read_or_create(target: &Target<'_>, path: &Path, folder: &KeyFolder) -> Outcome<NextKey> {
    let algorithms = algorithms(target);
    let owner = folder.owner_of_new_keys();
    let rng = SystemRandom::new();
    let found = key_file::read_or_make_for(path, &algorithms, owner, &rng);
    let (key, origin) = found.map_err(|error| Failure::new(FailureKind::Key, error))?;
    let next = NextKey {
        key: key.verifying_key().clone(),
        path: path.to_owned(),
    };
    let verb = match origin {
        KeyOrigin::Made => "created",
        KeyOrigin::Found => "found",
    };
    let (file, digest) = (path.display(), next.digest());
    print(format_args!(
        "next key: {verb} {file}, SHA-256 {digest}; copy it now, apart from the copies of the \
         database"
    ))?;
    Ok(next)
}

/// Returns the algorithms that the next key may have. A new one has the first, which is that of the
/// active tree's key.
fn algorithms(target: &Target<'_>) -> Vec<KeyAlgorithm> {
    let current = target.log_key_algorithm();
    let others = target.api.log_key.iter().copied();
    let others = others.filter(|algorithm| Some(*algorithm) != current);
    current.into_iter().chain(others).collect()
}
