//! The metrics of the monitor.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::alarm::AlarmKind;

/// The metrics of all logs. A clone shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Size of the newest head, by log and tree.
    head: IntGaugeVec,
    /// Index up to which entries were read, by log and tree.
    followed: IntGaugeVec,
    /// Whether an alarm is raised, by log and kind.
    alarms: IntGaugeVec,
    /// When a log was last read to its end.
    success: IntGaugeVec,
    entries: IntCounterVec,
    unreadable: IntCounterVec,
    failures: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    ///
    /// A name is taken in `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["log"])?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            head: gauge(
                "treehead_monitor_head_size",
                "Size of the newest head that was verified",
                &["log", "tree"],
            )?,
            followed: gauge(
                "treehead_monitor_followed_entries",
                "Entries up to which the tree was read",
                &["log", "tree"],
            )?,
            alarms: gauge(
                "treehead_monitor_alarm",
                "1 while an alarm of the kind is raised, otherwise 0",
                &["log", "alarm"],
            )?,
            success: gauge(
                "treehead_monitor_last_success_timestamp_seconds",
                "When the log was last read to its end, 0 before the first time",
                &["log"],
            )?,
            entries: counter("treehead_monitor_entries_total", "Entries that were read")?,
            unreadable: counter(
                "treehead_monitor_unreadable_entries_total",
                "Entries that rules cannot judge, because their form is unknown",
            )?,
            failures: counter(
                "treehead_monitor_failures_total",
                "Looks at a log that ended early",
            )?,
        })
    }

    /// Shows every series of a log from the start, because one that begins with its first event
    /// shows no increase.
    pub(crate) fn register_log(&self, log: &str) {
        self.success.with_label_values(&[log]).set(0);
        for counter in [&self.entries, &self.unreadable, &self.failures] {
            drop(counter.with_label_values(&[log]));
        }
        self.alarms(log, &[]);
    }

    pub(crate) fn head(&self, log: &str, tree: &str, size: u64) {
        let gauge = self.head.with_label_values(&[log, tree]);
        gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
    }

    pub(crate) fn followed(&self, log: &str, tree: &str, index: u64) {
        let gauge = self.followed.with_label_values(&[log, tree]);
        gauge.set(i64::try_from(index).unwrap_or(i64::MAX));
    }

    pub(crate) fn read(&self, log: &str, entries: u64, unreadable: u64) {
        self.entries.with_label_values(&[log]).inc_by(entries);
        self.unreadable.with_label_values(&[log]).inc_by(unreadable);
    }

    pub(crate) fn succeeded(&self, log: &str, now: i64) {
        self.success.with_label_values(&[log]).set(now);
    }

    pub(crate) fn alarms(&self, log: &str, raised: &[AlarmKind]) {
        for kind in AlarmKind::ALL {
            let gauge = self.alarms.with_label_values(&[log, kind.name()]);
            gauge.set(i64::from(raised.contains(&kind)));
        }
    }

    /// Returns how many entries of a log were read.
    pub fn entries(&self, log: &str) -> u64 {
        self.entries.with_label_values(&[log]).get()
    }

    /// Counts a look that ended early.
    pub fn failed(&self, log: &str) {
        self.failures.with_label_values(&[log]).inc();
    }
}
