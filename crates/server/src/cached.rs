//! Answers that are made once and shown many times.

use std::io::Write as _;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use host::Share;
use ledger::{Shards, TreeId};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tlog::TilePath;

/// A text about the heads of a log, written once for each of them.
#[derive(Default)]
pub(crate) struct HeadsText(RwLock<Option<(Shards, Bytes)>>);

impl HeadsText {
    /// Returns the text about these heads; `write` makes it if it is not there.
    pub(crate) fn of<E>(
        &self,
        shards: &Shards,
        write: impl FnOnce(&Shards) -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        if let Some((of, text)) = &*self.0.read().unwrap_or_else(PoisonError::into_inner)
            && of.is_same(shards)
        {
            return Ok(text.clone());
        }
        let text = write(shards)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) =
            Some((shards.clone(), text.clone()));
        Ok(text)
    }
}

/// Bundles kept in gzip, in bytes: some 200 of entries with certificates.
const CACHED_GZIP_BYTES: u64 = 16 << 20;
const CACHED_GZIP_BUNDLES: usize = 256;

/// Entry bundles in gzip.
pub(crate) struct GzipBundles(Cache<(TreeId, TilePath), Bytes, ByLength>);

#[derive(Clone)]
struct ByLength;

impl Weighter<(TreeId, TilePath), Bytes> for ByLength {
    fn weight(&self, _: &(TreeId, TilePath), bytes: &Bytes) -> u64 {
        bytes.len() as u64
    }
}

impl GzipBundles {
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(
            CACHED_GZIP_BUNDLES,
            CACHED_GZIP_BYTES,
            ByLength,
        ))
    }

    /// Returns the bundle in gzip, or `None` if a bug kept it from being made. Its room is held by
    /// the work, which continues when a client leaves.
    pub(crate) async fn of(
        &self,
        tree: TreeId,
        path: TilePath,
        bundle: Bytes,
        room: Share,
    ) -> Option<(Bytes, Share)> {
        if let Some(compressed) = self.0.get(&(tree, path)) {
            return Some((compressed, room));
        }
        let compressed = tokio::task::spawn_blocking(move || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bundle)?;
            Ok::<_, std::io::Error>((Bytes::from(encoder.finish()?), room))
        });
        match compressed.await {
            Ok(Ok((compressed, room))) => {
                self.0.insert((tree, path), compressed.clone());
                Some((compressed, room))
            }
            failed => {
                tracing::error!(?failed, "a bundle could not be compressed");
                None
            }
        }
    }
}
