//! The server on this machine: machine, settings, keys, database, guard, witnesses, and the server
//! itself if it runs. Everything is only read.

use client::explain::Report;

use crate::config::Config;
use crate::database::Database;
use crate::failure::Outcome;
use crate::version::VERSION;
use crate::{data_folder, runtime};

mod guard;
mod history;
mod keys;
mod process;
mod server;
mod store;
mod system;
mod trusted_root;
mod witnesses;
mod words;

use process::Process;

/// Examines the server that these settings describe. Returns what it is, and the report.
pub(super) fn examine(config: &Config) -> Outcome<(String, Report)> {
    let mut report = Report {
        what: "the server on this machine".to_owned(),
        ..Report::default()
    };
    report.fact("version of this program", VERSION);
    for warning in &config.warnings {
        let remedy = "correct the setting; `treehead config show` prints each one with its source";
        report.warning("setting", "", warning, remedy);
    }
    let folder = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    report.fact("data folder", folder.display());
    data_folder_rights(&mut report, &folder);
    trusted_root::check(&mut report, config);
    let process = Process::holding(&data_folder::lock_file(&folder));
    let runtime = runtime()?;
    let found = match database(&mut report, config) {
        Some(database) => runtime.block_on(store::check(&mut report, config, &database)),
        None => store::Found::default(),
    };
    let process = process.or_else(|| store::process_of(&found));
    system::check(&mut report, config, &folder, process.as_ref());
    if !found.trees.is_empty() {
        keys::check(&mut report, config, &found.trees);
        guard::check(&mut report, config, &found);
        history::check(&mut report, &folder, &found.trees);
    }
    runtime.block_on(async {
        witnesses::check(&mut report, config).await;
        server::check(&mut report, config, process.as_ref()).await;
    });
    report.sort();
    Ok((folder.display().to_string(), report))
}

fn data_folder_rights(report: &mut Report, folder: &std::path::Path) {
    match data_folder::exposures(folder) {
        Ok(exposures) => {
            for exposure in exposures {
                let remedy = format!(
                    "chmod 700 {0}; and chown it to the user of the server",
                    folder.display()
                );
                report.warning("data-folder-open", folder.display(), exposure, remedy);
            }
        }
        Err(error) => {
            let what = format!("the data folder cannot be looked into: {error}");
            let remedy =
                "name the right folder (--data-dir), and run this as the user of the server";
            report.error("data-folder", &[], folder.display(), what, remedy);
        }
    }
}

/// Finds the database that the settings name.
fn database(report: &mut Report, config: &Config) -> Option<Database> {
    match Database::existing(config) {
        Ok(database) => {
            report.fact("database", &database);
            Some(database)
        }
        Err(failure) => {
            let remedy = "give the settings of the server: --data-dir or --database, or its file \
                by --config. A new ledger is made by \
                          `treehead init`";
            report.error("database-missing", &[], "", failure, remedy);
            None
        }
    }
}
