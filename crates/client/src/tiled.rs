//! Reads a log through its C2SP tiles, as Rekor v2 has them. Proofs are computed here.

use std::collections::HashMap;
use std::num::NonZeroU8;
use std::sync::Arc;

use serde::Deserialize;
use tlog::{Hash, LeafIndex, TILE_WIDTH, TileId, TilePath, TileResource, TileTree, TreeSize};

use crate::entry::Entry;
use crate::error::{VerifyError, require};
use crate::fetch::Fetch;
use crate::head::SignedHead;
use crate::history::{self, History, Offer};
use crate::key::LogKey;
use crate::proof::{Consistency, Inclusion};
use crate::site::{ReadError, ReadResult, Site};
use crate::{tiles, v2};

/// Where the newest checkpoint is.
const CHECKPOINT: &str = "/checkpoint";
/// Bytes of a full tile.
const MAX_TILE: usize = TILE_WIDTH * 32;
/// Bytes of the largest entry bundle.
pub(crate) const MAX_BUNDLE: usize = TILE_WIDTH * (2 + u16::MAX as usize);
/// Largest answer with an entry in JSON, which has base64.
const MAX_ENTRY: usize = 4 << 20;
/// Largest page of a search.
const MAX_SEARCH: usize = 4 << 20;
/// Most pages that one search reads.
const MAX_PAGES: usize = 100;
/// Where Rekor v2 has its tiles, if not at the root.
const API: &str = "/api/v2";

/// A log that has C2SP tiles: every Rekor v2 log, and each tree of a treehead ledger below
/// `/trees/`.
#[derive(Clone, Debug)]
pub struct TiledLog<F> {
    site: Site<F>,
    keys: Vec<LogKey>,
}

/// An entry that a search found. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    log: String,
    url: String,
}

impl Hit {
    /// Makes a hit of another search of the same server.
    pub(crate) fn new(log: String, url: String) -> Self {
        Self { log, url }
    }
}

impl<F: Fetch> TiledLog<F> {
    /// Reads the log at a URL. Every answer is verified with one of `keys`.
    pub fn new(url: &str, keys: Vec<LogKey>, fetch: F) -> Self {
        Self {
            site: Site::new(url, fetch),
            keys,
        }
    }

    /// Returns the newest head.
    ///
    /// # Errors
    ///
    /// There is no answer, or it does not verify.
    pub async fn head(&self) -> ReadResult<SignedHead> {
        let note = self.checkpoint().await?;
        let head = std::str::from_utf8(&note).map_err(VerifyError::from);
        let head = head.and_then(|note| SignedHead::open(&self.keys, note));
        head.map_err(self.site.wrong(CHECKPOINT))
    }

