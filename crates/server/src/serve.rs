//! The listening side: connections within limits, and a stop that finishes what was accepted.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ledger::Ledger;
use prometheus::{Encoder as _, IntGauge, Registry, TextEncoder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::connection::{self, Shared};
use crate::limits::ACCEPT_PAUSE;
use crate::observe::Peer;
use crate::router::routes;
use crate::settings::{Limits, Settings};

/// Connections to the metrics at once: scrapers and a curious operator.
const METRICS_CONNECTIONS: usize = 16;

/// Why the server did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A metric cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A listener ended although nothing asked for it: a bug.
    #[error("{0} ended abnormally")]
    Ended(&'static str),
    /// The grace of the stop ran out; the answers of some requests were cut off. What they appended may be in the log.
    #[error("some requests were not answered within the {0:?} that a stop waits")]
    Unfinished(Duration),
}

/// Serves the log until `shutdown` is ready. Then takes no more connections, finishes the requests that were accepted (in
/// bounds), stops the ledger, and last of all the metrics.
///
/// # Errors
///
/// See [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    metrics_listener: TcpListener,
    ledger: Ledger,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let app = Arc::new(App::new(ledger, &settings)?);
    let open = Some(app.metrics.connections.clone());
    let api = Listening { listener, router: routes(&app), places: settings.limits.connections, open };
    let stopped = async { app.ledger.stop().await };
    listen(api, metrics_listener, settings.metrics, settings.limits.stop_grace, shutdown, stopped).await
}

/// Serves other routes in the same way: within the limits of connections, headers and time-outs, with metrics beside them.
///
/// # Errors
///
/// See [`ServeError`].
pub async fn serve_routes(
    listener: TcpListener,
    metrics_listener: TcpListener,
    router: Router,
    metrics: Registry,
    limits: &Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let api = Listening { listener, router, places: limits.connections, open: None };
    listen(api, metrics_listener, metrics, limits.stop_grace, shutdown, async {}).await
}

/// Serves `api` until `shutdown` is ready and its requests are answered, runs `stopped`, and then ends the metrics.
async fn listen(
    api: Listening,
    metrics_listener: TcpListener,
    registry: Registry,
    grace: Duration,
    shutdown: impl Future<Output = ()>,
    stopped: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    let stop_metrics = CancellationToken::new();
    let metrics = Listening {
        listener: metrics_listener,
        router: metrics_router(registry),
        places: METRICS_CONNECTIONS,
        open: None,
    };
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
    let finished = api.await.is_ok_and(|drained| drained == Drained::Completely);
    stopped.await;
    stop_metrics.cancel();
    // Nobody waits for the last scrape.
    drop(metrics.await);
    if finished { Ok(()) } else { Err(ServeError::Unfinished(grace)) }
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
    places: usize,
    open: Option<IntGauge>,
}

impl Listening {
    async fn run(self, stop: CancellationToken, grace: Duration) -> Drained {
        let connections = TaskTracker::new();
        let given_up = CancellationToken::new();
        let places = Arc::new(Semaphore::new(self.places));
        let streams = Arc::new(Semaphore::new(self.places));
        let shared = Shared { router: self.router.clone(), streams, stop: stop.clone() };
        while let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await {
            let Some(accepted) = stop.run_until_cancelled(self.accept()).await else { break };
            let (stream, peer) = accepted;
            let connection = connection::serve(stream, Peer(peer), shared.clone());
            let (given_up, open) = (given_up.clone(), Open::new(self.open.clone()));
            connections.spawn(async move {
                // How a connection ends is its client's business: resets and time-outs are daily bread.
                if let Some(Err(error)) = given_up.run_until_cancelled(connection).await {
                    tracing::debug!(%error, %peer, "connection");
                }
                drop((place, open));
            });
        }
        drop(self.listener);
        connections.close();
        let drained = timeout(grace, connections.wait()).await;
        given_up.cancel();
        if drained.is_ok() { Drained::Completely } else { Drained::InPart }
    }

    /// The next connection. An accept fails for reasons that pass (a client that left, too many open files).
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

/// Counts an open connection.
struct Open(Option<IntGauge>);

impl Open {
    fn new(gauge: Option<IntGauge>) -> Self {
        gauge.iter().for_each(IntGauge::inc);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.iter().for_each(IntGauge::dec);
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
