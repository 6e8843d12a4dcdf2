//! Runs tasks side by side, but not too many at once.

use std::future::Future;

use tokio::task::JoinSet;

use crate::failure::{Failure, FailureKind, Outcome};

/// Starts a task for each of `items`, at most `at_once` at a time, and hands each result to `take`,
/// in the order in which they come. The first failure ends the others.
pub(crate) async fn side_by_side<T, R, F>(
    items: impl IntoIterator<Item = T>,
    at_once: usize,
    mut task: impl FnMut(T) -> F,
    mut take: impl FnMut(R) -> Outcome<()>,
) -> Outcome<()>
where
    R: Send + 'static,
    F: Future<Output = Outcome<R>> + Send + 'static,
{
    let mut items = items.into_iter();
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() < at_once
            && let Some(item) = items.next()
        {
            tasks.spawn(task(item));
        }
        let Some(ended) = tasks.join_next().await else {
            return Ok(());
        };
        let ended = ended.map_err(|error| Failure::new(FailureKind::Bug, error))?;
        take(ended?)?;
    }
}
