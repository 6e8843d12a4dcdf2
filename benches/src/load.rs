//! One run: some connections, each posting its next entry when the last one is answered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::api::Api;
use crate::connection::{Connection, Target};

/// A connection that failed this often in a row gives up: the server is gone.
const MAX_FAILURES: usize = 20;

/// What bounds a run.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Where entries go.
    pub(crate) api: Api,
    /// Connections, one request in flight on each.
    pub(crate) connections: usize,
    /// No request starts later than this.
    pub(crate) time: Duration,
    /// One of this many answers is kept.
    pub(crate) sample: u32,
}

/// What a run showed.
#[derive(Default)]
pub(crate) struct Run {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Time to the whole answer, of accepted entries only, ascending.
    pub(crate) latencies: Vec<Duration>,
    /// Answers kept, of accepted entries.
    pub(crate) sample: Vec<Bytes>,
    /// What went wrong, and how often.
    pub(crate) errors: BTreeMap<String, usize>,
}

/// Posts `proposals` until they or the time are used up.
pub(crate) async fn run(target: &Target, proposals: Vec<Bytes>, limits: Limits) -> Result<Run> {
    let mut connections = Vec::with_capacity(limits.connections);
    for _ in 0..limits.connections {
        connections.push(Connection::open(target).await?);
    }
    let queue = RefCell::new(proposals.into_iter());
    let run = RefCell::new(Run::default());
    let start = Instant::now();
    let writers = connections.into_iter().map(|connection| writer(target, connection, &queue, &run, start, limits));
    join_all(writers).await;
    let mut run = run.into_inner();
    run.elapsed = start.elapsed();
    run.latencies.sort_unstable();
    Ok(run)
}

async fn writer(
    target: &Target,
    mut connection: Connection,
    queue: &RefCell<std::vec::IntoIter<Bytes>>,
    run: &RefCell<Run>,
    start: Instant,
    limits: Limits,
) {
    let mut failures = 0;
    while start.elapsed() < limits.time && failures < MAX_FAILURES {
        let Some(proposal) = queue.borrow_mut().next() else { return };
        let sent = Instant::now();
        let answer = connection.send(Method::POST, limits.api.path(), proposal).await;
        let latency = sent.elapsed();
        match answer {
            Ok((StatusCode::CREATED, body)) => {
                failures = 0;
                run.borrow_mut().accept(latency, body, limits.sample);
            }
            Ok((status, body)) => {
                failures += 1;
                run.borrow_mut().fail(format!("{status}: {}", String::from_utf8_lossy(&body)));
            }
            Err(error) => {
                failures += 1;
                run.borrow_mut().fail(format!("{error:#}"));
                match Connection::open(target).await {
                    Ok(fresh) => connection = fresh,
                    Err(error) => return run.borrow_mut().fail(format!("{error:#}")),
                }
            }
        }
    }
}

impl Run {
    /// Entries accepted per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the accepted entries stayed within; `None` if there were none.
    pub(crate) fn latency(&self, share: f64) -> Option<Duration> {
        let rank = (share * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    fn accept(&mut self, latency: Duration, body: Bytes, sample: u32) {
        if self.latencies.len().is_multiple_of(sample as usize) {
            self.sample.push(body);
        }
        self.latencies.push(latency);
    }

    fn fail(&mut self, error: String) {
        *self.errors.entry(error).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_the_nearest_rank() {
        let run = Run { latencies: (1..=100).map(Duration::from_millis).collect(), ..Run::default() };
        assert_eq!(run.latency(0.5), Some(Duration::from_millis(50)));
        assert_eq!(run.latency(0.99), Some(Duration::from_millis(99)));
        assert_eq!(run.latency(1.0), Some(Duration::from_millis(100)));
        assert_eq!(run.latency(0.0), Some(Duration::from_millis(1)));
        assert_eq!(Run::default().latency(0.5), None);
    }
}
