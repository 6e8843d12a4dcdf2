//! Asks the search for every key, and compares its answers with what was derived.

use std::sync::{Arc, OnceLock};

use client::lookup::{KeyHit, KeyHits, KeySearch, MAX_KEYS, Part, SearchApi, is_digest};
use client::{Entry, Http, ReadError, ReadResult};

use super::compare::{Compared, Difference, EntryId};
use super::pairs::{Pairs, Place};
use super::read::Entries;
use crate::check::log::failure;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::progress::Progress;
use crate::side_by_side::side_by_side;

/// Requests at once.
const AT_ONCE: usize = 4;
/// Entries of a frequent key in one answer.
const PAGE: u32 = 1_000;
/// Most pages of one key: a thousand million entries, in whole pages.
const MAX_PAGES: u64 = 1 << 20;
/// Differences that the report names. A log with more has another problem than a lost row.
const MAX_NAMED: usize = 10_000;

/// A tree whose entries were read.
pub(super) struct ReadTree {
    /// As entry IDs begin with it. That of a v2 tree is learned from the search.
    pub(super) id: OnceLock<String>,
    pub(super) size: u64,
    pub(super) entries: Entries,
}

/// What the search is compared with.
pub(super) struct Asked {
    pub(super) search: KeySearch<Http>,
    /// The API of the log.
    pub(super) api: &'static str,
    /// Oldest first.
    pub(super) trees: Vec<ReadTree>,
}

/// The outcome of a comparison.
#[derive(Default)]
pub(super) struct Outcomes {
    /// Keys that were asked for.
    pub(super) keys: u64,
    /// Keys that the search of the log does not take.
    pub(super) skipped: u64,
    /// Entries under keys that do not follow from the leaf alone, as the search says.
    pub(super) beyond: u64,
    pub(super) missing_count: u64,
    pub(super) surplus_count: u64,
    /// The first of them.
    pub(super) missing: Vec<Difference>,
    pub(super) surplus: Vec<Difference>,
}

impl Outcomes {
    fn add(&mut self, other: Self) {
        self.keys += other.keys;
        self.skipped += other.skipped;
        self.beyond += other.beyond;
        self.missing_count += other.missing_count;
        self.surplus_count += other.surplus_count;
        let room = MAX_NAMED.saturating_sub(self.missing.len());
        self.missing.extend(other.missing.into_iter().take(room));
        let room = MAX_NAMED.saturating_sub(self.surplus.len());
        self.surplus.extend(other.surplus.into_iter().take(room));
    }

    pub(super) fn add_missing(&mut self, difference: Difference) {
        self.missing_count += 1;
        self.missing.push(difference);
    }

    pub(super) fn add_surplus(&mut self, difference: Difference) {
        self.surplus_count += 1;
        self.surplus.push(difference);
    }
}

/// Asks for the keys of all files.
pub(super) async fn ask(asked: &Arc<Asked>, pairs: &mut Pairs) -> Outcome<Outcomes> {
    let mut outcomes = Outcomes::default();
    let progress = Progress::new("search keys", pairs.count);
    let files = pairs
        .finish()
        .explain(FailureKind::Other, "intermediate data")?;
    for number in 0..files {
        let keys = pairs
            .take(number)
            .explain(FailureKind::Other, "intermediate data")?;
        let mut keys: Vec<(String, Vec<Place>)> = keys.into_iter().collect();
        asked.learn(&keys).await?;
        let mut chunks = Vec::new();
        while !keys.is_empty() {
            let rest = keys.split_off(keys.len().min(asked.together()));
            chunks.push(std::mem::replace(&mut keys, rest));
        }
        let task = |keys: Vec<(String, Vec<Place>)>| {
            let asked = Arc::clone(asked);
            async move {
                let pairs = keys
                    .iter()
                    .map(|(_, places)| places.len() as u64)
                    .sum::<u64>();
                Ok((pairs, asked.compare(keys).await?))
            }
        };
        let take = |(pairs, of_chunk)| {
            progress.advance(pairs);
            outcomes.add(of_chunk);
            Ok(())
        };
        side_by_side(chunks, AT_ONCE, task, take).await?;
    }
    Ok(outcomes)
}

/// Asks for one key, which no entry may have.
pub(super) async fn ask_one(asked: &Arc<Asked>, key: &str, pairs: &mut Pairs) -> Outcome<Outcomes> {
    if pairs.count > 0 {
        return ask(asked, pairs).await;
    }
    asked.compare(vec![(key.to_owned(), Vec::new())]).await
}

impl Asked {
    fn together(&self) -> usize {
        match self.search.api() {
            SearchApi::Treehead => MAX_KEYS,
            SearchApi::RekorV1 => 1,
        }
    }

