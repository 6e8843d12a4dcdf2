//! `treehead recover --accept-loss`: goes on without entries that nobody has any more.

use std::io;
use std::sync::Arc;

use ledger::guard::{Guard, GuardedHead};
use ledger::recover::{self, KnownHeads, Loss};
use ledger::store::{HeadRow, LogName, TreeRow};
use ledger::{APIS, Api, KeyRing, Settings, SystemClock, Witnessing, rotation};
use ring::rand::SystemRandom;

use super::{RecoverFlags, failure};
use crate::banner::print;
use crate::config::Config;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::key_files::KeyFiles;
use crate::rotate::{KeyFolder, Target, next_key, outcome};
use crate::{guard, open_ledger};

/// Everything that is needed to go on in a new tree.
pub(super) struct Acceptance<'a> {
    pub config: &'a Config,
    pub database: &'a Database,
    pub flags: &'a RecoverFlags,
    pub key_files: KeyFiles,
    pub witnessing: Option<Witnessing>,
    pub guard: Arc<dyn Guard>,
    pub known: KnownHeads,
}

impl Acceptance<'_> {
    /// Goes on without what was lost, in each log that went back.
    pub(super) async fn run(&self, name: &str) -> Outcome<()> {
        let active = self.database.open_existing().await?.trees().await;
        let active = active.map_err(|error| self.database.failure(&error))?;
        let has = |api: &Api| {
            let mut trees = active.iter();
            trees.any(|tree| tree.name == name && tree.api == api.name)
        };
        let is_meant = |api: &&&'static Api| self.flags.log.is_none_or(|log| log == **api);
        for api in APIS.iter().filter(is_meant) {
            if has(api) {
                self.run_log(api, name).await?;
            } else if let Some(floor) = self.floor(api) {
                return Err(Failure::new(
                    FailureKind::NotRecovered,
                    format_args!(
                        "the database has no {api} log, and the guard knows one of size {}: only a copy that has it                          brings it back",
                        floor.size()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn floor(&self, api: &Api) -> Option<&GuardedHead> {
        let mut known = self.known.newest.iter();
        known.find(|floor| floor.api == api.name)
    }

    async fn run_log(&self, api: &'static Api, name: &str) -> Outcome<()> {
        let target = Target::find(self.config, self.database, Some(api)).await?;
        let Some(floor) = self.floor(api) else {
            return print(format_args!(
                "no guard says how far the {api} log of {name} had come: it is left as it is"
            ));
        };
        let log = LogName {
            name,
            api: api.name,
        };
        let loss = recover::assess(target.store.as_ref(), log, api, floor).await;
        match loss.map_err(|error| failure(self.database, &error))? {
            Some(loss) => self.accept(target, &loss).await,
            None => self.conclude_earlier(target, name).await,
        }
    }

    /// Reports a run that ended after the freeze.
    async fn conclude_earlier(&self, target: Target<'_>, name: &str) -> Outcome<()> {
        let Some((frozen, last)) = target.unreported(None).await? else {
            let api = target.api;
            return print(format_args!("the {api} log of {name} has lost nothing"));
        };
        let (frozen, active) = (frozen.clone(), target.active.clone());
        print("An earlier run ended before it could report what it did.")?;
        self.conclude(target, &frozen, &last, &active).await
    }

    async fn accept(&self, mut target: Target<'_>, loss: &Loss) -> Outcome<()> {
        let refused = |error| failure(self.database, &error);
        let keys = self
            .key_files
            .read_found(std::slice::from_ref(&loss.tree))?;
        self.key_files.check_held(&loss.tree, &keys)?;
        let folder = KeyFolder::locate(self.key_files.folder(), &self.config.data_dir);
        target.skip_numbers(|number| {
            let file = format!("{}-log-{number}.pem", loss.api);
            folder.path().join(file).exists()
        });
        let lost_origin = loss.lost_origin();
        let given = self.flags.origin.as_deref();
        let origin = target.next_origin(given)?;
        if origin.is_some() && origin.as_deref() == lost_origin {
            let used = format_args!(
                "origin {:?} belongs to tree {}, which is lost: give another with --origin",
                lost_origin.unwrap_or_default(),
                loss.floor.tree
            );
            return Err(Failure::new(FailureKind::Usage, used));
        }
        let (store, witnessing) = (target.store.as_ref(), self.witnessing.as_ref());
        let checked = rotation::check_witnessing(store, &loss.tree, witnessing).await;
        checked.map_err(|error| open_ledger::failure(self.database, &error))?;
        if !self.known.silent.is_empty() {
            print(format_args!(
                "Not asked how far the log had come: {}. If one of them knows of a larger size than {}, log indexes would be                  given twice: ask it first (`curl URL/guard`), and do not go on then",
                self.known.silent.join(", "),
                loss.floor.size()
            ))?;
        }
        confirm(loss)?;
        let next = next_key(&target, self.flags.next_key.as_deref(), &folder).await?;
        loss.check_key(&next.key).map_err(refused)?;
        let rng = SystemRandom::new();
        let registered = rotation::register(store, &loss.tree, &next.key).await;
        registered.map_err(|error| target.failure(&error))?;
        let frozen = recover::freeze(store, loss, &next.key, origin.as_deref(), &rng).await;
        let (new_tree, last) = frozen.map_err(|error| target.failure(&error))?;
        self.conclude(target, &loss.tree, &last, &new_tree).await
    }

    /// Notes the new beginning at all places of the guard, reports it, and signs the frozen tree to
    /// its end.
    ///
    /// If we die before the report is noted, the next run begins here.
    async fn conclude(
        &self,
        target: Target<'_>,
        frozen: &TreeRow,
        last: &HeadRow,
        next: &TreeRow,
    ) -> Outcome<()> {
        guard::begin(self.guard.as_ref(), std::slice::from_ref(next)).await?;
        outcome::report(&target, frozen, last, next)?;
        let noted = rotation::mark_reported(target.store.as_ref(), next).await;
        noted.map_err(|error| target.database.failure(&error))?;
        let tree = frozen.tree_id;
        match self.finish(&target, frozen).await {
            Ok(()) => print(format_args!(
                "All of tree {tree} is signed: its private log key is no longer needed. Start the \
                 servers, and hand out the trust material again"
            )),
            Err(why) => print(format_args!(
                "The frozen tree is not signed to its end yet ({why}): keep its key until a server \
                 logs that tree {tree} is finished"
            )),
        }
    }

    async fn finish(&self, target: &Target<'_>, frozen: &TreeRow) -> Outcome<()> {
        let settings = || -> Outcome<Settings> {
            let active = [frozen.clone(), target.active.clone()];
            let keys: KeyRing = self.key_files.read_found(&active)?.ring;
            Ok(Settings {
                store: Arc::clone(&target.store),
                apis: &APIS,
                name: Some(frozen.name.clone()),
                keys,
                place: String::new(),
                witnessing: self.witnessing.clone(),
                guard: Arc::clone(&self.guard),
                created: Vec::new(),
                clock: Arc::new(SystemClock),
                rng: SystemRandom::new(),
                metrics: prometheus::Registry::new(),
            })
        };
        let failed = |error| open_ledger::failure(target.database, &error);
        recover::publish_end(settings()?, frozen)
            .await
            .map_err(failed)?;
        let finished = rotation::finish(settings()?, frozen).await;
        finished.map(drop).map_err(failed)
    }
}

/// Shows what is lost, and asks for the number of lost entries.
fn confirm(loss: &Loss) -> Outcome<()> {
    let (lost, floor, name) = (loss.lost(), &loss.floor, &loss.tree.name);
    let count = lost.end - lost.start;
    print(format_args!("The {} log of {name} went back:", loss.api))?;
    print(format_args!(
        "  published  tree {}, size {}, root {}",
        floor.tree,
        floor.size(),
        floor.root()
    ))?;
    print(format_args!(
        "  database   tree {}, size {}, root {}",
        loss.tree.tree_id, loss.size, loss.root
    ))?;
    print(format_args!(
        "Entries that were acknowledged are lost for good: {count}, at the log indexes {} to {}. \
         Whoever has them, even a client, may prove that the log lost them. If a copy turns up \
         later, it cannot be used any more.",
        lost.start,
        lost.end - 1
    ))?;
    print("Type the number of lost entries to go on in a new tree:")?;
    let mut typed = String::new();
    let read = io::stdin().read_line(&mut typed);
    read.explain(FailureKind::Other, "stdin")?;
    match typed.trim() == count.to_string() {
        true => Ok(()),
        false => Err(Failure::new(
            FailureKind::NotRecovered,
            format_args!("{:?} is not {count}: nothing was changed", typed.trim()),
        )),
    }
}
