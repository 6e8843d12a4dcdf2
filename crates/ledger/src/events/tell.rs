//! The task that tells readers of events about published heads.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::{sleep, timeout};

use super::news::News;
use crate::heads::Heads;
use crate::shards::open_log::OpenLog;

/// Time between two wake-ups of the readers. Readers of a busy log then get some hundred entries at
/// once, which costs a tenth of getting each round alone.
const PAUSE: Duration = Duration::from_millis(100);

/// Time after which the trees are listed anew: a log that was rotated has another one.
const LIST_AGAIN: Duration = Duration::from_millis(250);

/// Tells the readers of these logs for ever. Does nothing while there are none.
pub(crate) async fn tell(news: &News, logs: &[Arc<OpenLog>]) {
    loop {
        if news.told.receiver_count() == 0 {
            news.wanted.notified().await;
        }
        let growing = growing(logs);
        let mut heads: Vec<_> = growing
            .iter()
            .map(|heads| heads.watch_published())
            .collect();
        // Read after the receivers were made, so that no head comes between.
        let published = published(logs);
        let is_new = news.told.send_if_modified(|told| {
            let is_new = *told != published;
            *told = published;
            is_new
        });
        if is_new {
            sleep(PAUSE).await;
            continue;
        }
        // Each log has an active tree, so there is something to wait for.
        let changed = heads.iter_mut().map(|heads| Box::pin(heads.changed()));
        drop(timeout(LIST_AGAIN, select_all(changed)).await);
    }
}

/// Returns the heads of the trees that have entries to publish, or may get some.
fn growing(logs: &[Arc<OpenLog>]) -> Vec<Arc<Heads>> {
    let mut growing = Vec::new();
    for log in logs {
        let list = log.list();
        let unfinished = list.frozen.iter().filter(|shard| {
            let heads = &shard.heads;
            heads.published().size < heads.integrated().size
        });
        let shards = unfinished.chain([&list.active.shard]);
        growing.extend(shards.map(|shard| Arc::clone(&shard.heads)));
    }
    growing
}

/// Returns the number of published entries of all trees, which only grows.
fn published(logs: &[Arc<OpenLog>]) -> u64 {
    let of_log = |log: &Arc<OpenLog>| {
        let shards = log.shards();
        shards.active_first().map(|head| head.size.0).sum::<u64>()
    };
    logs.iter().map(of_log).sum()
}
