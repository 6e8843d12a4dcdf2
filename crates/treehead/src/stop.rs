//! SIGTERM and SIGINT: the first asks for a graceful stop, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Explain, FailureKind, Outcome};
use crate::notify;

/// Shells and service managers read 128 + 2 as "ended by SIGINT".
const ENDED_BY_SECOND_SIGNAL: i32 = 130;

/// A token that the first signal cancels. Needs the runtime.
pub(crate) fn on_signal() -> Outcome<CancellationToken> {
    let listen = |kind| signal(kind).explain(FailureKind::Other, "signals");
    let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    tokio::spawn(watch(terminate, interrupt, token.clone()));
    Ok(token)
}

async fn watch(mut terminate: Signal, mut interrupt: Signal, token: CancellationToken) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping: accepted requests are finished; a second signal ends at once");
    notify::stopping();
    token.cancel();
    next(&mut terminate, &mut interrupt).await;
    tracing::warn!("ended by a second signal");
    std::process::exit(ENDED_BY_SECOND_SIGNAL);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
