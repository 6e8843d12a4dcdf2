//! Makes entries of the files that were named, each checked before anything is sent.

use std::path::{Path, PathBuf};

use client::upload::{
    Api, Envelope, KeyFormat, Kind, Parts, Proposal, ProposalError, detect_file, detect_key,
};
use client::{BundleContent, Draft, PrivateKey, Signer};
use pki::digest::{Digest, HashAlgorithm};
use serde_json::Value;

use super::destination::Destination;
use super::files::{digest_of, read};
use super::flags::UploadFlags;
use super::item::refuse_shared_outputs;
use super::item::{Form, Output, Upload};
use crate::failure::{Explain, FailureKind, Outcome, usage};

/// What signs or signed the files.
struct Given {
    key: Option<PrivateKey>,
    /// The file of the public key or certificate, and its bytes.
    public: Option<(PathBuf, Vec<u8>)>,
}

/// An entry, with the beginning of its bundle where it may have one.
type Prepared = (Proposal, Option<Draft>);

/// Returns the entries of all files.
pub(super) fn uploads(flags: &UploadFlags, to: &Destination) -> Outcome<Vec<Upload>> {
    let many = flags.files.len();
    if many > 1 && flags.bundle.is_some() {
        return Err(usage("--bundle is for one file: give --bundle-dir"));
    }
    if !flags.signature.is_empty() && flags.signature.len() != many {
        let signatures = flags.signature.len();
        return Err(usage(format_args!(
            "{signatures} signatures for {many} files"
        )));
    }
    let given = Given::read(flags)?;
    let mut uploads = Vec::new();
    for (number, path) in flags.files.iter().enumerate() {
        let signature = flags.signature.get(number);
        let signature = signature.map(|path| read(path)).transpose()?;
        let (proposal, draft) = prepare(flags, to, &given, path, signature.as_deref())?;
        uploads.push(Upload {
            name: path.display().to_string(),
            outputs: bundle(flags, path, &proposal, draft)?,
            proposal,
            queued: None,
        });
    }
    refuse_shared_outputs(&uploads)?;
    Ok(uploads)
}

impl Given {
    fn read(flags: &UploadFlags) -> Outcome<Self> {
        let key = flags.signing.key.as_deref().map(private_key).transpose()?;
        let public = flags
            .public_key
            .as_ref()
            .or(flags.signing.certificate.as_ref());
        let public = public
            .map(|path| Ok((path.clone(), read(path)?)))
            .transpose()?;
        Ok(Self { key, public })
    }

    /// Returns the signer that a file of PEM names.
    fn signer(&self, path: &Path) -> Outcome<Signer> {
        let Some((public, text)) = &self.public else {
            let why = format_args!("{}: give --public-key or --certificate", path.display());
            return Err(usage(why));
        };
        Signer::read(text).explain(FailureKind::Usage, public.display())
    }

    fn key_bytes(&self) -> Option<&[u8]> {
        self.public.as_ref().map(|(_, bytes)| bytes.as_slice())
    }
}

/// Reads a private key.
pub(crate) fn private_key(path: &Path) -> Outcome<PrivateKey> {
    PrivateKey::read(&read(path)?).explain(FailureKind::Usage, path.display())
}

fn prepare(
    flags: &UploadFlags,
    to: &Destination,
    given: &Given,
    path: &Path,
    signature: Option<&[u8]>,
) -> Outcome<Prepared> {
    match (&given.key, signature) {
        (Some(_), _) if !matches!(flags.kind, None | Some(Kind::Hashedrekord)) => {
            let why =
                "--key signs a hashedrekord; an entry of another kind has its signature already";
            Err(usage(why))
        }
        (Some(key), _) => sign(to, given, key, path),
        (None, Some(signature)) => signed_apart(flags, to, given, path, signature),
        (None, None) => signed_within(flags, to, given, path),
    }
}

/// Makes the entry of a file with a signature of its own.
fn signed_apart(
    flags: &UploadFlags,
    to: &Destination,
    given: &Given,
    path: &Path,
    signature: &[u8],
) -> Outcome<Prepared> {
    let format = match given.key_bytes() {
        Some(key) => detect_key(key).explain(FailureKind::Usage, "--public-key")?,
        None => KeyFormat::X509,
    };
    match (flags.kind, format) {
        (None | Some(Kind::Hashedrekord), KeyFormat::X509) => detached(to, given, path, signature),
        (None | Some(Kind::Rekord), format) => {
            let parts = Parts {
                content: &read(path)?,
                signature: Some(signature),
                key: given.key_bytes(),
            };
            let proposal = Proposal::whole(to.api, Kind::Rekord, Some(format), parts, to.now);
            Ok((checked(path, proposal)?, None))
        }
        (Some(kind), _) => Err(usage(format_args!("{kind} has no separate signature"))),
    }
}

