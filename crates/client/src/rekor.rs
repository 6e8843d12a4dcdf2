//! Reads a log through the Rekor v1 API.

use serde_json::json;
use tlog::{Hash, TreeSize};

use crate::entry::Entry;
use crate::error::{Result, require};
use crate::fetch::Fetch;
use crate::head::SignedHead;
use crate::history::{self, History, Offer};
use crate::key::LogKey;
use crate::proof::Consistency;
use crate::site::{ReadError, ReadResult, Site};
use crate::v1::{self, Heads};

/// Where the heads are.
const LOG: &str = "/api/v1/log";
/// Where several entries are read at once.
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
/// Largest answer with heads or a proof: a log of a thousand trees has half a megabyte.
const MAX_HEADS: usize = 4 << 20;
/// Largest answer with an entry: leaf bytes and an attestation of several megabytes, in base64.
const MAX_ENTRY: usize = 64 << 20;
/// Largest answer of a search: 10,000 entry IDs and more.
const MAX_SEARCH: usize = 4 << 20;

/// A log that has the Rekor v1 API.
#[derive(Clone, Debug)]
pub struct RekorLog<F> {
    site: Site<F>,
    keys: Vec<LogKey>,
}

impl<F: Fetch> RekorLog<F> {
    /// Reads the log at a URL. Every answer is verified with one of `keys`.
    pub fn new(url: &str, keys: Vec<LogKey>, fetch: F) -> Self {
        Self {
            site: Site::new(url, fetch),
            keys,
        }
    }

    /// Returns whether the server has the Rekor v1 API. The answer is not verified.
    ///
    /// # Errors
    ///
    /// The server does not answer.
    pub async fn is_there(&self) -> ReadResult<bool> {
        match self.site.get(LOG, MAX_HEADS).await {
            Ok(answer) => Ok(answer.is_some_and(|answer| answer.starts_with(b"{"))),
            // A server that is busy or asks who we are may have it.
            Err(ReadError::Refused { status, .. })
                if [400, 404, 405, 410, 501].contains(&status) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the newest head, and the last heads of earlier trees.
    ///
    /// # Errors
    ///
    /// There is no answer, or it does not verify.
    pub async fn heads(&self) -> ReadResult<Heads> {
        let answer = self.heads_answer().await?;
        v1::open_heads(&self.keys, &answer).map_err(self.site.wrong(LOG))
    }

    /// Returns the answer with the heads as the server sends it. It is not verified.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn heads_answer(&self) -> ReadResult<Vec<u8>> {
        self.site.expect(LOG, MAX_HEADS, "log for v1").await
    }

    /// Compares a head of a tree with one of the same tree that was seen before.
    ///
    /// # Errors
    ///
    /// There is no answer, or the log does not prove that one continues the other.
    pub async fn compare(&self, seen: &SignedHead, now: &SignedHead) -> ReadResult<History> {
        // Of a v1 tree of treehead, one of them may be a C2SP checkpoint.
        let tree = now.tree_id().or(seen.tree_id()).unwrap_or_default();
        let prove = async |first, second| {
            let hashes = self.hashes(tree, first, second).await?;
            Ok(Offer {
                hashes,
                first_root: None,
            })
        };
        history::compare(seen, now, prove).await
    }

    /// Returns the proof from the tree of the first `first` leaves to `head`. The earlier root
    /// follows from the proof unless it is given, see [`Consistency::derive`].
    ///
    /// # Errors
    ///
    /// There is no answer, or it does not verify.
    pub async fn consistency(
        &self,
        first: TreeSize,
        first_root: Option<Hash>,
        head: SignedHead,
    ) -> ReadResult<Consistency> {
        let tree = head.tree_id().unwrap_or_default();
        let hashes = self.hashes(tree, first, head.size()).await?;
        let proof = match first_root {
            Some(root) => Consistency::verify(first, root, hashes, head),
            None => Consistency::derive(first, hashes, head),
        };
        proof.map_err(self.site.wrong("/api/v1/log/proof"))
    }

    async fn hashes(
        &self,
        tree: &str,
        TreeSize(first): TreeSize,
        TreeSize(last): TreeSize,
    ) -> ReadResult<Vec<Hash>> {
        // Nothing is to be proved, and Rekor refuses the question.
        if first == 0 || first == last {
            return Ok(Vec::new());
        }
        let path = format!("/api/v1/log/proof?firstSize={first}&lastSize={last}&treeID={tree}");
        let answer = self.site.expect(&path, MAX_HEADS, "such proof").await?;
        v1::open_consistency(&answer).map_err(self.site.wrong(&path))
    }

    /// Returns the entry at a log index.
    ///
    /// # Errors
    ///
    /// There is no such entry, or the answer does not verify or is another entry.
    pub async fn entry_at(&self, log_index: u64) -> ReadResult<Entry> {
        let path = format!("/api/v1/log/entries?logIndex={log_index}");
        let absent = format!("entry at log index {log_index}");
        let answer = self.site.expect(&path, MAX_ENTRY, &absent).await?;
        let entry = v1::open_entry(&self.keys, &answer).and_then(|entry| {
            let is_asked = entry.log_index == log_index;
            require(is_asked, || format!("it is entry {}", entry.log_index))?;
            Ok(entry)
        });
        entry.map_err(self.site.wrong(&path))
    }

    /// Returns entries by their log indexes in rising order, of which Rekor takes ten at most.
    ///
    /// # Errors
    ///
    /// An entry is missing, or an answer does not verify.
    pub async fn entries_at(&self, log_indexes: &[u64]) -> ReadResult<Vec<Entry>> {
        let answer = self.entries_answer(log_indexes).await?;
        let entries = self.open_entries(&answer).and_then(|entries| {
            let got: Vec<_> = entries.iter().map(|entry| entry.log_index).collect();
            require(got == log_indexes, || {
                format!("it has the log indexes {got:?} instead of {log_indexes:?}")
            })?;
            Ok(entries)
        });
        entries.map_err(self.site.wrong(RETRIEVE))
    }

    /// Returns the answer with entries by their log indexes as the server sends it. It is not
    /// verified.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn entries_answer(&self, log_indexes: &[u64]) -> ReadResult<Vec<u8>> {
        let ask = json!({"logIndexes": log_indexes}).to_string();
        let answer = self.site.post(RETRIEVE, ask, MAX_ENTRY).await?;
        let absent = || {
            let url = self.site.url("");
            ReadError::Absent(format!("{url} lacks an entry of {log_indexes:?}"))
        };
        answer.ok_or_else(absent)
    }

