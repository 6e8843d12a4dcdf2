//! All metrics of the HTTP side, in one place. Those that begin with `rekor_` carry the names, labels and units of Rekor, so
//! that its dashboards and probes carry over (times in nanoseconds); ours are in seconds and bytes.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};

use crate::operation::{Operation, Route};
use crate::settings::BuildInfo;

/// Declares [`Refused`], so that a reason and its label stand in one place.
macro_rules! reasons {
    ($($(#[$contract:meta])* $reason:ident = $label:literal,)*) => {
        /// Why a request was turned away.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Refused {
            $($(#[$contract])* $reason,)*
        }

        impl Refused {
            /// The labels of all reasons.
            const LABELS: &[&str] = &[$($label),*];

            /// The value of the label `reason`.
            pub(crate) fn label(self) -> &'static str {
                Self::LABELS[self as usize]
            }
        }
    };
}

reasons! {
    /// 413.
    BodyTooLarge = "body-too-large",
    /// 503: no share of the bytes in flight.
    BodyBudget = "body-budget",
    /// 408.
    BodyTimeout = "body-timeout",
    /// 503: no share of the answers in flight.
    AnswerBudget = "answer-budget",
    /// 503: no turn for a search.
    Searches = "searches",
    /// 503: no place for one more request of the listener.
    Requests = "requests",
    /// 503: no turn for a costly check.
    Verification = "verification",
    /// 503: the sequencer's queue is full, and stayed so.
    Queue = "queue",
    /// 503: too much waits for witnesses.
    Witnesses = "witnesses",
    /// 503: the log is read-only.
    ReadOnly = "read-only",
    /// 503: clocks disagree.
    Clock = "clock",
    /// 503: the database.
    Database = "database",
    /// 503: the server stops.
    Stopping = "stopping",
    /// 504: it took too long.
    Timeout = "timeout",
    /// 414.
    Uri = "uri",
    /// 400: none, two or a malformed one.
    Host = "host",
    /// 417.
    Expect = "expect",
    /// 415: an encoded body.
    Encoding = "encoding",
}

/// Makes the counter of requests turned away, with each of its reasons at 0: one that is born with its first refusal shows no
/// increase.
///
/// # Errors
///
/// None in practice: the name is valid.
pub(crate) fn refused_requests() -> prometheus::Result<IntCounterVec> {
    let refused = Opts::new("treehead_http_refused_total", "Requests turned away to keep bounds, by reason");
    let refused = IntCounterVec::new(refused, &["reason"])?;
    for reason in Refused::LABELS {
        drop(refused.with_label_values(&[*reason]));
    }
    Ok(refused)
}

/// Label of requests that no route took.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The answers that say that the server, and not the client, is at fault.
const FAILURES: [StatusCode; 3] =
    [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];

/// 0.25 ms (a cached read) to 60 s (the longest time-out), fine where writes should be (15 ms).
const SECONDS: [f64; 17] =
    [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

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
    durations: HistogramVec,
    requests: IntCounterVec,
    /// Requests turned away, by [`Refused`].
    pub(crate) refused: IntCounterVec,
    /// Request bodies being received or worked on, in bytes.
    pub(crate) body_bytes_in_flight: IntGauge,
    /// What the former may be.
    pub(crate) body_bytes_limit: IntGauge,
    /// Answers that show entries or search results, being made or sent, in bytes.
    pub(crate) answer_bytes_in_flight: IntGauge,
    /// Requests being worked on.
    pub(crate) requests_in_flight: IntGauge,
    /// What the last readiness probe was answered: 1 for ready.
    pub(crate) ready: IntGauge,
    /// Time to check one proposed entry: parsing, signature, canonical form.
    pub(crate) verification: Histogram,
    /// Requests that ended in a bug of ours.
    pub(crate) panics: IntCounter,
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
        let metrics = Self {
            new_entries: IntCounter::new("rekor_new_entries", "The total number of new log entries")?,
            new_v2_hashedrekords: IntCounter::new(
                "rekor_v2_new_hashedrekord_entries",
                "The total number of new hashedrekord log entries",
            )?,
            new_v2_dsses: IntCounter::new("rekor_v2_new_dsse_entries", "The total number of new dsse log entries")?,
            v2_requests: IntCounterVec::new(
                Opts::new("rekor_v2_http_requests_total", "Count all HTTP requests"),
                &["code", "method"],
            )?,
            v2_latency: HistogramVec::new(
                HistogramOpts::new("rekor_v2_http_api_latency", "API Latency on HTTP calls").buckets(seconds.clone()),
                &["code", "method"],
            )?,
            qps_by_api: IntCounterVec::new(
                Opts::new("rekor_qps_by_api", "Api QPS by path, method, and response code"),
                &["path", "method", "code"],
            )?,
            latency_by_api: HistogramVec::new(
                HistogramOpts::new("rekor_latency_by_api", "Api Latency (in ns) by path and method")
                    .buckets(rekor_buckets),
                &["path", "method"],
            )?,
            build_info: IntGaugeVec::new(
                Opts::new(
                    "rekor_build_info",
                    "A metric with a constant '1' value labeled by version, revision, build date, and compiler (in goversion) \
                     from which treehead was built.",
                ),
                // Dashboards group by `goversion`, so the label stays; its value is the compiler that made this program.
                &["version", "revision", "build_date", "goversion"],
            )?,
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "treehead_http_request_duration_seconds",
                    "Time from the end of a request's headers to its answer",
                )
                .buckets(seconds.clone()),
                &["route", "method"],
            )?,
            requests: IntCounterVec::new(
                Opts::new(
                    "treehead_http_requests_total",
                    "Requests answered, by operation, by whether it reads or writes, and by status (of gRPC the one that the answer \
                     would have over HTTP)",
                ),
                &["operation", "access", "code"],
            )?,
            refused: refused_requests()?,
            body_bytes_in_flight: IntGauge::new(
                "treehead_http_body_bytes_in_flight",
                "Bytes set aside for request bodies being received or worked on",
            )?,
            body_bytes_limit: IntGauge::new(
                "treehead_http_body_bytes_limit",
                "Most bytes set aside for request bodies being received or worked on",
            )?,
            answer_bytes_in_flight: IntGauge::new(
                "treehead_http_answer_bytes_in_flight",
                "Bytes set aside for answers that show entries or search results, being made or sent",
            )?,
            requests_in_flight: IntGauge::new("treehead_http_requests_in_flight", "Requests being worked on")?,
            ready: IntGauge::new("treehead_ready", "What the last readiness probe was answered: 1 for ready")?,
            verification: Histogram::with_opts(
                HistogramOpts::new(
                    "treehead_verification_duration_seconds",
                    "Time to check one proposed entry: parsing, signature, canonical form",
                )
                .buckets(seconds),
            )?,
            panics: IntCounter::new("treehead_http_panics_total", "Requests that ended in a bug of this program")?,
        };
        metrics.register(registry)?;
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Makes the series that alerts look at. One that is born with its first failure shows no increase.
    fn begin_at_zero(&self) {
        // Until the first probe nothing says otherwise.
        self.ready.set(1);
        for operation in Operation::all() {
            for code in FAILURES {
                let labels = [operation.id(), operation.access().label(), code.as_str()];
                drop(self.requests.with_label_values(&labels));
            }
        }
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
        registry.register(Box::new(self.durations.clone()))?;
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.body_bytes_in_flight.clone()))?;
        registry.register(Box::new(self.body_bytes_limit.clone()))?;
        registry.register(Box::new(self.answer_bytes_in_flight.clone()))?;
        registry.register(Box::new(self.requests_in_flight.clone()))?;
        registry.register(Box::new(self.ready.clone()))?;
        registry.register(Box::new(self.verification.clone()))?;
        registry.register(Box::new(self.panics.clone()))
    }

    /// Sets the one sample of `rekor_build_info`.
    pub(crate) fn set_build(&self, build: &BuildInfo) {
        let labels = [&build.version, &build.revision, &build.build_date, &build.compiler].map(String::as_str);
        self.build_info.with_label_values(&labels).set(1);
    }

    /// An entry was given an index.
    pub(crate) fn new_entry(&self) {
        self.new_entries.inc();
    }

    /// An entry that came by the v2 API was given an index. It is one of all new entries too.
    pub(crate) fn new_v2_entry(&self, kind: &str) {
        self.new_entries.inc();
        match kind.starts_with("dsse:") {
            true => self.new_v2_dsses.inc(),
            false => self.new_v2_hashedrekords.inc(),
        }
    }

    /// A request of the v2 API was answered. `method` MUST come from a closed set.
    pub(crate) fn v2_answer(&self, status: StatusCode, method: &'static str, took: Duration) {
        self.v2_requests.with_label_values(&[status.as_str(), method]).inc();
        self.v2_latency.with_label_values(&[status.as_str(), method]).observe(took.as_secs_f64());
    }

    /// A request was turned away.
    pub(crate) fn refused(&self, reason: Refused) {
        self.refused.with_label_values(&[reason.label()]).inc();
    }

    /// An operation of Rekor's API was answered.
    pub(crate) fn api_answer(&self, path: &str, method: &Method, status: StatusCode, took: Duration) {
        self.qps_by_api.with_label_values(&[path, method.as_str(), status.as_str()]).inc();
        self.latency_by_api.with_label_values(&[path, method.as_str()]).observe(took.as_secs_f64() * 1e9);
    }

    /// Any request was answered; none is the route of one that no route took. `method` MUST come from a closed set.
    pub(crate) fn answer(&self, route: Option<Route>, method: &'static str, status: StatusCode, took: Duration) {
        let (path, id, access) = match route {
            Some(Route { operation, path }) => (path, operation.id(), operation.access().label()),
            None => (UNMATCHED, UNMATCHED, "none"),
        };
        self.durations.with_label_values(&[path, method]).observe(took.as_secs_f64());
        self.requests.with_label_values(&[id, access, status.as_str()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, TextEncoder};

    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).expect("valid samples");
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
        metrics.api_answer("/api/v1/log", &Method::GET, StatusCode::OK, Duration::from_millis(2));
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
