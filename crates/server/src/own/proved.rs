//! An entry of any log with its proof.

use std::sync::Arc;

use ledger::{Head, HeadForm, InclusionProof, Log, LoggedEntry, ReadError};

use crate::v2::wire::LogEntry;

/// An entry of any log, and all that is shown with it.
pub(crate) struct Proved {
    entry: LoggedEntry,
    proof: InclusionProof,
    /// `None` in a log whose API does not have it.
    signed_entry_timestamp: Option<Arc<[u8]>>,
}

impl Proved {
    /// Proves an entry in a head.
    pub(crate) async fn new(
        log: &Log,
        head: &Arc<Head>,
        entry: LoggedEntry,
    ) -> Result<Self, ReadError> {
        let proof = log
            .inclusion_proof(head, entry.leaf_index, &entry.leaf_hash)
            .await?;
        let signed_entry_timestamp = match head.tree.api.heads {
            HeadForm::RekorV1 => Some(log.signed_entry_timestamp(&entry)?),
            HeadForm::Checkpoint => None,
        };
        Ok(Self {
            entry,
            proof,
            signed_entry_timestamp,
        })
    }

    /// Returns the entry as the `TransparencyLogEntry` of a Sigstore bundle.
    pub(crate) fn log_entry(&self) -> LogEntry<'_> {
        match &self.signed_entry_timestamp {
            Some(timestamp) => LogEntry::of_v1(&self.entry, &self.proof, timestamp),
            None => LogEntry::new(&self.entry, &self.proof),
        }
    }
}
