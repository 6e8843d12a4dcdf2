//! The server of a log: its heads, and the way to the entries of each tree.

use std::fmt::Display;
use std::sync::Arc;

use client::{
    Ask, BulkError, Fetch, History, LogKey, ReadError, ReadResult, RekorLog, SignedHead, TiledLog,
    TreeReader, VerifyError,
};
use serde::Deserialize;

use crate::config::{Api, LogSection};

/// Largest list of trees of a treehead: some thousand trees.
const MAX_LIST: usize = 1 << 20;
/// Most trees of a list that are followed: one a month for twenty years.
const MAX_TREES: usize = 240;

/// How a log is read, with the keys of one look at it.
#[derive(Clone)]
pub(super) struct Source<F> {
    url: String,
    keys: Arc<[LogKey]>,
    fetch: F,
    access: Access<F>,
}

#[derive(Clone)]
enum Access<F> {
    V1(RekorLog<F>),
    /// One for each tree, oldest first, with its URL.
    V2(Vec<(String, TiledLog<F>)>),
}

/// The head of a tree as the log shows it.
pub(super) struct Shown<F> {
    pub head: SignedHead,
    /// The log index of the tree's first entry. In v2 each tree counts from 0.
    pub first_log_index: u64,
    /// The tree as tiles in v2.
    tiles: Option<TiledLog<F>>,
}

/// The way to the entries of a tree.
pub(super) enum Way<F> {
    Tiles(Box<TreeReader<F>>),
    Entries(RekorLog<F>),
}

