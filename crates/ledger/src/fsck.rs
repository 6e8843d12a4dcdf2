//! Recomputes a whole tree from the leaf bytes up and compares every table with it.
//!
//! May run beside a server: it works below the head that is newest when it starts, in short reads.

use std::collections::BTreeSet;
use std::ops::Range;

use tlog::{Audit, EMPTY_ROOT, FullTile, Hash, TILE_WIDTH, TreeSize};

use crate::heads::tile_set::describe;
use crate::reading::search::lower_case;
use crate::store::hash_rows::prefix;
use crate::store::{AuditCounts, AuditEntry, HeadRow, Store, StoreError, TreeRow};
use crate::{IndexKeyHash, Tree, timestamps};

mod frozen;

/// Entries of one read: with bodies of at most 64 KiB and attestations of at most 1 MiB, at most 68
/// MiB; with attestations of 100 KiB, the default, at most 11 MiB.
const PAGE_ENTRIES: u64 = 64;
/// Heads of one read.
const PAGE_HEADS: u32 = 1_024;
/// Findings kept word for word; more are counted.
const MAX_FINDINGS: usize = 1_000;
/// Levels of tiles that a tree of 2^63 leaves can have.
const TILE_LEVELS: u8 = 8;

/// The index keys that follow from an entry's kind and leaf bytes: none where they do not, an error
/// where the leaf bytes are not of that kind.
pub type DeriveKeys<'a> = &'a (dyn Fn(&str, &[u8]) -> Result<Option<Vec<String>>, String> + Sync);

/// How far an fsck is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Entries compared.
    pub done: u64,
    /// Entries below the head.
    pub total: u64,
}

/// What an fsck found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the log.
    pub name: String,
    /// The size that was compared.
    pub size: TreeSize,
    /// The recomputed root at that size.
    pub root: Hash,
    /// What differs: table, row and how. At most 1,000.
    pub findings: Vec<String>,
    /// Findings beyond those.
    pub more_findings: u64,
    /// Attestations whose bytes were erased, which is no finding.
    pub erased_attestations: u64,
}

impl Report {
    /// Whether everything agrees.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, finding: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding)
        } else {
            self.more_findings += 1
        }
    }
}

