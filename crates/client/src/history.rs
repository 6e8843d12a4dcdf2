//! Compares a head with one that was seen before.

use tlog::{Hash, TreeSize};

use crate::error::VerifyError;
use crate::head::SignedHead;
use crate::proof::Consistency;
use crate::site::{HistoryError, ReadError, ReadResult};

/// How a head relates to one that was seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// It is the same head.
    Same,
    /// It continues the earlier head, by this proof.
    Extends(Consistency),
    /// It is an older head of the same history: the head that was seen before continues it. A
    /// server that lags behind others shows one.
    Older(Consistency),
}

/// Compares two heads of one tree. `prove` returns the hashes of the consistency proof between two
/// sizes.
///
/// # Errors
///
/// The log forked, or went back to a smaller tree, or does not prove otherwise.
pub(crate) async fn compare(
    seen: &SignedHead,
    now: &SignedHead,
    prove: impl AsyncFn(TreeSize, TreeSize) -> ReadResult<Vec<Hash>>,
) -> ReadResult<History> {
    let broken = |fault: String| {
        ReadError::History(Box::new(HistoryError {
            origin: now.origin().to_owned(),
            first: seen.size(),
            first_root: *seen.root(),
            second: now.size(),
            second_root: *now.root(),
            fault,
        }))
    };
    if seen.size() == now.size() {
        return match seen.root() == now.root() {
            true => Ok(History::Same),
            false => Err(broken(
                "two roots of one size, so the log forked".to_owned(),
            )),
        };
    }
    let (is_older, first, second) = match now.size() < seen.size() {
        true => (true, now, seen),
        false => (false, seen, now),
    };
    let hashes = match prove(first.size(), second.size()).await {
        Ok(hashes) => hashes,
        // A log that lost entries cannot prove anything up to the head that it showed before.
        Err(ReadError::Refused { .. } | ReadError::Absent(_) | ReadError::Answer { .. })
            if is_older =>
        {
            return Err(broken("the log went back".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let proof = Consistency::verify(first.size(), *first.root(), hashes, second.clone());
    let no_proof =
        |error: VerifyError| broken(format!("no proof leads from one to the other ({error})"));
    let proof = proof.map_err(no_proof)?;
    Ok(match is_older {
        true => History::Older(proof),
        false => History::Extends(proof),
    })
}
