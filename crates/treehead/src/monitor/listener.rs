//! The listener of the monitor: its metrics, and its newest heads for other monitors.

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use monitor::Board;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::{Explain, FailureKind, Outcome};
use crate::listen::ListenAddress;

/// Opens the listener.
pub(super) async fn bind(address: &str) -> Outcome<TcpListener> {
    let parsed: Result<ListenAddress, _> = address.parse();
    let parsed = parsed.explain(FailureKind::Usage, "listen")?;
    let listener = parsed.bind("listen").await?;
    let bound = listener
        .local_addr()
        .explain(FailureKind::Address, "listen")?;
    tracing::info!("metrics on http://{bound}/metrics, heads on http://{bound}/heads");
    Ok(listener)
}

/// Serves until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    registry: Registry,
    board: Board,
    stop: CancellationToken,
) -> Outcome<()> {
    let heads = move || {
        let json = board.to_json();
        async move { ([(CONTENT_TYPE, "application/json")], json) }
    };
    let router = Router::new().route("/heads", get(heads));
    let served = host::serve_metrics(listener, registry, router, stop).await;
    served.explain(FailureKind::Other, "metrics")
}
