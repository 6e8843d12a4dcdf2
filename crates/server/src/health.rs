//! The readiness probe: whether the log can do its work. The host has the probe of the process.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use host::JSON;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::time::timeout;

use crate::app::App;
use crate::limits::READY_TIMEOUT;

/// The paths of the probes, for which a listener keeps places of their own.
pub(crate) const PATHS: &[&str] = &["/healthz", "/readyz"];

const SERVING: &str = "{\"status\":\"SERVING\"}\n";
/// Ready for everything that a read-only server does.
const SERVING_READS: &str = "{\"status\":\"SERVING\",\"readOnly\":true}\n";
const NOT_SERVING: &str = "{\"status\":\"NOT_SERVING\"}\n";

/// Why the server is not ready. The text goes to the log only.
#[derive(Debug)]
pub(crate) struct NotReady(String);

impl IntoResponse for NotReady {
    fn into_response(self) -> Response {
        tracing::warn!(reason = self.0, "not ready");
        (
            StatusCode::SERVICE_UNAVAILABLE,
            [(CONTENT_TYPE, JSON)],
            NOT_SERVING,
        )
            .into_response()
    }
}

/// Returns the probe of a log beside that of the host, for the listener of the metrics.
pub(crate) fn readiness(app: &Arc<App>) -> Router {
    Router::new()
        .route("/readyz", get(readyz))
        .with_state(Arc::clone(app))
}

fn serving(text: &'static str) -> Response {
    ([(CONTENT_TYPE, JSON)], text).into_response()
}

/// `GET /readyz`: the database is reachable, the head is loaded and its checkpoint verifies, the
/// log takes entries, unless this server is set to only read, which the answer says.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, NotReady> {
    let ready = timeout(READY_TIMEOUT, app.ledger.ready()).await;
    let ready = ready.unwrap_or_else(|_| Err(format!("no answer within {READY_TIMEOUT:?}")));
    app.metrics.ready.set(i64::from(ready.is_ok()));
    match ready {
        Ok(()) => Ok(serving(if app.read_only {
            SERVING_READS
        } else {
            SERVING
        })),
        Err(reason) => Err(NotReady(reason)),
    }
}
