//! The guard of a server: where it keeps the newest heads outside the database.

use std::path::PathBuf;
use std::sync::Arc;

use ledger::guard::{FilePlace, Guard, GuardedHead, Keeper, Place, PlaceError};
use ledger::store::TreeRow;
use prometheus::Registry;

use crate::config::Config;
use crate::data_folder;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Servers that share a data folder, on one Postgres. Each has a file of its own.
const MAX_FILES: usize = 16;

/// Starts the guard of the ledger `ledger`.
pub(crate) fn start(config: &Config, ledger: &str, metrics: &Registry) -> Outcome<Arc<Keeper>> {
    let folder = data_folder::create(&config.data_dir)?;
    let file = own_file(data_folder::guards(&folder, MAX_FILES));
    let file = file.explain(FailureKind::Guard, "the guard")?;
    let places: Vec<Box<dyn Place>> = vec![Box::new(file)];
    Keeper::start(ledger, places, Vec::new(), metrics).explain(FailureKind::Guard, "the guard")
}

/// Opens the first file that no other server has open.
fn own_file(paths: impl Iterator<Item = PathBuf>) -> Result<FilePlace, PlaceError> {
    let mut refused = PlaceError("there is no file for it".to_owned());
    for path in paths {
        match FilePlace::open(&path) {
            Ok(file) => return Ok(file),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Refuses to create a ledger in an empty database of which the guard knows better.
pub(crate) async fn check_unknown(guard: &dyn Guard, database: &Database) -> Outcome<()> {
    for reading in guard.read().await {
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

/// Notes logs that were just created and let nothing out yet.
pub(crate) async fn begin(guard: &dyn Guard, trees: &[TreeRow]) -> Outcome<()> {
    for tree in trees {
        let kept = guard.keep(GuardedHead::begin(tree)).await;
        kept.explain(FailureKind::Guard, "the ledger is created, but")?;
    }
    Ok(())
}
