//! The readiness probe: whether a write would be taken. The host has the probe of the process.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use host::JSON;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ledger::NotReady;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::app::App;
use crate::limits::READY_TIMEOUT;

/// The paths of the probes, for which a listener keeps places of their own.
pub(crate) const PATHS: &[&str] = &["/healthz", "/readyz"];

/// How often readiness is checked for the metric, whether or not anybody probes.
const CHECK_EVERY: Duration = Duration::from_secs(10);

const SERVING: &str = "{\"status\":\"SERVING\"}\n";
/// Ready for everything that a read-only server does.
const SERVING_READS: &str = "{\"status\":\"SERVING\",\"readOnly\":true}\n";

/// The answer of a server that is not ready.
#[derive(Serialize)]
struct NotServing<'a> {
    status: &'static str,
    /// The log that would not take a write, unless no log would.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'static str>,
    reason: &'a str,
}

/// Returns the probe of a log beside that of the host, for the listener of the metrics.
pub(crate) fn readiness(app: &Arc<App>) -> Router {
    Router::new()
        .route("/readyz", get(readyz))
        .with_state(Arc::clone(app))
}

/// `GET /readyz`: a write would be taken, or this server is set to only read and can, which the
/// answer says. Otherwise 503 with the reason.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    match check(&app).await {
        Ok(()) if app.read_only => json(StatusCode::OK, SERVING_READS.to_owned()),
        Ok(()) => json(StatusCode::OK, SERVING.to_owned()),
        Err(reason) => json(StatusCode::SERVICE_UNAVAILABLE, not_serving(&reason)),
    }
}

/// Checks whether the server is ready, and shows that in the metrics.
pub(crate) async fn check(app: &App) -> Result<(), NotReady> {
    let ready = async {
        match app.read_only {
            true => app.ledger.ready_to_read().await,
            false => app.ledger.ready().await,
        }
    };
    let ready = timeout(READY_TIMEOUT, ready).await.unwrap_or_else(|_| {
        Err(NotReady {
            log: None,
            reason: format!("the database does not answer within {READY_TIMEOUT:?}"),
            cause: None,
        })
    });
    app.metrics.ready.set(i64::from(ready.is_ok()));
    ready.inspect_err(|reason| tracing::warn!(%reason, "not ready"))
}

/// Keeps the metric up to date for ever.
pub(crate) async fn keep_checking(app: Arc<App>) {
    let mut ticks = interval(CHECK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        drop(check(&app).await);
    }
}

fn json(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, JSON)], text).into_response()
}

fn not_serving(reason: &NotReady) -> String {
    let body = NotServing {
        status: "NOT_SERVING",
        log: reason.log,
        reason: &reason.reason,
    };
    // Serialising texts cannot fail; the status says the same.
    let mut text = serde_json::to_string(&body).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_shown_and_its_cause_is_not() {
        let reason = NotReady {
            log: Some("v1"),
            reason: "the last \"round\" failed".to_owned(),
            cause: Some("host=db.internal".to_owned()),
        };
        let expected =
            r#"{"status":"NOT_SERVING","log":"v1","reason":"the last \"round\" failed"}"#;
        assert_eq!(not_serving(&reason), format!("{expected}\n"));
        let all = NotReady {
            log: None,
            ..reason
        };
        assert!(!not_serving(&all).contains("log"));
    }
}