/// Compares everything stored of one tree. An `Err` means that it could not be read; what differs
/// is in the report.
pub async fn fsck(
    store: &dyn Store,
    tree: &TreeRow,
    derive_keys: DeriveKeys<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, StoreError> {
    // First: a server beside this may finish a frozen tree at any time, and what it signs then is
    // not seen on every page.
    let kept = store.final_checkpoint(tree.tree_id).await?;
    let newest = store.reader().newest_head(tree.tree_id).await?;
    let size = newest.map_or(TreeSize(0), |head| head.size);
    let report = Report {
        name: tree.name.clone(),
        size,
        root: EMPTY_ROOT,
        findings: Vec::new(),
        more_findings: 0,
        erased_attestations: 0,
    };
    let mut check = Check {
        store,
        tree,
        derive_keys,
        report,
        audit: Audit::new(),
        last_time: i64::MIN,
        heads: Heads::new(size),
        expected: AuditCounts::default(),
    };
    let tree = check.keyed_tree();
    for start in (0..size.0).step_by(PAGE_ENTRIES as usize) {
        let range = start..size.0.min(start + PAGE_ENTRIES);
        check.page(range.clone(), tree.as_ref()).await?;
        progress(Progress {
            done: range.end,
            total: size.0,
        });
    }
    check.finish_heads().await?;
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
    derive_keys: DeriveKeys<'a>,
    report: Report,
    audit: Audit,
    last_time: i64,
    heads: Heads,
    expected: AuditCounts,
}

impl Check<'_> {
    fn keyed_tree(&mut self) -> Option<Tree> {
        let tree = Tree::of(self.tree);
        tree.inspect_err(|_| {
            self.report
                .add("table tree_key: there is no usable log key".into())
        })
        .ok()
    }

    async fn page(&mut self, range: Range<u64>, tree: Option<&Tree>) -> Result<(), StoreError> {
        let mut next = range.start;
        for entry in self
            .store
            .audit_entries(self.tree.tree_id, range.clone())
            .await?
        {
            let index = entry.leaf_index.0;
            if index != next {
                self.report.add(format!(
                    "table entry: leaf indexes {next} to {} are missing",
                    index.saturating_sub(1)
                ));
            }
            next = index + 1;
            let leaf_hash = self.entry(&entry);
            self.keys(&entry);
            if let Some(tree) = tree {
                self.timestamp(&entry, tree);
            }
            self.head_of(&entry).await?;
            for tile in self.audit.push(leaf_hash) {
                self.tile(&tile).await?;
            }
            self.root_at_size().await?;
        }
        if next != range.end {
            self.report.add(format!(
                "table entry: leaf indexes {next} to {} are missing",
                range.end - 1
            ));
        }
        Ok(())
    }

    /// Compares tables `entry`, `body`, `leaf` and `attestation`; returns the leaf hash that the
    /// tree is recomputed from.
    fn entry(&mut self, entry: &AuditEntry) -> Hash {
        let at = entry.leaf_index;
        let leaf_hash = match &entry.body {
            Some(body) => tlog::leaf_hash(body),
            None => {
                self.report
                    .add(format!("table body: leaf index {at} is missing"));
                entry.leaf_hash
            }
        };
        if leaf_hash != entry.leaf_hash {
            let stored = entry.leaf_hash;
            self.report.add(format!(
                "table entry: leaf index {at} has leaf hash {stored}, its body gives {leaf_hash}"
            ));
        }
        if entry.leaf_rows.as_slice() != [prefix(&leaf_hash)] {
            self.report.add(format!(
                "table leaf: leaf index {at} is not found under its leaf hash"
            ));
        }
        if entry.time < self.last_time {
            self.report.add(format!(
                "table entry: the time of leaf index {at} is before that of its predecessor"
            ));
        }
        self.last_time = self.last_time.max(entry.time);
        self.attestation(entry);
        leaf_hash
    }

    fn attestation(&mut self, entry: &AuditEntry) {
        let at = entry.leaf_index;
        self.expected.attestations += u64::from(entry.attestation.is_some());
        match &entry.attestation {
            None if !entry.attested => {}
            None => self
                .report
                .add(format!("table attestation: leaf index {at} is missing")),
            Some(_) if !entry.attested => {
                self.report.add(format!(
                    "table attestation: leaf index {at} was stored without one"
                ));
            }
            Some(stored) if stored.is_erased() => self.report.erased_attestations += 1,
            Some(stored) if tlog::sha256(&stored.data) != stored.digest => {
                self.report.add(format!(
                    "table attestation: the digest of leaf index {at} does not fit its data"
                ));
            }
            Some(_) => {}
        }
    }

    /// Compares the key texts with what follows from the body, and table `index_key` with the key
    /// texts.
    fn keys(&mut self, entry: &AuditEntry) {
        let at = entry.leaf_index;
        let stored: BTreeSet<&str> = entry.index_keys.iter().map(String::as_str).collect();
        let hashes: BTreeSet<IndexKeyHash> =
            stored.iter().map(|key| IndexKeyHash::of(key)).collect();
        self.expected.index_keys += hashes.len() as u64;
        if hashes != entry.index_key_rows.iter().copied().collect() {
            self.report.add(format!(
                "table index_key: the rows of leaf index {at} are not those of its keys"
            ));
        }
        let Some(body) = &entry.body else { return };
        match (self.derive_keys)(&entry.kind, body) {
            Ok(None) => {}
            Ok(Some(derived)) => {
                let derived: BTreeSet<String> = derived.iter().map(|key| lower_case(key)).collect();
                if derived.iter().map(String::as_str).collect::<BTreeSet<_>>() != stored {
                    self.report.add(format!(
                        "table entry: the index keys of leaf index {at} do not follow from its body"
                    ));
                }
            }
            Err(reason) => {
                self.report.add(format!(
                    "table body: leaf index {at} is not an entry of kind {}: {reason}",
                    entry.kind
                ));
            }
        }
    }

    fn timestamp(&mut self, entry: &AuditEntry, tree: &Tree) {
        let Some(signature) = &entry.signed_entry_timestamp else {
            return;
        };
        self.expected.timestamps += 1;
        let Some(body) = &entry.body else { return };
        let payload = timestamps::payload(tree, entry.leaf_index, entry.time, body);
        if tree.log_key.verify(payload.as_bytes(), signature).is_err() {
            self.report.add(format!(
                "table signed_entry_timestamp: leaf index {} does not verify",
                entry.leaf_index
            ));
        }
    }

    async fn tile(&mut self, tile: &FullTile) -> Result<(), StoreError> {
        let (level, index) = (tile.id.level, tile.id.index);
        let stored = self
            .store
            .audit_tiles(self.tree.tree_id, level, index, 1)
            .await?;
        let finding = match stored.first() {
            Some(stored) if stored.id != tile.id => Some("is missing"),
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

    /// The head whose round gave the entry its index, and its time, must agree.
    async fn head_of(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        while self
            .heads
            .current
            .is_none_or(|head| head.size.0 <= entry.leaf_index.0)
        {
            match self
                .heads
                .next(self.store, self.tree, &mut self.report)
                .await?
            {
                Some(head) => self.heads.current = Some(head),
                None => return Ok(()),
            }
        }
        if let Some(head) = self.heads.current
            && head.time != entry.time
        {
            let at = entry.leaf_index;
            self.report.add(format!(
                "table entry: leaf index {at} and the head of its round have different times"
            ));
        }
        Ok(())
    }

    async fn root_at_size(&mut self) -> Result<(), StoreError> {
        if let Some(head) = self.heads.current
            && head.size == self.audit.size()
        {
            let root = self.audit.root();
            if head.root != root {
                let stored = describe(head.size, &head.root);
                self.report.add(format!(
                    "table head: {stored}, but its entries give root {root}"
                ));
            }
        }
        Ok(())
    }

    /// Heads that the entries did not reach.
    async fn finish_heads(&mut self) -> Result<(), StoreError> {
        while let Some(head) = self
            .heads
            .next(self.store, self.tree, &mut self.report)
            .await?
        {
            self.report.add(format!(
                "table head: there are no entries up to {}",
                describe(head.size, &head.root)
            ));
        }
        Ok(())
    }

    /// Full tiles that no head covers. The tile is read before the head that must cover it, as a
    /// server may be writing.
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
            let rows = found.beyond_newest_head;
            self.report.add(format!(
                "{rows} rows of the entry tables are beyond the newest head"
            ));
        }
        Ok(())
    }
}

