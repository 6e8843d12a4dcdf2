//! Keys, notes and checkpoints, against `signed_note`, `p256` and what Rekor signed.

// `cfg(test)` says so to clippy as well: what fails here is a test.
#[cfg(test)]
mod add_checkpoint;
#[cfg(test)]
mod checkpoint;
#[cfg(test)]
mod cosignature;
#[cfg(test)]
mod key;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod note;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod rekor_v1;
#[cfg(test)]
mod tlog_proof;
#[cfg(test)]
mod witness_policy;
