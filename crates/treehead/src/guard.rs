//! The guard of a server: where it keeps the newest heads outside the database.

use std::path::Path;
use std::sync::Arc;

use ledger::Api;
use ledger::guard::{FilePlace, Guard, GuardedHead, Keeper, Origin, Place, PlaceError, Source};
use ledger::store::TreeRow;
use prometheus::Registry;

use crate::config::Config;
use crate::data_folder;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

pub(crate) mod accept;
mod http;
mod kept_file;
pub(crate) mod named;
mod peer;
mod s3;
pub(crate) mod show;

use kept_file::KeptFile;
use named::NamedPlace;
use peer::Peer;
use s3::S3Place;

/// Servers that share a data folder, on one Postgres. Each has a file of its own.
const MAX_FILES: usize = 16;

/// Who else may keep the files that the settings name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Nobody. A file that another server keeps is an error.
    Alone,
    /// Servers that run beside this command. They keep their files up to date themselves.
    Servers,
}

/// Starts the guard of the ledger `ledger`: in the data folder, and at all places of the settings.
/// Files that other servers keep are read.
pub(crate) fn start(
    config: &Config,
    ledger: &str,
    company: Company,
    metrics: &Registry,
) -> Outcome<Arc<Keeper>> {
    let failed =
        |error: PlaceError| Failure::new(FailureKind::Guard, format!("the guard: {error}"));
    let mut places: Vec<Box<dyn Place>> = Vec::new();
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    let folder = data_folder::create(&config.data_dir)?;
    for path in data_folder::guards(&folder, MAX_FILES) {
        // The first file that no other server keeps is ours. Those of servers that are gone may
        // have newer heads than that.
        let ours = if places.is_empty() {
            FilePlace::open_unused(&path).map_err(failed)?
        } else {
            None
        };
        match ours {
            Some(file) => places.push(Box::new(file)),
            None if path.exists() => sources.push(Arc::new(KeptFile(path))),
            None => {}
        }
    }
    if places.is_empty() {
        return Err(failed(PlaceError(format!(
            "{MAX_FILES} servers have a file in the data folder; give this one another folder"
        ))));
    }
    for named in config.guard_places()? {
        match named {
            NamedPlace::File(path) => match named_file(&path, company).map_err(failed)? {
                Some(file) => places.push(Box::new(file)),
                None => sources.push(Arc::new(KeptFile(path))),
            },
            NamedPlace::Object(url) => {
                places.push(Box::new(S3Place::new(url).map_err(failed)?));
            }
            NamedPlace::Peer(url) => sources.push(Arc::new(Peer::new(url).map_err(failed)?)),
        }
    }
    Keeper::start(ledger, places, sources, metrics).explain(FailureKind::Guard, "the guard")
}

/// Opens a file of the settings, or returns `None` if a server keeps it that may run.
fn named_file(path: &Path, company: Company) -> Result<Option<FilePlace>, PlaceError> {
    match company {
        Company::Alone => FilePlace::open(path).map(Some),
        Company::Servers => FilePlace::open_unused(path),
    }
}

/// Warns if a restore of the data folder would bring back an older guard together with an older
/// SQLite database, so that nothing would notice it.
pub(crate) fn warn_if_inside(config: &Config, database: &Database) -> Outcome<()> {
    let is_sqlite = matches!(database, Database::Sqlite { .. });
    if !is_sqlite || has_place_outside(config)? {
        return Ok(());
    }
    tracing::warn!(
        "the only guard is in the data folder: if an older copy of that folder is put back, nothing notices it, and the logs \
         fork; name a place elsewhere, for example --guard /var/lib/treehead-guard/guard (docs/OPERATING.md, The guard)"
    );
    Ok(())
}

/// Whether a place of the settings is neither in the data folder nor only read.
pub(crate) fn has_place_outside(config: &Config) -> Outcome<bool> {
    let data = config.data_dir.canonicalize();
    let is_outside = |path: &Path| {
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let folder = parent.unwrap_or(Path::new(".")).canonicalize();
        match (folder, &data) {
            (Ok(folder), Ok(data)) => !folder.starts_with(data),
            _ => true,
        }
    };
    let places = config.guard_places()?;
    Ok(places.iter().any(|place| match place {
        NamedPlace::File(path) => is_outside(path),
        NamedPlace::Object(_) => true,
        NamedPlace::Peer(_) => false,
    }))
}

/// Refuses to create a ledger in an empty database of which the guard knows better.
pub(crate) async fn check_unknown(guard: &dyn Guard, database: &Database) -> Outcome<()> {
    for reading in guard.read().await {
        if let (Origin::Place, Err(error)) = (reading.origin, &reading.found) {
            let unread = format_args!("the guard {}: {error}", reading.label);
            return Err(Failure::new(FailureKind::Guard, unread));
        }
        if let Ok(Some(found)) = reading.found
            && found.heads.iter().any(|head| head.texts.is_some())
        {
            return Err(Failure::new(
                FailureKind::Guard,
                format_args!(
                    "{database} holds no ledger, and the guard {} has heads of the ledger {:?}: the database went back or \
                     is another one. Put the right one in its place; to begin anew all the same, remove the guard",
                    reading.label, found.ledger
                ),
            ));
        }
    }
    Ok(())
}

/// Refuses to add a log to a ledger of which the guard knows that it had that log.
pub(crate) async fn check_unknown_log(
    guard: &dyn Guard,
    database: &Database,
    api: &Api,
) -> Outcome<()> {
    for reading in guard.read().await {
        let label = reading.label;
        let refused = |why: String| Failure::new(FailureKind::Guard, why);
        let found = match (reading.found, reading.origin) {
            (Ok(found), _) => found,
            (Err(error), Origin::Place) => {
                return Err(refused(format!("{label} cannot be read: {error}")));
            }
            (Err(_), Origin::Source) => continue,
        };
        let heads = found.into_iter().flat_map(|found| found.heads);
        let mut of_log = heads.filter(|head| head.api == api.name && head.texts.is_some());
        if let Some(head) = of_log.next() {
            return Err(refused(format!(
                "{database} has no {api} log, and {label} knows one of size {}: the database went back. Put the \
                 newer one in its place",
                head.size()
            )));
        }
    }
    Ok(())
}

/// Notes logs that were just created and let nothing out yet.
pub(crate) async fn begin(guard: &dyn Guard, trees: &[TreeRow]) -> Outcome<()> {
    for tree in trees {
        let kept = guard.keep(GuardedHead::begin(tree)).await;
        kept.explain(FailureKind::Guard, "the ledger is created, but")?;
    }
    Ok(())
}
