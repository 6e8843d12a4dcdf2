//! The sizes of a tree that witnesses have cosigned, asked at a start. They are part of the floor: a
//! restore of the database does not lower them.
//!
//! A witness states its size without a proof. So a size can make a log read-only, and never moves it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tlog::{AddCheckpoint, Note, TreeSize};
use tokio::time::timeout;

use super::Heads;
use super::head::{Head, Integrated};
use super::publication::Publication;
use super::went_back::{HeadError, WentBack};
use super::witnesses::{Peer, WitnessTransport, Witnesses};
use crate::store::StoreError;

/// Longest wait for the witnesses at a start. A witness that is silent then is no part of the floor.
const PATIENCE: Duration = Duration::from_secs(3);

/// A witness of the policy, and the size of the tree that it has cosigned.
pub(super) struct WitnessedSize<'w> {
    pub(super) peer: &'w Peer,
    /// `None` if it has cosigned no tree that has entries. `Err` says why it did not answer.
    pub(super) size: Result<Option<TreeSize>, String>,
}

impl Heads {
    /// Asks the witnesses of the policy how much of the tree they have cosigned. If that is more than
    /// the database has, the log goes read-only. Returns whether that is so, or a quorum of them has
    /// cosigned some of the tree, so that no head below that gets a quorum again.
    ///
    /// The answers are compared with a head that is read afterwards, because other servers may
    /// publish meanwhile.
    pub(crate) async fn check_witnessed_sizes(&self) -> Result<bool, HeadError> {
        let Publication::Witnessed(witnessed) = &self.publication else {
            return Ok(false);
        };
        let empty = Head::sign(&self.tree, &Arc::new(Integrated::empty()), &self.signer)?;
        let damaged = |error: tlog::NoteError| StoreError::Damaged(error.to_string());
        let empty = Note::parse(&empty.checkpoint).map_err(damaged)?;
        let sizes = witnessed.witnesses.sizes(&empty).await;
        let stored = self.store.reader().newest_head(self.tree.id).await?;
        let stored_size = stored.map_or(TreeSize(0), |row| row.size);
        let mut seen = HashSet::new();
        for WitnessedSize { peer, size } in sizes {
            match size {
                Ok(Some(size)) if size > stored_size => {
                    let reason = WentBack::witnessed(&peer.name, size, stored.as_ref());
                    self.halt(&reason);
                }
                Ok(Some(_)) => drop(seen.insert(peer.place)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(log = %self.tree.api, witness = peer.name, %error, "a witness does not say what it has cosigned");
                }
            }
        }
        // A log that fails open may have published more than its witnesses have seen.
        let fails_closed = witnessed.fail_open_after.is_none();
        let is_quorum = fails_closed && witnessed.witnesses.is_quorum(&seen);
        Ok(self.halted().is_some() || is_quorum)
    }
}

impl Witnesses {
    /// Asks all witnesses at once which size they have cosigned. `empty` is the signed checkpoint of
    /// the empty tree, which says nothing new to anybody.
    pub(super) async fn sizes(&self, empty: &Note) -> Vec<WitnessedSize<'_>> {
        let asked = self.peers.iter().map(|peer| async move {
            let size = timeout(PATIENCE, peer.ask_size(empty, self.transport.as_ref()));
            let silent = |_| Err(format!("no answer within {} s", PATIENCE.as_secs()));
            WitnessedSize {
                peer,
                size: size.await.unwrap_or_else(silent),
            }
        });
        join_all(asked).await
    }
}

impl Peer {
    /// Asks for a cosignature of the empty tree. A witness that has cosigned a larger one refuses,
    /// and states its size (C2SP tlog-witness: 409).
    async fn ask_size(
        &self,
        empty: &Note,
        transport: &dyn WitnessTransport,
    ) -> Result<Option<TreeSize>, String> {
        let request = AddCheckpoint {
            old_size: TreeSize(0),
            proof: Vec::new(),
            checkpoint: empty.clone(),
        };
        let answer = transport.add_checkpoint(&self.url, request.to_string());
        let answer = answer.await?;
        match answer.status {
            200 => Ok(None),
            409 => match tlog::parse_cosigned_size(&answer.body) {
                Some(TreeSize(0)) => Ok(None),
                Some(size) => Ok(Some(size)),
                None => Err("a conflict without a size".to_owned()),
            },
            // It does not know the log, perhaps not yet; some answer 403 then.
            403 | 404 => Ok(None),
            status => Err(format!("HTTP status {status}")),
        }
    }
}
