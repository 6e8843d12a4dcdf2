//! `/trees`: the list of all trees. `/trees/{treeID}/…`: every tree of every log below a path of its own. There are its C2SP
//! checkpoint, tiles and entry bundles, the note of its freeze, its entries with their proofs, and the
//! rows that `treehead recover` copies.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use ledger::{Head, Log, ReadError, Shards, TreeId};
use serde::Serialize;
use tlog::{LeafIndex, TilePath, TreeSize};

use super::proved::Proved;
use crate::app::App;
use crate::limits::MAX_ROWS_BYTES;
use crate::lookup::Place;
use crate::receipt::{self, EntryForm};
use crate::rows::Rows;
use crate::v1::errors::{ApiError, Validation};
use crate::v1::wire::{json, json_within};
use crate::{answer, lookup, tiles};

/// The beginning of the paths.
const PREFIX: &str = "/trees/";

/// The tree that a path names.
pub(crate) struct NamedTree {
    pub(super) log: Log,
    id: TreeId,
    /// The path below the tree.
    rest: String,
}

impl FromRequestParts<Arc<App>> for NamedTree {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let path = head.uri.path();
        let path = path.strip_prefix(PREFIX).unwrap_or_default();
        let (tree, rest) = path.split_once('/').unwrap_or((path, ""));
        let absent = || not_found(format!("this ledger has no tree {tree}"));
        let id = tree.parse().map(TreeId).map_err(|_| absent())?;
        // One path for one resource.
        if id.to_string() != tree {
            return Err(absent());
        }
        Ok(Self {
            log: log_of(app, id).await?.ok_or_else(absent)?,
            id,
            rest: rest.to_owned(),
        })
    }
}

/// Returns the log of a tree. Another server may have made the tree, so "absent" is an answer of
/// the newest shards only.
async fn log_of(app: &App, tree: TreeId) -> Result<Option<Log>, ReadError> {
    if let Some(log) = app.ledger.log_of(tree) {
        return Ok(Some(log.clone()));
    }
    for log in app.ledger.logs() {
        log.newest_shards().await?;
    }
    Ok(app.ledger.log_of(tree).cloned())
}

impl NamedTree {
    fn head_in(&self, shards: &Shards) -> Option<Arc<Head>> {
        shards.of_tree(self.id).cloned()
    }

    /// The log has the tree, and trees never go.
    async fn newest_head(&self) -> Result<Arc<Head>, ApiError> {
        let head = self.head_in(&self.log.newest_heads().await?);
        head.ok_or_else(|| not_found(format!("this ledger has no tree {}", self.id)))
    }

    /// Returns the place of the entry that a path `entries/{index}` names, or a path below it.
    pub(super) async fn place(&self) -> Result<Place, ApiError> {
        let index = self.rest.split('/').nth(1).unwrap_or_default();
        let index = index.parse().map(LeafIndex).map_err(|_| {
            let message = format!("index in path must be of type int64: {index:?}");
            ApiError::validation(Validation::Type, message)
        })?;
        let look = async |shards: Shards| {
            let Some(head) = self.head_in(&shards) else {
                return Ok(None);
            };
            lookup::place_in_tree(&shards, &head, index)
        };
        let place = lookup::find(&self.log, look).await?;
        place.ok_or_else(|| not_found(format!("tree {} has no entries/{}", self.id, index)))
    }
}

/// A tree in the list of all trees.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedTree {
    /// In decimal, as a text: it has up to 63 bits.
    #[serde(rename = "treeID")]
    tree_id: String,
    /// The API of its log.
    log: &'static str,
    /// The origin of its C2SP checkpoints.
    origin: String,
    first_log_index: u64,
    tree_size: u64,
    state: &'static str,
}

