//! Looks up many search keys at once, and reads the entries that were found.
//!
//! A ledger of treehead takes hundreds of keys in one request. Any other log is asked for one digest
//! at a time, by the search of Rekor v1, which does not know names of packages.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::entry::Entry;
use crate::error::{VerifyError, require};
use crate::fetch::Fetch;
use crate::key::LogKey;
use crate::site::{ReadError, ReadResult, Site};
use crate::{v1, v2};

/// Most keys of one request.
pub const MAX_KEYS: usize = 256;
/// Most further requests for the entries of one key, so that a search which answers none of them
/// comes to an end.
const MAX_PAGES: usize = 1_000;
/// Most entries of one request: as many as Rekor v1 takes.
pub const MAX_ENTRIES: usize = 10;

const LOOK_UP: &str = "/api/v1/index/lookup";
const SEARCH: &str = "/api/v1/index/retrieve";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
/// Largest answer of a look-up or search: twice what a server of treehead sends.
const MAX_LOOK_UP: usize = 8 << 20;
/// Largest answer with several entries.
const MAX_RETRIEVED: usize = 64 << 20;

/// The search of a server.
#[derive(Clone, Debug)]
pub struct KeySearch<F> {
    site: Site<F>,
    keys: Vec<LogKey>,
    api: SearchApi,
}

/// How a server is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchApi {
    /// Many keys in one request, in all logs of a ledger of treehead.
    Treehead,
    /// One digest in one request, in the log of Rekor v1.
    RekorV1,
}

/// An entry that a search found. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyHit {
    /// The API of its log, `v1` or `v2`.
    pub log: String,
    /// Its ID.
    pub uuid: String,
    /// The path that fetches it.
    #[serde(default)]
    pub url: String,
    /// Its index in its log. Rekor's search does not say it.
    pub log_index: Option<u64>,
    /// Its index in its tree. Rekor's search does not say it.
    pub leaf_index: Option<u64>,
}

/// The entries under one key, the newest of each log first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct KeyHits {
    /// The entries.
    pub entries: Vec<KeyHit>,
    /// For each log that has further ones, the log index below which they are.
    #[serde(default)]
    pub below: BTreeMap<String, u64>,
}

/// The part of a key's entries that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Only entries of this log below this log index.
    pub below: Option<(String, u64)>,
    /// Most entries of a key in each log. `None` leaves it to the server.
    pub limit: Option<u32>,
}

impl<F: Fetch> KeySearch<F> {
    /// Finds out how the server at a URL is searched. Entries are verified with one of `keys`.
    ///
    /// # Errors
    ///
    /// The server does not answer, or has no search.
    pub async fn open(url: &str, keys: Vec<LogKey>, fetch: F) -> ReadResult<Self> {
        let mut search = Self {
            site: Site::new(url, fetch),
            keys,
            api: SearchApi::Treehead,
        };
        let probe = ["treehead".to_owned()];
        match search.look_up(&probe, &Part::default()).await {
            Ok(_) => return Ok(search),
            Err(ReadError::Unsupported(_)) => search.api = SearchApi::RekorV1,
            Err(error) => return Err(error),
        }
        search
            .search_digest(&format!("sha256:{}", "0".repeat(64)))
            .await?;
        Ok(search)
    }

    /// Returns how the server is searched.
    pub fn api(&self) -> SearchApi {
        self.api
    }

