//! The attestations that are kept and shown.

use crate::limits::MAX_ENTRY_ANSWER_BYTES;

/// Attestations up to a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attestations {
    largest: u64,
}

impl Attestations {
    /// No attestations: the answer to a client that just sent an entry.
    pub(crate) const NONE: Self = Self { largest: 0 };

    /// Attestations of up to so many bytes.
    pub(crate) fn up_to(largest: u64) -> Self {
        Self { largest }
    }

    /// Whether this attestation is kept and shown. One that was kept under a larger limit is not
    /// shown any more, because answers are made in room of a known size.
    pub(crate) fn takes(self, data: &[u8]) -> bool {
        data.len() as u64 <= self.largest && !data.is_empty()
    }

    /// Returns the most bytes of an entry in an answer.
    pub(crate) fn room_of_entry(self) -> u64 {
        MAX_ENTRY_ANSWER_BYTES + self.largest.div_ceil(3) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{ANSWER_BYTES_IN_FLIGHT, MAX_RETRIEVE};
    use crate::settings::MAX_ATTESTATION_BYTES;

    #[test]
    fn the_largest_answer_fits_into_what_is_set_aside_for_all() {
        let room = Attestations::up_to(MAX_ATTESTATION_BYTES).room_of_entry();
        assert!(MAX_RETRIEVE as u64 * room <= ANSWER_BYTES_IN_FLIGHT / 4);
        let large_leaf = u64::from(ledger::V1.max_leaf_bytes) * 4 / 3;
        assert!(MAX_RETRIEVE as u64 * (room + large_leaf) <= ANSWER_BYTES_IN_FLIGHT / 2);
    }

    #[test]
    fn attestations_above_the_limit_are_not_taken() {
        let attestations = Attestations::up_to(3);
        assert!(attestations.takes(&[0; 3]));
        assert!(
            !attestations.takes(&[0; 4])
                && !attestations.takes(&[])
                && !Attestations::NONE.takes(&[0])
        );
    }
}
