//! Serving a log.

use std::future::Future;
use std::sync::Arc;

use host::{Role, ServeError};
use ledger::Ledger;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::health;
use crate::router::routes;
use crate::settings::Settings;

/// Serves the log until `shutdown` is ready. Then accepts no more connections, ends streams of events,
/// finishes the requests that were accepted (in bounds), stops the ledger, and finally the metrics.
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
    let role = Role {
        router: routes(&app),
        beside_metrics: health::readiness(&app),
        probe_paths: health::PATHS,
        metrics: settings.metrics.clone(),
        refused: app.metrics.http.refused.clone(),
        limits: settings.limits.clone(),
    };
    let _checking = AbortOnDropHandle::new(tokio::spawn(health::keep_checking(Arc::clone(&app))));
    let shutdown = async {
        shutdown.await;
        app.stopping.cancel();
    };
    let stopped = async { app.ledger.stop().await };
    host::serve(listener, metrics_listener, role, shutdown, stopped).await
}
