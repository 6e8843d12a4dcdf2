//! `treehead trust export`: what clients have to trust, as files. Changes nothing in the ledger,
//! needs no key, and may run beside `serve`.

use std::fs;
use std::path::Path;

use server::trust::{Document, Others, TrustMaterial};

use crate::config::Config;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::{banner, logging, open_ledger, runtime};

/// Writes every document into `folder`, over older ones, and names them on stdout.
pub(crate) fn export(config: &Config, folder: &Path) -> Outcome<()> {
    logging::start(config)?;
    let others = config.others()?;
    let database = Database::existing(config)?;
    let material = runtime()?.block_on(material(config, &database, others))?;
    fs::create_dir_all(folder).explain(FailureKind::Other, folder.display())?;
    for document in Document::ALL {
        let path = folder.join(document.file_name());
        let Some(text) = material.text(document) else {
            continue;
        };
        fs::write(&path, text).explain(FailureKind::Other, path.display())?;
        banner::print(path.display())?;
    }
    Ok(())
}

async fn material(config: &Config, database: &Database, others: Others) -> Outcome<TrustMaterial> {
    let store = database.open_to_read().await?;
    let none = || Failure::new(FailureKind::Log, format_args!("{database} holds no ledger"));
    let active = ledger::find_ledger(store.as_ref(), config.name.as_deref()).await;
    let active = active.map_err(|error| open_ledger::failure(database, &error))?;
    let active = active.as_ref().and_then(|trees| trees.first());
    let name = active.ok_or_else(none)?.name.clone();
    let mut trees = store
        .trees()
        .await
        .map_err(|error| database.failure(&error))?;
    trees.retain(|tree| tree.name == name);
    let settings = config.trust(others, &name, config.listen.port())?;
    TrustMaterial::new(&trees, &settings).explain(FailureKind::DatabaseUnusable, database)
}
