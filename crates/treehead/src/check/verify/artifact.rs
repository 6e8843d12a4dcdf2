//! The artifact that a bundle or an entry must be about, and the files that are read for it.

use std::fs;
use std::path::{Path, PathBuf};

use tlog::Hash;

use crate::failure::{Explain as _, FailureKind, Outcome};
use crate::file_digest;

/// What a bundle or an entry must be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Artifact {
    File(PathBuf),
    Digest(Hash),
}

impl Artifact {
    /// A text `sha256:HEX` that is no file is a digest.
    pub(super) fn of(path: &Path) -> Self {
        let digest = path.to_str().and_then(|text| {
            let mut hash = Hash([0; 32]);
            hex::decode_to_slice(text.strip_prefix("sha256:")?, &mut hash.0).ok()?;
            Some(hash)
        });
        match digest {
            Some(hash) if !path.exists() => Self::Digest(hash),
            _ => Self::File(path.to_owned()),
        }
    }

    /// Returns its SHA-256.
    pub(super) fn hash(&self) -> Outcome<Hash> {
        match self {
            Self::File(path) => {
                file_digest::sha256(path).explain(FailureKind::Usage, path.display())
            }
            Self::Digest(hash) => Ok(*hash),
        }
    }
}

impl std::fmt::Display for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Digest(hash) => write!(f, "sha256:{hash}"),
        }
    }
}

/// Reads a file that a flag names.
pub(super) fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).explain(FailureKind::Usage, path.display())
}
