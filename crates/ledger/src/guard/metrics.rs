//! The metrics of a guard.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, exponential_buckets,
};

use super::kept::GuardedHeads;
use crate::metrics::registered;

/// The label of a place.
const PLACE: &str = "place";

/// All metrics of the guard of a ledger. The text of each is its HELP line.
pub(super) struct GuardMetrics {
    size: IntGaugeVec,
    failing: IntGaugeVec,
    failures: IntCounterVec,
    write_seconds: HistogramVec,
}

impl GuardMetrics {
    /// Declares and registers the metrics, with a series for each place.
    pub(super) fn register(
        registry: &Registry,
        places: &[String],
    ) -> Result<Self, prometheus::Error> {
        let size = Opts::new(
            "treehead_guard_size",
            "Size of the newest head of a log that a place of the guard has. It never is below treehead_tree_size for long.",
        );
        let failing = Opts::new(
            "treehead_guard_failing",
            "1 while a place of the guard fails or is too slow, so that newer heads are published without it.",
        );
        let failures = Opts::new(
            "treehead_guard_failures_total",
            "Writes to a place of the guard that failed.",
        );
        let write_seconds = HistogramOpts::new(
            "treehead_guard_write_seconds",
            "Time of a write to a place of the guard, without those that failed.",
        );
        let buckets = exponential_buckets(0.000_062_5, 2.0, 16)?;
        let metrics = Self {
            size: registered(registry, IntGaugeVec::new(size, &["log", PLACE])?)?,
            failing: registered(registry, IntGaugeVec::new(failing, &[PLACE])?)?,
            failures: registered(registry, IntCounterVec::new(failures, &[PLACE])?)?,
            write_seconds: registered(
                registry,
                HistogramVec::new(write_seconds.buckets(buckets), &[PLACE])?,
            )?,
        };
        for place in places {
            metrics.set_failing(place, false);
            drop(metrics.failures.with_label_values(&[place]));
        }
        Ok(metrics)
    }

    pub(super) fn written(&self, place: &str, heads: &GuardedHeads, took: Duration) {
        let seconds = self.write_seconds.with_label_values(&[place]);
        seconds.observe(took.as_secs_f64());
        for head in &heads.heads {
            let size = self.size.with_label_values(&[head.api.as_str(), place]);
            size.set(head.size().0.try_into().unwrap_or(i64::MAX));
        }
    }

    pub(super) fn count_failure(&self, place: &str) {
        self.failures.with_label_values(&[place]).inc();
    }

    pub(super) fn set_failing(&self, place: &str, is_failing: bool) {
        let gauge = self.failing.with_label_values(&[place]);
        gauge.set(i64::from(is_failing));
    }
}