/// `GET /trees`: the trees of all logs, in each log the oldest first. A monitor finds those there
/// that came with a rotation.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let mut trees = Vec::new();
    for log in app.ledger.logs() {
        let shards = log.newest_heads().await?;
        let listed = |head: &Head, state| ListedTree {
            tree_id: head.tree.id.to_string(),
            log: log.api().name,
            origin: head.tree.origin.clone(),
            first_log_index: head.tree.first_log_index,
            tree_size: head.size.0,
            state,
        };
        let frozen = shards.frozen().iter();
        trees.extend(frozen.map(|head| listed(head, "frozen")));
        trees.push(listed(shards.active(), "active"));
    }
    Ok(json(StatusCode::OK, &serde_json::json!({"trees": trees})))
}

/// `GET /trees/{treeID}/checkpoint`: the newest one.
pub(crate) async fn checkpoint(tree: NamedTree) -> Result<Response, ApiError> {
    let head = tree.newest_head().await?;
    Ok(tiles::note(head.checkpoint.clone()))
}

/// `GET /trees/{treeID}/freeze`: the checkpoint that says in an extension line that the tree is
/// frozen, as the freeze of Rekor v2 writes it.
pub(crate) async fn freeze_note(tree: NamedTree) -> Result<Response, ApiError> {
    let look = async |shards: Shards| {
        let head = tree.head_in(&shards);
        Ok::<_, ReadError>(head.and_then(|head| head.freeze_note.clone()))
    };
    let note = lookup::find(&tree.log, look).await?;
    let note = note.ok_or_else(|| not_found(format!("tree {} is not frozen", tree.id)))?;
    Ok(tiles::note(note))
}

/// `GET /trees/{treeID}/tile/…`.
pub(crate) async fn tile(
    State(app): State<Arc<App>>,
    tree: NamedTree,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let absent = || not_found(format!("tree {} has no {}", tree.id, tree.rest));
    let path: TilePath = tree.rest.parse().map_err(|_| absent())?;
    let head_in = |shards: &Shards| tree.head_in(shards);
    let is_named = |_: &_| true;
    tiles::show(&app, &tree.log, &headers, path, head_in, is_named, absent).await
}

/// `GET /trees/{treeID}/entries/{index}`: an entry by its index in the tree, with its proof in the
/// newest head.
pub(crate) async fn entry(
    State(app): State<Arc<App>>,
    form: EntryForm,
    tree: NamedTree,
) -> Result<Response, ApiError> {
    let place = tree.place().await?;
    let (room, entry) = answer::entry::<ApiError>(&app, &tree.log, &place).await?;
    if form == EntryForm::Receipt {
        return Ok(receipt::show(&tree.log, &place, &entry).await?);
    }
    let entry = Proved::new(&tree.log, &place.head, entry).await?;
    Ok(json_within(room, &entry.log_entry()))
}

/// `GET /trees/{treeID}/rows/{size}`: the rounds that follow a size, as they are stored, up to the
/// newest head. Whoever takes them checks them.
pub(crate) async fn rows(
    State(app): State<Arc<App>>,
    tree: NamedTree,
) -> Result<Response, ApiError> {
    let size = tree.rest.rsplit('/').next().unwrap_or_default();
    let parsed = size.parse().map(TreeSize).ok();
    let size = parsed
        .filter(|size| *size <= tlog::MAX_TREE_SIZE)
        .ok_or_else(|| {
            let message = format!("size in path must be of type int64: {size:?}");
            ApiError::validation(Validation::Type, message)
        })?;
    let room = app.bundles.admit(MAX_ROWS_BYTES).await?;
    let head = tree.head_in(&tree.log.newest_shards().await?);
    let head = head.ok_or_else(|| not_found(format!("this ledger has no tree {}", tree.id)))?;
    let rows = tree.log.rows(&head, size).await?;
    let mut trees = app.ledger.trees().await?;
    trees.retain(|row| row.api == tree.log.api().name);
    Ok(json_within(room, &Rows::new(trees, rows, app.attestations)))
}

fn not_found(message: String) -> ApiError {
    ApiError::handler(StatusCode::NOT_FOUND, message)
}
