//! Rows as both databases return them, and their conversion to the types of the contract.

use sqlx::FromRow;
use tlog::{FullTile, Hash, LeafIndex, TileId, TreeSize};

use super::checksum::{EntryFacts, of_publication, of_timestamp};
use super::encoding::{full_tile, hash, role, state, unpack_digests};
use super::error::{StoreError, StoreResult};
use super::numbers::from_sql;
use super::packed_keys::meets;
use super::rotation::ServerRow;
use super::rows::{Attestation, HeadRow, KeyRow, PublicationRow, StoredEntry, TreeRow};
use super::search::{Condition, FoundEntry, KeyQuery, Page};
use crate::TreeId;

/// A row of `head`.
#[derive(FromRow)]
pub(crate) struct HeadRecord {
    prev_size: i64,
    size: i64,
    root: Vec<u8>,
    time: i64,
}

impl HeadRecord {
    /// Makes a record from the columns of an outer join.
    pub(crate) fn of_columns(
        prev_size: Option<i64>,
        size: Option<i64>,
        root: Option<Vec<u8>>,
        time: Option<i64>,
    ) -> Option<Self> {
        Some(Self {
            prev_size: prev_size?,
            size: size?,
            root: root?,
            time: time?,
        })
    }

    pub(crate) fn into_head(self) -> StoreResult<HeadRow> {
        Ok(HeadRow {
            prev_size: TreeSize(from_sql(self.prev_size, "head.prev_size")?),
            size: TreeSize(from_sql(self.size, "head.size")?),
            root: hash(&self.root, "head.root")?,
            time: self.time,
        })
    }
}

/// A row of `publication`.
#[derive(FromRow)]
pub(crate) struct PublicationRecord {
    prev_size: i64,
    size: i64,
    root: Vec<u8>,
    time: i64,
    checkpoint: String,
    checksum: Vec<u8>,
}

impl PublicationRecord {
    /// Returns the publication. Fails if its row does not have its checksum.
    pub(crate) fn into_publication(self, tree: TreeId) -> StoreResult<PublicationRow> {
        let publication = PublicationRow {
            prev_size: u64::try_from(self.prev_size).ok().map(TreeSize),
            size: TreeSize(from_sql(self.size, "publication.size")?),
            root: hash(&self.root, "publication.root")?,
            time: self.time,
            checkpoint: self.checkpoint,
        };
        if of_publication(tree, &publication)?.as_slice() != self.checksum {
            return Err(StoreError::Damaged(format!(
                "table publication: the row of size {} does not have its checksum",
                publication.size
            )));
        }
        Ok(publication)
    }
}

/// A row of `tree` with one of its keys, if it has any.
#[derive(FromRow)]
pub(crate) struct TreeRecord {
    tree_id: i64,
    name: String,
    api: String,
    origin: String,
    first_log_index: i64,
    max_leaf_bytes: i64,
    state: String,
    created_at: i64,
    frozen_at: Option<i64>,
    role: Option<String>,
    spki: Option<Vec<u8>>,
}

/// Returns trees with their keys, from rows in which those of one tree are neighbours.
pub(crate) fn into_trees(records: Vec<TreeRecord>) -> StoreResult<Vec<TreeRow>> {
    let mut trees: Vec<TreeRow> = Vec::new();
    for record in records {
        let key = match (&record.role, &record.spki) {
            (Some(name), Some(spki)) => Some(KeyRow {
                role: role(name)?,
                spki: spki.clone(),
            }),
            _ => None,
        };
        match trees.last_mut() {
            Some(tree) if tree.tree_id.0 == record.tree_id => tree.keys.extend(key),
            _ => trees.push(into_tree(record, key)?),
        }
    }
    Ok(trees)
}

