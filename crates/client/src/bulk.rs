//! Reads whole entry bundles of a tree, each checked to lie in a signed head.
//!
//! A bundle of 256 entries takes one request and 511 hashes. The tile above it, which is fetched
//! once for 65,536 entries, has the root that its leaves must have.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tlog::{Hash, LeafIndex, TILE_WIDTH, TileId, TileResource, TileTree};

use crate::error::VerifyError;
use crate::fetch::Fetch;
use crate::head::SignedHead;
use crate::proof::Inclusion;
use crate::site::{ReadError, ReadResult};
use crate::tiled::{MAX_BUNDLE, TiledLog};
use crate::tiles;
use crate::verified_tiles::VerifiedTiles;

/// Largest answer with one entry: 1 MiB of leaf bytes in base64, and a proof.
const MAX_ENTRY: usize = 4 << 20;

/// Why a part of a tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// There is no answer, or it has another form.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tile does not lead to the root of the head.
    #[error("{}: {}", .0.head.origin(), .0.fault)]
    Tile(Box<BadTile>),
    /// The server shows other bytes for an entry than the head contains, or leaves it out.
    #[error(transparent)]
    Entry(Box<BadEntry>),
}

/// A tile that does not lead to the root of a signed head.
#[derive(Debug)]
pub struct BadTile {
    /// The head.
    pub head: SignedHead,
    /// The tiles as the server shows them: the partial ones at the right edge, then those on the
    /// way down. The last one is at fault. If there are partial ones only, they are at fault
    /// together.
    pub tiles: Vec<(TileId, Vec<Hash>)>,
    /// The fault.
    pub fault: VerifyError,
}

/// An entry that its tile contradicts.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct BadEntry {
    /// The proof of the leaf hash that the head contains.
    pub inclusion: Inclusion,
    /// The bytes that the server shows as this entry. `None`: its bundle ends before it.
    pub served: Option<Vec<u8>>,
}

impl BadEntry {
    fn text(&self) -> String {
        let Inclusion {
            leaf_hash,
            leaf_index,
            head,
            ..
        } = &self.inclusion;
        let origin = head.origin();
        match &self.served {
            Some(bytes) => {
                let served = tlog::leaf_hash(bytes);
                format!(
                    "entry {leaf_index} of {origin} has leaf hash {served} in its bundle, and {leaf_hash} in the tree"
                )
            }
            None => format!("entry {leaf_index} of {origin} is missing in its bundle"),
        }
    }
}

/// The entries of one bundle. Each is in the tree of the head that it was read for.
#[derive(Clone, Debug)]
pub struct Bundle {
    first: u64,
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
    hashes: Vec<Hash>,
}

impl Bundle {
    /// Returns the entries with their index in the tree and their leaf hash.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (LeafIndex, Hash, &[u8])> + '_ {
        let entries = self.places.iter().zip(&self.hashes).enumerate();
        entries.map(|(place, (range, hash))| {
            let index = LeafIndex(self.first + place as u64);
            let leaf = self.bytes.get(range.clone()).unwrap_or_default();
            (index, *hash, leaf)
        })
    }
}

/// A bundle that is to be read, with the tiles that say what it must be.
#[derive(Clone, Debug)]
pub struct Wanted {
    head: SignedHead,
    number: u64,
    tiles: VerifiedTiles,
}

impl Wanted {
    fn tile(&self) -> TileId {
        TileId {
            level: 0,
            index: self.number,
        }
    }

    fn width(&self) -> usize {
        self.tile().width_at(self.head.size())
    }

    fn first(&self) -> u64 {
        self.number.saturating_mul(TILE_WIDTH as u64)
    }

    /// Returns whether these are the leaves of the bundle.
    fn is(&self, hashes: &[Hash]) -> bool {
        match self.tiles.get(self.tile()) {
            Some(tile) => tile.hashes().eq(hashes.iter().copied()),
            None => {
                let root = TileTree::new(hashes).map(|tree| tree.root());
                hashes.len() == TILE_WIDTH && self.tiles.root_of(self.tile()) == root.ok()
            }
        }
    }
}

