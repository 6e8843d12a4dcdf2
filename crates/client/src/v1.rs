//! Answers of the Rekor v1 API.

use std::collections::HashMap;
use std::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tlog::{Hash, LeafIndex, ProofError, TreeSize};

use crate::entry::{self, Entry};
use crate::error::{Result, VerifyError, require};
use crate::head::SignedHead;
use crate::key::LogKey;
use crate::proof::Inclusion;

/// An entry whose proof, checkpoint and signed entry timestamp were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// 16 hexadecimal digits of the tree ID and 64 of the leaf hash.
    pub id: String,
    /// The log index.
    pub log_index: u64,
    /// SHA-256 of the artifact, if the entry is a hashedrekord with SHA-256.
    pub artifact: Option<Hash>,
}

/// A tree head of the v1 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadV1 {
    /// Log index of the tree's first leaf.
    pub first_log_index: u64,
    /// The tree size.
    pub size: TreeSize,
    /// The root hash.
    pub root: Hash,
}

#[derive(Deserialize)]
struct WireEntry {
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
    #[serde(rename = "treeID")]
    tree_id: String,
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shard {
    root_hash: String,
    signed_tree_head: String,
    #[serde(rename = "treeID")]
    tree_id: String,
    tree_size: u64,
}

/// The heads of all trees of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The head of the tree that takes entries.
    pub active: SignedHead,
    /// The last heads of the trees before it, oldest first.
    pub inactive: Vec<SignedHead>,
}

impl Heads {
    /// Returns the log index of the active tree's first leaf.
    pub fn first_log_index(&self) -> u64 {
        let sizes = self.inactive.iter().map(|head| head.size().0);
        sizes.fold(0, u64::saturating_add)
    }

    /// Returns the head of a tree by its ID in decimal.
    pub fn of_tree(&self, tree: &str) -> Option<&SignedHead> {
        let mut all = self.inactive.iter().chain([&self.active]);
        all.find(|head| head.tree_id() == Some(tree))
    }
}

/// Reads the answer of `GET /api/v1/log` and verifies the heads of all trees.
///
/// # Errors
///
/// The answer is not a tree head, or one of its checkpoints is not signed by `keys` or is of
/// another head or tree.
pub fn open_heads(keys: &[LogKey], answer: &[u8]) -> Result<Heads> {
    let head: TreeHead =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a tree head"))?;
    let mut inactive = Vec::new();
    for shard in head.inactive_shards.unwrap_or_default() {
        let part = || format!("tree {}", shard.tree_id);
        let head = shard.open(keys).map_err(|error| error.within(part()))?;
        inactive.push(head);
    }
    let active = Shard {
        root_hash: head.root_hash,
        signed_tree_head: head.signed_tree_head,
        tree_id: head.tree_id,
        tree_size: head.tree_size,
    };
    let active = active.open(keys)?;
    Ok(Heads { active, inactive })
}

impl Shard {
    fn open(&self, keys: &[LogKey]) -> Result<SignedHead> {
        let root = hash(&self.root_hash)?;
        let head = open_checkpoint(
            keys,
            &self.signed_tree_head,
            TreeSize(self.tree_size),
            &root,
        )?;
        require(head.tree_id() == Some(&self.tree_id), || {
            format!("the checkpoint is of {}", head.origin())
        })?;
        Ok(head)
    }
}

impl LogKey {
    /// Reads the answer of `GET /api/v1/log` and verifies its checkpoint. The checkpoints of
    /// inactive shards are not looked at.
    ///
    /// # Errors
    ///
    /// The answer is not a tree head, or its checkpoint is not signed by this log or is of another
    /// head.
    pub fn open_head(&self, answer: &[u8]) -> Result<HeadV1> {
        let head: TreeHead =
            serde_json::from_slice(answer).map_err(VerifyError::expected("a tree head"))?;
        let (size, root) = (TreeSize(head.tree_size), hash(&head.root_hash)?);
        open_checkpoint(slice::from_ref(self), &head.signed_tree_head, size, &root)?;
        let shards = head.inactive_shards.unwrap_or_default();
        let sizes = shards.iter().map(|shard| shard.tree_size);
        Ok(HeadV1 {
            first_log_index: sizes.fold(0, u64::saturating_add),
            size,
            root,
        })
    }
}

/// Opens a checkpoint of this head, whose origin is `name - tree ID`.
fn open_checkpoint(keys: &[LogKey], note: &str, size: TreeSize, root: &Hash) -> Result<SignedHead> {
    let head = SignedHead::open(keys, note)?;
    require(head.tree_id().is_some(), || {
        format!("the origin is {}", head.origin())
    })?;
    require((head.size(), head.root()) == (size, root), || {
        "the checkpoint is of another head".into()
    })?;
    Ok(head)
}

