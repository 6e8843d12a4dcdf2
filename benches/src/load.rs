//! One run: some connections, each sending its next request when its last one is answered and one
//! may start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::ask::{Ask, Source};
use crate::connection::{Connection, Target};
use crate::random::Random;
use crate::refusals::refusals;
use crate::schedule::{LATE, Schedule};

/// A connection that failed this often in a row gives up: the server is gone.
const MAX_FAILURES: usize = 20;
/// Answers to the last requests are waited for this long. A server's own limit of a request is 60
/// s.
const PATIENCE: Duration = Duration::from_secs(70);
/// Longest text of an error that is shown, in characters.
const MAX_ERROR: usize = 300;

/// A work with its connections.
pub(crate) struct Load {
    /// Makes the requests.
    pub(crate) source: Arc<Source>,
    /// Connections, one request in flight on each.
    pub(crate) connections: usize,
    /// Requests a second; `None`: closed loop.
    pub(crate) rate: Option<u32>,
    /// One of this many answers is kept.
    pub(crate) sample: u32,
    /// Of the random choices.
    pub(crate) seed: u64,
}

/// The result of a work.
pub(crate) struct Run {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// For each part of the mix.
    pub(crate) parts: Vec<Tally>,
}

/// The result of some requests on some connections.
#[derive(Default)]
pub(crate) struct Tally {
    /// Good answers; entries for a batch.
    pub(crate) answered: usize,
    /// Time to the whole answer in microseconds, of good answers and of requests that were due and
    /// never sent (for those: up to the end). Ascending once the run is over.
    pub(crate) latencies: Vec<u32>,
    /// Requests sent more than [`LATE`] after they were due.
    pub(crate) late: usize,
    /// Requests that were due and never sent.
    pub(crate) unsent: usize,
    /// Good answers kept, with what was asked.
    pub(crate) kept: Vec<(Ask, Vec<u8>)>,
    /// Each failure, and how often it happened.
    pub(crate) errors: BTreeMap<String, usize>,
    last: Option<Instant>,
}

/// Runs the first of `loads` for `time` or until its proposals are used up, and the others as long.
pub(crate) async fn run(target: &Target, loads: &[Load], time: Duration) -> Result<Vec<Run>> {
    let mut opened = Vec::new();
    for load in loads {
        let mut connections = Vec::with_capacity(load.connections);
        for _ in 0..load.connections {
            connections.push(Connection::open(target).await?);
        }
        opened.push((load, connections));
    }
    let start = Instant::now();
    let mut started: Vec<_> = opened
        .into_iter()
        .map(|(load, connections)| start_load(load, connections, start, time))
        .collect();
    let mut runs = Vec::new();
    // In this order: when the first is used up, what runs beside ends as well.
    while !started.is_empty() {
        let (schedule, clients) = started.remove(0);
        let tallies = collect(clients, start + time + PATIENCE).await;
        schedule.stop();
        if start.elapsed() < time {
            started.iter().for_each(|(schedule, _)| schedule.stop());
        }
        runs.push(Run::new(start, tallies, &schedule));
    }
    Ok(runs)
}

type Clients = JoinSet<Vec<Tally>>;

fn start_load(
    load: &Load,
    connections: Vec<Connection>,
    start: Instant,
    time: Duration,
) -> (Arc<Schedule>, Clients) {
    let schedule = Arc::new(match load.rate {
        Some(rate) => Schedule::fixed_rate(start, time, rate),
        None => Schedule::closed_loop(start, time),
    });
    let mut seeds = Random::new(load.seed);
    let mut clients = JoinSet::new();
    for connection in connections {
        let (source, schedule) = (load.source.clone(), schedule.clone());
        let random = Random::new(seeds.next());
        clients.spawn(client(connection, source, schedule, random, load.sample));
    }
    if schedule.is_fixed_rate() {
        let schedule = schedule.clone();
        thread::spawn(move || schedule.pace());
    }
    (schedule, clients)
}

/// Waits for all clients, until `end`; of those that hang, all that is known is that they do.
async fn collect(mut clients: Clients, end: Instant) -> Vec<Vec<Tally>> {
    let mut tallies = Vec::new();
    loop {
        match timeout_at(end, clients.join_next()).await {
            Ok(None) => return tallies,
            Ok(Some(Ok(tally))) => tallies.push(tally),
            Ok(Some(Err(error))) => tallies.push(vec![Tally::failed(format!("client: {error}"))]),
            Err(_) => {
                let hanging = clients.len();
                clients.abort_all();
                let mut tally = Tally::default();
                tally.errors.insert(
                    format!("no answer within {PATIENCE:?} after the end"),
                    hanging,
                );
                tallies.push(vec![tally]);
                return tallies;
            }
        }
    }
}

