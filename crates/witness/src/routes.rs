//! The witness over HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use host::{Bodies, BodyBytes, Limits, Role, refused_requests};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use prometheus::{IntCounterVec, Opts, Registry};

use crate::{Outcome, Refusal, StateError, Witness};

/// Largest request: 63 lines of proof are 3 KiB; the rest is for a checkpoint with many
/// cosignatures.
const MAX_BODY_BYTES: u64 = 64 * 1024;

/// The results of a request to add a checkpoint.
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
    bodies: Bodies,
    /// Checkpoints by result.
    results: IntCounterVec,
    /// Requests turned away to keep a bound.
    refused: IntCounterVec,
}

/// Returns the witness as a role for a host: `POST /add-checkpoint` and, for monitors,
/// `GET /<hex SHA-256 of the origin>/checkpoint`.
///
/// Fails if the registry has the metrics of a witness already.
pub fn role(witness: Witness, metrics: Registry) -> Result<Role, prometheus::Error> {
    let limits = Limits {
        body_bytes: MAX_BODY_BYTES,
        ..Limits::default()
    };
    let refused = refused_requests(&[])?;
    metrics.register(Box::new(refused.clone()))?;
    let origins = witness.logs().origins().map(|origin| {
        let hash = tlog::sha256(origin.as_bytes());
        (hash.to_string(), origin.to_owned())
    });
    let app = App {
        origins: origins.collect(),
        witness,
        bodies: Bodies::new(&limits, &BodyBytes::new(&metrics)?),
        results: result_counter(&metrics)?,
        refused: refused.clone(),
    };
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin}/checkpoint", get(checkpoint))
        .with_state(Arc::new(app));
    Ok(Role {
        router,
        beside_metrics: Router::new(),
        probe_paths: &[],
        metrics,
        refused,
        limits,
    })
}

fn result_counter(metrics: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let results = IntCounterVec::new(
        Opts::new(
            "treehead_witness_add_checkpoint_total",
            "Checkpoints brought to this witness, by result.",
        ),
        &["result"],
    )?;
    metrics.register(Box::new(results.clone()))?;
    // A series that begins with its first failure shows no increase.
    for result in RESULTS {
        drop(results.with_label_values(&[result]));
    }
    Ok(results)
}

async fn add_checkpoint(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (result, response) = match app.bodies.read(&head, body).await {
        Ok(body) => judge(&app.witness, body.bytes()).await,
        Err(refusal) => turned_away(&app, refusal),
    };
    app.results.with_label_values(&[result]).inc();
    response
}

async fn judge(witness: &Witness, body: &[u8]) -> (&'static str, Response) {
    let outcome = match std::str::from_utf8(body) {
        Ok(body) => witness.add_checkpoint(body).await,
        Err(_) => Ok(Outcome::Refused(Refusal::Malformed)),
    };
    match outcome {
        Ok(Outcome::Cosigned(line)) => ("cosigned", text(StatusCode::OK, format!("{line}\n"))),
        Ok(Outcome::Refused(refusal)) => refused(refusal),
        Err(error) => ("failed", unavailable(&error)),
    }
}

/// Answers a request whose body was not received.
fn turned_away(app: &App, refusal: host::Refusal) -> (&'static str, Response) {
    if let Some(reason) = refusal.reason {
        app.refused.with_label_values(&[reason.label()]).inc();
    }
    let result = match refusal.status {
        StatusCode::REQUEST_TIMEOUT => "slow",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::SERVICE_UNAVAILABLE => "failed",
        _ => "malformed",
    };
    (result, refusal.into_response())
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

/// Answers 503. The error goes only to the log lines.
fn unavailable(error: &StateError) -> Response {
    tracing::error!(%error, "the state of the witness cannot be used");
    (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "5")]).into_response()
}
