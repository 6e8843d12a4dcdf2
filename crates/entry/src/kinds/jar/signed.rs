//! Signed JAR archives: a manifest with the digests of files, a signature file with digests of the
//! manifest, and a signature block, which is PKCS#7 over the signature file.

use super::archive::{Archive, ArchiveError, File, shown};
use super::manifest::{Attributes, Digests, Manifest, ManifestError};
use crate::kind::Purpose;
use crate::refusal::Refusal;
use pki::pkcs7::SignedData;
use pki::{TooCostly, Work};

/// Bytes of a file directly in META-INF that has a dot in its name, decompressed: Rekor's
/// `max_jar_metadata_size`. The manifest of 8,000 class files has that many.
const MAX_METADATA_BYTES: u64 = 1024 * 1024;

/// Why an archive is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JarError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("uncompressed jar metadata of size {0} exceeds max allowed size {MAX_METADATA_BYTES}")]
    MetadataSize(u64),
    #[error("JAR contains no META-INF/MANIFEST.MF")]
    NoManifest,
    #[error("JAR contains META-INF/MANIFEST.MF more than once")]
    Manifests,
    #[error("JAR contains no signatures")]
    NotSigned,
    #[error("multiple signatures detected in JAR; unable to process")]
    Signatures,
    #[error("JAR contains sigfile META-INF/{0}.SF with no matching signature")]
    NoBlock(String),
    #[error("JAR contains a signature block that is not the one of META-INF/{0}.SF")]
    StrangeBlock(String),
    #[error(transparent)]
    Signature(#[from] pki::Error),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
    #[error("file {0} is in manifest but not JAR")]
    NoFile(String),
    #[error("file {0:?} in MANIFEST.MF: {1}")]
    File(String, ManifestError),
}

/// The contents of the signature block of an archive that it verifies.
pub(super) fn verified_block(
    bytes: &[u8],
    purpose: Purpose<'_>,
    work: &mut Work,
) -> Result<Vec<u8>, Refusal> {
    let archive = Archive::read(bytes).map_err(Refusal::invalid)?;
    let metadata = Metadata::find(&archive).map_err(Refusal::invalid)?;
    let block = metadata.block.contents(work).map_err(Refusal::invalid)?;
    let signed = SignedData::from_der(&block)?;
    // PEM of the block is base64, too.
    purpose.admit_leaf_with(signed.detached().len())?;
    verify(&archive, &metadata, &signed, work).map_err(Refusal::invalid)?;
    Ok(block)
}

fn verify(
    archive: &Archive<'_>,
    metadata: &Metadata<'_, '_>,
    signed: &SignedData<'_>,
    work: &mut Work,
) -> Result<(), JarError> {
    let signature_file = metadata.signature_file.contents(work)?;
    let manifest = metadata.manifest.contents(work)?;
    signed.verify(&signature_file, work)?;
    let manifest = Manifest::parse(&manifest, work)?;
    Manifest::parse(&signature_file, work)?.verify(&manifest, work)?;
    verify_files(archive, &manifest, work)
}

/// The three files that make a signature.
struct Metadata<'f, 'a> {
    manifest: &'f File<'a>,
    signature_file: &'f File<'a>,
    block: &'f File<'a>,
}

impl<'f, 'a> Metadata<'f, 'a> {
    /// Finds them; each has to be the only one of its kind. Rekor checks the block that has the
    /// name of the signature file, and logs the first one, which may be another: by that, anybody
    /// could be made a signer.
    fn find(archive: &'f Archive<'a>) -> Result<Self, JarError> {
        let (mut manifests, mut signature_files, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
        for file in archive.files() {
            let Some((base, extension)) = metadata_name(file.name) else {
                continue;
            };
            if file.size > MAX_METADATA_BYTES {
                return Err(JarError::MetadataSize(file.size));
            }
            match extension.as_slice() {
                b"MF" if base == b"MANIFEST" => manifests.push(file),
                b"SF" => signature_files.push((file, base)),
                extension
                    if base.starts_with(b"SIG-")
                        || [&b"RSA"[..], b"DSA", b"EC"].contains(&extension) =>
                {
                    blocks.push((file, base));
                }
                _ => {}
            }
        }
        let manifest = match manifests[..] {
            [] => return Err(JarError::NoManifest),
            [manifest] => manifest,
            _ => return Err(JarError::Manifests),
        };
        let (signature_file, name) = match &signature_files[..] {
            [] => return Err(JarError::NotSigned),
            [(file, name)] => (*file, name),
            _ => return Err(JarError::Signatures),
        };
        match &blocks[..] {
            [] => Err(JarError::NoBlock(shown(name))),
            [(block, base)] if base == name => Ok(Self {
                manifest,
                signature_file,
                block,
            }),
            _ => Err(JarError::StrangeBlock(shown(name))),
        }
    }
}

/// Base and extension, in upper case, of the name of a file directly in META-INF.
fn metadata_name(name: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let name = name.to_ascii_uppercase();
    let name = name
        .strip_prefix(b"META-INF/")
        .filter(|name| !name.contains(&b'/'))?;
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    Some((name[..dot].to_vec(), name[dot + 1..].to_vec()))
}

/// Checks every file that the manifest names, but for those with an attribute `Magic`. Files that
/// it does not name are not signed, and nobody says so.
fn verify_files(
    archive: &Archive<'_>,
    manifest: &Manifest<'_>,
    work: &mut Work,
) -> Result<(), JarError> {
    for (name, section) in manifest.sections() {
        let attributes = Attributes::parse(section)?;
        if !attributes.get("magic").is_empty() {
            continue;
        }
        let file = archive
            .file(name)
            .ok_or_else(|| JarError::NoFile(shown(name)))?;
        let wrong = |error| JarError::File(shown(name), error);
        let digests = Digests::of(&attributes, "-digest").map_err(wrong)?;
        work.take_hashing_by(file.size, digests.len())?;
        let mut contexts = digests.contexts();
        file.decompress(work, |piece| {
            contexts
                .iter_mut()
                .for_each(|context| context.update(piece))
        })?;
        digests.finish(contexts).map_err(wrong)?;
    }
    Ok(())
}
