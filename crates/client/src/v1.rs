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

mod attestation;
mod heads;
mod opened;

pub(crate) use attestation::attestation;
pub use heads::{HeadV1, Heads, open_heads};

use opened::OpenedHeads;

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
    attestation: Option<Attestation>,
}

#[derive(Deserialize)]
struct Attestation {
    data: String,
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

/// Reads an answer with one entry and verifies it: inclusion proof, checkpoint, entry ID and signed
/// entry timestamp. The caller compares the index or the ID with its request.
///
/// # Errors
///
/// The answer has another form, or one of the four does not hold.
pub fn open_entry(keys: &[LogKey], answer: &[u8]) -> Result<Entry> {
    let answer: HashMap<String, WireEntry> =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a log entry"))?;
    open_only_entry(&mut OpenedHeads::new(keys), answer)
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

/// Reads an answer with a list of entries, such as that of `retrieve`, and verifies each as
/// [`open_entry`] does. Equal checkpoints are verified once. The caller compares the indexes or the
/// IDs with its request.
///
/// # Errors
///
/// As [`open_entry`].
pub fn open_entries(keys: &[LogKey], answer: &[u8]) -> Result<Vec<Entry>> {
    let answer: Vec<HashMap<String, WireEntry>> =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a list of log entries"))?;
    let mut heads = OpenedHeads::new(keys);
    let entries = answer.into_iter();
    entries
        .map(|entry| open_only_entry(&mut heads, entry))
        .collect()
}

fn open_only_entry(
    heads: &mut OpenedHeads<'_>,
    answer: HashMap<String, WireEntry>,
) -> Result<Entry> {
    require(answer.len() == 1, || {
        format!("{} entries instead of one", answer.len())
    })?;
    let Some((id, entry)) = answer.into_iter().next() else {
        return Err(VerifyError::Mismatch("the answer has no entry".into()));
    };
    let part = format!("entry {id}");
    open(heads, id, &entry).map_err(|error| error.within(part))
}

fn open(heads: &mut OpenedHeads<'_>, id: String, entry: &WireEntry) -> Result<Entry> {
    let body = STANDARD.decode(&entry.body)?;
    let leaf_hash = tlog::leaf_hash(&body);
    let proof = &entry.verification.inclusion_proof;
    let (size, root) = (TreeSize(proof.tree_size), hash(&proof.root_hash)?);
    let head = heads.open(&proof.checkpoint, size, &root);
    let head = head.map_err(|error| error.within("checkpoint"))?;
    check_id(&id, &leaf_hash, &head)?;
    let leaf_index = LeafIndex(proof.log_index);
    let inclusion = Inclusion::verify(leaf_hash, leaf_index, hashes(&proof.hashes)?, head)?;
    let timestamp = Timestamp {
        body: &entry.body,
        integrated_time: entry.integrated_time,
        log_id: &entry.log_id,
        log_index: entry.log_index,
        signature: &entry.verification.signed_entry_timestamp,
    };
    let timestamp = timestamp.verify(heads.keys);
    timestamp.map_err(|error| error.within("signed entry timestamp"))?;
    let attestation = entry.attestation.as_ref();
    let attestation = attestation.map(|kept| STANDARD.decode(&kept.data));
    Ok(Entry {
        attestation: attestation.transpose()?,
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

/// What a signed entry timestamp states.
pub(crate) struct Timestamp<'a> {
    /// The leaf bytes in base64.
    pub body: &'a str,
    pub integrated_time: u64,
    /// In hexadecimal.
    pub log_id: &'a str,
    pub log_index: u64,
    /// In base64.
    pub signature: &'a str,
}

impl Timestamp<'_> {
    /// Verifies the signature with the key that the log ID names.
    pub(crate) fn verify(&self, keys: &[LogKey]) -> Result<()> {
        let Self {
            body,
            integrated_time,
            log_id,
            log_index,
            signature,
        } = self;
        let id = hash(log_id)?;
        let key = keys.iter().find(|key| key.verifying_key().log_id() == id);
        let key =
            key.ok_or_else(|| VerifyError::Mismatch(format!("no trusted key has ID {id}")))?;
        // RFC 8785 of the four members: their names are in order, and nothing in them needs an
        // escape.
        let signed = format!(
            r#"{{"body":"{body}","integratedTime":{integrated_time},"logID":"{log_id}","logIndex":{log_index}}}"#
        );
        let signature = STANDARD.decode(signature)?;
        key.verifying_key().verify(signed.as_bytes(), &signature)?;
        let time = i64::try_from(*integrated_time);
        require(time.is_ok_and(|time| key.window().contains(time)), || {
            format!("the key was not in use at {integrated_time}")
        })
    }
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
    let mut heads = OpenedHeads::new(slice::from_ref(key));
    for (number, result) in answer.results.into_iter().enumerate() {
        let Some(entry) = result.entry else { continue };
        let entry = open_only_entry(&mut heads, entry)
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
mod tests;
