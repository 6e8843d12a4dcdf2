//! `GET /api/v2/log/entries?leafHash=`: the entry with a leaf hash, in any tree of any log.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use ledger::{Log, ReadError, Shards, V2};
use tlog::Hash;

use super::proved::Proved;
use crate::app::App;
use crate::lookup::{self, Place};
use crate::v2::entries::shown;
use crate::v2::error::Error;
use crate::v2::shard::Shard;
use crate::{answer, query};

/// The handler. It looks in the v2 log first, and there in the tree of the host name.
pub(crate) async fn entry(
    State(app): State<Arc<App>>,
    shard: Shard,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let digits = query::last(query.as_deref(), "leafHash")
        .ok_or_else(|| Error::invalid("leafHash is required"))?;
    let mut hash = [0; 32];
    hex::decode_to_slice(digits.as_bytes(), &mut hash)
        .map_err(|_| Error::invalid("leafHash must be 64 hexadecimal digits"))?;
    let hash = Hash(hash);
    let others = app.ledger.logs().iter().filter(|log| *log.api() != V2);
    for log in app.v2().into_iter().chain(others) {
        let look = |shards| place_in(log, shards, &shard, hash);
        if let Some(place) = lookup::find(log, look).await? {
            let (room, entry) = answer::entry::<Error>(&app, log, &place).await?;
            let entry = Proved::new(log, &place.head, entry).await?;
            return shown(room, &entry.log_entry());
        }
    }
    Err(Error::not_found("Not Found"))
}

/// Looks in the tree of the host name, then in the active one, then in the others, oldest first.
async fn place_in(
    log: &Log,
    shards: Shards,
    shard: &Shard,
    hash: Hash,
) -> Result<Option<Place>, ReadError> {
    let first = shard.head_in(&shards);
    let others = shards
        .active_first()
        .filter(|head| head.tree.id != first.tree.id);
    for head in [&first].into_iter().chain(others) {
        let found = lookup::place_of_hash(log, head, hash).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
