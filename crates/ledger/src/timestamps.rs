//! Signed entry timestamps (SETs): Rekor v1's promise of inclusion, with the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prometheus::IntCounter;
use tlog::LeafIndex;

use crate::api::HeadForm;
use crate::keys::signer::{Signer, SigningError};
use crate::metrics::Metrics;
use crate::reading::entry::LoggedEntry;
use crate::store::TimestampRow;
use crate::tree::Tree;

/// SETs that may wait to be stored. If reads outrun a database that accepts no writes, the oldest
/// SETs are dropped and signed again at the next read. 16 × a round, about 2.5 MiB.
const MAX_WAITING: usize = 16 * 1_024;

/// Returns the bytes that a SET signs: the RFC 8785 form of
/// `{"body","integratedTime","logID","logIndex"}` as Rekor v1 makes it. No member needs escapes:
/// base64, a number, hex, a number.
pub(crate) fn payload(tree: &Tree, leaf_index: LeafIndex, time: i64, leaf_bytes: &[u8]) -> String {
    let log_index = tree.first_log_index + leaf_index.0;
    let mut text = String::with_capacity(leaf_bytes.len() * 4 / 3 + 160);
    text.push_str("{\"body\":\"");
    STANDARD.encode_string(leaf_bytes, &mut text);
    text.push_str(&format!(
        "\",\"integratedTime\":{time},\"logID\":\"{}\",\"logIndex\":{log_index}}}",
        tree.log_id
    ));
    text
}

/// Makes the signed entry timestamps of one tree. One that was handed out waits here until it is
/// stored, with the next round or when the log is idle.
pub(crate) struct Timestamps {
    tree: Arc<Tree>,
    signer: Signer,
    signed: IntCounter,
    waiting: Waiting,
}

impl Timestamps {
    pub(crate) fn new(tree: Arc<Tree>, signer: Signer, metrics: &Metrics) -> Self {
        Self {
            tree,
            signer,
            signed: metrics.timestamps_signed.clone(),
            waiting: Waiting::default(),
        }
    }

    /// Returns the SET of an entry: the stored one, the one that waits to be stored, or a new one,
    /// which then waits. Fails in a log of another form than Rekor v1's, which has none.
    ///
    /// MUST be called only for entries below a published head. Every [`LoggedEntry`] is, by
    /// convention of its two makers: a read below a head, and an append that waited for its
    /// publication.
    pub(crate) fn get_or_sign(&self, entry: &LoggedEntry) -> Result<Arc<[u8]>, SigningError> {
        let known = entry
            .signed_entry_timestamp
            .clone()
            .or_else(|| self.waiting.get(entry.leaf_index));
        if let Some(known) = known {
            return Ok(known);
        }
        if self.tree.api.heads != HeadForm::RekorV1 {
            let api = self.tree.api;
            let reason = format!("a {api} log has no signed entry timestamps");
            return Err(SigningError(reason));
        }
        let payload = payload(&self.tree, entry.leaf_index, entry.time, &entry.body);
        let signature = self.signer.sign(payload.as_bytes())?;
        self.signed.inc();
        Ok(self.waiting.add(entry.leaf_index, signature))
    }

    /// Returns at most `limit` rows to store. They wait until [`Timestamps::mark_stored`].
    pub(crate) fn next_rows(&self, limit: usize) -> Vec<TimestampRow> {
        self.waiting.next(limit)
    }

    /// Forgets rows that are durable.
    pub(crate) fn mark_stored(&self, rows: &[TimestampRow]) {
        self.waiting.remove(rows);
    }
}

/// SETs that were handed out and are not stored yet.
#[derive(Default)]
struct Waiting {
    by_index: Mutex<BTreeMap<LeafIndex, Arc<[u8]>>>,
}

impl Waiting {
    fn get(&self, leaf_index: LeafIndex) -> Option<Arc<[u8]>> {
        self.lock().get(&leaf_index).cloned()
    }

