//! Answers of Rekor v1.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use tlog::{Hash, LeafIndex, ProofError, TreeSize};

use super::LogKey;
use crate::known::HeadV1;

/// An entry whose proof, checkpoint and timestamp were verified.
pub(crate) struct Verified {
    pub(crate) id: String,
    pub(crate) log_index: u64,
    pub(crate) artifact: Option<Hash>,
}

#[derive(Deserialize)]
struct Entry {
    body: String,
    #[serde(rename = "integratedTime")]
    integrated_time: u64,
    #[serde(rename = "logID")]
    log_id: String,
    #[serde(rename = "logIndex")]
    log_index: u64,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: InclusionProof,
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TreeHead {
    #[serde(default)]
    inactive_shards: Option<Vec<Shard>>,
    root_hash: String,
    signed_tree_head: String,
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shard {
    tree_size: u64,
}

impl LogKey {
    /// Reads the answer of `/api/v1/log` and verifies its checkpoint.
    pub(crate) fn open_head(&self, answer: &[u8]) -> Result<HeadV1> {
        let head: TreeHead = serde_json::from_slice(answer)?;
        let (size, root) = (TreeSize(head.tree_size), hash(&head.root_hash)?);
        self.verify_checkpoint(&head.signed_tree_head, size, &root)?;
        let first_log_index = head.inactive_shards.unwrap_or_default().iter().map(|shard| shard.tree_size).sum();
        Ok(HeadV1 { first_log_index, size, root })
    }

    /// Signed by this log under the name in its origin (`name - tree ID`), and of this head.
    fn verify_checkpoint(&self, note: &str, size: TreeSize, root: &Hash) -> Result<()> {
        let origin = note.lines().next().unwrap_or_default();
        let (name, _tree_id) = origin.rsplit_once(" - ").with_context(|| format!("origin {origin}"))?;
        let checkpoint = self.open(note, origin, name)?;
        ensure!((checkpoint.size, checkpoint.root) == (size, *root), "the checkpoint of another head");
        Ok(())
    }
}

/// One entry under its ID: inclusion proof, checkpoint, ID and signed entry timestamp.
pub(crate) fn verify_entry(key: &LogKey, answer: &[u8]) -> Result<Verified> {
    let answer: HashMap<String, Entry> = serde_json::from_slice(answer).context("an answer that is no log entry")?;
    verify_only_entry(key, answer)
}

fn verify_only_entry(key: &LogKey, answer: HashMap<String, Entry>) -> Result<Verified> {
    ensure!(answer.len() == 1, "{} entries", answer.len());
    let Some((id, entry)) = answer.into_iter().next() else { bail!("an answer without an entry") };
    check_entry(key, &id, &entry).with_context(|| format!("entry {id}"))?;
    Ok(Verified { id, log_index: entry.log_index, artifact: artifact(&entry.body) })
}

fn check_entry(key: &LogKey, id: &str, entry: &Entry) -> Result<()> {
    let leaf_hash = tlog::leaf_hash(&STANDARD.decode(&entry.body)?);
    ensure!(id.ends_with(&leaf_hash.to_string()), "its ID does not end in its leaf hash {leaf_hash}");

    let proof = &entry.verification.inclusion_proof;
    let (size, root) = (TreeSize(proof.tree_size), hash(&proof.root_hash)?);
    let hashes = proof.hashes.iter().map(|text| hash(text)).collect::<Result<Vec<_>>>()?;
    tlog::verify_inclusion(&leaf_hash, LeafIndex(proof.log_index), size, &root, &hashes)?;
    key.verify_checkpoint(&proof.checkpoint, size, &root).context("checkpoint")?;

    // RFC 8785 of the four members: their names are in order, and nothing in them needs an escape.
    let Entry { body, integrated_time, log_id, log_index, .. } = entry;
    let signed =
        format!(r#"{{"body":"{body}","integratedTime":{integrated_time},"logID":"{log_id}","logIndex":{log_index}}}"#);
    let timestamp = STANDARD.decode(&entry.verification.signed_entry_timestamp)?;
    key.0.verify(signed.as_bytes(), &timestamp).context("signed entry timestamp")
}

/// The results of a batch, in the order of what was sent: those that were taken are entries about the artifacts that
/// `digest` names. What was refused is not looked at.
pub(crate) fn verify_batch(key: &LogKey, answer: &[u8], digest: &dyn Fn(usize) -> Hash, count: usize) -> Result<()> {
    #[derive(Deserialize)]
    struct Taken {
        entry: Option<HashMap<String, Entry>>,
    }
    let answer: Results<Taken> = serde_json::from_slice(answer).context("an answer that is no list of results")?;
    ensure!(answer.results.len() == count, "{} results for {count} entries", answer.results.len());
    for (number, result) in answer.results.into_iter().enumerate() {
        let Some(entry) = result.entry else { continue };
        let verified = verify_only_entry(key, entry).with_context(|| format!("number {number}"))?;
        ensure!(verified.artifact == Some(digest(number)), "number {number} is another entry than was sent");
    }
    Ok(())
}

/// What a batch of `count` entries was refused, as text: one for each result that is not 201, and for each that is not there.
pub(crate) fn refusals(answer: &[u8], count: usize) -> Vec<String> {
    #[derive(Deserialize)]
    struct Outcome {
        status: u16,
        #[serde(default)]
        error: Value,
    }
    let results = match serde_json::from_slice::<Results<Outcome>>(answer) {
        Ok(answer) => answer.results,
        Err(error) => return vec![format!("an answer that is no list of results: {error}"); count],
    };
    let missing = count.saturating_sub(results.len());
    let refused = results.into_iter().filter(|result| result.status != 201);
    let texts = refused.map(|result| format!("{} in a batch: {}", result.status, result.error));
    texts.chain(std::iter::repeat_n("no result in a batch".to_owned(), missing)).collect()
}

#[derive(Deserialize)]
struct Results<T> {
    results: Vec<T>,
}

/// The proof of the head's tree from its first `first` leaves, which MUST NOT be 0 or a power of two: of other sizes the
/// root follows from the proof, and that both roots follow from one list of hashes is what is proved.
pub(crate) fn verify_consistency(first: u64, head: &HeadV1, answer: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Proof {
        hashes: Vec<String>,
    }
    let proof: Proof = serde_json::from_slice(answer).context("an answer that is no proof")?;
    let hashes = proof.hashes.iter().map(|text| hash(text)).collect::<Result<Vec<_>>>()?;
    let verify = |root: &Hash| tlog::verify_consistency(TreeSize(first), root, head.size, &head.root, &hashes);
    match verify(&tlog::EMPTY_ROOT) {
        // No tree with leaves has the empty root, so the first root is the first thing that differs.
        Err(ProofError::RootMismatch { computed, .. }) => Ok(verify(&computed)?),
        Err(error) => Err(error.into()),
        Ok(()) => bail!("a tree of {first} leaves with the root of the empty one"),
    }
}

/// The hits of a search: the ID is among them.
pub(crate) fn verify_search(id: &str, answer: &[u8]) -> Result<()> {
    let hits: Vec<String> = serde_json::from_slice(answer).context("an answer that is no list of IDs")?;
    ensure!(hits.iter().any(|hit| hit == id), "{id} is not among {} hits", hits.len());
    Ok(())
}

/// SHA-256 of what a hashedrekord is about, from the base64 of its leaf bytes.
pub(crate) fn artifact(body: &str) -> Option<Hash> {
    let body: Value = serde_json::from_slice(&STANDARD.decode(body).ok()?).ok()?;
    if let Some(digest) = body.pointer("/spec/hashedRekordV002/data/digest") {
        return Hash::try_from(STANDARD.decode(digest.as_str()?).ok()?.as_slice()).ok();
    }
    hash(body.pointer("/spec/data/hash/value")?.as_str()?).ok()
}

fn hash(text: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash)?;
    Ok(Hash(hash))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use serde_json::json;
    use tlog::{Checkpoint, Edge, SigningKey, TileId, TileTree};

    use super::*;

    fn signing_key(rng: &SystemRandom) -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(rng).unwrap(), rng).unwrap()
    }

