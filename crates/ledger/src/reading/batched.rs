//! Look-ups that share queries: keys that arrive while queries are under way wait, and the next
//! query looks them up together.
//!
//! There is no timer. A key that arrives alone is looked up alone and at once; under load, queries
//! grow by themselves. The fixed cost of a query (a round trip, two wake-ups, a statement to bind
//! and start) is then paid once for many keys.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::Histogram;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::store::{StoreError, StoreResult};

/// Keys of one query: for entries some 100 KB, a millisecond of a database's time, and at most 4 MiB
/// of leaf bytes. Attestations, up to 100 KiB each by default, may be 6 MiB beside them; with larger
/// ones the callers' room for answers admits fewer keys at a time.
pub(crate) const MAX_TOGETHER: usize = 64;

/// Queries of one kind under way at once. More than one, so that a query that waits for the disk
/// delays few keys; few, so that keys that arrive meanwhile share a query.
pub(crate) const MAX_UNDER_WAY: usize = 2;

/// Longest wait for an answer: a query that the database gives up takes 10 s, and another query may
/// be before it. Then 503, not a queue behind a database that hangs.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// A kind of look-up.
pub(crate) trait LookUp: Send + Sync + 'static {
    /// The key of one look-up.
    type Key: Clone + Send + Sync + 'static;
    /// The result of one look-up.
    type Answer: Send + 'static;
    /// Most keys of one query.
    const TOGETHER: usize = MAX_TOGETHER;

    /// Returns one answer for each of `keys`, in their order; there are at most [`MAX_TOGETHER`].
    /// Each answer MUST be the one that a query of that key alone would give. Fails with
    /// [`StoreError::Damaged`] or [`StoreError::Data`] if one of the keys causes that.
    fn look_up(
        &self,
        keys: &[Self::Key],
    ) -> impl Future<Output = StoreResult<Vec<Self::Answer>>> + Send;
}

/// Batches the look-ups of one kind.
pub(crate) struct Batched<L: LookUp> {
    shared: Arc<Shared<L>>,
}

struct Shared<L: LookUp> {
    look_up: L,
    /// Observes the number of keys of each query.
    together: Histogram,
    queue: Mutex<Queue<L>>,
}

struct Queue<L: LookUp> {
    waiting: VecDeque<Waiter<L>>,
    /// Workers that run.
    under_way: usize,
}

struct Waiter<L: LookUp> {
    key: L::Key,
    answer: oneshot::Sender<StoreResult<L::Answer>>,
}

impl<L: LookUp> Batched<L> {
    pub(crate) fn new(look_up: L, together: Histogram) -> Self {
        let queue = Mutex::new(Queue {
            waiting: VecDeque::new(),
            under_way: 0,
        });
        Self {
            shared: Arc::new(Shared {
                look_up,
                together,
                queue,
            }),
        }
    }

    /// Looks a key up in a query that begins after this call. A caller that goes away affects no
    /// other.
    pub(crate) async fn get(&self, key: L::Key) -> StoreResult<L::Answer> {
        let (answer, answered) = oneshot::channel();
        let starts_worker = {
            let mut queue = self.shared.lock();
            queue.waiting.push_back(Waiter { key, answer });
            let starts_worker = queue.under_way < MAX_UNDER_WAY;
            queue.under_way += usize::from(starts_worker);
            starts_worker
        };
        if starts_worker {
            tokio::spawn(
                Worker {
                    shared: Arc::clone(&self.shared),
                    end: End::Abnormal,
                }
                .run(),
            );
        }
        let lost = |_| {
            Err(StoreError::Unavailable(
                "a look-up ended without an answer".to_owned(),
            ))
        };
        match timeout(MAX_WAIT, answered).await {
            Ok(answer) => answer.unwrap_or_else(lost),
            Err(_) => Err(StoreError::Unavailable(format!(
                "no answer within {} s",
                MAX_WAIT.as_secs()
            ))),
        }
    }
}

