//! The metrics of a database as one server uses it, read when they are asked for.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use sqlx::{Database, Pool};

use super::Store;

/// The use of a database at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The pools of connections.
    pub pools: Vec<PoolUsage>,
    /// Bytes of SQLite's WAL. `None` on another database, or if the file cannot be read.
    pub wal_bytes: Option<u64>,
}

/// The connections of a pool at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUsage {
    /// Label of the pool in the metrics.
    pub name: &'static str,
    /// Connections in use.
    pub busy: u32,
    /// Open connections that are free.
    pub idle: u32,
    /// Most connections.
    pub limit: u32,
}

impl PoolUsage {
    /// Returns the present state of a pool.
    pub(super) fn of<D: Database>(name: &'static str, pool: &Pool<D>) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self {
            name,
            // The two numbers are not read in one moment.
            busy: pool.size().saturating_sub(idle),
            idle,
            limit: pool.options().get_max_connections(),
        }
    }
}

/// Registers the metrics of a database.
///
/// # Errors
///
/// A name is taken in `registry`.
pub(crate) fn register(store: &Arc<dyn Store>, registry: &Registry) -> prometheus::Result<()> {
    let connections = Opts::new(
        "treehead_database_connections",
        "Connections to the database, by pool and by whether they are busy or idle.",
    );
    let limit = Opts::new(
        "treehead_database_connections_limit",
        "Most connections to the database, by pool.",
    );
    let wal_bytes = IntGauge::new(
        "treehead_sqlite_wal_bytes",
        "Size of SQLite's WAL. It grows while a reader keeps it from beginning anew.",
    )?;
    registry.register(Box::new(UsageMetrics {
        store: Arc::clone(store),
        connections: IntGaugeVec::new(connections, &["pool", "state"])?,
        limit: IntGaugeVec::new(limit, &["pool"])?,
        wal_bytes,
    }))
}

struct UsageMetrics {
    store: Arc<dyn Store>,
    connections: IntGaugeVec,
    limit: IntGaugeVec,
    wal_bytes: IntGauge,
}

impl Collector for UsageMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.connections.desc();
        descriptions.extend(self.limit.desc());
        descriptions.extend(self.wal_bytes.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let usage = self.store.usage();
        for pool in &usage.pools {
            for (state, connections) in [("busy", pool.busy), ("idle", pool.idle)] {
                let gauge = self.connections.with_label_values(&[pool.name, state]);
                gauge.set(connections.into());
            }
            let limit = self.limit.with_label_values(&[pool.name]);
            limit.set(pool.limit.into());
        }
        let mut families = self.connections.collect();
        families.extend(self.limit.collect());
        if let Some(bytes) = usage.wal_bytes {
            self.wal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
            families.extend(self.wal_bytes.collect());
        }
        families
    }
}
