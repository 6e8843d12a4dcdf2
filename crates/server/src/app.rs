//! The state that all handlers share.

use std::sync::Arc;

use bytes::Bytes;
use entry::UnixSeconds;
use host::{Bodies, Budget, Cors, Observer, Pool, RequestIds, Rule};
use ledger::{Ledger, Log, V1, V2};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::attestations::Attestations;
use crate::cached::{GzipBundles, HeadsText};
use crate::enabled::Operations;
use crate::failure::NoLog;
use crate::limits::{
    ANSWER_BYTES_IN_FLIGHT, BATCH_PLACES, BUNDLE_BYTES_IN_FLIGHT, CONNECTIONS_PER_STREAM,
    SEARCH_BYTES_IN_FLIGHT,
};
use crate::metrics::Metrics;
use crate::operation::access_at;
use crate::pages;
use crate::settings::{Duplicates, MAX_ATTESTATION_BYTES, Settings};
use crate::trust::TrustSettings;
use crate::unique::UniquePackages;
use crate::verification::Verifier;

/// One server.
pub(crate) struct App {
    /// All logs.
    pub(crate) ledger: Ledger,
    v1: Option<Log>,
    v2: Option<Log>,
    /// Places in the queue of the v1 log for entries of batches. Each log has its own, so that
    /// batches for one that waits for witnesses keep none from the other.
    pub(crate) v1_batch_places: Arc<Semaphore>,
    /// Places in the queue of the v2 log for entries of batches.
    pub(crate) v2_batch_places: Arc<Semaphore>,
    /// The policy that entries must meet.
    pub(crate) policy: Arc<entry::Policy>,
    /// The operations that are switched on.
    pub(crate) operations: Operations,
    /// Whether every write is refused.
    pub(crate) read_only: bool,
    /// Which web pages may read and write.
    pub(crate) cors: Cors,
    /// Which attestations are kept and shown.
    pub(crate) attestations: Attestations,
    /// Reads request bodies.
    pub(crate) bodies: Bodies,
    /// Memory for answers that show entries.
    pub(crate) answers: Budget,
    /// Memory for answers of searches.
    pub(crate) search_answers: Budget,
    /// Places for streams of events.
    pub(crate) streams: Arc<Pool>,
    /// Cancelled when the server stops. Then streams of events end.
    pub(crate) stopping: CancellationToken,
    /// Memory for entry bundles.
    pub(crate) bundles: Budget,
    /// Entry bundles that were compressed.
    pub(crate) gzip_bundles: GzipBundles,
    /// The newest heads of the v1 log as they are shown.
    pub(crate) log_info: HeadsText,
    /// The answer to entries that are in the log already.
    pub(crate) duplicates: Duplicates,
    /// Whether a package may have two digests.
    pub(crate) unique_packages: UniquePackages,
    /// Runs checks.
    pub(crate) verifier: Verifier,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Names requests, and counts and logs them.
    pub(crate) observer: Observer,
    /// The OpenAPI document.
    pub(crate) swagger: Bytes,
    /// The trust material beside the trees.
    pub(crate) trust: TrustSettings,
}

impl App {
    /// # Errors
    ///
    /// The metrics are registered already.
    pub(crate) fn new(ledger: Ledger, settings: &Settings) -> prometheus::Result<Self> {
        let metrics = Arc::new(Metrics::new(&settings.metrics)?);
        metrics.set_build(&settings.build);
        let streams = (settings.limits.connections as u64 / CONNECTIONS_PER_STREAM).max(1);
        let streams_limit = i64::try_from(streams).unwrap_or(i64::MAX);
        metrics.event_streams_limit.set(streams_limit);
        Ok(Self {
            v1: ledger.log(&V1).cloned(),
            v2: ledger.log(&V2).cloned(),
            v1_batch_places: Arc::new(Semaphore::new(BATCH_PLACES)),
            v2_batch_places: Arc::new(Semaphore::new(BATCH_PLACES)),
            ledger,
            policy: Arc::new(settings.policy.clone()),
            operations: settings.operations.clone(),
            read_only: settings.read_only,
            cors: Cors {
                is_public: settings.public,
                origins: settings.cors_origins.clone(),
                access: access_at,
            },
            attestations: Attestations::up_to(
                settings.attestation_bytes.min(MAX_ATTESTATION_BYTES),
            ),
            bodies: Bodies::new(&settings.limits, &metrics.http.body_bytes),
            answers: Budget::new(
                ANSWER_BYTES_IN_FLIGHT,
                metrics.answer_bytes_in_flight.clone(),
            ),
            search_answers: Budget::new(
                SEARCH_BYTES_IN_FLIGHT,
                metrics.answer_bytes_in_flight.clone(),
            ),
            streams: Pool::new(streams, Rule::LeaveRoom),
            stopping: CancellationToken::new(),
            bundles: Budget::new(
                BUNDLE_BYTES_IN_FLIGHT,
                metrics.answer_bytes_in_flight.clone(),
            ),
            gzip_bundles: GzipBundles::new(),
            log_info: HeadsText::default(),
            duplicates: settings.duplicates,
            unique_packages: settings.unique_packages,
            verifier: Verifier::new(settings.verifications.get(), Arc::clone(&metrics)),
            observer: Observer::new(
                RequestIds::new(settings.instance.clone()),
                Arc::clone(&metrics.http),
            ),
            swagger: pages::swagger_of(&settings.build.version).into(),
            trust: settings.trust.clone(),
            metrics,
        })
    }

    /// Returns the log that takes entries by Rekor v1, which is the only one that v1 shows.
    pub(crate) fn v1(&self) -> Result<&Log, NoLog> {
        self.v1.as_ref().ok_or(NoLog)
    }

    /// Returns the log that takes entries by Rekor v2, which is the only one that v2 shows.
    pub(crate) fn v2(&self) -> Result<&Log, NoLog> {
        self.v2.as_ref().ok_or(NoLog)
    }

    /// Returns the time for checks of expiry.
    pub(crate) fn now(&self) -> UnixSeconds {
        UnixSeconds(self.ledger.clock().unix_millis().div_euclid(1_000))
    }
}