    fn log_key(key: &SigningKey) -> LogKey {
        LogKey::new(key.verifying_key().clone())
    }

    /// The second leaf of two, as a log would answer it.
    fn answer(key: &SigningKey, rng: &SystemRandom) -> Value {
        let body = STANDARD.encode("leaf");
        let (first, second) = (tlog::leaf_hash(b"other"), tlog::leaf_hash(b"leaf"));
        let root = tlog::node_hash(&first, &second);
        let checkpoint = Checkpoint::new("localhost - 7", TreeSize(2), root).sign("localhost", key, rng).unwrap();
        let log_id = key.verifying_key().log_id();
        let signed = format!(r#"{{"body":"{body}","integratedTime":9,"logID":"{log_id}","logIndex":1}}"#);
        json!({ format!("0000000000000007{second}"): {
            "body": body, "integratedTime": 9, "logID": log_id.to_string(), "logIndex": 1,
            "verification": {
                "inclusionProof": {
                    "checkpoint": checkpoint, "hashes": [first.to_string()], "logIndex": 1, "rootHash": root.to_string(), "treeSize": 2,
                },
                "signedEntryTimestamp": STANDARD.encode(key.sign(signed.as_bytes(), rng).unwrap()),
            },
        }})
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        let rng = SystemRandom::new();
        let key = signing_key(&rng);
        let verify = |answer: &Value| verify_entry(&log_key(&key), answer.to_string().as_bytes());
        let good = answer(&key, &rng);
        let id = good.as_object().unwrap().keys().next().unwrap().clone();
        let verified = verify(&good).unwrap();
        assert_eq!((&verified.id, verified.log_index, verified.artifact), (&id, 1, None));

        let zeros = "0".repeat(64);
        for (path, value) in [
            ("body", json!(STANDARD.encode("leaF"))),
            ("integratedTime", json!(8)),
            ("logIndex", json!(0)),
            ("verification/inclusionProof/logIndex", json!(0)),
            ("verification/inclusionProof/treeSize", json!(3)),
            ("verification/inclusionProof/rootHash", json!(zeros)),
            ("verification/inclusionProof/hashes/0", json!(zeros)),
            ("verification/inclusionProof/checkpoint", json!("localhost - 7\n2\n")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(&format!("/{id}/{path}")).unwrap() = value;
            assert!(verify(&bad).is_err(), "{path}");
        }
        assert!(verify_entry(&log_key(&signing_key(&rng)), good.to_string().as_bytes()).is_err());
        assert!(verify(&json!({})).is_err());
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let rng = SystemRandom::new();
        let key = signing_key(&rng);
        let taken = json!({"status": 201, "entry": answer(&key, &rng)});
        let refused = json!({"status": 409, "error": {"code": 409, "message": "m"}, "location": "l"});
        let results = |results: &[&Value]| json!({"results": results}).to_string().into_bytes();
        assert_eq!(refusals(&results(&[&taken, &taken]), 2), [""; 0]);
        let both = refusals(&results(&[&taken, &refused]), 3);
        assert_eq!(both, [r#"409 in a batch: {"code":409,"message":"m"}"#, "no result in a batch"]);
        assert_eq!(refusals(b"[]", 2).len(), 2);

        let verify = |answer: &[u8], digest| verify_batch(&log_key(&key), answer, &|_| digest, 2);
        // The leaf of this test is about no artifact.
        assert!(verify(&results(&[&refused, &taken]), Hash([0; 32])).is_err());
        verify(&results(&[&refused, &refused]), Hash([0; 32])).unwrap();
        assert!(verify(&results(&[&refused]), Hash([0; 32])).is_err());
    }

    #[test]
    fn a_head_is_that_of_its_checkpoint() {
        let rng = SystemRandom::new();
        let key = signing_key(&rng);
        let root = tlog::leaf_hash(b"leaf");
        let note = Checkpoint::new("localhost - 7", TreeSize(1), root).sign("localhost", &key, &rng).unwrap();
        let head = |size: u64, root: Hash, shards: Value| {
            let head = json!({"inactiveShards": shards, "rootHash": root.to_string(), "signedTreeHead": note, "treeID": "7", "treeSize": size});
            log_key(&key).open_head(head.to_string().as_bytes())
        };
        let shards = json!([{"rootHash": "", "signedTreeHead": "", "treeID": "5", "treeSize": 40}, {"treeSize": 2}]);
        assert_eq!(head(1, root, shards).unwrap().first_log_index, 42);
        assert_eq!(head(1, root, Value::Null).unwrap().first_log_index, 0);
        assert!(head(2, root, Value::Null).is_err());
        assert!(head(1, tlog::leaf_hash(b""), Value::Null).is_err());
    }

    #[test]
    fn consistency_needs_no_first_root() {
        let leaves: Vec<_> = (0_u8..100).map(|leaf| tlog::leaf_hash(&[leaf])).collect();
        let mut edge = Edge::empty();
        edge.append(&leaves);
        let head = HeadV1 { first_log_index: 0, size: edge.size(), root: edge.root() };
        let tile = std::sync::Arc::new(TileTree::new(&leaves).unwrap());
        let tiles = std::collections::HashMap::from([(TileId { level: 0, index: 0 }, tile)]);
        for first in (1..100_u64).filter(|first| !first.is_power_of_two()) {
            let proof = tlog::consistency_proof(TreeSize(first), head.size, &tiles).unwrap();
            let answer = |hashes: &[Hash]| {
                json!({"rootHash": "", "hashes": hashes.iter().map(Hash::to_string).collect::<Vec<_>>()}).to_string()
            };
            verify_consistency(first, &head, answer(&proof).as_bytes()).unwrap();
            for position in 0..proof.len() {
                let mut bad = proof.clone();
                bad[position] = tlog::leaf_hash(b"bad");
                assert!(verify_consistency(first, &head, answer(&bad).as_bytes()).is_err(), "{first}: {position}");
            }
            assert!(verify_consistency(first, &head, answer(&proof[1..]).as_bytes()).is_err());
        }
    }

    #[test]
    fn a_search_finds_what_was_asked_for() {
        verify_search("b", br#"["a","b"]"#).unwrap();
        assert!(verify_search("b", br#"["a","bb"]"#).is_err());
        assert!(verify_search("b", br#"{"b":1}"#).is_err());
    }

    #[test]
    fn artifacts_of_both_versions_are_found() {
        let digest = tlog::sha256(b"artifact");
        let v1 = json!({"spec": {"data": {"hash": {"algorithm": "sha256", "value": digest.to_string()}}}});
        let v2 = json!({"spec": {"hashedRekordV002": {"data": {"algorithm": "SHA2_256", "digest": STANDARD.encode(digest)}}}});
        let sha512 = json!({"spec": {"data": {"hash": {"value": "00".repeat(64)}}}});
        for (body, want) in [(v1, Some(digest)), (v2, Some(digest)), (sha512, None), (json!(1), None)] {
            assert_eq!(artifact(&STANDARD.encode(body.to_string())), want, "{body}");
        }
    }
}
