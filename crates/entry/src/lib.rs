//! The entries of the log: kinds, signature checks, canonical leaf bytes, index keys.
//!
//! An entry passes through typed stages: [`ProposedEntry`], parsed and unchecked;
//! [`VerifiedEntry`], which only [`ProposedEntry::verify`] makes; leaf bytes. The behaviour is that
//! of Rekor v1.5.4, measured.
//!
//! Pure: no I/O, clock, randomness or async. Absent by design: whether a certificate is trusted,
//! expired or revoked, which no log judges; and any look at the network.

mod algorithms;
mod envelope;
mod index_keys;
mod kind;
mod kinds;
mod member;
mod package;
mod packages;
mod parts;
mod policy;
mod refusal;
mod search;
mod stages;
mod statement;
mod summary;
mod v2;

pub use algorithms::{DEFAULT_ALGORITHMS, UnknownAlgorithm};
pub use kind::Weight;
pub use kinds::{is_readable, kind_names, kind_tags};
pub use package::Package;
pub use packages::{PackageClaim, PackageClaims, named_packages};
pub use pki::{UnixSeconds, Work};
pub use policy::{Policy, UnknownKind};
pub use refusal::Refusal;
pub use search::{Attribute, KEY_FORMATS, key_search_key};
pub use stages::{ProposedEntry, VerifiedEntry, index_keys_of_leaf, kind_of_leaf};
pub use summary::{
    CertificateSummary, Signer, StatementSummary, Summary, Unreadable, summarize,
    summarize_attestation,
};
