//! The log that is rotated, as the database has it.

use std::sync::Arc;

use ledger::rotation::{self, RotateError};
use ledger::store::{HeadRow, KeyRole, Store, TreeRow};
use ledger::{Api, HeadForm};
use tlog::{Hash, KeyAlgorithm, VerifyingKey};

use crate::config::Config;
use crate::database::Database;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::{key_files, open_ledger};

/// A log and its trees.
pub(crate) struct Target<'a> {
    pub database: &'a Database,
    pub store: Arc<dyn Store>,
    pub api: &'static Api,
    /// The tree that takes entries.
    pub active: TreeRow,
    /// The trees of this log, oldest first. The last one is active.
    trees: Vec<TreeRow>,
    /// The trees of all logs of the database.
    all: Vec<TreeRow>,
    /// Numbers that are passed over.
    skipped: usize,
}

impl<'a> Target<'a> {
    /// Finds the log of this API in the ledger that the settings name. In a ledger with one log the
    /// API may be left out.
    pub(crate) async fn find(
        config: &Config,
        database: &'a Database,
        api: Option<&'static Api>,
    ) -> Outcome<Self> {
        let store = database.open_existing().await?;
        let found = ledger::find_ledger(store.as_ref(), config.name.as_deref()).await;
        let found = found.map_err(|error| open_ledger::failure(database, &error))?;
        let Some(logs) = found else {
            let absent = format_args!("{database} holds no ledger");
            return Err(Failure::new(FailureKind::Log, absent));
        };
        let active = choose(logs, api)?;
        let Some(api) = Api::by_name(&active.api) else {
            let unknown = format_args!("this release does not know the API {:?}", active.api);
            return Err(Failure::new(FailureKind::Log, unknown));
        };
        let all = store.trees().await;
        let all = all.map_err(|error| database.failure(&error))?;
        let is_of_log = |tree: &&TreeRow| tree.name == active.name && tree.api == active.api;
        let trees = all.iter().filter(is_of_log).cloned().collect();
        Ok(Self {
            database,
            store,
            api,
            active,
            trees,
            all,
            skipped: 0,
        })
    }

    /// Returns the number of the tree that the rotation opens: 2 for the first rotation.
    pub(crate) fn next_number(&self) -> usize {
        self.trees.len() + 1 + self.skipped
    }

    /// Passes over the next numbers that are taken, perhaps by trees that the database lost.
    pub(crate) fn skip_numbers(&mut self, is_taken: impl Fn(usize) -> bool) {
        while is_taken(self.next_number()) {
            self.skipped += 1;
        }
    }

    /// Returns the algorithm of the active tree's log key.
    pub(crate) fn log_key_algorithm(&self) -> Option<KeyAlgorithm> {
        let mut keys = self.active.keys.iter();
        let log_key = keys.find(|key| key.role == KeyRole::Log)?;
        let key = VerifyingKey::from_spki(&log_key.spki).ok()?;
        Some(key.algorithm())
    }

    /// Returns whether a tree of any log has this key.
    pub(crate) fn is_used(&self, digest: &Hash) -> bool {
        let mut keys = self.all.iter().flat_map(|tree| &tree.keys);
        keys.any(|key| tlog::sha256(&key.spki) == *digest)
    }

    /// Returns SHA-256 of the registered key.
    pub(crate) async fn registered(&self) -> Outcome<Option<Hash>> {
        let registered = rotation::registered(self.store.as_ref(), &self.active).await;
        registered.map_err(|error| self.database.failure(&error))
    }

    /// Returns the newest frozen tree and its final head, if an earlier run froze it without
    /// reporting that. Returns nothing if `named`, the key that this run shall rotate to, is not
    /// the key of that rotation: then it asks for another one.
    pub(crate) async fn unreported(
        &self,
        named: Option<&VerifyingKey>,
    ) -> Outcome<Option<(&TreeRow, HeadRow)>> {
        let found = rotation::unreported(self.store.as_ref(), &self.trees).await;
        let found = found.map_err(|error| self.database.failure(&error))?;
        let is_asked_for = named.is_none_or(|key| key_files::is_key_of(&self.active, key));
        match (found, &self.trees[..]) {
            (Some(final_head), [.., frozen, _]) if is_asked_for => Ok(Some((frozen, final_head))),
            _ => Ok(None),
        }
    }

    /// Returns the origin of the next tree. In a v1 log there is nothing to choose.
    pub(crate) fn next_origin(&self, given: Option<&str>) -> Outcome<Option<String>> {
        let refused = |why: String| Err(Failure::new(FailureKind::Usage, why));
        if self.api.heads == HeadForm::RekorV1 {
            return match given {
                None => Ok(None),
                Some(_) => refused(format!(
                    "--origin is not for a {} log: each of its trees has the origin \
                     {}/trees/TREE-ID",
                    self.api, self.active.name
                )),
            };
        }
        let origin = match (given, self.trees.first()) {
            (Some(origin), _) => origin.to_owned(),
            (None, Some(first)) => rotation::default_origin(&first.origin, self.next_number()),
            (None, None) => return refused("the log has no tree".to_owned()),
        };
        if let Err(error) = ledger::check_new_name(&origin) {
            let remedy = match given {
                Some(_) => "",
                None => "; this is the default below the first tree's: give another with --origin",
            };
            return refused(format!("origin: {error}{remedy}"));
        }
        match self.all.iter().find(|tree| tree.origin == origin) {
            Some(tree) => refused(format!(
                "origin {origin:?} belongs to tree {}: each tree has its own",
                tree.tree_id
            )),
            None => Ok(Some(origin)),
        }
    }

    /// Maps an error of a rotation to the message and exit code of the process.
    pub(crate) fn failure(&self, error: &RotateError) -> Failure {
        match error {
            RotateError::Open(error) => open_ledger::failure(self.database, error),
            RotateError::UsedKey(_) => Failure::new(FailureKind::Key, error),
            RotateError::Overtaken => {
                let message = format_args!("{}: {error}", self.database);
                Failure::new(FailureKind::Log, message)
            }
            RotateError::Frozen => Failure::new(FailureKind::NotRotated, error),
        }
    }
}

/// Returns the active tree of the log that is meant. `logs` are those of one ledger.
fn choose(logs: Vec<TreeRow>, api: Option<&Api>) -> Outcome<TreeRow> {
    let refused = |kind, why: String| Err(Failure::new(kind, why));
    let held: Vec<&str> = logs.iter().map(|tree| tree.api.as_str()).collect();
    let held = held.join(" and ");
    let name = logs.first().map(|tree| tree.name.clone());
    let name = name.unwrap_or_default();
    let Some(api) = api else {
        let mut logs = logs;
        return match (logs.pop(), logs.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => refused(
                FailureKind::Usage,
                format!(
                    "the ledger {name:?} holds the logs {held}: each is rotated alone, so say \
                     which one with --log"
                ),
            ),
        };
    };
    match logs.into_iter().find(|tree| tree.api == api.name) {
        Some(tree) => Ok(tree),
        None => refused(
            FailureKind::Log,
            format!("the ledger {name:?} holds no {api} log, only {held}"),
        ),
    }
}
