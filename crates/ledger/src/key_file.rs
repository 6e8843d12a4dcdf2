//! The file of a key that signs: made once, never replaced.
//!
//! PKCS#8 PEM of an ECDSA P-256 or Ed25519 key, mode 0600. Several processes may share the path and start at once: exactly one of them
//! makes the key and all of them use it. Absent on purpose: passphrases, and anything that overwrites or deletes a key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pem_rfc7468::LineEnding;
use ring::rand::SecureRandom;
use tlog::{KeyAlgorithm, SigningKey};

/// PEM label of PKCS#8.
const LABEL: &str = "PRIVATE KEY";
/// Only the owner reads and writes a key that is made here.
const MODE: u32 = 0o600;
/// What nobody but owner and group may do. The group may read: that is how Kubernetes and systemd hand a secret over to a
/// process that does not run as root.
const FORBIDDEN: u32 = 0o037;
/// A P-256 key in PEM has 241 bytes; this keeps a wrong path from being read into memory.
const MAX_BYTES: u64 = 16 * 1024;

/// Where a key came from.
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
        /// What happened.
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
        /// What is wrong with it.
        why: &'static str,
    },
    /// The random source failed.
    #[error("no randomness for a new key")]
    Random,
}

/// Reads the key at `path`.
pub fn read(path: &Path, algorithm: KeyAlgorithm, rng: &dyn SecureRandom) -> Result<SigningKey, KeyFileError> {
    let io = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
        _ => KeyFileError::Io { path: path.to_owned(), error },
    };
    let unusable = |why| KeyFileError::Unusable { path: path.to_owned(), why };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(unusable("not a file"));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & FORBIDDEN != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut pem = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut pem).map_err(io)?;
    let (label, der) = pem_rfc7468::decode_vec(&pem).map_err(|_| unusable("not a PEM file"))?;
    match label {
        LABEL => {}
        "EC PRIVATE KEY" => return Err(unusable("SEC 1; change it with `openssl pkcs8 -topk8 -nocrypt`")),
        "ENCRYPTED PRIVATE KEY" => return Err(unusable("encrypted; change it with `openssl pkcs8 -topk8 -nocrypt`")),
        _ => return Err(unusable("not a private key")),
    }
    let wrong = match algorithm {
        KeyAlgorithm::EcdsaP256 => "not an ECDSA P-256 key in PKCS#8, the kind that Rekor's clients verify",
        KeyAlgorithm::Ed25519 => "not an Ed25519 key in PKCS#8",
    };
    let key = SigningKey::from_pkcs8(&der, rng).map_err(|_| unusable(wrong))?;
    if key.verifying_key().algorithm() == algorithm { Ok(key) } else { Err(unusable(wrong)) }
}

/// Reads the key at `path`, or makes it. On return the file and its name are durable.
///
/// If we die before the link, a temporary file with a key that nobody used is left beside `path`; after it, the next start
/// finds the key.
pub fn read_or_make(
    path: &Path,
    algorithm: KeyAlgorithm,
    rng: &dyn SecureRandom,
) -> Result<(SigningKey, KeyOrigin), KeyFileError> {
    let origin = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(path, algorithm, rng)?,
        _ => KeyOrigin::Found,
    };
    let key = read(path, algorithm, rng)?;
    // Found keys too: the process that made it may not have come this far.
    sync_folder(path).map_err(|error| KeyFileError::Io { path: path.to_owned(), error })?;
    Ok((key, origin))
}

/// Writes a new key under a name of its own and links it to `path`, which never replaces what is there.
fn make(path: &Path, algorithm: KeyAlgorithm, rng: &dyn SecureRandom) -> Result<KeyOrigin, KeyFileError> {
    let der = match algorithm {
        KeyAlgorithm::EcdsaP256 => SigningKey::generate_p256_pkcs8(rng),
        KeyAlgorithm::Ed25519 => SigningKey::generate_ed25519_pkcs8(rng),
    };
    let der = der.map_err(|_| KeyFileError::Random)?;
    let pem = pem_rfc7468::encode_string(LABEL, LineEnding::LF, &der)
        .map_err(|_| KeyFileError::Unusable { path: path.to_owned(), why: "the new key does not fit into PEM" })?;
    let temporary = temporary_name(path, rng)?;
    let io = |error| KeyFileError::Io { path: path.to_owned(), error };
    let written = write_new(&temporary, pem.as_bytes()).and_then(|()| match fs::hard_link(&temporary, path) {
        Ok(()) => Ok(KeyOrigin::Made),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(KeyOrigin::Found),
        Err(error) => Err(error),
    });
    let removed = match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let origin = written.map_err(io)?;
    removed.map_err(io)?;
    Ok(origin)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
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
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use ring::rand::SystemRandom;

    use super::*;

    fn log_id(key: &SigningKey) -> tlog::Hash {
        key.verifying_key().log_id()
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn is_made_once_with_mode_0600() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        assert!(matches!(read(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()), Err(KeyFileError::Missing(_))));
        let (made, origin) = read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()).unwrap();
        assert_eq!(origin, KeyOrigin::Made);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);

        let (found, origin) = read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()).unwrap();
        assert_eq!((origin, log_id(&found)), (KeyOrigin::Found, log_id(&made)));
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(names(folder.path()), ["key.pem"]);
    }

    #[test]
    fn many_at_once_end_with_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let made: Vec<_> = thread::scope(|scope| {
            let start = || read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()).unwrap();
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let first = log_id(&made[0].0);
        assert!(made.iter().all(|(key, _)| log_id(key) == first));
        assert_eq!(made.iter().filter(|(_, origin)| *origin == KeyOrigin::Made).count(), 1);
        assert_eq!(names(folder.path()), ["key.pem"]);
    }

    #[test]
    fn what_is_there_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        for text in ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            write(&path, text);
            assert!(
                matches!(
                    read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()),
                    Err(KeyFileError::Unusable { .. })
                ),
                "{text}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).unwrap();
        assert!(
            read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()).is_err(),
            "a dangling link is not replaced"
        );
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(
            read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()),
            Err(KeyFileError::Unusable { why: "not a file", .. })
        ));
    }

    #[test]
    fn an_exposed_key_is_refused_and_the_remedy_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()).unwrap();
        for (mode, accepted) in
            [(0o600, true), (0o400, true), (0o440, true), (0o640, true), (0o644, false), (0o660, false), (0o604, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match read(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()) {
                Ok(_) => assert!(accepted, "{mode:o}"),
                Err(error) => assert!(!accepted && error.to_string().contains("chmod 600"), "{mode:o} {error}"),
            }
        }
    }

    #[test]
    fn keys_of_openssl_are_taken_if_they_are_p256() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 / ed25519, throw-away.
        write(&path, &pem(P256));
        assert!(read(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()).is_ok());
        write(&path, &pem(ED25519));
        assert!(read(&path, KeyAlgorithm::Ed25519, &SystemRandom::new()).is_ok());
        assert!(matches!(
            read(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()),
            Err(KeyFileError::Unusable { .. })
        ));
    }

    fn pem(body: &str) -> String {
        format!("-----BEGIN {LABEL}-----\n{body}\n-----END {LABEL}-----\n")
    }

    const P256: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3XdiPebH1Plh5rU2\n5zAzREZ9vFnPxezMEEvamd74Ly6hRANCAAQUj15fmDoA2c5d4HYZkmB/wHiZ2LJ+\nVUeS1JRDoSzYhc5gsQMGXNcunFtwfwQv3BhpyL2isw3AZoBUK8YG5D+7";
    const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEINdECkb96QFlcbo2QHcHPYCczdsgW406UOU6Zau4w4HU";
}