/// Makes the entry of a file that holds its signature.
fn signed_within(
    flags: &UploadFlags,
    to: &Destination,
    given: &Given,
    path: &Path,
) -> Outcome<Prepared> {
    let content = read(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kind = match flags.kind {
        Some(kind) => kind,
        None => detect_file(&name, &content).explain(FailureKind::Usage, path.display())?,
    };
    match kind {
        Kind::Entry => Ok((ready(to, path, content)?, None)),
        Kind::Dsse | Kind::Intoto => envelope(flags, to, given, path, &content),
        Kind::Hashedrekord | Kind::Rekord => {
            let file = path.display();
            let why = format_args!("{file}: {kind} needs --signature, or --key to sign");
            Err(usage(why))
        }
        _ => {
            let parts = Parts {
                content: &content,
                signature: None,
                key: given.key_bytes(),
            };
            let proposal = Proposal::whole(to.api, kind, None, parts, to.now);
            Ok((checked(path, proposal)?, None))
        }
    }
}

fn envelope(
    flags: &UploadFlags,
    to: &Destination,
    given: &Given,
    path: &Path,
    content: &[u8],
) -> Outcome<Prepared> {
    let signer = given.signer(path)?;
    let envelope = Envelope::read(content).explain(FailureKind::Usage, path.display())?;
    let proposal = Proposal::envelope(to.api, flags.kind, &envelope, &signer, to.now);
    let proposal = checked(path, proposal)?;
    // Clients know bundles of an envelope only with one signature, and not with the old kind.
    let is_bundle = envelope.signatures.len() == 1 && flags.kind != Some(Kind::Intoto);
    let draft = || Draft::new(BundleContent::Envelope(&envelope), &signer);
    Ok((proposal, is_bundle.then(draft)))
}

/// Signs a file.
fn sign(to: &Destination, given: &Given, key: &PrivateKey, path: &Path) -> Outcome<Prepared> {
    let digest = digest_of(path, key.hash())?;
    let signature = key
        .sign_digest(&digest)
        .explain(FailureKind::Usage, "--key")?;
    let certificate = given
        .public
        .as_ref()
        .map(|_| given.signer(path))
        .transpose()?;
    let signer = certificate.as_ref().unwrap_or(key.signer());
    over_digest(to, path, &digest, &signature, signer)
}

/// Makes the entry of a detached signature. The hash function that was signed over is found out.
fn detached(to: &Destination, given: &Given, path: &Path, signature: &[u8]) -> Outcome<Prepared> {
    let signer = given.signer(path)?;
    let signature = without_base64(signature);
    let usual = signer.usual_hash();
    let digest = digest_of(path, usual)?;
    let first = over_digest(to, path, &digest, &signature, &signer);
    if first.is_ok() {
        return first;
    }
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    for other in [Sha256, Sha384, Sha512]
        .into_iter()
        .filter(|hash| *hash != usual)
    {
        let digest = digest_of(path, other)?;
        if let Ok(prepared) = over_digest(to, path, &digest, &signature, &signer) {
            return Ok(prepared);
        }
    }
    first
}

fn over_digest(
    to: &Destination,
    path: &Path,
    digest: &Digest,
    signature: &[u8],
    signer: &Signer,
) -> Outcome<Prepared> {
    let proposal = Proposal::hashedrekord(to.api, digest, signature, signer, to.now);
    let content = BundleContent::Message { digest, signature };
    Ok((checked(path, proposal)?, Some(Draft::new(content, signer))))
}

/// Returns a signature that a file holds in base64, as cosign writes it, or as it is.
fn without_base64(signature: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let digits: Vec<u8> = signature
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .copied()
        .collect();
    let decoded = base64::prelude::BASE64_STANDARD.decode(digits);
    decoded.unwrap_or_else(|_| signature.to_vec())
}

/// Checks a request that is in JSON already.
fn ready(to: &Destination, path: &Path, content: Vec<u8>) -> Outcome<Proposal> {
    let request = String::from_utf8(content).explain(FailureKind::Usage, path.display())?;
    let json: Value = serde_json::from_str(&request).explain(FailureKind::Usage, path.display())?;
    let api = match json.get("kind") {
        Some(_) => Api::V1,
        None => Api::V2,
    };
    if api != to.api {
        let why = format_args!(
            "{}: a request of the other API of Rekor than the log has; --api names it",
            path.display()
        );
        return Err(usage(why));
    }
    checked(
        path,
        Proposal::read(api, request, to.now).map_err(ProposalError::from),
    )
}

/// Names the file of an entry that the log would refuse.
pub(crate) fn checked<E: std::fmt::Display>(
    path: &Path,
    proposal: Result<Proposal, E>,
) -> Outcome<Proposal> {
    proposal.explain(FailureKind::Usage, path.display())
}

/// Returns the bundle that is written, if one was asked for.
fn bundle(
    flags: &UploadFlags,
    path: &Path,
    proposal: &Proposal,
    draft: Option<Draft>,
) -> Outcome<Vec<Output>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let wanted = match (&flags.bundle, &flags.bundle_dir) {
        (Some(file), _) => file.clone(),
        (None, Some(folder)) => folder.join(format!("{name}.sigstore.json")),
        (None, None) => return Ok(Vec::new()),
    };
    let Some(draft) = draft else {
        let why = format_args!(
            "{}: a Sigstore bundle holds a hashedrekord, or an envelope with one signature, and \
             this is {}",
            path.display(),
            proposal.kind()
        );
        return Err(usage(why));
    };
    Ok(vec![Output {
        path: absolute(&wanted)?,
        form: Form::Bundle,
        draft,
    }])
}

/// Returns a path that holds in every folder.
pub(crate) fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).explain(FailureKind::Usage, path.display())
}