fn into_tree(record: TreeRecord, key: Option<KeyRow>) -> StoreResult<TreeRow> {
    Ok(TreeRow {
        tree_id: TreeId(record.tree_id),
        name: record.name,
        api: record.api,
        origin: record.origin,
        first_log_index: from_sql(record.first_log_index, "tree.first_log_index")?,
        max_leaf_bytes: u32::try_from(record.max_leaf_bytes).map_err(|_| {
            StoreError::Damaged(format!("tree.max_leaf_bytes is {}", record.max_leaf_bytes))
        })?,
        state: state(&record.state)?,
        created_at: record.created_at,
        frozen_at: record.frozen_at,
        keys: key.into_iter().collect(),
    })
}

/// A row of `tile`.
#[derive(FromRow)]
pub(crate) struct TileRecord {
    index: i64,
    root: Vec<u8>,
    hashes: Vec<u8>,
}

impl TileRecord {
    pub(crate) fn into_full_tile(self, level: u8) -> StoreResult<FullTile> {
        let id = TileId {
            level,
            index: from_sql(self.index, "tile.index")?,
        };
        full_tile(id, &self.root, &self.hashes)
    }
}

/// A row of `entry` with what is stored beside it.
#[derive(FromRow)]
pub(crate) struct EntryRecord {
    leaf_index: i64,
    leaf_hash: Vec<u8>,
    time: i64,
    kind: String,
    attested: bool,
    checksum: Vec<u8>,
    body: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    signature_checksum: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
}

impl EntryRecord {
    /// Returns the entry. Fails if its row does not have its checksum.
    pub(crate) fn into_stored(self, tree: TreeId) -> StoreResult<StoredEntry> {
        let leaf_index = LeafIndex(from_sql(self.leaf_index, "entry.leaf_index")?);
        let leaf_hash = hash(&self.leaf_hash, "entry.leaf_hash")?;
        self.facts(tree, &leaf_hash).check(&self.checksum)?;
        if !self.timestamp_has_checksum(tree) {
            return Err(StoreError::Damaged(format!(
                "table signed_entry_timestamp: the row of leaf index {leaf_index} does not have its \
                 checksum"
            )));
        }
        Ok(StoredEntry {
            leaf_index,
            leaf_hash,
            time: self.time,
            kind: self.kind,
            body: self.body,
            signed_entry_timestamp: self.signature,
            attested: self.attested,
            attestation: attestation(self.digest, self.data)?,
        })
    }

    /// Returns whether its signed entry timestamp, if it has one, is in a row that was not changed.
    fn timestamp_has_checksum(&self, tree: TreeId) -> bool {
        let Some(signature) = &self.signature else {
            return true;
        };
        let checksum = of_timestamp(tree, self.leaf_index, signature);
        self.signature_checksum.as_deref() == Some(checksum.as_slice())
    }

    fn facts<'r>(&'r self, tree: TreeId, leaf_hash: &'r Hash) -> EntryFacts<'r> {
        EntryFacts {
            tree,
            leaf_index: self.leaf_index,
            time: self.time,
            leaf_hash,
            attested: self.attested,
            kind: &self.kind,
        }
    }
}

/// Returns leaf indexes with the bytes of their entries.
pub(crate) fn into_sizes(rows: Vec<(i64, i64)>) -> StoreResult<Vec<(u64, u64)>> {
    let size = |(index, bytes)| {
        let index = from_sql(index, "entry.leaf_index")?;
        Ok((index, from_sql(bytes, "a length")?))
    };
    rows.into_iter().map(size).collect()
}

/// A row of `server`.
#[derive(FromRow)]
pub(crate) struct ServerRecord {
    server_id: String,
    name: String,
    place: String,
    keys: Vec<u8>,
    vouches: bool,
    seen: i64,
}

impl ServerRecord {
    pub(crate) fn into_server(self) -> StoreResult<ServerRow> {
        let Self {
            server_id,
            name,
            place,
            keys,
            vouches,
            seen,
        } = self;
        Ok(ServerRow {
            server_id,
            name,
            place,
            keys: unpack_digests(&keys)?,
            vouches,
            seen,
        })
    }
}

