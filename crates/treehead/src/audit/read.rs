//! Reads all entries of the trees, checks that they lead to the signed heads, and derives their
//! search keys.

use std::sync::Arc;

use client::{BulkError, Http, RekorLog, TreeReader};
use entry::Summary;
use tlog::{Audit, Hash, TILE_WIDTH};

use super::pairs::{Pair, Pairs, Place, short};
use super::trees::{Source, Tree};
use crate::check::log::failure;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::progress::Progress;
use crate::side_by_side::side_by_side;

/// Bundles that are read at once: each has 256 entries, and a request takes some milliseconds.
const BUNDLES_AT_ONCE: usize = 8;
/// Bundles whose tiles are asked for in a row.
const BUNDLES_TOGETHER: u64 = 64;
/// Entries of one request of Rekor v1.
const ENTRIES_TOGETHER: u64 = 10;
/// Kinds with search keys that do not follow from the leaf: those of the statement whose digest
/// the leaf has.
const WITH_STATEMENTS: [&str; 3] = ["cose", "dsse", "intoto"];

/// What was read of one tree beside its keys.
#[derive(Default)]
pub(super) struct Entries {
    /// For each leaf, whether all its keys were derived.
    whole: Vec<u64>,
    /// Entries of which only a part of the keys was derived.
    pub(super) partly: u64,
    /// Entries of which no key was derived, because their bytes are of no known form.
    pub(super) unreadable: u64,
}

impl Entries {
    /// Returns whether all keys of an entry were derived.
    pub(super) fn is_whole(&self, leaf_index: u64) -> bool {
        let word = usize::try_from(leaf_index / 64).ok();
        let word = word.and_then(|word| self.whole.get(word));
        word.is_some_and(|word| word >> (leaf_index % 64) & 1 == 1)
    }

    /// Returns entries of which all keys were derived, but for one.
    #[cfg(test)]
    pub(super) fn whole_but(count: u64, leaf_index: u64) -> Self {
        let mut entries = Self::default();
        for index in (0..count).filter(|index| *index != leaf_index) {
            entries.set_whole(index);
        }
        entries
    }

    fn set_whole(&mut self, leaf_index: u64) {
        let Ok(word) = usize::try_from(leaf_index / 64) else {
            return;
        };
        if self.whole.len() <= word {
            self.whole.resize(word + 1, 0);
        }
        self.whole[word] |= 1 << (leaf_index % 64);
    }

    fn add(&mut self, leaf_index: u64, derived: Derived) {
        match derived {
            Derived::Whole => self.set_whole(leaf_index),
            Derived::Part => self.partly += 1,
            Derived::Nothing => self.unreadable += 1,
        }
    }
}

/// How many of an entry's keys follow from its leaf.
#[derive(Clone, Copy)]
enum Derived {
    Whole,
    Part,
    Nothing,
}

/// What was derived from some entries.
struct Batch {
    pairs: Vec<Pair>,
    entries: Vec<(u64, Derived)>,
}

