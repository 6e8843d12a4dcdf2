//! The server over HTTP: through the router, and through sockets.

#![expect(
    clippy::expect_used,
    reason = "a test fails where something is not as it must be"
)]

#[path = "../support/mod.rs"]
mod support;

mod batch;
mod cors;
mod enabled;
mod events;
mod grpc;
mod heavy;
mod index_search;
mod life;
mod limits;
mod listening;
mod look_up;
mod proposal;
mod ready;
mod routes;
mod search;
mod shards;
mod trees;
mod trust;
mod unique;
mod v2;