async fn client(
    mut connection: Connection,
    source: Arc<Source>,
    schedule: Arc<Schedule>,
    mut random: Random,
    sample: u32,
) -> Vec<Tally> {
    let mut tallies: Vec<_> = source.mix.works().map(|_| Tally::default()).collect();
    let (mut request, mut body) = (Vec::new(), Vec::new());
    let mut failures = 0;
    while failures < MAX_FAILURES
        && let Some(due) = schedule.next().await
    {
        let Some((part, ask)) = source.choose(&mut random) else {
            schedule.stop();
            break;
        };
        let tally = &mut tallies[part];
        source.write(ask, &mut request, &mut body);
        if schedule.is_fixed_rate() && due.elapsed() > LATE {
            tally.late += 1;
        }
        failures += 1;
        match connection.exchange(&request).await {
            Ok(answer) if answer.status == ask.good_status() => {
                failures = 0;
                let now = Instant::now();
                tally.last = Some(now);
                // One in `sample` on average: a client with few requests keeps its share.
                let is_kept = random.below(u64::from(sample)) == 0;
                tally.accept(ask, now - due, answer.body, is_kept);
            }
            Ok(answer) => tally.fail(format!(
                "{}: {}",
                answer.status,
                String::from_utf8_lossy(answer.body)
            )),
            Err(error) => tally.fail(format!("{error:#}")),
        }
    }
    tallies
}

impl Tally {
    fn failed(error: String) -> Self {
        let mut tally = Self::default();
        tally.fail(error);
        tally
    }

    fn accept(&mut self, ask: Ask, latency: Duration, answer: &[u8], is_kept: bool) {
        let refused = if let Ask::Batch { count, .. } = ask {
            refusals(answer, count)
        } else {
            Vec::new()
        };
        self.answered += ask.count().saturating_sub(refused.len());
        refused.into_iter().for_each(|refusal| self.fail(refusal));
        self.latencies.push(micros(latency));
        if is_kept {
            self.kept.push((ask, answer.to_vec()));
        }
    }

    /// Counts an error.
    pub(crate) fn fail(&mut self, error: String) {
        let error = error.trim_end().chars().take(MAX_ERROR).collect();
        *self.errors.entry(error).or_default() += 1;
    }

    /// The latency that this share of the requests stayed within; `None` if there were none.
    pub(crate) fn latency(&self, share: f64) -> Option<Duration> {
        let rank = (share * self.latencies.len() as f64).ceil() as usize;
        self.latencies
            .get(rank.saturating_sub(1))
            .map(|micros| Duration::from_micros(u64::from(*micros)))
    }

    /// Returns the number of failures.
    pub(crate) fn failures(&self) -> usize {
        self.errors.values().sum()
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.latencies.extend(other.latencies);
        self.late += other.late;
        self.unsent += other.unsent;
        self.kept.extend(other.kept);
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        self.last = self.last.max(other.last);
    }
}

impl Run {
    fn new(start: Instant, tallies: Vec<Vec<Tally>>, schedule: &Schedule) -> Self {
        let mut parts: Vec<Tally> = Vec::new();
        for (part, tally) in tallies
            .into_iter()
            .flat_map(|tallies| tallies.into_iter().enumerate())
        {
            if part == parts.len() {
                parts.push(Tally::default());
            }
            parts[part].add(tally);
        }
        let last = parts
            .iter()
            .filter_map(|tally| tally.last)
            .max()
            .unwrap_or(start);
        if let Some(first) = parts.first_mut() {
            // Their part of a mix was not chosen yet.
            let unsent = schedule.unsent(last);
            first.unsent = unsent.len();
            first.latencies.extend(unsent.into_iter().map(micros));
        }
        parts
            .iter_mut()
            .for_each(|tally| tally.latencies.sort_unstable());
        Self {
            elapsed: last - start,
            parts,
        }
    }

    /// Good answers of all parts.
    pub(crate) fn answered(&self) -> usize {
        self.parts.iter().map(|part| part.answered).sum()
    }

    /// All parts as one. The answers that were kept stay where they are.
    pub(crate) fn total(&self) -> Tally {
        let mut total = Tally::default();
        for part in &self.parts {
            let (latencies, errors) = (part.latencies.clone(), part.errors.clone());
            let Tally {
                answered,
                late,
                unsent,
                last,
                ..
            } = *part;
            total.add(Tally {
                answered,
                latencies,
                late,
                unsent,
                kept: Vec::new(),
                errors,
                last,
            });
        }
        total.latencies.sort_unstable();
        total
    }
}

