//! Recomputes a whole tree from the leaf bytes up and compares every table with it.
//!
//! May run beside a server: it works below the head that is newest when it starts, in short reads.

use std::fmt;
use std::ops::Range;

use tlog::{Audit, EMPTY_ROOT, FullTile, Hash, TILE_WIDTH, TreeSize};

use crate::Tree;
use crate::api::Api;
use crate::store::{AuditCounts, AuditEntry, Audited, Store, StoreError, TreeRow, Unreadable};
use heads::Heads;
use publications::Publications;

mod claims;
mod entries;
mod frozen;
mod heads;
mod publications;

/// Entries of one read.
const PAGE_ENTRIES: u64 = 64;
/// Bytes of one read, or those of one entry: leaf, key texts and attestation of an entry have 1 MiB
/// each at most. While a page is compared, its rows are held twice.
const PAGE_BYTES: u64 = 8 << 20;
/// Findings kept word for word; more are counted.
const MAX_FINDINGS: usize = 1_000;
/// Levels of tiles that a tree of 2^63 leaves can have.
const TILE_LEVELS: u8 = 8;

/// Derives the index keys of an entry from its kind and leaf bytes. Returns `None` if they do not
/// follow from them, and an error if the leaf bytes are not of that kind.
pub type DeriveKeys<'a> = &'a (dyn Fn(&str, &[u8]) -> Result<Option<Vec<String>>, String> + Sync);

/// Returns the names that an entry with these index keys must have claimed, in lower case. Each ends
/// one of the keys.
pub type DeriveNames<'a> = &'a (dyn Fn(&[String]) -> Vec<String> + Sync);

/// Progress of an fsck.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Entries compared.
    pub done: u64,
    /// Entries below the head.
    pub total: u64,
}

/// The result of an fsck.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the ledger.
    pub name: String,
    /// The size that was compared.
    pub size: TreeSize,
    /// The recomputed root at that size.
    pub root: Hash,
    /// Each difference: table, row and how it differs. At most 1,000.
    pub findings: Vec<String>,
    /// Findings beyond those.
    pub more_findings: u64,
    /// Attestations whose bytes were erased, which is not a finding.
    pub erased_attestations: u64,
}

impl Report {
    /// Returns whether everything agrees.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Reports the values of a row that cannot be decoded.
    fn add_unreadable(&mut self, row: &dyn fmt::Display, unreadable: &[Unreadable]) {
        for value in unreadable {
            self.add(value.finding(row));
        }
    }

    fn add(&mut self, finding: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding)
        } else {
            self.more_findings += 1
        }
    }
}

/// Compares everything stored of one tree of a log of this API. Differences are in the report; an
/// `Err` means that the tree could not be read.
pub async fn fsck(
    store: &dyn Store,
    tree: &TreeRow,
    api: &'static Api,
    derive_keys: DeriveKeys<'_>,
    derive_names: DeriveNames<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, StoreError> {
    // This is read first, because a server may finish a frozen tree at any time, and pages that
    // were read before would lack the timestamps that it stores then.
    let kept = store.audited_final(tree.tree_id).await?;
    let mut report = Report {
        name: tree.name.clone(),
        size: TreeSize(0),
        root: EMPTY_ROOT,
        findings: Vec::new(),
        more_findings: 0,
        erased_attestations: 0,
    };
    let size = heads::size_to_compare(store, tree, &mut report).await?;
    report.size = size;
    let mut check = Check {
        store,
        tree,
        api,
        derive_keys,
        derive_names,
        report,
        audit: Audit::new(),
        last_time: i64::MIN,
        heads: Heads::new(size),
        publications: Publications::default(),
        expected: AuditCounts::default(),
    };
    let tree = check.keyed_tree();
    // One of the empty tree.
    check.publication_at_size(tree.as_ref()).await?;
    let mut done = 0;
    while done < size.0 {
        let end = check
            .page_end(done..size.0.min(done + PAGE_ENTRIES))
            .await?;
        check.page(done..end, tree.as_ref()).await?;
        done = end;
        progress(Progress {
            done,
            total: size.0,
        });
    }
    check.finish_heads().await?;
    check.finish_publications(tree.as_ref()).await?;
    check.frozen(tree.as_ref(), kept).await?;
    check.stray_tiles().await?;
    check.counts().await?;
    check.report.root = check.audit.root();
    Ok(check.report)
}

/// The state of one run.
struct Check<'a> {
    store: &'a dyn Store,
    tree: &'a TreeRow,
    api: &'static Api,
    derive_keys: DeriveKeys<'a>,
    derive_names: DeriveNames<'a>,
    report: Report,
    audit: Audit,
    last_time: i64,
    heads: Heads,
    publications: Publications,
    expected: AuditCounts,
}

