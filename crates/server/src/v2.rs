//! Rekor v2: writes and look-ups below `/api/v2`, the write over gRPC as well, and the log as C2SP tiles, also at `/`.
//!
//! Rekor v2 routes otherwise than v1: paths are taken as they are, what is not there is 404, and a method that a path does not
//! have is 501, both with the code of gRPC in the body.

mod entries;
mod error;
mod grpc;
mod shard;
mod tiles;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use tokio::time::{Instant, timeout};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::body::patience;
use crate::metrics::Metrics;
use crate::observe::method_label;
use crate::operation::Route;
use error::Error;

pub(crate) use grpc::is_grpc;
pub(crate) use tiles::GzipBundles;

/// What the paths of the API begin with.
const PREFIX: &str = "/api/v2";

const ENTRIES: &str = "/api/v2/log/entries";
const ENTRY: &str = "/api/v2/log/entries/{index}";
const CONSISTENCY: &str = "/api/v2/log/proof/consistency";
const CHECKPOINTS: [&str; 2] = ["/api/v2/checkpoint", "/checkpoint"];
const TILES: [&str; 2] = ["/api/v2/tile/{*path}", "/tile/{*path}"];

/// Path, method and name of what is documented; the tiles have two paths each, by what they are.
#[cfg(test)]
pub(crate) const DOCUMENTED: [(&str, &str, &str); 7] = [
    (ENTRIES, "POST", "createEntry"),
    (ENTRIES, "GET", "getEntryByLeafHash"),
    (ENTRY, "GET", "getEntryByIndex"),
    (CONSISTENCY, "GET", "getConsistencyProof"),
    ("/api/v2/checkpoint", "GET", "getCheckpoint"),
    ("/api/v2/tile/{L}/{N}", "GET", "getTile"),
    ("/api/v2/tile/entries/{N}", "GET", "getEntryBundle"),
];

/// Whether a path, once it is clean, is one of v2's: then v2's rules hold for it as it was sent.
pub(crate) fn is_ours(clean_path: &str) -> bool {
    let below =
        |prefix: &str| clean_path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    clean_path == "/checkpoint" || below("/tile") || below(PREFIX)
}

/// The routes of HTTP.
pub(crate) fn http_routes(app: &Arc<App>) -> Router {
    let mut router = Router::new()
        .route(ENTRIES, route(app, ENTRIES, no_head(get(entries::by_leaf_hash).post(entries::create))))
        .route(ENTRY, route(app, ENTRY, get(entries::by_index)))
        .route(CONSISTENCY, route(app, CONSISTENCY, get(entries::consistency)));
    for path in CHECKPOINTS {
        router = router.route(path, route(app, path, get(tiles::checkpoint)));
    }
    for path in TILES {
        router = router.route(path, route(app, path, get(tiles::tile)));
    }
    let metrics = Arc::clone(&app.metrics);
    router
        .with_state(Arc::clone(app))
        .fallback(async || Error::not_found("Not Found"))
        .layer(CatchPanicLayer::custom(move |_: Box<dyn std::any::Any + Send>| panicked(&metrics)))
}

/// The services of gRPC.
pub(crate) fn grpc_routes(app: &Arc<App>) -> Router {
    grpc::routes(app)
}

fn get<T: 'static, H: Handler<T, Arc<App>>>(handler: H) -> MethodRouter<Arc<App>> {
    MethodRouter::new().on(MethodFilter::GET, handler)
}

/// Without the HEAD that comes with GET.
fn no_head(methods: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    methods.on(MethodFilter::HEAD, async || Error::method())
}

/// What is the same for all paths: 501 for other methods, a time-out, metrics.
fn route(app: &Arc<App>, path: &'static str, methods: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    methods.fallback(async || Error::method()).layer(from_fn_with_state((Arc::clone(app), Route(path)), operate))
}

async fn operate(State((app, route)): State<(Arc<App>, Route)>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let mut response = match app.ledger.tree().apis.takes_v2() {
        true => timeout(patience(&request), next.run(request)).await.unwrap_or_else(|_| {
            tracing::warn!(route = route.0, "a request took too long");
            Error::timeout().into_response()
        }),
        false => Error::v1_only().into_response(),
    };
    // What says nothing of it must not be kept: entries come, and an index that is absent now is not for long.
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    response.extensions_mut().insert(route);
    app.metrics.v2_answer(response.status(), method, started.elapsed());
    response
}

/// The panic itself was reported where it happened, by the process's hook.
fn panicked(metrics: &Metrics) -> Response {
    tracing::error!("a request ended in a bug");
    metrics.panics.inc();
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