impl Batch {
    fn new() -> Self {
        Self {
            pairs: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Derives the keys of an entry, or only `one` of them.
    fn add(&mut self, place: Place, leaf: &[u8], one: Option<&str>) {
        let Ok(summary) = entry::summarize(leaf) else {
            return self.entries.push((place.leaf_index, Derived::Nothing));
        };
        let derived = match WITH_STATEMENTS.contains(&summary.kind.as_str()) {
            true => Derived::Part,
            false => Derived::Whole,
        };
        let Summary { index_keys, .. } = summary;
        let keys = index_keys.into_iter();
        let keys = keys.filter(|key| one.is_none_or(|one| one == key));
        self.pairs.extend(keys.map(|key| Pair { key, place }));
        self.entries.push((place.leaf_index, derived));
    }
}

/// Reads one tree. The keys of its entries go into `pairs`.
pub(super) async fn read(
    number: u32,
    tree: Tree,
    one: Option<&str>,
    pairs: &mut Pairs,
    progress: &Progress,
) -> Outcome<Entries> {
    let one = one.map(Arc::<str>::from);
    match tree.source {
        Source::Bundles(reader) => read_bundles(number, *reader, one, pairs, progress).await,
        Source::Api(ref log) => {
            let log = Arc::new(log.as_ref().clone());
            read_by_api(number, &tree, log, one, pairs, progress).await
        }
    }
}

async fn read_bundles(
    tree: u32,
    mut reader: TreeReader<Http>,
    one: Option<Arc<str>>,
    pairs: &mut Pairs,
    progress: &Progress,
) -> Outcome<Entries> {
    let mut entries = Entries::default();
    let bundles = reader.head().size().0.div_ceil(TILE_WIDTH as u64);
    let mut next = 0;
    while next < bundles {
        let end = bundles.min(next + BUNDLES_TOGETHER);
        let mut wanted = Vec::new();
        for number in next..end {
            wanted.push(reader.want(number).await.map_err(failed)?);
        }
        let shared = Arc::new(reader.clone());
        let task = |wanted| {
            let (reader, one) = (Arc::clone(&shared), one.clone());
            async move {
                let bundle = reader.read(&wanted).await.map_err(failed)?;
                let mut batch = Batch::new();
                for (index, leaf_hash, leaf) in bundle.entries() {
                    let place = Place {
                        tree,
                        leaf_index: index.0,
                        leaf_hash: short(&leaf_hash),
                    };
                    batch.add(place, leaf, one.as_deref());
                }
                Ok(batch)
            }
        };
        let take = |batch: Batch| keep(batch, &mut entries, pairs, progress);
        side_by_side(wanted, BUNDLES_AT_ONCE, task, take).await?;
        next = end;
    }
    Ok(entries)
}

/// Reads a tree of a log that has no tiles. Each answer proves its entries in a head of its own, so
/// the root over all of them is compared with that of the audited head.
async fn read_by_api(
    number: u32,
    tree: &Tree,
    log: Arc<RekorLog<Http>>,
    one: Option<Arc<str>>,
    pairs: &mut Pairs,
    progress: &Progress,
) -> Outcome<Entries> {
    let size = tree.head.size().0;
    let mut entries = Entries::default();
    let mut audit = Audit::new();
    let mut next = 0;
    while next < size {
        let end = size.min(next + ENTRIES_TOGETHER * BUNDLES_AT_ONCE as u64);
        let mut hashes: Vec<(u64, Hash)> = Vec::new();
        let starts = (next..end).step_by(ENTRIES_TOGETHER as usize);
        let first = tree.first_log_index;
        let task = |start: u64| {
            let (log, one) = (Arc::clone(&log), one.clone());
            async move {
                let indexes: Vec<u64> = (start..end.min(start + ENTRIES_TOGETHER)).collect();
                let log_indexes: Vec<u64> = indexes.iter().map(|index| first + index).collect();
                let read = log.entries_at(&log_indexes).await.map_err(failure)?;
                let mut batch = Batch::new();
                let mut hashes = Vec::new();
                for (leaf_index, entry) in indexes.into_iter().zip(read) {
                    let leaf_hash = entry.inclusion.leaf_hash;
                    hashes.push((leaf_index, leaf_hash));
                    let place = Place {
                        tree: number,
                        leaf_index,
                        leaf_hash: short(&leaf_hash),
                    };
                    batch.add(place, &entry.body, one.as_deref());
                }
                Ok((batch, hashes))
            }
        };
        let take = |(batch, of_batch): (Batch, Vec<(u64, Hash)>)| {
            hashes.extend(of_batch);
            keep(batch, &mut entries, pairs, progress)
        };
        side_by_side(starts, BUNDLES_AT_ONCE, task, take).await?;
        hashes.sort_unstable_by_key(|(leaf_index, _)| *leaf_index);
        for (_, hash) in hashes {
            audit.push(hash);
        }
        next = end;
    }
    if size > 0 && audit.root() != *tree.head.root() {
        let origin = tree.head.origin();
        let why = format_args!("the entries of {origin} do not lead to the root of its head");
        return Err(Failure::new(FailureKind::NotVerified, why));
    }
    Ok(entries)
}

fn keep(
    batch: Batch,
    entries: &mut Entries,
    pairs: &mut Pairs,
    progress: &Progress,
) -> Outcome<()> {
    progress.advance(batch.entries.len() as u64);
    for (leaf_index, derived) in batch.entries {
        entries.add(leaf_index, derived);
    }
    let kept = pairs.add(&batch.pairs);
    kept.explain(FailureKind::Other, "intermediate data")
}

/// Returns why bundles could not be read, with the exit code.
pub(super) fn failed(error: BulkError) -> Failure {
    match error {
        BulkError::Read(error) => failure(error),
        error @ (BulkError::Tile(_) | BulkError::Entry(_)) => {
            Failure::new(FailureKind::NotVerified, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_whole_or_not() {
        let mut entries = Entries::default();
        entries.add(0, Derived::Whole);
        entries.add(64, Derived::Part);
        entries.add(129, Derived::Whole);
        entries.add(130, Derived::Nothing);
        let whole = [0, 1, 64, 128, 129, 130, 10_000].map(|index| entries.is_whole(index));
        assert_eq!(whole, [true, false, false, false, true, false, false]);
        assert_eq!((entries.partly, entries.unreadable), (1, 1));
    }
}