    /// Returns the entries under each of some keys, at most [`MAX_KEYS`], in their order. Nothing
    /// proves that they are all. Rekor v1 is asked by digests alone: other keys have no entries.
    ///
    /// # Errors
    ///
    /// There is no answer, or it has another form.
    pub async fn look_up(&self, keys: &[String], part: &Part) -> ReadResult<Vec<KeyHits>> {
        if self.api == SearchApi::RekorV1 {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(match is_digest(key) {
                    true => self.search_digest(key).await?,
                    false => KeyHits::default(),
                });
            }
            return Ok(found);
        }
        #[derive(Deserialize)]
        struct Answer {
            results: Vec<KeyHits>,
        }
        let mut ask = json!({"keys": keys});
        if let Some((log, below)) = &part.below {
            ask["log"] = log.as_str().into();
            ask["below"] = (*below).into();
        }
        if let Some(limit) = part.limit {
            ask["limit"] = limit.into();
        }
        let answer = self.post(LOOK_UP, ask.to_string(), MAX_LOOK_UP).await?;
        let answer = serde_json::from_slice(&answer)
            .map_err(VerifyError::expected("a list of results"))
            .and_then(|Answer { results }| {
                require(results.len() == keys.len(), || {
                    format!("{} results for {} keys", results.len(), keys.len())
                })?;
                let hits = results.iter().flat_map(|found| &found.entries);
                require_ids(hits.map(|hit| &hit.uuid))?;
                Ok(results)
            });
        answer.map_err(self.site.wrong(LOOK_UP))
    }

    /// Returns all entries under a key after the first ones, until they are at least `most`.
    ///
    /// # Errors
    ///
    /// As [`Self::look_up`].
    pub async fn look_up_rest(
        &self,
        key: &str,
        found: &mut KeyHits,
        most: usize,
    ) -> ReadResult<()> {
        let key = [key.to_owned()];
        let mut pages = 0;
        while found.entries.len() < most
            && let Some((log, below)) = found.below.pop_first()
        {
            pages += 1;
            require(pages <= MAX_PAGES, || {
                format!("the search does not end after {MAX_PAGES} pages of one key")
            })
            .map_err(self.site.wrong(LOOK_UP))?;
            let part = Part {
                below: Some((log.clone(), below)),
                limit: Some(1_000),
            };
            for more in self.look_up(&key, &part).await? {
                let is_further = more.below.get(&log).is_none_or(|next| *next < below);
                require(is_further, || "the search goes round in circles".to_owned())
                    .map_err(self.site.wrong(LOOK_UP))?;
                found.entries.extend(more.entries);
                found.below.extend(more.below);
            }
        }
        Ok(())
    }

    /// Asks Rekor's own search for a digest.
    async fn search_digest(&self, digest: &str) -> ReadResult<KeyHits> {
        let ask = json!({"hash": digest}).to_string();
        let answer = self.post(SEARCH, ask, MAX_LOOK_UP).await?;
        let ids = v1::open_search(&answer).and_then(|ids| {
            require_ids(ids.iter())?;
            Ok(ids)
        });
        let hit = |uuid: String| KeyHit {
            log: "v1".to_owned(),
            url: String::new(),
            log_index: None,
            leaf_index: None,
            uuid,
        };
        let ids = ids.map_err(self.site.wrong(SEARCH))?;
        Ok(KeyHits {
            entries: ids.into_iter().map(hit).collect(),
            below: BTreeMap::new(),
        })
    }

    /// Returns verified entries of a log of Rekor v1, at most [`MAX_ENTRIES`], in the
    /// order of `uuids`.
    ///
    /// # Errors
    ///
    /// There is no answer, one is missing, or one does not verify or was not asked for.
    pub async fn entries_of(&self, uuids: &[String]) -> ReadResult<Vec<Entry>> {
        let ask = json!({"entryUUIDs": uuids}).to_string();
        let answer = self.post(RETRIEVE, ask, MAX_RETRIEVED).await?;
        let entries = v1::open_entries(&self.keys, &answer).and_then(|mut entries| {
            let mut asked = Vec::with_capacity(uuids.len());
            for uuid in uuids {
                let is_asked = |entry: &Entry| {
                    let id = entry.uuid.as_deref().unwrap_or_default();
                    is_same(id, uuid)
                };
                let place = entries.iter().position(is_asked).ok_or_else(|| {
                    VerifyError::Mismatch(format!(
                        "the search names entry {uuid}, which is not in the answer"
                    ))
                })?;
                asked.push(entries.swap_remove(place));
            }
            Ok(asked)
        });
        entries.map_err(self.site.wrong(RETRIEVE))
    }

    /// Returns the verified entry that a look-up found in a log of Rekor v2.
    ///
    /// # Errors
    ///
    /// There is no answer, or it does not verify or is another entry.
    pub async fn entry_of_hit(&self, hit: &KeyHit) -> ReadResult<Entry> {
        let path = format!("/{}", hit.url.trim_start_matches('/'));
        let absent = format!("entry at {path}");
        let answer = self.site.expect(&path, MAX_RETRIEVED, &absent).await?;
        let entry = v2::open_entry(&self.keys, &answer).and_then(|entry| {
            let leaf_hash = entry.inclusion.leaf_hash.to_string();
            require(hit.uuid.ends_with(&leaf_hash), || {
                format!("it is the entry of {leaf_hash}")
            })?;
            Ok(entry)
        });
        entry.map_err(self.site.wrong(&path))
    }

    async fn post(&self, path: &str, json: String, limit: usize) -> ReadResult<Vec<u8>> {
        let unsupported = || ReadError::Unsupported(format!("{} has no search", self.site.url("")));
        match self.site.post(path, json, limit).await {
            Ok(Some(answer)) => Ok(answer),
            // Logs of Rekor v2 answer 501 to paths that they do not have.
            Ok(None) => Err(unsupported()),
            Err(ReadError::Refused {
                status: 405 | 501, ..
            }) => Err(unsupported()),
            Err(error) => Err(error),
        }
    }
}

/// Whether two IDs name one entry: the tree may be left out of one.
fn is_same(one: &str, other: &str) -> bool {
    one.ends_with(other) || other.ends_with(one)
}

/// Returns whether Rekor's search takes a key as a digest.
pub fn is_digest(key: &str) -> bool {
    let algorithm = key.split(':').next().unwrap_or_default();
    ["sha1", "sha256", "sha512"].contains(&algorithm)
}

fn require_ids<'a>(mut ids: impl Iterator<Item = &'a String>) -> crate::Result<()> {
    let is_id = |id: &String| {
        [64, 80].contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    require(ids.all(is_id), || "an ID is not hexadecimal".to_owned())
}
