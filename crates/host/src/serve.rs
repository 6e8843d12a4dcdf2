//! The listening side: connections within limits, and a stop that finishes what was accepted.

use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus::{Encoder as _, IntCounterVec, Registry, TextEncoder};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Shared};
use crate::connections::{Connections, Counts, Most};
use crate::health;
use crate::limits::{ACCEPT_PAUSE, Limits, METRICS_CONNECTIONS};
use crate::metrics::refused_requests;
use crate::peer::{Address, Peer};
use crate::requests::Requests;

/// The answer to a refused connection.
const TURNED_AWAY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
    Retry-After: 1\r\nConnection: close\r\nContent-Length: 45\r\n\r\n\
    {\"code\":503,\"message\":\"too many connections\"}";

/// Why the server did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A metric cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A listener ended although nothing asked for it: a bug.
    #[error("{0} ended abnormally")]
    Ended(&'static str),
    /// The grace of the stop ran out, and the answers of some requests were cut off. The entries
    /// that they appended may be in the log.
    #[error("some requests were not answered within the {0:?} that a stop waits")]
    Unfinished(Duration),
}

/// A role to serve, with its routes, metrics and limits.
#[derive(Debug)]
pub struct Role {
    /// The routes for clients.
    pub router: Router,
    /// The routes for operators beside `/metrics` and `/healthz`.
    pub beside_metrics: Router,
    /// The paths of probes in `router`. Their requests have places of their own.
    pub probe_paths: &'static [&'static str],
    /// The registry for the metrics of connections. `/metrics` shows it.
    pub metrics: Registry,
    /// Counts refused requests, see [`crate::refused_requests`].
    pub refused: IntCounterVec,
    /// Bounds of connections.
    pub limits: Limits,
}

/// Serves a role until `shutdown` is ready. Then accepts no more connections, finishes the requests
/// that were accepted (in bounds), awaits `stopped`, and finally ends the metrics.
///
/// # Errors
///
/// See [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    metrics_listener: TcpListener,
    role: Role,
    shutdown: impl Future<Output = ()>,
    stopped: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Role {
        router,
        beside_metrics,
        probe_paths,
        metrics,
        refused,
        limits,
    } = role;
    let api = Listening::new(
        listener,
        router,
        Requests::new(limits.connections, probe_paths, refused),
        Connections::new(most(&limits), connection_counts(&metrics, &limits)?),
    );
    let beside = metrics_router(metrics.clone())
        .merge(health::liveness())
        .merge(beside_metrics);
    let metrics = metrics_listening(metrics_listener, &metrics, beside)?;
    listen(api, metrics, limits.stop_grace, shutdown, stopped).await
}

/// Serves the metrics and the routes beside them until `stop`, for a program that has no other
/// routes.
///
/// # Errors
///
/// A metric cannot be registered.
pub async fn serve_metrics(
    listener: TcpListener,
    metrics: Registry,
    beside_metrics: Router,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let router = metrics_router(metrics.clone())
        .merge(health::liveness())
        .merge(beside_metrics);
    let listening = metrics_listening(listener, &metrics, router)?;
    listening.run(stop, Duration::ZERO).await;
    Ok(())
}

fn most(limits: &Limits) -> Most {
    Most {
        all: limits.connections,
        per_address: limits.connections_per_address,
    }
}

fn connection_counts(registry: &Registry, limits: &Limits) -> prometheus::Result<Counts> {
    let counts = Counts::new()?;
    counts.register(registry, most(limits))?;
    Ok(counts)
}

/// Makes the listener of the metrics. Its refusals are not counted.
fn metrics_listening(
    listener: TcpListener,
    registry: &Registry,
    router: Router,
) -> prometheus::Result<Listening> {
    #[cfg(target_os = "linux")]
    registry.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    // One scraper may have all connections.
    let most = Most {
        all: METRICS_CONNECTIONS,
        per_address: METRICS_CONNECTIONS,
    };
    let requests = Requests::new(most.all, &[], refused_requests(&[])?);
    Ok(Listening::new(
        listener,
        router,
        requests,
        Connections::new(most, Counts::new()?),
    ))
}

