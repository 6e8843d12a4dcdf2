//! `treehead rotate`: freezes the active tree of a log and opens the next one under a new key,
//! while servers run.
//!
//! Before the freeze nothing changes but that a key is registered, so the command may be stopped
//! and run again, or the rotation aborted. Every flag is checked, and every key opened, before
//! that. After the freeze, whichever run gets as far reports the outcome, and no other rotation of
//! the log begins before that.

use std::sync::Arc;
use std::time::Duration;

use ledger::rotation;
use ledger::store::{HeadRow, TreeRow};
use ledger::{KeyRing, Settings, SystemClock, Witnessing};
use ring::rand::SystemRandom;
use tlog::Hash;
use tokio::time::sleep;

use crate::banner::print;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Outcome;
use crate::key_files::KeyFiles;
use crate::{guard, logging, open_ledger, runtime, witnesses};

pub(crate) use flags::RotateFlags;
pub(crate) use key_folder::KeyFolder;
use next_key::named_key;
pub(crate) use next_key::next_key;
pub(crate) use target::Target;

mod abort;
mod flags;
mod key_folder;
mod next_key;
pub(crate) mod outcome;
mod target;
mod waiting;

/// How often this command looks whether servers have finished the frozen tree.
const POLL: Duration = Duration::from_millis(250);
/// How many polls running servers get to finish the frozen tree before this command does it. They
/// go first because they have the signed entry timestamps that clients saw.
const POLLS_FOR_SERVERS: u32 = 40;

/// Rotates a log, or aborts its rotation.
pub(crate) fn run(config: &Config, flags: &RotateFlags) -> Outcome<()> {
    logging::start(config)?;
    let database = Database::existing(config)?;
    let key_files = KeyFiles::locate(config)?;
    let witnessing = witnesses::witnessing(config)?;
    runtime()?.block_on(async {
        let target = Target::find(config, &database, flags.log).await?;
        if flags.abort {
            return abort::abort(&target).await;
        }
        check_floor(config, &target).await?;
        let keys = held_keys(&target, &key_files).await?;
        let folder = KeyFolder::locate(key_files.folder(), &config.data_dir);
        let rotation = Rotation {
            config,
            target,
            flags,
            keys,
            folder,
            witnessing,
        };
        rotation.run().await
    })
}

/// Refuses to rotate a log whose database went back: the next tree would begin at log indexes that
/// were given already.
async fn check_floor(config: &Config, target: &Target<'_>) -> Outcome<()> {
    let metrics = prometheus::Registry::new();
    let name = &target.active.name;
    let guard = guard::start(config, name, guard::Company::Servers, &metrics)?;
    let (store, active) = (target.store.as_ref(), &target.active);
    let checked = rotation::check_floor(store, guard.as_ref(), active).await;
    checked.map_err(|error| open_ledger::failure(target.database, &error))
}

/// Reads the keys that sign the active tree to its end once it is frozen. Refuses to go on if they
/// are neither here nor with running servers, which then do that: a file that was lost while a
/// server runs is a reason to rotate.
async fn held_keys(target: &Target<'_>, key_files: &KeyFiles) -> Outcome<KeyRing> {
    let active = &target.active;
    let keys = key_files.read_found(std::slice::from_ref(active))?;
    let Err(lacking) = key_files.check_held(active, &keys) else {
        return Ok(keys.ring);
    };
    let servers = waiting::running_servers(target).await?;
    let is_held = |digest: Hash| {
        let mut held = servers.iter().flat_map(|server| &server.keys);
        keys.ring.find(&digest).is_some() || held.any(|held| *held == digest)
    };
    let mut needed = active.keys.iter().map(|key| tlog::sha256(&key.spki));
    if !needed.all(is_held) {
        return Err(lacking);
    }
    print(format_args!(
        "{lacking}. Running servers hold it: keep them running until the rotation is reported"
    ))?;
    Ok(keys.ring)
}

