//! Brings a log forward: verifies all that the source has, then adds what is missing.

use tlog::{Edge, TILE_WIDTH, TreeSize};

use super::error::RecoverError;
use super::floor::{check_signed, is_reached, trees_of};
use super::plan::{Plan, Progress, Step};
use super::replay::{DeriveEntry, Replay};
use super::source::{Source, SourceHead};
use crate::api::{Api, HeadForm};
use crate::guard::GuardedHead;
use crate::heads::load::{load_edge, load_head};
use crate::heads::tile_set::describe;
use crate::ids::TreeId;
use crate::store::{Freeze, HeadRow, KeyRole, LogName, Store, StoreError, TreeRow, TreeState};
use crate::tree::Tree;

mod complete;

/// Receives the progress of a recovery.
pub type Report<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// A database that went back, and a source to bring it forward from.
pub struct Forward<'a> {
    /// The database. Nothing else may write to it.
    pub store: &'a dyn Store,
    /// The source.
    pub source: &'a dyn Source,
    /// Derives kinds and index keys.
    pub derive: DeriveEntry<'a>,
}

/// The newest head of a log that was brought forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its active tree.
    pub tree: TreeId,
    /// Tree size.
    pub size: TreeSize,
    /// Root hash.
    pub root: tlog::Hash,
}

