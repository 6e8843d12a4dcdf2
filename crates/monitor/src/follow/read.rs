//! Reads the new entries of a tree in ranges, several at a time, and hands them on in order.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{
    BulkError, Entry, Evidence, Fetch, ReadError, RekorLog, SignedHead, TreeReader, VerifyError,
};
use tokio::task::JoinHandle;

use super::examine::{Batch, Examination};
use crate::alarm::{Alarm, AlarmKind, is_fault_of_log};

/// Bundles and answers that are read at the same time. A bundle has up to 16 MiB, so this bounds
/// the memory, and more would not fill two processors better.
const AT_ONCE: usize = 4;
/// Entries that Rekor returns at once.
const RETRIEVE: u64 = 10;
/// Entries of a bundle.
const BUNDLE: u64 = 256;

/// Why reading ended early.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The log is away, or answers something else.
    Away(ReadError),
    /// What the log shows must not be.
    Alarm(Box<Alarm>),
}

/// Ranges of a tree that are being read, in order.
pub(super) struct Reading {
    tasks: VecDeque<JoinHandle<Result<Range, Stopped>>>,
}

/// A range that was read.
pub(super) struct Range {
    pub batch: Batch,
    /// Heads in which the entries were proved. Whoever gets them MUST compare them with those that
    /// are known.
    pub heads: Vec<SignedHead>,
}

impl Reading {
    pub(super) fn new() -> Self {
        let tasks = VecDeque::with_capacity(AT_ONCE);
        Self { tasks }
    }

    pub(super) fn is_full(&self) -> bool {
        self.tasks.len() >= AT_ONCE
    }

    /// Returns the oldest range, or `None` if all were returned.
    pub(super) async fn next(&mut self) -> Option<Result<Range, Stopped>> {
        let task = self.tasks.pop_front()?;
        // A task that panicked read nothing. The next look tries again.
        let lost = |_| {
            let why = "the range was not read because of a bug".to_owned();
            Err(Stopped::Away(ReadError::Unsupported(why)))
        };
        Some(task.await.unwrap_or_else(lost))
    }

    /// Begins to read a bundle.
    pub(super) async fn bundle<F: Fetch + Clone + Send + Sync + 'static>(
        &mut self,
        reader: &mut TreeReader<F>,
        examination: &Arc<Examination<F>>,
        number: u64,
    ) -> Result<(), Stopped> {
        let (now, url) = (examination.now, examination.url.clone());
        let wanted = reader.want(number).await;
        let wanted = wanted.map_err(|error| stopped(&url, now, error))?;
        let (reader, examination) = (reader.clone(), Arc::clone(examination));
        self.tasks.push_back(tokio::spawn(async move {
            let batch = examination.bundle(&reader, &wanted).await;
            let batch = batch.map_err(|error| stopped(&url, now, error))?;
            let heads = Vec::new();
            Ok(Range { batch, heads })
        }));
        Ok(())
    }

    /// Begins to read entries through the API: those from a leaf index on, at most up to `end`.
    pub(super) fn entries<F: Fetch + Clone + Send + Sync + 'static>(
        &mut self,
        log: &RekorLog<F>,
        examination: &Arc<Examination<F>>,
        first: u64,
        end: u64,
    ) {
        let end = after(first, end);
        let (log, examination) = (log.clone(), Arc::clone(examination));
        self.tasks.push_back(tokio::spawn(async move {
            retrieve(&log, &examination, first..end).await
        }));
    }
}

impl Drop for Reading {
    /// What was begun after an error leads to nothing.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Returns the bundles that have the entries from one index to another.
pub(super) fn bundles(first: u64, end: u64) -> std::ops::Range<u64> {
    first / BUNDLE..end.div_ceil(BUNDLE)
}

/// Returns the index after the last entry that [`Reading::entries`] reads.
pub(super) fn after(first: u64, end: u64) -> u64 {
    end.min(first.saturating_add(RETRIEVE))
}

async fn retrieve<F: Fetch>(
    log: &RekorLog<F>,
    examination: &Examination<F>,
    leaves: std::ops::Range<u64>,
) -> Result<Range, Stopped> {
    let first = examination.first_log_index;
    let indexes = leaves.clone().map(|leaf| first.saturating_add(leaf));
    let indexes: Vec<u64> = indexes.collect();
    let answer = log.entries_answer(&indexes).await.map_err(Stopped::Away)?;
    let entries = log.open_entries(&answer);
    let entries = entries.map_err(|error| bad_proof(examination, leaves.start, &answer, error))?;
    let mut range = Range {
        batch: Batch::default(),
        heads: Vec::new(),
    };
    if entries.len() != indexes.len() {
        let why = format!("{} entries instead of {}", entries.len(), indexes.len());
        return Err(Stopped::Away(ReadError::Absent(why)));
    }
    for (leaf, entry) in leaves.zip(&entries) {
        check_place(examination, entry, leaf)?;
        let head = &entry.inclusion.head;
        if !range.heads.iter().any(|known| known.root() == head.root()) {
            range.heads.push(head.clone());
        }
        let examined = examination.entry(&mut range.batch, entry).await;
        examined.map_err(Stopped::Away)?;
    }
    Ok(range)
}

/// Returns the alarm about an answer that does not verify. An answer that is no entries at all says
/// only that the log is away.
fn bad_proof<F>(
    examination: &Examination<F>,
    leaf: u64,
    answer: &[u8],
    error: VerifyError,
) -> Stopped {
    let Examination {
        url, origin, now, ..
    } = examination;
    let at = format!("{url}/api/v1/log/entries/retrieve");
    if !is_fault_of_log(&error) {
        return Stopped::Away(ReadError::Answer {
            url: at,
            source: error,
        });
    }
    Stopped::Alarm(Box::new(Alarm {
        kind: AlarmKind::BadProof,
        about: format!("{origin} {leaf}"),
        message: format!("entries of {origin} from leaf {leaf} on do not verify: {error}"),
        evidence: Some(Evidence::of_answer(url, *now, &at, answer, &error)),
    }))
}

/// Checks that an entry is the leaf of this index in this tree: the log index alone says nothing
/// about the place that the proof is for.
fn check_place<F>(examination: &Examination<F>, entry: &Entry, leaf: u64) -> Result<(), Stopped> {
    let proof = &entry.inclusion;
    let (origin, index) = (proof.head.origin(), proof.leaf_index.0);
    if (origin, index) == (&examination.origin, leaf) {
        return Ok(());
    }
    let why = format!(
        "the entry at log index {} is leaf {index} of {origin}, and not leaf {leaf} of {}",
        entry.log_index, examination.origin
    );
    Err(Stopped::Away(ReadError::Absent(why)))
}

pub(super) fn stopped(url: &str, now: i64, error: BulkError) -> Stopped {
    match (Alarm::of_bulk(url, now, &error), error) {
        (Some(alarm), _) => Stopped::Alarm(Box::new(alarm)),
        (None, BulkError::Read(error)) => Stopped::Away(error),
        (None, error) => Stopped::Away(ReadError::Unsupported(error.to_string())),
    }
}
