//! `treehead guard accept`: says that the database is the newest there is, for when nothing is left
//! that knows how far a log had come.
//!
//! The ledger is opened as `serve` opens it. So each head that a place still has is compared with the
//! database, and the newest heads are kept at every place.

use std::io::{BufRead as _, Read as _, stdin};
use std::sync::Arc;

use ledger::guard::Keeper;
use ledger::store::{HeadRow, Store, TreeRow};
use ledger::{APIS, Ledger, OpenError, Settings, SystemClock, TreeId};
use prometheus::Registry;
use ring::rand::SystemRandom;
use tlog::{EMPTY_ROOT, TreeSize};

use super::show::since;
use super::{Company, start};
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::key_files::KeyFiles;
use crate::open_ledger::failure;
use crate::{banner, logging, runtime, witnesses};

/// Longest line that is read: a size has at most 19 digits.
const MAX_ANSWER_BYTES: u64 = 64;

/// Shows the newest head of each log, has its size typed, and keeps it at every place. No server may
/// run meanwhile.
pub(crate) fn accept(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    let database = Database::claim_existing(config)?;
    let key_files = KeyFiles::locate(config)?;
    runtime()?.block_on(async {
        let store = database.open().await?;
        let acceptance = Acceptance::find(config, &database, &key_files, store).await?;
        let name = acceptance.trees.first().map(|tree| tree.name.as_str());
        let store = acceptance.store.as_ref();
        database
            .refuse_servers(store, name.unwrap_or_default())
            .await?;
        acceptance.run().await
    })
}

/// A ledger whose heads are to be accepted.
struct Acceptance<'a> {
    config: &'a Config,
    database: &'a Database,
    key_files: &'a KeyFiles,
    store: Arc<dyn Store>,
    /// The active tree of each log.
    trees: Vec<TreeRow>,
    guard: Arc<Keeper>,
}

impl<'a> Acceptance<'a> {
    async fn find(
        config: &'a Config,
        database: &'a Database,
        key_files: &'a KeyFiles,
        store: Arc<dyn Store>,
    ) -> Outcome<Self> {
        let found = ledger::find_ledger(store.as_ref(), config.name.as_deref()).await;
        let found = found.map_err(|error| failure(database, &error))?;
        let trees = found.unwrap_or_default();
        let Some(tree) = trees.first() else {
            let absent = format_args!("{database} holds no ledger");
            return Err(Failure::new(FailureKind::Log, absent));
        };
        let guard = start(config, &tree.name, Company::Alone, &Registry::new())?;
        Ok(Self {
            config,
            database,
            key_files,
            store,
            trees,
            guard,
        })
    }

    async fn run(&self) -> Outcome<()> {
        // A head that somebody knows is a floor, and then nothing is left to be accepted.
        match self.open(Vec::new()).await {
            Ok(ledger) => {
                close(&ledger).await?;
                banner::print("Each log has a guard that its database extends; nothing to accept.")
            }
            Err(OpenError::NoFloor { .. }) => {
                self.ask().await?;
                // As if the trees were created now: no guard needs to know them.
                let trees = self.trees.iter().map(|tree| tree.tree_id).collect();
                let opened = self.open(trees).await;
                let ledger = opened.map_err(|error| failure(self.database, &error))?;
                close(&ledger).await?;
                banner::print("Accepted: the guard has these heads now. Start the server.")
            }
            Err(error) => Err(failure(self.database, &error)),
        }
    }

    async fn open(&self, created: Vec<TreeId>) -> Result<Ledger, OpenError> {
        let keys = self.key_files.read(&self.trees);
        let system = |failure: Failure| OpenError::System(failure.to_string());
        let witnessing = witnesses::witnessing(self.config).map_err(system)?;
        let settings = Settings {
            store: Arc::clone(&self.store),
            apis: &APIS,
            name: self.config.name.clone(),
            keys: keys.map_err(system)?.ring,
            place: "guard accept".to_owned(),
            witnessing,
            guard: Arc::clone(&self.guard) as _,
            created,
            clock: Arc::new(SystemClock),
            rng: SystemRandom::new(),
            metrics: Registry::new(),
        };
        Ledger::open(settings).await
    }

    /// Shows the newest head of each log, and reads its size from the terminal.
    async fn ask(&self) -> Outcome<()> {
        banner::print(format_args!(
            "Nothing says how far the logs in {} had come. If an older copy was put there, entries that \
             were acknowledged are missing, and whoever accepts it forks the log. Accept it only if \
             it is the newest database there is.",
            self.database
        ))?;
        for tree in &self.trees {
            let newest = self.store.reader().newest_head(tree.tree_id).await;
            let newest = newest.map_err(|error| self.database.failure(&error))?;
            let size = newest.as_ref().map_or(TreeSize(0), |head| head.size);
            banner::print(described(tree, newest.as_ref()))?;
            banner::print(format_args!(
                "Type the number of its entries to accept the {} log:",
                tree.api
            ))?;
            if read_line()? != size.to_string() {
                let other = format_args!("that is not {size}; nothing was accepted");
                return Err(Failure::new(FailureKind::Guard, other));
            }
        }
        Ok(())
    }
}

/// Stops a ledger whose heads are kept. Fails if a log of it is read-only.
async fn close(ledger: &Ledger) -> Outcome<()> {
    let went_back = ledger
        .logs()
        .iter()
        .find_map(|log| log.halted().map(|reason| (log.api(), reason)));
    ledger.stop().await;
    let Some((api, reason)) = went_back else {
        return Ok(());
    };
    Err(Failure::new(
        FailureKind::Guard,
        format_args!(
            "the {api} log: {reason}. That cannot be accepted: put the newer database back, or \
             bring this one forward with `treehead recover`"
        ),
    ))
}

fn described(tree: &TreeRow, newest: Option<&HeadRow>) -> String {
    let (size, root, time) = match newest {
        Some(head) => (head.size, head.root, head.time),
        None => (TreeSize(0), EMPTY_ROOT, 0),
    };
    format!(
        "\n{} log, tree {}: {size} entries, root {root}{}",
        tree.api,
        tree.tree_id,
        since(time)
    )
}

fn read_line() -> Outcome<String> {
    let mut line = String::new();
    let mut input = stdin().lock().take(MAX_ANSWER_BYTES);
    let read = input.read_line(&mut line);
    read.explain(FailureKind::Other, "stdin")?;
    Ok(line.trim().to_owned())
}
