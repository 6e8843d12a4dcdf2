//! Reads a bundle and checks its shape. Nothing is verified here.

use std::collections::HashSet;

use serde::Deserialize;
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{Bundle as SigstoreBundle, TransparencyLogEntry};

use super::cosign::CosignBundle;
use super::error::{BundleError, Result};
use super::logs;

/// Largest bundle. An attestation has its statement inside, and a bill of materials of a large
/// image has ten megabytes.
const MAX_BYTES: usize = 64 << 20;
/// Most log entries and most timestamps, as in sigstore-go.
const MAX_ENTRIES: usize = 32;
/// Most certificates of a chain, as in Rekor.
const MAX_CERTIFICATES: usize = 10;

/// A bundle as it was read. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub(super) content: SigstoreBundle,
}

/// The members by which the two forms are told apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    media_type: Option<String>,
    verification_material: Option<serde::de::IgnoredAny>,
    base64_signature: Option<serde::de::IgnoredAny>,
}

impl Bundle {
    /// Returns whether a JSON document claims to be a bundle of either form. Nothing else is said
    /// of it.
    pub fn is_one(text: &[u8]) -> bool {
        serde_json::from_slice(text).is_ok_and(|probe: Probe| {
            probe.verification_material.is_some() || probe.base64_signature.is_some()
        })
    }

    /// Reads a Sigstore bundle (version 0.1, 0.2 or 0.3, JSON), or the bundle that `cosign
    /// sign-blob` wrote before those.
    ///
    /// # Errors
    ///
    /// The text is neither, has no log entry, has one twice, or has more of something than any
    /// client writes.
    pub fn read(text: &[u8]) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(BundleError::form(format!(
                "it has more than {MAX_BYTES} bytes"
            )));
        }
        let text = std::str::from_utf8(text).map_err(BundleError::form)?;
        let probe: Probe = serde_json::from_str(text).map_err(unreadable)?;
        let content = match (&probe.media_type, probe.base64_signature) {
            (None, Some(_)) => CosignBundle::read(text)?,
            (None, None) => return Err(BundleError::form("mediaType is missing")),
            (Some(_), _) => serde_json::from_str(text).map_err(unreadable)?,
        };
        let bundle = Self { content };
        bundle.check_counts()?;
        bundle.check_duplicates()?;
        Ok(bundle)
    }

    /// Returns whether the bundle is an attestation: a statement about artifacts, instead of a
    /// signature over one.
    pub fn is_attestation(&self) -> bool {
        self.envelope().is_some()
    }

    pub(super) fn entries(&self) -> &[TransparencyLogEntry] {
        &self.content.verification_material.tlog_entries
    }

    fn check_counts(&self) -> Result<()> {
        let material = &self.content.verification_material;
        let entries = material.tlog_entries.len();
        let timestamps = &material.timestamp_verification_data.rfc3161_timestamps;
        let certificates = match &material.content {
            VerificationMaterialContent::X509CertificateChain { certificates } => {
                certificates.len()
            }
            _ => 1,
        };
        for (what, count, most) in [
            ("log entries", entries, MAX_ENTRIES),
            ("timestamps", timestamps.len(), MAX_ENTRIES),
            ("certificates", certificates, MAX_CERTIFICATES),
        ] {
            if count > most {
                return Err(BundleError::form(format!(
                    "it has {count} {what}, more than {most}"
                )));
            }
        }
        match (entries, certificates) {
            (0, _) => Err(BundleError::form(
                "it has no log entry, so that nobody can notice the signature",
            )),
            (_, 0) => Err(BundleError::form("its certificate chain is empty")),
            _ => Ok(()),
        }
    }

    /// The same entry twice must not look like two.
    fn check_duplicates(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for entry in self.entries() {
            let place = (entry.log_id.key_id.as_bytes(), entry.log_index.get());
            if !seen.insert(place) {
                let (index, log) = (entry.log_index, logs::log_id(entry));
                return Err(BundleError::form(format!(
                    "log entry {index} of log {log} is in it twice"
                )));
            }
        }
        Ok(())
    }
}

/// Says of a file that ends too early that it does.
fn unreadable(error: serde_json::Error) -> BundleError {
    match error.is_eof() {
        true => BundleError::form(format!(
            "the file is truncated, it ends in the middle ({error})"
        )),
        false => BundleError::form(error),
    }
}
