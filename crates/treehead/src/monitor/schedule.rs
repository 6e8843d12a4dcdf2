//! When a log is looked at.

use std::sync::Arc;
use std::time::Duration;

use client::Http;
use monitor::{Follower, Look, Shared};
use tokio_util::sync::CancellationToken;

/// Longest pause between two looks at a log that is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Looks at a log again and again until `stop`. Whatever fails is tried again, later and later.
pub(super) async fn follow(
    mut follower: Follower<Http>,
    shared: &Arc<Shared>,
    interval: Duration,
    stop: &CancellationToken,
) {
    let mut failures: u32 = 0;
    let mut said = None;
    loop {
        // A look that is broken off is as one that a crash ended: the next one does it again.
        let Some(look) = stop.run_until_cancelled(super::look(&mut follower)).await else {
            return;
        };
        let trouble = match look {
            Ok(look) => report(follower.name(), &look),
            Err(failure) => Some(failure.to_string()),
        };
        match &trouble {
            Some(why) => {
                shared.metrics.failed(follower.name());
                failures = failures.saturating_add(1);
                if said != trouble {
                    tracing::warn!(log = follower.name(), "{why}");
                }
            }
            None if failures > 0 => {
                tracing::info!(log = follower.name(), "the log is read again");
                failures = 0;
            }
            None => {}
        }
        said = trouble;
        let pause = tokio::time::sleep(pause(interval, failures));
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Logs what a look found. Returns why it ended early, if it did.
pub(super) fn report(log: &str, look: &Look) -> Option<String> {
    if look.entries > 0 {
        let Look {
            entries, notices, ..
        } = look;
        tracing::info!(log, entries, notices, "new entries were read");
    }
    look.away.clone()
}

/// Returns the pause after so many failures in a row.
fn pause(interval: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let longest = LONGEST_PAUSE.max(interval);
    interval.saturating_mul(doubled).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_away_is_asked_less_and_less_often() {
        let minute = Duration::from_secs(60);
        let pauses = [0, 1, 2, 3, 7, 1_000].map(|failures| pause(minute, failures).as_secs());
        assert_eq!(pauses, [60, 60, 120, 240, 3_600, 3_600]);
        let day = Duration::from_secs(86_400);
        assert_eq!(pause(day, 9), day);
    }
}
