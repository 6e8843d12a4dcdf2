//! `/trees/{treeID}/entries/{index}/tlog-proof`: an entry's inclusion as C2SP tlog-proof, over the
//! newest C2SP checkpoint of its tree.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tlog::TlogProof;

use super::trees::NamedTree;
use crate::app::App;
use crate::v1::errors::ApiError;
use crate::{answer, tiles};

/// `GET /trees/{treeID}/entries/{index}/tlog-proof`.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    tree: NamedTree,
) -> Result<Response, ApiError> {
    let place = tree.place().await?;
    let (_room, entry) = answer::entry::<ApiError>(&app, &tree.log, &place).await?;
    let (index, leaf_hash) = (entry.leaf_index, &entry.leaf_hash);
    let proof = tree
        .log
        .inclusion_proof(&place.head, index, leaf_hash)
        .await?;
    let proof = TlogProof {
        extra: None,
        index,
        hashes: proof.hashes,
        checkpoint: proof.head.checkpoint.clone(),
    };
    Ok(tiles::note(proof.to_string()))
}