/// The stored heads in order, read in pages, each checked against its predecessor.
struct Heads {
    page: std::vec::IntoIter<HeadRow>,
    /// Size of the last head given out: where the next must begin.
    reached: TreeSize,
    last_time: i64,
    end: TreeSize,
    current: Option<HeadRow>,
}

impl Heads {
    fn new(end: TreeSize) -> Self {
        Self {
            page: Vec::new().into_iter(),
            reached: TreeSize(0),
            last_time: i64::MIN,
            end,
            current: None,
        }
    }

    async fn next(
        &mut self,
        store: &dyn Store,
        tree: &TreeRow,
        report: &mut Report,
    ) -> Result<Option<HeadRow>, StoreError> {
        if self.page.len() == 0 && self.reached < self.end {
            self.page = store
                .heads(tree.tree_id, self.reached, PAGE_HEADS)
                .await?
                .into_iter();
        }
        let head = loop {
            match self.page.next() {
                // The last head of a frozen tree, which is looked at by itself.
                Some(head) if head.prev_size == head.size && head.size == self.end => continue,
                Some(head) if head.size <= self.end => break head,
                Some(head) if head.prev_size < self.end => {
                    let found = describe(head.size, &head.root);
                    report.add(format!(
                        "table head: {found} begins below the newest head and ends beyond it"
                    ));
                }
                // What came after this began.
                _ => return Ok(None),
            }
        };
        if head.prev_size != self.reached {
            let (at, reached) = (head.prev_size, self.reached);
            report.add(format!("table head: the head after size {reached} is missing; the next one follows size {at}"));
        }
        if head.time < self.last_time {
            report.add(format!(
                "table head: the time of {} is before its predecessor's",
                describe(head.size, &head.root)
            ));
        }
        self.reached = head.size;
        self.last_time = self.last_time.max(head.time);
        Ok(Some(head))
    }
}
