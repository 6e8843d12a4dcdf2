//! The trust material: what clients have to trust, and which services they sign with. It has the
//! forms that Sigstore's clients read: sigstore-go (and so cosign), sigstore-js and sigstore-python
//! read the same file.
//!
//! The documents follow from the stored trees, their keys and windows, and from the operator's
//! settings: the public URL, and the certificate, timestamp and identity services of others.

mod documents;
mod monitor_config;
mod others;

use host::PublicUrl;

pub use documents::{Document, TrustError, TrustMaterial};
pub use others::{Others, OthersError};

/// The operator's settings about the ledger's surroundings.
#[derive(Clone, Debug, Default)]
pub struct TrustSettings {
    /// Where clients reach the ledger. Unset: `https://` and its name.
    pub public_url: Option<PublicUrl>,
    /// The services of others.
    pub others: Others,
}
