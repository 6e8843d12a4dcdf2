//! Reads a period of a Rekor v1 log: entries with the times that the log signed.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use client::{Entry, Http, LogKey, RekorLog, Run};
use serde::Deserialize;
use serde_json::json;

use super::bound::Bound;
use super::flags::AuditPackFlags;
use super::period::{Period, Tree};
use super::progress::Progress;
use super::stage::{Lines, Stage};
use crate::check::log::{failure, trust};
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Most entries of one request, as in Rekor.
const BATCH: u64 = 10;
/// How often the first and the last entry are asked for until both answers have one head. A log that
/// takes a thousand entries a second signs a head every few milliseconds.
const TRIES: usize = 20;

/// Log indexes, the first inside and the second behind.
struct Bounds {
    since: u64,
    until: u64,
}

pub(super) async fn read(
    flags: &AuditPackFlags,
    log: &RekorLog<Http>,
    stage: &Stage,
) -> Outcome<Period> {
    let keys = trust(&flags.log.trust)?;
    let heads = log.heads().await.map_err(failure)?;
    let size = heads
        .first_log_index()
        .saturating_add(heads.active.size().0);
    let bounds = bounds(flags, log, size).await?;
    if bounds.since >= bounds.until {
        let why = format_args!(
            "{} has no entry from {} to {}",
            flags.log.url, flags.since, flags.until
        );
        return Err(Failure::new(FailureKind::Absent, why));
    }
    // By time, one entry on either side shows that the period has no more.
    let (first, end) = match flags.since {
        Bound::Time { .. } => (bounds.since.saturating_sub(1), (bounds.until + 1).min(size)),
        Bound::Index(_) => (bounds.since, bounds.until),
    };
    let trees = trees(log, &keys, stage, first, end).await?;
    if flags.since.time().is_some() && bounds.until == size {
        check_end(&trees)?;
    }
    Ok(Period {
        trees,
        inside: bounds.until - bounds.since,
        api: "v1",
    })
}

/// No entry lies behind the period, so that its last one must be the last of its tree.
fn check_end(trees: &[Tree]) -> Outcome<()> {
    let is_last = |run: &Run| run.first.saturating_add(run.count) == run.head.size().0;
    match trees.last().is_some_and(|tree| is_last(&tree.run)) {
        true => Ok(()),
        false => {
            let why = "the log grew meanwhile; run this again";
            Err(Failure::new(FailureKind::LogUnavailable, why))
        }
    }
}

async fn bounds(flags: &AuditPackFlags, log: &RekorLog<Http>, size: u64) -> Outcome<Bounds> {
    Ok(Bounds {
        since: index_of(log, &flags.since, size).await?,
        until: index_of(log, &flags.until, size).await?,
    })
}

