//! From a request to the API that it is for, and the routes that belong to none.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use host::Reason;
use http::{StatusCode, Uri};
use ledger::Ledger;
use tower::ServiceExt as _;

use crate::app::App;
use crate::limits::MAX_URI_BYTES;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::v1::ApiError;
use crate::{own, path, v1, v2};

/// Returns the whole HTTP surface except the metrics. [`crate::serve`] has the listening side.
///
/// # Errors
///
/// The metrics are registered already: there is one router per registry.
pub fn router(ledger: Ledger, settings: &Settings) -> prometheus::Result<Router> {
    Ok(routes(&Arc::new(App::new(ledger, settings)?)))
}

/// Returns the routes. A request passes, outermost first: observation, CORS, the guard against
/// panics, the limit of the URI, the choice of the API.
///
/// Plain calls, not layers: each layer would copy the request and box a future, and the two
/// together cost more than most answers.
pub(crate) fn routes(app: &Arc<App>) -> Router {
    let apis = Arc::new(Apis {
        v1: v1::routes(app, own::route_like_v1)
            .merge(own::routes(app))
            .fallback(own::not_found),
        v2: v2::http_routes(app, own::route_like_v2),
        grpc: v2::grpc_routes(app),
    });
    let app = Arc::clone(app);
    Router::new()
        .fallback(move |request: Request| answer(Arc::clone(&app), Arc::clone(&apis), request))
}

async fn answer(app: Arc<App>, apis: Arc<Apis>, request: Request) -> Response {
    app.observer
        .observe(request, |request| {
            app.cors
                .answer(request, |request| guarded(&app, &apis, request))
        })
        .await
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
        let length = request
            .uri()
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if length > MAX_URI_BYTES {
            let message = format!("Request URI Too Long. Limit set to {MAX_URI_BYTES}");
            return ApiError::framework(StatusCode::URI_TOO_LONG, message)
                .because(Reason::URI)
                .into_response();
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

/// Cleans the path as Rekor's router does. Rekor's home page and heartbeat are handled before that
/// router: the one is `/` alone, the other `/ping` in any case, neither with more slashes.
fn with_clean_path(mut request: Request<Body>) -> Request<Body> {
    let given = request.uri().path();
    let cleaned = if given.eq_ignore_ascii_case("/ping") {
        "/ping".into()
    } else {
        path::clean(given)
    };
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

/// Answers a request that panicked. The process's hook reported the panic itself.
fn panicked(metrics: &Metrics, panic: &(dyn std::any::Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(
        panic = text.unwrap_or("not a text"),
        "a request ended in a bug"
    );
    metrics.http.panics.inc();
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
    fn panics_are_counted_and_say_nothing() {
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("fresh names");
        let response = panicked(&metrics, &"secret");
        assert_eq!(response.status(), 500);
        assert_eq!(metrics.http.panics.get(), 1);
    }
}
