//! The routes that belong to none of Rekor's APIs: those that cover all logs (search, events, batch,
//! the look-up by leaf hash, every tree below its own path), the guard, trust material, documents and
//! probes.
//!
//! They refuse as Rekor v1 does, except the look-up by leaf hash, which is below v2's paths.

mod batch;
mod events;
mod leaf_hash;
mod look_up;
mod proved;
mod search;
mod tlog_proof;
mod trees;

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use host::{Reason, patience};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, StatusCode};
use ledger::ReadError;
use tokio::time::timeout;

use crate::admission::admit;
use crate::app::App;
use crate::operation::{Api, Operation};
use crate::tiles::NO_CACHE;
use crate::trust::{Document, TrustError, TrustMaterial};
use crate::v1::ApiError;
use crate::{health, pages, v1, v2};

/// Returns the routes of trees, trust material, documents and probes.
pub(crate) fn routes(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for operation in Operation::of(&[Api::Trees, Api::Trust, Api::Pages, Api::Probes]) {
        let Some(methods) = route(operation) else {
            continue;
        };
        let layer = from_fn_with_state((Arc::clone(app), operation), operate);
        router = router.route(operation.path(), methods.layer(layer));
    }
    router.with_state(Arc::clone(app))
}

/// Returns the handlers of an operation, or `None` if another router has it. Documents answer any
/// method, as in Rekor.
fn route(operation: Operation) -> Option<MethodRouter<Arc<App>>> {
    let refuse = |method: Method| async move { v1::not_allowed(&method, "GET,HEAD") };
    Some(match operation {
        Operation::GetTrees => get(trees::list).fallback(refuse),
        Operation::GetTreeCheckpoint => get(trees::checkpoint).fallback(refuse),
        Operation::GetTreeFreezeNote => get(trees::freeze_note).fallback(refuse),
        Operation::GetTreeTile | Operation::GetTreeEntryBundle => get(trees::tile).fallback(refuse),
        Operation::GetTreeEntry => get(trees::entry).fallback(refuse),
        Operation::GetGuard => get(guard).fallback(refuse),
        Operation::GetTreeEntryTlogProof => get(tlog_proof::show).fallback(refuse),
        Operation::GetTreeRows => get(trees::rows).fallback(refuse),
        Operation::Home => any(pages::home),
        Operation::Docs => any(pages::docs),
        Operation::Swagger => any(pages::swagger),
        Operation::Ping => any(ping),
        Operation::Healthz => get(host::healthz).fallback(refuse),
        Operation::Readyz => get(health::readyz).fallback(refuse),
        _ => {
            let document = Document::ALL
                .into_iter()
                .find(|document| document.path() == operation.path())?;
            get(move |app| trust_document(app, document)).fallback(refuse)
        }
    })
}

/// Returns the route of an operation that covers all logs and is routed like v1's.
pub(crate) fn route_like_v1(app: &Arc<App>, operation: Operation) -> MethodRouter<Arc<App>> {
    match operation {
        Operation::SearchEntries => v1::operated(app, operation, search::search),
        Operation::LookUpKeys => v1::operated(app, operation, look_up::look_up),
        Operation::GetLogEvents => v1::operated(app, operation, events::events),
        Operation::CreateLogEntries => v1::operated(app, operation, batch::create),
        _ => MethodRouter::new(),
    }
}

/// Returns the route of an operation that covers all logs and is routed like v2's.
pub(crate) fn route_like_v2(app: &Arc<App>, operation: Operation) -> MethodRouter<Arc<App>> {
    match operation {
        Operation::GetEntryByLeafHash => v2::operated(app, operation, leaf_hash::entry),
        _ => MethodRouter::new(),
    }
}

/// Runs one operation of our own.
async fn operate(
    State((app, operation)): State<(Arc<App>, Operation)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admit(&app, operation, request.headers()) {
        Ok(()) => timeout(patience(&request), next.run(request))
            .await
            .unwrap_or_else(|_| {
                tracing::warn!(operation = operation.id(), "a request took too long");
                let error = ApiError::handler(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout");
                error.because(Reason::TIMEOUT).into_response()
            }),
        Err(closed) => v1::refusal(operation, closed).into_response(),
    };
    if operation.api() == Api::Trees {
        // A tile that is absent now may exist a moment later.
        let headers = response.headers_mut();
        headers.entry(CACHE_CONTROL).or_insert(NO_CACHE);
    }
    response.extensions_mut().insert(operation.route());
    response
}

/// Answers the heartbeat. Other methods get 404, and so no `Allow`.
async fn ping(method: Method, uri: OriginalUri) -> Response {
    match method {
        Method::GET | Method::HEAD => pages::ping().await,
        _ => not_found(uri).await.into_response(),
    }
}

/// `GET /guard`: the newest head of each log that this server published, for another server of the
/// ledger that starts. As large as [`ledger::guard::MAX_GUARD_BYTES`] at most.
async fn guard(State(app): State<Arc<App>>) -> Response {
    let heads = app.ledger.guarded_heads().encode();
    ([(CONTENT_TYPE, "application/octet-stream")], heads).into_response()
}

/// Answers a request without a route.
pub(crate) async fn not_found(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::framework(
        StatusCode::NOT_FOUND,
        format!("path {} was not found", uri.path()),
    )
}

/// Why a document cannot be shown.
#[derive(Debug)]
enum DocumentError {
    /// The database.
    Read(ReadError),
    /// The stored trees.
    Trust(TrustError),
    /// The ledger has no log that the document is about.
    NoLog,
}

impl IntoResponse for DocumentError {
    fn into_response(self) -> Response {
        match self {
            Self::Read(error) => ApiError::from(error).into_response(),
            Self::Trust(error) => {
                tracing::error!(%error, "the trust material cannot be made");
                ApiError::unknown().into_response()
            }
            Self::NoLog => {
                let absent = "this ledger has no v1 log";
                ApiError::framework(StatusCode::NOT_FOUND, absent.to_owned()).into_response()
            }
        }
    }
}

/// `GET /trust/…`: one document, of all trees as they are stored now.
async fn trust_document(
    State(app): State<Arc<App>>,
    document: Document,
) -> Result<Response, DocumentError> {
    let trees = app.ledger.trees().await.map_err(DocumentError::Read)?;
    let material = TrustMaterial::new(&trees, &app.trust).map_err(DocumentError::Trust)?;
    let text = material.text(document).ok_or(DocumentError::NoLog)?;
    let headers = [
        (CONTENT_TYPE, document.content_type()),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, text).into_response())
}
