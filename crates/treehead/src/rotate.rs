//! `treehead rotate`: freezes the active tree and opens the next one under a new key, while servers
//! run.
//!
//! Until the freeze nothing has changed but that a key is registered: stopping and starting again
//! goes on from there. After it, what came of the rotation is told by whichever run gets as far,
//! and no other rotation is begun before.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ledger::key_file::{self, KeyOrigin};
use ledger::rotation::{self, RotateError};
use ledger::store::{HeadRow, Store, TreeRow};
use ledger::{KeyRing, Settings, SystemClock, Witnessing};
use ring::rand::SystemRandom;
use tlog::{Hash, KeyAlgorithm, SigningKey, VerifyingKey};
use tokio::time::sleep;

use crate::banner::{History, print};
use crate::cli::RotateFlags;
use crate::config::Config;
use crate::data_folder;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::open::{self, Place};
use crate::{logging, runtime, witnesses};

/// How often the servers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long servers that live are given to finish the frozen tree before it is done here, where its
/// key is at hand: they have the signed entry timestamps that clients saw.
const SERVERS_FINISH: u32 = 40;

/// Rotates the log, or says why not.
pub(crate) fn run(config: &Config, flags: &RotateFlags) -> Outcome<()> {
    logging::start(config)?;
    let place = Place::existing(config)?;
    // What finishing the frozen tree needs. A setting that does not do is refused before anything
    // is frozen.
    let cosigner = open::ed25519_key(config, History::Known)?;
    let witnessing = witnesses::witnessing(config)?;
    runtime()?.block_on(
        Rotation {
            config,
            flags,
            place: &place,
            cosigner,
            witnessing,
        }
        .run(),
    )
}

struct Rotation<'a> {
    config: &'a Config,
    flags: &'a RotateFlags,
    place: &'a Place,
    cosigner: Option<SigningKey>,
    witnessing: Option<Witnessing>,
}

