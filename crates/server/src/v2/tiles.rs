//! The v2 log as C2SP tlog-tiles: the checkpoint, tiles and entry bundles of the tree of a host
//! name.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::HeaderMap;
use ledger::Shards;

use super::PREFIX;
use super::error::Error;
use super::shard::Shard;
use crate::app::App;
use crate::tiles;

/// `GET /checkpoint`, `GET /api/v2/checkpoint`: the newest one.
pub(crate) async fn checkpoint(
    State(app): State<Arc<App>>,
    shard: Shard,
) -> Result<Response, Error> {
    let head = shard.newest_head(app.v2()?).await?;
    Ok(tiles::note(head.checkpoint.clone()))
}

/// `GET /tile/…`, `GET /api/v2/tile/…`.
pub(crate) async fn tile(
    State(app): State<Arc<App>>,
    shard: Shard,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let absent = || Error::not_found("Not Found");
    let path = uri.path();
    let path = path
        .strip_prefix(PREFIX)
        .unwrap_or(path)
        .strip_prefix('/')
        .unwrap_or_default();
    // One path for one resource: any other text names nothing.
    let path = path.parse().map_err(|_| absent())?;
    let head_in = |shards: &Shards| Some(shard.head_in(shards));
    let is_named = |tree: &_| shard.is_named(tree);
    tiles::show(&app, app.v2()?, &headers, path, head_in, is_named, absent).await
}
