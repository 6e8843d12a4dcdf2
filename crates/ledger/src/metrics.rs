//! The metrics of a log, all in one declaration.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// The label of a cosignature among the results of a witness.
pub(crate) const COSIGNED: &str = "cosigned";
/// Labels of the outcome of a request to a witness.
pub(crate) const WITNESS_RESULTS: [&str; 10] = [
    COSIGNED,
    "unreachable",
    "timeout",
    "refused",
    "malformed",
    "bad_signature",
    "overtaken",
    "ahead",
    "inconsistent",
    "no_proof",
];
/// The label of entries that were appended although a name has another value.
pub(crate) const CONTRADICTED: &str = "contradicted";
/// The label of entries that were appended although a name has values which cannot be compared.
pub(crate) const NOT_COMPARED: &str = "not_compared";
/// Why an entry is shown without its attestation.
pub(crate) const UNAVAILABLE_REASONS: [&str; 3] = ["missing", "erased", "damaged"];

/// All metrics of a log of the ledger. The text of each is its HELP line. Seconds and bytes.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) tree_size: IntGauge,
    pub(crate) log_size: IntGauge,
    pub(crate) frozen_shards: IntGauge,
    pub(crate) head_time: IntGauge,
    pub(crate) read_only: IntGauge,
    pub(crate) read_only_known_size: IntGauge,
    pub(crate) read_only_found_size: IntGauge,
    pub(crate) queue_entries: IntGauge,
    pub(crate) queue_bytes: IntGauge,
    pub(crate) queue_entries_limit: IntGauge,
    pub(crate) queue_bytes_limit: IntGauge,
    pub(crate) queue_waiting: IntGauge,
    pub(crate) queue_wait_seconds: Histogram,
    pub(crate) appended: IntCounter,
    pub(crate) duplicates: IntCounter,
    pub(crate) append_errors: IntCounterVec,
    pub(crate) claims: IntCounterVec,
    pub(crate) round_entries: Histogram,
    pub(crate) round_seconds: Histogram,
    pub(crate) lost_races: IntCounter,
    pub(crate) unknown_outcomes: IntCounter,
    pub(crate) splits: IntCounter,
    pub(crate) tile_cache: CacheMetric,
    pub(crate) bundle_cache: CacheMetric,
    pub(crate) entry_cache: CacheMetric,
    pub(crate) event_page_cache: CacheMetric,
    pub(crate) look_ups_together: HistogramVec,
    pub(crate) timestamps_signed: IntCounter,
    pub(crate) attestations_unavailable: IntCounterVec,
    pub(crate) publications: IntCounter,
    pub(crate) publication_failures: IntCounter,
    pub(crate) unwitnessed_publications: IntCounter,
    pub(crate) publication_seconds: Histogram,
    pub(crate) witness_requests: IntCounterVec,
}

/// Look-ups in a cache.
#[derive(Clone)]
pub(crate) struct CacheMetric {
    hits: IntCounter,
    misses: IntCounter,
}

impl CacheMetric {
    /// It was there.
    pub(crate) fn hit(&self) {
        self.hits.inc();
    }

    /// It had to be read.
    pub(crate) fn miss(&self) {
        self.misses.inc();
    }
}

