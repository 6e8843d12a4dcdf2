//! C2SP tlog-witness, both sides of it.
//!
//! [`Witness`] is the role: it cosigns checkpoints of logs that it trusts, each only if it extends
//! what it cosigned before. [`Client`] carries a log's own checkpoints to other witnesses. They
//! share the protocol and no state.
//!
//! Absent on purpose: this log's tree and database (a witness must not depend on what it watches),
//! `sign-subtree`, TLS for the role's listener (a proxy's business).

mod client;
mod logs;
mod routes;
mod state;
mod witness;

pub use client::{Client, ClientError};
pub use logs::{Logs, LogsError};
pub use routes::role;
pub use state::{Cosigned, State, StateError};
pub use witness::{Outcome, Refusal, Witness};