/// Serves `api` until `shutdown` is ready and its requests are answered, runs `stopped`, and then
/// ends the metrics.
async fn listen(
    api: Listening,
    metrics: Listening,
    grace: Duration,
    shutdown: impl Future<Output = ()>,
    stopped: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let stop_metrics = CancellationToken::new();
    let mut metrics = tokio::spawn(metrics.run(stop_metrics.clone(), Duration::ZERO));
    let stop = CancellationToken::new();
    let mut api = tokio::spawn(api.run(stop.clone(), grace));
    let ended = tokio::select! {
        () = shutdown => None,
        _ = &mut api => Some("the listener of the API"),
        _ = &mut metrics => Some("the listener of the metrics"),
    };
    if let Some(listener) = ended {
        stopped.await;
        return Err(ServeError::Ended(listener));
    }
    tracing::info!("stopping");
    stop.cancel();
    // A task that panicked counts as unfinished.
    let finished = api
        .await
        .is_ok_and(|drained| drained == Drained::Completely);
    stopped.await;
    stop_metrics.cancel();
    // The last scrape is not awaited.
    drop(metrics.await);
    if finished {
        Ok(())
    } else {
        Err(ServeError::Unfinished(grace))
    }
}

/// Whether all requests were answered before a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    Completely,
    InPart,
}

/// A listener and what it serves.
struct Listening {
    listener: TcpListener,
    router: Router,
    requests: Arc<Requests>,
    connections: Arc<Connections>,
}

impl Listening {
    fn new(
        listener: TcpListener,
        router: Router,
        requests: Requests,
        connections: Arc<Connections>,
    ) -> Self {
        Self {
            listener,
            router,
            requests: Arc::new(requests),
            connections,
        }
    }

    async fn run(self, stop: CancellationToken, grace: Duration) -> Drained {
        let tasks = TaskTracker::new();
        let given_up = CancellationToken::new();
        let shared = Shared {
            router: self.router.clone(),
            requests: Arc::clone(&self.requests),
            stop: stop.clone(),
        };
        while let Some((stream, peer)) = stop.run_until_cancelled(self.accept()).await {
            let Ok(place) = self.connections.admit(Address::from(peer)) else {
                turn_away(stream);
                continue;
            };
            // Tokens of their own: each poll of a connection locks them.
            let shared = Shared {
                stop: stop.child_token(),
                ..shared.clone()
            };
            let connection = connection::serve(stream, Peer(peer), place, shared);
            let given_up = given_up.child_token();
            tasks.spawn(async move {
                // Resets and time-outs of clients are ordinary.
                if let Some(Err(error)) = given_up.run_until_cancelled(connection).await {
                    tracing::debug!(%error, %peer, "connection");
                }
            });
        }
        drop(self.listener);
        tasks.close();
        let drained = timeout(grace, tasks.wait()).await;
        given_up.cancel();
        if drained.is_ok() {
            Drained::Completely
        } else {
            Drained::InPart
        }
    }

    /// Returns the next connection. An accept fails for reasons that pass (a client that left, too
    /// many open files).
    async fn accept(&self) -> (TcpStream, std::net::SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Answers a refused connection, as far as its socket accepts the bytes at once.
fn turn_away(stream: TcpStream) {
    let said = stream
        .into_std()
        .and_then(|mut stream| stream.write(TURNED_AWAY));
    if let Err(error) = said {
        tracing::debug!(%error, "a connection was turned away");
    }
}

fn metrics_router(registry: Registry) -> Router {
    let show = move || {
        let registry = registry.clone();
        async move { exposition(&registry) }
    };
    Router::new().route("/metrics", axum::routing::get(show))
}

fn exposition(registry: &Registry) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => ([(CONTENT_TYPE, encoder.format_type())], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