impl Metrics {
    /// Declares and registers the metrics of a log, under the label `log`. Fails if the registry has
    /// them already.
    pub(crate) fn register(registry: &Registry, log: &str) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("log", log);
        let gauge =
            |name: &str, help: &str| registered(registry, IntGauge::with_opts(opts(name, help))?);
        let counter =
            |name: &str, help: &str| registered(registry, IntCounter::with_opts(opts(name, help))?);
        let labelled = |name: &str, help: &str, label: &str| {
            registered(registry, IntCounterVec::new(opts(name, help), &[label])?)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let opts = HistogramOpts::from(opts(name, help)).buckets(buckets);
            registered(registry, Histogram::with_opts(opts)?)
        };
        let cache = |name: &str, help: &str| {
            let results = labelled(name, help, "result")?;
            let result = |result: &str| results.with_label_values(&[result]);
            Ok::<_, prometheus::Error>(CacheMetric {
                hits: result("hit"),
                misses: result("miss"),
            })
        };
        Ok(Self {
            tree_size: gauge(
                "treehead_tree_size",
                "Size of the published head of the active tree.",
            )?,
            log_size: gauge(
                "treehead_log_size",
                "Entries of all trees of the log below their published heads.",
            )?,
            frozen_shards: gauge("treehead_frozen_shards", "Trees that were rotated out.")?,
            head_time: gauge(
                "treehead_head_time_seconds",
                "Integrated time of the published tree head, Unix seconds.",
            )?,
            read_only: gauge(
                "treehead_read_only",
                "1 while the log refuses writes because its database went back.",
            )?,
            read_only_known_size: gauge(
                "treehead_read_only_known_size",
                "While the log is read-only: size of the tree head that its database does not continue.",
            )?,
            read_only_found_size: gauge(
                "treehead_read_only_found_size",
                "While the log is read-only: size of the tree head that its database had when that was noticed.",
            )?,
            queue_entries: gauge(
                "treehead_queue_entries",
                "Entries that wait for the sequencer.",
            )?,
            queue_bytes: gauge(
                "treehead_queue_bytes",
                "Bytes of the entries that wait for the sequencer.",
            )?,
            queue_entries_limit: gauge(
                "treehead_queue_entries_limit",
                "Most entries that the queue takes.",
            )?,
            queue_bytes_limit: gauge(
                "treehead_queue_bytes_limit",
                "Most bytes that the queue takes.",
            )?,
            queue_waiting: gauge(
                "treehead_queue_waiting_entries",
                "Entries that wait for a place in a full queue.",
            )?,
            queue_wait_seconds: histogram(
                "treehead_queue_wait_seconds",
                "Time that entries waited for a place in a full queue, whether or not they got one.",
                prometheus::exponential_buckets(0.001, 2.0, 13)?,
            )?,
            appended: counter(
                "treehead_entries_appended_total",
                "Entries that this server gave a leaf index.",
            )?,
            duplicates: counter(
                "treehead_entries_duplicate_total",
                "Entries that were in the tree already.",
            )?,
            append_errors: labelled(
                "treehead_append_errors_total",
                "Entries that were not appended, by reason.",
                "reason",
            )?,
            claims: labelled(
                "treehead_claims_total",
                "Names of entries that were appended although an earlier entry says otherwise of them, by result: another value, or none that could be compared. Names are packages.",
                "result",
            )?,
            round_entries: histogram(
                "treehead_round_entries",
                "Entries of a committed round.",
                prometheus::exponential_buckets(1.0, 4.0, 6)?,
            )?,
            round_seconds: histogram(
                "treehead_round_seconds",
                "Time of one commit of a round or of a part of it, until its head is integrated (without witnesses: published).",
                prometheus::exponential_buckets(0.000_5, 2.0, 14)?,
            )?,
            lost_races: counter(
                "treehead_lost_races_total",
                "Rounds that were sent twice: on a head that was no longer the newest, or while another server held the tree's lock. Low while servers write all the time, because rounds then begin with the lock.",
            )?,
            unknown_outcomes: counter(
                "treehead_unknown_outcomes_total",
                "Commits whose answer was lost; resolved by reading back.",
            )?,
            splits: counter(
                "treehead_round_splits_total",
                "Times that a round, or a part of one, was halved because the database refused its data.",
            )?,
            tile_cache: cache(
                "treehead_tile_cache_total",
                "Look-ups of full tiles, by result: hit or miss.",
            )?,
            bundle_cache: cache(
                "treehead_bundle_cache_total",
                "Look-ups of entry bundles, by result: hit or miss.",
            )?,
            entry_cache: cache(
                "treehead_entry_cache_total",
                "Look-ups of entries by leaf index, by result: hit or miss.",
            )?,
            event_page_cache: cache(
                "treehead_event_page_cache_total",
                "Look-ups of pages of events, by result: hit, or miss: one read of the database.",
            )?,
            look_ups_together: registered(
                registry,
                HistogramVec::new(
                    HistogramOpts::from(opts(
                        "treehead_look_ups_together",
                        "Look-ups that shared one query, by what was looked up.",
                    ))
                    .buckets(prometheus::exponential_buckets(1.0, 2.0, 7)?),
                    &["kind"],
                )?,
            )?,
            timestamps_signed: counter(
                "treehead_timestamps_signed_total",
                "Signed entry timestamps made.",
            )?,
            attestations_unavailable: labelled(
                "treehead_attestations_unavailable_total",
                "Entries shown without the attestation that they were stored with, by reason: missing, erased or damaged.",
                "reason",
            )?,
            publications: counter(
                "treehead_publications_total",
                "Heads that this server published with witnesses.",
            )?,
            publication_failures: counter(
                "treehead_publication_failures_total",
                "Attempts to publish a head that failed, for want of a quorum or of the database.",
            )?,
            unwitnessed_publications: counter(
                "treehead_unwitnessed_publications_total",
                "Heads published without their quorum because the log fails open.",
            )?,
            publication_seconds: histogram(
                "treehead_publication_seconds",
                "Time from signing a head to publishing it with its cosignatures.",
                prometheus::exponential_buckets(0.002, 2.0, 13)?,
            )?,
            witness_requests: registered(
                registry,
                IntCounterVec::new(
                    opts(
                        "treehead_witness_requests_total",
                        "Heads taken to a witness of the policy, by result.",
                    ),
                    &["witness", "result"],
                )?,
            )?,
        })
    }
}

pub(crate) fn registered<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
