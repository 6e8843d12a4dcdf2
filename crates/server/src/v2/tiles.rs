//! The log as C2SP tlog-tiles: the checkpoint, tiles and entry bundles.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use host::Share;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use ledger::{ReadError, Shards, Tree};
use tlog::{TilePath, TileResource};

use super::PREFIX;
use super::error::Error;
use super::shard::Shard;
use crate::app::App;
use crate::limits::MAX_BUNDLE_BYTES;
use crate::lookup;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const NOTE: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The next checkpoint may be published at any time, and under a name that is not a tree's, the
/// next tree may follow.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// A week, as Rekor v2's buckets say.
const FOR_GOOD: Lifetime = Lifetime {
    public: HeaderValue::from_static("public, max-age=604800, immutable"),
    private: HeaderValue::from_static("private, max-age=604800, immutable"),
};
/// A partial tile does not change either, but soon no client asks for that width any more.
const FOR_AN_HOUR: Lifetime = Lifetime {
    public: HeaderValue::from_static("public, max-age=3600, immutable"),
    private: HeaderValue::from_static("private, max-age=3600, immutable"),
};

/// How long a tile may be cached.
struct Lifetime {
    /// In a public log, also by a cache that several clients share.
    public: HeaderValue,
    /// In any other log.
    private: HeaderValue,
}

/// `GET /checkpoint`, `GET /api/v2/checkpoint`: the newest one.
pub(crate) async fn checkpoint(
    State(app): State<Arc<App>>,
    shard: Shard,
) -> Result<Response, Error> {
    let head = shard.newest_head(&app).await?;
    Ok((
        [(CONTENT_TYPE, NOTE), (CACHE_CONTROL, NO_CACHE)],
        head.checkpoint_v2.clone(),
    )
        .into_response())
}

/// `GET /tile/…`, `GET /api/v2/tile/…`.
pub(crate) async fn tile(
    State(app): State<Arc<App>>,
    shard: Shard,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let path = uri.path();
    let path = path
        .strip_prefix(PREFIX)
        .unwrap_or(path)
        .strip_prefix('/')
        .unwrap_or_default();
    // One path for one resource: any other text names nothing.
    let path: TilePath = path.parse().map_err(|_| absent())?;
    match path.resource {
        TileResource::Tile(_) => {
            let (tree, tile) = resource(&app, &shard, path).await?;
            Ok((
                [
                    (CONTENT_TYPE, OCTETS),
                    (CACHE_CONTROL, lifetime(&app, &shard, &tree, path)),
                ],
                tile,
            )
                .into_response())
        }
        TileResource::Entries(_) => {
            let room = app.bundles.admit(MAX_BUNDLE_BYTES).await?;
            let (tree, bundle) = resource(&app, &shard, path).await?;
            let is_gzip = accepts_gzip(&headers);
            let (bytes, mut room) = match is_gzip {
                true => app
                    .gzip_bundles
                    .of(tree.id, path, bundle, room)
                    .await
                    .ok_or_else(Error::internal)?,
                false => (bundle, room),
            };
            room.shrink_to(bytes.len() as u64);
            let body = Bytes::from_owner(Kept { bytes, _room: room });
            let lifetime = lifetime(&app, &shard, &tree, path);
            let mut response =
                ([(CONTENT_TYPE, OCTETS), (CACHE_CONTROL, lifetime)], body).into_response();
            response
                .headers_mut()
                .insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
            if is_gzip {
                response
                    .headers_mut()
                    .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            Ok(response)
        }
    }
}

/// Bytes with their share of the bundles in flight.
struct Kept {
    bytes: Bytes,
    _room: Share,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes of a resource, and the tree that they are of.
async fn resource(app: &App, shard: &Shard, path: TilePath) -> Result<(Arc<Tree>, Bytes), Error> {
    let look = async |shards: Shards| {
        let head = shard.head_in(&shards);
        let bytes = app.ledger.tile_resource(&head, path).await?;
        Ok::<_, ReadError>(bytes.map(|bytes| (Arc::clone(&head.tree), bytes)))
    };
    lookup::find(app, look).await?.ok_or_else(absent)
}

/// Returns how long a resource may be cached, and by whom.
fn lifetime(app: &App, shard: &Shard, tree: &Tree, path: TilePath) -> HeaderValue {
    if !shard.is_named(tree) {
        return NO_CACHE;
    }
    let lifetime = if path.partial.is_none() {
        FOR_GOOD
    } else {
        FOR_AN_HOUR
    };
    if app.cors.is_public {
        lifetime.public
    } else {
        lifetime.private
    }
}

fn absent() -> Error {
    Error::not_found("Not Found")
}

/// Whether `Accept-Encoding` names gzip with a weight above 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers
        .get_all(ACCEPT_ENCODING)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight: f32| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_ask_for_it() {
        for (value, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("identity", false),
            ("gzip2", false),
            ("*", false),
            ("", false),
        ] {
            let headers =
                HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
