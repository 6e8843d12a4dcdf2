//! The parts that the logs of a ledger share, and those of one log.

use std::sync::Arc;

use prometheus::Registry;
use ring::rand::{SecureRandom, SystemRandom};
use tlog::WitnessPolicy;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::clock::{Clock, ClockFault};
use crate::events::news::News;
use crate::guard::place::Guard;
use crate::heads::publication::Witnessing;
use crate::keys::key_ring::KeyRing;
use crate::metrics::{CONTRADICTED, Metrics, NOT_COMPARED, UNAVAILABLE_REASONS, WITNESS_RESULTS};
use crate::neighbours::Neighbours;
use crate::open::Settings;
use crate::open_error::OpenError;
use crate::reading::caches::Caches;
use crate::reading::events::TurnsBehind;
use crate::reading::search::Turns;
use crate::store::skew::least_skew;
use crate::store::{MAX_CLOCK_SKEW_MILLIS, ServerRow, Store, StoreResult, usage};
use crate::tasks::Tasks;
use crate::writing::append_error::AppendError;
use crate::writing::dating::Dating;
use crate::writing::queue::{MAX_QUEUED_BYTES, MAX_QUEUED_ENTRIES};

/// The parts that all logs of a ledger share.
pub(crate) struct LedgerParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Dates the entries of all logs by that clock.
    pub(crate) dating: Arc<Dating>,
    pub(crate) keys: KeyRing,
    pub(crate) witnessing: Option<Witnessing>,
    /// The row of this server, without its keys.
    pub(crate) server: ServerRow,
    /// Held while that row is stored or removed.
    pub(crate) server_row: Mutex<()>,
    pub(crate) rng: SystemRandom,
    pub(crate) tasks: Tasks,
    /// The caches of all trees.
    pub(crate) caches: Arc<Caches>,
    /// Turns of searches in all trees.
    pub(crate) turns: Arc<Turns>,
    /// Turns of readers of events that are behind, in all trees.
    pub(crate) behind: Arc<TurnsBehind>,
    /// Tells readers of events that heads were published.
    pub(crate) news: News,
    pub(crate) neighbours: Neighbours,
    /// Cancelled when the ledger ends, and all its tasks with it.
    pub(crate) ended: CancellationToken,
    registry: Registry,
}

impl LedgerParts {
    /// Makes the parts that the settings name, for the ledger `name`.
    pub(crate) fn new(settings: Settings, name: &str) -> Result<Self, OpenError> {
        let Settings {
            store,
            keys,
            place,
            witnessing,
            guard,
            clock,
            rng,
            metrics,
            ..
        } = settings;
        usage::register(&store, &metrics).map_err(taken)?;
        let server = ServerRow {
            server_id: random_server_id(&rng)?,
            name: name.to_owned(),
            place,
            keys: Vec::new(),
            vouches: false,
            seen: 0,
        };
        Ok(Self {
            store,
            guard,
            dating: Arc::new(Dating::new(Arc::clone(&clock))),
            clock,
            keys,
            witnessing,
            server,
            server_row: Mutex::default(),
            rng,
            tasks: Tasks::default(),
            caches: Arc::new(Caches::new()),
            turns: Arc::new(Turns::new()),
            behind: Arc::new(TurnsBehind::new()),
            news: News::default(),
            neighbours: Neighbours::default(),
            ended: CancellationToken::new(),
            registry: metrics,
        })
    }

    /// Returns the fault if the clock of the database differs so much from this server's that no
    /// round would commit.
    ///
    /// # Errors
    ///
    /// The database does not answer.
    pub(crate) async fn database_clock_fault(&self) -> StoreResult<Option<ClockFault>> {
        let (asked_at, local_millis) = (Instant::now(), self.clock.unix_millis());
        let database_millis = self.store.now_millis().await?;
        let millis = least_skew(database_millis - local_millis, asked_at.elapsed());
        // A database in this process has the clock of this process.
        let differs = self.store.is_shared() && millis.abs() > MAX_CLOCK_SKEW_MILLIS;
        Ok(differs.then_some(ClockFault::Differ { millis }))
    }
}

/// The parts that all trees of a log share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogParts {
    pub(crate) shared: Arc<LedgerParts>,
    pub(crate) api: &'static Api,
    pub(crate) metrics: Metrics,
}

impl LogParts {
    /// Makes the parts of the log of an API, with metrics of its own.
    pub(crate) fn new(shared: &Arc<LedgerParts>, api: &'static Api) -> Result<Self, OpenError> {
        let metrics = Metrics::register(&shared.registry, api.name).map_err(taken)?;
        let policy = shared.witnessing.as_ref();
        begin_at_zero(&metrics, policy.map(|witnessing| &witnessing.policy));
        Ok(Self {
            shared: Arc::clone(shared),
            api,
            metrics,
        })
    }
}

fn taken(error: prometheus::Error) -> OpenError {
    OpenError::System(error.to_string())
}

/// Sets the gauges that never change, and creates the series that alerts watch: a series that
/// appears with its first failure shows no increase. `policy` names the witnesses that are asked.
fn begin_at_zero(metrics: &Metrics, policy: Option<&WitnessPolicy>) {
    metrics.queue_entries_limit.set(MAX_QUEUED_ENTRIES as i64);
    metrics.queue_bytes_limit.set(MAX_QUEUED_BYTES as i64);
    for reason in AppendError::REASONS {
        drop(metrics.append_errors.with_label_values(&[reason]));
    }
    for result in [CONTRADICTED, NOT_COMPARED] {
        drop(metrics.claims.with_label_values(&[result]));
    }
    for reason in UNAVAILABLE_REASONS {
        drop(
            metrics
                .attestations_unavailable
                .with_label_values(&[reason]),
        );
    }
    for witness in policy
        .map(WitnessPolicy::witnesses)
        .unwrap_or_default()
        .iter()
        .filter(|witness| witness.url.is_some())
    {
        for result in WITNESS_RESULTS {
            drop(
                metrics
                    .witness_requests
                    .with_label_values(&[witness.name.as_str(), result]),
            );
        }
    }
}

fn random_server_id(rng: &dyn SecureRandom) -> Result<String, OpenError> {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes)
        .map_err(|_| OpenError::System("the system gives no random numbers".into()))?;
    Ok(hex::encode(bytes))
}