impl Rotation<'_> {
    async fn run(self) -> Outcome<()> {
        let store = self.place.open_existing().await?;
        let trees = self.trees(store.as_ref()).await?;
        let Some(active) = trees.last() else {
            return Err(Failure::new(
                FailureKind::Log,
                format_args!("{} holds no log", self.place),
            ));
        };
        if let Some(key) = &self.cosigner {
            let checked = ledger::check_cosigner(active, Some(key.verifying_key()));
            checked.map_err(|error| self.of(&error.into()))?;
        }
        if let [.., frozen, _] = &trees[..]
            && let Some(last) = self.untold(store.as_ref(), &trees).await?
        {
            print(
                "An earlier run ended before it could tell what came of its rotation. No other rotation is begun.",
            )?;
            let flags = self.flags;
            self.conclude(store, frozen, &last, active).await?;
            return Err(only_told(flags));
        }
        let default_origin = || rotation::default_origin(&active.name, trees.len() + 1);
        let origin = self.flags.origin.clone().unwrap_or_else(default_origin);
        self.check_origin(&trees, &origin)?;
        let (key, path) = self.next_key(store.as_ref(), &trees, active).await?;
        let log_id = key.log_id();
        rotation::register(store.as_ref(), &active.name, &key)
            .await
            .map_err(|error| self.of(&error))?;
        self.wait_for_servers(store.as_ref(), active, &log_id, &path)
            .await?;
        let frozen =
            rotation::freeze(store.as_ref(), active, &key, &origin, &SystemRandom::new()).await;
        let (next, last) = frozen.map_err(|error| self.of(&error))?;
        self.conclude(store, active, &last, &next).await
    }

    /// The last head of a tree that an earlier run froze without telling so, unless another key is
    /// asked for than that run's: a file that holds one. A key that would have to be made is no
    /// such wish.
    async fn untold(&self, store: &dyn Store, trees: &[TreeRow]) -> Outcome<Option<HeadRow>> {
        let last = rotation::untold(store, trees)
            .await
            .map_err(|error| open::of_store(self.place, &error))?;
        let Some(path) = &self.flags.next_key else {
            return Ok(last);
        };
        let Ok(named) = key_file::read(path, KeyAlgorithm::EcdsaP256, &SystemRandom::new()) else {
            return Ok(last);
        };
        let is_that_key = |tree: &TreeRow| {
            tree.keys
                .iter()
                .any(|key| key.spki == named.verifying_key().spki())
        };
        Ok(last.filter(|_| trees.last().is_some_and(is_that_key)))
    }

    /// Tells what came of a rotation, and waits until the frozen tree is finished, or finishes it.
    ///
    /// Dies before it is noted as told, or nobody reads what it says: the next run begins here.
    /// From then on the log is rotated: what is missing is the servers' to do, and no failure.
    async fn conclude(
        self,
        store: Arc<dyn Store>,
        frozen: &TreeRow,
        last: &HeadRow,
        next: &TreeRow,
    ) -> Outcome<()> {
        say(frozen, last, next)?;
        rotation::told(store.as_ref(), next)
            .await
            .map_err(|error| open::of_store(self.place, &error))?;
        let tree = frozen.tree_id;
        match self.finish(store, frozen).await {
            Ok(()) => print(format_args!(
                "All of tree {tree} is signed: its private key is needed no more and may be destroyed; the public key stays in the \
                 database"
            )),
            Err(why) => print(format_args!(
                "The frozen tree is not signed to its end yet ({why}): keep its key until a server logs that tree {tree} is finished"
            )),
        }
    }

    /// All trees of the log, oldest first; the last one is active.
    async fn trees(&self, store: &dyn Store) -> Outcome<Vec<TreeRow>> {
        let found = ledger::find_log(store, self.config.name.as_deref()).await;
        let Some(active) = found.map_err(|error| self.of(&error.into()))? else {
            return Ok(Vec::new());
        };
        let mut trees = store
            .trees()
            .await
            .map_err(|error| open::of_store(self.place, &error))?;
        trees.retain(|tree| tree.name == active.name);
        Ok(trees)
    }

    fn check_origin(&self, trees: &[TreeRow], origin: &str) -> Outcome<()> {
        // Only below an old name that is no host name may the default be none.
        let is_old_name = trees
            .last()
            .is_some_and(|tree| ledger::check_new_name(&tree.name).is_err());
        let (checked, remedy) = match &self.flags.origin {
            Some(_) => (ledger::check_new_name(origin), ""),
            None if is_old_name => (ledger::check_name(origin), ""),
            None => (
                ledger::check_new_name(origin),
                "; this is the default below the log's name: give another with --origin",
            ),
        };
        checked.map_err(|error| {
            Failure::new(FailureKind::Usage, format_args!("origin: {error}{remedy}"))
        })?;
        match trees.iter().find(|tree| tree.origin_v2 == origin) {
            Some(tree) => Err(Failure::new(
                FailureKind::Usage,
                format_args!(
                    "origin {origin:?} is that of tree {}: each tree has one of its own",
                    tree.tree_id
                ),
            )),
            None => Ok(()),
        }
    }

    /// The next key and its file: the one that is named, the one that is registered already, or a
    /// new one in the key folder.
    async fn next_key(
        &self,
        store: &dyn Store,
        trees: &[TreeRow],
        active: &TreeRow,
    ) -> Outcome<(VerifyingKey, PathBuf)> {
        let rng = SystemRandom::new();
        if let Some(path) = &self.flags.next_key {
            return made(path.clone());
        }
        let folder = open::key_folder(self.config)?;
        let registered = rotation::registered(store, &active.name).await;
        let registered = registered.map_err(|error| open::of_store(self.place, &error))?;
        // One that a tree has was registered once more by a rotation that came too late.
        let is_taken = |log_id: &Hash| {
            trees
                .iter()
                .flat_map(|tree| &tree.keys)
                .any(|key| tlog::sha256(&key.spki) == *log_id)
        };
        let registered = registered.filter(|log_id| !is_taken(log_id));
        data_folder::make(&folder)?;
        let Some(log_id) = registered else {
            return made(folder.join(format!("log-key-{}.pem", trees.len() + 1)));
        };
        let held = KeyRing::new([])
            .with_folder(folder.clone(), &rng)
            .find(&log_id);
        held.map(|key| (key.verifying_key().clone(), folder.clone())).ok_or_else(|| {
            Failure::new(
                FailureKind::Key,
                format_args!(
                    "a rotation to the key with log ID {log_id} was begun, and that key is not in {}: put it there, or begin \
                     with another key, which --next-key FILE names",
                    folder.display()
                ),
            )
        })
    }

    /// Waits until every server that lives has shown that it holds the key.
    async fn wait_for_servers(
        &self,
        store: &dyn Store,
        active: &TreeRow,
        log_id: &Hash,
        path: &std::path::Path,
    ) -> Outcome<()> {
        let mut said = None;
        loop {
            let servers = rotation::servers(store, &active.name).await;
            let servers = servers.map_err(|error| open::of_store(self.place, &error))?;
            let lacking: Vec<&str> = servers
                .iter()
                .filter(|server| !server.log_ids.contains(log_id))
                .map(|server| server.place.as_str())
                .collect();
            if lacking.is_empty() {
                return print(format_args!(
                    "{} servers live, and all hold the next key",
                    servers.len()
                ));
            }
            let text = format!(
                "waiting for {} of {} servers that do not hold the next key (log ID {log_id}) yet: {}. Put a copy of {} into the \
                 key folder of each; one that is gone is waited for no longer than 30 s",
                lacking.len(),
                servers.len(),
                lacking.join("; "),
                path.display()
            );
            if said.as_ref() != Some(&text) {
                print(&text)?;
                said = Some(text);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the frozen tree is signed to its end, or does that.
    async fn finish(self, store: Arc<dyn Store>, frozen: &TreeRow) -> Outcome<()> {
        let unreadable = |error| open::of_store(self.place, &error);
        let alone = rotation::servers(store.as_ref(), &frozen.name)
            .await
            .map_err(unreadable)?
            .is_empty();
        let key = open::frozen_key(self.config, frozen)?;
        let turns = if alone { 0 } else { SERVERS_FINISH };
        for _ in 0..turns {
            if rotation::finished(store.as_ref(), frozen)
                .await
                .map_err(unreadable)?
                .is_some()
            {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
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
            metrics: prometheus::Registry::new(),
        };
        let finished = rotation::finish(settings, frozen).await;
        finished
            .map(drop)
            .map_err(|error| open::of_open(self.place, &open::key_path_shown(self.config), &error))
    }

    fn of(&self, error: &RotateError) -> Failure {
        match error {
            RotateError::Open(error) => {
                open::of_open(self.place, &open::key_path_shown(self.config), error)
            }
            RotateError::UsedKey(_) => Failure::new(FailureKind::Key, error),
            RotateError::Overtaken => {
                Failure::new(FailureKind::Log, format_args!("{}: {error}", self.place))
            }
        }
    }
}

/// Reads or makes the key of a file.
fn made(path: PathBuf) -> Outcome<(VerifyingKey, PathBuf)> {
    let (key, origin) =
        key_file::read_or_make(&path, KeyAlgorithm::EcdsaP256, &SystemRandom::new())
            .map_err(|error| Failure::new(FailureKind::Key, error))?;
    let verb = if origin == KeyOrigin::Made {
        "made"
    } else {
        "found"
    };
    print(format_args!(
        "next key: {verb} {}, log ID {}",
        path.display(),
        key.verifying_key().log_id()
    ))?;
    Ok((key.verifying_key().clone(), path))
}

/// Why a run that told of an earlier rotation does not end as one that rotated the log.
fn only_told(flags: &RotateFlags) -> Failure {
    let unused = flags
        .origin
        .as_ref()
        .map(|origin| format!("; --origin {origin} is not used"))
        .unwrap_or_default();
    Failure::new(
        FailureKind::NotRotated,
        format_args!(
            "this run rotated nothing: it told of an earlier rotation{unused}. To rotate once more, run it again"
        ),
    )
}

fn say(old: &TreeRow, last: &HeadRow, next: &TreeRow) -> Outcome<()> {
    let HeadRow { size, root, .. } = last;
    print(format_args!("rotated {}:", old.name))?;
    print(format_args!(
        "  frozen  tree {}, {size} entries, root {root}",
        old.tree_id
    ))?;
    print(format_args!(
        "  active  tree {}, log ID {}, v2 origin {}, first log index {}",
        next.tree_id,
        open::log_id(next),
        next.origin_v2,
        next.first_log_index
    ))
}