impl<L: LookUp> Shared<L> {
    /// The queue is whole between any two calls, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Queue<L>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer_all(&self, waiters: Vec<Waiter<L>>) {
        let keys: Vec<L::Key> = waiters.iter().map(|waiter| waiter.key.clone()).collect();
        self.together.observe(keys.len() as f64);
        match self.look_up.look_up(&keys).await {
            Ok(answers) => {
                for (waiter, answer) in waiters.into_iter().zip(answers) {
                    waiter.reply(Ok(answer));
                }
            }
            // One of the keys causes it, and fails alone.
            Err(StoreError::Damaged(_) | StoreError::Data(_)) if waiters.len() > 1 => {
                for waiter in waiters {
                    let answer = self
                        .look_up
                        .look_up(std::slice::from_ref(&waiter.key))
                        .await;
                    let missing =
                        || StoreError::Unavailable("a look-up was not answered".to_owned());
                    waiter.reply(answer.and_then(|mut answers| answers.pop().ok_or_else(missing)));
                }
            }
            Err(error) => waiters
                .into_iter()
                .for_each(|waiter| waiter.reply(Err(error.clone()))),
        }
    }
}

impl<L: LookUp> Waiter<L> {
    /// Sends the answer to the caller, unless it went away.
    fn reply(self, answer: StoreResult<L::Answer>) {
        let _: Result<(), _> = self.answer.send(answer);
    }
}

/// A task that makes queries until no key waits.
struct Worker<L: LookUp> {
    shared: Arc<Shared<L>>,
    end: End,
}

#[derive(PartialEq, Eq)]
enum End {
    Normal,
    /// By a panic, or with the runtime.
    Abnormal,
}

impl<L: LookUp> Worker<L> {
    async fn run(mut self) {
        loop {
            // Lets callers that are about to look up a key join the next query.
            tokio::task::yield_now().await;
            let Some(waiters) = self.next() else { return };
            self.shared.answer_all(waiters).await;
        }
    }

    /// Returns the waiters of the next query; `None` ends the worker.
    fn next(&mut self) -> Option<Vec<Waiter<L>>> {
        let mut queue = self.shared.lock();
        let mut next = Vec::with_capacity(queue.waiting.len().min(L::TOGETHER));
        while next.len() < L::TOGETHER
            && let Some(waiter) = queue.waiting.pop_front()
        {
            // A key whose caller went away is not looked up.
            if !waiter.answer.is_closed() {
                next.push(waiter);
            }
        }
        if next.is_empty() {
            queue.under_way -= 1;
            self.end = End::Normal;
            return None;
        }
        Some(next)
    }
}

