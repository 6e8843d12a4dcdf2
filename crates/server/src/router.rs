//! All routes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any};
use futures_util::FutureExt as _;
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode, Uri};
use ledger::Ledger;
use tower::ServiceExt as _;

use crate::app::App;
use crate::cors::cors;
use crate::errors::ApiError;
use crate::limits::MAX_URI_BYTES;
use crate::metrics::{Metrics, Refused};
use crate::observe::observe;
use crate::operation::{Operation, Route, operate};
use crate::settings::Settings;
use crate::trust::Document;
use crate::{batch, entries, health, index, log, pages, path, retrieve, search, trust, v2};

/// The whole HTTP surface but for the metrics. The listening side is [`crate::serve`]'s business.
///
/// # Errors
///
/// The metrics are registered already: there is one router per registry.
pub fn router(ledger: Ledger, settings: &Settings) -> prometheus::Result<Router> {
    Ok(routes(&Arc::new(App::new(ledger, settings)?)))
}

/// What a request goes through, outermost first: observation, CORS, panics, the length of the URI, the choice of the API.
///
/// Plain calls, not layers: each layer would copy the request and box a future, and the two together cost more than most answers.
pub(crate) fn routes(app: &Arc<App>) -> Router {
    let apis = Arc::new(Apis {
        v1: api(app).merge(documents(app)).fallback(not_found),
        v2: v2::http_routes(app),
        grpc: v2::grpc_routes(app),
    });
    let app = Arc::clone(app);
    Router::new().fallback(move |request: Request| answer(Arc::clone(&app), Arc::clone(&apis), request))
}

async fn answer(app: Arc<App>, apis: Arc<Apis>, request: Request) -> Response {
    observe(&app, request, |request| cors(request, |request| guarded(&app, &apis, request))).await
}

async fn guarded(app: &App, apis: &Apis, request: Request) -> Response {
    let answered = AssertUnwindSafe(apis.answer(request)).catch_unwind().await;
    answered.unwrap_or_else(|panic| panicked(&app.metrics, panic.as_ref()))
}

/// The APIs, each with its routes.
struct Apis {
    v1: Router,
    v2: Router,
    grpc: Router,
}

impl Apis {
    /// Hands a request to the API that it is for. Only v1's paths are cleaned.
    async fn answer(&self, request: Request) -> Response {
        let length = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if length > MAX_URI_BYTES {
            let message = format!("Request URI Too Long. Limit set to {MAX_URI_BYTES}");
            return ApiError::framework(StatusCode::URI_TOO_LONG, message).because(Refused::Uri).into_response();
        }
        let answered = if v2::is_grpc(request.headers()) {
            self.grpc.clone().oneshot(request).await
        } else if v2::is_ours(&path::clean(request.uri().path())) {
            self.v2.clone().oneshot(request).await
        } else {
            self.v1.clone().oneshot(with_clean_path(request)).await
        };
        answered.unwrap_or_else(|never| match never {})
    }
}

fn api(app: &Arc<App>) -> Router {
    use Operation as Op;
    let run = |operation: Operation| from_fn_with_state((Arc::clone(app), operation), operate);
    let by_uuid = entries::by_uuid.layer(run(Op::GetLogEntryByUuid));
    let routes: [(&str, MethodRouter<Arc<App>>); 9] = [
        (Op::GetLogInfo.path(), get(log::info.layer(run(Op::GetLogInfo)))),
        (Op::GetPublicKey.path(), get(log::public_key.layer(run(Op::GetPublicKey)))),
        (Op::GetLogProof.path(), get(log::proof.layer(run(Op::GetLogProof)))),
        (
            Op::CreateLogEntry.path(),
            get(entries::by_index.layer(run(Op::GetLogEntryByIndex)))
                .post(entries::create.layer(run(Op::CreateLogEntry))),
        ),
        (Op::GetLogEntryByUuid.path(), get(by_uuid.clone())),
        // To Rekor's router a GET of these paths is one of the entry with the ID `retrieve`, or `batch`.
        (Op::SearchLogQuery.path(), get(by_uuid.clone()).post(retrieve::retrieve.layer(run(Op::SearchLogQuery)))),
        (Op::CreateLogEntries.path(), get(by_uuid).post(batch::create.layer(run(Op::CreateLogEntries)))),
        (Op::SearchIndex.path(), MethodRouter::new().post(index::search.layer(run(Op::SearchIndex)))),
        (Op::SearchEntries.path(), get(search::search.layer(run(Op::SearchEntries)))),
    ];
    let mut router = Router::new();
    for (path, methods) in routes {
        let allowed = allowed_methods(path);
        let refuse = move |method: Method| async move { not_allowed(&method, allowed) };
        router = router.route(path, methods.on(MethodFilter::HEAD, refuse).fallback(refuse));
    }
    router.with_state(Arc::clone(app))
}

