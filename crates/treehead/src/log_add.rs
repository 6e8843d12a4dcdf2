//! `treehead log add`: creates a log that a ledger lacks, with its keys.

use ledger::Api;
use ledger::store::TreeRow;
use prometheus::Registry;

use crate::banner::{self, History};
use crate::config::{Config, NewLogs};
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files::KeyFiles;
use crate::{create_ledger, guard, logging, open_ledger, runtime};

/// Creates the log of this API. Servers may run: they serve the log once they are started again.
///
/// Keys first, as for a new ledger; see [`create_ledger::create`].
pub(crate) fn run(config: &Config, api: &'static Api) -> Outcome<()> {
    logging::start(config)?;
    config.new_v2_name()?;
    let database = Database::existing(config)?;
    let key_files = KeyFiles::locate(config)?;
    runtime()?.block_on(add(config, &database, &key_files, api))
}

async fn add(
    config: &Config,
    database: &Database,
    key_files: &KeyFiles,
    api: &'static Api,
) -> Outcome<()> {
    let failed = |error| open_ledger::failure(database, &error);
    let store = database.open_existing().await?;
    let found = ledger::find_ledger(store.as_ref(), config.name.as_deref()).await;
    let logs = found.map_err(failed)?.unwrap_or_default();
    let Some(TreeRow { name, .. }) = logs.first() else {
        let absent = format_args!("{database} holds no ledger; `treehead init` creates one");
        return Err(Failure::new(FailureKind::Log, absent));
    };
    let exists = || {
        let exists = format_args!("{database}: the ledger {name:?} has its {api} log already");
        Failure::new(FailureKind::Log, exists)
    };
    if logs.iter().any(|tree| tree.api == api.name) {
        return Err(exists());
    }
    create_ledger::check_unnamed_keys(database, key_files, &[api])?;
    let guard = guard::start(config, name, guard::Company::Servers, &Registry::new())?;
    guard::check_unknown_log(guard.as_ref(), database, api).await?;
    let apis = vec![api];
    let new = NewLogs { name, apis };
    let created = create_ledger::create(store.as_ref(), &new, database, key_files).await;
    let (keys, history) = created?;
    if history == History::Known {
        return Err(exists());
    }
    let logs = create_ledger::trees(store.as_ref(), database, name).await?;
    banner::print(format_args!("added the {api} log to the ledger {name}:"))?;
    for tree in logs.iter().filter(|tree| tree.api == api.name) {
        let tree = open_ledger::tree_of(database, tree)?;
        banner::print(keys.places.facts(tree))?;
    }
    banner::print(
        "Keep a copy of each key file in a safe place: without it nobody can continue this log.\n\
         Servers that run do not serve the log yet: put the key files where each of them looks for \
         them, and start it again.",
    )
}
