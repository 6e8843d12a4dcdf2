//! The reasons why a ledger cannot be created or opened.

use tlog::{Hash, KeyAlgorithm};

use crate::api::Api;
use crate::ids::TreeId;
use crate::keys::signer::SigningError;
use crate::store::{KeyRole, StoreError};

/// Why a ledger cannot be created or opened. One clear line each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database holds no ledger.
    #[error("the database holds no ledger")]
    NoLedger,
    /// A later release created a log in this database.
    #[error("the ledger has a log of the API {0:?}, which this release does not know")]
    UnknownApi(String),
    /// A key of the active tree is absent.
    #[error(
        "the {api} log of {name:?} (tree {tree}) needs its {role} key, whose public half has SHA-256 {wanted}, {}", named(.got)
    )]
    WrongKey {
        /// API of the log.
        api: &'static Api,
        /// Name of the ledger.
        name: String,
        /// Its tree.
        tree: TreeId,
        /// Which of its keys.
        role: KeyRole,
        /// SHA-256 of the SPKI of that key.
        wanted: Hash,
        /// SHA-256 of the SPKI of each key that was given.
        got: Vec<Hash>,
    },
    /// A frozen tree whose key is needed once more.
    #[error(
        "the {api} log of {name:?} was rotated, but not all of its tree {tree} is signed: that needs its {role} key once more, whose public half has SHA-256 {wanted}"
    )]
    Unfinished {
        /// API of the log.
        api: &'static Api,
        /// Name of the ledger.
        name: String,
        /// The frozen tree.
        tree: TreeId,
        /// Which of its keys.
        role: KeyRole,
        /// SHA-256 of the SPKI of that key.
        wanted: Hash,
    },
    /// The database holds other ledgers.
    #[error("the database holds {held}, not {wanted:?}: a ledger's name never changes")]
    WrongName {
        /// Names it holds.
        held: String,
        /// Name asked for.
        wanted: String,
    },
    /// No name was given and the database holds several ledgers.
    #[error("the database holds {0}: say which one with --name")]
    Ambiguous(String),
    /// A log key of an algorithm that its log cannot have.
    #[error("the log key of a {api} log is not {}", algorithms(.api))]
    WrongAlgorithm {
        /// API of the log.
        api: &'static Api,
    },
    /// A key of a new log signs for another tree, or in another form.
    #[error(
        "the key with SHA-256 {0} is given twice, or belongs to another tree already: each log has keys of its own"
    )]
    UsedKey(Hash),
    /// A log with heads in Rekor v1's form needs an Ed25519 key for its C2SP checkpoints.
    #[error("a {0} log needs an Ed25519 key besides, which signs its C2SP checkpoints")]
    NoCheckpointKey(&'static Api),
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
    /// The guard contradicts the settings, or cannot keep the head that the ledger begins with.
    #[error("the guard: {0}")]
    Guard(String),
    /// The guard of another server knows better than the one here.
    #[error(
        "a running server of this ledger says that its database went back, and its /readyz says how far; \
         if the database was brought forward since, stop all servers before the first one starts"
    )]
    Refused,
    /// Nobody says how far the log had come, so an older copy of its database would go unnoticed.
    #[error(
        "nothing says how far the {api} log of {name:?} had come: no guard has a head of it, and no running server \
         vouches for the database{}", unread(.silent)
    )]
    NoFloor {
        /// API of the log.
        api: &'static Api,
        /// Name of the ledger.
        name: String,
        /// The sources that could not be read, each with the reason.
        silent: Vec<String>,
    },
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

/// Names the algorithms that a log key may have.
fn algorithms(api: &Api) -> String {
    let names = api.log_key.iter().map(|algorithm| match algorithm {
        KeyAlgorithm::EcdsaP256 => "an ECDSA P-256 key",
        KeyAlgorithm::Ed25519 => "an Ed25519 key",
    });
    names.collect::<Vec<_>>().join(" or ")
}

/// Names the sources that could not be read.
fn unread(faults: &[String]) -> String {
    match faults {
        [] => String::new(),
        faults => format!(" ({})", faults.join("; ")),
    }
}

/// Names the keys that do not fit.
fn named(digests: &[Hash]) -> String {
    match digests {
        [] => "and there is no key here".to_owned(),
        [one] => format!("and the only key here has {one}"),
        many => format!(
            "and the keys here have {}",
            many.iter()
                .map(Hash::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
