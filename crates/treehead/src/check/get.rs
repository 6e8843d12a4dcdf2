//! `treehead get`: entries by index, ID or artifact.

use client::{Entry, ReadResult};
use serde_json::{Value, json};
use tlog::Hash;

use super::describe;
use super::flags::{EntryFlags, GetFlags};
use super::log::{Log, failure};
use super::show::{self, Text};
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::file_digest;
use crate::search;

/// What was found.
struct Found {
    entries: Vec<Entry>,
    /// How many entries the search found.
    hits: usize,
}

pub(super) async fn run(flags: &GetFlags) -> Outcome<()> {
    if let Some(purl) = &flags.purl {
        let query = search::of_package(purl)?;
        return search::search(&flags.log, &query, usize::from(flags.limit)).await;
    }
    let log = Log::open(&flags.log).await?;
    let hash = match (&flags.hash, &flags.file) {
        (Some(hash), _) => Some(*hash),
        (None, Some(file)) => {
            Some(file_digest::sha256(file).explain(FailureKind::Usage, file.display())?)
        }
        (None, None) => None,
    };
    let found = match hash {
        Some(hash) => by_hash(&log, &hash, usize::from(flags.limit))
            .await
            .map_err(failure)?,
        None => Found {
            entries: vec![entry(&log, &flags.entry).await?],
            hits: 1,
        },
    };
    if let Some(hash) = hash
        && found.entries.is_empty()
    {
        let why = format_args!(
            "the search of {} finds no entry for sha256:{hash}",
            flags.log.url
        );
        return Err(Failure::new(FailureKind::Absent, why));
    }
    show(flags, &found, hash.as_ref())
}

/// Returns the entry that the flags name.
pub(super) async fn entry(log: &Log, flags: &EntryFlags) -> Outcome<Entry> {
    let entry = match (log, flags.log_index, &flags.uuid) {
        (Log::V1(log), Some(index), _) => log.entry_at(index).await,
        (Log::V1(log), None, Some(uuid)) => log.entry_of(uuid).await,
        (Log::V2(log), Some(index), _) => {
            let head = log.head().await.map_err(failure)?;
            log.entry_at(index, head).await
        }
        (Log::V2(log), None, Some(uuid)) => {
            let (_tree, leaf_hash) = uuid.split_at(uuid.len() - 64);
            let mut hash = Hash([0; 32]);
            hex::decode_to_slice(leaf_hash, &mut hash.0).explain(FailureKind::Usage, "--uuid")?;
            log.entry_of(&hash).await
        }
        (_, None, None) => {
            let why = "give --log-index or --uuid";
            return Err(Failure::new(FailureKind::Usage, why));
        }
    };
    entry.map_err(failure)
}

async fn by_hash(log: &Log, hash: &Hash, limit: usize) -> ReadResult<Found> {
    let mut entries = Vec::new();
    let hits = match log {
        Log::V1(log) => {
            let ids = log.search(hash).await?;
            for id in ids.iter().take(limit) {
                entries.push(log.entry_of(id).await?);
            }
            ids.len()
        }
        Log::V2(log) => {
            let hits = log.search(hash, limit).await?;
            for hit in &hits {
                entries.push(log.entry_of_hit(hit).await?);
            }
            hits.len()
        }
    };
    Ok(Found { entries, hits })
}

fn show(flags: &GetFlags, found: &Found, hash: Option<&Hash>) -> Outcome<()> {
    let mut text = Text::default();
    let mut entries = Vec::new();
    for entry in &found.entries {
        let states = hash.map(|hash| entry.states(hash.as_ref()));
        text.verified(format_args!(
            "entry {} of {}",
            entry.log_index, flags.log.url
        ));
        describe::entry(&mut text, entry);
        if states == Some(false) {
            text.fact(
                "note",
                "the search found it, but the entry itself does not state this hash",
            );
        }
        match entry.json() {
            Some(body) => text.lines("body", &format!("{body:#}")),
            None => text.fact("body", format_args!("{} bytes", entry.body.len())),
        }
        let mut json = describe::entry_json(entry);
        if let (Some(states), Some(members)) = (states, json.as_object_mut()) {
            members.insert("statesHash".to_owned(), Value::Bool(states));
        }
        entries.push(json);
    }
    if found.hits > found.entries.len() {
        let left = found.hits - found.entries.len();
        text.fact(
            "more",
            format_args!("{left} further entries; --limit fetches more"),
        );
    }
    let json = json!({"url": flags.log.url, "found": found.hits, "entries": entries});
    show::print(flags.log.trust.format, &text, &json)
}
