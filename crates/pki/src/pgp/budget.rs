//! What reading a submitted key may cost.

use super::error::Error;
use crate::work::Work;

/// Packets in one submitted key. The most certified keys of the key servers have some 5,000
/// signatures.
pub(super) const MAX_PACKETS: usize = 10_000;

/// What reading may still cost.
pub(super) struct Budget<'w> {
    packets: usize,
    /// Pays for the signatures by which the key speaks for itself.
    pub(super) work: &'w mut Work,
}

impl<'w> Budget<'w> {
    pub(super) fn of_one_key(work: &'w mut Work) -> Self {
        Self {
            packets: MAX_PACKETS,
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
}
