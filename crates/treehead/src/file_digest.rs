//! Digests of files of any size.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use ring::digest::{Algorithm, Context, SHA256};
use tlog::Hash;

/// Bytes of a file that are read at a time.
const CHUNK: usize = 64 * 1024;

/// Returns the digest of a file.
pub(crate) fn digest(path: &Path, algorithm: &'static Algorithm) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut context = Context::new(algorithm);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(context.finish().as_ref().to_vec());
        }
        context.update(&chunk[..read]);
    }
}

/// Returns the SHA-256 of a file.
pub(crate) fn sha256(path: &Path) -> io::Result<Hash> {
    let mut hash = Hash([0; 32]);
    hash.0.copy_from_slice(&digest(path, &SHA256)?);
    Ok(hash)
}