/// What is not Rekor's API. `/` and the documents answer any method, as in Rekor; `/ping` is not there for others than these.
fn documents(app: &Arc<App>) -> Router {
    let probe = |method: Method| async move { not_allowed(&method, "GET,HEAD") };
    let trust = Document::ALL.map(|document| {
        let get = axum::routing::get(move |app| trust::document(app, document));
        (document.path(), get.fallback(probe))
    });
    let routes: [(&'static str, MethodRouter<Arc<App>>); 6] = [
        ("/", any(pages::home)),
        ("/docs", any(pages::docs)),
        ("/swagger.json", any(pages::swagger)),
        ("/ping", any(ping)),
        ("/healthz", axum::routing::get(health::healthz).fallback(probe)),
        ("/readyz", axum::routing::get(health::readyz).fallback(probe)),
    ];
    let mut router = Router::new();
    for (path, methods) in routes.into_iter().chain(trust) {
        let name = move |mut response: Response| async move {
            response.extensions_mut().insert(Route(path));
            response
        };
        router = router.route(path, methods.layer(axum::middleware::map_response(name)));
    }
    router.with_state(Arc::clone(app))
}

/// GET without HEAD, which axum would add.
fn get<T: 'static, H: Handler<T, Arc<App>>>(handler: H) -> MethodRouter<Arc<App>> {
    MethodRouter::new().on(MethodFilter::GET, handler)
}

/// The value of `Allow` for a path of the API.
fn allowed_methods(path: &str) -> &'static str {
    let has = |method: Method| {
        Operation::ALL.iter().any(|operation| operation.path() == path && operation.method() == method)
    };
    let shows_by_uuid = [Operation::SearchLogQuery, Operation::CreateLogEntries].iter().any(|of| of.path() == path);
    match (has(Method::GET) || shows_by_uuid, has(Method::POST)) {
        (true, true) => "GET,POST",
        (false, true) => "POST",
        _ => "GET",
    }
}

fn not_allowed(method: &Method, allowed: &'static str) -> Response {
    let message = format!("method {method} is not allowed, but [{allowed}] are");
    let mut response = ApiError::framework(StatusCode::METHOD_NOT_ALLOWED, message).into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 404 for other methods, and so without `Allow`.
async fn ping(method: Method, uri: OriginalUri) -> Response {
    match method {
        Method::GET | Method::HEAD => pages::ping().await,
        _ => not_found(uri).await.into_response(),
    }
}

async fn not_found(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::framework(StatusCode::NOT_FOUND, format!("path {} was not found", uri.path()))
}

/// Cleans the path as Rekor's router does. Its home page and heartbeat sit before that router: the one is `/` alone, the other
/// `/ping` in any case, neither with more slashes.
fn with_clean_path(mut request: Request<Body>) -> Request<Body> {
    let given = request.uri().path();
    let cleaned = if given.eq_ignore_ascii_case("/ping") { "/ping".into() } else { path::clean(given) };
    let is_exact_only = matches!(&*cleaned, "/" | "/ping") && !given.eq_ignore_ascii_case(&cleaned);
    let target = if is_exact_only { "//".into() } else { cleaned };
    if *target == *given {
        return request;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{target}?{query}"),
        None => target.into_owned(),
    };
    if let Ok(uri) = Uri::try_from(target) {
        *request.uri_mut() = uri;
    }
    request
}

/// The panic itself was reported where it happened, by the process's hook.
fn panicked(metrics: &Metrics, panic: &(dyn std::any::Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("not a text"), "a request ended in a bug");
    metrics.panics.inc();
    ApiError::unknown().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_but_for_home_and_heartbeat() {
        for (given, expected) in [
            ("/api/v1/log/?x=/", "/api/v1/log?x=/"),
            ("//api//v1/log", "/api/v1/log"),
            ("/", "/"),
            ("//", "//"),
            ("/./", "//"),
            ("/PING", "/ping"),
            ("/ping/", "//"),
            ("/docs/", "/docs"),
        ] {
            let request = Request::get(given).body(Body::empty()).expect("a request");
            assert_eq!(with_clean_path(request).uri(), expected, "{given}");
        }
    }

    #[test]
    fn allow_follows_from_the_operations() {
        for (path, expected) in [
            ("/api/v1/log", "GET"),
            ("/api/v1/log/entries", "GET,POST"),
            ("/api/v1/log/entries/{entryUUID}", "GET"),
            ("/api/v1/log/entries/retrieve", "GET,POST"),
            ("/api/v1/log/entries/batch", "GET,POST"),
            ("/api/v1/index/retrieve", "POST"),
        ] {
            assert_eq!(allowed_methods(path), expected);
        }
    }

    #[test]
    fn panics_are_counted_and_say_nothing() {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("fresh names");
        let response = panicked(&metrics, &"secret");
        assert_eq!(response.status(), 500);
        assert_eq!(metrics.panics.get(), 1);
    }
}
