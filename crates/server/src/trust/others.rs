//! The services of others that clients need beside a log: certificate authorities and their
//! transparency logs, time-stamp authorities, identity providers. They are read from the documents
//! that their operators (or `cosign trusted-root create` and `cosign signing-config create`) write.

use sigstore_protobuf_specs::dev::sigstore::trustroot::v1::{
    ServiceConfiguration, ServiceSelector, SigningConfig, TrustedRoot,
};

/// Media types of a trusted root: the one that all clients take, and the name that the
/// specification gave it later.
const TRUSTED_ROOT_TYPES: [&str; 3] = [
    super::documents::TRUSTED_ROOT_TYPE,
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

/// Trust material to which this log's is added. Its Rekor logs stay trusted, but clients do not
/// sign with them.
#[derive(Clone, Debug, Default)]
pub struct Others {
    pub(super) trusted_root: TrustedRoot,
    pub(super) signing_config: SigningConfig,
}

/// Why a document cannot be added to.
#[derive(Debug, thiserror::Error)]
pub enum OthersError {
    /// Not the JSON of such a document.
    #[error("not a {what}: {source}")]
    Json {
        /// Which document.
        what: &'static str,
        /// The fault.
        source: serde_json::Error,
    },
    /// Another document, or another version of it.
    #[error("not a {what}: its mediaType is {media_type:?}")]
    MediaType {
        /// Which document.
        what: &'static str,
        /// The type it names.
        media_type: String,
    },
}

impl Others {
    /// Adds the contents of a `trusted_root.json`.
    pub fn with_trusted_root(self, json: &str) -> Result<Self, OthersError> {
        const WHAT: &str = "trusted root";
        let trusted_root: TrustedRoot = serde_json::from_str(json)
            .map_err(|source| OthersError::Json { what: WHAT, source })?;
        if !TRUSTED_ROOT_TYPES.contains(&trusted_root.media_type.as_str()) {
            return Err(OthersError::MediaType {
                what: WHAT,
                media_type: trusted_root.media_type,
            });
        }
        Ok(Self {
            trusted_root,
            ..self
        })
    }

    /// Adds the contents of a `signing_config.v0.2.json`.
    pub fn with_signing_config(self, json: &str) -> Result<Self, OthersError> {
        const WHAT: &str = "signing config";
        let mut signing_config: SigningConfig = serde_json::from_str(json)
            .map_err(|source| OthersError::Json { what: WHAT, source })?;
        if signing_config.media_type != super::documents::SIGNING_CONFIG_TYPE {
            return Err(OthersError::MediaType {
                what: WHAT,
                media_type: signing_config.media_type,
            });
        }
        // sigstore-go requires a selector where there are services, and sigstore-js requires
        // services where there is a selector.
        signing_config.tsa_config = match signing_config.tsa_urls.is_empty() {
            true => None,
            false => signing_config.tsa_config.or(Some(any())),
        };
        Ok(Self {
            signing_config,
            ..self
        })
    }

    /// Whether clients can get a signed time-stamp, which a keyless signature in a v2 log needs.
    pub(super) fn has_timestamp_authority(&self) -> bool {
        !self.signing_config.tsa_urls.is_empty()
    }
}

/// The one selector that all clients accept.
pub(super) fn any() -> ServiceConfiguration {
    ServiceConfiguration {
        selector: ServiceSelector::Any.into(),
        count: 0,
    }
}