    /// Verifies each entry in an answer of [`RekorLog::entries_answer`], and sorts them by log
    /// index. The caller MUST compare the log indexes with those that it asked for.
    ///
    /// # Errors
    ///
    /// An entry does not verify.
    pub fn open_entries(&self, answer: &[u8]) -> Result<Vec<Entry>> {
        let mut entries = v1::open_entries(&self.keys, answer)?;
        entries.sort_unstable_by_key(|entry| entry.log_index);
        Ok(entries)
    }

    /// Returns the entry of an ID, as [`RekorLog::entry_of`] does, with the attestation that the
    /// log keeps beside it. The attestation is left out unless the entry states its SHA-256.
    ///
    /// # Errors
    ///
    /// As [`RekorLog::entry_of`].
    pub async fn entry_with_attestation(&self, uuid: &str) -> ReadResult<(Entry, Option<Vec<u8>>)> {
        let (entry, answer) = self.entry_and_answer(uuid).await?;
        let attestation = v1::attestation(&answer);
        let is_its = |bytes: &Vec<u8>| entry.states(tlog::sha256(bytes).as_ref());
        let attestation = attestation.filter(is_its);
        Ok((entry, attestation))
    }

    /// Returns the entry of an ID: 64 hexadecimal digits of the leaf hash, or 16 of the tree ID
    /// before them.
    ///
    /// # Errors
    ///
    /// There is no such entry, or the answer does not verify or is another entry.
    pub async fn entry_of(&self, uuid: &str) -> ReadResult<Entry> {
        Ok(self.entry_and_answer(uuid).await?.0)
    }

    /// Returns the entry of an ID as [`RekorLog::entry_of`] does, and the answer that it was read
    /// from, which holds the log's signatures.
    ///
    /// # Errors
    ///
    /// As [`RekorLog::entry_of`].
    pub async fn entry_and_answer(&self, uuid: &str) -> ReadResult<(Entry, Vec<u8>)> {
        let path = format!("/api/v1/log/entries/{uuid}");
        let absent = format!("entry {uuid}");
        let answer = self.site.expect(&path, MAX_ENTRY, &absent).await?;
        let entry = v1::open_entry(&self.keys, &answer).and_then(|entry| {
            let id = entry.uuid.as_deref().unwrap_or_default();
            // Rekor answers the leaf hash alone with or without the tree ID before it.
            let is_asked = id.ends_with(uuid) || uuid.ends_with(id) && id.len() == 64;
            require(is_asked, || format!("it is entry {id}"))?;
            Ok(entry)
        });
        let entry = entry.map_err(self.site.wrong(&path))?;
        Ok((entry, answer))
    }

    /// Returns the IDs of the entries that the log's search finds under the SHA-256 of an artifact,
    /// newest first in this server's logs. Nothing proves that they are all.
    ///
    /// # Errors
    ///
    /// There is no answer, or it is not a list of IDs.
    pub async fn search(&self, hash: &Hash) -> ReadResult<Vec<String>> {
        let path = "/api/v1/index/retrieve";
        let ask = json!({"hash": format!("sha256:{hash}")}).to_string();
        let unsupported = || ReadError::Unsupported(format!("{} has no search", self.site.url("")));
        let answer = self.site.post(path, ask, MAX_SEARCH).await?;
        let answer = answer.ok_or_else(unsupported)?;
        let ids = v1::open_search(&answer).and_then(|ids| {
            let is_id = |id: &String| {
                [64, 80].contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            require(ids.iter().all(is_id), || {
                "an ID is not hexadecimal".to_owned()
            })?;
            Ok(ids)
        });
        ids.map_err(self.site.wrong(path))
    }
}