impl<L: LookUp> Drop for Worker<L> {
    fn drop(&mut self) {
        if self.end == End::Abnormal {
            let mut queue = self.shared.lock();
            queue.under_way -= 1;
            if queue.under_way == 0 {
                // Otherwise they would wait until another key arrives.
                queue.waiting.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use futures_util::poll;
    use std::pin::pin;
    use tokio::sync::Semaphore;

    use super::*;

    /// Doubles numbers, one query for each permit, and notes the keys of each query. 13 is damaged,
    /// 99 panics, and from 50 on the database is unavailable.
    struct Doubles {
        permits: Arc<Semaphore>,
        queries: Queries,
    }

    impl LookUp for Doubles {
        type Key = u64;
        type Answer = u64;

        async fn look_up(&self, keys: &[u64]) -> StoreResult<Vec<u64>> {
            self.permits.acquire().await.unwrap().forget();
            self.queries.lock().unwrap().push(keys.to_vec());
            assert!(!keys.contains(&99), "a bug");
            if keys.contains(&13) {
                return Err(StoreError::Damaged("13".to_owned()));
            }
            if keys.iter().any(|key| (50..99).contains(key)) {
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            Ok(keys.iter().map(|key| key * 2).collect())
        }
    }

    /// The keys of each query.
    type Queries = Arc<Mutex<Vec<Vec<u64>>>>;

    fn doubles() -> (Batched<Doubles>, Arc<Semaphore>, Queries) {
        let (permits, queries) = (
            Arc::new(Semaphore::new(0)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let look_up = Doubles {
            permits: Arc::clone(&permits),
            queries: Arc::clone(&queries),
        };
        let together =
            Histogram::with_opts(prometheus::HistogramOpts::new("together", "For the test."))
                .unwrap();
        (Batched::new(look_up, together), permits, queries)
    }

    /// Starts as many queries as may be under way, each of one key: 0, 1, ….
    async fn busy(batched: &Batched<Doubles>) -> Vec<impl Future<Output = StoreResult<u64>>> {
        let mut first: Vec<_> = (0..MAX_UNDER_WAY as u64)
            .map(|key| Box::pin(batched.get(key)))
            .collect();
        for waiter in &mut first {
            assert!(poll!(waiter).is_pending());
            // The worker yields once before its query.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        first
    }

    #[tokio::test]
    async fn keys_that_arrive_while_queries_are_under_way_share_one() {
        let (batched, permits, queries) = doubles();
        let first = busy(&batched).await;
        let mut others = pin!(join_all((20..30).map(|key| batched.get(key))));
        assert!(poll!(&mut others).is_pending());
        permits.add_permits(100);
        let answers: Vec<u64> = others.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, (20..30).map(|key| key * 2).collect::<Vec<_>>());
        assert_eq!(
            join_all(first)
                .await
                .into_iter()
                .map(Result::unwrap)
                .sum::<u64>(),
            2
        );
        let queries = queries.lock().unwrap();
        assert_eq!(queries.len(), MAX_UNDER_WAY + 1);
        assert!(queries.contains(&(20..30).collect()), "{queries:?}");
    }

    #[tokio::test]
    async fn a_query_is_bounded() {
        let (batched, permits, queries) = doubles();
        let first = busy(&batched).await;
        let many = 2 * MAX_TOGETHER as u64 + 1;
        let mut others = pin!(join_all((0..many).map(|_| batched.get(7))));
        assert!(poll!(&mut others).is_pending());
        permits.add_permits(100);
        assert!(others.await.into_iter().all(|answer| answer.unwrap() == 14));
        drop(first);
        let longest = queries.lock().unwrap().iter().map(Vec::len).max();
        assert_eq!(longest, Some(MAX_TOGETHER));
    }

    #[tokio::test]
    async fn a_damaged_row_fails_its_key_alone() {
        let (batched, permits, _) = doubles();
        let first = busy(&batched).await;
        let mut others = pin!(join_all([12, 13, 14].map(|key| batched.get(key))));
        assert!(poll!(&mut others).is_pending());
        permits.add_permits(100);
        let answers = others.await;
        assert!(
            matches!(answers[..], [Ok(24), Err(StoreError::Damaged(_)), Ok(28)]),
            "{answers:?}"
        );
        drop(first);
    }

    #[tokio::test]
    async fn a_failed_query_fails_only_its_own_keys() {
        let (batched, permits, _) = doubles();
        permits.add_permits(100);
        for key in [50, 99] {
            assert!(
                matches!(batched.get(key).await, Err(StoreError::Unavailable(_))),
                "{key}"
            );
            assert_eq!(batched.get(3).await.unwrap(), 6, "after {key}");
        }
        // A panic of all workers leaves no caller waiting.
        let answers = join_all((0..10).map(|_| batched.get(99))).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(batched.get(4).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_affects_no_other() {
        let (batched, permits, queries) = doubles();
        let first = busy(&batched).await;
        let mut gone = Box::pin(batched.get(21));
        let mut stays = pin!(batched.get(22));
        assert!(poll!(&mut gone).is_pending() && poll!(&mut stays).is_pending());
        drop((gone, first));
        permits.add_permits(100);
        assert_eq!(stays.await.unwrap(), 44);
        assert!(!queries.lock().unwrap().concat().contains(&21));
    }
}