/// Reads the bundles of one tree up to a head.
#[derive(Clone, Debug)]
pub struct TreeReader<F> {
    log: TiledLog<F>,
    head: SignedHead,
    tiles: VerifiedTiles,
}

impl<F: Fetch> TreeReader<F> {
    /// Reads the tiles at the right edge of the tree of `head`, whose signature was verified. It
    /// may be the head of the same tree by another API, such as Rekor v1's.
    ///
    /// # Errors
    ///
    /// There is no answer, or the tiles do not lead to the root.
    pub async fn open(log: TiledLog<F>, head: SignedHead) -> Result<Self, BulkError> {
        let edge = VerifiedTiles::edge_of(head.size());
        let ids = edge.into_iter().map(|(id, _)| id).collect();
        let edge = log.tiles(ids, head.size()).await?;
        match VerifiedTiles::new(head.size(), head.root(), edge.clone()) {
            Ok(tiles) => Ok(Self { log, head, tiles }),
            Err(fault) => {
                let mut tiles: Vec<_> = edge.iter().map(hashes_of).collect();
                tiles.sort_unstable_by_key(|(id, _)| *id);
                Err(BulkError::Tile(Box::new(BadTile { head, tiles, fault })))
            }
        }
    }

    /// Returns the head.
    pub fn head(&self) -> &SignedHead {
        &self.head
    }

    /// Returns what the bundle with this number must be. It begins with entry 256 times the number,
    /// which MUST be in the tree. A caller that goes on in order has each tile fetched once.
    ///
    /// # Errors
    ///
    /// There is no answer, or a tile does not lead to the root.
    pub async fn want(&mut self, number: u64) -> Result<Wanted, BulkError> {
        let tile = TileId {
            level: 0,
            index: number,
        };
        self.tiles.keep_way_to(tile);
        // Not the tile itself: the one above it has its root.
        for id in self.tiles.missing(tile) {
            if id.level > 0 {
                add(&self.log, &self.head, &mut self.tiles, id).await?;
            }
        }
        Ok(Wanted {
            head: self.head.clone(),
            number,
            tiles: self.tiles.clone(),
        })
    }

    /// Reads a bundle. Several may be read at the same time.
    ///
    /// A v1 tree of treehead has no bundle where an entry is too large for its format. There the
    /// entries are read one by one.
    ///
    /// # Errors
    ///
    /// There is no answer, or an entry is not the one in the tree.
    pub async fn read(&self, wanted: &Wanted) -> Result<Bundle, BulkError> {
        let resource = TileResource::Entries(wanted.number);
        let found = self.log.resource(resource, wanted.width(), MAX_BUNDLE);
        let bytes = match found.await {
            Ok((_path, bytes)) => bytes,
            Err(absent @ ReadError::Absent(_)) => return self.one_by_one(wanted, absent).await,
            Err(error) => return Err(error.into()),
        };
        let mut places = tiles::bundle_places(&bytes);
        places.truncate(wanted.width());
        let entry = |place: &Range<usize>| bytes.get(place.clone()).unwrap_or_default();
        let hashes: Vec<_> = places.iter().map(entry).map(tlog::leaf_hash).collect();
        if wanted.is(&hashes) {
            return Ok(Bundle {
                first: wanted.first(),
                places,
                hashes,
                bytes,
            });
        }
        let tiles = self.with_leaves(wanted).await?;
        let tile = tiles.get(wanted.tile());
        let right = tile.into_iter().flat_map(|tile| tile.hashes());
        let place = right
            .zip(hashes.iter().map(Some).chain(std::iter::repeat(None)))
            .position(|(right, got)| got != Some(&right));
        let served = place.and_then(|place| places.get(place)).map(entry);
        // The tile has the root that the leaves of the bundle lack, so they differ in some place.
        let place = place.unwrap_or_default();
        Err(self.contradiction(wanted, &tiles, place, served.map(<[u8]>::to_vec)))
    }

