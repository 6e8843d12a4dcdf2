//! Settings of the database server that cost a log dearly as they come: each is named once, at the
//! start.

use sqlx::PgConnection;

use super::error;
use crate::store::StoreResult;

/// Least `max_wal_size` that nothing is said of. The first change of a page after a checkpoint
/// writes the whole page into the WAL, and hashes as keys change another page each time: with a
/// checkpoint every gigabyte, as Postgres comes, that is up to 19 KB of WAL an entry; with one in
/// 16 GiB most changes find their page written already.
const MAX_WAL_SIZE_GIB: i64 = 16;

const SETTINGS: &str =
    "SELECT pg_size_bytes(current_setting('max_wal_size')), current_setting('wal_compression')";

/// Warns of each setting that is missing; `docs/OPERATING.md` says more.
pub(super) async fn advise(connection: &mut PgConnection) -> StoreResult<()> {
    let (max_wal_size, wal_compression): (i64, String) = sqlx::query_as(SETTINGS)
        .fetch_one(connection)
        .await
        .map_err(error::of_read)?;
    for advice in advice(max_wal_size, &wal_compression) {
        tracing::warn!("{advice}");
    }
    Ok(())
}

fn advice(max_wal_size: i64, wal_compression: &str) -> Vec<String> {
    let mut advice = Vec::new();
    if wal_compression == "off" {
        advice.push(
            "the database's wal_compression is off: set wal_compression = on (or lz4), or its WAL takes several times the room"
                .to_owned(),
        );
    }
    if max_wal_size < MAX_WAL_SIZE_GIB << 30 {
        advice.push(format!(
            "the database's max_wal_size is {} MB: set max_wal_size = {MAX_WAL_SIZE_GIB}GB, or frequent checkpoints make each entry \
             cost up to 19 KB of WAL",
            max_wal_size >> 20
        ));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_named() {
        let stock = advice(1 << 30, "off");
        assert!(
            stock[1].contains("is 1024 MB: set max_wal_size = 16GB"),
            "{stock:?}"
        );
        assert!(stock[0].contains("set wal_compression = on"), "{stock:?}");
        assert_eq!(stock.len(), 2);
        assert_eq!(advice((16 << 30) - 1, "lz4").len(), 1);
        assert!(advice(16 << 30, "on").is_empty());
    }
}
