//! The file of a private key: made once, never replaced.
//!
//! A key that is made here is PKCS#8 PEM of ECDSA P-256 or Ed25519, mode 0600; one that is found
//! may have any common form. Several processes may share the path and start at once: exactly one of
//! them makes the key and all of them use it. Absent on purpose: passphrases, and anything that
//! overwrites or deletes a key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use pem_rfc7468::LineEnding;
use ring::rand::SecureRandom;
use tlog::{KeyAlgorithm, SigningKey};

mod access;
mod pem;

pub(crate) use access::warn_of_writers;
pub use access::{Owner, effective_user};

/// Only the owner reads and writes a key that is made here.
const MODE: u32 = 0o600;
/// A P-256 key in PEM has 241 bytes, some 2,000 with text around it; this keeps a wrong path from
/// being read into memory.
const MAX_BYTES: u64 = 16 * 1024;

/// The origin of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// This call made it. It is durable.
    Made,
    /// The file was there, or another process made it in the same moment.
    Found,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// The file system.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// Its permissions are too wide.
    #[error("{0} may be read or changed by others (mode {mode:04o}); if nobody did, take that away: chmod 600 {0}", .path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds something else.
    #[error("{}: {why}", .path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// The fault of the file.
        why: String,
    },
    /// The random source failed.
    #[error("no randomness for a new key")]
    Random,
}

/// Reads the key at `path`, which must have one of the algorithms, and warns of a file that its
/// group may change.
pub fn read(
    path: &Path,
    algorithms: &[KeyAlgorithm],
    rng: &dyn SecureRandom,
) -> Result<SigningKey, KeyFileError> {
    let key = read_again(path, algorithms, rng)?;
    warn_of_writers(path);
    Ok(key)
}

/// Reads the key without the warning, for a file that is read time and again.
pub(crate) fn read_again(
    path: &Path,
    algorithms: &[KeyAlgorithm],
    rng: &dyn SecureRandom,
) -> Result<SigningKey, KeyFileError> {
    let io = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
        _ => KeyFileError::Io {
            path: path.to_owned(),
            error,
        },
    };
    let unusable = |why: String| KeyFileError::Unusable {
        path: path.to_owned(),
        why,
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(unusable("not a file".to_owned()));
    }
    if !access::is_private(&metadata) {
        let mode = metadata.permissions().mode() & 0o7777;
        return Err(KeyFileError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unusable(format!(
            "larger than {MAX_BYTES} bytes, so it is no key file"
        )));
    }
    let shown = path.display().to_string();
    let der = pem::private_key(&String::from_utf8_lossy(&bytes), &shown).map_err(unusable)?;
    let wrong = match algorithms {
        [KeyAlgorithm::EcdsaP256] => {
            "not an ECDSA P-256 key with its public half, the kind that Rekor's clients verify"
        }
        [KeyAlgorithm::Ed25519] => "not an Ed25519 key",
        _ => "neither an Ed25519 key nor an ECDSA P-256 key with its public half",
    };
    let key = SigningKey::from_pkcs8(&der, rng).map_err(|_| unusable(wrong.to_owned()))?;
    if algorithms.contains(&key.verifying_key().algorithm()) {
        Ok(key)
    } else {
        Err(unusable(wrong.to_owned()))
    }
}

/// Reads the key at `path`, which must have one of the algorithms, or makes one of the first. On
/// return the file and its name are durable.
///
/// If we die before the link, a temporary file with a key that nobody used is left beside `path`;
/// after it, the next start finds the key.
pub fn read_or_make(
    path: &Path,
    algorithms: &[KeyAlgorithm],
    rng: &dyn SecureRandom,
) -> Result<(SigningKey, KeyOrigin), KeyFileError> {
    read_or_make_for(path, algorithms, None, rng)
}

/// As [`read_or_make`]; a new file is given to `owner`, which only root may do.
pub fn read_or_make_for(
    path: &Path,
    algorithms: &[KeyAlgorithm],
    owner: Option<Owner>,
    rng: &dyn SecureRandom,
) -> Result<(SigningKey, KeyOrigin), KeyFileError> {
    let origin = match (fs::metadata(path), algorithms) {
        (Err(error), [first, ..]) if error.kind() == ErrorKind::NotFound => {
            make(path, *first, owner, rng)?
        }
        _ => KeyOrigin::Found,
    };
    let key = read(path, algorithms, rng)?;
    // Found keys too: the process that made it may not have come this far.
    sync_folder(path).map_err(|error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    })?;
    Ok((key, origin))
}

/// Writes a new key under a name of its own and links it to `path`, which never replaces what is
/// there.
fn make(
    path: &Path,
    algorithm: KeyAlgorithm,
    owner: Option<Owner>,
    rng: &dyn SecureRandom,
) -> Result<KeyOrigin, KeyFileError> {
    let der = match algorithm {
        KeyAlgorithm::EcdsaP256 => SigningKey::generate_p256_pkcs8(rng),
        KeyAlgorithm::Ed25519 => SigningKey::generate_ed25519_pkcs8(rng),
    };
    let der = der.map_err(|_| KeyFileError::Random)?;
    let pem = pem_rfc7468::encode_string(pem::PKCS8, LineEnding::LF, &der).map_err(|_| {
        KeyFileError::Unusable {
            path: path.to_owned(),
            why: "the new key does not fit into PEM".to_owned(),
        }
    })?;
    let temporary = temporary_name(path, rng)?;
    let io = |error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    };
    let written = write_new(&temporary, pem.as_bytes(), owner).and_then(|()| {
        match fs::hard_link(&temporary, path) {
            Ok(()) => Ok(KeyOrigin::Made),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(KeyOrigin::Found),
            Err(error) => Err(error),
        }
    });
    let removed = match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let origin = written.map_err(io)?;
    removed.map_err(io)?;
    Ok(origin)
}

fn write_new(path: &Path, bytes: &[u8], owner: Option<Owner>) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)?;
    file.write_all(bytes)?;
    // By its descriptor: whoever owns the folder may have put a link in the place of the name.
    if let Some(Owner { user, group }) = owner {
        fchown(&file, Some(user), Some(group))?;
    }
    file.sync_all()
}

/// A name beside `path` that no other process takes.
fn temporary_name(path: &Path, rng: &dyn SecureRandom) -> Result<PathBuf, KeyFileError> {
    let mut random = [0; 8];
    rng.fill(&mut random).map_err(|_| KeyFileError::Random)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", hex::encode(random)));
    Ok(path.with_file_name(name))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
