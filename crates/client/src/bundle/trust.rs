//! The authorities and logs that are trusted.

use serde_json::Value;
use sigstore_verify::Verifier;
use sigstore_verify::trust_root::{TrustedRoot, TsaAuthority};
use tlog::Hash;

use super::error::{BundleError, Result};
use crate::key::LogKey;
use crate::trust::Trust;

/// The certificate authorities, timestamp authorities, certificate transparency logs and logs that
/// are trusted, each in its time.
pub struct TrustRoot {
    keys: Vec<LogKey>,
    root: TrustedRoot,
    verifier: Verifier,
}

impl TrustRoot {
    /// Reads Sigstore's `TrustedRoot` or `ClientTrustConfig` (JSON). Several count together.
    ///
    /// # Errors
    ///
    /// A text is neither, a key or certificate in it cannot be used, or it names no log.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut keys: Vec<LogKey> = Vec::new();
        let mut whole: Option<TrustedRoot> = None;
        for text in texts {
            let trust = Trust::read(text).map_err(|error| BundleError::Trust(error.into()))?;
            for key in trust.keys {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            let root = trusted_root(text)?;
            match &mut whole {
                Some(whole) => join(whole, root),
                None => whole = Some(root),
            }
        }
        let root = whole.ok_or_else(|| BundleError::Trust("there is none".into()))?;
        let verifier = Verifier::new(&root).map_err(|error| BundleError::Trust(error.into()))?;
        Ok(Self {
            keys,
            root,
            verifier,
        })
    }

    /// Returns the logs' keys.
    pub fn keys(&self) -> &[LogKey] {
        &self.keys
    }

    /// Returns whether it names certificate transparency logs, so that certificates must have a
    /// signed certificate timestamp.
    pub fn has_ct_logs(&self) -> bool {
        !self.root.ctlogs.is_empty()
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Returns the timestamp authorities.
    pub(super) fn stampers(&self) -> Vec<TsaAuthority> {
        self.root.tsa_authorities()
    }

    /// Returns the key of the log with an ID.
    pub(super) fn log(&self, id: &Hash) -> Option<&LogKey> {
        self.keys.iter().find(|key| key.has_id(id))
    }

    /// Returns the host in the URL of the log with an ID.
    pub(super) fn host(&self, id: &Hash) -> Option<String> {
        let mut logs = self.root.tlogs.iter();
        let log = logs.find(|log| log.log_id.key_id.as_bytes() == id.as_ref())?;
        let url: http::Uri = log.base_url.parse().ok()?;
        url.host().map(str::to_owned)
    }

    /// Returns whether a certificate is the root of a trusted authority.
    pub(super) fn is_root(&self, certificate: &[u8]) -> bool {
        let chains = self.root.certificate_authorities.iter();
        let mut roots = chains.filter_map(|authority| authority.cert_chain.certificates.last());
        roots.any(|root| root.raw_bytes.as_bytes() == certificate)
    }
}

fn trusted_root(text: &str) -> Result<TrustedRoot> {
    let form = |error: serde_json::Error| BundleError::Trust(error.into());
    if !text.trim_start().starts_with('{') {
        let why = "bundles need a trusted_root.json, which names authorities and logs; a public key alone names neither";
        return Err(BundleError::Trust(why.into()));
    }
    let mut document: Value = serde_json::from_str(text).map_err(form)?;
    let root = match document.get_mut("trustedRoot") {
        Some(root) => root.take(),
        None => document,
    };
    serde_json::from_value(root).map_err(form)
}

/// Adds what `more` names and `whole` does not. The same log in both counts once.
fn join(whole: &mut TrustedRoot, more: TrustedRoot) {
    for log in more.tlogs {
        let is_known = |known: &&sigstore_verify::trust_root::TransparencyLog| {
            known.log_id == log.log_id && known.public_key.raw_bytes == log.public_key.raw_bytes
        };
        if !whole.tlogs.iter().any(|known| is_known(&known)) {
            whole.tlogs.push(log);
        }
    }
    for log in more.ctlogs {
        if !whole.ctlogs.iter().any(|known| known.log_id == log.log_id) {
            whole.ctlogs.push(log);
        }
    }
    whole
        .certificate_authorities
        .extend(more.certificate_authorities);
    whole
        .timestamp_authorities
        .extend(more.timestamp_authorities);
}