/// The list of trees of a treehead.
#[derive(Deserialize)]
struct Listed {
    trees: Vec<ListedTree>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedTree {
    #[serde(rename = "treeID")]
    tree_id: String,
    log: String,
    origin: String,
}

/// The heads that a log shows.
pub(super) struct Heads<F> {
    /// In v1 the oldest comes first.
    pub shown: Vec<Shown<F>>,
    /// Why heads of other trees are missing, if some are.
    pub missing: Option<NoHeads>,
}

/// Why there are no heads.
pub(super) enum NoHeads {
    Away(ReadError),
    /// The answer is not accepted.
    Bad {
        url: String,
        answer: Vec<u8>,
        error: VerifyError,
    },
}

impl From<ReadError> for NoHeads {
    fn from(error: ReadError) -> Self {
        Self::Away(error)
    }
}

impl<F: Fetch + Clone> Source<F> {
    pub(super) fn new(section: &LogSection, keys: &[LogKey], fetch: F) -> Self {
        let tiled = |url: String| {
            let log = TiledLog::new(&url, keys.to_vec(), fetch.clone());
            (url, log)
        };
        let urls = section.url.list();
        let url = urls.last().cloned().unwrap_or_default();
        let access = match section.api {
            Api::V1 => Access::V1(RekorLog::new(&url, keys.to_vec(), fetch.clone())),
            Api::V2 => Access::V2(urls.iter().cloned().map(tiled).collect()),
        };
        Self {
            url: url.trim_end_matches('/').to_owned(),
            keys: keys.into(),
            fetch,
            access,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn keys(&self) -> &[LogKey] {
        &self.keys
    }

    pub(super) fn fetch(&self) -> &F {
        &self.fetch
    }

    /// Returns the log by the API of Rekor v1.
    pub(super) fn rekor(&self) -> Option<&RekorLog<F>> {
        match &self.access {
            Access::V1(log) => Some(log),
            Access::V2(_) => None,
        }
    }

    /// Returns the heads of all trees.
    pub(super) async fn heads(&self) -> Heads<F> {
        match &self.access {
            Access::V1(log) => match self.heads_v1(log).await {
                Ok(shown) => Heads {
                    shown,
                    missing: None,
                },
                Err(reason) => Heads {
                    shown: Vec::new(),
                    missing: Some(reason),
                },
            },
            Access::V2(logs) => self.heads_v2(logs).await,
        }
    }

    /// Returns the heads of the trees at the URLs, and of the other trees of the same log that a
    /// treehead lists. A tree that is away or shows a bad head does not hide the others.
    async fn heads_v2(&self, logs: &[(String, TiledLog<F>)]) -> Heads<F> {
        let mut heads = Heads {
            shown: Vec::new(),
            missing: None,
        };
        for (url, log) in logs {
            heads.add(self.head_v2(url, log).await);
        }
        let trees = heads.shown.iter();
        let origins: Vec<_> = trees.map(|tree| tree.head.origin().to_owned()).collect();
        match self.others(&origins).await {
            Ok(others) => {
                for url in others {
                    let log = TiledLog::new(&url, self.keys.to_vec(), self.fetch.clone());
                    heads.add(self.head_v2(&url, &log).await);
                }
            }
            Err(error) => heads.add(Err(error.into())),
        }
        heads
    }

    /// Returns the URLs of the trees that a treehead lists beside those of these origins, in the
    /// same log. Nothing of the list is verified, and other servers have none.
    async fn others(&self, origins: &[String]) -> ReadResult<Vec<String>> {
        let ask = Ask {
            url: format!("{}/trees", self.url),
            json: None,
            limit: MAX_LIST,
        };
        let answer = self.fetch.fetch(&ask).await?;
        // A server that is busy or in trouble may have a list all the same.
        if answer.status == 429 || answer.status >= 500 && answer.status != 501 {
            return Err(ReadError::Refused {
                url: ask.url,
                status: answer.status,
                message: "the list of trees cannot be read".to_owned(),
            });
        }
        let Ok(Listed { trees }) = serde_json::from_slice(&answer.body) else {
            return Ok(Vec::new());
        };
        let is_known = |tree: &ListedTree| origins.contains(&tree.origin);
        let Some(log) = trees
            .iter()
            .find(|tree| is_known(tree))
            .map(|tree| &tree.log)
        else {
            return Ok(Vec::new());
        };
        let others = trees
            .iter()
            .filter(|tree| tree.log == *log && !is_known(tree));
        let is_id = |tree: &&ListedTree| tree.tree_id.parse::<u64>().is_ok();
        let urls = others
            .filter(is_id)
            .map(|tree| below_trees(&self.url, &tree.tree_id));
        Ok(urls.take(MAX_TREES).collect())
    }

    async fn heads_v1(&self, log: &RekorLog<F>) -> Result<Vec<Shown<F>>, NoHeads> {
        let answer = log.heads_answer().await?;
        let heads = match client::v1::open_heads(&self.keys, &answer) {
            Ok(heads) => heads,
            Err(error) => {
                return Err(NoHeads::Bad {
                    url: format!("{}/api/v1/log", self.url),
                    answer,
                    error,
                });
            }
        };
        let mut first_log_index: u64 = 0;
        let mut shown = Vec::new();
        for head in heads.inactive.into_iter().chain([heads.active]) {
            let size = head.size().0;
            shown.push(Shown {
                head,
                first_log_index,
                tiles: None,
            });
            first_log_index = first_log_index.saturating_add(size);
        }
        Ok(shown)
    }

    async fn head_v2(&self, url: &str, log: &TiledLog<F>) -> Result<Shown<F>, NoHeads> {
        let answer = log.checkpoint().await?;
        let head = std::str::from_utf8(&answer).map_err(VerifyError::from);
        match head.and_then(|note| SignedHead::open(&self.keys, note)) {
            Ok(head) => Ok(Shown {
                head,
                first_log_index: 0,
                tiles: Some(log.clone()),
            }),
            Err(error) => Err(NoHeads::Bad {
                url: format!("{url}/checkpoint"),
                answer,
                error,
            }),
        }
    }

    /// Compares two heads of one tree, of which `now` is the one that the log shows here.
    pub(super) async fn compare(
        &self,
        seen: &SignedHead,
        now: &SignedHead,
        shown: &Shown<F>,
    ) -> ReadResult<History> {
        match (&self.access, &shown.tiles) {
            (Access::V1(log), _) => log.compare(seen, now).await,
            (Access::V2(_), Some(log)) => log.compare(seen, now).await,
            (Access::V2(_), None) => Err(ReadError::Unsupported("no tiles".to_owned())),
        }
    }

    /// Finds the way to the entries of a tree: tiles where the server has them, because they are
    /// many times faster. Each tree of a treehead is below `/trees/`, also those of v1, whose tiles
    /// lead to the root in Rekor's head as well.
    pub(super) async fn way(&self, shown: &Shown<F>) -> Result<Way<F>, BulkError> {
        let head = shown.head.clone();
        let (Access::V1(log), Some(tree)) = (&self.access, head.tree_id()) else {
            let tiles = shown.tiles.clone();
            let none = || ReadError::Unsupported("no tiles".to_owned());
            let reader = TreeReader::open(tiles.ok_or_else(none)?, head).await?;
            return Ok(Way::Tiles(Box::new(reader)));
        };
        let url = below_trees(&self.url, tree);
        let tiles = TiledLog::new(&url, self.keys.to_vec(), self.fetch.clone());
        match TreeReader::open(tiles, head).await {
            Ok(reader) => Ok(Way::Tiles(Box::new(reader))),
            // Rekor has no tiles, and says so in one way or another.
            Err(BulkError::Read(
                ReadError::Absent(_) | ReadError::Refused { .. } | ReadError::Answer { .. },
            )) => Ok(Way::Entries(log.clone())),
            Err(error) => Err(error),
        }
    }
}

impl<F> Heads<F> {
    /// Adds a head, or the first reason why one is missing.
    fn add(&mut self, head: Result<Shown<F>, NoHeads>) {
        match head {
            Ok(head) => self.shown.push(head),
            Err(reason) => {
                self.missing.get_or_insert(reason);
            }
        }
    }
}

fn below_trees(url: &str, tree: impl Display) -> String {
    format!("{}/trees/{tree}", url.trim_end_matches('/'))
}
