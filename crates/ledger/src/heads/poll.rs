//! The poll of the database: one read for the active trees of all logs. A log whose head cannot be
//! read or accepted is left out for a while; the others are not slowed by it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Heads;
use super::follow::PAUSE_AFTER_ERROR;
use super::went_back::HeadError;
use crate::ids::TreeId;
use crate::store::{Store, StoreError, StoreResult};

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
    let mut pauses: Vec<(TreeId, Instant)> = Vec::new();
    loop {
        ticks.tick().await;
        pauses.retain(|(_, end)| *end > Instant::now());
        let mut heads = active();
        heads.retain(|heads| {
            let pauses_now = pauses.iter().any(|(tree, _)| *tree == heads.tree().id);
            heads.halted().is_none() && !heads.is_frozen() && !pauses_now
        });
        match follow_all(store, &heads).await {
            Ok(failed) => {
                for (heads, error) in failed {
                    let tree = heads.tree();
                    tracing::warn!(log = %tree.api, %error, "cannot read the newest tree head");
                    pauses.push((tree.id, Instant::now() + PAUSE_AFTER_ERROR));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the newest tree heads");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// Reads the newest head of each tree and accepts it. Returns the trees of which that failed: the
/// others are followed all the same. An error is one of all trees.
async fn follow_all<'h>(
    store: &dyn Store,
    heads: &'h [Arc<Heads>],
) -> StoreResult<Vec<(&'h Heads, HeadError)>> {
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let mut read = store.reader();
    let (mut failed, mut followed) = (Vec::new(), Vec::with_capacity(heads.len()));
    for heads in heads {
        match heads.known(read.as_mut()).await {
            Ok(known) => followed.push((&**heads, known)),
            Err(error) => failed.push((&**heads, error.into())),
        }
    }
    let trees: Vec<_> = followed.iter().map(|(heads, _)| heads.tree().id).collect();
    let standings = match read.standings(&trees).await {
        // A row of one tree spoils the read of all.
        Err(StoreError::Damaged(_)) => {
            for (heads, _) in followed {
                if let Err(error) = heads.follow(read.as_mut()).await {
                    failed.push((heads, error));
                }
            }
            return Ok(failed);
        }
        standings => standings?,
    };
    for ((heads, known), standing) in followed.into_iter().zip(standings) {
        if let Err(error) = heads.accept(known, standing, read.as_mut()).await {
            failed.push((heads, error));
        }
    }
    Ok(failed)
}
