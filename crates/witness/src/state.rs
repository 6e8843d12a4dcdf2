//! The durable state of a witness: the last cosigned checkpoint of each origin.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tlog::{Hash, TreeSize};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/witness");

/// Longest wait for the turn of a request.
const TURN: Duration = Duration::from_secs(5);

/// The state in one SQLite file with WAL and `synchronous = FULL`, so that a commit is on disk when
/// it returns. One process uses it; the binary locks the data folder.
#[derive(Clone, Debug)]
pub struct State {
    pool: SqlitePool,
}

/// A checkpoint that was cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// Tree size.
    pub size: TreeSize,
    /// Root hash at `size`.
    pub root: Hash,
    /// The signed note as the log gave it.
    pub checkpoint: String,
    /// When it was cosigned, in Unix seconds. `None` if an older version cosigned it.
    pub time: Option<u64>,
}

/// The state cannot be read or written: nothing is cosigned.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
    /// Its schema.
    #[error("{0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A row that breaks an invariant.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

type StateResult<T> = Result<T, StateError>;

impl State {
    /// Opens the file, and makes it if it does not exist. Its folder MUST exist.
    pub async fn open(path: &Path) -> StateResult<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // One connection: requests take turns here and not on the file's lock.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(TURN)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    /// Returns the checkpoint of an origin that was cosigned last.
    pub async fn last(&self, origin: &str) -> StateResult<Option<Cosigned>> {
        let query =
            sqlx::query_as("SELECT size, root, checkpoint, time FROM cosigned WHERE origin = ?1")
                .bind(origin);
        let row: Option<(i64, Vec<u8>, String, Option<i64>)> =
            query.fetch_optional(&self.pool).await?;
        let damaged =
            |column: &str| StateError::Damaged(format!("table cosigned: {column} of {origin:?}"));
        row.map(|(size, root, checkpoint, time)| {
            let size = TreeSize(u64::try_from(size).map_err(|_| damaged("size"))?);
            let root = Hash::try_from(root.as_slice()).map_err(|_| damaged("root"))?;
            let time = time
                .map(u64::try_from)
                .transpose()
                .map_err(|_| damaged("time"))?;
            Ok(Cosigned {
                size,
                root,
                checkpoint,
                time,
            })
        })
        .transpose()
    }

    /// Advances an origin from `last` to `next`, in one statement. If `last` is not the last one
    /// any more, returns false and stores nothing. Durable on return.
    ///
    /// If the process dies in this, the row is the old one or the new one. Nothing was signed for
    /// the new one yet.
    pub async fn advance(
        &self,
        origin: &str,
        last: Option<&Cosigned>,
        next: &Cosigned,
    ) -> StateResult<bool> {
        let Ok(size) = i64::try_from(next.size.0) else {
            return Ok(false);
        };
        // A time beyond 63 bits cannot be cosigned.
        let time = next.time.and_then(|time| i64::try_from(time).ok());
        let query = match last {
            None => sqlx::query(
                "INSERT INTO cosigned (origin, size, root, checkpoint, time) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            ),
            Some(_) => sqlx::query(
                "UPDATE cosigned SET size = ?2, root = ?3, checkpoint = ?4, time = ?5 \
                 WHERE origin = ?1 AND size = ?6 AND root = ?7",
            ),
        };
        let mut query = query
            .bind(origin)
            .bind(size)
            .bind(next.root.0.as_slice())
            .bind(&next.checkpoint)
            .bind(time);
        if let Some(last) = last {
            query = query
                .bind(last.size.0.cast_signed())
                .bind(last.root.0.as_slice());
        }
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }
}
