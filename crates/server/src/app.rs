//! The state that all handlers share.

use std::sync::Arc;

use bytes::Bytes;
use entry::UnixSeconds;
use host::{Bodies, Budget, Cors, Observer, RequestIds};
use ledger::Ledger;
use tokio::sync::Semaphore;

use crate::attestations::Attestations;
use crate::cached::{GzipBundles, HeadsText};
use crate::enabled::Operations;
use crate::limits::{
    ANSWER_BYTES_IN_FLIGHT, BATCH_PLACES, BUNDLE_BYTES_IN_FLIGHT, SEARCH_BYTES_IN_FLIGHT,
};
use crate::metrics::Metrics;
use crate::operation::access_at;
use crate::pages;
use crate::settings::{Duplicates, MAX_ATTESTATION_BYTES, Settings};
use crate::trust::TrustSettings;
use crate::verification::Verifier;

/// One server.
pub(crate) struct App {
    /// The log.
    pub(crate) ledger: Ledger,
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
    /// Memory for entry bundles.
    pub(crate) bundles: Budget,
    /// Entry bundles that were compressed.
    pub(crate) gzip_bundles: GzipBundles,
    /// The newest heads as they are shown.
    pub(crate) log_info: HeadsText,
    /// The answer to entries that are in the log already.
    pub(crate) duplicates: Duplicates,
    /// Runs checks.
    pub(crate) verifier: Verifier,
    /// Places in the ledger's queue for entries of batches.
    pub(crate) batch_places: Arc<Semaphore>,
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
        Ok(Self {
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
            bundles: Budget::new(
                BUNDLE_BYTES_IN_FLIGHT,
                metrics.answer_bytes_in_flight.clone(),
            ),
            gzip_bundles: GzipBundles::new(),
            log_info: HeadsText::default(),
            duplicates: settings.duplicates,
            verifier: Verifier::new(settings.verifications.get(), Arc::clone(&metrics)),
            batch_places: Arc::new(Semaphore::new(BATCH_PLACES)),
            observer: Observer::new(
                RequestIds::new(settings.instance.clone()),
                Arc::clone(&metrics.http),
            ),
            swagger: pages::swagger_of(&settings.build.version).into(),
            trust: settings.trust.clone(),
            metrics,
        })
    }

    /// Returns the time for checks of expiry.
    pub(crate) fn now(&self) -> UnixSeconds {
        UnixSeconds(self.ledger.clock().unix_millis().div_euclid(1_000))
    }
}