/// Reads an answer with one entry and verifies it: inclusion proof, checkpoint, entry ID and signed
/// entry timestamp. The caller compares the index or the ID with its request.
///
/// # Errors
///
/// The answer has another form, or one of the four does not hold.
pub fn open_entry(keys: &[LogKey], answer: &[u8]) -> Result<Entry> {
    let answer: HashMap<String, WireEntry> =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a log entry"))?;
    open_only_entry(keys, answer)
}

/// Verifies an answer with one entry as [`open_entry`] does.
///
/// # Errors
///
/// As [`open_entry`].
pub fn verify_entry(key: &LogKey, answer: &[u8]) -> Result<Verified> {
    Ok(Verified::new(open_entry(slice::from_ref(key), answer)?))
}

impl Verified {
    fn new(entry: Entry) -> Self {
        Self {
            artifact: entry::artifact(&entry.body),
            log_index: entry.log_index,
            id: entry.uuid.unwrap_or_default(),
        }
    }
}

fn open_only_entry(keys: &[LogKey], answer: HashMap<String, WireEntry>) -> Result<Entry> {
    require(answer.len() == 1, || {
        format!("{} entries instead of one", answer.len())
    })?;
    let Some((id, entry)) = answer.into_iter().next() else {
        return Err(VerifyError::Mismatch("the answer has no entry".into()));
    };
    let part = format!("entry {id}");
    open(keys, id, &entry).map_err(|error| error.within(part))
}

fn open(keys: &[LogKey], id: String, entry: &WireEntry) -> Result<Entry> {
    let body = STANDARD.decode(&entry.body)?;
    let leaf_hash = tlog::leaf_hash(&body);
    let proof = &entry.verification.inclusion_proof;
    let (size, root) = (TreeSize(proof.tree_size), hash(&proof.root_hash)?);
    let head = open_checkpoint(keys, &proof.checkpoint, size, &root)
        .map_err(|error| error.within("checkpoint"))?;
    check_id(&id, &leaf_hash, &head)?;
    let leaf_index = LeafIndex(proof.log_index);
    let inclusion = Inclusion::verify(leaf_hash, leaf_index, hashes(&proof.hashes)?, head)?;
    check_timestamp(keys, entry).map_err(|error| error.within("signed entry timestamp"))?;
    Ok(Entry {
        body,
        log_index: entry.log_index,
        uuid: Some(id),
        time: Some(entry.integrated_time),
        inclusion,
    })
}

/// Checks that an ID is the leaf hash, or the tree ID and the leaf hash.
fn check_id(id: &str, leaf_hash: &Hash, head: &SignedHead) -> Result<()> {
    let tree = id
        .strip_suffix(&leaf_hash.to_string())
        .ok_or_else(|| VerifyError::Mismatch(format!("its leaf hash is {leaf_hash}")))?;
    let is_its_tree = || {
        let id = u64::from_str_radix(tree, 16).ok();
        tree.len() == 16 && id.map(|id| id.to_string()).as_deref() == head.tree_id()
    };
    require(tree.is_empty() || is_its_tree(), || {
        format!("the checkpoint is of {}", head.origin())
    })
}

/// Verifies the signed entry timestamp with the key that the log ID names.
fn check_timestamp(keys: &[LogKey], entry: &WireEntry) -> Result<()> {
    let WireEntry {
        body,
        integrated_time,
        log_id,
        log_index,
        ..
    } = entry;
    let id = hash(log_id)?;
    let key = keys.iter().find(|key| key.verifying_key().log_id() == id);
    let key = key.ok_or_else(|| VerifyError::Mismatch(format!("no trusted key has ID {id}")))?;
    // RFC 8785 of the four members: their names are in order, and nothing in them needs an escape.
    let signed = format!(
        r#"{{"body":"{body}","integratedTime":{integrated_time},"logID":"{log_id}","logIndex":{log_index}}}"#
    );
    let timestamp = STANDARD.decode(&entry.verification.signed_entry_timestamp)?;
    key.verifying_key().verify(signed.as_bytes(), &timestamp)?;
    let is_within = i64::try_from(*integrated_time).is_ok_and(|time| key.window().contains(time));
    require(is_within, || {
        format!("the key was not in use at {integrated_time}")
    })
}