    /// Adds a SET unless one waits already. Returns the one that counts.
    fn add(&self, leaf_index: LeafIndex, signature: Vec<u8>) -> Arc<[u8]> {
        let mut waiting = self.lock();
        let kept = Arc::clone(
            waiting
                .entry(leaf_index)
                .or_insert_with(|| signature.into()),
        );
        if waiting.len() > MAX_WAITING {
            waiting.pop_first();
        }
        kept
    }

    fn next(&self, limit: usize) -> Vec<TimestampRow> {
        self.lock()
            .iter()
            .take(limit)
            .map(|(&leaf_index, signature)| TimestampRow {
                leaf_index,
                signature: Arc::clone(signature),
            })
            .collect()
    }

    fn remove(&self, rows: &[TimestampRow]) {
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

#[cfg(test)]
mod tests {
    use tlog::Hash;

    use super::*;
    use crate::{TreeId, V1};

    /// A payload recorded from Rekor v1.5.4: same text, so the same SHA-256.
    #[test]
    fn the_payload_is_rekors() {
        let body = concat!(
            r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"#,
            r#""4ac5941ce272e4f72eda5412c9da0ba9a4a3a6645a33ac77a634f4b025381058"}},"signature":{"content":"#,
            r#""MEYCIQC4alY8bLylTVWIBJuzNx33XrpxX9s3CD4SUo7gmh2dEAIhAI7F1lzRfMt0wVyE/7ANMkHJTRTJ5xs4vG4696z77kmW","#,
            r#""publicKey":{"content":"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RR"#,
            r#"Z0FFUnh3K2RZeEpCQ2hidW41VEVZN1E5U1N0NndkWAowbHZTK09ldzEyMzZjVXpkVWc5NnlvcUxrWHJNTi9VZDZQREp1K090aFlPQzV3"#,
            r#"TGNKYUV0Q2Zlb1dBPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="}}}}"#,
        );
        let mut log_id = [0; 32];
        let hex_log_id = "0df0d7025d929558efb8aa0df9fd6c705cfd8daf12101705e8cf0ae7ba7d5b12";
        hex::decode_to_slice(hex_log_id, &mut log_id).unwrap();
        let rng = ring::rand::SystemRandom::new();
        let pkcs8 = tlog::SigningKey::generate_p256_pkcs8(&rng).unwrap();
        let key = tlog::SigningKey::from_pkcs8(&pkcs8, &rng).unwrap();
        let tree = Tree {
            id: TreeId(4_112_233_445_566_778_899),
            name: "rekor.example.test".into(),
            api: &V1,
            origin: "rekor.example.test/trees/4112233445566778899".into(),
            log_id: Hash(log_id),
            public_key_pem: String::new(),
            log_key: key.verifying_key().clone(),
            checkpoint_key: key.verifying_key().clone(),
            first_log_index: 3,
            max_leaf_bytes: 65_535,
        };
        let payload = payload(&tree, LeafIndex(55), 1_795_384_279, body.as_bytes());
        let digest = tlog::sha256(payload.as_bytes()).to_string();
        assert_eq!(
            digest,
            "0eb3182ea056e7a54eefc961e3f1450b3e9960628fcc8787094b9f493b69ba80"
        );
    }

    #[test]
    fn the_first_signature_stays_until_it_is_stored() {
        let waiting = Waiting::default();
        assert_eq!(&*waiting.add(LeafIndex(1), vec![1]), &[1]);
        assert_eq!(&*waiting.add(LeafIndex(1), vec![2]), &[1]);
        let rows = waiting.next(10);
        waiting.remove(&rows);
        assert_eq!(waiting.get(LeafIndex(1)), None);
    }

    #[test]
    fn the_timestamps_that_wait_are_bounded() {
        let waiting = Waiting::default();
        for index in 0..=MAX_WAITING as u64 {
            waiting.add(LeafIndex(index), vec![0]);
        }
        assert_eq!(waiting.get(LeafIndex(0)), None);
        assert!(waiting.get(LeafIndex(1)).is_some());
    }
}
