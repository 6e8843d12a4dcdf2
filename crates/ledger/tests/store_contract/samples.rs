//! Rounds to store: leaf bytes, hashes and roots are made up, the store does not look into them.

use std::sync::Arc;

use ledger::TreeId;
use ledger::store::{
    Attestation, ClaimRules, Commit, EntryRow, HeadRow, IndexKeys, KeyRole, KeyRow, LogName,
    NewClaims, Round, Store, TimestampRow, TreeRow, TreeState, Writer,
};
use tlog::{EMPTY_ROOT, FullTile, Hash, LeafIndex, TileId, TreeSize, sha256};
use tokio::time::Instant;

/// A time that every test starts at, Unix seconds.
pub(crate) const START: i64 = 1_700_000_000;

/// The log key that [`tree`] stores.
pub(crate) const SPKI: &[u8] = b"der of a key";

/// The log of the tree that [`one_tree`] makes.
pub(crate) const LOG: LogName<'_> = LogName {
    name: "a",
    api: "v1",
};

pub(crate) fn tree(id: i64, name: &str) -> TreeRow {
    TreeRow {
        tree_id: TreeId(id),
        name: name.to_owned(),
        api: "v1".to_owned(),
        origin: format!("{name}/{id}"),
        first_log_index: 7,
        max_leaf_bytes: 65_535,
        state: TreeState::Active,
        created_at: START,
        frozen_at: None,
        keys: vec![
            KeyRow {
                role: KeyRole::Log,
                spki: SPKI.to_vec(),
            },
            KeyRow {
                role: KeyRole::Checkpoint,
                spki: b"der of another".to_vec(),
            },
        ],
    }
}

/// A key of every entry.
pub(crate) const SOMEONE: &str = "someone@example.com";

pub(crate) fn index_keys(texts: &[&str]) -> IndexKeys {
    IndexKeys::of(texts)
}

pub(crate) fn entry(text: &str) -> EntryRow {
    EntryRow {
        leaf_hash: sha256(text.as_bytes()),
        kind: "hashedrekord:0.0.1".to_owned(),
        body: text.as_bytes().to_vec(),
        index_keys: index_keys(&[&format!("sha256:{text}"), SOMEONE]),
        attestation: None,
        claims: Vec::new(),
        claim_rules: ClaimRules::default(),
    }
}

pub(crate) fn entries(prefix: &str, count: usize) -> Vec<EntryRow> {
    (0..count)
        .map(|number| entry(&format!("{prefix} {number}")))
        .collect()
}

/// The entry of a round, to be changed before the round is sent.
pub(crate) fn entry_of(round: &mut Round, number: usize) -> &mut EntryRow {
    Arc::make_mut(&mut round.entries[number])
}

pub(crate) fn attestation(text: &str) -> Attestation {
    Attestation {
        digest: sha256(text.as_bytes()),
        data: text.as_bytes().to_vec(),
    }
}

pub(crate) fn full_tile(level: u8, index: u64) -> FullTile {
    let hashes: Vec<Hash> = (0..256)
        .map(|place| sha256(format!("{level} {index} {place}").as_bytes()))
        .collect();
    FullTile {
        id: TileId { level, index },
        root: sha256(format!("root of {level} {index}").as_bytes()),
        hashes,
    }
}

pub(crate) fn timestamp(leaf_index: u64, signature: &str) -> TimestampRow {
    TimestampRow {
        leaf_index: LeafIndex(leaf_index),
        signature: signature.as_bytes().into(),
    }
}

pub(crate) fn root(size: u64) -> Hash {
    if size == 0 {
        EMPTY_ROOT
    } else {
        sha256(format!("root {size}").as_bytes())
    }
}

/// A round onto a tree of `prev_size` with made-up roots.
pub(crate) async fn round(
    store: &dyn Store,
    tree_id: TreeId,
    prev_size: u64,
    entries: Vec<EntryRow>,
) -> Round {
    let size = prev_size + entries.len() as u64;
    Round {
        tree_id,
        log_key_spki: SPKI.to_vec(),
        prev_root: root(prev_size),
        head: HeadRow {
            prev_size: TreeSize(prev_size),
            size: TreeSize(size),
            root: root(size),
            time: START + i64::try_from(size).unwrap(),
        },
        entries: entries.into_iter().map(Arc::new).collect(),
        full_tiles: Vec::new(),
        timestamps: Vec::new(),
        claims: NewClaims::default(),
        local_millis: store.now_millis().await.unwrap(),
        read_at: Instant::now(),
    }
}

/// A tree called `a`, and a writer to it.
pub(crate) async fn one_tree(store: &dyn Store) -> (TreeId, Box<dyn Writer>) {
    let row = tree(1, "a");
    assert!(
        store
            .create_trees(std::slice::from_ref(&row))
            .await
            .unwrap()
    );
    (row.tree_id, store.writer().await.unwrap())
}

/// Commits `count` entries onto a tree of `prev_size`.
pub(crate) async fn grow(
    store: &dyn Store,
    writer: &mut dyn Writer,
    tree_id: TreeId,
    prev_size: u64,
    count: usize,
) -> Round {
    let round = round(
        store,
        tree_id,
        prev_size,
        entries(&format!("entry from {prev_size}:"), count),
    )
    .await;
    assert_eq!(writer.commit(&round).await.unwrap(), Commit::Done);
    round
}
