//! `treehead log`, `get`, `proof` and `verify`: anyone reads a log, this ledger's or another one,
//! and believes nothing that does not verify with the log's key.

use crate::failure::Outcome;
use crate::runtime;
use flags::{GetFlags, HeadFlags, ProofFlags};
use verify::flags::VerifyFlags;

pub(crate) mod describe;
mod evidence;
pub(crate) mod flags;
mod get;
mod head;
pub(crate) mod log;
mod proof;
mod seen;
pub(crate) mod show;
pub(crate) mod verify;

/// Prints the newest head of a log, and checks that it continues the one seen before.
pub(crate) fn head(flags: &HeadFlags) -> Outcome<()> {
    runtime()?.block_on(head::run(flags))
}

/// Prints entries of a log.
pub(crate) fn get(flags: &GetFlags) -> Outcome<()> {
    runtime()?.block_on(get::run(flags))
}

/// Prints a proof.
pub(crate) fn proof(flags: &ProofFlags) -> Outcome<()> {
    runtime()?.block_on(proof::run(flags))
}

/// Verifies a bundle, or what somebody kept of a log, without a network unless it asks the log.
pub(crate) fn verify(flags: &VerifyFlags) -> Outcome<()> {
    verify::run(flags)
}
