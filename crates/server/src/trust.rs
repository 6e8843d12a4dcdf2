//! What clients have to trust and which services they sign with, in the forms that Sigstore's clients read: sigstore-go (and
//! so cosign), sigstore-js and sigstore-python, all of the same file.
//!
//! The documents follow from the stored trees, their keys and windows, and from what the operator says: the public URL, and
//! the certificate, timestamp and identity services that others run.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use ledger::ReadError;

use crate::app::App;
use crate::v1::errors::ApiError;

mod documents;
mod others;

pub use host::{PublicUrl, PublicUrlError};

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

/// Why a document cannot be given.
#[derive(Debug)]
pub(crate) enum DocumentError {
    /// The database.
    Read(ReadError),
    /// What is stored of the trees.
    Trust(TrustError),
}

impl IntoResponse for DocumentError {
    fn into_response(self) -> Response {
        match self {
            Self::Read(error) => ApiError::from(error).into_response(),
            Self::Trust(error) => {
                tracing::error!(%error, "the trust material cannot be made");
                ApiError::unknown().into_response()
            }
        }
    }
}

/// `GET /trust/…`: one document, of all trees as they are stored now.
pub(crate) async fn document(State(app): State<Arc<App>>, document: Document) -> Result<Response, DocumentError> {
    let trees = app.ledger.trees().await.map_err(DocumentError::Read)?;
    let material = TrustMaterial::new(&trees, &app.trust).map_err(DocumentError::Trust)?;
    let headers = [(CONTENT_TYPE, document.content_type()), (CACHE_CONTROL, "no-cache")];
    Ok((headers, material.text(document)).into_response())
}
