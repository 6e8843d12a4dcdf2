//! A server that has the entries.

use std::num::NonZeroU8;
use std::ops::Range;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::recover::{Page, Source, SourceError, SourceHead};
use ledger::store::{FinalCheckpoint, LogName, PublicationRow, TimestampRow, TreeRow};
use ledger::{Tree, TreeId};
use serde_json::Value;
use server::rows::Rows;
use tlog::{
    Checkpoint, Hash, LeafIndex, MAX_TREE_SIZE, NoteKey, TILE_WIDTH, TileId, TilePath,
    TileResource, TreeSize,
};

use super::http_client::SourceClient;

/// A server of the ledger, read below `/trees/`.
pub(super) struct Peer {
    client: SourceClient,
    label: String,
}

impl Peer {
    /// Makes a source of the server at this URL.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        Ok(Self {
            client: SourceClient::new(url)?,
            label: url.to_owned(),
        })
    }

    fn fault(&self, reason: impl std::fmt::Display) -> SourceError {
        SourceError {
            label: self.label.clone(),
            reason: reason.to_string(),
        }
    }

    async fn get(&self, path: &str) -> Result<bytes::Bytes, SourceError> {
        let found = self
            .client
            .get(path)
            .await
            .map_err(|fault| self.fault(fault))?;
        found.ok_or_else(|| self.fault(format_args!("has no {path}")))
    }

    /// Returns the rows after a size, or `None` if the server does not have the tree.
    async fn rows(&self, tree: TreeId, from: TreeSize) -> Result<Option<Rows>, SourceError> {
        let path = format!("/trees/{tree}/rows/{from}");
        let found = self
            .client
            .get(&path)
            .await
            .map_err(|fault| self.fault(fault))?;
        let Some(body) = found else { return Ok(None) };
        let rows = serde_json::from_slice(&body);
        rows.map(Some)
            .map_err(|error| self.fault(format_args!("{path}: {error}")))
    }

    /// Returns what is stored beside the rounds of a tree.
    async fn beside(&self, tree: TreeId) -> Result<Rows, SourceError> {
        let rows = self.rows(tree, MAX_TREE_SIZE).await?;
        rows.ok_or_else(|| self.fault(format_args!("has no tree {tree}")))
    }

    async fn timestamp(
        &self,
        tree: TreeId,
        index: LeafIndex,
    ) -> Result<Option<TimestampRow>, SourceError> {
        let path = format!("/trees/{tree}/entries/{index}");
        let entry: Value = serde_json::from_slice(&self.get(&path).await?)
            .map_err(|error| self.fault(format_args!("{path}: {error}")))?;
        let promise = &entry["inclusionPromise"]["signedEntryTimestamp"];
        let signature = promise.as_str().and_then(|text| STANDARD.decode(text).ok());
        Ok(signature.map(|signature| TimestampRow {
            leaf_index: index,
            signature: signature.into(),
        }))
    }
}

#[async_trait]
impl Source for Peer {
    fn label(&self) -> String {
        self.label.clone()
    }

    async fn trees(&self, log: LogName<'_>, known: &[TreeId]) -> Result<Vec<TreeRow>, SourceError> {
        for tree in known {
            let Some(rows) = self.rows(*tree, MAX_TREE_SIZE).await? else {
                continue;
            };
            let mut trees = rows.trees();
            trees.retain(|row| row.name == log.name && row.api == log.api);
            return Ok(trees);
        }
        Ok(Vec::new())
    }

    async fn head(&self, tree: &Tree) -> Result<SourceHead, SourceError> {
        let path = format!("/trees/{}/checkpoint", tree.id);
        let note = String::from_utf8(self.get(&path).await?.into());
        let note = note.map_err(|error| self.fault(format_args!("{path}: {error}")))?;
        let key = NoteKey::new(&tree.origin, tree.checkpoint_key.clone());
        let key = key.map_err(|error| self.fault(format_args!("{path}: {error}")))?;
        let stated = Checkpoint::open(&note, &tree.origin, &[key]);
        let stated = stated.map_err(|error| self.fault(format_args!("{path}: {error}")))?;
        Ok(SourceHead {
            size: stated.size,
            root: stated.root,
        })
    }

    async fn leaf_hashes(&self, tree: TreeId, range: Range<u64>) -> Result<Vec<Hash>, SourceError> {
        let width = TILE_WIDTH as u64;
        let index = range.start / width;
        let skipped = range.start % width;
        let end = range.end - index * width;
        let path = TilePath {
            resource: TileResource::Tile(TileId { level: 0, index }),
            partial: u8::try_from(end).ok().and_then(NonZeroU8::new),
        };
        let bytes = self.get(&format!("/trees/{tree}/{path}")).await?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.len() as u64 != end || !rest.is_empty() {
            return Err(self.fault(format_args!("{path} has {} bytes", bytes.len())));
        }
        let wanted = hashes.iter().skip(skipped as usize);
        Ok(wanted.copied().map(Hash).collect())
    }

    async fn page(&self, tree: TreeId, from: TreeSize, end: TreeSize) -> Result<Page, SourceError> {
        let rows = self.rows(tree, from).await?;
        let rows = rows.ok_or_else(|| self.fault(format_args!("has no tree {tree}")))?;
        Ok(rows.into_page(from, end))
    }

    async fn timestamps(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<TimestampRow>, SourceError> {
        let mut rows = Vec::with_capacity(indexes.len());
        for index in indexes {
            rows.extend(self.timestamp(tree, *index).await?);
        }
        Ok(rows)
    }

    async fn publications(
        &self,
        tree: TreeId,
        after: Option<TreeSize>,
    ) -> Result<Vec<PublicationRow>, SourceError> {
        let newest = self.beside(tree).await?.publication(after);
        Ok(newest.into_iter().collect())
    }

    async fn final_checkpoint(&self, tree: TreeId) -> Result<Option<FinalCheckpoint>, SourceError> {
        Ok(self.beside(tree).await?.last())
    }
}
