//! The entries that a search found: read, verified, and what they say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use client::lookup::{KeyHit, KeyHits, KeySearch, MAX_ENTRIES};
use client::{Entry, Http};
use entry::{StatementSummary, Summary};

use crate::check::log::failure;
use crate::failure::{Failure, FailureKind, Outcome};
use crate::progress::Progress;
use crate::side_by_side::side_by_side;

/// Requests at once.
const AT_ONCE: usize = 8;

/// An entry that is in the log.
pub(super) struct Known {
    pub(super) hit: KeyHit,
    pub(super) entry: Entry,
    pub(super) summary: Summary,
    /// The statement that the log keeps beside the entry, if the entry has its digest.
    pub(super) statement: Option<StatementSummary>,
    /// All search keys that follow from both.
    keys: HashSet<String>,
}

/// What shows that an entry is about an artefact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The entry, or the statement beside it.
    ByEntry,
    /// Only the log's index: the entry has no more than the digest of its statement.
    ByIndex,
}

/// Reads and verifies all entries that were found, each once.
pub(super) async fn entries(
    search: &Arc<KeySearch<Http>>,
    found: &HashMap<String, KeyHits>,
) -> Outcome<HashMap<String, Known>> {
    let hits = found.values().flat_map(|hits| &hits.entries);
    let hits: BTreeMap<&str, &KeyHit> = hits.map(|hit| (hit.uuid.as_str(), hit)).collect();
    let bar = Progress::new("entries", hits.len() as u64);
    let (of_v1, others): (Vec<&KeyHit>, Vec<&KeyHit>) =
        hits.into_values().partition(|hit| hit.log == "v1");
    let requests = of_v1.chunks(MAX_ENTRIES).chain(others.chunks(1));
    let mut known = HashMap::new();
    let read = |hits: &[&KeyHit]| {
        let search = Arc::clone(search);
        let hits: Vec<KeyHit> = hits.iter().map(|hit| (*hit).clone()).collect();
        async move { read(&search, hits).await }
    };
    let take = |entries: Vec<Known>| {
        bar.advance(entries.len() as u64);
        known.extend(
            entries
                .into_iter()
                .map(|entry| (entry.hit.uuid.clone(), entry)),
        );
        Ok(())
    };
    side_by_side(requests, AT_ONCE, read, take).await?;
    for (key, hits) in found {
        for hit in &hits.entries {
            known[&hit.uuid].check(key)?;
        }
    }
    Ok(known)
}

/// Reads the entries of one request: several of v1, or one of another log.
async fn read(search: &KeySearch<Http>, hits: Vec<KeyHit>) -> Outcome<Vec<Known>> {
    if let [hit] = &hits[..]
        && hit.log != "v1"
    {
        let entry = search.entry_of_hit(hit).await.map_err(failure)?;
        return Ok(vec![Known::new(hit.clone(), entry)]);
    }
    let uuids: Vec<String> = hits.iter().map(|hit| hit.uuid.clone()).collect();
    let entries = search.entries_of(&uuids).await.map_err(failure)?;
    let known = hits.into_iter().zip(entries);
    Ok(known.map(|(hit, entry)| Known::new(hit, entry)).collect())
}

impl Known {
    fn new(hit: KeyHit, entry: Entry) -> Self {
        // Bytes of a kind that is not known here say nothing.
        let summary = entry::summarize(&entry.body).unwrap_or_default();
        let statement = entry.attestation.as_deref().filter(|attestation| {
            let digest = format!("sha256:{}", tlog::sha256(attestation));
            summary.digests.contains(&digest)
        });
        let statement = statement.map(entry::summarize_attestation);
        let of_statement = statement.iter().flat_map(|statement| &statement.index_keys);
        let keys = summary.index_keys.iter().chain(of_statement).cloned();
        Self {
            keys: keys.collect(),
            hit,
            entry,
            summary,
            statement,
        }
    }

    /// Returns what shows that the entry has one of these search keys.
    pub(super) fn shows(&self, keys: &[String]) -> Shown {
        match keys
            .iter()
            .any(|key| self.keys.contains(&key.to_lowercase()))
        {
            true => Shown::ByEntry,
            false => Shown::ByIndex,
        }
    }

    /// Returns whether one of its signers has a public key with one of these SHA-256.
    pub(super) fn is_signed_by(&self, keys: &[String]) -> bool {
        let mut signers = self.summary.signers.iter();
        signers.any(|signer| {
            let spki = signer.spki_sha256.as_ref();
            spki.is_some_and(|spki| keys.contains(spki))
        })
    }

    /// Checks that a search was right to find the entry under a key, where the entry shows all its
    /// keys.
    fn check(&self, key: &str) -> Outcome<()> {
        let of_leaf = entry::index_keys_of_leaf(&self.entry.body);
        if !matches!(of_leaf, Ok(Some(_))) || self.keys.contains(&key.to_lowercase()) {
            return Ok(());
        }
        let why = format_args!(
            "the search finds entry {} under {key}, which the entry does not state",
            self.hit.uuid
        );
        Err(Failure::new(FailureKind::NotVerified, why))
    }
}
