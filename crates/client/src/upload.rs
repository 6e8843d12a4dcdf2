//! Sends entries to logs: finds out the kind of a file, makes the request, and believes an answer
//! only once it is verified and is about what was sent.
//!
//! Pure, as the rest of the crate: files are bytes that the caller read, and whoever calls waits
//! between attempts.

mod answer;
mod kind;
mod proposal;
mod request;
mod send;

pub use answer::Promise;
pub use kind::{KeyFormat, Kind, KindError, detect_file, detect_key};
pub use proposal::{Api, Proposal, ProposalError};
pub use request::{Envelope, EnvelopeError, Parts, RequestError};
pub use send::{Logged, Sent, Uploader};
