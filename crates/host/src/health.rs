//! The probe of the process.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;

use crate::refusal::JSON;

/// Returns the one probe that any role has.
pub(crate) fn liveness() -> Router {
    Router::new().route("/healthz", get(healthz))
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Response {
    ([(CONTENT_TYPE, JSON)], "{\"status\":\"SERVING\"}\n").into_response()
}
