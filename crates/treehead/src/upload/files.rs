//! Files that are read for an entry, and files that are written for one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use pki::digest::{Digest, HashAlgorithm};
use ring::digest::{SHA256, SHA384, SHA512};

use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::file_digest;

/// Largest file that is sent whole. Rekor takes 32 MiB, this log what `max-body-bytes` says.
const MAX_WHOLE: u64 = 256 << 20;

/// Returns the digest of a file of any size.
pub(crate) fn digest_of(path: &Path, algorithm: HashAlgorithm) -> Outcome<Digest> {
    let bytes = hash(path, algorithm).explain(FailureKind::Usage, path.display())?;
    let digest = Digest::from_bytes(algorithm, bytes);
    digest.ok_or_else(|| Failure::new(FailureKind::Bug, "a digest has another length"))
}

fn hash(path: &Path, algorithm: HashAlgorithm) -> io::Result<Vec<u8>> {
    let function = match algorithm {
        HashAlgorithm::Sha256 => &SHA256,
        HashAlgorithm::Sha384 => &SHA384,
        HashAlgorithm::Sha512 => &SHA512,
    };
    file_digest::digest(path, function)
}

/// Returns a whole file.
pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).explain(FailureKind::Usage, path.display())?;
    let read = file.take(MAX_WHOLE + 1).read_to_end(&mut bytes);
    read.explain(FailureKind::Usage, path.display())?;
    if bytes.len() as u64 > MAX_WHOLE {
        let why = format_args!(
            "{}: larger than {} MiB, which no log takes: log a signature over it with --key or \
             --signature",
            path.display(),
            MAX_WHOLE >> 20
        );
        return Err(Failure::new(FailureKind::Usage, why));
    }
    Ok(bytes)
}

/// Writes a file so that a crash leaves it as it was or as it is to be. On return it is durable.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Two processes that write the same file do not share the one beside it.
    let beside = folder.join(format!(".{name}.{}.new", std::process::id()));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}