struct Rotation<'a> {
    config: &'a Config,
    target: Target<'a>,
    flags: &'a RotateFlags,
    /// The keys of the tree that is frozen, and others.
    keys: KeyRing,
    folder: KeyFolder,
    witnessing: Option<Witnessing>,
}

impl Rotation<'_> {
    async fn run(self) -> Outcome<()> {
        let target = &self.target;
        let named = self.flags.next_key.as_deref();
        let named_key = named.and_then(|path| named_key(target, path));
        // A file that would have to be created asks for no other rotation.
        if let Some((frozen, final_head)) = target.unreported(named_key.as_ref()).await? {
            let (frozen, active) = (frozen.clone(), target.active.clone());
            let flags = self.flags;
            print(
                "An earlier run ended before it could report its rotation. No other rotation begins.",
            )?;
            self.conclude(&frozen, &final_head, &active).await?;
            return Err(outcome::only_reported(flags));
        }
        let (store, active) = (target.store.as_ref(), &target.active);
        let origin = target.next_origin(self.flags.origin.as_deref())?;
        let witnessing = self.witnessing.as_ref();
        let checked = rotation::check_witnessing(store, active, witnessing).await;
        checked.map_err(|error| open_ledger::failure(target.database, &error))?;
        let next = next_key(target, named, &self.folder).await?;
        let registered = rotation::register(store, active, &next.key).await;
        registered.map_err(|error| target.failure(&error))?;
        waiting::wait_for_servers(target, &next).await?;
        let rng = SystemRandom::new();
        let frozen = rotation::freeze(store, active, &next.key, origin.as_deref(), &rng).await;
        let (new_tree, final_head) = frozen.map_err(|error| target.failure(&error))?;
        let frozen = active.clone();
        self.conclude(&frozen, &final_head, &new_tree).await
    }

    /// Reports the outcome of a rotation, and waits until the frozen tree is finished, or finishes
    /// it.
    ///
    /// If we die before the report is noted, or nobody reads it, the next run begins here. From
    /// then on the log counts as rotated: the servers do the rest, so nothing below is a failure.
    async fn conclude(self, frozen: &TreeRow, final_head: &HeadRow, next: &TreeRow) -> Outcome<()> {
        let target = &self.target;
        outcome::report(target, frozen, final_head, next)?;
        let noted = rotation::mark_reported(target.store.as_ref(), next).await;
        noted.map_err(|error| target.database.failure(&error))?;
        let tree = frozen.tree_id;
        match self.finish(frozen).await {
            Ok(()) => print(format_args!(
                "All of tree {tree} is signed: its private log key is no longer needed and may be \
                 destroyed; the public key stays in the database"
            )),
            Err(why) => print(format_args!(
                "The frozen tree is not signed to its end yet ({why}): keep its key until a server \
                 logs that tree {tree} is finished"
            )),
        }
    }

    /// Waits until running servers have signed the frozen tree to its end, or does it itself.
    async fn finish(self, frozen: &TreeRow) -> Outcome<()> {
        let target = self.target;
        let servers = waiting::running_servers(&target).await?;
        let polls = if servers.is_empty() {
            0
        } else {
            POLLS_FOR_SERVERS
        };
        for _ in 0..polls {
            let finished = rotation::finished(target.store.as_ref(), frozen).await;
            let finished = finished.map_err(|error| target.database.failure(&error))?;
            if finished.is_some() {
                return Ok(());
            }
            sleep(POLL).await;
        }
        let database = target.database;
        let metrics = prometheus::Registry::new();
        let guard = guard::start(self.config, &frozen.name, guard::Company::Servers, &metrics)?;
        let settings = Settings {
            store: target.store,
            apis: &ledger::APIS,
            name: Some(frozen.name.clone()),
            keys: self.keys,
            place: String::new(),
            witnessing: self.witnessing,
            guard,
            created: Vec::new(),
            clock: Arc::new(SystemClock),
            rng: SystemRandom::new(),
            metrics,
        };
        let finished = rotation::finish(settings, frozen).await;
        finished
            .map(drop)
            .map_err(|error| open_ledger::failure(database, &error))
    }
}
