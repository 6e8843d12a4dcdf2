//! The metrics of an outbox. Their labels are the names of the channels in the configuration.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

const CHANNEL: &[&str] = &["channel"];

/// The metrics of an outbox.
#[derive(Clone, Debug)]
pub struct OutboxMetrics {
    delivered: IntCounterVec,
    failed: IntCounterVec,
    queued: IntGaugeVec,
}

impl OutboxMetrics {
    /// Makes the metrics and registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name, help| IntCounterVec::new(Opts::new(name, help), CHANNEL);
        let metrics = Self {
            delivered: counter(
                "treehead_notices_delivered_total",
                "Notices that a channel delivered.",
            )?,
            failed: counter(
                "treehead_notices_failed_total",
                "Attempts to deliver a notice that failed.",
            )?,
            queued: IntGaugeVec::new(
                Opts::new(
                    "treehead_notices_queued",
                    "Notices that wait for a channel.",
                ),
                CHANNEL,
            )?,
        };
        registry.register(Box::new(metrics.delivered.clone()))?;
        registry.register(Box::new(metrics.failed.clone()))?;
        registry.register(Box::new(metrics.queued.clone()))?;
        Ok(metrics)
    }

    pub(super) fn delivered(&self, channel: &str) {
        self.delivered.with_label_values(&[channel]).inc();
    }

    pub(super) fn failed(&self, channel: &str) {
        self.failed.with_label_values(&[channel]).inc();
    }

    pub(super) fn set_queued(&self, channel: &str, waiting: usize) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.queued.with_label_values(&[channel]).set(waiting);
    }
}
