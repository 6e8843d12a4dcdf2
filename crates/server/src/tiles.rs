//! Tiles and entry bundles of a tree (C2SP tlog-tiles). Rekor v2 shows them under the tree's host
//! name, and every tree has them below a path of its own.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use host::{Refusal, Share};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use ledger::{Head, Log, ReadError, Shards, Tree};
use tlog::{TilePath, TileResource};

use crate::app::App;
use crate::limits::MAX_BUNDLE_BYTES;
use crate::lookup;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const NOTE: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The next checkpoint may be published at any time. Under a host name that is not a tree's origin,
/// a rotation changes the tree.
pub(crate) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
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

/// Returns the answer that shows a signed note.
pub(crate) fn note(text: String) -> Response {
    ([(CONTENT_TYPE, NOTE), (CACHE_CONTROL, NO_CACHE)], text).into_response()
}

/// Returns the answer that shows a tile or an entry bundle of the tree that `head_in` chooses. It
/// may be cached if `is_named` says that the address of the request always means this tree.
///
/// # Errors
///
/// `absent` if the tree does not have it.
pub(crate) async fn show<E: From<ReadError> + From<Refusal>>(
    app: &App,
    log: &Log,
    headers: &HeaderMap,
    path: TilePath,
    head_in: impl Fn(&Shards) -> Option<Arc<Head>>,
    is_named: impl Fn(&Tree) -> bool,
    absent: impl Fn() -> E,
) -> Result<Response, E> {
    let is_bundle = matches!(path.resource, TileResource::Entries(_));
    let room = match is_bundle {
        true => Some(app.bundles.admit(MAX_BUNDLE_BYTES).await?),
        false => None,
    };
    let look = async |shards: Shards| {
        let Some(head) = head_in(&shards) else {
            return Ok::<_, ReadError>(None);
        };
        let bytes = log.tile_resource(&head, path).await?;
        if bytes.is_none() {
            shards.check_resource(head.tree.id, path)?;
        }
        Ok(bytes.map(|bytes| (Arc::clone(&head.tree), bytes)))
    };
    let (tree, bytes) = lookup::find(log, look).await?.ok_or_else(absent)?;
    let lifetime = match is_named(&tree) {
        true => lifetime(app, path),
        false => NO_CACHE,
    };
    let mut response = match room {
        Some(room) => bundle(app, headers, &tree, path, bytes, room).await?,
        None => bytes.into_response(),
    };
    response.headers_mut().insert(CONTENT_TYPE, OCTETS);
    response.headers_mut().insert(CACHE_CONTROL, lifetime);
    Ok(response)
}

/// Returns a bundle, in gzip if the client accepts that.
async fn bundle(
    app: &App,
    headers: &HeaderMap,
    tree: &Tree,
    path: TilePath,
    bundle: Bytes,
    room: Share,
) -> Result<Response, Refusal> {
    let is_gzip = accepts_gzip(headers);
    let (bytes, mut room) = match is_gzip {
        true => {
            let compressed = app.gzip_bundles.of(tree.id, path, bundle, room).await;
            compressed.ok_or_else(Refusal::unknown)?
        }
        false => (bundle, room),
    };
    room.shrink_to(bytes.len() as u64);
    let mut response = Bytes::from_owner(Kept { bytes, _room: room }).into_response();
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
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

/// Returns how long a resource of a tree may be cached, and by whom.
fn lifetime(app: &App, path: TilePath) -> HeaderValue {
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
