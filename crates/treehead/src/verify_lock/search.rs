//! What a log's search has under the keys of a lock file.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use client::Http;
use client::lock::Lock;
use client::lookup::{KeyHits, KeySearch, MAX_KEYS, Part, SearchApi};
use ledger::Api;

use crate::check::log::failure;
use crate::failure::Outcome;
use crate::progress::Progress;
use crate::side_by_side::side_by_side;

/// Entries of one key that are read. Who logs an artefact more often vouches no better.
const MAX_ENTRIES_OF_KEY: usize = 256;
/// Requests with many keys at once: one is answered while another one is made.
const TOGETHER: usize = 4;
/// Requests with one digest at once, which another log's operator may take for an attack.
const ONE_BY_ONE: usize = 8;

/// Asks for all keys of a lock file.
pub(super) async fn hits(
    search: &Arc<KeySearch<Http>>,
    lock: &Lock,
    api: Option<&Api>,
) -> Outcome<HashMap<String, KeyHits>> {
    let mut keys = BTreeSet::new();
    for artefact in &lock.artefacts {
        keys.extend(artefact.digest_keys());
        if search.api() == SearchApi::Treehead {
            keys.extend(artefact.name_keys());
        }
    }
    let (size, at_once) = match search.api() {
        SearchApi::Treehead => (MAX_KEYS, TOGETHER),
        SearchApi::RekorV1 => (1, ONE_BY_ONE),
    };
    let keys: Vec<String> = keys.into_iter().collect();
    let bar = Progress::new("keys", keys.len() as u64);
    let mut found = HashMap::with_capacity(keys.len());
    let look_up = |keys: &[String]| {
        let (search, keys) = (Arc::clone(search), keys.to_vec());
        async move {
            let mut hits = search
                .look_up(&keys, &Part::default())
                .await
                .map_err(failure)?;
            for (key, hits) in keys.iter().zip(&mut hits) {
                let rest = search.look_up_rest(key, hits, MAX_ENTRIES_OF_KEY).await;
                rest.map_err(failure)?;
            }
            Ok(keys.into_iter().zip(hits).collect::<Vec<_>>())
        }
    };
    let take = |looked_up: Vec<(String, KeyHits)>| {
        bar.advance(looked_up.len() as u64);
        for (key, mut hits) in looked_up {
            hits.entries
                .retain(|hit| api.is_none_or(|api| hit.log == api.name));
            found.insert(key, hits);
        }
        Ok(())
    };
    side_by_side(keys.chunks(size), at_once, look_up, take).await?;
    Ok(found)
}