/// Returns the log index of the first entry at or after an end, by halving: entries of a log have
/// rising times. The script in the pack checks it.
async fn index_of(log: &RekorLog<Http>, bound: &Bound, size: u64) -> Outcome<u64> {
    let wanted = match bound {
        Bound::Index(index) => return Ok((*index).min(size)),
        Bound::Time { seconds, .. } => *seconds,
    };
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = log.entry_at(middle).await.map_err(failure)?;
        let time = entry.time.and_then(|time| i64::try_from(time).ok());
        match time.is_some_and(|time| time < wanted) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

/// The entries of a tree that are read so far.
struct Open {
    origin: String,
    first: Entry,
    last: Entry,
    hashes: Vec<tlog::Hash>,
    lines: Lines,
}

/// Reads and writes the entries from `first` to before `end`, tree by tree.
async fn trees(
    log: &RekorLog<Http>,
    keys: &[LogKey],
    stage: &Stage,
    first: u64,
    end: u64,
) -> Outcome<Vec<Tree>> {
    let mut progress = Progress::new(end - first);
    let mut trees = Vec::new();
    let mut open: Option<Open> = None;
    let mut next = first;
    while next < end {
        let indexes: Vec<u64> = (next..end.min(next + BATCH)).collect();
        for (entry, timestamp) in batch(log, keys, &indexes).await? {
            let origin = entry.inclusion.head.origin();
            let tree = match open.take() {
                Some(tree) if tree.origin == origin => tree,
                before => {
                    if let Some(tree) = before {
                        trees.push(close(log, tree).await?);
                    }
                    Open {
                        origin: origin.to_owned(),
                        first: entry.clone(),
                        last: entry.clone(),
                        hashes: Vec::new(),
                        lines: stage.lines(trees.len())?,
                    }
                }
            };
            open = Some(add(tree, entry, &timestamp)?);
        }
        next += indexes.len() as u64;
        progress.add(indexes.len());
    }
    if let Some(tree) = open {
        trees.push(close(log, tree).await?);
    }
    Ok(trees)
}

fn add(mut tree: Open, entry: Entry, timestamp: &str) -> Outcome<Open> {
    let line = json!({
        "logIndex": entry.log_index, "leaf": BASE64_STANDARD.encode(&entry.body),
        "time": entry.time, "timestamp": timestamp,
    });
    tree.lines.add(&line)?;
    tree.hashes.push(entry.inclusion.leaf_hash);
    tree.last = entry;
    Ok(tree)
}

/// Proves the entries of a tree together.
async fn close(log: &RekorLog<Http>, tree: Open) -> Outcome<Tree> {
    let Open {
        mut first,
        mut last,
        hashes,
        lines,
        ..
    } = tree;
    let log_index = first.log_index;
    for _ in 0..TRIES {
        let (head, other) = (&first.inclusion.head, &last.inclusion.head);
        if head.states_the_same_as(other) {
            break;
        }
        let mut pair = log.entries_at(&[first.log_index, last.log_index]).await;
        if let Ok([one, two]) = pair.as_deref_mut() {
            std::mem::swap(&mut first, one);
            std::mem::swap(&mut last, two);
        }
        pair.map_err(failure)?;
    }
    let run = Run::between(&first.inclusion, &last.inclusion);
    let run = run.explain(
        FailureKind::LogUnavailable,
        "the log grows too fast; try again",
    )?;
    run.verify(&hashes)
        .explain(FailureKind::NotVerified, &tree.origin)?;
    Ok(Tree {
        run,
        log_index,
        entries: lines.finish()?,
    })
}

/// Returns entries with their signed entry timestamps in base64.
async fn batch(
    log: &RekorLog<Http>,
    keys: &[LogKey],
    indexes: &[u64],
) -> Outcome<Vec<(Entry, String)>> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(rename = "logIndex")]
        log_index: u64,
        verification: Verification,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Verification {
        signed_entry_timestamp: String,
    }
    let answer = log.entries_answer(indexes).await.map_err(failure)?;
    let entries = client::v1::open_entries(keys, &answer);
    let mut entries = entries.explain(FailureKind::NotVerified, "the answer with entries")?;
    entries.sort_unstable_by_key(|entry| entry.log_index);
    let got: Vec<u64> = entries.iter().map(|entry| entry.log_index).collect();
    if got != indexes {
        let why = format_args!("the log answers entries {got:?} instead of {indexes:?}");
        return Err(Failure::new(FailureKind::NotVerified, why));
    }
    let wire: Result<Vec<HashMap<String, Wire>>, _> = serde_json::from_slice(&answer);
    let wire = wire.explain(FailureKind::NotVerified, "the answer with entries")?;
    let wire = wire.into_iter().flat_map(HashMap::into_values);
    let mut timestamps: HashMap<u64, String> = wire
        .map(|entry| (entry.log_index, entry.verification.signed_entry_timestamp))
        .collect();
    let with_timestamp = entries.into_iter().map(|entry| {
        let timestamp = timestamps.remove(&entry.log_index).unwrap_or_default();
        (entry, timestamp)
    });
    Ok(with_timestamp.collect())
}
