//! `treehead rotate`: freezes the active tree and opens the next one under a new key, while servers
//! run.
//!
//! Before the freeze nothing changes but that a key is registered, so the command may be stopped
//! and run again. After the freeze, whichever run gets as far reports the outcome, and no other
//! rotation begins before that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ledger::rotation::{self, RotateError};
use ledger::store::{HeadRow, Store, TreeRow};
use ledger::{KeyRing, Settings, SystemClock, Witnessing};
use ring::rand::SystemRandom;
use tlog::{Hash, SigningKey};
use tokio::time::sleep;

use crate::banner::print;
use crate::cli::RotateFlags;
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::key_files::{self, KeyFiles};
use crate::{logging, open_log, runtime, witnesses};

mod next_key;

/// How often the list of servers is read.
const POLL: Duration = Duration::from_millis(250);
/// How many polls running servers get to finish the frozen tree before this command does it. They
/// go first because they have the signed entry timestamps that clients saw.
const POLLS_FOR_SERVERS: u32 = 40;

/// Rotates the log.
pub(crate) fn run(config: &Config, flags: &RotateFlags) -> Outcome<()> {
    logging::start(config)?;
    let database = Database::existing(config)?;
    let key_files = KeyFiles::locate(config)?;
    // Finishing the frozen tree needs these two. They are read first, so that a wrong setting is
    // refused before anything is frozen.
    let cosigner = key_files.read_ed25519()?;
    let witnessing = witnesses::witnessing(config)?;
    let rotation = Rotation {
        config,
        flags,
        database: &database,
        key_files: &key_files,
        cosigner,
        witnessing,
    };
    runtime()?.block_on(rotation.run())
}

struct Rotation<'a> {
    config: &'a Config,
    flags: &'a RotateFlags,
    database: &'a Database,
    key_files: &'a KeyFiles,
    cosigner: Option<SigningKey>,
    witnessing: Option<Witnessing>,
}

