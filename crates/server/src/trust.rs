//! What clients have to trust and which services they sign with, in the forms that Sigstore's
//! clients read: sigstore-go (and so cosign), sigstore-js and sigstore-python, all of the same
//! file.
//!
//! The documents follow from the stored trees, their keys and windows, and from what the operator
//! says: the public URL, and the certificate, timestamp and identity services that others run.

mod documents;
mod others;

use host::PublicUrl;

pub use documents::{Document, TrustError, TrustMaterial};
pub use others::{Others, OthersError};

/// What the operator says about the log's surroundings.
#[derive(Clone, Debug, Default)]
pub struct TrustSettings {
    /// Where clients reach the log; none means `https://` and the log's name.
    pub public_url: Option<PublicUrl>,
    /// Services that others run.
    pub others: Others,
}
