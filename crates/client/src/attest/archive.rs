//! The name and version of a package, from the archive that is published.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// Largest archive when it is unpacked: npm and crates.io take much less.
const MAX_UNPACKED: u64 = 4 << 30;
/// Most files of an archive. The largest packages of npm have some 50,000.
const MAX_FILES: usize = 500_000;
/// Largest manifest.
const MAX_MANIFEST: u64 = 4 << 20;

/// Name and version of a package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
}

/// Why an archive names no package.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not a tar archive in gzip, or a damaged one.
    #[error("not a tar archive in gzip, or cut off: {0}")]
    Io(#[from] io::Error),
    /// A limit.
    #[error("the archive has {0}")]
    TooLarge(&'static str),
    /// No manifest.
    #[error("the archive has no {0} in its folder")]
    Absent(&'static str),
    /// Two manifests, of which readers take either.
    #[error("the archive has {0} twice")]
    Twice(&'static str),
    /// The manifest.
    #[error("{file} names no package: {fault}")]
    Manifest {
        /// Its name.
        file: &'static str,
        /// The fault.
        fault: String,
    },
}

/// Reads the package of a tarball of npm, which has `package.json` in its one folder.
pub(super) fn npm(archive: impl Read) -> Result<Package, ArchiveError> {
    let file = "package.json";
    let text = manifest(archive, file)?;
    let fault = |error: serde_json::Error| ArchiveError::Manifest {
        file,
        fault: error.to_string(),
    };
    serde_json::from_slice(&text).map_err(fault)
}

/// Reads the package of a crate, which has `Cargo.toml` in its one folder.
pub(super) fn cargo(archive: impl Read) -> Result<Package, ArchiveError> {
    #[derive(Deserialize)]
    struct Manifest {
        package: Package,
    }
    let file = "Cargo.toml";
    let text = manifest(archive, file)?;
    let fault = |fault: String| ArchiveError::Manifest { file, fault };
    let text = String::from_utf8(text).map_err(|error| fault(error.to_string()))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
    Ok(manifest.package)
}

/// Returns the only file of this name that is directly in a folder of the archive.
fn manifest(archive: impl Read, file: &'static str) -> Result<Vec<u8>, ArchiveError> {
    let unpacked = MultiGzDecoder::new(archive).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    let mut found = None;
    let mut files = 0;
    // As they stand in the archive: the names of other entries are not collected in memory.
    for entry in archive.entries()?.raw(true) {
        let entry = entry?;
        files += 1;
        if files > MAX_FILES {
            return Err(ArchiveError::TooLarge("too many files"));
        }
        if !entry.header().entry_type().is_file() || !is_manifest(&entry.path_bytes(), file) {
            continue;
        }
        if found.is_some() {
            return Err(ArchiveError::Twice(file));
        }
        if entry.size() > MAX_MANIFEST {
            return Err(ArchiveError::TooLarge("a manifest of more than 4 MiB"));
        }
        let mut text = Vec::new();
        entry.take(MAX_MANIFEST).read_to_end(&mut text)?;
        found = Some(text);
    }
    if archive.into_inner().limit() == 0 {
        return Err(ArchiveError::TooLarge(
            "more than 4 GiB when it is unpacked",
        ));
    }
    found.ok_or(ArchiveError::Absent(file))
}

fn is_manifest(path: &[u8], file: &str) -> bool {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let mut parts = path.split(|byte| *byte == b'/');
    let (folder, name) = (parts.next(), parts.next());
    folder.is_some_and(|folder| !folder.is_empty())
        && name == Some(file.as_bytes())
        && parts.next().is_none()
}
