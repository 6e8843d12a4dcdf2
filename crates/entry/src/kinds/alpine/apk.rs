//! Alpine packages: three gzip members in a row. The first is a tar archive with the signature, the
//! second one with `.PKGINFO`, the third one holds the files. The signature is over the second,
//! which has the digest of the third.

use std::io::{self, Read};

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use flate2::bufread::GzDecoder;
use tar::Archive;

use super::pkginfo::{InfoError, PackageInfo};
use pki::pem;
use pki::{TooCostly, Work};

/// Bytes of the first member, decompressed, and of `.PKGINFO`: Rekor's `max_apk_metadata_size`.
/// Packages have some hundred bytes in both.
const MAX_METADATA_BYTES: u64 = 1024 * 1024;
/// Bytes of the second member, decompressed. Beside `.PKGINFO` it holds the install scripts, some
/// KiB in practice. As a bomb, 4 MiB take 5 ms.
const MAX_CONTROL_BYTES: u64 = 4 * 1024 * 1024;

/// The parts of a package that become an entry.
pub(super) struct Package {
    pub(super) signature: Vec<u8>,
    /// SHA-1 of the second member, as compressed, which is what is signed.
    pub(super) control_sha1: digest::Digest,
    pub(super) info: PackageInfo,
}

/// Why bytes are not a package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    #[error("no signature detected in alpine package")]
    NoSignature,
    #[error(".PKGINFO file was not located")]
    NoInfo,
    #[error("parsing .PKGINFO: {0}")]
    Info(#[from] InfoError),
    #[error("parsing datahash: encoding/hex: {0:?} is not hexadecimal")]
    NoHash(String),
    #[error("checksum for data.tar.gz ({computed}) does not match value from .PKGINFO ({claimed})")]
    Hash { computed: String, claimed: String },
    #[error("decompressed size for {0} exceeds max allowed size {1}")]
    TooLarge(&'static str, u64),
    #[error("{0} is not a regular file")]
    NotAFile(&'static str),
    #[error("reading {0}: {1}")]
    Unreadable(&'static str, io::Error),
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

const SIGNATURE: &str = "signature.tar.gz";
const CONTROL: &str = "control.tar.gz";

impl Package {
    /// Reads a package and checks that its data are those that its `.PKGINFO` names. The signature
    /// is not verified.
    pub(super) fn read(package: &[u8], work: &mut Work) -> Result<Self, PackageError> {
        // As if both were as large as they may be: how large they are is known when they are
        // decompressed.
        work.take_inflating(0, MAX_METADATA_BYTES + MAX_CONTROL_BYTES)?;
        let (mut signature, mut info) = (None, None);
        let after_signature =
            read_member(package, SIGNATURE, MAX_METADATA_BYTES, |name, contents| {
                if signature.is_none() && name.starts_with(b".SIGN") {
                    signature = Some(contents(".SIGN")?);
                }
                Ok(())
            })?;
        let signature = signature.ok_or(PackageError::NoSignature)?;
        let data = read_member(
            after_signature,
            CONTROL,
            MAX_CONTROL_BYTES,
            |name, contents| {
                if name == b".PKGINFO" {
                    info = Some(PackageInfo::parse(&contents(".PKGINFO")?, work)?);
                }
                Ok(())
            },
        )?;
        let info = info.ok_or(PackageError::NoInfo)?;
        work.take_hashing(after_signature.len())?;
        check_data(&info, data)?;
        let control = &after_signature[..after_signature.len() - data.len()];
        Ok(Self {
            signature: pem::decode(&signature)
                .map_or_else(|| signature.clone(), |(block, _)| block.bytes),
            control_sha1: digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, control),
            info,
        })
    }
}

/// Reads the contents of the file that is being visited, named for messages.
type Contents<'c> = &'c mut dyn FnMut(&'static str) -> Result<Vec<u8>, PackageError>;

/// Visits the files of the tar archive in the gzip member that `bytes` begin with; what follows
/// that member.
fn read_member<'b>(
    bytes: &'b [u8],
    member: &'static str,
    limit: u64,
    visit: impl FnMut(&[u8], Contents<'_>) -> Result<(), PackageError>,
) -> Result<&'b [u8], PackageError> {
    // One byte more than is allowed, so that too many are noticed.
    let mut archive = Archive::new(GzDecoder::new(bytes).take(limit + 1));
    let visited = visit_files(&mut archive, member, visit);
    // An archive may end before its member does.
    let mut decompressed = archive.into_inner();
    let drained = visited.and_then(|()| {
        io::copy(&mut decompressed, &mut io::sink())
            .map_err(|error| PackageError::Unreadable(member, error))
    });
    // What was cut off is malformed too, but that is not what is wrong with it.
    match (decompressed.limit(), drained) {
        (0, _) => Err(PackageError::TooLarge(member, limit)),
        (_, drained) => drained.map(|_| decompressed.into_inner().into_inner()),
    }
}

fn visit_files(
    archive: &mut Archive<impl Read>,
    member: &'static str,
    mut visit: impl FnMut(&[u8], Contents<'_>) -> Result<(), PackageError>,
) -> Result<(), PackageError> {
    let unreadable = |error| PackageError::Unreadable(member, error);
    for file in archive.entries().map_err(unreadable)? {
        let mut file = file.map_err(unreadable)?;
        let name = file.path_bytes().into_owned();
        visit(&name, &mut |what| {
            // What a link or a folder has for contents nobody else reads.
            if !file.header().entry_type().is_file() {
                return Err(PackageError::NotAFile(what));
            }
            if file.size() > MAX_METADATA_BYTES {
                return Err(PackageError::TooLarge(what, MAX_METADATA_BYTES));
            }
            let mut contents = Vec::new();
            file.read_to_end(&mut contents).map_err(unreadable)?;
            Ok(contents)
        })?;
    }
    Ok(())
}

fn check_data(info: &PackageInfo, data: &[u8]) -> Result<(), PackageError> {
    let claimed = info.get("datahash");
    let claimed = hex::decode(claimed)
        .map_err(|_| PackageError::NoHash(pki::quoted(claimed).into_owned()))?;
    let computed = tlog::sha256(data).0;
    match computed[..] == claimed[..] {
        true => Ok(()),
        false => Err(PackageError::Hash {
            computed: hex::encode(computed),
            claimed: hex::encode(claimed),
        }),
    }
}
