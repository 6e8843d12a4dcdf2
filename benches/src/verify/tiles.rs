//! Tiles and bundles: that each of their hashes is in the tree of a checkpoint.

use std::collections::HashMap;
use std::num::NonZeroU8;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use client::tiles::hashes;
use tlog::{Checkpoint, Hash, LeafIndex, TILE_WIDTH, TileId, TilePath, TileResource, TileTree};

use crate::connection::{Connection, Target};

/// Reads the tiles that lead from one to the root.
pub(super) struct TileReader {
    connection: Connection,
    target: Target,
    prefix: String,
    tiles: HashMap<TileId, Arc<TileTree>>,
}

impl TileReader {
    pub(super) fn new(connection: Connection, target: Target, prefix: String) -> Self {
        Self {
            connection,
            target,
            prefix,
            tiles: HashMap::new(),
        }
    }

    /// Checks that these are the hashes of the full level-0 tile `index` in the tree of `head`.
    /// Other tiles are the log's own, from now; what they lead to is the root of `head`, or the
    /// check fails.
    pub(super) async fn verify(
        &mut self,
        index: u64,
        hashes: &[Hash],
        head: &Checkpoint,
    ) -> Result<()> {
        ensure!(
            hashes.len() == TILE_WIDTH,
            "{} hashes in a full tile",
            hashes.len()
        );
        let tile = TileId { level: 0, index };
        let leaf = LeafIndex(index * TILE_WIDTH as u64);
        let before = self.tiles.insert(tile, Arc::new(TileTree::new(hashes)?));
        for id in tlog::tiles_for_inclusion(leaf, head.size) {
            if !self.tiles.contains_key(&id) {
                let fetched = self.fetch(id, id.width_at(head.size)).await?;
                self.tiles.insert(id, Arc::new(fetched));
            }
        }
        // The siblings of the first leaf up to the tile's root come from all its other hashes, so
        // they are checked as well.
        let proof = tlog::inclusion_proof(leaf, head.size, &self.tiles);
        match before {
            Some(before) => self.tiles.insert(tile, before),
            None => self.tiles.remove(&tile),
        };
        Ok(tlog::verify_inclusion(
            &hashes[0], leaf, head.size, &head.root, &proof?,
        )?)
    }

    /// The tile with at least its first `width` hashes. A log may have dropped a partial tile that
    /// has been filled since.
    async fn fetch(&mut self, id: TileId, width: usize) -> Result<TileTree> {
        let partial = u8::try_from(width).ok().and_then(NonZeroU8::new);
        for partial in [partial, None] {
            let path = TilePath {
                resource: TileResource::Tile(id),
                partial,
            };
            let request = self.target.get(&format!("{}/{path}", self.prefix), "*/*");
            let answer = self.connection.exchange(&request).await?;
            if answer.status == 200 {
                return Ok(TileTree::new(&hashes(answer.body)?)?);
            }
        }
        bail!("the log has no tile {}/{}", id.level, id.index);
    }
}

#[cfg(test)]
mod tests {
    use tlog::Edge;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Serves the tiles of a tree; of partial ones all that there is.
    async fn serve(mut stream: TcpStream, leaves: &[Hash]) {
        let mut edge = Edge::empty();
        let full = edge.append(leaves);
        let mut request = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut request).await {
            let line = std::str::from_utf8(&request[..length]).unwrap();
            let path: TilePath = line
                .split(' ')
                .nth(1)
                .unwrap()
                .strip_prefix("/v/")
                .unwrap()
                .parse()
                .unwrap();
            let TileResource::Tile(id) = path.resource else {
                panic!("{path}")
            };
            let tile = full
                .iter()
                .find(|tile| tile.id == id)
                .map(|tile| tile.hashes.clone());
            let edge = edge
                .tiles()
                .into_iter()
                .find(|tile| tile.0 == id)
                .map(|tile| tile.1.hashes().collect());
            let body: Vec<u8> = match tile.or(edge) {
                Some(hashes) => hashes.iter().flat_map(|hash: &Hash| hash.0).collect(),
                None => Vec::new(),
            };
            let status = if body.is_empty() {
                "404 Not Found"
            } else {
                "200 OK"
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream
                .write_all(&[head.as_bytes(), &body].concat())
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn each_hash_of_a_tile_counts() {
        let leaves: Vec<_> = (0_u32..70_000)
            .map(|leaf| tlog::leaf_hash(&leaf.to_be_bytes()))
            .collect();
        let mut edge = Edge::empty();
        edge.append(&leaves[..66_000]);
        let head = Checkpoint::new("log.example", edge.size(), edge.root());

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::new(
            &format!("http://{}", listener.local_addr().unwrap())
                .parse()
                .unwrap(),
        )
        .unwrap();
        let connection = Connection::open(&target).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let all = leaves.clone();
        tokio::spawn(async move { serve(stream, &all).await });
        let mut reader = TileReader::new(connection, target, "/v".into());
        // Tiles within the first full tile of level 1, and beyond it.
        for index in [0, 1, 255, 256] {
            let good = &leaves[index * 256..][..256];
            reader.verify(index as u64, good, &head).await.unwrap();
            for position in [0, 1, 100, 255] {
                let mut bad = good.to_vec();
                bad[position] = tlog::leaf_hash(b"bad");
                assert!(
                    reader.verify(index as u64, &bad, &head).await.is_err(),
                    "{index}: {position}"
                );
            }
            reader.verify(index as u64, good, &head).await.unwrap();
        }
        assert!(reader.verify(0, &leaves[256..512], &head).await.is_err());
        assert!(reader.verify(0, &leaves[..255], &head).await.is_err());
    }
}
