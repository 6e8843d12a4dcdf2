//! Who must have signed.

use regex::Regex;
use sigstore_verify::types::DerPublicKey;

use super::error::{BundleError, Result};
use super::verify::Certificate;

/// What a bundle must say beside being right.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The signer.
    pub signer: Expected,
    /// The predicate type of an attestation, if it matters.
    pub predicate_type: Option<String>,
}

/// The signer that is expected.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The owner of this key.
    Key(DerPublicKey),
    /// The owner of such a certificate.
    Certificate(CertificatePolicy),
}

/// What a certificate must say.
#[derive(Clone, Debug)]
pub struct CertificatePolicy {
    /// One of the names in its subject alternative name.
    pub identity: Pattern,
    /// The issuer of the identity, as Fulcio writes it.
    pub issuer: Pattern,
    /// Values of extensions, by their object identifier in dotted form.
    pub extensions: Vec<(String, String)>,
}

/// A text that is expected.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// This text.
    Is(String),
    /// A text in which this is found. It is not anchored, as in cosign.
    Matches(Regex),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Is(expected) => expected == text,
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Is(expected) => write!(f, "{expected}"),
            Self::Matches(regex) => write!(f, "a text that matches {regex}"),
        }
    }
}

impl Expected {
    /// Reads a public key in PEM.
    ///
    /// # Errors
    ///
    /// The text is not PEM of a public key.
    pub fn key(pem: &str) -> Result<Self> {
        let key = DerPublicKey::from_pem(pem);
        let key = key.map_err(|error| BundleError::Signer(format!("the key: {error}")))?;
        Ok(Self::Key(key))
    }
}

impl CertificatePolicy {
    /// Compares a certificate that was verified.
    pub(super) fn check(&self, certificate: &Certificate) -> Result<()> {
        let names = &certificate.names;
        if !names.iter().any(|name| self.identity.matches(name)) {
            return Err(BundleError::Signer(format!(
                "the certificate is of {}, and {} was expected",
                names.join(", "),
                self.identity
            )));
        }
        let issuer = certificate.issuer.as_deref();
        if !issuer.is_some_and(|issuer| self.issuer.matches(issuer)) {
            return Err(BundleError::Signer(format!(
                "the identity is vouched for by {}, and {} was expected",
                issuer.unwrap_or("no issuer"),
                self.issuer
            )));
        }
        for (id, expected) in &self.extensions {
            let found = certificate.extension(id);
            if found != Some(expected) {
                return Err(BundleError::Signer(format!(
                    "extension {id} of the certificate is {}, and {expected} was expected",
                    found.unwrap_or("absent")
                )));
            }
        }
        Ok(())
    }
}
