//! Entries that were read, and the notices that they cause.

use std::panic;
use std::sync::Arc;

use client::{BulkError, Entry, Fetch, ReadResult, RekorLog, TreeReader, Wanted};
use entry::{StatementSummary, Summary};
use tlog::Hash;

use crate::facts::Facts;
use crate::notice::{Delivery, Notice};
use crate::rules::Rules;

/// What all entries of a tree have in common while it is read.
#[derive(Clone)]
pub(super) struct Examination<F> {
    pub rules: Arc<Rules>,
    /// The name of the log, and its URL.
    pub log: String,
    pub url: String,
    pub origin: String,
    /// The ID of the tree in Rekor v1, and the log by that API.
    pub v1: Option<(u64, RekorLog<F>)>,
    pub first_log_index: u64,
    /// Entries before this index were reported already.
    pub followed: u64,
    /// Entries before this index may have been reported before a crash.
    pub noticed: u64,
    /// Unix seconds.
    pub now: i64,
}

/// The outcome of a range of entries.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The index after the last entry.
    pub end: u64,
    pub entries: u64,
    /// Leaves that no summary can be made of. They are counted, and nothing else.
    pub unreadable: u64,
    pub notices: Vec<Notice>,
}

/// An entry with what its log says of it beside the leaf.
struct Found<'a> {
    index: u64,
    hash: Hash,
    summary: Summary,
    uuid: Option<String>,
    /// The entry as the API shows it, if it was fetched.
    entry: Option<&'a Entry>,
    statement: Option<StatementSummary>,
}

impl<F: Fetch> Examination<F> {
    /// Reads one bundle and examines its entries.
    pub(super) async fn bundle(
        &self,
        reader: &TreeReader<F>,
        wanted: &Wanted,
    ) -> Result<Batch, BulkError> {
        let bundle = reader.read(wanted).await?;
        let mut batch = Batch::default();
        for (index, hash, leaf) in bundle.entries() {
            batch.end = index.0 + 1;
            if index.0 >= self.followed {
                self.leaf(&mut batch, index.0, hash, leaf).await?;
            }
        }
        Ok(batch)
    }

    /// Examines an entry that was read through the API.
    ///
    /// # Errors
    ///
    /// A rule needs its attestation, which could not be read.
    pub(super) async fn entry(&self, batch: &mut Batch, entry: &Entry) -> ReadResult<()> {
        let inclusion = &entry.inclusion;
        batch.end = inclusion.leaf_index.0 + 1;
        let Some(mut found) = self.found(
            batch,
            inclusion.leaf_index.0,
            inclusion.leaf_hash,
            &entry.body,
        ) else {
            return Ok(());
        };
        found.entry = Some(entry);
        if self.rules.wants_attestation(&found.summary) {
            let fetched = self.fetch(&found).await?;
            found.statement = fetched.and_then(|(_, statement)| statement);
        }
        self.report(batch, &found);
        Ok(())
    }

    async fn leaf(&self, batch: &mut Batch, index: u64, hash: Hash, leaf: &[u8]) -> ReadResult<()> {
        let Some(mut found) = self.found(batch, index, hash, leaf) else {
            return Ok(());
        };
        let wants_attestation = self.rules.wants_attestation(&found.summary);
        let wants_more = wants_attestation || !self.rules.matches(&self.facts(&found)).is_empty();
        // The leaf alone has neither time nor attestation. Both are asked for where they are
        // needed. A notice without its time is better than none, but without the attestation it is
        // not known whether there is a notice.
        let fetched = match wants_more {
            true => self.fetch(&found).await,
            false => Ok(None),
        };
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) if wants_attestation => return Err(error),
            Err(error) => {
                tracing::warn!(log = %self.log, index, %error, "an entry is reported without its time");
                None
            }
        };
        match &fetched {
            Some((entry, statement)) => {
                found.statement.clone_from(statement);
                let found = Found {
                    entry: Some(entry),
                    ..found
                };
                self.report(batch, &found);
            }
            None if wants_more => self.report(batch, &found),
            None => {}
        }
        Ok(())
    }

    fn found<'a>(
        &self,
        batch: &mut Batch,
        index: u64,
        hash: Hash,
        leaf: &[u8],
    ) -> Option<Found<'a>> {
        batch.entries += 1;
        // One odd certificate must not stop the monitor, not even by a bug that it finds.
        let summary = panic::catch_unwind(|| entry::summarize(leaf));
        let Ok(Ok(summary)) = summary else {
            batch.unreadable += 1;
            return None;
        };
        let uuid = self
            .v1
            .as_ref()
            .map(|(tree, _)| format!("{tree:016x}{hash}"));
        Some(Found {
            index,
            hash,
            summary,
            uuid,
            entry: None,
            statement: None,
        })
    }

    fn facts<'a>(&'a self, found: &'a Found<'_>) -> Facts<'a> {
        let time = found.entry.and_then(|entry| entry.time);
        let log_index = found.entry.map(|entry| entry.log_index);
        Facts {
            log: &self.log,
            origin: &self.origin,
            leaf_index: found.index,
            log_index: log_index.unwrap_or(self.first_log_index.saturating_add(found.index)),
            leaf_hash: found.hash,
            uuid: found.uuid.as_deref(),
            time: time.and_then(|time| i64::try_from(time).ok()),
            summary: &found.summary,
            statement: found.statement.as_ref(),
            index_keys: &[],
        }
    }

    fn report(&self, batch: &mut Batch, found: &Found<'_>) {
        let facts = self.facts(found);
        let delivery = match found.index < self.noticed {
            true => Delivery::Repeated,
            false => Delivery::First,
        };
        for hit in self.rules.matches(&facts) {
            let notice = Notice::of_entry(&facts, &hit, self.now, delivery);
            batch.notices.push(notice);
        }
    }

    /// Fetches an entry of v1 with its time, and the claims of its attestation if it has one.
    async fn fetch(
        &self,
        found: &Found<'_>,
    ) -> ReadResult<Option<(Entry, Option<StatementSummary>)>> {
        let (Some((_, log)), Some(uuid)) = (&self.v1, &found.uuid) else {
            return Ok(None);
        };
        let (entry, attestation) = log.entry_with_attestation(uuid).await?;
        let statement = attestation.map(|bytes| entry::summarize_attestation(&bytes));
        Ok(Some((entry, statement)))
    }
}
