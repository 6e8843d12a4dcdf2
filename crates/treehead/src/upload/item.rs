//! Entries on their way into a log, and what is written once they are there.

use std::path::PathBuf;

use client::Draft;
use client::attest::{npm_attestations, pypi_attestation, pypi_provenance};
use client::upload::{Logged, Proposal};
use pki::x509;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// An entry on its way.
pub(crate) struct Upload {
    /// The file that it is about, for people.
    pub(crate) name: String,
    pub(crate) proposal: Proposal,
    pub(crate) outputs: Vec<Output>,
    /// Its file in the queue.
    pub(crate) queued: Option<PathBuf>,
}

/// A file that is written once the entry is in the log, and not before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    /// An absolute path, because the queue may be sent from another folder.
    pub(crate) path: PathBuf,
    pub(crate) form: Form,
    pub(crate) draft: Draft,
}

/// The form of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// A Sigstore bundle.
    Bundle,
    /// The attestations that a registry of npm hands out, for this type of predicate.
    NpmAttestations(String),
    /// The attestation of PEP 740.
    PypiAttestation,
    /// The provenance object of PEP 740. The certificate, in PEM, names the publisher.
    PypiProvenance(String),
}

impl Output {
    /// Writes the file. On return it is durable.
    pub(super) fn write(&self, logged: &Logged) -> Outcome<()> {
        let document = self.document(&self.draft.finish(logged))?;
        let text = format!("{document}\n");
        let written = files::write(&self.path, text.as_bytes());
        written.explain(FailureKind::Other, self.path.display())
    }

    fn document(&self, bundle: &Value) -> Outcome<Value> {
        let attestation = || {
            let attestation = pypi_attestation(bundle);
            attestation.explain(FailureKind::Usage, self.path.display())
        };
        Ok(match &self.form {
            Form::Bundle => bundle.clone(),
            Form::NpmAttestations(predicate_type) => npm_attestations(predicate_type, bundle),
            Form::PypiAttestation => attestation()?,
            Form::PypiProvenance(pem) => {
                let signer = x509::Key::from_pem(pem.as_bytes());
                let signer = signer.explain(FailureKind::Usage, self.path.display())?;
                pypi_provenance(&attestation()?, &signer)
            }
        })
    }
}

/// Refuses uploads of which two would write the same file.
pub(crate) fn refuse_shared_outputs(uploads: &[Upload]) -> Outcome<()> {
    let mut paths: Vec<&PathBuf> = Vec::new();
    for upload in uploads {
        paths.extend(upload.outputs.iter().map(|output| &output.path));
    }
    paths.sort();
    let twice = paths.windows(2).find(|pair| pair[0] == pair[1]);
    match twice {
        None => Ok(()),
        Some(pair) => {
            let why = format_args!("two files would write {}", pair[0].display());
            Err(Failure::new(FailureKind::Usage, why))
        }
    }
}