fn micros(latency: Duration) -> u32 {
    u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use ring::rand::SystemRandom;
    use tlog::SigningKey;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::known::Known;
    use crate::proposal::Proposals;
    use crate::random::Skew;
    use crate::work::Mix;
    use client::LogKey;

    const BODY: &str = r#"{"results":[{"status":201},{"status":503},{"status":201}]}"#;

    /// Answers each request with `status` and a body that is a batch of three, two of them taken;
    /// the very first one not before `stall` has passed since it began.
    async fn serve(status: &'static str, stall: Duration) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let start = Instant::now();
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while let Ok(1..) = stream.read(&mut request).await {
                        // A thread that is busy, not one that waits: the requests that are due must
                        // not get through.
                        while start.elapsed() < stall {
                            tokio::task::yield_now().await;
                        }
                        let answer = format!(
                            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{BODY}",
                            BODY.len()
                        );
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Target::new(&url.parse().unwrap()).unwrap()
    }

    fn load(target: &Target, mix: &str, connections: usize, rate: Option<u32>) -> Load {
        let rng = SystemRandom::new();
        let key =
            SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(&rng).unwrap(), &rng).unwrap();
        let key = LogKey::new(key.verifying_key().clone());
        let known = Known {
            v2_key: key.clone(),
            key,
            v1: None,
            tiles: None,
            entries: Vec::new(),
        };
        let source = Source {
            mix: Mix::from_str(mix).unwrap(),
            skew: Skew::Uniform,
            batch: 3,
            tiles_prefix: String::new(),
            target: target.clone(),
            known: Arc::new(known),
            proposals: Arc::new(Proposals::sign(100).unwrap()),
        };
        Load {
            source: Arc::new(source),
            connections,
            rate,
            sample: 10,
            seed: 1,
        }
    }

    #[tokio::test]
    async fn a_stall_counts_for_every_request_that_was_due() {
        let stall = Duration::from_millis(100);
        let target = serve("200 OK", stall).await;
        let load = load(&target, "tree-head", 1, Some(1000));
        let runs = run(&target, &[load], stall).await.unwrap();
        let total = runs[0].total();
        assert_eq!(total.answered + total.unsent, 100);
        assert_eq!(total.latencies.len(), 100);
        // Request i was due at i ms and sent after 100 ms. From when it was sent, it would have
        // taken next to nothing.
        assert!(
            total.latency(0.5) > Some(stall / 2 - LATE),
            "{:?}",
            total.latencies
        );
        assert!(
            total.late + total.unsent > 90,
            "{} and {}",
            total.late,
            total.unsent
        );
        assert_eq!(total.failures(), 0);
    }

    #[tokio::test]
    async fn a_closed_loop_ends_when_its_entries_are_used_up() {
        let target = serve("201 Created", Duration::ZERO).await;
        let load = load(&target, "write-v1", 7, None);
        let mut runs = run(&target, &[load], Duration::from_secs(600))
            .await
            .unwrap();
        let total = runs[0].total();
        assert_eq!((total.answered, total.failures(), total.late), (100, 0, 0));
        let kept = std::mem::take(&mut runs[0].parts[0].kept);
        assert!(
            (1..50).contains(&kept.len())
                && kept.iter().all(|(_, answer)| answer == BODY.as_bytes()),
            "{}",
            kept.len()
        );
    }

    #[tokio::test]
    async fn what_runs_beside_ends_with_the_first_and_a_batch_counts_its_entries() {
        let target = serve("200 OK", Duration::ZERO).await;
        let loads = [
            load(&target, "batch", 2, None),
            load(&target, "tree-head", 2, Some(100)),
        ];
        let runs = run(&target, &loads, Duration::from_secs(600))
            .await
            .unwrap();
        // 33 requests of 3, each with one refusal.
        assert_eq!((runs[0].answered(), runs[0].total().failures()), (66, 33));
        assert_eq!(runs[0].total().latencies.len(), 33);
        assert_eq!(runs[1].total().failures(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_only_fails_gives_up() {
        let target = serve("503 Service Unavailable", Duration::ZERO).await;
        let load = load(&target, "tree-head,checkpoint", 2, None);
        let runs = run(&target, &[load], Duration::from_secs(600))
            .await
            .unwrap();
        let total = runs[0].total();
        assert_eq!((total.answered, total.failures()), (0, 2 * MAX_FAILURES));
        assert_eq!(
            total.errors.keys().collect::<Vec<_>>(),
            [&format!("503: {BODY}")]
        );
        assert_eq!(runs[0].parts.len(), 2);
    }

    #[test]
    fn latency_is_the_nearest_rank() {
        let tally = Tally {
            latencies: (1..=100).map(|ms| ms * 1000).collect(),
            ..Tally::default()
        };
        for (share, ms) in [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)] {
            assert_eq!(tally.latency(share), Some(Duration::from_millis(ms)));
        }
        assert_eq!(Tally::default().latency(0.5), None);
        assert_eq!(micros(Duration::from_secs(9000)), u32::MAX);
    }
}
