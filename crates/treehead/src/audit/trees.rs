//! The trees of a log, with their signed heads.

use client::{Http, LogKey, RekorLog, SignedHead, TiledLog, TreeReader};
use ledger::V1;

use crate::check::flags::LogFlags;
use crate::check::log::{Log, failure, keys};
use crate::failure::Outcome;

/// A tree that is audited, up to its head.
pub(super) struct Tree {
    /// The log index of its first entry.
    pub(super) first_log_index: u64,
    pub(super) head: SignedHead,
    pub(super) source: Source,
}

/// How the entries of a tree are read.
pub(super) enum Source {
    /// By entry bundles, each checked with the tiles of the head.
    Bundles(Box<TreeReader<Http>>),
    /// Ten at a time by the API of Rekor v1, whose order the root of the head proves.
    Api(Box<RekorLog<Http>>),
}

/// Returns the trees of the log, oldest first. A log of Rekor v2 is one tree.
pub(super) async fn trees(flags: &LogFlags) -> Outcome<Vec<Tree>> {
    let keys = keys(&flags.trust.trust)?;
    match Log::open(flags).await? {
        Log::V1(log) => {
            let heads = log.heads().await.map_err(failure)?;
            let mut trees = Vec::new();
            let mut first_log_index = 0_u64;
            for head in heads.inactive.into_iter().chain([heads.active]) {
                let size = head.size().0;
                trees.push(Tree {
                    first_log_index,
                    source: source(flags, &keys, &log, &head).await?,
                    head,
                });
                first_log_index = first_log_index.saturating_add(size);
            }
            Ok(trees)
        }
        Log::V2(log) => {
            let head = log.head().await.map_err(failure)?;
            let reader = TreeReader::open(log, head.clone()).await;
            Ok(vec![Tree {
                first_log_index: 0,
                source: Source::Bundles(Box::new(reader.map_err(super::read::failed)?)),
                head,
            }])
        }
    }
}

/// Finds out whether a tree of v1 has entry bundles, as a ledger of treehead does.
async fn source(
    flags: &LogFlags,
    keys: &[LogKey],
    log: &RekorLog<Http>,
    head: &SignedHead,
) -> Outcome<Source> {
    let url = flags.url.trim_end_matches('/');
    let id = head.tree_id().unwrap_or_default();
    let tree = TiledLog::new(&format!("{url}/trees/{id}"), keys.to_vec(), Http::new());
    match TreeReader::open(tree, head.clone()).await {
        Ok(reader) => Ok(Source::Bundles(Box::new(reader))),
        Err(client::BulkError::Read(error)) if is_absent(&error) => {
            Ok(Source::Api(Box::new(log.clone())))
        }
        Err(error) => Err(super::read::failed(error)),
    }
}

/// Whether a server has nothing at the paths of a tree.
fn is_absent(error: &client::ReadError) -> bool {
    use client::ReadError::{Absent, Refused};
    matches!(
        error,
        Absent(_)
            | Refused {
                status: 405 | 501,
                ..
            }
    )
}

impl Tree {
    /// Returns the ID of the tree as entry IDs begin with it: 16 hexadecimal digits. A head of
    /// Rekor v2 does not say it.
    pub(super) fn id(&self) -> Option<String> {
        let id: u64 = self.head.tree_id()?.parse().ok()?;
        Some(format!("{id:016x}"))
    }

    pub(super) fn api(&self) -> &'static str {
        match self.head.tree_id() {
            Some(_) => V1.name,
            None => ledger::V2.name,
        }
    }
}