impl Forward<'_> {
    /// Verifies that the source extends the database and the floor of a log, up to its own head.
    /// Returns what has to be added. Changes nothing.
    ///
    /// A log that has reached its floor has not gone back: it is left as it is unless the source
    /// extends it.
    pub async fn plan(
        &self,
        log: LogName<'_>,
        api: &'static Api,
        floor: Option<&GuardedHead>,
        report: Report<'_>,
    ) -> Result<Plan, RecoverError> {
        let ours = trees_of(self.store, log).await?;
        let has_reached = match floor {
            Some(floor) => is_reached(self.store, &ours, floor).await?,
            None => false,
        };
        let of_floor = floor.map(|floor| floor.tree);
        let ids = ours.iter().map(|tree| tree.tree_id);
        let known: Vec<TreeId> = of_floor.into_iter().chain(ids).collect();
        let theirs = self.source.trees(log, &known).await?;
        let mut plan = Plan {
            api,
            is_in_source: !theirs.is_empty(),
            steps: Vec::new(),
        };
        let missed = floor.filter(|_| !has_reached);
        let may_be_older = has_reached || floor.is_none();
        match self.steps(&plan, &ours, &theirs, missed, report).await {
            Ok(steps) => plan.steps = steps,
            Err(RecoverError::Behind(_)) if may_be_older => {}
            Err(RecoverError::OtherHistory(_)) if has_reached => {}
            Err(error) => return Err(error),
        }
        if may_be_older && plan.entries() == 0 {
            let is_left = |step: &Step| step.next.is_some() || step.row.state == TreeState::Frozen;
            plan.steps.retain(is_left);
        }
        Ok(plan)
    }

    /// Returns the steps of a plan, verified.
    async fn steps(
        &self,
        plan: &Plan,
        ours: &[TreeRow],
        theirs: &[TreeRow],
        floor: Option<&GuardedHead>,
        report: Report<'_>,
    ) -> Result<Vec<Step>, RecoverError> {
        if theirs.is_empty() {
            return Err(self.behind(format_args!("has no {} log of this ledger", plan.api)));
        }
        self.check_same(ours, theirs)?;
        let is_there = |tree: &TreeId| theirs.iter().any(|row| row.tree_id == *tree);
        let newest = ours.last().map(|tree| tree.tree_id);
        let needed = floor.map(|floor| floor.tree).or(newest);
        if let Some(tree) = needed.filter(|tree| !is_there(tree)) {
            return Err(self.behind(format_args!("has no tree {tree}")));
        }
        if let Some(floor) = floor {
            check_signed(floor, theirs)?;
        }
        let mut steps = Vec::new();
        for place in 0..theirs.len() {
            steps.extend(self.step(plan.api, ours, theirs, place).await?);
        }
        self.verify(&steps, floor, report).await?;
        Ok(steps)
    }

    /// Fails if the trees that both have are not the same.
    fn check_same(&self, ours: &[TreeRow], theirs: &[TreeRow]) -> Result<(), RecoverError> {
        let created = |tree: &TreeRow| TreeRow {
            state: TreeState::Active,
            frozen_at: None,
            ..tree.clone()
        };
        let pairs = ours.iter().zip(theirs);
        let other = pairs
            .enumerate()
            .find(|(_, (our, their))| created(our) != created(their));
        let Some((place, (our, their))) = other else {
            return Ok(());
        };
        let what = format!(
            "tree {} of the database is tree {} of {}",
            our.tree_id,
            their.tree_id,
            self.source.label()
        );
        match place {
            0 => Err(RecoverError::OtherLedger(what)),
            _ => Err(RecoverError::OtherHistory(what)),
        }
    }

    /// Returns the step of the tree at a place in the list, if there is anything to do.
    async fn step(
        &self,
        api: &'static Api,
        ours: &[TreeRow],
        theirs: &[TreeRow],
        place: usize,
    ) -> Result<Option<Step>, RecoverError> {
        let Some(row) = theirs.get(place) else {
            return Ok(None);
        };
        let is_followed = place + 1 < ours.len();
        if is_followed && self.store.final_checkpoint(row.tree_id).await?.is_some() {
            return Ok(None);
        }
        let tree = Tree::of(row, api)?;
        let from = match ours.get(place) {
            Some(row) => {
                load_head(self.store.reader().as_mut(), row.tree_id)
                    .await?
                    .size
            }
            None => TreeSize(0),
        };
        let to = self.source.head(&tree).await?;
        if to.size < from {
            let found = describe(to.size, &to.root);
            return Err(self.behind(format_args!(
                "has tree {} up to {found}, and the database has size {from}",
                row.tree_id
            )));
        }
        let next = theirs.get(place + 1).filter(|_| !is_followed);
        Ok(Some(Step {
            row: row.clone(),
            from,
            to,
            next: next.cloned(),
            begins_log: ours.is_empty() && place == 0,
            tree,
        }))
    }

    /// Computes the root of each tree from the head of the database and the leaf hashes of the
    /// source, at the floor and at the source's head.
    async fn verify(
        &self,
        steps: &[Step],
        floor: Option<&GuardedHead>,
        report: Report<'_>,
    ) -> Result<(), RecoverError> {
        let (mut done, total) = (0, steps.iter().map(Step::entries).sum());
        for step in steps {
            let floor = floor.filter(|floor| floor.tree == step.row.tree_id);
            let mut edge = load_head(self.store.reader().as_mut(), step.tree.id)
                .await?
                .edge;
            if let Some(floor) = floor {
                self.check_floor_below(step, floor, &edge).await?;
            }
            while edge.size() < step.to.size {
                let start = edge.size().0;
                let end = end_of_piece(start, step.to, floor);
                let hashes = self.source.leaf_hashes(step.tree.id, start..end).await?;
                if hashes.len() as u64 != end - start {
                    return Err(self.behind(format_args!("lacks leaf hashes from {start} on")));
                }
                edge.append(&hashes);
                if let Some(floor) = floor.filter(|floor| floor.size() == edge.size()) {
                    self.check_root(step, &edge, floor.root(), "was published")?;
                }
                done += end - start;
                report(Progress::Verified(done, total));
            }
            self.check_root(step, &edge, step.to.root, "is the head of the source")?;
        }
        Ok(())
    }

    /// Checks a floor that the database has passed, and that the source reaches the floor.
    async fn check_floor_below(
        &self,
        step: &Step,
        floor: &GuardedHead,
        edge: &Edge,
    ) -> Result<(), RecoverError> {
        if floor.size() > step.to.size {
            let (size, to) = (floor.size(), describe(step.to.size, &step.to.root));
            return Err(self.behind(format_args!(
                "has tree {} up to {to}, and size {size} was published",
                step.row.tree_id
            )));
        }
        if floor.size() > edge.size() {
            return Ok(());
        }
        let mut reader = self.store.reader();
        let edge = load_edge(reader.as_mut(), floor.tree, floor.size()).await?;
        self.check_root(step, &edge, floor.root(), "was published")
    }

    fn check_root(
        &self,
        step: &Step,
        edge: &Edge,
        wanted: tlog::Hash,
        why: &str,
    ) -> Result<(), RecoverError> {
        if edge.root() == wanted {
            return Ok(());
        }
        Err(RecoverError::OtherHistory(format!(
            "from size {} on the entries of {} lead tree {} to {}, but {} {why}",
            step.from,
            self.source.label(),
            step.row.tree_id,
            describe(edge.size(), &edge.root()),
            describe(edge.size(), &wanted)
        )))
    }

    /// Adds all that is missing. If it ends half way, the next run continues from there.
    pub async fn carry_out(
        &self,
        plan: &Plan,
        report: Report<'_>,
    ) -> Result<Option<Outcome>, RecoverError> {
        let (mut done, total) = (0, plan.entries());
        let mut outcome = None;
        for step in &plan.steps {
            if step.begins_log && !self.store.create_trees(&[active(&step.row)]).await? {
                return Err(RecoverError::Overtaken);
            }
            self.forget_rotation(&step.row).await?;
            self.add_timestamps(step).await?;
            self.add_rounds(step, &mut done, total, report).await?;
            self.add_publications(step).await?;
            if let Some(next) = &step.next {
                self.freeze(step, next).await?;
            }
            self.finish(step).await?;
            outcome = Some(Outcome {
                tree: step.row.tree_id,
                size: step.to.size,
                root: step.to.root,
            });
        }
        Ok(outcome)
    }

    async fn add_rounds(
        &self,
        step: &Step,
        done: &mut u64,
        total: u64,
        report: Report<'_>,
    ) -> Result<(), RecoverError> {
        let base = load_head(self.store.reader().as_mut(), step.tree.id).await?;
        let label = self.source.label();
        let mut reached = base.size;
        if reached == step.to.size {
            return Ok(());
        }
        let mut replay = Replay::new(self.store, &step.tree, self.derive, label, &base).await?;
        while reached < step.to.size {
            let page = self
                .source
                .page(step.tree.id, reached, step.to.size)
                .await?;
            if page.rounds.is_empty() {
                return Err(self.behind(format_args!("has no round after size {reached}")));
            }
            for round in page.rounds {
                let (size, entries) = (round.head.size, round.entries.len() as u64);
                replay.add(round).await?;
                reached = size;
                *done += entries;
                report(Progress::Copied(*done, total));
            }
            self.add_publications(step).await?;
        }
        Ok(())
    }

    /// Freezes the tree of a step and opens the next one, as the source has both.
    ///
    /// Dies here: the next run finds the key registered, or the next tree open.
    async fn freeze(&self, step: &Step, next: &TreeRow) -> Result<(), RecoverError> {
        let (log, spki) = (log_of(next), log_key(next)?);
        if !self.store.register_next_key(log, spki).await? {
            return Err(RecoverError::Overtaken);
        }
        let frozen = self.store.freeze(step.tree.id, &active(next)).await?;
        let is_as_it_was = |last: HeadRow| (last.size, last.root) == (step.to.size, step.to.root);
        match frozen {
            Freeze::Done(last) if is_as_it_was(last) => {}
            _ => return Err(RecoverError::Overtaken),
        }
        self.forget_rotation(next).await
    }

    /// Removes the registered key if a tree has it: there is no rotation to report.
    async fn forget_rotation(&self, tree: &TreeRow) -> Result<(), RecoverError> {
        let forget = self.store.forget_next_key(log_of(tree), log_key(tree)?);
        Ok(forget.await?)
    }

    fn behind(&self, what: impl std::fmt::Display) -> RecoverError {
        RecoverError::Behind(format!("{} {what}", self.source.label()))
    }
}

