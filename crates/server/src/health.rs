//! Whether the server lives, and whether it can do its work.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::time::timeout;

use crate::app::App;
use crate::errors::JSON;
use crate::limits::READY_TIMEOUT;

const SERVING: &str = "{\"status\":\"SERVING\"}\n";
const NOT_SERVING: &str = "{\"status\":\"NOT_SERVING\"}\n";

/// Why the server is not ready. The text goes to the log only.
#[derive(Debug)]
pub(crate) struct NotReady(String);

impl IntoResponse for NotReady {
    fn into_response(self) -> Response {
        tracing::warn!(reason = self.0, "not ready");
        (StatusCode::SERVICE_UNAVAILABLE, [(CONTENT_TYPE, JSON)], NOT_SERVING).into_response()
    }
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Response {
    ([(CONTENT_TYPE, JSON)], SERVING).into_response()
}

/// `GET /readyz`: the database is reachable, the head is loaded and its checkpoint verifies, the log takes entries.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, NotReady> {
    match timeout(READY_TIMEOUT, app.ledger.ready()).await {
        Ok(Ok(())) => Ok(healthz().await),
        Ok(Err(reason)) => Err(NotReady(reason)),
        Err(_) => Err(NotReady(format!("no answer within {READY_TIMEOUT:?}"))),
    }
}
