//! Rekor v2: writes and look-ups below `/api/v2`, the write over gRPC as well, and the v2 log as
//! C2SP tiles, also at `/`.
//!
//! Rekor v2 routes otherwise than v1: paths are taken as they are, what is not there is 404, and a
//! method that a path does not have is 501, both with the code of gRPC in the body.

pub(crate) mod entries;
pub(crate) mod error;
mod grpc;
pub(crate) mod shard;
mod tiles;
pub(crate) mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use host::{Access, method_label, patience};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::{Instant, timeout};
use tower_http::catch_panic::CatchPanicLayer;

use crate::admission::{Closed, admit};
use crate::app::App;
use crate::failure::NoLog;
use crate::metrics::Metrics;
use crate::operation::{Api, Operation};
use error::Error;

pub(crate) use grpc::is_grpc;

/// The beginning of the API's paths.
const PREFIX: &str = "/api/v2";

/// Whether a cleaned path is one of v2's. Then v2's rules hold for the path as it was sent.
pub(crate) fn is_ours(clean_path: &str) -> bool {
    let below = |prefix: &str| {
        clean_path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    clean_path == "/checkpoint" || below("/tile") || below(PREFIX)
}

/// The routes of HTTP. `others` has the operations that are routed like v2's, but cover all logs.
pub(crate) fn http_routes(
    app: &Arc<App>,
    others: fn(&Arc<App>, Operation) -> MethodRouter<Arc<App>>,
) -> Router {
    let mut router = Router::new();
    for path in Operation::paths_of(&[Api::V2, Api::Tiles]) {
        let operations = || Operation::at(path);
        let mut methods = operations().fold(MethodRouter::new(), |methods, operation| {
            methods.merge(match operation.covers_all_logs() {
                true => others(app, operation),
                false => route(app, operation),
            })
        });
        // HEAD comes with GET, but not where there are writes.
        if operations().any(|operation| operation.access() == Access::Write) {
            methods = methods.on(MethodFilter::HEAD, no_such_method);
        }
        router = router.route(path, methods.fallback(no_such_method));
    }
    let metrics = Arc::clone(&app.metrics);
    router
        .with_state(Arc::clone(app))
        .fallback(async || Error::not_found("Not Found"))
        .layer(CatchPanicLayer::custom(
            move |_: Box<dyn std::any::Any + Send>| panicked(&metrics),
        ))
}

fn route(app: &Arc<App>, operation: Operation) -> MethodRouter<Arc<App>> {
    use Operation as Op;
    match operation {
        Op::CreateEntry => operated(app, operation, entries::create),
        Op::GetEntryByIndex => operated(app, operation, entries::by_index),
        Op::GetConsistencyProof => operated(app, operation, entries::consistency),
        Op::GetCheckpoint => operated(app, operation, tiles::checkpoint),
        Op::GetTile | Op::GetEntryBundle => operated(app, operation, tiles::tile),
        // Of other APIs.
        _ => MethodRouter::new(),
    }
}

/// Returns the route of a handler, with all that is the same for v2's operations.
pub(crate) fn operated<T: 'static>(
    app: &Arc<App>,
    operation: Operation,
    handler: impl Handler<T, Arc<App>>,
) -> MethodRouter<Arc<App>> {
    let layer = from_fn_with_state((Arc::clone(app), operation), operate);
    on(operation.method_filter(), handler.layer(layer))
}

/// The services of gRPC.
pub(crate) fn grpc_routes(app: &Arc<App>) -> Router {
    grpc::routes(app)
}

/// Checks that this server does the operation.
fn admitted(app: &App, operation: Operation, headers: &HeaderMap) -> Result<(), Error> {
    admit(app, operation, headers).map_err(|closed| match closed {
        Closed::NoLog => NoLog.into(),
        Closed::SwitchedOff => Error::switched_off(operation.title()),
        Closed::ReadOnly => Error::frozen(),
        Closed::ForeignPage => Error::foreign_page(),
    })
}

/// Runs one operation: what is the same for all of them.
async fn operate(
    State((app, operation)): State<(Arc<App>, Operation)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let response = match admitted(&app, operation, request.headers()) {
        Ok(()) => timeout(patience(&request), next.run(request))
            .await
            .unwrap_or_else(|_| {
                tracing::warn!(operation = operation.id(), "a request took too long");
                Error::timeout().into_response()
            }),
        Err(error) => {
            app.bodies.discard(request).await;
            error.into_response()
        }
    };
    let mut response = finished(&app, &method, started, response);
    response.extensions_mut().insert(operation.route());
    response
}

/// 501, as Rekor v2 answers a method that a path does not have.
async fn no_such_method(State(app): State<Arc<App>>, method: Method) -> Response {
    let error = match app.v2() {
        Ok(_) => Error::method(),
        Err(no_log) => no_log.into(),
    };
    finished(&app, &method, Instant::now(), error.into_response())
}

/// Counts an answer. Answers without a `Cache-Control` of their own must not be cached: an index
/// that is missing now may exist a moment later.
fn finished(app: &App, method: &Method, started: Instant, mut response: Response) -> Response {
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    app.metrics
        .v2_answer(response.status(), method_label(method), started.elapsed());
    response
}

/// Answers a request that panicked. The process's hook reported the panic itself.
fn panicked(metrics: &Metrics) -> Response {
    tracing::error!("a request ended in a bug");
    metrics.http.panics.inc();
    Error::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        for (path, expected) in [
            ("/api/v2", true),
            ("/api/v2/log/entries", true),
            ("/api/v2/nope", true),
            ("/checkpoint", true),
            ("/tile/0/000", true),
            ("/tile", true),
            ("/tiles", false),
            ("/api/v20", false),
            ("/api/v1/log", false),
            ("/checkpoint/x", false),
            ("/", false),
        ] {
            assert_eq!(is_ours(path), expected, "{path}");
        }
    }
}
