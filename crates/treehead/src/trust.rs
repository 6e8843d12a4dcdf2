//! `treehead trust export`: what clients have to trust, as files. Changes nothing in the log, needs
//! no key, and may run beside `serve`.

use std::fs;
use std::path::Path;

use server::trust::{Document, Others, TrustMaterial};

use crate::config::Config;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::{banner, logging, runtime};

/// Writes every document into `folder`, over older ones, and names them on stdout.
pub(crate) fn export(config: &Config, folder: &Path) -> Outcome<()> {
    logging::start(config)?;
    let others = config.others()?;
    let database = Database::existing(config)?;
    let material = runtime()?.block_on(material(config, &database, others))?;
    fs::create_dir_all(folder).explain(FailureKind::Other, folder.display())?;
    for document in Document::ALL {
        let path = folder.join(document.file_name());
        fs::write(&path, material.text(document)).explain(FailureKind::Other, path.display())?;
        banner::print(path.display())?;
    }
    Ok(())
}

async fn material(config: &Config, database: &Database, others: Others) -> Outcome<TrustMaterial> {
    let store = database.open_existing().await?;
    let none = || Failure::new(FailureKind::Log, format_args!("{database} holds no log"));
    let active = ledger::find_log(store.as_ref(), config.name.as_deref()).await;
    let active = active
        .map_err(|error| Failure::new(FailureKind::Log, format_args!("{database}: {error}")))?;
    let name = active.ok_or_else(none)?.name;
    let mut trees = store
        .trees()
        .await
        .map_err(|error| database.failure(&error))?;
    trees.retain(|tree| tree.name == name);
    let settings = config.trust(others, &name, config.listen.port())?;
    TrustMaterial::new(&trees, &settings).explain(FailureKind::DatabaseUnusable, database)
}
