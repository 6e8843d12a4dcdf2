//! The queries of a rotation, and the rows of servers.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use ledger::TreeId;
use ledger::store::*;
use tlog::LeafIndex;

use super::faults::Fault;
use super::tables::key_of;
use super::{SimStore, State};

#[async_trait]
impl Rotation for SimStore {
    async fn register_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<bool> {
        let (log, spki) = (key_of(log), spki.to_vec());
        self.write(
            "register_next_key",
            StoreError::UnknownOutcome,
            move |state| {
                let mut others = state.tables.next_keys.iter();
                let is_others = others.any(|(other, key)| *other != log && *key == spki);
                let is_used = is_others || state.tables.has_key(&spki);
                if !is_used {
                    state.tables.next_keys.insert(log, spki);
                }
                !is_used
            },
        )
        .await
    }

    async fn next_key(&self, log: LogName<'_>) -> StoreResult<Option<Vec<u8>>> {
        self.read("next_key", |state| {
            Ok(state.tables.next_keys.get(&key_of(log)).cloned())
        })
        .await
    }

    async fn forget_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<()> {
        let (log, spki) = (key_of(log), spki.to_vec());
        self.write(
            "forget_next_key",
            StoreError::UnknownOutcome,
            move |state| {
                state.tables.forget_next_key(&log, &spki);
            },
        )
        .await
    }

    async fn withdraw_next_key(
        &self,
        tree: TreeId,
        log: LogName<'_>,
        spki: &[u8],
    ) -> StoreResult<bool> {
        let mut connection = self.connect();
        connection.begin_exclusive(tree).await?;
        let (log, spki) = (key_of(log), spki.to_vec());
        self.write(
            "withdraw_next_key",
            StoreError::UnknownOutcome,
            move |state| {
                let is_used = state.tables.has_key(&spki);
                !is_used && state.tables.forget_next_key(&log, &spki)
            },
        )
        .await
    }

    async fn note_server(&self, server: &ServerRow) -> StoreResult<()> {
        let server = server.clone();
        self.write("note_server", StoreError::Unavailable, move |state| {
            if state.moves_since.is_none() {
                state.millis += 1;
            }
            let row = ServerRow {
                seen: state.now_millis(),
                ..server
            };
            state.tables.servers.insert(row.server_id.clone(), row);
        })
        .await
    }

    async fn forget_server(&self, server_id: &str) -> StoreResult<()> {
        let server_id = server_id.to_owned();
        self.write("forget_server", StoreError::Unavailable, move |state| {
            state.tables.servers.remove(&server_id);
        })
        .await
    }

    async fn servers(&self, name: &str, age: Duration) -> StoreResult<Vec<ServerRow>> {
        self.read("servers", |state| {
            let now = state.now_millis();
            let is_within = |row: &ServerRow, age: Duration| {
                let age = i64::try_from(age.as_millis()).unwrap();
                now - row.seen <= age
            };
            let rows = &mut state.tables.servers;
            rows.retain(|_, row| is_within(row, FORGOTTEN_AFTER));
            let young = rows
                .values()
                .filter(|row| row.name == name && is_within(row, age));
            Ok(young.cloned().collect())
        })
        .await
    }

    async fn freeze(&self, tree: TreeId, next: &TreeRow) -> StoreResult<Freeze> {
        let mut connection = self.connect();
        connection.begin_exclusive(tree).await?;
        let fault = match self.begin("freeze").await {
            Fault::None => self.with(|state| state.fault(tree)),
            fault => fault,
        };
        let fault = match fault {
            Fault::Conflict => Fault::Refused,
            // Its transaction has the lock already.
            Fault::Late | Fault::Running => Fault::LostAfter,
            fault => fault,
        };
        let next = next.clone();
        let freeze = move |state: &mut State| state.freeze(tree, &next);
        self.write_with(fault, StoreError::UnknownOutcome, freeze)
            .await
    }

    async fn unsigned(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<LeafIndex>> {
        self.read("unsigned", |state| {
            let signed = &state.tables.of(tree).timestamps;
            let all = range.map(LeafIndex);
            Ok(all.filter(|index| !signed.contains_key(index)).collect())
        })
        .await
    }

    async fn keep_final(&self, tree: TreeId, last: &FinalCheckpoint) -> StoreResult<()> {
        let last = last.clone();
        self.write("keep_final", StoreError::UnknownOutcome, move |state| {
            let standing = state.tables.standing(tree);
            if standing.is_some_and(|standing| standing.state == TreeState::Frozen) {
                state.tables.last_texts.entry(tree.0).or_insert(last);
            }
        })
        .await
    }

    async fn final_checkpoint(&self, tree: TreeId) -> StoreResult<Option<FinalCheckpoint>> {
        self.read("final_checkpoint", |state| {
            Ok(state.tables.last_texts.get(&tree.0).cloned())
        })
        .await
    }
}
