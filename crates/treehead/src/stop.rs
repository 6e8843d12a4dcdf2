//! Signals. SIGTERM and SIGINT: the first asks for a graceful stop, one that comes later ends the process at once. SIGHUP
//! changes nothing.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::failure::{Explain, FailureKind, Outcome};
use crate::{log_lines, notify};

/// Shells and service managers read 128 + 2 as "ended by SIGINT".
const ENDED_BY_LATER_SIGNAL: i32 = 130;

/// Signals within this time after the first are the same request to stop: a supervisor that signals the process and its
/// group, or a terminal's Ctrl-C that a wrapper passes on, sends two within milliseconds. Whoever loses patience takes longer.
const SAME_MOMENT: Duration = Duration::from_secs(1);

/// A token that the first signal cancels. Needs the runtime.
pub(crate) fn on_signal() -> Outcome<CancellationToken> {
    let listen = |kind| signal(kind).explain(FailureKind::Other, "signals");
    let signals = Signals {
        terminate: listen(SignalKind::terminate())?,
        interrupt: listen(SignalKind::interrupt())?,
        hangup: listen(SignalKind::hangup())?,
    };
    let token = CancellationToken::new();
    tokio::spawn(signals.watch(token.clone()));
    Ok(token)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    async fn watch(mut self, token: CancellationToken) {
        self.next().await;
        token.cancel();
        tracing::info!("stopping: accepted requests are finished; a signal after {SAME_MOMENT:?} ends at once");
        notify::stopping();
        let same_moment = async {
            loop {
                self.next().await;
            }
        };
        // Ends with the time: the loop does not.
        let _: Result<(), _> = timeout(SAME_MOMENT, same_moment).await;
        self.next().await;
        tracing::warn!("ended by a later signal");
        log_lines::finish();
        std::process::exit(ENDED_BY_LATER_SIGNAL);
    }

    /// Waits for a signal that asks for the end.
    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tracing::info!("SIGHUP changes nothing: settings are read at a start"),
            }
        }
    }
}
