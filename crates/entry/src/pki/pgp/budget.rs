//! What a submitted key may cost.

use super::error::Error;
use super::key_packet::KeyPacket;

/// Packets in one submitted key. The most certified keys of the key servers have some 5,000 signatures.
pub(super) const MAX_PACKETS: usize = 10_000;
/// Signatures checked for one submitted key: what it says of itself. A check takes up to 2 ms (RSA with 4,096 bits, DSA with
/// 3,072), so that all of them end within a second; a longer key counts for [`LONG_KEY`].
pub(super) const MAX_SIGNATURE_CHECKS: usize = 250;
/// A check with a key of twice the length takes four times as long.
const LONG_KEY: usize = 4;

/// What reading may still cost.
pub(super) struct Budget {
    packets: usize,
    checks: usize,
}

impl Budget {
    pub(super) fn of_one_key() -> Self {
        Self { packets: MAX_PACKETS, checks: MAX_SIGNATURE_CHECKS }
    }

    pub(super) fn take_packet(&mut self) -> Result<(), Error> {
        take(&mut self.packets, 1, "packets", MAX_PACKETS)
    }

    /// Before a signature by `key` is checked.
    pub(super) fn take_check(&mut self, key: &KeyPacket) -> Result<(), Error> {
        let count = if key.is_long() { LONG_KEY } else { 1 };
        take(&mut self.checks, count, "signatures of a key by itself", MAX_SIGNATURE_CHECKS)
    }
}

fn take(left: &mut usize, count: usize, what: &'static str, limit: usize) -> Result<(), Error> {
    *left = left.checked_sub(count).ok_or(Error::TooMany { what, limit })?;
    Ok(())
}