impl Rotation<'_> {
    async fn run(self) -> Outcome<()> {
        let store = self.database.open_existing().await?;
        let trees = self.trees(store.as_ref()).await?;
        let Some(active) = trees.last() else {
            let absent = format_args!("{} holds no log", self.database);
            return Err(Failure::new(FailureKind::Log, absent));
        };
        if let Some(key) = &self.cosigner {
            let checked = ledger::check_cosigner(active, Some(key.verifying_key()));
            checked.map_err(|error| self.failure(&error.into()))?;
        }
        if let [.., frozen, _] = &trees[..]
            && let Some(final_head) = self.unreported(store.as_ref(), &trees).await?
        {
            print(
                "An earlier run ended before it could report its rotation. No other rotation begins.",
            )?;
            let flags = self.flags;
            self.conclude(store, frozen, &final_head, active).await?;
            return Err(only_reported(flags));
        }
        let default_origin = || rotation::default_origin(&active.name, trees.len() + 1);
        let origin = self.flags.origin.clone().unwrap_or_else(default_origin);
        self.check_origin(&trees, &origin)?;
        let next = self.next_key(store.as_ref(), &trees, active).await?;
        let registered = rotation::register(store.as_ref(), &active.name, &next.key).await;
        registered.map_err(|error| self.failure(&error))?;
        self.wait_for_servers(store.as_ref(), active, &next.key.log_id(), &next.path)
            .await?;
        let rng = SystemRandom::new();
        let frozen = rotation::freeze(store.as_ref(), active, &next.key, &origin, &rng).await;
        let (new_tree, final_head) = frozen.map_err(|error| self.failure(&error))?;
        self.conclude(store, active, &final_head, &new_tree).await
    }

    /// Returns the final head of a tree that an earlier run froze without reporting it. Returns
    /// nothing if `--next-key` names the file of another key than that run used, because that asks
    /// for another rotation. A file that would have to be created asks for none.
    async fn unreported(&self, store: &dyn Store, trees: &[TreeRow]) -> Outcome<Option<HeadRow>> {
        let found = rotation::unreported(store, trees).await;
        let final_head = found.map_err(|error| self.database.failure(&error))?;
        let Some(named) = self.named_next_key() else {
            return Ok(final_head);
        };
        let active = trees.last();
        let is_same = active.is_some_and(|tree| key_files::is_key_of(tree, named.verifying_key()));
        Ok(final_head.filter(|_| is_same))
    }

    /// Reports the outcome of a rotation, and waits until the frozen tree is finished, or finishes
    /// it.
    ///
    /// If we die before the report is noted, or nobody reads it, the next run begins here. From
    /// then on the log counts as rotated: the servers do the rest, so nothing below is a failure.
    async fn conclude(
        self,
        store: Arc<dyn Store>,
        frozen: &TreeRow,
        final_head: &HeadRow,
        next: &TreeRow,
    ) -> Outcome<()> {
        report(frozen, final_head, next)?;
        let noted = rotation::mark_reported(store.as_ref(), next).await;
        noted.map_err(|error| self.database.failure(&error))?;
        let tree = frozen.tree_id;
        match self.finish(store, frozen).await {
            Ok(()) => print(format_args!(
                "All of tree {tree} is signed: its private key is no longer needed and may be \
                 destroyed; the public key stays in the database"
            )),
            Err(why) => print(format_args!(
                "The frozen tree is not signed to its end yet ({why}): keep its key until a server \
                 logs that tree {tree} is finished"
            )),
        }
    }

    /// Returns all trees of the log, oldest first; the last one is active.
    async fn trees(&self, store: &dyn Store) -> Outcome<Vec<TreeRow>> {
        let found = ledger::find_log(store, self.config.name.as_deref()).await;
        let Some(active) = found.map_err(|error| self.failure(&error.into()))? else {
            return Ok(Vec::new());
        };
        let trees = store.trees().await;
        let mut trees = trees.map_err(|error| self.database.failure(&error))?;
        trees.retain(|tree| tree.name == active.name);
        Ok(trees)
    }

    fn check_origin(&self, trees: &[TreeRow], origin: &str) -> Outcome<()> {
        let refused = |why: String| Err(Failure::new(FailureKind::Usage, why));
        // Below an old name that is not a host name, the default origin is not one either.
        let is_old_name = trees
            .last()
            .is_some_and(|tree| ledger::check_new_name(&tree.name).is_err());
        let is_default = self.flags.origin.is_none();
        let checked = if is_default && is_old_name {
            ledger::check_name(origin)
        } else {
            ledger::check_new_name(origin)
        };
        match checked {
            Err(error) if is_default && !is_old_name => {
                return refused(format!(
                    "origin: {error}; this is the default below the log's name: give another with \
                     --origin"
                ));
            }
            Err(error) => return refused(format!("origin: {error}")),
            Ok(()) => {}
        }
        match trees.iter().find(|tree| tree.origin_v2 == origin) {
            Some(tree) => refused(format!(
                "origin {origin:?} belongs to tree {}: each tree has its own",
                tree.tree_id
            )),
            None => Ok(()),
        }
    }

    /// Waits until every running server has shown that it holds the key.
    async fn wait_for_servers(
        &self,
        store: &dyn Store,
        active: &TreeRow,
        log_id: &Hash,
        path: &Path,
    ) -> Outcome<()> {
        let mut printed = None;
        loop {
            let servers = rotation::servers(store, &active.name).await;
            let servers = servers.map_err(|error| self.database.failure(&error))?;
            let lacking: Vec<&str> = servers
                .iter()
                .filter(|server| !server.log_ids.contains(log_id))
                .map(|server| server.place.as_str())
                .collect();
            if lacking.is_empty() {
                return print(format_args!(
                    "{} servers run, and all hold the next key",
                    servers.len()
                ));
            }
            let text = format!(
                "waiting for {} of {} servers that do not hold the next key (log ID {log_id}) yet: \
                 {}. Put a copy of {} into the key folder of each; a server that is gone blocks \
                 for 30 s at most",
                lacking.len(),
                servers.len(),
                lacking.join("; "),
                path.display()
            );
            if printed.as_ref() != Some(&text) {
                print(&text)?;
                printed = Some(text);
            }
            sleep(POLL).await;
        }
    }

    /// Waits until running servers have signed the frozen tree to its end, or does it itself.
    async fn finish(self, store: Arc<dyn Store>, frozen: &TreeRow) -> Outcome<()> {
        let unreadable = |error| self.database.failure(&error);
        let servers = rotation::servers(store.as_ref(), &frozen.name).await;
        let polls = if servers.map_err(unreadable)?.is_empty() {
            0
        } else {
            POLLS_FOR_SERVERS
        };
        let key = self.key_files.key_of(frozen);
        for _ in 0..polls {
            let finished = rotation::finished(store.as_ref(), frozen).await;
            if finished.map_err(unreadable)?.is_some() {
                return Ok(());
            }
            sleep(POLL).await;
        }
        let key = key.ok_or_else(|| Failure::new(FailureKind::Key, "its key is not here"))?;
        let settings = Settings {
            store,
            name: Some(frozen.name.clone()),
            keys: KeyRing::new([key]),
            place: String::new(),
            cosigner: self.cosigner,
            witnessing: self.witnessing,
            clock: Arc::new(SystemClock),
            rng: SystemRandom::new(),
            metrics: prometheus::Registry::new(),
        };
        let finished = rotation::finish(settings, frozen).await;
        let log_key = self.key_files.log();
        finished
            .map(drop)
            .map_err(|error| open_log::failure(self.database, log_key, &error))
    }

    /// Maps an error of a rotation to the message and exit code of the process.
    fn failure(&self, error: &RotateError) -> Failure {
        match error {
            RotateError::Open(error) => {
                open_log::failure(self.database, self.key_files.log(), error)
            }
            RotateError::UsedKey(_) => Failure::new(FailureKind::Key, error),
            RotateError::Overtaken => {
                let message = format_args!("{}: {error}", self.database);
                Failure::new(FailureKind::Log, message)
            }
        }
    }
}

/// The failure of a run that reported an earlier rotation: scripts must not take it for a run that
/// rotated the log.
fn only_reported(flags: &RotateFlags) -> Failure {
    let origin = flags.origin.as_ref();
    let unused = origin.map(|origin| format!("; --origin {origin} is not used"));
    Failure::new(
        FailureKind::NotRotated,
        format_args!(
            "this run rotated nothing: it reported an earlier rotation{}. To rotate once more, run \
             it again",
            unused.unwrap_or_default()
        ),
    )
}

fn report(frozen: &TreeRow, final_head: &HeadRow, next: &TreeRow) -> Outcome<()> {
    let HeadRow { size, root, .. } = final_head;
    print(format_args!("rotated {}:", frozen.name))?;
    print(format_args!(
        "  frozen  tree {}, {size} entries, root {root}",
        frozen.tree_id
    ))?;
    let log_id = key_files::log_id(next).map(|log_id| log_id.to_string());
    print(format_args!(
        "  active  tree {}, log ID {}, v2 origin {}, first log index {}",
        next.tree_id,
        log_id.unwrap_or_default(),
        next.origin_v2,
        next.first_log_index
    ))
}