/// Verifies the results of a batch of `count` entries: each accepted entry as [`verify_entry`]
/// does, and that it is about the artifact whose SHA-256 `digest` returns for its number. Refused
/// entries are not looked at.
///
/// # Errors
///
/// Results are missing, or an accepted entry does not verify or is about another artifact.
pub fn verify_batch(
    key: &LogKey,
    answer: &[u8],
    digest: &dyn Fn(usize) -> Hash,
    count: usize,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Taken {
        entry: Option<HashMap<String, WireEntry>>,
    }
    let answer: Results<Taken> =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a list of results"))?;
    require(answer.results.len() == count, || {
        format!("{} results for {count} entries", answer.results.len())
    })?;
    for (number, result) in answer.results.into_iter().enumerate() {
        let Some(entry) = result.entry else { continue };
        let entry = open_only_entry(slice::from_ref(key), entry)
            .map_err(|error| error.within(format!("number {number}")))?;
        let verified = Verified::new(entry);
        require(verified.artifact == Some(digest(number)), || {
            format!("number {number} is another entry than was sent")
        })?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Results<T> {
    results: Vec<T>,
}

/// Verifies a consistency proof from the tree of the first `first` leaves to `head`, without
/// knowing the earlier root.
///
/// The head MUST be one that [`LogKey::open_head`] returned, or one that the caller trusts as much.
/// `first` MUST be smaller than its size, and neither 0 nor a power of two. For such sizes the
/// earlier root follows from the proof: `Ok` means that some tree of `first` leaves is a prefix of
/// the tree of `head`. It does not say that the log ever published that tree. A caller that knows
/// the earlier root MUST use [`tlog::verify_consistency`] instead.
///
/// # Errors
///
/// The answer has another form, or the proof does not lead to the root of `head`. A proof from a
/// power of two is refused: it leaves out the earlier root.
pub fn verify_consistency(first: u64, head: &HeadV1, answer: &[u8]) -> Result<()> {
    let hashes = open_consistency(answer)?;
    let verify = |root: &Hash| {
        tlog::verify_consistency(TreeSize(first), root, head.size, &head.root, &hashes)
    };
    match verify(&tlog::EMPTY_ROOT) {
        // No tree with leaves has the empty root, so the first root is the first thing that
        // differs.
        Err(ProofError::RootMismatch { computed, .. }) => Ok(verify(&computed)?),
        Err(error) => Err(error.into()),
        Ok(()) => Err(VerifyError::Mismatch(format!(
            "a tree of {first} leaves has the root of the empty tree"
        ))),
    }
}

/// Returns the hashes in an answer of `GET /api/v1/log/proof`. They are not verified.
///
/// # Errors
///
/// The answer has another form.
pub fn open_consistency(answer: &[u8]) -> Result<Vec<Hash>> {
    #[derive(Deserialize)]
    struct Proof {
        hashes: Vec<String>,
    }
    let proof: Proof =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a consistency proof"))?;
    hashes(&proof.hashes)
}

/// Checks that an entry ID is among the hits of a search. The hits themselves are not verified.
///
/// # Errors
///
/// The answer is not a list of IDs, or the ID is not in it.
pub fn verify_search(id: &str, answer: &[u8]) -> Result<()> {
    let hits = open_search(answer)?;
    require(hits.iter().any(|hit| hit == id), || {
        format!("{id} is not among {} hits", hits.len())
    })
}

/// Returns the entry IDs in an answer of `POST /api/v1/index/retrieve`. They are not verified.
///
/// # Errors
///
/// The answer is not a list of IDs.
pub fn open_search(answer: &[u8]) -> Result<Vec<String>> {
    serde_json::from_slice(answer).map_err(VerifyError::expected("a list of entry IDs"))
}

/// Returns the SHA-256 of the artifact of a hashedrekord, of v1 or v2, from the base64 of its leaf
/// bytes. Other entries have none.
pub fn artifact(body: &str) -> Option<Hash> {
    entry::artifact(&STANDARD.decode(body).ok()?)
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>> {
    texts.iter().map(|text| hash(text)).collect()
}

fn hash(text: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash)?;
    Ok(Hash(hash))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use serde_json::{Value, json};
    use tlog::{Checkpoint, Edge, SigningKey, TileId, TileTree};

    use super::*;
    use crate::key::Window;

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
        let checkpoint = Checkpoint::new("localhost - 7", TreeSize(2), root)
            .sign("localhost", key, rng)
            .unwrap();
        let log_id = key.verifying_key().log_id();
        let signed =
            format!(r#"{{"body":"{body}","integratedTime":9,"logID":"{log_id}","logIndex":1}}"#);
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
        assert_eq!(
            (&verified.id, verified.log_index, verified.artifact),
            (&id, 1, None)
        );

        let zeros = "0".repeat(64);
        for (path, value) in [
            ("body", json!(STANDARD.encode("leaF"))),
            ("integratedTime", json!(8)),
            ("logIndex", json!(0)),
            ("verification/inclusionProof/logIndex", json!(0)),
            ("verification/inclusionProof/treeSize", json!(3)),
            ("verification/inclusionProof/rootHash", json!(zeros)),
            ("verification/inclusionProof/hashes/0", json!(zeros)),
            (
                "verification/inclusionProof/checkpoint",
                json!("localhost - 7\n2\n"),
            ),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(&format!("/{id}/{path}")).unwrap() = value;
            assert!(verify(&bad).is_err(), "{path}");
        }
        assert!(verify_entry(&log_key(&signing_key(&rng)), good.to_string().as_bytes()).is_err());
        assert!(verify(&json!({})).is_err());
    }

    #[test]
    fn a_key_counts_only_in_its_window() {
        let rng = SystemRandom::new();
        let key = signing_key(&rng);
        let good = answer(&key, &rng).to_string();
        let public = key.verifying_key();
        for (start, end, is_good) in [
            (0, None, true),
            (9, Some(9), true),
            (10, None, false),
            (0, Some(8), false),
        ] {
            let window = Window { start, end };
            let trusted = LogKey::of_trusted_root(public.clone(), public.log_id(), window);
            let entry = open_entry(&[log_key(&signing_key(&rng)), trusted], good.as_bytes());
            assert_eq!(entry.is_ok(), is_good, "{window:?}");
        }
    }

    #[test]
    fn an_id_names_the_tree_of_the_checkpoint() {
        let rng = SystemRandom::new();
        let key = signing_key(&rng);
        let good = answer(&key, &rng).to_string();
        let open = |answer: String| open_entry(&[log_key(&key)], answer.as_bytes());
        let entry = open(good.clone()).unwrap();
        assert_eq!(entry.inclusion.head.tree_id(), Some("7"));
        assert_eq!((entry.time, &*entry.body), (Some(9), &b"leaf"[..]));
        let id = "0000000000000007";
        open(good.replace(id, "")).unwrap();
        for bad in ["0000000000000008", "07", "7", "000000000000000007"] {
            open(good.replace(id, bad)).unwrap_err();
        }
    }

    #[test]
    fn all_heads_are_opened() {
        let rng = SystemRandom::new();
        let (old, new) = (signing_key(&rng), signing_key(&rng));
        let shard = |tree: &str, size, key: &SigningKey| {
            let root = tlog::leaf_hash(tree.as_bytes());
            let note = Checkpoint::new(format!("localhost - {tree}"), TreeSize(size), root);
            let note = note.sign("localhost", key, &rng).unwrap();
            json!({"rootHash": root.to_string(), "signedTreeHead": note, "treeID": tree, "treeSize": size})
        };
        let mut head = shard("9", 5, &new);
        head["inactiveShards"] = json!([shard("7", 3, &old), shard("8", 4, &new)]);
        let keys = [log_key(&new), log_key(&old)];
        let open = |head: &Value| open_heads(&keys, head.to_string().as_bytes());
        let heads = open(&head).unwrap();
        assert_eq!(
            (heads.first_log_index(), heads.active.size()),
            (7, TreeSize(5))
        );
        assert_eq!(heads.of_tree("7"), heads.inactive.first());
        assert_eq!(heads.of_tree("1"), None);
        for (path, value) in [
            ("/treeID", json!("7")),
            ("/treeSize", json!(6)),
            ("/inactiveShards/0/treeID", json!("8")),
            ("/inactiveShards/1/treeSize", json!(5)),
        ] {
            let mut bad = head.clone();
            *bad.pointer_mut(path).unwrap() = value;
            open(&bad).unwrap_err();
        }
        assert!(open_heads(&keys[..1], head.to_string().as_bytes()).is_err());
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let rng = SystemRandom::new();
        let key = signing_key(&rng);
        let taken = json!({"status": 201, "entry": answer(&key, &rng)});
        let refused =
            json!({"status": 409, "error": {"code": 409, "message": "m"}, "location": "l"});
        let results = |results: &[&Value]| json!({"results": results}).to_string().into_bytes();
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
        let note = Checkpoint::new("localhost - 7", TreeSize(1), root)
            .sign("localhost", &key, &rng)
            .unwrap();
        let head = |size: u64, root: Hash, shards: Value| {
            let head = json!({"inactiveShards": shards, "rootHash": root.to_string(), "signedTreeHead": note, "treeID": "7", "treeSize": size});
            log_key(&key).open_head(head.to_string().as_bytes())
        };
        let shard =
            |size| json!({"rootHash": "", "signedTreeHead": "", "treeID": "5", "treeSize": size});
        let shards = json!([shard(40), shard(2)]);
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
        let head = HeadV1 {
            first_log_index: 0,
            size: edge.size(),
            root: edge.root(),
        };
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
                assert!(
                    verify_consistency(first, &head, answer(&bad).as_bytes()).is_err(),
                    "{first}: {position}"
                );
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
        for (body, want) in [
            (v1, Some(digest)),
            (v2, Some(digest)),
            (sha512, None),
            (json!(1), None),
        ] {
            assert_eq!(artifact(&STANDARD.encode(body.to_string())), want, "{body}");
        }
    }
}
