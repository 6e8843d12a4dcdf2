//! The statement of an attestation (in-toto).

use sigstore_verify::types::{SignatureContent, Statement as InTotoStatement};

use super::error::{BundleError, Result};
use super::read::Bundle;
use sigstore_verify::types::DsseEnvelope;

/// The types of statements that are understood. They differ in nothing that is read here.
const TYPES: [&str; 2] = [
    "https://in-toto.io/Statement/v0.1",
    "https://in-toto.io/Statement/v1",
];

/// What an attestation says, and about which artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The type of what it says.
    pub predicate_type: String,
    /// The artifacts.
    pub subjects: Vec<Subject>,
}

/// An artifact that an attestation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name. May be empty.
    pub name: String,
    /// Digests, each as `algorithm:hexadecimal digits`.
    pub digests: Vec<String>,
}

impl Bundle {
    pub(super) fn envelope(&self) -> Option<&DsseEnvelope> {
        match &self.content.content {
            SignatureContent::DsseEnvelope(envelope) => Some(envelope),
            _ => None,
        }
    }

    /// Returns the statement of an attestation.
    pub(super) fn statement(&self) -> Result<Option<Statement>> {
        let Some(envelope) = self.envelope() else {
            return Ok(None);
        };
        // The parser and the type of `sigstore-verify`, which compares the subjects: two parsers
        // could read two statements.
        let statement: InTotoStatement =
            serde_json::from_slice(envelope.payload.as_bytes()).map_err(BundleError::form)?;
        if !TYPES.contains(&statement.type_.as_str()) {
            let type_ = statement.type_;
            return Err(BundleError::Attestation(format!(
                "the type of the statement is {type_}, not one of in-toto"
            )));
        }
        let subjects = statement.subject.into_iter().map(subject);
        Ok(Some(Statement {
            subjects: subjects.collect(),
            predicate_type: statement.predicate_type,
        }))
    }
}

fn subject(subject: sigstore_verify::types::Subject) -> Subject {
    let digest = subject.digest;
    let sha256 = digest
        .sha256
        .map(|hash| format!("sha256:{}", hash.to_hex()));
    let sha512 = digest
        .sha512
        .map(|hash| format!("sha512:{}", hash.to_hex()));
    let others = digest.other.iter();
    let others = others.map(|(algorithm, digits)| format!("{algorithm}:{digits}"));
    Subject {
        name: subject.name,
        digests: sha256.into_iter().chain(sha512).chain(others).collect(),
    }
}
