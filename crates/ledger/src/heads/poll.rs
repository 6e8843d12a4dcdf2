//! The poll of the database: one read for the active trees of all logs.

use std::sync::Arc;
use std::time::Duration;

use super::Heads;
use super::follow::PAUSE_AFTER_ERROR;
use super::went_back::HeadError;
use crate::store::Store;

/// How often a server looks for heads of other servers on the same database.
const POLL_SHARED: Duration = Duration::from_millis(50);
/// How often a server that has its database for itself checks that no older copy took the place of
/// that database.
const POLL_ALONE: Duration = Duration::from_secs(1);

/// Follows the database for ever. `active` returns the heads of the active trees of that moment.
pub(crate) async fn poll(store: &dyn Store, active: impl Fn() -> Vec<Arc<Heads>>) {
    let every = if store.is_shared() {
        POLL_SHARED
    } else {
        POLL_ALONE
    };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut heads = active();
        heads.retain(|heads| heads.halted().is_none() && !heads.is_frozen());
        if let Err(error) = follow_all(store, &heads).await {
            tracing::warn!(%error, "cannot read the newest tree heads");
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    }
}

/// Reads the newest head of each tree and accepts it. All trees are followed, even if a publication
/// of one cannot be read, or its head cannot be accepted.
async fn follow_all(store: &dyn Store, heads: &[Arc<Heads>]) -> Result<(), HeadError> {
    if heads.is_empty() {
        return Ok(());
    }
    let mut read = store.reader();
    let mut outcome = Ok(());
    let mut followed = Vec::with_capacity(heads.len());
    for heads in heads {
        match heads.known(read.as_mut()).await {
            Ok(known) => followed.push((heads, known)),
            Err(error) => outcome = Err(error.into()),
        }
    }
    let trees: Vec<_> = followed.iter().map(|(heads, _)| heads.tree().id).collect();
    let standings = read.standings(&trees).await?;
    for ((heads, known), standing) in followed.into_iter().zip(standings) {
        if let Err(error) = heads.accept(known, standing, read.as_mut()).await {
            outcome = Err(error);
        }
    }
    outcome
}
