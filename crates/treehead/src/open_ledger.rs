//! From a claimed database and located key files to an open ledger, which is created if there is
//! none.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use ledger::store::{Store, TreeRow};
use ledger::{APIS, Api, Ledger, OpenError, Settings, SystemClock, Tree, V2};
use prometheus::Registry;
use ring::rand::SystemRandom;

use crate::banner::History;
use crate::config::Config;
use crate::create_ledger;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::guard;
use crate::key_files::{KeyFiles, KeyPlaces, Keys};
use crate::witnesses;

/// An open ledger.
pub(crate) struct Opened {
    pub ledger: Ledger,
    /// Where the keys of its logs are.
    pub places: KeyPlaces,
    pub history: History,
}

/// Opens the ledger that the settings name. In an empty database it creates the ledger first,
/// unless the server is read-only.
pub(crate) async fn open_or_create(
    config: &Config,
    database: &Database,
    key_files: &KeyFiles,
    metrics: Registry,
) -> Outcome<Opened> {
    let store = database.open().await?;
    let found = match find(store.as_ref(), config, database, key_files).await {
        Ok(found) => found,
        Err(refusal) => {
            let known = known_by_guard(store.as_ref(), config, database).await;
            return Err(known.unwrap_or(refusal));
        }
    };
    let held = found.as_ref().and_then(|trees| trees.first());
    let name = match held {
        Some(tree) => tree.name.clone(),
        None => config.new_ledger()?.name.to_owned(),
    };
    let guard = guard::start(config, &name, guard::Company::Alone, &metrics)?;
    let (keys, history) = match found {
        Some(trees) => {
            check_logs(config, database, &trees)?;
            check_v2_name(store.as_ref(), config, database, &trees).await?;
            (key_files.read(&trees)?, History::Known)
        }
        None if config.read_only => {
            let refused = format_args!(
                "{database}: there is no ledger to serve; a read-only server creates none"
            );
            return Err(Failure::new(FailureKind::Log, refused));
        }
        None => {
            guard::check_unknown(guard.as_ref(), database).await?;
            let new = config.new_ledger()?;
            create_ledger::create(store.as_ref(), &new, database, key_files).await?
        }
    };
    let Keys {
        ring,
        places,
        created,
    } = keys;
    let begun = match history {
        History::New => create_ledger::trees(store.as_ref(), database, &name).await?,
        History::Known => Vec::new(),
    };
    let settings = Settings {
        store,
        apis: &APIS,
        name: config.name.clone(),
        keys: ring,
        place: server_label(config),
        witnessing: witnesses::witnessing(config)?,
        guard,
        created: begun.iter().map(|tree| tree.tree_id).collect(),
        clock: Arc::new(SystemClock),
        rng: SystemRandom::new(),
        metrics,
    };
    let ledger = Ledger::open(settings).await.map_err(|error| match error {
        OpenError::WrongKey { .. } if !created.is_empty() => lost_race(database, &created, &error),
        error => failure(database, &error),
    })?;
    Ok(Opened {
        ledger,
        places,
        history,
    })
}

/// Returns the refusal of a guard that has heads of the ledger that the settings would create. It
/// says more than any other one.
async fn known_by_guard(
    store: &dyn Store,
    config: &Config,
    database: &Database,
) -> Option<Failure> {
    if !store.trees().await.ok()?.is_empty() {
        return None;
    }
    let name = config.new_ledger().ok()?.name;
    let guard = guard::start(config, name, guard::Company::Servers, &Registry::new());
    guard::check_unknown(guard.ok()?.as_ref(), database)
        .await
        .err()
}

/// Returns the active tree of each log, or nothing if a new ledger is to be created.
async fn find(
    store: &dyn Store,
    config: &Config,
    database: &Database,
    key_files: &KeyFiles,
) -> Outcome<Option<Vec<TreeRow>>> {
    let failed = |error: OpenError| failure(database, &error);
    let name = config.name.as_deref();
    let new_logs = config.given_logs()?.unwrap_or_else(|| APIS.to_vec());
    // Before the database is read: a key that appears later was created by a server that starts at
    // the same moment, and is shared.
    let checked = create_ledger::check_unnamed_keys(database, key_files, &new_logs);
    let mut trees = ledger::find_ledger(store, name).await.map_err(failed)?;
    let Err(refusal) = checked else {
        return Ok(trees);
    };
    if trees.is_none() && store.is_shared() {
        let neighbour = create_ledger::wait_for_neighbour(store, name).await;
        trees = neighbour.map_err(failed)?;
    }
    trees.map(Some).ok_or(refusal)
}

