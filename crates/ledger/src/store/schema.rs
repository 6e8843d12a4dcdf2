//! Whether a database has the schema of this release.

use sqlx::migrate::{MigrateError, Migrator};

use super::{StoreError, StoreResult};

/// A migration that was applied, as sqlx keeps it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Applied {
    pub version: i64,
    pub checksum: Vec<u8>,
    pub success: bool,
}

/// Whether the migrations that were applied, ascending, are those of this release, and each as it
/// is here.
pub(super) fn is_current(migrations: &Migrator, applied: &[Applied]) -> bool {
    let is_applied = |applied: &Applied, version: i64, checksum: &[u8]| {
        applied.success && applied.version == version && applied.checksum == checksum
    };
    applied.len() == migrations.iter().count()
        && migrations
            .iter()
            .zip(applied)
            .all(|(known, applied)| is_applied(applied, known.version, &known.checksum))
}

/// The version of the schema of this release.
pub(super) fn newest(migrations: &Migrator) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Compares the versions that were applied, ascending, with those that this release knows. Both
/// databases keep them in a table that sqlx made.
pub(super) fn check(migrations: &Migrator, applied: &[i64]) -> StoreResult<()> {
    let known: Vec<i64> = migrations
        .iter()
        .map(|migration| migration.version)
        .collect();
    if let Some(version) = applied.iter().find(|version| !known.contains(version)) {
        return Err(unknown_version(*version));
    }
    match known.last() {
        _ if applied.is_empty() => {
            Err(StoreError::Unusable("the database holds no log".to_owned()))
        }
        Some(newest) if applied.last() != Some(newest) => Err(StoreError::Unusable(format!(
            "the database has an older schema than this release (version {}, not {newest}): starting the server brings it up to date",
            applied.last().unwrap_or(&0)
        ))),
        _ => Ok(()),
    }
}

/// A later release was here.
fn unknown_version(version: i64) -> StoreError {
    StoreError::Unusable(format!(
        "the database has schema version {version}, which this release does not know"
    ))
}

/// Why the schema could not be brought up to date; the database's own errors as `of_database` takes
/// them.
pub(super) fn of_migration(
    error: MigrateError,
    of_database: fn(sqlx::Error) -> StoreError,
) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => unknown_version(version),
        MigrateError::VersionMismatch(version) => StoreError::Unusable(format!(
            "schema version {version} of the database is not the one of this release"
        )),
        MigrateError::Dirty(version) => StoreError::Unusable(format!(
            "schema version {version} of the database was applied in part"
        )),
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
    fn only_the_schema_of_this_release_will_do() {
        let known: Vec<i64> = MIGRATIONS
            .iter()
            .map(|migration| migration.version)
            .collect();
        check(&MIGRATIONS, &known).unwrap();
        let later: Vec<i64> = known.iter().copied().chain([9_999]).collect();
        for (applied, wanted) in [
            (&later[..], "9999"),
            (&known[..known.len() - 1], ""),
            (&[][..], "no log"),
        ] {
            let StoreError::Unusable(text) = check(&MIGRATIONS, applied).unwrap_err() else {
                panic!("{applied:?}")
            };
            assert!(text.contains(wanted), "{text}");
        }
    }
}