/// Returns the end of the leaf hashes that are fetched together: within one tile, and none across
/// the floor.
fn end_of_piece(start: u64, to: SourceHead, floor: Option<&GuardedHead>) -> u64 {
    let width = TILE_WIDTH as u64;
    let end = ((start / width + 1) * width).min(to.size.0);
    match floor.map(|floor| floor.size().0) {
        Some(floor) if floor > start => end.min(floor),
        _ => end,
    }
}

/// Returns a tree as it was created.
fn active(row: &TreeRow) -> TreeRow {
    TreeRow {
        state: TreeState::Active,
        frozen_at: None,
        ..row.clone()
    }
}

fn log_of(tree: &TreeRow) -> LogName<'_> {
    LogName {
        name: &tree.name,
        api: &tree.api,
    }
}

fn log_key(tree: &TreeRow) -> Result<&[u8], StoreError> {
    let key = tree.keys.iter().find(|key| key.role == KeyRole::Log);
    let absent = || {
        let tree = tree.tree_id;
        StoreError::Damaged(format!("table tree_key: tree {tree} has no log key"))
    };
    Ok(&key.ok_or_else(absent)?.spki)
}

/// Whether the entries of a tree have signed entry timestamps.
fn has_timestamps(tree: &Tree) -> bool {
    tree.api.heads == HeadForm::RekorV1
}