    /// Returns the newest checkpoint as the server sends it. It is not verified.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn checkpoint(&self) -> ReadResult<Vec<u8>> {
        let limit = tlog::MAX_NOTE_BYTES;
        self.expect(CHECKPOINT, limit, "checkpoint").await
    }

    /// Compares a head with one of the same tree that was seen before.
    ///
    /// # Errors
    ///
    /// There is no answer, or the tiles do not prove that one continues the other.
    pub async fn compare(&self, seen: &SignedHead, now: &SignedHead) -> ReadResult<History> {
        let prove = async |first, second| {
            let (hashes, first_root) = self.proof_and_root(first, second).await?;
            Ok(Offer {
                hashes,
                first_root: Some(first_root),
            })
        };
        history::compare(seen, now, prove).await
    }

    /// Returns the proof from the tree of the first `first` leaves to `head`. The earlier root
    /// follows from the tiles unless it is given.
    ///
    /// # Errors
    ///
    /// There is no answer, or the tiles do not prove it.
    pub async fn consistency(
        &self,
        first: TreeSize,
        first_root: Option<Hash>,
        head: SignedHead,
    ) -> ReadResult<Consistency> {
        let wrong = self.site.wrong("/tile/");
        let (hashes, computed) = self.proof_and_root(first, head.size()).await?;
        let first_root = first_root.unwrap_or(computed);
        Consistency::verify(first, first_root, hashes, head).map_err(wrong)
    }

    /// Returns the consistency proof between two sizes, and the root of the smaller tree, both as
    /// the tiles of the larger tree have them.
    async fn proof_and_root(
        &self,
        first: TreeSize,
        last: TreeSize,
    ) -> ReadResult<(Vec<Hash>, Hash)> {
        let mut ids = tlog::tiles_for_consistency(first, last);
        ids.extend(tlog::tiles_for_root(first));
        ids.sort_unstable();
        ids.dedup();
        let tiles = self.tiles(ids, last).await?;
        let wrong = self.site.wrong("/tile/");
        let hashes = tlog::consistency_proof(first, last, &tiles);
        let root = tlog::root_at(first, &tiles);
        Ok((
            hashes.map_err(|error| wrong(error.into()))?,
            root.map_err(|error| wrong(error.into()))?,
        ))
    }

    /// Returns the entry at an index of the tree of `head`.
    ///
    /// # Errors
    ///
    /// The tree has no such entry, or the tiles do not prove it.
    pub async fn entry_at(&self, index: u64, head: SignedHead) -> ReadResult<Entry> {
        let (index, size) = (LeafIndex(index), head.size());
        if index.0 >= size.0 {
            let absent = format!("{} has {size} entries, and no entry {index}", head.origin());
            return Err(ReadError::Absent(absent));
        }
        let width = TILE_WIDTH as u64;
        let bundle = TileResource::Entries(index.0 / width);
        let first_tile = TileId {
            level: 0,
            index: index.0 / width,
        };
        let (path, bundle) = self
            .resource(bundle, first_tile.width_at(size), MAX_BUNDLE)
            .await?;
        let wrong = self.site.wrong(&path);
        let entries = tiles::bundle_entries(&bundle).map_err(&wrong)?;
        let body = entries.get((index.0 % width) as usize).copied();
        let missing = || {
            wrong(VerifyError::Mismatch(
                "the bundle has too few entries".into(),
            ))
        };
        let body = body.ok_or_else(missing)?.to_vec();
        let tiles = self
            .tiles(tlog::tiles_for_inclusion(index, size), size)
            .await?;
        let hashes = tlog::inclusion_proof(index, size, &tiles).map_err(VerifyError::from);
        let inclusion = hashes
            .and_then(|hashes| Inclusion::verify(tlog::leaf_hash(&body), index, hashes, head));
        Ok(Entry {
            attestation: None,
            log_index: index.0,
            uuid: None,
            time: None,
            inclusion: inclusion.map_err(wrong)?,
            body,
        })
    }

    /// Returns the entry of a leaf hash. Only treehead has this look-up.
    ///
    /// # Errors
    ///
    /// There is no such entry or no such look-up, or the answer does not verify or is another
    /// entry.
    pub async fn entry_of(&self, leaf_hash: &Hash) -> ReadResult<Entry> {
        let path = format!("/api/v2/log/entries?leafHash={leaf_hash}");
        let absent = format!("entry of leaf hash {leaf_hash}");
        let answer = self.site.expect(&path, MAX_ENTRY, &absent).await;
        let answer = answer.map_err(|error| self.unsupported(error, "look-up by leaf hash"))?;
        let entry = v2::open_entry(&self.keys, &answer).and_then(|entry| {
            let got = entry.inclusion.leaf_hash;
            require(got == *leaf_hash, || format!("it is the entry of {got}"))?;
            Ok(entry)
        });
        entry.map_err(self.site.wrong(&path))
    }

    /// Returns the entries that the server's search finds under the SHA-256 of an artifact, newest
    /// first, and at most `limit` (1 to 1,000). Only treehead has this search. Nothing proves that
    /// they are all.
    ///
    /// # Errors
    ///
    /// There is no answer or no such search.
    pub async fn search(&self, hash: &Hash, limit: usize) -> ReadResult<Vec<Hit>> {
        #[derive(Deserialize)]
        struct Page {
            entries: Vec<Hit>,
            cursor: Option<String>,
        }
        let mut hits = Vec::new();
        let mut cursor = String::new();
        // A page may have no entry and still be followed by another one.
        for _ in 0..MAX_PAGES {
            let path = format!("/api/v1/index/search?sha256={hash}&limit={limit}{cursor}");
            let page = self.site.get(&path, MAX_SEARCH).await;
            let page = page.map_err(|error| self.unsupported(error, "search"))?;
            let none = || ReadError::Unsupported(format!("{} has no search", self.site.url("")));
            let page: Page = serde_json::from_slice(&page.ok_or_else(none)?)
                .map_err(VerifyError::expected("a page of a search"))
                .map_err(self.site.wrong(&path))?;
            hits.extend(page.entries.into_iter().filter(|hit| hit.log == "v2"));
            hits.truncate(limit);
            match page.cursor {
                Some(next) if hits.len() < limit => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        Ok(hits)
    }

    /// Returns the entry that a search found.
    ///
    /// # Errors
    ///
    /// There is no answer, or it does not verify.
    pub async fn entry_of_hit(&self, hit: &Hit) -> ReadResult<Entry> {
        Ok(self.answer_of_hit(hit).await?.0)
    }

    /// Returns the entry that a search found, and the answer that it was read from.
    ///
    /// # Errors
    ///
    /// As [`TiledLog::entry_of_hit`].
    pub async fn answer_of_hit(&self, hit: &Hit) -> ReadResult<(Entry, Vec<u8>)> {
        let path = format!("/{}", hit.url.trim_start_matches('/'));
        let answer = self.site.expect(&path, MAX_ENTRY, "such entry").await?;
        let entry = v2::open_entry(&self.keys, &answer).map_err(self.site.wrong(&path))?;
        Ok((entry, answer))
    }

    fn unsupported(&self, error: ReadError, operation: &str) -> ReadError {
        match error {
            ReadError::Refused {
                status: 400 | 405 | 501,
                ..
            } => ReadError::Unsupported(format!(
                "{} has no {operation}; Rekor v2 finds entries by their index alone",
                self.site.url("")
            )),
            error => error,
        }
    }

    /// Returns tiles as wide as they are in the tree of `size`. They are not verified.
    pub(crate) async fn tiles(
        &self,
        ids: Vec<TileId>,
        size: TreeSize,
    ) -> ReadResult<HashMap<TileId, Arc<TileTree>>> {
        let mut found = HashMap::new();
        for id in ids {
            let width = id.width_at(size);
            let (path, bytes) = self
                .resource(TileResource::Tile(id), width, MAX_TILE)
                .await?;
            let wrong = self.site.wrong(&path);
            let hashes = tiles::hashes(&bytes).map_err(&wrong)?;
            let narrow = || VerifyError::Mismatch("the tile has too few hashes".into());
            let hashes = hashes.get(..width).ok_or_else(|| wrong(narrow()))?;
            let tree = TileTree::new(hashes);
            let tree = tree.map_err(|error| wrong(VerifyError::Mismatch(error.to_string())))?;
            found.insert(id, Arc::new(tree));
        }
        Ok(found)
    }

    /// Returns a tile or bundle with its path. Servers may drop a partial one once the full one is
    /// there.
    pub(crate) async fn resource(
        &self,
        resource: TileResource,
        width: usize,
        limit: usize,
    ) -> ReadResult<(String, Vec<u8>)> {
        let path = |partial| format!("/{}", TilePath { resource, partial });
        let partial = u8::try_from(width).ok().and_then(NonZeroU8::new);
        if partial.is_some()
            && let Some(found) = self.get(&path(partial), limit).await?
        {
            return Ok((path(partial), found));
        }
        let full = path(None);
        let found = self.expect(&full, limit, &full).await?;
        Ok((full, found))
    }

    /// Returns the answer at a path below the URL, or `None` for 404.
    pub(crate) async fn answer(&self, path: &str, limit: usize) -> ReadResult<Option<Vec<u8>>> {
        self.site.get(path, limit).await
    }

    /// Names the URL of an answer that does not verify.
    pub(crate) fn wrong(&self, path: &str) -> impl Fn(VerifyError) -> ReadError {
        self.site.wrong(path)
    }

    /// Returns the body at a path, below the URL or below Rekor's path.
    async fn get(&self, path: &str, limit: usize) -> ReadResult<Option<Vec<u8>>> {
        match self.site.get(path, limit).await {
            Ok(None) | Err(ReadError::Refused { .. }) => {
                self.site.get(&format!("{API}{path}"), limit).await
            }
            found => found,
        }
    }

    async fn expect(&self, path: &str, limit: usize, absent: &str) -> ReadResult<Vec<u8>> {
        let absent = || ReadError::Absent(format!("{} has no {absent}", self.site.url("")));
        self.get(path, limit).await?.ok_or_else(absent)
    }
}
