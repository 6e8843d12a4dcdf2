//! All metrics of the HTTP side. Metrics that begin with `rekor_` carry the names, labels and units
//! of Rekor (times in nanoseconds), so that its dashboards and probes carry over. All others are in
//! seconds and bytes.

use std::sync::Arc;
use std::time::Duration;

use host::{Reason, SECONDS};
use http::{Method, StatusCode};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, exponential_buckets,
};

use crate::operation::Operation;
use crate::settings::BuildInfo;

/// 503: no turn for a search.
pub(crate) const SEARCHES: Reason = Reason::new("searches");
/// 503: no place for a stream of events.
pub(crate) const STREAMS: Reason = Reason::new("streams");
/// 503: no turn for a costly check.
pub(crate) const VERIFICATION: Reason = Reason::new("verification");
/// 503: the sequencer's queue stayed full.
pub(crate) const QUEUE: Reason = Reason::new("queue");
/// 503: too many entries wait for witnesses.
pub(crate) const WITNESSES: Reason = Reason::new("witnesses");
/// 503: no guard can keep the newest head.
pub(crate) const GUARD: Reason = Reason::new("guard");
/// 503: the log is read-only.
pub(crate) const READ_ONLY: Reason = Reason::new("read-only");
/// 503: the entry was lost with its database.
pub(crate) const LOST: Reason = Reason::new("lost");
/// 503: clocks disagree.
pub(crate) const CLOCK: Reason = Reason::new("clock");
/// 503: the database.
pub(crate) const DATABASE: Reason = Reason::new("database");
/// 503: the server stops.
pub(crate) const STOPPING: Reason = Reason::new("stopping");

/// The reasons of refusals that only a log has.
const REASONS: [Reason; 11] = [
    SEARCHES,
    STREAMS,
    VERIFICATION,
    QUEUE,
    WITNESSES,
    GUARD,
    READ_ONLY,
    LOST,
    CLOCK,
    DATABASE,
    STOPPING,
];

