//! Verifies what the log answered, with nothing but its public key and what it said before.
//!
//! An answer must also be one to what was asked: the entry at that index, the ID of that artifact.

mod tiles;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use client::{v1, v2};
use tlog::Checkpoint;

use crate::ask::{Ask, Source};
use crate::connection::Connection;
use crate::known::Known;
use tiles::TileReader;

/// Checks the answers that a run kept.
pub(crate) struct Verifier {
    source: Arc<Source>,
    tiles: TileReader,
}

impl Verifier {
    /// `connection` is for the tiles that an answer's proof needs.
    pub(crate) fn new(source: Arc<Source>, connection: Connection) -> Self {
        let tiles = TileReader::new(
            connection,
            source.target.clone(),
            source.tiles_prefix.clone(),
        );
        Self { source, tiles }
    }

    /// Checks one answer of the status that it should have.
    ///
    /// Entries: inclusion proof and checkpoint, and of v1 entry ID and signed entry timestamp.
    /// Consistency: the proof, to the head at the start. Heads: the signature, and that the tree
    /// did not shrink. Tiles and bundles: each of their hashes, by the inclusion in the tree of the
    /// checkpoint at the start. Search: that the entry is among the hits.
    pub(crate) async fn verify(&mut self, ask: Ask, answer: &[u8]) -> Result<()> {
        let Source {
            known, proposals, ..
        } = &*self.source;
        let key = &known.key;
        match ask {
            Ask::WriteV1(number) => {
                let entry = v1::verify_entry(key, answer)?;
                ensure!(
                    entry.artifact == Some(proposals.digest(number)),
                    "another entry than was sent"
                );
            }
            Ask::WriteV2(number) => {
                ensure!(
                    v2::verify_entry(&known.v2_key, answer)? == Some(proposals.digest(number)),
                    "another entry than was sent"
                );
            }
            Ask::Batch { first, count } => {
                v1::verify_batch(
                    key,
                    answer,
                    &|number| proposals.digest(first + number),
                    count,
                )?;
            }
            Ask::EntryByIndex(index) => {
                let got = v1::verify_entry(key, answer)?.log_index;
                ensure!(got == index, "entry {got} and not {index}");
            }
            Ask::EntryByUuid(number) | Ask::EntryByHash(number) => {
                let (got, asked) = (
                    v1::verify_entry(key, answer)?.id,
                    &known.entries[number].uuid,
                );
                ensure!(got == *asked, "entry {got} and not {asked}");
            }
            Ask::Consistency(first) => v1::verify_consistency(first, head(known)?, answer)?,
            Ask::TreeHead => {
                let size = key.open_head(answer)?.size;
                ensure!(size >= head(known)?.size, "the tree shrank to {size}");
            }
            Ask::Checkpoint => {
                let size = v2::open_checkpoint(&known.v2_key, answer)?.size;
                ensure!(size >= checkpoint(known)?.size, "the tree shrank to {size}");
            }
            Ask::Tile(index) => {
                self.tiles
                    .verify(index, &client::tiles::hashes(answer)?, checkpoint(known)?)
                    .await?
            }
            Ask::EntriesBundle(index) => {
                self.tiles
                    .verify(
                        index,
                        &client::tiles::bundle_hashes(answer)?,
                        checkpoint(known)?,
                    )
                    .await?;
            }
            Ask::Search(number) => v1::verify_search(&known.entries[number].uuid, answer)?,
        }
        Ok(())
    }
}

fn head(known: &Known) -> Result<&v1::HeadV1> {
    known.v1.as_ref().context("no head was asked for")
}

fn checkpoint(known: &Known) -> Result<&Checkpoint> {
    known.tiles.as_ref().context("no checkpoint was asked for")
}
