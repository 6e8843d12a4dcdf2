//! Subscriptions: notices of new entries from inside the server.
//!
//! A task reads the events of the ledger, which are entries below published heads, matches them
//! with the rules of the file, and puts notices into an outbox in the data folder. It only reads
//! the ledger, so that no write waits for it; a panic or an error of it is logged, and it begins
//! again where it was.

mod entries;
mod position;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ledger::events::{Filter, Reader};
use ledger::{Clock, Ledger, SystemClock};
use monitor::channels::Channels;
use monitor::rules::Rules;
use monitor::{Backoff, Outbox, OutboxMetrics, RuleFile, Surroundings};
use prometheus::{IntGauge, Registry};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::failure::{Explain, FailureKind, Outcome};
use entries::Matcher;
use position::{Kept, Place};

/// The folder in the data folder.
const FOLDER: &str = "subscriptions";
/// Events of one step. Their bytes are in memory together, with at most 64 KiB each.
const EVENTS: usize = 64;
/// Pause before the next attempt after an error.
const PAUSE: Duration = Duration::from_secs(10);
/// How often the position is kept while no entry matches a rule. Entries after it are matched once
/// more after a crash.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// The file with rules and channels, checked.
pub(crate) struct Subscriptions {
    rules: Rules,
    channels: Channels,
}

/// Subscriptions that are followed.
pub(crate) struct Running {
    task: JoinHandle<()>,
    outbox: Arc<Outbox>,
}

impl Subscriptions {
    /// Reads the text of the file `path`, and the files with secrets that it names. The error says
    /// what is wrong, for a person.
    pub(crate) fn read(path: &Path, text: &str) -> Result<Self, String> {
        let file = RuleFile::read(path, text).map_err(|error| error.to_string())?;
        for note in &file.notes {
            tracing::warn!("subscriptions: {note}");
        }
        Ok(Self {
            rules: Rules::new(&file.rules).map_err(|error| error.to_string())?,
            channels: Channels::new(&file.channels).map_err(|error| error.to_string())?,
        })
    }

    /// Begins to follow the ledger. The first time, that is behind all entries that are published
    /// now; later, where it stopped.
    pub(crate) fn start(
        self,
        ledger: &Ledger,
        data_folder: &Path,
        registry: &Registry,
    ) -> Outcome<Running> {
        let what = "subscriptions";
        let folder = data_folder.join(FOLDER);
        let metrics = OutboxMetrics::new(registry).explain(FailureKind::Other, what)?;
        let behind = behind(registry).explain(FailureKind::Other, what)?;
        let outbox = Outbox::open(&folder, self.channels, metrics, surroundings());
        let outbox = Arc::new(outbox.explain(FailureKind::Other, what)?);
        let place = Place::new(&folder);
        place.keep_first(&ledger.events().now())?;
        tracing::info!(rules = self.rules.len(), "subscriptions");
        let follower = Arc::new(Follower {
            ledger: ledger.clone(),
            matcher: Matcher::new(ledger.clone(), self.rules),
            place,
            outbox: Arc::clone(&outbox),
            behind,
        });
        let task = tokio::spawn(supervise(follower));
        Ok(Running { task, outbox })
    }
}

impl Running {
    /// Returns a handle that ends the reading, so that the ledger may be stopped.
    pub(crate) fn reading(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Ends the task, and waits a while for notices that are being delivered.
    pub(crate) async fn stop(self) {
        self.task.abort();
        self.outbox.close().await;
    }
}

/// Returns the metric of the entries that are still to be matched.
fn behind(registry: &Registry) -> prometheus::Result<IntGauge> {
    let behind = IntGauge::new(
        "treehead_subscriptions_behind",
        "Published entries that were not matched with the subscriptions yet.",
    )?;
    registry.register(Box::new(behind.clone()))?;
    Ok(behind)
}

fn surroundings() -> Surroundings {
    let rng = SystemRandom::new();
    Surroundings {
        now: Arc::new(|| SystemClock.unix_millis() / 1_000),
        jitter: Arc::new(move || {
            let mut bytes = [0; 4];
            // Without random numbers every pause has its middle length.
            match rng.fill(&mut bytes) {
                Ok(()) => f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
                Err(_) => 0.5,
            }
        }),
        backoff: Backoff::default(),
    }
}

/// Follows the ledger for as long as the server runs, whatever happens to one attempt.
async fn supervise(follower: Arc<Follower>) {
    loop {
        let attempt = Arc::clone(&follower);
        // A task of its own, so that a panic ends only this attempt.
        let mut attempt = AbortOnDrop(tokio::spawn(async move { attempt.follow().await }));
        match (&mut attempt.0).await {
            Ok(Err(error)) => tracing::error!("subscriptions: {error}; tried again in {PAUSE:?}"),
            Ok(Ok(never)) => match never {},
            Err(panic) => tracing::error!("subscriptions: {panic}; tried again in {PAUSE:?}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Follower {
    ledger: Ledger,
    matcher: Matcher,
    place: Place,
    outbox: Arc<Outbox>,
    behind: IntGauge,
}

impl Follower {
    async fn follow(&self) -> Outcome<Infallible> {
        let mut kept = self.place.read()?;
        let events = self.ledger.events();
        let reader = events.reader(kept.position()?, Filter::default()).await;
        let mut reader: Reader = reader.explain(FailureKind::Other, "events")?;
        let mut kept_at = Instant::now();
        loop {
            let read = reader.read(EVENTS).await;
            let page = read.explain(FailureKind::Other, "events")?;
            let now = SystemClock.unix_millis() / 1_000;
            let notices = self.matcher.notices(&page.events, &kept, now).await?;
            if !notices.is_empty() {
                // Dies behind this: the same notices are made again, as repeated ones.
                kept.begin(&page.events);
                self.place.keep(&kept).await?;
                let put = self.outbox.put(&notices).await;
                put.explain(FailureKind::Other, "outbox")?;
            }
            // Dies before this: entries are matched once more, of which none had a notice, or
            // their notices are repeated ones.
            let is_due = !notices.is_empty() || kept_at.elapsed() >= KEEP_EVERY;
            if is_due && !page.events.is_empty() {
                kept = Kept::at(reader.position());
                self.place.keep(&kept).await?;
                kept_at = Instant::now();
            }
            self.behind
                .set(i64::try_from(reader.behind()).unwrap_or(i64::MAX));
            if !page.more {
                reader.wait().await;
            }
        }
    }
}
