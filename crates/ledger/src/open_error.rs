//! The reasons why a log cannot be opened.

use tlog::Hash;

use crate::ids::TreeId;
use crate::keys::signer::SigningError;
use crate::store::StoreError;

/// Why a log cannot be opened. One clear line each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored tree has another key.
    #[error(
        "the key does not belong to this log: the log {name:?} (tree {tree}) needs the key with log ID {wanted}, {}", named(.got)
    )]
    WrongKey {
        /// Name of the log.
        name: String,
        /// Its tree.
        tree: TreeId,
        /// Log ID of its key.
        wanted: Hash,
        /// Log IDs of the keys given.
        got: Vec<Hash>,
    },
    /// A frozen tree whose key is needed once more.
    #[error(
        "the log {name:?} was rotated, but not all of its tree {tree} is signed: that needs the key with log ID {wanted} once more"
    )]
    Unfinished {
        /// Name of the log.
        name: String,
        /// The frozen tree.
        tree: TreeId,
        /// Log ID of its key.
        wanted: Hash,
    },
    /// The database holds other logs.
    #[error("the database holds {held}, not {wanted:?}: a log's name never changes")]
    WrongName {
        /// Names it holds.
        held: String,
        /// Name asked for.
        wanted: String,
    },
    /// No name was given and the database holds several logs.
    #[error("the database holds {0}: say which one with --name")]
    Ambiguous(String),
    /// Rekor v1 clients verify signed entry timestamps only with ECDSA P-256.
    #[error("the log key is not an ECDSA P-256 key")]
    KeyNotP256,
    /// The tree was made with another Ed25519 key than the one given, or without one.
    #[error(
        "the Ed25519 key does not belong to this log: the log {name:?} (tree {tree}) {wanted}; it is given once, when the log is made"
    )]
    WrongCosigner {
        /// Name of the log.
        name: String,
        /// Its tree.
        tree: TreeId,
        /// The key that it was created with, as text.
        wanted: String,
    },
    /// No signature is asked for by a second key that is not Ed25519.
    #[error("the second key of a log is an Ed25519 key")]
    CosignerNotEd25519,
    /// Witnesses without URL cannot be asked.
    #[error(
        "the witness policy cannot be met: the witnesses that have a URL do not make its quorum"
    )]
    Quorum,
    /// Without its policy, heads that no witness has seen would be published.
    #[error(
        "the log was published with witnesses: it needs its witness policy (one with `quorum none` asks for no cosignatures)"
    )]
    Witnessed,
    /// The newest head does not extend the published one.
    #[error("{0}")]
    WentBack(String),
    /// A name that cannot stand in a checkpoint.
    #[error(
        "{0:?} cannot be a log's name: it needs 1 to 253 characters, none of them white space, '+' or a control"
    )]
    BadName(String),
    /// A name under which no new log is made.
    #[error("{name:?} cannot be the name of a new log: {why}; write {instead}")]
    NotHostName {
        /// The name as it was given.
        name: String,
        /// How it differs from a host name.
        why: &'static str,
        /// The host name in it, or an example of one.
        instead: String,
    },
    /// The checkpoint of the stored head.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The system's random numbers, or the metrics registry.
    #[error("{0}")]
    System(String),
}

/// Names the keys that do not fit.
fn named(log_ids: &[Hash]) -> String {
    match log_ids {
        [] => "and there is no key".to_owned(),
        [one] => format!("this one has {one}"),
        many => format!(
            "these have {}",
            many.iter()
                .map(Hash::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
