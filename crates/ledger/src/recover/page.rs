//! Rounds as a copy of the database has them, read in pages.

use std::ops::Range;

use tlog::{LeafIndex, TreeSize};

use crate::ids::TreeId;
use crate::store::{Attestation, AuditEntry, HeadRow, Store, StoreError, StoreResult};
use crate::writing::new_entry::NewClaim;
use crate::writing::rounds::{MAX_ROUND_BYTES, MAX_ROUND_ENTRIES};

/// Heads of one page: each has one entry at least.
const PAGE_HEADS: u32 = MAX_ROUND_ENTRIES as u32;
/// Entries of a page: those of the largest round.
const PAGE_ENTRIES: u64 = MAX_ROUND_ENTRIES as u64;
/// Bytes of the leaves, key texts and attestations of a page. Its first round may have more.
const PAGE_BYTES: u64 = MAX_ROUND_BYTES as u64;
/// Entries of one read.
const ENTRIES_AT_ONCE: u64 = 64;

/// Rounds that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rounds, ascending. None at the end of the tree.
    pub rounds: Vec<CopiedRound>,
}

/// A round as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedRound {
    /// Its head.
    pub head: HeadRow,
    /// Its entries, in order.
    pub entries: Vec<CopiedEntry>,
}

/// An entry of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedEntry {
    /// Kind and version tag.
    pub kind: String,
    /// The leaf bytes.
    pub body: Vec<u8>,
    /// Full texts of its index keys.
    pub index_keys: Vec<String>,
    /// The claims that it was the first to make.
    pub claims: Vec<NewClaim>,
    /// Its signed entry timestamp, if one is stored.
    pub signed_entry_timestamp: Option<Vec<u8>>,
    /// Whether it was stored with an attestation.
    pub attested: bool,
    /// Its attestation, if that is there. An erased one has no data.
    pub attestation: Option<Attestation>,
}

/// Reads the whole rounds that follow the size `from`, none beyond `end`.
///
/// # Errors
///
/// [`StoreError::Damaged`] if an entry lacks its row or its leaf bytes, or has another time than its
/// round.
pub(crate) async fn read(
    store: &dyn Store,
    tree: TreeId,
    from: TreeSize,
    end: TreeSize,
) -> StoreResult<Page> {
    let heads = whole_rounds(store, tree, from, end).await?;
    let mut rounds = Vec::with_capacity(heads.len());
    let Some(last) = heads.last() else {
        return Ok(Page { rounds });
    };
    let mut entries = entries(store, tree, from.0..last.size.0).await?.into_iter();
    for head in heads {
        let count = head.size.0 - head.prev_size.0;
        let mut round = Vec::with_capacity(count as usize);
        for entry in entries.by_ref().take(count as usize) {
            let index = entry.leaf_index;
            if entry.time != head.time {
                return Err(StoreError::Damaged(format!(
                    "table entry: leaf index {index} and the head of its round have different times"
                )));
            }
            round.push(copied(entry)?);
        }
        rounds.push(CopiedRound {
            head,
            entries: round,
        });
    }
    Ok(Page { rounds })
}

/// Returns the heads of the rounds of a page. They follow each other from `from` on.
async fn whole_rounds(
    store: &dyn Store,
    tree: TreeId,
    from: TreeSize,
    end: TreeSize,
) -> StoreResult<Vec<HeadRow>> {
    let mut heads = store.heads(tree, from, PAGE_HEADS).await?;
    // The last head of a frozen tree adds nothing.
    heads.retain(|head| head.prev_size < head.size && head.size <= end);
    if heads.is_empty() {
        return Ok(heads);
    }
    let sizes = store.audit_sizes(tree, from.0..from.0.saturating_add(PAGE_ENTRIES));
    let sizes = sizes.await?;
    let bytes_below = |size: TreeSize| {
        let below = sizes.iter().take_while(|(index, _)| *index < size.0);
        below.map(|(_, bytes)| bytes).sum::<u64>()
    };
    let (mut page, mut reached): (Vec<HeadRow>, _) = (Vec::new(), from);
    for head in heads {
        let entries = head.size.0 - from.0;
        if head.prev_size != reached || (page.is_empty() && entries > PAGE_ENTRIES) {
            return Err(StoreError::Damaged(format!(
                "table head: the head after size {reached} is missing"
            )));
        }
        let is_full = entries > PAGE_ENTRIES || bytes_below(head.size) > PAGE_BYTES;
        if is_full && !page.is_empty() {
            break;
        }
        reached = head.size;
        page.push(head);
    }
    Ok(page)
}

/// Reads all entries of a range.
async fn entries(
    store: &dyn Store,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<AuditEntry>> {
    let mut entries = Vec::with_capacity((range.end - range.start) as usize);
    for start in range.clone().step_by(ENTRIES_AT_ONCE as usize) {
        let end = range.end.min(start + ENTRIES_AT_ONCE);
        entries.extend(store.audit_entries(tree, start..end).await?);
    }
    let found = entries.iter().map(|entry| entry.leaf_index);
    match range.clone().map(LeafIndex).eq(found) {
        true => Ok(entries),
        false => Err(StoreError::Damaged(format!(
            "table entry: leaf indexes from {} to {} are not all there",
            range.start, range.end
        ))),
    }
}

fn copied(entry: AuditEntry) -> StoreResult<CopiedEntry> {
    let index = entry.leaf_index;
    let missing = || StoreError::Damaged(format!("table body: leaf index {index} is missing"));
    Ok(CopiedEntry {
        kind: entry.kind,
        body: entry.body.ok_or_else(missing)?,
        index_keys: entry.index_keys,
        claims: entry.claims.into_iter().map(NewClaim::from).collect(),
        signed_entry_timestamp: entry.signed_entry_timestamp,
        attested: entry.attested,
        attestation: entry.attestation,
    })
}
