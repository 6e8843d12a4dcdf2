//! The limits of reading a submitted key.

use super::error::Error;
use crate::work::Work;

/// Packets in one submitted key. The most certified keys of the key servers have some 5,000
/// signatures.
pub(super) const MAX_PACKETS: usize = 10_000;

/// The packets, bytes and work that reading may still take.
pub(super) struct Budget<'w> {
    packets: usize,
    /// The most bytes that the canonical packets of all keys may have.
    most: usize,
    /// Pays for the signatures by which the key speaks for itself.
    pub(super) work: &'w mut Work,
}

impl<'w> Budget<'w> {
    pub(super) fn of_one_key(most: usize, work: &'w mut Work) -> Self {
        Self {
            packets: MAX_PACKETS,
            most,
            work,
        }
    }

    pub(super) fn take_packet(&mut self) -> Result<(), Error> {
        let left = self.packets.checked_sub(1);
        self.packets = left.ok_or(Error::TooMany {
            what: "packets",
            limit: MAX_PACKETS,
        })?;
        Ok(())
    }

    /// Refuses keys that are certain to have so many bytes in their canonical packets, if those are
    /// too many. MUST be asked before signatures are checked.
    pub(super) fn check_length(&self, bytes: usize) -> Result<(), Error> {
        if bytes > self.most {
            return Err(Error::TooLong);
        }
        Ok(())
    }
}
