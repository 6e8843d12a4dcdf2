//! Intake of an entry, the same for every API: verify it, append it, prove it.
//!
//! A batch does the same, but appends its entries itself, so that single ones come first.

use std::sync::Arc;

use entry::{ProposedEntry, Refusal, VerifiedEntry};
use ledger::store::Attestation;
use ledger::{AppendError, Appended, InclusionProof, Log, LoggedEntry, NewEntry, ReadError};

use crate::app::App;

/// Returns the check of an entry that is proposed to this log, by the policy at this moment.
pub(crate) fn verification(
    app: &App,
    log: &Log,
) -> impl FnOnce(ProposedEntry) -> Result<VerifiedEntry, Refusal> + use<> {
    let (policy, now) = (Arc::clone(&app.policy), app.now());
    let max_leaf_bytes = log.tree().max_leaf_bytes as usize;
    move |proposed| {
        proposed
            .with_max_leaf_bytes(max_leaf_bytes)
            .verify(&policy, now)
    }
}

/// Returns a verified entry in the ledger's form: the one way into a log.
///
/// # Errors
///
/// The entry cannot be judged by its packages, and is refused for that.
pub(crate) fn new_entry(app: &App, verified: VerifiedEntry) -> Result<NewEntry, Refusal> {
    let kind = verified.kind().to_owned();
    let claims = app.unique_packages.claims(&verified, &app.metrics)?;
    let (leaf_bytes, index_keys, attestation) = verified.into_parts();
    let attestation = attestation.filter(|data| app.attestations.takes(data));
    let attestation = attestation.map(|data| Attestation {
        digest: tlog::sha256(&data),
        data,
    });
    Ok(NewEntry {
        leaf_bytes,
        kind,
        index_keys,
        attestation,
        claims,
    })
}

/// Returns the outcome of an append, once the entry that it names can be read.
pub(crate) async fn shown(
    app: &App,
    outcome: Result<Appended, AppendError>,
) -> Result<Appended, AppendError> {
    if let Err(AppendError::Contradiction(found)) = &outcome {
        app.ledger.wait_shown(found).await?;
    }
    outcome
}

/// Proves an appended entry in the published head of its tree, which need not be the active one any
/// more.
pub(crate) async fn prove(log: &Log, entry: &LoggedEntry) -> Result<InclusionProof, ReadError> {
    // An appended entry is below that head.
    let head = log.head_of(entry.tree).unwrap_or_else(|| log.head());
    log.inclusion_proof(&head, entry.leaf_index, &entry.leaf_hash)
        .await
}