/// Compares the logs of the settings with those of the ledger.
fn check_logs(config: &Config, database: &Database, trees: &[TreeRow]) -> Outcome<()> {
    let Some(given) = config.given_logs()? else {
        return Ok(());
    };
    let names = |names: &[&str]| names.join(" and ");
    let held: Vec<&str> = trees.iter().map(|tree| tree.api.as_str()).collect();
    let given: Vec<&str> = given.iter().map(|api| api.name).collect();
    if given == held {
        return Ok(());
    }
    let name = trees.first().map(|tree| tree.name.as_str());
    Err(Failure::new(
        FailureKind::Log,
        format_args!(
            "{database}: the logs of the ledger {:?} are {}, not {}: leave --logs out; \
             `treehead log add` adds a log",
            name.unwrap_or_default(),
            names(&held),
            names(&given)
        ),
    ))
}

/// Compares the host name of the v2 log in the settings with the one that the log was created with.
async fn check_v2_name(
    store: &dyn Store,
    config: &Config,
    database: &Database,
    active: &[TreeRow],
) -> Outcome<()> {
    let of_v2 = active.iter().find(|tree| is_of(tree, &V2));
    let (Some(given), Some(active)) = (&config.v2_name, of_v2) else {
        return Ok(());
    };
    let trees = store.trees().await;
    let trees = trees.map_err(|error| database.failure(&error))?;
    let mut of_log = trees
        .iter()
        .filter(|tree| tree.name == active.name && is_of(tree, &V2));
    let origin = of_log.next().map_or(&active.origin, |first| &first.origin);
    if origin == given {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Log,
        format_args!(
            "{database}: the v2 log of {:?} was created with the host name {origin:?}, not \
             {given:?}",
            active.name
        ),
    ))
}

fn is_of(tree: &TreeRow, api: &Api) -> bool {
    tree.api == api.name
}

/// Returns what a rotation calls this server.
fn server_label(config: &Config) -> String {
    let host = host_name();
    let process = std::process::id();
    format!("{host}, process {process}, serving on {}", config.listen)
}

/// Returns the name of this machine.
pub(crate) fn host_name() -> String {
    // A hardened unit may hide the first file.
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    match name.trim() {
        "" => "unknown host".to_owned(),
        name => name.to_owned(),
    }
}

/// The failure of a server whose neighbour created the ledger first, under other keys.
fn lost_race(database: &Database, created: &[PathBuf], error: &OpenError) -> Failure {
    let paths: Vec<String> = created
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Failure::new(
        FailureKind::Key,
        format_args!(
            "{database}: another server created the ledger at this moment: {error}. {} were \
             created by this start and have signed nothing; put the keys of the ledger in their \
             place",
            paths.join(", ")
        ),
    )
}

/// Reads what a stored tree says of its log.
pub(crate) fn tree_of(database: &Database, row: &TreeRow) -> Outcome<Arc<Tree>> {
    let unknown = || failure(database, &OpenError::UnknownApi(row.api.clone()));
    let api = Api::by_name(&row.api).ok_or_else(unknown)?;
    let tree = Tree::of(row, api).map_err(|error| database.failure(&error))?;
    Ok(Arc::new(tree))
}

/// Maps the reason why a ledger cannot be opened to the message and exit code of the process.
pub(crate) fn failure(database: &Database, error: &OpenError) -> Failure {
    let at_database = format_args!("{database}: {error}");
    match error {
        OpenError::Store(error) => database.failure(error),
        OpenError::WrongKey { .. }
        | OpenError::Unfinished { .. }
        | OpenError::WrongAlgorithm { .. }
        | OpenError::UsedKey(_)
        | OpenError::NoCheckpointKey(_) => Failure::new(FailureKind::Key, error),
        OpenError::NoLedger
        | OpenError::UnknownApi(_)
        | OpenError::WrongName { .. }
        | OpenError::Ambiguous(_) => Failure::new(FailureKind::Log, at_database),
        OpenError::NoFloor { .. } => Failure::new(
            FailureKind::Guard,
            format_args!(
                "{at_database}. If this database is the newest there is, `treehead guard accept` says so"
            ),
        ),
        OpenError::Refused => Failure::new(FailureKind::DatabaseUnusable, at_database),
        OpenError::Guard(_) => Failure::new(FailureKind::Guard, error),
        OpenError::WentBack(_) => Failure::new(FailureKind::DatabaseUnusable, at_database),
        OpenError::Quorum
        | OpenError::Witnessed
        | OpenError::BadName(_)
        | OpenError::NotHostName { .. } => Failure::new(FailureKind::Usage, error),
        OpenError::Signing(_) | OpenError::System(_) => Failure::new(FailureKind::Other, error),
    }
}
