//! Signed entry timestamps (SETs): Rekor v1's promise of inclusion, with the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog::LeafIndex;

use crate::Tree;
use crate::store::TimestampRow;

/// SETs that wait to be stored. When reads outrun a database that takes no writes, the oldest are dropped: they are signed
/// again at the next read. 16 × a round, about 2.5 MiB.
const MAX_WAITING: usize = 16 * 1_024;

/// The bytes that a SET signs: the RFC 8785 form of `{"body","integratedTime","logID","logIndex"}` as Rekor v1 makes it.
/// No member needs escapes: base64, a number, hex, a number.
pub(crate) fn payload(tree: &Tree, leaf_index: LeafIndex, time: i64, leaf_bytes: &[u8]) -> String {
    let log_index = tree.first_log_index + leaf_index.0;
    let mut text = String::with_capacity(leaf_bytes.len() * 4 / 3 + 160);
    text.push_str("{\"body\":\"");
    STANDARD.encode_string(leaf_bytes, &mut text);
    text.push_str(&format!("\",\"integratedTime\":{time},\"logID\":\"{}\",\"logIndex\":{log_index}}}", tree.log_id));
    text
}

/// SETs that were handed out but are not stored yet. They are stored with the next round, or when the log is idle.
#[derive(Default)]
pub(crate) struct Waiting {
    by_index: Mutex<BTreeMap<LeafIndex, Arc<[u8]>>>,
}

impl Waiting {
    /// The SET of this index, if it waits.
    pub(crate) fn get(&self, leaf_index: LeafIndex) -> Option<Arc<[u8]>> {
        self.lock().get(&leaf_index).cloned()
    }

    /// Adds a SET unless one waits already; returns the one that counts.
    pub(crate) fn add(&self, leaf_index: LeafIndex, signature: Vec<u8>) -> Arc<[u8]> {
        let mut waiting = self.lock();
        let kept = Arc::clone(waiting.entry(leaf_index).or_insert_with(|| signature.into()));
        if waiting.len() > MAX_WAITING {
            waiting.pop_first();
        }
        kept
    }

    /// At most `limit` rows to store. They stay until [`Waiting::stored`].
    pub(crate) fn next(&self, limit: usize) -> Vec<TimestampRow> {
        self.lock()
            .iter()
            .take(limit)
            .map(|(&leaf_index, signature)| TimestampRow { leaf_index, signature: signature.to_vec() })
            .collect()
    }

    /// Forgets rows that are durable.
    pub(crate) fn stored(&self, rows: &[TimestampRow]) {
        let mut waiting = self.lock();
        for row in rows {
            waiting.remove(&row.leaf_index);
        }
    }

    /// The map is whole between any two calls, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<LeafIndex, Arc<[u8]>>> {
        self.by_index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
