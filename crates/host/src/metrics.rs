//! The metrics that every role has of its requests.

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::refusal::Reason;
use crate::route::{Access, Route};

/// Label of requests without a route.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The statuses of faults of the server, not of the client.
const FAILURES: [StatusCode; 3] = [
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// Buckets of times: 0.25 ms (a cached read) to 60 s (the longest time-out), fine where writes
/// should be (15 ms).
pub const SECONDS: [f64; 17] = [
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    15.0, 60.0,
];

/// Makes the counter of refused requests. Each reason of every role, and each of the role's `own`,
/// begins at 0, because a series that begins with its first refusal shows no increase.
///
/// # Errors
///
/// Never fails in practice: the name is valid.
pub fn refused_requests(own: &[Reason]) -> prometheus::Result<IntCounterVec> {
    let refused = Opts::new(
        "treehead_http_refused_total",
        "Requests turned away to keep bounds, by reason",
    );
    let refused = IntCounterVec::new(refused, &["reason"])?;
    for reason in Reason::COMMON.iter().chain(own) {
        drop(refused.with_label_values(&[reason.label()]));
    }
    Ok(refused)
}

/// The metrics of the memory that request bodies take.
#[derive(Clone, Debug)]
pub struct BodyBytes {
    /// Bytes of request bodies that are being received or worked on.
    pub(crate) in_flight: IntGauge,
    /// The most that `in_flight` may be.
    pub(crate) limit: IntGauge,
}

impl BodyBytes {
    /// Registers the metrics.
    ///
    /// # Errors
    ///
    /// A name is taken in `registry`: two servers share it.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let bytes = Self {
            in_flight: IntGauge::new(
                "treehead_http_body_bytes_in_flight",
                "Bytes set aside for request bodies being received or worked on",
            )?,
            limit: IntGauge::new(
                "treehead_http_body_bytes_limit",
                "Most bytes set aside for request bodies being received or worked on",
            )?,
        };
        registry.register(Box::new(bytes.in_flight.clone()))?;
        registry.register(Box::new(bytes.limit.clone()))?;
        Ok(bytes)
    }
}

/// The metrics of requests.
#[derive(Debug)]
pub struct Metrics {
    durations: HistogramVec,
    requests: IntCounterVec,
    /// Requests refused to keep a bound, by [`Reason`].
    pub refused: IntCounterVec,
    /// Memory of request bodies.
    pub body_bytes: BodyBytes,
    /// Requests being worked on.
    pub requests_in_flight: IntGauge,
    /// Requests that ended in a bug of this program.
    pub panics: IntCounter,
}

impl Metrics {
    /// Registers the metrics of a role with these operations and reasons of its own.
    ///
    /// # Errors
    ///
    /// A name is taken in `registry`: two servers share it.
    pub fn new(
        registry: &Registry,
        operations: impl IntoIterator<Item = (&'static str, Access)>,
        reasons: &[Reason],
    ) -> prometheus::Result<Self> {
        let durations = HistogramOpts::new(
            "treehead_http_request_duration_seconds",
            "Time from the end of a request's headers to its answer",
        );
        let requests = Opts::new(
            "treehead_http_requests_total",
            "Requests answered, by operation, by whether it reads or writes, and by status (of gRPC the one that the answer \
             would have over HTTP)",
        );
        let metrics = Self {
            durations: HistogramVec::new(
                durations.buckets(SECONDS.to_vec()),
                &["route", "method"],
            )?,
            requests: IntCounterVec::new(requests, &["operation", "access", "code"])?,
            refused: refused_requests(reasons)?,
            body_bytes: BodyBytes::new(registry)?,
            requests_in_flight: IntGauge::new(
                "treehead_http_requests_in_flight",
                "Requests being worked on",
            )?,
            panics: IntCounter::new(
                "treehead_http_panics_total",
                "Requests that ended in a bug of this program",
            )?,
        };
        metrics.register(registry)?;
        for (id, access) in operations {
            for code in FAILURES {
                drop(
                    metrics
                        .requests
                        .with_label_values(&[id, access.label(), code.as_str()]),
                );
            }
        }
        Ok(metrics)
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.durations.clone()))?;
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.requests_in_flight.clone()))?;
        registry.register(Box::new(self.panics.clone()))
    }

    /// Counts a request that was refused to keep a bound.
    pub fn refused(&self, reason: Reason) {
        self.refused.with_label_values(&[reason.label()]).inc();
    }

    /// Counts an answer. `route` is the route of the request, if any. `method` MUST come from a
    /// closed set.
    pub fn answer(
        &self,
        route: Option<Route>,
        method: &'static str,
        status: StatusCode,
        took: Duration,
    ) {
        let (path, id, access) = match route {
            Some(Route {
                operation,
                path,
                access,
                ..
            }) => (path, operation, access.label()),
            None => (UNMATCHED, UNMATCHED, "none"),
        };
        self.durations
            .with_label_values(&[path, method])
            .observe(took.as_secs_f64());
        self.requests
            .with_label_values(&[id, access, status.as_str()])
            .inc();
    }
}

/// Returns the label of a method. Labels come from a closed set; methods do not.
pub fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "OPTIONS" => "OPTIONS",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
