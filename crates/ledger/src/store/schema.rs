//! Whether a database has the schema of this release.

use sqlx::migrate::{MigrateError, Migrator};

use super::{StoreError, StoreResult};

/// The migrations that were applied, in the table of the library that applies them.
pub(super) const APPLIED: &str =
    "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";

/// A migration that was applied.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Applied {
    pub version: i64,
    pub checksum: Vec<u8>,
    pub success: bool,
}

/// Fails unless each of the migrations that were applied, ascending, is one of this release: then
/// those that are missing may follow.
pub(super) fn check_known(migrations: &Migrator, applied: &[Applied]) -> StoreResult<()> {
    for applied in applied {
        let version = applied.version;
        let known = migrations
            .iter()
            .find(|migration| migration.version == version);
        let refusal = match known {
            None => format!(
                "the database has schema version {version}, which this release does not know"
            ),
            Some(known) if known.checksum != applied.checksum => format!(
                "the database was made by a development version of this program that no release can read (its schema \
                 version {version} is another one): keep it with the program that made it, and start a new log in another \
                 data folder or database"
            ),
            Some(_) if !applied.success => {
                format!("schema version {version} of the database was applied in part")
            }
            Some(_) => continue,
        };
        return Err(StoreError::Unusable(refusal));
    }
    Ok(())
}

/// Whether no migration is missing, where all that were applied are known.
pub(super) fn is_current(migrations: &Migrator, applied: &[Applied]) -> bool {
    applied.len() == migrations.iter().count()
}

/// The version of the schema of this release.
pub(super) fn newest(migrations: &Migrator) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Fails unless the migrations that were applied, ascending, are exactly those of this release.
pub(super) fn check(migrations: &Migrator, applied: &[Applied]) -> StoreResult<()> {
    check_known(migrations, applied)?;
    let Some(last) = applied.last() else {
        return Err(StoreError::Unusable(
            "the database holds no ledger".to_owned(),
        ));
    };
    if is_current(migrations, applied) {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "the database has an older schema than this release (version {}, not {}): starting the server brings it up to date",
        last.version,
        newest(migrations)
    )))
}

/// Maps an error of the library that migrates; `of_database` maps those of the database itself.
pub(super) fn of_migration(
    error: MigrateError,
    of_database: fn(sqlx::Error) -> StoreError,
) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            of_database(error)
        }
        other => StoreError::Unusable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

    #[test]
    fn only_the_schema_of_this_release_is_taken() {
        let known = MIGRATIONS.iter().map(|migration| Applied {
            version: migration.version,
            checksum: migration.checksum.to_vec(),
            success: true,
        });
        let known: Vec<Applied> = known.collect();
        check(&MIGRATIONS, &known).unwrap();

        let mut later = known.clone();
        later.push(Applied {
            version: 9_999,
            ..known[0].clone()
        });
        let mut older = later.clone();
        older[0].checksum = b"another".to_vec();
        let mut broken = known.clone();
        broken[0].success = false;
        for (applied, wanted) in [
            (&later[..], "9999"),
            (&older[..], "start a new log"),
            (&broken[..], "in part"),
            (&[][..], "no ledger"),
        ] {
            let StoreError::Unusable(text) = check(&MIGRATIONS, applied).unwrap_err() else {
                panic!("{applied:?}")
            };
            assert!(text.contains(wanted), "{text}");
        }
    }
}