    /// Learns the ID of a v2 tree, which its checkpoint does not say: that of an entry with the leaf
    /// hash and the index of one that was read.
    async fn learn(&self, keys: &[(String, Vec<Place>)]) -> Outcome<()> {
        let is_known = |tree: &ReadTree| tree.id.get().is_some();
        if self.trees.iter().all(is_known) || keys.is_empty() {
            return Ok(());
        }
        let first = &keys[..keys.len().min(self.together())];
        let texts: Vec<String> = first.iter().map(|(key, _)| key.clone()).collect();
        let hits = self
            .search
            .look_up(&texts, &Part::default())
            .await
            .map_err(failure)?;
        for ((_, places), hits) in first.iter().zip(hits) {
            let hits = hits.entries.iter().filter(|hit| hit.log == self.api);
            for hit in hits {
                let at = |place: &&Place| hit.is_at(place);
                let tree = places.iter().find(at).map(|place| place.tree as usize);
                if let Some(tree) = tree.and_then(|tree| self.trees.get(tree))
                    && let Some(id) = hit.tree()
                {
                    // It stays as it was first learned.
                    let _ = tree.id.set(id.to_owned());
                }
            }
        }
        Ok(())
    }

    async fn compare(&self, mut keys: Vec<(String, Vec<Place>)>) -> Outcome<Outcomes> {
        let mut outcomes = Outcomes::default();
        if self.search.api() == SearchApi::RekorV1 {
            let before = keys.len();
            keys.retain(|(key, _)| is_digest(key));
            outcomes.skipped = (before - keys.len()) as u64;
        }
        if keys.is_empty() {
            return Ok(outcomes);
        }
        let texts: Vec<String> = keys.iter().map(|(key, _)| key.clone()).collect();
        let found = self
            .search
            .look_up(&texts, &Part::default())
            .await
            .map_err(failure)?;
        for ((key, places), hits) in keys.into_iter().zip(found) {
            let mut compared = Compared::new(key, places, &self.trees);
            self.take_all(&mut compared, hits, &mut outcomes).await?;
            compared.finish(&mut outcomes);
        }
        outcomes.keys = texts.len() as u64;
        Ok(outcomes)
    }

    /// Compares all entries under one key, which a frequent key has many pages of.
    async fn take_all(
        &self,
        compared: &mut Compared<'_>,
        hits: KeyHits,
        outcomes: &mut Outcomes,
    ) -> Outcome<()> {
        self.take(compared, &hits.entries, outcomes).await?;
        let mut rest = hits.below.get(self.api).copied();
        let mut pages = 0;
        while let Some(below) = rest {
            pages += 1;
            if pages > MAX_PAGES {
                let why = format_args!(
                    "the search does not end after {MAX_PAGES} pages of {}",
                    compared.key()
                );
                return Err(Failure::new(FailureKind::NotVerified, why));
            }
            let part = Part {
                below: Some((self.api.to_owned(), below)),
                limit: Some(PAGE),
            };
            let key = [compared.key().to_owned()];
            let page = self.search.look_up(&key, &part).await.map_err(failure)?;
            rest = None;
            for hits in page {
                self.take(compared, &hits.entries, outcomes).await?;
                rest = hits.below.get(self.api).copied();
            }
            if rest.is_some_and(|next| next >= below) {
                let why = "the search goes round in circles";
                return Err(Failure::new(FailureKind::NotVerified, why));
            }
        }
        Ok(())
    }

    async fn take(
        &self,
        compared: &mut Compared<'_>,
        hits: &[KeyHit],
        outcomes: &mut Outcomes,
    ) -> Outcome<()> {
        for hit in hits {
            if hit.log != self.api || compared.take(hit, outcomes) {
                continue;
            }
            match self.entry_of(hit).await {
                Ok(entry) => compared.take_proved(hit, &entry, outcomes),
                Err(error) if is_of_entry(&error) => compared.take_unproved(hit, outcomes),
                Err(error) => return Err(failure(error)),
            }
        }
        Ok(())
    }

    /// Reads an entry that the search found, and verifies it.
    async fn entry_of(&self, hit: &KeyHit) -> ReadResult<Entry> {
        if hit.log != ledger::V1.name {
            return self.search.entry_of_hit(hit).await;
        }
        let uuids = [hit.uuid.clone()];
        let entries = self.search.entries_of(&uuids).await?;
        let absent = || ReadError::Absent(format!("entry {}", hit.uuid));
        entries.into_iter().next().ok_or_else(absent)
    }
}

/// Whether an error says that the log does not prove an entry, rather than that it is away.
fn is_of_entry(error: &ReadError) -> bool {
    use ReadError::{Absent, Answer, Refused};
    matches!(
        error,
        Absent(_)
            | Answer { .. }
            | Refused {
                status: 400 | 404 | 410 | 422,
                ..
            }
    )
}
