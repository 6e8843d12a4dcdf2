//! Compares a head with one that was seen before.

use tlog::{Hash, TreeSize};

use crate::head::SignedHead;
use crate::proof::Consistency;
use crate::site::{Fault, HistoryError, ReadError, ReadResult};

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

/// A consistency proof as a log offers it. Nothing of it is verified.
pub(crate) struct Offer {
    pub hashes: Vec<Hash>,
    /// The root of the smaller tree, where it was computed from tiles.
    pub first_root: Option<Hash>,
}

/// Compares two heads of one tree. `prove` returns what the log offers as the consistency proof
/// between two sizes.
///
/// # Errors
///
/// The log forked, or went back to a smaller tree, or does not prove otherwise.
pub(crate) async fn compare(
    seen: &SignedHead,
    now: &SignedHead,
    prove: impl AsyncFn(TreeSize, TreeSize) -> ReadResult<Offer>,
) -> ReadResult<History> {
    let broken = |fault: Fault| {
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
            false => Err(broken(Fault::TwoRoots)),
        };
    }
    let (is_older, first, second) = match now.size() < seen.size() {
        true => (true, now, seen),
        false => (false, seen, now),
    };
    let offer = match prove(first.size(), second.size()).await {
        Ok(offer) => offer,
        // A log that lost entries cannot prove anything up to the head that it showed before. A
        // server that is busy, in trouble or elsewhere says nothing of that kind.
        Err(error) if is_older && denies(&error) => return Err(broken(Fault::WentBack)),
        Err(error) => return Err(error),
    };
    let hashes = offer.hashes;
    let proof = Consistency::verify(first.size(), *first.root(), hashes.clone(), second.clone());
    let proof = proof.map_err(|error| {
        broken(Fault::NotProved {
            hashes,
            first_root: offer.first_root,
            error,
        })
    })?;
    Ok(match is_older {
        true => History::Older(proof),
        false => History::Extends(proof),
    })
}

/// Returns whether an error means that the log does not have what was asked for.
fn denies(error: &ReadError) -> bool {
    match error {
        ReadError::Refused { status, .. } => [400, 404, 410, 416, 422].contains(status),
        ReadError::Absent(_) | ReadError::Answer { .. } => true,
        _ => false,
    }
}
