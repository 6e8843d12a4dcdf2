//! Documents in which registries hand out attestations.

use pki::{Key as _, x509};
use serde_json::{Value, json};

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// PEP 740 names a signer by a certificate.
    #[error("the index for Python packages knows signers by their certificate: give --certificate")]
    Key,
}

/// Returns what a registry of npm answers at `/-/npm/v1/attestations/NAME@VERSION`.
pub fn npm_attestations(predicate_type: &str, bundle: &Value) -> Value {
    json!({"attestations": [{"predicateType": predicate_type, "bundle": bundle}]})
}

/// Returns the attestation of PEP 740 that is uploaded beside a distribution.
///
/// # Errors
///
/// The bundle names its signer by a key.
pub fn pypi_attestation(bundle: &Value) -> Result<Value, DocumentError> {
    let material = &bundle["verificationMaterial"];
    let certificate = &material["certificate"]["rawBytes"];
    if certificate.is_null() {
        return Err(DocumentError::Key);
    }
    let envelope = &bundle["dsseEnvelope"];
    Ok(json!({
        "version": 1,
        "verification_material": {
            "certificate": certificate,
            "transparency_entries": material["tlogEntries"],
        },
        "envelope": {
            "statement": envelope["payload"],
            "signature": envelope["signatures"][0]["sig"],
        },
    }))
}

/// Returns the provenance object of PEP 740, which an index serves, with one attestation. The
/// publisher follows from the claims of the certificate.
pub fn pypi_provenance(attestation: &Value, signer: &x509::Key) -> Value {
    json!({
        "version": 1,
        "attestation_bundles": [{"publisher": publisher(signer), "attestations": [attestation]}],
    })
}

/// Returns the publisher as PyPI writes it for workflows of GitHub, and else the names in the
/// certificate.
fn publisher(signer: &x509::Key) -> Value {
    let github = || {
        let claims = signer.claims()?;
        let repository = claims.repository.as_deref()?;
        let repository = repository.strip_prefix("https://").unwrap_or(repository);
        let repository = repository.strip_prefix("github.com/").unwrap_or(repository);
        let [run, _] = &claims.workflow_files;
        let (file, _) = run.as_deref()?.rsplit_once('@')?;
        let (_, workflow) = file.rsplit_once("/.github/workflows/")?;
        Some(json!({
            "kind": "GitHub",
            "repository": repository,
            "workflow": workflow,
            "environment": null,
        }))
    };
    let names = || {
        let issuer = signer.claims().and_then(|claims| claims.issuer.clone());
        json!({"kind": "Certificate", "claims": {"issuer": issuer, "subjects": signer.subjects()}})
    };
    github().unwrap_or_else(names)
}
