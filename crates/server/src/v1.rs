//! Rekor v1: its routes, and what is the same for all of its operations: negotiation, no-cache
//! headers, Rekor's metrics.

mod email;
pub(crate) mod entries;
pub(crate) mod errors;
mod index;
pub(crate) mod json;
mod location;
mod log;
mod negotiation;
pub(crate) mod parameters;
mod retrieve;
pub(crate) mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use host::{Reason, has_body, patience};
use http::header::{ALLOW, CACHE_CONTROL, EXPIRES, HeaderName, PRAGMA};
use http::{HeaderValue, Method, StatusCode};
use tokio::time::{Instant, timeout};

use crate::admission::{Closed, FOREIGN_PAGE, admit};
use crate::app::App;
use crate::failure::NoLog;
use crate::operation::{Api, Operation};
use crate::receipt::EntryForm;

pub(crate) use errors::ApiError;
pub use index::TRUNCATED;

/// The media type that was negotiated for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerType(pub(crate) &'static str);

const NO_CACHE: [(HeaderName, HeaderValue); 4] = [
    (
        CACHE_CONTROL,
        HeaderValue::from_static(
            "no-cache, no-store, no-transform, must-revalidate, private, max-age=0",
        ),
    ),
    (
        EXPIRES,
        HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"),
    ),
    (PRAGMA, HeaderValue::from_static("no-cache")),
    (
        HeaderName::from_static("x-accel-expires"),
        HeaderValue::from_static("0"),
    ),
];

/// The routes. `others` has the operations that are routed like v1's, but cover all logs.
pub(crate) fn routes(
    app: &Arc<App>,
    others: fn(&Arc<App>, Operation) -> MethodRouter<Arc<App>>,
) -> Router {
    let mut router = Router::new();
    for path in Operation::paths_of(&[Api::V1]) {
        let operations = || Operation::at(path);
        let allowed = allowed_methods(operations());
        let refuse = move |method: Method| {
            let refusal = not_allowed(&method, &allowed);
            async move { refusal }
        };
        let methods = operations().fold(MethodRouter::new(), |methods, operation| {
            methods.merge(match operation.covers_all_logs() {
                true => others(app, operation),
                false => route(app, operation),
            })
        });
        // axum would answer HEAD with what GET answers.
        router = router.route(
            path,
            methods
                .on(MethodFilter::HEAD, refuse.clone())
                .fallback(refuse),
        );
    }
    router.with_state(Arc::clone(app))
}

fn route(app: &Arc<App>, operation: Operation) -> MethodRouter<Arc<App>> {
    use Operation as Op;
    match operation {
        Op::GetLogInfo => operated(app, operation, log::info),
        Op::GetPublicKey => operated(app, operation, log::public_key),
        Op::GetLogProof => operated(app, operation, log::proof),
        Op::CreateLogEntry => operated(app, operation, entries::create),
        Op::GetLogEntryByIndex => operated(app, operation, entries::by_index),
        Op::GetLogEntryByUuid => operated(app, operation, entries::by_uuid),
        Op::SearchLogQuery => operated(app, operation, retrieve::retrieve),
        Op::SearchIndex => operated(app, operation, index::search),
        // Of other APIs.
        _ => MethodRouter::new(),
    }
}

/// Returns the route of a handler, with all that is the same for v1's operations.
pub(crate) fn operated<T: 'static>(
    app: &Arc<App>,
    operation: Operation,
    handler: impl Handler<T, Arc<App>>,
) -> MethodRouter<Arc<App>> {
    let layer = from_fn_with_state((Arc::clone(app), operation), operate);
    on(operation.method_filter(), handler.layer(layer))
}

/// The value of `Allow` for a path with these operations.
fn allowed_methods(operations: impl Iterator<Item = Operation>) -> String {
    let mut methods: Vec<&str> = operations
        .map(|operation| operation.method().as_str())
        .collect();
    methods.sort_unstable();
    methods.join(",")
}

/// 405 with the methods that there are.
pub(crate) fn not_allowed(method: &Method, allowed: &str) -> Response {
    let message = format!("method {method} is not allowed, but [{allowed}] are");
    let mut response = ApiError::framework(StatusCode::METHOD_NOT_ALLOWED, message).into_response();
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// Runs one operation: everything that Rekor's framework does once a route matched.
async fn operate(
    State((app, operation)): State<(Arc<App>, Operation)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let mut response = match agree(operation, &request) {
        Err(error) => error.into_response(),
        Ok(answer_type) => match admit(&app, operation, request.headers()) {
            Err(closed) => {
                app.bodies.discard(request).await;
                refusal(operation, closed).into_response()
            }
            Ok(()) => {
                request.extensions_mut().insert(answer_type);
                timeout(patience(&request), next.run(request))
                    .await
                    .unwrap_or_else(|_| {
                        tracing::warn!(operation = operation.id(), "a request took too long");
                        ApiError::handler(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout")
                            .because(Reason::TIMEOUT)
                            .into_response()
                    })
            }
        },
    };
    if operation.method() == Method::GET {
        response.headers_mut().extend(NO_CACHE);
    }
    response.extensions_mut().insert(operation.route());
    app.metrics.api_answer(
        operation.path(),
        operation.method(),
        response.status(),
        started.elapsed(),
    );
    response
}

/// Returns the refusal of an operation that this server does not do. Rekor's own read-only server
/// is one whose writing operation is switched off. Its clients know that answer and do not retry.
pub(crate) fn refusal(operation: Operation, closed: Closed) -> ApiError {
    match closed {
        Closed::NoLog => NoLog.into(),
        Closed::SwitchedOff | Closed::ReadOnly => {
            let message = format!(
                "{} API not enabled in this Rekor instance",
                operation.title()
            );
            ApiError::handler(StatusCode::NOT_IMPLEMENTED, message)
        }
        Closed::ForeignPage => ApiError::handler(StatusCode::FORBIDDEN, FOREIGN_PAGE),
    }
}

/// The type of the request's body, then that of the answer. With a body the request's own type,
/// JSON, is the fallback.
fn agree(operation: Operation, request: &Request) -> Result<AnswerType, ApiError> {
    let headers = request.headers();
    let shows_entry = matches!(
        operation,
        Operation::GetLogEntryByIndex | Operation::GetLogEntryByUuid
    );
    if shows_entry && EntryForm::of(headers) == EntryForm::Receipt {
        return Ok(AnswerType("application/cose"));
    }
    let fallback = if has_body(request) {
        negotiation::check_content_type(headers)?;
        Some("application/json")
    } else {
        None
    };
    match (
        negotiation::negotiate(headers, produced(operation)),
        fallback,
    ) {
        (Ok(agreed), _) | (Err(_), Some(agreed)) => Ok(AnswerType(agreed)),
        (Err(error), None) => Err(error),
    }
}

/// The media types that an operation answers with, the preferred one first.
fn produced(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::GetPublicKey => &["application/x-pem-file", "application/json"],
        Operation::GetLogEvents => &["text/event-stream", "application/json"],
        _ => &["application/json"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(allowed_methods(Operation::at(path)), expected);
        }
    }
}
