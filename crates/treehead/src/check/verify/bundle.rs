//! Bundles: who signed an artifact, when, and which log shows it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use client::bundle::{self, Bundle, BundleError, Expected, Policy, TrustRoot, Verified};
use ledger::Clock;
use ring::digest::{Context, SHA256};
use tlog::Hash;

use super::artifact::{Artifact, read};
use super::flags::VerifyFlags;
use super::report;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Largest artifact that is read into memory, which a signature by Ed25519 needs. Larger ones are
/// read once, piece by piece.
const MAX_IN_MEMORY: u64 = 256 << 20;

pub(super) fn run(flags: &VerifyFlags, path: &Path, artifact: &Artifact) -> Outcome<()> {
    let bundle = Bundle::read(&read(path)?);
    let bundle = bundle.map_err(|error| failure(path, error))?;
    let expected = flags.signer.required()?;
    verify(flags, &bundle, path, artifact, expected)
}

/// Verifies a bundle that was read from a file, and prints what was verified.
pub(super) fn verify(
    flags: &VerifyFlags,
    bundle: &Bundle,
    path: &Path,
    artifact: &Artifact,
    signer: Expected,
) -> Outcome<()> {
    let trust = trust_root(flags)?;
    let policy = Policy {
        signer,
        predicate_type: flags.predicate_type.clone(),
    };
    let checked = check(bundle, artifact, &trust, &policy);
    let (verified, hash) = checked.map_err(|error| failure(path, error))?;
    report::print(flags, path, artifact, &hash, &verified)
}

/// Reads the trust root in the files that the flags name.
pub(super) fn trust_root(flags: &VerifyFlags) -> Outcome<TrustRoot> {
    let mut texts = Vec::new();
    for path in &flags.trust.trust {
        texts.push(fs::read_to_string(path).explain(FailureKind::Usage, path.display())?);
    }
    let trust = TrustRoot::read(texts.iter().map(String::as_str));
    let names = flags.trust.trust.iter();
    let names: Vec<String> = names.map(|path| path.display().to_string()).collect();
    trust.explain(FailureKind::Usage, names.join(", "))
}

/// Verifies a bundle now. Returns also the SHA-256 of the artifact, of the very bytes that were
/// compared.
pub(super) fn check(
    bundle: &Bundle,
    artifact: &Artifact,
    trust: &TrustRoot,
    policy: &Policy,
) -> Result<(Verified, Hash), BundleError> {
    let now = ledger::SystemClock.unix_millis() / 1_000;
    let path = match artifact {
        Artifact::Digest(hash) => {
            let artifact = bundle::Artifact::Sha256(*hash);
            return Ok((bundle.verify(artifact, trust, policy, now)?, *hash));
        }
        Artifact::File(path) => path,
    };
    let file = File::open(path)?;
    if file.metadata()?.len() <= MAX_IN_MEMORY {
        let mut bytes = Vec::new();
        file.take(MAX_IN_MEMORY).read_to_end(&mut bytes)?;
        let verified = bundle.verify(bundle::Artifact::Bytes(&bytes), trust, policy, now)?;
        return Ok((verified, tlog::sha256(&bytes)));
    }
    let mut reader = Hashing {
        file,
        context: Context::new(&SHA256),
    };
    let verified = bundle.verify(bundle::Artifact::Reader(&mut reader), trust, policy, now)?;
    let mut hash = Hash([0; 32]);
    hash.0.copy_from_slice(reader.context.finish().as_ref());
    Ok((verified, hash))
}

/// Hashes what is read through it.
struct Hashing {
    file: File,
    context: Context,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.context.update(&buffer[..read]);
        Ok(read)
    }
}

fn failure(path: &Path, error: BundleError) -> Failure {
    let kind = match &error {
        BundleError::Trust(_) | BundleError::Read(_) => FailureKind::Usage,
        _ => FailureKind::NotVerified,
    };
    Failure::new(kind, format_args!("{}: {error}", path.display()))
}
