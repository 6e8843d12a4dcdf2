//! `treehead migrate`: brings the schema up to date, with a database role that may change it.

use crate::config::Config;
use crate::database::Database;
use crate::failure::Outcome;
use crate::{banner, logging, runtime};

/// Migrates the schema and creates no log. A SQLite database must exist, and no server may use it.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    let database = Database::claim_existing(config)?;
    runtime()?.block_on(database.open())?;
    banner::print(format_args!("{database}: the schema is up to date"))
}
