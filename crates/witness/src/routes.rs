//! The witness over HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use host::{Limits, Role, refused_requests};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::time::timeout;

use crate::{Outcome, Refusal, StateError, Witness};

/// Largest request: 63 lines of proof are 3 KiB; the rest is for a checkpoint with many
/// cosignatures.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest wait for the whole of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What may come of a checkpoint that is brought here.
const RESULTS: [&str; 10] = [
    "cosigned",
    "malformed",
    "unknown_origin",
    "untrusted",
    "old_size",
    "conflict",
    "inconsistent",
    "slow",
    "too_large",
    "failed",
];

struct App {
    witness: Witness,
    /// Origins by the hex SHA-256 that monitors ask for.
    origins: HashMap<String, String>,
    requests: IntCounterVec,
}

/// `POST /add-checkpoint` and, for monitors, `GET /<hex SHA-256 of the origin>/checkpoint`.
///
/// Fails if the registry has the metrics of a witness already.
pub fn router(witness: Witness, metrics: &Registry) -> Result<Router, prometheus::Error> {
    let requests = IntCounterVec::new(
        Opts::new(
            "treehead_witness_add_checkpoint_total",
            "Checkpoints brought to this witness, by result.",
        ),
        &["result"],
    )?;
    metrics.register(Box::new(requests.clone()))?;
    // One that is born with its first failure shows no increase.
    for result in RESULTS {
        drop(requests.with_label_values(&[result]));
    }
    let origins = witness.logs().origins().map(|origin| {
        (
            tlog::sha256(origin.as_bytes()).to_string(),
            origin.to_owned(),
        )
    });
    let app = App {
        origins: origins.collect(),
        witness,
        requests,
    };
    Ok(Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin}/checkpoint", get(checkpoint))
        .with_state(Arc::new(app)))
}

/// Returns the witness as a role for a host: [`router`] with nothing beside its metrics.
///
/// Fails if the registry has the metrics of a witness already.
pub fn role(witness: Witness, metrics: Registry) -> Result<Role, prometheus::Error> {
    let refused = refused_requests(&[])?;
    metrics.register(Box::new(refused.clone()))?;
    Ok(Role {
        router: router(witness, &metrics)?,
        beside_metrics: Router::new(),
        probe_paths: &[],
        metrics,
        refused,
        limits: Limits::default(),
    })
}

async fn add_checkpoint(State(app): State<Arc<App>>, body: Body) -> Response {
    let (result, response) = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
        Err(_) => ("slow", StatusCode::REQUEST_TIMEOUT.into_response()),
        Ok(Err(_)) => ("too_large", StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        Ok(Ok(body)) => {
            let outcome = match std::str::from_utf8(&body) {
                Ok(body) => app.witness.add_checkpoint(body).await,
                Err(_) => Ok(Outcome::Refused(Refusal::Malformed)),
            };
            match outcome {
                Ok(Outcome::Cosigned(line)) => {
                    ("cosigned", text(StatusCode::OK, format!("{line}\n")))
                }
                Ok(Outcome::Refused(refusal)) => refused(refusal),
                Err(error) => ("failed", unavailable(&error)),
            }
        }
    };
    app.requests.with_label_values(&[result]).inc();
    response
}

async fn checkpoint(State(app): State<Arc<App>>, Path(origin): Path<String>) -> Response {
    let Some(origin) = app.origins.get(&origin) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match app.witness.checkpoint(origin).await {
        Ok(Some(note)) => (
            [(CACHE_CONTROL, "no-cache")],
            text(StatusCode::OK, note.to_string()),
        )
            .into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => unavailable(&error),
    }
}

fn refused(refusal: Refusal) -> (&'static str, Response) {
    let said = |status| text(status, format!("{refusal}\n"));
    match refusal {
        Refusal::Malformed => ("malformed", said(StatusCode::BAD_REQUEST)),
        Refusal::UnknownOrigin => ("unknown_origin", said(StatusCode::NOT_FOUND)),
        Refusal::Untrusted => ("untrusted", said(StatusCode::FORBIDDEN)),
        Refusal::OldSize => ("old_size", said(StatusCode::BAD_REQUEST)),
        Refusal::Conflict(size) => {
            let body = (
                StatusCode::CONFLICT,
                [(CONTENT_TYPE, "text/x.tlog.size")],
                format!("{size}\n"),
            );
            ("conflict", body.into_response())
        }
        Refusal::Inconsistent => ("inconsistent", said(StatusCode::UNPROCESSABLE_ENTITY)),
    }
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// What is wrong inside goes to the log only.
fn unavailable(error: &StateError) -> Response {
    tracing::error!(%error, "the state of the witness cannot be used");
    (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "5")]).into_response()
}
