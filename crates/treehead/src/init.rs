//! `treehead init`: the first start without serving.

use std::fmt;

use crate::banner::{self, Facts, History};
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files::KeyFiles;
use crate::{create_log, logging, open_log, runtime};

/// Creates a new log. If one exists, this fails and changes nothing.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    // Before anything is created.
    config.name_of_new_log()?;
    let database = Database::claim(config)?;
    let key_files = KeyFiles::locate(config)?;
    runtime()?.block_on(init(config, &database, &key_files))
}

async fn init(config: &Config, database: &Database, key_files: &KeyFiles) -> Outcome<()> {
    let store = database.open().await?;
    let active = ledger::active_trees(store.as_ref()).await;
    let active = active.map_err(|error| database.failure(&error))?;
    if let Some(tree) = active.first() {
        let log = format_args!("the log {:?} (tree {})", tree.name, tree.tree_id);
        return Err(exists(database, log));
    }
    create_log::check_unnamed_key(database, key_files)?;
    let created = create_log::create(store.as_ref(), config, database, key_files).await?;
    if created.history == History::Known {
        let log = "a log that another process created at this moment";
        return Err(exists(database, log));
    }
    let found = ledger::find_log(store.as_ref(), config.name.as_deref()).await;
    let found = found.map_err(|error| open_log::failure(database, key_files.log(), &error))?;
    let tree = found.ok_or_else(|| {
        let gone = format_args!("{database}: the new log is gone");
        Failure::new(FailureKind::DatabaseUnusable, gone)
    })?;
    banner::print(Facts {
        name: &tree.name,
        tree_id: tree.tree_id,
        key: &created.log_key,
        key_path: key_files.log(),
        database,
        history: History::New,
    })
}

fn exists(database: &Database, log: impl fmt::Display) -> Failure {
    Failure::new(
        FailureKind::Log,
        format_args!("{database} holds {log} already; `treehead serve` serves it"),
    )
}