fn attestation(digest: Option<Vec<u8>>, data: Option<Vec<u8>>) -> StoreResult<Option<Attestation>> {
    match (digest, data) {
        (Some(digest), Some(data)) => Ok(Some(Attestation {
            digest: hash(&digest, "attestation.digest")?,
            data,
        })),
        _ => Ok(None),
    }
}

/// A row of `entry` that a search found, with its packed key texts.
#[derive(FromRow)]
pub(crate) struct FoundRecord {
    leaf_index: i64,
    leaf_hash: Vec<u8>,
    time: i64,
    kind: String,
    attested: bool,
    checksum: Vec<u8>,
    /// `None` where the search does not ask for keys, or where they are too long to be read with
    /// those of other entries.
    index_keys: Option<Vec<u8>>,
    /// Whether its key texts were read alone and do not meet the search.
    #[sqlx(skip)]
    is_other: bool,
}

impl FoundRecord {
    pub(crate) fn leaf_index(&self) -> i64 {
        self.leaf_index
    }

    /// Compares its key texts, which were read alone, with a search.
    pub(crate) fn compare(&mut self, keys: &[u8], conditions: &[Condition]) -> StoreResult<()> {
        let leaf_index = from_sql(self.leaf_index, "entry.leaf_index")?;
        self.is_other = !meets(keys, conditions, leaf_index)?;
        Ok(())
    }
}

/// Returns the rows whose key texts a search of these conditions has yet to compare: the long ones.
pub(crate) fn with_long_keys<'r>(
    rows: &'r mut [FoundRecord],
    conditions: &[Condition],
) -> impl Iterator<Item = &'r mut FoundRecord> {
    let asks = ask_for_keys(conditions);
    rows.iter_mut()
        .filter(move |row| asks && row.index_keys.is_none())
}

/// A row that one of several searches found.
#[derive(FromRow)]
pub(crate) struct PlacedRecord {
    /// Number of the search, from 1.
    pub(crate) place: i64,
    #[sqlx(flatten)]
    pub(crate) found: FoundRecord,
}

/// Tells whether a search of these conditions compares the key texts of the entries.
pub(crate) fn ask_for_keys(conditions: &[Condition]) -> bool {
    let is_of_keys = |condition: &Condition| matches!(condition, Condition::Keys(_));
    conditions.iter().any(is_of_keys)
}

/// Returns the entries of rows, without those whose key texts do not meet `conditions`.
pub(crate) fn into_found(
    tree: TreeId,
    rows: Vec<FoundRecord>,
    conditions: &[Condition],
) -> StoreResult<Vec<FoundEntry>> {
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let leaf_index = from_sql(row.leaf_index, "entry.leaf_index")?;
        if row.is_other {
            continue;
        }
        // Key texts that share 16 bytes of their SHA-256 are not the same.
        if let Some(keys) = &row.index_keys
            && !meets(keys, conditions, leaf_index)?
        {
            continue;
        }
        let leaf_hash = hash(&row.leaf_hash, "entry.leaf_hash")?;
        let facts = EntryFacts {
            tree,
            leaf_index: row.leaf_index,
            time: row.time,
            leaf_hash: &leaf_hash,
            attested: row.attested,
            kind: &row.kind,
        };
        facts.check(&row.checksum)?;
        entries.push(FoundEntry {
            leaf_index: LeafIndex(leaf_index),
            leaf_hash,
            time: row.time,
            kind: row.kind,
        });
    }
    Ok(entries)
}

/// Returns the page of a key from its rows in the range: all of them, or the newest `limit`.
/// `conditions` are those of the query.
pub(crate) fn key_page(
    tree: TreeId,
    rows: Vec<FoundRecord>,
    query: &KeyQuery,
    conditions: &[Condition],
    limit: u32,
) -> StoreResult<Page> {
    let last = rows
        .last()
        .filter(|_| rows.len() >= limit as usize)
        .map(|row| row.leaf_index);
    let down_to = match last {
        Some(last) => from_sql(last, "entry.leaf_index")?,
        None => query.range.start,
    };
    Ok(Page {
        entries: into_found(tree, rows, conditions)?,
        down_to,
    })
}
