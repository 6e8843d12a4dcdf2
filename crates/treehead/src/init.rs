//! `treehead init`: the first start without serving.

use std::fmt;

use crate::banner::{self, Facts, History};
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files::KeyFiles;
use prometheus::Registry;

use crate::{create_ledger, guard, logging, open_ledger, runtime};

/// Creates a new ledger. If one exists, this fails and changes nothing.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    // Before anything is created.
    config.new_ledger()?;
    let database = Database::claim(config)?;
    let key_files = KeyFiles::locate(config)?;
    runtime()?.block_on(init(config, &database, &key_files))
}

async fn init(config: &Config, database: &Database, key_files: &KeyFiles) -> Outcome<()> {
    let store = database.open().await?;
    let trees = store.trees().await;
    let trees = trees.map_err(|error| database.failure(&error))?;
    if let Some(tree) = trees.first() {
        return Err(exists(database, format_args!("the ledger {:?}", tree.name)));
    }
    let new = config.new_ledger()?;
    let guard = guard::start(config, new.name, guard::Company::Alone, &Registry::new())?;
    guard::check_unknown(guard.as_ref(), database).await?;
    create_ledger::check_unnamed_keys(database, key_files, &new.apis)?;
    let created = create_ledger::create(store.as_ref(), &new, database, key_files).await?;
    let (keys, History::New) = created else {
        let ledger = "a ledger that another process created at this moment";
        return Err(exists(database, ledger));
    };
    let trees = create_ledger::trees(store.as_ref(), database, new.name).await?;
    guard::begin(guard.as_ref(), &trees).await?;
    let logs = trees.iter().map(|tree| {
        let tree = open_ledger::tree_of(database, tree)?;
        Ok(keys.places.facts(tree))
    });
    banner::print(Facts {
        name: new.name,
        database,
        history: History::New,
        logs: logs.collect::<Outcome<_>>()?,
    })
}

fn exists(database: &Database, ledger: impl fmt::Display) -> Failure {
    Failure::new(
        FailureKind::Log,
        format_args!("{database} holds {ledger} already; `treehead serve` serves it"),
    )
}
