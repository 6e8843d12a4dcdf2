//! Makes the statements, signs them, and plans what is written.

use std::fs::File;
use std::path::{Path, PathBuf};

use client::attest::{Ecosystem, PAYLOAD_TYPE, Subject, image, statement, subject};
use client::upload::{Api, Envelope, Proposal};
use client::{BundleContent, Draft, PrivateKey, Signer};
use pki::digest::Digest;
use serde_json::Value;

use super::flags::{AttestFlags, PublishedIn};
use crate::failure::{Explain, FailureKind, Outcome, usage};
use crate::upload::{
    Destination, Form, Output, Upload, absolute, checked, digest_of, private_key, read,
    refuse_shared_outputs,
};

/// Largest predicate. A log takes leaves and envelopes of a few MiB at most.
const MAX_PREDICATE: usize = 16 << 20;

/// Who signs: the key, and the certificate if there is one.
struct Signing {
    key: PrivateKey,
    certificate: Option<Signer>,
}

/// Returns the entries of all files.
pub(super) fn uploads(flags: &AttestFlags, to: &Destination) -> Outcome<Vec<Upload>> {
    if flags.files.len() > 1 && flags.bundle.is_some() {
        return Err(usage("--bundle is for one file: give --bundle-dir"));
    }
    let signing = Signing::read(flags)?;
    let predicate = predicate(&flags.predicate)?;
    let mut uploads = Vec::new();
    for file in &flags.files {
        let subject = subject_of(flags, file)?;
        let payload = statement(&subject, &flags.predicate_type, &predicate);
        let envelope = signing.sign(to.api, &payload)?;
        let signer = signing.signer();
        let proposal = Proposal::envelope(to.api, None, &envelope, signer, to.now);
        let draft = Draft::new(BundleContent::Envelope(&envelope), signer);
        uploads.push(Upload {
            name: file.clone(),
            proposal: checked(Path::new(file), proposal)?,
            outputs: outputs(flags, file, &draft, signer)?,
            queued: None,
        });
    }
    refuse_shared_outputs(&uploads)?;
    Ok(uploads)
}

impl Signing {
    fn read(flags: &AttestFlags) -> Outcome<Self> {
        let Some(key) = &flags.signing.key else {
            return Err(usage("give --key, the private key that signs"));
        };
        let key = private_key(key)?;
        let certificate = match &flags.signing.certificate {
            Some(path) => {
                let signer = Signer::read(&read(path)?);
                Some(signer.explain(FailureKind::Usage, path.display())?)
            }
            None => None,
        };
        let is_pypi = flags.ecosystem == Some(PublishedIn::Pypi);
        if is_pypi && !certificate.as_ref().is_some_and(Signer::is_certificate) {
            let why = "attestations of Python packages name their signer by a certificate: \
                       give --certificate";
            return Err(usage(why));
        }
        Ok(Self { key, certificate })
    }

    fn signer(&self) -> &Signer {
        self.certificate.as_ref().unwrap_or(self.key.signer())
    }

    /// Signs a statement as the API verifies it: Rekor v1 the message, Rekor v2 a digest of it.
    fn sign(&self, api: Api, payload: &[u8]) -> Outcome<Envelope> {
        let unsigned = Envelope::new(PAYLOAD_TYPE, payload, &[]);
        let message = unsigned.signed();
        let is_ed25519 = self.key.signer().key_details(self.key.hash()) == Some("PKIX_ED25519_PH");
        let signature = match api {
            Api::V1 => self.key.sign_message(&message),
            Api::V2 if is_ed25519 => {
                let why = "Rekor v2 logs a digest of an attestation, and clients verify envelopes by \
                           Ed25519 over the message: sign with an ECDSA key, or log it by Rekor v1";
                return Err(usage(why));
            }
            Api::V2 => self.key.sign_digest(&Digest::of(self.key.hash(), &message)),
        };
        let signature = signature.explain(FailureKind::Usage, "--key")?;
        Ok(Envelope::new(PAYLOAD_TYPE, payload, &signature))
    }
}

fn predicate(path: &Path) -> Outcome<Value> {
    let text = read(path)?;
    if text.len() > MAX_PREDICATE {
        let why = format_args!("{}: larger than 16 MiB, which no log takes", path.display());
        return Err(usage(why));
    }
    let predicate: Value =
        serde_json::from_slice(&text).explain(FailureKind::Usage, path.display())?;
    match predicate {
        Value::Object(_) => Ok(predicate),
        _ => Err(usage(format_args!(
            "{}: a predicate is a JSON object",
            path.display()
        ))),
    }
}

fn subject_of(flags: &AttestFlags, file: &str) -> Outcome<Subject> {
    let ecosystem = PublishedIn::ecosystem(flags.ecosystem);
    let path = Path::new(file);
    if ecosystem == Ecosystem::Oci {
        return image(file).explain(FailureKind::Usage, "--ecosystem oci");
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digest = digest_of(path, ecosystem.hash())?;
    let content = File::open(path).explain(FailureKind::Usage, path.display())?;
    let subject = subject(ecosystem, &name, digest, content);
    subject.explain(FailureKind::Usage, path.display())
}

/// Returns what is written once the statement is in the log.
fn outputs(
    flags: &AttestFlags,
    file: &str,
    draft: &Draft,
    signer: &Signer,
) -> Outcome<Vec<Output>> {
    let beside = beside(flags, file);
    let bundle = match &flags.bundle {
        Some(bundle) => bundle.clone(),
        None => with_suffix(&beside, ".sigstore.json"),
    };
    let mut outputs = vec![(bundle, Form::Bundle)];
    match flags.ecosystem {
        Some(PublishedIn::Npm) => {
            let form = Form::NpmAttestations(flags.predicate_type.clone());
            outputs.push((with_suffix(&beside, ".attestations.json"), form));
        }
        Some(PublishedIn::Pypi) => {
            let pem = String::from_utf8_lossy(signer.pem()).into_owned();
            outputs.push((
                with_suffix(&beside, ".publish.attestation"),
                Form::PypiAttestation,
            ));
            outputs.push((
                with_suffix(&beside, ".provenance"),
                Form::PypiProvenance(pem),
            ));
        }
        Some(PublishedIn::Cargo | PublishedIn::Oci) | None => {}
    }
    let outputs = outputs.into_iter().map(|(path, form)| {
        Ok(Output {
            path: absolute(&path)?,
            form,
            draft: draft.clone(),
        })
    });
    outputs.collect()
}

/// Returns the path to whose end the suffixes of the outputs are added.
fn beside(flags: &AttestFlags, file: &str) -> PathBuf {
    let name = match flags.ecosystem {
        // An image is no file.
        Some(PublishedIn::Oci) => file.replace(['/', ':', '@'], "-"),
        _ => {
            let name = Path::new(file).file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        }
    };
    match (&flags.bundle_dir, flags.ecosystem) {
        (Some(folder), _) => folder.join(name),
        (None, Some(PublishedIn::Oci)) => PathBuf::from(name),
        (None, _) => Path::new(file).with_file_name(name),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}
