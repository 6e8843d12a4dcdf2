//! The statements that write, each of which is a transaction.

use std::sync::Arc;

use ledger::TreeId;
use ledger::store::*;
use tlog::{Hash, LeafIndex, TreeSize};

use super::State;

impl State {
    /// Decides on a snapshot that may be older than this moment, as a statement of Postgres does:
    /// only the lock and the primary key of `head` tell what came since.
    pub(super) fn commit(
        &mut self,
        round: &Round,
        snapshot: Option<Standing>,
        id: u64,
    ) -> Result<Commit, StoreError> {
        let tree = round.tree_id;
        if self.locked_by.get(&tree.0).is_some_and(|by| *by != id) {
            return Ok(Commit::LostRace);
        }
        if round
            .entries
            .iter()
            .any(|row| Some(row.leaf_hash) == self.poison)
        {
            return Err(StoreError::Data("poison".into()));
        }
        let Some(Standing {
            state: TreeState::Active,
            head,
        }) = snapshot
        else {
            return Ok(Commit::NotOurs);
        };
        let newest = head.map_or((TreeSize(0), tlog::EMPTY_ROOT), |head| {
            (head.size, head.root)
        });
        if let Some(commit) = self.skew(round) {
            return Ok(commit);
        }
        if newest != (round.head.prev_size, round.prev_root) {
            return Ok(Commit::LostRace);
        }
        let hashes: Vec<Hash> = round.entries.iter().map(|row| row.leaf_hash).collect();
        let stored = self.tables.of(tree).find(&hashes, newest.0);
        if !stored.is_empty() {
            return Ok(Commit::Duplicates(stored));
        }
        if !round.claims.rows.is_empty() && self.claims_locked_by.is_some_and(|by| by != id) {
            return Ok(Commit::LostRace);
        }
        let is_taken =
            |(claim, _): &&(Claim, LeafIndex)| self.tables.claims.contains_key(&claim.place());
        if round.claims.taken == Taken::Refused
            && round.claims.rows.iter().any(|row| is_taken(&row))
        {
            return Err(StoreError::Conflict("taken".into()));
        }
        let rows = self.tables.of_mut(tree);
        if rows
            .heads
            .iter()
            .any(|head| head.prev_size == round.head.prev_size)
        {
            return Ok(Commit::LostRace);
        }
        assert_eq!(
            round.head.size.0 - round.head.prev_size.0,
            round.entries.len() as u64
        );
        rows.heads.push(round.head);
        rows.entries.extend(
            round
                .entries
                .iter()
                .map(|row| (Arc::clone(row), round.head.time)),
        );
        rows.tiles
            .extend(round.full_tiles.iter().map(|tile| (tile.id, tile.clone())));
        for (claim, index) in &round.claims.rows {
            let first = (claim.clone(), tree, *index);
            self.tables.claims.entry(claim.place()).or_insert(first);
        }
        let rows = self.tables.of_mut(tree);
        for row in &round.timestamps {
            rows.timestamps
                .entry(row.leaf_index)
                .or_insert_with(|| row.signature.to_vec());
        }
        Ok(Commit::Done)
    }
}

impl State {
    /// The difference of the clocks, if a round may not commit because of it.
    fn skew(&self, round: &Round) -> Option<Commit> {
        self.moves_since?;
        let skew = self.now_millis() - round.local_millis;
        let under_way = i64::try_from(round.read_at.elapsed().as_millis()).unwrap();
        let differs = skew.abs() > MAX_CLOCK_SKEW_MILLIS;
        // The database's clock was read at some moment within the time under way.
        let least = 0.clamp(skew.saturating_sub(under_way), skew);
        differs.then_some(Commit::ClockSkew(least))
    }

    pub(super) fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> bool {
        let rows = self.tables.of_mut(tree);
        let newest = rows.publications.last().map(|row| row.size);
        let follows = newest == publication.prev_size;
        if follows {
            assert!(newest < Some(publication.size), "the published size grows");
            rows.publications.push(publication.clone());
        }
        follows
    }
}

impl State {
    pub(super) fn freeze(&mut self, tree: TreeId, next: &TreeRow) -> Freeze {
        let log = (next.name.clone(), next.api.clone());
        let registered = self.tables.next_keys.get(&log);
        let is_registered = registered == next.keys.first().map(|key| &key.spki)
            && registered.is_none_or(|spki| !self.tables.has_key(spki));
        let mut trees = self.tables.trees.iter_mut();
        let old = trees.find(|row| row.tree_id == tree && row.state == TreeState::Active);
        let Some(old) = old.filter(|_| is_registered) else {
            return Freeze::Refused;
        };
        old.state = TreeState::Frozen;
        let first = old.first_log_index;
        let rows = self.tables.rows.entry(tree.0).or_default();
        let last = match rows.heads.last() {
            Some(head) => HeadRow {
                prev_size: head.size,
                ..*head
            },
            None => HeadRow {
                prev_size: TreeSize(0),
                size: TreeSize(0),
                root: tlog::EMPTY_ROOT,
                time: 0,
            },
        };
        rows.heads.push(last);
        old.frozen_at = Some(next.created_at.max(last.time));
        self.tables.trees.push(TreeRow {
            first_log_index: first + last.size.0,
            ..next.clone()
        });
        Freeze::Done(last)
    }
}
