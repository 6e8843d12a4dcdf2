//! The reads of a connection, which are the same for a pool and for a connection of one's own.

/// Implements `Read` for a type of one backend by the functions of that backend's modules.
/// `$on_connection!(value, name => future)` runs a future with a connection of the value.
macro_rules! delegate_reads {
    ($type:ty, $on_connection:ident) => {
        #[async_trait::async_trait]
        impl $crate::store::Read for $type {
            async fn standings(
                &mut self,
                trees: &[$crate::TreeId],
            ) -> $crate::store::StoreResult<Vec<Option<$crate::store::Standing>>> {
                $on_connection!(self, connection => rotation::standings(connection, trees))
            }

            async fn newest_head(
                &mut self,
                tree: $crate::TreeId,
            ) -> $crate::store::StoreResult<Option<$crate::store::HeadRow>> {
                $on_connection!(self, connection => reads::newest_head(connection, tree))
            }

            async fn newest_publication(
                &mut self,
                tree: $crate::TreeId,
            ) -> $crate::store::StoreResult<Option<$crate::store::PublicationRow>> {
                $on_connection!(self, connection => publications::newest(connection, tree))
            }

            async fn leaf_hashes(
                &mut self,
                tree: $crate::TreeId,
                range: std::ops::Range<u64>,
            ) -> $crate::store::StoreResult<Vec<tlog::Hash>> {
                $on_connection!(self, connection => reads::leaf_hashes(connection, tree, range))
            }

            async fn tile_roots(
                &mut self,
                tree: $crate::TreeId,
                level: u8,
                range: std::ops::Range<u64>,
            ) -> $crate::store::StoreResult<Vec<tlog::Hash>> {
                $on_connection!(self, connection => reads::tile_roots(connection, tree, level, range))
            }

            async fn full_tiles(
                &mut self,
                tree: $crate::TreeId,
                tiles: &[tlog::TileId],
            ) -> $crate::store::StoreResult<Vec<Vec<tlog::Hash>>> {
                $on_connection!(self, connection => reads::full_tiles(connection, tree, tiles))
            }

            async fn find_leaves(
                &mut self,
                tree: $crate::TreeId,
                leaf_hashes: &[tlog::Hash],
                size: tlog::TreeSize,
            ) -> $crate::store::StoreResult<Vec<$crate::store::EntryRef>> {
                $on_connection!(self, connection => {
                    reads::find_leaves(connection, tree, leaf_hashes, size)
                })
            }

            async fn find_claims(
                &mut self,
                names: &[$crate::store::NameKey],
            ) -> $crate::store::StoreResult<Vec<$crate::store::StoredClaim>> {
                $on_connection!(self, connection => claims::find(connection, names))
            }
        }
    };
}
pub(crate) use delegate_reads;
