//! Searches a log for entries by what they claim, and verifies each that is found.

mod query;

use serde::Deserialize;

use crate::entry::Entry;
use crate::error::VerifyError;
use crate::fetch::Fetch;
use crate::key::LogKey;
use crate::rekor::RekorLog;
use crate::site::{ReadError, ReadResult, Site};
use crate::tiled::{Hit, TiledLog};
use crate::upload::Api;
use crate::v1;

pub use query::{Condition, ConditionError, Query};

/// The search that only treehead has.
const SEARCH: &str = "/api/v1/index/search";
/// The search of Rekor.
const RETRIEVE: &str = "/api/v1/index/retrieve";
/// Largest page: a thousand hits have half a megabyte.
const MAX_PAGE: usize = 4 << 20;
/// Hits that one page is asked for.
const PAGE: usize = 100;
/// Most pages that one search reads.
const MAX_PAGES: usize = 100;

/// Searches the logs at one URL.
#[derive(Clone, Debug)]
pub struct Searcher<F> {
    url: String,
    site: Site<F>,
    rekor: RekorLog<F>,
    tiles: TiledLog<F>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The entries, newest first, each verified to be in its log.
    pub entries: Vec<FoundEntry>,
    /// Whether the log has more hits.
    pub has_more: bool,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// The entry.
    pub entry: Entry,
    /// Whether its own bytes state everything that was searched for. `None` if bytes of its kind
    /// cannot tell.
    pub states: Option<bool>,
}

/// A hit, of which nothing is verified.
#[derive(Debug, Deserialize)]
struct WireHit {
    log: String,
    url: String,
    uuid: Option<String>,
}

/// The hits of a search.
struct Hits {
    hits: Vec<WireHit>,
    has_more: bool,
}

impl<F: Fetch + Clone> Searcher<F> {
    /// Searches at a URL. Every entry is verified with one of `keys`.
    pub fn new(url: &str, keys: Vec<LogKey>, fetch: F) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            site: Site::new(url, fetch.clone()),
            rekor: RekorLog::new(url, keys.clone(), fetch.clone()),
            tiles: TiledLog::new(url, keys, fetch),
        }
    }

    /// Returns the entries that meet all conditions, newest first, and at most `limit`. With an
    /// API, those of its log only. Nothing proves that they are all.
    ///
    /// # Errors
    ///
    /// There is no answer, the log has no such search, or an entry does not verify.
    pub async fn search(&self, query: &Query, api: Option<Api>, limit: usize) -> ReadResult<Found> {
        let hits = match query.search_parameters() {
            Some(parameters) => self.pages(&parameters, api, limit).await?,
            None => None,
        };
        let hits = match hits {
            Some(hits) => hits,
            None => self.retrieve(query, api, limit).await?,
        };
        let mut entries = Vec::new();
        for hit in hits.hits {
            let entry = match (hit.log.as_str(), &hit.uuid) {
                ("v1", Some(uuid)) => self.rekor.entry_of(uuid).await?,
                _ => self.tiles.entry_of_hit(&Hit::new(hit.log, hit.url)).await?,
            };
            let states = query.is_stated_by(&entry.body);
            entries.push(FoundEntry { entry, states });
        }
        Ok(Found {
            entries,
            has_more: hits.has_more,
        })
    }

    /// Reads the pages of treehead's search. `None` if the server has no such search.
    async fn pages(
        &self,
        parameters: &str,
        api: Option<Api>,
        limit: usize,
    ) -> ReadResult<Option<Hits>> {
        #[derive(Deserialize)]
        struct Page {
            entries: Vec<WireHit>,
            cursor: Option<String>,
        }
        let mut hits = Vec::new();
        let mut cursor = Some(String::new());
        // A page may have no entry and still be followed by another one.
        for _ in 0..MAX_PAGES {
            let Some(next) = cursor.take() else { break };
            let count = limit.saturating_sub(hits.len()).clamp(1, PAGE);
            let path = format!("{SEARCH}?{parameters}limit={count}{next}");
            let page = match self.site.get(&path, MAX_PAGE).await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(None),
                Err(ReadError::Refused {
                    status: 405 | 501, ..
                }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let page: Result<Page, _> = serde_json::from_slice(&page);
            let page = page.map_err(VerifyError::expected("a page of a search"));
            let page = page.map_err(self.site.wrong(&path))?;
            let is_wanted = |hit: &WireHit| api.is_none_or(|api| hit.log == name(api));
            hits.extend(page.entries.into_iter().filter(is_wanted));
            cursor = page
                .cursor
                .map(|cursor| format!("&cursor={}", query::encoded(&cursor)));
            if hits.len() >= limit {
                break;
            }
        }
        let has_more = cursor.is_some() || hits.len() > limit;
        hits.truncate(limit);
        check_ids(hits.iter().filter_map(|hit| hit.uuid.as_ref()))
            .map_err(self.site.wrong(SEARCH))?;
        Ok(Some(Hits { hits, has_more }))
    }

    /// Asks the search of Rekor, which knows few conditions and no v2.
    async fn retrieve(&self, query: &Query, api: Option<Api>, limit: usize) -> ReadResult<Hits> {
        let unsupported = |why: &str| ReadError::Unsupported(format!("{} {why}", self.url));
        let ask = query.retrieve_request().ok_or_else(|| {
            unsupported("has Rekor's own search alone: by hash, e-mail address and public key")
        })?;
        if api == Some(Api::V2) {
            return Err(unsupported("has no search over Rekor v2"));
        }
        let answer = match self.site.post(RETRIEVE, ask.to_string(), MAX_PAGE).await {
            Ok(Some(answer)) => answer,
            Ok(None)
            | Err(ReadError::Refused {
                status: 405 | 501, ..
            }) => {
                return Err(unsupported("has no search"));
            }
            Err(error) => return Err(error),
        };
        let wrong = self.site.wrong(RETRIEVE);
        let ids = v1::open_search(&answer).map_err(&wrong)?;
        check_ids(ids.iter()).map_err(&wrong)?;
        let has_more = ids.len() > limit;
        let hits = ids.into_iter().take(limit).map(|id| WireHit {
            log: name(Api::V1).to_owned(),
            url: String::new(),
            uuid: Some(id),
        });
        Ok(Hits {
            hits: hits.collect(),
            has_more,
        })
    }
}

fn name(api: Api) -> &'static str {
    match api {
        Api::V1 => "v1",
        Api::V2 => "v2",
    }
}

/// Refuses an ID that would lead to another path.
fn check_ids<'i>(ids: impl Iterator<Item = &'i String>) -> crate::error::Result<()> {
    for id in ids {
        let is_id = [64, 80].contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
        crate::error::require(is_id, || "an ID is not hexadecimal".to_owned())?;
    }
    Ok(())
}
