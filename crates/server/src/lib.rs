//! Rekor's HTTP API over a [`ledger::Ledger`]: routes, negotiation, limits, answers.
//!
//! The binary wires: it opens the ledger, binds two listeners and calls [`serve`]. Absent on purpose: SQL, Merkle math, what an
//! entry must look like (that is `entry`), TLS, authentication (both belong to the proxy in front).

mod admission;
mod app;
mod attestations;
mod batch;
mod body;
mod budget;
mod connection;
mod cors;
mod email;
mod entries;
mod entry_id;
mod errors;
mod fair;
mod health;
mod host;
mod index;
mod intake;
mod json;
pub mod limits;
mod log;
mod memory;
mod metrics;
mod negotiation;
mod observe;
mod operation;
mod pages;
mod path;
mod patience;
mod peer;
mod places;
mod query;
mod requests;
mod retrieve;
mod router;
mod search;
mod serve;
pub mod settings;
pub mod trust;
mod v1;
mod v2;
mod verification;
mod wire;

pub use admission::{Operations, UnknownOperation};
pub use cors::{Origin, OriginError};
pub use index::TRUNCATED;
pub use router::router;
pub use serve::{ServeError, serve, serve_routes};
pub use settings::{BuildInfo, Duplicates, Limits, OnDuplicate, Settings};
