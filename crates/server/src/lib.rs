//! Rekor's HTTP APIs over a [`ledger::Ledger`]: routes, negotiation, limits, answers.
//!
//! The binary wires: it opens the ledger, binds two listeners and calls [`serve`]. Absent on
//! purpose: SQL, Merkle math, what an entry must look like (that is `entry`), TLS, authentication
//! (both belong to the proxy in front).

mod admission;
mod answer;
mod app;
mod attestations;
mod cached;
mod enabled;
mod entry_id;
mod failure;
mod health;
mod intake;
pub mod limits;
mod lookup;
mod metrics;
mod operation;
mod own;
mod pages;
mod path;
mod query;
mod receipt;
mod router;
pub mod rows;
mod serve;
pub mod settings;
mod tiles;
pub mod trust;
mod unique;
mod v1;
mod v2;
mod verification;

pub use enabled::{Operations, UnknownOperation};
pub use router::router;
pub use serve::serve;
pub use settings::{BuildInfo, Duplicates, OnDuplicate, Settings};
pub use unique::{OnSecondDigest, OnUnjudged, UniquePackages};
pub use v1::TRUNCATED;