    /// Returns the tiles with the leaf hashes of a bundle.
    async fn with_leaves(&self, wanted: &Wanted) -> Result<VerifiedTiles, BulkError> {
        let mut tiles = wanted.tiles.clone();
        if tiles.get(wanted.tile()).is_none() {
            add(&self.log, &self.head, &mut tiles, wanted.tile()).await?;
        }
        Ok(tiles)
    }

    fn contradiction(
        &self,
        wanted: &Wanted,
        tiles: &VerifiedTiles,
        place: usize,
        served: Option<Vec<u8>>,
    ) -> BulkError {
        let tile = tiles.get(wanted.tile());
        let leaf_hash = tile.and_then(|tile| tile.subtree_root(0, place));
        let index = LeafIndex(wanted.first() + place as u64);
        let leaf_hash = leaf_hash.unwrap_or(tlog::EMPTY_ROOT);
        let inclusion = tlog::inclusion_proof(index, self.head.size(), tiles);
        let inclusion = inclusion
            .map_err(VerifyError::from)
            .and_then(|hashes| Inclusion::verify(leaf_hash, index, hashes, self.head.clone()));
        match inclusion {
            Ok(inclusion) => BulkError::Entry(Box::new(BadEntry { inclusion, served })),
            Err(error) => self.log.wrong("/tile/")(error).into(),
        }
    }

    /// Reads the entries of a bundle one by one. `absent` is the error if the log does not show
    /// entries so.
    async fn one_by_one(&self, wanted: &Wanted, absent: ReadError) -> Result<Bundle, BulkError> {
        let tiles = self.with_leaves(wanted).await?;
        let tile = tiles.get(wanted.tile());
        let hashes: Vec<_> = tile.into_iter().flat_map(|tile| tile.hashes()).collect();
        let mut bundle = Bundle {
            first: wanted.first(),
            bytes: Vec::new(),
            places: Vec::new(),
            hashes,
        };
        for place in 0..bundle.hashes.len() {
            let index = wanted.first() + place as u64;
            let Some(leaf) = self.leaf(index).await? else {
                return Err(absent.into());
            };
            if bundle.hashes.get(place) != Some(&tlog::leaf_hash(&leaf)) {
                return Err(self.contradiction(wanted, &tiles, place, Some(leaf)));
            }
            let start = bundle.bytes.len();
            bundle.bytes.extend_from_slice(&leaf);
            bundle.places.push(start..bundle.bytes.len());
        }
        Ok(bundle)
    }

    /// Returns the bytes that the server shows as an entry. They are not verified.
    async fn leaf(&self, index: u64) -> ReadResult<Option<Vec<u8>>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            canonicalized_body: String,
        }
        let path = format!("/entries/{index}");
        let Some(answer) = self.log.answer(&path, MAX_ENTRY).await? else {
            return Ok(None);
        };
        let entry: Result<Entry, _> = serde_json::from_slice(&answer);
        let entry = entry.map_err(VerifyError::expected("a log entry"));
        let leaf = entry.and_then(|entry| Ok(STANDARD.decode(entry.canonicalized_body)?));
        leaf.map(Some).map_err(self.log.wrong(&path))
    }
}

/// Fetches a full tile and adds it.
async fn add<F: Fetch>(
    log: &TiledLog<F>,
    head: &SignedHead,
    tiles: &mut VerifiedTiles,
    id: TileId,
) -> Result<(), BulkError> {
    let found = log.tiles(vec![id], head.size()).await?;
    for (id, tile) in &found {
        if let Err(fault) = tiles.add(*id, Arc::clone(tile)) {
            let way = tiles.way_to(*id);
            let mut shown: Vec<_> = way.iter().map(|(id, tile)| hashes_of((id, tile))).collect();
            shown.push(hashes_of((id, tile)));
            return Err(BulkError::Tile(Box::new(BadTile {
                head: head.clone(),
                tiles: shown,
                fault,
            })));
        }
    }
    Ok(())
}

fn hashes_of((id, tile): (&TileId, &Arc<TileTree>)) -> (TileId, Vec<Hash>) {
    (*id, tile.hashes().collect())
}

#[cfg(test)]
mod tests;