/// The metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    new_entries: IntCounter,
    new_v2_hashedrekords: IntCounter,
    new_v2_dsses: IntCounter,
    v2_requests: IntCounterVec,
    v2_latency: HistogramVec,
    qps_by_api: IntCounterVec,
    latency_by_api: HistogramVec,
    build_info: IntGaugeVec,
    /// The metrics that every role has of its requests.
    pub(crate) http: Arc<host::Metrics>,
    /// Answers that show entries or search results, being made or sent, in bytes.
    pub(crate) answer_bytes_in_flight: IntGauge,
    /// Streams of events that are open.
    pub(crate) event_streams: IntGauge,
    /// The most that `event_streams` may be.
    pub(crate) event_streams_limit: IntGauge,
    /// Events that were sent, in streams and pages.
    pub(crate) events_sent: IntCounter,
    /// Entries that name no package in a version with a digest, while packages are compared.
    pub(crate) unjudged_entries: IntCounter,
    /// The result of the last check of readiness: 1 for ready.
    pub(crate) ready: IntGauge,
    /// Time to check one proposed entry: parsing, signature, canonical form.
    pub(crate) verification: Histogram,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    ///
    /// A name is taken in `registry`: two servers share it.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        // Rekor: ten buckets from 1 ms to 60 s, in nanoseconds.
        let rekor_buckets = exponential_buckets(1e6, 60_000_f64.powf(1.0 / 9.0), 10)?;
        let seconds = SECONDS.to_vec();
        let operations = Operation::all().map(|operation| (operation.id(), operation.access()));
        let metrics = Self {
            new_entries: IntCounter::new(
                "rekor_new_entries",
                "The total number of new log entries",
            )?,
            new_v2_hashedrekords: IntCounter::new(
                "rekor_v2_new_hashedrekord_entries",
                "The total number of new hashedrekord log entries",
            )?,
            new_v2_dsses: IntCounter::new(
                "rekor_v2_new_dsse_entries",
                "The total number of new dsse log entries",
            )?,
            v2_requests: IntCounterVec::new(
                Opts::new("rekor_v2_http_requests_total", "Count all HTTP requests"),
                &["code", "method"],
            )?,
            v2_latency: HistogramVec::new(
                HistogramOpts::new("rekor_v2_http_api_latency", "API Latency on HTTP calls")
                    .buckets(seconds.clone()),
                &["code", "method"],
            )?,
            qps_by_api: IntCounterVec::new(
                Opts::new(
                    "rekor_qps_by_api",
                    "Api QPS by path, method, and response code",
                ),
                &["path", "method", "code"],
            )?,
            latency_by_api: HistogramVec::new(
                HistogramOpts::new(
                    "rekor_latency_by_api",
                    "Api Latency (in ns) by path and method",
                )
                .buckets(rekor_buckets),
                &["path", "method"],
            )?,
            build_info: IntGaugeVec::new(
                Opts::new(
                    "rekor_build_info",
                    "A metric with a constant '1' value labeled by version, revision, build date, and compiler (in goversion) \
                     from which treehead was built.",
                ),
                // Dashboards group by `goversion`, so the label stays; its value is the compiler
                // that made this program.
                &["version", "revision", "build_date", "goversion"],
            )?,
            http: Arc::new(host::Metrics::new(registry, operations, &REASONS)?),
            answer_bytes_in_flight: IntGauge::new(
                "treehead_http_answer_bytes_in_flight",
                "Bytes set aside for answers that show entries or search results, being made or sent",
            )?,
            event_streams: IntGauge::new(
                "treehead_event_streams",
                "Streams of events that are open",
            )?,
            event_streams_limit: IntGauge::new(
                "treehead_event_streams_limit",
                "Most streams of events that may be open",
            )?,
            events_sent: IntCounter::new(
                "treehead_events_sent_total",
                "Events sent in streams and pages",
            )?,
            unjudged_entries: IntCounter::new(
                "treehead_unjudged_entries_total",
                "Entries that name no package in a version with a digest, while packages are compared; refused or not",
            )?,
            ready: IntGauge::new(
                "treehead_ready",
                "The last answer of /readyz, which is looked at every 10 s in any case: 1 for ready",
            )?,
            verification: Histogram::with_opts(
                HistogramOpts::new(
                    "treehead_verification_duration_seconds",
                    "Time to check one proposed entry: parsing, signature, canonical form",
                )
                .buckets(seconds),
            )?,
        };
        metrics.register(registry)?;
        // The server counts as ready until the first check.
        metrics.ready.set(1);
        Ok(metrics)
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.new_entries.clone()))?;
        registry.register(Box::new(self.new_v2_hashedrekords.clone()))?;
        registry.register(Box::new(self.new_v2_dsses.clone()))?;
        registry.register(Box::new(self.v2_requests.clone()))?;
        registry.register(Box::new(self.v2_latency.clone()))?;
        registry.register(Box::new(self.qps_by_api.clone()))?;
        registry.register(Box::new(self.latency_by_api.clone()))?;
        registry.register(Box::new(self.build_info.clone()))?;
        registry.register(Box::new(self.unjudged_entries.clone()))?;
        registry.register(Box::new(self.answer_bytes_in_flight.clone()))?;
        registry.register(Box::new(self.event_streams.clone()))?;
        registry.register(Box::new(self.event_streams_limit.clone()))?;
        registry.register(Box::new(self.events_sent.clone()))?;
        registry.register(Box::new(self.ready.clone()))?;
        registry.register(Box::new(self.verification.clone()))
    }

    /// Sets the one sample of `rekor_build_info`.
    pub(crate) fn set_build(&self, build: &BuildInfo) {
        let labels = [
            &build.version,
            &build.revision,
            &build.build_date,
            &build.compiler,
        ]
        .map(String::as_str);
        self.build_info.with_label_values(&labels).set(1);
    }

    /// Counts an entry that was given an index.
    pub(crate) fn new_entry(&self) {
        self.new_entries.inc();
    }

    /// Counts an entry of the v2 API that was given an index. It is one of all new entries too.
    pub(crate) fn new_v2_entry(&self, kind: &str) {
        self.new_entries.inc();
        match kind.starts_with("dsse:") {
            true => self.new_v2_dsses.inc(),
            false => self.new_v2_hashedrekords.inc(),
        }
    }

    /// Counts an answer of the v2 API. `method` MUST come from a closed set.
    pub(crate) fn v2_answer(&self, status: StatusCode, method: &'static str, took: Duration) {
        self.v2_requests
            .with_label_values(&[status.as_str(), method])
            .inc();
        self.v2_latency
            .with_label_values(&[status.as_str(), method])
            .observe(took.as_secs_f64());
    }

    /// Counts an answer of an operation of Rekor's API.
    pub(crate) fn api_answer(
        &self,
        path: &str,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        self.qps_by_api
            .with_label_values(&[path, method.as_str(), status.as_str()])
            .inc();
        self.latency_by_api
            .with_label_values(&[path, method.as_str()])
            .observe(took.as_secs_f64() * 1e9);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, TextEncoder};

    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&registry.gather(), &mut text)
            .expect("valid samples");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn rekors_metrics_have_its_names_labels_and_buckets() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("fresh names");
        metrics.set_build(&BuildInfo {
            version: "1.2.3".into(),
            revision: "abc".into(),
            build_date: "unknown".into(),
            compiler: "rustc 1.95.0".into(),
        });
        metrics.new_entry();
        metrics.api_answer(
            "/api/v1/log",
            &Method::GET,
            StatusCode::OK,
            Duration::from_millis(2),
        );
        let text = text(&registry);
        for line in [
            "rekor_new_entries 1",
            r#"rekor_qps_by_api{code="200",method="GET",path="/api/v1/log"} 1"#,
            r#"rekor_latency_by_api_bucket{method="GET",path="/api/v1/log",le="1000000"} 0"#,
            r#"rekor_latency_by_api_bucket{method="GET",path="/api/v1/log",le="3395515.321684"#,
            r#"rekor_latency_by_api_sum{method="GET",path="/api/v1/log"} 2000000"#,
            r#"rekor_build_info{build_date="unknown",goversion="rustc 1.95.0",revision="abc",version="1.2.3"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn names_cannot_be_registered_twice() {
        let registry = Registry::new();
        Metrics::new(&registry).expect("fresh names");
        assert!(Metrics::new(&registry).is_err());
    }
}
