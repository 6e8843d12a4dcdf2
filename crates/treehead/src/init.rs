//! `treehead init`: the first start without serving.

use crate::banner::{self, Facts, History};
use crate::config::Config;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::open::{self, Place};
use crate::{logging, new_log, runtime};

/// Makes a new log, or refuses and leaves all as it is.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    // Before anything is made.
    config.name_of_new_log()?;
    let place = Place::claim(config)?;
    runtime()?.block_on(init(config, &place))
}

async fn init(config: &Config, place: &Place) -> Outcome<()> {
    let key_path = open::key_path(config)?;
    let failed = |error| open::of_open(place, &key_path, &error);
    let store = place.open().await?;
    if let Some(tree) = ledger::active_trees(store.as_ref())
        .await
        .map_err(|error| open::of_store(place, &error))?
        .first()
    {
        return Err(exists(
            place,
            format_args!("the log {:?} (tree {})", tree.name, tree.tree_id),
        ));
    }
    new_log::unexplained_key(config, place, &key_path)?;
    let made = new_log::make(store.as_ref(), config, place, &key_path).await?;
    if made.history == History::Known {
        return Err(exists(
            place,
            "a log that another process made in this moment",
        ));
    }
    let tree = ledger::find_log(store.as_ref(), config.name.as_deref())
        .await
        .map_err(failed)?;
    let tree = tree.ok_or_else(|| {
        Failure::new(
            FailureKind::DatabaseUnusable,
            format_args!("{place}: the new log is gone"),
        )
    })?;
    banner::print(Facts {
        name: &tree.name,
        tree_id: tree.tree_id,
        key: made.key.verifying_key(),
        key_path: &key_path,
        database: place,
        history: History::New,
    })
}

fn exists(place: &Place, what: impl std::fmt::Display) -> Failure {
    Failure::new(
        FailureKind::Log,
        format_args!("{place} holds {what} already; `treehead serve` serves it"),
    )
}
