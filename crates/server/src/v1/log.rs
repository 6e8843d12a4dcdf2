//! The log as a whole: its head, its public key, and proofs that it only grew.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ledger::{Head, ReadError, Shards, TreeId};
use tlog::TreeSize;

use super::AnswerType;
use super::errors::ApiError;
use super::parameters;
use super::wire::{ConsistencyProof, LogInfo, json, json_bytes, json_text};
use crate::app::App;
use crate::failure::NoLog;
use crate::lookup;

/// Why a consistency proof is refused.
#[derive(Debug)]
pub(crate) enum ProofError {
    /// A parameter does not bind, or the ledger has no v1 log.
    Parameter(ApiError),
    /// `firstSize` is beyond `lastSize`.
    Order { first: u64, last: u64 },
    /// The tree ID is not valid.
    InvalidTree(String),
    /// The log has no such tree.
    UnknownTree(i64),
    /// The tree is smaller.
    TooLarge { last: u64, observable: u64 },
    /// The database.
    Read(ReadError),
}

impl IntoResponse for ProofError {
    fn into_response(self) -> Response {
        let message = match self {
            Self::Parameter(error) => return error.into_response(),
            Self::Read(error) => return ApiError::from(error).into_response(),
            Self::Order { first, last } => {
                format!("firstSize({first}) must be less than lastSize({last})")
            }
            Self::InvalidTree(tree) => format!("invalid tree ID specified: {tree}"),
            Self::UnknownTree(tree) => format!("no log range found for tree ID {tree}"),
            Self::TooLarge { last, observable } => {
                format!(
                    "the tree size requested({last}) was greater than what is currently observable({observable})"
                )
            }
        };
        ApiError::handler(StatusCode::BAD_REQUEST, message).into_response()
    }
}

impl From<ApiError> for ProofError {
    fn from(error: ApiError) -> Self {
        Self::Parameter(error)
    }
}

impl From<NoLog> for ProofError {
    fn from(error: NoLog) -> Self {
        Self::Parameter(error.into())
    }
}

impl From<ReadError> for ProofError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Why the public key is refused.
#[derive(Debug)]
pub(crate) enum PublicKeyError {
    /// A parameter does not bind, or the trees cannot be read.
    Parameter(ApiError),
    /// The log has no such tree. The refusal has the type that the client asked for, although it is
    /// JSON.
    UnknownTree(AnswerType),
}

impl IntoResponse for PublicKeyError {
    fn into_response(self) -> Response {
        match self {
            Self::Parameter(error) => error.into_response(),
            Self::UnknownTree(AnswerType("application/json")) => {
                ApiError::handler(StatusCode::BAD_REQUEST, "Bad Request").into_response()
            }
            Self::UnknownTree(AnswerType(answer_type)) => {
                let body = ApiError::framework(StatusCode::BAD_REQUEST, "Bad Request").body();
                (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, answer_type)], body).into_response()
            }
        }
    }
}

impl From<ApiError> for PublicKeyError {
    fn from(error: ApiError) -> Self {
        Self::Parameter(error)
    }
}

/// `GET /api/v1/log`: the newest head, and the last heads of frozen shards.
pub(crate) async fn info(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let shards = app.v1()?.newest_heads().await?;
    let text = app
        .log_info
        .of(&shards, |shards| json_bytes(&LogInfo::new(shards)))?;
    Ok(json_text(text))
}

/// `GET /api/v1/log/publicKey`: PEM, or a JSON string of it.
pub(crate) async fn public_key(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    Extension(answer_type): Extension<AnswerType>,
) -> Result<Response, PublicKeyError> {
    let log = app.v1().map_err(ApiError::from)?;
    let tree = match parameters::tree_id(query.as_deref())? {
        None => log.tree(),
        Some(asked) => {
            let unknown = || PublicKeyError::UnknownTree(answer_type);
            let tree = asked.parse().map(TreeId).map_err(|_| unknown())?;
            let found = lookup::find(log, |shards| head_in(shards, tree)).await;
            let head = found.map_err(|error: ReadError| ApiError::from(error))?;
            head.ok_or_else(unknown)?.tree.clone()
        }
    };
    Ok(match answer_type {
        AnswerType("application/json") => json(StatusCode::OK, &tree.public_key_pem),
        AnswerType(pem) => ([(CONTENT_TYPE, pem)], tree.public_key_pem.clone()).into_response(),
    })
}

/// `GET /api/v1/log/proof`: the consistency proof between two sizes of a tree.
pub(crate) async fn proof(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ProofError> {
    let log = app.v1()?;
    let query = query.as_deref();
    let first = parameters::integer(query, "firstSize", 1)?
        .unwrap_or(1)
        .unsigned_abs();
    let last = parameters::required_integer(query, "lastSize", 1)?.unsigned_abs();
    let tree = parameters::tree_id(query)?;
    if first > last {
        return Err(ProofError::Order { first, last });
    }
    let tree = match tree {
        None => log.tree().id,
        Some(tree) => TreeId(
            tree.parse()
                .map_err(|_| ProofError::InvalidTree(tree.into_owned()))?,
        ),
    };
    let is_large_enough =
        |head: &Option<Arc<Head>>| head.as_ref().is_some_and(|head| last <= head.size.0);
    let head = lookup::until(log, |shards| head_in(shards, tree), is_large_enough).await?;
    let head = head.ok_or(ProofError::UnknownTree(tree.0))?;
    if last > head.size.0 {
        log.shards().check_size(tree, TreeSize(last))?;
        return Err(ProofError::TooLarge {
            last,
            observable: head.size.0,
        });
    }
    let hashes = log
        .consistency_proof(&head, TreeSize(first), TreeSize(last))
        .await?;
    Ok(json(StatusCode::OK, &ConsistencyProof::new(hashes, &head)))
}

async fn head_in(shards: Shards, tree: TreeId) -> Result<Option<Arc<Head>>, ReadError> {
    Ok(shards.of_tree(tree).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_tree_is_a_json_text_in_the_type_asked_for() {
        let response =
            PublicKeyError::UnknownTree(AnswerType("application/x-pem-file")).into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/x-pem-file");
        let response = PublicKeyError::UnknownTree(AnswerType("application/json")).into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }
}