impl Check<'_> {
    fn keyed_tree(&mut self) -> Option<Tree> {
        let tree = Tree::of(self.tree, self.api);
        tree.inspect_err(|error| self.report.add(error.to_string()))
            .ok()
    }

    /// Returns where the first page of `range` ends.
    async fn page_end(&self, range: Range<u64>) -> Result<u64, StoreError> {
        let (tree, mut bytes) = (self.tree.tree_id, 0);
        for (index, of_entry) in self.store.audit_sizes(tree, range.clone()).await? {
            bytes += of_entry;
            if bytes > PAGE_BYTES && index > range.start {
                return Ok(index);
            }
        }
        Ok(range.end)
    }

    async fn page(&mut self, range: Range<u64>, tree: Option<&Tree>) -> Result<(), StoreError> {
        let mut next = range.start;
        let mut entries = Vec::new();
        for Audited { row, unreadable } in self.entries(range.clone()).await? {
            let at = format!("leaf index {}", row.leaf_index);
            self.report.add_unreadable(&at, &unreadable);
            entries.push(row);
        }
        self.claims(&entries).await?;
        for entry in entries {
            let index = entry.leaf_index.0;
            self.missing(next..index).await?;
            next = index + 1;
            let leaf_hash = self.entry(&entry);
            self.keys(&entry);
            if let Some(tree) = tree {
                self.timestamp(&entry, tree);
            }
            self.head_of(&entry).await?;
            self.push(leaf_hash, tree).await?;
        }
        self.missing(next..range.end).await
    }

    /// Reads the entries of a range. One that the database cannot read is reported, and those around
    /// it are still read.
    async fn entries(&mut self, range: Range<u64>) -> Result<Vec<Audited<AuditEntry>>, StoreError> {
        let tree = self.tree.tree_id;
        let error = match self.store.audited_entries(tree, range.clone()).await {
            Err(StoreError::Damaged(error)) => error,
            read => return read,
        };
        let mut entries = Vec::new();
        for index in range {
            match self.store.audited_entries(tree, index..index + 1).await {
                Ok(entry) => entries.extend(entry),
                Err(StoreError::Damaged(_)) => self.report.add(format!(
                    "table entry: the rows of leaf index {index} cannot be read: {error}"
                )),
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// Reports entries that are missing. The tree goes on with their hashes in the tiles, so that the
    /// heads and tiles after them are still compared.
    async fn missing(&mut self, range: Range<u64>) -> Result<(), StoreError> {
        let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else {
            return Ok(());
        };
        self.report.add(format!(
            "table entry: leaf indexes {} to {last} are missing",
            range.start
        ));
        for index in range {
            let width = TILE_WIDTH as u64;
            let (tile, place) = (index / width, (index % width) as usize);
            let stored = self.stored_tile(0, tile).await?;
            let hash = stored.and_then(|stored| stored.hashes.get(place).copied());
            self.push(hash.unwrap_or(EMPTY_ROOT), None).await?;
        }
        Ok(())
    }

    /// Adds a leaf to the tree, and compares the tiles and heads that end with it.
    async fn push(&mut self, leaf_hash: Hash, tree: Option<&Tree>) -> Result<(), StoreError> {
        for tile in self.audit.push(leaf_hash) {
            self.tile(&tile).await?;
        }
        self.root_at_size().await?;
        self.publication_at_size(tree).await
    }

    async fn tile(&mut self, tile: &FullTile) -> Result<(), StoreError> {
        let (level, index) = (tile.id.level, tile.id.index);
        let stored = self.stored_tile(level, index).await?;
        let finding = match stored {
            Some(stored) if stored.hashes != tile.hashes => {
                Some("has other hashes than its entries give")
            }
            Some(stored) if stored.root != tile.root => {
                Some("has another root than its hashes give")
            }
            Some(_) => None,
            None => Some("is missing"),
        };
        if let Some(finding) = finding {
            self.report
                .add(format!("table tile: level {level} index {index} {finding}"));
        }
        Ok(())
    }

    /// Returns a stored tile. One that cannot be decoded counts as missing.
    async fn stored_tile(&self, level: u8, index: u64) -> Result<Option<FullTile>, StoreError> {
        let tree = self.tree.tree_id;
        match self.store.audit_tiles(tree, level, index, 1).await {
            Ok(tiles) => Ok(tiles.into_iter().find(|tile| tile.id.index == index)),
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reports full tiles that no head covers. Each tile is read before the head that must cover
    /// it, because a server may be writing.
    async fn stray_tiles(&mut self) -> Result<(), StoreError> {
        for level in 0..TILE_LEVELS {
            let full = |size: TreeSize| size.0.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            let from = full(self.report.size);
            let tiles = self
                .store
                .audit_tiles(self.tree.tree_id, level, from, TILE_WIDTH as u32)
                .await?;
            let newest = self.store.reader().newest_head(self.tree.tree_id).await?;
            let covered = full(newest.map_or(TreeSize(0), |head| head.size));
            for tile in tiles.iter().filter(|tile| tile.id.index >= covered) {
                let index = tile.id.index;
                self.report.add(format!(
                    "table tile: level {level} index {index} is beyond the newest head"
                ));
            }
        }
        Ok(())
    }

    async fn counts(&mut self) -> Result<(), StoreError> {
        let size = self.report.size;
        let found = self.store.audit_counts(self.tree.tree_id, size).await?;
        let expected = self.expected;
        let mut compare = |table: &str, found: u64, expected: u64| {
            if found != expected {
                self.report.add(format!(
                    "table {table}: {found} rows below size {size} instead of {expected}"
                ));
            }
        };
        compare("entry", found.entries, size.0);
        compare("body", found.bodies, size.0);
        compare("leaf", found.leaves, size.0);
        compare("index_key", found.index_keys, expected.index_keys);
        compare("attestation", found.attestations, expected.attestations);
        compare("claim", found.claims, expected.claims);
        // A server beside this may sign old entries at any time, so more timestamps than were read
        // are no finding.
        if found.timestamps < expected.timestamps {
            compare(
                "signed_entry_timestamp",
                found.timestamps,
                expected.timestamps,
            );
        }
        if found.beyond_newest_head > 0 {
            for (table, rows) in self.store.audited_outside(self.tree.tree_id).await? {
                self.report.add(format!(
                    "table {table}: {rows} rows have a leaf index below 0 or beyond the newest head"
                ));
            }
        }
        Ok(())
    }
}
